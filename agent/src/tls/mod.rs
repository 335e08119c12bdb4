//! TLS by rustls with ring, for whoever connects to something: whom to believe, at which date, and what to make of an objection.
//!
//! `roots` reads authorities, `verify` judges a chain with the allowance for a Pi without a clock, [`Objection`] says in one word
//! what rustls has against it, `alert` what the other side has against us. Not here: the stream below, and the words for people, which differ by who asks.

pub(crate) mod alert;
pub(crate) mod roots;
mod verify;

pub(crate) use verify::{Verifier, Witnessed};

use crate::join::Identity;
use rackside_proto::join::ALPN;
use rustls::client::{Resumption, WantsClientCert};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{AlertDescription, CertificateError, ClientConfig, ConfigBuilder, Error, RootCertStore};
use std::fmt;
use std::sync::Arc;

/// What is wrong with TLS: one sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsError(pub(crate) String);

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TlsError {}

/// A client's TLS that believes whom `verifier` believes.
pub(crate) fn client(verifier: Arc<Verifier>, resumption: Resumption) -> Result<ClientConfig, TlsError> {
    let mut config = builder(verifier)?.with_no_client_auth();
    config.resumption = resumption;
    Ok(config)
}

/// A client's TLS that believes the authority of an identity and nobody else, and shows the identity's certificate.
pub(crate) fn of_identity(identity: &Identity) -> Result<(Arc<Verifier>, ClientConfig), TlsError> {
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from(identity.authority.clone());
    roots.add(authority).map_err(|error| TlsError(format!("the hub's authority is unusable: {error}")))?;
    let verifier = Arc::new(Verifier::strict(Arc::new(roots))?);
    let chain = vec![CertificateDer::from(identity.certificate.clone())];
    let key = PrivateKeyDer::Pkcs8(identity.key.clone().into());
    let config = builder(Arc::clone(&verifier))?.with_client_auth_cert(chain, key);
    let mut config = config.map_err(|error| {
        TlsError(format!("the certificate of {} does not go with this box's key: {error}", identity.name))
    })?;
    // One hub, one ticket or two; the default keeps room for 256 servers.
    config.resumption = Resumption::in_memory_sessions(4);
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok((verifier, config))
}

fn builder(verifier: Arc<Verifier>) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, TlsError> {
    Ok(ClientConfig::builder_with_provider(verify::provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError(format!("TLS cannot be set up: {error}")))?
        .dangerous()
        .with_custom_certificate_verifier(verifier))
}

/// What a handshake failed at, or what is wrong with a chain; the cases that people can do something about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Objection {
    /// No authority that is believed signed it.
    Untrusted,
    /// It is for another name.
    WrongName,
    /// Its time is over.
    Expired,
    /// Its time has not come.
    NotYetValid,
    /// It is an authority's own.
    Authority,
    /// The other side does not speak TLS.
    NoTls,
    /// The other side ended it, and said why.
    Alert(AlertDescription),
    /// Anything else; rustls's own words tell.
    Other,
}

impl Objection {
    /// What rustls means.
    pub(crate) fn of(error: &Error) -> Self {
        match error {
            Error::InvalidCertificate(CertificateError::UnknownIssuer) => Self::Untrusted,
            Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            ) => Self::WrongName,
            Error::InvalidCertificate(
                CertificateError::Expired | CertificateError::ExpiredContext { .. },
            ) => Self::Expired,
            Error::InvalidCertificate(
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
            ) => Self::NotYetValid,
            // What webpki says is wrapped twice, and not to be had otherwise.
            Error::InvalidCertificate(CertificateError::Other(other))
                if format!("{other:?}").contains("CaUsedAsEndEntity") =>
            {
                Self::Authority
            }
            Error::InvalidMessage(_) => Self::NoTls,
            Error::AlertReceived(alert) => Self::Alert(*alert),
            _ => Self::Other,
        }
    }
}
