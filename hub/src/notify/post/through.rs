//! From the configuration through a proxy to a server whose authority only the configuration names: what leaves the hub takes the way that it says.

use super::*;
use crate::config::Config;
use rackside_notify::{Notifier, Nowhere, Trial};
use rackside_receivers::{Bounds, Outcome};
use std::path::Path;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// A head of HTTP, request or answer.
async fn head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("a head"));
    }
    String::from_utf8(head).expect("heads are text")
}

/// A server that is `hooks.example.org` by the word of an authority of its own: the authority, and how it takes connections.
fn certified() -> (String, TlsAcceptor) {
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let ca_key = rcgen::KeyPair::generate().expect("a key");
    let mut ca = rcgen::CertificateParams::new(Vec::<String>::new()).expect("no names");
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = ca.self_signed(&ca_key).expect("it is signed").pem();
    let issuer = rcgen::Issuer::new(ca, ca_key);
    let key = rcgen::KeyPair::generate().expect("a key");
    let certificate = rcgen::CertificateParams::new(vec!["hooks.example.org".to_owned()])
        .expect("a name")
        .signed_by(&key, &issuer)
        .expect("it is signed");
    let chain = vec![CertificateDer::from_pem_slice(certificate.pem().as_bytes()).expect("a certificate")];
    let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("it fits");
    (authority, TlsAcceptor::from(Arc::new(config)))
}

/// A proxy that leads every `CONNECT` to the server behind it, whatever its name is; what it was asked.
async fn proxy(acceptor: TlsAcceptor) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let port = listener.local_addr().expect("it has one").port();
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let all = Arc::clone(&asked);
    let led = move |mut tcp: TcpStream| {
        let (acceptor, all) = (acceptor.clone(), Arc::clone(&all));
        async move {
            let ask = head(&mut tcp).await;
            all.lock().expect("nobody panicked").push(ask);
            tcp.write_all(b"HTTP/1.1 200 Established\r\n\r\n").await.expect("it takes it");
            // Who does not trust this server says so and goes.
            let Ok(mut tls) = acceptor.accept(tcp).await else { return };
            let request = head(&mut tls).await;
            all.lock().expect("nobody panicked").push(request);
            tls.write_all(b"HTTP/1.1 204 So\r\n\r\n").await.expect("it takes it");
        }
    };
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            tokio::spawn(led(tcp));
        }
    });
    (port, asked)
}

struct NoListener;

impl fmt::Debug for NoListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NoListener")
    }
}

impl Publisher for NoListener {
    fn publish<'a>(&'a self, _: &'a MqttParcel) -> Publishing<'a> {
        Box::pin(async { Err("nobody listens".to_owned()) })
    }
}

/// Sends a test message to the receiver `hook` of this configuration.
async fn tried(text: &str, directory: &Path) -> Outcome {
    let policy = Config::parse(text, "hub.toml").expect("right").policy().expect("it was checked");
    let outbox = Arc::new(Outbox::open(directory, Bounds::default(), 0));
    let office = Office::new(policy.clone(), outbox, Arc::new(NoListener), LinkKey::of_this_run(), None);
    office.employ(&policy).await;
    let trial = Trial::Receiver("hook".to_owned());
    let mut outgoing = Notifier::new(policy).test(&trial, 0, &Nowhere).expect("it is there");
    let one = outgoing.pop().expect("it is told");
    let outcome = office.couriers().send_once(&one.receiver, one.message).await;
    office.couriers().stop().await;
    outcome.expect("it has a courier")
}

#[tokio::test]
async fn what_leaves_the_hub_goes_through_its_proxy_and_trusts_whom_it_is_told_to() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (authority, acceptor) = certified();
    let (port, asked) = proxy(acceptor).await;
    let (ca, login) = (directory.path().join("ca.pem"), directory.path().join("proxy"));
    std::fs::write(&ca, authority).expect("written");
    std::fs::write(&login, format!("http://hub:hunter2@127.0.0.1:{port}\n")).expect("written");
    std::fs::set_permissions(&login, std::fs::Permissions::from_mode(0o600)).expect("it is ours");
    let hook =
        "[[receiver]]\nname = \"hook\"\nkind = \"webhook\"\nurl = \"https://hooks.example.org/hook\"\n";
    let by_all = format!("[notify]\nproxy = {{ file = {login:?} }}\nca = {ca:?}\n{hook}");
    let by_itself = format!("{hook}proxy = \"http://127.0.0.1:{port}\"\nca = {ca:?}\n");
    for (text, is_known) in [(&by_all, true), (&by_itself, false)] {
        assert_eq!(tried(text, directory.path()).await, Outcome::Delivered, "{text}");
        let asked = std::mem::take(&mut *asked.lock().expect("nobody panicked"));
        assert!(asked[0].starts_with("CONNECT hooks.example.org:443 HTTP/1.1\r\n"), "{asked:?}");
        let has_login = asked[0].contains("Proxy-Authorization: Basic aHViOmh1bnRlcjI=\r\n");
        assert_eq!(has_login, is_known, "{asked:?}");
        assert!(
            asked[1].starts_with("POST /hook HTTP/1.1\r\n") && !asked[1].contains("hunter2"),
            "{asked:?}"
        );
    }
    // The system does not know that authority.
    let without = format!("{hook}proxy = \"http://127.0.0.1:{port}\"\n");
    let refused = tried(&without, directory.path()).await;
    assert!(matches!(&refused, Outcome::Retry { why, .. } if why.contains("TLS failed")), "{refused:?}");
}

#[test]
fn what_is_on_this_machine_needs_no_proxy_and_the_uplink_is_what_leads_there() {
    let text = "[notify]\nproxy = \"http://proxy.example.org:3128\"\n\
                [[receiver]]\nname = \"here\"\nkind = \"webhook\"\nurl = \"http://127.0.0.1:9000/\"\n\
                [[receiver]]\nname = \"there\"\nkind = \"ntfy\"\ntopic = \"stage\"\n\
                [[receiver]]\nname = \"direct\"\nkind = \"ntfy\"\ntopic = \"stage\"\nproxy = \"none\"\n\
                [[receiver]]\nname = \"mail\"\nkind = \"email\"\nhost = \"mail.example.org\"\nfrom = \"hub@example.org\"\nto = [\"desk@example.org\"]\n";
    let policy = Config::parse(text, "hub.toml").expect("right").policy().expect("it was checked");
    let places: Vec<Vec<String>> = policy.receivers.iter().map(|one| address::places(one, &policy)).collect();
    assert_eq!(places[0], [""; 0]);
    assert_eq!(places[1..].concat(), ["proxy.example.org:3128", "ntfy.sh:443", "mail.example.org:587"]);
    let of_here = addresses(&policy.receivers[0], &policy).expect("no secrets");
    let through = address::proxy(&policy.receivers[0], &policy, &of_here[0].way).expect("no secret");
    assert!(through.is_none(), "{through:?}");
}
