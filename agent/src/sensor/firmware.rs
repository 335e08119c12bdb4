//! The firmware of a Raspberry Pi, asked through its mailbox `/dev/vcio`.
//!
//! A message is an array of words: its size in bytes, 0, one tag, 0. The firmware answers in the same place (raspberrypi/utils, `vcmailbox`):
//!
//! ```text
//! asked     28  0         00030046  4  0         0         0      which throttle flags are set, and clear none
//! answered  28  80000000  00030046  4  80000004  00050005  0
//!           size          tag       |  |         value
//!                                   |  length of the answer
//!                                   room for the value, in bytes
//! ```
//!
//! One tag to a message: the kernel complains in its log of a message with a tag that the firmware does not know, so such a tag is not asked
//! again. The device belongs to the group `video` on Raspberry Pi OS and does not exist under other systems' kernels.

use super::kept::is_nothing;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

/// The throttle flags. The value that goes in names the sticky ones that the firmware is to clear: always 0.
pub(super) const THROTTLED: u32 = 0x0003_0046;
/// A clock's frequency as it is measured, in Hz, by the clock's number.
pub(super) const MEASURED_CLOCK: u32 = 0x0003_0047;
/// A voltage in microvolts, by its number.
pub(super) const VOLTAGE: u32 = 0x0003_0003;
/// A command in words, and its answer in words.
const COMMAND: u32 = 0x0003_0080;

const REQUEST: u32 = 0;
const DONE: u32 = 0x8000_0000;
/// Set in the length of an answer.
const ANSWERED: u32 = 0x8000_0000;

/// Room for a command and for its answer, in words: 4 KiB, most of which the answer about the power supply takes.
const COMMAND_ROOM: usize = 1024;

/// What came of a question.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The value's words.
    Told(Vec<u32>),
    /// There is a firmware, and it does not answer now.
    Silent,
    /// There is no mailbox, it is not for us, or it does not know the tag.
    Nobody,
}

/// Carries a message to the device of that name and back.
pub(super) type Carrier = fn(&Path, &mut [u32]) -> io::Result<()>;

/// The way to the firmware.
#[derive(Debug)]
pub(super) struct Firmware {
    pub(super) carrier: Carrier,
    /// Tags that it does not know.
    unknown: Vec<u32>,
    /// Whether there is a mailbox that is not for us.
    denied: bool,
}

impl Default for Firmware {
    fn default() -> Self {
        Self::through(carry)
    }
}

impl Firmware {
    /// The firmware that a carrier reaches.
    pub(super) const fn through(carrier: Carrier) -> Self {
        Self { carrier, unknown: Vec::new(), denied: false }
    }

    /// Asks for what a tag stands for.
    pub(super) fn ask(&mut self, dev: &Path, tag: u32, value: &[u32]) -> Answer {
        self.ask_at(&dev.join("vcio"), tag, value)
    }

    /// Gives a command in words, and returns the answer's; `None` whatever the reason that there is none.
    pub(super) fn command(&mut self, dev: &Path, command: &str) -> Option<String> {
        let mut value = vec![0; COMMAND_ROOM];
        for (word, bytes) in value[1..].iter_mut().zip(command.as_bytes().chunks(4)) {
            let mut whole = [0; 4];
            whole[..bytes.len()].copy_from_slice(bytes);
            *word = u32::from_ne_bytes(whole);
        }
        // Newer kernels have a narrow door for commands alone.
        let answer = ["vcio_gencmd", "vcio"].into_iter().find_map(|door| {
            match self.ask_at(&dev.join(door), COMMAND, &value) {
                Answer::Told(words) => Some(words),
                Answer::Silent | Answer::Nobody => None,
            }
        })?;
        let (error, text) = answer.split_first()?;
        let bytes: Vec<u8> =
            text.iter().flat_map(|word| word.to_ne_bytes()).take_while(|byte| *byte != 0).collect();
        (*error == 0).then(|| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Whether the newest question found a mailbox that this program's user may not open.
    pub(super) const fn is_denied(&self) -> bool {
        self.denied
    }

    fn ask_at(&mut self, device: &Path, tag: u32, value: &[u32]) -> Answer {
        if self.unknown.contains(&tag) {
            return Answer::Nobody;
        }
        let mut message = question(tag, value);
        let result = (self.carrier)(device, &mut message);
        self.denied = result.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied);
        match result {
            Ok(()) => answer(&message, tag).map_or(Answer::Silent, |value| Answer::Told(value.to_vec())),
            Err(error) if is_nothing(&error) => Answer::Nobody,
            Err(error) if is_not_known(&error) => {
                self.unknown.push(tag);
                Answer::Nobody
            }
            Err(_) => Answer::Silent,
        }
    }
}

/// Opens the device for each message: a few microseconds, against a descriptor that outlives the device.
fn carry(device: &Path, message: &mut [u32]) -> io::Result<()> {
    rackside_sys::firmware_property(File::open(device)?.as_fd(), message)
}

/// A tag that the firmware does not have, or a file that is no mailbox.
fn is_not_known(error: &io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::INVAL, Errno::NOTTY].map(|errno| Some(errno.raw_os_error())).contains(&error.raw_os_error())
}

