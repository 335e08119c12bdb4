//! Joining: from an empty box and a code to telemetry at the hub, by the real programs; and everything that may come in between.

use crate::complete::{RACK, RECOVERY, has_reading};
use rackside_identity::{Authority, Store};
use rackside_proto::AgentName;
use rackside_proto::join::Code;
use rackside_tests::agent::on_disk;
use rackside_tests::hub::{Hub, Way};
use rackside_tests::process::Process;
use rackside_tests::programs::{self, programs};
use rackside_tests::{clock, port};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

pub(crate) const NAME: &str = "arena-north/rack-1";
/// Two thirds of a certificate's life, and a day.
const DUE_SECONDS: u64 = 61 * 86_400;

/// Lines for a hub that boxes join, and where its listener speaks TLS.
pub(crate) fn lines() -> String {
    let tls = port::local(port::free());
    format!(
        "tls = {{ address = \"{tls}\" }}\n[join]\nurl = \"http://127.0.0.1\"\naddresses = [\"mqtts://{tls}\"]\n"
    )
}

pub(crate) fn hub() -> Hub {
    Hub::with(Way::Listener, &programs().hub, &lines())
}

pub(crate) fn url(hub: &Hub) -> String {
    format!("http://{}", hub.web())
}

/// A code as the hub's person gets it.
pub(crate) fn code(hub: &Hub) -> String {
    let mut command = Command::new(&programs().hub);
    command.current_dir(hub.directory()).args(["join", NAME, "--url", &url(hub), "--config", "hub.toml"]);
    let output = command.output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let code = said.lines().map(str::trim).find(|line| line.parse::<Code>().is_ok());
    code.unwrap_or_else(|| panic!("{said}{}", String::from_utf8_lossy(&output.stderr))).to_owned()
}

pub(crate) fn identity(hub: &Hub, verb: &[&str]) -> String {
    let mut command = Command::new(&programs().hub);
    command.current_dir(hub.directory()).arg("identity").args(verb).args(["--config", "hub.toml"]);
    String::from_utf8_lossy(&command.output().expect("it starts").stdout).into_owned()
}

/// A box with nothing on it.
pub(crate) struct Box {
    directory: TempDir,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) program: PathBuf,
}

impl Box {
    /// `join` is what its file says about that.
    pub(crate) fn new(join: &str) -> Self {
        Self::with("", join)
    }

    /// With more keys and more tables in its file.
    pub(crate) fn with(keys: &str, tables: &str) -> Self {
        let directory = on_disk();
        let state = directory.path().join("state");
        let text = format!(
            "tick = \"1s\"\nclock = \"trust\"\nprobes.ping = []\n{keys}[spool]\ndirectory = \"{}\"\n{tables}",
            state.display()
        );
        fs::write(directory.path().join("rackside.toml"), text).expect("written");
        let environment = vec![("RUNTIME_DIRECTORY".to_owned(), directory.path().display().to_string())];
        Self { directory, environment, program: programs().agent.clone() }
    }

    /// What it says of itself while it runs.
    pub(crate) fn status(&self) -> Option<serde_json::Value> {
        let mut command = Command::new(&programs().agent);
        command.current_dir(self.directory.path()).envs(self.environment.iter().cloned());
        let output = command.args(["status", "--json", "--config", "rackside.toml"]).output();
        serde_json::from_slice(&output.expect("it starts").stdout).ok()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(self.directory.path()).envs(self.environment.iter().cloned());
        command.args(words).args(["--config", "rackside.toml"]);
        command
    }

    pub(crate) fn join(&self, url: &str, code: &str) -> Output {
        self.command(&["join", url, code]).output().expect("it starts")
    }

    pub(crate) fn run(&self) -> Process {
        let process = Process::start(&mut self.command(&["run"]), &self.path("log"));
        process.unwrap_or_else(|error| panic!("{error}"))
    }

