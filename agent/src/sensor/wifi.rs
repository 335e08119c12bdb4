//! How well the access point is heard, from `/proc/net/wireless`.
//!
//! ```text
//! Inter-| sta-|   Quality        |   Discarded packets               | Missed | WE
//!  face | tus | link level noise |  nwid  crypt   frag  retry   misc | beacon | 22
//!  wlan0: 0000   54.  -56.  -256        0      0      0      0      0        0
//! ```
//!
//! The level is in dBm; a point behind it says that it is fresh. The file exists in kernels with the old interface for wireless programs,
//! as those of Raspberry Pi OS and Debian are; elsewhere there is no signal to report. An interface that is not connected is not listed, or
//! has no level.

use super::kept::word;
use super::{Machine, Report, SensorError};
use crate::clock::Moment;
use rackside_proto::{Scale, Value, metric};

/// From the faintest that any receiver can use to what stands beside the antenna. A driver that counts otherwise is not in dBm.
const PLAUSIBLE: std::ops::RangeInclusive<i64> = -120..=-1;

/// Of a level that is not known, as of noise.
const NOT_KNOWN: i64 = -256;

pub(super) fn read(machine: &mut Machine, _: &Moment, report: &mut Report) -> Result<(), SensorError> {
    let path = machine.roots.proc.join("net/wireless");
    let Some(table) = word(&path).map_err(|error| SensorError::new(path.display(), error))? else {
        return Ok(());
    };
    for (name, level) in table.lines().skip(2).filter_map(parse) {
        report.put_value(&metric::WIFI_SIGNAL, &[name], Scale::ONE, level);
    }
    Ok(())
}

/// An interface's name and level; `None` for a line of something else, and for a level that is not one in dBm.
fn parse(line: &str) -> Option<(&str, Value)> {
    let (name, numbers) = line.split_once(':')?;
    let level = numbers.split_whitespace().nth(2)?.trim_end_matches('.').parse().ok()?;
    match level {
        NOT_KNOWN => Some((name.trim(), Value::Unknown)),
        level => PLAUSIBLE.contains(&level).then(|| (name.trim(), Value::Known(level))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Roots;
    use super::*;
    use crate::clock::{Clock, Trust};
    use std::fs;

    #[test]
    fn the_level_stands_behind_the_link_with_a_point_or_without() {
        let told = |level: &str| {
            let line =
                format!(" wlan0: 0000   54.  {level}  -256        0      0      0      0      0        0");
            parse(&line).map(|(name, value)| (name == "wlan0", value))
        };
        for (level, value) in [("-56.", -56), ("-56", -56), ("-120.", -120)] {
            assert_eq!(told(level), Some((true, Value::Known(value))), "{level}");
        }
        assert_eq!(told("-256."), Some((true, Value::Unknown)));
        for level in ["0", "54.", "-121", "loud", "-200"] {
            assert_eq!(told(level), None, "{level} is no level in dBm");
        }
        for line in ["", "wlan0", "wlan0:", "wlan0: 0000 54."] {
            assert_eq!(parse(line), None, "{line}");
        }
    }

    #[test]
    fn a_kernel_without_the_file_has_no_signal_and_one_that_does_not_answer_fails() {
        let root = tempfile::tempdir().expect("a temporary directory");
        let mut machine = Machine::new(Roots::below(root.path()));
        let moment = Clock::new(Trust::Auto, root.path()).read();
        let mut reads = || {
            let mut report = Report::default();
            read(&mut machine, &moment, &mut report)
                .map(|()| report.entries().iter().map(|entry| entry.value).collect::<Vec<_>>())
        };
        assert_eq!(reads(), Ok(vec![]));
        let net = root.path().join("proc/net");
        fs::create_dir_all(&net).expect("directories");
        fs::write(
            net.join("wireless"),
            "a\nb\n wlan0: 0000 54. -56. -256 0 0 0 0 0 0\n wlan1: 0000 0 0 0 0 0 0 0 0 0\n",
        )
        .expect("written");
        assert_eq!(reads(), Ok(vec![Value::Known(-56)]));
        fs::remove_file(net.join("wireless")).expect("it was there");
        std::os::unix::fs::symlink("/proc/self/mem", net.join("wireless"))
            .expect("a link to what answers with EIO");
        assert!(reads().is_err());
    }
}
