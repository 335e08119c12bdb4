//! Network namespaces of this test's own, with a cable between them that can be pulled.
//!
//! A test that wants them begins with [`enter`]: the test program runs itself once more, for this one test, in a fresh
//! namespace, where it may do to the network what it likes. Nothing outside is touched, and all of it is gone when the
//! test ends. As root this needs nothing; others need a kernel that lets users make namespaces.
//!
//! ```text
//! outer namespace: the test, the hub                inner namespace: the agent
//! 10.99.0.1/24 on `rack` ──────────── veth ──────────── 10.99.0.2/24 on `venue`
//! ```

use crate::clock;
use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// The near end's address; the far end is the next one.
pub const NEAR: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);

/// How long a process may take to get a namespace.
const SOON: Duration = Duration::from_secs(20);
const INSIDE: &str = "RACKSIDE_TEST_IN_NAMESPACE";

/// Whether this machine lets its user make them, and lay cables between them.
pub fn are_possible() -> bool {
    let mut unshare = unshare();
    let test = unshare.args(["--net", "sh", "-c", "ip link add rack type veth peer name venue"]);
    test.stdin(Stdio::null()).output().is_ok_and(|output| output.status.success())
}

/// As root in it, whoever we are outside.
fn unshare() -> Command {
    let mut unshare = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        unshare.arg("--map-root-user");
    }
    unshare
}

/// Whether the caller is inside and goes on. Outside, runs the test of this name inside, and fails if that fails.
pub fn enter(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        ip("link set lo up");
        return true;
    }
    let mut inside = unshare();
    inside
        .args(["--net", "--fork", "--kill-child"])
        .arg(std::env::current_exe().expect("this program has a path"));
    inside.args(["--exact", test, "--nocapture"]).env(INSIDE, "1").stdin(Stdio::null());
    let output = inside.output().expect("unshare, of Debian's package util-linux, runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "in a network namespace of its own, {test} failed:\n{said}{complaints}");
    assert!(said.contains("1 passed"), "no test is called {test}:\n{said}");
    false
}

/// Puts the default route on an interface of this name, which leads nowhere and is made if it is not there. Only inside.
pub fn uplink(interface: &str) {
    let known = Command::new("ip").args(["link", "show", interface]).output();
    if !known.is_ok_and(|output| output.status.success()) {
        ip(&format!("link add {interface} type veth peer name far-{interface}"));
        ip(&format!("link set far-{interface} up"));
        ip(&format!("link set {interface} up"));
    }
    ip(&format!("route replace default dev {interface}"));
}

/// A cable from this namespace to another one.
#[derive(Debug)]
pub struct Cable(());

impl Cable {
    /// A cable whose far end is loose. Only inside.
    pub fn new() -> Self {
        lay();
        Self(())
    }

    /// Another one in its place: a far end is gone with the namespace that it was plugged into, and the near end with it.
    pub fn renew(&self) {
        // The kernel takes its time with that; what is left is removed.
        let _ = Command::new("ip").args(["link", "delete", "rack"]).output();
        lay();
    }

    /// A script in `directory` that runs `program` in a namespace of its own, once the far end is plugged in there.
    pub fn wrap(&self, program: &Path, directory: &Path) -> PathBuf {
        let script = directory.join("in-its-own-namespace");
        let program = program.to_str().expect("a path of ours is text");
        let [a, b, c, d] = NEAR.octets();
        let far = Ipv4Addr::new(a, b, c, d + 1);
        let text = format!(
            "#!/bin/sh\nexec unshare --net sh -c '\nuntil ip link show venue >/dev/null 2>&1; do sleep 0.05; done\n\
             ip link set lo up; ip address add {far}/24 dev venue; ip link set venue up\n\
             exec \"$0\" \"$@\"' '{program}' \"$@\"\n"
        );
        fs::write(&script, text).expect("the directory can be written");
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("it is ours");
        script
    }

    /// Plugs it into the namespace of a process that runs the script of [`wrap`](Self::wrap), once it has one of its own.
    pub fn plug_when_ready(&self, process: u32) {
        // The script is in its namespace as soon as it waits for the cable; plugging before that would be into ours.
        let own = fs::read_link("/proc/self/ns/net").expect("a process has a namespace");
        let moved = || fs::read_link(format!("/proc/{process}/ns/net")).ok().filter(|its| *its != own);
        assert!(clock::eventually(SOON, moved).is_some(), "process {process} made no namespace");
        ip(&format!("link set venue netns {process}"));
    }

    /// A firewall: from the far end nothing gets in but to this port of TCP; what knocks elsewhere, or is open elsewhere, hears nothing.
    pub fn let_in_only(&self, port: u16) {
        // Before the kernel looks whether an address is its own, which it does first unless told otherwise.
        ip("rule add pref 100 lookup local");
        ip("rule delete pref 0");
        ip(&format!("rule add pref 10 iif rack ipproto tcp dport 1-{} blackhole", port - 1));
        // The kernel takes no 65535 in a range.
        ip(&format!("rule add pref 11 iif rack ipproto tcp dport {}-65534 blackhole", port + 1));
    }

    /// Pulls the near end: no packet passes any more, and nobody is told.
    pub fn pull(&self) {
        ip("link set rack down");
    }

    /// Puts it back.
    pub fn put_back(&self) {
        ip("link set rack up");
    }
}

impl Default for Cable {
    fn default() -> Self {
        Self::new()
    }
}

fn lay() {
    ip("link add rack type veth peer name venue");
    ip(&format!("address add {NEAR}/24 dev rack"));
    ip("link set rack up");
}

fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split(' ')).output();
    let output = output.expect("ip, of Debian's package iproute2, runs");
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}
