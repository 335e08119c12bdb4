//! CPU usage of the whole machine, by sysinfo from `/proc/stat`.
//!
//! It is a share of the time since the reading before, so the first reading has none: unknown.

use super::{Machine, Report, SensorError};
use crate::clock::Moment;
use rackside_proto::{Scale, Value, metric};
use std::fmt;
use std::time::Instant;
use sysinfo::{MINIMUM_CPU_UPDATE_INTERVAL, System};

/// Thousandths.
const SCALE: Scale = Scale::per(1000);

/// The counters of the reading before, kept by sysinfo, and when that was.
#[derive(Default)]
pub(super) struct State {
    system: Option<System>,
    at: Option<Instant>,
    last: Option<i64>,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("at", &self.at).field("last", &self.last).finish_non_exhaustive()
    }
}

pub(super) fn read(machine: &mut Machine, moment: &Moment, report: &mut Report) -> Result<(), SensorError> {
    let state = &mut machine.cpu;
    let system = match &mut state.system {
        Some(system) => system,
        none => none.insert(System::new().map_err(|error| SensorError::new("the processors' times", error))?),
    };
    // sysinfo keeps its figures when it is asked again too soon; so do we.
    let apart = state.at.map(|before| moment.now.saturating_duration_since(before));
    if apart.is_none_or(|apart| apart >= MINIMUM_CPU_UPDATE_INTERVAL) {
        system.refresh_cpu_usage();
        // sysinfo shows a file that it cannot read as a machine without processors, and those as idle.
        if system.cpus().is_empty() {
            state.at = None;
            return Err(SensorError::new("/proc/stat", "it tells no processors"));
        }
        state.at = Some(moment.now);
        state.last = apart.and_then(|_| convert(system.global_cpu_usage()));
    }
    report.put_value(&metric::CPU_USAGE, &[], SCALE, state.last.map_or(Value::Unknown, Value::Known));
    Ok(())
}

/// Per cent of all processors' time as thousandths, held within 0 to 1.
fn convert(percent: f32) -> Option<i64> {
    percent.is_finite().then(|| SCALE.number(f64::from(percent.clamp(0.0, 100.0)) / 100.0)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, Trust};
    use std::time::Duration;

    #[test]
    fn per_cent_become_thousandths_within_bounds() {
        assert_eq!(convert(12.34), Some(123));
        assert_eq!(convert(100.1), Some(1000));
        assert_eq!(convert(-0.5), Some(0));
        assert_eq!(convert(f32::NAN), None);
    }

    #[test]
    fn the_first_reading_is_unknown_and_the_next_is_not() {
        let mut machine = Machine::default();
        let mut moment = Clock::new(Trust::Auto, std::path::Path::new("/proc")).read();
        let mut value = |moment: &Moment| {
            let mut report = Report::default();
            read(&mut machine, moment, &mut report).expect("every Linux has /proc/stat");
            report.entries()[0].value
        };
        assert_eq!(value(&moment), Value::Unknown);
        moment.now += Duration::from_secs(10);
        assert!(matches!(value(&moment), Value::Known(0..=1000)));
    }
}
