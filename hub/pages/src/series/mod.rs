//! Series in an operator's words, and which belong together.
//!
//! ```text
//! rackside_disk_used_bytes{mount="/"}            Machine       Disk used            /
//! rackside_probe_duration_seconds{probe="main"}  Probe main    Probe took
//! rackside_soc_throttled{cause="undervoltage",…} Machine       SoC throttled  undervoltage, now
//! ```

mod names;

/// Labels: names and values.
pub type Labels = [(Box<str>, Box<str>)];

/// What a page shows together. In the order of a page.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum About {
    /// The box itself.
    Machine,
    /// Tallies, LEDs, relays.
    Panel,
    /// A probe, with all that it measures; by its name.
    Probe(String),
    /// Interfaces and Wi-Fi.
    Network,
    /// The agent's own.
    Agent,
    /// What is not known here: a newer agent's.
    Other,
}

impl About {
    /// What a series is about.
    pub fn of(metric: &str, labels: &Labels) -> Self {
        let probe = labels.iter().find(|(name, value)| &**name == "probe" && !value.is_empty());
        if let Some((_, probe)) = probe {
            return Self::Probe(probe.to_string());
        }
        let rest = metric.strip_prefix("rackside_").unwrap_or(metric);
        let begins = |with: &[&str]| with.iter().any(|with| rest.starts_with(with));
        if begins(&["tally_", "led_", "relay_", "alarm_", "maintenance", "panel_"]) {
            Self::Panel
        } else if begins(&["network_", "wifi_"]) {
            Self::Network
        } else if begins(&["agent_"]) {
            Self::Agent
        } else if begins(&MACHINE) {
            Self::Machine
        } else {
            Self::Other
        }
    }

    /// Above its charts.
    pub fn title(&self) -> String {
        match self {
            Self::Machine => "Machine".to_owned(),
            Self::Panel => "Panel and tally".to_owned(),
            Self::Probe(name) => format!("Probe {name}"),
            Self::Network => "Network".to_owned(),
            Self::Agent => "The agent itself".to_owned(),
            Self::Other => "Other".to_owned(),
        }
    }
}

const MACHINE: [&str; 14] = [
    "soc_",
    "cpu_",
    "load",
    "memory_",
    "swap_",
    "disk_",
    "storage_",
    "fan_",
    "voltage_",
    "uptime_",
    "clock_",
    "appliance_",
    "temperature_",
    "battery_",
];

/// What tells most stands first; of the others the name decides.
const FIRST: [&str; 16] = [
    "rackside_appliance_up",
    "rackside_probe_success",
    "rackside_stream_up",
    "rackside_process_up",
    "rackside_tally_active",
    "rackside_soc_temperature_celsius",
    "rackside_cpu_usage_ratio",
    "rackside_memory_used_bytes",
    "rackside_disk_used_bytes",
    "rackside_soc_throttled",
    "rackside_stream_bitrate_bps",
    "rackside_stream_fps",
    "rackside_ping_loss_ratio",
    "rackside_ping_rtt_seconds",
    "rackside_probe_duration_seconds",
    "rackside_network_default_route",
];

/// What hardly ever moves stands last.
const LAST: [&str; 4] = [
    "rackside_memory_total_bytes",
    "rackside_disk_total_bytes",
    "rackside_swap_total_bytes",
    "rackside_uptime_seconds",
];

/// Where in its group a metric stands: the least is the first.
pub fn rank(metric: &str) -> usize {
    let found = |list: &[&str]| list.iter().position(|name| *name == metric);
    found(&FIRST).or_else(|| found(&LAST).map(|at| FIRST.len() + 1 + at)).unwrap_or(FIRST.len())
}

/// Units at the ends of names, which a value says anyway.
const UNITS: [&str; 17] = [
    "_timestamp_seconds",
    "_bytes_total",
    "_seconds_total",
    "_celsius",
    "_ratio",
    "_seconds",
    "_bytes",
    "_total",
    "_bps",
    "_dbm",
    "_dbfs",
    "_hertz",
    "_volts",
    "_pixels",
    "_records",
    "_rpm",
    "_active",
];

