//! How one series moves, given what happens at its venue.

use super::dice::{Dice, Wander, approach};
use super::venue::{Scene, Uplink, Venue};
use rackside_proto::{Scale, Value};

/// What a series is modelled by.
#[derive(Debug, Clone)]
pub(super) enum Model {
    Temperature(Temperature),
    Usage(Usage),
    Counted(Counted),
    Flag(Flag),
    Constant(i64),
    Latency(Latency),
}

impl Model {
    pub(super) fn step(&mut self, venue: &Venue, scale: Scale, dice: &mut Dice) -> Value {
        let scene = &venue.scene;
        let quantity = match self {
            Self::Temperature(model) => model.step(scene, dice),
            Self::Usage(model) => model.step(scene, dice),
            Self::Counted(what) => what.read(venue),
            Self::Flag(model) => f64::from(model.step(scene, dice)),
            Self::Constant(number) => return Value::Known(*number),
            Self::Latency(model) => match model.step(scene, dice) {
                Some(seconds) => seconds,
                None => return Value::Absent,
            },
        };
        scale.number(quantity).map_or(Value::Unknown, Value::Known)
    }
}

/// A thermometer: something follows the room and the load, each with its inertia; the sensor adds noise and has steps.
#[derive(Debug, Clone)]
pub(super) struct Temperature {
    /// Degrees above the room when idle, and more of them at full load.
    above: f64,
    load: f64,
    /// Seconds to go 63 % of the way.
    tau: f64,
    /// Standard deviation of one reading.
    noise: f64,
    /// The sensor's own step, and where its grid begins.
    step: f64,
    origin: f64,
    /// Of moving air: eddies of a minute.
    eddies: Wander,
    eddy: f64,
    now: Option<f64>,
}

impl Temperature {
    fn new(above: f64, load: f64, tau: f64, noise: f64, (step, origin): (f64, f64), dice: &mut Dice) -> Self {
        Self { above, load, tau, noise, step, origin, eddies: Wander::new(50.0, dice), eddy: 0.0, now: None }
    }

    /// The Pi's own: `drivers/thermal/broadcom/bcm2711_thermal.c` and its device tree turn an ADC's code into 410.04 - 0.487 x
    /// code degrees, so it moves by about half a degree.
    pub(super) fn soc(dice: &mut Dice) -> Self {
        let (above, load) = (dice.between(16.0, 28.0), dice.between(6.0, 16.0));
        Self::new(above, load, 45.0, 0.35, (0.487, 410.04), dice)
    }

    /// A disk's: SMART tells whole degrees.
    pub(super) fn disk(dice: &mut Dice) -> Self {
        let (above, load) = (dice.between(8.0, 18.0), dice.between(1.0, 8.0));
        Self::new(above, load, 600.0, 0.15, (1.0, 0.0), dice)
    }

    /// A digital air sensor (SHT31, DHT22, BME280): repeats itself to 0.04 to 0.1 degrees, and tells tenths.
    pub(super) fn air(above: f64, load: f64, dice: &mut Dice) -> Self {
        let noise = dice.between(0.03, 0.08);
        Self { eddy: dice.between(0.03, 0.12), ..Self::new(above, load, 120.0, noise, (0.1, 0.0), dice) }
    }

    /// A thermistor on a heat sink or in a power supply, read by a 10-bit converter: noisier than any digital sensor.
    pub(super) fn thermistor(above: f64, load: f64, dice: &mut Dice) -> Self {
        let noise = dice.between(0.1, 0.25);
        Self::new(above, load, 240.0, noise, (0.1, 0.0), dice)
    }

    /// A DS18B20 in a tube: sixteenths of a degree, hardly any noise, slow.
    pub(super) fn probe(above: f64, load: f64, dice: &mut Dice) -> Self {
        let noise = dice.between(0.015, 0.04);
        Self { eddy: 0.03, ..Self::new(above, load, 180.0, noise, (1.0 / 16.0, 0.0), dice) }
    }

