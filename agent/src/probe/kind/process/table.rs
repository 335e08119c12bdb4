//! The kernel's table of processes: `/proc/PID/stat`, command lines, and which processes belong to a unit of systemd.
//!
//! systemd keeps the processes of each unit in a control group of the unit's name, so `cgroup.procs` tells them without asking
//! systemd. What it does not tell: whether a unit without processes failed, was stopped by somebody, or waits to be started again.
//! Whatever the bytes, reading them gives a process or none.
//!
//! ```text
//! 4711 (ffmpeg) S 1 4711 4711 0 -1 4194560 … 812 95 … 20 0 9 0 93784 …      state, processor time, start, memory
//! /sys/fs/cgroup/system.slice/encoder.service/cgroup.procs:  4711
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Where systemd's tree is: control groups of version 2, and what mixed and old systems have.
const TREES: [&str; 3] = ["", "unified", "systemd"];
/// A unit is not looked for deeper, nor among more directories.
const DEPTH: usize = 6;
const DIRECTORIES: usize = 2048;
/// More processes of one unit are not looked at.
pub(super) const MEMBERS: usize = 64;

/// What the kernel tells of one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Process {
    /// Its number.
    pub(super) pid: u32,
    /// When it began, in ticks since the machine started; with the number that is who it is.
    pub(super) start: u64,
    /// Processor time that it has used, in ticks.
    pub(super) ticks: u64,
    /// Memory that it holds, in pages.
    pub(super) pages: u64,
}

impl Process {
    /// Whether both are the same process, and not one that got the number of another.
    pub(super) const fn is(&self, other: &Self) -> bool {
        self.pid == other.pid && self.start == other.start
    }
}

/// The table.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) proc: PathBuf,
    pub(super) cgroup: PathBuf,
    /// The agent's own number: neither it nor what it has started is what somebody wants watched.
    pub(super) agent: u32,
}

impl Default for Table {
    fn default() -> Self {
        Self { proc: "/proc".into(), cgroup: "/sys/fs/cgroup".into(), agent: std::process::id() }
    }
}

impl Table {
    /// The process of that number, if it lives; a zombie does not.
    pub(super) fn process(&self, pid: u32) -> Option<Process> {
        parse(pid, &self.stat(pid)?)
    }

    fn stat(&self, pid: u32) -> Option<String> {
        let stat = fs::read(self.proc.join(pid.to_string()).join("stat")).ok()?;
        Some(String::from_utf8_lossy(&stat).into_owned())
    }

    /// Whether the agent has started it, or what it is a part of: each of the agent's programs leads a group of its own (`child`).
    fn is_own(&self, pid: u32) -> bool {
        let kin = |pid| kin(&self.stat(pid)?);
        let is_agents = |(parent, _)| parent == self.agent;
        kin(pid).is_some_and(|found| is_agents(found) || kin(found.1).is_some_and(is_agents))
    }

    /// Whether the processes of others are hidden from this one.
    pub(super) fn is_hidden(&self) -> bool {
        self.process(1).is_none()
    }

    /// The process that a pid file names. Of the errors only [`NotFound`](io::ErrorKind::NotFound) says anything of that process.
    pub(super) fn of_file(&self, path: &Path) -> io::Result<Option<Process>> {
        let text = fs::read_to_string(path)?;
        let pid = text.split_whitespace().next().and_then(|word| word.parse().ok());
        let pid = pid
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "there is no process number in it"))?;
        Ok(self.process(pid))
    }

    /// The oldest process, the agent and its own excepted, of the program that the first word names, with all other words among its arguments.
    pub(super) fn of_command(&self, words: &[&str]) -> Option<Process> {
        let pids =
            fs::read_dir(&self.proc).ok()?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        let others = pids.filter(|pid: &u32| *pid != self.agent);
        let is_it = |pid: &u32| {
            let line = fs::read(self.proc.join(pid.to_string()).join("cmdline")).unwrap_or_default();
            is_command(&line, words)
        };
        let found = others.filter(is_it).filter(|pid| !self.is_own(*pid)).filter_map(|pid| self.process(pid));
        found.min_by_key(|process| (process.start, process.pid))
    }

    /// The directory of a unit's processes where system units usually are; `None` if it has none there.
    pub(super) fn usual_place(&self, unit: &str) -> Option<PathBuf> {
        let places = TREES.iter().map(|tree| self.cgroup.join(tree).join("system.slice").join(unit));
        places.into_iter().find(|place| place.is_dir())
    }

    /// The directory of a unit's processes, wherever it is: in a slice of its own, as `getty@tty1.service` is, or below a user's.
    pub(super) fn any_place(&self, unit: &str) -> Option<PathBuf> {
        let mut left = DIRECTORIES;
        TREES.iter().find_map(|tree| search(&self.cgroup.join(tree), unit, DEPTH, &mut left))
    }

    /// The numbers in a unit's directory; those of a unit that divides its processes further are one level below.
    pub(super) fn members(place: &Path) -> Vec<u32> {
        let mut pids = numbers(place);
        if pids.is_empty() {
            let below = fs::read_dir(place).into_iter().flatten().flatten().map(|entry| entry.path());
            pids = below.filter(|path| path.is_dir()).take(MEMBERS).flat_map(|path| numbers(&path)).collect();
        }
        pids.truncate(MEMBERS);
        pids
    }
}