/// Words that are not written as they are spelled in names.
const WORDS: [(&str, &str); 20] = [
    ("soc", "SoC"),
    ("cpu", "CPU"),
    ("led", "LED"),
    ("rtt", "round trip"),
    ("http", "HTTP"),
    ("tls", "TLS"),
    ("dns", "DNS"),
    ("ntp", "NTP"),
    ("hls", "HLS"),
    ("srt", "SRT"),
    ("rtmp", "RTMP"),
    ("fps", "frame rate"),
    ("obs", "OBS"),
    ("vmix", "vMix"),
    ("helo", "HELO"),
    ("wifi", "Wi-Fi"),
    ("mediamtx", "MediaMTX"),
    ("rcode", "answer code"),
    ("ttl", "TTL"),
    ("ffmpeg", "ffmpeg"),
];

/// What a metric is called: `rackside_soc_temperature_celsius` is "SoC temperature". Of one that is not known here (a newer agent's, a recording rule's) the name is made
/// of the words in it.
pub fn title(metric: &str) -> String {
    names::of(metric).map_or_else(|| made(metric), str::to_owned)
}

fn made(metric: &str) -> String {
    let rest = metric.strip_prefix("rackside_").unwrap_or(metric);
    let rest = UNITS.iter().find_map(|unit| rest.strip_suffix(unit)).unwrap_or(rest);
    let words = rest.split('_').filter(|word| !word.is_empty()).map(|word| {
        let known = WORDS.iter().find(|(name, _)| *name == word);
        known.map_or(word, |(_, word)| *word)
    });
    let text = words.collect::<Vec<_>>().join(" ");
    let mut letters = text.chars();
    let first =
        letters.next().map(|letter| if is_written_so(&text) { letter } else { letter.to_ascii_uppercase() });
    first.into_iter().chain(letters).collect()
}

/// Names of programs begin as they do.
fn is_written_so(text: &str) -> bool {
    text.starts_with("vMix") || text.starts_with("ffmpeg")
}

/// The labels of a series but for what its group says anyway: `eth0`, `undervoltage, now`.
pub fn detail(labels: &Labels) -> String {
    let told = labels.iter().filter(|(name, _)| !matches!(&**name, "probe" | "type" | "stream"));
    told.map(|(_, value)| &**value).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Vec<(Box<str>, Box<str>)> {
        pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    #[test]
    fn series_have_names_that_people_say() {
        for (metric, said) in [
            ("rackside_soc_temperature_celsius", "SoC temperature"),
            ("rackside_cpu_usage_ratio", "CPU usage"),
            ("rackside_network_receive_bytes_total", "Network received"),
            ("rackside_load15", "Load over 15 min"),
            ("rackside_agent_spool_bytes", "Backlog on its disk"),
            ("rackside_hub_listener_bytes_total", "Hub listener"),
            ("rackside_ffmpeg_things_total", "ffmpeg things"),
            ("rackside_ping_rtt_seconds", "Ping round trip"),
            ("rackside_tally_active", "Tally"),
            ("rackside_ffmpeg_speed_ratio", "ffmpeg: speed"),
            ("my_own_things_total", "My own things"),
            ("é_x", "é x"),
            ("_", ""),
        ] {
            assert_eq!(title(metric), said);
        }
    }

    #[test]
    fn every_metric_of_the_vocabulary_has_a_name_and_a_group() {
        for metric in rackside_proto::metric::ALL {
            assert!(title(metric.name).chars().count() > 2, "{}", metric.name);
            let own: Vec<(&str, &str)> = metric.labels.iter().map(|label| (*label, "x")).collect();
            assert_ne!(About::of(metric.name, &labels(&own)), About::Other, "{}", metric.name);
        }
    }

    #[test]
    fn what_a_probe_measures_is_with_it() {
        let main = labels(&[("probe", "main"), ("type", "http")]);
        assert_eq!(About::of("rackside_http_phase_seconds", &main).title(), "Probe main");
        assert!(rank("rackside_probe_success") < rank("rackside_http_phase_seconds"));
        assert_eq!(detail(&labels(&[("phase", "connect"), ("probe", "main")])), "connect");
    }
}
