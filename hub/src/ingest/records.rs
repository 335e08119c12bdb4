//! Records in: each is shown, accounted for once, and put into the next batch.

use super::waiting::Key;
use super::{ACK_AT, ACK_WITHIN, HEARD_WITHIN, Ingest, Reason, custody, past};
use crate::clock::Now;
use crate::configure::Adoption;
use crate::fleet::{Reading, ReadingError};
use crate::inbound::Inbound;
use rackside_history::{Entry, NewCatalog, NewRecord};
use rackside_proto::{
    AgentName, Catalog, Channel, Data, Envelope, Event, Readings, Record, Run, Sending, Time, Value, What,
};
use std::time::Duration;

/// What the fleet made of a record.
enum Understood {
    /// It can be read.
    Yes,
    /// It does not fit its catalog, and never will.
    Never,
    /// Its catalog is not known; it was asked for, or given up.
    NotYet,
}

impl Ingest {
    pub(super) fn data(
        &mut self,
        agent: &AgentName,
        record: &Record<'_, Data<'_>>,
        message: &Inbound,
        now: Now,
    ) -> Result<(), Reason> {
        let envelope = plausible(&record.envelope, message.retained)?;
        let slot = self.open(agent, now)?;
        self.open_account(slot, envelope.run, envelope.floor, now);
        let had = self.custody[slot].has(&envelope);
        let mut fits = true;
        match &record.body {
            Data::Catalog(catalog) if had => {
                self.fleet.heard(slot, &envelope, now);
                if self.catalog_apart(slot, envelope.run, catalog, now)? {
                    // Sent once more because it was asked for: accounted for already, and no duplicate.
                    self.lose_below(slot, envelope.run, envelope.floor, now);
                    self.ack_within(slot, ACK_WITHIN, now);
                } else {
                    self.came_again(slot, &envelope, ACK_WITHIN, now);
                }
                return Ok(());
            }
            Data::Catalog(catalog) => {
                if !self.waiting.has_room_for_catalog() {
                    self.refuse(slot, now);
                    return Ok(());
                }
                self.catalog(slot, envelope.run, catalog, now)?;
                self.fleet.heard(slot, &envelope, now);
            }
            Data::Readings(_) if had => {
                self.fleet.heard(slot, &envelope, now);
                self.came_again(slot, &envelope, ACK_WITHIN, now);
                return Ok(());
            }
            Data::Readings(readings) => {
                self.look_for(slot, &envelope, readings.catalog, now);
                let taken = self.readings(slot, &envelope, readings, now);
                match self.understood(slot, &envelope, taken, now) {
                    Understood::Yes => {}
                    Understood::Never => fits = false,
                    Understood::NotYet => return Ok(()),
                }
            }
        }
        if self.keep(slot, &envelope, (Channel::Data, message), now)? {
            self.counts.aside += u64::from(!fits);
            if let Data::Catalog(catalog) = &record.body {
                self.custody[slot].stored(envelope.run, catalog.head.number, now.instant);
            }
        }
        Ok(())
    }

    pub(super) fn event(
        &mut self,
        agent: &AgentName,
        record: &Record<'_, Event<'_>>,
        message: &Inbound,
        now: Now,
    ) -> Result<(), Reason> {
        let envelope = plausible(&record.envelope, message.retained)?;
        let slot = self.open(agent, now)?;
        self.open_account(slot, envelope.run, envelope.floor, now);
        if self.custody[slot].has(&envelope) {
            self.fleet.heard(slot, &envelope, now);
            self.came_again(slot, &envelope, Duration::ZERO, now);
            return Ok(());
        }
        let understood = match record.body.what {
            What::Sample { catalog, series, value } => {
                self.look_for(slot, &envelope, catalog, now);
                let sample = (catalog, series, value);
                let taken = self.sample(slot, &envelope, sample, record.body.time, now);
                self.understood(slot, &envelope, taken, now)
            }
            What::Text { .. } | What::Anchor { .. } | What::Configuration { .. } => {
                self.fleet.heard(slot, &envelope, now);
                Understood::Yes
            }
        };
        if matches!(understood, Understood::NotYet) {
            return Ok(());
        }
        let kept = self.keep(slot, &envelope, (Channel::Event, message), now)?;
        if let What::Configuration { revision, adopted, why } = record.body.what
            && kept
        {
            let became = Adoption::Became { revision, adopted, why: why.to_owned() };
            self.adoptions.push((agent.clone(), became));
        }
        if matches!(understood, Understood::Never) {
            self.counts.aside += u64::from(kept);
        } else if kept || envelope.sending == Sending::First {
            // What is not kept comes again; it is told of now if it happened now.
            let appliance = &self.fleet.appliances()[slot];
            self.mirror.event(appliance, (&envelope, &record.body), &self.prefix, now, &mut self.out);
        }
        Ok(())
    }

