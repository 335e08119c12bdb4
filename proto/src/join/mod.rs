//! How an appliance gets an identity of its own, and a newer one before it ends: one question and one answer over HTTP.
//!
//! `POST /join` to the hub's web address, both bodies `application/octet-stream`. Both prove themselves, so plain HTTP, proxies and
//! whoever opens TLS on the way can stop them and nothing else. The question is signed twice: by the new key, so that nobody asks for a
//! certificate of a key that is not his, and by what entitles to it, a one-time [`Code`] or the certificate that is to be renewed. The
//! answer is signed by the hub's authority, whose fingerprint is in the code. Nothing in either of them is secret.
//!
//! What is here is bytes: which they are, which of them are signed, and how large they may be. Keys, signatures and certificates are
//! opaque to it; who checks them is the agent (`agent/src/join`) and the hub (`hub/identity`).
//!
//! ```text
//! code       secret [16] · fingerprint [16]: the first bytes of SHA-256 of the authority's SubjectPublicKeyInfo
//! code key   Ed25519, its seed HMAC-SHA-256(secret, SEED); id: the first 8 bytes of SHA-256 of its public key
//! question   version · claim · nonce [32] · key ┊ possession ┊ proof
//!              possession  ECDSA P-256 by the new key over  POSSESSION · everything before it
//!              proof       Ed25519 by the code's key, or ECDSA P-256 by the certificate's, over  PROOF · everything before it
//! answer     version · authority's SubjectPublicKeyInfo · signature ┊ outcome
//!              signature   ECDSA P-256 by the authority over  ANSWER · SHA-256(question) · outcome
//! ```
//!
//! The hub keeps a code's public key and nothing of its secret: who steals the hub's database opens no code with it.

mod answer;
mod code;
mod question;

pub use answer::{Answer, Grant, Outcome, Refusal};
pub use code::{Code, CodeError};
pub use question::{Claim, Question};

/// Where the hub is asked, on its web port.
pub const PATH: &str = "/join";
/// What both bodies are called in HTTP.
pub const CONTENT_TYPE: &str = "application/octet-stream";

/// What an appliance that has joined offers as its protocol (ALPN) where it comes to MQTT by TLS: then the hub shows the certificate of its own
/// authority, also where its listener has another one for everybody else. No server has to choose it.
pub const ALPN: &[u8] = b"rackside-joined";

/// Where the hub takes MQTT over WebSocket, on its web port.
pub const WEBSOCKET_PATH: &str = "/mqtt";
/// The subprotocol of an appliance that has joined: TLS as at the TLS port, inside of the WebSocket, and MQTT in that.
pub const WEBSOCKET: &str = "mqtts";
/// The subprotocol of MQTT without that (section 6 of MQTT 3.1.1).
pub const WEBSOCKET_PLAIN: &str = "mqtt";

/// Largest question, in bytes.
pub const QUESTION: usize = 4096;
/// Largest answer, in bytes.
pub const ANSWER: usize = crate::limits::SMALL;
/// Largest public key (`SubjectPublicKeyInfo` in DER), in bytes; one of ECDSA P-256 has 91.
pub const KEY: usize = 128;
/// Largest signature, in bytes; one of ECDSA P-256 in DER has up to 72, one of Ed25519 has 64.
pub const SIGNATURE: usize = 80;
/// Largest certificate in DER, in bytes.
pub const CERTIFICATE: usize = 2048;
/// Longest address, in bytes: a scheme, the longest name that DNS knows, a port.
pub const ADDRESS: usize = 280;
/// Most addresses.
pub const ADDRESSES: usize = 8;
/// Longest starting configuration, in bytes.
pub const CONFIGURATION: usize = crate::limits::CONFIGURATION;

/// Under this label the seed of a code's key comes out of its secret.
pub const SEED_LABEL: &[u8] = b"rackside join 1 code key";
/// What the new key signs begins with this.
pub const POSSESSION_LABEL: &[u8] = b"rackside join 1 possession\0";
/// What the code's key, or that of the certificate to renew, signs begins with this.
pub const PROOF_LABEL: &[u8] = b"rackside join 1 proof\0";
/// What the authority signs begins with this.
pub const ANSWER_LABEL: &[u8] = b"rackside join 1 answer\0";

/// Bytes of an ECDSA P-256 key in front of its point, as every `SubjectPublicKeyInfo` of one has them: `id-ecPublicKey`, `prime256v1`.
pub const P256_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// The uncompressed point (65 bytes) in the `SubjectPublicKeyInfo` of an ECDSA P-256 key; `None` for any other.
pub fn p256_point(key: &[u8]) -> Option<&[u8]> {
    let point = key.strip_prefix(&P256_PREFIX)?;
    (point.len() == 65 && point.first() == Some(&4)).then_some(point)
}
