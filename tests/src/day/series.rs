//! The sixty series of a rack, in the proportions that the size of the history is told with.
//!
//! | how many | class | modelled on |
//! |---|---|---|
//! | 8 | temperature in tenths | the Pi's SoC (steps of 0.487), a disk (whole degrees), four air sensors, two thermistors |
//! | 2 | temperature in sixteenths | DS18B20 |
//! | 4 | usage in ten-thousandths | all four processors together, in the kernel's hundredths of a second |
//! | 6 | usage in thousandths | single processors, processes |
//! | 15 | counter | two interfaces, the encoder's output, the agent's link |
//! | 12 | state | tally, throttle flags, probes, routes, processes |
//! | 8 | constant | sizes of memory and disks, ends of certificates |
//! | 5 | latency in microseconds | pings at each reading, a name, a page each 30 s, a TLS handshake each minute |

use super::Class;
use super::dice::Dice;
use super::model::{Counted, Flag, Latency, Model, Temperature, Usage};
use rackside_proto::{Kind, Scale};

/// One series: its name on the wire, and how it moves.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) labels: Vec<(&'static str, String)>,
    pub(super) unit: &'static str,
    pub(super) kind: Kind,
    pub(super) scale: Scale,
    pub(super) class: Class,
    pub(super) model: Model,
}

/// How many rows there are.
pub(super) const ROWS: usize = 60;

/// The rows of one rack. `more` tells the series of a second sixty from those of the first.
pub(super) fn rows(more: usize, dice: &mut Dice) -> Vec<Row> {
    let mut rows = Vec::with_capacity(ROWS);
    temperatures(&mut rows, dice);
    usages(&mut rows, dice);
    counters(&mut rows);
    states(&mut rows, dice);
    constants(&mut rows, dice);
    latencies(&mut rows, dice);
    assert_eq!(rows.len(), ROWS, "the table above");
    if more > 0 {
        for row in &mut rows {
            row.labels.push(("part", more.to_string()));
        }
    }
    rows
}

fn row(class: Class, name: &'static str, labels: &[(&'static str, &str)], scale: Scale, model: Model) -> Row {
    let kind = match class {
        Class::Counter => Kind::Counter,
        Class::State => Kind::State,
        _ => Kind::Gauge,
    };
    let last = name.strip_suffix("_total").unwrap_or(name).rsplit('_').next().unwrap_or_default();
    let unit =
        ["celsius", "ratio", "bytes", "seconds"].into_iter().find(|unit| *unit == last).unwrap_or_default();
    let labels = labels.iter().map(|(label, value)| (*label, (*value).to_owned())).collect();
    Row { name, labels, unit, kind, scale, class, model }
}

