//! Floating-point numbers as Go's strconv writes them: `%e`, `%f`, `%g`, with a precision or with the fewest digits that give the number back. Signs,
//! widths and zeros before are `format.rs`'s.
//!
//! Sample: 1234567.0 is `1.234567e+06` by `%g` and `1.235e+06` with four digits.

/// What takes the place of the digits of a number that has none.
pub(super) fn odd(value: f64) -> Option<&'static str> {
    match value {
        value if value.is_nan() => Some("NaN"),
        f64::INFINITY => Some("+Inf"),
        f64::NEG_INFINITY => Some("-Inf"),
        _ => None,
    }
}

/// As `strconv.FormatFloat(value, verb, precision, 64)`, for the verbs `e`, `E`, `f`, `g`, `G`, `b`, `x`, `X`; with a `-` if it is negative.
pub(super) fn written(value: f64, verb: char, precision: Option<usize>) -> String {
    if let Some(odd) = odd(value) {
        return odd.to_owned();
    }
    match verb {
        'e' | 'E' => exponent(value, precision, verb),
        'f' => match precision {
            Some(precision) => format!("{value:.precision$}"),
            None => value.to_string(),
        },
        'b' => binary(value),
        'x' => hexadecimal(value, precision),
        'X' => hexadecimal(value, precision).to_uppercase(),
        'G' => general(value, precision, 'E'),
        _ => general(value, precision, 'e'),
    }
}

fn exponent(value: f64, precision: Option<usize>, letter: char) -> String {
    let plain = match precision {
        Some(precision) => format!("{value:.precision$e}"),
        None => format!("{value:e}"),
    };
    let (digits, exponent) = plain.split_once('e').unwrap_or((&plain, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}{letter}{sign}{:02}", exponent.unsigned_abs())
}

fn general(value: f64, precision: Option<usize>, letter: char) -> String {
    let wanted = precision.map(|precision| precision.max(1));
    let plain = match wanted {
        Some(wanted) => format!("{value:.*e}", wanted - 1),
        None => format!("{value:e}"),
    };
    let (digits, power) = plain.split_once('e').unwrap_or((&plain, "0"));
    let power: i32 = power.parse().unwrap_or_default();
    let significant = digits.bytes().filter(u8::is_ascii_digit).count();
    let trailing = digits.bytes().rev().filter(|byte| *byte != b'.').take_while(|byte| *byte == b'0').count();
    let digits = significant.saturating_sub(trailing).max(1);
    // Go's: the point stands behind so many digits.
    let before_point = power + 1;
    let mut bound = wanted.unwrap_or_default();
    if wanted.is_some() && bound > digits && i32::try_from(digits).is_ok_and(|digits| digits >= before_point)
    {
        bound = digits;
    }
    // With the fewest digits, six of them decide.
    let limit = if wanted.is_none() { 6 } else { i32::try_from(bound).unwrap_or(i32::MAX) };
    if power < -4 || power >= limit {
        return exponent(value, Some(digits - 1), letter);
    }
    let decimals = usize::try_from(i32::try_from(digits).unwrap_or(i32::MAX) - before_point).unwrap_or(0);
    format!("{value:.decimals$}")
}

/// A mantissa and a power of two, as `%b` has it.
fn binary(value: f64) -> String {
    let bits = value.to_bits();
    let fraction = bits & ((1 << 52) - 1);
    let power = i32::try_from(bits >> 52 & 0x7ff).unwrap_or_default();
    let (mantissa, power) = if power == 0 { (fraction, -1074) } else { (fraction | 1 << 52, power - 1075) };
    let sign = if value.is_sign_negative() { "-" } else { "" };
    format!("{sign}{mantissa}p{power:+}")
}

/// A mantissa in hexadecimal digits and a power of two, as `%x` has it.
fn hexadecimal(value: f64, precision: Option<usize>) -> String {
    let bits = value.to_bits();
    let sign = if value.is_sign_negative() { "-" } else { "" };
    let mut power = i32::try_from(bits >> 52 & 0x7ff).unwrap_or_default() - 1023;
    let mut mantissa = bits & ((1 << 52) - 1);
    if power > -1023 {
        mantissa |= 1 << 52;
    } else if mantissa == 0 {
        power = 0;
    } else {
        let shift = mantissa.leading_zeros() - 11;
        mantissa <<= shift;
        power = -1022 - i32::try_from(shift).unwrap_or_default();
    }
    if let Some(cut) = precision.filter(|precision| *precision < 13).map(|precision| (13 - precision) * 4) {
        let (kept, lost, half) = (mantissa >> cut, mantissa & ((1 << cut) - 1), 1 << (cut - 1));
        let up = lost > half || (lost == half && kept & 1 == 1);
        mantissa = (kept + u64::from(up)) << cut;
        if mantissa >> 53 > 0 {
            mantissa >>= 1;
            power += 1;
        }
    }
    let digits = format!("{:013x}", mantissa & ((1 << 52) - 1));
    let digits = match precision {
        None => digits.trim_end_matches('0').to_owned(),
        Some(precision) => format!("{digits:0<precision$}")[..precision].to_owned(),
    };
    let point = if digits.is_empty() { "" } else { "." };
    let direction = if power < 0 { '-' } else { '+' };
    format!("{sign}0x{}{point}{digits}p{direction}{:02}", mantissa >> 52, power.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Go 1.26 printed.
    #[test]
    fn numbers_are_written_as_go_writes_them() {
        for (value, g, g4, b, x) in [
            (1e6, "1e+06", "1e+06", "8589934592000000p-33", "0x1.e848p+19"),
            (123_456_789.0, "1.23456789e+08", "1.235e+08", "8285044862877696p-26", "0x1.d6f3454p+26"),
            (100_000.0, "100000", "1e+05", "6871947673600000p-36", "0x1.86ap+16"),
            (0.0001, "0.0001", "0.0001", "7378697629483821p-66", "0x1.a36e2eb1c432dp-14"),
            (0.00001, "1e-05", "1e-05", "5902958103587057p-69", "0x1.4f8b588e368f1p-17"),
            (15.5, "15.5", "15.5", "8725724278030336p-49", "0x1.fp+03"),
        ] {
            let all = [
                written(value, 'g', None),
                written(value, 'g', Some(4)),
                written(value, 'b', None),
                written(value, 'x', None),
            ];
            assert_eq!(all, [g, g4, b, x]);
        }
        assert_eq!([0.0, -0.0].map(|zero| written(zero, 'g', Some(4))), ["0", "-0"]);
        assert_eq!(
            [written(1.5, 'e', None), written(1.25, 'f', Some(1)), written(0.0, 'x', None)],
            ["1.5e+00", "1.2", "0x0p+00"]
        );
    }
}
