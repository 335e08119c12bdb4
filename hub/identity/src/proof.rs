//! Codes and signatures: what proves what in a question. Pure.
//!
//! A code's key is an Ed25519 key whose seed comes out of the code's secret, so the hub keeps the public half of it and can check a proof, but make
//! none. The key of an appliance is ECDSA P-256, which Mosquitto and every TLS library take.

use rackside_proto::join::{Code, POSSESSION_LABEL, PROOF_LABEL, Question, SEED_LABEL, p256_point};
use ring::digest::{SHA256, digest};
use ring::hmac::{self, HMAC_SHA256};
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{ECDSA_P256_SHA256_ASN1, ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

/// By what the hub knows a code: an id to find it, and a key to check who has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CodeKey {
    pub(crate) id: [u8; 8],
    pub(crate) key: [u8; 32],
}

impl CodeKey {
    /// Of a code.
    pub(crate) fn of(code: &Code) -> Self {
        let seed = hmac::sign(&hmac::Key::new(HMAC_SHA256, &code.secret), SEED_LABEL);
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_ref()).expect("a seed of 32 bytes");
        let mut key = [0; 32];
        key.copy_from_slice(pair.public_key().as_ref());
        let mut id = [0; 8];
        id.copy_from_slice(&digest(&SHA256, &key).as_ref()[..8]);
        Self { id, key }
    }

    /// Whether whoever asks has the code.
    pub(crate) fn proves(key: &[u8], question: &Question<'_>) -> bool {
        let message = [PROOF_LABEL, question.proven].concat();
        UnparsedPublicKey::new(&ED25519, key).verify(&message, question.proof).is_ok()
    }
}

/// A new code, for a hub whose authority has this fingerprint.
pub fn make_code(fingerprint: [u8; 16]) -> Code {
    let mut secret = [0; 16];
    SystemRandom::new().fill(&mut secret).expect("the system gives random bytes: TLS stands on it as well");
    Code { secret, fingerprint }
}

/// The point of the key for which a certificate is wanted, if whoever asks has that key.
pub(crate) fn owned<'a>(question: &Question<'a>) -> Option<&'a [u8]> {
    let point = p256_point(question.key)?;
    let message = [POSSESSION_LABEL, question.owned].concat();
    let checked =
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).verify(&message, question.possession);
    checked.is_ok().then_some(point)
}
