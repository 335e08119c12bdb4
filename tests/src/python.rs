//! What the tests take from `PyPI`; `tests/python` fetches it, once, into the target directory.

use crate::programs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// Where it is.
#[derive(Debug, Clone)]
pub struct FromPython {
    /// Asks an HTTP API what its description promises.
    pub schemathesis: PathBuf,
    /// axe-core's `axe.min.js`, which looks at a page for what shuts people out.
    pub axe: PathBuf,
}

/// Fetched when first asked for; `tests/run` has done it before. Panics with the script's words when it cannot be had.
pub fn from_python() -> &'static FromPython {
    static FETCHED: OnceLock<FromPython> = OnceLock::new();
    FETCHED.get_or_init(|| {
        let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/python"));
        command.arg(programs::target_directory().join("python"));
        let output = command.output().unwrap_or_else(|error| panic!("cannot start tests/python: {error}"));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8_lossy(&output.stdout);
        let path = |name: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once(' '));
            lines.find(|(known, _)| *known == name).map(|(_, path)| PathBuf::from(path))
        };
        let told = "tests/python says where each of them is";
        FromPython { schemathesis: path("schemathesis").expect(told), axe: path("axe").expect(told) }
    })
}
