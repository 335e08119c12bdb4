//! Tests: whole boards, each a tree in `fixtures/` with `proc`, `sys`, `dev` and its files in `root`, made from what kernels and firmware
//! are documented to show. No file was taken from a board.
//!
//! `fixtures/pi-5/report.txt` is what the sensors make of it, model first; `~` stands for what comes from the machine that runs the test (its
//! processor, its memory, its disk's size, its clock). After a wanted change run with `RACKSIDE_UPDATE=1` and look at the difference.
//!
//! ```text
//! Raspberry Pi 5 Model B Rev 1.0 (c04170: 4 GB, BCM2712, Sony UK, revision 1.0)
//! temperature  rackside_soc_temperature_celsius                              48.3
//! throttle     rackside_soc_throttled{cause="undervoltage",when="now"}       0
//! cpu          rackside_cpu_usage_ratio                                      ~
//! ```
//!
//! The firmware is played by files: `dev/vcio` has a line for each question, tag and value in, value out; `dev/vcio_gencmd` is the answer to a
//! command in words.

use super::{Entry, Report, Roots, SENSORS, Sensors};
use crate::clock::{Clock, Moment, Trust};
use crate::panel::Board;
use rackside_proto::{Value, metric};
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const BOARDS: [&str; 4] = ["pi-3", "pi-4", "pi-5", "pi-zero-2-w"];

/// Metrics whose values the tree does not decide.
const OF_THIS_MACHINE: [&metric::Metric; 9] = [
    &metric::CPU_USAGE,
    &metric::MEMORY_USED,
    &metric::MEMORY_TOTAL,
    &metric::SWAP_USED,
    &metric::SWAP_TOTAL,
    &metric::DISK_USED,
    &metric::DISK_TOTAL,
    &metric::CLOCK_SYNCHRONIZED,
    &metric::AGENT_RESIDENT_MEMORY,
];

fn fixture(board: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(board)
}

/// The firmware's part.
fn firmware(device: &Path, message: &mut [u32]) -> io::Result<()> {
    let recorded = fs::read_to_string(device)?;
    let not_known = || io::Error::from(rustix::io::Errno::INVAL);
    let end = message.len() - 1;
    if device.ends_with("vcio_gencmd") {
        let text = recorded.as_bytes().chunks(4).map(|bytes| {
            let mut word = [0; 4];
            word[..bytes.len()].copy_from_slice(bytes);
            u32::from_ne_bytes(word)
        });
        message[5..end].fill(0);
        message[6..end].iter_mut().zip(text).for_each(|(word, told)| *word = told);
    } else {
        let hexadecimal = |words: &str| -> Option<Vec<u32>> {
            words.split_whitespace().map(|word| u32::from_str_radix(word, 16).ok()).collect()
        };
        let asked: Vec<u32> = [&message[2..3], &message[5..end]].concat();
        let told = recorded.lines().find_map(|line| {
            let (question, answer) = line.split_once("->")?;
            (hexadecimal(question)? == asked).then(|| hexadecimal(answer)).flatten()
        });
        let told = told.filter(|told| told.len() == end - 5).ok_or_else(not_known)?;
        message[5..end].copy_from_slice(&told);
    }
    message[1] = 0x8000_0000;
    message[4] = 0x8000_0000 | message[3];
    Ok(())
}

/// What the sensors make of a tree, the second reading of two.
fn reading(tree: &Path) -> (Report, Sensors) {
    let mut sensors = Sensors::new(Roots::below(tree));
    sensors.machine.firmware.carrier = firmware;
    let moment: Moment = Clock::new(Trust::Auto, Path::new("/proc")).read();
    sensors.read(&moment);
    (sensors.read(&moment), sensors)
}

fn is_of_this_machine(entry: &Entry) -> bool {
    OF_THIS_MACHINE.iter().any(|metric| std::ptr::eq(*metric, entry.metric))
}

fn series(entry: &Entry) -> String {
    let labels =
        entry.metric.labels.iter().zip(&entry.labels).map(|(name, value)| format!("{name}={value:?}"));
    let labels = labels.collect::<Vec<_>>().join(",");
    if labels.is_empty() {
        entry.metric.name.to_owned()
    } else {
        format!("{}{{{labels}}}", entry.metric.name)
    }
}

fn value(entry: &Entry) -> String {
    match entry.value {
        _ if is_of_this_machine(entry) => "~".to_owned(),
        Value::Known(number) => entry.scale.value(number).to_string(),
        Value::Unknown => "unknown".to_owned(),
        Value::Absent => "absent".to_owned(),
    }
}

