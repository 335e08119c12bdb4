//! How small samples get, and how fast: the history's chunks beside what they could have been made of.
//!
//! All on the same racks' realistic day (`rackside_tests::day`), by the hour and by the day. *Differences, zstd* is what
//! VictoriaMetrics does with numbers (`lib/encoding` of its source): differences for what goes up and down, differences of
//! differences for what rises, as varints, in blocks of at most 8,192, by zstd at a level that grows with the block; constants
//! and constant differences apart. Every candidate's bytes are read back and compared.

use crate::Effort;
use pco::standalone::{simple_compress, simple_decompress};
use pco::{ChunkConfig, DeltaSpec};
use rackside_history::Samples;
use rackside_history::chunk::{self, Chunk, Directory};
use rackside_history::rollup::{self, Rollup};
use rackside_tests::day::{Class, Columns, Day, START_MS};
use rackside_tests::measure;
use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

const RACKS: usize = 20;
const HOUR_MS: u64 = 3_600_000;
const TIMES_OVER: u32 = 2000;

/// Numbers to bytes and back.
trait Codec {
    fn name(&self) -> String;
    fn encode(&self, numbers: &[i64]) -> Vec<u8>;
    fn decode(&self, bytes: &[u8], count: usize) -> Vec<i64>;
}

/// Bytes, samples and time by class; times of readings are a class of their own.
#[derive(Default)]
struct Sums {
    bytes: BTreeMap<&'static str, usize>,
    encoding: Duration,
    decoding: Duration,
}

const TIMES: &str = "times, once a rack";
const FRAME: &str = "directory, checksums";

/// Bytes by sample for each class and each candidate.
pub(crate) fn codec(_: Effort) -> Result<(), String> {
    let racks: Vec<Columns> = (0..RACKS).map(|rack| Day::new(RACKS, 1).columns(rack)).collect();
    for (what, span) in [("hours", HOUR_MS), ("days", 24 * HOUR_MS)] {
        let parts: Vec<Part> = racks.iter().flat_map(|rack| parts(rack, span)).collect();
        let mut samples = BTreeMap::new();
        for part in &parts {
            for (class, values) in &part.columns {
                *samples.entry(class.as_str()).or_insert(0) += values.iter().flatten().count();
            }
        }
        let mut results = vec![("chunk".to_owned(), chunks(&parts)?)];
        for codec in codecs() {
            results.push((codec.name(), alone(&*codec, &parts)?));
        }
        print(what, &samples, &results);
    }
    println!();
    one_series(&racks[0])?;
    rollups(&racks)
}

/// A rack's samples over one chunk's time.
struct Part {
    times: Arc<[u64]>,
    columns: Vec<(Class, Vec<Option<i64>>)>,
}

fn parts(rack: &Columns, span: u64) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut from = 0;
    for times in rack.times.chunk_by(|a, b| a / span == b / span) {
        let range = from..from + times.len();
        let columns = rack.columns.iter();
        let columns =
            columns.map(|column| (column.series.class, column.values[range.clone()].to_vec())).collect();
        parts.push(Part { times: times.into(), columns });
        from = range.end;
    }
    parts
}

fn samples_of(part: &Part) -> Vec<(u32, Samples)> {
    let columns = (0_u32..).zip(&part.columns);
    columns
        .map(|(series, (_, values))| {
            (series, Samples { times: Arc::clone(&part.times), values: values.clone() })
        })
        .collect()
}

/// The history's own chunks, whole.
fn chunks(parts: &[Part]) -> Result<Sums, String> {
    let columns: Vec<_> = parts.iter().map(samples_of).collect();
    let (encoding, chunks) =
        timed(|| columns.iter().map(|columns| chunk::encode(columns)).collect::<Result<Vec<_>, _>>());
    let chunks = chunks.map_err(|error| error.to_string())?;
    let read = |bytes: &Vec<u8>| Chunk::open(bytes).and_then(|chunk| chunk.columns());
    let (decoding, ()) = timed(|| {
        for bytes in &chunks {
            drop(black_box(read(bytes)));
        }
    });
    let mut sums = Sums { encoding, decoding, ..Sums::default() };
    for ((part, columns), bytes) in parts.iter().zip(&columns).zip(&chunks) {
        if read(bytes).as_ref() != Ok(columns) {
            return Err("a chunk did not read back as it was".to_owned());
        }
        let directory = Directory::open(bytes).map_err(|error| error.to_string())?;
        for (series, (class, _)) in (0..).zip(&part.columns) {
            *sums.bytes.entry(class.as_str()).or_default() += directory.bytes(series);
        }
        // What is left when there is nothing but times.
        let times =
            [(0, Samples { times: Arc::clone(&part.times), values: vec![Some(0); part.times.len()] })];
        let times = chunk::encode(&times).map_err(|error| error.to_string())?.len();
        let columns: usize = directory.series().map(|series| directory.bytes(series)).sum();
        *sums.bytes.entry(TIMES).or_default() += times;
        *sums.bytes.entry(FRAME).or_default() += bytes.len().saturating_sub(columns + times);
    }
    Ok(sums)
}

