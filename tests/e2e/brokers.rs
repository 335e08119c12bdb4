//! A real Mosquitto with the files that the hub writes: appliances come by their certificates, two sites try everything against each other,
//! readers read their part, and a certificate that has ended opens nothing more.

use crate::complete::{RECOVERY, has_reading};
use crate::join::{Box, expect_log, said};
use rackside_proto::join::Code;
use rackside_tests::hub::{Hub, Way};
use rackside_tests::mosquitto::{Mosquitto, MosquittoSub, Seen};
use rackside_tests::process::Process;
use rackside_tests::programs::{self, programs};
use rackside_tests::websocket::Bridge;
use rackside_tests::{clock, port};
use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

const NORTH: &str = "arena-north/rack-1";
const SOUTH: &str = "arena-south/rack-1";
/// Long enough for a few ticks of a second each to pass through, or not.
const A_WHILE: Duration = Duration::from_secs(4);
const FORGED: &str = "forged";

/// A hub, the broker that it goes through, and the files that it writes for it.
struct Venue {
    hub: Hub,
    broker: Mosquitto,
    /// Where appliances come in.
    tls: SocketAddr,
    place: TempDir,
}

impl Venue {
    fn new() -> Self {
        let place = tempfile::tempdir().expect("a temporary directory");
        let (plain, tls) = (port::local(port::free()), port::local(port::free()));
        fs::create_dir(place.path().join("files")).expect("made");
        let secret = |name: &str| {
            let path = place.path().join(name);
            fs::write(&path, name).expect("written");
            fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("our own");
            format!("{{ file = \"{}\" }}", path.display())
        };
        let reader = |user: &str, read: &str| {
            format!(
                "[[mqtt.files.reader]]\nuser = \"{user}\"\npassword = {}\nread = [\"{read}\"]\n",
                secret(user)
            )
        };
        let more = format!(
            "user = \"rackside-hub\"\npassword = {}\nmirror = true\n[mqtt.files]\ndirectory = \"{}\"\n\
             names = [\"localhost\", \"127.0.0.1\"]\n{}{}[join]\nurl = \"http://127.0.0.1\"\naddresses = [\"mqtts://{tls}\"]\n",
            secret("rackside-hub"),
            place.path().join("files").display(),
            reader("all", "#"),
            reader("desk", "rackside/json/arena-north/#"),
        );
        let hub = Hub::with(Way::Broker(plain), &programs().hub, &more);
        let conf = place.path().join("files/rackside.conf");
        let conf = clock::eventually(RECOVERY, || {
            place
                .path()
                .join("files/changed")
                .exists()
                .then(|| fs::read_to_string(&conf).expect("before that"))
        });
        let conf = conf.unwrap_or_else(|| panic!("no files\n{}", hub.last_words()));
        // Ports of this test's own; all else is as the hub has written it.
        let conf = conf.replace("listener 8883", &format!("listener {} 127.0.0.1", tls.port()));
        let conf = conf.replace("listener 1883 ", &format!("listener {} ", plain.port()));
        let broker = Mosquitto::of(&conf, plain);
        Self { hub, broker, tls, place }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.place.path().join("files").join(name)
    }

    /// A box that has joined.
    fn rack(&self, name: &'static str) -> Rack {
        Rack::of(&self.hub, name)
    }

    /// Somebody who comes with a password.
    fn reader(&self, user: &str, filters: &[&str]) -> MosquittoSub {
        MosquittoSub::start_with(self.broker.address(), filters, &["-u", user, "-P", user])
    }

    /// The moment of the last change of the files.
    fn changed(&self) -> String {
        fs::read_to_string(self.file("changed")).unwrap_or_default()
    }

    /// Waits until the files are others than at that moment, and reloads the broker.
    fn reload_after(&self, before: &str) {
        let told = clock::eventually(RECOVERY, || (self.changed() != before).then_some(()));
        assert!(told.is_some(), "the files stay as they were\n{}", self.hub.last_words());
        self.broker.reload();
    }
}

