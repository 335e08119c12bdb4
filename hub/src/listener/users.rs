//! Who may come in: the users file, and the check of a login against it.
//!
//! ```text
//! # name:hash, one per line; made by `rackside-hub hash-password NAME`
//! arena-north:pbkdf2-sha256$100000$6f1c…$94ab…
//! ```
//!
//! The file holds PBKDF2 hashes, never passwords. A hash is slow to check on purpose, and 10,000 agents come back within
//! a minute of a restart: so a login that was right once is remembered as an HMAC under a key that lives as long as the
//! process, and checked by that from then on. Wrong logins are always slow, and take turns, so that a flood of them
//! keeps half of the cores busy at most and never the connections' own threads. Few of one address may wait for a turn,
//! so that a flood from there does not keep everybody else out.
//!
//! Invariant: neither passwords nor hashes appear in errors, logs or `Debug`; comparisons take constant time.

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::{hmac, pbkdf2};
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use tokio::sync::Semaphore;

const SCHEME: &str = "pbkdf2-sha256";
/// About 20 ms on the machines that hubs run on; a tenth of that on none of an attacker's.
const ROUNDS: NonZeroU32 = NonZeroU32::new(100_000).expect("not zero");
/// More rounds than this in a file are a mistake: each login would take seconds.
const MOST_ROUNDS: u32 = 10_000_000;
/// So many logins from one address may wait for their slow check at once; more than the appliances of a venue.
const WAITING_EACH: usize = 32;
const SALT: usize = 16;
const HASH: usize = 32;

/// Why the users file cannot be used.
#[derive(Debug)]
pub enum UsersError {
    /// It cannot be read.
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line is not `name:hash`.
    Line {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        fault: &'static str,
    },
}

impl fmt::Display for UsersError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, source } => {
                write!(
                    f,
                    "cannot read the users file {}: {source}; `rackside-hub hash-password NAME` makes its lines",
                    path.display()
                )
            }
            Self::Line { path, line, fault } => {
                write!(
                    f,
                    "{}:{line}: {fault}; a line is name:hash, as `rackside-hub hash-password NAME` makes it",
                    path.display()
                )
            }
        }
    }
}

impl std::error::Error for UsersError {}

/// Makes the hash that the users file holds for `password`.
///
/// ```
/// let hash = rackside_hub::listener::hash_password("correct horse");
/// assert!(hash.starts_with("pbkdf2-sha256$100000$") && !hash.contains("horse"));
/// ```
pub fn hash_password(password: &str) -> String {
    let mut salt = [0; SALT];
    SystemRandom::new().fill(&mut salt).expect("the kernel has random numbers");
    StoredHash::derive(password, ROUNDS, salt).to_string()
}

/// Whether `name` can stand in the users file.
pub fn is_user_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 256
        && !name.starts_with('#')
        && !name.contains(|c: char| c == ':' || c.is_control())
}

/// What the file holds of one user.
#[derive(Clone, PartialEq, Eq)]
struct StoredHash {
    rounds: NonZeroU32,
    salt: [u8; SALT],
    hash: [u8; HASH],
}

impl StoredHash {
    fn derive(password: &str, rounds: NonZeroU32, salt: [u8; SALT]) -> Self {
        let mut hash = [0; HASH];
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, &salt, password.as_bytes(), &mut hash);
        Self { rounds, salt, hash }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('$');
        let fits = parts.next()? == SCHEME;
        let rounds = parts.next()?.parse().ok().filter(|rounds: &NonZeroU32| rounds.get() <= MOST_ROUNDS)?;
        let salt = bytes(parts.next()?)?;
        let hash = bytes(parts.next()?)?;
        (fits && parts.next().is_none()).then_some(Self { rounds, salt, hash })
    }

    fn verify(&self, password: &str) -> bool {
        let algorithm = pbkdf2::PBKDF2_HMAC_SHA256;
        pbkdf2::verify(algorithm, self.rounds, &self.salt, password.as_bytes(), &self.hash).is_ok()
    }
}

impl fmt::Display for StoredHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}${}${}${}", self.rounds, HEXLOWER.encode(&self.salt), HEXLOWER.encode(&self.hash))
    }
}

fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?.try_into().ok()
}

/// The users file as read.
struct Users(HashMap<Box<str>, StoredHash>);