    fn readings(
        &mut self,
        slot: usize,
        envelope: &Envelope,
        readings: &Readings<'_>,
        now: Now,
    ) -> Result<Reading, ReadingError> {
        match self.fleet.readings(slot, envelope, readings, now) {
            Err(ReadingError::NoCatalog(number)) if self.recall(slot, envelope.run, number, now) => {
                self.fleet.readings(slot, envelope, readings, now)
            }
            taken => taken,
        }
    }

    fn sample(
        &mut self,
        slot: usize,
        envelope: &Envelope,
        sample: (u32, u32, Value),
        time: Time,
        now: Now,
    ) -> Result<Reading, ReadingError> {
        match self.fleet.sample(slot, envelope, sample, time, now) {
            Err(ReadingError::NoCatalog(number)) if self.recall(slot, envelope.run, number, now) => {
                self.fleet.sample(slot, envelope, sample, time, now)
            }
            taken => taken,
        }
    }

    /// Makes sure that the history has the catalog of a record from the backlog: it lets go of old ones that nothing uses
    /// any more, and what uses one now would not be understood there. Live records use the newest, which stays.
    fn look_for(&mut self, slot: usize, envelope: &Envelope, number: u32, now: Now) {
        let run = envelope.run;
        if envelope.sending == Sending::First || self.custody[slot].is_stored(run, number, now.instant) {
            return;
        }
        let appliance = &self.fleet.appliances()[slot];
        if !appliance.run(run).is_some_and(|run| run.has_listing(number)) {
            return;
        }
        match self.past.catalog(&appliance.name, run, number) {
            Ok(Some(_)) => self.custody[slot].stored(run, number, now.instant),
            Ok(None) => self.fleet.forget_catalog(slot, run, number),
            Err(error) => log::debug!("catalog {number} of run {run} cannot be read: {error}"),
        }
    }

    /// Gets a catalog back that is stored. Says whether it is there now; one that was looked for in vain is not looked
    /// for again until it comes.
    fn recall(&mut self, slot: usize, run: Run, number: u32, now: Now) -> bool {
        if self.custody[slot].lacks(run, number) || self.waiting.is_stalled(now.instant) {
            return false;
        }
        let stored = self.past.catalog(&self.fleet.appliances()[slot].name, run, number);
        let bytes = stored.unwrap_or_else(|error| {
            log::debug!("catalog {number} of run {run} cannot be read: {error}");
            None
        });
        let kept = bytes.and_then(|bytes| {
            past::with_catalog(&bytes, |catalog| self.fleet.catalog(slot, run, catalog).is_ok())
        });
        if kept == Some(true) {
            self.custody[slot].stored(run, number, now.instant);
        }
        kept.unwrap_or(false)
    }

    /// If a record's catalog is missing, that is asked for and the record is left with its agent, until it is clear that
    /// the catalog will never come.
    fn understood(
        &mut self,
        slot: usize,
        envelope: &Envelope,
        taken: Result<Reading, ReadingError>,
        now: Now,
    ) -> Understood {
        match taken {
            Ok(Reading::Latest | Reading::Older) => Understood::Yes,
            Err(ReadingError::Decode(error)) => {
                log::debug!(
                    "record {} of run {} does not fit its catalog: {error}",
                    envelope.seq,
                    envelope.run
                );
                Understood::Never
            }
            Err(ReadingError::NoCatalog(number)) => {
                self.counts.deferred += 1;
                let in_vain = self.custody[slot].want(envelope.run, number, now.instant);
                self.lose_below(slot, envelope.run, envelope.floor, now);
                if in_vain {
                    let lost = self.custody[slot].give_up(envelope);
                    self.count_lost(slot, envelope.run, lost, now);
                    log::debug!(
                        "record {} of run {} is lost: no catalog {number}",
                        envelope.seq,
                        envelope.run
                    );
                }
                self.heard(slot, ACK_WITHIN, now);
                Understood::NotYet
            }
        }
    }