/// Each column by itself, without anything around it, and without the values that are missing.
fn alone(codec: &dyn Codec, parts: &[Part]) -> Result<Sums, String> {
    let mut lists: Vec<(&str, Vec<i64>)> = Vec::new();
    for part in parts {
        lists.push((TIMES, part.times.iter().map(|ms| *ms as i64).collect()));
        let known = |values: &[Option<i64>]| values.iter().copied().flatten().collect();
        lists.extend(part.columns.iter().map(|(class, values)| (class.as_str(), known(values))));
    }
    let (encoding, encoded) =
        timed(|| lists.iter().map(|(_, numbers)| codec.encode(numbers)).collect::<Vec<_>>());
    let (decoding, ()) = timed(|| {
        for ((_, numbers), bytes) in lists.iter().zip(&encoded) {
            drop(black_box(codec.decode(bytes, numbers.len())));
        }
    });
    let mut sums = Sums { encoding, decoding, ..Sums::default() };
    for ((class, numbers), bytes) in lists.iter().zip(&encoded) {
        if codec.decode(bytes, numbers.len()) != *numbers {
            return Err(format!("{} did not read back as it was", codec.name()));
        }
        *sums.bytes.entry(class).or_default() += bytes.len();
    }
    Ok(sums)
}

/// How much processor time `work` takes: other programs do not count. Told in steps of a few milliseconds.
fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let own = std::process::id();
    let before = measure::cpu_fine(own);
    let done = work();
    (measure::cpu_fine(own).saturating_sub(before), done)
}

fn print(what: &str, samples: &BTreeMap<&str, usize>, results: &[(String, Sums)]) {
    let all: usize = samples.values().sum();
    println!("\n{RACKS} racks x 60 series at 10 s by {what}, {all} samples, bytes/sample:\n");
    let row = |name: &str, of: &dyn Fn(&Sums) -> String| {
        let cells: Vec<String> = results.iter().map(|(_, sums)| of(sums)).collect();
        println!("| {name} | {} |", cells.join(" | "));
    };
    let names: Vec<&str> = results.iter().map(|(name, _)| name.as_str()).collect();
    println!("| | {} |", names.join(" | "));
    println!("|---|{}", "---|".repeat(results.len()));
    for class in Class::ALL {
        let count = samples.get(class.as_str()).copied().unwrap_or(0);
        let name = format!("{}, {:.0} %", class.as_str(), count as f64 * 100.0 / all as f64);
        row(&name, &|sums| format!("{:.3}", share(sums.bytes.get(class.as_str()), count)));
    }
    for class in [TIMES, FRAME] {
        row(class, &|sums| format!("{:.3}", share(sums.bytes.get(class), all)));
    }
    row("**all**", &|sums| format!("**{:.4}**", sums.bytes.values().sum::<usize>() as f64 / all as f64));
    let speed = |took: Duration| format!("{:.1}", all as f64 / 1e6 / took.as_secs_f64());
    row("encoding, M samples per CPU second", &|sums| speed(sums.encoding));
    row("decoding, M samples per CPU second", &|sums| speed(sums.decoding));
}

fn share(bytes: Option<&usize>, count: usize) -> f64 {
    bytes.copied().unwrap_or(0) as f64 / count.max(1) as f64
}

