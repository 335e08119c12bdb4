//! The few system calls of the agent that no safe crate offers.
//!
//! This is the only crate of the workspace that calls into C itself. It decides nothing: each function is one call, its
//! result in safe words. What has a safe wrapper elsewhere (`rustix`) does not belong here.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::Duration;

/// `SIOCGSTAMPNS_NEW` of `<linux/sockios.h>`, since Linux 5.1: two 64-bit numbers on every machine.
const SIOCGSTAMPNS_NEW: libc::Ioctl = libc::_IOR::<[i64; 2]>(0x89, 0x07);
/// `SOL_RAW` and `ICMP_FILTER` of `<linux/icmp.h>`; `ICMPV6_FILTER` of `<linux/icmpv6.h>`.
const SOL_RAW: libc::c_int = 255;
const ICMP_FILTER: libc::c_int = 1;
const ICMPV6_FILTER: libc::c_int = 1;

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

/// Has every block of memory of at least `bytes` given back to the system as soon as it is freed. By itself glibc learns from the first large block that is
/// freed to keep such blocks, up to 32 MiB, in each thread's own heap; musl's allocator gives them back anyway.
pub fn give_back_blocks(bytes: i32) {
    #[cfg(target_env = "gnu")]
    // SAFETY: `mallopt` takes two numbers and locks what it changes. A bound that it refuses changes nothing.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, bytes);
    }
    #[cfg(not(target_env = "gnu"))]
    let _ = bytes;
}

/// Makes what `command` will start die with the thread that starts it, however that ends (kill -9 too), and be that much nicer to the
/// machine: 0 as this process, 19 only when nobody else wants the processor. What it starts in its turn is not bound.
pub fn bind_to_parent(command: &mut Command, niceness: i32) {
    before_exec(command, Some(niceness));
}

/// As [`bind_to_parent`], and as nice as this process.
pub fn end_with_parent(command: &mut Command) {
    before_exec(command, None);
}

fn before_exec(command: &mut Command, niceness: Option<i32>) {
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
        if let Some(niceness) = niceness {
            // SAFETY: three integers; 0 is this process. Where it is forbidden, nothing is lost but manners.
            unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, niceness) };
        }
        Ok(())
    };
    // SAFETY: between fork and exec the closure calls nothing but the three system calls above, and allocates nothing.
    unsafe { command.pre_exec(before_exec) };
}

/// When the packet that was read last from a socket came in, by the kernel's UTC clock, since 1970. The first call makes the kernel
/// take note, from the next packet on.
///
/// # Errors
///
/// Where the kernel is older than 5.1, or nothing was noted yet.
pub fn arrival(socket: BorrowedFd<'_>) -> io::Result<Duration> {
    let mut stamp = [0_i64; 2];
    // SAFETY: the call fills two 64-bit numbers, which the pointer has room for, and keeps nothing.
    let code = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCGSTAMPNS_NEW, stamp.as_mut_ptr()) };
    if code == -1 {
        return Err(io::Error::last_os_error());
    }
    let [seconds, nanoseconds] = stamp;
    let whole = u64::try_from(seconds).map_err(io::Error::other)?;
    Ok(Duration::from_secs(whole) + Duration::from_nanos(nanoseconds.unsigned_abs()))
}

/// Lets a raw ICMP socket (`ICMPv6` if `is_v6`) hear packets of this type and nothing else.
///
/// # Errors
///
/// Where the socket is no such one.
pub fn pass_icmp_type(socket: BorrowedFd<'_>, is_v6: bool, kind: u8) -> io::Result<()> {
    // A bit for each type, set for those that are kept out: the first 32 of them in ICMP, all 256 in ICMPv6.
    let mut filter = [u32::MAX; 8];
    let (word, bit) = (usize::from(kind / 32), kind % 32);
    if let Some(word) = filter.get_mut(word) {
        *word &= !(1 << bit);
    }
    let (level, name, size) = if is_v6 {
        (libc::IPPROTO_ICMPV6, ICMPV6_FILTER, size_of_val(&filter))
    } else {
        (SOL_RAW, ICMP_FILTER, size_of::<u32>())
    };
    let size = libc::socklen_t::try_from(size).map_err(io::Error::other)?;
    // SAFETY: the pointer is to `size` bytes at least, which the call reads and does not keep.
    let code = unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, filter.as_ptr().cast(), size) };
    if code == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
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
    use std::net::UdpSocket;
    use std::os::fd::AsFd;
    use std::time::{SystemTime, UNIX_EPOCH};

    #[test]
    #[expect(clippy::disallowed_methods, reason = "what the kernel noted is held to its clock")]
    fn the_kernel_notes_when_a_packet_came_not_when_it_was_read() {
        let clock = || SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        assert!(arrival(socket.as_fd()).is_err(), "nothing has come yet");
        // Asked for the first time, the kernel begins to note in its own time; a packet before that counts as come when it is read.
        for round in 1.. {
            let sent = clock();
            socket.send_to(b"x", socket.local_addr().expect("bound")).expect("sent");
            std::thread::sleep(Duration::from_millis(50));
            let read = clock();
            socket.recv(&mut [0; 8]).expect("it came");
            let noted = arrival(socket.as_fd()).expect("noted");
            assert!(sent <= noted && noted <= clock(), "{sent:?} <= {noted:?}");
            if noted < read {
                break;
            }
            assert!(round < 100, "noted only when it was read: {read:?} <= {noted:?}");
        }
    }

    #[test]
    fn only_an_icmp_socket_has_a_filter_for_it() {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        assert!(pass_icmp_type(socket.as_fd(), false, 0).is_err());
    }

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
