//! Where `rackside-hub command` reaches a hub that runs: a socket in its data directory, for whoever owns that. One line of JSON each way.
//!
//! ```text
//! → {"appliance":"arena-north/rack-1","by":"anna","wanted":{"do":"identify","seconds":30}}
//! ← {"given":{"id":"1795219200000","state":"done",…}}     or  {"error":"the appliance cannot be reached now; …"}
//! ```

use super::{Commands, Wanted, json};
use crate::{clock, shutdown, storage};
use rackside_proto::AgentName;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream as Stream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};

/// The socket in the data directory.
pub const FILE: &str = "hub.sock";
/// The largest question.
const QUESTION: u64 = 4 << 10;
/// The largest answer: as many lines as a reply can bring, in JSON.
const ANSWER: u64 = 4 << 20;
/// So long for a question to come, and for an answer to leave.
const PATIENCE: Duration = Duration::from_secs(5);
/// No command is waited for longer than this.
const LONGEST: Duration = Duration::from_secs(100);
/// Questions at once.
const AT_ONCE: usize = 8;

/// What is asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    appliance: String,
    by: String,
    wanted: Wanted,
}

/// Lets the command line in, until the hub stops. A hub whose socket cannot be made goes on without.
pub async fn serve(commands: Commands, data: PathBuf, mut asked: watch::Receiver<bool>) {
    let path = storage::whole(&data).join(FILE);
    let listener = match bind(&path) {
        Ok(listener) => listener,
        Err(error) => {
            log::warn!("{}: {error}; `rackside-hub command` cannot reach this hub", path.display());
            return shutdown::asked(&mut asked).await;
        }
    };
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let turn = Arc::clone(&turns).acquire_owned().await.expect("the semaphore is never closed");
        let stream = tokio::select! {
            accepted = listener.accept() => accepted.map(|(stream, _)| stream),
            () = shutdown::asked(&mut asked) => break,
        };
        match stream {
            Ok(stream) => {
                let commands = commands.clone();
                tokio::spawn(async move {
                    answer(&commands, stream).await;
                    drop(turn);
                });
            }
            // No descriptor is left: others may go.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
    let _ = fs::remove_file(path);
}

/// The history's lock says that no other hub uses this directory: a socket that is there is left over.
fn bind(path: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok(listener)
}

async fn answer(commands: &Commands, mut stream: UnixStream) {
    let mut line = String::new();
    let (read, mut write) = stream.split();
    let mut read = tokio::io::BufReader::new(read.take(QUESTION));
    if !matches!(tokio::time::timeout(PATIENCE, read.read_line(&mut line)).await, Ok(Ok(1..))) {
        return;
    }
    let told = match ask(commands, &line).await {
        Ok(given) => json!({ "given": given }),
        Err(error) => json!({ "error": error }),
    };
    let _ = tokio::time::timeout(PATIENCE, write.write_all(format!("{told}\n").as_bytes())).await;
}

async fn ask(commands: &Commands, line: &str) -> Result<Json, String> {
    let Asked { appliance, by, wanted } = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let name = appliance.split_once('/').and_then(|(site, appliance)| AgentName::new(site, appliance).ok());
    let name = name.ok_or_else(|| format!("{appliance:?} is no appliance"))?;
    let id = commands.send(&name, wanted, &by, clock::now()).map_err(|error| error.to_string())?;
    let given = commands.answered(id, LONGEST).await;
    given.as_ref().map(json).ok_or_else(|| "the hub has forgotten the command".to_owned())
}

/// Asks the hub that runs with this data directory, and says what came of it as lines for people.
pub(crate) fn command(data: &Path, name: &AgentName, wanted: &Wanted) -> Result<String, String> {
    let path = storage::whole(data).join(FILE);
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            format!(
                "{}: no hub runs with this data directory; start it, or name its configuration with --config",
                path.display()
            )
        }
        io::ErrorKind::PermissionDenied => {
            format!("{}: {error}; run this as root (sudo) or as the hub's user", path.display())
        }
        _ => format!("{}: {error}", path.display()),
    };
    let mut stream = Stream::connect(&path).map_err(failed)?;
    let late = Some(LONGEST + PATIENCE);
    stream.set_read_timeout(late).and_then(|()| stream.set_write_timeout(late)).map_err(failed)?;
    let who = ["SUDO_USER", "USER"].iter().find_map(|name| std::env::var(name).ok());
    let by = format!("{} (command line)", who.as_deref().unwrap_or("somebody"));
    let asked = Asked { appliance: name.to_string(), by, wanted: wanted.clone() };
    let question = serde_json::to_string(&asked).expect("text is JSON");
    stream.write_all(format!("{question}\n").as_bytes()).map_err(failed)?;
    let mut line = String::new();
    BufReader::new(stream.take(ANSWER)).read_line(&mut line).map_err(failed)?;
    let told: Json =
        serde_json::from_str(&line).map_err(|_| "the hub stopped before it answered".to_owned())?;
    match told["error"].as_str() {
        Some(error) => Err(format!("{name}: {error}")),
        None => shown(name, &told["given"]),
    }
}

