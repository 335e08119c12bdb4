//! `rackside-hub` as a program: its commands, what it prints, how it ends.

#[path = "program/access.rs"]
mod access;
mod client;
#[path = "program/join.rs"]
mod join;
mod rack;
#[path = "program/reach.rs"]
mod reach;
mod running;
#[path = "program/walk.rs"]
mod walk;

use running::{FREE, Running, file, hub, said};
use std::io::{Read, Write};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

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
    assert!(
        out.contains("/rackside-data/history.db: ") && out.contains("every sample is kept 30d, "),
        "{out}"
    );
    let nowhere = directory.path().join("nowhere.toml");
    std::fs::write(&nowhere, "data = \"/proc/version/data\"\n").expect("written");
    let (ok, _, err) = said(&hub(&["check", "--config"]).arg(&nowhere).output().expect("it runs"));
    let expected = "rackside-hub: data: /proc/version is not a directory; name one in `data`\n";
    assert!(!ok && err == expected, "{err}");
    let config = file(&directory, "[mqtt]\naddress = \"broker\"\n[mqtt.tls]\nca = \"/nowhere.pem\"\n");
    let (ok, _, err) = said(&hub(&["check", "--config", &config]).output().expect("it runs"));
    assert!(!ok && err.contains("/nowhere.pem"), "{err}");
}

/// A file of the repository, as seen from the hub's directory.
fn ours(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// What `rackside-hub rules …` says of files.
fn rules(word: &str, files: &[&Path]) -> (bool, String, String) {
    said(&hub(&["rules", word]).args(files).output().expect("it runs"))
}

#[test]
fn check_counts_the_rules_and_tells_every_fault_in_them() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let checked = |rules: &str| {
        let config = file(&directory, &format!("{FREE}{rules}"));
        said(&hub(&["check", "--config", &config]).output().expect("it runs"))
    };
    let (ok, out, err) = checked("");
    let count = out.lines().find_map(|line| line.strip_suffix(" rules in 5 files")?.parse::<usize>().ok());
    assert!(ok && err.is_empty() && count.is_some_and(|count| count > 50), "{out}{err}");
    let own = ours("alerting/tests/good/same_rule_twice.yml").display().to_string();
    let (ok, out, err) = checked(&format!("[rules]\ndefaults = false\nfiles = [{own:?}]\n"));
    assert!(ok && out.contains("\n2 rules in 1 file\n"), "{out}{err}");
    let (ok, out, err) = checked("[rules]\ndefaults = false\n");
    assert!(ok && out.contains("\nno rules are evaluated\n"), "{out}{err}");
    let many = ours("alerting/tests/bad/many.yml").display().to_string();
    let (ok, out, err) = checked(&format!("[rules]\nfiles = [{many:?}, \"/nowhere.yml\", {own:?}]\n"));
    let lines: Vec<&str> = err.lines().collect();
    assert!(!ok && out.is_empty() && lines.len() == 9, "{out}{err}");
    assert!(lines[0].starts_with("rules: /nowhere.yml is not there; "), "{err}");
    assert!(lines[1].starts_with(&format!("{many}:5: group \"a\", alert \"A\": expr: ")), "{err}");
    assert_eq!(
        lines[8],
        "rackside-hub: 8 faults in what [rules] names; the hub would run without these files: mend them, or take them out of `files`"
    );
}

