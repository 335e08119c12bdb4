//! Before the grammar: bounds on the text, and what the parser would read otherwise than Prometheus 2.42, or panic at.
//!
//! Strings are unquoted here, and the parser sees their number instead: it must not compile a stranger's regular expression, nor unquote
//! it its own way. A matcher's operator goes into the string, so that the parser sees `=` only. Durations are read here and rewritten in a plain form, and are refused where only a later Prometheus takes one. The
//! rest of the text goes through as it is; where it is wrong, the parser says so.
//!
//! Sample: `x{a=~"b.*"}[1h30m]` becomes `x{a="=~0"}[5400000ms]` and the strings `["b.*"]`.

use std::str::CharIndices;

use super::text;
use crate::duration;
use crate::error::ParseError;

/// The longest query, in bytes. The longest in the wild are lists of some thousand names.
pub(super) const LENGTH: usize = 64 << 10;
/// How many brackets may be open at once.
const NESTING: usize = 64;
/// How many words and signs a query may have. The parser's time grows with their square.
const TOKENS: usize = 4_000;

/// What becomes of spaces, line breaks and comments. Not a space: in braces the parser takes `or` before one for a word of a later language.
const SPACE: char = '\t';

/// A text that the parser may see.
#[derive(Debug)]
pub(super) struct Scanned {
    pub(super) text: String,
    /// What `"0"`, `"1"`, … in the text stand for.
    pub(super) strings: Vec<String>,
    /// Each word and sign.
    pub(super) words: Vec<Word>,
}

/// Where a word or sign begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word {
    /// In the query.
    at: usize,
    /// In the text that the parser sees.
    written: usize,
}

impl Scanned {
    /// The text that the parser sees up to the word of this number, which is no longer in it.
    pub(super) fn beginning(&self, word: usize) -> &str {
        self.words.get(word).map_or(&self.text, |word| &self.text[..word.written])
    }

    /// The word of this number as it is in the query, and where.
    pub(super) fn word<'q>(&self, query: &'q str, word: usize) -> (&'q str, (usize, usize)) {
        let at = self.words.get(word).map_or(query.len(), |word| word.at);
        let next = self.words.get(word + 1).map_or(query.len(), |next| next.at);
        (query[at..next].trim_end(), place(query, at))
    }
}

/// Line and column of a byte of the query, counted from 1.
fn place(query: &str, at: usize) -> (usize, usize) {
    let before = &query[..at];
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    (line, column)
}

/// What came last, as far as it matters for what comes next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    /// The end of an operand: a name, a number, a closing bracket.
    Operand,
    /// The word `offset` after an operand, or its sign.
    Offset,
    /// The operator of a matcher.
    Match(&'static str),
    Other,
}

struct Scan<'q> {
    query: &'q str,
    rest: CharIndices<'q>,
    out: Scanned,
    last: Last,
    /// The opening brackets that are still open.
    open: Vec<char>,
    tokens: usize,
}

/// Checks and rewrites a query.
#[cfg(test)]
pub(super) fn scan(query: &str) -> Result<Scanned, ParseError> {
    let (scanned, wrong) = scan_so_far(query);
    wrong.map_or(Ok(scanned), Err)
}

/// Checks and rewrites a query up to the first word that is none. That one is the last of the words.
pub(super) fn scan_so_far(query: &str) -> (Scanned, Option<ParseError>) {
    let out = Scanned { text: String::with_capacity(query.len()), strings: Vec::new(), words: Vec::new() };
    if query.len() > LENGTH {
        return (out, Some(ParseError::TooLarge { what: "bytes", limit: LENGTH }));
    }
    let mut scan =
        Scan { query, rest: query.char_indices(), out, last: Last::Other, open: Vec::new(), tokens: 0 };
    while let Some((at, c)) = scan.rest.next() {
        if let Err(wrong) = scan.token(at, c) {
            return (scan.out, Some(wrong));
        }
    }
    (scan.out, None)
}

