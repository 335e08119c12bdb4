//! The hub's certificate authority: one key, from which every certificate of this fleet comes.
//!
//! The key is `authority.key` in the data directory (PKCS#8 in PEM, mode 0600), made when there is none, or a file that the configuration names.
//! Its own certificate is made of it at each start: what agents believe is the key and the name, and both stay. An authority signs for
//! appliances (client authentication), for the hub's own listener (server authentication), the answers of the join exchange, and what the hub tells a box to
//! do or to be.
//!
//! Invariant: no `Debug` and no error shows the key; a key file that cannot be read is an error and never a new key, since that would lock every
//! joined appliance out.
//!
//! ```text
//! CN=Rackside hub 5f1c09ab     by the first bytes of the key's fingerprint
//! ```

use crate::certificate::{DAY, EARLY, LIFE, SCHEME, Serial};
use rackside_proto::join::ANSWER_LABEL;
use rackside_proto::{AgentName, signed_head};
use rackside_store::private;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData, SanType, SerialNumber, SignatureAlgorithm, SigningKey as _,
};
use ring::digest::{SHA256, digest};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::fmt;
use std::fs;
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The file in the data directory.
pub const FILE: &str = "authority.key";
/// How long the listener's own certificate is good. A new one is made at each start, and long before it ends.
const SERVER_LIFE: i64 = 90 * DAY;

/// Why there is no authority.
#[derive(Debug)]
pub enum KeyError {
    /// The file cannot be read or made.
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is something else in it.
    NoKey {
        /// Which file.
        path: PathBuf,
    },
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { path, source } => write!(f, "the authority's key {}: {source}", path.display()),
            Self::NoKey { path } => write!(
                f,
                "the authority's key {}: it should be a private key of ECDSA P-256 in PKCS#8 and PEM, as \
                 `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256` makes one; put it back from a backup, since with \
                 another key every joined appliance has to join anew",
                path.display()
            ),
        }
    }
}

impl std::error::Error for KeyError {}

/// The authority.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    pem: String,
    key: Vec<u8>,
    fingerprint: [u8; 32],
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authority({})", self.name())
    }
}

/// A certificate of the hub's own listener, with its key.
#[derive(Debug)]
pub struct ServerCertificate {
    /// The certificate, in DER.
    pub certificate: CertificateDer<'static>,
    /// Its key. Its `Debug` shows nothing of it.
    pub key: PrivateKeyDer<'static>,
    /// When it ends, in milliseconds since 1970.
    pub expires_at: i64,
}

/// The key of an appliance: the point on the curve alone.
struct Point<'a>(&'a [u8]);

impl PublicKeyData for Point<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

impl Authority {
    /// The authority of this data directory; its key is made if there is none.
    pub fn open(directory: &Path) -> Result<Self, KeyError> {
        let path = directory.join(FILE);
        match Self::read(&path) {
            Err(KeyError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                make(directory, &path).map_err(|source| KeyError::Io { path: path.clone(), source })?;
                // Of two who make it at the same moment, one has; both read that one.
                Self::read(&path)
            }
            read => read,
        }
    }

