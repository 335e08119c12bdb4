//! The lines of an iCal text: unfolded, and taken apart into name, parameters and value.
//!
//! ```text
//! DTSTART;TZID="Europe/Berlin":20261120T190000  →  DTSTART, [(TZID, Europe/Berlin)], 20261120T190000
//! ```

/// A line of which nothing is folded any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Property {
    /// The line in the file on which it begins, from 1.
    pub(crate) line: usize,
    /// Its name in capitals.
    pub(crate) name: String,
    /// Its parameters; names in capitals.
    pub(crate) parameters: Vec<(String, String)>,
    /// Its value as it stands there.
    pub(crate) value: String,
}

impl Property {
    /// The value of a parameter.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(of, _)| of == name).map(|(_, value)| value.as_str())
    }

    /// Its value as a text: `Rock\, Pop` is `Rock, Pop`.
    pub(crate) fn text(&self) -> String {
        let mut text = String::with_capacity(self.value.len());
        let mut chars = self.value.chars();
        while let Some(c) = chars.next() {
            match c {
                '\\' => match chars.next() {
                    Some('n' | 'N') | None => text.push(' '),
                    Some(other) => text.push(other),
                },
                c if c.is_control() => text.push(' '),
                c => text.push(c),
            }
        }
        text
    }
}

/// All lines of a text, each a property or, where it is none, the number of the line and what stands there.
pub(crate) fn properties(text: &str) -> impl Iterator<Item = Result<Property, (usize, String)>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = text.lines().enumerate().peekable();
    std::iter::from_fn(move || {
        loop {
            let (at, first) = lines.next()?;
            let mut whole = first.strip_suffix('\r').unwrap_or(first).to_owned();
            while let Some((_, next)) = lines.next_if(|(_, next)| next.starts_with([' ', '\t'])) {
                whole.push_str(next[1..].strip_suffix('\r').unwrap_or(&next[1..]));
            }
            if !whole.trim().is_empty() {
                return Some(property(at + 1, &whole).ok_or((at + 1, whole)));
            }
        }
    })
}

fn property(line: usize, whole: &str) -> Option<Property> {
    let end = whole.find([';', ':'])?;
    let (name, mut rest) = whole.split_at(end);
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    if !is_name(name) {
        return None;
    }
    let mut parameters = Vec::new();
    while let Some(from) = rest.strip_prefix(';') {
        let (parameter, after) = from.split_once('=')?;
        if !is_name(parameter) {
            return None;
        }
        let mut value = String::new();
        let mut quoted = false;
        let mut end = after.len();
        for (at, c) in after.char_indices() {
            match c {
                '"' => quoted = !quoted,
                ';' | ':' if !quoted => {
                    end = at;
                    break;
                }
                c => value.push(c),
            }
        }
        parameters.push((parameter.to_ascii_uppercase(), value));
        rest = &after[end..];
    }
    let value = rest.strip_prefix(':')?.to_owned();
    Some(Property { line, name: name.to_ascii_uppercase(), parameters, value })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Property {
        properties(text).next().unwrap().unwrap()
    }

    #[test]
    fn parameters_may_be_quoted() {
        let of = one("dtstart;tzid=\"Europe/Berlin\";X-A=\"a:b;c\":20261120T190000");
        assert_eq!((of.name.as_str(), of.value.as_str()), ("DTSTART", "20261120T190000"));
        assert_eq!((of.parameter("TZID"), of.parameter("X-A")), (Some("Europe/Berlin"), Some("a:b;c")));
    }

    #[test]
    fn a_folded_line_is_one() {
        let text = "\u{feff}SUMMARY:Long \r\n nam\r\n\te\r\n\r\nUID:2\r\n";
        let found: Vec<_> = properties(text).map(Result::unwrap).collect();
        assert_eq!((found[0].value.as_str(), found[0].line), ("Long name", 1));
        assert_eq!((found[1].value.as_str(), found[1].line), ("2", 5));
    }

    #[test]
    fn a_text_is_freed_of_its_escapes() {
        assert_eq!(one("SUMMARY:Rock\\, Pop\\; more\\nand\\\\").text(), "Rock, Pop; more and\\");
    }

    #[test]
    fn what_is_no_property_is_said_with_its_line() {
        let found: Vec<_> = properties("UID:1\nnonsense\n;x:1\nA;B:1\nA;B=\"1:2\n").collect();
        let bad: Vec<_> = found.into_iter().filter_map(Result::err).map(|(line, _)| line).collect();
        assert_eq!(bad, [2, 3, 4, 5]);
    }
}
