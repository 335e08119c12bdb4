//! Series as unit tests of rules write them: labels, and values in promtool's notation. Not PromQL, though the labels look like it.
//!
//! Each value is one interval after the one before. `a+bxn` is `a` and then `n` more, each by `b` greater; `axn` is `a` and `n` more; `_` is no
//! sample, `_xn` is none `n` times, and `stale` ends the series.
//!
//! Sample: `up{site="hall"} 1+2x2 _ stale` is 1, 3, 5, nothing, the stale mark.

use rackside_promql::{Labels, METRIC_NAME, STALE};

use crate::template::literal;

/// Most samples of one series; promtool has no bound but memory. A year by the half minute is below it.
const MOST_SAMPLES: u64 = 2_000_000;

/// Words of PromQL that cannot be names of metrics here.
const NO_NAMES: [&str; 8] = ["bool", "on", "ignoring", "group_left", "group_right", "atan2", "inf", "nan"];

/// The labels of a series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Metric {
    pub(super) labels: Labels,
    /// A label was given as empty without a name before the braces; promtool keeps it, so nothing is ever equal to these labels.
    pub(super) equals_nothing: bool,
}

/// A series, and its value at each interval.
#[derive(Debug)]
pub(super) struct Described {
    pub(super) labels: Labels,
    pub(super) values: Vec<Option<f64>>,
}

/// Labels alone, as they stand in `exp_samples`.
pub(super) fn metric(text: &str) -> Result<Metric, String> {
    let mut reader = Reader { text, rest: text };
    reader.spaces();
    let metric = reader.metric(false)?;
    reader.spaces();
    if reader.rest.is_empty() { Ok(metric) } else { Err(reader.unexpected("behind the labels")) }
}

/// A series and its values.
pub(super) fn described(text: &str) -> Result<Described, String> {
    let mut reader = Reader { text, rest: text };
    reader.spaces();
    let labels = reader.metric(true)?.labels;
    let mut values = Vec::new();
    while !reader.rest.is_empty() {
        if !reader.spaces() {
            return Err(reader.unexpected("where a space should be"));
        }
        if !reader.rest.is_empty() {
            reader.item(&mut values)?;
        }
    }
    if labels.is_empty() && values.iter().any(Option::is_some) {
        return Err("a series needs a name or a label".to_owned());
    }
    Ok(Described { labels, values })
}

struct Reader<'t> {
    text: &'t str,
    rest: &'t str,
}

impl<'t> Reader<'t> {
    fn unexpected(&self, place: &str) -> String {
        let column = self.text[..self.text.len() - self.rest.len()].chars().count() + 1;
        match self.rest.chars().next() {
            Some(next) => format!("unexpected {next:?} {place}, at character {column}"),
            None => format!("unexpected end {place}"),
        }
    }

    fn spaces(&mut self) -> bool {
        let behind = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
        let found = behind.len() < self.rest.len();
        self.rest = behind;
        found
    }

    fn skip(&mut self, expected: char) -> bool {
        let behind = self.rest.strip_prefix(expected);
        self.rest = behind.unwrap_or(self.rest);
        behind.is_some()
    }

