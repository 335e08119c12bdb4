//! What commits cost: bytes to the disk in a fleet's small batches, processor time in large ones, and an hour's flush.
//!
//! ```text
//! cargo run --release -p rackside-history --example writes -- DIRECTORY
//! ```
//!
//! The directory should be on the disk in question. Figures come from /proc/self, so Linux only.

use rackside_history::{Batch, NewRecord, Settings, Step, Store};
use rackside_proto::{
    AgentName, Catalog, CatalogHead, Channel, Data, Envelope, Kind, Labels, Run, Scale, Sending, Series,
    Time, Value,
};
use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

const SERIES: usize = 60;
const AGENTS: u32 = 1_000;
/// 2026-11-20T00:00:00Z.
const START: u64 = 1_795_132_800_000;

fn main() -> Result<(), Box<dyn Error>> {
    let dir = PathBuf::from(std::env::args().nth(1).ok_or("name a directory")?).join("rackside-writes");
    fs::create_dir_all(&dir)?;
    let mut store = Store::open(&dir, Settings::new(START))?;
    let catalogs = (0..AGENTS).map(|agent| record(agent, 0, Channel::Data, &catalog())).collect();
    store.commit(&Batch { records: catalogs, ..Batch::default() }, START)?;

    let before = written()?;
    let commits = 4 * 360;
    let mut payload = 0;
    for commit in 0..commits {
        let records: Vec<NewRecord> = (0..25).map(|n| reading(commit as u32 * 25 + n)).collect();
        payload += records.iter().map(|record| record.payload.len() as u64).sum::<u64>();
        store.commit(&Batch { records, ..Batch::default() }, START)?;
    }
    let bytes = written()? - before;
    println!(
        "{commits} commits of 25 records of {SERIES} series (4 a second): {} bytes each, {} of them records",
        bytes / commits,
        payload / commits
    );

    let mut batches: Vec<Batch> = Vec::new();
    for batch in 0..40_u32 {
        let records = (0..25_000).map(|n| reading(36_000 + batch * 25_000 + n)).collect();
        batches.push(Batch { records, ..Batch::default() });
    }
    let (before, io) = (processor()?, written()?);
    for batch in &batches {
        store.commit(batch, START)?;
    }
    let (spent, io) = (processor()? - before, written()? - io);
    println!(
        "1,000,000 records in 40 commits: {} ns of CPU and {} bytes a record",
        spent / 1_000_000,
        io / 1_000_000
    );
    drop(batches);

    let (before, io) = (processor()?, written()?);
    let (mut steps, mut longest) = (0, 0);
    loop {
        let before = processor()?;
        let done = store.maintain(START + 2 * 3_600_000, Duration::ZERO)?;
        longest = longest.max(processor()? - before);
        if done != Step::More {
            break;
        }
        steps += 1;
    }
    let samples = (1_036_000 * SERIES) as u64;
    println!(
        "flush of {samples} samples in {steps} steps, the longest {} ms: {} ns of CPU and {:.2} bytes a sample",
        longest / 1_000_000,
        (processor()? - before) / samples,
        (written()? - io) as f64 / samples as f64
    );
    println!("{:?}", store.stats()?);
    drop(store);
    fs::remove_dir_all(dir)?;
    Ok(())
}

/// The `n`th reading of the fleet: agents take turns.
fn reading(n: u32) -> NewRecord {
    let (agent, turn) = (n % AGENTS, u64::from(n / AGENTS));
    let references = [Value::Known(0); SERIES];
    let values: Vec<Value> = (0..SERIES as u64)
        .map(|series| {
            Value::Known(if series % 3 == 0 { 400 + (turn * 7 + series) % 11 } else { series } as i64)
        })
        .collect();
    let mut body = Vec::new();
    let time = Time::Utc { ms: START + turn * 10_000 / 4 };
    Data::encode_readings(1, &references, [(time, values.as_slice())].into_iter(), &mut body)
        .expect("60 values fit");
    record(agent, turn + 1, Channel::Data, &body)
}

fn catalog() -> Vec<u8> {
    let head = CatalogHead { number: 1, time: Time::Utc { ms: START }, boot_id: [0; 16], tick_ms: 10_000 };
    let names: Vec<String> = (0..SERIES).map(|n| format!("rackside_quantity_{n}_celsius")).collect();
    let series = names.iter().map(|name| Series {
        name,
        labels: Labels::new(),
        unit: "celsius",
        kind: Kind::Gauge,
        scale: Scale::per(10),
        reference: Value::Known(0),
    });
    let mut catalog = Vec::new();
    Catalog::encode(&head, series, &mut catalog).expect("60 series fit");
    let mut body = Vec::new();
    Data::encode_catalog(&catalog, &mut body).expect("fits");
    body
}

fn record(agent: u32, seq: u64, channel: Channel, body: &[u8]) -> NewRecord {
    let envelope = Envelope { run: Run(agent), seq, floor: 0, sending: Sending::First };
    let mut payload = Vec::new();
    envelope.encode(&mut payload).expect("a Vec takes it");
    payload.extend_from_slice(body);
    let agent = AgentName::new("arena-north", &format!("rack-{agent}")).expect("is a name");
    NewRecord { agent, channel, received_ms: START, live: true, payload: payload.into() }
}

/// Bytes that this process caused to be written to a disk.
fn written() -> Result<u64, Box<dyn Error>> {
    let io = fs::read_to_string("/proc/self/io")?;
    let line = io.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    Ok(line.ok_or("no write_bytes in /proc/self/io")?.parse()?)
}

/// Nanoseconds of processor time of this process so far.
fn processor() -> Result<u64, Box<dyn Error>> {
    let all: u64 = fs::read_to_string("/proc/self/schedstat")?.split(' ').next().ok_or("empty")?.parse()?;
    Ok(all)
}
