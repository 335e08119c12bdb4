//! Starting and stopping: SIGTERM within 5 seconds, and one clear line when something is in the way.

use crate::complete::{RACK, RECOVERY, has_reading};
use rackside_tests::agent::{Agent, AgentOptions};
use rackside_tests::hub::Hub;
use rackside_tests::proxy::Proxy;
use rackside_tests::{port, programs};
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};

/// Runs a program that is expected to end by itself.
fn output(program: &Path, arguments: &[&str], file: Option<(&str, &str)>) -> Output {
    let directory = tempfile::tempdir().expect("a temporary directory");
    if let Some((name, text)) = file {
        std::fs::write(directory.path().join(name), text).expect("the directory can be written");
    }
    let mut command = Command::new("timeout");
    command.arg("10").arg(program).args(arguments).current_dir(directory.path());
    command.output().expect("it starts")
}

/// Exit code not 0, and exactly one line beside the log of what went well.
fn the_one_line(output: &Output) -> String {
    assert!(!output.status.success() && output.status.code() != Some(124), "{output:?}");
    let said =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    let lines: Vec<&str> = said.lines().filter(|line| !line.contains(" INFO ")).collect();
    assert_eq!(lines.len(), 1, "one clear line, not\n{said}");
    lines[0].to_owned()
}

#[test]
fn a_hub_with_agents_and_watchers_stops_within_5_s() {
    let mut hub = Hub::start();
    let _agent = Agent::start(&AgentOptions::new(RACK.0, RACK.1, hub.mqtt()));
    hub.expect("a reading", RECOVERY, RACK, has_reading);
    let mut watcher = TcpStream::connect(hub.web()).expect("the page is there");
    watcher.write_all(b"GET /api/live HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("it listens");
    // Half a CONNECT, and half a request.
    let mut half = TcpStream::connect(hub.mqtt()).expect("it listens");
    half.write_all(&[0x10, 40, 0, 4]).expect("it listens");
    let mut slow = TcpStream::connect(hub.web()).expect("the page is there");
    slow.write_all(b"GET / HT").expect("it listens");
    let status = hub.stop().expect("it ends within 5 s");
    assert!(status.success(), "{status}");
}

#[test]
fn an_agent_stops_within_5_s_whatever_its_link_does() {
    let hub = Hub::start();
    let cable = Proxy::to(hub.mqtt());
    let nobody = port::local(port::free());
    let mut connected = Agent::start(&AgentOptions::new(RACK.0, "rack-1", hub.mqtt()));
    let mut stalled = Agent::start(&AgentOptions::new(RACK.0, "rack-2", cable.address()));
    let mut alone = Agent::start(&AgentOptions::new(RACK.0, "rack-3", nobody));
    for appliance in ["rack-1", "rack-2"] {
        hub.expect("a reading", RECOVERY, (RACK.0, appliance), has_reading);
    }
    cable.stall();
    for (what, agent) in
        [("connected", &mut connected), ("stalled", &mut stalled), ("without a broker", &mut alone)]
    {
        assert!(agent.is_running(), "{what}\n{}", agent.last_words());
        let status = agent.stop().unwrap_or_else(|| panic!("{what}: it goes on\n{}", agent.last_words()));
        assert!(status.success(), "{what}: {status}");
    }
}

#[test]
fn a_port_in_use_is_one_clear_line() {
    let hub = &programs::programs().hub;
    let taken = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let address = taken.local_addr().expect("it is bound");
    for (table, other) in [("listener", "web"), ("web", "listener")] {
        let text = format!("[{table}]\naddress = \"{address}\"\n[{other}]\naddress = \"127.0.0.1:0\"\n");
        let line = the_one_line(&output(hub, &["run", "--config", "hub.toml"], Some(("hub.toml", &text))));
        let named = line.contains("127.0.0.1") && line.contains(&address.port().to_string());
        assert!(named && line.contains("is in use") && line.contains(&format!("[{table}]")), "{line}");
    }
}

#[test]
fn a_bad_configuration_is_one_clear_line_with_its_place() {
    let programs = programs::programs();
    let agent = "site = \"arena-north\"\nappliance = \"rack-1\"\n[mqtt]\nadress = \"hub\"\n";
    let line = the_one_line(&output(
        &programs.agent,
        &["run", "--config", "agent.toml"],
        Some(("agent.toml", agent)),
    ));
    assert!(line.contains("agent.toml:4: unknown key `adress` in [mqtt]; did you mean `address`?"), "{line}");
    let hub = "[web]\n\nadress = \"127.0.0.1:0\"\n";
    let line =
        the_one_line(&output(&programs.hub, &["run", "--config", "hub.toml"], Some(("hub.toml", hub))));
    assert!(line.contains("hub.toml:3: unknown key `adress` in [web]; did you mean `address`?"), "{line}");
    for program in [&programs.agent, &programs.hub] {
        let line = the_one_line(&output(program, &["run", "--config", "nowhere.toml"], None));
        assert!(line.contains("nowhere.toml") && line.contains("No such file"), "{line}");
    }
}

#[test]
fn an_unreachable_broker_is_said_in_readiness_and_tried_again() {
    let nobody = port::local(port::free());
    let hub = Hub::by(rackside_tests::hub::Way::Broker(nobody));
    let answer = rackside_tests::http::get(hub.web(), "/health/readiness", "*/*").expect("it answers");
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert!(answer.body.contains(&nobody.to_string()), "it names the broker: {}", answer.body);
}
