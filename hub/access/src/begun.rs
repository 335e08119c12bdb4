//! A login through a provider that was begun and not ended: what the browser keeps of it, and what follows from that.
//!
//! The browser has one random secret, since when, and where it wanted to go. State, nonce and PKCE's verifier follow from these by HMAC, so that the
//! hub keeps nothing of logins that nobody ends, and whoever changes one of the three has another state than the one that the provider hands back.
//! So a login that was begun in one browser ends in that one, and a code that somebody else was given is good in none.
//!
//! Invariant: what is shown to the provider tells nothing of the secret; no `Debug` shows it.
//!
//! ```text
//! 6f1c…94ab.1795219200000./alerts      in the cookie
//! ```

use crate::secret::{Secret, follows, is_same};
use std::fmt;
use std::time::Duration;

/// A login ends within that, or not at all: somebody has to find a second factor.
const LASTS: Duration = Duration::from_mins(10);
/// Characters of the secret.
const SECRET: usize = 64;

/// A login that was begun.
#[derive(Clone, PartialEq, Eq)]
pub struct Begun {
    secret: String,
    at: i64,
    to: String,
}

impl fmt::Debug for Begun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Begun").field("at", &self.at).field("to", &self.to).finish_non_exhaustive()
    }
}

impl Begun {
    /// How long somebody has.
    pub const LASTS: Duration = LASTS;

    /// One of now, by somebody who wanted to go there. `to` is as it can stand in a cookie.
    pub fn new(to: &str, now: i64) -> Self {
        Self { secret: Secret::new("").shown().to_owned(), at: now, to: to.to_owned() }
    }

    /// As the browser keeps it.
    pub fn kept(&self) -> String {
        let Self { secret, at, to } = self;
        format!("{secret}.{at}.{to}")
    }

    /// As the browser has kept it; nothing, if it is none.
    pub fn read(kept: &str) -> Option<Self> {
        let (secret, rest) = kept.split_once('.')?;
        let (at, to) = rest.split_once('.')?;
        let is_secret = secret.len() == SECRET && secret.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_secret.then_some(Self { secret: secret.to_owned(), at: at.parse().ok()?, to: to.to_owned() })
    }

    /// Where they wanted to go.
    pub fn to(&self) -> &str {
        &self.to
    }

    /// Whether it can still end.
    pub fn is_fresh(&self, now: i64) -> bool {
        (0..LASTS.as_millis() as i64).contains(&now.saturating_sub(self.at))
    }

    /// What the provider hands back.
    pub fn state(&self) -> String {
        self.part("state")
    }

    /// Whether this is it.
    pub fn is_state(&self, state: &str) -> bool {
        is_same(&self.state(), state)
    }

    /// What stands in the ID token.
    pub fn nonce(&self) -> String {
        self.part("nonce")
    }

    /// What proves, with the code, that whoever began it ends it.
    pub fn verifier(&self) -> String {
        self.part("verifier")
    }

    fn part(&self, what: &str) -> String {
        let Self { secret, at, to } = self;
        follows(secret, &format!("{what} {at} {to}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_browser_keeps_is_read_as_it_was_and_each_change_of_it_is_another_login() {
        let begun = Begun::new("/alerts%3Fx.y", 1000);
        assert_eq!(Begun::read(&begun.kept()), Some(begun.clone()));
        assert_eq!(begun.to(), "/alerts%3Fx.y");
        assert!(begun.is_state(&begun.state()));
        for other in [
            begun.kept().replace("alerts", "status"),
            begun.kept().replace(".1000.", ".1001."),
            Begun::new("/alerts%3Fx.y", 1000).kept(),
        ] {
            let other = Begun::read(&other).expect("it looks like one");
            assert!(!begun.is_state(&other.state()), "{other:?}");
        }
        let parts = [begun.state(), begun.nonce(), begun.verifier()];
        for (at, part) in parts.iter().enumerate() {
            assert_eq!(part.len(), 64, "as long as PKCE wants, and of its letters");
            assert!(!parts[at + 1..].contains(part) && !begun.kept().contains(part.as_str()));
        }
        assert!(!format!("{begun:?}").contains(&begun.kept()[..64]));
    }

    #[test]
    fn it_is_good_for_ten_minutes_and_not_before_it_was_begun() {
        let begun = Begun::new("/", 1000);
        let fresh = [999, 1000, 600_999, 601_000].map(|now| begun.is_fresh(now));
        assert_eq!(fresh, [false, true, true, false]);
    }

    #[test]
    fn rubbish_is_no_login() {
        for kept in ["", "a.1./", "..", &format!("{}.x./", "a".repeat(64)), &format!("{}.1", "a".repeat(64))]
        {
            assert_eq!(Begun::read(kept), None, "{kept:?}");
        }
    }
}
