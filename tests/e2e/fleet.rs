//! Configurations of a fleet by the real programs: looked at, rolled out stage by stage, ended at the first failure, taken back.

use crate::complete::RECOVERY;
use crate::join::{Box, lines, said, url};
use rackside_proto::join::Code;
use rackside_tests::clock;
use rackside_tests::http;
use rackside_tests::hub::{Hub, Way};
use rackside_tests::process::Process;
use rackside_tests::programs::programs;
use serde_json::Value as Json;
use std::fs;
use std::process::{Command, Output};
use std::time::Duration;

const RACKS: [&str; 3] = ["arena-north/rack-1", "club/rack-1", "club/rack-2"];
/// What an agent takes to be sure of a configuration, how long it is watched, twice, for two stages; on a slow machine.
const LONG: Duration = Duration::from_mins(3);

/// A hub with three boxes, of which one is in the city.
struct Fleet {
    hub: Hub,
    agents: Vec<(Box, Process)>,
}

impl Fleet {
    fn new() -> Self {
        let more = format!(
            "{}[fleet]\nconfigurations = \"fleet\"\n[[site]]\nid = \"arena-north\"\ntags = [\"city\"]\n[[site]]\nid = \"club\"\n",
            lines()
        );
        let hub = Hub::with(Way::Listener, &programs().hub, &more);
        let agents = RACKS.iter().map(|name| joined(&hub, name)).collect();
        let fleet = Self { hub, agents };
        fleet.write(
            "base.toml",
            "log = \"info\"\n\n[[probe.tcp]]\nname = \"page\"\ntarget = \"127.0.0.1:1\"\nevery = \"30s\"\n",
        );
        let known = clock::eventually(RECOVERY, || {
            fleet.fleet(&["diff"]).contains("3 of 3 appliances would get something new").then_some(())
        });
        assert!(known.is_some(), "{}\n{}", fleet.fleet(&["diff"]), fleet.hub.log());
        fleet
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.hub.directory().join("fleet").join(name);
        fs::create_dir_all(path.parent().expect("it is below")).expect("made");
        fs::write(path, text).expect("written");
    }

    /// What `rackside-hub fleet` says.
    fn fleet(&self, words: &[&str]) -> String {
        said(&run(&self.hub, &[&["fleet"], words].concat()))
    }

    /// Waits until the newest roll-out stands so.
    fn expect(&self, words: &str) -> String {
        let status = || self.fleet(&["status"]);
        let told = clock::eventually(LONG, || Some(status()).filter(|status| status.contains(words)));
        told.unwrap_or_else(|| {
            panic!("{words:?} is not in\n{}\n{}\n{}", status(), self.hub.log(), self.agents[0].1.log())
        })
    }

    /// What counts at a box, without the line that says which revision it is.
    fn counts(&self, rack: usize) -> String {
        let text =
            fs::read_to_string(self.agents[rack].0.path("state/configuration.toml")).unwrap_or_default();
        let lines: Vec<&str> =
            text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
        lines.iter().flat_map(|line| [*line, "\n"]).collect()
    }

    fn api(&self) -> Json {
        let answer =
            http::get(self.hub.web(), "/api/fleet/configuration", "application/json").expect("it answers");
        assert_eq!(answer.status, 200);
        serde_json::from_str(&answer.body).expect("it is JSON")
    }
}

/// A box that has joined by that name, and runs.
fn joined(hub: &Hub, name: &str) -> (Box, Process) {
    let one = Box::new("");
    let made = said(&run(hub, &["join", name, "--url", &url(hub)]));
    let code = made
        .lines()
        .map(str::trim)
        .find(|line| line.parse::<Code>().is_ok())
        .unwrap_or_else(|| panic!("{made}"));
    let joined = one.join(&url(hub), code);
    assert!(joined.status.success(), "{}", said(&joined));
    let agent = one.run();
    (one, agent)
}

fn run(hub: &Hub, words: &[&str]) -> Output {
    let mut command = Command::new(&programs().hub);
    command.current_dir(hub.directory()).args(words).args(["--config", "hub.toml"]);
    command.output().expect("it starts")
}