impl<'q> Scan<'q> {
    fn token(&mut self, at: usize, c: char) -> Result<(), ParseError> {
        match c {
            ' ' | '\t' | '\n' | '\r' => {
                self.out.text.push(SPACE);
                return Ok(());
            }
            '#' => {
                self.rest.by_ref().find(|(_, c)| matches!(c, '\n' | '\r'));
                self.out.text.push(SPACE);
                return Ok(());
            }
            _ => {}
        }
        if matches!(self.last, Last::Match(_)) && !matches!(c, '"' | '\'' | '`') {
            return Err(self.wrong(at, &format!("unexpected {c:?} in label matching, expected string")));
        }
        self.tokens += 1;
        if self.tokens > TOKENS {
            return Err(ParseError::TooLarge { what: "words and signs", limit: TOKENS });
        }
        // `==`, `!=`, `>=` and `<=` are one.
        let begun = self.out.words.last().is_some_and(|word| word.at + 1 == at);
        if c != '=' || !begun || !self.query[..at].ends_with(['=', '!', '<', '>']) {
            self.out.words.push(Word { at, written: self.out.text.len() });
        }
        match c {
            '"' | '\'' | '`' => return self.string(at, c),
            '0'..='9' => return self.number(at),
            '.' if self.peek().is_some_and(|c| c.is_ascii_digit()) => return self.number(at),
            ':' if self.inside('[') => self.sign(c, Last::Other),
            c if c.is_ascii_alphabetic() || c == '_' || c == ':' => return self.word(at),
            '=' | '!' if self.inside('{') => return self.match_operator(at),
            '(' | '[' | '{' if self.open.len() == NESTING => {
                return Err(ParseError::TooLarge { what: "open brackets", limit: NESTING });
            }
            '(' | '[' | '{' => {
                self.open.push(c);
                self.sign(c, Last::Other);
            }
            ')' | ']' | '}' => {
                self.open.pop();
                self.sign(c, Last::Operand);
            }
            '+' if self.last == Last::Offset => {
                return Err(self.wrong(at, "unexpected \"+\" in offset, expected duration"));
            }
            '-' if self.last == Last::Offset => self.sign(c, Last::Offset),
            // The parser takes it for a space.
            '\u{c}' => return Err(self.wrong(at, "unexpected character: '\\f'")),
            c => self.sign(c, Last::Other),
        }
        Ok(())
    }

    fn sign(&mut self, c: char, last: Last) {
        self.out.text.push(c);
        self.last = last;
    }

    /// Kept back until its string comes.
    fn match_operator(&mut self, at: usize) -> Result<(), ParseError> {
        let operator =
            ["=~", "!~", "!=", "="].into_iter().find(|operator| self.query[at..].starts_with(operator));
        let Some(operator) = operator else {
            return Err(self.wrong(at, "unexpected character after '!' inside braces"));
        };
        if self.last != Last::Operand {
            let problem = format!("unexpected {operator:?} in label matching, expected identifier or \"}}\"");
            return Err(self.wrong(at, &problem));
        }
        if operator.len() > 1 {
            self.rest.next();
        }
        self.last = Last::Match(operator);
        Ok(())
    }

    fn string(&mut self, at: usize, quote: char) -> Result<(), ParseError> {
        let start = at + quote.len_utf8();
        let mut escaped = false;
        let end = loop {
            match self.rest.next() {
                Some((end, c)) if c == quote && !escaped => break end,
                Some((_, '\n')) if quote != '`' => return Err(self.wrong(at, "unterminated quoted string")),
                Some((_, c)) => escaped = c == '\\' && !escaped && quote != '`',
                None if quote == '`' => return Err(self.wrong(at, "unterminated raw string")),
                None => return Err(self.wrong(at, "unterminated quoted string")),
            }
        };
        let value =
            text::unquote(&self.query[start..end], quote).map_err(|problem| self.wrong(at, &problem))?;
        let number = self.out.strings.len();
        self.out.strings.push(value);
        match self.last {
            Last::Match(operator) => self.out.text.extend(["=\"", operator, &number.to_string(), "\""]),
            _ if self.inside('{') => {
                return Err(
                    self.wrong(at, "unexpected string in label matching, expected identifier or \"}\"")
                );
            }
            _ => self.out.text.extend(["\"", &number.to_string(), "\""]),
        }
        self.last = Last::Operand;
        Ok(())
    }

