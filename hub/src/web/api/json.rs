//! JSON to the byte as Prometheus writes it, which is Go's: what HTML knows is escaped in strings, whole numbers have no `.0`.
//! What is in it is for others to say.
//!
//! ```text
//! {"error":"1:3: parse error: unexpected \u003cop:-\u003e"}   [1795145096.5,"41.5"]   [1795145096.500,"1e-07"]
//! ```
//!
//! There are two ways to write a time there: within scalars and strings it is a number like any other, within vectors and matrices
//! one with three digits or none behind the point.

use serde::Serialize;
use serde_json::ser::{CharEscape, Formatter, Serializer};
use std::io::{self, Write};

/// How Go writes what `serde_json` would write otherwise.
struct Go;

impl Formatter for Go {
    fn write_f64<W: ?Sized + Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        writer.write_all(number(value).as_bytes())
    }

    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(['<', '>', '&', '\u{2028}', '\u{2029}']) {
            let (plain, special) = rest.split_at(at);
            writer.write_all(plain.as_bytes())?;
            let mut after = special.chars();
            if let Some(c) = after.next() {
                write!(writer, "\\u{:04x}", u32::from(c))?;
            }
            rest = after.as_str();
        }
        writer.write_all(rest.as_bytes())
    }

    fn write_char_escape<W: ?Sized + Write>(&mut self, writer: &mut W, escape: CharEscape) -> io::Result<()> {
        let text = match escape {
            CharEscape::Quote => "\\\"",
            CharEscape::ReverseSolidus => "\\\\",
            CharEscape::Solidus => "/",
            CharEscape::LineFeed => "\\n",
            CharEscape::CarriageReturn => "\\r",
            CharEscape::Tab => "\\t",
            CharEscape::Backspace => "\\u0008",
            CharEscape::FormFeed => "\\u000c",
            CharEscape::AsciiControl(byte) => return write!(writer, "\\u{byte:04x}"),
        };
        writer.write_all(text.as_bytes())
    }
}

/// A number as Go's JSON has it: the fewest digits that give it back, with an exponent where it is very small or very large.
fn number(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{value:e}");
        // Go says which way a large one goes.
        return if size < 1.0 { text } else { text.replace('e', "e+") };
    }
    value.to_string()
}

/// Appends `value`.
pub(super) fn write<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    let mut serializer = Serializer::with_formatter(out, Go);
    value
        .serialize(&mut serializer)
        .expect("a Vec takes every write, and what is written has strings for keys");
}

/// Appends a time in milliseconds since 1970 as vectors and matrices have it, in seconds: `1795145096.120`.
pub(super) fn write_time(out: &mut Vec<u8>, ms: i64) {
    let size = ms.unsigned_abs();
    let sign = if ms < 0 { "-" } else { "" };
    let written = match size % 1000 {
        0 => write!(out, "{sign}{}", size / 1000),
        rest => write!(out, "{sign}{}.{rest:03}", size / 1000),
    };
    written.expect("a Vec takes every write");
}

/// A text in quotes as Go's `%q` has it, for error texts.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            c if c.is_ascii_control() => out.extend(["\\x", &format!("{:02x}", u32::from(c))]),
            // Rust knows which ones cannot be printed, and writes those alone with an escape.
            c if c != '\'' && c.escape_debug().len() > 1 => {
                let code = u32::from(c);
                let escape = if code > 0xffff { format!("\\U{code:08x}") } else { format!("\\u{code:04x}") };
                out.push_str(&escape);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written<T: Serialize + ?Sized>(value: &T) -> String {
        let mut out = Vec::new();
        write(&mut out, value);
        String::from_utf8(out).expect("JSON is text")
    }

    #[test]
    fn strings_are_escaped_as_go_escapes_them() {
        assert_eq!(written("a<b>&\"c\"\\/'"), r#""a\u003cb\u003e\u0026\"c\"\\/'""#);
        assert_eq!(
            written("\u{8}\u{c}\n\r\t\u{1}\u{7f}\u{2028}é"),
            "\"\\u0008\\u000c\\n\\r\\t\\u0001\u{7f}\\u2028é\""
        );
    }

    #[test]
    fn numbers_are_as_short_as_gos() {
        for (value, text) in [
            (1.0, "1"),
            (0.0, "0"),
            (-1.5, "-1.5"),
            (1_795_145_096.123, "1795145096.123"),
            (0.000_001, "0.000001"),
            (1e-7, "1e-7"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
        ] {
            assert_eq!(written(&value), text);
        }
    }

    #[test]
    fn times_have_three_digits_or_none() {
        for (ms, text) in [
            (0, "0"),
            (1500, "1.500"),
            (-1005, "-1.005"),
            (-5, "-0.005"),
            (2000, "2"),
            (i64::MIN, "-9223372036854775.808"),
        ] {
            let mut out = Vec::new();
            write_time(&mut out, ms);
            assert_eq!(out, text.as_bytes());
        }
    }

    #[test]
    fn quotes_are_gos() {
        assert_eq!(
            quoted("a\"b'\\\n\u{1}\u{7f}é\u{200b}\u{1f600}"),
            "\"a\\\"b'\\\\\\n\\x01\\x7fé\\u200b\u{1f600}\""
        );
    }
}
