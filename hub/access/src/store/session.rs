//! Sessions: what a browser has after a login. Each ends when it was not used for a while, and at the latest after a longer one.

use super::{DAY, Store, audit};
use crate::error::ChangeError;
use crate::secret::{self, Secret};
use crate::{Reach, Role};
use rackside_store::StoreError;
use rusqlite::{OptionalExtension as _, ToSql, params};
use std::net::IpAddr;

/// Most sessions of a user; the one that was unused for longest makes room.
const EACH: i64 = 50;
/// Most places that are remembered of a user, and for how long.
const PLACES: i64 = 16;
const REMEMBERED: i64 = 90 * DAY;
/// Longest description of a browser.
const AGENT: usize = 200;
/// When it was seen is written so often at most.
const MINUTE: i64 = 60 * 1000;

/// How long sessions last, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lasting {
    /// Without being used.
    pub idle: i64,
    /// At most.
    pub longest: i64,
}

/// What somebody logs in with.
#[derive(Debug, Clone, Copy)]
pub struct Browser<'a> {
    /// The address of the browser, as far as it is known.
    pub address: IpAddr,
    /// What the browser says that it is.
    pub agent: &'a str,
}

/// A session, for those who look at them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// By which it can be ended.
    pub id: i64,
    /// Whose.
    pub user: String,
    /// Since when, in milliseconds since 1970.
    pub made_at: i64,
    /// When it was used last, to the minute.
    pub seen_at: i64,
    /// From where somebody logged in.
    pub address: String,
    /// With what.
    pub agent: String,
}

/// A session that is good now.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) id: i64,
    pub(crate) user: String,
    pub(crate) role: Role,
    pub(crate) reach: Reach,
    /// Whether it is time to write that it was seen.
    pub(crate) is_stale: bool,
}

impl Store {
    /// Begins a session, that ends at `until` at the latest. Only its owner ever has the secret.
    pub(crate) fn begin_session(
        &mut self,
        user: &str,
        from: Browser<'_>,
        lasting: Lasting,
        until: Option<i64>,
        now: i64,
    ) -> Result<Secret, StoreError> {
        let secret = Secret::new("");
        let (address, digest) = (from.address.to_canonical().to_string(), secret.digest());
        let agent: String = from.agent.replace(char::is_control, " ").chars().take(AGENT).collect();
        self.file.change(|transaction| {
            let (idle, longest) = (now - lasting.idle, now - lasting.longest);
            transaction.execute("DELETE FROM session WHERE seen_at < ?1 OR made_at < ?2 OR until <= ?3", [idle, longest, now])?;
            let newest = "SELECT id FROM session WHERE user = ?1 ORDER BY seen_at DESC, id DESC LIMIT -1 OFFSET ?2";
            transaction.execute(&format!("DELETE FROM session WHERE id IN ({newest})"), params![user, EACH - 1])?;
            transaction.execute(
                "INSERT INTO session (digest, user, made_at, seen_at, address, agent, until) VALUES (?1, ?2, ?3, ?3, ?4, ?5, ?6)",
                params![digest, user, now, address, agent, until],
            )?;
            transaction.execute("INSERT OR REPLACE INTO place (user, address, at) VALUES (?1, ?2, ?3)", params![user, address, now])?;
            transaction.execute("DELETE FROM place WHERE at < ?1", [now - REMEMBERED])?;
            let newest = "SELECT address FROM place WHERE user = ?1 ORDER BY at DESC LIMIT ?2";
            let sql = format!("DELETE FROM place WHERE user = ?1 AND address NOT IN ({newest})");
            transaction.execute(&sql, params![user, PLACES])
        })?;
        Ok(secret)
    }

    /// Whether this user has logged in from there.
    pub(crate) fn knows_place(&self, user: &str, address: IpAddr, now: i64) -> Result<bool, StoreError> {
        let address = address.to_canonical().to_string();
        self.file.ask(|connection| {
            let sql = "SELECT 1 FROM place WHERE user = ?1 AND address = ?2 AND at >= ?3";
            let mut statement = connection.prepare_cached(sql)?;
            statement.exists(params![user, address, now - REMEMBERED])
        })
    }

    /// The session with this secret, if it is good now.
    pub(crate) fn live(&self, secret: &str, lasting: Lasting, now: i64) -> Result<Option<Live>, StoreError> {
        self.live_where("digest", &secret::of(secret), lasting, now)
    }

    /// The session with this number, if it is good now.
    pub(crate) fn live_by_id(&self, id: i64, lasting: Lasting, now: i64) -> Result<Option<Live>, StoreError> {
        self.live_where("id", &id, lasting, now)
    }

    fn live_where(
        &self,
        column: &str,
        is: &dyn ToSql,
        lasting: Lasting,
        now: i64,
    ) -> Result<Option<Live>, StoreError> {
        self.file.ask(|connection| {
            let sql = format!(
                "SELECT session.id, user.name, user.role, user.sites, user.tags, session.seen_at FROM session JOIN user ON user.name = session.user \
                 WHERE session.{column} = ?1 AND session.seen_at >= ?2 AND session.made_at >= ?3 AND (session.until IS NULL OR session.until > ?4)"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            let one = statement.query_row(params![is, now - lasting.idle, now - lasting.longest, now], |row| {
                let role: String = row.get(2)?;
                Ok(Live {
                    id: row.get(0)?,
                    user: row.get(1)?,
                    role: role.parse().unwrap_or(Role::Viewer),
                    reach: super::reach::of(row.get(3)?, row.get(4)?),
                    is_stale: now - row.get::<_, i64>(5)? >= MINUTE,
                })
            });
            one.optional()
        })
    }

    /// A session was used.
    pub(crate) fn seen(&mut self, id: i64, now: i64) -> Result<(), StoreError> {
        let sql = "UPDATE session SET seen_at = ?2 WHERE id = ?1 AND seen_at < ?2";
        self.file.change(|transaction| transaction.execute(sql, [id, now])).map(drop)
    }

    /// Ends the session with this secret, if there is one.
    pub fn end_session(&mut self, secret: &str) -> Result<(), StoreError> {
        let digest = secret::of(secret);
        self.file
            .change(|transaction| transaction.execute("DELETE FROM session WHERE digest = ?1", [digest]))
            .map(drop)
    }

    /// Ends one of somebody's, by its number.
    pub fn end_session_of(&mut self, id: i64, who: &str, now: i64) -> Result<(), ChangeError> {
        self.change(|transaction| {
            let sql = "DELETE FROM session WHERE id = ?1 RETURNING user";
            let user: Option<String> = transaction.query_row(sql, [id], |row| row.get(0)).optional()?;
            let user = user.ok_or_else(|| ChangeError::Unknown(format!("session {id}")))?;
            Ok(audit::write(transaction, now, who, &format!("ended a session of {user}"))?)
        })
    }

    /// The sessions that are good now, the one that was used last first.
    pub fn sessions(&self, lasting: Lasting, now: i64) -> Result<Vec<Session>, StoreError> {
        self.file.ask(|connection| {
            let sql = "SELECT id, user, made_at, seen_at, address, agent FROM session WHERE seen_at >= ?1 AND made_at >= ?2 \
                       AND (until IS NULL OR until > ?3) ORDER BY seen_at DESC, id DESC";
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map([now - lasting.idle, now - lasting.longest, now], |row| {
                Ok(Session {
                    id: row.get(0)?,
                    user: row.get(1)?,
                    made_at: row.get(2)?,
                    seen_at: row.get(3)?,
                    address: row.get(4)?,
                    agent: row.get(5)?,
                })
            })?;
            rows.collect()
        })
    }
}
