//! Who asks: a session's secret or a token in, a [`Visitor`] out; and logins, with their limits.
//!
//! Reading goes by one connection and writing by another, so that a request never waits for somebody's write to reach the disk. Nothing here
//! sleeps or spawns; what is slow says so.

use crate::error::ChangeError;
use crate::limit::{Logins, Requests};
use crate::password::PasswordHash;
use crate::secret::{Secret, csrf};
use crate::store::{Arrival, Browser, Good, Lasting, Live, Store};
use crate::visitor::{How, Reach, Visitor};
use rackside_store::StoreError;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Who may come in.
#[derive(Debug)]
pub struct Access {
    reading: Mutex<Store>,
    writing: Mutex<Store>,
    logins: Mutex<Logins>,
    requests: Mutex<Requests>,
    lasting: Lasting,
}

/// What somebody shows to be let in.
#[derive(Clone, Copy)]
pub enum Credential<'a> {
    /// A session's secret.
    Session(&'a str),
    /// A token.
    Token(&'a str),
}

/// Somebody who was let in.
#[derive(Debug)]
pub struct Visit {
    /// Who.
    pub visitor: Visitor,
    /// By what.
    pub pass: Pass,
    /// Whether it is time to write, by [`Access::note`], that it was used.
    pub is_stale: bool,
}

/// A session or a token, without its secret.
#[derive(Debug, Clone, Copy)]
pub struct Pass(Which);

#[derive(Debug, Clone, Copy)]
enum Which {
    Session(i64),
    Token(i64),
}

impl Pass {
    /// The session's number, if it is one's.
    pub fn session(self) -> Option<i64> {
        match self.0 {
            Which::Session(id) => Some(id),
            Which::Token(_) => None,
        }
    }
}

/// An attempt to log in, counted already.
#[derive(Debug)]
pub struct Knock {
    name: String,
    hash: PasswordHash,
    is_known: bool,
}

impl Knock {
    /// Whether somebody has the name. Not to be told to who knocks.
    pub fn is_somebody(&self) -> bool {
        self.is_known
    }
}

/// Why somebody cannot try to log in now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KnockError {
    /// Too many attempts went wrong; not before so long.
    Wait(Duration),
    /// Nobody can be asked.
    Store(StoreError),
}

impl From<StoreError> for KnockError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A transaction that panicked was rolled back, and a limit that was half counted is a limit.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Both reaches, of which tags have been looked up.
fn within(one: Reach, other: Reach) -> Reach {
    match (one, other) {
        (Reach::All, reach) | (reach, Reach::All) => reach,
        (Reach::Some { sites, .. }, Reach::Some { sites: others, .. }) => Reach::Some {
            sites: sites.intersection(&others).cloned().collect(),
            tags: std::collections::BTreeSet::new(),
        },
    }
}

fn of_session<'a>(live: Live, csrf: String, sites: impl Iterator<Item = (&'a str, &'a [String])>) -> Visit {
    let Live { id, user, role, reach, is_stale } = live;
    let (name, reach) = (Some(Arc::from(user)), reach.resolved(sites));
    let pass = Pass(Which::Session(id));
    Visit { visitor: Visitor { name, role, reach, how: How::Session, csrf }, pass, is_stale }
}

fn of_token<'a>(good: Good, sites: impl Iterator<Item = (&'a str, &'a [String])> + Clone) -> Visit {
    let Good { token, owner, is_stale } = good;
    let own = token.reach.resolved(sites.clone());
    let (role, reach) = match owner {
        None => (token.scopes.role(), own),
        Some((role, reach)) => (role, within(own, reach.resolved(sites))),
    };
    let (name, how, pass) =
        (Some(Arc::from(token.name)), How::Token(token.scopes), Pass(Which::Token(token.id)));
    Visit { visitor: Visitor { name, role, reach, how, csrf: String::new() }, pass, is_stale }
}

impl Access {
    /// Opens the file in this directory, or makes it.
    pub fn open(directory: &Path, lasting: Lasting) -> Result<Self, StoreError> {
        // The first one makes the tables.
        let writing = Mutex::new(Store::open(directory)?);
        let reading = Mutex::new(Store::open(directory)?);
        Ok(Self { reading, writing, logins: Mutex::default(), requests: Mutex::default(), lasting })
    }

    /// For whoever asks; quick.
    pub fn look<T>(&self, look: impl FnOnce(&Store) -> T) -> T {
        look(&lock(&self.reading))
    }

    /// For whoever changes something. Waits for the disk.
    pub fn change<T>(&self, change: impl FnOnce(&mut Store) -> T) -> T {
        change(&mut lock(&self.writing))
    }

    /// How long sessions last.
    pub fn lasting(&self) -> Lasting {
        self.lasting
    }

