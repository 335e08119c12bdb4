//! The command line from the outside: what is printed where, and the exit codes. 0 is well, 1 failed, 2 misuse.

use rackside_agent::spool::place;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn agent(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rackside-agent")).args(arguments).output().expect("the agent starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

/// Fails with this code, one line on standard error and nothing on standard output.
fn fails(arguments: &[&str], code: i32) -> String {
    let output = agent(arguments);
    let error = text(&output.stderr);
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(code), ""), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    error
}

fn write(dir: &Path, more: &str) -> String {
    let file = dir.join("agent.toml");
    let name = "site = \"arena-north\"\nappliance = \"rack-1\"\n";
    // The pings that every agent has would go out into the world.
    let text = format!("{name}probes.ping = []\n[mqtt]\naddress = \"hub\"\n{more}");
    std::fs::write(&file, text).expect("written");
    file.display().to_string()
}

#[test]
fn the_version_is_one_line() {
    let output = agent(&["--version"]);
    assert!(output.status.success());
    assert_eq!(text(&output.stdout), format!("rackside-agent {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn misuse_is_one_line_and_code_2() {
    let error = fails(&["fly"], 2);
    assert_eq!(
        error,
        "rackside-agent: there is no command \"fly\"; there are run, check, status, once, dark and join; see rackside-agent --help\n"
    );
    for command in ["run", "check"] {
        let error = fails(&[command, "--config", "/nowhere/agent.toml"], 2);
        let why = "cannot be read: No such file or directory (os error 2)";
        assert_eq!(error, format!("rackside-agent: /nowhere/agent.toml: {why}\n"));
    }
}

#[test]
fn without_any_file_it_says_where_to_put_one() {
    let [usual, boot, older] =
        ["/etc/rackside/agent.toml", "/boot/firmware/rackside.toml", "/boot/rackside.toml"];
    if let Some(found) = [usual, boot, older].iter().find(|path| Path::new(path).exists()) {
        println!("this machine has a {found}: nothing to see here");
        return;
    }
    for command in ["run", "check"] {
        let error = fails(&[command], 2);
        let advice = "write one as agent.example.toml shows, name another with --config, or join a hub: rackside-agent join URL CODE";
        assert_eq!(error, format!("rackside-agent: there is no {usual} and no {boot}; {advice}\n"));
    }
}

#[test]
fn a_bad_file_is_one_line_and_code_2() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = write(dir.path(), "adress = \"x\"\n");
    for command in ["run", "check", "once"] {
        let error = fails(&[command, "--config", &file], 2);
        assert!(
            error.starts_with(&format!("rackside-agent: {file}:6: unknown key `adress` in [mqtt]")),
            "{error}"
        );
    }
}

#[test]
fn run_does_not_start_without_its_secret_or_its_authority() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = write(dir.path(), "user = \"me\"\npassword = { file = \"/nowhere/secret\" }\n");
    let error = fails(&["run", "--config", &file], 2);
    assert!(error.contains("/nowhere/secret: cannot be read"), "{error}");
    let file = write(dir.path(), "tls = { ca = \"/nowhere/ca.pem\" }\n");
    let error = fails(&["run", "--config", &file], 1);
    assert!(error.contains("cannot read certificates from /nowhere/ca.pem"), "{error}");
}

#[test]
fn check_says_what_would_run_and_what_is_missing() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let good = agent(&["check", "--config", &write(dir.path(), "")]);
    let said = text(&good.stdout);
    assert!(good.status.success(), "{said}");
    for line in [
        "agent    arena-north/rack-1, a reading every 10s",
        "broker   hub:1883 without TLS",
        "sensor   load: 3",
    ] {
        assert!(said.contains(line), "{line} in\n{said}");
    }
    let secret = "user = \"me\"\npassword = { env = \"RACKSIDE_NO_SUCH_SECRET\" }\n";
    let missing = agent(&["check", "--config", &write(dir.path(), secret)]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(
        text(&missing.stdout).contains("missing  the password of user me: "),
        "{}",
        text(&missing.stdout)
    );
}

/// Whoever made the file can read it; if that was root, the service's user cannot.
#[test]
fn check_as_root_says_that_the_services_user_may_not_read_a_file_of_roots() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let secret = dir.path().join("secret");
    std::fs::write(&secret, "hunter2").expect("room for a secret");
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).expect("a file of ours");
    let by_root = std::fs::metadata(&secret).expect("it is there").uid() == 0;
    let login = format!("user = \"me\"\npassword = {{ file = \"{}\" }}\n", secret.display());
    let checked = agent(&["check", "--config", &write(dir.path(), &login)]);
    let said = text(&checked.stdout);
    let warning = format!("warning  {}: only root may read this password; ", secret.display());
    assert_eq!(said.contains(&warning), by_root, "{said}");
    assert!(checked.status.success() && said.contains("login    user me, with a password"), "{said}");
}

