//! `[[probe.tls]]`: what a TLS port shows of itself: until when each certificate of its chain is valid, and whether it is to be believed.
//!
//! The handshake goes on whatever the certificates are, and is the end: nothing is said. What may be wrong is told apart, each by itself
//! (`rackside_tls_fault`): expired, not yet valid, for another host, signed by nobody who is believed. Certificates are judged at the
//! date that the agent believes; while it believes none, validity is unknown, and the rest is judged as of the certificate's own time.
//!
//! ```toml
//! [[probe.tls]]
//! name = "ingest-certificate"
//! target = "ingest.example:443"
//! ```

use super::http::put_chain;
use crate::probe::certificate::Certificate;
use crate::probe::config::{Settings, kind};
use crate::probe::secure::{self, HandshakeError, Trust};
use crate::probe::{Context, Outcome, Probe, Running, dial};
use rackside_proto::{Date, Scale, Value, metric};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error, RootCertStore};
use std::path::PathBuf;
use std::time::Duration;

const DAY: u64 = 86_400;

kind! {
    /// What the configuration has for it.
    pub struct Tls {
        /// `host:port`, or a host whose port is 443.
        target: String,
        /// The name in its certificate, and the one that it is asked for; the host's own when not set.
        #[serde(default)]
        server_name: Option<String>,
        /// Whose signature is believed; the system's authorities' when not set.
        #[serde(default)]
        ca: Option<PathBuf>,
    }
}

impl Tls {
    fn address(&self) -> Option<(&str, u16)> {
        let (host, port) = rackside_config::host_and_port(&self.target)?;
        Some((host, port.unwrap_or(443))).filter(|(host, _)| !host.is_empty())
    }
}

impl Settings for Tls {
    fn target(&self) -> String {
        self.target.clone()
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        let Some((host, _)) = self.address() else {
            return Err(("target", format!("\"{}\" is not host:port", self.target)));
        };
        let (key, name) = match &self.server_name {
            Some(name) => ("server_name", name.as_str()),
            None => ("target", host),
        };
        match ServerName::try_from(name) {
            Ok(_) => Ok(()),
            Err(_) => Err((key, format!("\"{name}\" is neither a host's name nor an address"))),
        }
    }

    fn open(&self) -> Box<dyn Probe> {
        Box::new(self.clone())
    }
}

impl Probe for Tls {
    fn run<'a>(&'a mut self, context: &'a Context) -> Running<'a> {
        Box::pin(self.look(context))
    }
}

impl Tls {
    async fn look(&self, context: &Context) -> Outcome {
        let (host, port) = self.address().expect("the configuration was checked");
        let name = self.server_name.as_deref().unwrap_or(host);
        let trust = Trust::of(self.ca.as_ref());
        let roots = match context.authorities.of(&trust).await {
            Ok(roots) => roots,
            Err(why) => return Outcome::unknown(why),
        };
        let dialled = match dial::connect(host, port).await {
            Ok(dialled) => dialled,
            Err(error) => return Outcome::down(error.to_string()),
        };
        let chain =
            match secure::handshake(context, Box::new(dialled.stream), name, &Trust::Anybody, &[]).await {
                Ok(secured) => secured.chain,
                Err(HandshakeError::Own(why)) => return Outcome::unknown(why),
                Err(HandshakeError::Theirs(error)) => {
                    let mut outcome = Outcome::down(error.to_string());
                    put_chain(&mut outcome, &error.chain);
                    return outcome;
                }
            };
        let date = context.surroundings.moment().filter(|moment| moment.known);
        let date = date.map(|moment| moment.utc_ms / 1000);
        match (
            judge(&chain, name, roots.as_deref(), date),
            chain.first().and_then(|der| Certificate::read(der)),
        ) {
            (Some(faults), Some(leaf)) => report(&chain, &leaf, faults, name, &trust, date),
            _ => Outcome::down(format!("{host} shows a certificate that cannot be read")),
        }
    }
}

/// What is wrong with a chain, each by itself; `None` is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Faults {
    expired: Option<bool>,
    not_yet_valid: Option<bool>,
    wrong_host: bool,
    untrusted: bool,
}

