//! Text in quotes as Go writes it with `%q`, which is how Prometheus shows the values of labels and the strings of a query. What stands between
//! quotes in a query is read in `parse/text.rs`.
//!
//! A character is shown as it is where Go takes it for printable: a letter, a mark, a number, punctuation, a symbol or the space, and no other
//! space. Which characters are that depends on the edition of Unicode: Debian's Prometheus has the one of 2020, the crate `regex` a later one.
//! A character that was added between them is shown here and is `\u…` there.
//!
//! Sample: a tab and `Bühne "A"` are written `"\tBühne \"A\""`.

use std::fmt;
use std::sync::LazyLock;

use regex::Regex;

/// Text that is written in quotes.
pub(crate) struct Quoted<'t>(pub(crate) &'t str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        let mut plain = self.0;
        while let Some(at) = plain.find(|c| !is_plain(c)) {
            let (before, rest) = plain.split_at(at);
            f.write_str(before)?;
            let mut rest = rest.chars();
            rest.next().map_or(Ok(()), |c| escape(c, f))?;
            plain = rest.as_str();
        }
        f.write_str(plain)?;
        f.write_str("\"")
    }
}

/// Whether Go writes the character as it is.
fn is_plain(c: char) -> bool {
    static PRINTABLE: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^[\p{L}\p{M}\p{N}\p{P}\p{S}]").expect("a pattern of this crate's own"));
    match c {
        '"' | '\\' => false,
        ' '..='~' => true,
        c if c.is_ascii() => false,
        c => PRINTABLE.is_match(c.encode_utf8(&mut [0; 4])),
    }
}

fn escape(c: char, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match c {
        '"' => f.write_str("\\\""),
        '\\' => f.write_str("\\\\"),
        '\x07' => f.write_str("\\a"),
        '\x08' => f.write_str("\\b"),
        '\x0c' => f.write_str("\\f"),
        '\n' => f.write_str("\\n"),
        '\r' => f.write_str("\\r"),
        '\t' => f.write_str("\\t"),
        '\x0b' => f.write_str("\\v"),
        c if c.is_ascii() => write!(f, "\\x{:02x}", u32::from(c)),
        c if u32::from(c) < 0x1_0000 => write!(f, "\\u{:04x}", u32::from(c)),
        c => write!(f, "\\U{:08x}", u32::from(c)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_quoted_as_go_quotes_it() {
        for (text, quoted) in [
            ("", r#""""#),
            ("hall-1", r#""hall-1""#),
            ("a\"b\\c`d'", r#""a\"b\\c`d'""#),
            ("\x07\x08\x0c\n\r\t\x0b\0\x1b\x7f", r#""\a\b\f\n\r\t\v\x00\x1b\x7f""#),
            ("Bühne 中文 ½ € e\u{301} 😀", "\"Bühne 中文 ½ € e\u{301} 😀\""),
            (
                "\u{85}\u{a0}\u{ad}\u{200b}\u{2028}\u{3000}\u{e000}\u{feff}",
                r#""\u0085\u00a0\u00ad\u200b\u2028\u3000\ue000\ufeff""#,
            ),
            ("\u{fffd}\u{10ffff}\u{e0001}", "\"\u{fffd}\\U0010ffff\\U000e0001\""),
        ] {
            assert_eq!(Quoted(text).to_string(), quoted);
        }
    }
}