    fn step(&mut self, scene: &Scene, dice: &mut Dice) -> f64 {
        let wanted = scene.room + self.above + self.load * scene.busy;
        let before = self.now.unwrap_or(wanted);
        let now = before + (wanted - before) * approach(scene.seconds, self.tau);
        self.now = Some(now);
        let eddy = self.eddy * self.eddies.step(scene.seconds, dice);
        let seen = now + eddy + self.noise * dice.normal();
        ((seen - self.origin) / self.step).round() * self.step + self.origin
    }
}

/// A share of a processor's time, counted by the kernel in hundredths of a second (`/proc/stat`).
#[derive(Debug, Clone)]
pub(super) struct Usage {
    /// Idle, and more at full load.
    idle: f64,
    load: f64,
    /// How much it wanders, as a share of itself, over about a minute; and how much it differs from reading to reading.
    wanders: f64,
    trembles: f64,
    wander: Wander,
    /// Hundredths of a second that are counted in a second: 100 for each processor.
    ticks: f64,
    /// Cron, apt, logrotate: so often a second.
    bursts: f64,
}

impl Usage {
    pub(super) fn new(idle: f64, load: f64, processors: u32, dice: &mut Dice) -> Self {
        Self {
            idle: idle * dice.between(0.5, 2.0),
            load: load * dice.between(0.4, 1.2),
            wanders: dice.between(0.04, 0.2),
            trembles: dice.between(0.03, 0.12),
            wander: Wander::new(70.0, dice),
            ticks: f64::from(processors) * 100.0,
            bursts: dice.by_ratio(1.0, 20.0) / 3600.0,
        }
    }

    fn step(&mut self, scene: &Scene, dice: &mut Dice) -> f64 {
        let wanted = self.idle + self.load * scene.busy;
        let moved = self.wanders * self.wander.step(scene.seconds, dice) + self.trembles * dice.normal();
        let most = self.idle + self.load;
        let burst =
            if dice.happens(self.bursts, scene.seconds) { most * dice.between(0.2, 1.5) } else { 0.0 };
        let share = (wanted * (1.0 + moved) + burst).clamp(0.0, 1.0);
        let ticks = (self.ticks * scene.seconds).round().max(1.0);
        // What is due at the end of a reading is counted in this one or in the next.
        (share * ticks + dice.between(-1.0, 1.0)).round().clamp(0.0, ticks) / ticks
    }
}

/// A counter of the venue's traffic.
#[derive(Debug, Clone, Copy)]
pub(super) enum Counted {
    /// Of the interface with this number.
    ReceivedBytes(usize),
    SentBytes(usize),
    ReceivedPackets(usize),
    SentPackets(usize),
    Errors(usize),
    Dropped(usize),
    /// The encoder's.
    Streamed,
    LostFrames,
    /// The agent's own traffic: its share of the wired interface's packets, about.
    AgentSent,
    AgentReceived,
}

impl Counted {
    fn read(self, venue: &Venue) -> f64 {
        let of = |at: usize| &venue.traffic[at];
        match self {
            Self::ReceivedBytes(at) => of(at).received.bytes,
            Self::SentBytes(at) => of(at).sent.bytes,
            Self::ReceivedPackets(at) => of(at).received.packets,
            Self::SentPackets(at) => of(at).sent.packets,
            Self::Errors(at) => of(at).errors,
            Self::Dropped(at) => of(at).dropped,
            Self::Streamed => of(0).streamed,
            Self::LostFrames => of(0).lost_frames,
            Self::AgentSent => of(0).agent_sent,
            Self::AgentReceived => of(0).agent_received,
        }
    }
}

