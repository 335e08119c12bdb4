//! Every bound of the wire, from both sides: the largest that passes, and the first that does not.

use rackside_proto::{
    Action, Adopted, Birth, Body, Capabilities, Catalog, CatalogHead, Channel, ClockSource, Command,
    Configuration, Data, DecodeError, EXPIRY_MOST, EncodeError, Envelope, Event, Format, IDENTIFY_MOST, Id,
    IdError, Kind, LINE, Label, Labels, LogLine, MUTE_MOST, Message, Outcome, Prefix, REPLY_BODY, Reply, Run,
    Scale, Sending, Series, Signed, SpoolPlace, Still, TOPIC_MAX, Time, Topic, TopicError, Value, What,
    limits,
};

const TIME: Time = Time::Utc { ms: 0 };

fn head() -> CatalogHead {
    CatalogHead { number: 1, time: TIME, boot_id: [0; 16], tick_ms: 10_000 }
}

fn series(name: &str) -> Series<'_> {
    Series {
        name,
        labels: Labels::new(),
        unit: "",
        kind: Kind::Gauge,
        scale: Scale::ONE,
        reference: Value::Known(0),
    }
}

fn encode(series: impl Iterator<Item = Series<'static>> + Clone) -> Result<Vec<u8>, EncodeError> {
    let mut catalog = Vec::new();
    Catalog::encode(&head(), series, &mut catalog)?;
    let mut bytes = enveloped();
    Data::encode_catalog(&catalog, &mut bytes)?;
    Ok(bytes)
}

fn enveloped() -> Vec<u8> {
    let mut bytes = Vec::new();
    let envelope = Envelope { run: Run(1), seq: 0, floor: 0, sending: Sending::First };
    envelope.encode(&mut bytes).expect("a Vec has room");
    bytes
}

fn leaked(len: usize) -> &'static str {
    "a".repeat(len).leak()
}

#[test]
fn a_catalog_has_4096_series_and_not_one_more() {
    let bytes = encode(std::iter::repeat_n(series("a"), 4096)).unwrap();
    assert!(Message::decode(Channel::Data, &bytes).is_ok());
    let one_more = encode(std::iter::repeat_n(series("a"), 4097));
    assert_eq!(one_more, Err(EncodeError::Limit("number of series")));

    // The same from a sender that does not keep to it: the count is two bytes of varint behind the head.
    let mut forged = encode(std::iter::empty()).unwrap();
    assert_eq!(forged.pop(), Some(0));
    forged.extend([0x81, 0x20]);
    assert_eq!(Message::decode(Channel::Data, &forged), Err(DecodeError::Limit("number of series")));
}

#[test]
fn a_string_has_64_bytes_and_not_one_more() {
    let labelled = |name, value| {
        let labels = Labels::from_slice(&[Label { name, value }]).unwrap();
        Series { labels, ..series("a") }
    };
    assert!(encode(std::iter::once(series(leaked(64)))).is_ok());
    for (too_long, what) in [
        (series(leaked(65)), "metric name"),
        (Series { unit: leaked(65), ..series("a") }, "unit"),
        (labelled(leaked(65), ""), "label name"),
        (labelled("a", leaked(65)), "label value"),
    ] {
        assert_eq!(encode(std::iter::once(too_long)), Err(EncodeError::Limit(what)));
    }
    let text = Event { time: TIME, what: What::Text { subject: "s", text: leaked(65) } };
    assert_eq!(text.encode(&mut Vec::new()), Err(EncodeError::Limit("text")));
    let what = |why| What::Configuration { revision: 1, adopted: Adopted::Refused, why };
    assert!(Event { time: TIME, what: what(leaked(256)) }.encode(&mut Vec::new()).is_ok());
    let beyond = Event { time: TIME, what: what(leaked(257)) };
    assert_eq!(beyond.encode(&mut Vec::new()), Err(EncodeError::Limit("why")));
}

