//! Why the hub's users cannot be asked, or changed.

use crate::password::PasswordFault;
use rackside_store::StoreError;
use std::fmt;

/// Why a change was not made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeError {
    /// The file fails.
    Store(StoreError),
    /// Nobody can have this name.
    Name(String),
    /// Somebody has it.
    Taken(String),
    /// Nobody has it.
    Unknown(String),
    /// The password is no good.
    Password(PasswordFault),
    /// Somebody has to be able to change all this.
    LastAdmin,
    /// The first user decides over all others.
    FirstIsAdmin,
    /// Who grants rights has none to be limited to.
    LimitedAdmin,
    /// A reach that reaches nothing.
    Reach(String),
    /// A token that may do nothing.
    NoScopes,
    /// A token that has ended before it began.
    Expired,
    /// More than there is room for.
    Many(&'static str, usize),
    /// Somebody else decides about this user.
    Provided(String),
    /// A provider vouches for somebody whom nobody has introduced.
    Stranger(String),
    /// The set-up link was used, has expired, or is none.
    Code,
}

impl fmt::Display for ChangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Name(name) => write!(
                f,
                "{name:?} cannot be a name: 1 to 64 letters, digits and . _ - @ +, without spaces"
            ),
            Self::Taken(name) => write!(f, "there is a {name:?} already"),
            Self::Unknown(name) => write!(f, "there is no {name:?}"),
            Self::Password(fault) => fault.fmt(f),
            Self::LastAdmin => f.write_str("this is the last admin; make another user an admin first"),
            Self::FirstIsAdmin => f.write_str("the first user has to be an admin, who can make the others"),
            Self::LimitedAdmin => {
                f.write_str("an admin reaches every site, and so does a token that may manage; leave the sites and tags out, or choose less")
            }
            Self::Reach(word) => {
                write!(f, "{word:?} cannot be a site or a tag: 1 to 64 letters, digits, - and _, without spaces")
            }
            Self::NoScopes => f.write_str("a token needs a scope: read, metrics, act or manage"),
            Self::Expired => f.write_str("a token expires later than now"),
            Self::Many(what, most) => write!(f, "there is no room for more than {most} {what}"),
            Self::Provided(name) => write!(
                f,
                "{name} logs in through a provider, which has the password and says the role at each login; change it there, or \
                 by the grants in [web.oidc]"
            ),
            Self::Stranger(subject) => write!(
                f,
                "nobody is known here by the subject {subject:?}; an admin has to introduce them first: \
                 `rackside-hub user add NAME --subject SUBJECT`"
            ),
            Self::Code => f.write_str("this link was used, or has expired; start the hub again for another one"),
        }
    }
}

impl std::error::Error for ChangeError {}

impl From<StoreError> for ChangeError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<PasswordFault> for ChangeError {
    fn from(fault: PasswordFault) -> Self {
        Self::Password(fault)
    }
}
