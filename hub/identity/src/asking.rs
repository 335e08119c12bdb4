//! A box that asks, for tests: keys, questions, and an answer looked at as an appliance looks at it. Not a part of the program; the agent's own is
//! in the agent.

use crate::proof::CodeKey;
use rackside_proto::join::{
    ANSWER_LABEL, Answer, Claim, Code, Outcome, POSSESSION_LABEL, PROOF_LABEL, Question, Refusal, SEED_LABEL,
    p256_point,
};
use rcgen::{KeyPair, PublicKeyData as _, SigningKey as _};
use ring::digest::{SHA256, digest};
use ring::hmac::{self, HMAC_SHA256};
use ring::signature::{ECDSA_P256_SHA256_ASN1, Ed25519KeyPair, UnparsedPublicKey};

/// A box with a key of its own.
#[derive(Debug)]
pub struct Box {
    key: KeyPair,
}

/// What a box was granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    /// `site/appliance`.
    pub name: String,
    /// Its certificate, in DER.
    pub certificate: Vec<u8>,
    /// The authority's, in DER.
    pub authority: Vec<u8>,
    /// Where it finds the hub.
    pub addresses: Vec<String>,
}

/// What there is of a question before it is signed, to be changed by whoever wants to.
#[derive(Debug, Clone)]
pub struct Draft<'a> {
    /// What entitles to an answer.
    pub claim: Claim<'a>,
    /// Random, in earnest.
    pub nonce: [u8; 32],
    /// The key that the certificate is to be for.
    pub key: Vec<u8>,
}

impl Default for Box {
    fn default() -> Self {
        Self { key: KeyPair::generate().expect("ring makes keys") }
    }
}

impl Box {
    /// The key in PKCS#8 and DER.
    pub fn key(&self) -> Vec<u8> {
        self.key.serialize_der()
    }

    /// A draft of a question of this box.
    pub fn draft<'a>(&self, claim: Claim<'a>) -> Draft<'a> {
        Draft { claim, nonce: [7; 32], key: self.key.subject_public_key_info() }
    }

    /// A question with a code.
    pub fn ask(&self, code: &Code) -> Vec<u8> {
        self.sign(&self.draft(Claim::Code(CodeKey::of(code).id)), |message| prove(code, message))
    }

    /// A question with the certificate of an older key.
    pub fn renew(&self, certificate: &[u8], old: &Self) -> Vec<u8> {
        self.sign(&self.draft(Claim::Certificate(certificate)), |message| old.signature(message))
    }

    /// A whole question out of a draft: signed by this box, and proven by whoever can.
    pub fn sign(&self, draft: &Draft<'_>, prove: impl FnOnce(&[u8]) -> Vec<u8>) -> Vec<u8> {
        let mut bytes = Vec::new();
        Question::encode_head(draft.claim, &draft.nonce, &draft.key, &mut bytes).expect("within the bounds");
        let possession = self.signature(&[POSSESSION_LABEL, &bytes].concat());
        Question::encode_signature(&possession, &mut bytes).expect("within the bounds");
        let proof = prove(&[PROOF_LABEL, &bytes].concat());
        Question::encode_signature(&proof, &mut bytes).expect("within the bounds");
        bytes
    }

    /// This box's signature.
    pub fn signature(&self, message: &[u8]) -> Vec<u8> {
        self.key.sign(message).expect("ring signs")
    }
}

/// What a code's key signs.
pub fn prove(code: &Code, message: &[u8]) -> Vec<u8> {
    let seed = hmac::sign(&hmac::Key::new(HMAC_SHA256, &code.secret), SEED_LABEL);
    Ed25519KeyPair::from_seed_unchecked(seed.as_ref())
        .expect("a seed of 32 bytes")
        .sign(message)
        .as_ref()
        .to_vec()
}

/// Looks at an answer as an appliance does: nothing unsigned is believed but a refusal that says nothing. `Err(None)`: it is not to be believed.
pub fn read(
    question: &[u8],
    answer: &[u8],
    fingerprint: [u8; 16],
) -> Result<Granted, Option<(Refusal, bool)>> {
    let answer = Answer::decode(answer).map_err(|_| None)?;
    let is_signed = !answer.signature.is_empty();
    if is_signed {
        let message = [ANSWER_LABEL, digest(&SHA256, question).as_ref(), answer.signed].concat();
        let is_known = digest(&SHA256, answer.authority).as_ref()[..16] == fingerprint;
        let point = p256_point(answer.authority).ok_or(None)?;
        let checked =
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).verify(&message, answer.signature);
        if !is_known || checked.is_err() {
            return Err(None);
        }
    }
    match answer.outcome {
        Outcome::Granted(grant) if is_signed => Ok(Granted {
            name: grant.name.to_string(),
            certificate: grant.certificate.to_vec(),
            authority: grant.authority.to_vec(),
            addresses: grant.addresses.iter().map(|address| (*address).to_owned()).collect(),
        }),
        Outcome::Granted(_) => Err(None),
        Outcome::Refused(why) => Err(Some((why, is_signed))),
    }
}
