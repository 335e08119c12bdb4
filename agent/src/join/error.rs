//! What a technician reads when a box does not join: what failed, and what to do about it.

use super::StoreError;
use crate::probe::http::FetchError;
use rackside_config::ConfigError;
use rackside_proto::DecodeError;
use rackside_proto::join::{CodeError, Refusal};
use std::fmt;

/// Why a box has not joined, or its identity was not renewed.
#[derive(Debug)]
pub enum JoinError {
    /// The code is none; nobody was asked.
    Code(CodeError),
    /// The address is none, and why.
    Url(String),
    /// Nobody answered.
    Fetch(FetchError),
    /// Something answered that is no hub.
    Stranger {
        /// Who was asked.
        origin: String,
        /// HTTP's status.
        status: u16,
        /// Where it sends whoever asks.
        leads_to: Option<String>,
    },
    /// What came has the look of an answer, and is none.
    NoAnswer(DecodeError),
    /// It is signed by another hub than the code's.
    OtherHub,
    /// Its signature is not the hub's.
    Forged,
    /// The hub said no.
    Refused {
        /// Why.
        refusal: Refusal,
        /// Whether that is proven to be the hub's word.
        is_signed: bool,
    },
    /// What was granted cannot be used, and why.
    Unusable(String),
    /// Something of this machine's own.
    Own(String),
    /// The state directory takes nothing.
    Store(StoreError),
    /// The identity that is there cannot be read.
    Config(ConfigError),
}

impl JoinError {
    /// Whether another try, later, may go better without anybody doing anything.
    pub const fn may_pass(&self) -> bool {
        match self {
            Self::Fetch(_) | Self::Stranger { .. } | Self::NoAnswer(_) | Self::Forged | Self::Own(_) => true,
            Self::Refused { refusal, is_signed } => match refusal {
                Refusal::Wait(_) | Refusal::Failing => true,
                // A hub whose code was made on another one that it is to be restored from.
                Refusal::Unknown | Refusal::Unreadable => !*is_signed,
                Refusal::Used
                | Refusal::Expired
                | Refusal::Revoked
                | Refusal::Replaced
                | Refusal::Retired => false,
            },
            Self::Code(_)
            | Self::Url(_)
            | Self::OtherHub
            | Self::Unusable(_)
            | Self::Store(_)
            | Self::Config(_) => false,
        }
    }

    /// What the hub itself, proven to be it, says of this box: that it is not wanted any more.
    pub const fn verdict(&self) -> Option<Refusal> {
        match self {
            Self::Refused {
                refusal:
                    refusal @ (Refusal::Expired | Refusal::Revoked | Refusal::Replaced | Refusal::Retired),
                is_signed: true,
            } => Some(*refusal),
            _ => None,
        }
    }
}

const NEW_CODE: &str = "have a new code made on the hub: rackside-hub join SITE/APPLIANCE";

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(error) => write!(f, "{error}; compare it with the one that you were given"),
            Self::Url(why) => write!(
                f,
                "this is no address of a hub: {why}; write it as the hub shows it, for example http://hub.example.org:8080"
            ),
            Self::Fetch(error) => write!(
                f,
                "the hub cannot be reached: {error}; check the cable and the address, and that this network lets it through"
            ),
            Self::Stranger { origin, status, leads_to: Some(to) } => write!(
                f,
                "{origin} is not answered by the hub but leads to {to} (status {status}): this network probably wants somebody to log in on a page \
                 (captive portal), or the hub's address has changed; have this box let through, or use the new address"
            ),
            Self::Stranger { origin, status, leads_to: None } => write!(
                f,
                "{origin} does not answer as a hub does (status {status}): check the address; if it is right, a proxy or a login page of this \
                 network (captive portal) stands in between"
            ),
            Self::NoAnswer(DecodeError::Newer { .. }) => {
                f.write_str("the hub is newer than this agent: install the agent that goes with it")
            }
            Self::NoAnswer(error) => write!(f, "what came is no answer of a hub: {error}; check the address"),
            Self::OtherHub => f.write_str(
                "the hub that answers is not the one that the code is from: either the address leads to another hub, or somebody stands in between; \
                 nothing was taken over. Check address and code",
            ),
            Self::Forged => f.write_str(
                "the answer was changed on its way, its signature is wrong; nothing was taken over. Try again, from another network if it stays so",
            ),
            Self::Refused { refusal, .. } => refused(f, *refusal),
            Self::Unusable(what) => write!(f, "the hub gave an identity that cannot be used: {what}"),
            Self::Own(what) => f.write_str(what),
            Self::Store(error) => error.fmt(f),
            Self::Config(error) => {
                write!(f, "{error}; move that file away to join anew")
            }
        }
    }
}

fn refused(f: &mut fmt::Formatter<'_>, refusal: Refusal) -> fmt::Result {
    match refusal {
        Refusal::Unknown => write!(
            f,
            "the hub does not know this code or certificate: it is from another hub, or was cleared away since; {NEW_CODE}"
        ),
        Refusal::Used => write!(
            f,
            "this code was used already, by another box or before this one was set up anew; {NEW_CODE}"
        ),
        Refusal::Expired => write!(f, "its time is over, says the hub; {NEW_CODE}"),
        Refusal::Revoked => write!(f, "it was revoked on the hub; if this box is to go on, {NEW_CODE}"),
        Refusal::Replaced => write!(
            f,
            "another box has this one's name and place now, says the hub; switch this one off, or {NEW_CODE}"
        ),
        Refusal::Retired => write!(f, "this appliance was retired on the hub; if it is to go on, {NEW_CODE}"),
        Refusal::Wait(seconds) => write!(f, "the hub was asked too often; try again in {seconds} s"),
        Refusal::Unreadable => f.write_str(
            "the hub cannot read the question: it is older than this agent; upgrade the hub first",
        ),
        Refusal::Failing => f.write_str("the hub cannot answer now, its log says why; try again later"),
    }
}

impl std::error::Error for JoinError {}
