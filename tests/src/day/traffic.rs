//! What an interface counts: bytes and packets both ways, errors, drops.
//!
//! Four sources, added up: the chatter of any network (ARP, mDNS, discovery of audio and video devices), the stream at its
//! steady bit rate, what somebody copies now and then, and the agent itself. All counted over the real time between two
//! readings, so that a late reading counts a little more, as a real one does.

use super::dice::{Dice, Wander};
use super::venue::{Scene, Uplink};

/// An interface's counters since it came up.
#[derive(Debug, Clone)]
pub(super) struct Traffic {
    pub(super) received: Both,
    pub(super) sent: Both,
    pub(super) errors: f64,
    pub(super) dropped: f64,
    /// The stream's own counter: bytes that the encoder sent.
    pub(super) streamed: f64,
    /// Frames that the encoder threw away, because the uplink did not take them.
    pub(super) lost_frames: f64,
    /// The agent's own bytes on the wire.
    pub(super) agent_sent: f64,
    pub(super) agent_received: f64,
    /// Bits per second that the encoder is set to; 0 on an interface that carries no stream.
    stream: f64,
    stream_wander: Wander,
    /// Packets per second of chatter, and their mean length.
    chatter: f64,
    length: f64,
    chatter_wander: Wander,
    /// Bytes of a copy that are still to come, and bytes per second.
    copy: f64,
    copy_rate: f64,
    wireless: bool,
    /// Errors per second when all is well.
    faults: f64,
    /// Frames per second that the kernel drops because nobody listens to their protocol.
    ignored: f64,
}

/// Bytes and packets.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Both {
    pub(super) bytes: f64,
    pub(super) packets: f64,
}

impl Both {
    fn add(&mut self, packets: f64, bytes: f64) {
        self.packets += packets;
        self.bytes += bytes;
    }

    fn since_long_ago(dice: &mut Dice, bytes: f64) -> Self {
        let bytes = dice.by_ratio(bytes / 100.0, bytes).round();
        Self { bytes, packets: (bytes / 700.0).round() }
    }
}

/// A full Ethernet frame of a TCP stream, and the acknowledgement of every second one.
const FRAME: f64 = 1514.0;
const ACKNOWLEDGEMENT: f64 = 66.0;

impl Traffic {
    pub(super) fn wired(dice: &mut Dice) -> Self {
        // What services ask for: 2.5 to 8 Mbit/s with the sound.
        let stream = [2.5e6, 3.5e6, 4.66e6, 6.16e6, 8.0e6][(dice.next() % 5) as usize];
        let chatter = dice.by_ratio(3.0, 60.0);
        Self::new(dice, stream, chatter, 2e11)
    }

    pub(super) fn wireless(dice: &mut Dice) -> Self {
        let chatter = dice.by_ratio(0.5, 12.0);
        Self { wireless: true, faults: 0.002, ..Self::new(dice, 0.0, chatter, 2e9) }
    }

    fn new(dice: &mut Dice, stream: f64, chatter: f64, long_ago: f64) -> Self {
        Self {
            received: Both::since_long_ago(dice, long_ago),
            sent: Both::since_long_ago(dice, long_ago),
            errors: 0.0,
            dropped: dice.by_ratio(1.0, 100_000.0).round(),
            streamed: Both::since_long_ago(dice, long_ago).bytes,
            lost_frames: dice.count(20.0),
            agent_sent: dice.by_ratio(1e4, 1e8).round(),
            agent_received: dice.by_ratio(1e4, 1e8).round(),
            stream,
            stream_wander: Wander::new(25.0, dice),
            chatter,
            length: dice.between(80.0, 340.0),
            chatter_wander: Wander::new(600.0, dice),
            copy: 0.0,
            copy_rate: 0.0,
            wireless: false,
            // A good cable has an error in months, a bad one in every few minutes.
            faults: if dice.share() < 0.15 { 0.005 } else { 1e-6 },
            // A switch that speaks spanning tree says so every two seconds; elsewhere LLDP every half minute.
            ignored: if dice.share() < 0.3 { 0.5 } else { 1.0 / 30.0 },
        }
    }