impl Users {
    fn read(path: &Path) -> Result<Self, UsersError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| UsersError::Unreadable { path: path.to_owned(), source })?;
        let mut users = HashMap::new();
        for (line, text) in (1..).zip(text.lines()) {
            let text = text.trim_end();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let wrong = |fault| UsersError::Line { path: path.to_owned(), line, fault };
            let (name, hash) = text.split_once(':').ok_or_else(|| wrong("no colon"))?;
            if !is_user_name(name) {
                return Err(wrong("an impossible user name"));
            }
            let hash = StoredHash::parse(hash).ok_or_else(|| wrong("not a password hash of ours"))?;
            if users.insert(name.into(), hash).is_some() {
                return Err(wrong("a user who is listed twice"));
            }
        }
        Ok(Self(users))
    }
}

/// Checks logins.
pub(super) struct Logins {
    path: PathBuf,
    users: RwLock<Arc<Users>>,
    /// For each user, the HMAC of the login that was right.
    proven: Mutex<HashMap<Box<str>, hmac::Tag>>,
    key: hmac::Key,
    turns: Semaphore,
    /// How many of each address wait for a turn.
    waiting: Mutex<HashMap<IpAddr, usize>>,
}

/// Too many logins from this address wait already.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Busy;

/// One place among those who wait, given back when dropped.
struct Place<'a>(&'a Mutex<HashMap<IpAddr, usize>>, IpAddr);

impl<'a> Place<'a> {
    fn take(waiting: &'a Mutex<HashMap<IpAddr, usize>>, from: IpAddr) -> Result<Self, Busy> {
        let mut counts = waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(from).or_default();
        if *count >= WAITING_EACH {
            return Err(Busy);
        }
        *count += 1;
        Ok(Self(waiting, from))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.1);
            }
        }
    }
}

