//! The hub's side of the join exchange: a question in, an answer out. The bytes are described in `rackside_proto::join`.
//!
//! What proves the claim is checked first, what the file knows of it second. Whoever proves nothing hears [`Refusal::Unknown`] without a
//! signature, the same whether there is such a code or not. Whoever has the code, or the certificate's key, is told what became of it, signed.
//!
//! The same claim with the same key gets the same certificate again: an answer may be lost, and the box must not be.
//!
//! Invariant: a certificate is written to the disk before it is told to anybody.
//!
//! ```text
//! code          never used ─► granted     same key ─► the same again     another key ─► Used     taken back, a day old ─► Revoked, Expired
//! certificate   good, or not too long over ─► granted     ended ─► Replaced, Revoked, Retired
//! ```

use crate::authority::Authority;
use crate::certificate::{Credential, DAY, RENEWABLE, Serial};
use crate::proof::{CodeKey, owned};
use crate::roll::{Roll, Standing};
use crate::store::{End, Issued, Store};
use rackside_proto::AgentName;
use rackside_proto::join::{
    ADDRESS, ADDRESSES, Answer, CONFIGURATION, Claim, Grant, Outcome, PROOF_LABEL, Question, Refusal,
};
use rackside_store::StoreError;
use rustls_pki_types::{CertificateDer, UnixTime};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use webpki::{EndEntityCert, KeyUsage};

/// More certificates of one name in a day are not made: a box that works needs one.
const DAILY: i64 = 12;
/// Whoever has had them waits for so many seconds.
const PAUSE: u32 = 3600;
/// What an agent's addresses begin with: MQTT over TCP or WebSocket, with or without TLS.
const SCHEMES: [&str; 4] = ["mqtts://", "wss://", "ws://", "mqtt://"];
/// No hub's clock is right before this, and its certificates would be good for nobody: 2026-01-01.
const SANE: i64 = 1_767_225_600_000;

/// What a box that joins is sent along with its certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    addresses: Vec<String>,
    configuration: String,
}

/// Why an offer cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OfferError {
    /// There is no address, or there are too many.
    Count(usize),
    /// An address that no agent could use.
    Address(String),
    /// The configuration is too long, in bytes.
    Configuration(usize),
}

impl fmt::Display for OfferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(found) => write!(f, "there are {found} addresses for agents; give 1 to {ADDRESSES}"),
            Self::Address(text) => write!(
                f,
                "{text:?} is no address for agents; write for example \"mqtts://hub.example.org:8883\""
            ),
            Self::Configuration(found) => {
                write!(f, "the configuration for agents has {found} bytes, and may have {CONFIGURATION}")
            }
        }
    }
}

impl std::error::Error for OfferError {}

impl Offer {
    /// Where a box finds the hub, in the order to try (`mqtts://hub.example.org:8883`), and what it is to start with: TOML without secrets, or nothing.
    pub fn new(addresses: Vec<String>, configuration: String) -> Result<Self, OfferError> {
        if addresses.is_empty() || addresses.len() > ADDRESSES {
            return Err(OfferError::Count(addresses.len()));
        }
        let is_whole = |text: &String| {
            let rest = SCHEMES.iter().find_map(|scheme| text.strip_prefix(scheme));
            rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_graphic()))
                && text.len() <= ADDRESS
        };
        if let Some(odd) = addresses.iter().find(|text| !is_whole(text)) {
            return Err(OfferError::Address(odd.clone()));
        }
        if configuration.len() > CONFIGURATION {
            return Err(OfferError::Configuration(configuration.len()));
        }
        Ok(Self { addresses, configuration })
    }

    /// Where a box finds the hub.
    pub fn addresses(&self) -> &[String] {
        &self.addresses
    }
}

/// An answer, and what it was.
#[derive(Debug)]
pub struct Answered {
    /// The body.
    pub bytes: Vec<u8>,
    /// What came of it.
    pub told: Told,
}

/// What came of a question, for the log and for who counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// A box has joined.
    Joined(AgentName),
    /// A box has its next certificate.
    Renewed(AgentName),
    /// A box has the same certificate again.
    Repeated(AgentName),
    /// A box that proved its claim was refused.
    Refused(AgentName, Refusal),
    /// Nothing was proven.
    Stranger,
    /// It is no question.
    Unreadable,
    /// The hub cannot, and why.
    Failed(String),
}

