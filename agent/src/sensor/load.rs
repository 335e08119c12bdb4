//! Load averages, from `/proc/loadavg`: `0.52 0.58 0.59 1/467 12345`.

use super::{Machine, Report, SensorError, text};
use crate::clock::Moment;
use rackside_proto::{Scale, metric};

/// Hundredths, as the kernel writes them.
const SCALE: Scale = Scale::per(100);

pub(super) fn read(machine: &mut Machine, _: &Moment, report: &mut Report) -> Result<(), SensorError> {
    let path = machine.roots.proc.join("loadavg");
    let averages =
        parse(&text(&path)?).ok_or_else(|| SensorError::new(path.display(), "not three load averages"))?;
    for (metric, load) in [&metric::LOAD1, &metric::LOAD5, &metric::LOAD15].into_iter().zip(averages) {
        report.put(metric, &[], SCALE, load);
    }
    Ok(())
}

fn parse(text: &str) -> Option<[f64; 3]> {
    let mut words = text.split_whitespace();
    let mut next = || words.next()?.parse().ok().filter(|load: &f64| *load >= 0.0);
    Some([next()?, next()?, next()?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_averages_come_first() {
        assert_eq!(parse("0.52 0.58 12.59 1/467 12345\n"), Some([0.52, 0.58, 12.59]));
    }

    #[test]
    fn less_is_an_error() {
        for text in ["", "0.52 0.58", "a b c", "0.1 -1 0.1", "0.1 NaN 0.1"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
