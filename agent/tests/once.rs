//! `once` and `check` with one probe of each kind, as on a bench where nothing is connected yet: a page, a program and a process are there, all else
//! is refused or silent. What a person reads, what a script reads, and that no secret is in either. How long it took is not looked at, only that
//! it ends.

use rackside_agent::probe::config::KINDS;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// Nothing here waits longer than the longest `timeout` of a probe, two minutes; a busy machine may take a while more.
const PATIENCE: Duration = Duration::from_mins(5);
/// Of those who do answer: a busy machine is no fault of theirs.
const PATIENT: &str = "timeout = \"2m\"";
/// In every password, token and key.
const SECRET: &str = "hunter2";

/// The bench: nothing that it has goes away before the test ends.
struct Bench {
    dir: tempfile::TempDir,
    /// Nobody listens there, and nobody else can: it is the near end of a connection.
    closed: TcpStream,
    /// Takes connections and says nothing.
    mute: TcpListener,
    /// Takes datagrams and says nothing.
    silent: UdpSocket,
    page: SocketAddr,
    encoder: Process,
}

/// A process that ends with the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A page that says the same to everybody, until the test ends.
fn page() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let (mut request, mut chunk) = (Vec::new(), [0; 1024]);
            while !request.ends_with(b"\r\n\r\n") {
                match stream.read(&mut chunk) {
                    Ok(0) | Err(_) => break,
                    Ok(length) => request.extend_from_slice(&chunk[..length]),
                }
            }
            let _ =
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nlive\n");
        }
    });
    address
}

impl Bench {
    fn new() -> Self {
        let mute = TcpListener::bind("127.0.0.1:0").expect("a port");
        let closed = TcpStream::connect(mute.local_addr().expect("bound")).expect("it listens");
        let _ = mute.accept().expect("that connection");
        let silent = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let encoder = Process(Command::new("cat").stdin(Stdio::piped()).spawn().expect("cat is there"));
        Self { dir: tempfile::tempdir().expect("a directory"), closed, mute, silent, page: page(), encoder }
    }

    /// A file that is this user's alone, as secrets have to be.
    fn file(&self, name: &str, text: &str) -> String {
        let path = self.dir.path().join(name);
        fs::write(&path, text).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("it is ours");
        path.display().to_string()
    }

    /// The keys of a probe of that kind, but for its name.
    fn keys(&self, kind: &str) -> String {
        let closed = self.closed.local_addr().expect("connected");
        let silent = self.silent.local_addr().expect("bound");
        let page = self.page;
        let secret = |key: &str| {
            let file = self.file(&format!("{kind}-{key}"), &format!("{SECRET}-of-the-{kind}"));
            format!("{key} = {{ file = \"{file}\" }}")
        };
        match kind {
            "ping" => "target = \"127.0.0.1\"\ntimeout = \"2s\"".to_owned(),
            "dns" => format!("server = \"{silent}\"\nquery = \"hub.example\"\ntimeout = \"2s\""),
            "ntp" => format!("server = \"{silent}\"\ntimeout = \"2s\""),
            "portal" => format!("urls = [\"http://{closed}/generate_204\"]"),
            "tcp" | "tls" => format!("target = \"{closed}\""),
            "http" => {
                format!("url = \"http://{page}/\"\ncontains = \"live\"\n{PATIENT}\n{}", secret("token"))
            }
            "mediamtx" => format!("url = \"http://{closed}\"\nuser = \"rackside\"\n{}", secret("password")),
            "icecast" | "vmix" => {
                format!("url = \"http://{closed}\"\nuser = \"admin\"\n{}", secret("password"))
            }
            "azuracast" => format!("url = \"http://{closed}\"\nstation = \"hall\"\n{}", secret("api_key")),
            "vimeo" => format!("url = \"http://{closed}\"\nevent = 1234567\n{}", secret("token")),
            "web_presenter" => format!("url = \"http://{closed}\"\ntext_port = {}", closed.port()),
            "helo" => format!("url = \"http://{closed}\"\n{}", secret("password")),
            "obs" => format!("address = \"{closed}\"\n{}", secret("password")),
            "throughput" => format!("url = \"http://{closed}/100MB.bin\""),
            "hls" => format!("url = \"http://{closed}/live/{SECRET}-in-the-address.m3u8\""),
            "rtmp" | "stream" => format!("url = \"rtmp://{closed}/live/{{key}}\"\n{}", secret("key")),
            "rtsp" => format!(
                "url = \"rtsp://{closed}/hall/{{key}}\"\n{}\nuser = \"viewer\"\n{}",
                secret("key"),
                secret("password")
            ),
            "srt" => format!("url = \"srt://{silent}\"\ntimeout = \"2s\""),
            "process" => {
                format!(
                    "pid_file = \"{}\"\n{PATIENT}",
                    self.file("encoder.pid", &self.encoder.0.id().to_string())
                )
            }
            "ffmpeg" => format!("file = \"{}\"", self.dir.path().join("progress").display()),
            "exec" => {
                format!("run = [\"/bin/sh\", \"-c\", \"echo 'charge_ratio 0.5'\", \"{SECRET}\"]\n{PATIENT}")
            }
            kind => panic!("there is no probe of the kind {kind} here; write one"),
        }
    }

