//! One connection's conversation with the broker, without I/O: what is subscribed, published and heard, and in which order.
//!
//! On connecting: subscribe the hub's channels, say that we are here (presence), who we are (birth), then what is in custody.
//! The birth goes again whenever the catalog or what else it says changes, or the hub asks; a picture of a stream goes when nothing else waits. Invariant: presence and
//! birth go before the first record of a connection, so whoever hears a record can know whose it is and against which catalog it is coded.

use crate::agent::{Agent, Gist};
use crate::clock::Moment;
use bytes::Bytes;
use log::{debug, info, warn};
use rackside_link::{Link, LinkError, LinkEvent, Login, Options, Qos, Will};
use rackside_proto::{Ack, Channel, Reason, Topic, Verdict, Want, limits};
use std::time::{Duration, Instant};

/// No more than this waits for the socket before the next message is made: what waits there is no longer ours to order.
const OUTPUT_MOST: usize = 64 * 1024;

/// More than this waits only for a broker that sends and does not read: what it is owed is never held back as our own messages
/// are. A largest birth behind a full output is a third of it.
const OUTPUT_LIMIT: usize = 1024 * 1024;

/// The hub may ask for the birth in each of its acks until it has it; it is sent this often at most.
const BIRTH_PAUSE: Duration = Duration::from_secs(2);

/// A picture that waited so long for records to go first is old: the next one will come.
const STILL_WAITS: Duration = Duration::from_mins(1);

/// A broker that answers pings and takes no message for this long is stuck; another connection may not be.
const STUCK: Duration = Duration::from_mins(1);

/// The topics of one agent, written once.
#[derive(Debug)]
struct Topics {
    presence: String,
    birth: String,
    data: String,
    event: String,
    ack: String,
    verdict: String,
    config: String,
    still: String,
    command: String,
    reply: String,
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
            config: topic(Channel::Config),
            still: topic(Channel::Still),
            command: topic(Channel::Command),
            reply: topic(Channel::Reply),
        }
    }
}

/// A conversation.
pub struct Session {
    link: Link,
    /// After which silence it is gone.
    keep_alive: Duration,
    topics: Topics,
    client_id: String,
    /// Since when the broker has us.
    connected: Option<Instant>,
    presence_due: bool,
    birth_due: bool,
    /// When the hub gets the birth that it asked for.
    birth_wanted: Option<Instant>,
    /// What the newest birth said.
    born: Option<Gist>,
    born_at: Option<Instant>,
    /// A picture that waits, and until when it is worth sending.
    still: Option<(Vec<u8>, Instant)>,
    /// When the broker last took a message, or was given one with none before it in flight.
    progress: Instant,
}

impl Session {
    /// Begins a conversation on a stream that was just opened: the greeting waits in [`output`](Self::output).
    pub fn open(agent: &mut Agent, login: Option<Login>, now: Instant) -> Self {
        agent.next_connection();
        let topics = Topics::of(agent);
        let client_id = format!("{}/{}", agent.name, agent.run());
        let mut options = Options::new(client_id.clone());
        options.login = login;
        options.keep_alive = agent.keep_alive();
        let payload = Bytes::from(agent.presence(false, Reason::Will));
        options.will = Some(Will { topic: topics.presence.clone(), payload, retain: true });
        let link = Link::new(&options, now);
        Self {
            link,
            keep_alive: options.keep_alive,
            topics,
            client_id,
            connected: None,
            presence_due: false,
            birth_due: false,
            birth_wanted: None,
            born: None,
            born_at: None,
            still: None,
            progress: now,
        }
    }

    /// Since when the broker has taken the connection; `None` before.
    pub const fn connected(&self) -> Option<Instant> {
        self.connected
    }

