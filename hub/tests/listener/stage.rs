//! A listener in this process, what it hands to ingest, and clients that speak raw MQTT to it.

use bytes::{Bytes, BytesMut};
use rackside_hub::identity::Identities;
use rackside_hub::inbound::Inbound;
use rackside_hub::listener::{Listener, ListenerConfig, ListenerHandle, ListenerStats};
use rumqttc::mqttbytes::v4::{ConnAck, Connect, Packet, Publish, Subscribe};
use rumqttc::mqttbytes::{QoS, v4};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};

/// Longer than anything here should take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A running listener.
pub(crate) struct Stage {
    pub(crate) handle: ListenerHandle,
    pub(crate) inbound: mpsc::Receiver<Vec<Inbound>>,
    pub(crate) stop: watch::Sender<bool>,
    pub(crate) runtime: Runtime,
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self::with(|_| ())
    }

    /// `change` sets what differs from the default configuration.
    pub(crate) fn with(change: impl FnOnce(&mut ListenerConfig)) -> Self {
        Self::with_room(1000, change)
    }

    /// `room`: how many reads ingest has room for.
    pub(crate) fn with_room(room: usize, change: impl FnOnce(&mut ListenerConfig)) -> Self {
        Self::open(room, None, change)
    }

    /// A listener that knows who has joined.
    pub(crate) fn of(identities: &Identities, change: impl FnOnce(&mut ListenerConfig)) -> Self {
        Self::open(1000, Some(identities), change)
    }

    fn open(room: usize, identities: Option<&Identities>, change: impl FnOnce(&mut ListenerConfig)) -> Self {
        let mut config =
            ListenerConfig { address: SocketAddr::from(([127, 0, 0, 1], 0)), ..Default::default() };
        change(&mut config);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime can be made");
        let (sender, inbound) = mpsc::channel(room);
        let (stop, stopping) = watch::channel(false);
        let inside = runtime.enter();
        let prefix = config.prefix.clone();
        let handle = Listener::start_for(config, identities.cloned(), sender, stopping.clone())
            .expect("the listener starts");
        if let Some(identities) = identities {
            let outlet = Arc::new(handle.clone());
            runtime.spawn(identities.clone().keep(outlet, prefix, stopping));
        }
        drop(inside);
        Self { handle, inbound, stop, runtime }
    }

    pub(crate) fn port(&self) -> String {
        self.handle.address().port().to_string()
    }

    pub(crate) fn stats(&self) -> ListenerStats {
        self.handle.stats()
    }

    /// Waits until the numbers are as wanted.
    pub(crate) fn until(&self, what: &str, wanted: impl Fn(&ListenerStats) -> bool) {
        eventually(what, || wanted(&self.stats()).then_some(()));
    }

    /// The next messages that ingest gets.
    pub(crate) fn ingested(&mut self) -> Vec<Inbound> {
        let next = async { tokio::time::timeout(PATIENCE, self.inbound.recv()).await };
        self.runtime.block_on(next).expect("something for ingest in time").expect("the listener runs")
    }

    /// What ingest has got and not been asked for yet.
    pub(crate) fn ingested_now(&mut self) -> Vec<Inbound> {
        let mut messages = Vec::new();
        while let Ok(batch) = self.inbound.try_recv() {
            messages.extend(batch);
        }
        messages
    }

    /// A raw client that is in.
    pub(crate) fn client(&self, name: &str) -> Raw {
        self.client_as(&Connect::new(name)).0
    }

    /// A raw client with a CONNECT of its own, and what it was told.
    pub(crate) fn client_as(&self, connect: &Connect) -> (Raw, ConnAck) {
        let mut raw = Raw::open(self.handle.address());
        raw.send(&Packet::Connect(connect.clone()));
        match raw.receive() {
            Packet::ConnAck(ack) => (raw, ack),
            other => panic!("not a CONNACK: {other:?}"),
        }
    }

    /// A raw client that is in and subscribed.
    pub(crate) fn subscriber(&self, name: &str, filter: &str, qos: QoS) -> Raw {
        let mut raw = self.client(name);
        raw.subscribe(filter, qos);
        raw
    }
}

impl Drop for Stage {
    /// Why a test failed is often among the reasons that the listener counted.
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the listener counted: {:?}", self.stats());
        }
    }
}

