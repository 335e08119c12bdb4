//! What holds for any value and for any bytes.

use proptest::prelude::*;
use rackside_proto::{
    Ack, Action, Adopted, Birth, Body, Capabilities, Catalog, CatalogHead, Channel, ClockSource, Command,
    Configuration, Data, EXPIRY_MOST, Envelope, Event, Format, Found, IDENTIFY_MOST, Kind, LINE, Label,
    Labels, LogLine, Message, Outcome, Prefix, Presence, Reason, Refused, Reply, Revision, Run, Safe, Scale,
    Sending, Series, Severity, Signed, SpoolPlace, Still, Time, Topic, Value, Verdict, Want, What, limits,
};

fn run() -> impl Strategy<Value = Run> {
    any::<u32>().prop_map(Run)
}

fn time() -> impl Strategy<Value = Time> {
    prop_oneof![
        any::<u64>().prop_map(|ms| Time::Utc { ms }),
        any::<(u32, u64)>().prop_map(|(boot, ms)| Time::Boot { boot, ms }),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Absent),
        Just(Value::Unknown),
        (-limits::MAGNITUDE..=limits::MAGNITUDE).prop_map(Value::Known),
        (-100..100_i64).prop_map(Value::Known),
    ]
}

fn text() -> impl Strategy<Value = String> {
    "\\PC{0,16}"
}

fn presence() -> impl Strategy<Value = Presence> {
    let reason = prop::sample::select(vec![
        Reason::Start,
        Reason::Will,
        Reason::Stop,
        Reason::Update,
        Reason::Shutdown,
    ]);
    (run(), any::<u32>(), any::<bool>(), reason).prop_map(|(run, connection, online, reason)| Presence {
        run,
        connection,
        online,
        reason,
    })
}

fn envelope() -> impl Strategy<Value = Envelope> {
    let sending = prop::sample::select(vec![Sending::First, Sending::Again]);
    (run(), any::<u64>(), any::<u64>(), sending).prop_map(|(run, seq, floor, sending)| Envelope {
        run,
        seq,
        floor,
        sending,
    })
}

/// A series that owns its strings.
#[derive(Debug, Clone)]
struct Owned {
    name: String,
    labels: Vec<(String, String)>,
    unit: String,
    kind: Kind,
    scale: Scale,
    reference: Value,
}

impl Owned {
    fn as_series(&self) -> Series<'_> {
        let labels = self.labels.iter().map(|(name, value)| Label { name, value });
        Series {
            name: &self.name,
            labels: labels.collect::<Labels<'_>>(),
            unit: &self.unit,
            kind: self.kind,
            scale: self.scale,
            reference: self.reference,
        }
    }
}

fn series() -> impl Strategy<Value = Owned> {
    let labels = prop::collection::vec(("[a-z]{1,8}", text()), 0..=limits::LABELS).prop_map(|labels| {
        // A label stands once on a series.
        labels.into_iter().enumerate().map(|(at, (name, value))| (format!("{name}_{at}"), value)).collect()
    });
    let kind = prop::sample::select(vec![Kind::Gauge, Kind::Counter, Kind::State]);
    let scale = (1_u32.., 1_u32..).prop_map(|(times, per)| Scale { times, per });
    ("rackside_[a-z_0-9]{1,20}", labels, "[a-z]{0,8}", kind, scale, value()).prop_map(
        |(name, labels, unit, kind, scale, reference)| Owned { name, labels, unit, kind, scale, reference },
    )
}

fn catalog() -> impl Strategy<Value = (CatalogHead, Vec<Owned>)> {
    let head = (any::<u32>(), time(), any::<[u8; 16]>(), any::<u32>())
        .prop_map(|(number, time, boot_id, tick_ms)| CatalogHead { number, time, boot_id, tick_ms });
    (head, prop::collection::vec(series(), 0..20))
}

