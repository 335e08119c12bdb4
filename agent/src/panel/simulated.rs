//! A panel without a board: a directory with one file for each pin, named by its number, that holds `0` or `1`.
//!
//! Whoever writes an input's file presses the contact, whoever reads an output's sees the LED; inotify brings the edges, so nothing polls.
//! As on a real board, outputs keep their level when the agent is killed. A pin is held by a lock on its file, so a second agent on the
//! same directory finds it held.
//!
//! ```text
//! $ echo 0 > /run/rackside/panel/17     # close a contact to ground
//! $ cat /run/rackside/panel/24          # 1: the LED at pin 24 is lit
//! ```

use super::edges::Edges;
use super::pins::{Burst, Input, LAST_PIN, Level, Output, PinError, Pins};
use crate::clock::Clock;
use async_io::Async;
use rustix::fd::OwnedFd;
use rustix::fs::{FlockOperation, flock, inotify};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::task::{Context, Poll, ready};
use std::thread::JoinHandle;

/// Room for the events of one read; names are two bytes, padded to sixteen.
const EVENTS: usize = 1024;

/// The directory, and the files that are ours in it.
#[derive(Debug)]
pub(super) struct Simulated {
    directory: PathBuf,
    watch: Result<Async<OwnedFd>, PinError>,
    edges: Edges,
    /// Our inputs' levels; none of a file that cannot be read as one.
    inputs: BTreeMap<u8, Option<Level>>,
    files: BTreeMap<u8, Result<File, PinError>>,
}

impl Simulated {
    /// Takes the pins in `directory`, and makes what is missing of it: an input begins as nothing connected to it would be.
    pub(super) fn open(directory: &Path, inputs: &[Input], outputs: &[Output]) -> Self {
        let watch = watch(directory)
            .map_err(|why| PinError::Directory { path: directory.to_owned(), why: why.to_string() });
        let mut panel = Self {
            directory: directory.to_owned(),
            watch,
            edges: Edges::of(inputs),
            inputs: BTreeMap::new(),
            files: BTreeMap::new(),
        };
        for input in inputs {
            let file = panel.hold(input.pin);
            if let Ok(file) = &file
                && file.metadata().is_ok_and(|metadata| metadata.len() == 0)
            {
                // What cannot be written cannot be read either, and is told as that.
                let _ = set(file, input.pull.idle());
            }
            panel.files.insert(input.pin, file);
            let level = if let Look::At(level) = look(directory, input.pin) { Some(level) } else { None };
            panel.inputs.insert(input.pin, level);
        }
        for output in outputs {
            let file = panel.hold(output.pin);
            panel.files.insert(output.pin, file);
            panel.write(output.pin, output.level);
        }
        panel
    }

    fn hold(&self, pin: u8) -> Result<File, PinError> {
        if let Err(error) = &self.watch {
            return Err(error.clone());
        }
        if pin > LAST_PIN {
            return Err(PinError::Unknown { pin });
        }
        let path = self.directory.join(pin.to_string());
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let file = file.map_err(|why| PinError::pin(pin, &why))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(PinError::Held { pin }),
            Err(why) => Err(PinError::pin(pin, &why.into())),
        }
    }

    /// Takes what inotify has to say, event by event, so that a fast hand is seen twice.
    fn drain(&mut self) {
        let Ok(watch) = &self.watch else { return };
        let mut buffer = [MaybeUninit::uninit(); EVENTS];
        let mut reader = inotify::Reader::new(watch.get_ref(), &mut buffer);
        // Ends with EAGAIN: there is no more.
        while let Ok(event) = reader.next() {
            let overflown = event.events().contains(inotify::ReadFlags::QUEUE_OVERFLOW);
            let named = event.file_name().and_then(|name| name.to_str().ok()?.parse::<u8>().ok());
            for (&pin, known) in self.inputs.iter_mut().filter(|(pin, _)| overflown || named == Some(**pin)) {
                let level = match look(&self.directory, pin) {
                    Look::At(level) => Some(level),
                    Look::Nonsense => None,
                    Look::Empty => continue,
                };
                if std::mem::replace(known, level) == level {
                    continue;
                }
                match level {
                    Some(level) => self.edges.edge(pin, level, Clock::now()),
                    None => self.edges.call(),
                }
            }
        }
    }
}

/// Watches a directory, made if it is missing.
fn watch(directory: &Path) -> io::Result<Async<OwnedFd>> {
    use inotify::{CreateFlags, WatchFlags};
    fs::create_dir_all(directory)?;
    let watch = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
    let what = WatchFlags::MODIFY | WatchFlags::MOVED_TO | WatchFlags::CREATE | WatchFlags::DELETE;
    inotify::add_watch(&watch, directory, what | WatchFlags::ONLYDIR)?;
    Async::new_nonblocking(watch)
}

/// What an input's file holds.
enum Look {
    At(Level),
    /// Nothing: somebody is about to fill it.
    Empty,
    /// Anything else, or it is gone.
    Nonsense,
}

/// By its name: an editor may have put another file in its place.
fn look(directory: &Path, pin: u8) -> Look {
    match fs::read(directory.join(pin.to_string())).as_deref().map(<[u8]>::trim_ascii) {
        Ok(b"") => Look::Empty,
        Ok(b"0") => Look::At(Level::Low),
        Ok(b"1") => Look::At(Level::High),
        _ => Look::Nonsense,
    }
}

