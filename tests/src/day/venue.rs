//! What happens at a venue in a day, from which its series follow: shows, heat, traffic, trouble with the uplink.
//!
//! Series of one rack move together because they have the same cause here: a show loads the processors, warms the rack,
//! fills the uplink and switches the tally. Not a measurement: a model, with its assumptions where its numbers are.

use super::dice::{Dice, Wander, approach};
use super::traffic::Traffic;

const HOUR: f64 = 3600.0;
const DAY: f64 = 24.0 * HOUR;
const DAY_MS: u64 = 86_400_000;

/// A venue and its present state.
#[derive(Debug, Clone)]
pub(super) struct Venue {
    kind: Kind,
    /// Day since 1970 for which `shows` were drawn.
    day: u64,
    /// From and to, in seconds of the day.
    shows: Vec<(f64, f64)>,
    dice: Dice,
    room: Room,
    /// Until when the uplink is in trouble, in milliseconds since 1970.
    trouble_ends: u64,
    pub(super) scene: Scene,
    /// The two interfaces: wired, which carries the stream, and wireless, which waits.
    pub(super) traffic: [Traffic; 2],
}

/// What its days look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A club, a theatre: an evening, two days in three.
    Evenings,
    /// A church, a town hall: a morning and an evening.
    Twice,
    /// A radio studio: on air all day.
    Always,
    /// Nothing for weeks.
    Dark,
}

/// The present moment at a venue, as its series see it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scene {
    /// Milliseconds since 1970-01-01 UTC.
    pub(super) ms: u64,
    /// Seconds since the reading before.
    pub(super) seconds: f64,
    /// How much goes on: 0 an empty house, 1 a show.
    pub(super) busy: f64,
    /// Whether the stream runs.
    pub(super) streaming: bool,
    /// Air in front of the rack, in degrees Celsius.
    pub(super) room: f64,
    /// How the uplink fares.
    pub(super) uplink: Uplink,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Uplink {
    Fine,
    /// So many times slower, and losing packets.
    Poor(f64),
    Down,
}

impl Venue {
    pub(super) fn new(seed: u64, ms: u64) -> Self {
        let mut dice = Dice::new(seed);
        let kind = match dice.share() {
            ..0.55 => Kind::Evenings,
            ..0.75 => Kind::Twice,
            ..0.88 => Kind::Always,
            _ => Kind::Dark,
        };
        let room = Room::new(&mut dice);
        let scene =
            Scene { ms, seconds: 10.0, busy: 0.05, streaming: false, room: room.base, uplink: Uplink::Fine };
        let traffic = [Traffic::wired(&mut dice), Traffic::wireless(&mut dice)];
        Self { kind, day: u64::MAX, shows: Vec::new(), dice, room, trouble_ends: 0, scene, traffic }
    }

    /// Goes on to the moment `ms`, which is not before the present one.
    pub(super) fn step(&mut self, ms: u64) {
        let seconds = ms.saturating_sub(self.scene.ms).clamp(1, DAY_MS) as f64 / 1000.0;
        if ms / DAY_MS != self.day {
            self.day = ms / DAY_MS;
            self.draw_shows();
        }
        let now = (ms % DAY_MS) as f64 / 1000.0;
        let (wanted, streaming) = self.doing(now);
        let scene = &mut self.scene;
        (scene.ms, scene.seconds, scene.streaming) = (ms, seconds, streaming);
        // People and machines need a minute or two to get going.
        scene.busy += (wanted - scene.busy) * approach(seconds, 90.0);
        scene.room = self.room.step(now, seconds, scene.busy, &mut self.dice);
        if ms >= self.trouble_ends {
            self.scene.uplink = self.trouble();
        }
        for traffic in &mut self.traffic {
            traffic.step(&self.scene, &mut self.dice);
        }
    }

