//! `rackside-hub` as a program: its commands, what it prints, how it ends.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;
use tempfile::TempDir;

fn hub(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rackside-hub"));
    command.args(words).stdin(Stdio::null());
    command
}

fn said(output: &Output) -> (bool, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

fn file(directory: &TempDir, text: &str) -> String {
    let path = directory.path().join("hub.toml");
    std::fs::write(&path, text).expect("the directory can be written");
    path.to_str().expect("text").to_owned()
}

const FREE: &str = "[listener]\naddress = \"127.0.0.1:0\"\n[web]\naddress = \"127.0.0.1:0\"\n";

/// A hub that runs, and the lines that it logs.
struct Running {
    child: Child,
    lines: std::sync::mpsc::Receiver<String>,
}

impl Running {
    fn start(config: &str) -> Self {
        let mut child = hub(&["run", "--config", config]).stderr(Stdio::piped()).spawn().expect("it starts");
        let stderr = child.stderr.take().expect("piped");
        let (sender, lines) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let running = Self { child, lines };
        running.expect("page at http://127.0.0.1:");
        running
    }

    /// Waits for a line with this in it.
    fn expect(&self, part: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(Duration::from_secs(10));
            let line = line.unwrap_or_else(|_| panic!("no line with {part:?} within 10 s"));
            if line.contains(part) {
                return line;
            }
        }
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("it runs");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn version_and_help_go_to_stdout() {
    let (ok, out, _) = said(&hub(&["--version"]).output().expect("it runs"));
    assert!(ok && out == format!("rackside-hub {}\n", env!("CARGO_PKG_VERSION")));
    let (ok, out, _) = said(&hub(&["--help"]).output().expect("it runs"));
    assert!(ok && out.contains("rackside-hub run [--config FILE]"));
}

#[test]
fn a_mistake_is_one_line_on_stderr_and_a_code_that_is_not_0() {
    for words in
        [&["rum"][..], &["run", "--config", "/nowhere.toml"], &["check"], &["decode", "--topic", "noise"]]
    {
        let (ok, out, err) = said(&hub(words).output().expect("it runs"));
        assert!(!ok && out.is_empty(), "{words:?}");
        assert_eq!(err.lines().count(), 1, "{words:?}: {err}");
        assert!(err.starts_with("rackside-hub: "), "{err}");
    }
}

#[test]
fn check_says_what_would_run() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("etc/hub.example.toml");
    let (ok, out, err) = said(&hub(&["check", "--config"]).arg(&example).output().expect("it runs"));
    assert!(ok, "{err}");
    assert!(
        out.contains("own listener at 127.0.0.1:1883") && out.contains("http://127.0.0.1:8080/"),
        "{out}"
    );
    let config = file(&directory, "[mqtt]\naddress = \"broker\"\n[mqtt.tls]\nca = \"/nowhere.pem\"\n");
    let (ok, _, err) = said(&hub(&["check", "--config", &config]).output().expect("it runs"));
    assert!(!ok && err.contains("/nowhere.pem"), "{err}");
}

#[test]
fn decode_shows_a_body_from_stdin() {
    let mut child = hub(&["decode", "--topic", "rackside/1/a/b/verdict"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    child.stdin.take().expect("piped").write_all(&[1, 3, 2, 90]).expect("it reads");
    let (ok, out, _) = said(&child.wait_with_output().expect("it ends"));
    let shown: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert!(ok);
    assert_eq!(shown, serde_json::json!({ "firing": 2, "severity": "critical", "valid_s": 90 }));
}

#[test]
fn sighup_takes_the_log_level_and_a_bad_file_keeps_everything() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let config = file(&directory, FREE);
    let running = Running::start(&config);
    file(&directory, &format!("{FREE}[log]\nlevel = \"debug\"\n"));
    running.signal(rustix::process::Signal::HUP);
    running.expect("log level Debug");
    file(&directory, "[web]\nadress = 1\n");
    running.signal(rustix::process::Signal::HUP);
    let line = running.expect("stays as it was");
    assert!(line.contains("hub.toml:2: unknown key `adress`"), "{line}");
}

#[test]
fn a_changed_file_is_noticed_without_a_signal() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let running = Running::start(&file(&directory, FREE));
    file(&directory, &format!("prefix = \"other\"\n{FREE}"));
    running.expect("everything else waits for a restart");
}

#[test]
fn both_signals_stop_it_with_code_0() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let config = file(&directory, FREE);
    for signal in [rustix::process::Signal::TERM, rustix::process::Signal::INT] {
        let mut running = Running::start(&config);
        running.signal(signal);
        running.expect("stopping");
        let ended = (0..250).find_map(|_| {
            std::thread::sleep(Duration::from_millis(20));
            running.child.try_wait().expect("it is ours")
        });
        assert!(ended.is_some_and(|status| status.success()), "not within 5 s: {signal:?}");
    }
}
