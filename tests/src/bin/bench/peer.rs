//! The same samples in what others would keep them in: VictoriaMetrics and Prometheus as Debian packs them.
//!
//! Both get the real values as decimals and are measured at their best: VictoriaMetrics after its forced merge, Prometheus as
//! one block for the whole time. Files are counted by their length, caches and locks left out.

use crate::history::Kept;
use rackside_tests::day::{Day, json_line, open_metrics};
use rackside_tests::process::Process;
use rackside_tests::{clock, http, measure, port, programs};
use rustix::process::Signal;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Until a database on this machine has started, stopped, or answered.
const PATIENCE: Duration = Duration::from_mins(2);

/// `day` in VictoriaMetrics: imported over its HTTP API, flushed, merged, stopped.
pub(crate) fn victoria_metrics(day: &Day) -> Result<Kept, String> {
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    let data = directory.path().join("data");
    let address = port::local(port::free());
    let mut command = Command::new(installed("victoria-metrics")?);
    command.arg(format!("-storageDataPath={}", data.display()));
    // The day stays the same while years go by.
    command.arg(format!("-httpListenAddr={address}")).arg("-retentionPeriod=100y");
    let mut process = Process::start(&mut command, &directory.path().join("log"))?;
    let answers =
        || http::get(address, "/health", "*/*").is_ok_and(|answer| answer.status == 200).then_some(());
    clock::eventually(PATIENCE, answers).ok_or_else(|| process.last_words())?;
    let cpu = || measure::cpu_fine(process.id());
    let (mut samples, mut wall, before) = (0, Duration::ZERO, cpu());
    for number in 0..day.appliances {
        let columns = day.columns(number);
        let mut lines = String::new();
        for column in &columns.columns {
            samples += json_line(&columns, column, &mut lines);
        }
        let start = clock::now();
        post(address, "/api/v1/import", lines.as_bytes())?;
        wall += start.elapsed();
    }
    let start = clock::now();
    merge(address).map_err(|error| format!("{error}\n{}", process.last_words()))?;
    wall += start.elapsed();
    let cpu = cpu().saturating_sub(before);
    let rows = metric(address, "vm_rows{type=\"storage/")?;
    if rows != samples {
        return Err(format!("VictoriaMetrics has {rows} of {samples} samples\n{}", process.last_words()));
    }
    process.signal(Signal::TERM);
    process.wait(PATIENCE).ok_or("VictoriaMetrics does not stop")?;
    let bytes = ["data", "indexdb", "metadata"].map(|part| size(&data.join(part)));
    let bytes =
        bytes.into_iter().sum::<io::Result<u64>>().map_err(|error| format!("{}: {error}", data.display()))?;
    let name = format!("VictoriaMetrics {}", version("victoria-metrics"));
    Ok(Kept { name, samples, bytes, wall, cpu: Some(cpu) })
}

fn installed(name: &str) -> Result<PathBuf, String> {
    programs::find(name).ok_or_else(|| format!("{name} is not installed, and left out"))
}

/// Everything to the disk, and merged as far as it goes.
fn merge(address: SocketAddr) -> Result<(), String> {
    for path in ["/internal/force_flush", "/internal/force_merge"] {
        let answer = http::get(address, path, "*/*").map_err(|error| format!("{path}: {error}"))?;
        if answer.status != 200 {
            return Err(format!("{path}: {}", answer.status));
        }
    }
    // The merge goes on behind the answer. Quiet twice is over.
    let mut quiet = 0;
    let over = clock::eventually(Duration::from_mins(10), || {
        std::thread::sleep(Duration::from_secs(1));
        let active =
            metric(address, "vm_active_force_merges").ok()? + metric(address, "vm_active_merges").ok()?;
        quiet = if active == 0 { quiet + 1 } else { 0 };
        (quiet >= 2).then_some(())
    });
    over.ok_or_else(|| "the merge does not end".to_owned())
}

/// The sum of all metrics whose line begins so.
fn metric(address: SocketAddr, prefix: &str) -> Result<u64, String> {
    let answer = http::get(address, "/metrics", "*/*").map_err(|error| format!("/metrics: {error}"))?;
    let values = answer.body.lines().filter(|line| line.starts_with(prefix));
    Ok(values.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>() as u64)
}

/// `day` in blocks of Prometheus's, written by `promtool` from OpenMetrics text.
pub(crate) fn prometheus(day: &Day) -> Result<Kept, String> {
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    let (text, blocks) = (directory.path().join("day.txt"), directory.path().join("blocks"));
    let failed = |error: io::Error| format!("{}: {error}", text.display());
    let mut file = BufWriter::new(File::create(&text).map_err(failed)?);
    let mut samples = 0;
    for number in 0..day.appliances {
        samples += open_metrics(&day.columns(number), &mut file).map_err(failed)?;
    }
    file.write_all(b"# EOF\n").and_then(|()| file.flush()).map_err(failed)?;
    let mut command = Command::new(installed("promtool")?);
    command.args(["tsdb", "create-blocks-from", "openmetrics", "--quiet"]);
    // Its default is a block for two hours; servers merge these as they age.
    command.arg("--max-block-duration=72h").args([&text, &blocks]);
    let start = clock::now();
    let output = command.output().map_err(|error| format!("promtool: {error}"))?;
    let wall = start.elapsed();
    if !output.status.success() {
        return Err(format!("promtool: {}", String::from_utf8_lossy(&output.stderr)));
    }
    let (mut rows, mut bytes) = (0, 0);
    for block in fs::read_dir(&blocks).map_err(failed)?.flatten() {
        let meta = fs::read_to_string(block.path().join("meta.json")).map_err(failed)?;
        let meta: serde_json::Value = serde_json::from_str(&meta).map_err(|error| error.to_string())?;
        rows += meta["stats"]["numSamples"].as_u64().unwrap_or(0);
        bytes += size(&block.path()).map_err(failed)?;
    }
    if rows != samples {
        return Err(format!("Prometheus's blocks have {rows} of {samples} samples"));
    }
    let name = format!("Prometheus {}, {} appliances", version("prometheus"), day.appliances);
    Ok(Kept { name, samples, bytes, wall, cpu: None })
}

/// The lengths of all files below `path`, added up.
pub(crate) fn size(path: &Path) -> io::Result<u64> {
    let metadata = fs::symlink_metadata(path)?;
    if !metadata.is_dir() {
        return Ok(metadata.len());
    }
    fs::read_dir(path)?.map(|entry| size(&entry?.path())).sum()
}

/// A Debian package's version, without its revision; nothing where there is no dpkg.
fn version(package: &str) -> String {
    let output = Command::new("dpkg-query").args(["-W", "-f", "${Version}", package]).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.split(['+', '-']).next().unwrap_or_default().to_owned()
}

fn post(address: SocketAddr, path: &str, body: &[u8]) -> Result<(), String> {
    let failed = |error: io::Error| format!("POST {path}: {error}");
    let mut stream = TcpStream::connect(address).map_err(failed)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
    let length = body.len();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )
    .and_then(|()| stream.write_all(body))
    .map_err(failed)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(failed)?;
    let status = answer.split(' ').nth(1).unwrap_or_default();
    if status.starts_with('2') { Ok(()) } else { Err(format!("POST {path}: {answer}")) }
}
