//! What a process costs, as Linux tells it.

use std::path::Path;
use std::time::Duration;

/// The memory of a process, in KiB.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    /// Resident: its pages in RAM, shared ones included.
    pub rss_kib: u64,
    /// Proportional: shared pages divided among those who share them.
    pub pss_kib: u64,
}

/// From `/proc/PID/smaps_rollup`; zero when the process is gone.
pub fn memory(id: u32) -> Memory {
    let text = read(id, "smaps_rollup");
    Memory { rss_kib: field(&text, "Rss:"), pss_kib: field(&text, "Pss:") }
}

/// The most that was resident at any time, in KiB: `/proc/PID/status`.
pub fn peak(id: u32) -> u64 {
    field(&read(id, "status"), "VmHWM:")
}

/// How many threads it has.
pub fn threads(id: u32) -> u64 {
    field(&read(id, "status"), "Threads:")
}

/// Processor time so far, user and system, in steps of 10 ms: `/proc/PID/stat`.
pub fn cpu(id: u32) -> Duration {
    let text = read(id, "stat");
    // The program's name stands in parentheses and may contain anything.
    let after = text.rsplit_once(')').map_or("", |(_, after)| after);
    let fields: Vec<u64> = after.split_ascii_whitespace().map(|word| word.parse().unwrap_or(0)).collect();
    // Fields 14 and 15 of proc(5); the first after the name is field 3.
    let ticks = fields.get(11).unwrap_or(&0) + fields.get(12).unwrap_or(&0);
    Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// Processor time so far of the threads that are there now, in nanoseconds: `/proc/PID/task/*/schedstat`. For processes
/// that use less than a step of [`cpu`] in a minute.
pub fn cpu_fine(id: u32) -> Duration {
    let tasks = std::fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten().flatten();
    tasks.filter_map(|task| spent(&task)).sum()
}

/// The same of its threads of one name.
pub fn cpu_of_threads(id: u32, name: &str) -> Duration {
    let tasks = std::fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten().flatten();
    let is_it = |task: &std::fs::DirEntry| {
        std::fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| comm.trim_end() == name)
    };
    tasks.filter(is_it).filter_map(|task| spent(&task)).sum()
}

/// What one thread has run so far.
fn spent(task: &std::fs::DirEntry) -> Option<Duration> {
    let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
    text.split_ascii_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

/// Bytes that a process has caused to be written to a disk so far: `/proc/PID/io`.
pub fn written(id: u32) -> u64 {
    field(&read(id, "io"), "write_bytes:")
}

/// A file's size in bytes; 0 when there is none.
pub fn size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

fn read(id: u32, file: &str) -> String {
    std::fs::read_to_string(format!("/proc/{id}/{file}")).unwrap_or_default()
}

fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_ascii_whitespace().next()?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_threads_and_spent_time() {
        let id = std::process::id();
        // Enough work for both clocks to see, however much of the machine others have.
        let end = crate::clock::now() + Duration::from_mins(1);
        let enough = Duration::from_millis(10);
        while (cpu(id) < enough || cpu_fine(id) < enough) && crate::clock::now() < end {}
        let memory = memory(id);
        assert!(memory.rss_kib >= memory.pss_kib && memory.pss_kib > 100, "{memory:?}");
        assert!(threads(id) >= 1);
        assert!(cpu(id) >= Duration::from_millis(10));
        assert!(cpu_fine(id) >= Duration::from_millis(10));
    }

    #[test]
    fn a_process_that_is_gone_costs_nothing() {
        assert_eq!(
            (memory(u32::MAX), threads(u32::MAX), cpu(u32::MAX)),
            (Memory::default(), 0, Duration::ZERO)
        );
    }
}
