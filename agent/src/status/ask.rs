//! The end of whoever asks.

use super::{USUAL, directories, socket};
use rackside_proto::AgentName;
use std::fmt;
use std::fs;
use std::io::{self, Read as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A loop that turns answers within milliseconds; one that writes to a slow card, within seconds.
const PATIENCE: Duration = Duration::from_secs(10);
/// No answer is longer.
const LONGEST: u64 = 4 << 20;

/// Why there is no answer.
#[derive(Debug)]
pub enum AskError {
    /// Nobody listens.
    NotRunning {
        /// Which agent; none when any would have done.
        agent: Option<String>,
        /// Where its socket would be.
        places: Vec<PathBuf>,
        /// The sockets that are there instead.
        others: Vec<PathBuf>,
    },
    /// It may not be asked, or hangs.
    Io {
        /// Its socket.
        path: PathBuf,
        /// What went wrong.
        why: io::Error,
    },
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRunning { agent, places, others } => {
                match agent {
                    Some(agent) => write!(f, "the agent {agent} does not run here")?,
                    None => f.write_str("no agent runs here")?,
                }
                let list = |paths: &[PathBuf]| {
                    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" or ")
                };
                write!(f, ": nobody listens at {}", list(places))?;
                if !others.is_empty() {
                    write!(f, "; there is {}: name its configuration with --config", list(others))?;
                }
                Ok(())
            }
            Self::Io { path, why } => match why.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                    write!(f, "{}: the agent is there, and does not answer: it hangs", path.display())
                }
                io::ErrorKind::PermissionDenied => write!(
                    f,
                    "{}: may not ask: be root, or in the group that owns it (`gpio` with the packaged unit)",
                    path.display()
                ),
                _ => write!(f, "{}: {why}", path.display()),
            },
        }
    }
}

impl std::error::Error for AskError {}

/// The answer of the agent of that name, or of the only one that runs here: one JSON object.
pub fn ask(agent: Option<&AgentName>) -> Result<String, AskError> {
    let mut places = directories(|name| std::env::var_os(name));
    if !places.iter().any(|place| place == Path::new(USUAL)) {
        places.insert(0, USUAL.into());
    }
    ask_in(&places, agent)
}

fn ask_in(places: &[PathBuf], agent: Option<&AgentName>) -> Result<String, AskError> {
    let found = sockets(places);
    let wanted: Vec<PathBuf> = match (agent, found.as_slice()) {
        (Some(agent), _) => places.iter().map(|place| socket(place, agent)).collect(),
        (None, [only]) => vec![only.clone()],
        (None, _) => Vec::new(),
    };
    for path in &wanted {
        match read(path) {
            Err(error)
                if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {}
            answer => return answer.map_err(|why| AskError::Io { path: path.clone(), why }),
        }
    }
    let others = found.into_iter().filter(|path| !wanted.contains(path)).collect();
    let places = if wanted.is_empty() { places.to_vec() } else { wanted };
    Err(AskError::NotRunning { agent: agent.map(ToString::to_string), places, others })
}

/// The sockets in these directories.
fn sockets(places: &[PathBuf]) -> Vec<PathBuf> {
    let inside = places.iter().filter_map(|place| fs::read_dir(place).ok()).flatten().flatten();
    let mut found: Vec<PathBuf> = inside
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sock"))
        .collect();
    found.sort();
    found
}

fn read(path: &Path) -> io::Result<String> {
    let stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut text = String::new();
    stream.take(LONGEST).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::os::unix::net::UnixListener;

    fn name(appliance: &str) -> AgentName {
        AgentName::new("arena", appliance).expect("a good name")
    }

    /// An agent that answers once.
    fn agent(place: &Path, name: &AgentName, answer: &'static str) -> std::thread::JoinHandle<()> {
        let listener = UnixListener::bind(socket(place, name)).expect("bound");
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("somebody asks");
            stream.write_all(answer.as_bytes()).expect("it reads");
        })
    }

    #[test]
    fn the_agent_of_that_name_answers_or_the_only_one() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let place = dir.path().to_owned();
        let places = [dir.path().join("elsewhere"), place.clone()];
        for asked in [Some(name("rack-1")), None] {
            let agent = agent(&place, &name("rack-1"), "{}");
            assert_eq!(ask_in(&places, asked.as_ref()).expect("an answer"), "{}");
            agent.join().expect("asked");
            fs::remove_file(socket(&place, &name("rack-1"))).expect("it was there");
        }
    }

    #[test]
    fn who_does_not_run_is_named_and_who_does_as_well() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let places = [dir.path().to_owned()];
        let said = |asked: Option<&AgentName>| {
            let error = ask_in(&places, asked).expect_err("nobody is there").to_string();
            error.replace(&dir.path().display().to_string(), "/run/rackside")
        };
        assert_eq!(said(None), "no agent runs here: nobody listens at /run/rackside");
        let nobody =
            "the agent arena/rack-1 does not run here: nobody listens at /run/rackside/arena.rack-1.sock";
        assert_eq!(said(Some(&name("rack-1"))), nobody);
        for other in ["rack-2", "rack-3"] {
            drop(UnixListener::bind(socket(dir.path(), &name(other))).expect("bound"));
        }
        let others = "there is /run/rackside/arena.rack-2.sock or /run/rackside/arena.rack-3.sock: name its configuration with --config";
        assert_eq!(said(Some(&name("rack-1"))), format!("{nobody}; {others}"));
        assert_eq!(said(None), format!("no agent runs here: nobody listens at /run/rackside; {others}"));
    }
}
