//! What it takes to evaluate rules: the twenty of `tests/rules/twenty.yml` in the hub and in Debian's Prometheus, side by side, over the same sixty
//! series of each appliance.
//!
//! Both get ten minutes of past readings, which is as far back as the rules look, and then live ones. How long an evaluation took is
//! what each says of itself in `/api/v1/rules`, which are the same numbers as `rackside_hub_rule_group_last_duration_seconds` and
//! `prometheus_rule_group_last_duration_seconds`. In the end nothing comes in for one evaluation, and both must say the same.

use crate::asked::{Asked, Found, difference, middle};
use crate::fleet::Fleet;
use crate::{Effort, build};
use rackside_proto::Sending;
use rackside_tests::client::Client;
use rackside_tests::day::Day;
use rackside_tests::hub::{Hub, Way};
use rackside_tests::prometheus::Prometheus;
use rackside_tests::{clock, measure};
use std::time::Duration;
use tempfile::TempDir;

const APPLIANCES: usize = 1000;
const RULES: &str = include_str!("../../../rules/twenty.yml");
/// The only group in it, and its interval.
const GROUP: &str = "twenty";
const INTERVAL: Duration = Duration::from_secs(10);
/// As far back as the rules look.
const PAST_MS: u64 = 600_000;
/// Both have evaluated without anything coming in, and the hub does not find the appliances silent yet.
const SETTLED: Duration = Duration::from_secs(12);
/// How often they are asked whether they are of the same opinion.
const ROUNDS: usize = 4;
/// Until both know the same.
const PATIENCE: Duration = Duration::from_mins(1);
/// What appliances have said, without what the hub says of them.
const ALL: &str =
    "count({__name__=~\"rackside_.+\", __name__!~\"rackside_(appliance|hub|site)_.+\", appliance!=\"\"})";
/// What the rules make. The two evaluate at moments of their own, so that what looks at a window differs.
const MADE: &str = "{__name__=~\"(site|fleet|appliance):.+\", __name__!~\".+:rate5m\"}";
/// What they have to say, without the alerts that look at a window: between the moments of the two a window goes on. Of those the expressions are
/// compared, at one moment.
const VERDICTS: &str = "ALERTS{alertname!~\"CpuBusy|CoreBusy|UndervoltageRepeated|NetworkErrors|LatencyHigh|StreamSilentOnAir\"}";

/// The two, and who feeds them.
struct Both {
    hub: Hub,
    prometheus: Prometheus,
    fleet: Fleet,
    /// The hub and Prometheus.
    asked: [Asked; 2],
    // Last: the hub's rules are in it.
    _directory: TempDir,
}

/// How long evaluations take, and what they cost.
pub(crate) fn rules(effort: Effort) -> Result<(), String> {
    let appliances = effort.appliances.unwrap_or(APPLIANCES);
    let mut both = Both::start(appliances)?;
    both.wait_for_the_same()?;
    println!("{appliances} appliances x 60 series, 20 rules each 10 s; times in ms\n");
    println!("{:<36} {:>11} {:>11} {:>6}", "", "hub", "Prometheus", "ratio");
    let (before, start) = (both.spent(), clock::now());
    both.watch(effort.lasts)?;
    let each = start.elapsed().as_secs_f64() / INTERVAL.as_secs_f64();
    let after = both.spent();
    let [ours, theirs, thread] = [0, 1, 2].map(|at| after[at].saturating_sub(before[at]).div_f64(each));
    row("CPU in 10 s, intake included", ours, theirs);
    println!("{:<36} {:>11.1}", "  of it the thread \"rules\"", ms(thread));
    let memory = [both.hub.id(), both.prometheus.id()].map(measure::memory);
    println!("{:<36} {:>11} {:>11}", "RSS, KiB", memory[0].rss_kib, memory[1].rss_kib);
    println!("{:<36} {:>11} {:>11}", "PSS, KiB", memory[0].pss_kib, memory[1].pss_kib);
    both.opinions()
}

impl Both {
    fn start(appliances: usize) -> Result<Self, String> {
        let program = build::hub()?;
        let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
        let file = directory.path().join("twenty.yml");
        std::fs::write(&file, RULES).map_err(|error| format!("{}: {error}", file.display()))?;
        let more = format!("\n[rules]\ndefaults = false\nfiles = [{:?}]\n", file.display().to_string());
        let hub = Hub::with(Way::Listener, &program, &more);
        let mut prometheus = Prometheus::with_rules(RULES);
        let now = clock::unix_ms();
        let day = Day { start_ms: now - PAST_MS, ..Day::new(appliances, 1) };
        let mut fleet = Fleet::new(&day);
        let mut client = connect(&hub)?;
        fleet.come(&mut client)?;
        let start = clock::now();
        let samples = fleet.tell(now, Sending::Again, (&mut client, &mut prometheus))?;
        let took = start.elapsed().as_secs_f64();
        println!("{samples} samples of the past ten minutes told to both in {took:.1} s");
        let asked = [Asked::new("the hub", hub.web())?, Asked::new("Prometheus", prometheus.address())?];
        Ok(Self { hub, prometheus, fleet, asked, _directory: directory })
    }

