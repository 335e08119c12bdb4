//! Secrets that are random: of sessions, tokens and set-up links. Shown once, kept as a digest.
//!
//! 256 random bits cannot be guessed, so their digest is a plain SHA-256 and a look-up by it leaks nothing worth having; passwords are
//! another matter, and `password`'s.
//!
//! Invariant: no `Debug` shows a secret.
//!
//! ```text
//! rackside_6f1c…94ab      a token: by this beginning scanners find one that leaked
//! ```

use data_encoding::HEXLOWER;
use ring::digest::{SHA256, digest};
use ring::hmac::{self, HMAC_SHA256};
use ring::rand::{SecureRandom as _, SystemRandom};
use std::fmt;

/// What every token begins with.
pub const TOKEN_PREFIX: &str = "rackside_";
const BYTES: usize = 32;

/// What is kept of a secret.
pub(crate) type Digest = [u8; 32];

/// A secret, as its owner gets it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Secret {
    /// A new one.
    pub(crate) fn new(prefix: &str) -> Self {
        let mut bytes = [0; BYTES];
        random(&mut bytes);
        Self(format!("{prefix}{}", HEXLOWER.encode(&bytes)))
    }

    /// To be shown once, and kept nowhere.
    pub fn shown(&self) -> &str {
        &self.0
    }

    pub(crate) fn digest(&self) -> Digest {
        of(&self.0)
    }
}

/// What is kept of this one.
pub(crate) fn of(secret: &str) -> Digest {
    let mut kept = Digest::default();
    kept.copy_from_slice(digest(&SHA256, secret.as_bytes()).as_ref());
    kept
}

/// What forms of a session carry.
pub(crate) fn csrf(session: &str) -> String {
    follows(session, "csrf")
}

/// What follows from a secret, for this purpose, and tells nothing of it.
pub(crate) fn follows(secret: &str, what: &str) -> String {
    let key = hmac::Key::new(HMAC_SHA256, secret.as_bytes());
    HEXLOWER.encode(hmac::sign(&key, what.as_bytes()).as_ref())
}

/// Whether two texts are the same, in a time that does not say where they differ.
pub fn is_same(one: &str, other: &str) -> bool {
    let key = hmac::Key::new(HMAC_SHA256, b"compare");
    let tag = hmac::sign(&key, one.as_bytes());
    hmac::verify(&key, other.as_bytes(), tag.as_ref()).is_ok()
}

pub(crate) fn random(bytes: &mut [u8]) {
    SystemRandom::new().fill(bytes).expect("the system gives random bytes: TLS stands on it as well");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_256_random_bits_behind_its_prefix() {
        let (one, other) = (Secret::new(TOKEN_PREFIX), Secret::new(TOKEN_PREFIX));
        assert_ne!(one, other);
        assert!(one.shown().starts_with("rackside_") && one.shown().len() == 9 + 64);
        assert_eq!(one.digest(), of(one.shown()));
        assert_ne!(one.digest(), other.digest());
        assert!(!format!("{one:?}").contains(&one.shown()[9..20]));
    }

    #[test]
    fn a_form_carries_what_follows_from_its_session() {
        assert_eq!(csrf("a"), csrf("a"));
        assert_ne!(csrf("a"), csrf("b"));
        assert!(
            is_same("abc", "abc") && !is_same("abc", "abd") && !is_same("abc", "ab") && !is_same("", "a")
        );
    }
}