/// The message that asks for a tag.
fn question(tag: u32, value: &[u32]) -> Vec<u32> {
    let bytes = |words: usize| u32::try_from(4 * words).expect("a question is a page long at most");
    let mut message = vec![bytes(value.len() + 6), REQUEST, tag, bytes(value.len()), REQUEST];
    message.extend_from_slice(value);
    message.push(0);
    message
}

/// The value in the message that came back; `None` if the tag was not answered.
fn answer(message: &[u32], tag: u32) -> Option<&[u32]> {
    let [_, done, answered, _, length, value @ .., _] = message else { return None };
    (*done == DONE && *answered == tag && length & ANSWERED != 0).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_about_throttling_is_the_documented_one_and_clears_nothing() {
        assert_eq!(question(THROTTLED, &[0]), [28, 0, 0x0003_0046, 4, 0, 0, 0]);
        let answered = [28, 0x8000_0000, 0x0003_0046, 4, 0x8000_0004, 0x0005_0005, 0];
        assert_eq!(answer(&answered, THROTTLED), Some(&[0x0005_0005][..]));
    }

    #[test]
    fn what_is_no_answer_is_none() {
        let answered = [28, 0x8000_0000, 0x0003_0046, 4, 0x8000_0004, 0x0005_0005, 0];
        for (at, wrong) in [(1, 0), (1, 0x8000_0001), (2, 0x0003_0047), (4, 4)] {
            let mut message = answered;
            message[at] = wrong;
            assert_eq!(answer(&message, THROTTLED), None, "word {at} is {wrong:08x}");
        }
        assert_eq!((answer(&[], 1), answer(&[12, DONE, 0], 1)), (None, None));
    }

    /// What a carrier answers with, by the device's name.
    fn carried(device: &Path, message: &mut [u32]) -> io::Result<()> {
        use rustix::io::Errno;
        match device.file_name().and_then(|name| name.to_str()) {
            Some("vcio") if device.starts_with("/good") => {
                message[1] = DONE;
                message[4] |= ANSWERED | message[3];
                if message[2] == COMMAND {
                    assert_eq!(
                        &message[6..8],
                        &[u32::from_ne_bytes(*b"vers"), u32::from_ne_bytes(*b"ion\0")]
                    );
                    message[5] = u32::from(device.starts_with("/good/refused"));
                    message[6] = u32::from_ne_bytes(*b"v1\0x");
                }
                Ok(())
            }
            _ if device.starts_with("/deaf") => Err(Errno::TIMEDOUT.into()),
            _ if device.starts_with("/old") => Err(Errno::INVAL.into()),
            _ if device.starts_with("/locked") => Err(Errno::ACCESS.into()),
            _ => Err(Errno::NOENT.into()),
        }
    }

    fn firmware() -> Firmware {
        Firmware::through(carried)
    }

    #[test]
    fn nobody_and_silence_are_told_apart() {
        let ask = |dev: &str| firmware().ask(Path::new(dev), THROTTLED, &[7]);
        assert_eq!(ask("/good"), Answer::Told(vec![7]));
        assert_eq!(ask("/deaf"), Answer::Silent);
        assert_eq!(
            (ask("/old"), ask("/locked"), ask("/nowhere")),
            (Answer::Nobody, Answer::Nobody, Answer::Nobody)
        );
    }

    #[test]
    fn a_tag_that_is_not_known_is_asked_for_once() {
        let mut firmware = firmware();
        assert_eq!(firmware.ask(Path::new("/old"), VOLTAGE, &[1, 0]), Answer::Nobody);
        assert_eq!(firmware.ask(Path::new("/good"), VOLTAGE, &[1, 0]), Answer::Nobody);
        assert_eq!(firmware.ask(Path::new("/good"), THROTTLED, &[0]), Answer::Told(vec![0]));
    }

    #[test]
    fn a_mailbox_for_others_is_noticed_until_it_opens() {
        let mut firmware = firmware();
        firmware.ask(Path::new("/locked"), THROTTLED, &[0]);
        assert!(firmware.is_denied());
        firmware.ask(Path::new("/good"), THROTTLED, &[0]);
        assert!(!firmware.is_denied());
    }

    #[test]
    fn a_command_goes_in_as_text_and_comes_back_as_text() {
        let command = |dev: &str| firmware().command(Path::new(dev), "version");
        assert_eq!(command("/good").as_deref(), Some("v1"));
        assert_eq!((command("/good/refused"), command("/deaf"), command("/nowhere")), (None, None, None));
    }

    #[test]
    fn a_plain_file_is_no_mailbox() {
        let dev = tempfile::tempdir().expect("a temporary directory");
        assert_eq!(Firmware::default().ask(dev.path(), THROTTLED, &[0]), Answer::Nobody);
        std::fs::write(dev.path().join("vcio"), "").expect("written");
        assert_eq!(Firmware::default().ask(dev.path(), THROTTLED, &[0]), Answer::Nobody);
    }
}
