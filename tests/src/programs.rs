//! Where the programs are: ours, built once from this tree, and those of the system that tests stand beside.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Our two programs, built with the profile and in the target directory of whoever asks.
#[derive(Debug, Clone)]
pub struct Programs {
    /// `rackside-hub`.
    pub hub: PathBuf,
    /// `rackside-agent`.
    pub agent: PathBuf,
}

/// The programs of this tree, built when first asked for. Panics with cargo's words if they do not build.
pub fn programs() -> &'static Programs {
    static PROGRAMS: OnceLock<Programs> = OnceLock::new();
    PROGRAMS.get_or_init(|| Programs::build(true).unwrap_or_else(|error| panic!("{error}")))
}

/// A program for another machine as `cross/build` makes it, which is what packages hold: `agent-arm64`. Built when it is not up
/// to date, which takes minutes; `tests/run` has done it before. Panics with its words if it does not build.
pub fn crossed(name: &str) -> PathBuf {
    let target = target_directory();
    let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../cross/build"));
    command.arg(name).env("CARGO_TARGET_DIR", &target);
    without_cargos(&mut command);
    let output = command.output().unwrap_or_else(|error| panic!("cannot start cross/build: {error}"));
    assert!(output.status.success(), "cross/build {name}:\n{}", String::from_utf8_lossy(&output.stderr));
    let program = if name.starts_with("hub") { "rackside-hub" } else { "rackside-agent" };
    target.join("cross").join(name).join(program)
}

/// Takes away what cargo has set for the package of whoever asks: it would be passed on to build scripts as if it were their own, which would be run,
/// and all that hangs on them built, once more.
pub fn without_cargos(command: &mut Command) {
    let is_cargos =
        |name: &OsStr| name.to_string_lossy().starts_with("CARGO_PKG_") || name == "CARGO_MANIFEST_DIR";
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_cargos(name)) {
        command.env_remove(name);
    }
}

impl Programs {
    /// Builds both; `quiet` shows cargo's progress only when it fails.
    pub fn build(quiet: bool) -> Result<Self, String> {
        let directory = profile_directory()?;
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into()));
        command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).arg("build");
        command.args(["--package", "rackside-hub", "--package", "rackside-agent", "--bins"]);
        command.args(["--profile", profile(&directory)]);
        if let Some(target) = directory.parent() {
            command.arg("--target-dir").arg(target);
        }
        without_cargos(&mut command);
        if quiet {
            let output = command.output().map_err(|error| format!("cannot start cargo: {error}"))?;
            if !output.status.success() {
                return Err(format!(
                    "the programs do not build:\n{}",
                    String::from_utf8_lossy(&output.stderr)
                ));
            }
        } else if !command.status().map_err(|error| format!("cannot start cargo: {error}"))?.success() {
            return Err("the programs do not build".to_owned());
        }
        let program = |name: &str| {
            let path = directory.join(name);
            if path.is_file() { Ok(path) } else { Err(format!("cargo built no {}", path.display())) }
        };
        Ok(Self { hub: program("rackside-hub")?, agent: program("rackside-agent")? })
    }
}

/// The target directory that the tests were built in.
pub fn target_directory() -> PathBuf {
    let directory = profile_directory().unwrap_or_else(|error| panic!("{error}"));
    directory.parent().expect("a profile has its directory in the target directory").to_owned()
}

/// `target/debug` for `target/debug/demo` and for `target/debug/deps/broker-0123456789abcdef`.
fn profile_directory() -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(|error| format!("cannot find this program itself: {error}"))?;
    let directory = own.ancestors().skip(1).find(|path| !path.ends_with("deps"));
    directory.map(Path::to_owned).ok_or_else(|| format!("{} is in no target directory", own.display()))
}

/// Cargo's name of a profile, by its directory's name.
fn profile(directory: &Path) -> &str {
    match directory.file_name().and_then(|name| name.to_str()) {
        None | Some("debug") => "dev",
        Some(name) => name,
    }
}

/// A program of the system, also where PATH does not lead for ordinary users.
pub fn installed(name: &str) -> PathBuf {
    find(name).unwrap_or_else(|| panic!("{name} is not installed; ./tests/run installs what the tests need"))
}

/// The same for what one can do without.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories =
        std::env::split_paths(&path).chain(["/usr/sbin", "/usr/local/sbin", "/sbin"].map(PathBuf::from));
    directories.map(|directory| directory.join(name)).find(|path| path.is_file())
}

/// The library that shows a program another time, preloaded; Debian puts it into the directory of its architecture.
pub fn faketime() -> PathBuf {
    let directories = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let mut libraries = directories.map(|directory| directory.path().join("faketime/libfaketime.so.1"));
    let found = libraries.find(|library| library.is_file());
    found.expect("libfaketime is not installed; ./tests/run installs what the tests need")
}