    /// A number or a duration.
    fn number(&mut self, at: usize) -> Result<(), ParseError> {
        self.skip(|c| c.is_ascii_alphanumeric() || c == '.' || c == '_');
        let is_hexadecimal = self.query[at..].starts_with("0x") || self.query[at..].starts_with("0X");
        if !is_hexadecimal && self.so_far(at).ends_with(['e', 'E']) && matches!(self.peek(), Some('+' | '-'))
        {
            self.rest.next();
            self.skip(|c| c.is_ascii_alphanumeric() || c == '.' || c == '_');
        }
        let written = self.so_far(at);
        let is_duration = !is_hexadecimal
            && written.ends_with(['s', 'm', 'h', 'd', 'w', 'y'])
            && written.chars().all(|c| c.is_ascii_digit() || "smhdwy".contains(c));
        match (is_duration, self.inside('[') || self.last == Last::Offset) {
            (true, true) => {
                let milliseconds = duration::parse(written)?;
                self.out.text.push_str(&duration::plain(milliseconds));
            }
            (false, false) => {
                let Some(value) = literal(written) else {
                    return Err(self.wrong(at, &format!("bad number syntax, or too large: {written:?}")));
                };
                self.out.text.push_str(&plain(written, value));
            }
            (true, false) => {
                return Err(self.wrong(
                    at,
                    &format!(
                        "unexpected duration {written:?}: a duration stands in brackets or after offset"
                    ),
                ));
            }
            (false, true) => {
                return Err(self.wrong(
                    at,
                    &format!("bad duration syntax: {written:?}, expected a number with a unit such as 5m"),
                ));
            }
        }
        self.last = Last::Operand;
        Ok(())
    }

    /// A name or a keyword.
    fn word(&mut self, at: usize) -> Result<(), ParseError> {
        self.skip(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':');
        let word = self.so_far(at);
        if self.inside('{') && self.last == Last::Operand {
            let problem =
                format!("unexpected identifier {word:?} in label matching, expected \",\" or \"}}\"");
            return Err(self.wrong(at, &problem));
        }
        let after_offset = self.last == Last::Offset;
        if after_offset && (word.eq_ignore_ascii_case("inf") || word.eq_ignore_ascii_case("nan")) {
            return Err(self.wrong(at, &format!("unexpected {word:?} in offset, expected duration")));
        }
        let is_offset =
            self.last == Last::Operand && !self.inside('{') && word.eq_ignore_ascii_case("offset");
        self.last = if is_offset { Last::Offset } else { Last::Operand };
        self.out.text.push_str(word);
        Ok(())
    }

    fn skip(&mut self, part: impl Fn(char) -> bool) {
        while self.peek().is_some_and(&part) {
            self.rest.next();
        }
    }

    /// The text from `from` to where the scan is.
    fn so_far(&self, from: usize) -> &'q str {
        &self.query[from..self.rest.offset()]
    }

    fn peek(&self) -> Option<char> {
        self.rest.clone().next().map(|(_, c)| c)
    }

    fn inside(&self, bracket: char) -> bool {
        self.open.last() == Some(&bracket)
    }

    fn wrong(&self, at: usize, problem: &str) -> ParseError {
        ParseError::Syntax { place: Some(place(self.query, at)), problem: problem.to_owned() }
    }
}

