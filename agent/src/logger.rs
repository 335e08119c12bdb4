//! What is logged goes to standard error, one line each: with journald's priority in front when a journal reads it
//! (`<4>the link is lost`), with the level in words when a person does.

use crate::clock::Clock;
use log::{Level, LevelFilter, Log, Metadata, Record};
use rackside_proto::LINE;
use std::collections::VecDeque;
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// So many bytes of lines are kept for the hub to ask for: the last hour of a box that has something to say.
const KEPT: usize = 16 * 1024;
/// What a line takes beside its text.
const BESIDE: usize = 40;

/// The last lines, and what they take.
static RECENT: Mutex<Recent> = Mutex::new(Recent { lines: VecDeque::new(), bytes: 0 });

#[derive(Debug)]
struct Recent {
    lines: VecDeque<(Instant, Level, Box<str>)>,
    bytes: usize,
}

impl Recent {
    fn keep(&mut self, at: Instant, level: Level, text: &str) {
        let text = text.get(..text.floor_char_boundary(LINE)).unwrap_or(text);
        self.bytes += text.len() + BESIDE;
        self.lines.push_back((at, level, text.into()));
        while self.bytes > KEPT {
            let Some((.., gone)) = self.lines.pop_front() else { return };
            self.bytes -= gone.len() + BESIDE;
        }
    }
}

/// Tells the last lines, the oldest first: when, how bad, and what.
pub(crate) fn each_recent(mut tell: impl FnMut(Instant, Level, &str)) {
    let recent = RECENT.lock().unwrap_or_else(PoisonError::into_inner);
    recent.lines.iter().for_each(|(at, level, text)| tell(*at, *level, text));
}

struct Logger {
    for_people: bool,
}

static FOR_PEOPLE: Logger = Logger { for_people: true };
static FOR_JOURNAL: Logger = Logger { for_people: false };

/// Starts logging. The first call counts; later ones only change the level.
pub fn start(level: LevelFilter) {
    let logger = if std::io::stderr().is_terminal() { &FOR_PEOPLE } else { &FOR_JOURNAL };
    // Fails when a logger is there already, which is as good.
    let _ = log::set_logger(logger);
    log::set_max_level(level);
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // Other crates speak of their own affairs.
        metadata.target().starts_with("rackside") || metadata.level() <= Level::Warn
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let text = one_line(&record.args().to_string());
            let line = line(self.for_people, record.level(), &text);
            // One write, so that lines of several threads do not mix. Nowhere to complain if it fails.
            let _ = std::io::stderr().write_all(line.as_bytes());
            RECENT.lock().unwrap_or_else(PoisonError::into_inner).keep(Clock::now(), record.level(), &text);
        }
    }

    fn flush(&self) {}
}

/// A line break from outside (a broker's message) must not make a second entry.
fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

fn line(for_people: bool, level: Level, text: &str) -> String {
    if for_people {
        return format!("{:<5} {text}\n", level.as_str().to_lowercase());
    }
    // sd-daemon(3): 3 error, 4 warning, 6 info, 7 debug.
    let priority = match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    };
    format!("<{priority}>{text}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_gets_a_priority_and_a_person_gets_a_word() {
        assert_eq!(line(false, Level::Warn, "the link is lost"), "<4>the link is lost\n");
        assert_eq!(line(true, Level::Warn, "the link is lost"), "warn  the link is lost\n");
    }

    #[test]
    fn an_entry_is_one_line_whatever_it_quotes() {
        assert_eq!(line(false, Level::Info, &one_line("a\n<0>b")), "<6>a <0>b\n");
    }

    #[test]
    fn the_last_lines_are_kept_whole_and_the_oldest_go() {
        let (mut recent, now) = (Recent { lines: VecDeque::new(), bytes: 0 }, Clock::now());
        let long = "ä".repeat(LINE);
        recent.keep(now, Level::Warn, &long);
        assert_eq!(recent.lines[0].2.len(), LINE, "cut between two characters");
        for nth in 0..1000 {
            recent.keep(now, Level::Info, &format!("line {nth:03}"));
        }
        assert_eq!(recent.lines.len(), KEPT / (8 + BESIDE));
        assert!(recent.bytes <= KEPT);
        assert_eq!(recent.lines.back().map(|(.., text)| &**text), Some("line 999"));
    }
}
