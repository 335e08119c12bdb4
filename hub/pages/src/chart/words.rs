//! A chart in words: for readers, for captions, for who does not see colours.
//!
//! `Lowest 41.2 °C, highest 71 °C, last 48.3 °C at 14:35. No data for 8 min of it.`

use super::{Chart, Curve};
use crate::quantity::{Unit, duration};
use rackside_onair::Zone;

/// What the numbers of a state say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct States {
    /// The word of each number from 0 on; of others the number is said.
    pub words: Vec<String>,
    /// How a state of 1 is meant, where there are two.
    pub tone: Tone,
}

/// How a state is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tone {
    /// 1 is as it should be, 0 is not.
    Good,
    /// 1 is a fault.
    Bad,
    /// Neither is better.
    Plain,
}

/// What 0 and 1 are called, where there are better words than no and yes.
const WORDS: [(&str, &str, &str, Tone); 26] = [
    ("rackside_alarm_muted", "heard", "muted", Tone::Plain),
    ("rackside_appliance_up", "gone", "heard", Tone::Good),
    ("rackside_clock_synchronized", "not set", "set", Tone::Good),
    ("rackside_disk_read_only", "normal", "read-only", Tone::Bad),
    ("rackside_network_default_route", "unused", "in use", Tone::Plain),
    ("rackside_obs_reconnecting", "connected", "reconnecting", Tone::Bad),
    ("rackside_portal_captive", "internet", "portal", Tone::Bad),
    ("rackside_probe_success", "failed", "well", Tone::Good),
    ("rackside_process_restart_loop", "steady", "restarts", Tone::Bad),
    ("rackside_process_up", "gone", "runs", Tone::Good),
    ("rackside_recording_up", "off", "records", Tone::Plain),
    ("rackside_recovery_given_up", "trying", "given up", Tone::Bad),
    ("rackside_relay_active", "open", "closed", Tone::Plain),
    ("rackside_soc_throttled", "free", "held back", Tone::Bad),
    ("rackside_station_live", "automatic", "live", Tone::Plain),
    ("rackside_stream_bitrate_dropped", "steady", "dropped", Tone::Bad),
    ("rackside_stream_black", "picture", "black", Tone::Bad),
    ("rackside_stream_frozen", "moves", "frozen", Tone::Bad),
    ("rackside_stream_silent", "sound", "silent", Tone::Bad),
    ("rackside_stream_up", "down", "up", Tone::Good),
    ("rackside_tally_active", "off", "on", Tone::Plain),
    ("rackside_tls_fault", "well", "fault", Tone::Bad),
    ("rackside_vmix_channel_active", "off", "on", Tone::Plain),
    ("rackside_vmix_external", "off", "on", Tone::Plain),
    ("rackside_vmix_fade_to_black", "picture", "black", Tone::Plain),
    ("rackside_vmix_multicorder", "off", "records", Tone::Plain),
];

/// States of which 1 is a fault, by what their names end in.
const FAULTS: [&str; 14] = [
    "_throttled",
    "_read_only",
    "_fault",
    "_captive",
    "_frozen",
    "_black",
    "_silent",
    "_dropped",
    "_loop",
    "_given_up",
    "_reconnecting",
    "_muted",
    "_faults",
    "_damaged",
];

impl States {
    /// By a metric's name, and by what it is said to mean: `State of it: 0 idle, 1 ready, 2 live` has three words.
    pub fn of_metric(name: &str, help: &str) -> Self {
        let listed = listed(help);
        if listed.len() > 2 {
            return Self { words: listed, tone: Tone::Plain };
        }
        let ends = |ending: &str| name.ends_with(ending);
        let two = |off: &str, on: &str, tone| Self { words: vec![off.to_owned(), on.to_owned()], tone };
        if let Some((_, off, on, tone)) = WORDS.iter().find(|(metric, ..)| *metric == name) {
            return two(off, on, *tone);
        }
        match () {
            () if ends("_up") => two("down", "up", Tone::Good),
            () if ends("_success") => two("failed", "well", Tone::Good),
            () if ends("_synchronized") || ends("_durable") => two("no", "yes", Tone::Good),
            () if FAULTS.iter().any(|ending| ends(ending)) => two("no", "yes", Tone::Bad),
            () if ends("_active") => two("off", "on", Tone::Plain),
            () => two("no", "yes", Tone::Plain),
        }
    }

    /// Whether there are only no and yes.
    pub fn is_switch(&self) -> bool {
        self.words.len() == 2
    }

    fn word(&self, value: f64) -> Option<&str> {
        let whole = (value.fract() == 0.0 && (0.0..64.0).contains(&value)).then_some(value as usize)?;
        self.words.get(whole).map(String::as_str)
    }
}

