//! Opening a stream to the broker: place after place, and for each name, address after address; through a proxy, as TLS, as a WebSocket, as TLS in that.
//! Each step has its time.
//!
//! ```text
//! mqtts://hub:8883     TCP ─ [proxy] ─ TLS of the hub's own
//! wss://hub/mqtt       TCP ─ [proxy] ─ TLS of whoever ─ WebSocket ─ TLS of the hub's own      of a box that joined
//!                      TCP ─ [proxy] ─ TLS ─ WebSocket                                        with a user and a password
//! ```
//!
//! A box that joined believes the TLS inside alone, so whose the outer one is does not matter.

use super::socket::Socket;
use super::tls::{Distrust, TlsClient, timeout};
use super::traffic::Counted;
use super::{Stream, Traffic};
use crate::address::Address;
use crate::clock::Moment;
use crate::config::Mqtt;
use crate::dial::{self, DialError, Silence, within};
use crate::proxy::Proxy;
use crate::tls::{self, Objection, TlsError};
use rackside_proto::join::{WEBSOCKET, WEBSOCKET_PLAIN};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// For the name to be resolved, and for each of: the proxy's answer, the TLS handshake, the WebSocket's.
const STEP: Duration = Duration::from_secs(10);
/// For one address: several may have to be tried, and a SYN is answered within a second or lost.
const ADDRESS: Silence = Silence::each(Duration::from_secs(5));

