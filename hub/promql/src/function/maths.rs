//! Functions of one value: `abs`, `ceil`, `floor`, `round`, `sgn`, `clamp*`, `sqrt`, exponentials and logarithms.
//!
//! Where Go's library computes by another formula than Rust's and the two differ by more than the last digits, Go's formula is used.

use std::f64::consts::LOG2_E;

/// The sign; zero of either sign and NaN are their own.
pub(super) fn sgn(value: f64) -> f64 {
    if value < 0.0 {
        -1.0
    } else if value > 0.0 {
        1.0
    } else {
        value
    }
}

/// To the nearest multiple of `scalars[0]`, or of 1; halves go up.
pub(super) fn round(value: f64, scalars: &[f64]) -> Option<f64> {
    // 1/0.1 is exact enough to make 0.1's multiples come out clean.
    let inverse = 1.0 / scalars.first().copied().unwrap_or(1.0);
    Some((value * inverse + 0.5).floor() / inverse)
}

/// Into `scalars[0]` to `scalars[1]`; no answer if there is nothing between them.
pub(super) fn clamp(value: f64, scalars: &[f64]) -> Option<f64> {
    let [low, high] = scalars else { return None };
    // NaN as a bound is no reason to drop the value: it becomes NaN.
    if high < low { None } else { Some(larger(*low, smaller(*high, value))) }
}

pub(super) fn clamp_max(value: f64, scalars: &[f64]) -> Option<f64> {
    scalars.first().map(|high| smaller(*high, value))
}

pub(super) fn clamp_min(value: f64, scalars: &[f64]) -> Option<f64> {
    scalars.first().map(|low| larger(*low, value))
}

/// Go's `math.Min`: NaN unless one of the two is minus infinity, -0 below 0.
fn smaller(a: f64, b: f64) -> f64 {
    if a == f64::NEG_INFINITY || b == f64::NEG_INFINITY {
        f64::NEG_INFINITY
    } else if a.is_nan() || b.is_nan() {
        f64::NAN
    } else if a < b || (a == b && a.is_sign_negative()) {
        a
    } else {
        b
    }
}

/// Go's `math.Max`: NaN unless one of the two is infinity, 0 above -0.
fn larger(a: f64, b: f64) -> f64 {
    -smaller(-a, -b)
}

/// By the exponent and the logarithm of what remains: near 1 the difference of the two loses digits, in Go as here.
pub(super) fn log2(value: f64) -> f64 {
    let (fraction, exponent) = parts(value);
    // Powers of two are exact.
    if fraction == 0.5 { exponent - 1.0 } else { fraction.ln() * LOG2_E + exponent }
}

/// `value` as a fraction within [0.5, 1) times a power of two; zero, infinities and NaN have the exponent 0.
fn parts(value: f64) -> (f64, f64) {
    const FRACTION_BITS: u32 = 52;
    const EXPONENT: u64 = 0x7ff << FRACTION_BITS;
    /// The exponent of [0.5, 1).
    const HALF: u64 = 1022;
    if value == 0.0 || !value.is_finite() {
        return (value, 0.0);
    }
    let (normal, shift) =
        if value.abs() < f64::MIN_POSITIVE { (value * 4_503_599_627_370_496.0, 52.0) } else { (value, 0.0) };
    let bits = normal.to_bits();
    let exponent = ((bits & EXPONENT) >> FRACTION_BITS) as f64 - HALF as f64 - shift;
    (f64::from_bits(bits & !EXPONENT | HALF << FRACTION_BITS), exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INF: f64 = f64::INFINITY;
    const NAN: f64 = f64::NAN;

    #[test]
    fn halves_round_up() {
        for (value, nearest, expected) in [
            (2.5, 1.0, 3.0),
            (-2.5, 1.0, -2.0),
            (-0.5, 1.0, 0.0),
            (12.25, 0.5, 12.5),
            (1.94, 0.1, 1.9),
            (7.0, -5.0, 5.0),
        ] {
            assert_eq!(round(value, &[nearest]), Some(expected), "round({value}, {nearest})");
        }
        assert_eq!(round(2.5, &[]), Some(3.0));
        assert!(round(2.5, &[0.0]).is_some_and(f64::is_nan));
    }

    #[test]
    fn signs_keep_zero_and_nan() {
        assert_eq!([sgn(-INF), sgn(-0.0), sgn(1e-300)], [-1.0, 0.0, 1.0]);
        assert!(sgn(-0.0).is_sign_negative());
        assert!(sgn(NAN).is_nan());
    }

    #[test]
    fn clamping_to_nothing_drops_the_value() {
        assert_eq!(clamp(5.0, &[1.0, 3.0]), Some(3.0));
        assert_eq!(clamp(5.0, &[3.0, 1.0]), None);
        assert_eq!(clamp(5.0, &[3.0, 3.0]), Some(3.0));
    }

    #[test]
    fn clamping_nan_gives_nan_unless_an_infinity_decides() {
        assert!(clamp(5.0, &[NAN, 3.0]).is_some_and(f64::is_nan));
        assert!(clamp_max(NAN, &[3.0]).is_some_and(f64::is_nan));
        assert_eq!(clamp_max(NAN, &[-INF]), Some(-INF));
        assert_eq!(clamp_min(NAN, &[INF]), Some(INF));
    }

    #[test]
    fn logarithms_of_powers_are_exact() {
        for exponent in [-1022, -3, 0, 1, 10, 1023] {
            assert_eq!(log2(2f64.powi(exponent)), f64::from(exponent));
        }
        let smallest = f64::from_bits(1);
        assert_eq!(log2(smallest), -1074.0);
    }

    #[test]
    fn logarithms_have_limits() {
        assert_eq!([log2(0.0), log2(INF)], [-INF, INF]);
        assert!(log2(-1.0).is_nan() && log2(NAN).is_nan());
    }
}
