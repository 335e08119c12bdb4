//! The agent as a process against a real Mosquitto: what a subscriber sees of it, and what becomes of it when the link, the
//! broker or the process breaks. Custody's promise end to end, with a hub, is tested in the crate `tests`.

use crate::support::{Agent, Broker, Proxy, Seen, Subscriber};
use rackside_agent::config::Config;
use rackside_proto::{
    Ack, Channel, Data, Message, Presence, Reason, Run, Safe, Sending, Value, Want, metric,
};
use std::time::{Duration, Instant};

/// On the disk that the tests are built on: the usual temporary one may be in memory, where no spool goes.
fn dir() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary directory")
}

fn presence(seen: &Seen) -> Option<Presence> {
    if let Message::Presence(presence) = seen.message() { Some(presence) } else { None }
}

/// Run and seq of a data record's readings.
fn readings(seen: &Seen) -> Option<(Run, u64)> {
    match seen.message() {
        Message::Data(record) if matches!(record.body, Data::Readings(_)) => {
            Some((record.envelope.run, record.envelope.seq))
        }
        _ => None,
    }
}

fn ack(history: u64, safe: &[Safe], wants: &[Want]) -> Vec<u8> {
    let mut body = Vec::new();
    let (safe, wants) = (safe.iter().copied().collect(), wants.iter().copied().collect());
    Ack { history, time_ms: 0, safe, wants }.encode(&mut body).expect("a Vec has room");
    body
}

const ACK: &str = "rackside/1/arena-north/rack-1/ack";

#[test]
fn presence_birth_catalog_and_readings_reach_a_subscriber() {
    let dir = dir();
    let broker = Broker::open(dir.path());
    let subscriber = Subscriber::start(&broker).ready(&broker);
    let _agent = Agent::plain(dir.path(), broker.port);

    let online = subscriber.wait("presence", presence);
    assert_eq!((online.online, online.reason, online.connection), (true, Reason::Start, 1));
    let birth =
        subscriber.wait("birth", |seen| matches!(seen.message(), Message::Birth(_)).then(|| seen.clone()));
    let Message::Birth(birth) = birth.message() else { unreachable!("it was one") };
    assert_eq!((birth.run, birth.tick_ms, birth.version), (online.run, 1000, env!("CARGO_PKG_VERSION")));
    let names: Vec<String> =
        birth.catalog.expect("a catalog").series().map(|series| series.name.to_owned()).collect();
    assert!(names.contains(&metric::UPTIME.name.to_owned()), "{names:?}");

    // The records: numbered from 0 without a gap, the catalog ahead of the readings, which decode against it.
    let mut next = 0;
    let mut references: Vec<Value> = Vec::new();
    let uptime = names.iter().position(|name| name == metric::UPTIME.name).expect("it is there");
    let mut uptimes = Vec::new();
    subscriber.wait("three readings", |seen| {
        match seen.message() {
            Message::Data(record) => {
                assert_eq!((record.envelope.seq, record.envelope.run), (next, online.run));
                assert_eq!(record.envelope.sending, Sending::First, "made while connected, or just before");
                next += 1;
                match record.body {
                    Data::Catalog(catalog) => {
                        references = catalog.series().map(|series| series.reference).collect();
                    }
                    Data::Readings(readings) => {
                        let mut values = references.clone();
                        for reading in &readings {
                            reading.apply(&references, &mut values).expect("coded against the catalog");
                        }
                        uptimes.push(values[uptime].known().expect("a machine that runs has an uptime"));
                    }
                }
            }
            Message::Event(record) => {
                assert_eq!(record.envelope.seq, next);
                next += 1;
            }
            _ => {}
        }
        (uptimes.len() == 3).then_some(())
    });
    assert!(uptimes[0] < uptimes[2] && uptimes[2] <= uptimes[0] + 4, "a tick is a second: {uptimes:?}");

    // Whoever comes later finds presence and birth retained.
    let late = Subscriber::start(&broker);
    let retained = late.wait("retained presence", |seen| presence(seen).filter(|_| seen.retained));
    assert_eq!(retained, online);
    late.wait("retained birth", |seen| {
        (seen.retained && matches!(seen.message(), Message::Birth(_))).then_some(())
    });
}