    /// The authority whose key is in this file.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let text = fs::read_to_string(path).map_err(|source| match source.kind() {
            io::ErrorKind::InvalidData => KeyError::NoKey { path: path.to_owned() },
            _ => KeyError::Io { path: path.to_owned(), source },
        })?;
        Self::of(&text).ok_or_else(|| KeyError::NoKey { path: path.to_owned() })
    }

    fn of(pem: &str) -> Option<Self> {
        let key =
            KeyPair::from_pem(pem).ok().filter(|key| key.is_compatible(&rcgen::PKCS_ECDSA_P256_SHA256))?;
        let info = key.subject_public_key_info();
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(digest(&SHA256, &info).as_ref());
        let params = own(&fingerprint);
        let certificate = params.self_signed(&key).ok()?;
        let (pem, certificate) = (certificate.pem(), certificate.der().clone());
        Some(Self { issuer: Issuer::new(params, key), certificate, pem, key: info, fingerprint })
    }

    /// By which people tell it from others: `Rackside hub 5f1c09ab`.
    pub fn name(&self) -> String {
        called(&self.fingerprint)
    }

    /// What stands in its codes: the first half of SHA-256 of its `SubjectPublicKeyInfo`.
    pub fn fingerprint(&self) -> [u8; 16] {
        let mut half = [0; 16];
        half.copy_from_slice(&self.fingerprint[..16]);
        half
    }

    pub(crate) fn issuer(&self) -> &Issuer<'static, KeyPair> {
        &self.issuer
    }

    /// Its `SubjectPublicKeyInfo`, in DER.
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// Its own certificate, in DER.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// Its own certificate, in PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate for an appliance and its key, of which `point` is the point.
    pub(crate) fn issue(&self, name: &AgentName, point: &[u8], now: i64) -> (Serial, Vec<u8>) {
        let serial = Serial::new(now);
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name.to_string());
        let uri = format!("{SCHEME}{name}").try_into().expect("names are ASCII");
        params.subject_alt_names.push(SanType::URI(uri));
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
        params.serial_number = Some(SerialNumber::from_slice(&serial.0));
        during(&mut params, now - EARLY, now + LIFE);
        let signed = self.sign_leaf(params, &Point(point));
        (serial, signed.der().to_vec())
    }

    /// A certificate for the hub's own listener at these names and addresses.
    pub fn serve(&self, names: &[String], now: i64) -> ServerCertificate {
        let key = KeyPair::generate().expect("ring makes keys");
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Rackside listener");
        params.subject_alt_names = names.iter().filter_map(|name| alternative(name)).collect();
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        params.serial_number = Some(SerialNumber::from_slice(&Serial::new(now).0));
        let expires_at = now + SERVER_LIFE;
        during(&mut params, now - EARLY, expires_at);
        let certificate = self.sign_leaf(params, &key).der().clone();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        ServerCertificate { certificate, key, expires_at }
    }

    pub(crate) fn sign_leaf(&self, mut params: CertificateParams, key: &impl PublicKeyData) -> Certificate {
        params.key_usages.push(KeyUsagePurpose::DigitalSignature);
        params.use_authority_key_identifier_extension = true;
        params.signed_by(key, &self.issuer).expect("the authority's key signs")
    }

    /// Its signature of an answer to a question.
    pub(crate) fn sign_answer(&self, question: &[u8], outcome: &[u8]) -> Vec<u8> {
        let message = [ANSWER_LABEL, digest(&SHA256, question).as_ref(), outcome].concat();
        self.issuer.key().sign(&message).expect("the authority's key signs")
    }

    /// Its signature of a command or a configuration for this appliance; `label` says which, as in [`rackside_proto::Signed`].
    pub fn sign(&self, label: &[u8], agent: &AgentName, content: &[u8]) -> Vec<u8> {
        let message = [&signed_head(label, agent)[..], content].concat();
        self.issuer.key().sign(&message).expect("the authority's key signs")
    }
}

fn called(fingerprint: &[u8; 32]) -> String {
    let [a, b, c, d, ..] = fingerprint;
    format!("Rackside hub {a:02x}{b:02x}{c:02x}{d:02x}")
}

/// The terms of the authority's own certificate: of the key alone, so that each start makes the same one.
fn own(fingerprint: &[u8; 32]) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, called(fingerprint));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages =
        vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2126, 1, 1);
    let mut serial = [1; 16];
    serial[1..].copy_from_slice(&fingerprint[..15]);
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params
}

pub(crate) fn during(params: &mut CertificateParams, from: i64, to: i64) {
    let at = |ms: i64| rcgen::date_time_ymd(1970, 1, 1) + Duration::from_millis(ms.max(0).unsigned_abs());
    (params.not_before, params.not_after) = (at(from), at(to));
}