    /// One probe of each kind by the name `a-KIND`, and one whose target takes connections and says nothing.
    fn config(&self) -> String {
        let mute = self.mute.local_addr().expect("bound");
        let password = self.file("mqtt", &format!("{SECRET}-of-mqtt"));
        let head = format!(
            "site = \"arena-north\"\nappliance = \"rack-1\"\nprobes.ping = []\n\
             [mqtt]\naddress = \"hub\"\nuser = \"me\"\npassword = {{ file = \"{password}\" }}\n\
             [[probe.http]]\nname = \"mute\"\nurl = \"http://{mute}/\"\ntimeout = \"2s\"\n"
        );
        let probe = |name| format!("[[probe.{name}]]\nname = \"a-{name}\"\n{}\n", self.keys(name));
        let text = KINDS.iter().fold(head, |text, kind| text + &probe(kind.name));
        self.file("agent.toml", &text)
    }
}

/// Runs the agent until it ends, if it does.
fn agent(arguments: &[&str], path: Option<&Path>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rackside-agent"));
    if let Some(path) = path {
        command.env("PATH", path);
    }
    let command = command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().expect("the agent starts");
    let (pid, (sender, ended)) = (child.id(), mpsc::channel());
    std::thread::spawn(move || sender.send(child.wait_with_output()));
    ended.recv_timeout(PATIENCE).map_or_else(
        |_| {
            let _ = Command::new("kill").args(["-9", &pid.to_string()]).status();
            panic!("{arguments:?} hangs")
        },
        |output| output.expect("it ends"),
    )
}

/// Standard output of an agent that ended well, and nowhere a secret.
fn said(output: &Output) -> String {
    let [out, err] =
        [&output.stdout, &output.stderr].map(|bytes| String::from_utf8(bytes.clone()).expect("text"));
    assert_eq!(output.status.code(), Some(0), "{out}\n{err}");
    for text in [&out, &err] {
        assert!(!text.contains(SECRET), "a secret is shown:\n{text}");
    }
    out
}

/// What is to be found of a kind: nobody is there, but for what the bench has.
fn states(kind: &str) -> &'static [&'static str] {
    match kind {
        "http" | "process" | "exec" => &["up"],
        // Whether this process may ping is the machine's business.
        "ping" => &["up", "unknown"],
        "dns" | "ntp" | "tcp" | "tls" | "rtmp" | "srt" | "throughput" => &["down"],
        // A page that cannot be reached says nothing of the stream; without ffmpeg nobody can say.
        _ => &["down", "unknown"],
    }
}

