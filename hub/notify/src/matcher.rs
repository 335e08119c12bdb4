//! What labels must be, as routes, mutes and the like ask it: all of a list of matchers, in the notation of Alertmanager and of PromQL.
//!
//! Not the language: how a value is tested is `rackside-promql`'s. A label that is not there is matched as an empty value, and a regular
//! expression has to match the whole value. Quotes may be left out where Alertmanager's command line takes that: `severity=critical`.
//!
//! ```text
//! severity="critical"      site=~"arena-.*"      {alertname!~"Soc.*", component=box}
//! ```

use rackside_promql::{Labels, Matcher, Pattern, Test, is_label_name, parse_selector};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// Most matchers of one list.
const MATCHERS: usize = 32;
/// Most bytes of one text.
const LONGEST: usize = 2000;
const EXAMPLES: &str = "write for example severity=\"critical\" or site=~\"arena-.*\"";
const OPERATORS: [&str; 4] = ["=~", "!~", "!=", "="];

/// Matchers that have to match all; without any, everything matches.
#[derive(Clone, Default)]
pub struct Matchers(Vec<Matcher>);

impl Matchers {
    /// Reads texts, each of which has one matcher or several with commas between them. The error is for a person.
    pub fn read<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Result<Self, String> {
        let mut all = Vec::new();
        for text in texts {
            read(text.as_ref(), &mut all)?;
            if all.len() > MATCHERS {
                return Err(format!("more than {MATCHERS} matchers"));
            }
        }
        Ok(Self(all))
    }

    /// Whether labels pass all of them.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.0.iter().all(|matcher| matcher.matches(labels))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether they all pass where no label is: such a list catches everything, by mistake as a rule.
    pub fn accept_nothing_there(&self) -> bool {
        self.0.iter().all(|matcher| matcher.accepts(""))
    }

    /// Each of them.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Matcher> {
        self.0.iter()
    }

    /// Each as PromQL writes it; [`Self::read`] reads that.
    pub fn texts(&self) -> Vec<String> {
        self.0.iter().map(Matcher::to_string).collect()
    }
}

impl PartialEq for Matchers {
    fn eq(&self, other: &Self) -> bool {
        self.texts() == other.texts()
    }
}

/// As PromQL has a selector: `{severity="critical", site=~"arena-.*"}`.
impl fmt::Display for Matchers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{}}}", self.texts().join(", "))
    }
}

