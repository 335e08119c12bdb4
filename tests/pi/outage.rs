//! Nothing is lost and nothing counts twice while the hub dies and the cable is pulled; and what the agent costs meanwhile.

use crate::light::is_hub_unreachable;
use crate::rack::{GREEN, RECOVERY, Rack, value};
use rackside_history::{Reader, Samples, Settings, Store};
use rackside_proto::Run;
use rackside_tests::clock;
use std::io::Write as _;
use std::time::Duration;

/// The LED says that the hub is not reached once that has lasted for 10 s; the slack of an emulator.
const NOTICED: Duration = Duration::from_secs(30);
/// Longer than the 7 s after which an agent and a hub know that nobody is at the other end.
const AWAY: Duration = Duration::from_secs(10);
/// How far the hub's date of a reading may be from this machine's: it is the hub's clock, and the way there.
const DATED_WITHIN_MS: u64 = 2000;
/// From an agent's start to its first reading, and from its last one to its end.
const ENDS_WITHIN_MS: u64 = 3000;

/// What the agent may have resident, in KiB.
const MEMORY: u64 = 4 * 1024;

#[test]
fn a_hub_killed_and_a_cable_pulled_cost_a_pi_without_a_clock_nothing() {
    let mut rack = Rack::start();

    // Some that are acknowledged, and so only with the hub.
    rack.expect("ten records", |said| (said["records"]["taken"].as_u64()? >= 10).then_some(()));
    rack.hub.kill();
    let seen = rack.board.pins.watch_until(GREEN, NOTICED, is_hub_unreachable);
    assert!(is_hub_unreachable(&seen), "{seen:?}\n{}", rack.last_words());
    rack.hub.come_up();
    rack.expect("well again", |said| (value(said, "led_state") == Some(1.0)).then_some(()));

    rack.board.pull();
    std::thread::sleep(AWAY);
    rack.expect("down", |said| (said["up"] == false).then_some(()));
    rack.board.put_back();
    rack.expect("up", |said| (said["up"] == true).then_some(()));

    rack.expect("no backlog", |said| (value(said, "agent_backlog_records")? <= 2.0).then_some(()));
    let said = rack.expect("a run", |said| said["run"].as_str().map(str::to_owned));
    let run = Run(u32::from_str_radix(&said, 16).expect("a run is 8 hexadecimal digits"));
    check_cost(&mut rack);
    // The tick that said so is acked too before the agent goes.
    std::thread::sleep(Duration::from_secs(3));
    let stopped_ms = clock::unix_ms();
    assert_eq!(rack.end(15), "exit 0", "{}", rack.last_words());
    assert!(rack.hub.stop().is_some_and(|status| status.success()), "{}", rack.hub.last_words());

    let store = Store::open(&rack.hub.data(), Settings::new(clock::unix_ms())).expect("nobody else has it");
    check_account(&store.reader(), run, &rack);
    check_samples(&uptimes(&store.reader()), stopped_ms, &rack);
}

/// Every number of the run, once, and none let go.
fn check_account(reader: &Reader, run: Run, rack: &Rack) {
    let account =
        reader.account(&Rack::name(), run).expect("the history can be read").expect("it knows the run");
    let ranges: Vec<_> = account.seqs.ranges().collect();
    let seconds = (AWAY + RECOVERY / 6).as_secs();
    assert!(
        ranges.len() == 1 && ranges[0].start == 0 && ranges[0].end > seconds && account.lost == 0,
        "{ranges:?}, {} lost\n{}",
        account.lost,
        rack.last_words()
    );
}

fn uptimes(reader: &Reader) -> Samples {
    let series = reader.series(&Rack::name()).expect("the history can be read");
    let uptime =
        series.iter().find(|(_, key)| &*key.name == "rackside_uptime_seconds").expect("it has an uptime");
    reader.samples(&Rack::name(), uptime.0, 0..u64::MAX).expect("the history can be read")
}