#[test]
fn check_names_a_missing_ffmpeg_and_shows_no_key() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let probe = "[[probe.stream]]\nname = \"programme\"\nurl = \"rtmp://a.example/live/hunter2-hunter2\"\n\
                 ffprobe = \"sh\"\nffmpeg = \"/nowhere/ffmpeg\"\n";
    let checked = agent(&["check", "--config", &write(dir.path(), probe)]);
    let said = text(&checked.stdout);
    assert!(checked.status.success(), "it would start: {said}");
    let missing = "warning  probe programme needs /nowhere/ffmpeg, which is not installed\n";
    assert!(said.contains("probe    programme (stream rtmp://a.example/live/hun…(15:"), "{said}");
    assert!(said.contains(missing) && !said.contains("needs sh"), "{said}");
    assert!(!said.contains("hunter2-hunter2"), "{said}");
}

#[test]
fn check_and_once_say_where_records_would_go_and_make_nothing() {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    if let Err(unfit) = place::judge(target, Path::new("/proc"), place::Missing::Leave) {
        println!("{unfit}: nothing to see here");
        return;
    }
    let disk = tempfile::tempdir_in(target).expect("a directory");
    let on_disk = format!("up to 64 MiB in {}/spool/arena-north/rack-1", disk.path().display());
    // Nobody can write there, not even root.
    let nowhere = "in memory only: the disk of /proc is full: less than 1 MiB is left; make room".to_owned();
    for (directory, check, once) in [
        (disk.path(), format!("spool    1 MiB in memory, after 30s without the hub {on_disk}\n"), on_disk),
        (Path::new("/proc"), format!("spool    1 MiB {nowhere}\n"), nowhere),
    ] {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = write(dir.path(), &format!("[spool]\ndirectory = \"{}\"\n", directory.display()));
        let said = text(&agent(&["check", "--config", &file]).stdout);
        assert!(said.contains(&check), "{check} in\n{said}");
        let said = text(&agent(&["once", "--config", &file]).stdout);
        assert!(said.ends_with(&format!("spool        {once}\n")), "{once} in\n{said}");
        let json = agent(&["once", "--json", "--config", &file]);
        let value: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON");
        assert_eq!(value["spool"], once);
    }
    assert_eq!(std::fs::read_dir(disk.path()).expect("it is there").count(), 0);
}

#[test]
fn once_needs_no_configuration_and_speaks_json() {
    let table = agent(&["once"]);
    assert!(table.status.success());
    assert!(text(&table.stdout).contains("rackside_load1"), "{}", text(&table.stdout));
    let json = agent(&["once", "--json"]);
    let value: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON");
    let series = value["series"].as_array().expect("a list");
    let load = series.iter().find(|one| one["name"] == "rackside_load1").expect("every Linux has it");
    assert!(load["value"].as_f64().is_some_and(|load| load >= 0.0), "{load}");
}

#[test]
fn a_reader_that_has_had_enough_is_no_failure() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut agent = Command::new(env!("CARGO_BIN_EXE_rackside-agent"));
    let output = agent.arg("once").stdout(writer).stderr(Stdio::piped()).output();
    let output = output.expect("it starts");
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
}

#[test]
fn once_runs_each_probe_and_check_names_them() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let listens = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
    let open = listens.local_addr().expect("bound");
    let probe = |name: &str, target| format!("[[probe.tcp]]\nname = \"{name}\"\ntarget = \"{target}\"\n");
    let file = write(dir.path(), &[probe("encoder", open), probe("relay", closed)].concat());
    let output = agent(&["once", "--config", &file]);
    let table = text(&output.stdout);
    let line = |begin: &str| table.lines().find(|line| line.starts_with("probe ") && line.contains(begin));
    let up = line(&format!("encoder (tcp {open}): up, ")).unwrap_or_else(|| panic!("{table}"));
    assert!(up.ends_with(" ms"), "{up}");
    let down = line(&format!("relay (tcp {closed}): down: ")).unwrap_or_else(|| panic!("{table}"));
    assert!(down.contains("Connection refused"), "{down}");
    let series = |name: &str| format!("rackside_probe_success{{probe=\"{name}\",type=\"tcp\"}}");
    for (name, value) in [("encoder", "1"), ("relay", "0")] {
        let row =
            table.lines().find(|line| line.contains(&series(name))).unwrap_or_else(|| panic!("{table}"));
        assert!(row.ends_with(value), "{row}");
    }
    let output = agent(&["once", "--json", "--config", &file]);
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&said["probes"][0]["state"], &said["probes"][1]["state"]), (&"up".into(), &"down".into()));
    let output = agent(&["check", "--config", &file]);
    assert!(text(&output.stdout).contains(&format!("probe    relay (tcp {closed}), every 30s\n")));
}