#[test]
fn a_configuration_has_a_revision_and_32_kib_and_not_one_more() {
    let encode = |revision, len: usize| {
        let (text, mut content) = ("x".repeat(len), Vec::new());
        Configuration { revision, text: &text }.encode(&mut content).map(|()| content)
    };
    let largest = encode(u32::MAX, limits::CONFIGURATION).unwrap();
    assert!(Configuration::decode(&largest).is_ok());
    assert_eq!(encode(1, limits::CONFIGURATION + 1), Err(EncodeError::Limit("configuration")));
    assert_eq!(encode(0, 1), Err(EncodeError::Limit("revision")));
    let mut forged = encode(1, 1).unwrap();
    forged[0] = 0;
    assert_eq!(Configuration::decode(&forged), Err(DecodeError::Limit("revision")));
    // 32,769 bytes as it says, and as there are.
    let mut long = vec![1, 0x81, 0x80, 0x02];
    long.extend(std::iter::repeat_n(b'x', limits::CONFIGURATION + 1));
    assert_eq!(Configuration::decode(&long), Err(DecodeError::Limit("configuration")));
    // The largest one fits into a message, whatever its signature is.
    let (signature, mut body) = ([0x30; 80], Vec::new());
    Signed { signature: &signature, content: &largest }.encode(&mut body).unwrap();
    assert!(Message::decode(Channel::Config, &body).is_ok());
}

#[test]
fn a_forged_long_string_is_refused() {
    let mut bytes = encode(std::iter::once(series("a"))).unwrap();
    let name = bytes.windows(2).position(|pair| pair == [1, b'a']).unwrap();
    bytes[name] = 65;
    bytes.splice(name + 2..name + 2, [b'a'; 64]);
    assert_eq!(Message::decode(Channel::Data, &bytes), Err(DecodeError::Limit("metric name")));
}

#[test]
fn names_are_prometheus_names_and_leave_ours_alone() {
    for bad in ["", "1a", "a-b", "é"] {
        assert!(encode(std::iter::once(series(leaked_text(bad)))).is_err(), "{bad:?}");
    }
    for bad in ["", "1a", "a:b", "site", "appliance", "__name__"] {
        let labels = Labels::from_slice(&[Label { name: leaked_text(bad), value: "x" }]).unwrap();
        assert!(encode(std::iter::once(Series { labels, ..series("a") })).is_err(), "{bad:?}");
    }
    let twice =
        Labels::from_slice(&[Label { name: "a", value: "x" }, Label { name: "a", value: "y" }]).unwrap();
    assert!(encode(std::iter::once(Series { labels: twice, ..series("a") })).is_err(), "a label twice");
}

fn leaked_text(text: &str) -> &'static str {
    text.to_owned().leak()
}

#[test]
fn a_scale_of_zero_is_refused() {
    for scale in [Scale { times: 0, per: 1 }, Scale { times: 1, per: 0 }] {
        assert!(encode(std::iter::once(Series { scale, ..series("a") })).is_err());
    }
}

