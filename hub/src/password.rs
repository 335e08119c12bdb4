//! A password from whoever runs a command: from a terminal, without showing it and twice; else the first line of stdin.
//! Never from the command line, where every user of the machine could read it.

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use std::fmt;
use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};

/// MQTT cannot carry a longer one.
const LONGEST: usize = 65_535;

/// Why there is no password.
#[derive(Debug)]
pub enum PasswordError {
    /// Stdin or the terminal failed.
    Io(io::Error),
    /// Nothing was entered.
    Empty,
    /// The second time it was another one.
    Differ,
    /// Longer than MQTT can carry.
    Long,
}

impl fmt::Display for PasswordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "the password cannot be read from stdin: {error}"),
            Self::Empty => {
                f.write_str("the password is empty; type it, or give it as the first line of stdin")
            }
            Self::Differ => f.write_str("these were two different passwords; try again"),
            Self::Long => write!(f, "the password has more than {LONGEST} bytes, which MQTT cannot carry"),
        }
    }
}

impl std::error::Error for PasswordError {}

impl From<io::Error> for PasswordError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Asks for the password of `name`.
pub fn ask(name: &str) -> Result<String, PasswordError> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return line();
    }
    let shown = tcgetattr(&stdin).map_err(io::Error::from)?;
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    hidden.local_modes.insert(LocalModes::ECHONL);
    tcsetattr(&stdin, OptionalActions::Flush, &hidden).map_err(io::Error::from)?;
    let asked = twice(name);
    tcsetattr(&stdin, OptionalActions::Flush, &shown).map_err(io::Error::from)?;
    asked
}

fn twice(name: &str) -> Result<String, PasswordError> {
    let prompt = |text: &str| write!(io::stderr(), "{text}: ").and_then(|()| io::stderr().flush());
    prompt(&format!("Password for {name}"))?;
    let first = line()?;
    prompt("The same again")?;
    if line()? == first { Ok(first) } else { Err(PasswordError::Differ) }
}

fn line() -> Result<String, PasswordError> {
    let mut text = String::new();
    io::stdin().lock().take(LONGEST as u64 + 3).read_line(&mut text)?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    match text.len() {
        0 => Err(PasswordError::Empty),
        1..=LONGEST => Ok(text.to_owned()),
        _ => Err(PasswordError::Long),
    }
}