pub(crate) fn alternative(name: &str) -> Option<SanType> {
    match name.parse::<IpAddr>() {
        Ok(address) => Some(SanType::IpAddress(address)),
        Err(_) => name.try_into().ok().map(SanType::DnsName),
    }
}

/// Makes a key that nobody else can read, whole or not at all. Made by root, it belongs to whom the directory belongs to: the hub.
fn make(directory: &Path, path: &Path) -> io::Result<()> {
    let key = KeyPair::generate().expect("ring makes keys");
    let unfinished = directory.join(format!("{FILE}.{}", std::process::id()));
    let mut file = private::anew(&unfinished)?;
    file.write_all(key.serialize_pem().as_bytes())?;
    file.sync_all()?;
    private::give(&file, directory)?;
    // A link, and not a rename: a key that somebody else has made meanwhile stays.
    let linked = fs::hard_link(&unfinished, path);
    fs::remove_file(&unfinished)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => fs::File::open(directory)?.sync_all(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Credential;
    use std::os::unix::fs::PermissionsExt as _;

    const NOW: i64 = 1_795_219_200_000;

    fn name() -> AgentName {
        AgentName::new("arena-north", "rack-1").expect("a name")
    }

    #[test]
    fn a_key_is_made_once_and_for_its_owner_alone() {
        let data = tempfile::tempdir().expect("a temporary directory");
        let first = Authority::open(data.path()).expect("made");
        let again = Authority::open(data.path()).expect("read");
        assert_eq!((first.key(), first.name()), (again.key(), again.name()));
        let mode = fs::metadata(data.path().join(FILE)).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(data.path()).expect("readable").count(), 1, "nothing else is left");
        let shown = format!("{first:?}");
        assert!(shown.starts_with("Authority(Rackside hub ") && shown.len() < 40, "{shown}");
    }

    #[test]
    fn a_key_that_cannot_be_read_is_no_reason_for_a_new_one() {
        let data = tempfile::tempdir().expect("a temporary directory");
        let path = data.path().join(FILE);
        for text in [&b"nonsense"[..], b"", &[0xff; 40]] {
            fs::write(&path, text).expect("written");
            let said = Authority::open(data.path()).expect_err("no key").to_string();
            assert!(said.contains("openssl genpkey") && said.contains(FILE), "{said}");
            assert_eq!(fs::read(&path).expect("it is there"), text);
        }
        let other = KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("a key");
        fs::write(&path, other.serialize_pem()).expect("written");
        assert!(matches!(Authority::open(data.path()), Err(KeyError::NoKey { .. })), "another kind of key");
    }

    #[test]
    fn a_key_from_outside_makes_the_same_authority_anywhere() {
        let data = tempfile::tempdir().expect("a temporary directory");
        let path = data.path().join("given.pem");
        let key = KeyPair::generate().expect("a key");
        fs::write(&path, key.serialize_pem()).expect("written");
        let (one, other) = (Authority::read(&path).expect("read"), Authority::read(&path).expect("read"));
        assert_eq!(
            (one.name(), one.key(), one.fingerprint()),
            (other.name(), other.key(), other.fingerprint())
        );
        let (_, der) = one.issue(&name(), key.public_key_raw(), NOW);
        assert!(crate::exchange::is_signed_by(&other, &der), "what one has signed the other knows");
    }

    #[test]
    fn a_certificate_names_its_appliance() {
        let data = tempfile::tempdir().expect("a temporary directory");
        let authority = Authority::open(data.path()).expect("made");
        let key = KeyPair::generate().expect("a key");
        let (serial, der) = authority.issue(&name(), key.public_key_raw(), NOW);
        assert_eq!(Credential::read(&der), Some(Credential { name: name(), serial }));
        assert_eq!(serial.issued_at(), NOW);
        let server = authority.serve(&["hub.example.org".to_owned(), "192.0.2.1".to_owned()], NOW);
        assert_eq!(Credential::read(&server.certificate), None, "the listener's own is no appliance's");
        assert!(der.len() < 1024, "{} bytes", der.len());
    }
}
