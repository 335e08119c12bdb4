//! RTMPS and RTSPS: TLS in front of the real servers, by an authority of the test's own.

use crate::servers::{GOOD, MediaMtx, Nginx, ask, directory, publish, until, value};
use futures_rustls::TlsAcceptor;
use rackside_agent::probe::State;
use rackside_proto::metric;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use smol::Async;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;

/// TLS for 127.0.0.1, and its authority's certificate in `ca`.
fn acceptor(ca: &Path) -> TlsAcceptor {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = || KeyPair::generate().expect("a key");
    let issuer = CertifiedIssuer::self_signed(params, key()).expect("an authority");
    fs::write(ca, issuer.pem()).expect("written");
    let own = key();
    let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a name");
    let leaf = leaf.signed_by(&own, &issuer).expect("a certificate");
    let own = PrivateKeyDer::try_from(own.serialize_der()).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("TLS of today")
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], own)
        .expect("a key that goes with its certificate");
    Arc::new(config).into()
}

/// Speaks TLS with everybody and passes on what they say to `port`.
fn in_front_of(port: u16, ca: &Path) -> u16 {
    let (acceptor, listener) = (acceptor(ca), TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port"));
    let own = listener.local_addr().expect("bound").port();
    let talk = move |stream: TcpStream, acceptor: TlsAcceptor| async move {
        let client = acceptor.accept(Async::new(stream)?).await?;
        let server = Async::<TcpStream>::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
        let (from, to) = smol::io::split(client);
        let there = smol::io::copy(from, &server);
        smol::future::or(there, smol::io::copy(&server, to)).await?;
        io::Result::Ok(())
    };
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let talk = talk(stream, acceptor.clone());
            // Who does not believe the certificate hangs up.
            std::thread::spawn(move || drop(smol::block_on(talk)));
        }
    });
    own
}

#[test]
fn rtmps_and_rtsps_are_asked_only_when_their_certificate_is_believed() {
    let (nginx, rtsp, directory) = (Nginx::start(), MediaMtx::start(), directory());
    let _publisher = publish(&GOOD, "rtsp", &rtsp.url("hall"));
    for (kind, scheme, path, port) in
        [("rtmp", "rtmps", "live", nginx.port), ("rtsp", "rtsps", "hall", rtsp.port)]
    {
        let ca = directory.path().join(format!("{kind}.pem"));
        let url = format!("url = \"{scheme}://127.0.0.1:{}/{path}\"", in_front_of(port, &ca));
        let believed = format!("{url}\nca = \"{}\"", ca.display());
        until("an answer", || ask(kind, &believed).state == State::Up);
        assert!(value(&ask(kind, &believed), &metric::STREAM_PHASE).is_some());
        let doubted = ask(kind, &url);
        let why = doubted.state.why().unwrap_or("it is up");
        assert!(why.contains("127.0.0.1") && why.contains("is not signed by"), "{kind}: {why}");
    }
}
