//! One-time codes, as the hub knows them: by their public keys.

use super::{End, Store, commissioning, identity, retired};
use crate::certificate::DAY;
use crate::proof::CodeKey;
use rackside_proto::AgentName;
use rackside_proto::join::Code;
use rackside_store::StoreError;
use rusqlite::{OptionalExtension as _, Row, Transaction, params};

/// How long a code is good.
const LIFE: i64 = DAY;
/// So long after it was made it is remembered, so that whoever has it is told what became of it.
const REMEMBERED: i64 = 60 * DAY;

/// A code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeRow {
    /// For which appliance.
    pub name: AgentName,
    /// When it was made, in milliseconds since 1970.
    pub made_at: i64,
    /// Until when it is good.
    pub expires_at: i64,
    /// When it was used.
    pub used_at: Option<i64>,
    /// When it was taken back.
    pub revoked_at: Option<i64>,
    /// How often another box came with it after it was used.
    pub tries: i64,
    pub(crate) key: Vec<u8>,
    pub(crate) used_by: Option<Vec<u8>>,
}

const COLUMNS: &str = "site, appliance, made_at, expires_at, used_at, revoked_at, tries, key, used_by";

impl CodeRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            name: identity::name(row, 0)?,
            made_at: row.get(2)?,
            expires_at: row.get(3)?,
            used_at: row.get(4)?,
            revoked_at: row.get(5)?,
            tries: row.get(6)?,
            key: row.get(7)?,
            used_by: row.get(8)?,
        })
    }

    /// Whether it could be used now.
    pub fn is_open(&self, now: i64) -> bool {
        self.used_at.is_none() && self.revoked_at.is_none() && now < self.expires_at
    }
}

/// Takes back the codes of a name that were not used.
fn take_back(transaction: &Transaction, name: &AgentName, now: i64) -> rusqlite::Result<usize> {
    transaction.execute(
        "UPDATE code SET revoked_at = ?3 WHERE site = ?1 AND appliance = ?2 AND used_at IS NULL AND revoked_at IS NULL",
        params![name.site.as_str(), name.appliance.as_str(), now],
    )
}

/// What ended of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ended {
    /// Certificates that were good.
    pub certificates: usize,
    /// Codes that were not used.
    pub codes: usize,
    /// It was in service until now.
    pub is_retired: bool,
}

impl Ended {
    /// Whether there was nothing to end.
    pub const fn is_nothing(self) -> bool {
        self.certificates == 0 && self.codes == 0 && !self.is_retired
    }
}

impl Store {
    /// Remembers a new code for an appliance, good for a day. Codes for it that were not used are good no more.
    pub fn make_code(&mut self, code: &Code, name: &AgentName, now: i64) -> Result<CodeRow, StoreError> {
        let CodeKey { id, key } = CodeKey::of(code);
        self.file.change(|transaction| {
            transaction.execute("DELETE FROM code WHERE made_at < ?1", [now - REMEMBERED])?;
            take_back(transaction, name, now)?;
            transaction.execute(
                "INSERT INTO code (id, key, site, appliance, made_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![id, key, name.site.as_str(), name.appliance.as_str(), now, now + LIFE],
            )?;
            Ok(())
        })?;
        Ok(CodeRow {
            name: name.clone(),
            made_at: now,
            expires_at: now + LIFE,
            used_at: None,
            revoked_at: None,
            tries: 0,
            key: key.to_vec(),
            used_by: None,
        })
    }

    /// What is known of this very code.
    pub fn code_of(&self, code: &Code) -> Result<Option<CodeRow>, StoreError> {
        let CodeKey { id, key } = CodeKey::of(code);
        Ok(self.code(id)?.filter(|row| row.key == key))
    }

    /// The code with this id.
    pub(crate) fn code(&self, id: [u8; 8]) -> Result<Option<CodeRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM code WHERE id = ?1");
        self.file.ask(|connection| connection.query_row(&sql, [id], CodeRow::read).optional())
    }

    /// Codes that were made lately, newest first.
    pub fn codes(&self) -> Result<Vec<CodeRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM code ORDER BY made_at DESC");
        self.file.ask(|connection| connection.prepare(&sql)?.query_map([], CodeRow::read)?.collect())
    }

    /// Another box came with a code that was used.
    pub(crate) fn tried(&mut self, id: [u8; 8]) -> Result<(), StoreError> {
        self.file.change(|transaction| {
            transaction.execute("UPDATE code SET tries = tries + 1 WHERE id = ?1", [id]).map(drop)
        })
    }

    /// Ends what a name has: its certificates and the codes that were not used. Retired, it is out of service if it has joined before, or if it
    /// `is_known` to be an appliance.
    pub fn end(&mut self, name: &AgentName, end: End, is_known: bool, now: i64) -> Result<Ended, StoreError> {
        self.file.change(|transaction| {
            commissioning::end(transaction, name)?;
            let certificates = identity::end_all(transaction, name, end, now)?;
            let codes = take_back(transaction, name, now)?;
            let is_known = is_known || identity::was_there(transaction, name)?;
            let is_retired = end == End::Retired && is_known && retired::begin(transaction, name, now)?;
            Ok(Ended { certificates, codes, is_retired })
        })
    }
}