    /// A record that cannot be read is left with its agent. One that comes again and again and never can be is lost, and
    /// acked past: all that was made after it waits behind it.
    pub(super) fn unreadable(&mut self, agent: &AgentName, message: &Inbound, now: Now) {
        let envelope = Envelope::decode(&message.payload).map_err(Reason::from);
        let Ok(envelope) = envelope.and_then(|envelope| plausible(&envelope, message.retained)) else {
            return;
        };
        let Some(slot) = self.fleet.slot(agent) else { return };
        self.open_account(slot, envelope.run, envelope.floor, now);
        self.ack_within(slot, ACK_WITHIN, now);
        let custody = &mut self.custody[slot];
        if custody.has(&envelope) || !custody.is_spoiled(&envelope, now.instant) {
            return;
        }
        let lost = custody.give_up(&envelope);
        let Envelope { run, seq, .. } = envelope;
        log::warn!("{agent}: record {seq} of run {run} cannot be read, however often it comes; it is lost");
        self.count_lost(slot, run, lost, now);
    }

    /// A catalog that comes in a record of its own.
    fn catalog(&mut self, slot: usize, run: Run, catalog: &Catalog<'_>, now: Now) -> Result<(), Reason> {
        self.custody[slot].has_catalog(run, catalog.head.number);
        let before = self.compared(slot, run, catalog.head.number, now);
        self.counts.series_ignored += self.fleet.catalog(slot, run, catalog)? as u64;
        if let Some(before) = before {
            self.note_series(slot, run, &before, now);
        }
        Ok(())
    }

    /// A catalog that comes in a birth, or again. Says whether it was needed. Data that use it may come before its record
    /// does, so it is kept with them.
    pub(super) fn catalog_apart(
        &mut self,
        slot: usize,
        run: Run,
        catalog: &Catalog<'_>,
        now: Now,
    ) -> Result<bool, Reason> {
        let number = catalog.head.number;
        let appliance = &self.fleet.appliances()[slot];
        let known = appliance.run(run).is_some_and(|run| run.has_listing(number));
        if !known && !self.waiting.has_room_for_catalog() {
            self.refuse(slot, now);
            return Ok(false);
        }
        let agent = appliance.name.clone();
        self.catalog(slot, run, catalog, now)?;
        if !known {
            let body = past::bytes_of(catalog).into();
            self.waiting.push_catalog(NewCatalog { agent, run, number, body }, now.instant + ACK_WITHIN);
            self.custody[slot].stored(run, number, now.instant);
        }
        Ok(!known)
    }

    /// A record that was taken before.
    fn came_again(&mut self, slot: usize, envelope: &Envelope, within: Duration, now: Now) {
        self.custody[slot].duplicates += 1;
        self.counts.duplicates += 1;
        self.lose_below(slot, envelope.run, envelope.floor, now);
        self.heard(slot, within, now);
    }

    /// Too much waits for the disk, or what is on it cannot be read: the record stays with its agent.
    fn refuse(&mut self, slot: usize, now: Now) {
        self.counts.refused += 1;
        self.heard(slot, ACK_WITHIN, now);
    }

    /// Puts a record that was not taken before into the next batch. Says whether it was taken.
    fn keep(
        &mut self,
        slot: usize,
        envelope: &Envelope,
        (channel, message): (Channel, &Inbound),
        now: Now,
    ) -> Result<bool, Reason> {
        if !self.waiting.has_room(now.instant) || !self.custody[slot].knows(envelope.run) {
            self.refuse(slot, now);
            return Ok(false);
        }
        let entry = self.custody[slot].take(envelope);
        self.lose_below(slot, envelope.run, envelope.floor, now);
        self.heard(slot, HEARD_WITHIN, now);
        if entry == Entry::Full {
            return Err(Reason::Limit);
        }
        self.counts.records += 1;
        let many = self.custody[slot].gathered >= ACK_AT;
        let at_once = many || channel == Channel::Event;
        let due = now.instant + if at_once { Duration::ZERO } else { ACK_WITHIN };
        let record = NewRecord {
            agent: self.fleet.appliances()[slot].name.clone(),
            channel,
            received_ms: now.utc_ms,
            live: envelope.sending == Sending::First,
            // A copy: the message is a slice of what its socket read at once, which must not live as long as the record.
            payload: bytes::Bytes::copy_from_slice(&message.payload),
        };
        self.waiting.push(Key { slot, run: envelope.run, seq: envelope.seq }, record, due);
        Ok(true)
    }
}

/// Refuses numbers that no agent can have reached. A record that a broker had kept is not live, whatever it says.
fn plausible(envelope: &Envelope, retained: bool) -> Result<Envelope, Reason> {
    if envelope.seq >= custody::SEQ_END || envelope.floor > envelope.seq + custody::FLOOR_AHEAD {
        return Err(Reason::Limit);
    }
    let sending = if retained { Sending::Again } else { envelope.sending };
    Ok(Envelope { sending, ..*envelope })
}