/// Asks again until there is an answer.
pub(crate) fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(now() < end, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[expect(clippy::disallowed_methods, reason = "a test measures what takes real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// A client that says exactly what it is told to.
pub(crate) struct Raw<S = TcpStream> {
    pub(crate) stream: S,
    buffer: BytesMut,
}

/// A socket at which nobody waits for ever.
pub(crate) fn socket(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the listener accepts");
    stream.set_nodelay(true).expect("a fresh socket");
    stream.set_read_timeout(Some(PATIENCE)).expect("not zero");
    stream.set_write_timeout(Some(PATIENCE)).expect("not zero");
    stream
}

impl Raw {
    pub(crate) fn open(address: SocketAddr) -> Self {
        Self::over(socket(address))
    }
}

impl<S: Read + Write> Raw<S> {
    pub(crate) fn over(stream: S) -> Self {
        Self { stream, buffer: BytesMut::new() }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the listener reads");
    }

    pub(crate) fn send(&mut self, packet: &Packet) {
        let mut bytes = BytesMut::new();
        packet.write(&mut bytes, 1 << 24).expect("a packet that can be written");
        self.write(&bytes);
    }

    pub(crate) fn publish(&mut self, topic: &str, payload: impl Into<Bytes>, qos: QoS, retain: bool) {
        let pkid = u16::from(qos != QoS::AtMostOnce);
        let payload = payload.into();
        self.send(&Packet::Publish(Publish { dup: false, qos, retain, topic: topic.into(), pkid, payload }));
        if qos == QoS::AtLeastOnce {
            assert_eq!(self.receive(), Packet::PubAck(v4::PubAck::new(1)));
        }
    }

    pub(crate) fn subscribe(&mut self, filter: &str, qos: QoS) {
        self.send(&Packet::Subscribe(Subscribe { pkid: 77, ..Subscribe::new(filter, qos) }));
        assert!(matches!(self.receive(), Packet::SubAck(ack) if ack.pkid == 77));
    }

    /// Reads one packet.
    pub(crate) fn receive(&mut self) -> Packet {
        self.try_receive().unwrap_or_else(|why| panic!("no packet: {why}"))
    }

    pub(crate) fn try_receive(&mut self) -> Result<Packet, String> {
        loop {
            match Packet::read(&mut self.buffer, 1 << 24) {
                Ok(packet) => return Ok(packet),
                Err(rumqttc::mqttbytes::Error::InsufficientBytes(_)) => {}
                Err(error) => return Err(error.to_string()),
            }
            let mut chunk = [0; 16 * 1024];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err("closed".into()),
                Ok(count) => self.buffer.extend_from_slice(&chunk[..count]),
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    /// Reads one PUBLISH: its topic, payload, and whether it is marked as retained.
    pub(crate) fn message(&mut self) -> Publish {
        match self.receive() {
            Packet::Publish(publish) => publish,
            other => panic!("not a PUBLISH: {other:?}"),
        }
    }

    /// Nothing but this comes. The answer to a ping may pass a message that waits; with the second one it has come.
    pub(crate) fn has_nothing(&mut self) {
        for _ in 0..2 {
            self.send(&Packet::PingReq);
            assert_eq!(self.receive(), Packet::PingResp);
        }
    }

    /// Waits for the other side to close.
    pub(crate) fn ends(mut self) {
        let mut rest = [0; 4096];
        loop {
            match self.stream.read(&mut rest) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {
                    return;
                }
                Err(error) => panic!("the listener did not close: {error}"),
            }
        }
    }
}

/// Runs a tool to its end.
pub(crate) fn run(package: &str, command: &mut Command) -> Output {
    start(package, command).wait_with_output().expect("the tool ends")
}

/// Starts a tool; if it is missing the test fails and says what to install.
pub(crate) fn start(package: &str, command: &mut Command) -> std::process::Child {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap_or_else(|error| {
        panic!(
            "{} cannot be started ({error}); install it: apt-get install {package}",
            command.get_program().display()
        )
    })
}

/// A self-signed certificate for localhost, as files.
pub(crate) struct Certificate {
    _place: tempfile::TempDir,
    pub(crate) chain: std::path::PathBuf,
    pub(crate) key: std::path::PathBuf,
}

impl Certificate {
    pub(crate) fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
        let place = tempfile::tempdir().expect("a temporary directory");
        let (chain, key) = (place.path().join("tls.crt"), place.path().join("tls.key"));
        std::fs::write(&chain, made.cert.pem()).expect("written");
        std::fs::write(&key, made.signing_key.serialize_pem()).expect("written");
        Self { _place: place, chain, key }
    }
}

/// A users file with one user.
pub(crate) fn users(name: &str, password: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    let line = format!("{name}:{}\n", rackside_hub::listener::hash_password(password));
    std::fs::write(file.path(), line).expect("written");
    file
}