#[test]
fn an_ack_raises_the_floor_and_a_want_is_answered() {
    let dir = dir();
    let broker = Broker::open(dir.path());
    let subscriber = Subscriber::start(&broker).ready(&broker);
    let _agent = Agent::plain(dir.path(), broker.port);
    let (run, seq) = subscriber.wait("readings", readings);
    let below = seq + 1;

    let want = Want::Catalog { run, number: 1 };
    broker.publish(ACK, &ack(1, &[Safe { run, below }], &[want, Want::Birth]), false);
    let (mut catalog, mut birth, mut floor) = (false, false, false);
    subscriber.wait("catalog, birth and a new floor", |seen| {
        match seen.message() {
            Message::Data(record) => {
                floor |= record.envelope.floor == below;
                catalog |=
                    matches!(record.body, Data::Catalog(_)) && record.envelope.seq < record.envelope.floor;
            }
            Message::Birth(seen) => birth |= seen.floor == below,
            _ => {}
        }
        (catalog && birth && floor).then_some(())
    });
}

#[test]
fn a_retained_or_foreign_ack_empties_nothing() {
    let dir = dir();
    let broker = Broker::open(dir.path());
    let subscriber = Subscriber::start(&broker).ready(&broker);
    // Left behind by somebody before the agent came.
    broker.publish(ACK, &ack(1, &[Safe { run: Run(1), below: 100 }], &[]), true);
    let agent = Agent::plain(dir.path(), broker.port);
    agent.logs("ignored a retained message");
    let (run, _) = subscriber.wait("readings", readings);
    broker.publish(ACK, b"garbage", false);
    broker.publish(
        ACK,
        &ack(1, &[Safe { run: Run(run.0 ^ 1), below: 2 }, Safe { run, below: u64::MAX }], &[]),
        false,
    );
    agent.logs("ignored");
    subscriber.wait("a record with floor 0", |seen| {
        // Our own garbage comes by, too.
        let Message::Data(record) = (seen.channel == Channel::Data).then(|| seen.message())? else {
            return None;
        };
        assert_eq!(record.envelope.floor, 0);
        (record.envelope.seq > 4).then_some(())
    });
}

#[test]
fn the_will_speaks_for_an_agent_that_was_killed() {
    let dir = dir();
    let broker = Broker::open(dir.path());
    let subscriber = Subscriber::start(&broker).ready(&broker);
    let mut agent = Agent::plain(dir.path(), broker.port);
    let online = subscriber.wait("presence", presence);
    agent.kill();
    let will = subscriber.wait("the will", |seen| presence(seen).filter(|presence| !presence.online));
    assert_eq!(will, Presence { online: false, reason: Reason::Will, ..online });
}

#[test]
fn a_clean_stop_says_so_within_five_seconds() {
    let dir = dir();
    let broker = Broker::open(dir.path());
    let subscriber = Subscriber::start(&broker).ready(&broker);
    let mut agent = Agent::plain(dir.path(), broker.port);
    let online = subscriber.wait("presence", presence);
    let asked = Instant::now();
    let status = agent.terminate();
    assert!(status.success(), "{status}");
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    let stop = subscriber.wait("the goodbye", |seen| presence(seen).filter(|presence| !presence.online));
    assert_eq!(stop, Presence { online: false, reason: Reason::Stop, ..online });
}

#[test]
fn an_agent_without_a_broker_stops_as_well() {
    let dir = dir();
    // A port that nobody listens on any more.
    let port =
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
    let mut agent = Agent::plain(dir.path(), port);
    agent.logs("cannot reach 127.0.0.1");
    agent.logs("trying again in");
    assert!(agent.terminate().success());
}

