//! What is logged goes to standard error, one line each: with journald's priority in front when a journal reads it
//! (`<4>the link is lost`), with the level in words when a person does.

use log::{Level, LevelFilter, Log, Metadata, Record};
use std::io::{IsTerminal, Write};

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
            let line = line(self.for_people, record.level(), &record.args().to_string());
            // One write, so that lines of several threads do not mix. Nowhere to complain if it fails.
            let _ = std::io::stderr().write_all(line.as_bytes());
        }
    }

    fn flush(&self) {}
}

fn line(for_people: bool, level: Level, text: &str) -> String {
    // A line break from outside (a broker's message) must not make a second entry.
    let text = text.replace(['\n', '\r'], " ");
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
        assert_eq!(line(false, Level::Info, "a\n<0>b"), "<6>a <0>b\n");
    }
}