/// Judges a chain at a date in seconds since 1970, if one is known. `None` when it cannot be read.
fn judge(
    chain: &[CertificateDer<'_>],
    name: &str,
    roots: Option<&RootCertStore>,
    date: Option<u64>,
) -> Option<Faults> {
    let (first, others) = chain.split_first()?;
    let leaf = Certificate::read(first)?;
    let parsed = ParsedCertificate::try_from(first).ok()?;
    let server = ServerName::try_from(name).ok()?;
    let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms;
    let signed = |at: u64| {
        let at = UnixTime::since_unix_epoch(Duration::from_secs(at));
        roots.map_or(Ok(()), |roots| {
            verify_server_cert_signed_by_trust_anchor(&parsed, roots, others, at, algorithms.all)
        })
    };
    // A moment at which all of it was valid, if there is one: then nothing but the signatures can be wrong.
    let begins = others.iter().filter_map(|der| Certificate::read(der)).map(|other| other.not_before);
    let inside = begins.filter(|begin| *begin <= leaf.not_after).fold(leaf.not_before, u64::max);
    let now = date.map(signed);
    let says = |wanted: fn(&CertificateError) -> bool| match &now {
        Some(Err(Error::InvalidCertificate(error))) => Some(wanted(error)),
        Some(_) => Some(false),
        None => None,
    };
    let is_late = |error: &CertificateError| {
        matches!(error, CertificateError::Expired | CertificateError::ExpiredContext { .. })
    };
    let is_early = |error: &CertificateError| {
        matches!(error, CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. })
    };
    Some(Faults {
        // An authority's certificate above it may be over before it is, and webpki says so; without authorities the leaf is all there is.
        expired: says(is_late).map(|late| late || date.is_some_and(|date| date > leaf.not_after)),
        not_yet_valid: says(is_early).map(|early| early || date.is_some_and(|date| date < leaf.not_before)),
        wrong_host: verify_server_name(&parsed, &server).is_err(),
        untrusted: signed(inside).is_err(),
    })
}

/// The faults as series and as a sentence.
fn report(
    chain: &[CertificateDer<'_>],
    leaf: &Certificate,
    faults: Faults,
    name: &str,
    trust: &Trust,
    date: Option<u64>,
) -> Outcome {
    let Faults { expired, not_yet_valid, wrong_host, untrusted } = faults;
    let until = Day(leaf.not_after);
    let mut wrong = Vec::new();
    if expired == Some(true) {
        wrong.push(match date.and_then(|date| date.checked_sub(leaf.not_after)) {
            Some(ago) => format!("it expired on {until}, {} ago", days(ago)),
            None => "the certificate of an authority in its chain has expired".to_owned(),
        });
    }
    if not_yet_valid == Some(true) {
        wrong.push(format!("it is not valid before {}", Day(leaf.not_before)));
    }
    if wrong_host {
        wrong.push(format!("it is not for {name}"));
    }
    if untrusted {
        let (whom, issuer) = (trust, &leaf.issuer);
        wrong.push(format!("it is signed by \"{issuer}\", and that not by {whom}"));
    }
    let mut outcome = if !wrong.is_empty() {
        Outcome::down(format!("the certificate of {name} is not to be believed: {}", wrong.join("; ")))
    } else if date.is_none() {
        let why = "the date is not known here yet, so nobody can tell whether it has expired";
        Outcome::unknown(format!("the certificate of {name} is good until {until}, but {why}"))
    } else {
        Outcome::up()
    };
    put_chain(&mut outcome, chain);
    let state = |fault: Option<bool>| fault.map_or(Value::Unknown, |fault| Value::Known(i64::from(fault)));
    for (fault, value) in [
        ("expired", state(expired)),
        ("not_yet_valid", state(not_yet_valid)),
        ("wrong_host", state(Some(wrong_host))),
        ("untrusted", state(Some(untrusted))),
    ] {
        outcome.put_value(&metric::TLS_FAULT, &[fault], Scale::ONE, value);
    }
    outcome.say("certificate", format!("{}, by {}, until {until}", leaf.subject, leaf.issuer));
    outcome
}

/// `3 days`, `5 hours`.
fn days(seconds: u64) -> String {
    let (count, what) = if seconds >= DAY { (seconds / DAY, "day") } else { (seconds / 3600, "hour") };
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// The day of a moment in seconds since 1970: `2026-11-20`.
struct Day(u64);

impl std::fmt::Display for Day {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Date { year, month, day } = Date::of_ms(self.0.saturating_mul(1000));
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

#[cfg(test)]
mod tests;