#[test]
fn a_link_that_is_cut_without_a_word_is_found_within_the_keepalive() {
    let dir = dir();
    let broker = Broker::open(dir.path());
    let subscriber = Subscriber::start(&broker).ready(&broker);
    let proxy = Proxy::start(broker.port);
    let agent = Agent::plain(dir.path(), proxy.port);
    let first = subscriber.wait("presence", presence);
    subscriber.wait("readings", readings);
    proxy.cut();
    let cut = Instant::now();
    agent.logs_within(Duration::from_secs(30), "the link is cut");
    // Keepalive, and the time since the last sign of life is measured from within it.
    assert!(cut.elapsed() < Duration::from_secs(8), "{:?}", cut.elapsed());
    proxy.mend();
    let again =
        subscriber.wait("a second connection", |seen| presence(seen).filter(|presence| presence.online));
    assert_eq!(again.run, first.run);
    assert!(again.connection > first.connection);
}

#[test]
fn after_a_broker_restart_the_oldest_goes_alone_and_the_rest_after_an_ack() {
    let dir = dir();
    let mut broker = Broker::open(dir.path());
    let subscriber = Subscriber::start(&broker).ready(&broker);
    let agent = Agent::plain(dir.path(), broker.port);
    let (run, _) = subscriber.wait("readings", |seen| readings(seen).filter(|(_, seq)| *seq >= 4));
    broker.restart();
    agent.logs("trying again until it works");
    let subscriber = Subscriber::start(&broker).ready(&broker);
    agent.logs("connected to the broker");
    let again = |seen: &Seen| match seen.message() {
        Message::Data(record) if record.envelope.sending == Sending::Again => Some(record.envelope.seq),
        Message::Event(record) if record.envelope.sending == Sending::Again => Some(record.envelope.seq),
        _ => None,
    };
    // The subscriber may have come too late for the first; within the keepalive of silence it goes once more.
    assert_eq!(subscriber.wait("the oldest record", again), 0);
    broker.publish(ACK, &ack(1, &[Safe { run, below: 1 }], &[]), false);
    for seq in 1..4 {
        assert_eq!(subscriber.wait("the backlog", again), seq, "oldest first");
    }
}

#[test]
fn a_wrong_password_is_said_once_and_tried_for_ever() {
    let dir = dir();
    let passwords = dir.path().join("passwords");
    let made = std::process::Command::new("mosquitto_passwd")
        .args(["-b", "-c"])
        .arg(&passwords)
        .args(["arena-north", "right"])
        .status();
    assert!(
        made.is_ok_and(|status| status.success()),
        "mosquitto_passwd comes with Debian's package mosquitto"
    );
    let broker =
        Broker::start(dir.path(), &format!("allow_anonymous false\npassword_file {}", passwords.display()));
    let secret = dir.path().join("secret");
    std::fs::write(&secret, "wrong\n").expect("written");
    std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("ours");
    let login = format!("user = \"arena-north\"\npassword = {{ file = \"{}\" }}", secret.display());
    let mut agent = Agent::start(dir.path(), broker.port, "", &login);
    let line = agent.logs("<4>the broker says");
    assert!(line.contains("this user may not connect") && !line.contains("wrong"), "{line}");
    agent.logs("<7>the broker says");
    agent.logs("<7>the broker says");
    assert!(agent.runs());
    drop(agent);
    std::fs::write(&secret, "right\n").expect("written");
    let agent = Agent::start(dir.path(), broker.port, "", &login);
    agent.logs("connected to the broker");
}

#[test]
fn a_hangup_takes_over_a_new_configuration_within_the_same_run() {
    let dir = dir();
    let broker = Broker::open(dir.path());
    let subscriber = Subscriber::start(&broker).ready(&broker);
    let mut agent = Agent::plain(dir.path(), broker.port);
    agent.logs("connected to the broker");
    // A change is seen at the next reading; with an hour to that, the signal alone is left.
    agent.edit("tick = \"1s\"", "tick = \"1h\"");
    agent.logs("changed: tick");
    let (run, held) = subscriber.wait("readings", readings);
    agent.edit("tick = \"1h\"", "tick = \"2s\"");
    agent.edit("[mqtt]", "[spool]\ndisk = \"2 MiB\"\n[mqtt]\nuser = \"somebody\"");
    agent.signal("-HUP");
    let line = agent.logs("configuration read again");
    assert!(line.ends_with("; log level Debug; changed: tick, mqtt, spool"), "{line}");
    let gone = subscriber.wait("the goodbye", |seen| presence(seen).filter(|presence| !presence.online));
    assert_eq!((gone.run, gone.reason), (run, Reason::Stop));
    let back = subscriber.wait("the return", |seen| presence(seen).filter(|presence| presence.online));
    assert_eq!((back.run, back.connection), (run, gone.connection + 1));
    subscriber.wait("a birth that says so", |seen| match seen.message() {
        Message::Birth(birth) if birth.tick_ms == 2000 && birth.spool_bytes == 2 << 20 => {
            assert_eq!((birth.run, birth.floor), (run, 0), "what was in custody still is");
            assert!(birth.next > held);
            Some(())
        }
        _ => None,
    });
    assert!(agent.terminate().success());
}

