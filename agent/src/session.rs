//! One connection's conversation with the broker, without I/O: what is subscribed, published and heard, and in which order.
//!
//! On connecting: subscribe the hub's channels, say that we are here (presence), who we are (birth), then what is in custody.
//! The birth goes again whenever the catalog changes or the hub asks. Invariant: presence and birth go before the first
//! record of a connection, so whoever hears a record can know whose it is and against which catalog it is coded.

use crate::agent::Agent;
use crate::clock::Moment;
use bytes::Bytes;
use log::{debug, info, warn};
use rackside_link::{Link, LinkError, LinkEvent, Login, Options, Qos, Will};
use rackside_proto::{Ack, Channel, Reason, Topic, Verdict, Want, limits};
use std::time::{Duration, Instant};

/// No more than this waits for the socket before the next message is made: what waits there is no longer ours to order.
const OUTPUT_MOST: usize = 64 * 1024;

/// The hub may ask for the birth in each of its acks until it has it; it is sent this often at most.
const BIRTH_PAUSE: Duration = Duration::from_secs(2);

/// The topics of one agent, written once.
#[derive(Debug)]
struct Topics {
    presence: String,
    birth: String,
    data: String,
    event: String,
    ack: String,
    verdict: String,
}

impl Topics {
    fn of(agent: &Agent) -> Self {
        let topic = |channel| Topic { agent: agent.name.clone(), channel }.under(&agent.prefix).to_string();
        Self {
            presence: topic(Channel::Presence),
            birth: topic(Channel::Birth),
            data: topic(Channel::Data),
            event: topic(Channel::Event),
            ack: topic(Channel::Ack),
            verdict: topic(Channel::Verdict),
        }
    }
}

/// A conversation.
pub struct Session {
    link: Link,
    topics: Topics,
    client_id: String,
    /// Since when the broker has us.
    connected: Option<Instant>,
    presence_due: bool,
    birth_due: bool,
    /// When the hub gets the birth that it asked for.
    birth_wanted: Option<Instant>,
    /// The catalog in the newest birth.
    born: u32,
    born_at: Option<Instant>,
}

impl Session {
    /// Begins a conversation on a stream that was just opened: the greeting waits in [`output`](Self::output).
    pub fn open(agent: &mut Agent, login: Option<Login>, now: Instant) -> Self {
        agent.next_connection();
        let topics = Topics::of(agent);
        let client_id = format!("{}/{}", agent.name, agent.run());
        let mut options = Options::new(client_id.clone());
        options.login = login;
        let payload = Bytes::from(agent.presence(false, Reason::Will));
        options.will = Some(Will { topic: topics.presence.clone(), payload, retain: true });
        let link = Link::new(&options, now);
        Self {
            link,
            topics,
            client_id,
            connected: None,
            presence_due: false,
            birth_due: false,
            birth_wanted: None,
            born: 0,
            born_at: None,
        }
    }

    /// Since when the broker has taken the connection; `None` before.
    pub const fn connected(&self) -> Option<Instant> {
        self.connected
    }

    /// What waits for the socket.
    pub fn output(&self) -> &[u8] {
        self.link.output()
    }

    /// The socket took this many bytes.
    pub fn written(&mut self, bytes: usize) {
        self.link.written(bytes);
    }

    /// Takes what the socket gave.
    pub fn receive(&mut self, bytes: &[u8], agent: &mut Agent, now: Instant) -> Result<(), LinkError> {
        self.link.receive(bytes, now)?;
        while let Some(event) = self.link.next_event() {
            match event {
                LinkEvent::Connected => self.greet(agent, now)?,
                LinkEvent::Subscribed { refused } => self.subscribed(&refused),
                LinkEvent::Message { topic, payload, retained } => {
                    self.hear(&topic, &payload, retained, agent, now);
                }
                LinkEvent::Acked => {}
            }
        }
        Ok(())
    }

    fn greet(&mut self, agent: &mut Agent, now: Instant) -> Result<(), LinkError> {
        info!("connected to the broker as {}", self.client_id);
        self.connected = Some(now);
        self.presence_due = true;
        self.birth_due = true;
        let filters =
            [(self.topics.ack.as_str(), Qos::AtLeastOnce), (self.topics.verdict.as_str(), Qos::AtLeastOnce)];
        self.link.subscribe(&filters, now)?;
        agent.connected(now);
        Ok(())
    }

