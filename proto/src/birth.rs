//! Who an appliance is.

use crate::codec::{Input, checked, put};
use crate::{Catalog, ClockSource, DecodeError, EncodeError, Revision, Run, Sink, Time, WIRE, limits};
use serde::{Deserialize, Serialize};

/// What an agent says of itself on each connection and whenever its catalog changes. Retained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Birth<'a> {
    /// This start of the agent.
    pub run: Run,
    /// The connection's number in the run.
    pub connection: u32,
    /// The lowest `seq` of this run that is still held.
    pub floor: u64,
    /// The `seq` that the next record will get.
    pub next: u64,
    /// When this was written.
    pub time: Time,
    /// Where the clock comes from.
    pub clock: ClockSource,
    /// The kernel's boot id.
    pub boot_id: [u8; 16],
    /// Milliseconds from one reading to the next.
    pub tick_ms: u32,
    /// The agent's version: `0.1.0`.
    pub version: &'a str,
    /// The machine's name.
    pub hostname: &'a str,
    /// What the board calls itself (`Raspberry Pi 4 Model B Rev 1.4`), or nothing.
    pub model: &'a str,
    /// The system: `Debian GNU/Linux 12 (bookworm)`.
    pub os: &'a str,
    /// The kernel's release: `6.1.0-50-arm64`.
    pub kernel: &'a str,
    /// The processor's architecture: `aarch64`.
    pub arch: &'a str,
    /// What it can do.
    pub capabilities: Capabilities,
    /// The revision of the hub's configuration that it runs on; 0 for its own file alone. One that has not reached the hub yet is not told.
    pub config_revision: u32,
    /// Where records are kept.
    pub spool: SpoolPlace,
    /// How many bytes of records it can keep.
    pub spool_bytes: u64,
    /// A copy of the newest catalog, for whoever comes later than its record; `None` before the first.
    pub catalog: Option<Catalog<'a>>,
    /// The revision code of a Raspberry Pi; `None` for other machines, and from agents that do not tell it.
    pub revision: Option<Revision>,
    /// Milliseconds from one data message to the next: the tick, unless readings are collected (on a line that costs money).
    pub interval_ms: u32,
}

/// What an agent can do, one bit each; new ones are added above.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Capabilities(pub u32);

impl Capabilities {
    /// It has GPIO.
    pub const GPIO: Self = Self(1);
    /// It flashes its LEDs when the hub says so.
    pub const IDENTIFY: Self = Self(1 << 1);
    /// It runs its probes at once.
    pub const PROBE: Self = Self(1 << 2);
    /// It tells the last lines of its log.
    pub const LOG: Self = Self(1 << 3);
    /// It mutes its local alarm.
    pub const MUTE: Self = Self(1 << 4);
    /// It takes a configuration of the hub's.
    pub const CONFIGURATION: Self = Self(1 << 5);

    /// Both together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether every bit of `other` is set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// Where an agent keeps its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SpoolPlace {
    /// In memory only: they do not outlive the process.
    Memory,
    /// On the disk, once the hub has been silent for a while.
    Disk,
}

/// The part that postcard writes as it stands; the catalog's own form follows.
#[derive(Serialize, Deserialize)]
struct Head<'a> {
    run: Run,
    connection: u32,
    floor: u64,
    next: u64,
    time: Time,
    clock: ClockSource,
    boot_id: [u8; 16],
    tick_ms: u32,
    version: &'a str,
    hostname: &'a str,
    model: &'a str,
    os: &'a str,
    kernel: &'a str,
    arch: &'a str,
    capabilities: Capabilities,
    config_revision: u32,
    spool: SpoolPlace,
    spool_bytes: u64,
    has_catalog: bool,
}

impl<'a> Birth<'a> {
    /// Appends the body. `catalog` is what [`Catalog::encode`] wrote; the field of that name is not looked at.
    pub fn encode<S: Sink>(&self, catalog: Option<&[u8]>, sink: &mut S) -> Result<(), EncodeError> {
        let head = Head {
            run: self.run,
            connection: self.connection,
            floor: self.floor,
            next: self.next,
            time: self.time,
            clock: self.clock,
            boot_id: self.boot_id,
            tick_ms: self.tick_ms,
            version: checked(self.version, "version")?,
            hostname: checked(self.hostname, "host name")?,
            model: checked(self.model, "model")?,
            os: checked(self.os, "system")?,
            kernel: checked(self.kernel, "kernel")?,
            arch: checked(self.arch, "architecture")?,
            capabilities: self.capabilities,
            config_revision: self.config_revision,
            spool: self.spool,
            spool_bytes: self.spool_bytes,
            has_catalog: catalog.is_some(),
        };
        sink.put(&[WIRE])?;
        put(sink, &head)?;
        catalog.map_or(Ok(()), |bytes| sink.put(bytes))?;
        put(sink, &self.revision.map_or(0, |revision| revision.0))?;
        put(sink, &self.interval_ms)
    }

    /// Reads a body.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut input = Input::body(bytes, limits::LARGE)?;
        let head: Head<'a> = input.take("birth")?;
        for text in [head.version, head.hostname, head.model, head.os, head.kernel, head.arch] {
            checked(text, "").map_err(|_| DecodeError::Limit("text in birth"))?;
        }
        let catalog = if head.has_catalog { Some(Catalog::take(&mut input)?) } else { None };
        // From here on it is what was added: an older agent's birth ends before it.
        let revision: u32 = if input.rest().is_empty() { 0 } else { input.take("revision")? };
        let interval_ms = if input.rest().is_empty() { head.tick_ms } else { input.take("interval")? };
        Ok(Self {
            run: head.run,
            connection: head.connection,
            floor: head.floor,
            next: head.next,
            time: head.time,
            clock: head.clock,
            boot_id: head.boot_id,
            tick_ms: head.tick_ms,
            version: head.version,
            hostname: head.hostname,
            model: head.model,
            os: head.os,
            kernel: head.kernel,
            arch: head.arch,
            capabilities: head.capabilities,
            config_revision: head.config_revision,
            spool: head.spool,
            spool_bytes: head.spool_bytes,
            catalog,
            revision: (revision != 0).then_some(Revision(revision)),
            interval_ms,
        })
    }
}
