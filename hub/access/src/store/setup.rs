//! The link by which a hub without users gets its first one. It is good once and not for long.

use super::user::NewUser;
use super::{DAY, Store, user};
use crate::Role;
use crate::error::ChangeError;
use crate::password::PasswordHash;
use crate::secret::{self, Digest, Secret};
use rackside_store::StoreError;
use rusqlite::{Connection, params};

/// For so long a link is good.
const GOOD_FOR: i64 = DAY;

fn is_good(connection: &Connection, digest: &Digest, now: i64) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM setup WHERE digest = ?1 AND expires_at > ?2";
    let mut statement = connection.prepare_cached(sql)?;
    Ok(statement.exists(params![digest, now])? && user::count(connection)? == 0)
}

impl Store {
    /// The code of a new link, while there are no users. Older links end.
    pub fn offer_setup(&mut self, now: i64) -> Result<Option<Secret>, StoreError> {
        let secret = Secret::new("");
        let digest = secret.digest();
        self.file.change(|transaction| {
            if user::count(transaction)? > 0 {
                return Ok(None);
            }
            let sql = "INSERT OR REPLACE INTO setup (id, digest, expires_at) VALUES (1, ?1, ?2)";
            transaction.execute(sql, params![digest, now + GOOD_FOR])?;
            Ok(Some(secret))
        })
    }

    /// Whether this link is good now.
    pub fn is_setup(&self, code: &str, now: i64) -> Result<bool, StoreError> {
        let digest = secret::of(code);
        self.file.ask(|connection| is_good(connection, &digest, now))
    }

    /// Makes the first user, by a link that dies with it. Slow, for the password; not for who has no good link.
    pub fn set_up(&mut self, code: &str, name: &str, password: &str, now: i64) -> Result<(), ChangeError> {
        let new = NewUser { name, password, role: Role::Admin, reach: crate::Reach::All };
        let digest = secret::of(code);
        if !self.file.ask(|connection| is_good(connection, &digest, now))? {
            return Err(ChangeError::Code);
        }
        user::check_new(&new)?;
        let hash = PasswordHash::of(password);
        self.change(|transaction| {
            if !is_good(transaction, &digest, now)? {
                return Err(ChangeError::Code.into());
            }
            user::insert(transaction, &new, &hash, "who had the set-up link", now)
        })
    }
}
