//! What is known of a server's paths from one run to the next: who is online, how much has flowed, and what to call them. Pure.
//!
//! A path's own counters begin anew with each publisher, so that what is told here are sums of our own over publishers; a rate
//! is taken over at least [`WINDOW`] of one publisher's time. A path that leaves the list is offline by the server's word, if the list was
//! whole; nobody knows if it was not. One that nobody named in the file is forgotten an hour later.
//!
//! Invariant: no name of a path leaves this file but as its alias or masked; no two paths have one label.
//!
//! ```text
//! { "abcd-efgh-1234": online, 48 MB }   →  rackside_stream_up{path="main"} 1 · rackside_stream_bitrate_bps{path="main"} 5.1e6
//! ```

use super::aliases::Aliases;
use super::read::{Path, Srt};
use super::srt::Connections;
use crate::probe::streak::{Seen, Streak};
use crate::probe::{Outcome, mask};
use rackside_proto::{Scale, Value, limits, metric};
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// So many paths have series; a server with more is watched by the names in the file.
pub(super) const MOST: usize = 64;
/// What rates are taken over, so that one late answer is no dip.
const WINDOW: Duration = Duration::from_secs(10);
/// So long a path that nobody named is said to be offline.
const FORGET: Duration = Duration::from_hours(1);
/// Kilobits a second.
const KILO: Scale = Scale::times(1000);

/// A list of paths, as one run got it.
#[derive(Debug, Default)]
pub(super) struct Listed {
    /// Each name once.
    pub(super) paths: Vec<Path>,
    /// Whether the server has no more than these.
    pub(super) is_whole: bool,
}

/// A path that has series.
#[derive(Debug)]
struct Entry {
    label: String,
    streak: Streak,
    /// When it was online last; the first run counts as that.
    online_at: Instant,
    since: Option<String>,
    readers: Option<u64>,
    tracks: String,
    inbound: Flow,
    outbound: Flow,
    in_error: Flow,
}

/// Something that is counted from 0 for each publisher.
#[derive(Debug, Default)]
struct Flow {
    sum: Option<u64>,
    /// What was counted last. It outlives the looks that failed: what the sum has already is not to be added again.
    last: Option<u64>,
    /// Looks in a row.
    window: VecDeque<(Instant, u64)>,
}

impl Flow {
    /// One more look; `is_same` as long as it is the publisher of the look before.
    fn take(&mut self, counted: Option<u64>, is_same: bool, now: Instant) {
        let before = self.last.filter(|_| is_same);
        self.last = counted.or(before);
        let Some(counted) = counted else { return self.rest() };
        let goes_on = before.is_some_and(|before| counted >= before);
        let more = if goes_on { counted - before.unwrap_or_default() } else { counted };
        self.sum = Some(self.sum.unwrap_or_default().saturating_add(more));
        if !goes_on {
            self.window.clear();
        }
        self.window.push_back((now, counted));
        // The newest one that is old enough stays: the window is never shorter than it is meant to be, if it can be.
        while self.window.get(1).is_some_and(|(at, _)| now.saturating_duration_since(*at) >= WINDOW) {
            self.window.pop_front();
        }
    }

    /// A look that told nothing.
    fn rest(&mut self) {
        self.window.clear();
    }

    /// The publisher has left.
    fn end(&mut self) {
        self.last = None;
        self.rest();
    }

    /// A second's worth.
    fn rate(&self) -> Option<f64> {
        let ((from, first), (to, last)) = (self.window.front()?, self.window.back()?);
        let seconds = to.saturating_duration_since(*from).as_secs_f64();
        (seconds > 0.0).then(|| last.saturating_sub(*first) as f64 / seconds)
    }
}

/// A server's paths, run by run.
#[derive(Debug, Default)]
pub(super) struct Book {
    paths: BTreeMap<String, Entry>,
    srt: Connections,
    online: usize,
    offline: usize,
    unknown: usize,
    /// How many were left out.
    pub(super) left_out: usize,
}

impl Book {
    /// Takes what a run was told; without a list, nothing is known of any path.
    pub(super) fn take(&mut self, listed: Option<Listed>, aliases: &Aliases, now: Instant) {
        for name in aliases.names() {
            if !self.paths.contains_key(name) {
                self.open(name, aliases, now);
            }
        }
        let Some(Listed { paths, is_whole }) = listed else {
            return self.paths.values_mut().for_each(Entry::lose);
        };
        let count = |wanted| paths.iter().filter(|path| path.is_online == wanted).count();
        (self.online, self.offline, self.unknown) = (count(Some(true)), count(Some(false)), count(None));
        let mut listed: BTreeMap<String, Path> =
            paths.into_iter().map(|path| (path.name.clone(), path)).collect();
        for (name, entry) in &mut self.paths {
            match listed.remove(name) {
                Some(path) => entry.take(path, now),
                None => entry.miss(is_whole),
            }
        }
        let paths = &mut self.paths;
        paths.retain(|name, entry| {
            aliases.of(name).is_some() || now.saturating_duration_since(entry.online_at) < FORGET
        });
        self.left_out = 0;
        // A path that was never seen online may be a line of the server's configuration that nobody uses.
        for path in listed.into_values().filter(|path| path.is_online == Some(true)) {
            if self.paths.len() < MOST {
                self.open(&path.name, aliases, now).take(path, now);
            } else {
                self.left_out += 1;
            }
        }
        let shown: Vec<&str> = self.paths.values().map(|entry| entry.label.as_str()).collect();
        self.srt.keep(|label| shown.contains(&label));
    }

