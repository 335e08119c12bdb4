//! What a running agent says when it is asked, and that asking it costs it nothing.

use crate::support::{Agent, Broker, PATIENCE};
use rackside_proto::{Severity, Verdict};
use serde_json::Value;
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// An agent with a directory for its socket, and whoever asks it.
pub(crate) struct Desk {
    runtime: PathBuf,
    pub(crate) agent: Agent,
}

impl Desk {
    pub(crate) fn start(dir: &Path, port: u16, more: &str, mqtt: &str) -> Self {
        let runtime = dir.join("run");
        std::fs::create_dir_all(&runtime).expect("made");
        let file = Agent::configure(dir, port, more, mqtt);
        let agent = Agent::within(&["env", &format!("RUNTIME_DIRECTORY={}", runtime.display())], file);
        let desk = Self { runtime, agent };
        desk.waits("its socket", |desk| desk.socket().exists());
        desk
    }

    fn socket(&self) -> PathBuf {
        self.runtime.join("arena-north.rack-1.sock")
    }

    fn waits(&self, what: &str, mut until: impl FnMut(&Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !until(self) {
            assert!(Instant::now() < end, "not within {PATIENCE:?}: {what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn status(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rackside-agent"));
        command.arg("status").arg("--config").arg(&self.agent.file).args(arguments);
        command.env("RUNTIME_DIRECTORY", &self.runtime).output().expect("it starts")
    }

    /// The answer itself.
    fn asked(&self) -> Value {
        serde_json::from_slice(&self.status(&["--json"]).stdout).expect("JSON")
    }

    pub(crate) fn answers(&self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let mut answer = Value::Null;
        self.waits(what, |desk| {
            answer = desk.asked();
            is_it(&answer)
        });
        answer
    }
}

const FRONT: &str = "clock = \"trust\"\nlimits = { disk = {} }";

fn panel(dir: &Path) -> String {
    let place = dir.join("panel").display().to_string();
    format!(
        "[panel]\nsimulated = \"{place}\"\n[[tally]]\nname = \"camera-1\"\npin = 17\n[[led]]\nname = \"rack\"\npin = 24\n\
         [[led]]\nname = \"on-air\"\npin = 25\ntally = [\"camera-1\"]\n"
    )
}

fn dir() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary directory")
}

#[test]
fn a_running_agent_says_how_it_is_and_why_the_led_is_so() {
    let dir = dir();
    let broker = Broker::open(dir.path());
    let probe = "[[probe.tcp]]\nname = \"encoder\"\ntarget = \"127.0.0.1:9\"\n";
    let mut desk = Desk::start(dir.path(), broker.port, FRONT, &format!("{}{probe}", panel(dir.path())));
    let answer = desk.answers("a connection", |answer| answer["link"]["state"] == "connected");
    assert_eq!(answer["agent"], "arena-north/rack-1");
    assert_eq!(answer["link"]["broker"], format!("127.0.0.1:{}", broker.port));
    assert_eq!(answer["configuration"], desk.agent.file.display().to_string());
    assert!(answer["resident_bytes"].as_f64().is_some_and(|bytes| bytes > 100_000.0), "{answer}");
    let answer = desk.answers("records that wait", |answer| answer["backlog"]["records"].as_u64() > Some(2));
    assert!(answer["backlog"]["oldest_seconds"].is_u64() && answer["backlog"]["durable"] == true, "{answer}");
    let lamp = |answer: &Value| answer["panel"]["leds"][1]["shows"].clone();
    desk.answers("a tally that is off", |answer| answer["panel"]["tallies"][0]["on"] == false);
    std::fs::write(dir.path().join("panel/17"), "0").expect("written");
    let answer = desk.answers("a tally that is on", |answer| answer["panel"]["tallies"][0]["on"] == true);
    assert_eq!(lamp(&answer), "lit");
    let answer = desk.answers("a probe's outcome", |answer| answer["probes"][0]["state"] == "down");
    assert_eq!(
        (&answer["probes"][0]["name"], &answer["probes"][0]["type"]),
        (&"encoder".into(), &"tcp".into())
    );
    let mut body = Vec::new();
    Verdict { severity: Severity::Critical, firing: 2, valid_s: 60 }.encode(&mut body).expect("room");
    broker.publish("rackside/1/arena-north/rack-1/verdict", &body, false);
    let answer = desk.answers("the verdict", |answer| answer["panel"]["leds"][0]["shows"] == "critical");
    assert_eq!(answer["panel"]["leds"][0]["why"], "the hub says so, 2 alerts are firing");
    let shown = desk.status(&[]);
    let text = String::from_utf8_lossy(&shown.stdout);
    assert_eq!(shown.status.code(), Some(3), "it runs, and not all is well: {text}");
    assert!(text.contains("LED      rack: critical: the hub says so, 2 alerts are firing\n"), "{text}");
    drop(broker);
    let answer = desk.answers("the loss", |answer| answer["link"]["state"] == "waiting");
    assert!(answer["link"]["why"].is_string() && answer["link"]["next_try_seconds"].is_u64(), "{answer}");
    assert!(desk.agent.terminate().success());
    let gone = desk.status(&[]);
    let error = String::from_utf8_lossy(&gone.stderr).into_owned();
    assert_eq!(gone.status.code(), Some(1), "{error}");
    assert!(error.contains("the agent arena-north/rack-1 does not run here: nobody listens at "), "{error}");
}

