//! Recovery by a real agent: what it does about a process that was killed, and what a subscriber hears of it.

use crate::support::{Agent, Broker, PATIENCE, Process, Subscriber};
use rackside_proto::{Event, Message, Record, What};
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[test]
fn a_process_that_was_killed_has_its_power_switched_and_that_is_told() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary directory");
    let broker = Broker::open(dir.path());
    let hub = Subscriber::start(&broker).ready(&broker);
    let mut encoder = Process(Command::new("cat").stdin(Stdio::piped()).spawn().expect("cat is there"));
    let (pid_file, board) = (dir.path().join("encoder.pid"), dir.path().join("panel"));
    fs::write(&pid_file, encoder.0.id().to_string()).expect("written");
    let more = format!(
        "[panel]\nsimulated = \"{}\"\n[[relay]]\nname = \"power\"\npin = 6\non = \"never\"\nmost = \"2s\"\n\
         [[probe.process]]\nname = \"encoder\"\npid_file = \"{}\"\n\
         on_failure = {{ pulse = \"power\", for = \"1s\", after = \"0s\" }}\n",
        board.display(),
        pid_file.display()
    );
    let agent = Agent::start(dir.path(), broker.port, "", &more);
    let pin = || fs::read_to_string(board.join("6")).unwrap_or_default();
    let sees = |level: &str| {
        let end = Instant::now() + PATIENCE;
        while pin().trim() != level {
            assert!(Instant::now() < end, "the relay is {:?} and does not become {level}", pin());
            std::thread::sleep(Duration::from_millis(1));
        }
        Instant::now()
    };
    sees("0");
    agent.logs("connected");
    encoder.0.kill().expect("it runs");
    encoder.0.wait().expect("it ends");
    let closed = sees("1");
    let lasted = sees("0") - closed;
    assert!(lasted > Duration::from_millis(500) && lasted < Duration::from_secs(10), "{lasted:?}");
    for wanted in ["attempt 1 of 3: pulse power", "done"] {
        hub.wait(wanted, |seen| match seen.message() {
            Message::Event(Record {
                body: Event { what: What::Text { subject: "recovery/encoder", text }, .. },
                ..
            }) => (text == wanted).then_some(()),
            _ => None,
        });
    }
    agent.logs("recovery of encoder: attempt 1 of 3: pulse power");
}