    pub(super) fn step(&mut self, scene: &Scene, dice: &mut Dice) {
        self.chat(scene, dice);
        self.carry_the_stream(scene, dice);
        self.copy(scene, dice);
        self.dropped += (self.ignored * scene.seconds + dice.share()).floor();
        // Radio has many when the air is full.
        let errors = match scene.uplink {
            _ if !self.wireless => self.faults,
            Uplink::Fine => self.faults * (1.0 + 10.0 * scene.busy),
            Uplink::Poor(_) | Uplink::Down => 0.5,
        };
        self.errors += dice.count(errors * scene.seconds);
    }

    fn chat(&mut self, scene: &Scene, dice: &mut Dice) {
        let wander = (0.25 * self.chatter_wander.step(scene.seconds, dice)).exp();
        let packets = dice.count(self.chatter * (0.4 + 1.6 * scene.busy) * wander * scene.seconds);
        // Lengths differ about as much as they are long.
        let bytes = packets * self.length + packets.sqrt() * self.length * dice.normal();
        self.received.add(packets, bytes.max(packets * 60.0).round());
        let answers = dice.count(0.1 * packets);
        self.sent.add(answers, (answers * dice.between(70.0, 150.0)).round());
        if !self.wireless {
            self.report(scene, dice);
        }
    }

    /// The agent's reading, of a length that differs by a few bytes, and the hub's ack; beside them the probes' packets.
    fn report(&mut self, scene: &Scene, dice: &mut Dice) {
        let readings = scene.seconds / 10.0;
        let sent = (readings * (210.0 + 9.0 * dice.normal())).round();
        let received = (readings * 172.0).round() + 66.0 * dice.count(0.05 * readings);
        if scene.uplink != Uplink::Down {
            self.agent_sent += sent;
            self.agent_received += received;
            self.sent.add(3.0, sent);
            self.received.add(3.0, received);
        }
        let probes = dice.count(6.0 * readings);
        self.sent.add(probes, (probes * dice.between(80.0, 130.0)).round());
        self.received.add(probes, (probes * dice.between(70.0, 110.0)).round());
    }

    /// A constant bit rate is constant over seconds, not over every ten: x264 and the hardware encoders stay within a few per
    /// cent of it, and what is left over comes in the next.
    fn carry_the_stream(&mut self, scene: &Scene, dice: &mut Dice) {
        let wander = self.stream_wander.step(scene.seconds, dice);
        if !scene.streaming || self.stream == 0.0 {
            return;
        }
        let wanted = self.stream / 8.0 * scene.seconds * (1.0 + 0.02 * wander);
        let share = match scene.uplink {
            Uplink::Fine => 1.0,
            Uplink::Poor(factor) => dice.between(1.0 - (factor / 12.0) * 0.4, 1.0),
            Uplink::Down => 0.0,
        };
        let bytes = (wanted * share).round();
        self.lost_frames += dice.count((1.0 - share) * 25.0 * scene.seconds);
        self.streamed += bytes;
        // 1,448 bytes of each frame are the stream's.
        let packets = (bytes / 1448.0).ceil();
        self.sent.add(packets, (bytes + packets * (FRAME - 1448.0)).round());
        let acknowledgements = (packets * dice.between(0.45, 0.55)).round();
        self.received.add(acknowledgements, acknowledgements * ACKNOWLEDGEMENT);
    }

    /// An update, a recording that somebody fetches: three a day, more while they work; sizes as far apart as files are.
    fn copy(&mut self, scene: &Scene, dice: &mut Dice) {
        if self.copy <= 0.0
            && !self.wireless
            && dice.happens((3.0 + 8.0 * scene.busy) / 86_400.0, scene.seconds)
        {
            self.copy = dice.by_ratio(1e6, 2e9);
            self.copy_rate = dice.by_ratio(5e5, 1.1e7);
        }
        if self.copy > 0.0 && scene.uplink != Uplink::Down {
            let bytes = (self.copy_rate * scene.seconds * dice.between(0.7, 1.0)).min(self.copy).round();
            self.copy -= bytes.max(1.0);
            let packets = (bytes / 1448.0).ceil();
            self.received.add(packets, (bytes + packets * (FRAME - 1448.0)).round());
            let acknowledgements = (packets * 0.5).round();
            self.sent.add(acknowledgements, acknowledgements * ACKNOWLEDGEMENT);
        }
    }
}
