//! What the machine is, as the birth says it: read once, at start.

use crate::panel::Board;
use rackside_proto::{Revision, limits};
use std::path::Path;

/// What the machine is. Each text fits the wire.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Host {
    /// Its name: `rack-1`.
    pub hostname: String,
    /// What the board calls itself, or nothing.
    pub model: String,
    /// The revision code of a Raspberry Pi.
    pub revision: Option<Revision>,
    /// The system: `Debian GNU/Linux 12 (bookworm)`.
    pub os: String,
    /// The kernel's release: `6.1.0-50-arm64`.
    pub kernel: String,
    /// The processor's architecture: `aarch64`.
    pub arch: String,
    /// Whether the board has pins.
    pub gpio: bool,
}

impl Host {
    /// Asks the system. What it does not tell stays empty.
    pub fn read(root: &Path) -> Self {
        let uname = rustix::system::uname();
        let text = |text: &std::ffi::CStr| limits::fit(&text.to_string_lossy()).to_owned();
        let release = ["etc/os-release", "usr/lib/os-release"];
        let release = release.iter().find_map(|file| std::fs::read_to_string(root.join(file)).ok());
        let board = Board::recognise(root);
        Self {
            hostname: text(uname.nodename()),
            model: limits::fit(&board.model).to_owned(),
            revision: board.revision,
            os: release.and_then(|text| pretty_name(&text)).unwrap_or_default(),
            kernel: text(uname.release()),
            arch: text(uname.machine()),
            gpio: board.gpio,
        }
    }
}

/// The value of `PRETTY_NAME` in `os-release(5)`: `PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"`.
fn pretty_name(release: &str) -> Option<String> {
    let value = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?.trim();
    let bare = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
    Some(limits::fit(bare.unwrap_or(value)).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_name_stands_in_quotes_or_not() {
        let release = "NAME=\"Debian\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\n";
        assert_eq!(pretty_name(release).as_deref(), Some("Debian GNU/Linux 12 (bookworm)"));
        assert_eq!(pretty_name("PRETTY_NAME=Buildroot\n").as_deref(), Some("Buildroot"));
        assert_eq!(pretty_name("NAME=x\n"), None);
    }

    #[test]
    fn this_machine_has_a_kernel_and_an_architecture() {
        let host = Host::read(Path::new("/"));
        assert!(!host.kernel.is_empty() && !host.arch.is_empty(), "{host:?}");
    }
}