fn numbers(place: &Path) -> Vec<u32> {
    let text = fs::read_to_string(place.join("cgroup.procs")).unwrap_or_default();
    // A process outside of this container is a 0.
    text.lines().filter_map(|line| line.parse().ok()).filter(|pid| *pid > 0).collect()
}

fn search(place: &Path, unit: &str, depth: usize, left: &mut usize) -> Option<PathBuf> {
    for entry in fs::read_dir(place).ok()?.flatten() {
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        if entry.file_name() == unit {
            return Some(entry.path());
        }
        *left = left.checked_sub(1)?;
        // What is below another service belongs to that.
        let is_slice = !entry.file_name().as_encoded_bytes().ends_with(b".scope");
        if depth > 0
            && is_slice
            && let Some(found) = search(&entry.path(), unit, depth - 1, left)
        {
            return Some(found);
        }
    }
    None
}

/// A line of `/proc/PID/stat` (proc(5)). The name in brackets may hold anything, brackets and spaces too.
fn parse(pid: u32, line: &str) -> Option<Process> {
    let mut fields = line.rsplit_once(')')?.1.split_whitespace();
    if matches!(fields.next()?, "Z" | "X" | "x") {
        return None;
    }
    // The state was field 3.
    let utime: u64 = fields.nth(10)?.parse().ok()?;
    let stime: u64 = fields.next()?.parse().ok()?;
    let start = fields.nth(6)?.parse().ok()?;
    let pages = fields.nth(1)?.parse().ok()?;
    Some(Process { pid, start, ticks: utime.saturating_add(stime), pages })
}

/// The parent and the group in such a line, of a zombie as well.
fn kin(line: &str) -> Option<(u32, u32)> {
    let mut fields = line.rsplit_once(')')?.1.split_whitespace().skip(1);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

/// Whether a command line (each argument ends with a zero byte) is of the program that the first word names, by its whole path or the
/// last part of it, with every other word somewhere in its arguments.
fn is_command(line: &[u8], words: &[&str]) -> bool {
    let line = String::from_utf8_lossy(line);
    let mut arguments = line.split('\0');
    let (Some(program), Some((wanted, others))) = (arguments.next(), words.split_first()) else {
        return false;
    };
    let name = program.rsplit('/').next().unwrap_or_default();
    let arguments: Vec<&str> = arguments.collect();
    (program == *wanted || name == *wanted)
        && others.iter().all(|word| arguments.iter().any(|argument| argument.contains(word)))
}

/// A line of `stat`, which has a name that anybody may choose; and a command line.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz(bytes: &[u8]) {
    if let Some(process) = parse(7, &String::from_utf8_lossy(bytes)) {
        assert_eq!(process.pid, 7);
    }
    let _ = is_command(bytes, &["ffmpeg", "-i"]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STAT: &str = "4711 (ff) (mpeg) S 1 4711 4711 0 -1 4194560 1042 0 3 0 812 95 0 0 20 0 9 0 93784 231456768 5211 18446744073709551615 1 1 0";

    #[test]
    fn a_stat_is_read_whatever_the_name() {
        let process = Process { pid: 4711, start: 93_784, ticks: 907, pages: 5211 };
        assert_eq!(parse(4711, STAT), Some(process));
        assert_eq!(parse(4711, &STAT.replace(") S", ") Z")), None, "a zombie is no process");
    }

    #[test]
    fn a_command_is_its_program_and_words_among_its_arguments() {
        let line = b"/usr/bin/ffmpeg\0-i\0rtsp://192.0.2.7/cam-1\0-f\0flv\0";
        for (words, is) in [
            (&["ffmpeg"][..], true),
            (&["/usr/bin/ffmpeg", "cam-1", "flv"], true),
            (&["ffmpeg", "cam-2"], false),
            (&["mpeg"], false),
            (&["cam-1"], false),
            (&[], false),
        ] {
            assert_eq!(is_command(line, words), is, "{words:?}");
        }
        assert!(!is_command(b"vim\0ffmpeg\0", &["ffmpeg"]), "who edits it is not it");
        assert!(!is_command(b"", &["ffmpeg"]), "the kernel's own threads have none");
    }

    #[test]
    fn a_unit_is_found_in_its_slice_and_its_parts_count() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let table = Table { cgroup: dir.path().into(), ..Table::default() };
        let place = dir.path().join("system.slice/system-getty.slice/getty@tty1.service");
        fs::create_dir_all(place.join("part")).expect("directories");
        fs::write(place.join("cgroup.procs"), "").expect("written");
        fs::write(place.join("part/cgroup.procs"), "0\n12\n34\n").expect("written");
        assert_eq!(table.usual_place("getty@tty1.service"), None);
        assert_eq!(table.any_place("getty@tty1.service"), Some(place.clone()));
        assert_eq!(Table::members(&place), [12, 34]);
        assert_eq!(table.any_place("other.service"), None);
    }

    proptest! {
        #[test]
        fn any_line_is_a_process_or_none(text in ".{0,300}", cut in 0_usize..200) {
            let _ = (parse(1, &text), kin(&text));
            let _ = parse(1, STAT.get(..cut).unwrap_or_default());
            let _ = is_command(text.as_bytes(), &["a", "b"]);
        }
    }
}