    fn draw_shows(&mut self) {
        let dice = &mut self.dice;
        let evening = |dice: &mut Dice| {
            let start = dice.between(17.0, 21.0) * HOUR;
            (start, (start + dice.between(1.5, 4.0) * HOUR).min(DAY - 300.0))
        };
        self.shows.clear();
        match self.kind {
            Kind::Evenings if dice.share() < 0.67 => self.shows.push(evening(dice)),
            Kind::Twice => {
                let start = dice.between(8.5, 11.0) * HOUR;
                self.shows.push((start, start + dice.between(1.0, 2.0) * HOUR));
                self.shows.push(evening(dice));
            }
            Kind::Always => self.shows.push((0.0, DAY)),
            Kind::Evenings | Kind::Dark => {}
        }
    }

    /// How busy a venue is at that second of its day, and whether it streams.
    fn doing(&self, now: f64) -> (f64, bool) {
        let within = |before: f64, after: f64| {
            self.shows.iter().any(|(from, to)| (from - before..to + after).contains(&now))
        };
        let busy = if within(0.0, 0.0) {
            1.0
        } else if within(2.0 * HOUR, 0.0) {
            0.45
        } else if within(0.0, HOUR) {
            0.3
        } else if (9.0 * HOUR..18.0 * HOUR).contains(&now) {
            0.12
        } else {
            0.03
        };
        // The stream starts ten minutes ahead with a test picture.
        (busy, within(600.0, 120.0))
    }

    /// Now and then the uplink is slow for a while, or gone: three times in ten days for half a minute to ten, as
    /// consumer lines do; slow about once a day, more often while others use it, too.
    fn trouble(&mut self) -> Uplink {
        let Scene { ms, seconds, busy, .. } = self.scene;
        let dice = &mut self.dice;
        if dice.happens(0.3 / DAY, seconds) {
            self.trouble_ends = ms + (dice.by_ratio(30.0, 600.0) * 1000.0) as u64;
            Uplink::Down
        } else if dice.happens((0.5 + 2.0 * busy) / DAY, seconds) {
            self.trouble_ends = ms + (dice.by_ratio(120.0, 3600.0) * 1000.0) as u64;
            Uplink::Poor(dice.by_ratio(1.5, 12.0))
        } else {
            Uplink::Fine
        }
    }
}

/// The air in front of the rack.
#[derive(Debug, Clone)]
struct Room {
    base: f64,
    /// Degrees above `base` that people, lamps and amplifiers have brought.
    heat: f64,
    /// Air conditioning with a thermostat: a saw tooth. `None` where there is none.
    cooling: Option<Cooling>,
    wander: Wander,
}

#[derive(Debug, Clone, Copy)]
struct Cooling {
    runs: bool,
    offset: f64,
}

impl Room {
    fn new(dice: &mut Dice) -> Self {
        let cooling = (dice.share() < 0.6).then(|| Cooling { runs: false, offset: dice.between(-0.4, 0.4) });
        Self { base: dice.between(18.0, 27.0), heat: 0.0, cooling, wander: Wander::new(1200.0, dice) }
    }

    fn step(&mut self, now: f64, seconds: f64, busy: f64, dice: &mut Dice) -> f64 {
        // A full house warms the room by a few degrees, within about three quarters of an hour.
        self.heat += (3.5 * busy - self.heat) * approach(seconds, 2700.0);
        let saw = self.cooling.as_mut().map_or(0.0, |cooling| {
            // Down by 0.8 in 9 minutes, up again in 16.
            cooling.offset += seconds * if cooling.runs { -0.8 / 540.0 } else { 0.8 / 960.0 };
            if cooling.offset.abs() > 0.4 {
                cooling.runs = cooling.offset > 0.0;
            }
            cooling.offset
        });
        // Warmest in the middle of the afternoon.
        let sun = 1.3 * ((now - 15.5 * HOUR) / DAY * std::f64::consts::TAU).cos();
        self.base + sun + self.heat + saw + 0.2 * self.wander.step(seconds, dice)
    }
}
