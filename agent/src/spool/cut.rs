//! A disk in memory whose power can be cut, for tests: it knows of every byte whether it was synced.
//!
//! Each step that changes something (make, append, sync, sync the directory, remove) has a number, from 0. [`cut_at`] cuts the power
//! *in* one of them: it may have happened in part, it fails, and so does everything afterwards, until [`restart`] says what the
//! cut did with what was not synced. Before that a machine with a bad card can be had, too: a step that fails
//! ([`fail_at`]), no room ([`capacity`]), a file system that is read-only ([`read_only`]), blocks that do not read ([`spoil`]),
//! bits that flip ([`flip`]).
//!
//! What a cut may do is what file systems do, at their worst: a file keeps any prefix of what was appended since its last
//! sync, or the length with zeroes or rubbish in it; files made or removed since the last sync of the directory are there or not, each
//! by itself. What was synced stays. Not modelled: disks that lie about a sync; cards that damage what they are not writing
//! (that is [`flip`] and [`spoil`]).
//!
//! [`cut_at`]: CutDisk::cut_at
//! [`restart`]: CutDisk::restart
//! [`fail_at`]: CutDisk::fail_at
//! [`capacity`]: CutDisk::capacity
//! [`read_only`]: CutDisk::read_only
//! [`spoil`]: CutDisk::spoil
//! [`flip`]: CutDisk::flip

use super::disk::Disk;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a cut does with the bytes that were appended to a file and not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tail {
    /// All of them were on their way and arrived.
    Kept,
    /// None did.
    Lost,
    /// So many of the first did; at most all.
    Torn(usize),
    /// The file has its length, and zeroes in it from so many on.
    Zeroes(usize),
    /// The file has its length, and rubbish in it, by this seed.
    Rubbish(u64),
}

/// What a cut does with a change to the directory that was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entries {
    /// Every change arrived.
    Kept,
    /// None did.
    Lost,
    /// New files are there; removed ones are, too.
    OnlyMade,
    /// Neither is there.
    OnlyRemoved,
    /// Each by itself, by this seed.
    Some(u64),
}

/// The fate of everything that was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fate {
    /// Of bytes.
    pub tail: Tail,
    /// Of names.
    pub entries: Entries,
}

/// A file, and what of it is safe.
#[derive(Debug, Clone, Default)]
struct File {
    bytes: Vec<u8>,
    synced: usize,
    /// Offsets of blocks of 4 KiB that do not read.
    spoilt: Vec<u64>,
}

/// What is known of a name.
#[derive(Debug, Clone, Default)]
struct Entry {
    file: File,
    is_there: bool,
    /// Whether the directory on the medium has the name.
    is_safe: bool,
    /// What it has under that name, if that is another file than this one.
    former: Option<File>,
}

#[derive(Debug, Clone, Default)]
struct State {
    entries: BTreeMap<String, Entry>,
    steps: u64,
    appended: u64,
    cut_at: Option<u64>,
    fail_at: Option<(u64, io::ErrorKind)>,
    capacity: Option<u64>,
    is_read_only: bool,
    is_off: bool,
}

/// The disk. Clones are the same disk, so that a test keeps a hand on what the spool holds.
#[derive(Debug, Clone, Default)]
pub struct CutDisk(Arc<Mutex<State>>);

impl CutDisk {
    /// An empty disk without a bound, and power.
    pub fn new() -> Self {
        Self::default()
    }

    /// Steps so far.
    pub fn steps(&self) -> u64 {
        self.state().steps
    }

    /// Bytes that were appended so far.
    pub fn appended(&self) -> u64 {
        self.state().appended
    }

    /// Cuts the power in the step of this number; `None`: in none.
    pub fn cut_at(&self, step: Option<u64>) {
        self.state().cut_at = step;
    }

    /// Cuts the power now.
    pub fn cut(&self) {
        self.state().is_off = true;
    }

    /// Whether the power is off.
    pub fn is_off(&self) -> bool {
        self.state().is_off
    }