impl fmt::Debug for Matchers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A list of texts.
impl Serialize for Matchers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.texts().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Matchers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::read(Vec::<String>::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

fn read(text: &str, into: &mut Vec<Matcher>) -> Result<(), String> {
    if text.len() > LONGEST {
        return Err(format!("a matcher of more than {LONGEST} bytes"));
    }
    let inner = text.trim();
    let inner = inner.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')).unwrap_or(inner);
    let wrong = || format!("{text:?} is no matcher; {EXAMPLES}");
    let mut rest = inner.trim();
    loop {
        let end = item(rest).ok_or_else(wrong)?;
        into.push(matcher(rest[..end].trim(), &wrong)?);
        rest = match rest[end..].strip_prefix(',') {
            None => return Ok(()),
            // A comma may stand behind the last one, as in PromQL.
            Some(more) if more.trim().is_empty() => return Ok(()),
            Some(more) => more,
        };
    }
}

/// Where the first matcher of a list ends: at a comma that is not within quotes. None, if quotes do not end.
fn item(text: &str) -> Option<usize> {
    let mut quote = None;
    let mut is_escaped = false;
    for (at, c) in text.char_indices() {
        match quote {
            None if c == ',' => return Some(at),
            None if is_quote(c) => quote = Some(c),
            Some(_) if is_escaped => is_escaped = false,
            Some(quote) if c == '\\' && quote != '`' => is_escaped = true,
            Some(open) if c == open => quote = None,
            _ => {}
        }
    }
    quote.is_none().then_some(text.len())
}

fn is_quote(c: char) -> bool {
    matches!(c, '"' | '\'' | '`')
}

fn matcher(item: &str, wrong: &dyn Fn() -> String) -> Result<Matcher, String> {
    let at = item.find(['=', '!']).ok_or_else(wrong)?;
    let operator = OPERATORS.iter().find(|operator| item[at..].starts_with(**operator)).ok_or_else(wrong)?;
    let (name, value) = (item[..at].trim(), item[at + operator.len()..].trim());
    if !is_label_name(name) {
        return Err(wrong());
    }
    let value = if value.starts_with(is_quote) { unquoted(value) } else { bare(value) };
    let value = value.ok_or_else(wrong)?;
    let pattern =
        |value: &str| Pattern::new(value).map_err(|why| format!("{item:?}: no regular expression: {why}"));
    let test = match *operator {
        "=" => Test::Equal(value.into()),
        "!=" => Test::NotEqual(value.into()),
        "=~" => Test::Pattern(pattern(&value)?),
        _ => Test::NotPattern(pattern(&value)?),
    };
    Ok(Matcher { name: name.into(), test })
}

/// What stands between quotes, as PromQL reads it.
fn unquoted(value: &str) -> Option<String> {
    // A selector has to ask for something that is there: hence the second matcher.
    let read = parse_selector(&format!("{{value={value},__name__!=\"\"}}")).ok()?;
    match read.as_slice() {
        [Matcher { test: Test::Equal(value), .. }, _] => Some(value.to_string()),
        _ => None,
    }
}

/// A value without quotes.
fn bare(value: &str) -> Option<String> {
    let is_other = |c: char| c.is_whitespace() || is_quote(c) || "{}=!~\\".contains(c);
    (!value.is_empty() && !value.contains(is_other)).then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels::new(pairs.iter().map(|(name, value)| (*name, *value)))
    }

    #[test]
    fn each_notation_is_read_and_written_as_promql_has_it() {
        for (text, read) in [
            (r#"severity="critical""#, r#"{severity="critical"}"#),
            ("severity = 'critical'", r#"{severity="critical"}"#),
            ("severity=critical", r#"{severity="critical"}"#),
            (r#"site=~"arena-.*""#, r#"{site=~"arena-.*"}"#),
            ("site!=`a\\b`", r#"{site!="a\\b"}"#),
            (r#"{a="1,2", b!~"x|y",}"#, r#"{a="1,2", b!~"x|y"}"#),
            (r#"a="\"}\t", b="""#, r#"{a="\"}\t", b=""}"#),
            ("summary=\"Bühne\"", "{summary=\"Bühne\"}"),
        ] {
            let matchers = Matchers::read([text]).unwrap_or_else(|why| panic!("{text}: {why}"));
            assert_eq!(matchers.to_string(), read, "{text}");
        }
    }

    #[test]
    fn what_is_none_is_said_with_right_ones() {
        let said = |text: &str| Matchers::read([text]).expect_err(text);
        for text in [
            "",
            "severity",
            "=x",
            "a=",
            "a=\"x",
            "a==b",
            "a=\"x\"y",
            "a=b c",
            "1a=b",
            "a=b,,c=d",
            "{",
            "a=\"x\"} #",
        ] {
            assert_eq!(
                said(text),
                format!(
                    "{text:?} is no matcher; write for example severity=\"critical\" or site=~\"arena-.*\""
                )
            );
        }
        let broken = said("site=~\"arena-(\"");
        assert!(broken.starts_with("\"site=~\\\"arena-(\\\"\": no regular expression: "), "{broken}");
        assert_eq!(said(&"a".repeat(2001)), "a matcher of more than 2000 bytes");
        assert_eq!(Matchers::read(vec!["a=b"; 33]).expect_err("too many"), "more than 32 matchers");
    }

    #[test]
    fn all_have_to_match_and_patterns_the_whole_value() {
        let matchers = Matchers::read(["severity=\"critical\"", "site=~\"arena-.*\""]).expect("right");
        for (pairs, matches) in [
            (&[("severity", "critical"), ("site", "arena-north")][..], true),
            (&[("severity", "critical"), ("site", "big-arena-north")], false),
            (&[("severity", "warning"), ("site", "arena-north")], false),
            (&[("severity", "critical")], false),
        ] {
            assert_eq!(matchers.matches(&labels(pairs)), matches, "{pairs:?}");
        }
        assert!(Matchers::default().matches(&labels(&[])), "without any, everything matches");
    }

    #[test]
    fn a_label_that_is_not_there_is_empty() {
        let is_absent = Matchers::read(["stream=\"\""]).expect("right");
        assert!(is_absent.matches(&labels(&[("site", "a")])));
        assert!(!is_absent.matches(&labels(&[("stream", "a")])));
        assert!(is_absent.accept_nothing_there());
        assert!(!Matchers::read(["a=~\".*\"", "b=\"x\""]).expect("right").accept_nothing_there());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(value in "\\PC{0,12}|[\"\\\\\n\t{},=~]{0,8}") {
            let matchers = Matchers(vec![Matcher { name: "a".into(), test: Test::Equal(value.as_str().into()) }]);
            let again = Matchers::read(matchers.texts()).expect("its own writing");
            prop_assert_eq!(&again, &matchers);
            prop_assert!(again.matches(&labels(&[("a", value.as_str())])));
        }

        #[test]
        fn any_text_is_read_without_a_fall(text in "[a-z=!~\"'`{},\\\\ é(]{0,24}") {
            let _ = Matchers::read([text]);
        }
    }
}