impl Told {
    /// Every word of [`as_str`](Self::as_str).
    pub const WORDS: [&'static str; 7] =
        ["joined", "renewed", "repeated", "refused", "stranger", "unreadable", "failed"];

    /// In one word, as a label's value.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Joined(_) => "joined",
            Self::Renewed(_) => "renewed",
            Self::Repeated(_) => "repeated",
            Self::Refused(..) => "refused",
            Self::Stranger => "stranger",
            Self::Unreadable => "unreadable",
            Self::Failed(_) => "failed",
        }
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Joined(name) => write!(f, "{name} has joined"),
            Self::Renewed(name) => write!(f, "{name} has its next certificate"),
            Self::Repeated(name) => write!(f, "{name} asked again, and has the same certificate"),
            Self::Refused(name, Refusal::Used) => {
                write!(f, "another box came with the code of {name}, which was used: it is refused")
            }
            Self::Refused(name, why) => write!(f, "a box that says it is {name} is refused: {why:?}"),
            Self::Stranger => f.write_str("a question that proves nothing is refused"),
            Self::Unreadable => f.write_str("a question that cannot be read is refused"),
            Self::Failed(why) => write!(f, "no certificate can be given: {why}"),
        }
    }
}

/// What a proven question comes to.
enum Verdict {
    Granted(Vec<u8>, Told),
    Refused(Refusal),
}

/// The authority and its file.
pub struct Registrar {
    authority: Arc<Authority>,
    store: Store,
    in_service: Option<InService>,
}

/// Whether a name is in service though it has not joined: its box came in another way until now.
pub type InService = Box<dyn Fn(&AgentName) -> bool + Send>;

impl fmt::Debug for Registrar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registrar").field("store", &self.store).finish_non_exhaustive()
    }
}

impl Registrar {
    /// Of these two.
    pub fn new(authority: impl Into<Arc<Authority>>, store: Store) -> Self {
        Self { authority: authority.into(), store, in_service: None }
    }

    /// From now on this says whether a name that has not joined is in service: pages for it are not held when it joins.
    pub fn set_in_service(&mut self, in_service: InService) {
        self.in_service = Some(in_service);
    }

    /// The authority. It signs without the file, so whoever only wants that need not wait for the registrar.
    pub fn authority(&self) -> &Arc<Authority> {
        &self.authority
    }

    /// The file.
    pub fn store(&mut self) -> &mut Store {
        &mut self.store
    }

    /// Answers a question.
    pub fn answer(&mut self, bytes: &[u8], offer: &Offer, now: i64) -> Answered {
        let Ok(question) = Question::decode(bytes) else {
            return unsigned(Refusal::Unreadable, Told::Unreadable);
        };
        if now < SANE {
            return unsigned(
                Refusal::Failing,
                Told::Failed("the hub's clock shows a time before 2026".to_owned()),
            );
        }
        let done = match question.claim {
            Claim::Code(id) => self.by_code(id, &question, now),
            Claim::Certificate(der) => self.by_certificate(der, &question, now),
        };
        let (name, verdict) = match done {
            Ok(Some(done)) => done,
            Ok(None) => return unsigned(Refusal::Unknown, Told::Stranger),
            Err(error) => return unsigned(Refusal::Failing, Told::Failed(error.to_string())),
        };
        match verdict {
            Verdict::Granted(certificate, told) => self.grant(bytes, &name, &certificate, offer, now, told),
            Verdict::Refused(why) => {
                let bytes = self.signed(bytes, &Outcome::Refused(why));
                Answered { bytes, told: Told::Refused(name, why) }
            }
        }
    }

    fn grant(
        &self,
        question: &[u8],
        name: &AgentName,
        certificate: &[u8],
        offer: &Offer,
        now: i64,
        told: Told,
    ) -> Answered {
        let grant = Grant {
            name: name.clone(),
            certificate,
            authority: self.authority.certificate(),
            addresses: offer.addresses.iter().map(String::as_str).collect(),
            configuration: &offer.configuration,
            time_ms: now.unsigned_abs(),
        };
        Answered { bytes: self.signed(question, &Outcome::Granted(grant)), told }
    }

    fn signed(&self, question: &[u8], outcome: &Outcome<'_>) -> Vec<u8> {
        let mut said = Vec::new();
        outcome.encode(&mut said).expect("an offer was checked when it was made, and certificates are small");
        let signature = self.authority.sign_answer(question, &said);
        let mut bytes = Vec::new();
        Answer::encode(self.authority.key(), &signature, &said, &mut bytes)
            .expect("keys and signatures are small");
        bytes
    }

    /// `None`: nothing is proven.
    fn by_code(
        &mut self,
        id: [u8; 8],
        question: &Question<'_>,
        now: i64,
    ) -> Result<Option<(AgentName, Verdict)>, StoreError> {
        let Some(code) = self.store.code(id)?.filter(|code| CodeKey::proves(&code.key, question)) else {
            return Ok(None);
        };
        let name = code.name.clone();
        let refused = |why| Ok(Some((name.clone(), Verdict::Refused(why))));
        let Some(point) = owned(question) else { return refused(Refusal::Unreadable) };
        if code.used_by.is_none() {
            if code.revoked_at.is_some() {
                return refused(Refusal::Revoked);
            }
            if now >= code.expires_at {
                return refused(Refusal::Expired);
            }
            let issued = self.issue(&name, point, now);
            let is_in_service = self.in_service.as_ref().is_some_and(|asked| asked(&name));
            if self.store.redeem(id, &name, question.key, &issued, (is_in_service, now))? {
                return Ok(Some((name.clone(), Verdict::Granted(issued.certificate, Told::Joined(name)))));
            }
        }
        // Used before, or at this very moment.
        let used_by = self.store.code(id)?.and_then(|code| code.used_by);
        if used_by.as_deref() != Some(question.key) {
            self.store.tried(id)?;
            return refused(Refusal::Used);
        }
        match self.store.newest(&name, question.key)? {
            Some((certificate, None)) => {
                Ok(Some((name.clone(), Verdict::Granted(certificate, Told::Repeated(name)))))
            }
            Some((_, Some(end))) => refused(of_end(end)),
            None => refused(Refusal::Expired),
        }
    }