impl fmt::Debug for Logins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logins").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Logins {
    /// Reads the file.
    pub(super) fn open(path: &Path) -> Result<Self, UsersError> {
        // Half of the cores at most.
        let turns = std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1));
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        Ok(Self {
            path: path.to_owned(),
            users: RwLock::new(Arc::new(Users::read(path)?)),
            proven: Mutex::default(),
            key: key.expect("the kernel has random numbers"),
            turns: Semaphore::new(turns),
            waiting: Mutex::default(),
        })
    }

    /// Reads the file again; on an error the old users stay. Returns how many users there are.
    pub(super) fn reload(&self) -> Result<usize, UsersError> {
        let users = Users::read(&self.path)?;
        let count = users.0.len();
        *self.users.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(users);
        Ok(count)
    }

    /// Whether this user, who comes from this address, has this password.
    pub(super) async fn check(&self, from: IpAddr, name: &str, password: &str) -> Result<bool, Busy> {
        let users = Arc::clone(&self.users.read().unwrap_or_else(PoisonError::into_inner));
        let stored = users.0.get(name).cloned();
        let login = stored.as_ref().map(|stored| {
            let mut login = stored.hash.to_vec();
            login.extend_from_slice(password.as_bytes());
            login
        });
        if let Some(login) = &login
            && self.is_proven(name, login)
        {
            return Ok(true);
        }
        let _place = Place::take(&self.waiting, from)?;
        let _turn = self.turns.acquire().await.expect("the semaphore is never closed");
        // Many agents share a user: while this one waited, another may have proven it.
        if login.as_ref().is_some_and(|login| self.is_proven(name, login)) {
            return Ok(true);
        }
        let password = password.to_owned();
        // Unknown names take as long as known ones.
        let right = tokio::task::spawn_blocking(move || {
            let Some(stored) = stored else {
                StoredHash::derive(&password, ROUNDS, [0; SALT]);
                return false;
            };
            stored.verify(&password)
        });
        let right = right.await.unwrap_or(false);
        if let Some(login) = login.filter(|_| right) {
            let tag = hmac::sign(&self.key, &login);
            self.proven.lock().unwrap_or_else(PoisonError::into_inner).insert(name.into(), tag);
        }
        Ok(right)
    }

    /// The stored hash is part of what is signed: a changed password is not proven by the old one.
    fn is_proven(&self, name: &str, login: &[u8]) -> bool {
        let proven = self.proven.lock().unwrap_or_else(PoisonError::into_inner);
        proven.get(name).is_some_and(|tag| hmac::verify(&self.key, login, tag.as_ref()).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn quick(password: &str) -> String {
        StoredHash::derive(password, NonZeroU32::new(10).expect("not zero"), [7; SALT]).to_string()
    }

    fn logins(text: &str) -> (tempfile::NamedTempFile, Result<Logins, UsersError>) {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), text).expect("written");
        let logins = Logins::open(file.path());
        (file, logins)
    }

    #[tokio::test]
    async fn right_logins_pass_twice_and_wrong_ones_never() {
        let (_file, logins) =
            logins(&format!("# people\n\nrack:{}\nother:{}\n", quick("right"), quick("else")));
        let logins = logins.expect("a good file");
        for _ in 0..2 {
            assert_eq!(logins.check(HERE, "rack", "right").await, Ok(true));
            assert_eq!(logins.check(HERE, "rack", "wrong").await, Ok(false));
            assert_eq!(logins.check(HERE, "other", "right").await, Ok(false));
            assert_eq!(logins.check(HERE, "nobody", "right").await, Ok(false));
            assert_eq!(logins.check(HERE, "rack", "").await, Ok(false));
        }
    }

    #[tokio::test]
    async fn a_changed_file_counts_at_once_and_a_bad_one_not_at_all() {
        let (file, logins) = logins(&format!("rack:{}", quick("old")));
        let logins = logins.expect("a good file");
        assert_eq!(logins.check(HERE, "rack", "old").await, Ok(true));
        std::fs::write(file.path(), "nonsense").expect("written");
        assert!(logins.reload().is_err());
        assert_eq!(logins.check(HERE, "rack", "old").await, Ok(true));
        std::fs::write(file.path(), format!("rack:{}", quick("new"))).expect("written");
        assert_eq!(logins.reload().expect("a good file"), 1);
        assert_eq!(logins.check(HERE, "rack", "old").await, Ok(false));
        assert_eq!(logins.check(HERE, "rack", "new").await, Ok(true));
    }

    #[tokio::test]
    async fn a_flood_of_wrong_logins_keeps_nobody_else_out() {
        let slow = StoredHash::derive("right", NonZeroU32::new(10_000).expect("not zero"), [7; SALT]);
        let (_file, logins) = logins(&format!("rack:{slow}\n"));
        let logins = Arc::new(logins.expect("a good file"));
        let there = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
        let mut flood = tokio::task::JoinSet::new();
        for n in 0..120 {
            let logins = Arc::clone(&logins);
            flood.spawn(async move { logins.check(there, "rack", &format!("guess {n}")).await });
        }
        tokio::task::yield_now().await;
        assert_eq!(logins.check(HERE, "rack", "right").await, Ok(true));
        let done = std::iter::from_fn(|| flood.try_join_next()).map(|ended| ended.expect("no panic"));
        let (checked, busy): (Vec<_>, Vec<_>) = done.partition(|said| *said == Ok(false));
        assert!(checked.len() <= 40, "{} went first", checked.len());
        assert!(busy.len() >= 80 && busy.iter().all(|said| *said == Err(Busy)));
        while flood.join_next().await.is_some() {}
        assert!(logins.waiting.lock().expect("whole").is_empty(), "no place is kept");
    }

    #[test]
    fn a_made_hash_is_what_the_file_takes() {
        let hash = hash_password("secret");
        let stored = StoredHash::parse(&hash).expect("our own format");
        assert!(stored.verify("secret") && !stored.verify("Secret"));
        assert_ne!(hash, hash_password("secret"), "salted");
    }

    #[test]
    fn bad_lines_are_named_and_not_shown() {
        for (text, fault) in [
            ("a:b\n", "1: not a password hash of ours"),
            ("# x\nhunter2\n", "2: no colon"),
            (":x\n", "1: an impossible user name"),
            ("a:pbkdf2-sha256$0$00$00", "1: not a password hash of ours"),
            (&format!("a:{}$more", quick("x")), "1: not a password hash of ours"),
            (&format!("a:{}", quick("x").replace("sha256", "sha1")), "1: not a password hash of ours"),
        ] {
            let (_file, logins) = logins(text);
            let error = logins.expect_err("a bad file").to_string();
            assert!(error.contains(fault), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        let twice = format!("a:{0}\na:{0}\n", quick("x"));
        assert!(logins(&twice).1.expect_err("twice").to_string().contains("listed twice"));
        let missing = Logins::open(Path::new("/nonexistent/users")).expect_err("not there").to_string();
        assert!(missing.starts_with("cannot read the users file /nonexistent/users: "), "{missing}");
    }
}
