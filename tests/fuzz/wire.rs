//! Targets of what both programs share: the wire's messages, topics, and the client's half of MQTT.
//!
//! ```text
//! messages   00 │ 01 07 01 01 00      channel by its place, then a body: version 1, run 7, connection 1, online, start
//! ```

use rackside_link::{Link, Options};
use rackside_proto::join::{Answer, Code, Question};
use rackside_proto::{
    Action, Body, Catalog, Channel, Data, Event, Found, LogLine, Message, Prefix, Readings, Signed, Time,
    Topic, Value, WIRE,
};
use std::time::Instant;

/// What is decoded is encoded in one way, and decodes again.
pub(super) fn messages(bytes: &[u8]) {
    let Some((channel, body)) = bytes.split_first() else { return };
    let Some(&channel) = Channel::ALL.get(usize::from(*channel)) else { return };
    let Ok(message) = Message::decode(channel, body) else { return };
    let Some(once) = encoded(&message) else { return };
    assert_eq!(once.first(), Some(&WIRE));
    let again = Message::decode(channel, &once).expect("what was encoded");
    // A number may come in more bytes than it needs, and a catalog keeps its own; so bytes are compared, not messages.
    assert_eq!(encoded(&again), Some(once));
}

/// As it is written. Records are looked at by their parts.
fn encoded(message: &Message<'_>) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let encoded = match message {
        Message::Presence(presence) => presence.encode(&mut bytes),
        Message::Ack(ack) => ack.encode(&mut bytes),
        Message::Verdict(verdict) => verdict.encode(&mut bytes),
        Message::Still(still) => still.encode(&mut bytes),
        Message::Config(signed, configuration) => {
            let mut content = Vec::new();
            configuration.encode(&mut content).expect("what was decoded is within bounds");
            Signed { content: &content, ..*signed }.encode(&mut bytes)
        }
        Message::Reply(reply) => {
            match reply.body {
                Body::Nothing => {}
                Body::Log(lines) => drop(LogLine::all(lines).count()),
                Body::Probes(found) => drop(Found::all(found).count()),
            }
            reply.encode(&mut bytes)
        }
        Message::Command(signed, command) => {
            if let Action::Other(_) = command.action {
                return None;
            }
            let mut content = Vec::new();
            command.encode(&mut content).expect("what was decoded is within bounds");
            Signed { signature: signed.signature, content: &content }.encode(&mut bytes)
        }
        Message::Birth(birth) => birth.encode(birth.catalog.as_ref().map(catalog).as_deref(), &mut bytes),
        Message::Data(record) => {
            match &record.body {
                Data::Readings(read) => readings(read),
                Data::Catalog(read) => drop(catalog(read)),
            }
            return None;
        }
        Message::Event(record) => {
            record.body.encode(&mut bytes).expect("what was decoded is within bounds");
            assert_eq!(Event::decode(&bytes), Ok(record.body));
            return None;
        }
    };
    encoded.expect("what was decoded is within bounds");
    Some(bytes)
}

/// As it is written.
fn catalog(catalog: &Catalog<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    assert_eq!(catalog.series().count(), catalog.len());
    Catalog::encode(&catalog.head, catalog.series(), &mut bytes).expect("what was decoded is within bounds");
    bytes
}

/// The values of readings of 64 series, none of which has a reference, come out as they were when they are written again.
fn readings(read: &Readings<'_>) {
    const REFERENCES: [Value; 64] = [Value::Absent; 64];
    let unfold = |readings: &Readings<'_>| {
        let mut values = REFERENCES;
        let unfolded = readings.iter().map(|reading| {
            reading.apply(&REFERENCES, &mut values).ok()?;
            Some((reading.time, values))
        });
        unfolded.collect::<Option<Vec<(Time, [Value; 64])>>>()
    };
    assert_eq!(read.iter().count(), read.len());
    let Some(unfolded) = unfold(read) else { return };
    let mut bytes = Vec::new();
    let each = unfolded.iter().map(|(time, values)| (*time, &values[..]));
    Data::encode_readings(read.catalog, &REFERENCES, each, &mut bytes)
        .expect("what was decoded is within bounds");
    let Ok(Data::Readings(again)) = Data::decode(&bytes) else { panic!("these were readings") };
    assert_eq!(unfold(&again), Some(unfolded));
}

/// Both bodies of the join exchange and the code: what is read is written again and reads the same, and what is signed is of the body.
pub(super) fn join(bytes: &[u8]) {
    if let Ok(question) = Question::decode(bytes) {
        assert!(bytes.starts_with(question.proven) && question.proven.starts_with(question.owned));
        let mut again = Vec::new();
        let parts = Question::encode_head(question.claim, &question.nonce, question.key, &mut again)
            .and_then(|()| Question::encode_signature(question.possession, &mut again))
            .and_then(|()| Question::encode_signature(question.proof, &mut again));
        parts.expect("what was decoded is within bounds");
        let read = Question::decode(&again).expect("what was encoded");
        assert_eq!((read.claim, read.nonce, read.key), (question.claim, question.nonce, question.key));
        assert_eq!((read.possession, read.proof), (question.possession, question.proof));
    }
    if let Ok(answer) = Answer::decode(bytes) {
        assert!(bytes.ends_with(answer.signed));
        let (mut outcome, mut again) = (Vec::new(), Vec::new());
        answer.outcome.encode(&mut outcome).expect("what was decoded is within bounds");
        Answer::encode(answer.authority, answer.signature, &outcome, &mut again).expect("within bounds");
        let read = Answer::decode(&again).expect("what was encoded");
        assert_eq!((&read.outcome, read.signed), (&answer.outcome, &outcome[..]));
    }
    if let Ok(code) = String::from_utf8_lossy(bytes).parse::<Code>() {
        assert_eq!(code.text().parse(), Ok(code));
    }
}

/// A topic is written as it was read.
pub(super) fn topic(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(topic) = Topic::parse(&Prefix::default(), &text) {
        assert_eq!(topic.under(&Prefix::default()).to_string(), text);
    }
}

/// However a broker's bytes are cut, the link hears the same of them, and says the same to them.
pub(super) fn link(bytes: &[u8]) {
    #[expect(clippy::disallowed_methods, reason = "time has to begin somewhere, and stands still here")]
    let now = Instant::now();
    let hear = |piece: usize| {
        let mut link = Link::new(&Options::new("arena-north/rack-1/0badcafe"), now);
        link.written(link.output().len());
        let mut heard = Vec::new();
        for piece in bytes.chunks(piece) {
            let received = link.receive(piece, now);
            heard.extend(std::iter::from_fn(|| link.next_event()));
            if received.is_err() {
                return (heard, None);
            }
        }
        (heard, Some(link.output().to_vec()))
    };
    assert_eq!(hear(1), hear(bytes.len().max(1)));
}
