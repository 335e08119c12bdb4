//! The broker between agents and hub: MQTT's bytes on the agents' side, whole messages on the hub's.
//!
//! It takes what it has acknowledged as lightly as a real one may: it drops it, sends it twice, out of order or late, and
//! forgets. Retained messages and Last Wills are kept; a connection is over when its client says nothing for half as long
//! again as it promised. As the hub's own listener it is the same thing, and dies with the hub.

use bytes::{Bytes, BytesMut};
use rumqttc::QoS;
use rumqttc::mqttbytes::Error;
use rumqttc::mqttbytes::v4::{
    ConnAck, ConnectReturnCode, LastWill, Packet, PingResp, PubAck, Publish, SubAck, SubscribeReasonCode,
};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The largest packet of ours.
const MOST: usize = 512 * 1024;

/// How badly it treats what it has acknowledged; of 8 messages each.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Manners {
    pub(crate) drop: u8,
    pub(crate) duplicate: u8,
    pub(crate) reorder: u8,
    /// The longest way of a message, in milliseconds.
    pub(crate) delay_ms: u64,
}

/// Where a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum To {
    Hub,
    /// An appliance, on the connection of that number.
    Agent(usize, u64),
}

/// A message on its way out of the broker.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    to: To,
    pub(crate) topic: String,
    pub(crate) payload: Bytes,
    pub(crate) retained: bool,
}

/// What arrives now.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// At the hub.
    Hub(Delivery),
    /// At an appliance: bytes for its socket.
    Agent(usize, Vec<u8>),
}

/// The broker's end of a connection.
#[derive(Debug)]
struct Connection {
    number: u64,
    input: BytesMut,
    keep_alive: Duration,
    heard: Instant,
    will: Option<LastWill>,
    subscribed: bool,
    next_id: u16,
}

#[derive(Debug)]
pub(crate) struct Broker {
    up: bool,
    pub(crate) manners: Manners,
    hub_is_connected: bool,
    connections: Vec<Option<Connection>>,
    retained: BTreeMap<String, Bytes>,
    under_way: BTreeMap<(Instant, u64), Delivery>,
    /// When the last message that keeps its place arrives, to the hub and to each appliance.
    last: Vec<Instant>,
    counter: u64,
    dice: fastrand::Rng,
}

impl Broker {
    pub(crate) fn new(appliances: usize, dice: fastrand::Rng, now: Instant) -> Self {
        Self {
            up: true,
            manners: Manners::default(),
            hub_is_connected: false,
            connections: (0..appliances).map(|_| None).collect(),
            retained: BTreeMap::new(),
            under_way: BTreeMap::new(),
            last: vec![now; appliances + 1],
            counter: 0,
            dice,
        }
    }

    pub(crate) fn is_up(&self) -> bool {
        self.up
    }

    pub(crate) fn start(&mut self) {
        self.up = true;
    }

    /// All connections are gone, with what was under way.
    pub(crate) fn kill(&mut self) {
        self.up = false;
        self.hub_is_connected = false;
        self.under_way.clear();
        self.connections.iter_mut().for_each(|connection| *connection = None);
    }

    pub(crate) fn wipe(&mut self) {
        self.retained.clear();
    }

    pub(crate) fn hub_is_connected(&self) -> bool {
        self.hub_is_connected
    }

    /// The hub subscribes, and gets what is retained.
    pub(crate) fn connect_hub(&mut self, now: Instant) {
        self.hub_is_connected = true;
        for (topic, payload) in self.retained.clone() {
            self.send(&Delivery { to: To::Hub, topic, payload, retained: true }, now);
        }
    }

    pub(crate) fn disconnect_hub(&mut self) {
        self.hub_is_connected = false;
        self.under_way.retain(|_, delivery| delivery.to != To::Hub);
    }

    /// A client's bytes, and the answer to them. False: the broker has ended the connection.
    pub(crate) fn receive(
        &mut self,
        appliance: usize,
        number: u64,
        bytes: &[u8],
        now: Instant,
    ) -> Option<Vec<u8>> {
        let connection = match &mut self.connections[appliance] {
            Some(connection) if connection.number == number => connection,
            slot => slot.insert(Connection {
                number,
                input: BytesMut::new(),
                keep_alive: Duration::from_secs(10),
                heard: now,
                will: None,
                subscribed: false,
                next_id: 0,
            }),
        };
        connection.heard = now;
        connection.input.extend_from_slice(bytes);
        let mut answer = BytesMut::new();
        let mut published = Vec::new();
        loop {
            match Packet::read(&mut connection.input, MOST) {
                Ok(Packet::Publish(publish)) => {
                    if publish.qos == QoS::AtLeastOnce {
                        PubAck::new(publish.pkid).write(&mut answer).expect("it fits");
                    }
                    published.push(publish);
                }
                Ok(Packet::Disconnect) => {
                    connection.will = None;
                    self.connections[appliance] = None;
                    self.publish_all(published, now);
                    return None;
                }
                Ok(packet) => connection.take(&packet, &mut answer),
                Err(Error::InsufficientBytes(_)) => break,
                Err(error) => panic!("appliance {appliance} sends what is no MQTT: {error}"),
            }
        }
        self.publish_all(published, now);
        Some(answer.to_vec())
    }