#[test]
fn a_bad_or_renamed_configuration_changes_nothing_and_says_so() {
    let dir = dir();
    let broker = Broker::open(dir.path());
    let agent = Agent::plain(dir.path(), broker.port);
    agent.logs("connected to the broker");
    agent.edit("[mqtt]", "[mqqt]");
    let line = agent.logs("the configuration stays as it was");
    assert!(line.contains("<3>") && line.contains("agent.toml") && line.contains("mqqt"), "{line}");
    agent.edit("[mqqt]", "[mqtt]");
    agent.logs("configuration read again; log level Debug");
    agent.edit("rack-1", "rack-2");
    agent.logs(
        "<4>configuration read again; log level Debug; site and appliance wait for a restart of the agent",
    );
    // Warnings only from here on: what comes next is neither the change nor the new connection, but the mistake.
    agent.edit("\"debug\"", "\"warn\"");
    agent.logs("<4>configuration read again; log level Warn; site and appliance wait");
    agent.edit("rack-2", "rack-1");
    agent.edit("[mqtt]", "[mqtt]\nprefix = \"other\"");
    agent.signal("-HUP");
    agent.edit("[mqtt]", "[mqqt]");
    let line = agent.logs("<");
    assert!(line.starts_with("<3>"), "{line}");
    agent.edit("[mqqt]", "[mqtt]");
    agent.edit("\"warn\"", "\"debug\"");
    agent.logs("configuration read again; log level Debug");
    agent.edit("[mqtt]", "[mqtt]\nuser = \"u\"\npassword = { env = \"RACKSIDE_NOT_SET\" }");
    agent.logs("the password of user u: environment variable RACKSIDE_NOT_SET: is not set");
    agent.edit("RACKSIDE_NOT_SET", "PATH");
    agent.logs("changed: mqtt");
    agent.logs("connected to the broker as arena-north/rack-1/");
}

#[test]
fn an_agent_within_another_program_stops_when_it_is_told() {
    let dir = dir();
    let broker = Broker::open(dir.path());
    let subscriber = Subscriber::start(&broker).ready(&broker);
    let text = format!(
        "site = \"arena-north\"\nappliance = \"rack-1\"\nprobes.ping = []\n[mqtt]\naddress = \"127.0.0.1:{}\"\n",
        broker.port
    );
    let config = Config::parse(&text, "agent.toml").expect("a good file");
    let (stop, told) = smol::channel::bounded(1);
    let agent = std::thread::spawn(move || {
        smol::block_on(rackside_agent::app::serve(&config, Box::pin(told))).map_err(|error| error.to_string())
    });
    let online = subscriber.wait("presence", presence);
    stop.send_blocking(()).expect("it listens");
    let offline = subscriber.wait("the goodbye", |seen| presence(seen).filter(|presence| !presence.online));
    assert_eq!(offline, Presence { online: false, reason: Reason::Stop, ..online });
    assert_eq!(agent.join().expect("no panic"), Ok(()));
}

mod tls {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    use std::fs;
    use std::path::{Path, PathBuf};

    fn authority(name: &str) -> CertificateParams {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params
    }

    /// A Mosquitto with a certificate for `hub.example`, and the authority's file.
    fn broker(dir: &Path) -> (Broker, PathBuf) {
        let ca = CertifiedIssuer::self_signed(authority("us"), KeyPair::generate().expect("a key"));
        let ca = ca.expect("an authority");
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["hub.example".to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &ca).expect("a certificate");
        let file = dir.join("ca.pem");
        fs::write(&file, ca.pem()).expect("written");
        (present(dir, certificate.pem(), key.serialize_pem()), file)
    }