    /// Tells both what is read by now.
    fn tell(&mut self) -> Result<(), String> {
        // A connection for each time, so that none is found silent in between.
        let mut client = connect(&self.hub)?;
        self.fleet.tell(clock::unix_ms(), Sending::First, (&mut client, &mut self.prometheus))?;
        client.disconnect().map_err(|error| error.to_string())
    }

    /// Tells both what is read until they know as many series, and have looked at them twice.
    fn wait_for_the_same(&mut self) -> Result<(), String> {
        let start = clock::now();
        let mut counts = [Found::new(), Found::new()];
        while start.elapsed() < PATIENCE {
            self.tell()?;
            let now = clock::unix_ms();
            for (asked, count) in self.asked.iter_mut().zip(&mut counts) {
                *count = asked.instant(ALL, now)?;
            }
            let [ours, theirs] = &counts;
            if !ours.is_empty() && difference(ours, theirs, true).is_none() {
                println!("both know {} series", ours.values().flatten().map(|(_, n)| n).sum::<f64>());
                let mut unseen = [Vec::new(), Vec::new()];
                return self.evaluations(INTERVAL * 2, &mut unseen);
            }
            std::thread::sleep(Duration::from_millis(500));
        }
        Err(format!("after {PATIENCE:?} they do not know the same: {counts:?}\n{}", self.hub.last_words()))
    }

    /// How long evaluations take in that time.
    fn watch(&mut self, lasts: Duration) -> Result<(), String> {
        let mut times = [Vec::new(), Vec::new()];
        self.evaluations(lasts.max(INTERVAL * 3), &mut times)?;
        let counts = [times[0].len(), times[1].len()];
        let [ours, theirs] = times.each_mut().map(|times| middle(times));
        row("an evaluation: median", ours.0, theirs.0);
        row("  worst", ours.1, theirs.1);
        println!("{:<36} {:>11} {:>11}", "  evaluations", counts[0], counts[1]);
        Ok(())
    }

    /// The evaluations of that time but the first, which may be older.
    fn evaluations(&mut self, lasts: Duration, times: &mut [Vec<Duration>; 2]) -> Result<(), String> {
        let start = clock::now();
        let mut last = [None, None];
        while start.elapsed() < lasts {
            self.tell()?;
            for ((asked, last), times) in self.asked.iter().zip(&mut last).zip(times.iter_mut()) {
                let newest = asked.evaluated(GROUP)?;
                if last.is_some() && *last != newest {
                    times.extend(newest.iter().map(|evaluation| evaluation.took));
                }
                *last = newest.or(last.take());
            }
            std::thread::sleep(Duration::from_millis(500));
        }
        Ok(())
    }

    /// What the hub, Prometheus, and the hub's thread of rules have spent.
    fn spent(&self) -> [Duration; 3] {
        let (ours, theirs) = (self.hub.id(), self.prometheus.id());
        [measure::cpu_fine(ours), measure::cpu_fine(theirs), measure::cpu_of_threads(ours, "rules")]
    }

    /// Whether both are of the same opinion. An alert that waits fires at the next evaluation, which is not at the same moment here and there:
    /// so they are asked more than once.
    fn opinions(&mut self) -> Result<(), String> {
        let mut differences = Vec::new();
        for _ in 0..ROUNDS {
            self.tell()?;
            std::thread::sleep(SETTLED);
            // The hub closes a connection that has rested for a while.
            self.asked = [self.asked[0].anew()?, self.asked[1].anew()?];
            differences = self.differences()?;
            if differences.is_empty() {
                return Ok(());
            }
        }
        Err(format!("THE TWO ARE NOT OF THE SAME OPINION:\n{}", differences.join("\n")))
    }

    /// Where they differ now; tells of what they agree.
    fn differences(&mut self) -> Result<Vec<String>, String> {
        let (mut differences, now) = (Vec::new(), clock::unix_ms());
        let made = [(MADE.to_owned(), true), (VERDICTS.to_owned(), false)];
        // What reads recorded series reads values of different moments.
        let expressions = self.prometheus.rules().into_iter().map(|rule| {
            let values = !rule.contains(':');
            (rule, values)
        });
        let mut agreed = Vec::new();
        for (query, values) in made.into_iter().chain(expressions) {
            match self.compared(&query, now, values)? {
                (series, None) => agreed.push(series),
                (_, Some(difference)) => differences.push(format!("{query}: {difference}")),
            }
        }
        if let ([], [made, verdicts, rules @ ..]) = (&differences[..], &agreed[..]) {
            let series: usize = rules.iter().sum();
            println!(
                "the same in both: {made} recorded series, {verdicts} of ALERTS, {series} of the {} expressions now",
                rules.len()
            );
        }
        Ok(differences)
    }

    /// How many series a query has for an answer, and how the answers differ.
    fn compared(&mut self, query: &str, at: u64, values: bool) -> Result<(usize, Option<String>), String> {
        let [ours, theirs] = &mut self.asked;
        let (ours, theirs) = (ours.instant(query, at)?, theirs.instant(query, at)?);
        Ok((theirs.len(), difference(&ours, &theirs, values)))
    }
}

fn connect(hub: &Hub) -> Result<Client, String> {
    Client::named(hub.mqtt(), "fleet").map_err(|error| error.to_string())
}

fn row(what: &str, ours: Duration, theirs: Duration) {
    let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
    println!("{what:<36} {:>11.1} {:>11.1} {ratio:>6.2}", ms(ours), ms(theirs));
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