/// What came of it.
fn shown(name: &AgentName, given: &Json) -> Result<String, String> {
    let text =
        |json: &Json| json.as_str().unwrap_or_default().replace(|letter: char| letter.is_control(), " ");
    let rows = |key: &str| given[key].as_array().cloned().unwrap_or_default();
    let mut said = String::new();
    for line in rows("lines") {
        let (at, level, text) = (text(&line["at"]), text(&line["level"]), text(&line["text"]));
        writeln!(said, "{at} {level:<5} {text}").expect("a String takes everything");
    }
    for probe in rows("probes") {
        let took = probe["seconds"].as_f64().map(|seconds| format!("{seconds:.3} s")).unwrap_or_default();
        let (name, state, why) = (text(&probe["probe"]), text(&probe["state"]), text(&probe["why"]));
        let row = format!("{name:<24} {state:<8} {took:<9} {why}");
        writeln!(said, "{}", row.trim_end()).expect("a String takes everything");
    }
    match text(&given["state"]).as_str() {
        "done" if said.is_empty() => Ok(format!("{name}: done\n")),
        "done" => Ok(said),
        "refused" => Err(format!("{name} refuses: {}", text(&given["why"]))),
        "failed" => Err(format!("{name} cannot do it: {}", text(&given["why"]))),
        _ => Err(format!("{name} gave no answer; if it is up, look at its own log")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_of_it_is_told_for_people() {
        let name = AgentName::new("hall", "rack-1").expect("a name");
        let given = |state: &str, why: &str| json!({ "state": state, "why": why });
        assert_eq!(shown(&name, &given("done", "")), Ok("hall/rack-1: done\n".to_owned()));
        let no_answer = shown(&name, &given("no_answer", "")).expect_err("none");
        assert!(no_answer.starts_with("hall/rack-1 gave no answer"), "{no_answer}");
        let refused = shown(&name, &given("refused", "its probes are being run already"));
        assert_eq!(refused, Err("hall/rack-1 refuses: its probes are being run already".to_owned()));
        let probes = json!({ "state": "done", "probes": [
            { "probe": "encoder", "state": "up", "seconds": 0.0018, "why": "" },
            { "probe": "uplink", "state": "down", "seconds": 5.0, "why": "no answer\nwithin 5s" },
            { "probe": "slow", "state": "pending", "seconds": null, "why": "" },
        ] });
        let table = "encoder                  up       0.002 s\n\
                     uplink                   down     5.000 s   no answer within 5s\n\
                     slow                     pending\n";
        assert_eq!(shown(&name, &probes).as_deref(), Ok(table));
        let log = json!({ "state": "done", "lines": [{ "at": "2026-11-21T00:00:00Z", "level": "warn", "text": "a\u{1b}b" }] });
        assert_eq!(shown(&name, &log).as_deref(), Ok("2026-11-21T00:00:00Z warn  a b\n"));
    }

    #[test]
    fn without_a_hub_it_says_so() {
        let data = tempfile::tempdir().expect("a temporary directory");
        let name = AgentName::new("hall", "rack-1").expect("a name");
        let said = command(data.path(), &name, &Wanted::Log {}).expect_err("nobody is there");
        assert!(said.contains("no hub runs with this data directory"), "{said}");
    }
}
