//! `cargo demo`: the hub and an agent of this very machine, as two processes, over real MQTT.
//!
//! It builds both, starts both in a temporary directory, shows what the hub knows (asked as Prometheus asks it), and
//! stops both on Ctrl-C. It leaves nothing behind. Nothing is installed and nothing is simulated.
//!
//! ```text
//! Rackside is running. Its page: http://127.0.0.1:8080/
//!
//!   demo/workstation   up        temperature 48.3 °C   CPU 12 %   load 0.52
//! ```

use rackside_tests::metrics::Metrics;
use rackside_tests::process::Process;
use rackside_tests::programs::Programs;
use rackside_tests::{clock, http, port};
use rustix::process::Signal;
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::signal::unix::{SignalKind, signal};

const HELP: &str = "\
cargo demo: starts the hub and an agent of this very machine, over real MQTT.
It prints the address of the hub's page and shows live values; Ctrl-C stops both.
";
/// The hub's own defaults.
const MQTT_PORT: u16 = 1883;
const WEB_PORT: u16 = 8080;
/// From the start of both to the first value; a reading takes one tick.
const FIRST_VALUE: Duration = Duration::from_secs(20);
/// What both promise for SIGTERM.
const STOP: Duration = Duration::from_secs(5);
const SITE: &str = "demo";

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        None => {}
        Some("--help" | "-h") => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Some(other) => {
            eprintln!("cargo demo: {other:?} is unknown; it takes no arguments");
            return ExitCode::from(2);
        }
    }
    match demo() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cargo demo: {error}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn demo() -> Result<(), String> {
    let told = |error: std::io::Error| format!("cannot listen for signals: {error}");
    let mut interrupt = signal(SignalKind::interrupt()).map_err(told)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(told)?;
    let mut hang_up = signal(SignalKind::hangup()).map_err(told)?;
    let mut demo = tokio::task::spawn_blocking(|| {
        eprintln!("Building the hub and the agent (dev profile; the first time takes a few minutes) ...");
        Programs::build(false).and_then(|programs| Demo::start(&programs))
    })
    .await
    .map_err(|error| error.to_string())??;
    println!("\nRackside is running. Its page: http://{}/", demo.web);
    println!("MQTT is at {}, metrics at http://{}/metrics. Ctrl-C stops it.\n", demo.mqtt, demo.web);
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    let outcome = loop {
        tokio::select! {
            _ = interrupt.recv() => break Ok(()),
            _ = terminate.recv() => break Ok(()),
            _ = hang_up.recv() => break Ok(()),
            _ = tick.tick() => if let Err(error) = demo.show() { break Err(error) },
        }
    };
    demo.stop();
    outcome
}

struct Demo {
    hub: Process,
    agent: Process,
    mqtt: SocketAddr,
    web: SocketAddr,
    started: Instant,
    screen: Screen,
    traffic: Traffic,
    // Last, so that it goes after the processes that live in it.
    _directory: TempDir,
}

/// What is on the terminal.
struct Screen {
    is_terminal: bool,
    lines: usize,
    shown: u64,
}

impl Demo {
    fn start(programs: &Programs) -> Result<Self, String> {
        let directory = tempfile::Builder::new().prefix("rackside-demo-").tempdir();
        let directory = directory.map_err(|error| format!("no temporary directory: {error}"))?;
        let place = |default: u16| port::local(if port::is_free(default) { default } else { port::free() });
        let (mqtt, web) = (place(MQTT_PORT), place(WEB_PORT));
        for (address, default, what) in [(mqtt, MQTT_PORT, "MQTT"), (web, WEB_PORT, "the page")] {
            if address.port() != default {
                eprintln!("Port {default} is in use; {what} goes to {}.", address.port());
            }
        }
        let mut hub = Command::new(&programs.hub);
        hub.arg("run");
        if (mqtt.port(), web.port()) != (MQTT_PORT, WEB_PORT) {
            let text = format!("[listener]\naddress = \"{mqtt}\"\n\n[web]\naddress = \"{web}\"\n");
            hub.arg("--config").arg(write(directory.path(), "hub.toml", &text)?);
        }
        let mut hub = start(&mut hub, directory.path(), "hub.log")?;
        let up = clock::eventually(Duration::from_secs(10), || {
            let answers = http::get(web, "/health/liveness", "*/*").is_ok_and(|answer| answer.status == 200);
            let ended = hub.ended().is_some();
            (answers || ended).then_some(answers && !ended)
        });
        if up != Some(true) {
            return Err(format!("the hub does not start\n{}", hub.last_words()));
        }
        let text = format!(
            "site = \"{SITE}\"\nappliance = \"{}\"\ntick = \"2s\"\nprobes.ping = []\n\n[mqtt]\naddress = \"{mqtt}\"\n\n\
             [spool]\ndirectory = \"{}\"\n",
            appliance(),
            directory.path().display()
        );
        let mut agent = Command::new(&programs.agent);
        agent.arg("run").arg("--config").arg(write(directory.path(), "agent.toml", &text)?);
        let agent = start(&mut agent, directory.path(), "agent.log")?;
        let screen = Screen { is_terminal: std::io::stdout().is_terminal(), lines: 0, shown: 0 };
        Ok(Self {
            hub,
            agent,
            mqtt,
            web,
            started: clock::now(),
            screen,
            traffic: Traffic::default(),
            _directory: directory,
        })
    }

