//! A real Prometheus of this test's own, from Debian: it scrapes nothing, takes series by remote write and answers queries.
//!
//! Remote write instead of `promtool`'s blocks from OpenMetrics, because only remote write carries stale markers and says what every
//! NaN is. One connection is kept for everything: thousands of queries follow each other.
//!
//! ```text
//! {"status":"success","data":{"resultType":"vector","result":[{"metric":{"site":"tent"},"value":[1709247600,"21.5"]}]}}
//! {"status":"error","errorType":"bad_data","error":"invalid parameter \"query\": 1:5: parse error: …"}
//! ```

use crate::http::{self, Connection};
use crate::process::Process;
use crate::{clock, programs};
use serde_json::Value;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// A sample of this value, to the bit, says that its series ends here.
pub const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);
/// Samples of this time go into one request of remote write, so that no series is far behind another.
const SLICE_MS: i64 = 600_000;

/// A running server.
#[derive(Debug)]
pub struct Prometheus {
    // Before its directory: it ends first.
    process: Process,
    address: SocketAddr,
    connection: Connection,
    _directory: TempDir,
}

/// Labels in the order of their names, `__name__` among them, and samples of milliseconds since 1970 and value in the order of time.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// `("site", "tent")`.
    pub labels: Vec<(String, String)>,
    /// `(1_709_247_600_000, 21.5)`.
    pub samples: Vec<(i64, f64)>,
}

/// What an expression has for a value.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// A number at a time.
    Scalar(i64, f64),
    /// A string at a time.
    Text(i64, String),
    /// One sample a series, at one time.
    Vector(Vec<Series>),
    /// Samples of a time.
    Matrix(Vec<Series>),
}

/// An error that Prometheus answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// `bad_data`, `execution`.
    pub kind: String,
    /// Its text.
    pub text: String,
}

impl Prometheus {
    /// One that knows nothing yet, on a port of its own choosing.
    pub fn start() -> Self {
        Self::with_rules("groups: []\n")
    }

    /// One with a rule file.
    pub fn with_rules(rules: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let file = directory.path().join("prometheus.yml");
        let settings = "global: {evaluation_interval: 1m}\nrule_files: [rules.yml]\n";
        for (file, text) in [(&file, settings), (&directory.path().join("rules.yml"), rules)] {
            std::fs::write(file, text).expect("the directory can be written");
        }
        let mut command = Command::new(programs::installed("prometheus"));
        command.arg(format!("--config.file={}", file.display()));
        command.arg(format!("--storage.tsdb.path={}", directory.path().join("data").display()));
        command.args(["--web.listen-address=127.0.0.1:0", "--web.enable-remote-write-receiver"]);
        let process = Process::start(&mut command, &directory.path().join("log"));
        let mut process = process.unwrap_or_else(|error| panic!("{error}"));
        let address = clock::eventually(Duration::from_mins(1), || {
            if process.ended().is_some() {
                return Some(None);
            }
            let log = process.log();
            let ready = log.contains("Server is ready to receive web requests");
            // The two lines come in either order.
            listens_on(&log).filter(|_| ready).map(Some)
        });
        let Some(address) = address.flatten() else {
            panic!("prometheus does not start\n{}", process.last_words());
        };
        let connection = Connection::to(address).expect("it listens");
        Self { process, address, connection, _directory: directory }
    }