/// Why no stream could be opened.
#[derive(Debug)]
pub enum ConnectError {
    /// Nobody took the connection.
    Dial(DialError),
    /// Something answered, but not in TLS, or not to be believed.
    Tls(Distrust),
    /// Something answered, but as no WebSocket, or a proxy lets nobody through.
    Web(String),
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dial(error) => error.fmt(f),
            Self::Tls(error) => f.write_str(&error.text),
            Self::Web(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for ConnectError {}

impl ConnectError {
    /// What TLS objects to, if it was TLS that failed.
    pub const fn objection(&self) -> Option<Objection> {
        match self {
            Self::Tls(distrust) => Some(distrust.objection),
            Self::Dial(_) | Self::Web(_) => None,
        }
    }

    /// How much it says: of several, the one that says most is told.
    fn weight(&self) -> u8 {
        match self {
            Self::Dial(error) if error.is_ours() => 0,
            Self::Dial(_) => 1,
            Self::Web(_) => 2,
            Self::Tls(distrust) => match distrust.objection {
                Objection::Untrusted | Objection::Expired | Objection::NotYetValid | Objection::Alert(_) => 3,
                _ => 2,
            },
        }
    }
}

/// One place where the broker is to be found.
#[derive(Debug)]
struct Target {
    address: Address,
    /// The TLS below a WebSocket.
    outer: Option<TlsClient>,
    /// The TLS in which MQTT is spoken.
    inner: Option<TlsClient>,
}

/// Opens streams to one broker, which may have several addresses: the one that worked last is tried first, then all in their order.
#[derive(Debug)]
pub struct Connector {
    targets: Vec<Target>,
    proxy: Option<Proxy>,
    /// The place of the one that worked last. In memory alone: a card is not written for that.
    worked: Cell<Option<usize>>,
    /// Why one that goes before that did not work.
    passed: RefCell<Option<String>>,
}

impl Connector {
    /// Reads the certificates that TLS needs, once.
    pub fn new(mqtt: &Mqtt) -> Result<Self, TlsError> {
        let own = match &mqtt.identity {
            None => None,
            Some(identity) => {
                let (verifier, config) = tls::of_identity(identity)?;
                Some((verifier, Arc::new(config)))
            }
        };
        let tls = mqtt.tls.clone().unwrap_or_default();
        let mut targets = Vec::new();
        for address in mqtt.addresses.clone() {
            let (mut outer, mut inner) = (None, None);
            match (&own, address.path.is_some()) {
                (Some((verifier, config)), is_wrapped) => {
                    inner = Some(TlsClient::of_identity(verifier, config, &address.host)?);
                    if is_wrapped && address.is_tls {
                        outer = Some(TlsClient::of_anybody(&address.host)?);
                    }
                }
                (None, true) if address.is_tls => outer = Some(TlsClient::new(&tls, &address.host)?),
                (None, false) if address.is_tls => inner = Some(TlsClient::new(&tls, &address.host)?),
                (None, _) => {}
            }
            targets.push(Target { address, outer, inner });
        }
        if let Some(proxy) = &mqtt.proxy {
            proxy.authorization().map_err(TlsError)?;
        }
        Ok(Self { targets, proxy: mqtt.proxy.clone(), worked: Cell::default(), passed: RefCell::default() })
    }

    fn target(&self) -> Option<&Target> {
        self.targets.get(self.worked.get().unwrap_or_default())
    }

    /// The address that is used, or was last; the first one before any was: `hub.example.org:8883`.
    pub fn address(&self) -> String {
        self.target().map_or_else(String::new, |target| target.address.to_string())
    }

    /// Whether TLS is spoken there.
    pub fn is_tls(&self) -> bool {
        self.target().is_some_and(|target| target.outer.is_some() || target.inner.is_some())
    }

    /// The proxy through which everything goes, if it does.
    pub const fn proxy(&self) -> Option<&Proxy> {
        self.proxy.as_ref()
    }

    /// Why the way that is used is not the first one.
    pub fn passed_over(&self) -> Option<String> {
        self.passed.borrow().clone().filter(|_| self.worked.get().is_some_and(|at| at > 0))
    }

    /// Goes where another one went last, if there is such a place here.
    pub fn follow(&self, other: &Self) {
        self.passed.replace(other.passed.borrow().clone());
        let worked = other.worked.get().and_then(|at| other.targets.get(at));
        let found =
            worked.and_then(|worked| self.targets.iter().position(|target| target.address == worked.address));
        self.worked.set(found);
    }

    /// Opens a stream, at that moment. Dropping the future gives up.
    pub async fn connect(
        self: Rc<Self>,
        traffic: Rc<Traffic>,
        moment: Moment,
    ) -> Result<Box<dyn Stream>, ConnectError> {
        let first = self.worked.get();
        let others = (0..self.targets.len()).filter(|at| Some(*at) != first);
        let mut told: Option<ConnectError> = None;
        for at in first.into_iter().chain(others) {
            let Some(target) = self.targets.get(at) else { continue };
            match target.connect(self.proxy.as_ref(), Rc::clone(&traffic), moment).await {
                Ok(stream) => {
                    self.worked.set(Some(at));
                    if let Some(told) = told {
                        self.passed.replace(Some(told.to_string()));
                    }
                    return Ok(stream);
                }
                Err(error) => {
                    if told.as_ref().is_none_or(|told| told.weight() < error.weight()) {
                        told = Some(error);
                    }
                }
            }
        }
        Err(told.expect("there is an address, or this were not made"))
    }
}

impl Target {
    async fn connect(
        &self,
        proxy: Option<&Proxy>,
        traffic: Rc<Traffic>,
        moment: Moment,
    ) -> Result<Box<dyn Stream>, ConnectError> {
        let Address { host, port, path, .. } = &self.address;
        let (to, at) = proxy.map_or((host, *port), |proxy| (&proxy.host, proxy.port));
        // Not among the probes' lookups: those may all wait for a resolver that does not answer.
        let addresses = dial::resolve_within(STEP, to, at).await.map_err(ConnectError::Dial)?;
        let (stream, _) = dial::open(&addresses, ADDRESS).await.map_err(ConnectError::Dial)?;
        // Records are small and wait for nothing; failing to say so costs milliseconds only.
        let _ = stream.get_ref().set_nodelay(true);
        // In a box, so that what lies over it is the same code however many lie there.
        let mut stream: Box<dyn Stream> = Box::new(Counted::new(stream, traffic));
        let authority = &self.address.authority();
        if let Some(proxy) = proxy {
            let opening = Box::pin(async move {
                proxy.tunnel(&mut *stream, authority).await.map_err(ConnectError::Web)?;
                Ok(stream)
            });
            stream = step(opening, &|| no_answer(proxy)).await?;
        }
        if let Some(outer) = &self.outer {
            stream = secure(outer, stream, moment).await?;
        }
        if let Some(path) = path {
            let protocol = if self.inner.is_some() { WEBSOCKET } else { WEBSOCKET_PLAIN };
            let opening = Box::pin(async move {
                let opened = Socket::open(stream, authority, path, protocol).await;
                let opened = opened.map_err(|why| ConnectError::Web(format!("{}: {why}", self.address)))?;
                Ok(Box::new(opened) as Box<dyn Stream>)
            });
            stream = step(opening, &|| no_answer(&self.address)).await?;
        }
        match &self.inner {
            None => Ok(stream),
            Some(inner) => secure(inner, stream, moment).await,
        }
    }
}

type Opened = Result<Box<dyn Stream>, ConnectError>;

/// One step, which has its time. In a box: all of them are one code.
async fn step(work: Pin<Box<dyn Future<Output = Opened> + '_>>, late: &dyn Fn() -> ConnectError) -> Opened {
    within(STEP, work, || Err(late())).await
}

fn no_answer(of: &dyn fmt::Display) -> ConnectError {
    ConnectError::Web(format!("{of}: no answer within {STEP:?}"))
}

async fn secure(tls: &TlsClient, stream: Box<dyn Stream>, moment: Moment) -> Opened {
    let opening = Box::pin(async move {
        let stream = tls.handshake(stream, moment).await.map_err(ConnectError::Tls)?;
        Ok(Box::new(stream) as Box<dyn Stream>)
    });
    step(opening, &|| ConnectError::Tls(timeout(tls.name(), STEP))).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, Trust};
    use crate::config::Config;
    use crate::join::Identity;
    use crate::join::tests::joined;
    use rackside_identity::Authority;
    use rustls::server::WebPkiClientVerifier;
    use rustls::{RootCertStore, ServerConfig, ServerConnection};
    use std::net::{SocketAddr, TcpListener};
    use std::path::Path;
    use std::sync::mpsc::{self, Receiver};
    use std::thread;

    fn connect(address: &str) -> Result<Box<dyn Stream>, ConnectError> {
        let text = format!("site = \"s\"\nappliance = \"a\"\n[mqtt]\naddress = \"{address}\"\n");
        let config = Config::parse(&text, "agent.toml").expect("a good file");
        let connector = Rc::new(Connector::new(&config.mqtt).expect("no TLS"));
        let moment = Clock::new(Trust::Auto, Path::new("/proc")).read();
        smol::block_on(connector.connect(Rc::default(), moment))
    }

    #[test]
    fn a_listening_port_is_reached_by_name() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        assert!(connect(&format!("localhost:{port}")).is_ok());
    }