/// The words of `…: 0 idle, 1 ready, 2 live`, if they are told for each number from 0 on.
fn listed(help: &str) -> Vec<String> {
    let mut words = Vec::new();
    for part in help.split([',', ':', ';']).map(str::trim) {
        let Some((number, word)) = part.split_once(' ') else { continue };
        if number.parse() == Ok(words.len()) {
            words.push(word.trim_start_matches("is ").to_owned());
        }
    }
    words
}

/// A value with its unit, or the word of a state.
pub fn said(value: f64, unit: Unit, states: Option<&States>) -> String {
    let word = states.and_then(|states| states.word(value));
    word.map_or_else(|| unit.show(value), str::to_owned)
}

/// A time of day, with its date where that may be another than today's: a range of more than a day.
pub fn moment(at: i64, zone: Zone, span: i64) -> String {
    let form = match span {
        ..7_200_001 => "%H:%M:%S",
        7_200_001..86_400_001 => "%H:%M",
        _ => "%-d %b %H:%M",
    };
    zone.local(at).format(form).to_string()
}

/// What a chart shows, in a sentence or two.
pub fn summary(chart: &Chart) -> String {
    let span = chart.range.end.saturating_sub(chart.range.start);
    let curve = &chart.curve;
    let (Some((low, high)), Some((at, last))) = (curve.extremes(), curve.last) else {
        return "No data in this time.".to_owned();
    };
    let of = |value| said(value, chart.unit, chart.states.as_ref());
    let when = moment(at, chart.zone, span);
    let mut text = match &chart.states {
        Some(states) if states.is_switch() => {
            let on = states.words.get(1).map_or("on", String::as_str);
            let share = share_of_one(curve) * 100.0;
            let rounded = if share > 0.0 && share < 1.0 {
                "less than 1 %".to_owned()
            } else if share > 99.0 && share < 100.0 {
                "more than 99 %".to_owned()
            } else {
                format!("{share:.0} %")
            };
            format!("“{on}” for {rounded} of the time, last “{}” at {when}.", of(last))
        }
        _ if low.to_bits() == high.to_bits() => format!("{} all the time, last at {when}.", of(last)),
        _ => format!("Lowest {}, highest {}, last {} at {when}.", of(low), of(high), of(last)),
    };
    let missing: u32 = curve.gaps().iter().map(|gap| gap.end - gap.start).sum();
    // One column is what a reading that comes late leaves.
    if missing > 1 {
        let ms = span as f64 * f64::from(missing) / f64::from(curve.width.max(1));
        text = format!("{text} No data for {} of it.", duration((ms / 1000.0).round()));
    }
    text
}

/// For which share of what is known the state was 1.
fn share_of_one(curve: &Curve) -> f64 {
    let mut known = (0.0, 0.0);
    for stretch in curve.stretches() {
        for (nth, column) in stretch.iter().enumerate() {
            let next = stretch.get(nth + 1).map_or(column.x + 1, |next| next.x);
            let wide = f64::from(next - column.x);
            known = (known.0 + column.mean.clamp(0.0, 1.0) * wide, known.1 + wide);
        }
    }
    if known.1 > 0.0 { known.0 / known.1 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_say_what_they_are() {
        let led = "What the LED says: 0 dark, 1 well, 2 warning, 3 critical";
        assert_eq!(
            States::of_metric("rackside_led_state", led).words,
            ["dark", "well", "warning", "critical"]
        );
        let tally =
            States::of_metric("rackside_tally_active", "1 while the tally is on, else 0; unknown then");
        assert_eq!((tally.is_switch(), tally.tone), (true, Tone::Plain));
        assert_eq!(said(1.0, Unit::Number, Some(&tally)), "on");
        assert_eq!(said(7.0, Unit::Number, Some(&tally)), "7");
        assert_eq!(States::of_metric("rackside_stream_frozen", "").tone, Tone::Bad);
    }

    #[test]
    fn words_are_of_states_that_there_are_and_fit_beside_an_axis() {
        for (name, off, on, _) in WORDS {
            let known = rackside_proto::metric::find(name).map(|metric| metric.kind);
            assert!(name == "rackside_appliance_up" || known == Some(rackside_proto::Kind::State), "{name}");
            assert!(off.len() <= 12 && on.len() <= 12, "{off} {on}");
        }
    }

    #[test]
    fn every_state_of_the_vocabulary_with_more_than_two_values_has_words() {
        let named: Vec<&str> = rackside_proto::metric::ALL
            .iter()
            .filter(|metric| metric.kind == rackside_proto::Kind::State)
            .filter(|metric| States::of_metric(metric.name, metric.help).words.len() > 2)
            .map(|metric| metric.name)
            .collect();
        assert!(
            named.contains(&"rackside_led_state") && named.contains(&"rackside_web_presenter_state"),
            "{named:?}"
        );
    }
}