/// Whether a message is taken, which says nothing of where it goes.
fn publish(words: &[&str], topic: &str, payload: &str) -> bool {
    let mut command = Command::new(programs::installed("mosquitto_pub"));
    command.args(["-h", "127.0.0.1", "-q", "1", "-t", topic, "-m", payload]).args(words);
    command.output().expect("it starts").status.success()
}

/// A box that has joined, and what whoever has got hold of its card can do.
struct Rack {
    name: &'static str,
    rack: Box,
}

impl Rack {
    /// One that has joined this hub.
    fn of(hub: &Hub, name: &'static str) -> Self {
        let url = format!("http://{}", hub.web());
        let told = hub.command(&["join", name, "--url", &url], "");
        let code = told.lines().map(str::trim).find(|line| line.parse::<Code>().is_ok()).expect("a code");
        let rack = Box::new("");
        let output = rack.join(&url, code);
        assert!(output.status.success(), "{}", said(&output));
        let identity = rack.identity();
        for field in ["key", "certificate", "authority"] {
            let text =
                identity.split(&format!("{field} = '''")).nth(1).and_then(|rest| rest.split("'''").next());
            fs::write(rack.path(field), text.unwrap_or_else(|| panic!("no {field}"))).expect("written");
        }
        Self { name, rack }
    }

    fn topic(&self, channel: &str) -> String {
        format!("rackside/1/{}/{channel}", self.name)
    }

    fn path(&self, field: &str) -> String {
        self.rack.path(field).display().to_string()
    }

    /// Words by which mosquitto's clients come with its certificate.
    fn words(&self, venue: &Venue) -> Vec<String> {
        let (port, [ca, cert, key]) =
            (venue.tls.port().to_string(), ["authority", "certificate", "key"].map(|field| self.path(field)));
        ["-p", &port, "--cafile", &ca, "--cert", &cert, "--key", &key].map(str::to_owned).to_vec()
    }

    fn publish(&self, venue: &Venue, words: &[&str], topic: &str, payload: &str) -> bool {
        let own = self.words(venue);
        let all: Vec<&str> = own.iter().map(String::as_str).chain(words.iter().copied()).collect();
        publish(&all, topic, payload)
    }

    fn subscribe(&self, venue: &Venue, filters: &[&str], words: &[&str]) -> MosquittoSub {
        let own = self.words(venue);
        let all: Vec<&str> = own.iter().map(String::as_str).chain(words.iter().copied()).collect();
        MosquittoSub::start_with(venue.tls, filters, &all)
    }

    fn run(&self, venue: &Venue) -> Process {
        let agent = self.rack.run();
        expect_log(&agent, "with TLS, by this box's identity");
        let (site, appliance) = self.name.split_once('/').expect("site/appliance");
        venue.hub.expect("live by mutual TLS", RECOVERY, (site, appliance), |said| {
            (said["up"] == true).then(|| has_reading(said)).flatten()
        });
        agent
    }
}

/// How often somebody has taken this one's connection.
fn taken(venue: &Venue, rack: &Rack) -> usize {
    venue.broker.log().matches(&format!("Client {} already connected", rack.name)).count()
}

/// What an appliance has said of what was heard; or somebody in its name.
fn by<'a>(seen: &'a [Seen], rack: &Rack) -> Vec<&'a Seen> {
    let topics = ["presence", "birth", "data", "event", "reply"].map(|channel| rack.topic(channel));
    seen.iter().filter(|one| topics.contains(&one.topic)).collect()
}

#[test]
fn each_of_two_sites_fails_at_everything_against_the_other_on_mosquitto() {
    let venue = Venue::new();
    let racks = [venue.rack(NORTH), venue.rack(SOUTH)];
    tries_everything(&venue, &racks[0], &racks[1]);
    tries_everything(&venue, &racks[1], &racks[0]);
    nobody_comes_without_a_certificate(&venue, &racks[0]);
}

