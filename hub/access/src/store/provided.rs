//! Users whom a provider (`OpenID` Connect) vouches for: known by its issuer and their subject there, and by nothing else.
//!
//! They have a name here, so that sessions, tokens and the log can tell of them; it is given once and stays. A name of somebody else's is never
//! taken over, whatever the provider calls them. Role and reach are what the provider's claims came to at the last login.
//!
//! Invariant: no e-mail address and no name makes somebody one who was here before.
//!
//! ```text
//! https://login.example.org 248289761001   desk      operator
//! https://login.example.org 90210          desk+2    viewer       the name was taken
//! ```

use super::user::{COLUMNS, LONGEST, check, check_name, check_room, described, find, read};
use super::{Store, User, audit, reach};
use crate::error::ChangeError;
use crate::{Reach, Role};
use rackside_store::StoreError;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

/// Room behind a name for the number that tells it from another.
const NUMBER: usize = 6;
/// Names that are tried.
const TRIED: usize = 1000;

/// Who somebody is to a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The provider's own name, an address.
    pub issuer: String,
    /// Theirs, which it gives nobody else ever.
    pub subject: String,
}

/// Somebody whom a provider has vouched for just now.
#[derive(Debug, Clone)]
pub struct Arrival<'a> {
    /// Who they are.
    pub identity: &'a Identity,
    /// What they would be called.
    pub name: &'a str,
    /// What they are.
    pub role: Role,
    /// Which sites they see.
    pub reach: Reach,
    /// Whether somebody who was never here is taken in.
    pub may_be_new: bool,
}

fn known(connection: &Connection, identity: &Identity) -> rusqlite::Result<Option<User>> {
    let sql = format!("SELECT {COLUMNS} FROM user WHERE issuer = ?1 AND subject = ?2");
    connection.prepare_cached(&sql)?.query_row([&identity.issuer, &identity.subject], read).optional()
}

/// A name that somebody can have, like this one.
fn tame(name: &str) -> String {
    let letter =
        |c: char| if c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '@' | '+') { c } else { '-' };
    let name: String = name.trim().chars().map(letter).take(LONGEST - NUMBER).collect();
    if name.is_empty() { "somebody".to_owned() } else { name }
}

/// The same, or the next one that nobody has.
fn free(connection: &Connection, name: &str) -> rusqlite::Result<Option<String>> {
    let name = tame(name);
    if find(connection, &name)?.is_none() {
        return Ok(Some(name));
    }
    for number in 2..TRIED {
        let numbered = format!("{name}+{number}");
        if find(connection, &numbered)?.is_none() {
            return Ok(Some(numbered));
        }
    }
    Ok(None)
}

fn insert(transaction: &Transaction, of: &Arrival<'_>, name: &str, now: i64) -> rusqlite::Result<()> {
    let (sites, tags) = reach::columns(&of.reach);
    let Identity { issuer, subject } = of.identity;
    // No hash is one of a password.
    transaction.execute(
        "INSERT INTO user (name, role, sites, tags, hash, made_at, issuer, subject) VALUES (?1, ?2, ?3, ?4, '', ?5, ?6, ?7)",
        params![name, of.role.as_str(), sites, tags, now, issuer, subject],
    )?;
    transaction.execute("DELETE FROM setup", []).map(drop)
}

impl Store {
    /// Takes in somebody whom a provider vouches for, with the role and reach of today. Says what they are called here.
    pub(crate) fn arrive(&mut self, of: &Arrival<'_>, now: i64) -> Result<String, ChangeError> {
        check(of.role, &of.reach)?;
        let who = &of.identity.issuer;
        self.change(|transaction| {
            let Some(user) = known(transaction, of.identity)? else {
                if !of.may_be_new {
                    return Err(ChangeError::Stranger(of.identity.subject.clone()).into());
                }
                check_room(transaction, of.role)?;
                let name = free(transaction, of.name)?.ok_or_else(|| ChangeError::Taken(tame(of.name)))?;
                insert(transaction, of, &name, now)?;
                let what = format!("added the user {name} ({})", described(of.role, &of.reach));
                audit::write(transaction, now, who, &what)?;
                return Ok(name);
            };
            if (user.role, &user.reach) != (of.role, &of.reach) {
                let (sites, tags) = reach::columns(&of.reach);
                transaction.execute(
                    "UPDATE user SET role = ?2, sites = ?3, tags = ?4 WHERE name = ?1",
                    params![user.name, of.role.as_str(), sites, tags],
                )?;
                let what = format!("changed the user {} to {}", user.name, described(of.role, &of.reach));
                audit::write(transaction, now, who, &what)?;
            }
            Ok(user.name)
        })
    }

    /// Makes somebody known whom a provider may vouch for later. Until then they are a viewer of nothing.
    pub fn introduce(
        &mut self,
        name: &str,
        identity: &Identity,
        who: &str,
        now: i64,
    ) -> Result<(), ChangeError> {
        check_name(name)?;
        self.change(|transaction| {
            if known(transaction, identity)?.is_some() {
                return Err(ChangeError::Taken(identity.subject.clone()).into());
            }
            if find(transaction, name)?.is_some() {
                return Err(ChangeError::Taken(name.to_owned()).into());
            }
            check_room(transaction, Role::Viewer)?;
            let reach = Reach::Some { sites: [].into(), tags: [].into() };
            let of = Arrival { identity, name, role: Role::Viewer, reach, may_be_new: true };
            insert(transaction, &of, name, now)?;
            let what = format!("introduced the user {name}, who logs in through {}", identity.issuer);
            Ok(audit::write(transaction, now, who, &what)?)
        })
    }

    /// By which provider the owner of a session has come, if by any.
    pub fn issuer_of(&self, session: &str) -> Result<Option<String>, StoreError> {
        let digest = crate::secret::of(session);
        self.file.ask(|connection| {
            let sql =
                "SELECT user.issuer FROM session JOIN user ON user.name = session.user WHERE session.digest = ?1";
            connection.prepare_cached(sql)?.query_row([digest], |row| row.get(0)).optional().map(Option::flatten)
        })
    }

    /// Ends the sessions of whoever came by another provider than this one. Says how many.
    pub fn end_sessions_of_others(&mut self, issuer: Option<&str>) -> Result<usize, StoreError> {
        let others = "SELECT name FROM user WHERE issuer IS NOT NULL AND issuer IS NOT ?1";
        let sql = format!("DELETE FROM session WHERE user IN ({others})");
        self.file.change(|transaction| transaction.execute(&sql, [issuer]))
    }

    /// Has passwords taken until then, whatever the configuration says.
    pub fn take_passwords(&mut self, until: i64, who: &str, now: i64) -> Result<(), StoreError> {
        self.file.change(|transaction| {
            transaction.execute("INSERT OR REPLACE INTO passwords (id, until) VALUES (1, ?1)", [until])?;
            let minutes = (until - now) / 60_000;
            audit::write(transaction, now, who, &format!("has passwords taken for {minutes} minutes"))
        })
    }

    /// Whether passwords are taken now, whatever the configuration says.
    pub fn takes_passwords(&self, now: i64) -> Result<bool, StoreError> {
        self.file.ask(|connection| {
            connection.prepare_cached("SELECT 1 FROM passwords WHERE until > ?1")?.exists([now])
        })
    }
}
