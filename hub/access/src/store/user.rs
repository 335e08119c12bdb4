//! Users.

use super::provided::Identity;
use super::{Refusal, Store, audit, reach};
use crate::error::ChangeError;
use crate::password::{self, PasswordHash};
use crate::{Reach, Role};
use rackside_store::StoreError;
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};

/// Most users.
const MOST: usize = 10_000;
/// Longest name, in characters.
pub(crate) const LONGEST: usize = 64;

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// As it was written when it was made; whoever logs in may write it in other case.
    pub name: String,
    /// What they are.
    pub role: Role,
    /// Which sites they see.
    pub reach: Reach,
    /// Since when, in milliseconds since 1970.
    pub made_at: i64,
    /// Whom a provider knows them as; none, if they have a password here.
    pub identity: Option<Identity>,
}

/// A user to be.
#[derive(Debug, Clone)]
pub struct NewUser<'a> {
    /// Unlike every other, whatever the case.
    pub name: &'a str,
    /// Not kept.
    pub password: &'a str,
    /// What they are to be.
    pub role: Role,
    /// Which sites they are to see.
    pub reach: Reach,
}

pub(super) const COLUMNS: &str = "name, role, sites, tags, made_at, issuer, subject";

pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<User> {
    let role: String = row.get("role")?;
    // A word that is none has no more rights than the least.
    let role = role.parse().unwrap_or(Role::Viewer);
    let reach = reach::of(row.get("sites")?, row.get("tags")?);
    let identity = match (row.get("issuer")?, row.get("subject")?) {
        (Some(issuer), Some(subject)) => Some(Identity { issuer, subject }),
        _ => None,
    };
    Ok(User { name: row.get("name")?, role, reach, made_at: row.get("made_at")?, identity })
}

/// Whether somebody, or a token, may have this name.
pub(super) fn check_name(name: &str) -> Result<(), ChangeError> {
    let is_good = (1..=LONGEST).contains(&name.chars().count())
        && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '@' | '+'));
    if is_good { Ok(()) } else { Err(ChangeError::Name(name.to_owned())) }
}

pub(super) fn check(role: Role, of: &Reach) -> Result<(), ChangeError> {
    reach::check(of)?;
    match (role, of) {
        (Role::Admin, Reach::Some { .. }) => Err(ChangeError::LimitedAdmin),
        _ => Ok(()),
    }
}

pub(super) fn find(connection: &Connection, name: &str) -> rusqlite::Result<Option<User>> {
    let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM user WHERE name = ?1"))?;
    statement.query_row([name], read).optional()
}

pub(super) fn count(connection: &Connection) -> rusqlite::Result<usize> {
    let count: i64 =
        connection.prepare_cached("SELECT count(*) FROM user")?.query_row([], |row| row.get(0))?;
    Ok(usize::try_from(count).unwrap_or(0))
}

/// Whether somebody else than this one is an admin.
fn another_admin(transaction: &Transaction, than: &str) -> rusqlite::Result<bool> {
    let sql = "SELECT count(*) FROM user WHERE role = 'admin' AND name <> ?1";
    let others: i64 = transaction.query_row(sql, [than], |row| row.get(0))?;
    Ok(others > 0)
}

pub(super) fn described(role: Role, of: &Reach) -> String {
    let words = |what: &str, words: &std::collections::BTreeSet<String>| {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        if words.is_empty() { String::new() } else { format!(", {what} {}", words.join(" ")) }
    };
    match of {
        Reach::All => role.to_string(),
        Reach::Some { sites, tags } if sites.is_empty() && tags.is_empty() => format!("{role}, no sites"),
        Reach::Some { sites, tags } => format!("{role}{}{}", words("sites", sites), words("tags", tags)),
    }
}

/// Whether there is room for one more of this role.
pub(super) fn check_room(transaction: &Transaction, role: Role) -> Result<(), Refusal> {
    match count(transaction)? {
        0 if role != Role::Admin => Err(ChangeError::FirstIsAdmin.into()),
        MOST.. => Err(ChangeError::Many("users", MOST).into()),
        _ => Ok(()),
    }
}

/// A user who has a password here, for a change that a provider would take back with the next login.
fn own(transaction: &Transaction, name: &str) -> Result<User, Refusal> {
    let user = find(transaction, name)?.ok_or_else(|| ChangeError::Unknown(name.to_owned()))?;
    match user.identity {
        Some(_) => Err(ChangeError::Provided(user.name).into()),
        None => Ok(user),
    }
}