fn tries_everything(venue: &Venue, own: &Rack, other: &Rack) {
    let victim = other.run(venue);
    let before = taken(venue, other);
    let witness = venue.reader("all", &["#"]);
    // Mosquitto says yes to every filter, and passes on what may be read.
    let filters = [
        "#",
        "rackside/#",
        "+/1/+/+/#",
        "rackside/1/+/+/ack",
        "rackside/json/#",
        "$SYS/#",
        &other.topic("ack"),
    ];
    let spy = own.subscribe(venue, &filters, &["-i", &format!("{}/0a1b2c3d", other.name)]);
    let ack = other.topic("ack");
    let acks = || witness.seen().iter().filter(|one| one.topic == ack).count();
    let acked = acks();
    let told = clock::eventually(RECOVERY, || (acks() > acked + 1).then_some(()));
    assert!(told.is_some(), "the victim is acknowledged meanwhile");
    let own_stem = own.topic("");
    let strange: Vec<_> = spy.seen().into_iter().filter(|one| !one.topic.starts_with(&own_stem)).collect();
    assert_eq!(strange, [], "{} hears nothing of it", own.name);
    drop(spy);
    for channel in
        ["presence", "birth", "data", "event", "still", "reply", "ack", "verdict", "command", "config"]
    {
        for retain in [&[][..], &["-r"]] {
            assert!(
                own.publish(venue, retain, &other.topic(channel), FORGED),
                "it is acknowledged, and dropped"
            );
        }
    }
    let json = format!("rackside/json/{}/latest", other.name);
    for topic in
        [&own.topic("ack"), &own.topic("config"), &own.topic("nonsense"), &json, "rackside", "home/lamp"]
    {
        assert!(own.publish(venue, &["-r"], topic, FORGED));
    }
    for topic in [other.topic("presence"), other.topic("ack"), own.topic("ack")] {
        let will = ["--will-topic", &topic, "--will-payload", FORGED, "--will-qos", "1", "--will-retain"];
        // Killed, so that the broker publishes its will.
        drop(own.subscribe(venue, &["nothing"], &will));
    }
    let will = ["--will-topic", &own.topic("event"), "--will-payload", "its own", "--will-qos", "1"];
    drop(own.subscribe(venue, &["nothing"], &will));
    let own_event = own.topic("event");
    let heard =
        witness.wait(RECOVERY, |one| (one.topic == own_event && one.payload == b"its own").then_some(()));
    assert!(heard.is_some(), "a will of its own comes through, so those before it have had their time");
    let forged = |seen: Vec<Seen>| -> Vec<String> {
        let forged = seen.into_iter().filter(|one| one.payload == FORGED.as_bytes());
        forged.map(|one| one.topic).collect()
    };
    assert_eq!(forged(witness.seen()), [""; 0]);
    drop(witness);
    let later = venue.reader("all", &["#"]);
    assert!(later.wait(RECOVERY, |one| one.retained.then_some(())).is_some());
    assert_eq!(forged(later.seen()), [""; 0], "nothing of it is kept");
    assert_eq!(taken(venue, other), before, "nobody has its connection\n{}", venue.broker.log());
    drop(victim);
}

fn nobody_comes_without_a_certificate(venue: &Venue, rack: &Rack) {
    let (tls, plain) = (venue.tls.port().to_string(), venue.broker.address().port().to_string());
    let ca = rack.path("authority");
    let [cert, key] = ["broker.pem", "broker.key"].map(|file| venue.file(file).display().to_string());
    let topic = rack.topic("event");
    for words in [
        &["-p", &tls, "--cafile", &ca][..],
        &["-p", &tls, "--cafile", &ca, "-u", "all", "-P", "all"],
        &["-p", &tls, "--cafile", &ca, "--cert", &cert, "--key", &key],
        &["-p", &plain],
        &["-p", &plain, "-u", rack.name, "-P", "x"],
        &["-p", &plain, "-u", "all", "-P", "wrong"],
    ] {
        assert!(!publish(words, &topic, FORGED), "{words:?}");
    }
    // The same words with what is right, so that it was not for another reason that they failed.
    assert!(publish(&["-p", &plain, "-u", "all", "-P", "all"], &topic, FORGED));
    assert!(rack.publish(venue, &[], &topic, "its own"));
}

