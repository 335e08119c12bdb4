//! Go's regular expressions, written as the crate `regex` reads them. Not a matcher: `pattern.rs`.
//!
//! Both dialects come from RE2, and where they differ a pattern would silently mean something else, or be refused. In Go `\d`, `\s`, `\w`
//! and `\b` know ASCII only; a `{` that begins no repetition, a `[` within brackets and `\<` are ordinary characters; brackets know no
//! `&&`, `--` and `~~`; `\Q` quotes up to `\E`; repetitions do not stack and end at 1,000; of the flags there are `i`, `m`, `s` and `U`.
//!
//! Sample: `\w+{x}[[a]` becomes `[0-9A-Za-z_]+\{x\}[\x{5B}\x{61}]`.

/// Go's bound on repetitions.
const MOST_REPETITIONS: usize = 1000;

/// The sets of characters that can stand within brackets as `[:name:]`.
const NAMED: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space",
    "upper", "word", "xdigit",
];

/// The pattern in the other dialect. What both refuse may pass; the crate `regex` says so then.
pub(crate) fn translate(go: &str) -> Result<String, String> {
    let mut reader = Reader { rest: go, written: String::with_capacity(go.len() + 8), repeated: false };
    while let Some(next) = reader.take() {
        reader.piece(next)?;
    }
    Ok(reader.written)
}

struct Reader<'a> {
    rest: &'a str,
    written: String,
    /// What was written last is a repetition.
    repeated: bool,
}

