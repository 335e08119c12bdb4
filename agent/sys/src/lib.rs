//! The few system calls of the agent that no safe crate offers.
//!
//! This is the only crate of the workspace that calls into C itself. It decides nothing: each function is one call, its
//! result in safe words. What has a safe wrapper elsewhere (`rustix`) does not belong here.

use std::io;

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

#[cfg(test)]
mod tests {
    use super::*;

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