    /// The longest beginning that is made of such characters.
    fn run(&mut self, of: impl Fn(char) -> bool) -> &'t str {
        let length = self.rest.find(|c| !of(c)).unwrap_or(self.rest.len());
        let (run, rest) = self.rest.split_at(length);
        self.rest = rest;
        run
    }

    /// A name, and labels in braces; one of both can be missing. Where values follow, braces stand right behind the name.
    fn metric(&mut self, values_follow: bool) -> Result<Metric, String> {
        let name = if self.rest.starts_with(is_letter) || self.rest.starts_with(':') {
            self.run(|c| is_letter(c) || c.is_ascii_digit() || c == ':')
        } else {
            ""
        };
        if NO_NAMES.contains(&name.to_ascii_lowercase().as_str()) {
            return Err(format!("{name:?} is a word of PromQL, and no name of a metric"));
        }
        if !values_follow && !name.is_empty() {
            self.spaces();
        }
        let mut pairs: Vec<(String, String)> = Vec::new();
        if self.skip('{') {
            self.labels(&mut pairs)?;
        }
        let equals_nothing = name.is_empty() && pairs.iter().any(|(_, value)| value.is_empty());
        if !name.is_empty() {
            pairs.retain(|(known, _)| known != METRIC_NAME);
            pairs.push((METRIC_NAME.to_owned(), name.to_owned()));
        }
        Ok(Metric { labels: Labels::new(pairs), equals_nothing })
    }

    fn labels(&mut self, pairs: &mut Vec<(String, String)>) -> Result<(), String> {
        loop {
            self.spaces();
            if self.skip('}') {
                return Ok(());
            }
            if !self.rest.starts_with(is_letter) {
                return Err(self.unexpected("where a label's name or '}' should be"));
            }
            let name = self.run(|c| is_letter(c) || c.is_ascii_digit());
            self.spaces();
            if !self.skip('=') {
                return Err(self.unexpected(&format!("where '=' should be, behind the label {name}")));
            }
            self.spaces();
            let value = self.quoted(name)?;
            if pairs.iter().any(|(known, _)| known == name) {
                return Err(format!("the label {name} is given twice"));
            }
            pairs.push((name.to_owned(), value));
            self.spaces();
            if !self.skip(',') && !self.rest.starts_with('}') {
                return Err(self.unexpected("where ',' or '}' should be"));
            }
        }
    }

    fn quoted(&mut self, name: &str) -> Result<String, String> {
        let Some(quote) = self.rest.chars().next().filter(|c| matches!(c, '"' | '\'' | '`')) else {
            return Err(self.unexpected(&format!("where the value of {name} should be, in quotes")));
        };
        let mut escaped = false;
        let closes = |(_, c): &(usize, char)| {
            let closes = *c == quote && !escaped;
            escaped = *c == '\\' && !escaped && quote != '`';
            closes
        };
        let Some((end, _)) = self.rest.char_indices().skip(1).find(closes) else {
            return Err(format!("the value of {name} has no closing quote"));
        };
        let (written, rest) = self.rest.split_at(end + 1);
        self.rest = rest;
        literal::text(written).map_err(|_| format!("the value of {name} is no text that Go reads: {written}"))
    }

    /// One item of the values.
    fn item(&mut self, values: &mut Vec<Option<f64>>) -> Result<(), String> {
        if self.skip('_') {
            let times = if self.skip('x') { self.times()? } else { 1 };
            return repeat(values, times, || None);
        }
        let mut value = self.value()?;
        let step = match self.rest.chars().next() {
            Some('+' | '-') => self.signed()?,
            Some('x') => 0.0,
            _ => {
                values.push(Some(value));
                return Ok(());
            }
        };
        if !self.skip('x') {
            return Err(self.unexpected("where `x` and how often should be"));
        }
        let times = self.times()?.saturating_add(1);
        let stays = step == 0.0;
        repeat(values, times, || {
            let now = value;
            if !stays {
                value += step;
            }
            Some(now)
        })
    }

    fn value(&mut self) -> Result<f64, String> {
        match self.rest.chars().next() {
            Some('+' | '-') => self.signed(),
            Some(c) if is_letter(c) || c == ':' => {
                let before = self.rest;
                let word = self.run(|c| is_letter(c) || c.is_ascii_digit() || c == ':');
                if word == "stale" {
                    return Ok(STALE);
                }
                named(word).ok_or_else(|| {
                    self.rest = before;
                    format!("{}; write a number, `_` or `stale`", self.unexpected("among the values"))
                })
            }
            _ => self.number(),
        }
    }

    fn signed(&mut self) -> Result<f64, String> {
        let negative = self.rest.starts_with('-');
        self.rest = &self.rest[1..];
        let number = self.number()?;
        Ok(if negative { -number } else { number })
    }

    fn number(&mut self) -> Result<f64, String> {
        let before = self.rest;
        if self.rest.starts_with(is_letter) {
            let word = self.run(|c| is_letter(c) || c.is_ascii_digit() || c == ':');
            return named(word).ok_or_else(|| format!("{word:?} is no number"));
        }
        self.run(|c| c.is_ascii_digit());
        if self.skip('.') {
            self.run(|c| c.is_ascii_digit());
        }
        if self.skip('e') || self.skip('E') {
            if !self.skip('+') {
                self.skip('-');
            }
            self.run(|c| c.is_ascii_digit());
        }
        let written = &before[..before.len() - self.rest.len()];
        if !written.contains(|c: char| c.is_ascii_digit()) {
            self.rest = before;
            return Err(format!("{}; write a number, `_` or `stale`", self.unexpected("among the values")));
        }
        if self.rest.starts_with(|c: char| is_letter(c) && c != 'x') {
            return Err(self.unexpected(&format!("behind the number {written}")));
        }
        // Go's: what begins with a zero is octal, if it can be.
        let octal = written.strip_prefix('0').and_then(|digits| i64::from_str_radix(digits, 8).ok());
        let number = octal.map(|octal| octal as f64).or_else(|| written.parse().ok());
        number.filter(|number: &f64| number.is_finite()).ok_or_else(|| format!("{written:?} is no number"))
    }

    fn times(&mut self) -> Result<u64, String> {
        let written = self.run(|c| c.is_ascii_digit());
        if self.rest.starts_with(|c: char| is_letter(c) || c == '.') || written.is_empty() {
            return Err(self.unexpected("where it should be said how often, in whole numbers"));
        }
        written.parse().map_err(|_| format!("{written} times is too often"))
    }
}