/// A state.
#[derive(Debug, Clone)]
pub(super) enum Flag {
    /// Program or preview light of a camera: shots of seconds to a minute while a show runs, dark else. Readings see a tenth of
    /// its edges; the others are events, which this day leaves out.
    Tally { on: u8, shot: f64 },
    /// Under-voltage, capped frequency: now and then for a moment, mostly under load. `sticky` is the "since boot" bit.
    Throttled { on: u8, often: f64, sticky: bool },
    /// A probe of something beyond the uplink.
    Reachable { flaps: f64 },
    /// The rack's LED, 0 to 5, by the uplink's state.
    Led,
    /// 1 while the uplink is there.
    Route,
    /// A process that is restarted once in days.
    Alive,
    /// 1 while the stream runs.
    Streaming,
    /// 1 always, with a moment's exception once in a week.
    Steady { flaps: f64 },
}

impl Flag {
    fn step(&mut self, scene: &Scene, dice: &mut Dice) -> u8 {
        let seconds = scene.seconds;
        match self {
            Self::Tally { on, shot } => {
                let lit = scene.streaming && scene.busy > 0.9;
                if !lit {
                    *on = 0;
                } else if dice.happens((1.0 / *shot).min(0.1), seconds) {
                    *on = 1 - *on;
                }
                *on
            }
            Self::Throttled { on, often, sticky } => {
                let now = dice.happens(*often * (0.1 + scene.busy), seconds);
                *on = if *sticky { *on | u8::from(now) } else { u8::from(now) };
                *on
            }
            Self::Reachable { flaps } => {
                u8::from(scene.uplink != Uplink::Down && !dice.happens(*flaps, seconds))
            }
            Self::Led => match scene.uplink {
                Uplink::Fine => 1,
                Uplink::Poor(factor) if factor < 4.0 => 1,
                Uplink::Poor(_) => 2,
                Uplink::Down => 4,
            },
            Self::Route => u8::from(scene.uplink != Uplink::Down),
            Self::Alive => u8::from(!dice.happens(0.3 / 86_400.0, seconds)),
            Self::Streaming => u8::from(scene.streaming),
            Self::Steady { flaps } => u8::from(!dice.happens(*flaps, seconds)),
        }
    }
}

/// A probe's time: a floor that routes set, a queue on top, and now and then a wait. A probe on a slower schedule than the
/// readings repeats itself until its next result; one that fails has no time.
#[derive(Debug, Clone)]
pub(super) struct Latency {
    /// Seconds.
    floor: f64,
    queue: f64,
    /// Whether it goes beyond the uplink.
    far: bool,
    /// Milliseconds from one probe to the next; 1 for a probe at each reading.
    every: u64,
    next: u64,
    last: Option<f64>,
    wander: Wander,
}

impl Latency {
    pub(super) fn new(floor: f64, queue: f64, far: bool, every: u64, dice: &mut Dice) -> Self {
        let (floor, queue) = (floor * dice.by_ratio(0.5, 3.0), queue * dice.by_ratio(0.5, 3.0));
        Self { floor, queue, far, every, next: 0, last: None, wander: Wander::new(1800.0, dice) }
    }

    fn step(&mut self, scene: &Scene, dice: &mut Dice) -> Option<f64> {
        let wander = self.wander.step(scene.seconds, dice);
        if scene.ms >= self.next {
            self.next = (scene.ms / self.every + 1) * self.every;
            self.last = self.probe(scene, wander, dice);
        }
        self.last
    }

    fn probe(&self, scene: &Scene, wander: f64, dice: &mut Dice) -> Option<f64> {
        let slower = match scene.uplink {
            _ if !self.far => 1.0,
            Uplink::Fine => 1.0,
            Uplink::Poor(factor) => factor,
            Uplink::Down => return None,
        };
        let crowd = if self.far { 1.0 + scene.busy } else { 1.0 + 0.3 * scene.busy };
        let queue = self.queue * slower * crowd * (0.3 * wander).exp() * dice.wait();
        // One in 200 waits for something else: a retransmission, a busy processor.
        let wait = if dice.share() < 0.005 { dice.by_ratio(2.0, 60.0) * self.queue } else { 0.0 };
        Some(self.floor + queue + wait)
    }
}
