//! What an emulated Pi boots from: Debian's kernel and device tree, and an archive with the first program, the agent that ships for arm64, and
//! what the test puts beside them. The emulated board's SD card.

use crate::cpio::Archive;
use rackside_tests::programs::{self, target_directory};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use tempfile::TempDir;

/// What a board of this model and make says of itself; the firmware writes it into the device tree, which QEMU does not.
pub(crate) const REVISION: &str = "a02082";

/// Where the agent is.
pub(crate) const AGENT: &str = "/bin/rackside-agent";

/// The parts that every card has, built and fetched once.
#[derive(Debug)]
struct Parts {
    /// The directory with the kernel, its device tree and its modules.
    kernel: PathBuf,
    init: PathBuf,
    agent: PathBuf,
}

/// A card.
#[derive(Debug)]
pub(crate) struct Card {
    directory: TempDir,
}

impl Card {
    /// A card with these files beside the programs: the path, the content. Only root may read them.
    pub(crate) fn new(files: &[(&str, Vec<u8>)]) -> Self {
        let parts = parts();
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut archive = Archive::default();
        let system = ["bin", "dev", "etc", "lib", "etc/rackside", "lib/modules"];
        // The boot partition, and what the package makes for the agent.
        let others = ["boot", "boot/firmware", "var", "var/lib", "var/lib/rackside"];
        for name in system.into_iter().chain(others) {
            archive.directory(name);
        }
        // What the kernel gives the first program to talk to.
        archive.device("dev/console", 5, 1);
        archive.file("init", 0o755, &read(&parts.init));
        archive.file(AGENT.trim_start_matches('/'), 0o755, &read(&parts.agent));
        for module in Self::modules() {
            let content = read(&parts.kernel.join("modules").join(format!("{module}.ko")));
            archive.file(&format!("lib/modules/{module}.ko"), 0o644, &content);
        }
        for (path, content) in files {
            archive.file(path.trim_start_matches('/'), 0o600, content);
        }
        let card = Self { directory };
        std::fs::write(card.archive(), archive.finish()).expect("there is room");
        std::fs::copy(parts.kernel.join("board.dtb"), card.tree()).expect("there is room");
        // Without the seed the kernel gives nobody random numbers for a second, and TLS waits.
        let seed: Vec<String> =
            std::iter::repeat_with(|| format!("{:x}", fastrand::u8(..))).take(32).collect();
        card.edit("bx", "/chosen", "rng-seed", &seed);
        card.edit("x", "/system", "linux,revision", &[REVISION.to_owned()]);
        card
    }

    /// The modules on the card, each after those that it needs.
    pub(crate) fn modules() -> Vec<String> {
        let order = read(&parts().kernel.join("modules/order"));
        String::from_utf8_lossy(&order).lines().map(str::to_owned).collect()
    }

    /// The release of its kernel.
    pub(crate) fn release() -> String {
        String::from_utf8_lossy(&read(&parts().kernel.join("release"))).trim().to_owned()
    }

    pub(crate) fn kernel() -> PathBuf {
        parts().kernel.join("vmlinuz")
    }

    /// The device tree.
    pub(crate) fn tree(&self) -> PathBuf {
        self.directory.path().join("board.dtb")
    }

    pub(crate) fn archive(&self) -> PathBuf {
        self.directory.path().join("initramfs.cpio")
    }

    /// Where else files of the board's may lie.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Writes a property into the device tree.
    fn edit(&self, kind: &str, node: &str, property: &str, values: &[String]) {
        let fdtput = programs::installed("fdtput");
        let mut command = Command::new(&fdtput);
        run(command.arg("-p").args(["-t", kind]).arg(self.tree()).args([node, property]).args(values));
    }
}

fn parts() -> &'static Parts {
    static PARTS: OnceLock<Parts> = OnceLock::new();
    PARTS.get_or_init(|| {
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        let target = target_directory();
        // The very program that is shipped. First, because it brings the target for which the other one is built, too.
        let agent = programs::crossed("agent-arm64");
        run(Command::new(root.join("tests/pi/kernel")).arg(target.join("pi")));
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into()));
        cargo.current_dir(root).args(["build", "--locked", "--package", "rackside-pi-init"]);
        cargo.args(["--profile", "appliance", "--target", "aarch64-unknown-linux-musl"]);
        run(cargo.arg("--target-dir").arg(target.join("pi/init")));
        Parts {
            kernel: target.join("pi/kernel"),
            init: target.join("pi/init/aarch64-unknown-linux-musl/appliance/rackside-pi-init"),
            agent,
        }
    })
}

/// Runs a program that has to succeed.
fn run(command: &mut Command) {
    programs::without_cargos(command);
    let output = command.output();
    let Output { status, stdout, stderr } = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{command:?} ended with {status}:\n{stdout}{stderr}");
}

fn read(file: &Path) -> Vec<u8> {
    std::fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}
