//! `status`: what a running agent says of itself when it is asked, over a socket of its own.
//!
//! [`Door`] is the agent's end, [`ask`] that of whoever asks, [`table`] what people see of the answer. What the answer says is put
//! together by the agent's loop ([`app`](crate::app)), and described in `docs/operations.md`.
//!
//! The socket is `SITE.APPLIANCE.sock` in the directory that systemd made for the agent (`RUNTIME_DIRECTORY`, `/run/rackside`), else in
//! `$XDG_RUNTIME_DIR/rackside`; both are in memory, never on a card. Who may write to it may ask: its owner and its group (mode 0660),
//! which the packaged unit makes `gpio`. There is no question to send: whoever connects gets the answer, one JSON object, and the end.
//! Neither end can change anything by it.
//!
//! ```text
//! $ nc -U /run/rackside/arena-north.rack-1.sock
//! {"agent":"arena-north/rack-1","version":"0.1.0",...
//! ```

mod ask;
mod door;
pub mod table;

pub use ask::{AskError, ask};
pub use door::Door;

use rackside_proto::AgentName;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Where systemd puts the packaged agent's directory.
const USUAL: &str = "/run/rackside";

/// The socket of an agent in one of these directories. Neither part of a name has a dot in it.
fn socket(directory: &Path, agent: &AgentName) -> PathBuf {
    directory.join(format!("{}.{}.sock", agent.site, agent.appliance))
}

/// What the environment names, systemd's first.
fn directories(variable: impl Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    // Several are separated by colons (systemd.exec(5)); the first is the one.
    let first = |list: OsString| std::env::split_paths(&list).next();
    let by_systemd = variable("RUNTIME_DIRECTORY").and_then(first);
    let by_session = variable("XDG_RUNTIME_DIR").map(|directory| PathBuf::from(directory).join("rackside"));
    [by_systemd, by_session].into_iter().flatten().filter(|path| path.is_absolute()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_is_where_systemd_or_the_session_says() {
        let agent = AgentName::new("arena-north", "rack-1").expect("a good name");
        let of = |systemd: &'static str, session: &'static str| {
            directories(|name| {
                let value = if name == "RUNTIME_DIRECTORY" { systemd } else { session };
                (!value.is_empty()).then(|| value.into())
            })
        };
        assert_eq!(
            of("/run/a:/run/b", "/run/user/7"),
            [Path::new("/run/a"), Path::new("/run/user/7/rackside")]
        );
        assert_eq!(of("", "/run/user/7"), [Path::new("/run/user/7/rackside")]);
        assert_eq!(of("", ""), [""; 0].map(Path::new));
        assert_eq!(of("relative", ""), [""; 0].map(Path::new));
        assert_eq!(socket(Path::new("/run/a"), &agent), Path::new("/run/a/arena-north.rack-1.sock"));
    }

    #[test]
    fn the_longest_name_fits_into_a_sockets_address() {
        let long = "x".repeat(32);
        let agent = AgentName::new(&long, &long).expect("a good name");
        let path = socket(Path::new("/run/user/4294967295/rackside"), &agent);
        assert!(std::os::unix::net::SocketAddr::from_pathname(&path).is_ok(), "{}", path.display());
    }
}