    /// Makes one step fail, after it happened in part.
    pub fn fail_at(&self, step: u64, error: io::ErrorKind) {
        self.state().fail_at = Some((step, error));
    }

    /// Most bytes of all files together; `None`: no bound.
    pub fn capacity(&self, bytes: Option<u64>) {
        self.state().capacity = bytes;
    }

    /// Lets so many more bytes fit than there are now; `None`: no bound.
    pub fn room(&self, free: Option<u64>) {
        let mut state = self.state();
        state.capacity = free.map(|free| free + state.used());
    }

    /// Mounts it read-only, or no longer so.
    pub fn read_only(&self, read_only: bool) {
        self.state().is_read_only = read_only;
    }

    /// Makes the block of 4 KiB that has this offset unreadable, or readable again.
    pub fn spoil(&self, name: &str, offset: u64, spoilt: bool) {
        if let Some(entry) = self.state().entries.get_mut(name) {
            let block = offset / 4096 * 4096;
            entry.file.spoilt.retain(|known| *known != block);
            if spoilt {
                entry.file.spoilt.push(block);
            }
        }
    }

    /// Flips a bit.
    pub fn flip(&self, name: &str, offset: usize, bit: u8) {
        if let Some(byte) = self.state().entries.get_mut(name).and_then(|one| one.file.bytes.get_mut(offset))
        {
            *byte ^= 1 << (bit % 8);
        }
    }