#[test]
fn rules_check_tells_good_files_on_stdout_and_faults_on_stderr() {
    let (good, bad) = (ours("alerting/tests/good/all_keys.yml"), ours("alerting/tests/bad/many.yml"));
    let (ok, out, err) = rules("check", &[&good]);
    assert!(ok && err.is_empty(), "{err}");
    assert_eq!(out, format!("{}: 2 rules in 1 group are good\n", good.display()));
    let (ok, with_bad, err) = rules("check", &[&good, &bad]);
    assert_eq!((ok, with_bad), (false, out));
    let expected = std::fs::read_to_string(bad.with_extension("txt")).expect("it is there");
    let place = format!("{}:", bad.display());
    let mut expected: Vec<_> = expected.lines().map(|line| line.replacen("many.yml:", &place, 1)).collect();
    expected.push("rackside-hub: 1 of 2 files is not good".to_owned());
    assert_eq!(err.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn rules_test_tells_success_on_stdout_and_what_came_instead_on_stderr() {
    let good = ours("rules/tests/devices_minute_test.yml");
    let (ok, out, err) = rules("test", &[&good]);
    assert!(ok && err.is_empty(), "{err}");
    let checks = out.strip_prefix(&format!("{}: SUCCESS, ", good.display()));
    let checks = checks.and_then(|rest| rest.strip_suffix(" checks\n")?.parse::<usize>().ok());
    assert!(checks.is_some_and(|checks| checks > 0), "{out}");
    let bad = ours("alerting/tests/unit_test/files/extra_alert.yml");
    let (ok, with_bad, err) = rules("test", &[&bad, &good]);
    assert_eq!((ok, with_bad), (false, out));
    assert!(err.starts_with(&format!("{}: FAILED\n", bad.display())), "{err}");
    assert!(err.ends_with("\nrackside-hub: 1 of 2 files is no success\n"), "{err}");
    let (ok, out, err) = rules("test", &[&bad]);
    assert!(!ok && out.is_empty() && err.ends_with("\nrackside-hub: the file is no success\n"), "{err}");
}

#[test]
fn the_rules_that_come_with_the_hub_are_written_and_take_its_own_place() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let to = directory.path().join("etc/rules");
    let (ok, out, err) = rules("defaults", &[&to]);
    assert!(ok, "{err}");
    assert_eq!(out.lines().filter(|line| line.ends_with(".yml: written")).count(), 5, "{out}");
    for name in ["box", "devices", "hub", "network", "streams"] {
        let read = |path: PathBuf| std::fs::read_to_string(path).expect("it is there");
        let name = format!("{name}.yml");
        assert_eq!(read(to.join(&name)), read(ours("rules").join(&name)), "{name}");
    }
    // What it says to write is what a hub takes.
    let said_so = &out[out.find("[rules]\n").expect("what to write")..];
    let config = file(&directory, &format!("{FREE}{said_so}"));
    let (ok, checked, err) = said(&hub(&["check", "--config", &config]).output().expect("it runs"));
    assert!(ok && checked.contains(" rules in 5 files\n"), "{said_so}{checked}{err}");
}

#[test]
fn rules_that_were_changed_are_never_overwritten() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let to = directory.path();
    assert!(rules("defaults", &[to]).0);
    let (ok, out, err) = rules("defaults", &[to]);
    assert!(ok && out.matches(".yml: there already, as it comes with the hub\n").count() == 5, "{out}{err}");
    let (changed, gone) = (to.join("network.yml"), to.join("streams.yml"));
    std::fs::write(&changed, "groups: []\n").expect("written");
    std::fs::remove_file(&gone).expect("it is there");
    let (ok, out, err) = rules("defaults", &[to]);
    assert!(!ok && out.is_empty() && err.lines().count() == 1, "{out}{err}");
    let expected = format!("rackside-hub: {} is there and not as with this hub; ", changed.display());
    assert!(err.starts_with(&expected), "{err}");
    assert_eq!(std::fs::read_to_string(&changed).expect("it is there"), "groups: []\n");
    assert!(!gone.exists(), "nothing is written");
    let (ok, _, err) = rules("defaults", &[&changed]);
    assert!(!ok && err.lines().count() == 1 && err.contains("network.yml"), "{err}");
}

#[test]
fn without_a_history_there_is_nothing_to_copy_or_save() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let config = file(&directory, FREE);
    let copies = directory.path().join("copies");
    let backup = ["backup", copies.to_str().expect("text"), "--config", &config];
    for words in [&backup[..], &["salvage", "--config", &config]] {
        let (ok, out, err) = said(&hub(words).output().expect("it runs"));
        assert!(!ok && out.is_empty() && err.lines().count() == 1, "{words:?}: {err}");
        assert!(err.contains("data/history.db"), "{err}");
    }
    assert!(!copies.exists());
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
    assert!(line.contains("hub.toml:3: unknown key `adress`"), "{line}");
}