    #[test]
    fn a_closed_port_says_who_refused() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        drop(listener);
        let error = connect(&address).err().expect("nobody listens").to_string();
        assert_eq!(error, format!("cannot reach {address}: Connection refused (os error 111)"));
    }

    /// A listener that lets in whom this authority has signed, with a certificate that begins `ahead` from now, and tells who came.
    fn listener(authority: &Authority, ahead: Duration) -> (SocketAddr, Receiver<Option<Vec<u8>>>) {
        listener_for(authority, ahead, &[])
    }

    /// The same for these protocols alone.
    fn listener_for(
        authority: &Authority,
        ahead: Duration,
        protocols: &[&str],
    ) -> (SocketAddr, Receiver<Option<Vec<u8>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let mut roots = RootCertStore::empty();
        roots.add(authority.certificate().clone()).expect("an authority");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let now = (Clock::shown() + ahead).as_millis() as i64;
        let shown = authority.serve(&["127.0.0.1".to_owned()], now);
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_client_cert_verifier(clients.build().expect("a verifier"))
            .with_single_cert(vec![shown.certificate], shown.key)
            .expect("a certificate");
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let (config, (sender, came)) = (Arc::new(config), mpsc::channel());
        thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let mut tls = ServerConnection::new(Arc::clone(&config)).expect("a connection");
                while tls.is_handshaking() && tls.complete_io(&mut stream).is_ok() {}
                let who = tls.peer_certificates().and_then(|chain| chain.first()).map(|der| der.to_vec());
                if sender.send(who).is_err() {
                    break;
                }
            }
        });
        (address, came)
    }

    fn joined_to(addresses: &[SocketAddr], identity: &Identity) -> Rc<Connector> {
        let mut identity = identity.clone();
        identity.addresses = addresses.iter().map(|address| format!("mqtts://{address}")).collect();
        let config = Config::start(&identity, "the hub's configuration").expect("good");
        Rc::new(Connector::new(&config.mqtt).expect("good certificates"))
    }

    fn moment(known: bool) -> Moment {
        let moment = Clock::new(Trust::Trust, Path::new("/proc")).read();
        Moment { known, disciplined: known, ..moment }
    }

    fn reach(connector: &Rc<Connector>, moment: Moment) -> Result<(), String> {
        let opened = smol::block_on(Rc::clone(connector).connect(Rc::default(), moment));
        opened.map(drop).map_err(|error| error.to_string())
    }

    #[test]
    fn a_joined_box_shows_its_certificate_and_remembers_which_address_worked() {
        let (identity, registrar) = joined(vec!["mqtts://192.0.2.1".to_owned()]);
        let (good, came) = listener(registrar.authority(), Duration::ZERO);
        let closed = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
        let connector = joined_to(&[closed, good], &identity);
        assert_eq!(connector.address(), closed.to_string(), "nothing is known before");
        for _ in 0..2 {
            reach(&connector, moment(true)).expect("the second one listens");
            let who = came.recv_timeout(Duration::from_secs(30)).expect("somebody came");
            assert_eq!(who, Some(identity.certificate.clone()));
            assert_eq!(connector.address(), good.to_string());
        }
        // A renewed identity goes where the one before it went, as far as it still may.
        let renewed = joined_to(&[closed, good], &identity);
        renewed.follow(&connector);
        assert_eq!(renewed.address(), good.to_string());
        let elsewhere = joined_to(&[closed], &identity);
        elsewhere.follow(&connector);
        assert_eq!(elsewhere.address(), closed.to_string());
    }

    #[test]
    fn nobody_but_the_hubs_own_authority_is_believed() {
        let (identity, _hub) = joined(vec!["mqtts://192.0.2.1".to_owned()]);
        let (_, other) = joined(vec!["mqtts://192.0.2.1".to_owned()]);
        let (address, _came) = listener(other.authority(), Duration::ZERO);
        let error = reach(&joined_to(&[address], &identity), moment(true)).expect_err("another hub");
        let told = "the certificate of 127.0.0.1 is not signed by the hub that this box joined, but by \"Rackside hub ";
        assert!(error.starts_with(told), "{error}");
        assert!(
            error.ends_with(
                "\": a proxy that opens TLS stands in between, or the address leads to another hub"
            ),
            "{error}"
        );
    }

    #[test]
    fn a_web_server_in_the_hubs_place_is_told_as_one_and_before_a_port_that_nobody_answers() {
        let (identity, hub) = joined(vec!["mqtts://192.0.2.1".to_owned()]);
        let (web, _came) = listener_for(hub.authority(), Duration::ZERO, &["http/1.1"]);
        let closed = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
        let opened =
            smol::block_on(joined_to(&[closed, web], &identity).connect(Rc::default(), moment(true)));
        let error = opened.map(drop).expect_err("no hub");
        let told = "127.0.0.1 speaks TLS, but with no box of a hub: a proxy that opens TLS stands in between, or a web server is there (TLS alert NoApplicationProtocol)";
        assert_eq!(error.to_string(), told);
        assert_eq!(crate::panel::reach::loss(&error), crate::panel::led::Link::Intercepted);
    }

    #[test]
    fn a_box_without_a_clock_takes_a_certificate_that_is_not_yet_valid() {
        let (identity, hub) = joined(vec!["mqtts://192.0.2.1".to_owned()]);
        let (address, _came) = listener(hub.authority(), Duration::from_hours(100 * 24));
        let connector = joined_to(&[address], &identity);
        assert_eq!(reach(&connector, moment(false)), Ok(()));
        let error = reach(&connector, moment(true)).expect_err("it has a clock");
        assert_eq!(error, "the certificate of 127.0.0.1 is not yet valid; check this machine's clock");
    }

    #[test]
    fn a_name_without_address_is_named() {
        let error = connect("no-such-host.invalid").err().expect("no such host").to_string();
        assert!(error.starts_with("cannot find the address of no-such-host.invalid: "), "{error}");
    }
}