#[test]
fn values_end_at_two_to_the_53rd() {
    let try_value = |value| {
        let mut bytes = enveloped();
        Data::encode_readings(1, &[Value::Absent], std::iter::once((TIME, &[value][..])), &mut bytes)
            .map(|()| bytes)
    };
    for value in [limits::MAGNITUDE, -limits::MAGNITUDE] {
        let bytes = try_value(Value::Known(value)).unwrap();
        assert!(Message::decode(Channel::Data, &bytes).is_ok());
    }
    for value in [limits::MAGNITUDE + 1, i64::MAX, i64::MIN] {
        assert_eq!(try_value(Value::Known(value)), Err(EncodeError::Limit("value")));
    }
    let mut forged = try_value(Value::Known(1)).unwrap();
    assert_eq!(forged.pop(), Some(4), "the code of a difference of 1");
    forged.extend([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
    assert_eq!(Message::decode(Channel::Data, &forged), Err(DecodeError::Limit("value")));
    let sample = What::Sample { catalog: 1, series: 0, value: Value::Known(i64::MAX) };
    assert_eq!(Event { time: TIME, what: sample }.encode(&mut Vec::new()), Err(EncodeError::Limit("value")));
}

#[test]
fn a_reading_outside_its_catalog_is_refused() {
    let mut bytes = enveloped();
    let values = [Value::Known(1); 3];
    Data::encode_readings(1, &[Value::Known(0); 3], std::iter::once((TIME, &values[..])), &mut bytes)
        .unwrap();
    let Ok(Message::Data(record)) = Message::decode(Channel::Data, &bytes) else { panic!("a data record") };
    let Data::Readings(readings) = record.body else { panic!("readings") };
    let reading = readings.iter().next().unwrap();
    let short = [Value::Known(0); 2];
    assert_eq!(
        reading.apply(&short, &mut short.clone()),
        Err(DecodeError::Malformed("series beyond the catalog"))
    );
}

#[test]
fn a_record_has_1024_readings_and_not_one_more() {
    let many = |count| {
        let mut bytes = enveloped();
        let readings = vec![(TIME, &[][..]); count];
        Data::encode_readings(1, &[], readings.into_iter(), &mut bytes).map(|()| bytes)
    };
    assert!(Message::decode(Channel::Data, &many(1024).unwrap()).is_ok());
    assert_eq!(many(1025), Err(EncodeError::Limit("number of readings")));
    assert_eq!(many(0), Err(EncodeError::Limit("number of readings")));
}

#[test]
fn readings_of_one_record_are_in_order_on_one_clock() {
    let encode = |second| {
        let readings = [(Time::Utc { ms: 5 }, &[][..]), (second, &[][..])];
        Data::encode_readings(1, &[], readings.into_iter(), &mut Vec::new())
    };
    assert!(encode(Time::Utc { ms: 5 }).is_ok());
    assert!(matches!(encode(Time::Utc { ms: 4 }), Err(EncodeError::Mismatch(_))));
    assert!(matches!(encode(Time::Boot { boot: 1, ms: 9 }), Err(EncodeError::Mismatch(_))));
}

#[test]
fn bodies_end_where_their_channel_says() {
    for channel in Channel::ALL {
        let body = vec![1; channel.limit() + 1];
        let result = Message::decode(channel, &body);
        let expected = DecodeError::TooLong { len: channel.limit() + 1, limit: channel.limit() };
        assert_eq!(result, Err(expected), "{channel}");
    }
    // Readings share their channel with catalogs, but not their bound.
    let mut readings = enveloped();
    Data::encode_readings(1, &[], std::iter::once((TIME, &[][..])), &mut readings).unwrap();
    readings.resize(limits::SMALL + 1, 0);
    let expected = DecodeError::TooLong { len: limits::SMALL + 1, limit: limits::SMALL };
    assert_eq!(Message::decode(Channel::Data, &readings), Err(expected));
}

#[test]
fn newer_malformed_and_empty_are_told_apart() {
    for channel in
        [Channel::Presence, Channel::Birth, Channel::Data, Channel::Event, Channel::Ack, Channel::Verdict]
    {
        assert_eq!(Message::decode(channel, &[]), Err(DecodeError::Empty));
        assert_eq!(Message::decode(channel, &[2, 9, 9]), Err(DecodeError::Newer { found: 2 }));
        assert_eq!(Message::decode(channel, &[0, 9, 9]), Err(DecodeError::Malformed("version byte")));
        assert!(matches!(Message::decode(channel, &[1, 0xff]), Err(DecodeError::Malformed(_))));
    }
}

#[test]
fn a_full_sink_is_an_error() {
    let mut sink = heapless::Vec::<u8, 4>::new();
    let envelope = Envelope { run: Run(1), seq: 0, floor: 0, sending: Sending::First };
    assert_eq!(envelope.encode(&mut sink), Err(EncodeError::Full));
}

#[test]
fn the_strings_of_a_birth_are_checked() {
    let birth = Birth {
        run: Run(1),
        connection: 1,
        floor: 0,
        next: 0,
        time: TIME,
        clock: ClockSource::Ntp,
        boot_id: [0; 16],
        tick_ms: 1000,
        version: "0.1.0",
        hostname: leaked(65),
        model: "",
        os: "",
        kernel: "",
        arch: "",
        capabilities: Capabilities::default(),
        config_revision: 0,
        spool: SpoolPlace::Memory,
        spool_bytes: 0,
        catalog: None,
        revision: None,
        interval_ms: 1000,
    };
    assert_eq!(birth.encode(None, &mut Vec::new()), Err(EncodeError::Limit("host name")));
    assert!(Birth { hostname: limits::fit(leaked(65)), ..birth }.encode(None, &mut Vec::new()).is_ok());
}

#[test]
fn texts_are_cut_at_a_character() {
    let text = "é".repeat(40);
    assert_eq!(limits::fit(&text), "é".repeat(32));
    let shifted = format!("x{text}");
    assert_eq!(limits::fit(&shifted), format!("x{}", "é".repeat(31)));
}

#[test]
fn each_bad_id_says_what_is_wrong() {
    let parse = |text: &str| text.parse::<Id>().map(|_| ());
    assert_eq!(parse(&"a".repeat(32)), Ok(()));
    assert_eq!(parse(""), Err(IdError::Empty));
    assert_eq!(parse(&"a".repeat(33)), Err(IdError::Length(33)));
    assert_eq!(parse("-a"), Err(IdError::Start));
    assert_eq!(parse("Arena"), Err(IdError::Character('A')));
    assert_eq!(
        IdError::Character('A').to_string(),
        "has the character 'A'; allowed are 1 to 32 of a-z, 0-9 and -, the first a letter or a digit"
    );
}

#[test]
fn each_bad_topic_says_which_word() {
    let parse = |text: &str| Topic::parse(&Prefix::default(), text).map(|_| ());
    assert_eq!(parse("rackside/1/a/b/data"), Ok(()));
    assert_eq!(parse("other/1/a/b/data"), Err(TopicError::Prefix));
    assert_eq!(parse("rackside/2/a/b/data"), Err(TopicError::Version));
    assert_eq!(parse("rackside/01/a/b/data"), Err(TopicError::Version));
    assert_eq!(parse("rackside/1/A/b/data"), Err(TopicError::Site));
    assert_eq!(parse("rackside/1/a//data"), Err(TopicError::Appliance));
    assert_eq!(parse("rackside/1/a/b/date"), Err(TopicError::Channel));
    assert_eq!(parse("rackside/1/a/b/data/"), Err(TopicError::Channel));
}

#[test]
fn the_longest_topic_has_the_length_that_is_said() {
    let prefix: Prefix = leaked(64).parse().unwrap();
    let agent = rackside_proto::AgentName::new(&"a".repeat(32), &"b".repeat(32)).unwrap();
    let longest =
        Channel::ALL.map(|channel| Topic { agent: agent.clone(), channel }.under(&prefix).to_string().len());
    assert_eq!(longest.into_iter().max(), Some(TOPIC_MAX));
}

#[test]
fn a_still_has_a_name_a_size_and_bytes_within_the_wires_bounds() {
    let picture = vec![0; limits::PICTURE + 1];
    let still = |probe: &'static str, width, height, len: usize| {
        let (time, clock) = (Time::Boot { boot: u32::MAX, ms: u64::MAX }, ClockSource::None);
        let still =
            Still { probe, time, clock, width, height, format: Format::Webp, picture: &picture[..len] };
        let mut bytes = Vec::new();
        still.encode(&mut bytes).map(|()| bytes)
    };
    let largest = still(leaked(64), limits::SIDE, limits::SIDE, limits::PICTURE).expect("within all bounds");
    assert!(largest.len() <= limits::SMALL && Message::decode(Channel::Still, &largest).is_ok());
    for (probe, width, height, len, what) in [
        (leaked(65), 1, 1, 1, "probe"),
        ("", 1, 1, 1, "probe"),
        ("p", 0, 1, 1, "size of the picture"),
        ("p", 1, limits::SIDE + 1, 1, "size of the picture"),
        ("p", 1, 1, 0, "bytes of the picture"),
        ("p", 1, 1, limits::PICTURE + 1, "bytes of the picture"),
    ] {
        assert_eq!(still(probe, width, height, len), Err(EncodeError::Limit(what)));
    }
    // The same from a sender that does not keep to it: version, probe, time, clock, size, format, picture.
    for (forged, what) in [
        (&[1, 0, 0, 0, 0, 1, 1, 0, 1, 7][..], "probe"),
        (&[1, 1, b'p', 0, 0, 0, 0, 1, 0, 1, 7], "size of the picture"),
        (&[1, 1, b'p', 0, 0, 0, 1, 0x81, 0x10, 0, 1, 7], "size of the picture"),
        (&[1, 1, b'p', 0, 0, 0, 1, 1, 0, 0], "bytes of the picture"),
    ] {
        assert_eq!(Message::decode(Channel::Still, forged), Err(DecodeError::Limit(what)));
    }
    let long = vec![1; limits::SMALL + 1];
    let told = DecodeError::TooLong { len: limits::SMALL + 1, limit: limits::SMALL };
    assert_eq!(Message::decode(Channel::Still, &long), Err(told));
}

#[test]
fn a_command_lasts_for_a_while_and_not_for_ever() {
    let command = |lasts: u64, by: &'static str, action| {
        let (issued_ms, mut bytes) = (1_000, Vec::new());
        let command = Command { run: Run(1), id: 1, issued_ms, expires_ms: issued_ms + lasts, by, action };
        command.encode(&mut bytes).map(|()| bytes)
    };
    for action in [
        Action::Identify { seconds: IDENTIFY_MOST },
        Action::Mute { seconds: MUTE_MOST },
        Action::Probe { name: leaked(64) },
    ] {
        let bytes = command(EXPIRY_MOST, leaked(64), action).expect("within all bounds");
        assert_eq!(Command::decode(&bytes).map(|command| command.action), Ok(action));
    }
    for (lasts, by, action, what) in [
        (0, "", Action::Log, "expiry"),
        (EXPIRY_MOST + 1, "", Action::Log, "expiry"),
        (1, leaked(65), Action::Log, "name of whoever gave the command"),
        (1, "", Action::Identify { seconds: 0 }, "action"),
        (1, "", Action::Identify { seconds: IDENTIFY_MOST + 1 }, "action"),
        (1, "", Action::Mute { seconds: MUTE_MOST + 1 }, "action"),
        (1, "", Action::Probe { name: leaked(65) }, "action"),
        (1, "", Action::Other(7), "action"),
    ] {
        assert_eq!(command(lasts, by, action), Err(EncodeError::Limit(what)));
    }
    // The same from a sender that does not keep to it: run, id, issued, expires, by, action.
    for (forged, what) in [
        (&[1, 0, 0, 0, 1, 5, 5, 0, 2][..], "expiry"),
        (&[1, 0, 0, 0, 1, 5, 4, 0, 2], "expiry"),
        (&[1, 0, 0, 0, 1, 5, 6, 0, 0, 0], "action"),
        (&[1, 0, 0, 0, 1, 5, 6, 0, 3, 0x81, 0xa3, 0x05], "action"),
    ] {
        assert_eq!(Command::decode(forged), Err(DecodeError::Limit(what)));
    }
}

