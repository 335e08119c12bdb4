//! Why a Raspberry Pi is slower than it could be, now and since it was started: the firmware's throttle flags.
//!
//! | bit | now | bit | since boot | cause |
//! |---|---|---|---|---|
//! | 0 | `0x1` | 16 | `0x10000` | `undervoltage` |
//! | 1 | `0x2` | 17 | `0x20000` | `frequency_capped` |
//! | 2 | `0x4` | 18 | `0x40000` | `throttled` |
//! | 3 | `0x8` | 19 | `0x80000` | `soft_temperature_limit` |
//!
//! Asked is, whichever answers first, without root and without a child process:
//!
//! 1. the firmware itself, through its mailbox: all flags, as of now. Never with a mask, which would clear what others want to see;
//! 2. the file `get_throttled` of Raspberry Pi kernels: all flags as they were when somebody last asked the firmware, which the
//!    kernel's own driver does every 2 s. Hexadecimal without `0x`: `50005`;
//! 3. the alarm of the chip `rpi_volt`, on any kernel: undervoltage within the last 2 s, and nothing else.
//!
//! What a source cannot tell is not reported. The kernel's driver asks the firmware to clear the sticky bits, and nobody knows what that does to
//! other readers, so what has been seen once is remembered here as well; what was before the agent's start only the firmware knows.

use super::chips::Chips;
use super::firmware::{Answer, THROTTLED};
use super::kept::{Kept, number, word};
use super::{Machine, Report, SensorError};
use crate::clock::Moment;
use rackside_proto::{Scale, Value, metric};
use std::path::{Path, PathBuf};

/// In the order of their bits.
const CAUSES: [&str; 4] = ["undervoltage", "frequency_capped", "throttled", "soft_temperature_limit"];

const UNDERVOLTAGE: usize = 0;

#[derive(Debug, Default)]
pub(super) struct State {
    files: Kept<Files>,
    /// What has been seen since the agent started, by cause.
    seen: [bool; CAUSES.len()],
}

/// Where the kernel shows them.
#[derive(Debug)]
struct Files {
    word: Option<PathBuf>,
    alarm: Option<PathBuf>,
}

/// What is known of each cause; `None` where nothing can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Flags {
    now: [Option<Value>; CAUSES.len()],
    since_boot: [Option<Value>; CAUSES.len()],
}

#[expect(clippy::unnecessary_wraps, reason = "every sensor may fail, and this one happens not to")]
pub(super) fn read(machine: &mut Machine, moment: &Moment, report: &mut Report) -> Result<(), SensorError> {
    let Machine { roots, firmware, chips, throttle, .. } = machine;
    let (sys, now) = (&roots.sys, moment.now);
    let found = chips.at(now, || Chips::find(sys));
    let files = throttle.files.at(now, || Files::find(sys, found));
    let flags = match firmware.ask(&roots.dev, THROTTLED, &[0]) {
        Answer::Told(words) => Some(words.first().map_or_else(Flags::unknown, |word| Flags::of(*word))),
        Answer::Silent => Some(Flags::unknown()),
        Answer::Nobody => files.read(),
    };
    if firmware.is_denied() && !matches!(flags, Some(Flags { now: [.., Some(_)], .. })) {
        report.notes.push(
            "most throttle flags are not for this program: /dev/vcio may not be opened; its user needs the group video, its unit \
             DeviceAllow=/dev/vcio"
                .to_owned(),
        );
    }
    let Some(mut flags) = flags else {
        if files.word.is_some() || files.alarm.is_some() {
            // They were there, and may be elsewhere now.
            throttle.files.forget();
            chips.forget();
        }
        return Ok(());
    };
    flags.remember(&mut throttle.seen);
    for (when, values) in [("now", flags.now), ("since_boot", flags.since_boot)] {
        for (cause, value) in CAUSES.into_iter().zip(values) {
            if let Some(value) = value {
                report.put_value(&metric::SOC_THROTTLED, &[cause, when], Scale::ONE, value);
            }
        }
    }
    Ok(())
}

impl Files {
    fn find(sys: &Path, chips: &Chips) -> Self {
        let alarm =
            chips.named("rpi_volt").map(|chip| chip.join("in0_lcrit_alarm")).filter(|file| file.exists());
        Self { word: find_word(&sys.join("devices/platform")), alarm }
    }

    fn read(&self) -> Option<Flags> {
        let told = self.word.as_deref().and_then(|file| word(file).transpose());
        if let Some(told) = told {
            return Some(told.ok().and_then(|text| parse(&text)).map_or_else(Flags::unknown, Flags::of));
        }
        self.alarm.as_deref().and_then(number).map(Flags::of_alarm)
    }
}

