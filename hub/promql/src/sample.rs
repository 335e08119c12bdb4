//! One reading of one series, and the mark that a series has ended. Not a window of them: `window.rs`.
//!
//! Values are plain `f64`; NaN and the infinities are values like any other. One NaN is not: [`STALE`], with the bits that
//! Prometheus gives it, says that from this moment on the series has no value.
//!
//! Sample: `Sample { at: 1_795_145_096_123, value: 41.5 }`.

/// One reading.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Milliseconds since 1970.
    pub at: i64,
    /// The value, or [`STALE`].
    pub value: f64,
}

/// Ends a series: from this sample on it has no value, without waiting for the look-back of five minutes.
pub const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

/// Whether `value` is the mark [`STALE`], and not just any NaN.
pub fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE.to_bits()
}

impl Sample {
    /// A sample of `value` at `at` milliseconds since 1970.
    pub fn new(at: i64, value: f64) -> Self {
        Self { at, value }
    }

    /// Whether this sample says that the series has ended.
    pub fn is_stale(&self) -> bool {
        is_stale(self.value)
    }
}

/// Equal in bits, so that NaN equals itself and a stale mark no other NaN.
impl PartialEq for Sample {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at && self.value.to_bits() == other.value.to_bits()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ordinary_nan_is_a_value_and_the_mark_is_not() {
        assert!(Sample::new(0, STALE).is_stale());
        assert!(!Sample::new(0, f64::NAN).is_stale());
        assert!(!Sample::new(0, f64::INFINITY).is_stale());
    }
}
