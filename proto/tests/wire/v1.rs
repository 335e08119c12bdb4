//! Wire version 1, byte by byte.
//!
//! A draft until the first release. From then on: DO NOT CHANGE THIS TEST. A byte that moves here breaks every
//! appliance in the field; a new version gets a file of its own.
#![cfg_attr(rustfmt, rustfmt_skip)]

use rackside_proto::join::{Answer, Claim, Code, Grant, Outcome, Question, Refusal};
use rackside_proto::{
    Ack, Adopted, AgentName, Birth, Capabilities, Catalog, CatalogHead, Channel, ClockSource, Configuration, Data, Envelope, Event, Format, Kind, Action, Body, Command, Finding, Found, LogLine, Outcome as Came, Refused, Reply,
    Label, Labels, Message, Prefix, Presence, Reason, Revision, Run, Safe, Scale, Sending, Series, Severity, SpoolPlace, Still, Time,
    Signed, Topic, Value, Verdict, Want, What, COMMAND_LABEL, CONFIG_LABEL, signed_head,
};

const RUN: Run = Run(0x0bad_cafe);
const UTC: Time = Time::Utc { ms: 1_795_145_096_123 };

/// Joins annotated pieces.
fn bytes(pieces: &[&[u8]]) -> Vec<u8> {
    pieces.concat()
}

fn catalog_bytes() -> Vec<u8> {
    bytes(&[
        &[2],                                        // number
        &[0, 0xbb, 0xb7, 0xf1, 0xb7, 0x9f, 0x34],    // time: UTC, 1,795,145,096,123 ms
        &[0xb0; 16],                                 // boot id
        &[0x90, 0x4e],                               // tick: 10,000 ms
        &[2],                                        // two series
        &[32],                                       // name
        b"rackside_soc_temperature_celsius",
        &[0],                                        // no labels
        &[7],                                        // unit
        b"celsius",
        &[0],                                        // gauge
        &[1, 10],                                    // scale 1/10
        &[2, 0xc6, 0x07],                            // reference: known, 483
        &[24],                                       // name
        b"rackside_disk_used_bytes",
        &[1],                                        // one label
        &[5],
        b"mount",
        &[1],
        b"/",
        &[5],                                        // unit
        b"bytes",
        &[0],                                        // gauge
        &[0x80, 0x80, 0x04, 1],                      // scale 65,536/1
        &[0],                                        // reference: absent
    ])
}

fn head() -> CatalogHead {
    CatalogHead { number: 2, time: UTC, boot_id: [0xb0; 16], tick_ms: 10_000 }
}

fn series() -> [Series<'static>; 2] {
    [
        Series {
            name: "rackside_soc_temperature_celsius",
            labels: Labels::new(),
            unit: "celsius",
            kind: Kind::Gauge,
            scale: Scale::per(10),
            reference: Value::Known(483),
        },
        Series {
            name: "rackside_disk_used_bytes",
            labels: Labels::from_slice(&[Label { name: "mount", value: "/" }]).expect("one fits"),
            unit: "bytes",
            kind: Kind::Gauge,
            scale: Scale::times(65_536),
            reference: Value::Absent,
        },
    ]
}

fn envelope() -> Envelope {
    Envelope { run: RUN, seq: 300, floor: 299, sending: Sending::First }
}

#[test]
fn topic() {
    let topic = Topic { agent: AgentName::new("arena-north", "rack-1").unwrap(), channel: Channel::Data };
    let text = topic.under(&Prefix::default()).to_string();
    assert_eq!(text, "rackside/1/arena-north/rack-1/data");
    assert_eq!(Topic::parse(&Prefix::default(), &text), Ok(topic));
}

#[test]
fn presence() {
    let presence = Presence { run: RUN, connection: 3, online: false, reason: Reason::Will };
    let expected = bytes(&[
        &[1],                      // version
        &[0xfe, 0xca, 0xad, 0x0b], // run, little-endian
        &[3],                      // connection
        &[0],                      // offline
        &[1],                      // will
    ]);
    let mut written = Vec::new();
    presence.encode(&mut written).unwrap();
    assert_eq!(written, expected);
    assert_eq!(Message::decode(Channel::Presence, &expected), Ok(Message::Presence(presence)));
}

