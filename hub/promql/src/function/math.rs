//! Functions of one value, whatever its series.

pub(super) fn abs(value: f64, _: &[f64]) -> Option<f64> {
    Some(value.abs())
}