fn named(word: &str) -> Option<f64> {
    match word.to_ascii_lowercase().as_str() {
        "inf" => Some(f64::INFINITY),
        "nan" => Some(f64::NAN),
        _ => None,
    }
}

fn repeat(
    values: &mut Vec<Option<f64>>,
    times: u64,
    mut next: impl FnMut() -> Option<f64>,
) -> Result<(), String> {
    if times.saturating_add(values.len() as u64) > MOST_SAMPLES {
        return Err(format!("more than {MOST_SAMPLES} values in a series"));
    }
    values.extend((0..times).map(|_| next()));
    Ok(())
}

fn is_letter(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn values(text: &str) -> Result<Vec<String>, String> {
        let described = described(&format!("up {text}"))?;
        let written = |value: Option<f64>| match value {
            None => "_".to_owned(),
            Some(value) if rackside_promql::is_stale(value) => "stale".to_owned(),
            Some(value) => rackside_promql::format_float(value),
        };
        Ok(described.values.into_iter().map(written).collect())
    }

    #[test]
    fn values_unfold_as_promtool_unfolds_them() {
        for (text, expected) in [
            ("1 -2 +3", "1 -2 3"),
            ("1+2x2", "1 3 5"),
            ("-1-1x2", "-1 -2 -3"),
            ("0x2", "0 0 0"),
            ("_x2 1 _", "_ _ 1 _"),
            ("stale NaN -Inf inf", "stale NaN -Inf +Inf"),
            ("010 .5 1e3 5.", "8 0.5 1000 5"),
            ("  1 \t 2 ", "1 2"),
            ("-2x1", "-2 -2"),
            ("_x0", ""),
            ("", ""),
        ] {
            let unfolded = values(text).expect(text).join(" ");
            assert_eq!(unfolded, expected, "{text}");
        }
    }

    #[test]
    fn what_promtool_refuses_is_refused() {
        for text in [
            "1+2",
            "1x",
            "a",
            "stalex3",
            "1_2",
            "1,2",
            "1+x3",
            "1 x3",
            "0b1",
            "1x1e2",
            "1e",
            "--1",
            "1x9999999999",
            "_x",
            "1+1x-1",
        ] {
            assert!(values(text).is_err(), "{text}");
        }
        for text in [
            "up{a=b} 1",
            "up {a=\"b\"} 1",
            "up{a=\"b\"}1",
            "up{a=\"b\" 1",
            "on 1",
            "up{a!=\"b\"} 1",
            "up{a=\"b\",a=\"c\"} 1",
        ] {
            assert!(described(text).is_err(), "{text}");
        }
    }

    #[test]
    fn labels_are_those_of_promql() {
        for (text, expected) in [
            ("up", "up"),
            ("{}", "{}"),
            ("", "{}"),
            ("up { a = 'b' , }", "up{a=\"b\"}"),
            ("{__name__=\"up\",a=`b`}", "up{a=\"b\"}"),
            ("a:b{c=\"\\\"}\"}", "a:b{c=\"\\\"}\"}"),
            ("up{a=\"\"}", "up"),
        ] {
            let metric = metric(text).expect(text);
            assert_eq!(
                (metric.labels.to_string().as_str(), metric.equals_nothing),
                (expected, false),
                "{text}"
            );
        }
        assert!(metric("{a=\"\"}").expect("taken").equals_nothing);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        assert_eq!(
            values("1 2 x").expect_err("wrong"),
            "unexpected 'x' among the values, at character 8; write a number, `_` or `stale`"
        );
        assert_eq!(described("up{a=\"b} 1").expect_err("wrong"), "the value of a has no closing quote");
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "[a-z{}=\"'`,_x0-9+. \\\\é-]{0,40}", any in any::<String>()) {
            for text in [text, any] {
                let _ = (described(&text), metric(&text), values(&text));
            }
        }
    }
}
