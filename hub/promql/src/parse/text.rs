//! Quoted text as Go writes it: `"a\tb"`, `'it\'s'`, `` `raw \d` ``.

/// What stands between the quotes `quote`; the error says what is wrong.
pub(super) fn unquote(inner: &str, quote: char) -> Result<String, String> {
    if quote == '`' || !inner.contains('\\') {
        return Ok(inner.to_owned());
    }
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let escape = rest.next().ok_or("escape sequence not terminated")?;
        match escape {
            'a' => bytes.push(7),
            'b' => bytes.push(8),
            'f' => bytes.push(12),
            'n' => bytes.push(b'\n'),
            'r' => bytes.push(b'\r'),
            't' => bytes.push(b'\t'),
            'v' => bytes.push(11),
            '\\' => bytes.push(b'\\'),
            c if c == quote => bytes.push(quote as u8),
            '0'..='7' => bytes.push(octal(escape, &mut rest)?),
            'x' => bytes.push(hexadecimal(&mut rest, 2)? as u8),
            'u' | 'U' => {
                let code = hexadecimal(&mut rest, if escape == 'u' { 4 } else { 8 })?;
                let c = char::from_u32(code).ok_or("escape sequence is an invalid Unicode code point")?;
                bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
            other => return Err(format!("unknown escape sequence {other:?}")),
        }
    }
    String::from_utf8(bytes).map_err(|_| "the escape sequences make a text that is not UTF-8".to_owned())
}

fn octal(first: char, rest: &mut std::str::Chars<'_>) -> Result<u8, String> {
    let mut code = first.to_digit(8).unwrap_or(0);
    for _ in 0..2 {
        let digit =
            rest.next().and_then(|c| c.to_digit(8)).ok_or("an octal escape sequence has three digits")?;
        code = code * 8 + digit;
    }
    u8::try_from(code).map_err(|_| "octal escape value above 255".to_owned())
}

fn hexadecimal(rest: &mut std::str::Chars<'_>, digits: usize) -> Result<u32, String> {
    let mut code: u32 = 0;
    for _ in 0..digits {
        let digit = rest
            .next()
            .and_then(|c| c.to_digit(16))
            .ok_or_else(|| format!("a hexadecimal escape sequence of this kind has {digits} digits"))?;
        code = code.wrapping_mul(16).wrapping_add(digit);
    }
    Ok(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_mean_what_they_mean_in_go() {
        assert_eq!(
            unquote(r#"a\n\t\\\"\x41\101\u1234\U0001F600"#, '"').unwrap(),
            "a\n\t\\\"AA\u{1234}\u{1F600}"
        );
        assert_eq!(unquote(r"it\'s", '\'').unwrap(), "it's");
        assert_eq!(unquote(r"\d\x", '`').unwrap(), r"\d\x");
        assert_eq!(unquote(r"\xc3\xa9", '"').unwrap(), "é");
    }

    #[test]
    fn broken_escapes_are_refused() {
        for wrong in [r"\d", r"\x4", r"\xff", r"\8", r"\400", r"\ud800", r"\'", "\\"] {
            assert!(unquote(wrong, '"').is_err(), "{wrong}");
        }
    }
}