    /// What is installed: `prometheus, version 2.42.0+ds …`. Other versions have other values for some expressions.
    pub fn version() -> String {
        let output = Command::new(programs::installed("prometheus")).arg("--version").output();
        let text =
            output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        text.lines().next().unwrap_or_default().to_owned()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stores series. They are known to it in the order in which they stand here, which decides the order of vectors, when each has a
    /// sample in the first ten minutes.
    pub fn store(&mut self, series: &[Series]) {
        let times = || series.iter().flat_map(|series| &series.samples).map(|(at, _)| *at);
        let (Some(first), Some(last)) = (times().min(), times().max()) else { return };
        let mut from = first;
        while from <= last {
            let body = snappy(&write_request(series, from, from + SLICE_MS));
            let head = "Content-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\n\
                        X-Prometheus-Remote-Write-Version: 0.1.0\r\n";
            let (status, text) = self.post("/api/v1/write", head, &body);
            assert_eq!(status, 204, "prometheus does not take the series: {text}");
            from += SLICE_MS;
        }
    }

    /// An expression's value at a time.
    pub fn instant(&mut self, expression: &str, at: i64) -> Result<Answer, Refusal> {
        self.ask("/api/v1/query", &[("query", expression), ("time", &seconds(at))])
    }

    /// An expression's values from `start` to `end`.
    pub fn range(&mut self, expression: &str, start: i64, end: i64, step: i64) -> Result<Answer, Refusal> {
        let (start, end, step) = (seconds(start), seconds(end), seconds(step));
        let form = [("query", expression), ("start", &start), ("end", &end), ("step", &step)];
        self.ask("/api/v1/query_range", &form)
    }

    /// An expression as it spreads it over lines.
    pub fn format(&mut self, expression: &str) -> Result<String, Refusal> {
        let data = self.data("/api/v1/format_query", &[("query", expression)])?;
        Ok(data.as_str().unwrap_or_else(|| panic!("not a text: {data}")).to_owned())
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The expressions of its rules, in the order of the file, as it shows them.
    pub fn rules(&self) -> Vec<String> {
        let answer = http::get(self.address, "/api/v1/rules", "application/json");
        let answer = answer.unwrap_or_else(|error| panic!("prometheus does not answer: {error}"));
        let reply: Value = serde_json::from_str(&answer.body).expect("its answers are JSON");
        let groups = reply.pointer("/data/groups").and_then(Value::as_array).expect("a list of groups");
        let rules = groups.iter().filter_map(|group| group.get("rules")?.as_array()).flatten();
        rules.filter_map(|rule| rule.get("query")?.as_str()).map(str::to_owned).collect()
    }

    fn ask(&mut self, path: &str, form: &[(&str, &str)]) -> Result<Answer, Refusal> {
        let data = self.data(path, form)?;
        Ok(answer(&data).unwrap_or_else(|| panic!("not an answer: {data}")))
    }

    fn data(&mut self, path: &str, form: &[(&str, &str)]) -> Result<Value, Refusal> {
        let head = "Content-Type: application/x-www-form-urlencoded\r\n";
        let (status, text) = self.post(path, head, urlencoded(form).as_bytes());
        let reply: Value = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("prometheus answers {form:?} with {status} {text}: {error}"));
        data(reply)
    }

    fn post(&mut self, path: &str, head: &str, body: &[u8]) -> (u16, String) {
        match self.connection.post(path, head, body) {
            Ok(answer) => (answer.status, answer.body),
            Err(error) => panic!("prometheus does not answer: {error}\n{}", self.process.last_words()),
        }
    }
}

/// From `… msg="Listening on" address=127.0.0.1:40211`.
fn listens_on(log: &str) -> Option<SocketAddr> {
    let (_, rest) = log.split_once("msg=\"Listening on\" address=")?;
    // The whole line: half a port is a port as well.
    rest.split_once('\n')?.0.trim().parse().ok()
}

/// The answer in the body of a reply to a query, from whoever speaks this API; nothing if it is none.
pub fn read(body: &str) -> Option<Result<Answer, Refusal>> {
    match data(serde_json::from_str(body).ok()?) {
        Ok(data) => answer(&data).map(Ok),
        Err(refusal) => Some(Err(refusal)),
    }
}

fn data(mut reply: Value) -> Result<Value, Refusal> {
    let word = |name: &str| reply.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    if word("status") != "success" {
        return Err(Refusal { kind: word("errorType"), text: word("error") });
    }
    Ok(reply.get_mut("data").map(Value::take).unwrap_or_default())
}

/// `1709247600.005`, as the query's parameters have it.
pub fn seconds(ms: i64) -> String {
    let sign = if ms < 0 { "-" } else { "" };
    format!("{sign}{}.{:03}", ms.unsigned_abs() / 1000, ms.unsigned_abs() % 1000)
}

/// Parameters as a form or an address has them.
pub fn urlencoded(form: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, value) in form {
        text.push_str(if text.is_empty() { "" } else { "&" });
        text.push_str(name);
        text.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() {
                text.push(char::from(byte));
            } else {
                let _ = write!(text, "%{byte:02X}");
            }
        }
    }
    text
}