#[test]
fn a_changed_file_is_noticed_without_a_signal() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let running = Running::start(&file(&directory, FREE));
    file(&directory, &format!("prefix = \"other\"\n{FREE}"));
    running.expect("everything else waits for a restart");
}

/// What the listener at `address` answers to a login: the code of its CONNACK, 0 for welcome.
fn login(address: &str, name: &str, password: &str) -> u8 {
    let text = |text: &str| [&[0, text.len() as u8], text.as_bytes()].concat();
    let rest = [b"\0\x04MQTT\x04\xc2\0\x3c", &text("probe")[..], &text(name), &text(password)].concat();
    let mut stream = std::net::TcpStream::connect(address).expect("it listens");
    stream.write_all(&[&[0x10, rest.len() as u8], &rest[..]].concat()).expect("it reads");
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).expect("a CONNACK");
    answer[3]
}

/// The line that `hash-password` prints for a password on stdin, or what it says instead.
fn hashed(name: &str, stdin: &str) -> Result<String, String> {
    let mut child = hub(&["hash-password", name])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    child.stdin.take().expect("piped").write_all(stdin.as_bytes()).expect("it reads");
    let (ok, out, err) = said(&child.wait_with_output().expect("it ends"));
    if ok { Ok(out) } else { Err(err) }
}

#[test]
fn users_change_while_the_hub_runs_and_a_bad_file_keeps_them() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let users = directory.path().join("users");
    let write = |text: &str| std::fs::write(&users, text).expect("it can be written");
    let rack = hashed("rack", "correct horse\nignored\n").expect("a line");
    assert!(rack.starts_with("rack:pbkdf2-sha256$") && rack.lines().count() == 1, "{rack}");
    write(&rack);
    let with_users = format!("[listener]\nusers = {:?}\naddress", users.to_str().expect("text"));
    let config = FREE.replace("[listener]\naddress", &with_users);
    let config = file(&directory, &config);
    let running = Running::start(&config);
    let address = running.agents.clone();
    assert_eq!((login(&address, "rack", "correct horse"), login(&address, "panel", "x")), (0, 4));
    write(&format!("{rack}{}", hashed("panel", "x").expect("a line")));
    running.expect("users read again: 2");
    assert_eq!(login(&address, "panel", "x"), 0);
    write("rack:hunter2\n");
    let line = running.expect("the users stay as they were");
    assert!(line.contains("users:1: not a password hash of ours") && !line.contains("hunter2"), "{line}");
    assert_eq!(login(&address, "panel", "x"), 0);
    write(&rack);
    running.signal(rustix::process::Signal::HUP);
    running.expect("users read again: 1");
    assert_eq!((login(&address, "panel", "x"), login(&address, "rack", "correct horse")), (4, 0));
}

#[test]
fn a_password_that_cannot_be_is_refused_in_one_line() {
    assert_eq!(
        hashed("rack", ""),
        Err("rackside-hub: the password is empty; type it, or give it as the first line of stdin\n".into())
    );
    let long = hashed("rack", &"x".repeat(70_000)).expect_err("too long");
    assert!(long.contains("more than 65535 bytes") && long.lines().count() == 1, "{long}");
}