    fn subscribed(&self, refused: &[String]) {
        if refused.contains(&self.topics.ack) {
            warn!(
                "the broker does not let this user subscribe to {}: the hub's acks cannot come and the spool will \
                 overflow; allow it there",
                self.topics.ack
            );
        } else if let Some(topic) = refused.first() {
            warn!("the broker does not let this user subscribe to {topic}; allow it there");
        }
    }

    fn hear(&mut self, topic: &str, payload: &[u8], retained: bool, agent: &mut Agent, now: Instant) {
        if retained {
            // Neither is ever retained by a hub; somebody left it there, and it is old.
            debug!("ignored a retained message on {topic}");
        } else if topic == self.topics.ack {
            match Ack::decode(payload) {
                Ok(ack) => {
                    if ack.wants.contains(&Want::Birth) {
                        let at = self.born_at.map_or(now, |at| now.max(at + BIRTH_PAUSE));
                        self.birth_wanted.get_or_insert(at);
                    }
                    agent.custody.acked(&ack, now);
                }
                Err(error) => debug!("ignored a message on {topic}: {error}"),
            }
        } else if topic == self.topics.verdict {
            match Verdict::decode(payload) {
                Ok(verdict) => {
                    agent.verdict = Some((verdict, now + Duration::from_secs(verdict.valid_s.into())));
                }
                Err(error) => debug!("ignored a message on {topic}: {error}"),
            }
        }
    }

    /// Fills the output with what is due.
    pub fn pump(&mut self, agent: &mut Agent, moment: &Moment) -> Result<(), LinkError> {
        let now = moment.now;
        if now >= self.link.deadline() {
            self.link.handle_timeout(now)?;
        }
        if self.connected.is_some() {
            let wanted = self.birth_wanted.take_if(|at| *at <= now).is_some();
            self.birth_due |= wanted || agent.catalog_number() != self.born;
        }
        while self.may_publish() {
            if std::mem::take(&mut self.presence_due) {
                let body = agent.presence(true, Reason::Start);
                self.publish_retained(Channel::Presence, body, now)?;
            } else if std::mem::take(&mut self.birth_due) {
                self.born = agent.catalog_number();
                self.born_at = Some(now);
                match agent.birth(moment) {
                    Ok(body) => self.publish_retained(Channel::Birth, body, now)?,
                    Err(error) => warn!("the birth cannot be sent: {error}"),
                }
            } else if !self.publish_record(agent, now)? {
                break;
            }
        }
        Ok(())
    }

    fn may_publish(&self) -> bool {
        self.link.may_publish() && self.link.output().len() < OUTPUT_MOST
    }

    fn publish_retained(&mut self, channel: Channel, body: Vec<u8>, now: Instant) -> Result<(), LinkError> {
        let topic = if channel == Channel::Birth { &self.topics.birth } else { &self.topics.presence };
        self.link.publish(topic, body.into(), Qos::AtLeastOnce, true, now)
    }

    /// Publishes one record; false when none is due.
    fn publish_record(&mut self, agent: &mut Agent, now: Instant) -> Result<bool, LinkError> {
        let Some(out) = agent.custody.next_outgoing(now) else { return Ok(false) };
        let mut body = Vec::with_capacity(out.body.len() + 32);
        out.envelope.encode(&mut body).expect("a Vec has room");
        body.extend_from_slice(out.body);
        debug_assert!(body.len() <= limits::LARGE, "custody holds nothing larger");
        let topic = if out.channel == Channel::Event { &self.topics.event } else { &self.topics.data };
        self.link.publish(topic, body.into(), Qos::AtLeastOnce, false, now)?;
        Ok(true)
    }

    /// When [`pump`](Self::pump) is due at the latest.
    pub fn deadline(&self, agent: &Agent, now: Instant) -> Instant {
        let link = self.link.deadline();
        // While the link takes nothing, the broker's PUBACK is what comes next.
        let custody = if self.may_publish() { agent.custody.deadline(now) } else { None };
        [Some(link), custody, self.birth_wanted].into_iter().flatten().min().unwrap_or(link)
    }

    /// Says goodbye: nothing more is taken or sent but what is in the output.
    pub fn close(&mut self, agent: &Agent, reason: Reason, now: Instant) -> Result<(), LinkError> {
        if self.connected.is_some() {
            // A full window must not make us leave without a word; what follows it is the DISCONNECT anyway.
            let qos = if self.link.may_publish() { Qos::AtLeastOnce } else { Qos::AtMostOnce };
            let body = agent.presence(false, reason);
            self.link.publish(&self.topics.presence, body.into(), qos, true, now)?;
        }
        self.link.disconnect(now)
    }
}