    /// A Mosquitto that shows this certificate.
    fn present(dir: &Path, certificate: String, key: String) -> Broker {
        let file = |name: &str, text: String| {
            let path = dir.join(name);
            fs::write(&path, text).expect("written");
            // Mosquitto may give up its rights before it reads them.
            fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).expect("ours");
            path
        };
        fs::set_permissions(dir, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("ours");
        let (certificate, key) = (file("broker.pem", certificate), file("broker.key", key));
        let lines =
            format!("allow_anonymous true\ncertfile {}\nkeyfile {}", certificate.display(), key.display());
        Broker::start(dir, &lines)
    }

    fn agent(dir: &Path, broker: &Broker, ca: &Path, name: &str) -> Agent {
        let tls = format!("[mqtt.tls]\nca = \"{}\"\nserver_name = \"{name}\"", ca.display());
        Agent::start(dir, broker.port, "", &tls)
    }

    #[test]
    fn a_configured_authority_and_name_are_believed() {
        let dir = dir();
        let (broker, ca) = broker(dir.path());
        let agent = agent(dir.path(), &broker, &ca, "hub.example");
        agent.logs("connected to the broker");
        let ca = ca.to_str().expect("a path");
        let subscriber = Subscriber::start_with(&broker, &["--cafile", ca, "--insecure"]);
        assert!(subscriber.wait("presence", presence).online);
    }

    #[test]
    fn another_authority_is_not() {
        let (dir, other) = (dir(), dir());
        let (broker, _) = broker(dir.path());
        let key = KeyPair::generate().expect("a key");
        let ca = other.path().join("ca.pem");
        fs::write(&ca, authority("somebody else").self_signed(&key).expect("an authority").pem())
            .expect("written");
        let agent = agent(dir.path(), &broker, &ca, "hub.example");
        let line = agent.logs("<4>");
        let expected = format!(
            "<4>the certificate of hub.example is not signed by an authority in {}, but by \"us\"; check mqtt.tls.ca; \
             trying again until it works",
            ca.display()
        );
        assert_eq!(line, expected);
    }

    #[test]
    fn another_name_is_not() {
        let dir = dir();
        let (broker, ca) = broker(dir.path());
        let agent = agent(dir.path(), &broker, &ca, "other.example");
        let line = agent.logs("<4>");
        assert!(
            line.starts_with("<4>the certificate is not for other.example; check mqtt.tls.server_name"),
            "{line}"
        );
    }

    #[test]
    fn a_port_without_tls_is_recognised() {
        let dir = dir();
        let (_, ca) = broker(dir.path());
        let plain = Broker::open(dir.path());
        let agent = agent(dir.path(), &plain, &ca, "hub.example");
        let line = agent.logs("<4>");
        assert!(line.contains("hub.example") && line.contains("; is it a TLS port?"), "{line}");
    }

    #[test]
    fn a_tls_port_that_is_asked_plainly_is_recognised() {
        let dir = dir();
        let (broker, _) = broker(dir.path());
        let agent = Agent::plain(dir.path(), broker.port);
        let line = agent.logs("<4>");
        let hint = "before the broker answered the MQTT greeting; is it an MQTT port, and plain or TLS as configured?";
        assert!(line.contains(hint), "{line}");
    }

    #[test]
    fn an_authority_is_no_broker() {
        let dir = dir();
        let key = KeyPair::generate().expect("a key");
        let mut params = authority("us");
        params.subject_alt_names.push(rcgen::SanType::DnsName("hub.example".try_into().expect("a name")));
        let certificate = params.self_signed(&key).expect("an authority").pem();
        let broker = present(dir.path(), certificate.clone(), key.serialize_pem());
        let ca = dir.path().join("ca.pem");
        fs::write(&ca, certificate).expect("written");
        let agent = agent(dir.path(), &broker, &ca, "hub.example");
        let line = agent.logs("<4>");
        assert!(line.contains("the certificate of hub.example is an authority's own; sign one"), "{line}");
    }
}
