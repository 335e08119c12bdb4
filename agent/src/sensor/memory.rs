//! Memory and swap, by sysinfo from `/proc/meminfo`.
//!
//! Used is what a new process could not have: `MemTotal - MemAvailable`. Swap is reported where there is any.

use super::{Machine, Report, SPACE, SensorError};
use crate::clock::Moment;
use rackside_proto::metric;
use std::fmt;
use sysinfo::{MemoryRefreshKind, System};

/// sysinfo's handle.
#[derive(Default)]
pub(super) struct State(Option<System>);

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("State")
    }
}

/// In bytes.
#[derive(Debug, Clone, Copy)]
struct Memory {
    total: u64,
    available: u64,
    swap_total: u64,
    swap_used: u64,
}

pub(super) fn read(machine: &mut Machine, _: &Moment, report: &mut Report) -> Result<(), SensorError> {
    let system = match &mut machine.memory.0 {
        Some(system) => system,
        none => none.insert(System::new().map_err(|error| SensorError::new("the memory", error))?),
    };
    system.refresh_memory_specifics(MemoryRefreshKind::everything());
    convert(
        Memory {
            total: system.total_memory(),
            available: system.available_memory(),
            swap_total: system.total_swap(),
            swap_used: system.used_swap(),
        },
        report,
    )
}

fn convert(memory: Memory, report: &mut Report) -> Result<(), SensorError> {
    // sysinfo shows a file that it cannot read as zeroes.
    if memory.total == 0 {
        return Err(SensorError::new("/proc/meminfo", "it tells no total"));
    }
    report.put(&metric::MEMORY_USED, &[], SPACE, memory.total.saturating_sub(memory.available) as f64);
    report.put(&metric::MEMORY_TOTAL, &[], SPACE, memory.total as f64);
    if memory.swap_total > 0 {
        report.put(&metric::SWAP_USED, &[], SPACE, memory.swap_used as f64);
        report.put(&metric::SWAP_TOTAL, &[], SPACE, memory.swap_total as f64);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rackside_proto::Value;

    const MIB: u64 = 1 << 20;

    #[test]
    fn used_is_what_is_not_available() {
        let mut report = Report::default();
        let memory = Memory { total: 1024 * MIB, available: 1000 * MIB, swap_total: 0, swap_used: 0 };
        convert(memory, &mut report).expect("a total");
        let values: Vec<_> = report.entries().iter().map(|entry| (entry.metric.name, entry.value)).collect();
        let expected = [
            (metric::MEMORY_USED.name, Value::Known(24 * 16)),
            (metric::MEMORY_TOTAL.name, Value::Known(1024 * 16)),
        ];
        assert_eq!(values, expected, "and no swap where there is none");
    }

    #[test]
    fn a_machine_without_memory_is_an_error() {
        let memory = Memory { total: 0, available: 0, swap_total: 0, swap_used: 0 };
        let error = convert(memory, &mut Report::default()).expect_err("no total");
        assert_eq!(error.to_string(), "cannot read /proc/meminfo: it tells no total");
    }
}