    /// After which silence it is gone; the broker was told as it began.
    pub const fn keep_alive(&self) -> Duration {
        self.keep_alive
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
                LinkEvent::Oversized { topic, size } => {
                    warn!("ignored a message of {size} bytes on {topic}: the hub sends none so large");
                }
                LinkEvent::Acked => self.progress = now,
            }
        }
        if self.output().len() > OUTPUT_LIMIT {
            return Err(LinkError::Protocol("it sends and does not read".to_owned()));
        }
        Ok(())
    }

    fn greet(&mut self, agent: &mut Agent, now: Instant) -> Result<(), LinkError> {
        info!("connected to the broker as {}", self.client_id);
        self.connected = Some(now);
        self.presence_due = true;
        self.birth_due = true;
        let mut topics = vec![&self.topics.ack, &self.topics.verdict];
        if agent.takes_configurations() {
            topics.push(&self.topics.config);
        }
        // Who has not joined cannot know the hub's commands from others.
        if agent.commands.gate.is_joined() {
            topics.push(&self.topics.command);
        }
        let filters: Vec<_> = topics.iter().map(|topic| (topic.as_str(), Qos::AtLeastOnce)).collect();
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
        if topic == self.topics.config {
            // Signed and numbered: it may as well be old. An empty one clears what a broker keeps.
            if !payload.is_empty() && payload.len() <= limits::SMALL {
                agent.configuration = Some(payload.to_vec());
            }
        } else if retained {
            // Neither is ever retained by a hub; somebody left it there, and it is old.
            debug!("ignored a retained message on {topic}");
        } else if topic == self.topics.ack {
            match Ack::decode(payload) {
                Ok(ack) => {
                    if ack.wants.contains(&Want::Birth) {
                        let at = self.born_at.map_or(now, |at| now.max(at + BIRTH_PAUSE));
                        self.birth_wanted.get_or_insert(at);
                    }
                    agent.hub_time = Some(ack.time_ms);
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
        } else if topic == self.topics.command {
            // Whether it is the hub's is judged by whoever knows what time it is.
            agent.commands.put(payload);
        }
    }

    /// Fills the output with what is due.
    pub fn pump(&mut self, agent: &mut Agent, moment: &Moment) -> Result<(), LinkError> {
        let now = moment.now;
        if now >= self.link.deadline() {
            self.link.handle_timeout(now)?;
        }
        if self.link.inflight() == 0 {
            self.progress = now;
        } else if now >= self.progress + STUCK {
            return Err(LinkError::Stuck(STUCK));
        }
        if self.connected.is_some() {
            let wanted = self.birth_wanted.take_if(|at| *at <= now).is_some();
            self.birth_due |= wanted || self.born.is_some_and(|born| born != agent.gist(moment));
        }
        while self.may_publish() {
            if std::mem::take(&mut self.presence_due) {
                let body = agent.presence(true, Reason::Start);
                self.publish_retained(Channel::Presence, body, now)?;
            } else if std::mem::take(&mut self.birth_due) {
                self.born = Some(agent.gist(moment));
                self.born_at = Some(now);
                match agent.birth(moment) {
                    Ok(body) => self.publish_retained(Channel::Birth, body, now)?,
                    Err(error) => warn!("the birth cannot be sent: {error}"),
                }
            } else if let Some(reply) = agent.commands.take_reply() {
                self.link.publish(&self.topics.reply, reply.into(), Qos::AtLeastOnce, false, now)?;
            } else if !self.publish_record(agent, now)? && !self.publish_still(now)? {
                break;
            }
        }
        Ok(())
    }

    /// Has the hub say something: it answers a birth.
    pub fn ask(&mut self, now: Instant) {
        self.birth_wanted.get_or_insert(now);
    }

    /// Whether so much waits for the socket that nothing more is made.
    pub fn is_full(&self) -> bool {
        self.output().len() >= OUTPUT_MOST
    }

    fn may_publish(&self) -> bool {
        self.link.may_publish() && !self.is_full()
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

    /// A picture to be sent when nothing else waits; one that waited before it is not sent any more.
    pub fn show(&mut self, still: Vec<u8>, now: Instant) {
        self.still = Some((still, now + STILL_WAITS));
    }

    /// Publishes the picture that waits; false when there is none.
    fn publish_still(&mut self, now: Instant) -> Result<bool, LinkError> {
        let Some((body, _)) = self.still.take().filter(|(_, until)| now < *until) else { return Ok(false) };
        self.link.publish(&self.topics.still, body.into(), Qos::AtMostOnce, false, now)?;
        Ok(true)
    }

    /// When [`pump`](Self::pump) is due at the latest.
    pub fn deadline(&self, agent: &Agent, now: Instant) -> Instant {
        let link = self.link.deadline();
        // While the link takes nothing, the broker's PUBACK is what comes next.
        let custody = if self.may_publish() { agent.custody.send_at(now) } else { None };
        let stuck = (self.link.inflight() > 0).then(|| self.progress + STUCK);
        [Some(link), custody, self.birth_wanted, stuck].into_iter().flatten().min().unwrap_or(link)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, Trust};
    use crate::config::Config;
    use crate::host::Host;
    use crate::join::signed::HubKey;
    use crate::sensor::Roots;
    use rackside_proto::{Capabilities, Run, Safe};
    use std::path::Path;

    /// CONNACK: accepted.
    const WELCOME: [u8; 4] = [0x20, 2, 0, 0];

    struct Bench {
        agent: Agent,
        session: Session,
        moment: Moment,
    }

    impl Bench {
        fn new() -> Self {
            let text = "site = \"arena-north\"\nappliance = \"rack-1\"\n[mqtt]\naddress = \"hub\"\n";
            let config = Config::parse(text, "agent.toml").expect("a good file");
            let mut clock = Clock::new(Trust::Auto, Path::new("/proc"));
            let moment = clock.read();
            let mut agent = Agent::new(&config, Run(9), &clock, Roots::default(), Host::default());
            agent.tick(&moment);
            let session = Session::open(&mut agent, None, moment.now);
            Self { agent, session, moment }
        }

        fn hear(&mut self, bytes: &[u8]) {
            self.session.receive(bytes, &mut self.agent, self.moment.now).expect("well formed");
        }

        fn hear_on(&mut self, topic: &str, retained: bool, body: &[u8]) {
            let mut packet =
                vec![0x30 | u8::from(retained), (2 + topic.len() + body.len()) as u8, 0, topic.len() as u8];
            packet.extend_from_slice(topic.as_bytes());
            packet.extend_from_slice(body);
            self.hear(&packet);
        }

        fn ack(&mut self, retained: bool, wants: &[Want]) {
            let safe = [Safe { run: Run(9), below: 1 }].into_iter().collect();
            let mut body = Vec::new();
            let ack = Ack { history: 1, time_ms: 0, safe, wants: wants.iter().copied().collect() };
            ack.encode(&mut body).expect("room");
            self.hear_on("rackside/1/arena-north/rack-1/ack", retained, &body);
        }

        /// What is written to the socket: the kinds of packets, for publishes their channel; each is answered.
        fn said(&mut self) -> Vec<String> {
            self.session.pump(&mut self.agent, &self.moment).expect("the link is well");
            let bytes = self.session.output().to_vec();
            self.session.written(bytes.len());
            let mut said = Vec::new();
            let mut rest = bytes.as_slice();
            while let [head, ..] = *rest {
                let (mut len, mut used) = (0, 1);
                loop {
                    let byte = rest[used];
                    len |= usize::from(byte & 0x7f) << (7 * (used - 1));
                    used += 1;
                    if byte & 0x80 == 0 {
                        break;
                    }
                }
                let body = &rest[used..used + len];
                rest = &rest[used + len..];
                said.push(match head >> 4 {
                    1 => "connect".to_owned(),
                    3 => {
                        let topic = &body[2..2 + usize::from(body[1])];
                        let retain = if head & 1 == 1 { " retained" } else { "" };
                        if head & 6 == 2 {
                            let id = &body[2 + topic.len()..][..2];
                            let answer = [0x40, 2, id[0], id[1]];
                            self.session
                                .receive(&answer, &mut self.agent, self.moment.now)
                                .expect("in flight");
                        }
                        let channel = topic.rsplit(|byte| *byte == b'/').next().expect("a last word");
                        format!("{}{retain}", String::from_utf8_lossy(channel))
                    }
                    8 => "subscribe".to_owned(),
                    12 => "ping".to_owned(),
                    14 => "disconnect".to_owned(),
                    other => format!("packet {other}"),
                });
            }
            said
        }
    }

    #[test]
    fn presence_and_birth_go_before_the_first_record() {
        let mut bench = Bench::new();
        assert_eq!(bench.said(), ["connect"]);
        bench.hear(&WELCOME);
        let said = bench.said();
        assert_eq!(said[..4], ["subscribe", "presence retained", "birth retained", "data"]);
        assert!(said[4..].iter().all(|said| said == "data" || said == "event"), "{said:?}");
        assert_eq!(bench.said(), [""; 0]);
    }

    #[test]
    fn who_joined_hears_commands_and_replies_go_before_records() {
        let mut bench = Bench::new();
        let topic = "rackside/1/arena-north/rack-1/command";
        bench.said();
        let (identity, _) = crate::join::tests::joined(vec!["mqtts://hub".to_owned()]);
        bench.agent.commands.gate.configure(HubKey::of(&identity), Capabilities::LOG);
        bench.hear(&WELCOME);
        let asked = String::from_utf8_lossy(bench.session.output()).into_owned();
        assert!(asked.contains(topic), "{asked:?}");
        bench.hear_on(topic, true, b"left there by somebody");
        bench.hear_on(topic, false, b"a command");
        assert_eq!(bench.agent.commands.take().as_deref(), Some(&b"a command"[..]));
        assert_eq!(bench.agent.commands.take(), None);
        bench.agent.commands.reply(vec![1]);
        assert_eq!(bench.said()[..4], ["subscribe", "presence retained", "birth retained", "reply"]);
    }

    #[test]
    fn a_line_that_costs_money_is_asked_for_a_sign_of_life_rarely() {
        let mut bench = Bench::new();
        let free = bench.session.output().to_vec();
        assert_eq!(bench.session.keep_alive(), Duration::from_secs(7));
        let text = "site = \"arena-north\"\nappliance = \"rack-1\"\nprobes.metered = [\"wwan0\"]\n[mqtt]\naddress = \"hub\"\n";
        let config = Config::parse(text, "agent.toml").expect("a good file");
        let root = tempfile::tempdir().expect("a temporary directory");
        std::fs::create_dir_all(root.path().join("proc/net")).expect("a directory");
        let route = "head\nwwan0 00000000 0100A8C0 0003 0 0 100 00000000 0 0 0\n";
        std::fs::write(root.path().join("proc/net/route"), route).expect("written");
        let clock = Clock::new(Trust::Auto, Path::new("/proc"));
        bench.agent = Agent::new(&config, Run(9), &clock, Roots::below(root.path()), Host::default());
        bench.agent.tick(&bench.moment);
        bench.session = Session::open(&mut bench.agent, None, bench.moment.now);
        assert_eq!(bench.session.keep_alive(), Duration::from_mins(1));
        // In the CONNECT, behind the protocol's name, its level and the flags: two thirds of it.
        let told = |connect: &[u8]| {
            let at = connect.windows(4).position(|word| word == b"MQTT").expect("the protocol's name") + 6;
            u16::from_be_bytes([connect[at], connect[at + 1]])
        };
        assert_eq!((told(&free), told(bench.session.output())), (5, 40));
        bench.hear(&WELCOME);
        bench.said();
        // Whatever waits for an ack would be sent again, and keep the line busy.
        let safe = [Safe { run: Run(9), below: bench.agent.custody.next() }].into_iter().collect();
        let wants = std::iter::empty().collect();
        bench.agent.custody.acked(&Ack { history: 1, time_ms: 0, safe, wants }, bench.moment.now);
        bench.moment.now += Duration::from_secs(29);
        assert_eq!(bench.said(), [""; 0]);
        bench.moment.now += Duration::from_secs(1);
        assert!(bench.said().contains(&"ping".to_owned()));
    }

    #[test]
    fn a_still_goes_behind_everything_else_and_the_newest_alone_and_never_late() {
        let mut bench = Bench::new();
        bench.hear(&WELCOME);
        bench.session.show(vec![1; 30_000], bench.moment.now);
        bench.session.show(vec![1; 40_000], bench.moment.now);
        let said = bench.said();
        let (last, before) = said.split_last().expect("something is said");
        assert_eq!((last.as_str(), before.contains(&"data".to_owned())), ("still", true));
        assert!(!before.contains(last), "one of the two, not retained: {said:?}");
        bench.session.show(vec![1; 40_000], bench.moment.now);
        bench.moment.now += STILL_WAITS;
        assert!(!bench.said().contains(&"still".to_owned()), "nobody wants it any more");
    }

    #[test]
    fn a_birth_that_is_asked_for_again_and_again_is_paced() {
        let mut bench = Bench::new();
        bench.hear(&WELCOME);
        bench.said();
        for _ in 0..3 {
            bench.ack(false, &[Want::Birth]);
            assert_eq!(bench.said(), [""; 0], "one has just gone");
        }
        let due = bench.session.deadline(&bench.agent, bench.moment.now);
        assert!(due <= bench.moment.now + BIRTH_PAUSE);
        bench.moment.now += BIRTH_PAUSE;
        assert_eq!(bench.said(), ["birth retained"]);
        bench.moment.now += BIRTH_PAUSE / 2;
        assert_eq!(bench.said(), [""; 0], "once");
    }

    #[test]
    fn a_clock_that_becomes_known_is_said_at_once() {
        let mut bench = Bench::new();
        (bench.moment.known, bench.moment.disciplined) = (false, false);
        bench.hear(&WELCOME);
        bench.said();
        assert_eq!(bench.said(), [""; 0]);
        (bench.moment.known, bench.moment.disciplined) = (true, true);
        assert_eq!(bench.said(), ["birth retained"]);
        assert_eq!(bench.said(), [""; 0], "once");
    }

    #[test]
    fn an_ack_counts_and_a_retained_one_does_not() {
        let mut bench = Bench::new();
        bench.hear(&WELCOME);
        bench.said();
        bench.ack(true, &[]);
        assert_eq!(bench.agent.custody.floor(), 0);
        bench.ack(false, &[]);
        assert_eq!(bench.agent.custody.floor(), 1);
    }

    #[test]
    fn a_verdict_is_remembered_until_it_expires() {
        let mut bench = Bench::new();
        bench.hear(&WELCOME);
        let verdict = Verdict { severity: rackside_proto::Severity::Critical, firing: 2, valid_s: 60 };
        let mut body = Vec::new();
        verdict.encode(&mut body).expect("room");
        bench.hear_on("rackside/1/arena-north/rack-1/verdict", false, &body);
        bench.hear_on("rackside/1/arena-north/rack-1/verdict", false, b"\xff");
        assert_eq!(bench.agent.verdict, Some((verdict, bench.moment.now + Duration::from_mins(1))));
    }

    #[test]
    fn a_broker_that_takes_nothing_is_left() {
        let mut bench = Bench::new();
        bench.hear(&WELCOME);
        bench.session.pump(&mut bench.agent, &bench.moment).expect("the link is well");
        let pong = [0xd0, 0];
        for _ in 0..20 {
            bench.moment.now += Duration::from_secs(3);
            bench.hear(&pong);
            if let Err(error) = bench.session.pump(&mut bench.agent, &bench.moment) {
                let said = "the broker took no message for 60s";
                assert_eq!(error.to_string(), said);
                return;
            }
            assert!(bench.session.deadline(&bench.agent, bench.moment.now) <= bench.moment.now + STUCK);
        }
        panic!("it waits for ever");
    }

    #[test]
    fn a_broker_that_sends_and_does_not_read_is_left() {
        let mut bench = Bench::new();
        bench.hear(&WELCOME);
        // A QoS 1 message on "t", a thousand times in one read: each is owed a PUBACK.
        let flood = [0x32, 5, 0, 1, b't', 0, 7].repeat(1000);
        let mut least = 0;
        for _ in 0..1000 {
            match bench.session.receive(&flood, &mut bench.agent, bench.moment.now) {
                Ok(()) => least = bench.session.output().len(),
                Err(error) => {
                    let said = "the broker broke the MQTT protocol: it sends and does not read";
                    assert_eq!((error.to_string().as_str(), least > 512 * 1024), (said, true), "{least}");
                    return;
                }
            }
        }
        panic!("{least} bytes wait for it");
    }

    #[test]
    fn the_goodbye_is_the_last_word() {
        let mut bench = Bench::new();
        bench.hear(&WELCOME);
        bench.said();
        bench.session.close(&bench.agent, Reason::Stop, bench.moment.now).expect("the link is well");
        bench.agent.tick(&bench.moment);
        assert_eq!(bench.said(), ["presence retained", "disconnect"]);
    }
}
