//! Whether a server's certificates are to be believed, with one allowance for a Pi without a clock.
//!
//! Certificates are judged at the date that the agent believes, not at the one that the system shows: a clock that somebody set
//! to 2031 has expired nothing. A Pi that has just started in a venue that blocks NTP believes nothing, and its system that it is
//! 1970 or the day of its last shutdown: every certificate is "not yet valid". Until NTP has vouched for a date, that objection, and no
//! other, does not count: the chain is verified once more at the beginning of that certificate's validity. Signature, name,
//! purpose and expiry (as of then) are checked as ever.
//!
//! A *witness* lets the handshake go on whatever it thinks of the chain, and keeps both: for a probe that reports on certificates. That
//! the server has the certificate's key is proven in any case.

use super::TlsError;
use crate::clock::Moment;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A chain has at most this many certificates that each may begin later than the one before.
const CHAIN: usize = 8;

pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// What a witness saw.
#[derive(Debug, Clone)]
pub(crate) struct Witnessed {
    /// The server's own certificate first.
    pub(crate) chain: Vec<CertificateDer<'static>>,
    /// What is wrong with it, if anything.
    pub(crate) verdict: Result<(), Error>,
}

/// Judges chains.
#[derive(Debug)]
pub(crate) struct Verifier {
    /// None believes anybody.
    inner: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
    date: Mutex<Option<Moment>>,
    is_witness: bool,
    seen: Mutex<Option<Witnessed>>,
}

impl Verifier {
    /// One that ends a handshake with whom these authorities did not sign.
    pub(crate) fn strict(roots: Arc<RootCertStore>) -> Result<Self, TlsError> {
        let provider = provider();
        let inner = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider)).build();
        let inner = inner
            .map_err(|error| TlsError(format!("the authorities' certificates are unusable: {error}")))?;
        let (date, seen) = (Mutex::default(), Mutex::default());
        Ok(Self { inner: Some(inner), provider, date, is_witness: false, seen })
    }

    /// One that ends no handshake, and tells what it saw.
    pub(crate) fn witness(roots: Arc<RootCertStore>) -> Result<Self, TlsError> {
        Ok(Self { is_witness: true, ..Self::strict(roots)? })
    }

    /// One that believes anybody.
    pub(crate) fn credulous() -> Self {
        let (date, seen) = (Mutex::default(), Mutex::default());
        Self { inner: None, provider: provider(), date, is_witness: true, seen }
    }

    /// The moment of the handshakes from now on.
    pub(crate) fn at(&self, moment: Option<Moment>) {
        *self.date.lock().unwrap_or_else(PoisonError::into_inner) = moment;
    }

    /// What the newest handshake showed that was not believed; a witness keeps the others as well.
    pub(crate) fn seen(&self) -> Option<Witnessed> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Judges a chain at a moment; `shown` is what the system's clock says, for when nobody knows better.
    fn judge(
        &self,
        chain: (&CertificateDer<'_>, &[CertificateDer<'_>]),
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        shown: UnixTime,
    ) -> Result<(), Error> {
        let Some(inner) = &self.inner else { return Ok(()) };
        let verify =
            |at| inner.verify_server_cert(chain.0, chain.1, server_name, ocsp_response, at).map(|_| ());
        let moment = *self.date.lock().unwrap_or_else(PoisonError::into_inner);
        let believed = moment.filter(|moment| moment.known);
        let is_vouched = believed.is_some_and(|moment| moment.disciplined);
        let mut at =
            believed.map_or(shown, |moment| UnixTime::since_unix_epoch(Duration::from_millis(moment.utc_ms)));
        let mut result = verify(at);
        for _ in 0..CHAIN {
            match result {
                Err(Error::InvalidCertificate(CertificateError::NotValidYetContext {
                    not_before, ..
                })) if not_before > at && !is_vouched => {
                    at = not_before;
                    result = verify(at);
                }
                _ => break,
            }
        }
        result
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict = self.judge((end_entity, intermediates), server_name, ocsp_response, now);
        if !self.is_witness && verdict.is_ok() {
            return Ok(ServerCertVerified::assertion());
        }
        let chain = std::iter::once(end_entity).chain(intermediates);
        let chain = chain.map(|certificate| certificate.clone().into_owned()).collect();
        let told = if self.is_witness { Ok(()) } else { verdict.clone() };
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(Witnessed { chain, verdict });
        told.map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests;