/// One sample each second, none twice, dated to when it was, although the Pi never knew the date.
fn check_samples(samples: &Samples, stopped_ms: u64, rack: &Rack) {
    let log = rack.board.console.log(&rack.agent);
    let skipped = log.iter().filter_map(|line| {
        line.split_once(" readings were skipped")?.0.rsplit(' ').next()?.parse::<u64>().ok()
    });
    let skipped: u64 = skipped.sum();
    let gaps: u64 = samples
        .times
        .windows(2)
        .map(|pair| ((pair[1].saturating_sub(pair[0]) + 500) / 1000).saturating_sub(1))
        .sum();
    assert!(gaps <= skipped, "{gaps} readings are missing, {skipped} were skipped: {:?}", samples.times);
    assert!(samples.times.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", samples.times);
    let (first, last) = (samples.times[0], samples.times[samples.times.len() - 1]);
    // From the first reading to the last one, whatever the hub had to be told again.
    let soonest = rack.started_ms.saturating_sub(DATED_WITHIN_MS);
    let begun = soonest..=rack.started_ms + rack.waited.as_millis() as u64 + ENDS_WITHIN_MS;
    let ended =
        stopped_ms.saturating_sub(ENDS_WITHIN_MS + skipped * 1000)..=clock::unix_ms() + DATED_WITHIN_MS;
    assert!(begun.contains(&first) && ended.contains(&last), "{first} in {begun:?}, {last} in {ended:?}");
    // What dates the boot is the moment at which the first reading came in, which had waited for the connection. Whatever comes in sooner makes
    // the dates better, slowly. An uptime is in whole seconds.
    let late = rack.waited.as_millis() as i64 + 1500;
    let zero = |(time, uptime): (&u64, &Option<i64>)| {
        *time as i64 - uptime.expect("an uptime is always known") * 1000
    };
    let zeros: Vec<i64> = samples.times.iter().zip(&samples.values).map(zero).collect();
    let spread = zeros.iter().max().zip(zeros.iter().min()).map(|(most, least)| most - least);
    assert!(spread.is_some_and(|spread| spread <= late), "{late}: {zeros:?}");
}

/// What the agent in the Pi takes of it, checked and printed. The emulator's own memory is not in it; its processor time says nothing of a real Pi's.
fn check_cost(rack: &mut Rack) {
    let id = rack.agent.id;
    let field = |text: &str, name: &str| -> u64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.split_ascii_whitespace().next()?.parse().ok()).unwrap_or(0)
    };
    // Right after an outage, what it gave back is not all the kernel's again yet.
    let mut memory = String::new();
    clock::eventually(RECOVERY, || {
        memory = rack.read(&format!("/proc/{id}/smaps_rollup"));
        (field(&memory, "Rss:") <= MEMORY).then_some(())
    });
    let status = rack.read(&format!("/proc/{id}/status"));
    let stat = rack.read(&format!("/proc/{id}/stat"));
    let fields: Vec<u64> = stat
        .rsplit_once(')')
        .map_or("", |(_, after)| after)
        .split_ascii_whitespace()
        .map(|word| word.parse().unwrap_or(0))
        .collect();
    // proc(5): the 14th and 15th are its time, the 22nd its start, all in hundredths of a second since the boot.
    let uptime: f64 =
        rack.read("/proc/uptime").split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(0.0);
    let (cpu, lived) = ((fields[11] + fields[12]) * 10, uptime - fields[19] as f64 / 100.0);
    let (rss, pss) = (field(&memory, "Rss:"), field(&memory, "Pss:"));
    let (anonymous, threads) = (field(&status, "RssAnon:"), field(&status, "Threads:"));
    // Debian's kernel gives huge pages to all, and the agent wants none.
    let huge = field(&memory, "AnonHugePages:");
    assert!(
        rss >= pss && pss > 100 && rss <= MEMORY && huge == 0 && (1..=4).contains(&threads),
        "{memory}\n{status}"
    );
    // Not by eprintln!, which shows it only when the test fails.
    let _ = writeln!(
        std::io::stderr(),
        "emulated Pi 3: the agent has RSS {rss} KiB ({anonymous} of its own, the rest its program), PSS {pss} KiB, {threads} threads, and spent {cpu} ms of the emulated processor in {lived:.0} s at a tick of 1 s"
    );
}