/// `soc/soc:firmware/get_throttled` below the platform's devices. What stands for `soc` differs from model to model, so every directory
/// there is looked into, one level deep.
fn find_word(platform: &Path) -> Option<PathBuf> {
    let below = |path: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        let mut paths: Vec<PathBuf> = entries
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .map(|entry| entry.path())
            .collect();
        paths.sort();
        paths
    };
    let word = |path: &PathBuf| {
        let is_firmware = path.file_name().is_some_and(|name| name.to_string_lossy().contains("firmware"));
        is_firmware.then(|| path.join("get_throttled")).filter(|file| file.exists())
    };
    let devices = below(platform);
    devices
        .iter()
        .find_map(word)
        .or_else(|| devices.iter().flat_map(|device| below(device)).find_map(|path| word(&path)))
}

/// `50005`; the firmware's own tool writes `0x` before it.
fn parse(text: &str) -> Option<u32> {
    u32::from_str_radix(text.strip_prefix("0x").unwrap_or(text), 16).ok()
}

impl Flags {
    fn of(word: u32) -> Self {
        let bit = |bit: usize| Some(Value::Known(i64::from(word >> bit & 1)));
        Self { now: [0, 1, 2, 3].map(bit), since_boot: [16, 17, 18, 19].map(bit) }
    }

    /// Of the alarm alone: it says nothing of other causes, and nothing of the time before.
    fn of_alarm(alarm: Value) -> Self {
        let mut flags = Self::default();
        flags.now[UNDERVOLTAGE] = Some(match alarm {
            Value::Known(number) => Value::Known(i64::from(number != 0)),
            silent => silent,
        });
        flags
    }

    const fn unknown() -> Self {
        Self { now: [Some(Value::Unknown); CAUSES.len()], since_boot: [Some(Value::Unknown); CAUSES.len()] }
    }

