//! What the appliance sends: who it claims to be, its new key, and two signatures.
//!
//! It is written in three steps, since each signature covers all bytes before it:
//!
//! ```
//! use rackside_proto::join::{Claim, Question};
//!
//! let sign = |_label: &[u8], _bytes: &[u8]| [0x30; 70];
//! let mut bytes = heapless::Vec::<u8, 4096>::new();
//! Question::encode_head(Claim::Code([7; 8]), &[1; 32], &[4; 91], &mut bytes)?;
//! let possession = sign(rackside_proto::join::POSSESSION_LABEL, &bytes);
//! Question::encode_signature(&possession, &mut bytes)?;
//! let proof = sign(rackside_proto::join::PROOF_LABEL, &bytes);
//! Question::encode_signature(&proof, &mut bytes)?;
//! let question = Question::decode(&bytes)?;
//! assert_eq!(question.claim, Claim::Code([7; 8]));
//! assert_eq!(question.proven.len(), question.owned.len() + 1 + 70);
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

use super::{CERTIFICATE, KEY, QUESTION, SIGNATURE};
use crate::codec::{Input, put};
use crate::{DecodeError, EncodeError, Sink, WIRE};
use serde::{Deserialize, Serialize};

/// A question that is well formed. Nothing in it is proven before both signatures were checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question<'a> {
    /// What entitles to an answer.
    pub claim: Claim<'a>,
    /// Random: an answer belongs to one question.
    pub nonce: [u8; 32],
    /// The key that the certificate is to be for, a `SubjectPublicKeyInfo` in DER.
    pub key: &'a [u8],
    /// By that key, over [`POSSESSION_LABEL`](super::POSSESSION_LABEL) and `owned`.
    pub possession: &'a [u8],
    /// By the code's key or by the certificate's, over [`PROOF_LABEL`](super::PROOF_LABEL) and `proven`.
    pub proof: &'a [u8],
    /// The bytes that `possession` covers.
    pub owned: &'a [u8],
    /// The bytes that `proof` covers.
    pub proven: &'a [u8],
}

/// What entitles to a certificate. New kinds are added at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Claim<'a> {
    /// A one-time code, by its id. Proven by the code's key.
    Code([u8; 8]),
    /// The certificate (in DER) that is to be renewed. Proven by its key.
    Certificate(&'a [u8]),
}

impl<'a> Question<'a> {
    /// Appends the first part: version, claim, nonce, key.
    pub fn encode_head<S: Sink>(
        claim: Claim<'_>,
        nonce: &[u8; 32],
        key: &[u8],
        sink: &mut S,
    ) -> Result<(), EncodeError> {
        beyond(&claim, key).map_or(Ok(()), |what| Err(EncodeError::Limit(what)))?;
        sink.put(&[WIRE])?;
        put(sink, &claim)?;
        put(sink, nonce)?;
        put(sink, key)
    }

    /// Appends a signature: first the possession's, then the proof's.
    pub fn encode_signature<S: Sink>(signature: &[u8], sink: &mut S) -> Result<(), EncodeError> {
        if !is_signature(signature) {
            return Err(EncodeError::Limit("signature"));
        }
        put(sink, signature)
    }

    /// Reads a body.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut input = Input::body(bytes, QUESTION)?;
        let (claim, nonce, key) = (input.take("claim")?, input.take("nonce")?, input.take("key")?);
        beyond(&claim, key).map_or(Ok(()), |what| Err(DecodeError::Limit(what)))?;
        let owned = before(bytes, input);
        let possession = input.take("possession")?;
        let proven = before(bytes, input);
        let proof = input.take("proof")?;
        if !is_signature(possession) || !is_signature(proof) {
            return Err(DecodeError::Limit("signature"));
        }
        Ok(Self { claim, nonce, key, possession, proof, owned, proven })
    }
}

/// What of `bytes` has been read.
fn before<'a>(bytes: &'a [u8], input: Input<'a>) -> &'a [u8] {
    bytes.get(..bytes.len() - input.rest().len()).unwrap_or(bytes)
}

fn beyond(claim: &Claim<'_>, key: &[u8]) -> Option<&'static str> {
    if key.is_empty() || key.len() > KEY {
        return Some("key");
    }
    match claim {
        Claim::Certificate(der) if der.is_empty() || der.len() > CERTIFICATE => Some("certificate"),
        Claim::Certificate(_) | Claim::Code(_) => None,
    }
}

fn is_signature(bytes: &[u8]) -> bool {
    (1..=SIGNATURE).contains(&bytes.len())
}
