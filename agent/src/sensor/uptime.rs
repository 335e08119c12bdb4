//! Time since the machine started, from `/proc/uptime`: `350735.47 234388.90` (seconds up, seconds idle).

use super::{Machine, Report, SensorError, text};
use crate::clock::Moment;
use rackside_proto::{Scale, metric};

pub(super) fn read(machine: &mut Machine, _: &Moment, report: &mut Report) -> Result<(), SensorError> {
    let path = machine.roots.proc.join("uptime");
    let seconds =
        parse(&text(&path)?).ok_or_else(|| SensorError::new(path.display(), "no number of seconds"))?;
    report.put(&metric::UPTIME, &[], Scale::ONE, seconds);
    Ok(())
}

fn parse(text: &str) -> Option<f64> {
    text.split_whitespace().next()?.parse().ok().filter(|seconds: &f64| *seconds >= 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_counts() {
        assert_eq!(parse("350735.47 234388.90\n"), Some(350_735.47));
        assert_eq!(parse(""), None);
        assert_eq!(parse("-1 0"), None);
    }
}
