//! The programs as they are shipped, and how large they are.

use crate::Effort;
use rackside_tests::{measure, programs};
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// The agent's builds: a name, the target, and what the target needs to link.
pub(crate) const TARGETS: [(&str, &str); 3] = [
    ("x86-64 glibc", "x86_64-unknown-linux-gnu"),
    ("x86-64 static", "x86_64-unknown-linux-musl"),
    ("aarch64 static", "aarch64-unknown-linux-musl"),
];

/// The hub, in the release profile; built when first asked for, so that one run measures one program.
pub(crate) fn hub() -> Result<PathBuf, String> {
    static HUB: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    HUB.get_or_init(|| build("rackside-hub", "release", None)).clone()
}

/// The agent, in the appliance profile.
pub(crate) fn agent(target: &str) -> Result<PathBuf, String> {
    build("rackside-agent", "appliance", Some(target))
}

/// Whether a program for that target runs here.
pub(crate) fn runs_here(target: &str) -> bool {
    target.starts_with(std::env::consts::ARCH)
}

fn build(package: &str, profile: &str, target: Option<&str>) -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let directory = own.ancestors().nth(2).ok_or("this program is in no target directory")?.to_owned();
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into()));
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).args([
        "build",
        "--quiet",
        "--package",
        package,
    ]);
    command.args(["--profile", profile, "--target-dir"]).arg(&directory);
    if let Some(target) = target {
        command.args(["--target", target]);
    }
    programs::without_cargos(&mut command);
    let output = command.output().map_err(|error| format!("cannot start cargo: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
        return Err(format!("{package} does not build for {}: {last}", target.unwrap_or("this machine")));
    }
    Ok(directory.join(target.unwrap_or_default()).join(profile).join(package))
}

pub(crate) fn sizes(_: Effort) -> Result<(), String> {
    println!("hub    {:<16} {:>9} bytes", "release", measure::size(&hub()?));
    for (name, target) in TARGETS {
        match agent(target) {
            Ok(path) => println!("agent  {name:<16} {:>9} bytes", measure::size(&path)),
            // A target or its linker may be missing; the others count all the same.
            Err(error) => println!("agent  {name:<16} not built: {error}"),
        }
    }
    Ok(())
}
