//! How the history fares: what was written, whether writing works, and if not, why and what to do.
//!
//! `history cannot be written: /var/lib/rackside/history.db: the disk is full; make room and the hub goes on by itself`

use crate::clock::Now;
use crate::ingest::STALLED;
use crate::text::{Kind, Sink};
use rackside_history::{Stats, StoreError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Shared by the thread that writes and everybody who wants to know.
#[derive(Debug, Clone)]
pub struct Status {
    state: Arc<Mutex<State>>,
    directory: Arc<Path>,
}

/// The numbers.
#[derive(Debug, Clone, Default)]
struct State {
    /// When the thread that writes last began another turn.
    turned: Option<Instant>,
    /// Since when a batch is being written, while one is.
    writing: Option<Instant>,
    /// Why the last batch could not be written, and since when none could.
    failure: Option<(String, Instant)>,
    /// Why what was written cannot be put in order.
    upkeep: Option<String>,
    commits: u64,
    took: Duration,
    records: u64,
    failures: u64,
    stats: Stats,
}

impl Status {
    /// Nothing was written yet.
    pub fn new(directory: PathBuf) -> Self {
        Self { state: Arc::default(), directory: directory.into() }
    }

    /// Where everything that lasts is.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread that writes begins another turn: whatever it did before has come to an end, well or not.
    pub(crate) fn turn(&self, now: Now) {
        self.state().turned = Some(now.instant);
    }

    /// When it last did; `None` before the first time.
    pub(crate) fn turned(&self) -> Option<Instant> {
        self.state().turned
    }

    pub(crate) fn writing(&self, now: Now) {
        self.state().writing = Some(now.instant);
    }

    /// A batch of so many records is written.
    pub(super) fn committed(&self, records: usize, now: Now) {
        let mut state = self.state();
        let took = state.writing.take().map_or(Duration::ZERO, |since| now.since(since));
        state.commits += 1;
        state.took += took;
        state.records += records as u64;
        if let Some((_, since)) = state.failure.take() {
            log::info!("history is written again, after {} s", now.since(since).as_secs());
        }
    }

    /// A batch could not be written.
    pub(crate) fn failed(&self, error: &StoreError, now: Now) {
        let mut state = self.state();
        state.writing = None;
        state.failures += 1;
        let why = error.to_string();
        let since = state.failure.as_ref().map_or(now.instant, |(_, since)| *since);
        if state.failure.as_ref().is_none_or(|(before, _)| *before != why) {
            log::error!("history cannot be written: {why}; agents keep their records until it can");
        }
        state.failure = Some((why, since));
    }

    /// What was written was put in order, or could not be.
    pub(super) fn upkeep(&self, done: Result<(), &StoreError>) {
        let mut state = self.state();
        let why = done.err().map(ToString::to_string);
        match (&state.upkeep, &why) {
            (None, Some(why)) => log::error!("history is written, but cannot be put in order: {why}"),
            (Some(_), None) => log::info!("history is put in order again"),
            _ => {}
        }
        state.failures += u64::from(why.is_some());
        state.upkeep = why;
    }

    pub(super) fn stats(&self, counted: Stats) {
        let mut state = self.state();
        let before = std::mem::replace(&mut state.stats, counted).undated;
        if let Some(said) = undated(before, state.stats.undated) {
            log::warn!("{said}");
        }
    }

    /// Why history cannot be written, and what to do; nothing while all is well. The same text for as long as it is the
    /// same trouble.
    pub fn trouble(&self, now: Now) -> Option<String> {
        let state = self.state();
        if let Some((why, _)) = &state.failure {
            return Some(format!(
                "history cannot be written: {why}. Agents keep their records until it can."
            ));
        }
        if state.writing.is_some_and(|since| now.since(since) >= STALLED) {
            let place = self.directory.display();
            return Some(format!(
                "history cannot be written: the disk under {place} has not answered for {} s; look at it and at the \
                 kernel's log. Agents keep their records until it does.",
                STALLED.as_secs()
            ));
        }
        let why = state.upkeep.as_ref()?;
        Some(format!("history is written, but cannot be put in order: {why}"))
    }

    /// What `/health/detailed` says.
    pub fn details(&self, now: Now, waiting: (usize, usize)) -> serde_json::Value {
        let trouble = self.trouble(now);
        let state = self.state();
        serde_json::json!({
            "directory": self.directory.to_string_lossy(),
            "trouble": trouble,
            "bytes": state.stats.bytes,
            "free_bytes": super::free_bytes(&self.directory),
            "records_written": state.records,
            "records_waiting": waiting.0,
            "commits": state.commits,
            "failures": state.failures,
            "records_undated": state.stats.undated,
            "clock_confirmed": state.stats.clock_confirmed,
        })
    }

    /// The history's part of `/metrics`.
    pub fn write(&self, text: &mut dyn Sink, now: Now, waiting: (usize, usize)) {
        let up = self.trouble(now).is_none();
        let free = super::free_bytes(&self.directory);
        let State { commits, took, records, failures, stats, .. } = self.state().clone();
        let help = "1 while history can be written, else 0";
        text.gauge("rackside_hub_history_up", "", help, f64::from(u8::from(up)));
        text.counter("rackside_hub_history_commits_total", "Batches written and synced to the disk", commits);
        let name = "rackside_hub_history_commit_seconds_total";
        text.family(name, Kind::Counter, "seconds", "Time that writing and syncing batches took");
        text.sample(name, &[], took.as_secs_f64());
        text.counter("rackside_hub_history_records_total", "Records written and synced to the disk", records);
        let help = "Attempts to write history, or to put it in order, that failed";
        text.counter("rackside_hub_history_failures_total", help, failures);
        let help = "Records that wait in memory to be written";
        text.gauge("rackside_hub_history_waiting_records", "records", help, waiting.0 as f64);
        let help = "Size of the history's files";
        text.gauge("rackside_hub_history_bytes", "bytes", help, stats.bytes as f64);
        let help = "Records written that are not in columns yet";
        text.gauge("rackside_hub_history_inbox_records", "records", help, stats.inbox as f64);
        let help = "Records written that nobody can date yet";
        text.gauge("rackside_hub_history_undated_records", "records", help, stats.undated as f64);
        let help =
            "Records that cannot be understood, since the history began; the latest are kept as they came";
        text.counter("rackside_hub_history_aside_total", help, stats.aside);
        let help = "Records that nobody could date before they were too old to keep, since the history began";
        text.counter("rackside_hub_history_expired_total", help, stats.expired);
        let help =
            "Samples beyond what the history keeps of one appliance in an hour, since the history began";
        text.counter("rackside_hub_history_left_out_total", help, stats.left_out);
        if let Some(free) = free {
            let help = "Space left for the history on its file system";
            text.gauge("rackside_hub_history_free_bytes", "bytes", help, free as f64);
        }
    }
}

/// What there is to say when nobody can date records, and could before.
fn undated(before: u64, now: u64) -> Option<String> {
    (before == 0 && now > 0).then(|| {
        format!(
            "{now} records have no date: their machine was restarted before anybody told it the time, and this hub did not hear \
             it meanwhile. They are kept as long as every sample is, and are in no graph unless their date comes to light"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    fn full() -> StoreError {
        StoreError::Full { path: PathBuf::from("/data/history.db") }
    }

    #[test]
    fn trouble_says_what_and_what_to_do_and_ends_by_itself() {
        let (status, now) = (Status::new("/data".into()), clock::now());
        assert_eq!(status.trouble(now), None);
        status.writing(now);
        status.failed(&full(), now);
        let said = status.trouble(now).expect("trouble");
        assert_eq!(
            said,
            "history cannot be written: /data/history.db: the disk is full; make room and the hub goes on by itself. \
             Agents keep their records until it can."
        );
        status.failed(&full(), now.plus(Duration::from_secs(2)));
        assert_eq!(status.trouble(now).as_ref(), Some(&said), "the same trouble is the same text");
        status.committed(3, now.plus(Duration::from_secs(4)));
        assert_eq!(status.trouble(now), None);
    }

    #[test]
    fn records_without_a_date_are_said_once_and_shown() {
        let status = Status::new("/data".into());
        status.stats(Stats { undated: 3, ..Stats::default() });
        assert_eq!(status.details(clock::now(), (0, 0))["records_undated"], 3);
        assert!(undated(0, 3).is_some_and(|said| said.starts_with("3 records have no date: ")));
        assert_eq!((undated(3, 4), undated(4, 0), undated(0, 0)), (None, None, None));
    }

    #[test]
    fn a_disk_that_does_not_answer_is_trouble_too() {
        let (status, now) = (Status::new("/data".into()), clock::now());
        status.writing(now);
        assert_eq!(status.trouble(now.plus(Duration::from_millis(4999))), None);
        let said = status.trouble(now.plus(STALLED)).expect("trouble");
        assert!(said.contains("the disk under /data has not answered for 5 s"), "{said}");
    }

    #[test]
    fn what_cannot_be_put_in_order_is_told_apart() {
        let (status, now) = (Status::new("/data".into()), clock::now());
        status.upkeep(Err(&full()));
        let said = status.trouble(now).expect("trouble");
        assert!(said.starts_with("history is written, but cannot be put in order: "), "{said}");
        status.upkeep(Ok(()));
        assert_eq!(status.trouble(now), None);
    }
}