#[test]
fn a_change_goes_out_in_stages_and_a_mistake_ends_at_the_first_box() {
    let mut fleet = Fleet::new();
    let base = "log = \"info\"\n[[probe.tcp]]\nname = \"page\"\ntarget = \"127.0.0.1:1\"\nevery = \"30s\"\n";
    let out = ["roll-out", "--stages", "1,100%", "--wait", "1s"];
    let begun = fleet.fleet(&out);
    assert!(
        begun.contains("3 appliances: arena-north/rack-1, club/rack-1, club/rack-2\n  + log = \"info\"\n"),
        "{begun}"
    );
    assert!(begun.contains("roll-out 1 begins, in stages 1,100%"), "{begun}");
    let again = fleet.fleet(&out);
    assert!(again.contains("roll-out 1 is running") || again.contains("nothing to roll out"), "{again}");
    // It goes on where it was.
    fleet.hub.restart();
    fleet.expect("\ndone ");
    assert_eq!([0, 1, 2].map(|rack| fleet.counts(rack)), [base, base, base]);
    assert!(fleet.fleet(&["diff"]).contains("0 of 3 appliances would get something new"));
    let api = fleet.api();
    let all = api["roll_out"]["appliances"].as_array().expect("a list");
    let mut told: Vec<&str> = all.iter().filter_map(|one| one["told_at"].as_str()).collect();
    told.sort_unstable();
    assert!(told.len() == 3 && told[0] < told[1], "one alone, and then the rest: {api}");

    // A probe of those in the city.
    fleet.write("tags/city.toml", "[[probe.tcp]]\nname = \"page\"\nevery = \"10s\"\n");
    let diff = fleet.fleet(&["diff"]);
    assert_eq!(
        diff,
        "1 appliance: arena-north/rack-1\n  ~ probe.tcp.page.every: \"30s\" -> \"10s\"\n1 of 3 appliances would get something new\n"
    );
    assert_eq!(fleet.api()["plan"]["groups"][0]["changes"][0]["will"], "\"10s\"");
    fleet.fleet(&out);
    fleet.expect("\ndone ");
    assert!(fleet.counts(0).contains("every = \"10s\"") && fleet.counts(1).contains("every = \"30s\""));

    // A mistake of all.
    let city = fleet.counts(0);
    fleet.write("base.toml", "log = \"info\"\n\n[[probe.tcp]]\nname = \"page\"\ntarget = \"127.0.0.1:1\"\nevery = \"30s\"\nevry = \"1s\"\n");
    fleet.fleet(&out);
    let stopped = fleet.expect("\nstopped ");
    assert!(stopped.contains("refuses it: ") && stopped.contains("unknown key `evry`"), "{stopped}");
    assert!(stopped.contains("(that line is of base.toml:7)"), "{stopped}");
    assert!(
        stopped.contains("3 appliances: 2 not told yet, 0 told, 0 have it, 0 have proven it, 1 failed"),
        "{stopped}"
    );
    let api = fleet.api();
    assert_eq!(
        (&api["roll_out"]["state"], &api["roll_out"]["counts"]["failed"]),
        (&Json::from("stopped"), &Json::from(1))
    );
    assert_eq!([0, 1, 2].map(|rack| fleet.counts(rack)), [&*city, base, base], "everybody has what it had");

    // And back.
    let back = fleet.fleet(&["back", "--wait", "1s"]);
    assert!(back.contains("roll-out 4 begins, in stages 100%"), "{back}");
    let status = fleet.expect("\ndone ");
    assert!(status.contains("takes back roll-out 3\n") && status.contains("1 has proven it"), "{status}");
    assert_eq!([0, 1, 2].map(|rack| fleet.counts(rack)), [&*city, base, base]);

    // Who comes now is given what was proven, by the tags of its site, and not what the files say meanwhile.
    for name in ["club/rack-3", "arena-north/rack-2"] {
        fleet.agents.push(joined(&fleet.hub, name));
    }
    for (rack, wanted) in [(3, base), (4, &*city)] {
        let runs_on = clock::eventually(LONG, || (fleet.counts(rack) == wanted).then_some(()));
        assert!(
            runs_on.is_some(),
            "{:?}\n{}\n{}",
            fleet.counts(rack),
            fleet.hub.log(),
            fleet.agents[rack].1.log()
        );
    }
    fleet.write("base.toml", base);
    let same = clock::eventually(RECOVERY, || {
        fleet.fleet(&["diff"]).contains("0 of 5 appliances would get something new").then_some(())
    });
    assert!(same.is_some(), "{}", fleet.fleet(&["diff"]));
}

#[test]
fn whoever_wants_it_to_end_is_heard_while_the_hub_is_down() {
    let mut fleet = Fleet::new();
    fleet.hub.kill();
    assert!(fleet.fleet(&["roll-out", "--stages", "1,100%", "--wait", "1h"]).contains("roll-out 1 begins"));
    assert!(fleet.fleet(&["stop"]).contains("roll-out 1 ends"));
    fleet.hub.come_up();
    let status = fleet.expect("\nstopped ");
    assert!(status.contains("the command line wanted it") && status.contains("3 not told yet"), "{status}");
    assert_eq!(fleet.counts(0), "");
}
