//! Schemathesis asks a running hub everything that its description below `/api/` promises: what the description allows, what it does not, and one thing
//! after the other. What is answered has to be what the description says, by code, type, headers and schema; and no answer may be the hub's fault.

use crate::complete::{RACK, RECOVERY, has_reading};
use rackside_tests::agent::{Agent, AgentOptions};
use rackside_tests::http::Connection;
use rackside_tests::hub::{Hub, Way};
use rackside_tests::python::from_python;
use rackside_tests::{clock, programs};
use std::process::Command;
use tempfile::TempDir;

/// An alert that fires as soon as an appliance is heard.
const RULES: &str = "groups:\n- name: own\n  rules:\n  - alert: Up\n    expr: rackside_appliance_up == 1\n";
/// Questions of each kind about each endpoint, beside those that every schema asks for by itself.
const QUESTIONS: &str = "8";
const CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/e2e/schemathesis.toml");

/// A hub that has something to tell of everything: a rack, an alert that fires, a mute, a site with contacts, a receiver.
fn lively(rules: &TempDir) -> (Hub, Agent) {
    let file = rules.path().join("own.yml");
    std::fs::write(&file, RULES).expect("the directory can be written");
    let more = format!(
        "[rules]\nfiles = [{:?}]\ninterval = \"1s\"\n[[site]]\nid = \"hall\"\nname = \"The Hall\"\n\
         contact = [{{ role = \"technician\", phone = \"+49 30 0\" }}]\n\
         [[receiver]]\nname = \"desk\"\nkind = \"webhook\"\nurl = \"http://127.0.0.1:9/\"\n",
        file.display().to_string()
    );
    let hub = Hub::with(Way::Listener, &programs::programs().hub, &more);
    let agent = Agent::start(&AgentOptions::new(RACK.0, RACK.1, hub.mqtt()));
    hub.expect("a reading", RECOVERY, RACK, has_reading);
    let fires =
        clock::eventually(RECOVERY, || hub.body("/api/alerts?state=firing").contains("\"Up\"").then_some(()));
    assert!(fires.is_some(), "no alert\n{}", hub.last_words());
    let tomorrow = clock::unix_ms() + 86_400_000;
    let mute = format!(
        "{{\"matchers\":[\"site=\\\"hall\\\"\"],\"ends_at\":{tomorrow},\"by\":\"desk\",\"comment\":\"a day off\"}}"
    );
    let mut connection = Connection::to(hub.web()).expect("it listens");
    let made = connection.post("/api/silences", "Content-Type: application/json\r\n", mute.as_bytes());
    let made = made.expect("an answer");
    assert_eq!(made.status, 201, "{}", made.body);
    (hub, agent)
}

#[test]
fn the_api_is_what_its_description_says() {
    let rules = tempfile::tempdir().expect("a temporary directory");
    let (hub, _agent) = lively(&rules);
    let output = Command::new(&from_python().schemathesis)
        .current_dir(hub.directory())
        .args(["--config-file", CONFIG, "run", &format!("http://{}/api/openapi.json", hub.web())])
        .args(["--checks", "all", "--max-examples", QUESTIONS, "--generation-deterministic", "--no-shrink"])
        .args(["--workers", "1", "--request-timeout", "60", "--no-color"])
        .output()
        .expect("Schemathesis starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}{}\n{}",
        String::from_utf8_lossy(&output.stderr),
        hub.last_words()
    );
    // It was let in, and had something to ask.
    let tested = said.lines().find_map(|line| line.trim().strip_prefix("Tested: ")?.parse::<u32>().ok());
    assert!(tested.is_some_and(|tested| tested >= 35), "{said}");
}
