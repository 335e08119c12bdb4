//! The question to the hub and what its answer is worth. Pure: bytes in, an [`Identity`] or a [`JoinError`] out.
//!
//! What is asked and answered is told in [`rackside_proto::join`]. Invariant: of an answer nothing is believed but a refusal that is not signed, and
//! that only for its word, before its signature is that of the authority whose fingerprint the code has; what was granted is then held against
//! the key that it is for.

use super::JoinError;
use super::identity::{Identity, target};
use crate::config::Config;
use crate::probe::certificate::Certificate;
use crate::tls;
use rackside_proto::join::{
    ANSWER_LABEL, Answer, Claim, Code, Grant, Outcome, P256_PREFIX, POSSESSION_LABEL, PROOF_LABEL, Question,
    SEED_LABEL, p256_point,
};
use ring::digest::{SHA256, digest};
use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
    UnparsedPublicKey,
};

/// What entitles to an identity.
#[derive(Debug, Clone, Copy)]
pub enum Entitled<'a> {
    /// A code that somebody gave out.
    Code(&'a Code),
    /// The identity that is to be renewed, which keeps its key.
    Identity(&'a Identity),
}

/// A question that was made, and what is needed to judge the answer.
pub struct Asked {
    question: Vec<u8>,
    key: Vec<u8>,
    url: String,
    code: [u8; 8],
    fingerprint: [u8; 16],
}

/// What was granted, and the hub's clock with it, in milliseconds since 1970.
#[derive(Debug)]
pub struct Granted {
    /// Who this box is from now on.
    pub identity: Identity,
    /// What time it is there.
    pub time_ms: u64,
    /// Why the configuration that came along is not taken, if so.
    pub objection: Option<String>,
}

/// The key that a code's secret makes, and the code's id.
fn code_key(code: &Code) -> (Ed25519KeyPair, [u8; 8]) {
    let seed = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &code.secret), SEED_LABEL);
    let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_ref()).expect("SHA-256 has the length of a seed");
    let id = id(pair.public_key().as_ref());
    (pair, id)
}

/// By what a hub finds a code, and this box knows one again.
pub fn code_id(code: &Code) -> [u8; 8] {
    code_key(code).1
}

fn id(key: &[u8]) -> [u8; 8] {
    let digest = digest(&SHA256, key);
    digest.as_ref().first_chunk().copied().expect("SHA-256 has 32 bytes")
}

/// How an authority is told in a code.
pub(super) fn fingerprint(key: &[u8]) -> [u8; 16] {
    digest(&SHA256, key).as_ref().first_chunk().copied().expect("SHA-256 has 32 bytes")
}

impl Asked {
    /// A question for a certificate of `key` (PKCS#8), to the hub at `url`.
    pub fn new(entitled: Entitled<'_>, key: &[u8], url: &str) -> Result<Self, JoinError> {
        let dice = SystemRandom::new();
        let no_dice = |_| JoinError::Own("the system gives no random numbers".to_owned());
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, key, &dice);
        let pair = pair.map_err(|error| JoinError::Own(format!("this box's key cannot be used: {error}")))?;
        let mut nonce = [0; 32];
        dice.fill(&mut nonce).map_err(no_dice)?;
        let sign = |label: &[u8], bytes: &[u8]| pair.sign(&dice, &[label, bytes].concat()).map_err(no_dice);
        let (claim, of_code, code, fingerprint) = match entitled {
            Entitled::Code(code) => {
                let (pair, id) = code_key(code);
                (Claim::Code(id), Some(pair), id, code.fingerprint)
            }
            Entitled::Identity(identity) => {
                (Claim::Certificate(&identity.certificate), None, identity.code, identity.fingerprint)
            }
        };
        let own = |error| JoinError::Own(format!("the question cannot be written: {error}"));
        let point = pair.public_key().as_ref();
        let mut question = Vec::new();
        Question::encode_head(claim, &nonce, &[&P256_PREFIX, point].concat(), &mut question).map_err(own)?;
        let possession = sign(POSSESSION_LABEL, &question)?;
        Question::encode_signature(possession.as_ref(), &mut question).map_err(own)?;
        let proof = match &of_code {
            Some(pair) => pair.sign(&[PROOF_LABEL, &question].concat()).as_ref().to_vec(),
            None => sign(PROOF_LABEL, &question)?.as_ref().to_vec(),
        };
        Question::encode_signature(&proof, &mut question).map_err(own)?;
        Ok(Self { question, key: key.to_vec(), url: url.to_owned(), code, fingerprint })
    }

    /// The bytes to send.
    pub fn question(&self) -> &[u8] {
        &self.question
    }

    /// What an answer is worth.
    pub fn hear(&self, bytes: &[u8]) -> Result<Granted, JoinError> {
        let answer = Answer::decode(bytes).map_err(JoinError::NoAnswer)?;
        if answer.signature.is_empty() {
            // A grant is always signed; who decodes has seen to that.
            return match answer.outcome {
                Outcome::Refused(refusal) => Err(JoinError::Refused { refusal, is_signed: false }),
                Outcome::Granted(_) => Err(JoinError::Forged),
            };
        }
        if fingerprint(answer.authority) != self.fingerprint {
            return Err(JoinError::OtherHub);
        }
        let point = p256_point(answer.authority).ok_or(JoinError::Forged)?;
        let message = [ANSWER_LABEL, digest(&SHA256, &self.question).as_ref(), answer.signed].concat();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point)
            .verify(&message, answer.signature)
            .map_err(|_| JoinError::Forged)?;
        match answer.outcome {
            Outcome::Refused(refusal) => Err(JoinError::Refused { refusal, is_signed: true }),
            Outcome::Granted(grant) => self.take(grant),
        }
    }

    /// Holds what was granted against what was asked for.
    fn take(&self, grant: Grant<'_>) -> Result<Granted, JoinError> {
        let unusable = |what: &str| JoinError::Unusable(what.to_owned());
        let read =
            Certificate::read(grant.certificate).ok_or_else(|| unusable("its certificate cannot be read"))?;
        if read.not_before >= read.not_after {
            return Err(unusable("its certificate ends before it begins"));
        }
        if !grant.addresses.iter().any(|address| target(address).is_some()) {
            return Err(unusable(
                "none of its addresses is of a kind that this agent knows: install a newer one",
            ));
        }
        let mut identity = Identity {
            name: grant.name,
            url: self.url.clone(),
            code: self.code,
            fingerprint: self.fingerprint,
            addresses: grant.addresses.iter().map(ToString::to_string).collect(),
            key: self.key.clone(),
            certificate: grant.certificate.to_vec(),
            authority: grant.authority.to_vec(),
            configuration: grant.configuration.to_owned(),
            not_before: read.not_before,
            not_after: read.not_after,
        };
        tls::of_identity(&identity).map_err(|error| unusable(&error.to_string()))?;
        let objection =
            Config::start(&identity, "the hub's configuration").err().map(|error| error.to_string());
        if objection.is_some() {
            identity.configuration.clear();
        }
        let again = Identity::parse(&identity.text(), "what was granted");
        if again.ok().as_ref() != Some(&identity) {
            return Err(unusable("it cannot be written down"));
        }
        Ok(Granted { identity, time_ms: grant.time_ms, objection })
    }
}
