//! What SRT connections of one path and direction amount to: sums that only rise, and the worst of what is measured. Pure.
//!
//! Viewers come and go every few seconds on a busy server, so a series for each would be a new catalog each time. A publisher is alone
//! on its path, and so has its own figures all the same.
//!
//! ```text
//! two readers of hall-1, 8 ms and 40 ms   →  rackside_srt_rtt_seconds{path="main",role="read"} 0.04
//! ```

use super::read::{Packets, Role, Srt};
use crate::probe::Outcome;
use rackside_proto::metric::{self, Metric};
use rackside_proto::{Scale, Value};
use std::collections::BTreeMap;

/// So many connections are told apart; of more, the rest is left out of the sums.
const MOST: usize = 512;
/// Milliseconds, as the server has them.
const MILLI: Scale = Scale::per(1000);
/// Tenths of a millisecond: a round trip within a house is less than one.
const TENTHS: Scale = Scale::per(10_000);
/// Kilobits a second.
const KILO: Scale = Scale::times(1000);

/// What is known of a connection from one run to the next.
#[derive(Debug, Clone, Copy)]
struct Last {
    packets: Packets,
    is_seen: bool,
}

/// All connections of one path and direction.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    packets: Packets,
    now: Now,
}

/// The worst of those that there are now.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Now {
    connections: u64,
    rtt: Option<f64>,
    capacity: Option<f64>,
    buffer: Option<f64>,
    latency: Option<f64>,
}

/// SRT connections, run by run.
#[derive(Debug, Default)]
pub(super) struct Connections {
    /// Whether the newest run was told of them.
    is_known: bool,
    last: BTreeMap<String, Last>,
    sums: BTreeMap<(String, Role), Sum>,
}

impl Packets {
    /// How many more than `before`; all of them when they began anew.
    fn since(self, before: Self) -> Self {
        let began_anew = self.all < before.all;
        let more = |now: u64, then: u64| if began_anew { now } else { now.saturating_sub(then) };
        Self {
            all: more(self.all, before.all),
            lost: more(self.lost, before.lost),
            again: more(self.again, before.again),
            dropped: more(self.dropped, before.dropped),
            undecrypted: more(self.undecrypted, before.undecrypted),
        }
    }

    fn add(&mut self, more: Self) {
        self.all = self.all.saturating_add(more.all);
        self.lost = self.lost.saturating_add(more.lost);
        self.again = self.again.saturating_add(more.again);
        self.dropped = self.dropped.saturating_add(more.dropped);
        self.undecrypted = self.undecrypted.saturating_add(more.undecrypted);
    }
}

impl Connections {
    /// The connections of one run, if it was told of them; `label` names the paths that are shown.
    pub(super) fn take(&mut self, connections: Option<Vec<Srt>>, label: impl Fn(&str) -> Option<String>) {
        self.is_known = connections.is_some();
        let Some(connections) = connections else { return };
        self.last.values_mut().for_each(|last| last.is_seen = false);
        self.sums.values_mut().for_each(|sum| sum.now = Now::default());
        for one in connections {
            let Some(label) = label(&one.path) else { continue };
            let before = self.last.get(&one.id).map_or_else(Packets::default, |last| last.packets);
            if self.last.len() >= MOST && !self.last.contains_key(&one.id) {
                continue;
            }
            let sum = self.sums.entry((label, one.role)).or_default();
            sum.packets.add(one.packets.since(before));
            sum.now.connections += 1;
            sum.now.rtt = worst(sum.now.rtt, one.rtt, f64::max);
            sum.now.capacity = worst(sum.now.capacity, one.capacity, f64::min);
            sum.now.buffer = worst(sum.now.buffer, one.buffer, f64::min);
            sum.now.latency = worst(sum.now.latency, one.latency, f64::min);
            self.last.insert(one.id, Last { packets: one.packets, is_seen: true });
        }
        self.last.retain(|_, last| last.is_seen);
    }

    /// Forgets the sums of paths that are not shown any more.
    pub(super) fn keep(&mut self, is_shown: impl Fn(&str) -> bool) {
        self.sums.retain(|(label, _), _| is_shown(label));
    }