    /// What is in its state directory about who it is.
    pub(crate) fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("state")).into_iter().flatten().flatten();
        let mut files: Vec<String> =
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        files.retain(|file| file != "spool");
        files.sort();
        files
    }

    pub(crate) fn identity(&self) -> String {
        fs::read_to_string(self.path("state/identity.toml")).unwrap_or_default()
    }
}

pub(crate) fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

pub(crate) fn expect_log(agent: &Process, words: &str) {
    let told = clock::eventually(RECOVERY, || agent.log().contains(words).then_some(()));
    assert!(told.is_some(), "{words:?} is not in\n{}", agent.log());
}

#[test]
fn an_empty_box_joins_and_what_it_reads_arrives() {
    let hub = hub();
    let (empty, code) = (Box::new(""), code(&hub));
    let output = empty.join(&url(&hub), &code);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).starts_with("joined   as arena-north/rack-1, until "), "{}", said(&output));
    assert_eq!(empty.files(), ["identity.toml"]);
    let mode = fs::metadata(empty.path("state/identity.toml")).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let checked = said(&empty.command(&["check"]).output().expect("it starts"));
    assert!(checked.contains("identity arena-north/rack-1, until "), "{checked}");
    let agent = empty.run();
    hub.expect("a reading", RECOVERY, RACK, has_reading);
    expect_log(&agent, "with TLS, by this box's identity");
    assert!(identity(&hub, &["list"]).contains(NAME));
    assert!(!agent.log().contains(&code), "the code is in no log");
    // The same code again on the same box is no mistake.
    let again = empty.join(&url(&hub), &code);
    assert!(again.status.success() && said(&again).starts_with("already joined as"), "{}", said(&again));
}

#[test]
fn a_code_on_the_card_is_enough_and_a_cut_at_any_moment_costs_nothing() {
    let hub = hub();
    let code = code(&hub);
    let card = Box::new(&format!("[join]\nurl = \"{}\"\ncode = \"{code}\"\n", url(&hub)));
    // Wherever it is by then: before the key, between question and answer, while it writes, or through.
    for moment in 0..10 {
        let mut agent = card.run();
        thread::sleep(Duration::from_millis(20 * moment));
        agent.kill();
        let whole = card.identity();
        assert!(whole.is_empty() || whole.contains("[\"mqtts://"), "an identity is whole or not there");
    }
    let agent = card.run();
    hub.expect("a reading", RECOVERY, RACK, has_reading);
    let text = fs::read_to_string(card.path("rackside.toml")).expect("readable");
    assert!(text.contains("code = \"\"") && text.contains("probes.ping = []"), "{text}");
    assert!(!agent.log().contains(&code), "the code is in no log");
    let first = card.identity();
    drop(agent);
    let _agent = card.run();
    hub.expect("live again", RECOVERY, RACK, |said| (said["up"] == true).then_some(()));
    assert_eq!(card.identity(), first, "nothing is joined twice");
}

#[test]
fn one_in_between_with_an_authority_of_his_own_is_refused_and_nothing_is_written() {
    let (hub, between) = (hub(), hub());
    let (code, empty) = (code(&hub), Box::new(""));
    // He has even got hold of the code.
    let parsed: Code = code.parse().expect("a code");
    let name = AgentName::new(RACK.0, RACK.1).expect("good names");
    let mut store = Store::open(&between.data()).expect("his own file");
    store.make_code(&parsed, &name, clock::unix_ms() as i64).expect("made");
    assert_ne!(Authority::open(&between.data()).expect("his own").fingerprint(), parsed.fingerprint);
    let output = empty.join(&url(&between), &code);
    assert_eq!(output.status.code(), Some(1));
    let words = "the hub that answers is not the one that the code is from";
    assert!(said(&output).contains(words), "{}", said(&output));
    assert_eq!(empty.files(), ["joining.pem"], "but the key that is asked with");
    let output = empty.join(&url(&hub), &code);
    assert!(output.status.success(), "and the right hub still takes it: {}", said(&output));
}