#[test]
fn catalog_record() {
    let mut catalog = Vec::new();
    Catalog::encode(&head(), series().into_iter(), &mut catalog).unwrap();
    assert_eq!(catalog, catalog_bytes());

    let expected = bytes(&[
        &[1],                      // version
        &[0xfe, 0xca, 0xad, 0x0b], // run
        &[0xac, 0x02],             // seq 300
        &[2],                      // floor: 1 behind, zigzag
        &[0],                      // sent for the first time
        &[1],                      // a catalog
        &catalog_bytes(),
    ]);
    let mut written = Vec::new();
    envelope().encode(&mut written).unwrap();
    Data::encode_catalog(&catalog, &mut written).unwrap();
    assert_eq!(written, expected);

    let Ok(Message::Data(record)) = Message::decode(Channel::Data, &expected) else { panic!("a data record") };
    assert_eq!(record.envelope, envelope());
    let Data::Catalog(read) = record.body else { panic!("a catalog") };
    assert_eq!(read.head, head());
    assert!(read.series().eq(series()));
}

#[test]
fn readings_record() {
    let references = series().map(|one| one.reference);
    let first = [Value::Known(481), Value::Absent];
    let second = [Value::Unknown, Value::Known(4)];
    let third = [Value::Known(483), Value::Known(4)];
    let readings = [(UTC, &first[..]), (UTC.plus(10_000), &second[..]), (UTC.plus(20_000), &third[..])];
    let expected = bytes(&[
        &[1],                                     // version
        &[0xfe, 0xca, 0xad, 0x0b],                // run
        &[0xac, 0x02],                            // seq 300
        &[2],                                     // floor: 1 behind, zigzag
        &[0],                                     // sent for the first time
        &[0],                                     // readings
        &[2],                                     // catalog number
        &[0, 0xbb, 0xb7, 0xf1, 0xb7, 0x9f, 0x34], // time of the first: UTC
        &[3],                                     // three readings
        &[1, 0b01],                               // first: series 0 moved
        &[5],                                     //   483 - 2: 2 + zigzag(-2)
        &[0x90, 0x4e],                            // second: 10,000 ms later
        &[1, 0b11],                               //   both moved
        &[1],                                     //   unknown
        &[10],                                    //   no reference: 0 + 4
        &[0x90, 0x4e],                            // third: 10,000 ms later
        &[1, 0b01],                               //   series 0 moved
        &[2],                                     //   back at its reference
    ]);
    let mut written = Vec::new();
    envelope().encode(&mut written).unwrap();
    Data::encode_readings(2, &references, readings.into_iter(), &mut written).unwrap();
    assert_eq!(written, expected);

    let Ok(Message::Data(record)) = Message::decode(Channel::Data, &expected) else { panic!("a data record") };
    let Data::Readings(read) = record.body else { panic!("readings") };
    assert_eq!((read.catalog, read.len()), (2, 3));
    let mut values = references;
    for (reading, (time, expected)) in read.iter().zip(readings) {
        reading.apply(&references, &mut values).unwrap();
        assert_eq!((reading.time, &values[..]), (time, expected));
    }
}

