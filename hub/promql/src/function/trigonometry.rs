//! Angles and hyperbolas: what Rust's library has is used as it is; the inverse hyperbolic functions are computed as Go does,
//! by formulas that keep their digits near 1 and do not overflow.

use std::f64::consts::{LN_2, PI};

/// Beyond this the square of a value drowns 1.
const LARGE: f64 = (1u64 << 28) as f64;

pub(super) fn acosh(value: f64) -> f64 {
    if value.is_nan() || value < 1.0 {
        f64::NAN
    } else if value >= LARGE {
        value.ln() + LN_2
    } else if value > 2.0 {
        (2.0 * value - 1.0 / (value + (value * value - 1.0).sqrt())).ln()
    } else {
        let above = value - 1.0;
        (above + (2.0 * above + above * above).sqrt()).ln_1p()
    }
}

pub(super) fn asinh(value: f64) -> f64 {
    let size = value.abs();
    let answer = if !size.is_finite() || size < 1.0 / LARGE {
        size
    } else if size > LARGE {
        size.ln() + LN_2
    } else if size > 2.0 {
        (2.0 * size + 1.0 / ((size * size + 1.0).sqrt() + size)).ln()
    } else {
        (size + size * size / (1.0 + (1.0 + size * size).sqrt())).ln_1p()
    };
    answer.copysign(value)
}

pub(super) fn atanh(value: f64) -> f64 {
    let size = value.abs();
    // Beyond 1 the logarithm's argument is below -1: NaN.
    let answer = if size < 1.0 / LARGE {
        size
    } else if size < 0.5 {
        let twice = size + size;
        0.5 * (twice + twice * size / (1.0 - size)).ln_1p()
    } else {
        0.5 * ((size + size) / (1.0 - size)).ln_1p()
    };
    answer.copysign(value)
}

pub(super) fn degrees(radians: f64) -> f64 {
    radians * 180.0 / PI
}

pub(super) fn radians(degrees: f64) -> f64 {
    degrees * PI / 180.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() <= 4.0 * f64::EPSILON * b.abs()
    }

    #[test]
    fn inverses_undo_their_functions() {
        for value in [1e-12_f64, 1e-5, 0.1, 0.49, 0.51, 1.0, 3.0, 20.0] {
            for value in [value, -value] {
                assert!(close(asinh(value.sinh()), value), "asinh {value}");
                assert!((atanh((value / 20.0).tanh()) - value / 20.0).abs() < 1e-15, "atanh {value}");
            }
        }
        for value in [0.7_f64, 1.5, 3.0, 20.0] {
            assert!(close(acosh(value.cosh()), value), "acosh {value}");
        }
    }

    #[test]
    fn values_close_to_one_keep_their_digits() {
        // The first terms of the series: sqrt(2x)·(1 - x/12).
        let above = f64::EPSILON * 16.0;
        assert!(close(acosh(1.0 + above), (2.0 * above).sqrt()));
        assert!(close(atanh(-1.0 + f64::EPSILON), -0.5 * (2.0 / f64::EPSILON).ln()));
    }

    #[test]
    fn large_values_do_not_overflow() {
        assert!(close(acosh(1e308), 709.889_355_822_726));
        assert!(close(asinh(-1e308), -709.889_355_822_726));
    }

    #[test]
    fn outside_of_their_range_they_have_no_value() {
        for value in [acosh(0.5), acosh(-3.0), atanh(1.5), atanh(-1.5), asinh(f64::NAN), atanh(f64::NAN)] {
            assert!(value.is_nan());
        }
        assert_eq!([atanh(1.0), atanh(-1.0)], [f64::INFINITY, f64::NEG_INFINITY]);
        assert_eq!([asinh(f64::NEG_INFINITY), acosh(f64::INFINITY)], [f64::NEG_INFINITY, f64::INFINITY]);
    }

    #[test]
    fn half_a_turn_is_pi() {
        assert_eq!(degrees(PI), 180.0);
        assert_eq!(radians(180.0), PI);
    }
}
