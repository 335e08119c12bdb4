//! An agent of this test's own: the real program, watching this very machine.

use crate::process::Process;
use crate::programs;
use rackside_proto::AgentName;
use rustix::process::Signal;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;
use tempfile::TempDir;

/// What an agent promises for SIGTERM.
pub const STOP: Duration = Duration::from_secs(5);
/// The state directory's name in the test's own.
const STATE: &str = "state";

/// A running agent.
#[derive(Debug)]
pub struct Agent {
    process: Process,
    options: AgentOptions,
    // Last, so that it goes after the process that lives in it.
    directory: TempDir,
}

/// What an agent is started with.
#[derive(Debug, Clone)]
pub struct AgentOptions {
    /// Its site.
    pub site: String,
    /// Its name there.
    pub appliance: String,
    /// Its broker.
    pub broker: SocketAddr,
    /// From one reading to the next.
    pub tick: &'static str,
    /// Lines for the top of its file.
    pub top: String,
    /// Lines for its `[mqtt]`.
    pub mqtt: String,
    /// Lines for its `[spool]`, whose directory is the test's own.
    pub spool: String,
    /// A program other than the one that tests build.
    pub program: Option<PathBuf>,
    /// What runs the program: an emulator of the processor that it is for.
    pub emulator: Option<PathBuf>,
    /// Environment variables.
    pub environment: Vec<(String, String)>,
}

impl AgentOptions {
    /// An agent with a reading each second, the shortest tick.
    pub fn new(site: &str, appliance: &str, broker: SocketAddr) -> Self {
        Self {
            site: site.to_owned(),
            appliance: appliance.to_owned(),
            broker,
            tick: "1s",
            top: String::new(),
            mqtt: String::new(),
            spool: String::new(),
            program: None,
            emulator: None,
            environment: Vec::new(),
        }
    }

    /// Its file; `state` is where it keeps what is to last. The probes that every agent has would go out into the world, and are off.
    fn toml(&self, state: &Path) -> String {
        let Self { site, appliance, broker, tick, top, mqtt, spool, .. } = self;
        let state = state.display();
        format!(
            "site = \"{site}\"\nappliance = \"{appliance}\"\ntick = \"{tick}\"\nprobes.ping = []\n{top}\n\
             [mqtt]\naddress = \"{broker}\"\n{mqtt}\n\
             [spool]\ndirectory = \"{state}\"\n{spool}\n"
        )
    }
}

/// A directory on the disk that the tests are built on: the usual temporary one may be in memory, where no spool goes.
pub fn on_disk() -> TempDir {
    let program = std::env::current_exe().expect("this program has a path");
    let beside = program.parent().expect("and a directory");
    tempfile::Builder::new().prefix(".agent-").tempdir_in(beside).expect("where cargo writes, so can we")
}

impl Agent {
    /// Starts one; panics when the program is not there.
    pub fn start(options: &AgentOptions) -> Self {
        let directory = on_disk();
        std::fs::create_dir(directory.path().join(STATE)).expect("the directory can be written");
        Self::start_in(directory, options)
    }

    /// Starts one in a directory that has its `state` already.
    pub fn start_in(directory: TempDir, options: &AgentOptions) -> Self {
        let process = launch(options, directory.path());
        Self { process, options: options.clone(), directory }
    }

    /// Starts it once more on what it left behind, after [`kill`](Self::kill) or [`stop`](Self::stop).
    pub fn restart(&mut self) {
        self.process.kill();
        self.process = launch(&self.options, self.directory.path());
    }

    /// Where it keeps what is to last.
    pub fn state(&self) -> PathBuf {
        self.directory.path().join(STATE)
    }

    /// Site and appliance.
    pub fn name(&self) -> AgentName {
        let AgentOptions { site, appliance, .. } = &self.options;
        AgentName { site: site.parse().expect("an id"), appliance: appliance.parse().expect("an id") }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Ends it by SIGTERM; its exit status, if it kept its promise.
    pub fn stop(&mut self) -> Option<ExitStatus> {
        self.process.signal(Signal::TERM);
        self.process.wait(STOP)
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.process.ended().is_none()
    }

    /// What it said so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// The end of what it said, for a failure's message.
    pub fn last_words(&self) -> String {
        self.process.last_words()
    }
}

fn launch(options: &AgentOptions, directory: &Path) -> Process {
    let config = directory.join("agent.toml");
    std::fs::write(&config, options.toml(&directory.join(STATE))).expect("the directory can be written");
    let program: &Path = options.program.as_deref().unwrap_or_else(|| &programs::programs().agent);
    let mut command = match &options.emulator {
        Some(emulator) => {
            let mut command = Command::new(emulator);
            command.arg(program);
            command
        }
        None => Command::new(program),
    };
    command.envs(options.environment.iter().cloned());
    command.current_dir(directory).arg("run").arg("--config").arg(&config);
    let process = Process::start(&mut command, &directory.join("log"));
    process.unwrap_or_else(|error| panic!("{error}"))
}