#[test]
fn birth() {
    let birth = Birth {
        run: RUN,
        connection: 3,
        floor: 299,
        next: 301,
        time: Time::Boot { boot: 0xb0b0_b0b0, ms: 70_000 },
        clock: ClockSource::None,
        boot_id: [0xb0; 16],
        tick_ms: 10_000,
        version: "0.1.0",
        hostname: "rack",
        model: "",
        os: "Debian",
        kernel: "6.1",
        arch: "aarch64",
        capabilities: Capabilities::GPIO,
        config_revision: 0,
        spool: SpoolPlace::Memory,
        spool_bytes: 1 << 20,
        catalog: None,
        revision: Some(Revision(0xc0_3111)),
        interval_ms: 60_000,
    };
    let expected = bytes(&[
        &[1],                                  // version
        &[0xfe, 0xca, 0xad, 0x0b],             // run
        &[3],                                  // connection
        &[0xab, 0x02],                         // floor 299
        &[0xad, 0x02],                         // next 301
        &[1],                                  // time: since boot
        &[0xb0, 0xe1, 0xc2, 0x85, 0x0b],       //   of boot b0b0b0b0
        &[0xf0, 0xa2, 0x04],                   //   70,000 ms
        &[2],                                  // no clock
        &[0xb0; 16],                           // boot id
        &[0x90, 0x4e],                         // tick: 10,000 ms
        &[5], b"0.1.0", &[4], b"rack", &[0], &[6], b"Debian", &[3], b"6.1", &[7], b"aarch64",
        &[1],                                  // capabilities: GPIO
        &[0],                                  // its own configuration
        &[0],                                  // spool in memory
        &[0x80, 0x80, 0x40],                   //   of 1 MiB
        &[1],                                  // a catalog follows
        &catalog_bytes(),
        &[0x91, 0xe2, 0x80, 0x06],             // revision code c03111
        &[0xe0, 0xd4, 0x03],                   // data every 60,000 ms
    ]);
    let mut written = Vec::new();
    birth.encode(Some(&catalog_bytes()), &mut written).unwrap();
    assert_eq!(written, expected);

    let Ok(Message::Birth(read)) = Message::decode(Channel::Birth, &expected) else { panic!("a birth") };
    assert!(read.catalog.expect("a catalog").series().eq(series()));
    assert_eq!(Birth { catalog: None, ..read }, birth);

    // A birth of an agent that does not tell its interval ends with the revision, of one that does not tell that either with the catalog.
    for (without, revision) in [(3, read.revision), (7, None)] {
        let short = Message::decode(Channel::Birth, &expected[..expected.len() - without]);
        assert_eq!(short, Ok(Message::Birth(Birth { revision, interval_ms: 10_000, ..read })));
    }

    let clocks = [ClockSource::Ntp, ClockSource::Hub, ClockSource::None, ClockSource::Trusted];
    for (clock, byte) in clocks.into_iter().zip(0..) {
        let mut written = Vec::new();
        Birth { clock, ..birth }.encode(None, &mut written).unwrap();
        assert_eq!(written[19], byte, "{clock:?}");
        assert_eq!(Birth::decode(&written), Ok(Birth { clock, ..birth }));
    }
}

#[test]
fn events() {
    for (what, expected) in [
        (
            What::Sample { catalog: 2, series: 1, value: Value::Known(-1) },
            bytes(&[&[0], &[2], &[1], &[2, 1]]), // sample, catalog, series, known -1
        ),
        (
            What::Text { subject: "default_route", text: "eth0" },
            bytes(&[&[1], &[13], b"default_route", &[4], b"eth0"]),
        ),
        (
            What::Anchor { boot: 1, boot_ms: 2, utc_ms: 3 },
            bytes(&[&[2], &[1], &[2], &[3]]),
        ),
        (
            What::Configuration { revision: 300, adopted: Adopted::Applied, why: "" },
            bytes(&[&[3], &[0xac, 0x02], &[0], &[0]]), // configuration, revision, applied, no why
        ),
        (
            What::Configuration { revision: 7, adopted: Adopted::Refused, why: "line 3" },
            bytes(&[&[3], &[7], &[1], &[6], b"line 3"]),
        ),
        (
            What::Configuration { revision: 7, adopted: Adopted::RolledBack, why: "" },
            bytes(&[&[3], &[7], &[2], &[0]]),
        ),
    ] {
        let event = Event { time: UTC, what };
        let expected = bytes(&[
            &[1],                                     // version
            &[0xfe, 0xca, 0xad, 0x0b],                // run
            &[0xac, 0x02],                            // seq 300
            &[2],                                     // floor: 1 behind, zigzag
            &[0],                                     // sent for the first time
            &[0, 0xbb, 0xb7, 0xf1, 0xb7, 0x9f, 0x34], // time: UTC
            &expected,
        ]);
        let mut written = Vec::new();
        envelope().encode(&mut written).unwrap();
        event.encode(&mut written).unwrap();
        assert_eq!(written, expected);
        let Ok(Message::Event(record)) = Message::decode(Channel::Event, &expected) else { panic!("an event") };
        assert_eq!((record.envelope, record.body), (envelope(), event));
    }
}