    /// Takes note of what is seen, and tells what has been.
    fn remember(&mut self, seen: &mut [bool; CAUSES.len()]) {
        const SET: Option<Value> = Some(Value::Known(1));
        for ((now, since_boot), seen) in self.now.iter().zip(&mut self.since_boot).zip(seen) {
            *seen |= *now == SET || *since_boot == SET;
            if *seen {
                *since_boot = SET;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Roots;
    use super::*;
    use crate::clock::{Clock, Trust};
    use std::fs;
    use std::io;

    const fn known<const N: usize>(bits: [i64; N]) -> [Option<Value>; N] {
        let mut values = [None; N];
        let mut at = 0;
        while at < N {
            values[at] = Some(Value::Known(bits[at]));
            at += 1;
        }
        values
    }

    #[test]
    fn the_documented_example_is_undervoltage_and_throttling_now_and_before() {
        let flags = Flags { now: known([1, 0, 1, 0]), since_boot: known([1, 0, 1, 0]) };
        assert_eq!(Flags::of(0x5_0005), flags);
        assert_eq!(Flags::of(0x8_0002), Flags { now: known([0, 1, 0, 0]), since_boot: known([0, 0, 0, 1]) });
        assert_eq!(Flags::of(0xfff0_fff0), Flags::of(0), "other bits are none of these");
    }

    #[test]
    fn the_kernels_word_is_hexadecimal_with_or_without_its_prefix() {
        assert_eq!(["0", "50005", "0x50005"].map(parse), [Some(0), Some(0x5_0005), Some(0x5_0005)]);
        assert_eq!(["", "throttled=0x0", "-1", "123456789"].map(parse), [None; 4]);
    }

    #[test]
    fn what_was_seen_once_stays_seen_although_the_firmware_forgets_it() {
        let mut seen = [false; 4];
        let mut after = |word| {
            let mut flags = Flags::of(word);
            flags.remember(&mut seen);
            flags.since_boot
        };
        assert_eq!(after(0x0), known([0, 0, 0, 0]));
        assert_eq!(after(0x1), known([1, 0, 0, 0]), "now is since boot as well");
        assert_eq!(after(0x4_0000), known([1, 0, 1, 0]));
        assert_eq!(after(0x0), known([1, 0, 1, 0]));
    }

    #[test]
    fn an_alarm_tells_of_one_cause_and_not_of_the_past() {
        let alarm = |value, seen: &mut [bool; 4]| {
            let mut flags = Flags::of_alarm(value);
            flags.remember(seen);
            (flags.now, flags.since_boot)
        };
        let (mut seen, no) = ([false; 4], None);
        assert_eq!(alarm(Value::Known(0), &mut seen), ([Some(Value::Known(0)), no, no, no], [no; 4]));
        let set = Some(Value::Known(1));
        assert_eq!(alarm(Value::Known(1), &mut seen), ([set, no, no, no], [set, no, no, no]));
        let unknown = Some(Value::Unknown);
        assert_eq!(alarm(Value::Unknown, &mut seen), ([unknown, no, no, no], [set, no, no, no]));
    }

    /// A board in a directory, and what it reports.
    struct Bench {
        root: tempfile::TempDir,
        machine: Machine,
        moment: Moment,
    }

    impl Bench {
        fn new() -> Self {
            let root = tempfile::tempdir().expect("a temporary directory");
            let machine = Machine::new(Roots::below(root.path()));
            Self { machine, moment: Clock::new(Trust::Auto, root.path()).read(), root }
        }

        fn write(&self, path: &str, text: &str) {
            let path = self.root.path().join(path);
            fs::create_dir_all(path.parent().expect("below the root")).expect("directories");
            fs::write(path, text).expect("written");
        }

        /// `undervoltage now 1`, and how many notes there are.
        fn reads(&mut self) -> (Vec<String>, usize) {
            let mut report = Report::default();
            read(&mut self.machine, &self.moment, &mut report).expect("it never fails");
            let line = |entry: &super::super::Entry| {
                let value = entry.value.known().map_or("?".to_owned(), |number| number.to_string());
                format!("{} {} {value}", entry.labels[0], entry.labels[1])
            };
            (report.entries().iter().map(line).collect(), report.notes().len())
        }
    }

    const WORD: &str = "sys/devices/platform/soc/soc:firmware/get_throttled";
    const CHIP: &str = "sys/class/hwmon/hwmon3";

    #[test]
    fn a_machine_that_is_no_pi_has_no_flags() {
        assert_eq!(Bench::new().reads(), (vec![], 0));
    }

    #[test]
    fn the_kernels_word_goes_before_the_chip_which_takes_over_when_it_vanishes() {
        let mut bench = Bench::new();
        bench.write(&format!("{CHIP}/name"), "rpi_volt\n");
        bench.write(&format!("{CHIP}/in0_lcrit_alarm"), "0\n");
        bench.write(WORD, "20002\n");
        let (lines, _) = bench.reads();
        assert_eq!(
            (lines.len(), lines[1].as_str(), lines[5].as_str()),
            (8, "frequency_capped now 1", "frequency_capped since_boot 1")
        );
        bench.write(WORD, "nonsense");
        assert_eq!(bench.reads().0[..2], ["undervoltage now ?", "frequency_capped now ?"]);
        fs::remove_file(bench.root.path().join(WORD)).expect("it was there");
        assert_eq!(bench.reads().0, ["undervoltage now 0", "frequency_capped since_boot 1"]);
        fs::remove_dir_all(bench.root.path().join(CHIP)).expect("it was there");
        assert_eq!(bench.reads().0, [""; 0], "and nothing is made up");
        bench.write("sys/class/hwmon/hwmon5/name", "rpi_volt\n");
        bench.write("sys/class/hwmon/hwmon5/in0_lcrit_alarm", "1\n");
        assert_eq!(bench.reads().0[0], "undervoltage now 1", "its driver came up again");
    }

    #[test]
    fn the_word_is_found_wherever_a_model_has_its_firmware() {
        for path in ["axi/axi:firmware", "soc@107c000000/soc@107c000000:firmware", "firmware"] {
            let mut bench = Bench::new();
            bench.write(&format!("sys/devices/platform/{path}/get_throttled"), "0\n");
            assert_eq!(bench.reads().0.len(), 8, "{path}");
        }
    }

    #[test]
    fn the_firmware_goes_before_everything_and_its_silence_is_unknown() {
        let mut bench = Bench::new();
        bench.write(WORD, "0\n");
        bench.machine.firmware.carrier = |_, message| {
            assert_eq!(message[2..], [THROTTLED, 4, 0, 0, 0], "and no mask that clears anything");
            (message[1], message[4], message[5]) = (0x8000_0000, 0x8000_0004, 0x5_0005);
            Ok(())
        };
        assert_eq!(bench.reads().0[0], "undervoltage now 1");
        bench.machine.firmware.carrier = |_, _| Err(io::ErrorKind::TimedOut.into());
        let (lines, _) = bench.reads();
        assert_eq!(
            (lines[1].as_str(), lines[3].as_str()),
            ("frequency_capped now ?", "soft_temperature_limit now ?")
        );
        assert_eq!(lines[4], "undervoltage since_boot 1", "it has been seen");
    }

    #[test]
    fn a_mailbox_that_is_for_others_is_said_unless_the_kernel_tells_as_much() {
        let mut bench = Bench::new();
        bench.machine.firmware.carrier = |_, _| Err(io::ErrorKind::PermissionDenied.into());
        assert_eq!(bench.reads(), (vec![], 1));
        bench.write(&format!("{CHIP}/name"), "rpi_volt\n");
        bench.write(&format!("{CHIP}/in0_lcrit_alarm"), "1\n");
        bench.machine.chips.forget();
        bench.machine.throttle.files.forget();
        assert_eq!(
            bench.reads(),
            (vec!["undervoltage now 1".to_owned(), "undervoltage since_boot 1".to_owned()], 1)
        );
        bench.write(WORD, "0\n");
        bench.machine.throttle.files.forget();
        assert_eq!(bench.reads().1, 0);
    }
}