#[test]
fn a_reply_has_its_bounds() {
    let body = vec![0; REPLY_BODY + 1];
    let reply = |outcome, body| {
        let mut bytes = Vec::new();
        Reply { run: Run(u32::MAX), id: u64::MAX, outcome, body }.encode(&mut bytes).map(|()| bytes)
    };
    let largest =
        reply(Outcome::Failed(leaked(64)), Body::Log(&body[..REPLY_BODY])).expect("within all bounds");
    assert!(largest.len() <= limits::SMALL);
    assert!(Message::decode(Channel::Reply, &largest).is_ok(), "lines of three bytes each");
    assert_eq!(reply(Outcome::Done, Body::Probes(&body)), Err(EncodeError::Limit("body of the reply")));
    assert_eq!(reply(Outcome::Failed(leaked(65)), Body::Nothing), Err(EncodeError::Limit("why it failed")));
    let long = "x".repeat(LINE + 1);
    let line = LogLine { ago_ms: 0, level: 1, text: &long };
    assert_eq!(line.encode(&mut Vec::new()), Err(EncodeError::Limit("line of a log")));
    // What is in the body is read with it: a line that breaks off, a probe whose state nobody knows.
    for (body, what) in
        [(Body::Log(&[0, 3, 5, b'x']), "line of a log"), (Body::Probes(&[0, 9, 0, 0]), "what a probe found")]
    {
        let bytes = reply(Outcome::Done, body).expect("nobody looks into it here");
        assert_eq!(Message::decode(Channel::Reply, &bytes), Err(DecodeError::Malformed(what)));
    }
}