/// How long one series of a day takes, directory and all.
fn one_series(rack: &Columns) -> Result<(), String> {
    let part = parts(rack, 24 * HOUR_MS).pop().ok_or("a day has samples")?;
    let bytes = chunk::encode(&samples_of(&part)).map_err(|error| error.to_string())?;
    print!("one series of one day, from a chunk of {} bytes, in us:", bytes.len());
    for class in Class::ALL {
        let series = part.columns.iter().position(|(of, _)| *of == class).unwrap_or(0) as u32;
        let (took, ()) = timed(|| {
            for _ in 0..TIMES_OVER {
                drop(black_box(Chunk::open(&bytes).and_then(|chunk| chunk.column(series))));
            }
        });
        print!(" {} {:.0};", class.as_str(), took.as_secs_f64() * 1e6 / f64::from(TIMES_OVER));
    }
    println!();
    Ok(())
}

/// What is left of a day as buckets.
fn rollups(racks: &[Columns]) -> Result<(), String> {
    let window = START_MS..START_MS + 24 * HOUR_MS;
    for (what, step) in [("minutes", 60_000), ("hours", HOUR_MS)] {
        let make = |rack: &Columns| -> Vec<(u32, Rollup)> {
            let columns = (0..).zip(&rack.columns).map(|(series, column)| {
                let samples = Samples { times: Arc::clone(&rack.times), values: column.values.clone() };
                let kind = column.series.kind;
                let buckets = rollup::of(kind, &samples, None, window.clone(), step);
                (series, Rollup { kind, buckets })
            });
            columns.collect()
        };
        let (took, encoded) = timed(|| {
            let encoded = racks.iter().map(|rack| rollup::encode(&make(rack)));
            encoded.collect::<Result<Vec<_>, _>>()
        });
        let encoded = encoded.map_err(|error| error.to_string())?;
        let bytes: usize = encoded.iter().map(Vec::len).sum();
        let mut buckets = 0;
        let mut classes: BTreeMap<Class, (usize, usize)> = BTreeMap::new();
        for (rack, bytes) in racks.iter().zip(&encoded) {
            let directory = Directory::open(bytes).map_err(|error| error.to_string())?;
            for (series, column) in (0..).zip(&rack.columns) {
                let class = classes.entry(column.series.class).or_default();
                class.0 += directory.bytes(series);
                class.1 += directory.samples(series);
            }
            let read = rollup::decode(bytes).map_err(|error| error.to_string())?;
            if read != make(rack) {
                return Err("buckets did not read back as they were".to_owned());
            }
            buckets += read.iter().map(|(_, rollup)| rollup.buckets.len()).sum::<usize>();
        }
        println!(
            "one day as {what}: {buckets} buckets, {:.3} bytes/bucket, {:.0} KB by rack and day, {:.1} ms to make",
            bytes as f64 / buckets as f64,
            bytes as f64 / racks.len() as f64 / 1000.0,
            took.as_secs_f64() * 1000.0 / racks.len() as f64
        );
        for (class, (bytes, buckets)) in classes {
            print!(" {} {:.2};", class.as_str(), bytes as f64 / buckets as f64);
        }
        println!();
    }
    Ok(())
}

fn codecs() -> Vec<Box<dyn Codec>> {
    vec![
        Box::new(Pco(4)),
        Box::new(Pco(8)),
        Box::new(Pco(12)),
        Box::new(Zstd(3)),
        Box::new(Zstd(19)),
        Box::new(Differences),
    ]
}

/// Pco's own file at a level, left to itself.
struct Pco(usize);

impl Codec for Pco {
    fn name(&self) -> String {
        format!("pco {}", self.0)
    }

    fn encode(&self, numbers: &[i64]) -> Vec<u8> {
        let config = ChunkConfig::default().with_compression_level(self.0).with_delta_spec(DeltaSpec::Auto);
        simple_compress(numbers, &config).expect("a level up to 12 and few numbers")
    }

    fn decode(&self, bytes: &[u8], _: usize) -> Vec<i64> {
        simple_decompress(bytes).expect("just written")
    }
}

/// Differences in eight bytes each, by zstd alone.
struct Zstd(i32);

impl Codec for Zstd {
    fn name(&self) -> String {
        format!("zstd {}", self.0)
    }

    fn encode(&self, numbers: &[i64]) -> Vec<u8> {
        let bytes: Vec<u8> = differences(numbers).into_iter().flat_map(i64::to_le_bytes).collect();
        zstd::bulk::compress(&bytes, self.0).expect("a known level")
    }

