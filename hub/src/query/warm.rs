//! After a start the last window is read from the history, appliance by appliance, so that rules which look back see what was, and the
//! disk is not asked again and again. Until an appliance had its turn, questions about it are answered by the history.

use super::Fleetwide;
use crate::clock::Now;
use rackside_history::{Reader, SeriesId, SeriesKey, StoreError};
use rackside_proto::AgentName;
use rackside_series::{Listed, Recent, Stored};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// What cannot be read is tried again after these; then the window has soon passed by itself.
const AGAIN: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_mins(2),
    Duration::from_mins(5),
];
/// It is looked this often whether the hub stops.
const LOOK: Duration = Duration::from_millis(50);
/// An agent's clock may be so far ahead of ours.
const AHEAD: i64 = 600_000;

/// An appliance of which something is in the history.
#[derive(Debug, Clone)]
pub struct Remembered {
    /// Its slot in the fleet.
    pub slot: usize,
    /// Its name.
    pub name: AgentName,
    /// When it was heard last, in milliseconds since 1970-01-01 UTC.
    pub last_ms: u64,
}

impl Fleetwide {
    /// Reads the last window of each, until `stopped`. What cannot be read is left to the history, said, and tried again later.
    pub fn warm(&self, appliances: &[Remembered], now: Now, stopped: &dyn Fn() -> bool) {
        let Some((reader, _)) = &self.history else { return };
        let from = |window: i64| (now.utc_ms as i64).saturating_sub(window);
        let floors = (from(self.recent.window()), from(self.recent.far_window()));
        let mut left: Vec<&Remembered> = appliances.iter().collect();
        for pause in AGAIN.into_iter().map(Some).chain([None]) {
            left.retain(|one| !stopped() && !self.warmed(reader, one, floors, pause.is_none()));
            if stopped() {
                return;
            }
            if !self.is_warm.swap(true, Ordering::Relaxed) {
                let (series, bytes) = self.recent.size();
                log::debug!("the last minutes of {series} series are in memory, in {bytes} bytes");
            }
            match pause {
                Some(pause) if !left.is_empty() => wait(pause, stopped),
                _ => return,
            }
        }
    }

    /// Reads that of one appliance; whether that is done.
    fn warmed(&self, reader: &Reader, one: &Remembered, floors: (i64, i64), is_last: bool) -> bool {
        let is_silent = (one.last_ms as i64).saturating_add(AHEAD) < floors.1;
        if is_silent {
            self.recent.warm(one.slot, floors, &[]);
            return true;
        }
        let Err(error) = appliance(&self.recent, reader, one, floors) else { return true };
        let then = if is_last { "rules ask the disk for them" } else { "it is tried again" };
        log::warn!("{}: its last minutes cannot be read from the history, {then}: {error}", one.name);
        false
    }
}

/// Waits for so long, or until `stopped`.
fn wait(pause: Duration, stopped: &dyn Fn() -> bool) {
    let mut left = pause;
    while !left.is_zero() && !stopped() {
        let piece = left.min(LOOK);
        std::thread::sleep(piece);
        left -= piece;
    }
}

fn appliance(
    recent: &Recent,
    reader: &Reader,
    one: &Remembered,
    floors: (i64, i64),
) -> Result<(), StoreError> {
    let series: Vec<(SeriesId, SeriesKey)> = reader.series(&one.name)?;
    let (far, near): (Vec<_>, Vec<_>) = series.iter().partition(|(_, key)| recent.is_far(&key.name));
    let read = |of: Vec<&(SeriesId, SeriesKey)>, floor: i64| {
        let ids: Vec<SeriesId> = of.iter().map(|(id, _)| *id).collect();
        reader.several(&one.name, &ids, u64::try_from(floor).unwrap_or_default()..u64::MAX)
    };
    let mut samples = read(near, floors.0)?;
    samples.extend(read(far, floors.1)?);
    let stored: Vec<Stored<'_>> = samples
        .iter()
        .filter_map(|(id, samples)| {
            let key = &series.iter().find(|(known, _)| known == id)?.1;
            let listed = Listed { name: &key.name, labels: &key.labels, scale: key.scale, served: true };
            Some(Stored { listed, times: &samples.times, values: &samples.values })
        })
        .collect();
    recent.warm(one.slot, floors, &stored);
    Ok(())
}
