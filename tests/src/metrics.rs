//! `/metrics` of a hub, read as Prometheus would.

use std::collections::BTreeMap;

/// The samples of one scrape.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metrics {
    samples: Vec<Sample>,
}

/// One line.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The metric's name.
    pub name: String,
    /// All its labels.
    pub labels: BTreeMap<String, String>,
    /// Its value.
    pub value: f64,
}

impl Metrics {
    /// Reads the text format; lines that are none are left out.
    pub fn parse(text: &str) -> Self {
        Self {
            samples: text.lines().filter(|line| !line.starts_with('#')).filter_map(Sample::parse).collect(),
        }
    }

    /// Every sample of that name whose labels include `labels`.
    pub fn all<'m>(&'m self, name: &'m str, labels: &'m [(&str, &str)]) -> impl Iterator<Item = &'m Sample> {
        let fits = move |sample: &&Sample| {
            sample.name == name
                && labels
                    .iter()
                    .all(|(label, value)| sample.labels.get(*label).is_some_and(|found| found == value))
        };
        self.samples.iter().filter(fits)
    }

    /// The value of the first sample of that name whose labels include `labels`.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        self.all(name, labels).next().map(|sample| sample.value)
    }

    /// The sum over every sample of that name whose labels include `labels`; 0 when there is none.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.all(name, labels).map(|sample| sample.value).sum()
    }

    /// Everything.
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }
}

impl Sample {
    fn parse(line: &str) -> Option<Self> {
        let end = line.find(['{', ' '])?;
        let (name, mut rest) = line.split_at(end);
        let mut labels = BTreeMap::new();
        if let Some(inside) = rest.strip_prefix('{') {
            rest = inside;
            while !rest.starts_with('}') {
                let (label, after) = rest.split_once("=\"")?;
                let (value, after) = quoted(after)?;
                labels.insert(label.trim_start_matches(',').to_owned(), value);
                rest = after;
            }
            rest = &rest[1..];
        }
        let value = rest.split_ascii_whitespace().next()?.parse().ok()?;
        Some(Self { name: name.to_owned(), labels, value })
    }
}

/// The text up to the closing quote, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match letters.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_read_with_their_labels() {
        let text = "# HELP a b\n# TYPE a gauge\na 1\nb{x=\"1\",y=\"a,}\\\"\\n\"} 2.5e3\nb{x=\"2\"} NaN\n";
        let metrics = Metrics::parse(text);
        assert_eq!(metrics.value("a", &[]), Some(1.0));
        assert_eq!(metrics.value("b", &[("x", "1"), ("y", "a,}\"\n")]), Some(2500.0));
        assert!(metrics.value("b", &[("x", "2")]).is_some_and(f64::is_nan));
        assert_eq!(metrics.value("b", &[("x", "3")]), None);
        assert_eq!(metrics.samples().len(), 3);
    }
}