/// One write, so that nobody reads half of it.
fn set(file: &File, level: Level) -> io::Result<()> {
    file.write_all_at(if level == Level::High { b"1\n" } else { b"0\n" }, 0)
}

impl Pins for Simulated {
    fn fault(&self, pin: u8) -> Option<PinError> {
        match self.files.get(&pin)? {
            Err(error) => Some(error.clone()),
            Ok(_) if self.inputs.get(&pin) == Some(&None) => {
                Some(PinError::Pin { pin, why: "its file holds neither 0 nor 1".to_owned() })
            }
            Ok(_) => None,
        }
    }

    fn level(&self, pin: u8) -> Option<Level> {
        self.inputs.get(&pin).copied().flatten().filter(|_| self.fault(pin).is_none())
    }

    fn take(&mut self, pin: u8) -> Option<Burst> {
        self.edges.take(pin)
    }

    fn heed(&mut self, pin: u8) {
        self.edges.heed(pin);
    }

    fn write(&mut self, pin: u8, level: Level) {
        if let Some(entry) = self.files.get_mut(&pin)
            && let Ok(file) = entry
            && let Err(why) = set(file, level)
        {
            *entry = Err(PinError::pin(pin, &why));
            self.edges.call();
        }
    }

    fn poll_moved(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            self.drain();
            if self.edges.poll(cx).is_ready() {
                return Poll::Ready(());
            }
            let Ok(watch) = &self.watch else { return Poll::Pending };
            if ready!(watch.poll_readable(cx)).is_err() {
                return Poll::Pending;
            }
        }
    }

    fn close(self: Box<Self>) -> Option<JoinHandle<()>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::pins::Pull;
    use super::*;
    use futures_lite::future;
    use std::time::Duration;

    fn input(pin: u8, pull: Pull) -> Input {
        Input { pin, pull, apart: Duration::from_millis(5) }
    }

    /// Waits until the panel calls, and gives what came from `pin`.
    fn moved(panel: &mut Simulated, pin: u8) -> Option<Level> {
        future::block_on(future::poll_fn(|cx| panel.poll_moved(cx)));
        let burst = panel.take(pin);
        panel.heed(pin);
        burst.map(|burst| burst.level)
    }

    #[test]
    fn an_input_begins_idle_and_a_written_file_presses_it() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let inputs = [input(17, Pull::Up), input(4, Pull::Down)];
        let mut panel = Simulated::open(&dir.path().join("panel"), &inputs, &[]);
        assert_eq!((panel.level(17), panel.level(4)), (Some(Level::High), Some(Level::Low)));
        fs::write(dir.path().join("panel/17"), "0\n").expect("written");
        assert_eq!(moved(&mut panel, 17), Some(Level::Low));
        fs::write(dir.path().join("new"), "1").expect("written");
        fs::rename(dir.path().join("new"), dir.path().join("panel/17")).expect("renamed");
        assert_eq!(moved(&mut panel, 17), Some(Level::High));
        assert_eq!((panel.level(17), panel.fault(17)), (Some(Level::High), None));
    }

    #[test]
    fn a_file_that_is_gone_or_nonsense_has_no_level() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut panel = Simulated::open(dir.path(), &[input(17, Pull::Up)], &[]);
        fs::remove_file(dir.path().join("17")).expect("it was there");
        assert_eq!((moved(&mut panel, 17), panel.level(17)), (None, None));
        assert_eq!(
            panel.fault(17).map(|fault| fault.to_string()).as_deref(),
            Some("pin 17 cannot be used: its file holds neither 0 nor 1")
        );
        fs::write(dir.path().join("17"), "1").expect("written");
        assert_eq!((moved(&mut panel, 17), panel.level(17)), (Some(Level::High), Some(Level::High)));
    }

    #[test]
    fn an_output_keeps_its_level_when_nobody_is_there_any_more() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let read = || fs::read_to_string(dir.path().join("22")).expect("a file");
        let mut panel =
            Simulated::open(dir.path(), &[], &[Output { pin: 22, level: Level::Low, share: 100 }]);
        assert_eq!(read(), "0\n");
        panel.write(22, Level::High);
        drop(panel);
        assert_eq!(read(), "1\n");
    }

    #[test]
    fn a_pin_that_somebody_else_holds_says_so_and_the_others_work() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let first = Simulated::open(dir.path(), &[input(17, Pull::Up)], &[]);
        let second = Simulated::open(dir.path(), &[input(17, Pull::Up), input(18, Pull::Up)], &[]);
        assert_eq!(second.fault(17), Some(PinError::Held { pin: 17 }));
        assert_eq!((second.level(17), second.level(18)), (None, Some(Level::High)));
        drop((first, second));
        let third = Simulated::open(dir.path(), &[input(17, Pull::Up), input(28, Pull::Up)], &[]);
        assert_eq!((third.fault(17), third.fault(28)), (None, Some(PinError::Unknown { pin: 28 })));
    }

    #[test]
    fn a_directory_that_cannot_be_had_is_every_pins_fault() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        fs::write(dir.path().join("file"), "").expect("written");
        let panel = Simulated::open(&dir.path().join("file"), &[input(17, Pull::Up)], &[]);
        let fault = panel.fault(17).expect("a fault").to_string();
        assert!(fault.starts_with("the simulated panel in ") && fault.contains("File exists"), "{fault}");
    }
}
