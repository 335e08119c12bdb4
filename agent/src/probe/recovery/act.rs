//! Acting: a unit of systemd is restarted, or a command runs. Relays are the panel's.
//!
//! Both are child processes without a shell, ended with their group when their time is over. What a command prints is not
//! shown: how it ended is. `systemctl` asks nobody for a password; whether the agent's user may restart a unit is the business of polkit, for which our package
//! has a rule.

use super::plan::{Action, Command};
use crate::probe::child::{Order, Pipe};
use async_io::Timer;
use futures_lite::future;
use std::ops::ControlFlow;
use std::time::Duration;

/// A unit that takes longer to stop and start is still at it (systemd's own limit for each is 90 s).
const RESTART: Duration = Duration::from_mins(2);
/// What is kept of what a program complains of. It may say as much as it likes, and is heard to its end.
const MOST: usize = 4096;

/// Does it; why it could not, for people.
pub(super) async fn perform(action: &Action) -> Result<(), String> {
    match action {
        Action::Restart(unit) => {
            let order = Order::new("systemctl").args(["--no-ask-password", "restart", "--", unit]);
            run(&order, RESTART).await.map_err(|failure| refusal(unit, failure))
        }
        Action::Command(Command { run: argv, timeout, .. }) => {
            let Some((program, arguments)) = argv.split_first() else { return Ok(()) };
            run(&Order::new(program).args(arguments), *timeout).await.map_err(|failure| failure.why)
        }
        Action::Pulse(..) => Ok(()),
    }
}

/// How a program failed.
#[derive(Debug)]
struct Failure {
    why: String,
    said: String,
}

async fn run(order: &Order, timeout: Duration) -> Result<(), Failure> {
    let failure = |why: String| Failure { why, said: String::new() };
    let child = order.spawn().map_err(|error| failure(error.to_string()))?;
    let mut said = Vec::new();
    let hear = |pipe, bytes: &[u8]| {
        if pipe == Pipe::Err {
            said.extend(bytes.iter().take(MOST - said.len()));
        }
        ControlFlow::Continue(())
    };
    let ended = async { Some(child.hear(hear).await) };
    let late = async {
        Timer::after(timeout).await;
        None
    };
    match future::or(ended, late).await {
        None => Err(failure(format!("was not through within {timeout:?}, and was ended"))),
        Some(Err(error)) => Err(failure(error.to_string())),
        Some(Ok(status)) if status.success() => Ok(()),
        Some(Ok(status)) => {
            let said = String::from_utf8_lossy(&said).into_owned();
            Err(Failure { why: status.to_string(), said })
        }
    }
}

/// Why a unit was not restarted.
fn refusal(unit: &str, Failure { why, said }: Failure) -> String {
    let is_forbidden =
        ["Access denied", "authentication required", "Permission denied", "Operation not permitted"];
    if is_forbidden.iter().any(|words| said.contains(words)) {
        return format!(
            "not permitted; list {unit} in /etc/rackside/restart-units, or write a polkit rule (docs/probes.md)"
        );
    }
    // So it ends when dbus-daemon looks for the user's name and there is none.
    if said.contains("Transport endpoint is not connected") {
        let needed = "make it one of the system's (docs/probes.md)";
        return format!("the bus knows no name for the agent's user; {needed}");
    }
    match said.lines().next() {
        Some(line) => format!("{why}: {line}"),
        None => why,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn command(argv: &[&str], timeout: Duration) -> Result<(), String> {
        let run = argv.iter().map(ToString::to_string).collect();
        smol::block_on(perform(&Action::Command(Command { name: "x".to_owned(), run, timeout })))
    }

    #[test]
    fn a_command_is_no_shells_line_and_its_end_is_told() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = dir.path().join("a b; $(touch c)");
        let path = file.display().to_string();
        assert_eq!(command(&["/usr/bin/touch", &path], Duration::from_secs(10)), Ok(()));
        assert!(file.exists() && fs::read_dir(dir.path()).expect("it is there").count() == 1);
        let failed = command(&["/bin/sh", "-c", "echo hunter2 >&2; exit 3"], Duration::from_secs(10));
        assert_eq!(failed, Err("exit status: 3".to_owned()), "what it says may be secret");
        let missing = command(&["/no/such/program"], Duration::from_secs(10)).expect_err("it is missing");
        assert_eq!(missing, "/no/such/program is not on this machine; install it");
    }

    #[test]
    fn a_command_that_says_much_runs_to_its_end() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = dir.path().join("done");
        let script =
            format!("head -c 1000000 /dev/zero; head -c 1000000 /dev/zero >&2; touch {}", file.display());
        assert_eq!(command(&["/bin/sh", "-c", &script], Duration::from_mins(1)), Ok(()));
        assert!(file.exists());
        // And one that does nothing else has no more time than any other.
        let failed = command(&["yes"], Duration::from_millis(200));
        assert_eq!(failed, Err("was not through within 200ms, and was ended".to_owned()));
    }

    #[test]
    fn a_command_that_hangs_is_ended() {
        let failed = command(&["/bin/sleep", "1000"], Duration::from_millis(200));
        assert_eq!(failed, Err("was not through within 200ms, and was ended".to_owned()));
    }

    #[test]
    fn who_may_not_restart_a_unit_is_told_what_is_needed() {
        let refused = |said: &str| {
            let failure = Failure { why: "exit status: 1".to_owned(), said: said.to_owned() };
            refusal("encoder.service", failure)
        };
        for said in [
            "Failed to restart encoder.service: Access denied\nSee system logs and 'systemctl status' for details.",
            "Failed to restart encoder.service: Interactive authentication required.",
        ] {
            let needed = "not permitted; list encoder.service in /etc/rackside/restart-units";
            assert!(refused(said).starts_with(needed));
        }
        let nameless = refused("Failed to restart encoder.service: Transport endpoint is not connected");
        assert!(nameless.starts_with("the bus knows no name for the agent's user; "), "{nameless}");
        let other = "Failed to restart encoder.service: Unit encoder.service not found.";
        assert_eq!(refused(other), format!("exit status: 1: {other}"));
    }
}
