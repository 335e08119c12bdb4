//! What the tests of this crate stand on: an HTTP server that records and does as it is told, messages, certificates, and waiting for facts.

#![allow(dead_code, reason = "each test program uses its part of it")]

use rackside_notify::{Kind as About, Message, Outgoing, Status};
use rackside_onair::Zone;
use rackside_receivers::outbox::{Bounds, Outbox};
use rackside_receivers::send::{Carrier, HttpClient, Limits, Trust};
use rackside_receivers::worker::{Couriers, Patience, Post, Surroundings};
use rackside_receivers::{Hidden, Receiver, Way};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// 2026-11-20T05:24:56Z
pub(crate) const NOW: i64 = 1_795_152_296_000;
/// Longer than anything takes on a machine that is busy.
pub(crate) const PATIENTLY: Duration = Duration::from_mins(1);

/// One request, as it came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// `POST /hook HTTP/1.1` and headers.
    pub(crate) head: String,
    pub(crate) body: String,
    pub(crate) at: tokio::time::Instant,
    pub(crate) connection: usize,
}

impl Seen {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).expect("the body is JSON")
    }
}

/// What the server does with a request.
#[derive(Debug, Clone)]
pub(crate) enum Says {
    /// Answers with this status, these header lines and this body.
    Answer(u16, &'static str, &'static str),
    /// Answers, and closes the connection.
    AnswerAndClose(u16),
    /// Closes without a word.
    Hangs,
    /// Says nothing, and keeps the connection.
    Never,
    /// Answers 200 with a body without an end, as fast as it is read.
    Endless,
    /// Answers 200 with a byte of the body now and then.
    Drips,
    /// A byte of the head now and then.
    DripsHead,
}

pub(crate) const OK: Says = Says::Answer(200, "", "ok");

/// A server that records.
pub(crate) struct Server {
    pub(crate) port: u16,
    pub(crate) seen: Arc<Mutex<Vec<Seen>>>,
    /// Connections that were closed by the other side while an answer was being made.
    pub(crate) cut: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Script = Arc<dyn Fn(usize, &Seen) -> Says + Send + Sync>;

impl Server {
    /// A server that does with the n-th request what the script says.
    pub(crate) async fn start(script: impl Fn(usize, &Seen) -> Says + Send + Sync + 'static) -> Self {
        Self::start_with(None, script).await
    }

    pub(crate) async fn start_with(
        tls: Option<tokio_rustls::TlsAcceptor>,
        script: impl Fn(usize, &Seen) -> Says + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let port = listener.local_addr().expect("it has an address").port();
        let (seen, cut): (Arc<Mutex<Vec<Seen>>>, Arc<AtomicUsize>) = Default::default();
        let script: Script = Arc::new(script);
        let (all, broken) = (Arc::clone(&seen), Arc::clone(&cut));
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            for number in 0.. {
                let (tcp, _) = listener.accept().await.expect("it accepts");
                let one = Talk {
                    number,
                    script: Arc::clone(&script),
                    seen: Arc::clone(&all),
                    cut: Arc::clone(&broken),
                };
                let tls = tls.clone();
                connections.spawn(async move {
                    match tls {
                        None => one.talk(tcp).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(tcp).await {
                                one.talk(stream).await;
                            }
                        }
                    }
                });
            }
        });
        Self { port, seen, cut, task }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("nobody panicked").clone()
    }

    /// The numbers of the messages that came, in order: webhooks carry them in their group's key.
    pub(crate) fn numbers(&self) -> Vec<u64> {
        self.seen().iter().map(number).collect()
    }

    /// Waits until so many requests have come.
    pub(crate) async fn came(&self, count: usize) {
        until("requests come", || self.seen().len() >= count).await;
    }
}

/// The number of the message that a webhook's request is of.
pub(crate) fn number(seen: &Seen) -> u64 {
    let key = seen.json()["groupKey"].as_str().expect("it has a key").to_owned();
    key.rsplit('#').next().and_then(|number| number.parse().ok()).expect("the key ends in the number")
}

struct Talk {
    number: usize,
    script: Script,
    seen: Arc<Mutex<Vec<Seen>>>,
    cut: Arc<AtomicUsize>,
}

