//! Appliances that have joined, without their boxes: a key and a certificate of the hub's own authority for each, for fleets of thousands.

use crate::{clock, port};
use rackside_identity::asking::{self, Box as Asking};
use rackside_identity::{Authority, Offer, Registrar, Store, make_code};
use rackside_proto::AgentName;
use rackside_proto::join::ALPN;
use rustls::client::{Resumption, WantsClientCert};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

/// Where the listener of a hub speaks TLS that appliances join, and the lines for it, to follow its `[listener]`.
pub fn hub_lines() -> (SocketAddr, String) {
    let tls = port::local(port::free());
    let lines = format!(
        "tls = {{ address = \"{tls}\" }}\nidentities = \"required\"\n[join]\nurl = \"http://127.0.0.1\"\naddresses = [\"mqtts://{tls}\"]\n"
    );
    (tls, lines)
}

/// The certificates of a fleet, by number.
#[derive(Debug, Clone)]
pub struct Joined {
    roots: Arc<RootCertStore>,
    boxes: Arc<[Identity]>,
}

#[derive(Debug)]
struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivatePkcs8KeyDer<'static>,
}

impl Joined {
    /// Has appliances of these names join the hub that keeps its data there. It may be running: it hears of them as of any that join.
    pub fn at(data: &Path, names: impl Iterator<Item = AgentName>) -> Result<Self, String> {
        let told = |error: &dyn std::fmt::Display| format!("{}: {error}", data.display());
        let authority = Authority::open(data).map_err(|error| told(&error))?;
        let mut roots = RootCertStore::empty();
        roots.add(authority.certificate().clone()).map_err(|error| told(&error))?;
        let fingerprint = authority.fingerprint();
        let mut registrar = Registrar::new(authority, Store::open(data).map_err(|error| told(&error))?);
        let offer = Offer::new(vec!["mqtts://127.0.0.1".to_owned()], String::new())
            .map_err(|error| error.to_string())?;
        let mut join = |name: AgentName| {
            let (code, now) = (make_code(fingerprint), clock::unix_ms() as i64);
            registrar.store().make_code(&code, &name, now).map_err(|error| told(&error))?;
            let empty = Asking::default();
            let question = empty.ask(&code);
            let answered = registrar.answer(&question, &offer, now);
            let granted = asking::read(&question, &answered.bytes, fingerprint)
                .map_err(|why| format!("{name} was refused: {why:?}"))?;
            Ok(Identity { chain: vec![granted.certificate.into()], key: empty.key().into() })
        };
        let boxes = names.map(&mut join).collect::<Result<Arc<[_]>, String>>()?;
        Ok(Self { roots: Arc::new(roots), boxes })
    }

    /// How somebody who has not joined comes to such a listener, believing the hub's authority alone.
    pub fn stranger(&self) -> Result<ClientConfig, String> {
        Ok(self.believing()?.with_no_client_auth())
    }

    fn believing(&self) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, String> {
        let terms = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        Ok(terms.with_root_certificates(Arc::clone(&self.roots)))
    }

    /// How appliance `number` shows who it is, believing the hub's authority alone. It resumes its sessions, as an agent does.
    pub fn client(&self, number: usize) -> Result<ClientConfig, String> {
        let identity =
            self.boxes.get(number).ok_or_else(|| format!("only {} have joined", self.boxes.len()))?;
        let key = PrivateKeyDer::Pkcs8(identity.key.clone_key());
        let mut config = self
            .believing()?
            .with_client_auth_cert(identity.chain.clone(), key)
            .map_err(|error| error.to_string())?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.resumption = Resumption::in_memory_sessions(1);
        Ok(config)
    }
}
