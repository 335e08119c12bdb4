//! The few system calls of the agent that no safe crate offers.
//!
//! This is the only crate of the workspace that calls into C itself. It decides nothing: each function is one call, its
//! result in safe words. What has a safe wrapper elsewhere (`rustix`) does not belong here.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

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

/// `IOCTL_MBOX_PROPERTY` of the Raspberry Pi kernel's `vcio.c`: `_IOWR(100, 0, char *)`.
const PROPERTY: libc::Ioctl = {
    const POINTER: libc::Ioctl = if cfg!(target_pointer_width = "64") { 8 } else { 4 };
    3 << 30 | POINTER << 16 | 100 << 8
};

/// Hands a message to the firmware of a Raspberry Pi, through its mailbox `/dev/vcio`, and takes the answer in its place.
///
/// The message is an array of words as the firmware wants it: its own size in bytes, 0, the tags, 0. What they mean is the caller's affair.
///
/// # Errors
///
/// `InvalidInput` for a message whose first word is not its size, or that is shorter than any can be; `EINVAL` for what the firmware does not
/// know; `ENOTTY` for a file that is no mailbox.
pub fn firmware_property(mailbox: BorrowedFd<'_>, message: &mut [u32]) -> io::Result<()> {
    let size = size_of_val(message);
    if message.len() < 3 || message.first().is_none_or(|told| usize::try_from(*told) != Ok(size)) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the message's first word is not its size"));
    }
    // SAFETY: the kernel copies as many bytes in and back out as the first word says, which is the length of this exclusively borrowed
    // slice, and keeps no pointer. Any bytes are valid words. Drivers that are no mailbox do not know the request and refuse it.
    let result = unsafe { libc::ioctl(mailbox.as_raw_fd(), PROPERTY, message.as_mut_ptr()) };
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn the_mailboxs_request_has_the_documented_number() {
        let documented = if cfg!(target_pointer_width = "64") { "c0086400" } else { "c0046400" };
        assert_eq!(format!("{PROPERTY:x}"), documented);
    }

    #[test]
    fn a_message_must_tell_its_size_and_the_file_must_be_a_mailbox() {
        let file = std::fs::File::open("/dev/null").expect("every Linux has it");
        let wrong =
            |message: &mut [u32]| firmware_property(file.as_fd(), message).map_err(|error| error.kind());
        for message in [&mut [][..], &mut [8, 0], &mut [24, 0, 0, 0, 0], &mut [16, 0, 0, 0, 0]] {
            assert_eq!(wrong(message), Err(io::ErrorKind::InvalidInput), "{message:?}");
        }
        let mut message = [28, 0, 0x0003_0046, 4, 0, 0, 0];
        let error = firmware_property(file.as_fd(), &mut message).expect_err("no mailbox");
        assert_eq!(error.raw_os_error(), Some(libc::ENOTTY));
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