    /// The series.
    pub(super) fn tell(&self, outcome: &mut Outcome) {
        for ((path, role), sum) in self.sums.iter().filter(|_| self.is_known) {
            let labels = [path.as_str(), role.as_str()];
            // Only what comes in can fail to be decrypted here.
            let undecrypted = (*role == Role::Publish).then_some(sum.packets.undecrypted);
            let counted: [(&'static Metric, Option<u64>); 5] = [
                (&metric::SRT_PACKETS, Some(sum.packets.all)),
                (&metric::SRT_PACKETS_LOST, Some(sum.packets.lost)),
                (&metric::SRT_PACKETS_RETRANSMITTED, Some(sum.packets.again)),
                (&metric::SRT_PACKETS_DROPPED, Some(sum.packets.dropped)),
                (&metric::SRT_PACKETS_UNDECRYPTED, undecrypted),
            ];
            for (metric, number) in counted {
                if let Some(number) = number {
                    outcome.put(metric, &labels, Scale::ONE, number as f64);
                }
            }
            let connections = Value::Known(sum.now.connections as i64);
            outcome.put_value(&metric::SRT_CONNECTIONS, &labels, Scale::ONE, connections);
            let measured: [(&'static Metric, Scale, Option<f64>); 4] = [
                (&metric::SRT_RTT, TENTHS, sum.now.rtt),
                (&metric::SRT_LINK_CAPACITY, KILO, sum.now.capacity),
                (&metric::SRT_BUFFER, MILLI, sum.now.buffer),
                (&metric::SRT_LATENCY, MILLI, sum.now.latency),
            ];
            for (metric, scale, value) in measured {
                if let Some(value) = value {
                    outcome.put(metric, &labels, scale, value);
                }
            }
        }
    }
}

fn worst(one: Option<f64>, other: Option<f64>, pick: impl Fn(f64, f64) -> f64) -> Option<f64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(pick(one, other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(id: &str, all: u64, lost: u64, rtt: f64) -> Srt {
        Srt {
            id: id.to_owned(),
            path: "key".to_owned(),
            role: Role::Read,
            packets: Packets { all, lost, ..Packets::default() },
            rtt: Some(rtt),
            capacity: Some(rtt * 1e9),
            buffer: None,
            latency: Some(0.12),
        }
    }

    fn told(connections: &Connections, metric: &'static Metric) -> Option<f64> {
        let mut outcome = Outcome::up();
        connections.tell(&mut outcome);
        let sample = outcome.samples.iter().find(|sample| std::ptr::eq(sample.metric, metric))?;
        assert_eq!(sample.labels, ["main", "read"]);
        sample.value.known().map(|number| sample.scale.value(number))
    }

    #[test]
    fn sums_only_rise_whoever_comes_and_goes() {
        let mut connections = Connections::default();
        let name = |path: &str| (path == "key").then(|| "main".to_owned());
        let mut seen = Vec::new();
        for run in [
            vec![reader("a", 100, 1, 0.01), reader("b", 50, 5, 0.04)],
            vec![reader("b", 60, 5, 0.04)],
            vec![reader("a", 10, 0, 0.01), reader("b", 70, 6, 0.02)],
            vec![],
            // One that has been there before, and counts from 0 again.
            vec![reader("b", 5, 2, 0.02)],
            vec![reader("b", 4, 1, 0.02)],
        ] {
            connections.take(Some(run), name);
            seen.push((
                told(&connections, &metric::SRT_PACKETS),
                told(&connections, &metric::SRT_PACKETS_LOST),
            ));
        }
        let seen: Vec<(f64, f64)> =
            seen.into_iter().map(|(all, lost)| (all.unwrap(), lost.unwrap())).collect();
        assert_eq!(
            seen,
            [(150.0, 6.0), (160.0, 6.0), (180.0, 7.0), (180.0, 7.0), (185.0, 9.0), (189.0, 10.0)]
        );
    }

    #[test]
    fn the_worst_of_those_that_are_there_is_told() {
        let mut connections = Connections::default();
        let name = |_: &str| Some("main".to_owned());
        connections.take(Some(vec![reader("a", 1, 0, 0.01), reader("b", 1, 0, 0.04)]), name);
        assert_eq!(told(&connections, &metric::SRT_RTT), Some(0.04));
        assert_eq!(told(&connections, &metric::SRT_LINK_CAPACITY), Some(1e7));
        assert_eq!(told(&connections, &metric::SRT_CONNECTIONS), Some(2.0));
        assert_eq!(told(&connections, &metric::SRT_BUFFER), None);
        connections.take(Some(Vec::new()), name);
        assert_eq!(
            (told(&connections, &metric::SRT_RTT), told(&connections, &metric::SRT_CONNECTIONS)),
            (None, Some(0.0))
        );
        connections.keep(|_| false);
        assert_eq!(told(&connections, &metric::SRT_CONNECTIONS), None);
    }

    #[test]
    fn a_run_that_was_told_nothing_tells_nothing_and_breaks_no_sum() {
        let mut connections = Connections::default();
        let name = |_: &str| Some("main".to_owned());
        connections.take(Some(vec![reader("a", 100, 0, 0.01)]), name);
        connections.take(None, name);
        assert_eq!(told(&connections, &metric::SRT_CONNECTIONS), None);
        connections.take(Some(vec![reader("a", 130, 0, 0.01)]), name);
        assert_eq!(told(&connections, &metric::SRT_PACKETS), Some(130.0));
    }

    #[test]
    fn a_crowd_is_bounded() {
        let mut connections = Connections::default();
        let crowd = (0..MOST + 50).map(|at| reader(&at.to_string(), 1, 0, 0.01)).collect();
        connections.take(Some(crowd), |_| Some("main".to_owned()));
        assert_eq!(told(&connections, &metric::SRT_CONNECTIONS), Some(MOST as f64));
    }
}