/// Runs `hash-password` on a terminal, types these lines, and returns what it printed and what the terminal showed.
fn typed(lines: [&str; 2]) -> (Output, String) {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let desk = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&desk).and_then(|()| unlockpt(&desk)).expect("it is ours");
    let name = ptsname(&desk, Vec::new()).expect("it has a name");
    let end = std::fs::File::options()
        .read(true)
        .write(true)
        .open(name.to_str().expect("text"))
        .expect("it can be opened");
    let mut child = hub(&["hash-password", "rack"])
        .stdin(end.try_clone().expect("a descriptor"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut desk = std::fs::File::from(desk);
    let mut prompts = child.stderr.take().expect("piped");
    for line in lines {
        // Typed when it is asked for: before that, the terminal still shows what is typed.
        let mut prompt = Vec::new();
        while !prompt.ends_with(b": ") {
            let mut byte = [0];
            prompts.read_exact(&mut byte).expect("a prompt");
            prompt.extend(byte);
        }
        desk.write_all(format!("{line}\n").as_bytes()).expect("typed");
    }
    let mut said = Vec::new();
    prompts.read_to_end(&mut said).expect("the rest");
    let output = child.wait_with_output().expect("it ends");
    // Still open here, so that what was shown is not lost with it.
    let mut shown = [0; 1024];
    let count = desk.read(&mut shown).expect("what it showed");
    drop(end);
    (Output { stderr: said, ..output }, String::from_utf8_lossy(&shown[..count]).into_owned())
}

#[test]
fn a_terminal_does_not_show_the_password_and_asks_for_it_twice() {
    let (output, shown) = typed(["correct horse", "correct horse"]);
    let (ok, out, err) = said(&output);
    assert!(ok && out.starts_with("rack:pbkdf2-sha256$"), "{out}{err}");
    assert!(!shown.contains("horse"), "{shown:?}");
    let (ok, out, err) = said(&typed(["correct horse", "correct house"]).0);
    assert!(!ok && out.is_empty() && err.contains("two different passwords"), "{out}{err}");
}

/// The next lines that a hub tells systemd.
fn told(systemd: &UnixDatagram) -> String {
    let mut buffer = [0; 4096];
    let len = systemd.recv(&mut buffer).expect("it is told something within 30 s");
    String::from_utf8_lossy(&buffer[..len]).into_owned()
}

#[test]
fn systemd_is_told_of_the_start_a_reload_and_the_stop_and_is_given_signs_of_life() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("notify");
    let systemd = UnixDatagram::bind(&path).expect("a socket");
    systemd.set_read_timeout(Some(std::time::Duration::from_secs(30))).expect("a socket");
    let variables = [("NOTIFY_SOCKET", path.to_str().expect("text")), ("WATCHDOG_USEC", "1000000")];
    let config = file(&directory, FREE);
    let mut running = Running::start_with(&config, &variables);
    let first = told(&systemd);
    assert!(first.starts_with("READY=1\nSTATUS=") && first.ends_with("WATCHDOG=1\n"), "{first}");
    assert_eq!((told(&systemd), told(&systemd)), ("WATCHDOG=1\n".into(), "WATCHDOG=1\n".into()));
    running.signal(rustix::process::Signal::HUP);
    while !told(&systemd).starts_with("RELOADING=1\nMONOTONIC_USEC=") {}
    let ready = std::iter::repeat_with(|| told(&systemd)).find(|told| told != "WATCHDOG=1\n");
    assert_eq!(ready.as_deref(), Some("READY=1\n"));
    running.signal(rustix::process::Signal::STOP);
    std::thread::sleep(std::time::Duration::from_millis(100));
    systemd.set_nonblocking(true).expect("a socket");
    while systemd.recv(&mut [0; 4096]).is_ok() {}
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert!(systemd.recv(&mut [0; 4096]).is_err(), "a hub that hangs is not alive");
    systemd.set_nonblocking(false).expect("a socket");
    running.signal(rustix::process::Signal::CONT);
    while told(&systemd) != "WATCHDOG=1\n" {}
    running.signal(rustix::process::Signal::TERM);
    while told(&systemd) != "STOPPING=1\n" {}
    assert!(running.ended().is_some_and(|status| status.success()));
}

#[test]
fn both_signals_stop_it_with_code_0() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let config = file(&directory, FREE);
    for signal in [rustix::process::Signal::TERM, rustix::process::Signal::INT] {
        let mut running = Running::start(&config);
        running.signal(signal);
        running.expect("stopping");
        assert!(running.ended().is_some_and(|status| status.success()), "not within 5 s: {signal:?}");
    }
}
