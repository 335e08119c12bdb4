//! What a program of somebody's prints: the Prometheus text format (0.0.4), read line by line and bounded. Pure.
//!
//! A line that cannot be taken is counted, with the reason of the first. Whatever the bytes, nothing is taken that could pass for a series or a
//! label of ours: all names get [`PREFIX`], and the labels that everybody here has are refused.
//!
//! ```text
//! # TYPE fan_speed_rpm gauge
//! fan_speed_rpm{fan="rear"} 1420      →  rackside_exec_fan_speed_rpm{probe="…",fan="rear"} 1420
//! up{probe="encoder"} 1               →  refused: the label probe is not a program's to give
//! ```

use rackside_proto::{Bound, Kind, limits};
use std::collections::BTreeMap;

/// Before every name.
pub(super) const PREFIX: &str = "rackside_exec_";
/// Most series of one program.
pub(super) const SERIES: usize = 100;
/// Most labels of its own; the probe's name and stream come to them.
const LABELS: usize = limits::LABELS - 2;
/// What everybody here has, or the hub adds.
const OURS: [&str; 5] = ["site", "appliance", "probe", "type", "stream"];

/// Names and values of labels.
pub(super) type Pairs = Vec<(String, String)>;

/// One series, and its value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    /// With [`PREFIX`].
    pub(super) name: String,
    pub(super) kind: Kind,
    /// By their names, in order.
    pub(super) labels: Pairs,
    pub(super) value: f64,
}

/// All that was taken of a text.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Text {
    pub(super) lines: Vec<Line>,
    /// Lines that were not taken.
    pub(super) refused: usize,
    /// Why the first of them was not.
    pub(super) why: Option<String>,
}

impl Text {
    pub(super) fn refuse(&mut self, why: String) {
        self.refused += 1;
        self.why.get_or_insert(why);
    }
}

/// Reads a text.
pub(super) fn read(text: &str) -> Text {
    let mut found = Text::default();
    let mut kinds = BTreeMap::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(comment) = line.strip_prefix('#') {
            let mut words = comment.split_whitespace();
            if let (Some("TYPE"), Some(name), Some(kind)) = (words.next(), words.next(), words.next())
                && kinds.len() < SERIES
            {
                kinds.insert(name, kind);
            }
            continue;
        }
        if line.is_empty() {
            continue;
        }
        match read_line(line, &kinds) {
            Ok(line) => {
                let is_it = |other: &Line| other.name == line.name && other.labels == line.labels;
                if found.lines.iter().any(is_it) {
                    found.refuse(format!("line {}: this series is there already", at + 1));
                } else if found.lines.len() >= SERIES {
                    found.refuse(format!("line {}: more than {SERIES} series", at + 1));
                } else {
                    found.lines.push(line);
                }
            }
            Err(why) => found.refuse(format!("line {}: {why}", at + 1)),
        }
    }
    found
}

fn read_line(line: &str, kinds: &BTreeMap<&str, &str>) -> Result<Line, String> {
    let end = line.find(|c: char| c == '{' || c.is_whitespace()).ok_or("there is no value")?;
    let (name, rest) = line.split_at(end);
    if !is_name(name) || name.len() + PREFIX.len() > limits::STRING {
        let most = limits::STRING - PREFIX.len();
        return Err(format!("no name; 1 to {most} letters, digits and _ are"));
    }
    let rest = rest.trim_start();
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => read_labels(rest)?,
        None => (Vec::new(), rest),
    };
    // A time may follow; this is so now.
    let value = rest.split_whitespace().next().ok_or("there is no value")?;
    let value = value.parse().map_err(|_| "the value is no number")?;
    Ok(Line { name: format!("{PREFIX}{name}"), kind: kind(name, kinds), labels, value })
}

/// The labels behind a `{`, and what comes after their `}`.
fn read_labels(text: &str) -> Result<(Pairs, &str), String> {
    let mut labels: Pairs = Vec::new();
    let mut rest = text.trim_start();
    loop {
        if let Some(rest) = rest.strip_prefix('}') {
            labels.sort();
            return Ok((labels, rest));
        }
        let (name, after) = rest.split_once('=').ok_or("the labels do not end")?;
        let name = name.trim();
        if !is_name(name) || name.len() > limits::STRING {
            return Err("no label's name".to_owned());
        }
        if OURS.contains(&name) || name.starts_with("__") {
            return Err(format!("the label {name} is not a program's to give"));
        }
        if labels.len() >= LABELS || labels.iter().any(|(other, _)| other == name) {
            return Err(format!("more than {LABELS} labels, or {name} twice"));
        }
        let after = after.trim_start().strip_prefix('"').ok_or("a label's value is in quotes")?;
        let (value, after) = read_value(after)?;
        if value.len() > limits::STRING || value.chars().any(char::is_control) {
            return Err(format!("the label {name} is longer than {} bytes, or no text", limits::STRING));
        }
        // A bucket's bound is the same text whoever wrote it.
        let bound = if name == "le" { Bound::parse(&value) } else { None };
        labels.push((name.to_owned(), bound.map_or(value, |bound| bound.to_string())));
        let after = after.trim_start();
        rest = match after.strip_prefix(',') {
            Some(after) => after.trim_start(),
            None if after.starts_with('}') => after,
            None => return Err("the labels do not end".to_owned()),
        };
    }
}

/// A value up to its closing quote, and what comes after that.
fn read_value(text: &str) -> Result<(String, &str), String> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((value, text.get(at + 1..).unwrap_or_default())),
            '\\' => match chars.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, c)) => value.push(c),
                None => break,
            },
            c => value.push(c),
        }
    }
    Err("a label's value does not end".to_owned())
}

