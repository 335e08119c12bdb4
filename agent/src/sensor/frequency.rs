//! The clock frequency of the processor's cores.
//!
//! The firmware of a Raspberry Pi measures it, and so tells when it runs the cores slower than the kernel asked for. Where it cannot be asked,
//! the kernel says what it asked for: `scaling_cur_freq` of the first policy, in kHz (`1500000`). All cores of a Pi are in one policy; of
//! other machines this is the first core's, since asking all of them would wake them.

use super::firmware::{Answer, MEASURED_CLOCK};
use super::kept::{Kept, number};
use super::{Machine, Report, SensorError};
use crate::clock::Moment;
use rackside_proto::{Scale, Value, metric};
use std::path::{Path, PathBuf};

/// Megahertz: what is measured trembles below.
const SCALE: Scale = Scale::times(1_000_000);

/// The firmware's number for the clock of the ARM cores.
const ARM: u32 = 3;

pub(super) type State = Kept<Option<PathBuf>>;

#[expect(clippy::unnecessary_wraps, reason = "every sensor may fail, and this one happens not to")]
pub(super) fn read(machine: &mut Machine, moment: &Moment, report: &mut Report) -> Result<(), SensorError> {
    let Machine { roots, firmware, frequency, .. } = machine;
    let hertz = match firmware.ask(&roots.dev, MEASURED_CLOCK, &[ARM, 0]) {
        Answer::Told(words) => {
            Some(words.get(1).map_or(Value::Unknown, |hertz| Value::Known(i64::from(*hertz))))
        }
        Answer::Silent => Some(Value::Unknown),
        Answer::Nobody => {
            let file = frequency.at(moment.now, || find(&roots.sys));
            let told = file.as_deref().map(number);
            if told == Some(None) {
                frequency.forget();
            }
            told.flatten().map(|kilohertz| match kilohertz {
                Value::Known(number) => Value::Known(number.saturating_mul(1000)),
                silent => silent,
            })
        }
    };
    match hertz {
        // A clock that stands tells nothing.
        Some(Value::Known(hertz @ 1..)) => report.put(&metric::CPU_FREQUENCY, &[], SCALE, hertz as f64),
        Some(_) => report.put_value(&metric::CPU_FREQUENCY, &[], SCALE, Value::Unknown),
        None => {}
    }
    Ok(())
}

/// The policy with the lowest number.
fn find(sys: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(sys.join("devices/system/cpu/cpufreq")).ok()?.flatten();
    let policies = entries.filter_map(|entry| {
        let number: u32 = entry.file_name().to_str()?.strip_prefix("policy")?.parse().ok()?;
        let file = entry.path().join("scaling_cur_freq");
        file.exists().then_some((number, file))
    });
    policies.min().map(|(_, file)| file)
}

#[cfg(test)]
mod tests {
    use super::super::Roots;
    use super::*;
    use crate::clock::{Clock, Trust};
    use std::fs;
    use std::io;

    #[test]
    fn the_firmware_measures_and_else_the_kernel_says_what_it_asked_for() {
        let root = tempfile::tempdir().expect("a temporary directory");
        let policies = root.path().join("sys/devices/system/cpu/cpufreq");
        for (policy, kilohertz) in [("policy10", "900000\n"), ("policy4", "600000\n")] {
            fs::create_dir_all(policies.join(policy)).expect("directories");
            fs::write(policies.join(policy).join("scaling_cur_freq"), kilohertz).expect("written");
        }
        fs::create_dir(policies.join("policy0")).expect("a policy without a frequency");
        let mut machine = Machine::new(Roots::below(root.path()));
        let moment = Clock::new(Trust::Auto, root.path()).read();
        let reads = |machine: &mut Machine| {
            let mut report = Report::default();
            read(machine, &moment, &mut report).expect("it never fails");
            report.entries().iter().map(|entry| entry.value).collect::<Vec<_>>()
        };
        assert_eq!(reads(&mut machine), [Value::Known(600)]);
        for garbage in ["<unknown>\n", "0\n", "-5"] {
            fs::write(policies.join("policy4/scaling_cur_freq"), garbage).expect("written");
            assert_eq!(reads(&mut machine), [Value::Unknown], "{garbage}");
        }
        machine.firmware.carrier = |_, message| {
            assert_eq!(message[2..], [MEASURED_CLOCK, 8, 0, 3, 0, 0]);
            (message[1], message[4], message[6]) = (0x8000_0000, 0x8000_0008, 1_500_345_728);
            Ok(())
        };
        assert_eq!(reads(&mut machine), [Value::Known(1500)]);
        machine.firmware.carrier = |_, _| Err(io::ErrorKind::TimedOut.into());
        assert_eq!(reads(&mut machine), [Value::Unknown]);
        machine.firmware.carrier = |_, _| Err(io::ErrorKind::NotFound.into());
        fs::remove_dir_all(root.path().join("sys")).expect("it was there");
        assert_eq!(reads(&mut machine), []);
    }
}