/// What Go makes of a number: an integer of base 16, 8 or 10 where it is one and is below 2^63, else a decimal number that must be finite.
fn literal(written: &str) -> Option<f64> {
    if let Some(digits) = written.strip_prefix("0x").or_else(|| written.strip_prefix("0X")) {
        return i64::from_str_radix(digits, 16).ok().map(|value| value as f64);
    }
    let octal = written.strip_prefix('0').and_then(|digits| i64::from_str_radix(digits, 8).ok());
    let decimal = || written.parse().ok().filter(|value: &f64| value.is_finite());
    octal.map(|value| value as f64).or_else(decimal)
}

/// A number as the parser reads it right: as it is, unless it begins with a zero.
fn plain(written: &str, value: f64) -> String {
    match value {
        0.0 => "0".to_owned(),
        value if written.starts_with('0') => format!("{value:e}"),
        _ => written.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::Expr;

    #[test]
    fn the_parser_sees_no_string_no_pattern_and_only_plain_durations() {
        let scanned =
            scan("x{a=~\"b.*\", c !~ 'd'}[1h30m] offset 1d # \"why\"\n + count_values(`v`, y)").unwrap();
        assert_eq!(
            scanned.text,
            "x{a=\"=~0\",\tc\t\t=\"!~1\"}[5400000ms]\toffset\t1d\t\t\t+\tcount_values(\"2\",\ty)"
        );
        assert_eq!(scanned.strings, ["b.*", "d", "v"]);
    }

    #[test]
    fn what_is_no_string_and_no_duration_goes_through_as_it_is() {
        for query in
            ["1e-3+31*.5/Inf", "a:b:c_d^-2", "sum\tby(le,)(x)\t==\tbool\t1", "x@-1.5", "offset\t+\t5", "]}é)"]
        {
            assert_eq!(scan(query).unwrap().text, query);
        }
    }

    #[test]
    fn numbers_are_what_go_makes_of_them() {
        for (query, value) in [
            ("0e3", 0.0),
            ("00", 0.0),
            ("01e2", 100.0),
            ("0x1F", 31.0),
            ("0777", 511.0),
            ("089", 89.0),
            ("08.5", 8.5),
            ("07777777777777777777777777", 7_777_777_777_777_777_777_777_777.0),
            ("9223372036854775808", 9_223_372_036_854_775_808.0),
            ("5.", 5.0),
            ("1.e3", 1000.0),
            ("1e-400", 0.0),
            ("1e308", 1e308),
        ] {
            let text = scan(query).unwrap().text;
            let Expr::Number(read) = crate::parse::parse(query).unwrap().expr else {
                panic!("{query}: {text}")
            };
            assert_eq!(read.to_bits(), f64::to_bits(value), "{query}: {text}");
        }
        for query in
            ["1e309", "0x", "0xFFFFFFFFFFFFFFFFF", "0x1.8", "1e", "0e", "1_000", "0b11", "0o17", "1..5"]
        {
            assert!(scan(query).is_err(), "{query}");
        }
    }

    #[test]
    fn a_form_feed_is_no_space() {
        assert!(scan("x\u{c}+ 1").is_err());
        assert!(scan("x # \u{c}\n + 1").is_ok());
    }

    #[test]
    fn places_are_counted_in_lines_and_characters() {
        for (query, place) in
            [("x{a=\"b", (1, 5)), ("é +\n  5m", (2, 3)), ("x offset 5", (1, 10)), ("x offset +5m", (1, 10))]
        {
            let Err(ParseError::Syntax { place: found, .. }) = scan(query) else {
                panic!("{query} was taken")
            };
            assert_eq!(found, Some(place), "{query}");
        }
    }

    #[test]
    fn bounds_are_met_before_the_parser_is_asked() {
        assert!(scan(&"(".repeat(NESTING)).is_ok());
        assert!(scan(&"(".repeat(NESTING + 1)).is_err());
        assert!(scan(&"+".repeat(TOKENS)).is_ok());
        assert!(scan(&"+".repeat(TOKENS + 1)).is_err());
        assert!(scan(&" ".repeat(LENGTH)).is_ok());
        assert!(scan(&" ".repeat(LENGTH + 1)).is_err());
    }
}
