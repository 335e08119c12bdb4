//! An agent of this test's own: the real program, watching this very machine.

use crate::process::Process;
use crate::programs;
use rustix::process::Signal;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;
use tempfile::TempDir;

/// What an agent promises for SIGTERM.
pub const STOP: Duration = Duration::from_secs(5);

/// A running agent.
#[derive(Debug)]
pub struct Agent {
    process: Process,
    // Last, so that it goes after the process that lives in it.
    _directory: TempDir,
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
    /// A program other than the one that tests build.
    pub program: Option<PathBuf>,
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
            program: None,
            environment: Vec::new(),
        }
    }

    fn toml(&self) -> String {
        let Self { site, appliance, broker, tick, top, mqtt, .. } = self;
        format!(
            "site = \"{site}\"\nappliance = \"{appliance}\"\ntick = \"{tick}\"\n{top}\n[mqtt]\naddress = \"{broker}\"\n{mqtt}\n"
        )
    }
}

impl Agent {
    /// Starts one; panics when the program is not there.
    pub fn start(options: &AgentOptions) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let config = directory.path().join("agent.toml");
        std::fs::write(&config, options.toml()).expect("the directory can be written");
        let program: &Path = options.program.as_deref().unwrap_or_else(|| &programs::programs().agent);
        let mut command = Command::new(program);
        command.envs(options.environment.iter().cloned());
        command.current_dir(directory.path()).arg("run").arg("--config").arg(&config);
        let process = Process::start(&mut command, &directory.path().join("log"));
        Self { process: process.unwrap_or_else(|error| panic!("{error}")), _directory: directory }
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
