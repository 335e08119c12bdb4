//! What the hub has signed, so that a broker cannot make it: the frame around commands and configurations.
//!
//! The signature is ECDSA over P-256 with SHA-256 in DER, by the hub's authority: the key that a box knows since it joined. What it covers
//! begins with a label for its kind and the appliance's name, so nothing that is signed for one box or one purpose is good for
//! another. The topic's prefix is not covered: it may be changed at the hub and on the boxes at any time.
//!
//! What is here is bytes; who signs is `hub/identity`, who checks is `agent/src/join`.
//!
//! ```text
//! body      version · signature ┊ content
//! signed    "rackside command 1\0" · "arena-north/rack-1" · "\0" · content
//! ```

use crate::codec::{Input, put};
use crate::join::SIGNATURE;
use crate::{AgentName, DecodeError, EncodeError, Id, Sink, WIRE};

/// What is signed of a command begins with this.
pub const COMMAND_LABEL: &[u8] = b"rackside command 1\0";
/// What is signed of a configuration begins with this.
pub const CONFIG_LABEL: &[u8] = b"rackside config 1\0";

/// Longest label.
const LABEL: usize = 32;

/// A body as it is framed. Nothing in it is to be believed before its signature was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signed<'a> {
    /// By the authority's key, over [`signed_head`] and the content.
    pub signature: &'a [u8],
    /// What is said.
    pub content: &'a [u8],
}

impl<'a> Signed<'a> {
    /// Appends the body.
    pub fn encode<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        if !is_signature(self.signature) {
            return Err(EncodeError::Limit("signature"));
        }
        sink.put(&[WIRE])?;
        put(sink, self.signature)?;
        sink.put(self.content)
    }

    /// Reads a body of at most `limit` bytes.
    pub fn decode(bytes: &'a [u8], limit: usize) -> Result<Self, DecodeError> {
        let mut input = Input::body(bytes, limit)?;
        let signature = input.take("signature")?;
        if !is_signature(signature) {
            return Err(DecodeError::Limit("signature"));
        }
        Ok(Self { signature, content: input.rest() })
    }
}

fn is_signature(bytes: &[u8]) -> bool {
    (1..=SIGNATURE).contains(&bytes.len())
}

/// What stands before the content in the bytes that are signed: the label, and whom it is for. A label has at most 32 bytes.
pub fn signed_head(label: &[u8], agent: &AgentName) -> heapless::Vec<u8, { LABEL + Id::MAX * 2 + 2 }> {
    let mut head = heapless::Vec::new();
    for part in [label, agent.site.as_str().as_bytes(), b"/", agent.appliance.as_str().as_bytes(), b"\0"] {
        head.extend_from_slice(part).expect("a label has at most 32 bytes, and a name at most 65");
    }
    head
}
