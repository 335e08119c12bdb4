//! How long it takes until somebody is told: from a contact that closes, and from an agent that dies, to the webhook's arrival, with `for` and
//! `group_wait` 0, on this machine.
//!
//! The contact is a file of a simulated panel, with a real agent behind it; the time begins when the file is written, so the debounce (1 ms, the
//! shortest) counts. The agent dies by SIGKILL, which closes its socket, so that the hub's listener publishes its Last Will; the time begins before
//! the kill. Each alert has the moment of its evaluation as a label, so that each is another one: an alert that comes again and again would be
//! held as flapping, and a group that was told of something waits.
//!
//! ```text
//! a contact closes   200 of 200   median 21.3 ms   99th percentile 38.0 ms   worst 41.2 ms
//! ```

use crate::{Effort, build};
use rackside_tests::agent::{Agent, AgentOptions};
use rackside_tests::hub::{Hub, Way};
use rackside_tests::witness::Witness;
use rackside_tests::{clock, http};
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

const TRIES: usize = 200;
/// Far longer than it takes.
const PATIENCE: Duration = Duration::from_secs(30);
const RACK: (&str, &str) = ("arena-north", "rack-1");
/// From one edge to the next: rules are evaluated at once at most every 100 ms, and a contact that moves too often chatters.
const APART: Duration = Duration::from_millis(400);
/// The contact's pin; it closes to ground.
const PIN: &str = "17";

/// Looked at once a day, and when an edge touches them.
const RULES: &str = r#"
groups:
- name: paged
  interval: 1d
  rules:
  - alert: Closed
    expr: rackside_tally_active == 1
    labels: {severity: critical, moment: '{{ with query "vector(time())" }}{{ . | first | value }}{{ end }}'}
  - alert: ApplianceGone
    expr: rackside_appliance_up == 0
    labels: {severity: critical, moment: '{{ with query "vector(time())" }}{{ . | first | value }}{{ end }}'}
"#;

/// A hub, an agent with a panel, and a webhook.
struct Scene {
    hub: Hub,
    agent: Agent,
    webhook: Witness,
    // Last: the programs work in it.
    directory: tempfile::TempDir,
}

pub(crate) fn paged(_: Effort) -> Result<(), String> {
    let mut scene = Scene::start(&build::hub()?)?;
    println!("from the cause to the webhook's arrival, `for` and `group_wait` 0, times in ms\n");
    println!("{:<20} {:>12} {:>8} {:>8} {:>8}", "", "told", "median", "99 %", "worst");
    let took = (0..TRIES).map(|_| scene.closed()).collect::<Result<Vec<_>, _>>()?;
    row("a contact closes", took);
    let took = (0..TRIES).map(|_| scene.killed()).collect::<Result<Vec<_>, _>>()?;
    row("an agent dies", took);
    Ok(())
}

fn row(what: &str, mut took: Vec<Duration>) {
    took.sort_unstable();
    let ms = |share: usize| took[(took.len() - 1) * share / 100].as_secs_f64() * 1000.0;
    let told = format!("{} of {TRIES}", took.len());
    println!("{what:<20} {told:>12} {:>8.1} {:>8.1} {:>8.1}", ms(50), ms(99), ms(100));
}

impl Scene {
    fn start(program: &Path) -> Result<Self, String> {
        let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
        let (rules, panel) = (directory.path().join("paged.yml"), directory.path().join("panel"));
        fs::create_dir(&panel).and_then(|()| fs::write(&rules, RULES)).map_err(|error| error.to_string())?;
        let webhook = Witness::start();
        let more = format!(
            "[rules]\ndefaults = false\nfiles = [{:?}]\n\
             [[receiver]]\nname = \"hook\"\nkind = \"webhook\"\nurl = \"{}\"\nsend_resolved = false\n\
             [[route]]\nname = \"all\"\nto = [\"hook\"]\ngroup_by = [\"...\"]\ngroup_wait = \"0s\"\n",
            rules.display().to_string(),
            webhook.url()
        );
        let hub = Hub::with(Way::Listener, program, &more);
        let mut options = AgentOptions::new(RACK.0, RACK.1, hub.mqtt());
        options.top = format!(
            "[panel]\nsimulated = {:?}\n[[tally]]\nname = \"one\"\npin = {PIN}\ndebounce = \"1ms\"\n",
            panel.display().to_string()
        );
        let agent = Agent::start(&options);
        let scene = Self { hub, agent, webhook, directory };
        scene.until("1", "a reading", "rackside_tally_active")?;
        Ok(scene)
    }

    /// From the file that is written to the message that has come.
    fn closed(&self) -> Result<Duration, String> {
        let pin = self.directory.path().join("panel").join(PIN);
        let write = |level: &str| {
            // A file that is emptied first would be an edge more.
            let file = fs::OpenOptions::new().write(true).open(&pin);
            file.and_then(|mut file| file.write_all(level.as_bytes())).map_err(|error| error.to_string())
        };
        std::thread::sleep(APART);
        let (begun, before) = (clock::now(), self.webhook.count());
        write("0")?;
        let arrived = self.arrived(before, "Closed")?;
        std::thread::sleep(APART);
        write("1")?;
        self.until("0", "the contact opens", "rackside_tally_active")?;
        Ok(arrived - begun)
    }

    /// From the kill to the message that has come.
    fn killed(&mut self) -> Result<Duration, String> {
        std::thread::sleep(APART);
        let (begun, before) = (clock::now(), self.webhook.count());
        self.agent.kill();
        let arrived = self.arrived(before, "ApplianceGone")?;
        self.agent.restart();
        self.until("1", "the agent is back", "rackside_appliance_up")?;
        Ok(arrived - begun)
    }

    /// Waits until the hub has this value of a series; the one that begins a tally is 0, and only that it is there counts.
    fn until(&self, value: &str, what: &str, series: &str) -> Result<(), String> {
        let line = format!("{series}{{site=\"{}\",appliance=\"{}\"", RACK.0, RACK.1);
        let there = clock::eventually(PATIENCE, || {
            let metrics = http::get(self.hub.web(), "/metrics", "*/*").ok()?.body;
            let found = metrics.lines().find(|one| one.starts_with(&line))?;
            (what == "a reading" || found.ends_with(&format!(" {value}"))).then_some(())
        });
        there.ok_or_else(|| format!("{what}: not within {PATIENCE:?}\n{}", self.hub.last_words()))
    }

    /// When the message of this alert came, those before number `from` let be.
    fn arrived(&self, from: usize, alert: &str) -> Result<Instant, String> {
        let told = self.webhook.find(from, PATIENCE, |told| told.names(alert, "firing"));
        told.map(|told| told.at).ok_or_else(|| {
            format!("nobody was told of {alert}\n{}\n{}", self.hub.last_words(), self.agent.last_words())
        })
    }
}
