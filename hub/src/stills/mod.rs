//! The newest still of each stream: pictures that agents send, as long as they are worth looking at. Time is an argument; nothing of it is
//! on a disk.
//!
//! A still is for operators, and for the moment: there is one for each probe of an appliance, the one before goes when it comes, and
//! after [`KEPT`] it goes by itself. It is no series and no record; the history, the JSON mirror, `/status` and PromQL know nothing of it.
//!
//! Invariants: whatever is sent, at most [`EACH`] pictures of an appliance and [`ALL`] bytes of all are held, the oldest go first; what
//! is held is a picture of the format and size that its agent said; nothing older than [`KEPT`] is handed out.
//!
//! ```text
//! arena-north/rack-1  "programme"  320 × 180  image/jpeg  9 KiB  taken 25 s ago
//! ```

pub mod picture;

use crate::clock::Now;
use bytes::Bytes;
use rackside_proto::{AgentName, ClockSource, Format, Still, Time};
use std::collections::BTreeMap;
use std::time::Duration;

/// No still is handed out that is older.
pub const KEPT: Duration = Duration::from_hours(24);
/// Most stills of one appliance: somebody who makes up names fills no memory.
pub const EACH: usize = 16;
/// Most bytes of all pictures together: those of 2,000 streams at 32 KiB.
pub const ALL: usize = 64 << 20;
/// A still comes within seconds. Where the agent's clock says that it took longer, the clocks differ, and its coming is what counts.
const ON_ITS_WAY: Duration = Duration::from_mins(10);
/// What is too old is looked for this often.
const SWEEP: Duration = Duration::from_mins(1);

/// A still that is held.
#[derive(Debug, Clone)]
pub struct Kept {
    /// When it was taken, milliseconds since 1970 by the hub's clock.
    pub taken_ms: u64,
    /// How old it was when it came.
    delay: Duration,
    /// When it came.
    came: Now,
    /// What it is.
    pub format: Format,
    /// Pixels from left to right.
    pub width: u16,
    /// Pixels from top to bottom.
    pub height: u16,
    /// The file.
    pub picture: Bytes,
}

impl Kept {
    /// How long ago it was taken.
    pub fn age(&self, now: Now) -> Duration {
        now.since(self.came.instant) + self.delay
    }
}

/// These bytes are not the picture that the message says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoPicture;

/// All stills.
#[derive(Debug, Default)]
pub struct Stills {
    kept: BTreeMap<AgentName, BTreeMap<Box<str>, Kept>>,
    bytes: usize,
    swept: Option<Now>,
}

impl Stills {
    /// Takes a still of `agent`.
    pub fn take(&mut self, agent: &AgentName, still: &Still<'_>, now: Now) -> Result<(), NoPicture> {
        let Still { time, clock, format, width, height, picture, .. } = *still;
        if picture::size(format, picture) != Some((width, height)) {
            return Err(NoPicture);
        }
        let delay = match time {
            Time::Utc { ms } if clock != ClockSource::None => {
                Duration::from_millis(now.utc_ms.saturating_sub(ms))
            }
            Time::Utc { .. } | Time::Boot { .. } => Duration::ZERO,
        };
        let delay = if delay <= ON_ITS_WAY { delay } else { Duration::ZERO };
        let taken_ms = now.utc_ms.saturating_sub(delay.as_millis() as u64);
        self.forget(agent, still.probe);
        self.make_room(agent, picture.len(), now);
        // A copy: what came in is a slice of all that was read at once.
        let picture = Bytes::copy_from_slice(picture);
        self.bytes += picture.len();
        let kept = Kept { taken_ms, delay, came: now, format, width, height, picture };
        self.kept.entry(agent.clone()).or_default().insert(still.probe.into(), kept);
        Ok(())
    }

    /// The still of a probe.
    pub fn newest(&self, agent: &AgentName, probe: &str, now: Now) -> Option<&Kept> {
        self.kept.get(agent)?.get(probe).filter(|kept| kept.age(now) < KEPT)
    }

