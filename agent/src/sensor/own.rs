//! The agent's own series: what it costs, what it holds. Memory from `/proc/self/statm` (pages: `1234 560 420 ...`, the
//! second is what is resident), the rest from the agent itself.

use super::{Machine, Report, SensorError, text};
use crate::clock::Moment;
use rackside_proto::{Scale, Value, limits, metric};
use std::path::Path;

/// In steps of 16 KiB: single pages come and go.
const MEMORY: Scale = Scale::times(16 * 1024);

/// What the agent knows of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Own {
    /// Records in custody.
    pub backlog: u64,
    /// Records let go because the spool was full.
    pub dropped: u64,
    /// Bytes of the spool on the disk.
    pub spool_bytes: u64,
    /// Whether records outlive the process, on the disk.
    pub is_durable: bool,
    /// Bytes of the spool that were found damaged.
    pub damaged: u64,
    /// Connections made.
    pub connects: u64,
    /// Bytes received from the broker.
    pub received: u64,
    /// Bytes sent to the broker.
    pub transmitted: u64,
    /// Messages on the channel for commands that were not done; `None` where there is nobody to obey.
    pub refused: Option<u64>,
}

pub(super) fn read(machine: &mut Machine, _: &Moment, report: &mut Report) -> Result<(), SensorError> {
    let own = machine.own;
    report.put_value(&metric::AGENT_BACKLOG, &[], Scale::ONE, number(own.backlog));
    report.put_value(&metric::AGENT_DROPPED, &[], Scale::ONE, number(own.dropped));
    report.put_value(&metric::AGENT_SPOOL, &[], Scale::ONE, number(own.spool_bytes));
    report.put_value(&metric::AGENT_SPOOL_DURABLE, &[], Scale::ONE, number(own.is_durable.into()));
    report.put_value(&metric::AGENT_SPOOL_DAMAGED, &[], Scale::ONE, number(own.damaged));
    report.put_value(&metric::AGENT_CONNECTS, &[], Scale::ONE, number(own.connects));
    report.put_value(&metric::AGENT_LINK_BYTES, &["receive"], Scale::ONE, number(own.received));
    report.put_value(&metric::AGENT_LINK_BYTES, &["transmit"], Scale::ONE, number(own.transmitted));
    if let Some(refused) = own.refused {
        report.put_value(&metric::AGENT_COMMANDS_REFUSED, &[], Scale::ONE, number(refused));
    }
    report.put(&metric::AGENT_RESIDENT_MEMORY, &[], MEMORY, resident_bytes(&machine.roots.proc)?);
    Ok(())
}

/// What this process takes of the memory. `proc` is where `/proc` is mounted.
pub(crate) fn resident_bytes(proc: &Path) -> Result<f64, SensorError> {
    let path = proc.join("self/statm");
    let pages = parse(&text(&path)?).ok_or_else(|| SensorError::new(path.display(), "no number of pages"))?;
    Ok(pages as f64 * rustix::param::page_size() as f64)
}

fn number(count: u64) -> Value {
    Value::Known((count % limits::MAGNITUDE as u64) as i64)
}

/// The resident pages.
fn parse(statm: &str) -> Option<u64> {
    statm.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_word_is_resident() {
        assert_eq!(parse("1234 560 420 100 0 200 0\n"), Some(560));
        assert_eq!(parse("1234"), None);
    }
}
