//! The log: one line a message on stderr, where systemd or a terminal takes it. Not a metric, and never a secret.
//!
//! `2026-11-20T05:25:19.250Z INFO  arena-north/rack-1: run 0badcafe takes the place of 00c0ffee`

use crate::clock;
use crate::moment::rfc3339;
use log::{Level, LevelFilter, Log, Metadata, Record};
use std::io::Write;

struct Stderr;

impl Log for Stderr {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("rackside") || metadata.level() <= Level::Warn
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let time = rfc3339(clock::now().utc_ms);
            let line = line(&time, record.level(), &record.args().to_string());
            // Nobody can be told that stderr is gone.
            let _ = std::io::stderr().write_all(line.as_bytes());
        }
    }

    fn flush(&self) {}
}

/// Starts logging, once a process; called again it only sets the level.
pub fn start(level: LevelFilter) {
    // The second call in one process (tests) finds the logger in place.
    let _ = log::set_logger(&Stderr);
    log::set_max_level(level);
}

fn line(time: &str, level: Level, text: &str) -> String {
    // A line break from outside must not make a second entry.
    format!("{time} {level:<5} {}\n", text.replace(['\n', '\r'], " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_one_line_whatever_it_quotes() {
        let line = line("2026-11-20T05:25:19.250Z", Level::Info, "a\nb\r");
        assert_eq!(line, "2026-11-20T05:25:19.250Z INFO  a b \n");
    }
}