    /// Asks the hub and shows its answer; an error when it cannot go on.
    fn show(&mut self) -> Result<(), String> {
        for (name, process) in [("hub", &mut self.hub), ("agent", &mut self.agent)] {
            if let Some(status) = process.ended() {
                return Err(format!("the {name} ended by itself ({status})\n{}", process.last_words()));
            }
        }
        let answer = http::get(self.web, "/metrics", "text/plain");
        let answer =
            answer.map_err(|error| format!("the hub does not answer: {error}\n{}", self.hub.last_words()))?;
        let metrics = Metrics::parse(&answer.body);
        if metrics.value("rackside_load1", &[("site", SITE)]).is_none() && self.screen.shown == 0 {
            if clock::now() > self.started + FIRST_VALUE {
                return Err(format!("no value came within {FIRST_VALUE:?}\n{}", self.agent.last_words()));
            }
            return Ok(());
        }
        let text = self.describe(&metrics);
        self.screen.draw(&text);
        Ok(())
    }

    fn describe(&mut self, metrics: &Metrics) -> String {
        let of_site = [("site", SITE)];
        let value = |name: &str| metrics.value(name, &of_site);
        let up = metrics.value("rackside_appliance_up", &of_site) == Some(1.0);
        let mut rows =
            vec![("appliance", format!("{SITE}/{}   {}", appliance(), if up { "up" } else { "down" }))];
        if let Some(celsius) = value("rackside_soc_temperature_celsius") {
            rows.push(("temperature", format!("{celsius:.1} °C")));
        }
        if let Some(ratio) = value("rackside_cpu_usage_ratio") {
            rows.push(("CPU", format!("{:.0} %", ratio * 100.0)));
        }
        if let Some(load) = value("rackside_load1") {
            rows.push(("load", format!("{load:.2}")));
        }
        if let (Some(used), Some(total)) =
            (value("rackside_memory_used_bytes"), value("rackside_memory_total_bytes"))
        {
            rows.push(("memory", format!("{} of {}", size(used), size(total))));
        }
        if let Some((received, sent)) = self.traffic.rates(metrics, clock::now()) {
            rows.push(("network", format!("{}/s in, {}/s out", size(received), size(sent))));
        }
        if let Some(backlog) = value("rackside_agent_backlog_records") {
            rows.push(("backlog", format!("{backlog:.0} records")));
        }
        let of_hub = |name: &str| metrics.value(name, &[]);
        if let (Some(records), Some(bytes)) =
            (of_hub("rackside_hub_history_records_total"), of_hub("rackside_hub_history_bytes"))
        {
            rows.push(("history", format!("{records:.0} records on the disk, {}", size(bytes))));
        }
        if let Some(resident) = value("rackside_agent_resident_memory_bytes") {
            rows.push(("agent", format!("{} resident", size(resident))));
        }
        rows.iter().fold(String::new(), |mut text, (name, shown)| {
            let _ = writeln!(text, "  {name:<12} {shown}");
            text
        })
    }

    /// The agent first, so that it can still say goodbye.
    fn stop(&mut self) {
        for process in [&mut self.agent, &mut self.hub] {
            process.signal(Signal::TERM);
            if process.wait(STOP).is_none() {
                process.kill();
            }
        }
        println!("\nStopped.");
    }
}

/// What went over all interfaces, lately.
#[derive(Default)]
struct Traffic {
    seen: VecDeque<(Instant, f64, f64)>,
}

impl Traffic {
    /// Bytes per second received and sent, over the last ten seconds.
    fn rates(&mut self, metrics: &Metrics, now: Instant) -> Option<(f64, f64)> {
        let sum = |name| metrics.sum(name, &[("site", SITE)]);
        let received = sum("rackside_network_receive_bytes_total");
        let sent = sum("rackside_network_transmit_bytes_total");
        self.seen.push_back((now, received, sent));
        while self.seen.len() > 11 {
            self.seen.pop_front();
        }
        let (then, had_received, had_sent) = *self.seen.front()?;
        let seconds = now.duration_since(then).as_secs_f64();
        // Less than two ticks say nothing yet.
        (seconds > 4.0).then(|| ((received - had_received) / seconds, (sent - had_sent) / seconds))
    }
}

impl Screen {
    /// On a terminal over what was there; else one line every five seconds.
    fn draw(&mut self, text: &str) {
        let mut out = std::io::stdout().lock();
        if self.is_terminal {
            if self.lines > 0 {
                // Up, and clear to the end of the screen.
                let _ = write!(out, "\x1b[{}A\x1b[J", self.lines);
            }
            let _ = write!(out, "{text}");
            self.lines = text.lines().count();
        } else if self.shown.is_multiple_of(5) {
            let words: Vec<String> =
                text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
            let _ = writeln!(out, "{}", words.join("; "));
        }
        // Nobody reads any more; Ctrl-C will come.
        let _ = out.flush();
        self.shown += 1;
    }
}

fn write(directory: &Path, name: &str, text: &str) -> Result<std::path::PathBuf, String> {
    let path = directory.join(name);
    std::fs::write(&path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    Ok(path)
}

/// In a process group of its own: Ctrl-C reaches the demo alone, which then stops them in order.
fn start(command: &mut Command, directory: &Path, log: &str) -> Result<Process, String> {
    Process::start(command.current_dir(directory).process_group(0), &directory.join(log))
}

/// This machine's name in the form of an id.
fn appliance() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().to_ascii_lowercase();
    let name: String =
        name.trim().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(32).collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "this-machine".to_owned() } else { name.to_owned() }
}

fn size(bytes: f64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut bytes = bytes;
    let mut unit = 0;
    while bytes >= 1024.0 && unit + 1 < units.len() {
        bytes /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes:.0} B") } else { format!("{bytes:.1} {}", units[unit]) }
}
