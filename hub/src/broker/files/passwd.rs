//! A line of Mosquitto's password file, as `mosquitto_passwd` of Mosquitto 2 makes it.
//!
//! ```text
//! desk:$7$10000$2Id4vCJehbkREmau$y9Amrqqh2Oqq6C7CDyQBaCd1…
//!       │ rounds of PBKDF2-HMAC-SHA512, 12 bytes of salt, 64 of the hash
//! ```
//!
//! Invariant: a line that is good for its password stays as it is, so that the file changes only when something has changed.

use data_encoding::BASE64;
use ring::pbkdf2::{self, PBKDF2_HMAC_SHA512};
use ring::rand::{SecureRandom as _, SystemRandom};
use std::num::NonZeroU32;

/// Mosquitto checks a password on its one thread, while everybody waits: 10 ms at most. `mosquitto_passwd` takes 101.
const ROUNDS: NonZeroU32 = NonZeroU32::new(10_000).expect("not zero");
const SALT: usize = 12;
const HASH: usize = 64;

/// The line of this user: the one in `known`, the file before, if that is good.
pub(super) fn line(user: &str, password: &str, known: &str) -> String {
    let own = known.lines().find(|line| line.split_once(':').is_some_and(|(name, _)| name == user));
    if let Some(line) = own.filter(|line| is_good(line, password)) {
        return format!("{line}\n");
    }
    let (mut salt, mut hash) = ([0; SALT], [0; HASH]);
    SystemRandom::new().fill(&mut salt).expect("the kernel has random numbers");
    pbkdf2::derive(PBKDF2_HMAC_SHA512, ROUNDS, &salt, password.as_bytes(), &mut hash);
    format!("{user}:$7${ROUNDS}${}${}\n", BASE64.encode(&salt), BASE64.encode(&hash))
}

fn is_good(line: &str, password: &str) -> bool {
    let Some((_, hash)) = line.split_once(":$7$") else { return false };
    let words: Vec<&str> = hash.split('$').collect();
    let [rounds, salt, hash] = words[..] else { return false };
    let (Ok(salt), Ok(hash)) = (BASE64.decode(salt.as_bytes()), BASE64.decode(hash.as_bytes())) else {
        return false;
    };
    rounds == ROUNDS.to_string()
        && salt.len() == SALT
        && pbkdf2::verify(PBKDF2_HMAC_SHA512, ROUNDS, &salt, password.as_bytes(), &hash).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_line_stays_and_another_password_makes_another() {
        let first = line("desk", "right", "");
        assert!(
            first.starts_with("desk:$7$10000$") && first.ends_with("==\n") && !first.contains("right"),
            "{first}"
        );
        let known = format!("hall:$7$1$x$y\n{first}");
        assert_eq!(line("desk", "right", &known), first);
        assert_ne!(line("desk", "other", &known), first);
        assert_ne!(line("desk", "right", ""), first, "salted");
        assert!(line("hall", "right", &known).starts_with("hall:$7$10000$"), "a line that is none of ours");
        let weak = first.replace("$10000$", "$101$");
        assert!(line("desk", "right", &weak).starts_with("desk:$7$10000$"));
    }

    #[test]
    fn a_hash_of_mosquitto_passwd_is_told_right_from_wrong() {
        // mosquitto_passwd -b -c -I 10000 FILE desk right
        let made = "desk:$7$10000$fH4NBIqXUDyVr4HE$goz2M5np8fmQcDlRS5pqbzVTIDf3evziLekaBoe5Wgzt7lUlnyjwHbbFZKDjss97oUQBMSUwg87fCIYJc8MG2Q==";
        assert!(is_good(made, "right") && !is_good(made, "wrong"));
    }
}
