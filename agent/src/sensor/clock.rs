//! Whether the kernel says that its clock is synchronised, as `crate::clock` asked it for this very reading.

use super::{Machine, Report, SensorError};
use crate::clock::Moment;
use rackside_proto::{Scale, Value, metric};

pub(super) fn read(_: &mut Machine, moment: &Moment, report: &mut Report) -> Result<(), SensorError> {
    let synchronised =
        moment.synchronised.ok_or_else(|| SensorError::new("the clock's state", "adjtimex failed"))?;
    let value = Value::Known(i64::from(synchronised));
    report.put_value(&metric::CLOCK_SYNCHRONIZED, &[], Scale::ONE, value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, Trust};

    #[test]
    fn a_kernel_that_does_not_answer_is_a_failure_not_a_no() {
        let mut moment = Clock::new(Trust::Auto, std::path::Path::new("/proc")).read();
        let mut read_with = |synchronised| {
            moment.synchronised = synchronised;
            let mut report = Report::default();
            read(&mut Machine::default(), &moment, &mut report).map(|()| report.entries()[0].value)
        };
        assert_eq!(read_with(Some(true)), Ok(Value::Known(1)));
        assert_eq!(read_with(Some(false)), Ok(Value::Known(0)));
        assert!(read_with(None).is_err());
    }
}
