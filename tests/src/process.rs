//! A program that runs beside the test: started, signalled, killed by its own id, with a log that a failure can show.
//!
//! Invariant: it is gone when its [`Process`] is dropped, also when the test panics; and when this program is killed, which drops nothing.

use crate::clock;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::LazyLock;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

/// A running program.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command`; what it says goes to the end of `log`.
    pub fn start(command: &mut Command, log: &Path) -> Result<Self, String> {
        let name =
            Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
        let failed = |error: std::io::Error| format!("cannot start {name}: {error}");
        let output = OpenOptions::new().create(true).append(true).open(log).map_err(failed)?;
        let errors = output.try_clone().map_err(failed)?;
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        rackside_sys::end_with_parent(command);
        let child = spawn(command).map_err(failed)?;
        Ok(Self { name, child, log: log.to_owned() })
    }

    /// The process's id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        // Fails only when it is gone already, which is what most signals are for.
        let _ = kill_process(Pid::from_child(&self.child), signal);
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// The exit status once it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Waits for its end.
    pub fn wait(&mut self, within: Duration) -> Option<ExitStatus> {
        clock::eventually(within, || self.ended())
    }

    /// What it said so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The end of what it said, for a failure's message.
    pub fn last_words(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines.get(lines.len().saturating_sub(40)..).unwrap_or_default().join("\n");
        format!("--- last words of {} ({}):\n{tail}\n---", self.name, self.child.id())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What the thread that starts programs is told: what to start, and where to say what came of it.
type Order = (Command, Sender<(Command, io::Result<Child>)>);

/// Starts a program from a thread that lasts as long as this program: the kernel takes the thread for the parent, and a test's own ends with it.
fn spawn(command: &mut Command) -> io::Result<Child> {
    static STARTER: LazyLock<Sender<Order>> = LazyLock::new(|| {
        let (orders, taken) = channel::<Order>();
        thread::spawn(move || {
            for (mut command, done) in taken {
                let child = command.spawn();
                // Whoever ordered it waits.
                let _ = done.send((command, child));
            }
        });
        orders
    });
    let (done, started) = channel();
    let ordered = std::mem::replace(command, Command::new(""));
    STARTER.send((ordered, done)).expect("the thread lasts");
    let (ordered, child) = started.recv().expect("the thread lasts");
    *command = ordered;
    child
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead as _, BufReader, Write as _};

    fn sleep(log: &Path) -> Process {
        Process::start(Command::new("/bin/sleep").arg("1000"), log).expect("sleep starts")
    }

    /// Whether it is gone, or dead and not yet buried by init.
    fn is_dead(id: u32) -> bool {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        stat.rsplit(')').next().is_none_or(|rest| rest.is_empty() || rest.trim_start().starts_with('Z'))
    }

    #[test]
    fn a_program_outlives_the_thread_that_asked_for_it() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let log = directory.path().join("log");
        let mut process = thread::spawn(move || sleep(&log)).join().expect("it does not panic");
        // Of the thread's end the kernel would have told at once.
        assert_eq!(process.wait(Duration::from_millis(200)), None);
        assert!(!is_dead(process.id()));
    }

    #[test]
    #[ignore = "the victim of the next one"]
    fn waits_to_be_killed() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let process = sleep(&directory.path().join("log"));
        println!("\nstarted {}", process.id());
        let _ = io::stdout().flush();
        loop {
            thread::park();
        }
    }

    #[test]
    fn a_program_dies_when_its_test_is_killed() {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args(["--exact", "process::tests::waits_to_be_killed", "--ignored", "--nocapture"]);
        let mut victim = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
        let output = BufReader::new(victim.stdout.take().expect("it was piped"));
        let started =
            output.lines().map_while(Result::ok).find_map(|line| line.strip_prefix("started ")?.parse().ok());
        victim.kill().expect("it runs");
        victim.wait().expect("a child");
        let id: u32 = started.expect("it says what it has started");
        assert_eq!(clock::eventually(Duration::from_secs(30), || is_dead(id).then_some(())), Some(()));
    }
}
