//! What the history costs on disk, how fast it takes in and gives back: the realistic day, beside VictoriaMetrics and
//! Prometheus on the same samples.
//!
//! Ours goes through the store itself as the hub's storage thread drives it: every record is committed and synced, steps of
//! maintenance in between, the clock an argument that follows the data. So the figure includes its indexes, catalogs and
//! accounts, and what it took to write, read, merge and write again.

use crate::{Effort, peer};
use rackside_history::{Batch, NewRecord, Reader, SeriesId, SeriesKey, Settings, Stats, Step, Store};
use rackside_proto::{AgentName, Channel, Run, Sending};
use rackside_tests::day::{Columns, DAY_MS, Day, Described, Made, Recorder};
use rackside_tests::{clock, measure};
use std::iter::Peekable;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

/// Prometheus's importer is slow and its size grows evenly with the fleet: it gets no more appliances than this.
const PROMETHEUS: usize = 20;
/// How many appliances live the day, unless told otherwise.
const APPLIANCES: usize = 100;
/// How often a read is timed.
const READS: usize = 50;

/// What one way of keeping a day came to.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) name: String,
    pub(crate) samples: u64,
    pub(crate) bytes: u64,
    /// To take all samples in, until nothing is left to do.
    pub(crate) wall: Duration,
    pub(crate) cpu: Option<Duration>,
}

impl Kept {
    fn each(&self) -> f64 {
        self.bytes as f64 / self.samples as f64
    }
}

/// Size and rates of a day.
pub(crate) fn day(effort: Effort) -> Result<(), String> {
    let day = Day::new(effort.appliances.unwrap_or(APPLIANCES), 1);
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    println!("{} appliances x 60 series, one day at 10 s\n", day.appliances);
    let mut all = ours(&day, directory.path())?;
    reads(&day, directory.path())?;
    drop(directory);
    println!();
    let few = Day { appliances: day.appliances.min(PROMETHEUS), ..day.clone() };
    for kept in [peer::victoria_metrics(&day), peer::prometheus(&few)] {
        match kept {
            Ok(kept) => all.push(kept),
            // The others count all the same.
            Err(error) => println!("{error}"),
        }
    }
    let baseline = all.iter().find(|kept| kept.name.starts_with("Victoria")).map_or(f64::NAN, Kept::each);
    println!(
        "{:<38} {:>11} {:>12} {:>9} {:>6} {:>12} {:>14}",
        "kept by", "samples", "bytes", "B/sample", "ratio", "samples/s", "samples/CPU s"
    );
    for kept in &all {
        let Kept { name, samples, bytes, wall, cpu, .. } = kept;
        let per_cpu = cpu.map_or("-".to_owned(), |cpu| format!("{:.0}", *samples as f64 / cpu.as_secs_f64()));
        println!(
            "{name:<38} {samples:>11} {bytes:>12} {:>9.3} {:>6.2} {:>12.0} {per_cpu:>14}",
            kept.each(),
            kept.each() / baseline,
            *samples as f64 / wall.as_secs_f64(),
        );
    }
    Ok(())
}

/// The day in our store, before and after its hours became a day.
fn ours(day: &Day, directory: &Path) -> Result<Vec<Kept>, String> {
    let mut writer = Writer::open(directory, day)?;
    let mut samples = 0;
    for number in 0..day.appliances {
        samples += known(&day.columns(number));
    }
    let end = day.start_ms + day.lasts_ms;
    for slot in (day.start_ms..end).step_by(day.tick_ms as usize) {
        writer.take(slot..slot + day.tick_ms)?;
    }
    let mut all = Vec::new();
    // The last hour closes a little later, and the day later still.
    for (name, hours) in [("rackside, its hours closed", 1..=1), ("rackside, its day closed", 2..=72)] {
        let mut now = end;
        for hour in hours {
            now = end + hour * 3_600_000;
            writer.settle(now)?;
        }
        writer.tell()?;
        let bytes;
        (writer, bytes) = writer.bytes(now)?;
        all.push(Kept { name: name.to_owned(), samples, bytes, wall: writer.wall, cpu: Some(writer.cpu) });
    }
    for number in [0, day.appliances - 1] {
        same(&day.columns(number), &writer.store.reader())?;
    }
    Ok(all)
}

fn known(columns: &Columns) -> u64 {
    columns.columns.iter().map(|column| column.values.iter().flatten().count() as u64).sum()
}

