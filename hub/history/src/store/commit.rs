//! A commit: all of a batch is on the disk, or nothing is.
//!
//! A record appends one row to the inbox and touches nothing else, so that a thousand agents cost a commit no more pages
//! than one. What is rare (a catalog, a boot's first date, a loss) is written to its table right away.

use super::account::{Held, RunKey};
use super::agents::Agent;
use super::{Store, catalog, dates, flush};
use crate::log::HUB;
use crate::{Account, Batch, NewRecord, StoreError};
use rackside_proto::{AgentName, Channel, Data, Envelope, Event, Record, Time, What};
use rusqlite::{Connection, Transaction, params};
use std::collections::{HashMap, HashSet};

/// So many records that could not be understood are kept, the latest; all are counted.
const ASIDE: u32 = 1_000;

/// What became of a batch's records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Committed {
    /// They were new.
    pub stored: u64,
    /// They were accounted for already, and changed nothing.
    pub duplicates: u64,
    /// They are no records, and were put aside.
    pub aside: u64,
}

/// What a commit changes in memory, once the disk has it.
#[derive(Debug, Default)]
struct Pending {
    new_agents: HashMap<AgentName, u32>,
    heard: HashMap<u32, u64>,
    accounts: HashMap<RunKey, Held>,
    /// Accounts that the inbox alone would not give again.
    dirty: HashSet<RunKey>,
    rows: Vec<(u32, i64)>,
    bytes: u64,
    dated: Vec<(u32, u32)>,
    live: Vec<(Time, u64)>,
    /// The latest moments of boots that were dated.
    boots: HashMap<(u32, u32), u64>,
    done: Committed,
}

impl Store {
    /// Puts the batch on the disk: synced when this returns `Ok`, and nothing taken when it does not.
    ///
    /// A record that is accounted for is left out, so a batch may be offered again after an error.
    pub fn commit(&mut self, batch: &Batch, now_ms: u64) -> Result<Committed, StoreError> {
        self.names.check()?;
        let failed = self.failed();
        let pending = self.write(batch, now_ms).map_err(failed)?;
        Ok(self.remember(pending))
    }

    fn write(&mut self, batch: &Batch, now_ms: u64) -> rusqlite::Result<Pending> {
        let mut pending = Pending::default();
        let transaction = self.db.unchecked_transaction()?;
        for new in &batch.catalogs {
            let agent = self.agent(&transaction, &new.agent, now_ms, &mut pending)?;
            if !catalog::keep(&transaction, (agent, new.run.0, new.number), now_ms, &new.body)? {
                log::warn!("catalog {} of run {} of {} cannot be read", new.number, new.run, new.agent);
            }
        }
        for record in &batch.records {
            self.take(&transaction, record, &mut pending)?;
        }
        for note in &batch.notes {
            let agent = match &note.agent {
                Some(name) => self.agent(&transaction, name, note.at_ms, &mut pending)?,
                None => HUB,
            };
            flush::save_text(&transaction, agent, (note.at_ms, note.subject, &note.text))?;
        }
        for account in &batch.accounts {
            self.lose(&transaction, account, now_ms, &mut pending)?;
        }
        for key in &pending.dirty {
            if let Some(held) = pending.accounts.get(key) {
                held.save(&transaction, *key)?;
            }
        }
        transaction.commit()?;
        Ok(pending)
    }

    fn remember(&mut self, pending: Pending) -> Committed {
        for (name, id) in pending.new_agents {
            self.agents.put(id, Agent { name, flushed_upto: 0, last_ms: 0 });
        }
        for (id, ms) in pending.heard {
            if let Some(agent) = self.agents.find_mut(id) {
                agent.last_ms = agent.last_ms.max(ms);
            }
        }
        for (key, held) in pending.accounts {
            self.accounts.put(key, held);
        }
        for (time, received_ms) in pending.live {
            if self.trust.hear(time, received_ms) {
                self.look_again = Some(0);
            }
        }
        for (boot, ms) in pending.boots {
            let latest = self.boots.entry(boot).or_default();
            *latest = ms.max(*latest);
        }
        if let Some((_, last)) = pending.rows.last() {
            self.next_row = last + 1;
        }
        self.index.enter(&pending.rows);
        self.bytes_since_flush += pending.bytes;
        for boot in pending.dated {
            if !self.datable.contains(&boot) {
                self.datable.push(boot);
            }
        }
        pending.done
    }