/// Takes one question to the hub, hears the answer, and keeps it.
fn thief(hub: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    thread::spawn(move || {
        let (mut box_, _) = listener.accept().expect("a box");
        let mut hub = TcpStream::connect(hub).expect("the hub");
        let (mut to_hub, mut from_box) =
            (hub.try_clone().expect("a handle"), box_.try_clone().expect("a handle"));
        let forward = thread::spawn(move || std::io::copy(&mut from_box, &mut to_hub));
        let mut answer = Vec::new();
        hub.read_to_end(&mut answer).expect("an answer");
        assert!(answer.starts_with(b"HTTP/1.1 200"), "the hub has granted");
        let _ = box_.write_all(b"HTTP/1.1 ");
        let _ = box_.shutdown(std::net::Shutdown::Both);
        let _ = forward.join();
    });
    address
}

#[test]
fn an_answer_that_was_lost_is_given_again_and_a_second_box_gets_none() {
    let hub = hub();
    let (code, first, second) = (code(&hub), Box::new(""), Box::new(""));
    let lost = first.join(&format!("http://{}", thief(hub.web())), &code);
    assert_eq!(
        (lost.status.code(), first.files()),
        (Some(1), vec!["joining.pem".to_owned()]),
        "{}",
        said(&lost)
    );
    let refused = second.join(&url(&hub), &code);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("this code was used already, by another box"), "{}", said(&refused));
    let again = first.join(&url(&hub), &code);
    assert!(again.status.success(), "{}", said(&again));
    assert_eq!(first.files(), ["identity.toml"]);
    let mistyped: String = code.chars().rev().collect();
    let typo = second.join(&url(&hub), &mistyped);
    assert_eq!(typo.status.code(), Some(2));
    assert!(said(&typo).contains("the code is mistyped"), "{}", said(&typo));
}

#[test]
fn a_box_that_was_replaced_or_revoked_is_told_so() {
    let hub = hub();
    let (old, new) = (Box::new(""), Box::new(""));
    assert!(old.join(&url(&hub), &code(&hub)).status.success());
    let old_agent = old.run();
    hub.expect("a reading", RECOVERY, RACK, has_reading);
    assert!(new.join(&url(&hub), &code(&hub)).status.success());
    expect_log(&old_agent, "another box has this one's name and place now, says the hub");
    let new_agent = new.run();
    expect_log(&new_agent, "connected to the broker as arena-north/rack-1/");
    identity(&hub, &["revoke", NAME]);
    expect_log(&new_agent, "it was revoked on the hub");
}

#[test]
fn an_identity_is_renewed_by_itself_when_a_third_of_its_life_is_left() {
    let offset = on_disk();
    let offset_file = offset.path().join("offset");
    fs::write(&offset_file, "+0").expect("written");
    let hub = Hub::by_clock(&offset_file, &programs().hub, &lines());
    let mut lasting = Box::new("");
    assert!(lasting.join(&url(&hub), &code(&hub)).status.success());
    let first = lasting.identity();
    fs::write(&offset_file, format!("+{DUE_SECONDS}")).expect("written");
    lasting.environment.extend(faketime(DUE_SECONDS));
    let agent = lasting.run();
    expect_log(&agent, "the identity of this box was renewed, until ");
    assert_ne!(lasting.identity(), first);
    let key = |text: &str| text.split("'''").nth(1).map(str::to_owned);
    assert_eq!(key(&lasting.identity()), key(&first), "the key stays");
    expect_log(&agent, "connected to the broker as arena-north/rack-1/");
    assert_eq!(lasting.files(), ["identity.toml"]);
}

/// The date alone: the monotonic clock stays as it is.
pub(crate) fn faketime(seconds: u64) -> Vec<(String, String)> {
    let preload: &Path = &programs::faketime();
    [
        ("LD_PRELOAD", preload.display().to_string()),
        ("FAKETIME", format!("+{seconds}s")),
        ("DONT_FAKE_MONOTONIC", "1".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}