#[test]
fn once_shows_a_probe_of_each_kind_to_people() {
    let bench = Bench::new();
    let table = said(&agent(&["once", "--config", &bench.config()], None));
    for kind in KINDS {
        let name = kind.name;
        let begin = format!("a-{name} ({name} ");
        let mut lines = table.lines().filter(|line| line.starts_with("probe ") && line.contains(&begin));
        let (Some(line), None) = (lines.next(), lines.next()) else {
            panic!("not one line of {name}:\n{table}")
        };
        let (_, rest) = line.split_once("): ").unwrap_or_else(|| panic!("{line}"));
        // Who is up says how long it took, all others say why.
        let (state, more) = match rest.split_once(", ") {
            Some(("up", took)) => ("up", took),
            _ => rest.split_once(": ").unwrap_or_else(|| panic!("without a reason: {line}")),
        };
        assert!(states(name).contains(&state) && !more.is_empty(), "{line}");
        let series = format!("rackside_probe_success{{probe=\"a-{name}\",type=\"{name}\"}}");
        let row =
            table.lines().find(|line| line.contains(&series)).unwrap_or_else(|| panic!("{series}\n{table}"));
        let shown = row.split_whitespace().last();
        assert_eq!(
            shown,
            Some(match state {
                "up" => "1",
                "down" => "0",
                _ => "unknown",
            }),
            "{row}"
        );
    }
    assert!(table.contains("mute (http "), "{table}");
    assert!(table.contains("rackside_exec_charge_ratio{probe=\"a-exec\"}"), "{table}");
}

#[test]
fn once_tells_a_script_the_same() {
    let bench = Bench::new();
    let text = said(&agent(&["once", "--json", "--config", &bench.config()], None));
    let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let list = |key: &str| json[key].as_array().cloned().expect("a list");
    let (probes, series) = (list("probes"), list("series"));
    assert_eq!(probes.len(), KINDS.len() + 1);
    for kind in KINDS {
        let name = format!("a-{}", kind.name);
        let probe = probes.iter().find(|probe| probe["name"] == *name).expect("every kind");
        let state = probe["state"].as_str().expect("it was run");
        assert!(probe["type"] == kind.name && states(kind.name).contains(&state), "{probe}");
        assert_eq!(probe["why"].is_string(), state != "up", "{probe}");
        let is_it = |one: &&serde_json::Value| {
            one["name"] == "rackside_probe_success" && one["labels"]["probe"] == *name
        };
        let value = &series.iter().find(is_it).expect("its series")["value"];
        let expected = match state {
            "up" => Some(1.0),
            "down" => Some(0.0),
            _ => None,
        };
        assert_eq!(value.as_f64(), expected, "{probe}");
    }
    let mute = probes.iter().find(|probe| probe["name"] == "mute").expect("the mute one");
    assert_eq!(mute["state"], "down", "who is silent is down in time");
}

#[test]
fn check_names_every_probe_and_what_this_machine_lacks_for_it() {
    let bench = Bench::new();
    let (config, nothing) = (bench.config(), tempfile::tempdir().expect("a directory"));
    let text = said(&agent(&["check", "--config", &config], Some(nothing.path())));
    for kind in KINDS {
        let name = kind.name;
        assert!(text.contains(&format!("probe    a-{name} ({name} ")), "{name} in\n{text}");
    }
    for program in ["ffprobe", "ffmpeg"] {
        let warning = format!("warning  probe a-stream needs {program}, which is not installed\n");
        assert!(text.contains(&warning), "{warning} in\n{text}");
    }
    let table = said(&agent(&["once", "--config", &config], Some(nothing.path())));
    let line = table.lines().find(|line| line.contains("a-stream (stream ")).expect("its line");
    assert!(line.ends_with("unknown: ffprobe is not on this machine; install it"), "{line}");
}
