//! What can be asked for, and how it is done.
//!
//! Words are separated by spaces, and no word contains one, but for the last of `write`. `node /dev/gpiochip0 254 1` makes a character device; `insert` loads a
//! module that depends on none that is not loaded.

use crate::{end, network, say};
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use rustix::mount::MountFlags;
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::CString;
use std::fs;
use std::io::{self, BufRead as _, BufReader, Read};
use std::net::Ipv4Addr;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitStatus, Stdio};
use std::str::FromStr;
use std::thread;
use std::time::Duration;

/// One order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Start a program, and tell what it says and how it ends.
    Start { program: String, arguments: Vec<String> },
    /// Send a signal.
    Kill { id: i32, signal: i32 },
    /// Tell a file's lines.
    Read { path: String },
    /// Write a line into a file.
    Write { path: String, text: String },
    /// Write one line and the other into a file, by turns, so many in all and each so long after the one before.
    Alternate { path: String, count: u32, apart: Duration, texts: [String; 2] },
    /// Make a directory.
    Directory { path: String },
    /// Mount one of the kernel's file systems.
    Mount { system: String, directory: String },
    /// Make a character device, in the place of one that is there.
    Node { path: String, major: u32, minor: u32 },
    /// Load a kernel module.
    Insert { path: String, parameters: String },
    /// Give the first network interface that comes an address and a way out.
    Network { address: Ipv4Addr, prefix: u8, gateway: Ipv4Addr },
    /// Switch the machine off.
    Off,
}

impl FromStr for Order {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let mut words = line.split_ascii_whitespace();
        let mut word =
            |what: &str| words.next().map(str::to_owned).ok_or_else(|| format!("{what} is missing"));
        let order = match word("the order")?.as_str() {
            "start" => {
                Self::Start { program: word("the program")?, arguments: words.map(str::to_owned).collect() }
            }
            "kill" => {
                Self::Kill { id: number(&word("the process")?)?, signal: number(&word("the signal")?)? }
            }
            "read" => Self::Read { path: word("the file")? },
            "write" => {
                let path = word("the file")?;
                let text = line.split_once(&path).map_or("", |(_, text)| text.trim_start());
                Self::Write { path, text: text.to_owned() }
            }
            "alternate" => Self::Alternate {
                path: word("the file")?,
                count: number(&word("how often")?)?,
                apart: Duration::from_micros(number(&word("the microseconds")?)?),
                texts: [word("one text")?, word("the other text")?],
            },
            "mount" => Self::Mount { system: word("the file system")?, directory: word("the directory")? },
            "directory" => Self::Directory { path: word("the directory")? },
            "node" => Self::Node {
                path: word("the device")?,
                major: number(&word("its major number")?)?,
                minor: number(&word("its minor number")?)?,
            },
            "insert" => {
                Self::Insert { path: word("the module")?, parameters: words.collect::<Vec<_>>().join(" ") }
            }
            "network" => Self::Network {
                address: number(&word("the address")?)?,
                prefix: number(&word("the length of its prefix")?)?,
                gateway: number(&word("the gateway")?)?,
            },
            "off" => Self::Off,
            other => return Err(format!("there is no order {other:?}")),
        };
        Ok(order)
    }
}

fn number<T: FromStr>(word: &str) -> Result<T, String> {
    word.parse().map_err(|_| format!("{word:?} is not what belongs there"))
}

