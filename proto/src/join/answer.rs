//! What the hub says: a certificate and where to go with it, or why not.
//!
//! A grant is always signed. A refusal is signed only for who has proven his claim, so that it can say what to do; a stranger gets
//! [`Refusal::Unknown`] without a signature, whatever there is, and learns nothing from it.
//!
//! ```
//! use rackside_proto::join::{Answer, Outcome, Refusal};
//!
//! let mut outcome = heapless::Vec::<u8, 64>::new();
//! Outcome::Refused(Refusal::Used).encode(&mut outcome)?;
//! let mut bytes = heapless::Vec::<u8, 256>::new();
//! Answer::encode(&[4; 91], &[0x30; 70], &outcome, &mut bytes)?;
//! let answer = Answer::decode(&bytes)?;
//! assert_eq!(answer.outcome, Outcome::Refused(Refusal::Used));
//! assert_eq!(answer.signed, &outcome);
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

use super::{ADDRESS, ADDRESSES, ANSWER, CERTIFICATE, CONFIGURATION, KEY, SIGNATURE};
use crate::codec::{Input, put};
use crate::{AgentName, DecodeError, EncodeError, Sink, WIRE};
use heapless::Vec;
use serde::{Deserialize, Serialize};

/// An answer that is well formed. Nothing in it is to be believed before its signature was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer<'a> {
    /// The authority's key, a `SubjectPublicKeyInfo` in DER; empty where nothing is signed. Its fingerprint is in the code.
    pub authority: &'a [u8],
    /// By that key, over [`ANSWER_LABEL`](super::ANSWER_LABEL), SHA-256 of the question, and `signed`; empty where nothing is signed.
    pub signature: &'a [u8],
    /// What the hub says.
    pub outcome: Outcome<'a>,
    /// The bytes of the outcome.
    pub signed: &'a [u8],
}

/// What came of a question. New kinds are added at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and nowhere to put a box")]
pub enum Outcome<'a> {
    /// A certificate.
    Granted(Grant<'a>),
    /// None.
    Refused(Refusal),
}

/// What a joined appliance needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant<'a> {
    /// Who it is from now on.
    pub name: AgentName,
    /// The certificate for the question's key, in DER.
    pub certificate: &'a [u8],
    /// The authority's own certificate, in DER: the only one that is believed at the addresses.
    pub authority: &'a [u8],
    /// Where to go, in the order to try: `mqtts://hub.example.org:8883`. A scheme that the agent does not know is passed over.
    pub addresses: Vec<&'a str, ADDRESSES>,
    /// The configuration to start with, in TOML and without secrets; empty where the hub has none.
    pub configuration: &'a str,
    /// The hub's clock, in milliseconds since 1970-01-01 UTC.
    pub time_ms: u64,
}

/// Why there is no certificate. New reasons are added at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Refusal {
    /// Nothing that is known here, or nothing that was proven. All that strangers hear.
    Unknown,
    /// The code was used, by another key than this one.
    Used,
    /// The code, or the certificate, has ended.
    Expired,
    /// The code, or the identity, was revoked.
    Revoked,
    /// Another box has this name now.
    Replaced,
    /// The appliance was retired.
    Retired,
    /// Too many questions; the next one in so many seconds.
    Wait(u32),
    /// The hub cannot read the question: it is older than the agent, or the question is damaged.
    Unreadable,
    /// The hub cannot answer now; its own log says why.
    Failing,
}

/// A grant as it is written.
#[derive(Serialize, Deserialize)]
struct Written<'a> {
    site: &'a str,
    appliance: &'a str,
    certificate: &'a [u8],
    authority: &'a [u8],
    #[serde(borrow)]
    addresses: Vec<&'a str, ADDRESSES>,
    configuration: &'a str,
    time_ms: u64,
}

impl<'a> Answer<'a> {
    /// Appends the body around an encoded outcome. Without a signature, `authority` and `signature` are empty.
    pub fn encode<S: Sink>(
        authority: &[u8],
        signature: &[u8],
        outcome: &[u8],
        sink: &mut S,
    ) -> Result<(), EncodeError> {
        beyond(authority, signature).map_or(Ok(()), |what| Err(EncodeError::Limit(what)))?;
        sink.put(&[WIRE])?;
        put(sink, authority)?;
        put(sink, signature)?;
        sink.put(outcome)
    }

    /// Reads a body.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut input = Input::body(bytes, ANSWER)?;
        let (authority, signature): (&[u8], &[u8]) = (input.take("authority")?, input.take("signature")?);
        beyond(authority, signature).map_or(Ok(()), |what| Err(DecodeError::Limit(what)))?;
        let signed = input.rest();
        let outcome = Outcome::read(input)?;
        if signature.is_empty() && matches!(outcome, Outcome::Granted(_)) {
            return Err(DecodeError::Malformed("signature"));
        }
        Ok(Self { authority, signature, outcome, signed })
    }
}

/// Both or neither, and neither too long.
fn beyond(authority: &[u8], signature: &[u8]) -> Option<&'static str> {
    if authority.len() > KEY {
        Some("authority's key")
    } else if signature.len() > SIGNATURE || signature.is_empty() != authority.is_empty() {
        Some("signature")
    } else {
        None
    }
}

impl<'a> Outcome<'a> {
    /// Appends the bytes that are signed.
    pub fn encode<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        match self {
            Self::Granted(grant) => {
                grant.beyond().map_or(Ok(()), |what| Err(EncodeError::Limit(what)))?;
                put(sink, &0_u32)?;
                let written = Written {
                    site: grant.name.site.as_str(),
                    appliance: grant.name.appliance.as_str(),
                    certificate: grant.certificate,
                    authority: grant.authority,
                    addresses: grant.addresses.clone(),
                    configuration: grant.configuration,
                    time_ms: grant.time_ms,
                };
                put(sink, &written)
            }
            Self::Refused(refusal) => {
                put(sink, &1_u32)?;
                put(sink, refusal)
            }
        }
    }

    fn read(mut input: Input<'a>) -> Result<Self, DecodeError> {
        match input.take::<u32>("outcome")? {
            0 => {
                let written: Written<'a> = input.take("grant")?;
                let name = AgentName::new(written.site, written.appliance);
                let grant = Grant {
                    name: name.map_err(|_| DecodeError::Malformed("name of the appliance"))?,
                    certificate: written.certificate,
                    authority: written.authority,
                    addresses: written.addresses,
                    configuration: written.configuration,
                    time_ms: written.time_ms,
                };
                grant.beyond().map_or(Ok(Self::Granted(grant)), |what| Err(DecodeError::Limit(what)))
            }
            1 => input.take("refusal").map(Self::Refused),
            _ => Err(DecodeError::Malformed("outcome")),
        }
    }
}

impl Grant<'_> {
    /// What of it is beyond a bound.
    fn beyond(&self) -> Option<&'static str> {
        let is_certificate = |der: &[u8]| (1..=CERTIFICATE).contains(&der.len());
        let is_address = |text: &&str| {
            (1..=ADDRESS).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if !is_certificate(self.certificate) || !is_certificate(self.authority) {
            Some("certificate")
        } else if self.addresses.is_empty() || !self.addresses.iter().all(is_address) {
            Some("address")
        } else if self.configuration.len() > CONFIGURATION {
            Some("configuration")
        } else {
            None
        }
    }
}