/// What somebody says who has got hold of a box's card, through the pages' port. Whether it was taken.
fn say(bridge: &Bridge, rack: &Rack, words: &[&str], topic: &str) -> bool {
    let (port, [ca, cert, key]) =
        (bridge.at().port().to_string(), ["authority", "certificate", "key"].map(|field| rack.path(field)));
    let own = ["-p", &port, "--cafile", &ca, "--cert", &cert, "--key", &key];
    publish(&[&own[..], words].concat(), topic, FORGED)
}

#[test]
fn each_of_two_sites_fails_at_everything_against_the_other_through_the_pages_port() {
    let tls = port::local(port::free());
    let lines = format!("tls = {{ address = \"{tls}\" }}\n[join]\nurl = \"http://127.0.0.1\"\n");
    let hub = Hub::with(Way::Listener, &programs().hub, &lines);
    let bridge = Bridge::to(hub.web());
    let racks = [NORTH, SOUTH].map(|name| Rack::of(&hub, name));
    let witness = MosquittoSub::start(hub.mqtt(), &["#"]);
    let refused = |reason: &str| {
        let name = format!("rackside_hub_listener_refused_total{{reason=\"{reason}\"}} ");
        let page = hub.body("/metrics");
        page.lines().find_map(|line| line.strip_prefix(&name)?.parse::<u64>().ok()).unwrap_or_default()
    };
    let [mut forbidden, mut ids, mut wills, mut filters] = [0; 4];
    for (own, other) in [(&racks[0], &racks[1]), (&racks[1], &racks[0])] {
        let id = format!("{}/0a1b2c3d", own.name);
        assert!(say(&bridge, own, &["-i", &id], &own.topic("event")), "its own goes through: {}", hub.log());
        for channel in
            ["presence", "birth", "data", "event", "still", "reply", "ack", "verdict", "command", "config"]
        {
            for retain in [&[][..], &["-r"]] {
                let words = [&["-i", &*id], retain].concat();
                assert!(say(&bridge, own, &words, &other.topic(channel)), "it is acknowledged, and dropped");
                forbidden += 1;
            }
        }
        for topic in [&own.topic("ack"), &own.topic("config"), "rackside", "home/lamp"] {
            assert!(say(&bridge, own, &["-i", &id, "-r"], topic));
            forbidden += 1;
        }
        for taken in [format!("{}/0a1b2c3d", other.name), "watcher".to_owned()] {
            assert!(!say(&bridge, own, &["-i", &taken], &own.topic("event")), "{taken}");
            ids += 1;
        }
        for topic in [other.topic("presence"), other.topic("ack"), own.topic("ack")] {
            let will = ["-i", &id, "--will-topic", &topic, "--will-payload", FORGED, "--will-retain"];
            assert!(!say(&bridge, own, &will, &own.topic("event")), "{topic}");
            wills += 1;
        }
        for filter in ["#", "rackside/#", "+/1/+/+/#", "rackside/1/+/+/ack", &other.topic("ack")] {
            assert!(!hears(&bridge, own, &id, filter), "{filter}");
            filters += 1;
        }
        assert!(hears(&bridge, own, &id, &own.topic("ack")), "its own");
    }
    let counted = ["forbidden", "client_id", "not_authorized", "forbidden_subscription"].map(refused);
    assert_eq!(counted, [forbidden, ids, wills, filters], "{}", hub.last_words());
    let own = [NORTH, SOUTH].map(|name| format!("rackside/1/{name}/event"));
    let heard = witness.seen();
    assert!(heard.iter().filter(|one| one.payload == FORGED.as_bytes()).all(|one| own.contains(&one.topic)));
    assert_eq!(
        heard.iter().filter(|one| one.payload == FORGED.as_bytes()).count(),
        2,
        "once by each, of its own"
    );
    let kept = MosquittoSub::start(hub.mqtt(), &["rackside/1/#"]);
    thread::sleep(Duration::from_secs(1));
    assert!(kept.seen().iter().all(|one| !one.retained), "nothing is kept");
    // Without a certificate, or with somebody else's authority, nobody comes in there.
    let (port, ca) = (bridge.at().port().to_string(), racks[0].path("authority"));
    assert!(!publish(&["-p", &port, "--cafile", &ca, "-u", "x", "-P", "y"], "home/lamp", FORGED));
}

