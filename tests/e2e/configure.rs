//! The hub's configuration of a box, by the real programs: applied, refused, taken back, forged and brought back by a broker.

use crate::complete::RECOVERY;
use crate::join::{Box, NAME, code, expect_log, hub, said, url};
use async_io::Timer;
use futures_lite::{StreamExt as _, future};
use rackside_agent::app;
use rackside_agent::configure::Patience;
use rackside_agent::reload::ConfigFile;
use rackside_tests::clock;
use rackside_tests::hub::Hub;
use rackside_tests::programs::programs;
use std::fs;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// What `rackside-hub configuration` says.
fn configuration(hub: &Hub, words: &[&str]) -> Output {
    let mut command = Command::new(&programs().hub);
    command.current_dir(hub.directory()).arg("configuration").args(words).args(["--config", "hub.toml"]);
    command.output().expect("it starts")
}

/// Hands a text out.
fn set(hub: &Hub, text: &str) -> String {
    fs::write(hub.directory().join("hall.toml"), text).expect("written");
    said(&configuration(hub, &["set", NAME, "hall.toml"]))
}

/// Waits until the list says so of the box.
fn expect_state(hub: &Hub, words: &str) {
    let list = || said(&configuration(hub, &["list"]));
    let told = clock::eventually(RECOVERY * 2, || {
        let row = list().lines().find(|line| line.starts_with(NAME))?.to_owned();
        row.split_whitespace().collect::<Vec<_>>().join(" ").contains(words).then_some(())
    });
    assert!(told.is_some(), "{words:?} is not in\n{}\n{}", list(), hub.log());
}

/// A box that has joined, and what stands in its own file.
fn joined(hub: &Hub) -> Box {
    let one = Box::new("");
    let output = one.join(&url(hub), &code(hub));
    assert!(output.status.success(), "{}", said(&output));
    one
}

#[test]
fn what_the_hub_hands_out_is_run_on_and_what_is_wrong_is_refused() {
    let mut hub = hub();
    let one = joined(&hub);
    let mut agent = one.run();
    // What the box's own file says (its tick) stays.
    assert_eq!(set(&hub, "tick = \"1h\"\nlog = \"debug\"\n"), format!("{NAME} is to run on revision 1\n"));
    expect_state(&hub, "1 1 applied");
    expect_log(&agent, "the hub's configuration 1 applied");
    assert_eq!(one.files(), ["configuration.toml", "identity.toml"]);
    let kept = fs::read_to_string(one.path("state/configuration.toml")).expect("readable");
    assert!(
        kept.starts_with("tick = \"1h\"\nlog = \"debug\"\n\n# revision 1 for arena-north/rack-1 by the hub "),
        "{kept}"
    );
    let checked = said(&one.command(&["check"]).output().expect("it starts"));
    assert!(checked.contains("of hub   configuration 1 fills in log"), "{checked}");
    // What must not travel does not leave the hub; what the agent objects to comes back with its line.
    let secret = set(&hub, "[[probe.obs]]\nname = \"obs\"\npassword = \"hunter2\"\n");
    assert!(secret.contains("hall.toml:3: probe.obs.password: a secret does not travel"), "{secret}");
    set(&hub, "log = \"debug\"\n\n[[probe.exec]]\nname = \"x\"\nrun = [\"/bin/true\"]\n");
    expect_state(&hub, "2 1 refused");
    set(&hub, "\nlog = \"loud\"\n");
    expect_state(&hub, "3 1 refused");
    let list = said(&configuration(&hub, &["list"]));
    assert!(list.contains("the hub's configuration:2: log: unknown value `loud`"), "{list}");
    // It outlasts both programs, each of them killed.
    agent.kill();
    hub.kill();
    hub.come_up();
    drop(agent);
    let agent = one.run();
    expect_log(&agent, "the hub's configuration 1 fills in: log");
    set(&hub, "");
    expect_state(&hub, "4 4 applied");
    assert_eq!(said(&configuration(&hub, &["show", NAME])), "");
}

#[test]
fn a_trial_that_is_cut_short_is_given_up_and_not_tried_again() {
    let hub = hub();
    let one = joined(&hub);
    let mut agent = one.run();
    set(&hub, "log = \"debug\"\n");
    let trial = one.path("state/configuration.trial.toml");
    assert!(clock::eventually(RECOVERY, || trial.exists().then_some(())).is_some(), "{}", agent.log());
    agent.kill();
    drop(agent);
    let agent = one.run();
    expect_log(&agent, "configuration 1 rolled back: it was on trial when this box was started anew");
    expect_state(&hub, "1 - rolled back");
    assert_eq!(one.files(), ["configuration.failed.toml", "identity.toml"]);
    set(&hub, "log = \"trace\"\n");
    expect_state(&hub, "2 2 applied");
}

#[test]
fn what_cuts_a_box_off_is_taken_back() {
    let hub = hub();
    let one = joined(&hub);
    let (file, patience) = (ConfigFile::new(one.path("rackside.toml")), PATIENCE);
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stop);
    let stopped = Timer::interval(Duration::from_millis(100)).filter(move |_| asked.load(Ordering::Relaxed));
    let serving = move || future::block_on(app::serve_file(file, patience, stopped.map(drop)));
    let agent = thread::spawn(serving);
    set(&hub, "log = \"info\"\n");
    expect_state(&hub, "1 1 applied");
    // Nobody listens there, and the listener lets it say nothing.
    set(&hub, "log = \"info\"\n[mqtt]\nprefix = \"elsewhere\"\n");
    expect_state(&hub, "2 1 rolled back");
    let list = said(&configuration(&hub, &["list"]));
    assert!(list.contains("the hub was not reached with it"), "{list}");
    assert_eq!(one.files(), ["configuration.failed.toml", "configuration.toml", "identity.toml"]);
    stop.store(true, Ordering::Relaxed);
    agent.join().expect("no panic").expect("it ends well");
}

/// As the program's, and shorter.
const PATIENCE: Patience =
    Patience { settle: Duration::from_secs(1), ask: Duration::from_secs(1), end: Duration::from_secs(6) };
