//! What a connection is made with.

use bytes::Bytes;
use rumqttc::mqttbytes::v4;
use std::fmt;
use std::time::Duration;

/// What a connection is made with.
#[derive(Debug, Clone)]
pub struct Options {
    /// Names the client to the broker; a second connection with the same name ends the first.
    pub client_id: String,
    /// A peer that says nothing for this long is gone: asked after half of it. 1 s to 65,535 s; 7 s unless set.
    pub keep_alive: Duration,
    /// How long the broker may take to answer the CONNECT; 10 s unless set.
    pub connect_timeout: Duration,
    /// User and password.
    pub login: Option<Login>,
    /// What the broker says when the link breaks.
    pub will: Option<Will>,
    /// Most QoS 1 messages without their PUBACK; 64 unless set.
    pub max_inflight: u16,
    /// Largest packet in bytes, either way; 264 KiB unless set: the largest birth, its topic and headers.
    pub max_packet: usize,
}

impl Options {
    /// The defaults.
    pub fn new(client_id: impl Into<String>) -> Self {
        Self {
            client_id: client_id.into(),
            keep_alive: Duration::from_secs(7),
            connect_timeout: Duration::from_secs(10),
            login: None,
            will: None,
            max_inflight: 64,
            max_packet: 264 * 1024,
        }
    }

    pub(crate) fn connect(&self) -> v4::Connect {
        let mut connect = v4::Connect::new(self.client_id.clone());
        // Brokers wait half as long again as they are told, and Mosquitto 2.0 looks every six seconds only: told 7, it
        // publishes a will up to 16 s after the last sign of life. Told two thirds, it gives up when we do.
        let told = (self.keep_alive.as_secs() * 2).div_ceil(3);
        connect.keep_alive = u16::try_from(told).unwrap_or(u16::MAX).max(1);
        connect.login = self.login.as_ref().map(|login| v4::Login::new(&login.user, &login.password));
        connect.last_will = self.will.as_ref().map(|will| v4::LastWill {
            topic: will.topic.clone(),
            message: will.payload.clone(),
            qos: rumqttc::QoS::AtLeastOnce,
            retain: will.retain,
        });
        connect
    }
}

/// User and password. `Debug` shows no password.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The user's name; not empty, MQTT 3.1.1 knows no password without one.
    pub user: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("user", &self.user).finish_non_exhaustive()
    }
}

/// What the broker publishes, with QoS 1, when the link ends without a DISCONNECT.
#[derive(Debug, Clone)]
pub struct Will {
    /// On this topic.
    pub topic: String,
    /// This body.
    pub payload: Bytes,
    /// To be kept for those who subscribe later.
    pub retain: bool,
}

/// How hard a message is tried. There is no QoS 2 here: custody does better end to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Qos {
    /// Once, and it may be lost.
    AtMostOnce,
    /// Until the broker has it.
    AtLeastOnce,
}

impl From<Qos> for rumqttc::QoS {
    fn from(qos: Qos) -> Self {
        match qos {
            Qos::AtMostOnce => Self::AtMostOnce,
            Qos::AtLeastOnce => Self::AtLeastOnce,
        }
    }
}