#[test]
fn ack() {
    let ack = Ack {
        history: 5,
        time_ms: 1_795_145_096_123,
        safe: heapless::Vec::from_slice(&[Safe { run: RUN, below: 301 }]).unwrap(),
        wants: heapless::Vec::from_slice(&[Want::Birth, Want::Catalog { run: RUN, number: 2 }]).unwrap(),
    };
    let expected = bytes(&[
        &[1],                                  // version
        &[5],                                  // history
        &[0xbb, 0xb7, 0xf1, 0xb7, 0x9f, 0x34], // the hub's time
        &[1],                                  // one run
        &[0xfe, 0xca, 0xad, 0x0b],             //   its number
        &[0xad, 0x02],                         //   safe below 301
        &[2],                                  // two wants
        &[0],                                  //   the birth
        &[1],                                  //   a catalog
        &[0xfe, 0xca, 0xad, 0x0b],             //     of this run
        &[2],                                  //     with this number
    ]);
    let mut written = Vec::new();
    ack.encode(&mut written).unwrap();
    assert_eq!(written, expected);
    assert_eq!(Message::decode(Channel::Ack, &expected), Ok(Message::Ack(ack)));
}

#[test]
fn verdict() {
    let verdict = Verdict { severity: Severity::Critical, firing: 2, valid_s: 90 };
    let expected = [1, 3, 2, 90]; // version, critical, two alerts, 90 s
    let mut written = Vec::new();
    verdict.encode(&mut written).unwrap();
    assert_eq!(written, expected);
    assert_eq!(Message::decode(Channel::Verdict, &expected), Ok(Message::Verdict(verdict)));
}

#[test]
fn stills() {
    for (format, byte) in [(Format::Jpeg, 0), (Format::Webp, 1)] {
        let (time, clock) = (UTC, ClockSource::Ntp);
        let still = Still { probe: "programme", time, clock, width: 320, height: 180, format, picture: b"\xff\xd8\xff\xd9" };
        let expected = bytes(&[
            &[1],                                     // version
            &[9], b"programme",                       // probe
            &[0, 0xbb, 0xb7, 0xf1, 0xb7, 0x9f, 0x34], // time: UTC
            &[0],                                     // by NTP
            &[0xc0, 0x02],                            // 320 wide
            &[0xb4, 0x01],                            // 180 high
            &[byte],                                  // format
            &[4], b"\xff\xd8\xff\xd9",                // the picture
        ]);
        let mut written = Vec::new();
        still.encode(&mut written).unwrap();
        assert_eq!(written, expected);
        assert_eq!(Message::decode(Channel::Still, &expected), Ok(Message::Still(still)));
    }
    let boot = Still { probe: "p", time: Time::Boot { boot: 1, ms: 2 }, clock: ClockSource::None, width: 1, height: 2, format: Format::Jpeg, picture: &[7] };
    let mut written = Vec::new();
    boot.encode(&mut written).unwrap();
    // Version, probe, since boot, no clock, size, JPEG, picture.
    assert_eq!(written, [1, 1, b'p', 1, 1, 2, 2, 1, 2, 0, 1, 7]);
}

#[test]
fn signed_by_the_hub() {
    let agent = AgentName::new("arena-north", "rack-1").unwrap();
    let signed = Signed { signature: b"DER", content: b"what is said" };
    let expected = bytes(&[
        &[1],            // version
        &[3], b"DER",    // signature
        b"what is said", // content
    ]);
    let mut written = Vec::new();
    signed.encode(&mut written).unwrap();
    assert_eq!(written, expected);
    assert_eq!(Signed::decode(&expected, expected.len()), Ok(signed));
    assert_eq!(signed_head(COMMAND_LABEL, &agent), b"rackside command 1\0arena-north/rack-1\0");
    assert_eq!(signed_head(CONFIG_LABEL, &agent), b"rackside config 1\0arena-north/rack-1\0");
}

#[test]
fn configurations() {
    let (signature, text) = (&[0x30; 70][..], "tick = \"5s\"\n");
    let content = bytes(&[
        &[0xac, 0x02],                                // revision 300
        &[12], b"tick = \"5s\"\n",
    ]);
    let expected = bytes(&[&[1], &[70], signature, &content]);
    let configuration = Configuration { revision: 300, text };
    let (mut encoded, mut written) = (Vec::new(), Vec::new());
    configuration.encode(&mut encoded).unwrap();
    assert_eq!(encoded, content);
    let signed = Signed { signature, content: &encoded };
    signed.encode(&mut written).unwrap();
    assert_eq!(written, expected);
    assert_eq!(Message::decode(Channel::Config, &expected), Ok(Message::Config(signed, configuration)));
}

