//! What one run of the agent puts into custody, tick by tick, on a made-up machine and at moments of its own.

use super::*;
use crate::clock::Trust;
use rackside_proto::{ClockSource, Data, Message, Readings, Record, Sending, Time};
use std::path::Path;
use std::time::Duration;

const METERED: &str = "probes.metered = [\"wwan0\"]";

fn config(more: &str) -> Config {
    let text = format!("site = \"arena-north\"\nappliance = \"rack-1\"\n{more}\n[mqtt]\naddress = \"hub\"\n");
    Config::parse(&text, "agent.toml").expect("a good file")
}

/// An agent on a made-up /proc, and a moment at which nobody knows the time.
struct Bench {
    root: tempfile::TempDir,
    agent: Agent,
    moment: Moment,
}

impl Bench {
    fn new() -> Self {
        Self::of(Run(9))
    }

    fn of(run: Run) -> Self {
        Self::with(run, "")
    }

    /// One whose modem costs money.
    fn metered() -> Self {
        let mut bench = Self::with(Run(9), METERED);
        bench.set_clock();
        bench
    }

    fn with(run: Run, more: &str) -> Self {
        let root = tempfile::tempdir().expect("a temporary directory");
        std::fs::create_dir(root.path().join("net")).expect("a directory");
        let config = config(more);
        let mut clock = Clock::new(Trust::Auto, Path::new("/proc"));
        let moment = Moment { known: false, boot: 7, boot_ms: 1000, utc_ms: 3000, ..clock.read() };
        let roots = Roots { proc: root.path().into(), ..Roots::below(root.path()) };
        let agent = Agent::new(&config, run, &clock, roots, Host::default());
        Self { root, agent, moment }
    }

    fn route(&self, interface: &str) {
        let table = format!("head\n{interface} 00000000 0100A8C0 0003 0 0 100 00000000 0 0 0\n");
        std::fs::write(self.root.path().join("net/route"), table).expect("written");
    }

    fn ticks(&mut self, count: usize) {
        (0..count).for_each(|_| self.tick());
    }

    fn tick(&mut self) {
        self.agent.tick(&self.moment);
        self.moment.now += Duration::from_secs(10);
        self.moment.boot_ms += 10_000;
        self.moment.utc_ms += 10_000;
    }

    /// The clock is set, and somebody vouches for it.
    fn set_clock(&mut self) {
        self.moment.known = true;
        self.moment.utc_ms = 1_795_000_000_000;
    }

    /// What is in custody, told in a word each.
    fn held(&mut self) -> Vec<String> {
        self.agent.custody.connected(self.moment.now);
        // An ack for nothing, so that the backlog streams.
        let mut told = Vec::new();
        let now = self.moment.now + Duration::from_secs(1);
        for seq in 0..self.agent.custody.next() {
            let out = self.agent.custody.next_outgoing(now).expect("it is held");
            assert_eq!(out.envelope.seq, seq);
            let mut body = Vec::new();
            out.envelope.encode(&mut body).expect("room");
            body.extend_from_slice(out.body);
            told.push(match Message::decode(out.channel, &body).expect("a message") {
                Message::Data(Record { body: Data::Catalog(catalog), .. }) => {
                    format!("catalog {}", catalog.head.number)
                }
                Message::Data(Record { body: Data::Readings(readings), .. }) => tell(&readings),
                Message::Event(Record {
                    body: Event { time, what: What::Sample { catalog, series, value } },
                    ..
                }) => format!("series {series} of catalog {catalog} {value:?} at {}", ms(time)),
                Message::Event(Record { body: Event { what: What::Text { subject, text }, .. }, .. }) => {
                    format!("{subject} {text:?}")
                }
                Message::Event(Record {
                    body: Event { what: What::Anchor { boot, boot_ms, utc_ms }, .. },
                    ..
                }) => {
                    format!("anchor {boot} {boot_ms} {utc_ms}")
                }
                other => panic!("{other:?}"),
            });
            let safe = [rackside_proto::Safe { run: Run(9), below: seq + 1 }].into_iter().collect();
            let wants = std::iter::empty().collect();
            self.agent.custody.acked(&rackside_proto::Ack { history: 1, time_ms: 0, safe, wants }, now);
        }
        told
    }
}