pub(super) fn insert(
    transaction: &Transaction,
    new: &NewUser<'_>,
    hash: &PasswordHash,
    who: &str,
    now: i64,
) -> Result<(), Refusal> {
    check_room(transaction, new.role)?;
    if find(transaction, new.name)?.is_some() {
        return Err(ChangeError::Taken(new.name.to_owned()).into());
    }
    let (sites, tags) = reach::columns(&new.reach);
    transaction.execute(
        "INSERT INTO user (name, role, sites, tags, hash, made_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![new.name, new.role.as_str(), sites, tags, hash.as_str(), now],
    )?;
    // Whoever has the set-up link has it for a hub without users.
    transaction.execute("DELETE FROM setup", [])?;
    let what = format!("added the user {} ({})", new.name, described(new.role, &new.reach));
    audit::write(transaction, now, who, &what)?;
    Ok(())
}

/// What can be said against a user before the slow part.
pub(super) fn check_new(new: &NewUser<'_>) -> Result<(), ChangeError> {
    check_name(new.name)?;
    password::check(new.name, new.password)?;
    check(new.role, &new.reach)
}

impl Store {
    /// Whether there are any users.
    pub fn has_users(&self) -> Result<bool, StoreError> {
        self.file.ask(|connection| Ok(count(connection)? > 0))
    }

    /// All users, by name.
    pub fn users(&self) -> Result<Vec<User>, StoreError> {
        self.file.ask(|connection| {
            let mut statement =
                connection.prepare_cached(&format!("SELECT {COLUMNS} FROM user ORDER BY name"))?;
            statement.query_map([], read)?.collect()
        })
    }

    /// A user by name, whatever the case.
    pub fn user(&self, name: &str) -> Result<Option<User>, StoreError> {
        self.file.ask(|connection| find(connection, name))
    }

    /// A user who has a password here, as it is written, with its hash.
    pub(crate) fn login(&self, name: &str) -> Result<Option<(String, PasswordHash)>, StoreError> {
        self.file.ask(|connection| {
            let mut statement = connection
                .prepare_cached("SELECT name, hash FROM user WHERE name = ?1 AND issuer IS NULL")?;
            statement.query_row([name], |row| Ok((row.get(0)?, PasswordHash::kept(row.get(1)?)))).optional()
        })
    }

    /// Whether this is what is kept of a user's password now.
    pub(crate) fn has_password(&self, name: &str, hash: &PasswordHash) -> Result<bool, StoreError> {
        Ok(self.login(name)?.is_some_and(|(_, kept)| kept == *hash))
    }

    /// Adds a user. Slow, for the password.
    pub fn add_user(&mut self, new: &NewUser<'_>, who: &str, now: i64) -> Result<(), ChangeError> {
        check_new(new)?;
        let hash = PasswordHash::of(new.password);
        self.change(|transaction| insert(transaction, new, &hash, who, now))
    }

    /// Gives a user another role or reach. Sessions go on, with those.
    pub fn change_user(
        &mut self,
        name: &str,
        role: Role,
        of: &Reach,
        who: &str,
        now: i64,
    ) -> Result<(), ChangeError> {
        check(role, of)?;
        self.change(|transaction| {
            let user = own(transaction, name)?;
            if user.role == Role::Admin && role != Role::Admin && !another_admin(transaction, name)? {
                return Err(ChangeError::LastAdmin.into());
            }
            let (sites, tags) = reach::columns(of);
            transaction.execute(
                "UPDATE user SET role = ?2, sites = ?3, tags = ?4 WHERE name = ?1",
                params![name, role.as_str(), sites, tags],
            )?;
            let what = format!("changed the user {} to {}", user.name, described(role, of));
            Ok(audit::write(transaction, now, who, &what)?)
        })
    }

    /// Removes a user with all sessions and tokens.
    pub fn remove_user(&mut self, name: &str, who: &str, now: i64) -> Result<(), ChangeError> {
        self.change(|transaction| {
            let user = find(transaction, name)?.ok_or_else(|| ChangeError::Unknown(name.to_owned()))?;
            if user.role == Role::Admin && !another_admin(transaction, name)? {
                return Err(ChangeError::LastAdmin.into());
            }
            transaction.execute("DELETE FROM user WHERE name = ?1", [name])?;
            let what = format!("removed the user {}, with all sessions and tokens", user.name);
            Ok(audit::write(transaction, now, who, &what)?)
        })
    }

    /// Gives a user another password. Slow. Every session of theirs ends, and what is known of where they log in.
    pub fn set_password(
        &mut self,
        name: &str,
        password: &str,
        who: &str,
        now: i64,
    ) -> Result<(), ChangeError> {
        password::check(name, password)?;
        let hash = PasswordHash::of(password);
        self.change(|transaction| {
            let user = own(transaction, name)?;
            transaction.execute("UPDATE user SET hash = ?2 WHERE name = ?1", params![name, hash.as_str()])?;
            transaction.execute("DELETE FROM session WHERE user = ?1", [name])?;
            transaction.execute("DELETE FROM place WHERE user = ?1", [name])?;
            let what = format!("changed the password of {}, whose sessions end", user.name);
            Ok(audit::write(transaction, now, who, &what)?)
        })
    }
}