/// A store that is fed a fleet's records in order of time, and the time that it takes.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) store: Store,
    recorders: Vec<Peekable<Recorder>>,
    agents: Vec<(AgentName, Run)>,
    pub(crate) wall: Duration,
    cpu: Duration,
}

impl Writer {
    pub(crate) fn open(directory: &Path, day: &Day) -> Result<Self, String> {
        let recorder = |number| Recorder::new(day.rack(number), Run(number as u32));
        Self::of(directory, day.start_ms, (0..day.appliances).map(recorder).collect())
    }

    /// For records that begin at `start_ms`.
    pub(crate) fn of(directory: &Path, start_ms: u64, recorders: Vec<Recorder>) -> Result<Self, String> {
        let store = Store::open(directory, Settings::new(start_ms)).map_err(|error| error.to_string())?;
        let agents = recorders.iter().map(|recorder| (recorder.name().clone(), recorder.run())).collect();
        let recorders = recorders.into_iter().map(Iterator::peekable).collect();
        Ok(Self { store, recorders, agents, wall: Duration::ZERO, cpu: Duration::ZERO })
    }

    /// Commits what is made within `slot`, as it comes, and lets the store do what is due.
    pub(crate) fn take(&mut self, slot: Range<u64>) -> Result<(), String> {
        let mut made: Vec<(usize, Made)> = Vec::new();
        for (at, recorder) in self.recorders.iter_mut().enumerate() {
            while let Some(one) = recorder.next_if(|made| made.ms < slot.end) {
                made.push((at, one));
            }
        }
        made.sort_by_key(|(at, made)| (made.ms, *at, made.seq));
        let records = made.into_iter().map(|(at, made)| {
            let (agent, run) = &self.agents[at];
            NewRecord {
                agent: agent.clone(),
                channel: Channel::Data,
                received_ms: made.ms + 3,
                live: true,
                payload: made.message(*run, made.seq, Sending::First),
            }
        });
        let batch = Batch { records: records.collect(), ..Batch::default() };
        self.timed(|store| store.commit(&batch, slot.end).map_err(|error| error.to_string()))?;
        self.settle(slot.end)
    }

    /// Lets the store do all that is due at `now_ms`.
    pub(crate) fn settle(&mut self, now_ms: u64) -> Result<(), String> {
        let monotonic = Duration::from_millis(now_ms);
        self.timed(|store| {
            while store.maintain(now_ms, monotonic).map_err(|error| error.to_string())? == Step::More {}
            Ok(())
        })
    }

    fn timed<T>(&mut self, work: impl FnOnce(&mut Store) -> Result<T, String>) -> Result<T, String> {
        let own = std::process::id();
        let (start, cpu) = (clock::now(), measure::cpu_fine(own));
        let done = work(&mut self.store)?;
        self.wall += start.elapsed();
        self.cpu += measure::cpu_fine(own).saturating_sub(cpu);
        Ok(done)
    }

    /// What it is made of.
    fn tell(&self) -> Result<(), String> {
        let Stats { bytes, free_bytes, inbox, undated, aside, hours, days, .. } =
            self.store.stats().map_err(|error| error.to_string())?;
        println!(
            "{bytes} bytes, {free_bytes} of them free; {hours} hours, {days} days; inbox {inbox}, undated {undated}, aside {aside}"
        );
        Ok(())
    }

    /// Bytes of all its files when it is closed. While it is open there is a write-ahead log of a few MB, however much there is
    /// beside it.
    fn bytes(self, now_ms: u64) -> Result<(Self, u64), String> {
        let Self { store, recorders, agents, wall, cpu } = self;
        let path = store.path();
        drop(store);
        let directory = path.parent().ok_or("the database is in no directory")?;
        let bytes = peer::size(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
        let store = Store::open(directory, Settings::new(now_ms)).map_err(|error| error.to_string())?;
        Ok((Self { store, recorders, agents, wall, cpu }, bytes))
    }
}

/// Whether the history has what the day has.
fn same(columns: &Columns, reader: &Reader) -> Result<(), String> {
    let range = 0..u64::MAX >> 1;
    let listed = reader.series(&columns.agent).map_err(|error| error.to_string())?;
    for column in &columns.columns {
        let (id, _) =
            find(&listed, &column.series).ok_or_else(|| format!("{:?} is missing", column.series))?;
        let samples = reader.samples(&columns.agent, id, range.clone()).map_err(|error| error.to_string())?;
        let found =
            samples.times.iter().zip(&samples.values).filter_map(|(ms, value)| Some((*ms, (*value)?)));
        let wanted =
            columns.times.iter().zip(&column.values).filter_map(|(ms, value)| Some((*ms, (*value)?)));
        if !found.eq(wanted) {
            return Err(format!("{}: {:?} came out otherwise than it went in", columns.agent, column.series));
        }
    }
    Ok(())
}

fn find<'k>(listed: &'k [(SeriesId, SeriesKey)], series: &Described) -> Option<(SeriesId, &'k SeriesKey)> {
    let labels = |key: &SeriesKey| {
        key.labels.len() == series.labels.len()
            && series
                .labels
                .iter()
                .all(|(name, value)| key.labels.iter().any(|(n, v)| **n == **name && **v == **value))
    };
    listed.iter().find(|(_, key)| *key.name == *series.name && labels(key)).map(|(id, key)| (*id, key))
}