impl Talk {
    async fn talk<S: AsyncRead + AsyncWrite + Unpin>(self, mut stream: S) {
        while let Some(seen) = request(&mut stream, self.number).await {
            let says = {
                let mut all = self.seen.lock().expect("nobody panicked");
                all.push(seen.clone());
                (self.script)(all.len() - 1, &seen)
            };
            if !self.answer(&mut stream, says).await {
                return;
            }
        }
    }

    /// Whether the connection goes on.
    async fn answer<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: &mut S, says: Says) -> bool {
        match says {
            Says::Answer(status, headers, body) => {
                let text =
                    format!("HTTP/1.1 {status} So\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len());
                stream.write_all(text.as_bytes()).await.is_ok()
            }
            Says::AnswerAndClose(status) => {
                let text = format!("HTTP/1.1 {status} So\r\nContent-Length: 0\r\n\r\n");
                let _ = stream.write_all(text.as_bytes()).await;
                let _ = stream.shutdown().await;
                false
            }
            Says::Hangs => false,
            Says::Never => {
                let end = stream.read_u8().await;
                assert!(end.is_err(), "nothing more is sent");
                self.cut.fetch_add(1, Ordering::SeqCst);
                false
            }
            Says::Endless => {
                self.pours(stream, "HTTP/1.1 200 So\r\n\r\n", &[b'x'; 16_384], Duration::ZERO).await
            }
            Says::Drips => {
                self.pours(stream, "HTTP/1.1 200 So\r\n\r\n", b"x", Duration::from_millis(20)).await
            }
            Says::DripsHead => {
                self.pours(stream, "HTTP/1.1 200 So\r\nX: ", b"x", Duration::from_millis(20)).await
            }
        }
    }

    async fn pours<S: AsyncWrite + Unpin>(
        &self,
        stream: &mut S,
        head: &str,
        part: &[u8],
        every: Duration,
    ) -> bool {
        let mut sent = stream.write_all(head.as_bytes()).await;
        while sent.is_ok() {
            tokio::time::sleep(every).await;
            sent = stream.write_all(part).await;
        }
        self.cut.fetch_add(1, Ordering::SeqCst);
        false
    }
}

/// Reads one request.
async fn request<S: AsyncRead + Unpin>(stream: &mut S, connection: usize) -> Option<Seen> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).expect("heads are text");
    let length = head
        .lines()
        .find_map(|line| {
            line.to_ascii_lowercase().strip_prefix("content-length:").map(|n| n.trim().to_owned())
        })
        .map_or(0, |length| length.parse().expect("a number"));
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let body = String::from_utf8_lossy(&body).into_owned();
    Some(Seen { head, body, at: tokio::time::Instant::now(), connection })
}

/// Waits for a fact.
pub(crate) async fn until(what: &str, fact: impl Fn() -> bool) {
    let waiting = async {
        while !fact() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENTLY, waiting)
        .await
        .unwrap_or_else(|_| panic!("{what}: not so after a minute"));
}

/// A message of a group of its own, with its number at the end of the key.
pub(crate) fn message(number: u64) -> Message {
    Message {
        id: number,
        kind: About::Alerts,
        at: NOW,
        group_key: format!("all:#{number}"),
        group_labels: BTreeMap::new(),
        route: "all".to_owned(),
        status: Status::Firing,
        alerts: Vec::new(),
        truncated: 0,
        firing: 1,
        resolved: 0,
        cause: None,
        explains: 0,
        escalation: 0,
        sites: Vec::new(),
        site_count: 0,
    }
}

pub(crate) fn outgoing(receiver: &str, numbers: std::ops::RangeInclusive<u64>) -> Vec<Outgoing> {
    numbers.map(|number| Outgoing { receiver: receiver.into(), message: message(number) }).collect()
}

pub(crate) fn receiver(name: &str, way: Way) -> Receiver {
    let (name, reader, external_url) = (name.to_owned(), Zone::UTC, "https://hub.example.org".to_owned());
    Receiver { name, way, title: None, body: None, reader, external_url, signer: None }
}

pub(crate) fn webhook(name: &str, url: &str) -> Receiver {
    receiver(name, Way::Webhook { url: Hidden::new(url), key: None, authorization: None })
}

pub(crate) fn limits() -> Limits {
    Limits { connect: PATIENTLY, whole: PATIENTLY, ..Limits::default() }
}