fn encoded_catalog(head: &CatalogHead, series: &[Owned]) -> Vec<u8> {
    let mut bytes = Vec::new();
    Catalog::encode(head, series.iter().map(Owned::as_series), &mut bytes).expect("within bounds");
    bytes
}

/// References, and readings in order on one clock.
fn readings() -> impl Strategy<Value = (Vec<Value>, Vec<(Time, Vec<Value>)>)> {
    (0..80_usize, 1..8_usize, 0..u64::MAX / 2, any::<Option<u32>>()).prop_flat_map(
        |(width, count, start, boot)| {
            let values = || prop::collection::vec(value(), width);
            let reading = (0..100_000_u64, values());
            (values(), prop::collection::vec(reading, count)).prop_map(move |(references, steps)| {
                let mut ms = start;
                let readings = steps.into_iter().map(|(after, values)| {
                    ms += after;
                    let time = boot.map_or(Time::Utc { ms }, |boot| Time::Boot { boot, ms });
                    (time, values)
                });
                (references, readings.collect())
            })
        },
    )
}

fn encoded_readings(references: &[Value], readings: &[(Time, Vec<Value>)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let each = readings.iter().map(|(time, values)| (*time, &values[..]));
    Data::encode_readings(7, references, each, &mut bytes).expect("within bounds");
    bytes
}

fn under(envelope: &Envelope, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    envelope.encode(&mut bytes).expect("a Vec has room");
    bytes.extend_from_slice(body);
    bytes
}

/// Walks all that a message offers, so that nothing panics late.
fn walk(message: &Message<'_>) {
    match message {
        Message::Birth(birth) => {
            if let Some(catalog) = &birth.catalog {
                assert_eq!(catalog.series().count(), catalog.len());
            }
        }
        Message::Data(record) => match &record.body {
            Data::Catalog(catalog) => assert_eq!(catalog.series().count(), catalog.len()),
            Data::Readings(readings) => {
                assert_eq!(readings.iter().count(), readings.len());
                let references = [Value::Absent; 40];
                let mut values = references;
                for reading in readings {
                    assert!(reading.changes().all(|(at, _)| at < limits::SERIES));
                    let _ = reading.apply(&references, &mut values);
                }
            }
        },
        Message::Presence(_)
        | Message::Event(_)
        | Message::Ack(_)
        | Message::Verdict(_)
        | Message::Still(_)
        | Message::Config(..)
        | Message::Command(..) => {}
        Message::Reply(reply) => match reply.body {
            Body::Nothing => {}
            Body::Log(bytes) => assert!(LogLine::all(bytes).all(|line| line.text.len() <= LINE)),
            Body::Probes(bytes) => assert!(Found::all(bytes).all(|found| found.why.len() <= limits::STRING)),
        },
    }
}

/// Every strict prefix of a message is an error: nothing cut short passes for whole.
fn assert_no_prefix_decodes(channel: Channel, bytes: &[u8]) -> Result<(), TestCaseError> {
    for len in 0..bytes.len() {
        prop_assert!(Message::decode(channel, &bytes[..len]).is_err(), "{len} of {} bytes", bytes.len());
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn presence_survives_the_round_trip(presence in presence()) {
        let mut bytes = Vec::new();
        presence.encode(&mut bytes).unwrap();
        prop_assert_eq!(Message::decode(Channel::Presence, &bytes), Ok(Message::Presence(presence)));
        assert_no_prefix_decodes(Channel::Presence, &bytes)?;
    }

    #[test]
    fn a_catalog_survives_the_round_trip(envelope in envelope(), (head, series) in catalog()) {
        let mut body = Vec::new();
        Data::encode_catalog(&encoded_catalog(&head, &series), &mut body).unwrap();
        let bytes = under(&envelope, &body);
        let Ok(Message::Data(record)) = Message::decode(Channel::Data, &bytes) else { panic!("a data record") };
        prop_assert_eq!(record.envelope, envelope);
        prop_assert_eq!(record.bytes, &body[..]);
        let Data::Catalog(catalog) = record.body else { panic!("a catalog") };
        prop_assert_eq!(catalog.head, head);
        prop_assert!(catalog.series().eq(series.iter().map(Owned::as_series)));
        assert_no_prefix_decodes(Channel::Data, &bytes)?;
    }

    #[test]
    fn readings_survive_the_round_trip(envelope in envelope(), (references, readings) in readings()) {
        let bytes = under(&envelope, &encoded_readings(&references, &readings));
        let Ok(Message::Data(record)) = Message::decode(Channel::Data, &bytes) else { panic!("a data record") };
        prop_assert_eq!(record.envelope, envelope);
        let Data::Readings(read) = record.body else { panic!("readings") };
        prop_assert_eq!(read.len(), readings.len());
        let mut values = references.clone();
        for (reading, (time, expected)) in read.iter().zip(&readings) {
            reading.apply(&references, &mut values).unwrap();
            prop_assert_eq!(reading.time, *time);
            prop_assert_eq!(&values, expected);
        }
        assert_no_prefix_decodes(Channel::Data, &bytes)?;
    }

    #[test]
    fn birth_survives_the_round_trip(
        run in run(),
        (connection, floor, next, tick_ms) in any::<(u32, u64, u64, u32)>(),
        time in time(),
        boot_id in any::<[u8; 16]>(),
        (version, hostname, model) in (text(), text(), text()),
        (bits, config_revision, spool_bytes, code, interval_ms) in any::<(u32, u32, u64, u32, u32)>(),
        catalog in prop::option::of(catalog()),
    ) {
        let fitted = [&version, &hostname, &model].map(|text| limits::fit(text));
        let birth = Birth {
            run, connection, floor, next, time, boot_id, tick_ms, config_revision, spool_bytes,
            clock: ClockSource::Hub,
            version: fitted[0],
            hostname: fitted[1],
            model: fitted[2],
            os: "o",
            kernel: "k",
            arch: "a",
            capabilities: Capabilities(bits),
            spool: SpoolPlace::Disk,
            catalog: None,
            revision: (code != 0).then_some(Revision(code)),
            interval_ms,
        };
        let encoded = catalog.as_ref().map(|(head, series)| encoded_catalog(head, series));
        let mut bytes = Vec::new();
        birth.encode(encoded.as_deref(), &mut bytes).unwrap();
        let Ok(Message::Birth(read)) = Message::decode(Channel::Birth, &bytes) else { panic!("a birth") };
        prop_assert_eq!(Birth { catalog: None, ..read }, birth);
        match (read.catalog, &catalog) {
            (None, None) => {}
            (Some(read), Some((head, series))) => {
                prop_assert_eq!(read.head, *head);
                prop_assert!(read.series().eq(series.iter().map(Owned::as_series)));
            }
            _ => prop_assert!(false, "a catalog on one side only"),
        }
        // An older agent's birth ends where the interval begins, or where the revision does.
        let varint = |number: u32| (32 - (number | 1).leading_zeros()).div_ceil(7) as usize;
        let told = bytes.len() - varint(interval_ms);
        let short = told - varint(code);
        assert_no_prefix_decodes(Channel::Birth, &bytes[..short])?;
        for (len, revision) in [(short, None), (told, birth.revision)] {
            let Ok(Message::Birth(older)) = Message::decode(Channel::Birth, &bytes[..len]) else { panic!("a birth") };
            prop_assert_eq!(older, Birth { revision, interval_ms: tick_ms, ..read });
        }
        for len in (short + 1..bytes.len()).filter(|len| *len != told) {
            prop_assert!(Message::decode(Channel::Birth, &bytes[..len]).is_err(), "half a number");
        }
    }

    #[test]
    fn events_survive_the_round_trip(envelope in envelope(), time in time(), value in value(), text in text(),
                                     (a, b, c) in any::<(u32, u64, u64)>()) {
        for what in [
            What::Sample { catalog: a, series: a / 2, value },
            What::Text { subject: "default_route", text: limits::fit(&text) },
            What::Anchor { boot: a, boot_ms: b, utc_ms: c },
            What::Configuration { revision: a, adopted: Adopted::Refused, why: limits::fit_in(&text, limits::WHY) },
        ] {
            let event = Event { time, what };
            let mut body = Vec::new();
            event.encode(&mut body).unwrap();
            let bytes = under(&envelope, &body);
            let Ok(Message::Event(record)) = Message::decode(Channel::Event, &bytes) else { panic!("an event") };
            prop_assert_eq!(record.envelope, envelope);
            prop_assert_eq!(record.body, event);
            assert_no_prefix_decodes(Channel::Event, &bytes)?;
        }
    }

    #[test]
    fn configurations_survive_the_round_trip(
        revision in 1_u32.., text in ".{0,200}", signature in prop::collection::vec(any::<u8>(), 1..=80),
    ) {
        let configuration = Configuration { revision, text: &text };
        let (mut content, mut bytes) = (Vec::new(), Vec::new());
        configuration.encode(&mut content).unwrap();
        let signed = Signed { signature: &signature, content: &content };
        signed.encode(&mut bytes).unwrap();
        prop_assert_eq!(Message::decode(Channel::Config, &bytes), Ok(Message::Config(signed, configuration)));
        assert_no_prefix_decodes(Channel::Config, &bytes)?;
    }

    #[test]
    fn acks_and_verdicts_survive_the_round_trip(
        (history, time_ms, firing, valid_s) in any::<(u64, u64, u32, u32)>(),
        safe in prop::collection::vec((run(), any::<u64>()), 0..=limits::PAIRS),
        wants in prop::collection::vec(prop::option::of((run(), any::<u32>())), 0..=limits::PAIRS),
    ) {
        let ack = Ack {
            history,
            time_ms,
            safe: safe.into_iter().map(|(run, below)| Safe { run, below }).collect(),
            wants: wants
                .into_iter()
                .map(|want| want.map_or(Want::Birth, |(run, number)| Want::Catalog { run, number }))
                .collect(),
        };
        let mut bytes = Vec::new();
        ack.encode(&mut bytes).unwrap();
        prop_assert_eq!(Message::decode(Channel::Ack, &bytes), Ok(Message::Ack(ack)));
        assert_no_prefix_decodes(Channel::Ack, &bytes)?;

        let verdict = Verdict { severity: Severity::Warning, firing, valid_s };
        let mut bytes = Vec::new();
        verdict.encode(&mut bytes).unwrap();
        prop_assert_eq!(Message::decode(Channel::Verdict, &bytes), Ok(Message::Verdict(verdict)));
        assert_no_prefix_decodes(Channel::Verdict, &bytes)?;
    }

    #[test]
    fn commands_survive_the_round_trip(
        run in run(),
        id: u64,
        issued_ms in 0..1_u64 << 60,
        lasts in 1..=EXPIRY_MOST,
        by in text(),
        which in 0..4_u8,
        seconds in 1..=IDENTIFY_MOST,
        name in text(),
        signature in prop::collection::vec(any::<u8>(), 1..=80),
    ) {
        let action = match which {
            0 => Action::Identify { seconds },
            1 => Action::Probe { name: &name },
            2 => Action::Log,
            _ => Action::Mute { seconds },
        };
        let command = Command { run, id, issued_ms, expires_ms: issued_ms + lasts, by: &by, action };
        let (mut content, mut bytes) = (Vec::new(), Vec::new());
        prop_assume!(command.encode(&mut content).is_ok());
        let signed = Signed { signature: &signature, content: &content };
        signed.encode(&mut bytes).unwrap();
        prop_assert_eq!(Message::decode(Channel::Command, &bytes), Ok(Message::Command(signed, command)));
        assert_no_prefix_decodes(Channel::Command, &bytes)?;
    }

    #[test]
    fn replies_survive_the_round_trip(
        run in run(),
        id: u64,
        which in 0..3_u8,
        lines in prop::collection::vec((any::<u64>(), any::<u8>(), text()), 0..8),
        why in text(),
    ) {
        let mut body = Vec::new();
        for (ago_ms, level, text) in &lines {
            LogLine { ago_ms: *ago_ms, level: *level, text }.encode(&mut body).unwrap();
        }
        let outcome = match which {
            0 => Outcome::Done,
            1 => Outcome::Refused(Refused::Busy),
            _ => Outcome::Failed(&why),
        };
        let reply = Reply { run, id, outcome, body: Body::Log(&body) };
        let mut bytes = Vec::new();
        prop_assume!(reply.encode(&mut bytes).is_ok());
        prop_assert_eq!(Message::decode(Channel::Reply, &bytes), Ok(Message::Reply(reply)));
        let read: Vec<_> = LogLine::all(&body).map(|line| (line.ago_ms, line.level, line.text.to_owned())).collect();
        prop_assert_eq!(read, lines);
        assert_no_prefix_decodes(Channel::Reply, &bytes)?;
    }

    #[test]
    fn stills_survive_the_round_trip(
        (time, probe) in (time(), "\\PC{1,16}"),
        (width, height) in (1..=limits::SIDE, 1..=limits::SIDE),
        picture in prop::collection::vec(any::<u8>(), 1..200),
    ) {
        for format in [Format::Jpeg, Format::Webp] {
            let (probe, clock) = (limits::fit(&probe), ClockSource::Trusted);
            let still = Still { probe, time, clock, width, height, format, picture: &picture };
            let mut bytes = Vec::new();
            still.encode(&mut bytes).unwrap();
            prop_assert_eq!(Message::decode(Channel::Still, &bytes), Ok(Message::Still(still)));
            assert_no_prefix_decodes(Channel::Still, &bytes)?;
        }
    }

    #[test]
    fn any_bytes_decode_or_fail(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for channel in Channel::ALL {
            if let Ok(message) = Message::decode(channel, &bytes) {
                walk(&message);
            }
            let mut versioned = vec![rackside_proto::WIRE];
            versioned.extend_from_slice(&bytes);
            if let Ok(message) = Message::decode(channel, &versioned) {
                walk(&message);
            }
        }
    }

    #[test]
    fn damaged_messages_decode_or_fail(
        envelope in envelope(),
        (references, readings) in readings(),
        (head, series) in catalog(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut catalog = Vec::new();
        Data::encode_catalog(&encoded_catalog(&head, &series), &mut catalog).unwrap();
        for body in [encoded_readings(&references, &readings), catalog] {
            let mut bytes = under(&envelope, &body);
            for (at, byte) in &damage {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            if let Ok(message) = Message::decode(Channel::Data, &bytes) {
                walk(&message);
            }
        }
    }

    #[test]
    fn any_text_is_a_topic_or_an_error(text in "\\PC{0,80}") {
        if let Ok(topic) = Topic::parse(&Prefix::default(), &text) {
            prop_assert_eq!(topic.under(&Prefix::default()).to_string(), text);
        }
    }

    #[test]
    fn ids_are_what_the_rule_says(text in "[a-z0-9A-Z_ é-]{0,40}") {
        let rule = (1..=32).contains(&text.len())
            && text.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '-'))
            && !text.starts_with('-');
        prop_assert_eq!(text.parse::<rackside_proto::Id>().is_ok(), rule);
    }

    #[test]
    fn a_scale_rounds_to_the_nearest_number(times in 1..100_000_u32, per in 1..100_000_u32, value in -1e9..1e9_f64) {
        let scale = Scale { times, per };
        if let Some(number) = scale.number(value) {
            let step = f64::from(times) / f64::from(per);
            prop_assert!((scale.value(number) - value).abs() <= step / 2.0 * (1.0 + 1e-9) + 1e-6);
        }
    }
}