/// One series over the day, from a store that was just opened and from one that is warm.
fn reads(day: &Day, directory: &Path) -> Result<(), String> {
    let now = day.start_ms + 4 * DAY_MS;
    let store = Store::open(directory, Settings::new(now)).map_err(|error| error.to_string())?;
    let reader = store.reader();
    let whole = day.start_ms..day.start_ms + day.lasts_ms;
    let mut first = Vec::new();
    let mut again = Vec::new();
    for read in 0..READS {
        let agent = rackside_tests::day::name(read * 7 % day.appliances);
        let listed = reader.series(&agent).map_err(|error| error.to_string())?;
        let (id, _) = listed.get(read * 13 % listed.len().max(1)).ok_or("no series")?;
        for times in [&mut first, &mut again] {
            let start = clock::now();
            let samples = reader.samples(&agent, *id, whole.clone()).map_err(|error| error.to_string())?;
            times.push(start.elapsed());
            if samples.times.len() < 8_000 {
                return Err(format!("{agent} has {} samples of {id:?}", samples.times.len()));
            }
        }
    }
    told("one series over 1 day, raw, first time", &mut first);
    told("the same once more", &mut again);
    Ok(())
}

pub(crate) fn told(what: &str, times: &mut [Duration]) {
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1000.0;
    println!("{what}: median {:.2} ms, largest {:.2} ms of {}", at(0.5), at(1.0), times.len());
}

/// How many racks live for a year, and their tick: an hour's rollup is as large whatever the tick.
const YEAR: Day = Day { appliances: 3, tick_ms: 60_000, lasts_ms: 366 * DAY_MS, ..Day::new(3, 2) };

/// One series over a year by the hour, after a year went through the store with its clock running fast.
pub(crate) fn year(_: Effort) -> Result<(), String> {
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    let mut writer = Writer::open(directory.path(), &YEAR)?;
    // As many readings to a commit as a backlog has: a year has millions.
    let slot = 100 * YEAR.tick_ms;
    let end = YEAR.start_ms + YEAR.lasts_ms;
    let start = clock::now();
    for from in (YEAR.start_ms..end).step_by(slot as usize) {
        writer.take(from..from + slot)?;
    }
    for hour in 1..=72 {
        writer.settle(end + hour * 3_600_000)?;
    }
    let took = start.elapsed().as_secs_f64();
    let (writer, bytes) = writer.bytes(end + 3 * DAY_MS)?;
    println!(
        "{} appliances x 60 series, {} days at {} s went through in {took:.0} s: {bytes} bytes on disk",
        YEAR.appliances,
        YEAR.lasts_ms / DAY_MS,
        YEAR.tick_ms / 1000,
    );
    writer.tell()?;
    by_the_hour(&writer.store.reader(), YEAR.start_ms..YEAR.start_ms + 365 * DAY_MS)
}

fn by_the_hour(reader: &Reader, range: Range<u64>) -> Result<(), String> {
    let mut times = Vec::new();
    for read in 0..READS {
        let agent = rackside_tests::day::name(read % YEAR.appliances);
        let listed = reader.series(&agent).map_err(|error| error.to_string())?;
        let (id, key) = listed.get(read * 13 % listed.len().max(1)).ok_or("no series")?;
        let start = clock::now();
        let buckets = reader
            .rollup(&agent, *id, range.clone(), rackside_history::Resolution::Hour)
            .map_err(|error| error.to_string())?;
        times.push(start.elapsed());
        if buckets.len() < 364 * 24 {
            return Err(format!("{agent} has {} hours of {}", buckets.len(), key.name));
        }
    }
    told("one series over 1 year by the hour", &mut times);
    Ok(())
}