fn ms(time: Time) -> u64 {
    match time {
        Time::Boot { ms, .. } | Time::Utc { ms } => ms,
    }
}

fn tell(readings: &Readings<'_>) -> String {
    if readings.len() > 1 {
        let last = readings.iter().last().expect("there are some");
        return format!("{} readings from {} to {}", readings.len(), ms(readings.time), ms(last.time));
    }
    match readings.time {
        Time::Boot { boot, ms } => format!("readings at {ms} of boot {boot}"),
        Time::Utc { ms } => format!("readings at {ms}"),
    }
}

#[test]
fn a_tick_is_a_catalog_once_and_readings_each_time() {
    let mut bench = Bench::new();
    bench.tick();
    bench.tick();
    let expected = ["catalog 1", "readings at 1000 of boot 7", "readings at 11000 of boot 7"];
    assert_eq!(bench.held(), expected);
}

#[test]
fn the_default_route_is_told_when_it_moves() {
    let mut bench = Bench::new();
    bench.set_clock();
    bench.route("eth0");
    bench.tick();
    bench.tick();
    bench.route("wwan0");
    bench.tick();
    let told = bench.held();
    let routes: Vec<&String> = told.iter().filter(|told| told.starts_with("default_route")).collect();
    assert_eq!(routes, ["default_route \"eth0\"", "default_route \"wwan0\""]);
}

#[test]
fn an_anchor_names_the_moment_at_which_the_clock_became_known() {
    let mut bench = Bench::new();
    bench.tick();
    bench.set_clock();
    bench.tick();
    bench.tick();
    let expected = [
        "catalog 1",
        "readings at 1000 of boot 7",
        "anchor 7 11000 1795000000000",
        "readings at 1795000000000",
        "readings at 1795000010000",
    ];
    assert_eq!(bench.held(), expected);
}

#[test]
fn a_clock_that_was_known_all_along_needs_no_anchor() {
    let mut bench = Bench::new();
    bench.set_clock();
    bench.tick();
    assert_eq!(bench.held(), ["catalog 1", "readings at 1795000000000"]);
}

#[test]
fn a_clock_that_is_doubted_for_a_while_is_anchored_again() {
    let mut bench = Bench::new();
    bench.set_clock();
    bench.tick();
    bench.moment.known = false;
    bench.moment.doubt = Some(Doubt::Disputed { utc_ms: 1 });
    bench.tick();
    (bench.moment.known, bench.moment.doubt) = (true, None);
    bench.tick();
    let expected = [
        "catalog 1",
        "readings at 1795000000000",
        "readings at 11000 of boot 7",
        "anchor 7 21000 1795000020000",
        "readings at 1795000020000",
    ];
    assert_eq!(bench.held(), expected);
}

#[test]
fn a_clock_known_all_along_is_anchored_for_what_an_earlier_run_left() {
    use crate::spool::cut::CutDisk;
    let disk = CutDisk::new();
    let spool = || Spool::open(Box::new(disk.clone()), 1 << 20).expect("it reads").0;
    let mut bench = Bench::new();
    bench.agent.attach(spool(), bench.moment.now);
    bench.tick();
    bench.agent.custody.stop(bench.moment.now);
    // Another run in the same boot; NTP came in between.
    let mut bench = Bench::of(Run(10));
    bench.agent.attach(spool(), bench.moment.now);
    assert_eq!(bench.agent.custody.backlog(), 2);
    bench.set_clock();
    bench.tick();
    assert_eq!(bench.agent.custody.next(), 3, "an anchor, a catalog and readings");
    let gist = bench.agent.gist(&bench.moment);
    assert_eq!(gist.spool, (SpoolPlace::Disk, 64 << 20));
}

#[test]
fn the_birth_carries_the_newest_catalog() {
    let mut bench = Bench::new();
    let body = bench.agent.birth(&bench.moment).expect("fits");
    assert!(Birth::decode(&body).expect("a birth").catalog.is_none(), "before the first reading");
    bench.tick();
    let body = bench.agent.birth(&bench.moment).expect("fits");
    let birth = Birth::decode(&body).expect("a birth");
    let catalog = birth.catalog.expect("a catalog");
    assert_eq!((catalog.head.number, catalog.len()), (1, bench.agent.series()));
    assert_eq!((birth.run, birth.floor, birth.next, birth.clock), (Run(9), 0, 2, ClockSource::None));
}

