//! The upper bound of a histogram's bucket, as the label `le` has it. The same bound has to be the same text everywhere, or the same bucket
//! is two series: it is written as OpenMetrics wants it, and as Prometheus 3 stores it whoever sent it.
//!
//! ```
//! use rackside_proto::Bound;
//!
//! assert_eq!(Bound::parse("5").expect("a number").to_string(), "5.0");
//! assert_eq!(Bound::parse("inf").expect("a number").to_string(), "+Inf");
//! assert_eq!(Bound::parse("soon"), None);
//! ```

use core::cmp::Ordering;
use core::fmt::{self, Write};

/// The upper bound of a bucket: any number, or infinity for the bucket that everything is in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bound(f64);

impl Bound {
    /// The number in `text`.
    pub fn parse(text: &str) -> Option<Self> {
        let bound: f64 = text.parse().ok()?;
        // No bucket tells zero from minus zero.
        (!bound.is_nan() && bound != f64::NEG_INFINITY).then_some(Self(bound + 0.0))
    }

    /// Whether everything is in this bucket.
    pub fn is_infinite(self) -> bool {
        self.0 == f64::INFINITY
    }
}

impl Eq for Bound {}

impl Ord for Bound {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Bound {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Bound {
    /// As Go's `%g` does, with a `.0` where there is neither point nor exponent.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(value) = *self;
        if self.is_infinite() {
            return f.write_str("+Inf");
        }
        if value != 0.0 && !(1e-4..1e6).contains(&value.abs()) {
            let mut text = heapless::String::<32>::new();
            write!(text, "{value:e}")?;
            let (digits, exponent) = text.split_once('e').ok_or(fmt::Error)?;
            let exponent: i32 = exponent.parse().map_err(|_| fmt::Error)?;
            return write!(f, "{digits}e{exponent:+03}");
        }
        if value % 1.0 == 0.0 { write!(f, "{value:.1}") } else { write!(f, "{value}") }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use proptest::prelude::*;
    use std::string::ToString;

    fn written(text: &str) -> Option<std::string::String> {
        Bound::parse(text).map(|bound| bound.to_string())
    }

    #[test]
    fn a_bound_is_written_as_go_writes_it_with_a_point() {
        for (text, expected) in [
            ("0.5", "0.5"),
            ("1", "1.0"),
            ("1.0", "1.0"),
            ("+60", "60.0"),
            ("-0", "0.0"),
            ("-2.50", "-2.5"),
            ("0.0001", "0.0001"),
            ("0.00001", "1e-05"),
            ("999999", "999999.0"),
            ("1000000", "1e+06"),
            ("1500000", "1.5e+06"),
            ("1e300", "1e+300"),
            ("Inf", "+Inf"),
            ("+Inf", "+Inf"),
        ] {
            assert_eq!(written(text).as_deref(), Some(expected), "{text}");
        }
        for text in ["", "NaN", "-Inf", "soon", "1 ", "0x10"] {
            assert_eq!(written(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_number_is_written_so_that_it_reads_back(value in prop::num::f64::NORMAL | prop::num::f64::ZERO | prop::num::f64::SUBNORMAL) {
            let bound = Bound(value);
            prop_assert!(Bound::parse(&bound.to_string()).is_some_and(|read| read.0.to_bits() == value.to_bits()));
        }
    }
}
