//! Two who speak Prometheus's HTTP API are asked the same, and their answers are compared: the hub and a Prometheus.

use rackside_tests::http::Connection;
use rackside_tests::prometheus::{Answer, Series, read, seconds, urlencoded};
use rackside_tests::{clock, http};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// Values may differ by this share: the two add in different orders.
const SAME: f64 = 1e-9;

/// One of the two, on a connection that is kept.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) name: &'static str,
    address: SocketAddr,
    connection: Connection,
}

/// The newest evaluation of a group of rules.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Evaluation {
    /// When, as it is written.
    pub(crate) at: String,
    pub(crate) took: Duration,
}

/// Samples by the labels of their series.
pub(crate) type Found = BTreeMap<Vec<(String, String)>, Vec<(i64, f64)>>;

impl Asked {
    pub(crate) fn new(name: &'static str, address: SocketAddr) -> Result<Self, String> {
        let connection = Connection::to(address).map_err(|error| format!("{name}: {error}"))?;
        Ok(Self { name, address, connection })
    }

    /// The same on a new connection: one that has rested for a while is closed by the hub.
    pub(crate) fn anew(&self) -> Result<Self, String> {
        Self::new(self.name, self.address)
    }

    /// What an expression is worth at a moment.
    pub(crate) fn instant(&mut self, expression: &str, at_ms: u64) -> Result<Found, String> {
        let (_, body) =
            self.post("/api/v1/query", &[("query", expression), ("time", &seconds(at_ms as i64))])?;
        self.found(expression, &body)
    }

    /// The answer to a range query as it came, and how long it took until the last byte was here.
    pub(crate) fn range(
        &mut self,
        expression: &str,
        (start, end, step): (u64, u64, u64),
    ) -> Result<(Duration, String), String> {
        let [start, end, step] = [start, end, step].map(|ms| seconds(ms as i64));
        let form = [("query", expression), ("start", &start), ("end", &end), ("step", &step)];
        self.post("/api/v1/query_range", &form)
    }

    fn post(&mut self, path: &str, form: &[(&str, &str)]) -> Result<(Duration, String), String> {
        let head = "Content-Type: application/x-www-form-urlencoded\r\n";
        let start = clock::now();
        let answer = self.connection.post(path, head, urlencoded(form).as_bytes());
        let answer = answer.map_err(|error| format!("{}: {path}: {error}", self.name))?;
        Ok((start.elapsed(), answer.body))
    }

    /// The series in an answer.
    pub(crate) fn found(&self, expression: &str, body: &str) -> Result<Found, String> {
        let series = match read(body) {
            Some(Ok(Answer::Vector(series) | Answer::Matrix(series))) => series,
            Some(Ok(other)) => return Err(format!("{}: {expression}: {other:?}", self.name)),
            Some(Err(refusal)) => return Err(format!("{}: {expression}: {}", self.name, refusal.text)),
            None => return Err(format!("{}: {expression}: no answer but {body:.200}", self.name)),
        };
        Ok(series.into_iter().map(|Series { labels, samples }| (labels, samples)).collect())
    }

    /// The newest evaluation of the group of that name; nothing before the first one.
    pub(crate) fn evaluated(&self, group: &str) -> Result<Option<Evaluation>, String> {
        // Without its alerts, of which there may be thousands.
        let answer = http::get(self.address, "/api/v1/rules?type=record", "application/json");
        let answer = answer.map_err(|error| format!("{}: /api/v1/rules: {error}", self.name))?;
        let reply: Json =
            serde_json::from_str(&answer.body).map_err(|error| format!("{}: {error}", self.name))?;
        let groups = reply.pointer("/data/groups").and_then(Json::as_array);
        let group = groups.into_iter().flatten().find(|one| one["name"] == group);
        let group = group.ok_or_else(|| format!("{} has no group {group:?}", self.name))?;
        let at = group["lastEvaluation"].as_str().unwrap_or_default().to_owned();
        let took = group["evaluationTime"].as_f64().unwrap_or_default();
        Ok((!at.starts_with("0001") && took > 0.0)
            .then(|| Evaluation { at, took: Duration::from_secs_f64(took) }))
    }
}

/// Why two answers are not the same; nothing if they are. `values`, if not only the series count.
pub(crate) fn difference(ours: &Found, theirs: &Found, values: bool) -> Option<String> {
    let lacks = |one: &Found, other: &Found| {
        let missing: Vec<_> = one.keys().filter(|labels| !other.contains_key(*labels)).collect();
        missing.first().map(|labels| format!("{} series too few, as {labels:?}", missing.len()))
    };
    if let Some(few) = lacks(theirs, ours) {
        return Some(format!("the hub has {few}"));
    }
    if let Some(few) = lacks(ours, theirs) {
        return Some(format!("Prometheus has {few}"));
    }
    if !values {
        return None;
    }
    let (mut points, mut wrong, mut first) = (0, 0, None);
    for ((labels, ours), theirs) in ours.iter().zip(theirs.values()) {
        if ours.len() != theirs.len() {
            return Some(format!("{labels:?} has {} points, not {}", ours.len(), theirs.len()));
        }
        points += ours.len();
        for (ours, theirs) in ours.iter().zip(theirs) {
            if ours.0 != theirs.0 || !is_same(ours.1, theirs.1) {
                wrong += 1;
                first.get_or_insert_with(|| format!("{labels:?} is {ours:?}, not {theirs:?}"));
            }
        }
    }
    first.map(|first| format!("{wrong} of {points} points, as {first}"))
}

fn is_same(ours: f64, theirs: f64) -> bool {
    ours.to_bits() == theirs.to_bits()
        || (ours.is_nan() && theirs.is_nan())
        || (ours - theirs).abs() <= SAME * ours.abs().max(theirs.abs())
}

/// Median and worst.
pub(crate) fn middle(times: &mut [Duration]) -> (Duration, Duration) {
    times.sort_unstable();
    let at = |at: usize| times.get(at).copied().unwrap_or_default();
    (at(times.len() / 2), at(times.len().saturating_sub(1)))
}
