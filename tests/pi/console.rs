//! The serial line to the first program of the emulated Pi: orders down, answers up, each with its tag. `init/src/main.rs` says how they look.

use rackside_tests::clock::eventually;
use std::fmt::Display;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{ChildStdin, ChildStdout};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// A boot takes 2 s on an idle machine, and an order a few milliseconds.
const PATIENCE: Duration = Duration::from_mins(1);

/// The line.
#[derive(Debug)]
pub(crate) struct Console {
    down: ChildStdin,
    up: Arc<Mutex<Vec<String>>>,
    orders: u32,
}

/// A program that was started there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Started {
    tag: String,
    /// Its process id in the emulated Pi.
    pub(crate) id: i32,
}

impl Console {
    /// Listens from now on.
    pub(crate) fn new(down: ChildStdin, up: ChildStdout) -> Self {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let its = Arc::clone(&heard);
        thread::spawn(move || {
            let mut up = BufReader::new(up);
            let mut line = Vec::new();
            while up.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                // A UART that is opened may put a byte on the line that nobody sent.
                let text = String::from_utf8_lossy(&line);
                let text =
                    text.trim_start_matches(|letter: char| !letter.is_ascii_graphic()).trim_end().to_owned();
                its.lock().unwrap_or_else(PoisonError::into_inner).push(text);
                line.clear();
            }
        });
        Self { down, up: heard, orders: 0 }
    }

    fn heard(&self) -> MutexGuard<'_, Vec<String>> {
        self.up.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The end of all that was heard, for a failure's message.
    pub(crate) fn last_words(&self) -> String {
        let heard = self.heard();
        let tail = heard.get(heard.len().saturating_sub(60)..).unwrap_or_default().join("\n");
        format!("--- last words of the emulated Pi:\n{tail}\n---")
    }

    /// Waits until the first program takes orders.
    pub(crate) fn booted(&self) {
        assert_eq!(self.wait("boot").as_deref(), Some("well"), "it does not boot\n{}", self.last_words());
    }

    /// Has something done; what was told of it. Panics when it was not done.
    pub(crate) fn order(&mut self, words: impl Display) -> Vec<String> {
        let tag = self.send(&words);
        let outcome = self.wait(&tag);
        assert_eq!(outcome.as_deref(), Some("well"), "{words}\n{}", self.last_words());
        self.said(&tag)
    }

    /// Starts a program.
    pub(crate) fn start(&mut self, words: impl Display) -> Started {
        let tag = self.send(format_args!("start {words}"));
        let id = eventually(PATIENCE, || {
            self.said(&tag).iter().find_map(|line| line.strip_prefix("started ")?.parse().ok())
        });
        let id = id.unwrap_or_else(|| panic!("{words} does not start\n{}", self.last_words()));
        Started { tag, id }
    }

    /// How a program that was started ended: `exit 0`, `signal 9`.
    pub(crate) fn ended(&self, started: &Started) -> String {
        self.wait(&started.tag).unwrap_or_else(|| panic!("{started:?} goes on\n{}", self.last_words()))
    }

    /// What a program that was started has said so far.
    pub(crate) fn log(&self, started: &Started) -> Vec<String> {
        self.said(&started.tag)
    }

    fn send(&mut self, words: impl Display) -> String {
        self.orders += 1;
        let tag = self.orders.to_string();
        // In one write; a line that is gone is noticed by whoever waits for the answer.
        let _ = self.down.write_all(format!("{tag} {words}\n").as_bytes());
        tag
    }

    fn said(&self, tag: &str) -> Vec<String> {
        let begin = format!("@{tag} ");
        self.heard().iter().filter_map(|line| line.strip_prefix(&begin)).map(str::to_owned).collect()
    }

    fn wait(&self, tag: &str) -> Option<String> {
        let begin = format!("@{tag}. ");
        eventually(PATIENCE, || {
            self.heard().iter().find_map(|line| line.strip_prefix(&begin)).map(str::to_owned)
        })
    }
}
