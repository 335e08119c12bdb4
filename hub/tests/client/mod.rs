//! A blocking MQTT client on a thread of its own choice: what an agent's link is to the hub. For tests and for the staged
//! fleet.
#![allow(dead_code, unreachable_pub, clippy::allow_attributes, reason = "each test binary uses a part of it")]

use rackside_hub::clock;
use rackside_link::{Link, LinkEvent, Options, Qos};
use std::io::{Error, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// One connection.
pub struct Client {
    link: Link,
    socket: TcpStream,
    received: Vec<(String, Vec<u8>)>,
}

impl Client {
    /// Connects, as `name`.
    pub fn connect(to: impl ToSocketAddrs, name: &str) -> std::io::Result<Self> {
        let socket = TcpStream::connect(to)?;
        socket.set_read_timeout(Some(Duration::from_millis(10)))?;
        let link = Link::new(&Options::new(name), now());
        let mut client = Self { link, socket, received: Vec::new() };
        while !client.link.may_publish() {
            client.turn()?;
        }
        Ok(client)
    }

    /// Subscribes.
    pub fn subscribe(&mut self, filter: &str) -> std::io::Result<()> {
        self.link.subscribe(&[(filter, Qos::AtLeastOnce)], now()).map_err(Error::other)?;
        self.turn()
    }

    /// Publishes with QoS 1 and waits until the broker has it.
    pub fn send(&mut self, sent: (String, Vec<u8>)) -> std::io::Result<()> {
        self.publish(sent, false)
    }

    /// Publishes with QoS 1, retained if so wanted, and waits until the broker has it.
    pub fn publish(&mut self, (topic, body): (String, Vec<u8>), retain: bool) -> std::io::Result<()> {
        while !self.link.may_publish() {
            self.turn()?;
        }
        self.link.publish(&topic, body.into(), Qos::AtLeastOnce, retain, now()).map_err(Error::other)?;
        while self.link.inflight() > 0 {
            self.turn()?;
        }
        Ok(())
    }

    /// The first message on a topic with this ending that comes, or has come, within 30 s.
    pub fn expect(&mut self, ending: &str) -> Vec<u8> {
        let until = now() + Duration::from_secs(30);
        loop {
            if let Some(at) = self.received.iter().position(|(topic, _)| topic.ends_with(ending)) {
                return self.received.remove(at).1;
            }
            assert!(now() < until, "nothing on ...{ending} within 30 s; came: {:?}", self.received);
            self.turn().expect("the connection holds");
        }
    }

    /// Whether nothing has come on a topic with this in it.
    pub fn none(&self, part: &str) -> bool {
        !self.received.iter().any(|(topic, _)| topic.contains(part))
    }

    /// One round of writing and reading; at most 10 ms.
    pub fn turn(&mut self) -> std::io::Result<()> {
        let output = self.link.output().to_vec();
        self.socket.write_all(&output)?;
        self.link.written(output.len());
        let mut buffer = vec![0; 65_536];
        match self.socket.read(&mut buffer) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => self.link.receive(&buffer[..count], now()).map_err(Error::other)?,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => return Err(error),
        }
        if self.link.deadline() <= now() {
            self.link.handle_timeout(now()).map_err(Error::other)?;
        }
        while let Some(event) = self.link.next_event() {
            if let LinkEvent::Message { topic, payload, .. } = event {
                self.received.push((topic, payload.to_vec()));
            }
        }
        Ok(())
    }
}

fn now() -> Instant {
    clock::now().instant
}