#[test]
fn who_asks_and_does_not_listen_delays_nothing() {
    let dir = dir();
    let panel = panel(dir.path());
    let desk = Desk::start(dir.path(), 9, FRONT, &panel);
    // More than are served at once; none of them reads.
    let mute: Vec<UnixStream> =
        (0..20).map(|_| UnixStream::connect(desk.socket()).expect("it listens")).collect();
    let began = Instant::now();
    assert_eq!(desk.asked()["agent"], "arena-north/rack-1");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    std::fs::write(dir.path().join("panel/17"), "0").expect("written");
    desk.answers("the tally", |answer| answer["panel"]["tallies"][0]["on"] == true);
    for mut stream in mute {
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("each has its answer, and the end");
        assert!(text.ends_with("}\n"), "{text}");
    }
}

#[test]
fn an_agent_that_hangs_is_said_to_hang_and_a_dead_ones_socket_is_taken_over() {
    let dir = dir();
    let mut desk = Desk::start(dir.path(), 9, FRONT, "");
    desk.agent.signal("-STOP");
    let hung = desk.status(&[]);
    let error = String::from_utf8_lossy(&hung.stderr).into_owned();
    assert_eq!(hung.status.code(), Some(1), "{error}");
    assert!(error.contains("the agent is there, and does not answer: it hangs"), "{error}");
    desk.agent.kill();
    assert!(desk.socket().exists());
    let file = desk.agent.file.clone();
    desk.agent = Agent::within(&["env", &format!("RUNTIME_DIRECTORY={}", desk.runtime.display())], file);
    desk.waits("the next agent's answer", |desk| desk.status(&["--json"]).status.code() != Some(1));
    let other = Agent::within(
        &["env", &format!("RUNTIME_DIRECTORY={}", desk.runtime.display())],
        desk.agent.file.clone(),
    );
    other.logs("`status` cannot ask this agent: ");
    assert_eq!(desk.asked()["agent"], "arena-north/rack-1", "the first one keeps its socket");
}

#[test]
fn once_reads_the_contacts_alone_and_asks_a_running_agent_for_them() {
    let dir = dir();
    let once = |file: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rackside-agent"));
        command.args(["once", "--json", "--config"]).arg(file);
        let output = command.env("RUNTIME_DIRECTORY", dir.path().join("run")).output().expect("it starts");
        let said: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let series = said["series"].as_array().expect("a list").clone();
        series.into_iter().find(|one| one["name"] == "rackside_tally_active").expect("the tally")
    };
    let file = Agent::configure(dir.path(), 9, FRONT, &panel(dir.path()));
    let pins = dir.path().join("panel");
    std::fs::create_dir(&pins).expect("made");
    // Somebody else's light, at the pin of the LED.
    std::fs::write(pins.join("24"), "1").expect("written");
    for (level, value) in [("0", 1), ("1", 0)] {
        std::fs::write(pins.join("17"), level).expect("written");
        let tally = once(&file);
        assert_eq!((&tally["labels"]["tally"], &tally["value"]), (&"camera-1".into(), &value.into()));
    }
    assert_eq!(
        std::fs::read_to_string(pins.join("24")).expect("it is there"),
        "1",
        "an output is not touched"
    );
    std::fs::write(pins.join("17"), "0").expect("written");
    let desk = Desk::start(dir.path(), 9, FRONT, &panel(dir.path()));
    desk.answers("the tally", |answer| answer["panel"]["tallies"][0]["on"] == true);
    assert_eq!(once(&file)["value"], 1, "the agent holds the pin, and tells");
}
