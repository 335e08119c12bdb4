//! Certificates: issued, renewed, seen, ended.

use super::{Store, commissioning, retired};
use crate::certificate::{Credential, DAY, RENEWABLE, Serial};
use rackside_proto::AgentName;
use rackside_store::StoreError;
use rusqlite::types::Type;
use rusqlite::{OptionalExtension as _, Row, Transaction, params};

/// When it was seen last is written so often at most.
const HOUR: i64 = 60 * 60 * 1000;

/// Why a certificate ended before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    /// The same box has a newer one and was seen with it.
    Renewed,
    /// Another box has its name.
    Replaced,
    /// Somebody took it away.
    Revoked,
    /// Its appliance was retired.
    Retired,
}

impl End {
    /// In one word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Renewed => "renewed",
            Self::Replaced => "replaced",
            Self::Revoked => "revoked",
            Self::Retired => "retired",
        }
    }

    fn read(word: &str) -> Option<Self> {
        [Self::Renewed, Self::Replaced, Self::Revoked, Self::Retired]
            .into_iter()
            .find(|end| end.as_str() == word)
    }
}

/// A certificate, as the roll knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Whose.
    pub name: AgentName,
    /// Which.
    pub serial: Serial,
    /// Why and when it ended before its time.
    pub end: Option<(End, i64)>,
    /// When it was seen last, to the hour.
    pub seen_at: Option<i64>,
    /// When it was last turned away, to the hour.
    pub turned_away_at: Option<i64>,
}

/// What is to be said of one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Whose.
    pub name: AgentName,
    /// Its newest certificate; of those that have not ended, if there are any.
    pub newest: Serial,
    /// Why and when that ended.
    pub end: Option<(End, i64)>,
    /// When the box was seen last.
    pub seen_at: Option<i64>,
    /// When a box whose certificate has ended came last.
    pub turned_away_at: Option<i64>,
}

/// A certificate in DER, and why it ended.
pub(crate) type Kept = (Vec<u8>, Option<End>);

/// A certificate that was just made.
pub(crate) struct Issued {
    pub(crate) serial: Serial,
    pub(crate) certificate: Vec<u8>,
}

fn odd(column: usize, what: &'static str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, what.into())
}

/// A name out of two columns.
pub(super) fn name(row: &Row<'_>, at: usize) -> rusqlite::Result<AgentName> {
    let (site, appliance): (String, String) = (row.get(at)?, row.get(at + 1)?);
    AgentName::new(&site, &appliance).map_err(|_| odd(at, "a name that no appliance can have"))
}

fn serial(row: &Row<'_>, at: usize) -> rusqlite::Result<Serial> {
    let bytes: Vec<u8> = row.get(at)?;
    Serial::read(&bytes).ok_or_else(|| odd(at, "a number that no certificate of ours can have"))
}

impl Identity {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let (end, ended_at): (Option<String>, Option<i64>) = (row.get(3)?, row.get(4)?);
        let end =
            end.map(|word| End::read(&word).ok_or_else(|| odd(3, "an end that is none"))).transpose()?;
        Ok(Self {
            name: name(row, 1)?,
            serial: serial(row, 0)?,
            end: end.zip(ended_at),
            seen_at: row.get(5)?,
            turned_away_at: row.get(6)?,
        })
    }
}

/// Ends every certificate of a name that has not ended.
pub(super) fn end_all(
    transaction: &Transaction,
    name: &AgentName,
    end: End,
    now: i64,
) -> rusqlite::Result<usize> {
    transaction.execute(
        "UPDATE identity SET end = ?3, ended_at = ?4 WHERE site = ?1 AND appliance = ?2 AND end IS NULL",
        params![name.site.as_str(), name.appliance.as_str(), end.as_str(), now],
    )
}

/// Whether a name has or had a certificate.
pub(super) fn was_there(transaction: &Transaction, name: &AgentName) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM identity WHERE site = ?1 AND appliance = ?2";
    transaction.prepare(sql)?.exists([name.site.as_str(), name.appliance.as_str()])
}

fn insert(
    transaction: &Transaction,
    name: &AgentName,
    key: &[u8],
    issued: &Issued,
    code: Option<[u8; 8]>,
    parent: Option<Serial>,
) -> rusqlite::Result<()> {
    // What could neither be used nor renewed any more.
    let old = issued.serial.issued_at() - RENEWABLE - DAY;
    transaction.execute("DELETE FROM identity WHERE issued_at < ?1", [old])?;
    transaction.execute(
        "INSERT INTO identity (serial, site, appliance, key, certificate, code, parent, issued_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            issued.serial.0,
            name.site.as_str(),
            name.appliance.as_str(),
            key,
            issued.certificate,
            code,
            parent.map(|parent| parent.0),
            issued.serial.issued_at()
        ],
    )?;
    Ok(())
}