    fn decode(&self, bytes: &[u8], count: usize) -> Vec<i64> {
        let bytes = zstd::bulk::decompress(bytes, count * 8).expect("just written");
        sums(bytes.as_chunks().0.iter().map(|number| i64::from_le_bytes(*number)).collect())
    }
}

/// As VictoriaMetrics has it.
struct Differences;

/// Its blocks have at most so many rows.
const BLOCK: usize = 8192;
/// It leaves shorter blocks as they are.
const WORTH_ZSTD: usize = 128;

impl Codec for Differences {
    fn name(&self) -> String {
        "differences, zstd".to_owned()
    }

    fn encode(&self, numbers: &[i64]) -> Vec<u8> {
        numbers.chunks(BLOCK).flat_map(block).collect()
    }

    fn decode(&self, mut bytes: &[u8], count: usize) -> Vec<i64> {
        let mut numbers = Vec::with_capacity(count);
        while numbers.len() < count {
            let size = BLOCK.min(count - numbers.len());
            numbers.extend(read_block(&mut bytes, size));
        }
        numbers
    }
}

fn block(numbers: &[i64]) -> Vec<u8> {
    let first = differences(numbers);
    let rest = first.get(1..).unwrap_or(&[]);
    let mut out = Vec::new();
    if rest.iter().all(|step| rest[0] == *step) {
        out.push(0);
        put(&mut out, numbers[0]);
        put(&mut out, rest.first().copied().unwrap_or(0));
        return out;
    }
    // A counter falls in less than an eighth of its steps, when its source starts again.
    let falls = rest.iter().filter(|step| **step < 0).count();
    let orders = if falls > numbers.len() / 8 { 1 } else { 2 };
    let numbers = if orders == 1 { first } else { differences(&first) };
    let mut varints = Vec::new();
    for number in &numbers {
        put(&mut varints, *number);
    }
    let level = match numbers.len() {
        0..=64 => 1,
        65..=256 => 2,
        257..=1024 => 3,
        1025..=4096 => 4,
        _ => 5,
    };
    let small = zstd::bulk::compress(&varints, level).expect("a known level");
    let pays = varints.len() >= WORTH_ZSTD && small.len() * 10 <= varints.len() * 9;
    let (form, body) = if pays { (orders + 2, small) } else { (orders, varints) };
    out.push(form);
    out.extend_from_slice(&(body.len() as u32).to_le_bytes());
    out.extend_from_slice(&body);
    out
}

fn read_block(bytes: &mut &[u8], count: usize) -> Vec<i64> {
    let (&form, rest) = bytes.split_first().expect("just written");
    *bytes = rest;
    if form == 0 {
        let (first, step) = (take(bytes), take(bytes));
        return (0..count as i64).map(|at| first.wrapping_add(step.wrapping_mul(at))).collect();
    }
    let (length, rest) = bytes.split_first_chunk().expect("just written");
    let (body, rest) = rest.split_at(u32::from_le_bytes(*length) as usize);
    *bytes = rest;
    let plain = if form > 2 {
        zstd::bulk::decompress(body, count * 10).expect("just written")
    } else {
        body.to_vec()
    };
    let mut plain = plain.as_slice();
    let numbers: Vec<i64> = (0..count).map(|_| take(&mut plain)).collect();
    if form % 2 == 1 { sums(numbers) } else { sums(sums(numbers)) }
}

/// The first number, then how far each is from the one before.
fn differences(numbers: &[i64]) -> Vec<i64> {
    let mut before = 0_i64;
    let step = |number: &i64| number.wrapping_sub(std::mem::replace(&mut before, *number));
    numbers.iter().map(step).collect()
}

fn sums(mut numbers: Vec<i64>) -> Vec<i64> {
    let mut sum = 0_i64;
    for number in &mut numbers {
        sum = sum.wrapping_add(*number);
        *number = sum;
    }
    numbers
}

fn put(out: &mut Vec<u8>, number: i64) {
    let mut number = ((number << 1) ^ (number >> 63)) as u64;
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn take(bytes: &mut &[u8]) -> i64 {
    let (mut number, mut shift) = (0_u64, 0);
    while let Some((&byte, rest)) = bytes.split_first() {
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte < 0x80 {
            break;
        }
    }
    (number >> 1) as i64 ^ -((number & 1) as i64)
}