fn shown(tree: &Path) -> String {
    let (report, sensors) = reading(tree);
    let board = Board::recognise(tree);
    let revision = board.revision.expect("a Raspberry Pi has one");
    let told = revision.board().expect("of the new style");
    let mut text = format!("{} ({revision}: {told})\n", board.model);
    let has_swap = |entry: &&Entry| ![&metric::SWAP_USED, &metric::SWAP_TOTAL].contains(&entry.metric);
    for entry in report.entries().iter().filter(has_swap) {
        let sensor = SENSORS[entry.sensor].name;
        writeln!(text, "{sensor:11}  {:78}  {}", series(entry), value(entry)).expect("a String has room");
    }
    for (sensor, error) in SENSORS.iter().zip(sensors.errors()) {
        if let Some(error) = error {
            writeln!(text, "{:11}  {error}", sensor.name).expect("a String has room");
        }
    }
    for note in report.notes() {
        writeln!(text, "{note}").expect("a String has room");
    }
    text
}

#[test]
fn each_board_is_reported_as_it_is() {
    let update = std::env::var_os("RACKSIDE_UPDATE").is_some();
    for board in BOARDS {
        let (tree, golden) = (fixture(board), fixture(board).join("report.txt"));
        let shown = shown(&tree);
        if update {
            fs::write(&golden, &shown).expect("written");
        } else {
            let expected = fs::read_to_string(&golden).unwrap_or_default();
            assert_eq!(shown, expected, "{board}; RACKSIDE_UPDATE=1 accepts the new report");
        }
    }
}

/// The files of a tree, and a copy of it in which each can be spoilt.
fn copied(from: &Path, to: &Path, files: &mut Vec<PathBuf>) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a tree").map(|entry| entry.expect("an entry")) {
        let (path, copy) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().expect("a kind");
        if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(&path).expect("a link"), copy).expect("a link");
        } else if kind.is_dir() {
            copied(&path, &copy, files);
        } else {
            fs::copy(&path, &copy).expect("a file");
            files.push(copy);
        }
    }
}

/// Garbage, emptiness, an input/output error, and nothing at all in the place of every file in turn: no series may then have another value
/// than before, only none. What falls back to another source is named here with what that says.
#[test]
fn no_file_that_is_spoilt_or_missing_makes_a_wrong_value() {
    // The route is 0 for whoever does not carry it, and nobody does in a table of garbage; the kernel says what clock it asked for, and its alarm
    // knows of undervoltage alone; another zone is not the SoC's but stands in for it where there is none.
    let falls_back = |series: &str, spoilt: &str| match series.split('{').next() {
        Some("rackside_network_default_route") => spoilt.ends_with("net/route"),
        Some("rackside_cpu_frequency_hertz" | "rackside_soc_throttled" | "rackside_voltage_volts") => {
            spoilt.contains("/vcio")
        }
        Some("rackside_soc_temperature_celsius") => spoilt.contains("thermal_zone1"),
        _ => false,
    };
    let mut spoilt = 0;
    for board in BOARDS {
        let copy = tempfile::tempdir().expect("a temporary directory");
        let mut files = Vec::new();
        copied(&fixture(board), copy.path(), &mut files);
        let (well, _) = reading(copy.path());
        for file in files.iter().filter(|file| !file.ends_with("report.txt")) {
            let text = fs::read(file).expect("it was copied");
            for harm in ["garbage", "empty", "missing", "EIO"] {
                fs::remove_file(file).expect("it is there");
                match harm {
                    "garbage" => fs::write(file, b"-17 g\xffrbage: ,,,- - -\n\n\0 99999999999999999999")
                        .expect("written"),
                    "empty" => fs::write(file, "").expect("written"),
                    "EIO" => std::os::unix::fs::symlink("/proc/self/mem", file).expect("a link"),
                    _ => {}
                }
                let (report, _) = reading(copy.path());
                let name = file.display().to_string();
                for entry in report.entries().iter().filter(|entry| !is_of_this_machine(entry)) {
                    let before = well.entries().iter().find(|other| other.is_same_series(entry));
                    let is_as_before = before.is_some_and(|before| before.value == entry.value);
                    let is_well =
                        is_as_before || entry.value == Value::Unknown || falls_back(&series(entry), &name);
                    assert!(
                        is_well,
                        "{harm} {name}: {} {} instead of {:?}",
                        series(entry),
                        value(entry),
                        before.map(value)
                    );
                }
                spoilt += 1;
                let _ = fs::remove_file(file);
                fs::write(file, &text).expect("written");
            }
        }
    }
    assert!(spoilt > 400, "{spoilt}");
}