    fn open(&mut self, name: &str, aliases: &Aliases, now: Instant) -> &mut Entry {
        let label = aliases.of(name).map_or_else(|| mask::name(name), str::to_owned);
        let mut label = limits::fit(&label).to_owned();
        while self.paths.values().any(|entry| entry.label == label) {
            let other = format!("+{label}");
            limits::fit(&other).clone_into(&mut label);
        }
        self.paths.entry(name.to_owned()).or_insert_with(|| Entry {
            label,
            streak: Streak::default(),
            online_at: now,
            since: None,
            readers: None,
            tracks: String::new(),
            inbound: Flow::default(),
            outbound: Flow::default(),
            in_error: Flow::default(),
        })
    }

    /// Takes a run's SRT connections; without a list, nothing is known of them.
    pub(super) fn take_srt(&mut self, connections: Option<Vec<Srt>>) {
        let Self { srt, paths, .. } = self;
        srt.take(connections, |name| paths.get(name).map(|entry| entry.label.clone()));
    }

    /// Those among `expected` (labels) of which `up` is told: offline by the server's word, or unknown.
    pub(super) fn among<'a>(&self, expected: &'a [String], up: Value) -> Vec<&'a str> {
        let is_so = |label: &&str| {
            self.paths.values().any(|entry| entry.label == **label && entry.streak.value() == up)
        };
        expected.iter().map(String::as_str).filter(is_so).collect()
    }

    /// The series, and what the named paths carry. `is_known` is false when the server could not be asked.
    pub(super) fn tell(&self, outcome: &mut Outcome, aliases: &Aliases, is_known: bool) {
        if is_known {
            for (state, number) in
                [("online", self.online), ("offline", self.offline), ("unknown", self.unknown)]
            {
                outcome.put(&metric::MEDIAMTX_PATHS, &[state], Scale::ONE, number as f64);
            }
        }
        for entry in self.paths.values() {
            outcome.put_value(&metric::STREAM_UP, &[&entry.label], Scale::ONE, entry.streak.value());
        }
        if !is_known {
            return;
        }
        self.paths.values().for_each(|entry| entry.tell(outcome));
        self.srt.tell(outcome);
        let named =
            self.paths.iter().filter(|(name, entry)| aliases.of(name).is_some() && !entry.tracks.is_empty());
        let tracks: Vec<String> =
            named.map(|(_, entry)| format!("{}: {}", entry.label, entry.tracks)).collect();
        if !tracks.is_empty() {
            outcome.say("tracks", tracks.join("; "));
        }
    }
}

impl Entry {
    /// It is listed.
    fn take(&mut self, path: Path, now: Instant) {
        match path.is_online {
            Some(true) => {
                self.streak.observe(Seen::Well);
                self.online_at = now;
                let is_same = self.since == path.since;
                self.inbound.take(path.inbound, is_same, now);
                self.outbound.take(path.outbound, is_same, now);
                self.in_error.take(path.in_error, is_same, now);
                (self.since, self.tracks) = (path.since, path.tracks);
            }
            Some(false) => self.leave(),
            None => self.lose(),
        }
        self.readers = path.readers;
    }

    /// It is not listed; if that is all that there is, it is offline.
    fn miss(&mut self, is_whole: bool) {
        if is_whole {
            self.leave();
        } else {
            self.lose();
        }
        self.readers = None;
    }

    fn leave(&mut self) {
        self.streak.observe(Seen::Gone);
        self.since = None;
        self.tracks.clear();
        self.flows().into_iter().for_each(Flow::end);
    }

    /// Nobody can tell.
    fn lose(&mut self) {
        self.streak.observe(Seen::Nothing);
        self.readers = None;
        self.flows().into_iter().for_each(Flow::rest);
    }

    const fn flows(&mut self) -> [&mut Flow; 3] {
        [&mut self.inbound, &mut self.outbound, &mut self.in_error]
    }

    fn tell(&self, outcome: &mut Outcome) {
        let labels = [self.label.as_str()];
        let sums = [
            (&metric::STREAM_RECEIVE, &self.inbound),
            (&metric::STREAM_TRANSMIT, &self.outbound),
            (&metric::STREAM_FRAMES_IN_ERROR, &self.in_error),
        ];
        for (metric, flow) in sums {
            if let Some(sum) = flow.sum {
                outcome.put(metric, &labels, Scale::ONE, sum as f64);
            }
        }
        if let Some(readers) = self.readers {
            outcome.put(&metric::STREAM_LISTENERS, &labels, Scale::ONE, readers as f64);
        }
        for (metric, flow) in
            [(&metric::STREAM_BITRATE, &self.inbound), (&metric::STREAM_TRANSMIT_BITRATE, &self.outbound)]
        {
            if let Some(rate) = flow.rate() {
                outcome.put(metric, &labels, KILO, rate * 8.0);
            }
        }
    }
}

#[cfg(test)]
mod tests;
