//! The first program of the emulated Pi: mounts what the kernel offers, then does what the console says, until it says `off`.
//!
//! It is no shell and knows nothing of Rackside: what is to be shown is decided by the test at the other end of the serial line. An order is a
//! line with a tag of the asker's; whatever comes of it bears the same tag, so that programs can talk while other orders are carried out.
//!
//! ```text
//! 3 start /bin/rackside-agent run     →  @3 started 61
//! 4 read /proc/meminfo                →  @4 MemTotal: 943404 kB …
//!                                        @4. well
//!                                        @3 rackside-agent 0.1.0 starts as …      what it says, line by line
//! 5 kill 61 9                         →  @5. well
//!                                        @3. signal 9
//! ```
//!
//! Invariant: each order ends with exactly one line `@TAG.`, whatever becomes of it, and no order ends this program but `off` and
//! the end of the line: the kernel stands still when its first program is gone.

mod network;
mod order;

use order::Order;
use rustix::mount::MountFlags;
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use std::fmt::Display;
use std::io::{self, BufRead as _, Write as _};

/// What is mounted, and where: the file system, the directory.
const MOUNTS: [(&str, &str); 4] =
    [("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev"), ("tmpfs", "/run")];

/// One line on the console, whole.
fn say(tag: &str, text: impl Display) {
    // One write, so that what two threads say does not mix. A console that is gone is the end of the test.
    let _ = io::stdout().lock().write_all(format!("@{tag} {text}\n").as_bytes());
}

/// The last line of an order.
fn end(tag: &str, outcome: impl Display) {
    let _ = io::stdout().lock().write_all(format!("@{tag}. {outcome}\n").as_bytes());
}

/// Mounts, and makes the console a plain line: no echo, and no word of the kernel's between those of programs.
fn prepare() -> io::Result<()> {
    for (system, directory) in MOUNTS {
        std::fs::create_dir_all(directory)?;
        rustix::mount::mount(system, directory, system, MountFlags::empty(), None)?;
    }
    std::fs::write("/proc/sys/kernel/printk", "1")?;
    let stdin = io::stdin();
    let mut modes = tcgetattr(&stdin)?;
    modes.make_raw();
    tcsetattr(&stdin, OptionalActions::Now, &modes)?;
    Ok(())
}

fn main() {
    match prepare() {
        Ok(()) => end("boot", "well"),
        Err(error) => end("boot", format_args!("failed: {error}")),
    }
    for line in io::stdin().lock().lines() {
        // Bytes that are no text are noise on the line.
        let Ok(line) = line else { continue };
        let (tag, words) = line.split_once(' ').unwrap_or((&line, ""));
        match words.parse::<Order>() {
            Ok(Order::Off) => {
                end(tag, "well");
                break;
            }
            Ok(Order::Start { program, arguments }) => order::start(tag, &program, &arguments),
            Ok(order) => match order.carry_out(tag) {
                Ok(()) => end(tag, "well"),
                Err(error) => end(tag, format_args!("failed: {error}")),
            },
            Err(error) => end(tag, format_args!("failed: {error}")),
        }
    }
    // Comes back only where somebody runs this who may not switch the machine off.
    if let Err(error) = rustix::system::reboot(rustix::system::RebootCommand::PowerOff) {
        eprintln!("this machine cannot be switched off: {error}");
    }
}
