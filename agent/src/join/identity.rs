//! Who this box is since it joined: its key, its certificate, whom it believes, where it goes. Pure: a text, and what is in it.
//!
//! All of it is one file, so that a power cut leaves the old identity or the new one, and never a key without its certificate.
//!
//! ```toml
//! site = "arena-north"
//! appliance = "rack-1"
//! url = "http://hub.example.org:8080"          # where it joined, and is renewed
//! code = "4d7a9c0011223344"                    # the id of the code: one that is left on a card is known again
//! fingerprint = "00112233445566778899aabbccddeeff"
//! addresses = ["mqtts://hub.example.org:8883"]
//! key = '''-----BEGIN PRIVATE KEY----- …'''
//! ```

use crate::address::Address;
use crate::base64::base64;
use crate::probe::certificate::Certificate;
use rackside_config::ConfigError;
use rackside_proto::AgentName;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use serde::Deserialize;
use std::fmt::{self, Write as _};
use std::time::Duration;

const HEAD: &str =
    "# The identity of this box, written by rackside-agent. It holds a private key: do not copy it.\n";
/// Characters on a line of PEM (RFC 7468).
const LINE: usize = 64;

/// What a box has since it joined.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// Who it is.
    pub name: AgentName,
    /// The hub's web address: where it joined.
    pub url: String,
    /// The id of the code that it joined with.
    pub code: [u8; 8],
    /// The first bytes of SHA-256 of the authority's `SubjectPublicKeyInfo`.
    pub fingerprint: [u8; 16],
    /// Where to go, in the order to try, as the hub said.
    pub addresses: Vec<String>,
    /// The private key, PKCS#8 in DER.
    pub key: Vec<u8>,
    /// Its certificate, in DER.
    pub certificate: Vec<u8>,
    /// The hub's authority, in DER.
    pub authority: Vec<u8>,
    /// The configuration to start with, TOML; empty for none.
    pub configuration: String,
    /// When the certificate begins, in seconds since 1970.
    pub not_before: u64,
    /// When it ends.
    pub not_after: u64,
}

impl fmt::Debug for Identity {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({}, until {})", self.name, self.not_after)
    }
}

/// The file as it stands.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    site: String,
    appliance: String,
    url: String,
    code: String,
    fingerprint: String,
    addresses: Vec<String>,
    key: String,
    certificate: String,
    authority: String,
    #[serde(default)]
    configuration: String,
}

impl Identity {
    /// Reads a text; `file` is what it is called in errors.
    pub fn parse(text: &str, file: &str) -> Result<Self, ConfigError> {
        let raw: File = rackside_config::parse(text, file)?;
        let wrong = |key: &str, message: &dyn fmt::Display| ConfigError::at(text, file, key, message);
        let certificate = |key: &str, pem: &str| {
            let read = CertificateDer::from_pem_slice(pem.as_bytes());
            read.map(|der| der.to_vec()).map_err(|_| wrong(key, &"is no certificate in PEM form"))
        };
        let name = AgentName::new(&raw.site, &raw.appliance).map_err(|error| wrong("site", &error))?;
        let key = PrivatePkcs8KeyDer::from_pem_slice(raw.key.as_bytes())
            .map_err(|_| wrong("key", &"is no PKCS#8 key in PEM form"))?;
        let own = certificate("certificate", &raw.certificate)?;
        let read = Certificate::read(&own).ok_or_else(|| wrong("certificate", &"cannot be read"))?;
        let code = u64::from_str_radix(&raw.code, 16).map_err(|error| wrong("code", &error))?;
        let fingerprint =
            u128::from_str_radix(&raw.fingerprint, 16).map_err(|error| wrong("fingerprint", &error))?;
        Ok(Self {
            name,
            url: raw.url,
            code: code.to_be_bytes(),
            fingerprint: fingerprint.to_be_bytes(),
            addresses: raw.addresses,
            key: key.secret_pkcs8_der().to_vec(),
            certificate: own,
            authority: certificate("authority", &raw.authority)?,
            configuration: raw.configuration,
            not_before: read.not_before,
            not_after: read.not_after,
        })
    }

    /// The text. It holds the key.
    pub(crate) fn text(&self) -> String {
        let mut text = HEAD.to_owned();
        let mut row = |key: &str, value: &str| {
            let value = serde_json::to_string(value).expect("text is JSON");
            // What TOML wants escaped as well.
            writeln!(text, "{key} = {}", value.replace('\u{7f}', "\\u007f")).expect("a String has room");
        };
        row("site", self.name.site.as_str());
        row("appliance", self.name.appliance.as_str());
        row("url", &self.url);
        row("code", &format!("{:016x}", u64::from_be_bytes(self.code)));
        row("fingerprint", &format!("{:032x}", u128::from_be_bytes(self.fingerprint)));
        row("configuration", &self.configuration);
        let addresses: Vec<String> = self.addresses.iter().map(|address| format!("\"{address}\"")).collect();
        let _ = writeln!(text, "addresses = [{}]", addresses.join(", "));
        for (key, label, der) in [
            ("key", "PRIVATE KEY", &self.key),
            ("certificate", "CERTIFICATE", &self.certificate),
            ("authority", "CERTIFICATE", &self.authority),
        ] {
            let _ = writeln!(text, "{key} = '''\n{}'''", pem(label, der));
        }
        text
    }

    /// Where the addresses lead, in their order; those of a kind that is not known here are passed over.
    pub fn targets(&self) -> Vec<Address> {
        self.addresses.iter().filter_map(|address| target(address)).collect()
    }

    /// From when on it is renewed, in seconds since 1970: when a third of its life is left.
    pub const fn renewal(&self) -> u64 {
        self.not_after - self.not_after.saturating_sub(self.not_before) / 3
    }

    /// How long it is good for, at this time.
    pub const fn left(&self, utc_ms: u64) -> Duration {
        Duration::from_millis((self.not_after.saturating_mul(1000)).saturating_sub(utc_ms))
    }
}

/// Where an address leads that is known here: `mqtts://hub.example.org:8883`, `wss://hub.example.org/mqtt`. TLS of the hub's own goes over each.
pub(super) fn target(address: &str) -> Option<Address> {
    address.contains("://").then(|| Address::parse(address, true)).flatten()
}

/// As PEM has it.
pub(super) fn pem(label: &str, der: &[u8]) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in base64(der).as_bytes().chunks(LINE) {
        let _ = writeln!(text, "{}", String::from_utf8_lossy(line));
    }
    let _ = writeln!(text, "-----END {label}-----");
    text
}