    /// Who shows this; nobody, if it is not good now. `sites` are those that are configured, with their tags.
    pub fn visit<'a>(
        &self,
        credential: Credential<'_>,
        sites: impl Iterator<Item = (&'a str, &'a [String])> + Clone,
        now: i64,
    ) -> Result<Option<Visit>, StoreError> {
        match credential {
            Credential::Session(secret) => {
                let live = lock(&self.reading).live(secret, self.lasting, now)?;
                Ok(live.map(|live| of_session(live, csrf(secret), sites)))
            }
            Credential::Token(secret) => {
                let good = lock(&self.reading).good(secret, now)?;
                Ok(good.map(|good| of_token(good, sites)))
            }
        }
    }

    /// Whether somebody who was let in would be again, as the same: the session or token is still good, and role and reach are what they were.
    pub fn is_still<'a>(
        &self,
        pass: Pass,
        visitor: &Visitor,
        sites: impl Iterator<Item = (&'a str, &'a [String])> + Clone,
        now: i64,
    ) -> Result<bool, StoreError> {
        let again = match pass.0 {
            Which::Session(id) => {
                let live = lock(&self.reading).live_by_id(id, self.lasting, now)?;
                live.map(|live| of_session(live, visitor.csrf.clone(), sites))
            }
            Which::Token(id) => lock(&self.reading).good_by_id(id, now)?.map(|good| of_token(good, sites)),
        };
        Ok(again.is_some_and(|again| again.visitor == *visitor))
    }

    /// Writes that a session or a token was used. Waits for the disk.
    pub fn note(&self, pass: Pass, now: i64) -> Result<(), StoreError> {
        match pass.0 {
            Which::Session(id) => lock(&self.writing).seen(id, now),
            Which::Token(id) => lock(&self.writing).used(id, now),
        }
    }

    /// Counts an attempt to log in, before anything slow is done for it.
    pub fn knock(&self, name: &str, from: Browser<'_>, now: i64) -> Result<Knock, KnockError> {
        let (login, is_place) = {
            let store = lock(&self.reading);
            (store.login(name)?, store.knows_place(name, from.address, now)?)
        };
        lock(&self.logins).attempt(from.address, name, is_place, now).map_err(KnockError::Wait)?;
        Ok(match login {
            Some((name, hash)) => Knock { name, hash, is_known: true },
            None => Knock { name: name.to_owned(), hash: PasswordHash::nobodys(), is_known: false },
        })
    }

    /// Whether the password is right. Slow, and as slow for a name that nobody has.
    pub fn is_right(&self, knock: &Knock, password: &str, from: Browser<'_>) -> bool {
        let is_right = knock.hash.is_of(password) && knock.is_known;
        if is_right {
            lock(&self.logins).succeeded(from.address, &knock.name);
        }
        is_right
    }

    /// Logs in: a new session, if the password is right, and still the user's when that is known. Slow.
    pub fn login(
        &self,
        knock: &Knock,
        password: &str,
        from: Browser<'_>,
        now: i64,
    ) -> Result<Option<Secret>, StoreError> {
        if !self.is_right(knock, password, from) {
            return Ok(None);
        }
        let mut store = lock(&self.writing);
        // Whoever changes a password ends all sessions, and this one is none of them yet.
        if !store.has_password(&knock.name, &knock.hash)? {
            return Ok(None);
        }
        store.begin_session(&knock.name, from, self.lasting, None, now).map(Some)
    }

    /// Another password for whoever knows the present one, and a session in place of all that there were; nothing, if it is not the present one. Slow.
    pub fn change_password(
        &self,
        knock: &Knock,
        (present, new): (&str, &str),
        from: Browser<'_>,
        now: i64,
    ) -> Result<Option<Secret>, ChangeError> {
        if !self.is_right(knock, present, from) {
            return Ok(None);
        }
        let mut store = lock(&self.writing);
        if !store.has_password(&knock.name, &knock.hash)? {
            return Ok(None);
        }
        store.set_password(&knock.name, new, &knock.name, now)?;
        Ok(Some(store.begin_session(&knock.name, from, self.lasting, None, now)?))
    }

    /// A session of somebody who has just proven who they are.
    pub fn begin(&self, name: &str, from: Browser<'_>, now: i64) -> Result<Secret, StoreError> {
        lock(&self.writing).begin_session(name, from, self.lasting, None, now)
    }

    /// Counts somebody who comes back from a provider, before anything is asked for it. What goes wrong counts for the address, as wrong passwords do.
    pub fn knock_from(&self, from: Browser<'_>, now: i64) -> Result<(), Duration> {
        lock(&self.logins).attempt(from.address, "", true, now)
    }

    /// A session, until then at most, of somebody whom a provider vouches for; and what they are called here.
    pub fn arrive(
        &self,
        arrival: &Arrival<'_>,
        from: Browser<'_>,
        until: i64,
        now: i64,
    ) -> Result<(String, Secret), ChangeError> {
        let mut store = lock(&self.writing);
        let name = store.arrive(arrival, now)?;
        let secret = store.begin_session(&name, from, self.lasting, Some(until), now)?;
        lock(&self.logins).succeeded(from.address, "");
        Ok((name, secret))
    }

    /// Takes a request out of the budget of whoever makes it, or says how long to wait.
    pub fn spend(&self, whose: &str, now: i64) -> Result<(), Duration> {
        lock(&self.requests).spend(whose, now)
    }
}