impl Store {
    /// Every certificate that could still be shown.
    pub fn identities(&self) -> Result<Vec<Identity>, StoreError> {
        self.file.ask(|connection| {
            let sql = "SELECT serial, site, appliance, end, ended_at, seen_at, turned_away_at FROM identity ORDER BY site, appliance, serial";
            connection.prepare(sql)?.query_map([], Identity::read)?.collect()
        })
    }

    /// Those of one name.
    pub(crate) fn identities_of(&self, name: &AgentName) -> Result<Vec<Identity>, StoreError> {
        self.file.ask(|connection| {
            let sql = "SELECT serial, site, appliance, end, ended_at, seen_at, turned_away_at FROM identity WHERE site = ?1 AND appliance = ?2";
            connection.prepare(sql)?.query_map([name.site.as_str(), name.appliance.as_str()], Identity::read)?.collect()
        })
    }

    /// What is to be said of each name that ever joined, by name.
    pub fn summaries(&self) -> Result<Vec<Summary>, StoreError> {
        let mut summaries: Vec<Summary> = Vec::new();
        for Identity { name, serial, end, seen_at, turned_away_at } in self.identities()? {
            match summaries.last_mut().filter(|last| last.name == name) {
                Some(last) => {
                    last.seen_at = last.seen_at.max(seen_at);
                    last.turned_away_at = last.turned_away_at.max(turned_away_at);
                    if end.is_none() || last.end.is_some() {
                        (last.newest, last.end) = (serial, end);
                    }
                }
                None => summaries.push(Summary { name, newest: serial, end, seen_at, turned_away_at }),
            }
        }
        Ok(summaries)
    }

    /// Uses a code: ends what its name had, keeps the new certificate, and begins to set the box up. Pages are held for a name that was in no service: it has no
    /// box now, and `is_in_service` says that nobody else speaks for it either. `false` where somebody else was first, or took the code back.
    pub(crate) fn redeem(
        &mut self,
        id: [u8; 8],
        name: &AgentName,
        key: &[u8],
        issued: &Issued,
        (is_in_service, now): (bool, i64),
    ) -> Result<bool, StoreError> {
        self.file.change(|transaction| {
            let used = transaction.execute(
                "UPDATE code SET used_by = ?2, used_at = ?3 WHERE id = ?1 AND used_at IS NULL AND revoked_at IS NULL",
                params![id, key, now],
            )?;
            if used == 0 {
                return Ok(false);
            }
            let had = end_all(transaction, name, End::Replaced, now)?;
            insert(transaction, name, key, issued, Some(id), None)?;
            let was_held = commissioning::is_held(transaction, name)?;
            let holds = if had > 0 { was_held } else { !is_in_service };
            retired::end(transaction, name)?;
            commissioning::begin(transaction, name, holds, now)?;
            Ok(true)
        })
    }

    /// The newest certificate of a name for this key, and how it stands; of those that have not ended, if there are any.
    pub(crate) fn newest(&self, name: &AgentName, key: &[u8]) -> Result<Option<Kept>, StoreError> {
        let sql = "SELECT certificate, end FROM identity WHERE site = ?1 AND appliance = ?2 AND key = ?3 ORDER BY end IS NOT NULL, serial DESC LIMIT 1";
        let of = params![name.site.as_str(), name.appliance.as_str(), key];
        self.file.ask(|connection| connection.query_row(sql, of, certificate).optional())
    }

    /// The certificate that this one was renewed by for this key, if it has not ended.
    pub(crate) fn renewed(&self, parent: Serial, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let sql = "SELECT certificate, end FROM identity WHERE parent = ?1 AND key = ?2 AND end IS NULL";
        let found = self
            .file
            .ask(|connection| connection.query_row(sql, params![parent.0, key], certificate).optional())?;
        Ok(found.map(|(certificate, _)| certificate))
    }

    /// How many certificates of a name were issued since then.
    pub(crate) fn issued_since(&self, name: &AgentName, since: i64) -> Result<i64, StoreError> {
        let sql = "SELECT count(*) FROM identity WHERE site = ?1 AND appliance = ?2 AND issued_at >= ?3";
        let of = params![name.site.as_str(), name.appliance.as_str(), since];
        self.file.ask(|connection| connection.query_row(sql, of, |row| row.get(0)))
    }