pub(crate) fn client(limits: Limits) -> HttpClient {
    HttpClient::new(
        &Trust::of_the_system().expect("the system trusts somebody: ca-certificates"),
        None,
        limits,
    )
}

pub(crate) fn post(receiver: Receiver, limits: Limits) -> Post {
    Post { receiver, carrier: Ok(Carrier::Http(client(limits))) }
}

/// A clock that stands still until it is set.
#[derive(Clone)]
pub(crate) struct Watch(Arc<AtomicI64>);

impl Watch {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicI64::new(NOW)))
    }

    pub(crate) fn now(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }

    pub(crate) fn forward(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }
}

pub(crate) fn opened(directory: &Path) -> Arc<Outbox> {
    Arc::new(Outbox::open(directory, Bounds::default(), NOW))
}

/// An outbox, and couriers that do not wait for long.
pub(crate) struct Stage {
    pub(crate) watch: Watch,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) couriers: Couriers,
    pub(crate) _directory: tempfile::TempDir,
}

impl Stage {
    /// With one receiver: `crew`, a webhook of this server.
    pub(crate) async fn of(server: &Server) -> Self {
        let (directory, watch) = (tempfile::tempdir().expect("a directory"), Watch::new());
        let outbox = opened(directory.path());
        let couriers = couriers(&outbox, &watch);
        couriers.set(vec![post(webhook("crew", &server.url("/")), limits())]).await;
        Self { watch, outbox, couriers, _directory: directory }
    }
}

/// Couriers that do not wait for long.
pub(crate) fn couriers(outbox: &Arc<Outbox>, watch: &Watch) -> Couriers {
    let patience = Patience { first: Duration::from_millis(5), longest: Duration::from_millis(20) };
    couriers_with(patience, outbox, watch)
}

pub(crate) fn couriers_with(patience: Patience, outbox: &Arc<Outbox>, watch: &Watch) -> Couriers {
    let watch = watch.clone();
    let surroundings = Surroundings { clock: Box::new(move || watch.now()), charts: None, patience };
    Couriers::new(Arc::clone(outbox), surroundings)
}

/// A certificate, by an authority of its own: the authority's PEM, the chain and the key.
pub(crate) struct Certified {
    pub(crate) ca: String,
    pub(crate) chain: String,
    pub(crate) key: String,
}

impl Certified {
    pub(crate) fn new() -> Self {
        Self::naming(&["localhost", "127.0.0.1"])
    }

    pub(crate) fn naming(names: &[&str]) -> Self {
        let ca_key = rcgen::KeyPair::generate().expect("a key");
        let mut ca = rcgen::CertificateParams::new(Vec::<String>::new()).expect("no names");
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let issuer_certificate = ca.self_signed(&ca_key).expect("it is signed");
        let issuer = rcgen::Issuer::new(ca, ca_key);
        let key = rcgen::KeyPair::generate().expect("a key");
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let certificate = rcgen::CertificateParams::new(names)
            .expect("names")
            .signed_by(&key, &issuer)
            .expect("it is signed");
        Self { ca: issuer_certificate.pem(), chain: certificate.pem(), key: key.serialize_pem() }
    }

    pub(crate) fn acceptor(&self) -> tokio_rustls::TlsAcceptor {
        use rustls::pki_types::pem::PemObject as _;
        use rustls::pki_types::{CertificateDer, PrivateKeyDer};
        let chain = vec![CertificateDer::from_pem_slice(self.chain.as_bytes()).expect("a certificate")];
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).expect("a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("it fits");
        tokio_rustls::TlsAcceptor::from(Arc::new(config))
    }

    /// Trust in this authority.
    pub(crate) fn trust(&self, directory: &Path) -> Trust {
        let path = directory.join("ca.pem");
        std::fs::write(&path, &self.ca).expect("it is written");
        Trust::of_file(&path).expect("it is an authority")
    }
}

/// Where nothing but bytes are passed on, as a proxy does after `CONNECT`.
pub(crate) async fn tunnel(from: TcpStream, to: u16) {
    let mut from = from;
    let mut to = TcpStream::connect(("127.0.0.1", to)).await.expect("it is there");
    let _ = tokio::io::copy_bidirectional(&mut from, &mut to).await;
}