fn is_name(name: &str) -> bool {
    let is_fine = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()) && name.chars().all(is_fine)
}

/// How it moves: as its type says, or that of the histogram or summary that it is a part of.
fn kind(name: &str, kinds: &BTreeMap<&str, &str>) -> Kind {
    let of_part = || ["_bucket", "_sum", "_count"].iter().find_map(|end| kinds.get(name.strip_suffix(end)?));
    match kinds.get(name).or_else(of_part) {
        Some(&("counter" | "histogram")) => Kind::Counter,
        Some(&"summary") if name.ends_with("_sum") || name.ends_with("_count") => Kind::Counter,
        _ => Kind::Gauge,
    }
}

/// What is taken of a text is bounded, passes for none of our own series, and reads back as it was when it is written again.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz(bytes: &[u8]) {
    use std::fmt::Write as _;
    let found = read(&String::from_utf8_lossy(bytes));
    assert!(found.lines.len() <= SERIES && (found.refused > 0) == found.why.is_some());
    let mut written = String::new();
    for Line { name, labels, value, .. } in &found.lines {
        let name = name.strip_prefix(PREFIX).expect("all names have it");
        assert!(is_name(name) && labels.len() <= LABELS);
        written.extend([name, "{"]);
        for (name, value) in labels {
            assert!(is_name(name) && !OURS.contains(&name.as_str()) && value.len() <= limits::STRING);
            write!(written, "{name}=\"{}\",", value.replace('\\', "\\\\").replace('"', "\\\""))
                .expect("a String has room");
        }
        writeln!(written, "}} {value}").expect("a String has room");
    }
    let told = |text: Text| {
        // As text: what is no number may have a sign, and is not written with it.
        let series = |line: Line| (line.name, line.labels, line.value.to_string());
        text.lines.into_iter().map(series).collect::<Vec<_>>()
    };
    assert_eq!(told(read(&written)), told(found), "{written}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(text: &str) -> Result<Line, String> {
        let Text { mut lines, why, .. } = read(text);
        lines.pop().ok_or_else(|| why.expect("a reason"))
    }

    #[test]
    fn a_series_has_a_name_labels_a_type_and_a_value() {
        let text = "# HELP x y\n# TYPE jobs_total counter\njobs_total { queue = \"a\\\"b\\\\c\" , kind=\"x\",} 1.5e3 1795132800000\n";
        let label = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let labels = vec![label("kind", "x"), label("queue", "a\"b\\c")];
        let name = "rackside_exec_jobs_total".to_owned();
        assert_eq!(line(text), Ok(Line { name, kind: Kind::Counter, labels, value: 1500.0 }));
        assert_eq!(line("plain 3").map(|line| (line.kind, line.value)), Ok((Kind::Gauge, 3.0)));
        assert_eq!(line("free +Inf").map(|line| line.value), Ok(f64::INFINITY));
        let part = "# TYPE wait histogram\nwait_bucket{le=\"0.5\"} 4\n";
        assert_eq!(line(part).map(|line| line.kind), Ok(Kind::Counter));
        let bound = line("wait_bucket{le=\"5\"} 4").map(|line| line.labels);
        assert_eq!(bound, Ok(vec![label("le", "5.0")]), "as everywhere");
    }

    #[test]
    fn nobody_gives_himself_another_probes_labels() {
        for name in OURS.into_iter().chain(["__name__"]) {
            let refused = line(&format!("x{{{name}=\"1\"}} 1"));
            assert_eq!(refused, Err(format!("line 1: the label {name} is not a program's to give")));
        }
        let forged = line("rackside_stream_up{path=\"main\"} 1").expect("a series");
        assert_eq!(forged.name, "rackside_exec_rackside_stream_up");
    }

    #[test]
    fn what_cannot_be_read_is_counted_and_the_rest_is_taken() {
        let text = read("good 1\n9bad 1\nbad\nbad{a=\"1\" 2\nbad{a=1} 2\nbad x\ngood 2\nalso_good 1\n");
        assert_eq!((text.lines.len(), text.refused), (2, 6));
        assert_eq!(text.why.as_deref(), Some("line 2: no name; 1 to 50 letters, digits and _ are"));
    }

    #[test]
    fn names_labels_and_series_are_bounded() {
        assert!(line(&format!("{} 1", "x".repeat(50))).is_ok());
        assert!(line(&format!("{} 1", "x".repeat(51))).is_err());
        assert!(line(&format!("x{{a=\"{}\"}} 1", "y".repeat(65))).is_err());
        assert!(line("x{a=\"1\",b=\"1\",c=\"1\",d=\"1\",e=\"1\",f=\"1\"} 1").is_ok());
        assert!(line("x{a=\"1\",b=\"1\",c=\"1\",d=\"1\",e=\"1\",f=\"1\",g=\"1\"} 1").is_err());
        let many: Vec<String> = (0..SERIES + 7).map(|at| format!("x{{a=\"{at}\"}} 1\n")).collect();
        let text = read(&many.concat());
        assert_eq!((text.lines.len(), text.refused), (SERIES, 7));
    }

    proptest! {
        #[test]
        fn any_text_is_read_and_fits_the_wire(text in "([a-z_#]{1,70}(\\{[a-z=\",\\\\ }]{0,30})? ?[0-9.]{0,4}\n|.{0,60}\n){0,30}") {
            for line in read(&text).lines {
                prop_assert!(line.name.starts_with(PREFIX) && line.name.len() <= limits::STRING);
                prop_assert!(line.labels.len() <= LABELS);
                for (name, value) in &line.labels {
                    prop_assert!(!OURS.contains(&name.as_str()) && value.len() <= limits::STRING);
                }
            }
        }
    }
}
