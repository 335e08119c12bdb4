//! The few system calls of the agent that no safe crate offers.
//!
//! This is the only crate of the workspace that calls into C itself. It decides nothing: each function is one call, its
//! result in safe words. What has a safe wrapper elsewhere (`rustix`) does not belong here.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// What the kernel says of its clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KernelClock {
    /// The clock's state: the return value of `adjtimex`.
    pub state: i32,
    /// The status bits of the clock's discipline: `timex.status`.
    pub status: i32,
}

impl KernelClock {
    /// Whether something disciplines the clock and has done so lately: neither `TIME_ERROR` nor `STA_UNSYNC`.
    ///
    /// The kernel sets `STA_UNSYNC` at boot, and again when its error bound has grown beyond 16 s because nobody has
    /// adjusted the clock for hours (Linux, `kernel/time/ntp.c`).
    #[must_use]
    pub const fn is_synchronised(self) -> bool {
        self.state != libc::TIME_ERROR && self.status & libc::STA_UNSYNC == 0
    }
}

/// Asks the kernel for the state of its clock. Changes nothing, needs no privilege.
///
/// # Errors
///
/// Where a sandbox forbids the call.
pub fn kernel_clock() -> io::Result<KernelClock> {
    // SAFETY: `timex` is a plain C structure of integers; all zeroes is a valid value, and `modes == 0` asks only.
    let mut timex: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a live, exclusively borrowed `timex`, which the call fills and does not keep.
    let state = unsafe { libc::adjtimex(&raw mut timex) };
    if state == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(KernelClock { state, status: timex.status })
}

/// Makes what `command` will start die with the thread that starts it, however that ends (kill -9 too), and be that much nicer to the
/// machine: 0 as this process, 19 only when nobody else wants the processor. What it starts in its turn is not bound.
pub fn bind_to_parent(command: &mut Command, niceness: i32) {
    // SAFETY: asks for this process's own number; cannot fail.
    let parent = unsafe { libc::getpid() };
    let before_exec = move || {
        // SAFETY: `prctl` with these arguments takes two integers and keeps nothing; it is async-signal-safe on Linux.
        if unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } == -1 {
            return Err(io::Error::last_os_error());
        }
        // A parent that died before this sends no signal any more.
        // SAFETY: asks for a number; cannot fail.
        if unsafe { libc::getppid() } != parent {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        // SAFETY: three integers; 0 is this process. Where it is forbidden, nothing is lost but manners.
        unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, niceness) };
        Ok(())
    };
    // SAFETY: between fork and exec the closure calls nothing but the three system calls above, and allocates nothing.
    unsafe { command.pre_exec(before_exec) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_started_is_nicer_and_dies_with_its_parent() {
        let mut command = Command::new("/bin/sleep");
        command.arg("1000");
        bind_to_parent(&mut command, 10);
        let started = std::thread::spawn(move || {
            let child = command.spawn().expect("sleep starts");
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).expect("it runs");
            (child, stat)
        });
        // The kernel counts the thread that called fork as the parent; it ends here.
        let (mut child, stat) = started.join().expect("it does not panic");
        let niceness = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(16));
        assert_eq!(niceness, Some("10"), "{stat}");
        let status = child.wait().expect("a child");
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(libc::SIGKILL));
    }

    #[test]
    fn the_kernel_answers_with_a_known_state() {
        let clock = kernel_clock().expect("adjtimex without modes needs no privilege");
        assert!((libc::TIME_OK..=libc::TIME_ERROR).contains(&clock.state), "{clock:?}");
    }

    #[test]
    fn either_sign_of_trouble_means_not_synchronised() {
        let clock = |state, status| KernelClock { state, status };
        assert!(clock(libc::TIME_OK, libc::STA_PLL).is_synchronised());
        assert!(!clock(libc::TIME_ERROR, libc::STA_PLL).is_synchronised());
        assert!(!clock(libc::TIME_OK, libc::STA_UNSYNC).is_synchronised());
    }
}
