//! Our HTTP API against Debian's Prometheus 2.42: the same requests over the same series have the same answers, to the byte.
//!
//! Prometheus is sent the series by remote write; ours has them in memory, behind the router that the hub serves. Where the answers may differ
//! is listed in [`Difference`], each with its reason; an answer that differs otherwise fails the test.
//!
//! ```sh
//! cargo test -p rackside-tests --test api
//! ```

mod requests;

use rackside_alerting::RulesView;
use rackside_hub::web::api::{Api, Behind, Meanings, QueryConfig, router};
use rackside_hub::web::server::{self, Bounds};
use rackside_promql::{Labels, Memory, Sample};
use rackside_tests::http::{Answer, Connection};
use rackside_tests::prometheus::{Prometheus, STALE, Series};
use requests::{Asked, START};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// In which way two answers differ that need not be the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Difference {
    /// Of an expression that is wrong the kind of error is the same, not the place and the words: another parser reads it.
    Syntax,
    /// The series of a vector have an order only where the expression gives them one.
    Order,
    /// Go reads hexadecimal numbers, and has a moment by overflow for what is none (`NaN`) and for what is beyond all years. Ours refuses those, and
    /// counts with the first and last moments as they are.
    Moment,
    /// Steps of less than a millisecond are refused by ours; Prometheus divides by zero.
    Step,
    /// A query that may take no time ends in the queue with ours, before its expression is read; with Prometheus there or later.
    Queue,
    /// Prometheus sends whoever asks with a slash at the end to where there is none; with ours there is nothing.
    Slash,
}

/// Labels without their name, and samples.
fn named(name: &str, labels: &[(&str, &str)], samples: Vec<(i64, f64)>) -> Series {
    let labels = labels.iter().copied().chain([("__name__", name)]);
    let mut labels: Vec<_> = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    labels.sort();
    Series { labels, samples }
}

/// Half an hour of series, a sample every 15 s.
fn world() -> Vec<Series> {
    let every = |value: &dyn Fn(i64) -> f64| -> Vec<(i64, f64)> {
        (0..120).map(|at| ((START + at * 15) * 1000, value(at))).collect()
    };
    let mut world = Vec::new();
    let racks = [("arena <&>", "1"), ("tent", "1"), ("tent", "2"), ("town\"hall\\", "1"), ("é\u{2028}", "1")];
    for (number, (site, rack)) in (1..).zip(racks) {
        let labels = [("site", site), ("rack", rack)];
        let number = f64::from(number);
        world.push(named("load", &labels, every(&|at| number * 7.25 + (at % 8) as f64 / 8.0)));
        world.push(named("sent_total", &labels, every(&|at| number * (at % 50) as f64 * 1000.0)));
    }
    world.push(named("site_info", &[("site", "tent"), ("zone", "a")], every(&|_| 1.0)));
    world.push(named("site_info", &[("site", "arena <&>"), ("zone", "b")], every(&|_| 1.0)));
    let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e22, -1e21, 1e-7, -0.0, 123_456_789.125, 5e-324];
    for (number, value) in odd.into_iter().enumerate() {
        let labels = [("number", &*number.to_string()), ("site", "tent")];
        world.push(named("odd", &labels, every(&|_| value)));
    }
    let mut ended = every(&|at| at as f64);
    ended.truncate(20);
    ended.push(((START + 300) * 1000, STALE));
    world.push(named("ended", &[("site", "tent")], ended));
    world.sort_by(|one, other| one.labels.cmp(&other.labels));
    world
}

/// The hub's router, served in this process.
struct Ours {
    address: SocketAddr,
    _stop: watch::Sender<bool>,
    _runtime: Runtime,
}

fn ours(world: &[Series]) -> Ours {
    let mut memory = Memory::new();
    for series in world {
        let labels = series.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        memory.push(Labels::new(labels), series.samples.iter().map(|(at, value)| Sample::new(*at, *value)));
    }
    let behind = Behind {
        series: Arc::new(memory),
        metadata: Box::new(Meanings::new),
        rules: Box::new(|_| Arc::new(RulesView { groups: Vec::new() })),
    };
    let runtime = Runtime::new().expect("threads");
    let (stop, stopping) = watch::channel(false);
    let api = Api::new(QueryConfig::default(), behind, stopping.clone());
    let listener =
        runtime.block_on(server::bind(SocketAddr::from(([127, 0, 0, 1], 0)))).expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    runtime.spawn(server::serve(listener, router(api), Bounds::default(), stopping));
    Ours { address, _stop: stop, _runtime: runtime }
}

