//! What a simulated fleet is started with.

use crate::joined::Joined;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// A fleet.
#[derive(Debug, Clone)]
pub struct SimulationOptions {
    /// The broker, or the hub's listener.
    pub address: SocketAddr,
    /// How to reach it.
    pub transport: Transport,
    /// User and password.
    pub login: Option<(String, String)>,
    /// The first word of all topics.
    pub prefix: String,
    /// How many appliances; five share a site.
    pub appliances: usize,
    /// How many series each has.
    pub series: usize,
    /// What they do.
    pub mode: Mode,
    /// How much time's readings each holds when it starts, steady ones only.
    pub backlog: Duration,
    /// How far the fleet's clock is ahead of this machine's.
    pub ahead: Duration,
    /// Over how long they connect.
    pub ramp: Duration,
    /// A silent broker is gone after this.
    pub keep_alive: Duration,
    /// One or two threads.
    pub threads: usize,
    /// Whether a record is kept until the hub's ack; else until the broker's PUBACK, for brokers without a hub.
    pub custody: bool,
    /// Makes values and jitter repeatable.
    pub seed: u64,
}

/// What appliances do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A reading at each tick.
    Steady {
        /// From one reading to the next.
        tick: Duration,
    },
    /// Readings as fast as acks and MQTT's window allow.
    Blast {
        /// Most records that one appliance holds at a time.
        held: usize,
    },
    /// Connected, and nothing else.
    Idle,
}

/// How a broker is reached.
#[derive(Debug, Clone)]
pub enum Transport {
    /// TCP.
    Plain,
    /// TLS, by a certificate of this authority in this name.
    Tls {
        /// A PEM file.
        authority: PathBuf,
        /// The name in the broker's certificate.
        server_name: String,
    },
    /// TLS to `127.0.0.1`, each appliance with its own certificate.
    Joined(Joined),
}

impl SimulationOptions {
    /// One appliance of 30 series at 10 s, over TCP, at once.
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            transport: Transport::Plain,
            login: None,
            prefix: "rackside".to_owned(),
            appliances: 1,
            series: 30,
            mode: Mode::Steady { tick: Duration::from_secs(10) },
            backlog: Duration::ZERO,
            ahead: Duration::ZERO,
            ramp: Duration::ZERO,
            keep_alive: Duration::from_secs(7),
            threads: 1,
            custody: true,
            seed: 1,
        }
    }
}