#[test]
fn commands() {
    let head = [
        0xfe, 0xca, 0xad, 0x0b,                   // run
        0xbb, 0xb7, 0xf1, 0xb7, 0x9f, 0x34,       // id: 1,795,145,096,123
        0xbb, 0xb7, 0xf1, 0xb7, 0x9f, 0x34,       // issued
        0xeb, 0xa1, 0xf3, 0xb7, 0x9f, 0x34,       // expires 30 s later
        4, b'a', b'n', b'n', b'a',                // by
    ];
    for (action, written) in [
        (Action::Identify { seconds: 30 }, &[0, 30][..]),
        (Action::Probe { name: "encoder" }, b"\x01\x07encoder"),
        (Action::Probe { name: "" }, &[1, 0]),
        (Action::Log, &[2]),
        (Action::Mute { seconds: 900 }, &[3, 0x84, 0x07]),
    ] {
        let (issued_ms, expires_ms) = (1_795_145_096_123, 1_795_145_126_123);
        let command = Command { run: RUN, id: issued_ms, issued_ms, expires_ms, by: "anna", action };
        let mut content = Vec::new();
        command.encode(&mut content).unwrap();
        assert_eq!(content, bytes(&[&head, written]));
        let signed = Signed { signature: b"DER", content: &content };
        let expected = bytes(&[&[1, 3], b"DER", &content]);
        assert_eq!(Message::decode(Channel::Command, &expected), Ok(Message::Command(signed, command)));
    }
    let newer = bytes(&[&head, &[4, 1, 2, 3]]);
    assert_eq!(Command::decode(&newer).map(|command| command.action), Ok(Action::Other(4)));
}

#[test]
fn replies() {
    let (mut lines, mut found) = (Vec::new(), Vec::new());
    LogLine { ago_ms: 300, level: 2, text: "the link is lost" }.encode(&mut lines).unwrap();
    LogLine { ago_ms: 0, level: 3, text: "" }.encode(&mut lines).unwrap();
    assert_eq!(lines, b"\xac\x02\x02\x10the link is lost\x00\x03\x00"); // 300 ms ago, a warning; now, an empty one
    Found { probe: "uplink", state: Finding::Down, took_ms: 2, why: "refused" }.encode(&mut found).unwrap();
    Found { probe: "e", state: Finding::Pending, took_ms: 0, why: "" }.encode(&mut found).unwrap();
    assert_eq!(found, b"\x06uplink\x01\x02\x07refused\x01e\x03\x00\x00");
    let head = [1, 0xfe, 0xca, 0xad, 0x0b, 0xac, 0x02]; // version, run, id: 300
    for (outcome, body, written) in [
        (Came::Done, Body::Nothing, bytes(&[&[0, 0]])),
        (Came::Done, Body::Log(&lines), bytes(&[&[0, 1, 23], &lines])),
        (Came::Done, Body::Probes(&found), bytes(&[&[0, 2, 22], &found])),
        (Came::Refused(Refused::Forbidden), Body::Nothing, bytes(&[&[1, 0, 0]])),
        (Came::Refused(Refused::Expired), Body::Nothing, bytes(&[&[1, 1, 0]])),
        (Came::Refused(Refused::OtherRun), Body::Nothing, bytes(&[&[1, 2, 0]])),
        (Came::Refused(Refused::Unknown), Body::Nothing, bytes(&[&[1, 3, 0]])),
        (Came::Refused(Refused::NoClock), Body::Nothing, bytes(&[&[1, 4, 0]])),
        (Came::Refused(Refused::Busy), Body::Nothing, bytes(&[&[1, 5, 0]])),
        (Came::Failed("no LED"), Body::Nothing, bytes(&[&[2, 6], b"no LED", &[0]])),
    ] {
        let reply = Reply { run: RUN, id: 300, outcome, body };
        let expected = bytes(&[&head, &written]);
        let mut encoded = Vec::new();
        reply.encode(&mut encoded).unwrap();
        assert_eq!(encoded, expected);
        assert_eq!(Message::decode(Channel::Reply, &expected), Ok(Message::Reply(reply)));
    }
}

#[test]
fn trailing_bytes_of_a_newer_minor_version_are_ignored() {
    let mut written = vec![1, 3, 2, 90];
    written.extend_from_slice(b"what a later version added");
    let verdict = Verdict { severity: Severity::Critical, firing: 2, valid_s: 90 };
    assert_eq!(Message::decode(Channel::Verdict, &written), Ok(Message::Verdict(verdict)));
}