fn ask(connection: &mut Connection, prefix: &str, asked: &Asked) -> Answer {
    let (kind, body) = asked.body.as_ref().map_or(("", ""), |(kind, text)| (*kind, text.as_str()));
    let head = if kind.is_empty() { String::new() } else { format!("Content-Type: {kind}\r\n") };
    let path = format!("{prefix}{}", asked.path);
    connection
        .ask(asked.method, &path, &head, body.as_bytes())
        .unwrap_or_else(|error| panic!("{asked:?}: {error}"))
}

/// `application/json`, without what follows.
fn kind(answer: &Answer) -> String {
    let line = answer.head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-type").then_some(value)
    });
    line.unwrap_or("").split(';').next().unwrap_or("").trim().to_owned()
}

/// What an error says, if it is one: its type and its text.
fn error(answer: &Answer) -> Option<(String, String)> {
    let json: Value = serde_json::from_str(&answer.body).ok()?;
    let word = |name: &str| Some(json.get(name)?.as_str()?.to_owned());
    Some((word("errorType")?, word("error")?))
}

/// The answer with its series in order.
fn in_order(answer: &Answer) -> Option<Value> {
    let mut json: Value = serde_json::from_str(&answer.body).ok()?;
    let result = json.pointer_mut("/data/result")?.as_array_mut()?;
    result.sort_by_key(|one| one.get("metric").map(Value::to_string));
    Some(json)
}

/// Whether a complaint is about how an expression is written.
fn is_syntax(text: &str) -> bool {
    text.contains("parse error: ") || text.contains("match[] must contain")
}

/// Compares; an error shows both.
fn compare(asked: &Asked, theirs: &Answer, ours: &Answer) -> Result<Option<Difference>, String> {
    let differ = || {
        let short = |answer: &Answer| {
            format!(
                "{} {} {}",
                answer.status,
                kind(answer),
                answer.body.chars().take(400).collect::<String>()
            )
        };
        format!("{asked:?}\n  prometheus: {}\n  ours:       {}", short(theirs), short(ours))
    };
    if theirs.status == ours.status && kind(theirs) == kind(ours) && theirs.body == ours.body {
        return Ok(None);
    }
    let same_head = theirs.status == ours.status && kind(theirs) == kind(ours);
    let (of_theirs, of_ours) = (error(theirs), error(ours));
    let difference = match (&of_theirs, &of_ours) {
        (Some((one, theirs)), Some((other, ours)))
            if same_head && one == other && is_syntax(theirs) && is_syntax(ours) =>
        {
            Difference::Syntax
        }
        (Some((_, theirs)), Some((_, ours)))
            if theirs.ends_with("integer divide by zero") && ours.contains("less than a millisecond") =>
        {
            Difference::Step
        }
        (Some((one, theirs)), Some((other, _)))
            if other == "timeout" && (is_syntax(theirs) || one == other) =>
        {
            Difference::Queue
        }
        (None, None) if theirs.status == 301 && ours.status == 404 => Difference::Slash,
        _ if asked.is_at_the_end_of_time() => Difference::Moment,
        (_, Some((_, text)))
            if text.contains("to a valid timestamp")
                && requests::IN_GO_ONLY.iter().any(|odd| text.contains(odd)) =>
        {
            Difference::Moment
        }
        (None, None) if same_head && in_order(theirs).is_some() && in_order(theirs) == in_order(ours) => {
            Difference::Order
        }
        _ => return Err(differ()),
    };
    Ok(Some(difference))
}

#[test]
fn requests_are_answered_as_prometheus_answers_them() {
    let world = world();
    let mut prometheus = Prometheus::start();
    prometheus.store(&world);
    let ours = ours(&world);
    let mut connections = (
        Connection::to(prometheus.address()).expect("it listens"),
        Connection::to(ours.address).expect("it listens"),
    );
    let all = requests::all();
    let (mut found, mut same, mut wrong) = (BTreeMap::new(), 0, Vec::new());
    for asked in &all {
        let theirs = ask(&mut connections.0, "/api/v1", asked);
        let ours = ask(&mut connections.1, "", asked);
        match compare(asked, &theirs, &ours) {
            Ok(None) => same += 1,
            Ok(Some(difference)) => *found.entry(difference).or_insert(0) += 1,
            Err(how) => wrong.push(how),
        }
    }
    println!("{} requests: {same} answered alike to the byte, {found:?}", all.len());
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), all.len(), wrong.join("\n"));
    assert!(all.len() > 500 && same > all.len() / 2, "{} of {}", same, all.len());
    for difference in [Difference::Syntax, Difference::Moment, Difference::Step] {
        assert!(found.contains_key(&difference), "{difference:?} is not seen any more");
    }
}
