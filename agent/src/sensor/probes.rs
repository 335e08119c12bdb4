//! The probes' series, as they stand at the moment of the reading; the probes themselves run on schedules of their own, and what changed in
//! one is told by an event at its own moment.

use super::{Machine, Report, SensorError};
use crate::clock::Moment;

#[expect(clippy::unnecessary_wraps, reason = "every sensor may fail, and this one happens not to")]
pub(super) fn read(machine: &mut Machine, _: &Moment, report: &mut Report) -> Result<(), SensorError> {
    for series in &machine.probes {
        let labels: Vec<&str> = series.labels.iter().map(String::as_str).collect();
        report.put_value(series.metric, &labels, series.scale, series.value);
    }
    Ok(())
}
