//! The panel's series, as they stand at the moment of the reading; the panel itself is stepped by the agent's loop, and tells each change of
//! a tally by an event of its own.

use super::{Machine, Report, SensorError};
use crate::clock::Moment;
use rackside_proto::Scale;

#[expect(clippy::unnecessary_wraps, reason = "every sensor may fail, and this one happens not to")]
pub(super) fn read(machine: &mut Machine, _: &Moment, report: &mut Report) -> Result<(), SensorError> {
    for reading in &machine.panel {
        let labels: Vec<&str> = reading.labels.iter().map(String::as_str).collect();
        report.put_value(reading.metric, &labels, Scale::ONE, reading.value);
    }
    Ok(())
}