fn tally(value: i64) -> Reading {
    let labels = vec!["camera-1".to_owned(), "program".to_owned()];
    Reading {
        metric: &rackside_proto::metric::TALLY_ACTIVE,
        labels,
        value: rackside_proto::Value::Known(value),
    }
}

#[test]
fn what_happens_on_the_panel_is_told_at_its_own_moment_but_not_before_a_reading_that_says_otherwise() {
    let mut bench = Bench::new();
    bench.set_clock();
    let event = |bench: &mut Bench, ago: u64, value| {
        let at = bench.moment.now.checked_sub(Duration::from_millis(ago)).expect("after boot");
        bench.agent.happened(&Happened { at, reading: tally(value) }, &bench.moment.clone());
    };
    event(&mut bench, 30, 0);
    assert_eq!(bench.agent.custody.backlog(), 0, "no catalog has it: the first reading tells");
    bench.agent.panel = vec![tally(0)];
    bench.tick();
    event(&mut bench, 30, 1);
    event(&mut bench, 20_000, 0);
    bench.moment.now += Duration::from_secs(10);
    let told = bench.held();
    assert_eq!(told.len(), 4, "{told:?}");
    assert!(told[2].ends_with("of catalog 1 Known(1) at 1795000009970"), "{told:?}");
    assert!(told[3].ends_with("of catalog 1 Known(0) at 1795000000001"), "{told:?}");
}

#[test]
fn the_hub_can_only_make_it_worse_and_not_for_ever() {
    let mut bench = Bench::new();
    let now = bench.moment.now;
    let verdict =
        |severity| Some((Verdict { severity, firing: 1, valid_s: 60 }, now + Duration::from_mins(1)));
    let severity = |bench: &Bench, at| bench.agent.site(Link::Well, at).severity;
    bench.agent.verdict = verdict(Severity::Critical);
    assert_eq!(severity(&bench, now), Severity::Critical);
    assert_eq!(severity(&bench, now + Duration::from_mins(1)), Severity::Well);
    bench.agent.judgement = (Severity::Warning, None);
    bench.agent.verdict = verdict(Severity::Well);
    assert_eq!(severity(&bench, now), Severity::Warning);
}

#[test]
fn over_a_metered_line_readings_go_a_minute_together() {
    let mut bench = Bench::metered();
    bench.route("wwan0");
    bench.ticks(14);
    let expected = [
        "catalog 1",
        "readings at 1795000000000",
        "default_route \"wwan0\"",
        "6 readings from 1795000010000 to 1795000060000",
        "6 readings from 1795000070000 to 1795000120000",
    ];
    assert_eq!((bench.held(), bench.agent.collected()), (expected.map(str::to_owned).into(), 1));
}

#[test]
fn a_line_that_changes_changes_how_readings_go_at_once() {
    let mut bench = Bench::metered();
    let told = |bench: &Bench| {
        let body = bench.agent.birth(&bench.moment).expect("fits");
        let birth = Birth::decode(&body).expect("a birth");
        (birth.tick_ms, birth.interval_ms, bench.agent.keep_alive().as_secs())
    };
    bench.route("eth0");
    bench.ticks(2);
    let (gist, free) = (bench.agent.gist(&bench.moment), told(&bench));
    assert_eq!(free, (10_000, 10_000, 7));
    bench.route("wwan0");
    bench.ticks(3);
    assert_eq!(told(&bench), (10_000, 60_000, 60));
    assert_ne!(bench.agent.gist(&bench.moment), gist, "another birth is due");
    bench.route("eth0");
    bench.ticks(2);
    assert_eq!(told(&bench), free);
    let expected = [
        "catalog 1",
        "readings at 1795000000000",
        "default_route \"eth0\"",
        "readings at 1795000010000",
        "catalog 2",
        "readings at 1795000020000",
        "default_route \"wwan0\"",
        "3 readings from 1795000030000 to 1795000050000",
        "default_route \"eth0\"",
        "readings at 1795000060000",
    ];
    assert_eq!(bench.held(), expected);
}