fn answer(data: &Value) -> Option<Answer> {
    let result = data.get("result")?;
    let list = |name: &str| -> Option<Vec<Series>> {
        result.as_array()?.iter().map(|item| series(item, name)).collect()
    };
    Some(match data.get("resultType")?.as_str()? {
        "scalar" => sample(result).map(|(at, value)| Answer::Scalar(at, value))?,
        "string" => Answer::Text(at(result)?, result.get(1)?.as_str()?.to_owned()),
        "vector" => Answer::Vector(list("value")?),
        "matrix" => Answer::Matrix(list("values")?),
        _ => return None,
    })
}

fn series(item: &Value, name: &str) -> Option<Series> {
    let labels = item.get("metric")?.as_object()?.iter();
    let mut labels: Vec<_> = labels
        .map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect::<Option<_>>()?;
    labels.sort();
    let samples = match item.get(name) {
        Some(one) if name == "value" => vec![sample(one)?],
        many => many?.as_array()?.iter().map(sample).collect::<Option<_>>()?,
    };
    Some(Series { labels, samples })
}

fn sample(pair: &Value) -> Option<(i64, f64)> {
    // Rust reads what Go writes: +Inf, NaN, 1e+30.
    Some((at(pair)?, pair.get(1)?.as_str()?.parse().ok()?))
}

fn at(pair: &Value) -> Option<i64> {
    Some((pair.get(0)?.as_f64()? * 1000.0).round() as i64)
}

/// A `WriteRequest` of remote write 1.0 with the samples from `from` until before `until`.
fn write_request(series: &[Series], from: i64, until: i64) -> Vec<u8> {
    let mut request = Vec::new();
    for Series { labels, samples } in series {
        let mut one = Vec::new();
        for (name, value) in labels {
            let label = [field(1, name.as_bytes()), field(2, value.as_bytes())].concat();
            one.extend(field(1, &label));
        }
        let before = one.len();
        for (at, value) in samples.iter().filter(|(at, _)| (from..until).contains(at)) {
            let mut sample = vec![1 << 3 | 1];
            sample.extend(value.to_bits().to_le_bytes());
            sample.push(2 << 3);
            varint(&mut sample, *at as u64);
            one.extend(field(2, &sample));
        }
        if one.len() > before {
            request.extend(field(1, &one));
        }
    }
    request
}

/// A protobuf field of bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    varint(&mut out, bytes.len() as u64);
    out.extend(bytes);
    out
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Snappy's block format, all of it literal: the format asks for no compression.
fn snappy(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    varint(&mut out, bytes.len() as u64);
    for part in bytes.chunks(0x1_0000) {
        // A literal whose length, less one, stands in the two bytes that follow.
        out.push(61 << 2);
        out.extend(((part.len() - 1) as u16).to_le_bytes());
        out.extend(part);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_answered_and_a_stale_marker_ends_a_series() {
        let labels = |name: &str| vec![("__name__".to_owned(), name.to_owned())];
        let lasting =
            Series { labels: labels("a"), samples: vec![(1_000_000, 1e30), (1_900_000, -f64::INFINITY)] };
        let ended = Series { labels: labels("b"), samples: vec![(1_000_000, 2.5), (1_010_000, STALE)] };
        let mut prometheus = Prometheus::start();
        prometheus.store(&[lasting, ended]);
        let now = |name: &str, value| vec![Series { labels: labels(name), samples: vec![value] }];
        let both = Answer::Vector([now("a", (1_009_999, 1e30)), now("b", (1_009_999, 2.5))].concat());
        assert_eq!(prometheus.instant("{__name__=~\"a|b\"}", 1_009_999), Ok(both));
        let one = Answer::Vector(now("a", (1_010_000, 1e30)));
        assert_eq!(prometheus.instant("{__name__=~\"a|b\"}", 1_010_000), Ok(one));
        let range = vec![(1_890_000, f64::INFINITY), (1_950_000, f64::INFINITY)];
        let matrix = Answer::Matrix(vec![Series { labels: vec![], samples: range.clone() }]);
        assert_eq!(
            prometheus.range("-a - 0 or vector(+Inf)", 1_890_000, 2_000_000, 60_000),
            Ok(matrix),
            "{range:?}"
        );
        assert_eq!(prometheus.instant("1 +", 0).map_err(|refusal| refusal.kind), Err("bad_data".to_owned()));
    }
}
