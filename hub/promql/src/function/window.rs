//! Functions of the samples in a window.

use super::Window;

pub(super) fn count(window: &Window<'_>) -> Option<f64> {
    Some(window.samples.len() as f64)
}
