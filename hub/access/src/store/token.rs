//! API tokens: what programs have instead of a password.

use super::{DAY, Store, audit, reach, user};
use crate::error::ChangeError;
use crate::secret::{self, Secret, TOKEN_PREFIX};
use crate::{Reach, Right, Role, Scopes};
use rackside_store::StoreError;
use rusqlite::{OptionalExtension as _, Row, ToSql, params};

/// Most tokens.
const MOST: i64 = 10_000;

/// A token, for those who look at them. What it is worth nothing without is not here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Rises, and is never another one's.
    pub id: i64,
    /// What it is for.
    pub name: String,
    /// The user with whom it ends, and beyond whose rights it never goes.
    pub owner: Option<String>,
    /// What it may do.
    pub scopes: Scopes,
    /// Which sites it sees.
    pub reach: Reach,
    /// Since when, in milliseconds since 1970.
    pub made_at: i64,
    /// Until when; for ever without one.
    pub expires_at: Option<i64>,
    /// The day it was used last, in days since 1970.
    pub used_day: Option<i64>,
}

/// A token to be.
#[derive(Debug, Clone)]
pub struct NewToken<'a> {
    /// Unlike every other, whatever the case.
    pub name: &'a str,
    /// Whose it is to be.
    pub owner: Option<&'a str>,
    /// What it is to be allowed.
    pub scopes: Scopes,
    /// Which sites it is to see.
    pub reach: Reach,
    /// Until when, in milliseconds since 1970.
    pub expires_at: Option<i64>,
}

/// A token that is good now.
#[derive(Debug)]
pub(crate) struct Good {
    pub(crate) token: Token,
    /// Its owner's, now.
    pub(crate) owner: Option<(Role, Reach)>,
    /// Whether it is time to write that it was used.
    pub(crate) is_stale: bool,
}

const COLUMNS: &str = "id, name, owner, scopes, sites, tags, made_at, expires_at, used_day";

fn read(row: &Row<'_>) -> rusqlite::Result<Token> {
    let scopes: String = row.get("scopes")?;
    Ok(Token {
        id: row.get("id")?,
        name: row.get("name")?,
        owner: row.get("owner")?,
        // A word that is none grants nothing.
        scopes: scopes.parse().unwrap_or_default(),
        reach: reach::of(row.get("sites")?, row.get("tags")?),
        made_at: row.get("made_at")?,
        expires_at: row.get("expires_at")?,
        used_day: row.get("used_day")?,
    })
}

impl Store {
    /// Makes a token. This is the only time that its secret is there.
    pub fn make_token(
        &mut self,
        new: &NewToken<'_>,
        who: &str,
        now: i64,
    ) -> Result<(i64, Secret), ChangeError> {
        user::check_name(new.name)?;
        reach::check(&new.reach)?;
        if new.scopes.is_empty() {
            return Err(ChangeError::NoScopes);
        }
        if new.scopes.may(Right::Manage) && new.reach != Reach::All {
            return Err(ChangeError::LimitedAdmin);
        }
        if new.expires_at.is_some_and(|at| at <= now) {
            return Err(ChangeError::Expired);
        }
        let secret = Secret::new(TOKEN_PREFIX);
        let (digest, (sites, tags)) = (secret.digest(), reach::columns(&new.reach));
        let id = self.change(|transaction| {
            let count: i64 = transaction.query_row("SELECT count(*) FROM token", [], |row| row.get(0))?;
            if count >= MOST {
                return Err(ChangeError::Many("tokens", MOST as usize).into());
            }
            if let Some(owner) = new.owner
                && user::find(transaction, owner)?.is_none()
            {
                return Err(ChangeError::Unknown(owner.to_owned()).into());
            }
            let taken = transaction.prepare_cached("SELECT 1 FROM token WHERE name = ?1")?.exists([new.name])?;
            if taken {
                return Err(ChangeError::Taken(new.name.to_owned()).into());
            }
            transaction.execute(
                "INSERT INTO token (name, digest, owner, scopes, sites, tags, made_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                params![new.name, digest, new.owner, new.scopes.to_string(), sites, tags, now, new.expires_at],
            )?;
            let id = transaction.last_insert_rowid();
            audit::write(transaction, now, who, &format!("made the token {} ({})", new.name, new.scopes))?;
            Ok(id)
        })?;
        Ok((id, secret))
    }

    /// Ends a token, by its name.
    pub fn revoke_token(&mut self, name: &str, who: &str, now: i64) -> Result<(), ChangeError> {
        self.change(|transaction| {
            let sql = "DELETE FROM token WHERE name = ?1 RETURNING name";
            let name_as_written: Option<String> =
                transaction.query_row(sql, [name], |row| row.get(0)).optional()?;
            let name = name_as_written.ok_or_else(|| ChangeError::Unknown(name.to_owned()))?;
            Ok(audit::write(transaction, now, who, &format!("revoked the token {name}"))?)
        })
    }

    /// All tokens, by name, those among them that have expired.
    pub fn tokens(&self) -> Result<Vec<Token>, StoreError> {
        self.file.ask(|connection| {
            let mut statement =
                connection.prepare_cached(&format!("SELECT {COLUMNS} FROM token ORDER BY name"))?;
            statement.query_map([], read)?.collect()
        })
    }

    /// The token with this secret, if it is good now.
    pub(crate) fn good(&self, secret: &str, now: i64) -> Result<Option<Good>, StoreError> {
        if !secret.starts_with(TOKEN_PREFIX) {
            return Ok(None);
        }
        self.good_where("digest", &secret::of(secret), now)
    }

    /// The token with this number, if it is good now.
    pub(crate) fn good_by_id(&self, id: i64, now: i64) -> Result<Option<Good>, StoreError> {
        self.good_where("id", &id, now)
    }

    fn good_where(&self, column: &str, is: &dyn ToSql, now: i64) -> Result<Option<Good>, StoreError> {
        self.file.ask(|connection| {
            let sql = format!(
                "SELECT {COLUMNS} FROM token WHERE {column} = ?1 AND (expires_at IS NULL OR expires_at > ?2)"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            let Some(token) = statement.query_row(params![is, now], read).optional()? else {
                return Ok(None);
            };
            let owner = match &token.owner {
                None => None,
                // It ends with its owner: one without whom it stands is not good.
                Some(owner) => match user::find(connection, owner)? {
                    None => return Ok(None),
                    Some(user) => Some((user.role, user.reach)),
                },
            };
            let is_stale = token.used_day != Some(now / DAY);
            Ok(Some(Good { token, owner, is_stale }))
        })
    }

    /// A token was used today.
    pub(crate) fn used(&mut self, id: i64, now: i64) -> Result<(), StoreError> {
        let sql = "UPDATE token SET used_day = ?2 WHERE id = ?1";
        self.file.change(|transaction| transaction.execute(sql, [id, now / DAY])).map(drop)
    }
}