#[test]
fn a_modem_that_dials_leaves_the_line_what_it_was() {
    let mut bench = Bench::metered();
    bench.route("wwan0");
    bench.tick();
    std::fs::write(bench.root.path().join("net/route"), "head\n").expect("written");
    bench.ticks(3);
    assert_eq!((bench.agent.metered(), bench.agent.collected()), (Some("wwan0"), 3));
}

#[test]
fn another_configuration_ends_the_collecting() {
    let mut bench = Bench::metered();
    bench.route("wwan0");
    bench.ticks(3);
    assert_eq!(bench.agent.collected(), 2);
    bench.agent.configure(&config(""));
    bench.tick();
    assert_eq!((bench.agent.collected(), bench.agent.metered()), (0, None));
    assert_eq!(bench.held()[3], "3 readings from 1795000010000 to 1795000030000");
}

#[test]
fn events_go_at_once_and_are_numbered_as_they_come() {
    let mut bench = Bench::metered();
    bench.route("wwan0");
    bench.agent.panel = vec![tally(0)];
    bench.tick();
    for _ in 0..2 {
        bench.agent.panel = vec![tally(0)];
        bench.tick();
    }
    bench.agent.happened(&Happened { at: bench.moment.now, reading: tally(1) }, &bench.moment.clone());
    for _ in 0..4 {
        bench.agent.panel = vec![tally(1)];
        bench.tick();
    }
    let told = bench.held();
    assert_eq!(told.len(), 5, "{told:?}");
    assert!(told[3].ends_with("of catalog 1 Known(1) at 1795000030000"), "{told:?}");
    assert_eq!(told[4], "6 readings from 1795000010000 to 1795000060000");
}

#[test]
fn what_is_collected_goes_ahead_of_a_new_catalog_and_the_first_reading_of_that_at_once() {
    let mut bench = Bench::metered();
    bench.route("wwan0");
    bench.ticks(3);
    bench.agent.panel = vec![tally(0)];
    bench.tick();
    let told = bench.held();
    let expected =
        ["2 readings from 1795000010000 to 1795000020000", "catalog 2", "readings at 1795000030000"];
    assert_eq!(told[3..], expected);
}

#[test]
fn a_clock_that_becomes_known_ends_what_was_collected_before() {
    let mut bench = Bench::with(Run(9), METERED);
    bench.route("wwan0");
    bench.ticks(3);
    bench.set_clock();
    bench.ticks(4);
    let told = bench.held();
    let expected = [
        "2 readings from 11000 to 21000",
        "anchor 7 31000 1795000000000",
        "4 readings from 1795000000000 to 1795000030000",
    ];
    assert_eq!(told[3..], expected);
}

#[test]
fn a_stop_takes_what_is_collected_into_custody() {
    let mut bench = Bench::metered();
    bench.route("wwan0");
    bench.ticks(4);
    bench.agent.flush(bench.moment.now);
    bench.agent.flush(bench.moment.now);
    assert_eq!(bench.held()[3..], ["3 readings from 1795000010000 to 1795000030000"]);
}

#[test]
fn what_was_collected_before_it_went_is_no_sign_of_life() {
    let mut bench = Bench::metered();
    bench.agent.custody.connected(bench.moment.now);
    // What is fresh goes before what is tried again for want of an ack.
    let sent = |bench: &mut Bench| {
        let now = bench.moment.now;
        let first = bench.agent.custody.next_outgoing(now).map(|out| out.envelope.sending);
        while bench.agent.custody.next_outgoing(now).is_some() {}
        first
    };
    bench.route("wwan0");
    bench.agent.tick(&bench.moment);
    sent(&mut bench);
    for _ in 0..6 {
        bench.moment.now += Duration::from_secs(10);
        bench.moment.utc_ms += 10_000;
        bench.agent.tick(&bench.moment);
    }
    assert_eq!(sent(&mut bench), Some(Sending::First), "the newest of them was read just now");
    bench.moment.now += Duration::from_secs(10);
    bench.moment.utc_ms += 10_000;
    bench.agent.tick(&bench.moment);
    bench.moment.now += Duration::from_secs(4);
    bench.agent.flush(bench.moment.now);
    assert_eq!(sent(&mut bench), Some(Sending::Again));
}