#[test]
fn join_code() {
    let code = Code { secret: *b"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f", fingerprint: [0xa5; 16] };
    let text = "000G-40R4-0M30-E209-185G-R38E-1YJT-B9D5-MPJT-B9D5-MPJT-B9D5-MPJM-1RD2";
    assert_eq!(code.text(), text);
    assert_eq!(text.parse(), Ok(code));
}

#[test]
fn join_question() {
    let head = |claim: &[u8]| bytes(&[
        &[1],                                          // version
        claim,
        &[7; 32],                                      // nonce
        &[3], b"key",                                  // key
    ]);
    for (claim, written_claim) in [
        (Claim::Code(*b"12345678"), &b"\x0012345678"[..]),
        (Claim::Certificate(b"der"), b"\x01\x03der"),
    ] {
        let owned = head(written_claim);
        let proven = bytes(&[&owned, &[5], b"owned"]);  // possession
        let expected = bytes(&[&proven, &[6], b"proven"]); // proof
        let mut written = Vec::new();
        Question::encode_head(claim, &[7; 32], b"key", &mut written).unwrap();
        Question::encode_signature(b"owned", &mut written).unwrap();
        Question::encode_signature(b"proven", &mut written).unwrap();
        assert_eq!(written, expected);
        let (possession, proof): (&[u8], &[u8]) = (b"owned", b"proven");
        let question = Question { claim, nonce: [7; 32], key: b"key", possession, proof, owned: &owned, proven: &proven };
        assert_eq!(Question::decode(&expected), Ok(question));
    }
}

#[test]
fn join_answer() {
    let grant = Grant {
        name: AgentName::new("arena-north", "rack-1").unwrap(),
        certificate: b"certificate",
        authority: b"authority",
        addresses: ["mqtts://a:1", "mqtts://b"].into_iter().collect(),
        configuration: "tick = \"10s\"\n",
        time_ms: 1_795_145_096_123,
    };
    let granted = bytes(&[
        &[0],                                          // granted
        &[11], b"arena-north",
        &[6], b"rack-1",
        &[11], b"certificate",
        &[9], b"authority",
        &[2],                                          // two addresses
        &[11], b"mqtts://a:1",
        &[9], b"mqtts://b",
        &[13], b"tick = \"10s\"\n",
        &[0xbb, 0xb7, 0xf1, 0xb7, 0x9f, 0x34],         // the hub's time
    ]);
    for (outcome, signed) in [
        (Outcome::Granted(grant), &granted[..]),
        (Outcome::Refused(Refusal::Unknown), &[1, 0]),
        (Outcome::Refused(Refusal::Used), &[1, 1]),
        (Outcome::Refused(Refusal::Expired), &[1, 2]),
        (Outcome::Refused(Refusal::Revoked), &[1, 3]),
        (Outcome::Refused(Refusal::Replaced), &[1, 4]),
        (Outcome::Refused(Refusal::Retired), &[1, 5]),
        (Outcome::Refused(Refusal::Wait(300)), &[1, 6, 0xac, 0x02]),
        (Outcome::Refused(Refusal::Unreadable), &[1, 7]),
        (Outcome::Refused(Refusal::Failing), &[1, 8]),
    ] {
        let mut body = Vec::new();
        outcome.encode(&mut body).unwrap();
        assert_eq!(body, signed);
        let expected = bytes(&[&[1, 3], b"key", &[4], b"sign", signed]);
        let mut written = Vec::new();
        Answer::encode(b"key", b"sign", &body, &mut written).unwrap();
        assert_eq!(written, expected);
        assert_eq!(Answer::decode(&expected), Ok(Answer { authority: b"key", signature: b"sign", outcome, signed }));
    }
}

#[test]
fn join_labels() {
    use rackside_proto::join::{ANSWER_LABEL, POSSESSION_LABEL, PROOF_LABEL, SEED_LABEL};
    assert_eq!(SEED_LABEL, b"rackside join 1 code key");
    assert_eq!(POSSESSION_LABEL, b"rackside join 1 possession\x00");
    assert_eq!(PROOF_LABEL, b"rackside join 1 proof\x00");
    assert_eq!(ANSWER_LABEL, b"rackside join 1 answer\x00");
}