    fn take(&self, db: &Transaction<'_>, record: &NewRecord, pending: &mut Pending) -> rusqlite::Result<()> {
        let agent = self.agent(db, &record.agent, record.received_ms, pending)?;
        let payload = &record.payload;
        let body = match record.channel {
            Channel::Event => Record::<Event<'_>>::decode(payload).map(Body::Event),
            _ => Record::<Data<'_>>::decode(payload).map(Body::Data),
        };
        let body = match body {
            Ok(body) => body,
            Err(error) => {
                pending.done.aside += 1;
                return put_aside(db, agent, record.received_ms, &error.to_string(), payload);
            }
        };
        let envelope = body.envelope();
        let key = (agent, envelope.run.0);
        let (mut held, opened) = match self.account(db, key, pending)? {
            Some(held) => (held, false),
            None => (Held::open(&envelope, record.received_ms), true),
        };
        if let Body::Data(Record { body: Data::Catalog(list), bytes, .. }) = &body {
            // Even one that was accounted for: it may have been let go since.
            let (_, bytes) = bytes.split_first().unwrap_or((&0, &[]));
            catalog::keep(db, (agent, key.1, list.head.number), record.received_ms, bytes)?;
        }
        let duplicate = !opened && held.seqs.contains(envelope.seq);
        let before = held.seqs.first_missing();
        held.enter(&envelope, record.received_ms);
        if duplicate {
            pending.done.duplicates += 1;
            if held.seqs.first_missing() != before {
                pending.dirty.insert(key);
            }
        } else {
            pending.done.stored += 1;
            self.store(db, (agent, record), &body, (key, &mut held), pending)?;
        }
        pending.accounts.insert(key, held);
        Ok(())
    }

