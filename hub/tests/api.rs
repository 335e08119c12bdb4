//! `/api/v1` as it behaves towards whoever asks: large answers, those who go away, a hub that stops. What it answers is compared with a
//! real Prometheus elsewhere.

use rackside_alerting::RulesView;
use rackside_hub::web::api::{Api, Behind, Meanings, QueryConfig, Series, router};
use rackside_hub::web::server::{self, Bounds};
use rackside_promql::{Labels, Memory, Sample, Select, Source, SourceError, Stop, Take};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// Longer than anything takes here.
const PATIENCE: Duration = Duration::from_mins(1);

/// A source that has nothing to tell until it is stopped, and says when it begins and why it ends.
struct Endless {
    begun: Mutex<Sender<()>>,
    ended: Mutex<Sender<Stop>>,
}

impl Source for Endless {
    fn select(&self, _: &Select<'_>, take: &mut dyn Take) -> Result<(), SourceError> {
        let _ = self.begun.lock().expect("no panic").send(());
        loop {
            if let Some(stop) = take.stopped() {
                let _ = self.ended.lock().expect("no panic").send(stop);
                return Err(SourceError::Stopped(stop));
            }
            std::thread::yield_now();
        }
    }
}

impl Series for Endless {}

struct Served {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    runtime: Runtime,
    server: tokio::task::JoinHandle<()>,
}

fn serve(series: Arc<dyn Series>) -> Served {
    let rules =
        Box::new(|_: Option<&std::collections::BTreeSet<String>>| Arc::new(RulesView { groups: Vec::new() }));
    let behind = Behind { series, metadata: Box::new(Meanings::new), rules };
    let runtime = Runtime::new().expect("threads");
    let (stop, stopping) = watch::channel(false);
    let api = Api::new(QueryConfig { concurrency: 1, ..QueryConfig::default() }, behind, stopping.clone());
    let listener =
        runtime.block_on(server::bind(SocketAddr::from(([127, 0, 0, 1], 0)))).expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let server = runtime.spawn(server::serve(listener, router(api), Bounds::default(), stopping));
    Served { address, stop, runtime, server }
}

fn endless() -> (Served, Receiver<()>, Receiver<Stop>) {
    let ((begun, has_begun), (ended, has_ended)) = (channel(), channel());
    let source = Endless { begun: Mutex::new(begun), ended: Mutex::new(ended) };
    (serve(Arc::new(source)), has_begun, has_ended)
}

fn ask(address: SocketAddr, path: &str, headers: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n").expect("it reads");
    stream
}

/// Head and body of an answer, to its end.
fn answer(mut stream: TcpStream) -> (String, Vec<u8>) {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("it comes");
    let at = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8(bytes[..at].to_vec()).expect("text").to_ascii_lowercase();
    let body = bytes.split_off(at + 4);
    (head.clone(), if head.contains("transfer-encoding: chunked") { joined(&body) } else { body })
}

fn joined(mut chunks: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    loop {
        let at = chunks.windows(2).position(|two| two == b"\r\n").expect("a chunk's length");
        let length =
            std::str::from_utf8(&chunks[..at]).ok().and_then(|text| usize::from_str_radix(text, 16).ok());
        let length = length.expect("a number");
        if length == 0 {
            return whole;
        }
        whole.extend(&chunks[at + 2..at + 2 + length]);
        chunks = &chunks[at + 4 + length..];
    }
}

#[test]
fn who_goes_away_ends_the_query() {
    let (served, begun, ended) = endless();
    let stream = ask(served.address, "/query?query=up", "");
    begun.recv_timeout(PATIENCE).expect("the query begins");
    drop(stream);
    assert_eq!(ended.recv_timeout(PATIENCE), Ok(Stop::Canceled));
    // There was one place, and it is free again.
    let again = ask(served.address, "/query?query=1", "");
    assert!(answer(again).0.starts_with("http/1.1 200"));
}

#[test]
fn a_query_ends_when_its_time_is_over() {
    let (served, _begun, ended) = endless();
    let (head, body) = answer(ask(served.address, "/query?query=up&timeout=50ms", ""));
    assert!(head.starts_with("http/1.1 503"), "{head}");
    let error = "{\"status\":\"error\",\"errorType\":\"timeout\",\"error\":\"query timed out in expression evaluation\"}";
    assert_eq!(String::from_utf8_lossy(&body), error);
    assert_eq!(ended.recv_timeout(PATIENCE), Ok(Stop::Timeout));
}

#[test]
fn a_hub_that_stops_ends_what_runs_and_what_waits() {
    let (served, begun, ended) = endless();
    let first = ask(served.address, "/query?query=up", "");
    begun.recv_timeout(PATIENCE).expect("the query begins");
    let second = ask(served.address, "/series?match[]=up", "");
    served.stop.send_replace(true);
    assert_eq!(ended.recv_timeout(PATIENCE), Ok(Stop::Canceled));
    assert!(answer(first).0.starts_with("http/1.1 503"));
    // It was told so, or cut off before its request was read.
    drop(second);
    let over = served.runtime.block_on(async { tokio::time::timeout(PATIENCE, served.server).await });
    assert!(over.is_ok(), "the server ends");
}

/// Ten series with a sample a second.
fn large() -> Memory {
    let mut memory = Memory::new();
    for site in 0..10 {
        let labels = Labels::new([("__name__", "load".to_owned()), ("site", format!("site-{site}"))]);
        memory.push(labels, (0..9000).map(|at| Sample::new(at * 1000, at as f64 / 8.0)));
    }
    memory
}

const LARGE: &str = "/query_range?query=load&start=0&end=8999&step=1";

#[test]
fn a_large_answer_comes_whole_compressed_or_not() {
    let served = serve(Arc::new(large()));
    let (head, plain) = answer(ask(served.address, LARGE, ""));
    assert!(head.contains("transfer-encoding: chunked") && !head.contains("content-encoding"), "{head}");
    let json: serde_json::Value = serde_json::from_slice(&plain).expect("JSON");
    let result = json["data"]["result"].as_array().expect("a list");
    assert_eq!((result.len(), result[9]["values"].as_array().map(Vec::len)), (10, Some(9000)));
    let (head, packed) = answer(ask(served.address, LARGE, "Accept-Encoding: gzip\r\n"));
    assert!(head.contains("content-encoding: gzip"), "{head}");
    assert!(packed.len() < plain.len() / 2, "{} of {}", packed.len(), plain.len());
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(&*packed).read_to_end(&mut unpacked).expect("gzip");
    assert_eq!(unpacked, plain);
}

#[test]
fn who_reads_slowly_keeps_nobody_from_asking() {
    let served = serve(Arc::new(large()));
    // More of an answer than sockets take off the hub's hands, and nobody reads it.
    let slow = ask(
        served.address,
        &LARGE.replace("query=load", "query=load%20or%20label_replace(load,%22b%22,%22x%22,%22%22,%22%22)"),
        "",
    );
    for _ in 0..3 {
        assert!(answer(ask(served.address, "/query?query=load&time=5", "")).0.starts_with("http/1.1 200"));
    }
    drop(slow);
}