    /// Keeps a certificate that takes the place of another. That one stays good until the new one is seen; another that was made in its
    /// place before, and never seen, ends. `false` where the old one has ended meanwhile.
    pub(crate) fn renew(
        &mut self,
        old: &Credential,
        key: &[u8],
        issued: &Issued,
        now: i64,
    ) -> Result<bool, StoreError> {
        self.file.change(|transaction| {
            let sql = "SELECT end IS NULL FROM identity WHERE serial = ?1";
            let is_good: Option<bool> =
                transaction.query_row(sql, [old.serial.0], |row| row.get(0)).optional()?;
            if is_good != Some(true) {
                return Ok(false);
            }
            transaction.execute(
                "UPDATE identity SET end = 'renewed', ended_at = ?2 WHERE parent = ?1 AND end IS NULL",
                params![old.serial.0, now],
            )?;
            insert(transaction, &old.name, key, issued, None, Some(old.serial))?;
            Ok(true)
        })
    }

    /// Takes a certificate of our authority that the file does not know: it was issued after the backup that this is. Older ones of its name end.
    pub(crate) fn adopt(
        &mut self,
        credential: &Credential,
        key: &[u8],
        der: &[u8],
        now: i64,
    ) -> Result<(), StoreError> {
        let issued = Issued { serial: credential.serial, certificate: der.to_vec() };
        self.file.change(|transaction| {
            let sql = "SELECT 1 FROM identity WHERE serial = ?1";
            if transaction.query_row(sql, [credential.serial.0], |_| Ok(())).optional()?.is_some() {
                return Ok(());
            }
            end_all(transaction, &credential.name, End::Replaced, now)?;
            retired::end(transaction, &credential.name)?;
            insert(transaction, &credential.name, key, &issued, None, None)
        })
    }

    /// Boxes came with these certificates, which are good: those from before them end, and the hour is noted. Says whether anything ended.
    pub fn seen(&mut self, credentials: &[Credential], now: i64) -> Result<bool, StoreError> {
        let at = now - now.rem_euclid(HOUR);
        self.note(credentials, "end IS NULL AND (seen_at IS NULL OR seen_at < ?2)", at, |transaction, serial| {
            transaction.execute("UPDATE identity SET seen_at = ?2 WHERE serial = ?1", params![serial, at])?;
            transaction.execute(
                "UPDATE identity SET end = 'renewed', ended_at = ?2 WHERE end IS NULL AND serial = (SELECT parent FROM identity WHERE serial = ?1)",
                params![serial, now],
            )
        })
    }

    /// Boxes came with these certificates, which have ended.
    pub fn turned_away(&mut self, credentials: &[Credential], now: i64) -> Result<(), StoreError> {
        let at = now - now.rem_euclid(HOUR);
        let noted = self.note(
            credentials,
            "turned_away_at IS NULL OR turned_away_at < ?2",
            at,
            |transaction, serial| {
                let sql = "UPDATE identity SET turned_away_at = ?2 WHERE serial = ?1";
                transaction.execute(sql, params![serial, at]).map(|_| 0)
            },
        );
        noted.map(drop)
    }

    /// Writes down what is news of them, in one transaction, and nothing where nothing is. Says whether it changed how any stands.
    fn note(
        &mut self,
        credentials: &[Credential],
        is_news: &str,
        at: i64,
        write: impl Fn(&Transaction, [u8; 16]) -> rusqlite::Result<usize>,
    ) -> Result<bool, StoreError> {
        let sql = format!("SELECT 1 FROM identity WHERE serial = ?1 AND ({is_news})");
        let news = self.file.ask(|connection| {
            let mut asked = connection.prepare(&sql)?;
            let mut news = Vec::new();
            for Credential { serial, .. } in credentials {
                if asked.exists(params![serial.0, at])? {
                    news.push(serial.0);
                }
            }
            Ok(news)
        })?;
        if news.is_empty() {
            return Ok(false);
        }
        self.file.change(|transaction| {
            news.iter().try_fold(false, |changed, serial| Ok(write(transaction, *serial)? > 0 || changed))
        })
    }
}

fn certificate(row: &Row<'_>) -> rusqlite::Result<Kept> {
    let end: Option<String> = row.get(1)?;
    let end = end.map(|word| End::read(&word).ok_or_else(|| odd(1, "an end that is none"))).transpose()?;
    Ok((row.get(0)?, end))
}