    fn publish_all(&mut self, published: Vec<Publish>, now: Instant) {
        for publish in published {
            // The codec's payload is a slice of the read buffer.
            let payload = Bytes::copy_from_slice(&publish.payload);
            if publish.retain {
                self.retained.insert(publish.topic.clone(), payload.clone());
            }
            self.send(&Delivery { to: To::Hub, topic: publish.topic, payload, retained: false }, now);
        }
    }

    /// A message of the hub's to an appliance.
    pub(crate) fn publish_to(&mut self, appliance: usize, topic: String, payload: Bytes, now: Instant) {
        if let Some(connection) =
            self.connections[appliance].as_ref().filter(|connection| connection.subscribed)
        {
            let to = To::Agent(appliance, connection.number);
            self.send(&Delivery { to, topic, payload, retained: false }, now);
        }
    }

    /// A client's connection is over without a goodbye: its will is published.
    pub(crate) fn lost(&mut self, appliance: usize, now: Instant) {
        let Some(connection) = self.connections[appliance].take() else { return };
        if let Some(will) = connection.will {
            if will.retain {
                self.retained.insert(will.topic.clone(), will.message.clone());
            }
            self.send(
                &Delivery { to: To::Hub, topic: will.topic, payload: will.message, retained: false },
                now,
            );
        }
    }

    /// Whether it has this connection still.
    pub(crate) fn has(&self, appliance: usize, number: u64) -> bool {
        self.connections[appliance].as_ref().is_some_and(|connection| connection.number == number)
    }

    fn send(&mut self, delivery: &Delivery, now: Instant) {
        if delivery.to == To::Hub && !self.hub_is_connected {
            return;
        }
        if !delivery.retained && self.dice.u8(..8) < self.manners.drop {
            return;
        }
        let twice = self.dice.u8(..8) < self.manners.duplicate;
        for _ in 0..=u8::from(twice) {
            let queue = match delivery.to {
                To::Hub => 0,
                To::Agent(appliance, _) => appliance + 1,
            };
            let mut at = now + Duration::from_millis(self.dice.u64(..=self.manners.delay_ms) + 1);
            if self.dice.u8(..8) >= self.manners.reorder {
                at = at.max(self.last[queue]);
                self.last[queue] = at;
            }
            self.counter += 1;
            self.under_way.insert((at, self.counter), delivery.clone());
        }
    }

    /// When [`next`](Self::next) has something.
    pub(crate) fn due(&self) -> Option<Instant> {
        let silent =
            self.connections.iter().flatten().map(|connection| connection.heard + connection.keep_alive);
        self.under_way.keys().next().map(|(at, _)| *at).into_iter().chain(silent).min()
    }

    /// What arrives by `now`. Notices silence too.
    pub(crate) fn next(&mut self, now: Instant) -> Option<Arrival> {
        for appliance in 0..self.connections.len() {
            let silent = |connection: &Connection| now >= connection.heard + connection.keep_alive;
            if self.connections[appliance].as_ref().is_some_and(silent) {
                self.lost(appliance, now);
            }
        }
        while let Some(entry) = self.under_way.first_entry().filter(|entry| entry.key().0 <= now) {
            let delivery = entry.remove();
            match delivery.to {
                To::Hub if self.hub_is_connected => return Some(Arrival::Hub(delivery)),
                To::Agent(appliance, number) if self.has(appliance, number) => {
                    let connection = self.connections[appliance].as_mut().expect("asked just now");
                    return Some(Arrival::Agent(appliance, connection.publish(&delivery)));
                }
                To::Hub | To::Agent(..) => {}
            }
        }
        None
    }
}

impl Connection {
    fn take(&mut self, packet: &Packet, answer: &mut BytesMut) {
        match packet {
            Packet::Connect(connect) => {
                // Half as long again as promised: section 3.1.2.10 of the standard.
                self.keep_alive = Duration::from_millis(u64::from(connect.keep_alive) * 1500);
                self.will = connect
                    .last_will
                    .clone()
                    .map(|will| LastWill { message: Bytes::copy_from_slice(&will.message), ..will });
                ConnAck::new(ConnectReturnCode::Success, false).write(answer).expect("it fits");
            }
            Packet::Subscribe(subscribe) => {
                self.subscribed = true;
                let granted = subscribe
                    .filters
                    .iter()
                    .map(|_| SubscribeReasonCode::Success(QoS::AtLeastOnce))
                    .collect();
                SubAck::new(subscribe.pkid, granted).write(answer).expect("it fits");
            }
            Packet::PingReq => {
                PingResp.write(answer).expect("it fits");
            }
            _ => {}
        }
    }

    fn publish(&mut self, delivery: &Delivery) -> Vec<u8> {
        let mut packet = Publish::from_bytes(&delivery.topic, QoS::AtLeastOnce, delivery.payload.clone());
        self.next_id = self.next_id.checked_add(1).unwrap_or(1);
        packet.pkid = self.next_id;
        packet.retain = delivery.retained;
        let mut bytes = BytesMut::new();
        packet.write(&mut bytes).expect("it fits");
        bytes.to_vec()
    }
}
