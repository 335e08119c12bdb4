//! Go's literals in templates: strings, characters, numbers. Not how values are printed: `format.rs`.
//!
//! Sample: `"a\tb"` is `a<tab>b`; `0x1F` is the integer 31 and the float 31; `1e3` is both as well, and counts as a float where its type matters.

/// A number as it was written, in each of the types that it fits.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Number {
    pub(super) text: String,
    /// Its value as an integer, if it is one.
    pub(super) int: Option<i64>,
    pub(super) float: f64,
    /// Written with a point or an exponent, or beyond the integers of 64 bits.
    pub(super) is_float: bool,
}

/// Reads a number.
pub(super) fn number(text: &str) -> Result<Number, String> {
    let illegal = || format!("illegal number syntax: {text:?}");
    if text.ends_with('i') {
        return Err(format!("complex numbers are not taken: {text}"));
    }
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, body) = match lower.get(..2) {
        Some("0x") => (16, &lower[2..]),
        Some("0o") => (8, &lower[2..]),
        Some("0b") => (2, &lower[2..]),
        _ if lower.starts_with('0') && lower.len() > 1 && !lower.contains(['.', 'e']) => (8, &lower[1..]),
        _ => (10, &lower[..]),
    };
    if !underscores_part_digits(&lower) {
        return Err(illegal());
    }
    let plain = body.replace('_', "");
    let sign = if negative { -1.0 } else { 1.0 };
    if let Ok(whole) = u64::from_str_radix(&plain, radix) {
        let int = if negative { 0_i64.checked_sub_unsigned(whole) } else { i64::try_from(whole).ok() };
        if int.is_none() && negative {
            return Err(format!("integer overflow: {text:?}"));
        }
        let float = int.map_or(whole as f64, |int| int as f64);
        return Ok(Number { text: text.to_owned(), int, float, is_float: false });
    }
    if radix != 10 || !plain.contains(['.', 'e']) {
        let is_huge = radix == 10 && !plain.is_empty() && plain.bytes().all(|byte| byte.is_ascii_digit());
        return Err(if is_huge { format!("integer overflow: {text:?}") } else { illegal() });
    }
    let float = plain.parse::<f64>().ok().filter(|float| float.is_finite()).ok_or_else(illegal)? * sign;
    let int = (float.fract() == 0.0 && float.abs() < 9.2e18).then_some(float as i64);
    Ok(Number { text: text.to_owned(), int, float, is_float: true })
}

/// An underscore stands between digits only, or behind the base.
fn underscores_part_digits(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.iter().enumerate().all(|(at, byte)| {
        let digit = |place: Option<usize>| {
            place.and_then(|place| bytes.get(place)).is_some_and(u8::is_ascii_hexdigit)
        };
        let base = at == 2 && (text.starts_with("0x") || text.starts_with("0o"));
        *byte != b'_' || ((digit(at.checked_sub(1)) || base) && digit(at.checked_add(1)))
    })
}

/// The character between single quotes, as the number that it is in Go.
pub(super) fn character(written: &str) -> Result<Number, String> {
    let malformed = || format!("malformed character constant: {written}");
    let inside = written.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')).ok_or_else(malformed)?;
    let mut rest = inside;
    let piece = piece(&mut rest, '\'').ok_or_else(malformed)?;
    let value = match piece {
        Piece::Char(c) => i64::from(u32::from(c)),
        Piece::Byte(byte) => i64::from(byte),
    };
    if !rest.is_empty() {
        return Err(malformed());
    }
    Ok(Number { text: written.to_owned(), int: Some(value), float: value as f64, is_float: false })
}

/// The text between quotes or back quotes, single quotes included, which PromQL has. What its escapes make and is no UTF-8 becomes U+FFFD.
pub(crate) fn text(written: &str) -> Result<String, String> {
    if let Some(raw) = written.strip_prefix('`').and_then(|rest| rest.strip_suffix('`')) {
        return Ok(raw.replace('\r', ""));
    }
    let wrong = || "invalid syntax".to_owned();
    let quote = if written.starts_with('\'') { '\'' } else { '"' };
    let mut rest = written.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)).ok_or_else(wrong)?;
    let mut bytes = Vec::with_capacity(rest.len());
    while !rest.is_empty() {
        match piece(&mut rest, quote).ok_or_else(wrong)? {
            Piece::Char(c) => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            Piece::Byte(byte) => bytes.push(byte),
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

enum Piece {
    Char(char),
    Byte(u8),
}

/// The next character of a quoted text; none if it is no such thing.
fn piece(rest: &mut &str, quote: char) -> Option<Piece> {
    let mut chars = rest.chars();
    let first = chars.next()?;
    *rest = chars.as_str();
    if first != '\\' {
        return (first != quote && first != '\n').then_some(Piece::Char(first));
    }
    let escape = chars.next()?;
    *rest = chars.as_str();
    let plain = match escape {
        'a' => '\x07',
        'b' => '\x08',
        'f' => '\x0c',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\x0b',
        '\\' => '\\',
        '\'' | '"' if escape == quote => escape,
        'x' => return u8::try_from(digits(rest, 2, 16)?).ok().map(Piece::Byte),
        'u' => return char::from_u32(digits(rest, 4, 16)?).map(Piece::Char),
        'U' => return char::from_u32(digits(rest, 8, 16)?).map(Piece::Char),
        '0'..='7' => {
            let behind = digits(rest, 2, 8)?;
            return u8::try_from(escape.to_digit(8)? * 64 + behind).ok().map(Piece::Byte);
        }
        _ => return None,
    };
    Some(Piece::Char(plain))
}

fn digits(rest: &mut &str, count: usize, radix: u32) -> Option<u32> {
    let (written, behind) = rest.split_at_checked(count)?;
    *rest = behind;
    written.chars().all(|c| c.is_digit(radix)).then(|| u32::from_str_radix(written, radix).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_have_gos_escapes() {
        assert_eq!(text(r#""a\t\"\u00e9\x41\101\\""#), Ok("a\t\"éAA\\".to_owned()));
        assert_eq!(text(r"`a\t`"), Ok(r"a\t".to_owned()));
        for wrong in [r#""\q""#, r#""\'""#, r#""\x4""#, r#""\400""#, r#""\ud800""#] {
            assert!(text(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn characters_are_numbers() {
        assert_eq!(character("'a'").map(|n| n.int), Ok(Some(97)));
        assert_eq!(character(r"'\''").map(|n| n.int), Ok(Some(39)));
        assert!(character("'ab'").is_err());
        assert!(character("''").is_err());
    }

    #[test]
    fn numbers_are_of_the_type_that_they_are_written_as() {
        let read = |text: &str| number(text).map(|n| (n.int, n.float, n.is_float));
        assert_eq!(read("017"), Ok((Some(15), 15.0, false)));
        assert_eq!(read("-0x1F"), Ok((Some(-31), -31.0, false)));
        assert_eq!(read("1_000"), Ok((Some(1000), 1000.0, false)));
        assert_eq!(read("1e3"), Ok((Some(1000), 1000.0, true)));
        assert_eq!(read(".5"), Ok((None, 0.5, true)));
        assert_eq!(read("18446744073709551615"), Ok((None, 18_446_744_073_709_551_615.0, false)));
        for wrong in ["089", "1__0", "_1", "1i", "18446744073709551616", ".", "0x", "+"] {
            assert!(number(wrong).is_err(), "{wrong}");
        }
    }
}