/// Whether a box may subscribe to this: mosquitto's client gives up where all of its filters are refused.
fn hears(bridge: &Bridge, rack: &Rack, id: &str, filter: &str) -> bool {
    let (port, [ca, cert, key]) =
        (bridge.at().port().to_string(), ["authority", "certificate", "key"].map(|field| rack.path(field)));
    let mut command = Command::new(programs::installed("mosquitto_sub"));
    command.args(["-h", "127.0.0.1", "-p", &port, "--cafile", &ca, "--cert", &cert, "--key", &key]);
    command.args(["-i", id, "-E", "-W", "20", "-t", filter]);
    let output = command.output().expect("it starts");
    output.status.success() && !said(&output).contains("denied")
}

#[test]
fn a_reader_of_mosquitto_hears_its_part_and_says_nothing() {
    let venue = Venue::new();
    let [north, south] = [venue.rack(NORTH), venue.rack(SOUTH)];
    let _agents = [north.run(&venue), south.run(&venue)];
    let all = venue.reader("all", &["#"]);
    let desk = venue.reader("desk", &["#", "rackside/json/arena-south/#"]);
    for stem in ["rackside/json/arena-south/", "rackside/1/arena-north/", "rackside/json/arena-north/"] {
        let heard = all.wait(RECOVERY, |one| (!one.retained && one.topic.starts_with(stem)).then_some(()));
        assert!(heard.is_some(), "{stem}");
    }
    let heard = desk.wait(RECOVERY, |one| (!one.retained).then_some(()));
    assert!(heard.is_some(), "its part comes");
    let strange: Vec<_> =
        desk.seen().into_iter().filter(|one| !one.topic.starts_with("rackside/json/arena-north/")).collect();
    assert_eq!(strange, []);
    drop(desk);
    let plain = venue.broker.address().port().to_string();
    for topic in [&north.topic("ack"), "rackside/json/arena-north/rack-1/latest", "home/lamp"] {
        assert!(publish(&["-p", &plain, "-u", "desk", "-P", "desk", "-r"], topic, FORGED));
    }
    assert!(north.publish(&venue, &[], &north.topic("event"), "the last"));
    assert!(all.wait(RECOVERY, |one| (one.payload == b"the last").then_some(())).is_some());
    assert!(all.seen().iter().all(|one| one.payload != FORGED.as_bytes()));
}

#[test]
fn what_has_ended_opens_nothing_once_mosquitto_is_reloaded() {
    let venue = Venue::new();
    let [north, south] = [venue.rack(NORTH), venue.rack(SOUTH)];
    let (north_agent, mut south_agent) = (north.run(&venue), south.run(&venue));
    let witness = venue.reader("all", &["#"]);
    let before = venue.changed();
    venue.hub.command(&["identity", "revoke", SOUTH], "");
    venue.reload_after(&before);
    // Its connection stays open, and says nothing more; what was under way has passed.
    thread::sleep(Duration::from_secs(1));
    let (before, north_before) = (by(&witness.seen(), &south).len(), by(&witness.seen(), &north).len());
    thread::sleep(A_WHILE);
    assert_eq!(by(&witness.seen(), &south).len(), before, "{}", venue.broker.log());
    assert!(by(&witness.seen(), &north).len() > north_before, "others go on");
    assert_eq!(taken(&venue, &north), 0, "and stay connected");
    assert!(!south.publish(&venue, &[], &south.topic("data"), "x"), "nor does it come in anew");
    assert!(north_still_comes(&venue, &north));
    south_agent.kill();
    drop(south_agent);
    let south_agent = south.rack.run();
    expect_log(&south_agent, "says that this box's certificate was revoked");
    expect_log(&south_agent, "it was revoked on the hub");

    // Another box takes the place of the first one, and is heard before anything is reloaded; that one goes on meanwhile.
    let before = venue.changed();
    let next = venue.rack(NORTH);
    let next_agent = next.run(&venue);
    let page = || venue.hub.body(&format!("/sites/{NORTH}"));
    let told =
        clock::eventually(RECOVERY, || page().contains("replaced: the old box is still").then_some(()));
    assert!(told.is_some() && !page().contains("machines use this name"), "{}", page());
    drop(north_agent);
    venue.reload_after(&before);
    assert!(!north.publish(&venue, &[], &north.topic("data"), "x"), "the old one does not come in any more");
    let old_agent = north.rack.run();
    expect_log(&old_agent, "another box has this one's name and place now");
    drop((old_agent, next_agent, witness));
    retired(&venue, &next);
}

