//! Passwords: which are taken, how they are kept, whether one is right.
//!
//! Argon2id with the parameters that OWASP names (19 MiB, two rounds, one lane), salted, as a PHC string, which carries its own parameters: hashes of
//! today stay good when those are raised. A check takes tens of milliseconds and 19 MiB on purpose, so whoever calls it bounds how many run.
//!
//! Invariant: no `Debug` shows a password or a hash; a name that nobody has takes as long as one that somebody has.

use crate::secret::random;
use argon2::{Argon2, PasswordHasher as _, PasswordVerifier as _};
use std::fmt;

/// Fewest characters.
pub const SHORTEST: usize = 10;
/// Most bytes; more are a mistake or an attack.
pub const LONGEST: usize = 1024;

/// Of a password that nobody knows, made with the parameters of today.
const NOBODYS: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$cmFja3NpZGUgbm9ib2R5cw$3yqvUyfxVS4xOyXN2hBEzSc0kDMGDD7Sa4R8AjHmfUA";

/// What is kept of a password.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PasswordHash(String);

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

/// Why a password is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordFault {
    /// Too easily guessed.
    Short,
    /// Nobody types that.
    Long,
    /// The first thing that anybody tries.
    IsName,
}

impl fmt::Display for PasswordFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short => {
                write!(f, "the password has fewer than {SHORTEST} characters; a few words are good ones")
            }
            Self::Long => write!(f, "the password has more than {LONGEST} bytes"),
            Self::IsName => {
                f.write_str("the password is the user's name, the first thing that anybody tries")
            }
        }
    }
}

impl std::error::Error for PasswordFault {}

/// Whether a user of this name may have this password.
pub fn check(name: &str, password: &str) -> Result<(), PasswordFault> {
    if password.len() > LONGEST {
        return Err(PasswordFault::Long);
    }
    if password.chars().count() < SHORTEST {
        return Err(PasswordFault::Short);
    }
    if password.eq_ignore_ascii_case(name) {
        return Err(PasswordFault::IsName);
    }
    Ok(())
}

impl PasswordHash {
    /// Of a password. Slow.
    pub(crate) fn of(password: &str) -> Self {
        let mut salt = [0; 16];
        random(&mut salt);
        let hash = Argon2::default().hash_password_with_salt(password.as_bytes(), &salt);
        Self(hash.expect("the parameters are argon2's own, and the salt is as long as it wants").to_string())
    }

    /// As it was kept.
    pub(crate) fn kept(text: String) -> Self {
        Self(text)
    }

    /// That of nobody: no password is right for it, and to find that out takes as long as ever.
    pub(crate) fn nobodys() -> Self {
        Self(NOBODYS.to_owned())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is of this password. Slow.
    pub(crate) fn is_of(&self, password: &str) -> bool {
        password.len() <= LONGEST
            && Argon2::default().verify_password(password.as_bytes(), self.as_str()).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_of_its_password_alone_and_carries_owasps_parameters() {
        let (one, again) = (PasswordHash::of("correct horse"), PasswordHash::of("correct horse"));
        assert!(one.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", one.as_str());
        assert_ne!(one, again, "salted");
        assert!(one.is_of("correct horse") && !one.is_of("Correct horse") && !one.is_of(""));
        assert!(!PasswordHash::kept("nonsense".to_owned()).is_of("nonsense"));
        assert_eq!(format!("{one:?}"), "PasswordHash(..)");
    }

    #[test]
    fn nobodys_hash_is_a_real_one_with_todays_parameters() {
        let nobodys = argon2::password_hash::phc::PasswordHash::new(NOBODYS).expect("a PHC string");
        let todays = PasswordHash::of("anything at all");
        let todays = argon2::password_hash::phc::PasswordHash::new(todays.as_str()).expect("a PHC string");
        assert_eq!(
            (nobodys.algorithm, nobodys.version, &nobodys.params),
            (todays.algorithm, todays.version, &todays.params)
        );
        let lengths = [&nobodys, &todays]
            .map(|hash| (hash.salt.map(|salt| salt.len()), hash.hash.map(|hash| hash.len())));
        assert_eq!(lengths[0], lengths[1]);
        assert!(!PasswordHash::nobodys().is_of("anything at all"));
    }

    #[test]
    fn passwords_that_are_guessed_first_are_refused() {
        for (password, said) in [
            ("ninechars", Err(PasswordFault::Short)),
            ("ünsääglich", Ok(())),
            ("Stage-Office", Err(PasswordFault::IsName)),
            ("correct horse", Ok(())),
        ] {
            assert_eq!(check("stage-office", password), said, "{password}");
        }
        assert_eq!(check("a", &"x".repeat(LONGEST + 1)), Err(PasswordFault::Long));
    }
}