    /// Writes a new record where it belongs.
    fn store(
        &self,
        db: &Transaction<'_>,
        (agent, record): (u32, &NewRecord),
        body: &Body<'_>,
        (key, held): (RunKey, &mut Held),
        pending: &mut Pending,
    ) -> rusqlite::Result<()> {
        let received_ms = record.received_ms;
        let time = match body {
            // Its table has it whole.
            Body::Data(Record { body: Data::Catalog(_), .. }) => {
                pending.dirty.insert(key);
                return Ok(());
            }
            Body::Data(Record { body: Data::Readings(readings), .. }) => {
                readings.iter().last().map_or(readings.time, |reading| reading.time)
            }
            Body::Event(Record { body: event, .. }) => event.time,
        };
        if let Body::Event(Record {
            body: Event { what: What::Anchor { boot, boot_ms, utc_ms }, .. }, ..
        }) = body
            && dates::see_anchor(
                db,
                agent,
                (*boot, *boot_ms, self.latest_of((agent, *boot), pending)),
                (*utc_ms, received_ms),
                &self.trust,
            )?
        {
            pending.dated.push((agent, *boot));
        }
        if record.live {
            pending.live.push((time, received_ms));
            if let Time::Boot { boot, ms } = time
                && dates::see_live(
                    db,
                    agent,
                    (boot, ms, self.latest_of((agent, boot), pending)),
                    received_ms,
                )?
            {
                pending.dated.push((agent, boot));
            }
        }
        let event = record.channel == Channel::Event;
        let payload = record.payload.as_ref();
        if let Some(shift) = dates::shift(db, agent, time, (record.live, received_ms), &self.trust)? {
            if let Time::Boot { boot, ms } = time {
                let latest = pending.boots.entry((agent, boot)).or_default();
                *latest = ms.max(*latest);
            }
            let row = self.next_row + pending.rows.len() as i64;
            append(db, row, (agent, received_ms, shift, event), payload)?;
            pending.rows.push((agent, row));
            pending.bytes += payload.len() as u64;
            held.rows += 1;
        } else {
            let boot = if let Time::Boot { boot, .. } = time { Some(boot) } else { None };
            db.prepare_cached(
                "INSERT INTO undated (agent, boot, received_ms, event, payload) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![agent, boot, received_ms as i64, event, payload])?;
            pending.dirty.insert(key);
        }
        Ok(())
    }

    /// An account that changed in a way which records do not show.
    fn lose(
        &self,
        db: &Transaction<'_>,
        account: &Account,
        now_ms: u64,
        pending: &mut Pending,
    ) -> rusqlite::Result<()> {
        let agent = self.agent(db, &account.agent, now_ms, pending)?;
        let key = (agent, account.run.0);
        let mut held = self.account(db, key, pending)?.unwrap_or_else(|| Held {
            first_ms: now_ms,
            last_ms: now_ms,
            ..Held::default()
        });
        held.seqs.merge(&account.seqs);
        held.lost = held.lost.max(account.lost);
        pending.dirty.insert(key);
        pending.accounts.insert(key, held);
        Ok(())
    }

    /// The latest moment of a boot that was dated, as far as memory goes.
    fn latest_of(&self, boot: (u32, u32), pending: &Pending) -> u64 {
        let of = |boots: &HashMap<(u32, u32), u64>| boots.get(&boot).copied().unwrap_or_default();
        of(&self.boots).max(of(&pending.boots))
    }

    fn account(&self, db: &Connection, key: RunKey, pending: &mut Pending) -> rusqlite::Result<Option<Held>> {
        pending.accounts.remove(&key).map_or_else(|| self.accounts.find(db, key), |held| Ok(Some(held)))
    }

    fn agent(
        &self,
        db: &Connection,
        name: &AgentName,
        received_ms: u64,
        pending: &mut Pending,
    ) -> rusqlite::Result<u32> {
        let known = self.agents.id(name).or_else(|| pending.new_agents.get(name).copied());
        let id = if let Some(id) = known {
            id
        } else {
            let id = self.agents.last_id() + 1 + pending.new_agents.len() as u32;
            db.prepare_cached("INSERT INTO agents (id, name, flushed_upto, last_ms) VALUES (?1, ?2, 0, ?3)")?
                .execute(params![id, name.to_string(), received_ms as i64])?;
            pending.new_agents.insert(name.clone(), id);
            id
        };
        let heard = pending.heard.entry(id).or_default();
        *heard = received_ms.max(*heard);
        Ok(id)
    }
}

/// A record's body, whichever.
enum Body<'a> {
    Data(Record<'a, Data<'a>>),
    Event(Record<'a, Event<'a>>),
}

impl Body<'_> {
    const fn envelope(&self) -> Envelope {
        match self {
            Self::Data(record) => record.envelope,
            Self::Event(record) => record.envelope,
        }
    }
}

/// Appends a row to the inbox.
pub(super) fn append(
    db: &Connection,
    row: i64,
    (agent, received_ms, shift, event): (u32, u64, i64, bool),
    payload: &[u8],
) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO inbox (id, agent, received_ms, shift_ms, event, payload) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![row, agent, received_ms as i64, shift, event, payload])?;
    Ok(())
}

/// Keeps what cannot be understood, and counts it.
pub(super) fn put_aside(
    db: &Connection,
    agent: u32,
    received_ms: u64,
    why: &str,
    payload: &[u8],
) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT INTO aside (agent, received_ms, why, payload) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![agent, received_ms as i64, why, payload])?;
    db.prepare_cached("DELETE FROM aside WHERE id <= (SELECT max(id) FROM aside) - ?1")?.execute([ASIDE])?;
    db.prepare_cached("UPDATE meta SET aside = aside + 1")?.execute([])?;
    Ok(())
}