    /// Another disk that is in the same state.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self(Arc::new(Mutex::new(self.state().clone())))
    }

    /// The most bytes that a file has beyond what was synced: how far [`Tail::Torn`] makes a difference.
    pub fn unsynced(&self) -> usize {
        let state = self.state();
        state.entries.values().map(|entry| entry.file.bytes.len() - entry.file.synced).max().unwrap_or(0)
    }

    /// What a file has.
    pub fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        self.state().entries.get(name).filter(|entry| entry.is_there).map(|entry| entry.file.bytes.clone())
    }

    /// Puts a file there, synced, whatever was there.
    pub fn place(&self, name: &str, bytes: &[u8]) {
        let file = File { bytes: bytes.to_vec(), synced: bytes.len(), spoilt: Vec::new() };
        self.state()
            .entries
            .insert(name.to_owned(), Entry { file, is_there: true, is_safe: true, former: None });
    }

    /// Takes a file away, for good.
    pub fn take(&self, name: &str) {
        self.state().entries.remove(name);
    }

    /// The names of the files, in order.
    pub fn names(&self) -> Vec<String> {
        let state = self.state();
        state.entries.iter().filter(|(_, entry)| entry.is_there).map(|(name, _)| name.clone()).collect()
    }

    /// The process ended and the machine did not: nothing is lost.
    pub fn reopen(&self) {
        let mut state = self.state();
        state.is_off = false;
        state.cut_at = None;
    }

    /// The power is back, and this is what became of what was not synced.
    pub fn restart(&self, fate: Fate) {
        let mut state = self.state();
        let mut at = 0;
        state.entries.retain(|_, entry| {
            at += 1;
            let arrived = match fate.entries {
                Entries::Kept => true,
                Entries::Lost => false,
                Entries::OnlyMade => entry.is_there,
                Entries::OnlyRemoved => !entry.is_there,
                Entries::Some(seed) => mixed(seed ^ at) & 1 == 0,
            };
            let former = entry.former.take();
            if !arrived {
                entry.is_there = entry.is_safe;
                entry.file = former.unwrap_or_else(|| std::mem::take(&mut entry.file));
            }
            entry.is_safe = entry.is_there;
            entry.file.settle(fate.tail);
            entry.is_there
        });
        state.is_off = false;
        state.fail_at = None;
        state.cut_at = None;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl File {
    fn settle(&mut self, tail: Tail) {
        let fresh = self.bytes.len() - self.synced;
        match tail {
            Tail::Kept => {}
            Tail::Lost => self.bytes.truncate(self.synced),
            Tail::Torn(kept) => self.bytes.truncate(self.synced + kept.min(fresh)),
            Tail::Zeroes(kept) => self.bytes.iter_mut().skip(self.synced + kept).for_each(|byte| *byte = 0),
            Tail::Rubbish(seed) => {
                for (byte, at) in self.bytes.iter_mut().skip(self.synced).zip(0..) {
                    *byte = mixed(seed ^ at) as u8;
                }
            }
        }
        self.synced = self.bytes.len();
    }
}

/// Splitmix64's finaliser: a number for a number.
const fn mixed(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn off() -> io::Error {
    io::Error::other("the power is off")
}

impl State {
    /// Whether the step happens, happens in part, or not at all.
    fn step(&mut self) -> Result<(), io::Error> {
        if self.is_off {
            return Err(off());
        }
        if self.is_read_only {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        let step = self.steps;
        self.steps += 1;
        if self.cut_at == Some(step) {
            self.is_off = true;
            return Err(off());
        }
        match self.fail_at {
            Some((at, kind)) if at == step => Err(kind.into()),
            _ => Ok(()),
        }
    }

    fn entry(&mut self, name: &str) -> io::Result<&mut Entry> {
        let entry = self.entries.get_mut(name).filter(|entry| entry.is_there);
        entry.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn used(&self) -> u64 {
        let used: usize =
            self.entries.values().filter(|one| one.is_there).map(|one| one.file.bytes.len()).sum();
        used as u64
    }

    fn free(&self) -> u64 {
        self.capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(self.used()))
    }
}

impl Disk for CutDisk {
    fn list(&mut self) -> io::Result<Vec<String>> {
        // In no order that anybody could rely on.
        if self.is_off() { Err(off()) } else { Ok(self.names().into_iter().rev().collect()) }
    }

    fn create(&mut self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        let was_off = state.is_off;
        let done = state.step();
        if was_off || (done.is_err() && !state.is_off) {
            return done;
        }
        let entry = state.entries.entry(name.to_owned()).or_default();
        if entry.is_there {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let former = std::mem::take(&mut entry.file);
        if entry.is_safe && entry.former.is_none() {
            entry.former = Some(former);
        }
        entry.is_there = true;
        done
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        let was_off = state.is_off;
        let done = state.step();
        if was_off || state.is_read_only {
            return done;
        }
        let fits = bytes.len().min(state.free() as usize);
        // What fails fails somewhere: half of it is there. A cut leaves all of it to the fate of what was not synced.
        let there = if done.is_ok() || state.is_off { fits } else { fits / 2 };
        state.entry(name)?.file.bytes.extend(bytes.iter().take(there));
        state.appended += there as u64;
        done?;
        if fits < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        state.step()?;
        let file = &mut state.entry(name)?.file;
        file.synced = file.bytes.len();
        Ok(())
    }

    fn sync_directory(&mut self) -> io::Result<()> {
        let mut state = self.state();
        state.step()?;
        state.entries.retain(|_, entry| {
            entry.is_safe = entry.is_there;
            entry.former = None;
            entry.is_there
        });
        Ok(())
    }

    fn read_at(&mut self, name: &str, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut state = self.state();
        if state.is_off {
            return Err(off());
        }
        let file = &state.entry(name)?.file;
        let from = file.bytes.get(offset as usize..).unwrap_or_default();
        let read = from.len().min(into.len());
        let range = offset..offset + read as u64;
        if file.spoilt.iter().any(|block| *block < range.end && range.start < block + 4096) {
            return Err(io::Error::from_raw_os_error(5));
        }
        into.iter_mut().zip(from).for_each(|(to, byte)| *to = *byte);
        Ok(read)
    }

    fn length(&mut self, name: &str) -> io::Result<u64> {
        let mut state = self.state();
        if state.is_off { Err(off()) } else { Ok(state.entry(name)?.file.bytes.len() as u64) }
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        let was_off = state.is_off;
        let done = state.step();
        if !was_off && (done.is_ok() || state.is_off) {
            state.entry(name)?.is_there = false;
        }
        done
    }
}
