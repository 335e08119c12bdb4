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

const JSON: &str = "Content-Type: application/json\r\n";

/// A hub that has something to tell of everything: a rack, an alert that fires, a mute, a site with contacts, a show, maintenance of the configuration and by hand, a receiver, a team.
fn lively(rules: &TempDir) -> (Hub, Agent) {
    let file = rules.path().join("own.yml");
    std::fs::write(&file, RULES).expect("the directory can be written");
    let more = format!(
        "[rules]\nfiles = [{:?}]\ninterval = \"1s\"\n[status]\nenabled = true\n\
         [[site]]\nid = \"hall\"\nname = \"The Hall\"\ntime_zone = \"Europe/Berlin\"\npublic = true\n\
         contact = [{{ role = \"technician\", phone = \"+49 30 0\" }}]\n\
         [[site.show]]\nname = \"Rehearsal\"\nstart = \"2026-01-01T10:00\"\nduration = \"1h\"\ndays = [\"mon\", \"thu\"]\n\
         [[maintenance]]\nname = \"Patches\"\nsites = [\"hall\"]\nstart = \"2026-01-01T03:00\"\nduration = \"1h\"\ndays = [\"sun\"]\n\
         [[receiver]]\nname = \"desk\"\nkind = \"webhook\"\nurl = \"http://127.0.0.1:9/\"\n\
         [[team]]\nname = \"crew\"\ntime_zone = \"UTC\"\nfallback = [\"desk\"]\n",
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
    make(&hub, "/api/silences", &mute);
    let work =
        format!("{{\"site\":\"hall\",\"ends_at\":{tomorrow},\"by\":\"desk\",\"comment\":\"a new switch\"}}");
    make(&hub, "/api/maintenance", &work);
    make(&hub, "/api/incidents", r#"{"site":"hall","title":"No picture","text":"We are at it."}"#);
    (hub, agent)
}

fn make(hub: &Hub, path: &str, body: &str) {
    let mut connection = Connection::to(hub.web()).expect("it listens");
    let answer = connection.post(path, JSON, body.as_bytes()).expect("an answer");
    assert_eq!(answer.status, 201, "{path}: {}", answer.body);
}

/// Asks everything; gives how many operations were asked about.
fn asked(hub: &Hub) -> u32 {
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
    let tested = said.lines().find_map(|line| line.trim().strip_prefix("Tested: ")?.parse().ok());
    tested.unwrap_or_else(|| panic!("{said}"))
}

#[test]
fn the_api_is_what_its_description_says() {
    let rules = tempfile::tempdir().expect("a temporary directory");
    let (hub, _agent) = lively(&rules);
    // It was let in, and had something to ask.
    assert!(asked(&hub) >= 48);
}