    /// The stills of an appliance, by the names of their probes.
    pub fn of(&self, agent: &AgentName, now: Now) -> impl Iterator<Item = (&str, &Kept)> {
        let all = self.kept.get(agent).into_iter().flatten();
        all.filter(move |(_, kept)| kept.age(now) < KEPT).map(|(probe, kept)| (&**probe, kept))
    }

    /// Lets go of what is too old.
    pub fn tick(&mut self, now: Now) {
        if self.swept.is_some_and(|swept| now.since(swept.instant) < SWEEP) {
            return;
        }
        self.swept = Some(now);
        let bytes = &mut self.bytes;
        self.kept.retain(|_, stills| {
            stills.retain(|_, kept| {
                let stays = kept.age(now) < KEPT;
                if !stays {
                    *bytes -= kept.picture.len();
                }
                stays
            });
            !stills.is_empty()
        });
    }

    fn make_room(&mut self, agent: &AgentName, wanted: usize, now: Now) {
        let oldest = |stills: &BTreeMap<Box<str>, Kept>| {
            let oldest = stills.iter().max_by_key(|(_, kept)| kept.age(now));
            oldest.map(|(probe, kept)| (kept.age(now), probe.clone()))
        };
        if let Some(stills) = self.kept.get(agent).filter(|stills| stills.len() >= EACH)
            && let Some((_, probe)) = oldest(stills)
        {
            self.forget(agent, &probe);
        }
        while self.bytes + wanted > ALL {
            let of_all = self.kept.iter().filter_map(|(agent, stills)| Some((oldest(stills)?, agent)));
            let Some(((_, probe), agent)) = of_all.max_by_key(|((age, _), _)| *age) else { return };
            let agent = agent.clone();
            self.forget(&agent, &probe);
        }
    }

