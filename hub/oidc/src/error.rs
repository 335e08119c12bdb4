//! Why a login through the provider did not come about: what failed, on what, and what is to be done.
//!
//! Invariant: neither a code nor a token nor the client's secret is in any of them.

use std::fmt;

/// Longest text of a provider's that is told on.
const LONGEST: usize = 200;

/// Why there is no login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginError {
    /// It does not answer: what was asked for, and why it did not come.
    Unreachable(&'static str, String),
    /// It answers with something else: what was asked for, and what is wrong with it.
    Unreadable(&'static str, String),
    /// It calls itself by another name: ours for it, and its own.
    Issuer(String, String),
    /// It has no token endpoint.
    NoTokens,
    /// It does not know us, or our secret.
    Client(String),
    /// It does not take the code.
    Code,
    /// It says something else against it.
    Refused(String),
    /// It vouches for nobody.
    NoIdToken,
    /// What it vouches for is not believed.
    Token(TokenFault),
    /// Its page about somebody is about somebody else.
    OtherSubject,
}

/// What is wrong with an ID token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenFault {
    /// Somebody else's.
    Issuer(String),
    /// For somebody else.
    Audience(String),
    /// Of another login.
    Nonce,
    /// It ended before now.
    Expired(String),
    /// It begins, or was made, later than now, by so many seconds.
    Early(i64),
    /// Signed in no way that is believed.
    Algorithm(String),
    /// Signed by a key that the provider does not show.
    UnknownKey,
    /// The signature is not right.
    Signature,
    /// Something else.
    Other(String),
}

/// A text of somebody else's, for one line.
pub(crate) fn tame(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST).collect()
}

impl fmt::Display for LoginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(what, why) => write!(f, "the provider's {what} cannot be had: {why}"),
            Self::Unreadable(what, why) => write!(f, "the provider's {what} is not what it should be: {why}"),
            Self::Issuer(ours, its) => write!(
                f,
                "the provider calls itself {its:?}, and `issuer` in [web.oidc] is {ours:?}; write it there to the letter"
            ),
            Self::NoTokens => f.write_str("the provider names no token endpoint, so nobody can log in through it"),
            Self::Client(why) => write!(
                f,
                "the provider does not take this hub for its client ({why}); check `client_id` and `client_secret` in [web.oidc]"
            ),
            Self::Code => f.write_str(
                "the provider does not take the login's code: it was used already, or took too long; log in again",
            ),
            Self::Refused(why) => write!(f, "the provider refuses: {why}"),
            Self::NoIdToken => {
                f.write_str("the provider sends no ID token; it has to know this client as one of OpenID Connect")
            }
            Self::Token(fault) => write!(f, "the provider's ID token is not believed: {fault}"),
            Self::OtherSubject => f.write_str("the provider's user information is about somebody else"),
        }
    }
}

impl std::error::Error for LoginError {}

impl fmt::Display for TokenFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const CLOCKS: &str = "the clocks of the hub and the provider differ; have both synchronised (NTP)";
        match self {
            Self::Issuer(why) => write!(f, "it is another issuer's: {why}"),
            Self::Audience(why) => write!(f, "it is for another client: {why}"),
            Self::Nonce => f.write_str("it is of another login (nonce); log in again"),
            Self::Expired(why) => {
                write!(f, "it has expired ({why}); log in again, and if that does not help {CLOCKS}")
            }
            Self::Early(seconds) => write!(f, "it is of a time {seconds} s from now: {CLOCKS}"),
            Self::Algorithm(why) => write!(
                f,
                "its signature is of a kind that is not taken ({why}); have it signed with RS256, ES256 or EdDSA"
            ),
            Self::UnknownKey => f.write_str("it is signed with a key that the provider does not show"),
            Self::Signature => f.write_str("its signature is wrong"),
            Self::Other(why) => f.write_str(why),
        }
    }
}
