//! What one run of a probe found.
//!
//! ```text
//! Outcome { state: Down("refused"), samples: [rackside_tls_… 1795132800], texts: [("encoder/codec", "h264")] }
//! ```

use rackside_proto::metric::Metric;
use rackside_proto::{Scale, Value};
use std::time::Duration;

/// What a run says of its target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It is as it should be.
    Up,
    /// It is not; why, for people.
    Down(String),
    /// It cannot be told from here; why, for people. A statistics page that cannot be reached says nothing of the stream.
    Unknown(String),
}

impl State {
    /// As `rackside_probe_success` has it.
    pub const fn value(&self) -> Value {
        match self {
            Self::Up => Value::Known(1),
            Self::Down(_) => Value::Known(0),
            Self::Unknown(_) => Value::Unknown,
        }
    }

    /// `up`, `down` or `unknown`.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down(_) => "down",
            Self::Unknown(_) => "unknown",
        }
    }

    /// Why it is not up.
    pub fn why(&self) -> Option<&str> {
        match self {
            Self::Up => None,
            Self::Down(why) | Self::Unknown(why) => Some(why),
        }
    }
}

/// Units of what moves from one run to the next.
const UNITS: [&str; 18] = [
    "%", "ns", "µs", "ms", "s", "min", "h", "d", "days", "B", "KiB", "MiB", "GiB", "kB", "MB", "GB", "dB",
    "°C",
];

/// A reason without its measures, to tell whether another one says the same: "not changed for 31 s" and "… for 32 s" do; a number without a unit is a
/// code, as in "it answers 404".
pub fn unmeasured(why: &str) -> String {
    let (mut kept, mut rest) = (String::new(), why);
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, number) = rest.split_at(at);
        let end = number.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(number.len());
        let (number, after) = number.split_at(end);
        let after_gap = after.strip_prefix(' ').unwrap_or(after);
        let is_end = |c: char| !c.is_alphabetic() && c != '%' && c != '°';
        let (unit, behind) = after_gap.split_at(after_gap.find(is_end).unwrap_or(after_gap.len()));
        let is_measure = UNITS.contains(&unit);
        kept.push_str(before);
        kept.push_str(if is_measure { "#" } else { number });
        rest = if is_measure { behind } else { after };
    }
    kept + rest
}

/// One series' value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// What is measured.
    pub metric: &'static Metric,
    /// The values of the metric's labels, in its order; `probe`, `type` and `stream` are filled in by the runner.
    pub labels: Vec<String>,
    /// What one step of the number is worth.
    pub scale: Scale,
    /// The value.
    pub value: Value,
}

/// What a run found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Whether the target is as it should be.
    pub state: State,
    /// What was measured besides. A series that a run leaves out is absent until a later one has it again.
    pub samples: Vec<Sample>,
    /// Texts by what they are about (`codec`, `title`); the runner tells those that changed.
    pub texts: Vec<(&'static str, String)>,
    /// Ask again after so long, if that is sooner than the schedule has it: what is asked once a day and could not be asked now.
    pub again: Option<Duration>,
}

impl Outcome {
    /// It is as it should be.
    pub const fn up() -> Self {
        Self { state: State::Up, samples: Vec::new(), texts: Vec::new(), again: None }
    }

    /// It is not.
    pub fn down(why: impl Into<String>) -> Self {
        Self { state: State::Down(why.into()), ..Self::up() }
    }

    /// It cannot be told.
    pub fn unknown(why: impl Into<String>) -> Self {
        Self { state: State::Unknown(why.into()), ..Self::up() }
    }

    /// Adds a series' value in its unit; one beyond the wire's range is unknown. `labels` are the metric's own, in its order, without
    /// `probe`, `type` and `stream`.
    pub fn put(&mut self, metric: &'static Metric, labels: &[&str], scale: Scale, value: f64) {
        let value = scale.number(value).map_or(Value::Unknown, Value::Known);
        self.put_value(metric, labels, scale, value);
    }

    /// Adds a whole number of steps of `scale`, or why there is none.
    pub fn put_value(&mut self, metric: &'static Metric, labels: &[&str], scale: Scale, value: Value) {
        let labels = labels.iter().map(ToString::to_string).collect();
        self.samples.push(Sample { metric, labels, scale, value });
    }

    /// Adds a text.
    pub fn say(&mut self, subject: &'static str, text: impl Into<String>) {
        self.texts.push((subject, text.into()));
    }
}