    fn forget(&mut self, agent: &AgentName, probe: &str) {
        let Some(stills) = self.kept.get_mut(agent) else { return };
        if let Some(gone) = stills.remove(probe) {
            self.bytes -= gone.picture.len();
        }
        if stills.is_empty() {
            self.kept.remove(agent);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::picture::tests::JPEG;
    use super::*;
    use crate::clock;
    use rackside_proto::limits;

    fn agent(appliance: usize) -> AgentName {
        let appliance = format!("rack-{appliance}").parse().expect("an id");
        AgentName { site: "arena-north".parse().expect("an id"), appliance }
    }

    fn still(probe: &str, ms: u64) -> Still<'_> {
        let (time, clock) = (Time::Utc { ms }, ClockSource::Ntp);
        Still { probe, time, clock, width: 64, height: 36, format: Format::Jpeg, picture: JPEG }
    }

    #[test]
    fn only_the_newest_of_a_stream_is_kept() {
        let (mut stills, now) = (Stills::default(), clock::now());
        for seconds in [0, 60, 120] {
            let now = now.plus(Duration::from_secs(seconds));
            stills.take(&agent(1), &still("programme", now.utc_ms - 2000), now).expect("a picture");
            let kept: Vec<_> = stills.of(&agent(1), now).collect();
            assert_eq!((kept.len(), kept[0].0, kept[0].1.age(now).as_secs()), (1, "programme", 2));
            assert_eq!((kept[0].1.taken_ms, stills.bytes), (now.utc_ms - 2000, JPEG.len()));
        }
        assert!(stills.newest(&agent(1), "preview", now).is_none());
        assert!(stills.newest(&agent(2), "programme", now).is_none());
    }

    #[test]
    fn after_24_hours_it_is_gone() {
        let (mut stills, now) = (Stills::default(), clock::now());
        stills.take(&agent(1), &still("programme", now.utc_ms - 5000), now).expect("a picture");
        stills.tick(now);
        let last = now.plus(Duration::from_millis(24 * 3_600_000 - 5001));
        assert!(stills.newest(&agent(1), "programme", last).is_some());
        let late = now.plus(Duration::from_secs(24 * 3600 - 5));
        assert!(stills.newest(&agent(1), "programme", late).is_none(), "24 hours after it was taken");
        assert_eq!((stills.of(&agent(1), late).count(), stills.bytes), (0, JPEG.len()));
        stills.tick(late);
        assert_eq!((stills.bytes, stills.kept.len()), (0, 0), "and its memory, too");
    }

    #[test]
    fn clocks_that_differ_are_not_believed() {
        let (mut stills, now) = (Stills::default(), clock::now());
        let hour = 3_600_000;
        let boot = Time::Boot { boot: 1, ms: 5 };
        for (time, clock) in [
            (Time::Utc { ms: now.utc_ms - hour }, ClockSource::Ntp),
            (Time::Utc { ms: now.utc_ms + hour }, ClockSource::Ntp),
            (Time::Utc { ms: now.utc_ms - 2000 }, ClockSource::None),
            (boot, ClockSource::None),
        ] {
            stills.take(&agent(1), &Still { time, clock, ..still("p", 0) }, now).expect("a picture");
            let kept = stills.newest(&agent(1), "p", now).expect("it is kept");
            assert_eq!((kept.age(now), kept.taken_ms), (Duration::ZERO, now.utc_ms), "{time:?} {clock:?}");
        }
    }

    #[test]
    fn what_is_not_the_picture_that_was_told_is_refused() {
        let (mut stills, now) = (Stills::default(), clock::now());
        let good = still("p", now.utc_ms);
        for bad in [
            Still { width: 65, ..good },
            Still { height: 1, ..good },
            Still { format: Format::Webp, ..good },
            Still { picture: b"<script>alert(1)</script>", ..good },
            Still { picture: &JPEG[..JPEG.len() - 1], ..good },
        ] {
            assert_eq!(stills.take(&agent(1), &bad, now), Err(NoPicture), "{bad:?}");
        }
        assert_eq!((stills.bytes, stills.kept.len()), (0, 0));
    }

    #[test]
    fn made_up_names_push_out_the_oldest_of_their_appliance_and_nobody_elses() {
        let (mut stills, start) = (Stills::default(), clock::now());
        stills.take(&agent(2), &still("programme", start.utc_ms), start).expect("a picture");
        for at in 0..100 {
            let now = start.plus(Duration::from_secs(at));
            stills.take(&agent(1), &still(&format!("p{at}"), now.utc_ms), now).expect("a picture");
        }
        let now = start.plus(Duration::from_secs(100));
        let left: Vec<_> = stills.of(&agent(1), now).map(|(probe, _)| probe.to_owned()).collect();
        assert_eq!((left.len(), left[0].as_str(), left[EACH - 1].as_str()), (EACH, "p84", "p99"));
        assert!(stills.newest(&agent(2), "programme", now).is_some());
        assert_eq!(stills.bytes, (EACH + 1) * JPEG.len());
    }

    #[test]
    fn all_pictures_together_have_a_bound_and_the_oldest_go_first() {
        // A comment is a part of a JPEG: this one is as large as a still may be.
        let mut large = vec![0xff, 0xd8, 0xff, 0xfe];
        let comment = limits::PICTURE - JPEG.len() - 2;
        large.extend((comment as u16).to_be_bytes());
        large.resize(2 + 2 + comment, b' ');
        large.extend_from_slice(&JPEG[2..]);
        assert_eq!(large.len(), limits::PICTURE);
        let (mut stills, start) = (Stills::default(), clock::now());
        let fit = ALL / large.len();
        for at in 0..fit + 10 {
            let now = start.plus(Duration::from_secs(at as u64));
            let still = Still { picture: &large, ..still("p", now.utc_ms) };
            stills.take(&agent(at), &still, now).expect("a picture");
            assert!(stills.bytes <= ALL);
        }
        let now = start.plus(Duration::from_secs(fit as u64 + 10));
        let has = |at| stills.newest(&agent(at), "p", now).is_some();
        assert_eq!((stills.kept.len(), has(9), has(10), has(fit + 9)), (fit, false, true, true));
    }
}