    /// `None`: nothing is proven.
    fn by_certificate(
        &mut self,
        der: &[u8],
        question: &Question<'_>,
        now: i64,
    ) -> Result<Option<(AgentName, Verdict)>, StoreError> {
        let Some(old) =
            Credential::read(der).filter(|_| is_signed_by(&self.authority, der) && is_proven(der, question))
        else {
            return Ok(None);
        };
        let name = old.name.clone();
        let refused = |why| Ok(Some((name.clone(), Verdict::Refused(why))));
        let Some(point) = owned(question) else { return refused(Refusal::Unreadable) };
        if now >= old.serial.issued_at() + RENEWABLE {
            return refused(Refusal::Expired);
        }
        match Roll::new(&self.store.identities_of(&name)?, BTreeSet::new()).standing(&old, now) {
            Standing::Good | Standing::Expired => {}
            Standing::New => self.store.adopt(&old, &[], der, now)?,
            Standing::Ended(end) => {
                self.store.turned_away(std::slice::from_ref(&old), now)?;
                return refused(of_end(end));
            }
        }
        self.store.seen(std::slice::from_ref(&old), now)?;
        if let Some(certificate) = self.store.renewed(old.serial, question.key)? {
            return Ok(Some((name.clone(), Verdict::Granted(certificate, Told::Repeated(name)))));
        }
        if self.store.issued_since(&name, now - DAY)? >= DAILY {
            return refused(Refusal::Wait(PAUSE));
        }
        let issued = self.issue(&name, point, now);
        if !self.store.renew(&old, question.key, &issued, now)? {
            // Somebody ended it between the two.
            return refused(Refusal::Revoked);
        }
        Ok(Some((name.clone(), Verdict::Granted(issued.certificate, Told::Renewed(name)))))
    }

    fn issue(&self, name: &AgentName, point: &[u8], now: i64) -> Issued {
        let (serial, certificate) = self.authority.issue(name, point, now);
        Issued { serial, certificate }
    }

    /// A box came to the listener with a certificate that the roll calls new: from now on the file knows it.
    pub fn adopt(&mut self, credential: &Credential, der: &[u8], now: i64) -> Result<(), StoreError> {
        self.store.adopt(credential, &[], der, now)
    }
}

/// A box that comes with a renewed certificate after its successor was seen is a copy of it: a card's image that was written twice.
fn of_end(end: End) -> Refusal {
    match end {
        End::Renewed | End::Replaced => Refusal::Replaced,
        End::Revoked => Refusal::Revoked,
        End::Retired => Refusal::Retired,
    }
}

/// An answer without a signature.
fn unsigned(why: Refusal, told: Told) -> Answered {
    Answered { bytes: refusal(why), told }
}

/// The body of an answer that proves nothing.
pub fn refusal(why: Refusal) -> Vec<u8> {
    let (mut said, mut bytes) = (Vec::new(), Vec::new());
    Outcome::Refused(why).encode(&mut said).expect("a few bytes");
    Answer::encode(&[], &[], &said, &mut bytes).expect("a few bytes");
    bytes
}

/// Whether a certificate of an appliance was signed by this authority. Its time is the roll's to look at.
pub(crate) fn is_signed_by(authority: &Authority, der: &[u8]) -> bool {
    let der = CertificateDer::from(der);
    let (Ok(certificate), Ok(anchor)) =
        (EndEntityCert::try_from(&der), webpki::anchor_from_trusted_cert(authority.certificate()))
    else {
        return false;
    };
    let Some(serial) = Serial::read(certificate.serial()) else { return false };
    let then = UnixTime::since_unix_epoch(Duration::from_millis(serial.issued_at().unsigned_abs()));
    let algorithms = &[webpki::ring::ECDSA_P256_SHA256];
    certificate
        .verify_for_usage(algorithms, &[anchor], &[], then, KeyUsage::client_auth(), None, None)
        .is_ok()
}

/// Whether whoever asks has the certificate's key.
fn is_proven(der: &[u8], question: &Question<'_>) -> bool {
    let der = CertificateDer::from(der);
    let message = [PROOF_LABEL, question.proven].concat();
    EndEntityCert::try_from(&der).is_ok_and(|certificate| {
        certificate.verify_signature(webpki::ring::ECDSA_P256_SHA256, &message, question.proof).is_ok()
    })
}