fn north_still_comes(venue: &Venue, north: &Rack) -> bool {
    // With the same client id as its agent's, whose place it takes for a moment: so this comes after the agent's connections are counted.
    north.publish(venue, &[], &north.topic("event"), "x")
}

fn retired(venue: &Venue, rack: &Rack) {
    let kept = |sub: &MosquittoSub| by(&sub.seen(), rack).iter().filter(|one| one.retained).count();
    let before = venue.reader("all", &["#"]);
    assert!(
        before
            .wait(RECOVERY, |one| (one.retained && one.topic == rack.topic("birth")).then_some(()))
            .is_some()
    );
    drop(before);
    let before = venue.changed();
    venue.hub.command(&["identity", "retire", rack.name], "");
    venue.reload_after(&before);
    let cleared = clock::eventually(RECOVERY, || {
        let after = venue.reader("all", &["#"]);
        // What is kept comes at once.
        thread::sleep(Duration::from_secs(1));
        (kept(&after) == 0).then_some(())
    });
    assert!(cleared.is_some(), "nothing is kept of it");
    assert!(!rack.publish(venue, &[], &rack.topic("data"), "x"));
}

#[test]
fn the_command_writes_the_same_and_says_what_comes_next() {
    let venue = Venue::new();
    let rack = venue.rack(NORTH);
    venue.hub.command(&["identity", "revoke", rack.name], "");
    let to = venue.place.path().join("elsewhere");
    fs::create_dir(&to).expect("made");
    let told =
        venue.hub.command(&["broker-files", &to.display().to_string(), "--name", "broker.example.org"], "");
    assert!(told.contains("certificates that have ended: 1") && told.contains("include_dir"), "{told}");
    let text = |directory: &Path, file: &str| fs::read_to_string(directory.join(file)).expect("written");
    let same = clock::eventually(RECOVERY, || {
        (text(&to, "acl") == fs::read_to_string(venue.file("acl")).ok()?).then_some(())
    });
    assert!(same.is_some(), "the running hub has written the same");
    // OpenSSL reads the list as Mosquitto does, and believes it.
    let mut command = Command::new(programs::installed("openssl"));
    command
        .args(["crl", "-noout", "-text", "-in"])
        .arg(to.join("revoked.pem"))
        .arg("-CAfile")
        .arg(to.join("authority.pem"));
    let output = command.output().expect("it starts");
    assert!(
        said(&output).contains("verify OK") && said(&output).contains("Serial Number:"),
        "{}",
        said(&output)
    );
    let again =
        venue.hub.command(&["broker-files", &to.display().to_string(), "--name", "broker.example.org"], "");
    assert!(again.contains("everything is there as it should be"), "{again}");
    told_when_they_cannot_be_written(&venue);
}

fn told_when_they_cannot_be_written(venue: &Venue) {
    let expect = |line: &str| {
        let told = clock::eventually(RECOVERY, || venue.hub.body("/metrics").contains(line).then_some(()));
        assert!(told.is_some(), "{line}\n{}", venue.hub.last_words());
    };
    expect("\nrackside_hub_broker_files_up 1\n");
    let (there, away) = (venue.place.path().join("files"), venue.place.path().join("away"));
    fs::rename(&there, &away).expect("moved");
    venue.rack(SOUTH);
    expect("\nrackside_hub_broker_files_up 0\n");
    fs::rename(&away, &there).expect("moved back");
    expect("\nrackside_hub_broker_files_up 1\n");
}