impl Order {
    /// Does what is done in a moment. What there is to tell is told under `tag`.
    pub(crate) fn carry_out(self, tag: &str) -> io::Result<()> {
        match self {
            Self::Kill { id, signal } => {
                let named = Pid::from_raw(id).zip(Signal::from_named_raw(signal));
                let (id, signal) = named.ok_or(io::ErrorKind::InvalidInput)?;
                kill_process(id, signal)?;
            }
            Self::Read { path } => fs::read_to_string(path)?.lines().for_each(|line| say(tag, line)),
            Self::Write { path, text } => fs::write(path, text + "\n")?,
            Self::Alternate { path, count, apart, texts } => {
                for text in texts.iter().cycle().take(count as usize) {
                    fs::write(&path, text)?;
                    thread::sleep(apart);
                }
            }
            Self::Directory { path } => fs::create_dir_all(path)?,
            Self::Mount { system, directory } => {
                rustix::mount::mount(&system, directory, &system, MountFlags::empty(), None)?;
            }
            Self::Node { path, major, minor } => {
                let there = fs::remove_file(&path);
                there.or_else(
                    |error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) },
                )?;
                mknodat(
                    CWD,
                    &path,
                    FileType::CharacterDevice,
                    Mode::RUSR | Mode::WUSR,
                    makedev(major, minor),
                )?;
            }
            Self::Insert { path, parameters } => {
                let parameters = CString::new(parameters)?;
                rustix::system::finit_module(fs::File::open(path)?, &parameters, 0)?;
            }
            Self::Network { address, prefix, gateway } => {
                say(tag, network::configure(address, prefix, gateway)?);
            }
            Self::Start { .. } | Self::Off => unreachable!("these do not end in a moment"),
        }
        Ok(())
    }
}

/// Starts a program. It talks, and ends, in its own time.
pub(crate) fn start(tag: &str, program: &str, arguments: &[String]) {
    let mut command = Command::new(program);
    command.args(arguments).env_clear();
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => return end(tag, format_args!("failed: {error}")),
    };
    say(tag, format_args!("started {}", child.id()));
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let tag = tag.to_owned();
    thread::spawn(move || {
        thread::scope(|scope| {
            scope.spawn(|| relay(&tag, stdout));
            relay(&tag, stderr);
        });
        match child.wait() {
            Ok(status) => end(&tag, outcome(status)),
            Err(error) => end(&tag, format_args!("failed: {error}")),
        }
    });
}

/// Passes on what a program says, until it closes that.
fn relay(tag: &str, output: Option<impl Read>) {
    let Some(output) = output else { return };
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    while output.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        say(tag, String::from_utf8_lossy(&line).trim_end());
        line.clear();
    }
}

fn outcome(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit {code}"),
        (_, signal) => format!("signal {}", signal.unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_a_word_and_what_it_needs() {
        let program = "/bin/rackside-agent".to_owned();
        for (line, order) in [
            ("start /bin/rackside-agent dark", Order::Start { program, arguments: vec!["dark".into()] }),
            ("kill 61 9", Order::Kill { id: 61, signal: 9 }),
            ("write /a b  c", Order::Write { path: "/a".into(), text: "b  c".into() }),
            (
                "node /dev/gpiochip0 254 1",
                Order::Node { path: "/dev/gpiochip0".into(), major: 254, minor: 1 },
            ),
            ("insert /a.ko b=1 c=2", Order::Insert { path: "/a.ko".into(), parameters: "b=1 c=2".into() }),
            (
                "alternate /a 3 500 on off",
                Order::Alternate {
                    path: "/a".into(),
                    count: 3,
                    apart: Duration::from_micros(500),
                    texts: ["on".into(), "off".into()],
                },
            ),
            ("mount configfs /b", Order::Mount { system: "configfs".into(), directory: "/b".into() }),
            ("off", Order::Off),
        ] {
            assert_eq!(line.parse(), Ok(order), "{line}");
        }
    }

    #[test]
    fn an_order_that_lacks_something_says_what() {
        for (line, said) in [
            ("", "the order is missing"),
            ("fly", "there is no order \"fly\""),
            ("kill 61", "the signal is missing"),
            ("kill 61 hard", "\"hard\" is not what belongs there"),
        ] {
            assert_eq!(line.parse::<Order>(), Err(said.to_owned()), "{line}");
        }
    }

    #[test]
    fn files_are_written_and_a_process_that_is_not_there_is_an_error() {
        let path = std::env::temp_dir().join(format!("rackside-pi-init-{}", std::process::id()));
        let path = path.to_str().unwrap().to_owned();
        Order::Write { path: path.clone(), text: "a".into() }.carry_out("1").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "a\n");
        let (texts, apart) = (["b".into(), "c".into()], Duration::from_millis(1));
        Order::Alternate { path: path.clone(), count: 3, apart, texts }.carry_out("2").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "b");
        fs::remove_file(path).unwrap();
        assert!(Order::Kill { id: i32::MAX, signal: 9 }.carry_out("1").is_err());
    }
}