impl Reader<'_> {
    fn take(&mut self) -> Option<char> {
        let mut rest = self.rest.chars();
        let next = rest.next();
        self.rest = rest.as_str();
        next
    }

    fn put(&mut self, text: &str) {
        self.written.push_str(text);
    }

    fn skip(&mut self, expected: &str) -> bool {
        let rest = self.rest.strip_prefix(expected);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn piece(&mut self, next: char) -> Result<(), String> {
        let repetition = match next {
            '*' | '+' | '?' => Some(next.to_string()),
            '{' => self.counted()?,
            _ => None,
        };
        if let Some(repetition) = repetition {
            return self.repeat(&repetition);
        }
        self.repeated = false;
        match next {
            '\\' => self.backslash(),
            '[' => self.brackets(),
            '(' => self.group(),
            ')' | '|' | '^' | '$' | '.' => {
                self.written.push(next);
                Ok(())
            }
            literal => {
                self.literal(literal);
                Ok(())
            }
        }
    }

    fn literal(&mut self, literal: char) {
        self.put(&regex::escape(literal.encode_utf8(&mut [0; 4])));
    }

    /// What follows a `{`, if it makes a repetition; else it is an ordinary character.
    fn counted(&mut self) -> Result<Option<String>, String> {
        let Some((inner, after)) = self.rest.split_once('}') else { return Ok(None) };
        let (least, most) = match inner.split_once(',') {
            Some((least, "")) => (least, least),
            Some((least, most)) => (least, most),
            None => (inner, inner),
        };
        let is_number = |text: &str| {
            !text.is_empty()
                && text.bytes().all(|byte| byte.is_ascii_digit())
                && (text == "0" || !text.starts_with('0'))
        };
        if !is_number(least) || !is_number(most) {
            return Ok(None);
        }
        let number = |text: &str| text.parse().ok().filter(|number: &usize| *number <= MOST_REPETITIONS);
        match (number(least), number(most)) {
            (Some(least), Some(most)) if least <= most => {
                self.rest = after;
                Ok(Some(format!("{{{inner}}}")))
            }
            _ => Err(format!("invalid repeat count: `{{{inner}}}`")),
        }
    }

    fn repeat(&mut self, repetition: &str) -> Result<(), String> {
        if self.repeated {
            return Err(format!("invalid nested repetition operator: `{repetition}`"));
        }
        self.repeated = true;
        self.put(repetition);
        if self.skip("?") {
            self.written.push('?');
        }
        Ok(())
    }

    fn group(&mut self) -> Result<(), String> {
        self.written.push('(');
        if !self.skip("?") {
            return Ok(());
        }
        let end = if self.rest.starts_with("P<") { self.rest.find('>') } else { self.rest.find([':', ')']) };
        let Some(end) = end else { return Err("missing argument of `(?`".to_owned()) };
        let (head, after) = self.rest.split_at(end + 1);
        let known = match head[..end].strip_prefix("P<") {
            Some(name) => name.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric()),
            None => head[..end].bytes().all(|flag| b"imsU-".contains(&flag)),
        };
        if !known {
            return Err(format!("invalid or unsupported Perl syntax: `(?{head}`"));
        }
        self.written.push('?');
        self.put(head);
        self.rest = after;
        Ok(())
    }

    fn backslash(&mut self) -> Result<(), String> {
        if self.skip("Q") {
            // Without an end it would quote what PromQL itself appends to each pattern.
            let (quoted, after) =
                self.rest.split_once("\\E").ok_or_else(|| r"missing `\E` after `\Q`".to_owned())?;
            self.rest = after;
            self.put(&regex::escape(quoted));
        } else if self.skip("b") {
            self.put(r"(?-u:\b)");
        } else if let Some(anchor) = ["A", "z", "B"].into_iter().find(|anchor| self.skip(anchor)) {
            self.written.push('\\');
            self.put(anchor);
        } else if let Some(class) = self.class()? {
            self.put(&format!("[{class}]"));
        } else {
            let literal = self.escaped()?;
            self.literal(literal);
        }
        Ok(())
    }

    /// What a backslash and what follows it mean as a set of characters, as it reads within brackets; `None` if they mean one character.
    fn class(&mut self) -> Result<Option<String>, String> {
        for (letter, set) in [("d", "0-9"), ("s", r"\t\n\f\r\x20"), ("w", "0-9A-Za-z_")] {
            if self.skip(letter) {
                return Ok(Some(set.to_owned()));
            }
            if self.skip(&letter.to_ascii_uppercase()) {
                return Ok(Some(format!("[^{set}]")));
            }
        }
        let Some(positive) =
            [("p", true), ("P", false)].into_iter().find_map(|(p, is)| self.skip(p).then_some(is))
        else {
            return Ok(None);
        };
        let name = if self.skip("{") {
            let (name, after) = self
                .rest
                .split_once('}')
                .ok_or_else(|| format!(r"invalid character class: `\p{{{}`", self.rest))?;
            self.rest = after;
            name.to_owned()
        } else {
            self.take().map(String::from).unwrap_or_default()
        };
        let (name, negated) = name.strip_prefix('^').map_or((name.as_str(), false), |name| (name, true));
        Ok(Some(format!(r"\{}{{{name}}}", if positive == negated { 'P' } else { 'p' })))
    }

    /// The one character that a backslash and what follows it mean.
    fn escaped(&mut self) -> Result<char, String> {
        let before = self.rest;
        let wrong = || {
            format!(
                r"invalid escape sequence: `\{}`",
                before.chars().next().map(String::from).unwrap_or_default()
            )
        };
        let number = |digits: &str, base| {
            u32::from_str_radix(digits, base).ok().and_then(char::from_u32).ok_or_else(wrong)
        };
        match self.take() {
            Some('a') => Ok('\x07'),
            Some('f') => Ok('\x0c'),
            Some('n') => Ok('\n'),
            Some('r') => Ok('\r'),
            Some('t') => Ok('\t'),
            Some('v') => Ok('\x0b'),
            Some('x') if self.skip("{") => {
                let (digits, after) = self.rest.split_once('}').ok_or_else(wrong)?;
                self.rest = after;
                number(digits, 16)
            }
            Some('x') => {
                let (digits, after) = self.rest.split_at_checked(2).ok_or_else(wrong)?;
                self.rest = after;
                number(digits, 16)
            }
            Some(first @ '0'..='7') => {
                let digits = before.bytes().take(3).take_while(|byte| (b'0'..=b'7').contains(byte)).count();
                // One digit refers back to a group, which this kind of expression cannot do.
                if digits == 1 && first != '0' {
                    return Err(wrong());
                }
                self.rest = &before[digits..];
                number(&before[..digits], 8)
            }
            Some(other) if other.is_ascii() && !other.is_ascii_alphanumeric() => Ok(other),
            _ => Err(wrong()),
        }
    }

    fn brackets(&mut self) -> Result<(), String> {
        let open = self.rest;
        let missing = || format!("missing closing ]: `[{open}`");
        self.written.push('[');
        if self.skip("^") {
            self.written.push('^');
        }
        let mut first = true;
        while first || !self.skip("]") {
            first = false;
            if self.named()? {
                continue;
            }
            let low = match self.take().ok_or_else(missing)? {
                '\\' => match self.class()? {
                    Some(class) => {
                        self.put(&class);
                        continue;
                    }
                    None => self.escaped()?,
                },
                plain => plain,
            };
            self.put(&format!(r"\x{{{:X}}}", u32::from(low)));
            if self.rest.starts_with('-') && !self.rest.starts_with("-]") && self.rest.len() > 1 {
                self.skip("-");
                let high = match self.take().ok_or_else(missing)? {
                    '\\' => self.escaped()?,
                    plain => plain,
                };
                if high < low {
                    return Err(format!("invalid character class range: `{low}-{high}`"));
                }
                self.put(&format!(r"-\x{{{:X}}}", u32::from(high)));
            }
        }
        self.written.push(']');
        Ok(())
    }

    /// `[:alpha:]`, within brackets.
    fn named(&mut self) -> Result<bool, String> {
        let Some((name, after)) = self.rest.strip_prefix("[:").and_then(|inner| inner.split_once(":]"))
        else {
            return Ok(false);
        };
        if !NAMED.contains(&name.strip_prefix('^').unwrap_or(name)) {
            return Err(format!("invalid character class range: `[:{name}:]`"));
        }
        self.put(&format!("[:{name}:]"));
        self.rest = after;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(go: &str, text: &str) -> bool {
        let translated = translate(go).unwrap_or_else(|error| panic!("{go}: {error}"));
        let regex =
            regex::Regex::new(&format!("^(?:{translated})$")).unwrap_or_else(|error| panic!("{go}: {error}"));
        regex.is_match(text)
    }

    #[test]
    fn classes_of_a_letter_know_ascii_only() {
        assert!(matches(r"\w+\d\s[\w\d\s]*", "ab1 c"));
        for (go, text) in
            [(r"\d", "\u{663}"), (r"\w", "é"), (r"\s", "\u{a0}"), (r"[\w]", "é"), (r"\s", "\u{b}")]
        {
            assert!(!matches(go, text), "{go} {text}");
        }
        assert!(matches(r"\W\D\S[^\W]", "éééa"));
        assert!(matches(r"é\bx", "éx"));
    }

    #[test]
    fn braces_that_repeat_nothing_are_characters() {
        for (go, text) in
            [("a{b}c", "a{b}c"), ("a{,5}", "a{,5}"), ("{", "{"), ("a{01}", "a{01}"), ("a}", "a}")]
        {
            assert!(matches(go, text), "{go}");
        }
        assert!(matches("a{2}b{1,}c{0,1}?", "aab"));
    }

    #[test]
    fn brackets_hold_characters_and_ranges() {
        for (go, text) in [
            ("[[a]+", "[a"),
            ("[a&&b]+", "a&b"),
            ("[]a]+", "a]"),
            ("[^]a]", "b"),
            ("[a-]+", "-a"),
            ("[--/]+", "./-"),
            (r"[\]\-\\]+", r"]-\"),
            (r"[[:alpha:]\p{Nd}]+", "a1"),
            (r"[\x41-\x{43}]+", "ABC"),
            ("[~~é]+", "é~"),
            (r"[\d-z][[:^alpha:]][[:alpha]]", "-1a]"),
        ] {
            assert!(matches(go, text), "{go}");
        }
        assert!(!matches("[a&&b]", "c"));
    }

    #[test]
    fn escapes_are_characters() {
        for (go, text) in [
            (r"\<a\>", "<a>"),
            (r"\Qa.*\E+", "a.**"),
            (r"\101\0", "A\0"),
            (r"\.\-\_\/", ".-_/"),
            (r"\pL\PL", "é1"),
        ] {
            assert!(matches(go, text), "{go}");
        }
    }

    #[test]
    fn what_go_refuses_is_refused() {
        for go in [
            "a**",
            "a+{2}",
            "a{1001}",
            "a{2,1}",
            r"\1",
            r"\h",
            r"\E",
            "(?x)a",
            "(?<n>a)",
            "(?P<n.m>a)",
            "[b-a]",
            "[a",
            "(?",
            r"\Q[",
            r"\C",
            r"\u0041",
            "[[:foo:]]",
        ] {
            assert!(translate(go).is_err(), "{go}");
        }
    }

    #[test]
    fn plain_patterns_stay_as_they_are() {
        for go in ["hall-(1|2)", "^a.*b+?$", "(?i)x(?s:.)(?P<n>y)", "", "é|", r"\Aa\z", r"a\B"] {
            assert_eq!(translate(go).as_deref(), Ok(go.replace("hall-", r"hall\-").as_str()));
        }
    }

    /// What patterns are made of, and what begins something that has no end.
    const PIECES: [&str; 40] = [
        "a", "é", "0", "9", "-", ",", "{", "}", "{1", "{2,", "[", "]", "[^", "[[:", ":]", "(", ")", "(?",
        "(?P<", ">", ":", "i", "*", "?", "|", "^", "$", ".", r"\", r"\x", r"\x{", r"\p", r"\p{", r"\P{^",
        r"\Q", r"\E", r"\b", r"\d", r"\W", r"\1",
    ];

    proptest::proptest! {
        #[test]
        fn no_pattern_panics(pieces in proptest::collection::vec(proptest::sample::select(&PIECES[..]), 0..6)) {
            if let Ok(pattern) = crate::pattern::Pattern::new(&pieces.concat()) {
                pattern.matches_whole("aé0");
            }
        }
    }
}