mod join {
    use super::{DecodeError, EncodeError};
    use rackside_proto::AgentName;
    use rackside_proto::join::{Answer, Claim, Grant, Outcome, Question, Refusal};
    use std::iter;

    fn question(claim: Claim<'_>, key: usize, signatures: [usize; 2]) -> Result<Vec<u8>, EncodeError> {
        let mut bytes = Vec::new();
        Question::encode_head(claim, &[7; 32], &vec![4; key], &mut bytes)?;
        for len in signatures {
            Question::encode_signature(&vec![0x30; len], &mut bytes)?;
        }
        Ok(bytes)
    }

    fn grant<'a>(certificate: &'a [u8], addresses: &[&'a str], configuration: &'a str) -> Grant<'a> {
        Grant {
            name: AgentName::new("arena-north", "rack-1").expect("good names"),
            certificate,
            authority: &[0x30; 2],
            addresses: addresses.iter().copied().collect(),
            configuration,
            time_ms: 1,
        }
    }

    fn answer(authority: usize, signature: usize, outcome: &Outcome<'_>) -> Result<Vec<u8>, EncodeError> {
        let (mut body, mut bytes) = (Vec::new(), Vec::new());
        outcome.encode(&mut body)?;
        Answer::encode(&vec![4; authority], &vec![0x30; signature], &body, &mut bytes)?;
        Ok(bytes)
    }

    #[test]
    fn a_question_has_its_bounds() {
        let (code, der) = (Claim::Code([1; 8]), vec![0x30; 2049]);
        for (claim, key, signatures) in
            [(code, 1, [1, 1]), (code, 128, [80, 80]), (Claim::Certificate(&der[..2048]), 128, [80, 80])]
        {
            let bytes = question(claim, key, signatures).expect("within bounds");
            let read = Question::decode(&bytes).expect("what was written");
            assert_eq!((read.claim, read.key.len(), read.proof.len()), (claim, key, signatures[1]));
            assert_eq!(read.proven, &bytes[..bytes.len() - signatures[1] - 1]);
            assert_eq!(read.owned, &read.proven[..read.proven.len() - signatures[0] - 1]);
        }
        for (claim, key, signatures, what) in [
            (code, 0, [1, 1], "key"),
            (code, 129, [1, 1], "key"),
            (code, 91, [0, 1], "signature"),
            (code, 91, [81, 1], "signature"),
            (code, 91, [1, 81], "signature"),
            (Claim::Certificate(&der), 91, [1, 1], "certificate"),
            (Claim::Certificate(&[]), 91, [1, 1], "certificate"),
        ] {
            assert_eq!(question(claim, key, signatures), Err(EncodeError::Limit(what)));
        }
        let long = vec![1; 4097];
        assert_eq!(Question::decode(&long), Err(DecodeError::TooLong { len: 4097, limit: 4096 }));
    }

    #[test]
    fn an_answer_has_its_bounds() {
        let (der, toml) = (vec![0x30; 2049], "#".repeat(32 * 1024 + 1));
        let long: String = iter::once("mqtts://").chain(iter::repeat_n("h", 273)).collect();
        let good = Outcome::Granted(grant(&der[..2048], &[&long[..280]; 8], &toml[1..]));
        let bytes = answer(128, 80, &good).expect("within bounds");
        let read = Answer::decode(&bytes).expect("what was written");
        assert_eq!((&read.outcome, read.authority.len(), read.signature.len()), (&good, 128, 80));
        assert!(bytes.ends_with(read.signed));

        for (bad, what) in [
            (grant(&der, &["a"], ""), "certificate"),
            (grant(&[], &["a"], ""), "certificate"),
            (grant(&[1], &[], ""), "address"),
            (grant(&[1], &[""], ""), "address"),
            (grant(&[1], &[&long], ""), "address"),
            (grant(&[1], &["a b"], ""), "address"),
            (grant(&[1], &["a\u{7f}"], ""), "address"),
            (grant(&[1], &["a"], &toml), "configuration"),
        ] {
            assert_eq!(answer(91, 70, &Outcome::Granted(bad)), Err(EncodeError::Limit(what)));
        }
        let refused = Outcome::Refused(Refusal::Wait(7));
        assert_eq!(answer(129, 70, &refused), Err(EncodeError::Limit("authority's key")));
        for (authority, signature) in [(91, 81), (91, 0), (0, 70)] {
            assert_eq!(answer(authority, signature, &refused), Err(EncodeError::Limit("signature")));
        }
    }

    #[test]
    fn a_refusal_may_be_unsigned_and_a_grant_may_not() {
        let bytes = answer(0, 0, &Outcome::Refused(Refusal::Unknown)).expect("within bounds");
        assert_eq!(bytes, [1, 0, 0, 1, 0]);
        assert!(Answer::decode(&bytes).is_ok());
        let bytes = answer(0, 0, &Outcome::Granted(grant(&[1], &["a"], ""))).expect("within bounds");
        assert_eq!(Answer::decode(&bytes), Err(DecodeError::Malformed("signature")));
    }

    #[test]
    fn a_key_of_p_256_is_told_by_its_form() {
        use rackside_proto::join::{P256_PREFIX, p256_point};
        let key = [&P256_PREFIX[..], &[4], &[9; 64]].concat();
        assert_eq!(p256_point(&key), Some(&key[26..]));
        let compressed = [&P256_PREFIX[..], &[2], &[9; 64]].concat();
        for other in [&key[..90], &key[1..], &compressed, &[]] {
            assert_eq!(p256_point(other), None);
        }
    }
}
