//! Servers for tests: real sockets, and answers as good or as hostile as a test writes them.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// A connection, plain or in TLS.
pub(crate) trait Talk: Read + Write {}
impl<T: Read + Write> Talk for T {}

/// A server on a port of its own, until it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    asked: Mutex<Receiver<String>>,
    is_over: Arc<AtomicBool>,
}

impl Server {
    /// Gives each connection to `answer`, once a request is there: its head, and as much of a body as it announces.
    pub(crate) fn start(answer: impl Fn(&str, &mut dyn Talk) + Send + Sync + 'static) -> Self {
        Self::launch(None, answer)
    }

    /// The same in TLS.
    pub(crate) fn tls(
        config: Arc<ServerConfig>,
        answer: impl Fn(&str, &mut dyn Talk) + Send + Sync + 'static,
    ) -> Self {
        Self::launch(Some(config), answer)
    }

    /// One that says the same to everybody.
    pub(crate) fn saying(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::start(move |_, talk| {
            let _ = talk.write_all(&answer);
        })
    }

    /// One that answers 200 with this body.
    pub(crate) fn page(body: &str) -> Self {
        Self::saying(ok(body))
    }

    fn launch(
        config: Option<Arc<ServerConfig>>,
        answer: impl Fn(&str, &mut dyn Talk) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let (sender, asked) = mpsc::channel();
        let is_over = Arc::new(AtomicBool::new(false));
        let (over, answer) = (Arc::clone(&is_over), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if over.load(Ordering::Relaxed) {
                    break;
                }
                let (config, answer, sender) = (config.clone(), Arc::clone(&answer), sender.clone());
                thread::spawn(move || {
                    // A client that waits for us for ever would keep this thread for ever.
                    let _ = stream.set_read_timeout(Some(Duration::from_secs(20)));
                    let mut talk: Box<dyn Talk> = match config {
                        Some(config) => {
                            let connection = ServerConnection::new(config).expect("a good configuration");
                            Box::new(StreamOwned::new(connection, stream))
                        }
                        None => Box::new(stream),
                    };
                    if let Some(request) = hear(talk.as_mut()) {
                        let _ = sender.send(request.clone());
                        answer(&request, talk.as_mut());
                        let _ = talk.flush();
                    }
                });
            }
        });
        Self { address, asked: Mutex::new(asked), is_over }
    }

    /// The address of a page of it.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What was asked since this was called last.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("nobody panics").try_iter().collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
    }
}

/// A request, until the end of its body.
fn hear(talk: &mut dyn Talk) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let count = talk.read(&mut piece).ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&piece[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if body.len() >= length.map_or(0, |length| length.parse().expect("a number")) {
            return Some(text);
        }
    }
}

/// A whole answer.
pub(crate) fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// An authority, and what it signs.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let issuer = CertifiedIssuer::self_signed(Self::params("An authority for tests"), key());
        Self { issuer: issuer.expect("an authority") }
    }

    /// An authority that this one vouches for, between 1 January of these years.
    pub(crate) fn below(&self, years: (i32, i32)) -> Self {
        let mut params = Self::params("An authority in between");
        params.not_before = rcgen::date_time_ymd(years.0, 1, 1);
        params.not_after = rcgen::date_time_ymd(years.1, 1, 1);
        let issuer = CertifiedIssuer::signed_by(params, key(), &self.issuer);
        Self { issuer: issuer.expect("an authority") }
    }

    fn params(name: &str) -> CertificateParams {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params
    }

    /// Its certificate in a file.
    pub(crate) fn file(&self, dir: &Path) -> PathBuf {
        let file = dir.join("authority.pem");
        std::fs::write(&file, self.issuer.pem()).expect("written");
        file
    }

    /// A server's TLS for these names; the years are those of its validity's begin and end, each on 1 January.
    pub(crate) fn server(&self, names: &[&str], years: (i32, i32)) -> Arc<ServerConfig> {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).expect("names");
        params.not_before = rcgen::date_time_ymd(years.0, 1, 1);
        params.not_after = rcgen::date_time_ymd(years.1, 1, 1);
        let key = key();
        let leaf = params.signed_by(&key, &self.issuer).expect("a certificate");
        let chain = vec![leaf.der().clone(), self.issuer.der().clone()];
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring has them")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("a certificate that goes with its key");
        Arc::new(config)
    }
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key")
}