fn temperatures(rows: &mut Vec<Row>, dice: &mut Dice) {
    let mut tenths = |name, labels: &[(&'static str, &str)], model| {
        rows.push(row(Class::Tenths, name, labels, Scale::per(10), Model::Temperature(model)));
    };
    tenths("rackside_soc_temperature_celsius", &[], Temperature::soc(dice));
    tenths("rackside_disk_temperature_celsius", &[("disk", "nvme0")], Temperature::disk(dice));
    for (place, above, load) in
        [("inlet", 0.5, 0.5), ("outlet", 6.0, 5.0), ("room", 0.0, 0.0), ("desk", 1.0, 1.5)]
    {
        let model = Temperature::air(above, load, dice);
        tenths("rackside_ambient_temperature_celsius", &[("sensor", place)], model);
    }
    for (place, above, load) in [("amplifier", 12.0, 22.0), ("power", 15.0, 6.0)] {
        let model = Temperature::thermistor(above, load, dice);
        tenths("rackside_ambient_temperature_celsius", &[("sensor", place)], model);
    }
    for (place, above, load) in [("top", 4.0, 4.0), ("bottom", 1.0, 1.0)] {
        let model = Model::Temperature(Temperature::probe(above, load, dice));
        let labels = [("sensor", place)];
        rows.push(row(
            Class::Sixteenths,
            "rackside_probe_temperature_celsius",
            &labels,
            Scale::per(16),
            model,
        ));
    }
}

fn usages(rows: &mut Vec<Row>, dice: &mut Dice) {
    for (mode, idle, load) in
        [("user", 0.02, 0.3), ("system", 0.01, 0.08), ("softirq", 0.002, 0.02), ("iowait", 0.003, 0.02)]
    {
        let model = Model::Usage(Usage::new(idle, load, 4, dice));
        rows.push(row(Class::Fine, "rackside_cpu_mode_ratio", &[("mode", mode)], Scale::per(10_000), model));
    }
    for processor in ["0", "1", "2", "3"] {
        let model = Model::Usage(Usage::new(0.03, 0.4, 1, dice));
        rows.push(row(
            Class::Coarse,
            "rackside_cpu_core_ratio",
            &[("cpu", processor)],
            Scale::per(1000),
            model,
        ));
    }
    for (process, idle, load) in [("ffmpeg", 0.005, 0.6), ("mediamtx", 0.01, 0.1)] {
        let model = Model::Usage(Usage::new(idle, load, 1, dice));
        rows.push(row(
            Class::Coarse,
            "rackside_process_cpu_ratio",
            &[("process", process)],
            Scale::per(1000),
            model,
        ));
    }
}

fn counters(rows: &mut Vec<Row>) {
    let mut counter = |name, labels: &[(&'static str, &str)], counted| {
        rows.push(row(Class::Counter, name, labels, Scale::ONE, Model::Counted(counted)));
    };
    for (at, interface) in ["eth0", "wlan0"].into_iter().enumerate() {
        let labels = [("interface", interface)];
        counter("rackside_network_receive_bytes_total", &labels, Counted::ReceivedBytes(at));
        counter("rackside_network_transmit_bytes_total", &labels, Counted::SentBytes(at));
        counter("rackside_network_receive_packets_total", &labels, Counted::ReceivedPackets(at));
        counter("rackside_network_transmit_packets_total", &labels, Counted::SentPackets(at));
        counter("rackside_network_receive_errors_total", &labels, Counted::Errors(at));
    }
    counter("rackside_network_receive_dropped_total", &[("interface", "eth0")], Counted::Dropped(0));
    counter("rackside_stream_sent_bytes_total", &[("stream", "main")], Counted::Streamed);
    counter("rackside_stream_lost_frames_total", &[("stream", "main")], Counted::LostFrames);
    counter("rackside_agent_link_bytes_total", &[("direction", "transmit")], Counted::AgentSent);
    counter("rackside_agent_link_bytes_total", &[("direction", "receive")], Counted::AgentReceived);
}

fn states(rows: &mut Vec<Row>, dice: &mut Dice) {
    let mut state = |name, labels: &[(&'static str, &str)], flag| {
        rows.push(row(Class::State, name, labels, Scale::ONE, Model::Flag(flag)));
    };
    for bus in ["program", "preview"] {
        let shot = dice.by_ratio(12.0, 300.0);
        state("rackside_tally_active", &[("tally", "camera-1"), ("bus", bus)], Flag::Tally { on: 0, shot });
    }
    // A power supply that is too weak says so many times a day; most are not.
    let weak = if dice.share() < 0.1 { 40.0 / 86_400.0 } else { 0.05 / 86_400.0 };
    let hot = if dice.share() < 0.1 { 20.0 / 86_400.0 } else { 0.0 };
    for (cause, when, often, sticky) in [
        ("undervoltage", "now", weak, false),
        ("undervoltage", "boot", weak, true),
        ("temperature", "now", hot, false),
    ] {
        let flag = Flag::Throttled { on: 0, often, sticky };
        state("rackside_soc_throttled", &[("cause", cause), ("when", when)], flag);
    }
    state("rackside_led_state", &[("led", "status")], Flag::Led);
    let internet = Flag::Reachable { flaps: dice.by_ratio(0.5, 20.0) / 86_400.0 };
    state("rackside_probe_success", &[("probe", "internet"), ("type", "ping")], internet);
    let gateway = Flag::Steady { flaps: 0.2 / 86_400.0 };
    state("rackside_probe_success", &[("probe", "gateway"), ("type", "ping")], gateway);
    state("rackside_stream_up", &[("probe", "main")], Flag::Streaming);
    state("rackside_network_default_route", &[("interface", "eth0")], Flag::Route);
    state("rackside_clock_synchronized", &[], Flag::Steady { flaps: 0.1 / 86_400.0 });
    state("rackside_process_up", &[("process", "ffmpeg")], Flag::Alive);
}

fn constants(rows: &mut Vec<Row>, dice: &mut Dice) {
    let mut constant = |name, labels: &[(&'static str, &str)], scale, number: u64| {
        rows.push(row(Class::Constant, name, labels, scale, Model::Constant(number as i64)));
    };
    let pages = Scale::times(65_536);
    constant("rackside_memory_total_bytes", &[], pages, 60_000 + dice.next() % 3_000);
    constant("rackside_swap_total_bytes", &[], pages, 1_600);
    constant("rackside_disk_total_bytes", &[("mount", "/")], pages, 440_000 + dice.next() % 60_000);
    constant("rackside_disk_total_bytes", &[("mount", "/boot/firmware")], pages, 8_160);
    constant("rackside_disk_used_bytes", &[("mount", "/boot/firmware")], pages, 1_200 + dice.next() % 300);
    for probe in ["hub", "service"] {
        let end = 1_800_000_000 + dice.next() % 7_776_000;
        constant("rackside_tls_not_after_timestamp_seconds", &[("probe", probe)], Scale::ONE, end);
    }
    constant("rackside_agent_start_time_seconds", &[], Scale::ONE, 1_794_000_000 + dice.next() % 900_000);
}

/// A probe at each reading.
const EACH: u64 = 1;

fn latencies(rows: &mut Vec<Row>, dice: &mut Dice) {
    let mut latency = |name, labels: &[(&'static str, &str)], model| {
        rows.push(row(Class::Latency, name, labels, Scale::per(1_000_000), Model::Latency(model)));
    };
    let gateway = Latency::new(0.000_25, 0.000_06, false, EACH, dice);
    latency("rackside_ping_rtt_seconds", &[("probe", "gateway")], gateway);
    let internet = Latency::new(0.012, 0.000_7, true, EACH, dice);
    latency("rackside_ping_rtt_seconds", &[("probe", "internet")], internet);
    let name = Latency::new(0.009, 0.003, true, EACH, dice);
    latency("rackside_probe_duration_seconds", &[("probe", "name"), ("type", "dns")], name);
    let page = Latency::new(0.045, 0.012, true, 30_000, dice);
    latency("rackside_probe_duration_seconds", &[("probe", "page"), ("type", "http")], page);
    let handshake = Latency::new(0.06, 0.008, true, 60_000, dice);
    latency("rackside_probe_duration_seconds", &[("probe", "handshake"), ("type", "tls")], handshake);
}
