//! Real servers and publishers for the tests, each on free ports and ended when it goes out of scope, and a probe as the configuration has it.

use rackside_agent::config::Config;
use rackside_agent::probe::{Context, Outcome, Probe};
use rackside_proto::Value;
use rackside_proto::metric::Metric;
use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A directory that goes away.
pub(crate) fn directory() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary directory")
}

/// A TCP port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|free| free.local_addr()).expect("a port").port()
}

/// A UDP port that was free a moment ago.
pub(crate) fn free_udp_port() -> u16 {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|free| free.local_addr()).expect("a port").port()
}

/// A program that does not outlive its test: kill -9 when it goes out of scope.
pub(crate) struct Process(Child);

impl Process {
    /// Starts a tool, or says what brings it.
    pub(crate) fn start(tool: &str, brought_by: &str, arguments: &[&str]) -> Self {
        let folders = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin";
        let found = folders.split(':').map(|folder| Path::new(folder).join(tool)).find(|file| file.is_file());
        let file = found.unwrap_or_else(|| panic!("{tool} is needed for this test; {brought_by} brings it"));
        let mut command = Command::new(file);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().expect("it starts"))
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.0.try_wait().expect("a child").is_some()
    }

    /// Stops it without ending it: its connections stay open, and nothing comes.
    pub(crate) fn freeze(&self) {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args(["-STOP", &pid]).status().expect("kill starts").success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Tries until it is so.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "{what} does not come");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// nginx with its RTMP module: the applications `live` (with HLS) and `closed`, which nobody may play.
pub(crate) struct Nginx {
    _process: Process,
    directory: tempfile::TempDir,
    /// Of RTMP.
    pub(crate) port: u16,
    /// Of HTTP.
    pub(crate) http: u16,
}

impl Nginx {
    pub(crate) fn start() -> Self {
        let module = "/usr/lib/nginx/modules/ngx_rtmp_module.so";
        assert!(
            Path::new(module).exists(),
            "{module} is needed for this test; Debian's package libnginx-mod-rtmp brings it"
        );
        for _ in 0..5 {
            let (directory, port, http) = (directory(), free_port(), free_port());
            let file = directory.path().join("nginx.conf");
            let at = directory.path().display();
            // Its workers keep the user that may read the directory.
            let user = if fs::metadata("/proc/self")
                .is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
            {
                "user root;"
            } else {
                ""
            };
            let text = format!(
                "load_module {module};\n{user}\ndaemon off; master_process off; pid {at}/nginx.pid; error_log {at}/error.log info;\n\
                 events {{ worker_connections 128; }}\n\
                 rtmp {{ access_log {at}/rtmp.log; server {{ listen 127.0.0.1:{port}; chunk_size 4096;\n\
                 application live {{ live on; hls on; hls_path {at}/hls; hls_fragment 1s; hls_playlist_length 5s; }}\n\
                 application closed {{ live on; deny publish all; deny play all; }} }} }}\n\
                 http {{ access_log {at}/access.log; client_body_temp_path {at}/tmp; proxy_temp_path {at}/tmp;\n\
                 fastcgi_temp_path {at}/tmp; uwsgi_temp_path {at}/tmp; scgi_temp_path {at}/tmp;\n\
                 types {{ application/vnd.apple.mpegurl m3u8; video/mp2t ts; }}\n\
                 server {{ listen 127.0.0.1:{http}; location /hls {{ alias {at}/hls; }} }} }}\n"
            );
            fs::write(&file, text).expect("written");
            let (at, file) = (directory.path().display().to_string(), file.display().to_string());
            let mut process =
                Process::start("nginx", "Debian's package nginx-light", &["-p", &at, "-c", &file]);
            let mut is_up = false;
            until("nginx", || {
                is_up = listens(port) && listens(http);
                is_up || process.has_ended()
            });
            if is_up {
                return Self { _process: process, directory, port, http };
            }
        }
        panic!("nginx does not start");
    }

    pub(crate) fn url(&self, stream: &str) -> String {
        format!("rtmp://127.0.0.1:{}/live/{stream}", self.port)
    }

    /// Waits until somebody publishes `stream`: its HLS playlist is there.
    pub(crate) fn publishes(&self, stream: &str) {
        let playlist = self.directory.path().join(format!("hls/{stream}.m3u8"));
        until("the stream", || playlist.exists());
    }
}

/// Whether something listens on a TCP port.
pub(crate) fn listens(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// MediaMTX with one open path for everything and a user for `guarded`.
pub(crate) struct MediaMtx {
    _process: Process,
    _directory: tempfile::TempDir,
    /// Of RTSP.
    pub(crate) port: u16,
    /// Of SRT.
    pub(crate) srt: u16,
}

impl MediaMtx {
    pub(crate) fn start() -> Self {
        for _ in 0..5 {
            let (directory, port, srt) = (directory(), free_port(), free_udp_port());
            let file = directory.path().join("mediamtx.yml");
            let text = format!(
                "logLevel: warn\nrtmp: no\nhls: no\nwebrtc: no\napi: no\nmoq: no\n\
                 srt: yes\nsrtAddress: 127.0.0.1:{srt}\n\
                 rtsp: yes\nrtspAddress: 127.0.0.1:{port}\nrtspTransports: [tcp]\nrtspAuthMethods: [basic, digest]\n\
                 authInternalUsers:\n\
                 - user: any\n  pass:\n  permissions:\n  - action: publish\n  - action: read\n    path: hall\n\
                 - user: viewer\n  pass: hunter2\n  permissions:\n  - action: read\n\
                 paths:\n  all_others:\n"
            );
            fs::write(&file, text).expect("written");
            let brought_by = "tests/run builds it; its binary belongs on PATH";
            let mut process = Process::start("mediamtx", brought_by, &[&file.display().to_string()]);
            let mut is_up = false;
            until("MediaMTX", || {
                is_up = listens(port);
                is_up || process.has_ended()
            });
            if is_up {
                return Self { _process: process, _directory: directory, port, srt };
            }
        }
        panic!("MediaMTX does not start");
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("rtsp://127.0.0.1:{}/{path}", self.port)
    }
}

/// What a publisher sends.
pub(crate) struct Content {
    pub(crate) picture: &'static str,
    pub(crate) sound: &'static str,
    pub(crate) bitrate: &'static str,
}

/// A moving picture and a tone at full tilt.
pub(crate) const GOOD: Content = Content {
    picture: "testsrc2=size=320x180:rate=25",
    sound: "sine=frequency=440:sample_rate=48000",
    bitrate: "400k",
};

/// Sends to a server until it goes out of scope.
pub(crate) fn publish(content: &Content, format: &str, url: &str) -> Process {
    let Content { picture, sound, bitrate } = content;
    let mut arguments =
        vec!["-v", "error", "-nostdin", "-re", "-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound];
    arguments.extend([
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-tune",
        "zerolatency",
        "-g",
        "25",
        "-pix_fmt",
        "yuv420p",
    ]);
    arguments.extend([
        "-b:v", bitrate, "-minrate", bitrate, "-maxrate", bitrate, "-bufsize", bitrate, "-nal-hrd", "cbr",
    ]);
    arguments.extend(["-c:a", "aac", "-b:a", "64k"]);
    if format == "rtsp" {
        arguments.extend(["-rtsp_transport", "tcp"]);
    }
    arguments.extend(["-f", format, url]);
    Process::start("ffmpeg", "Debian's package ffmpeg", &arguments)
}

/// A probe of `kind`; `keys` is what the configuration has for it besides a name.
pub(crate) struct Asked {
    probe: Box<dyn Probe>,
    pub(crate) context: Context,
}

impl Asked {
    pub(crate) fn new(kind: &str, keys: &str) -> Self {
        let text = format!(
            "site = \"arena-north\"\nappliance = \"rack-1\"\n[mqtt]\naddress = \"hub\"\n[[probe.{kind}]]\nname = \"x\"\n{keys}\n"
        );
        let config = Config::parse(&text, "agent.toml").unwrap_or_else(|error| panic!("{error} in\n{text}"));
        let planned = config.probes.probes.first().expect("there is one");
        let context = Context { within: Duration::from_secs(5), ..Context::default() };
        Self { probe: planned.settings.open(), context }
    }

    /// One run, in less than a minute; its outcome holds no secret of this test's.
    pub(crate) fn run(&mut self) -> Outcome {
        let outcome = self.run_for(PATIENCE);
        assert!(!format!("{outcome:?}").contains("hunter2"), "a secret in {outcome:?}");
        outcome
    }

    /// One run that its time ends.
    pub(crate) fn run_for(&mut self, time: Duration) -> Outcome {
        let late = async {
            smol::Timer::after(time).await;
            None
        };
        let run = smol::block_on(smol::future::or(async { Some(self.probe.run(&self.context).await) }, late));
        run.unwrap_or_else(|| self.probe.late("too late".to_owned()))
    }
}

/// One run of a fresh probe.
pub(crate) fn ask(kind: &str, keys: &str) -> Outcome {
    Asked::new(kind, keys).run()
}

/// A series' value in its unit; nothing when it is unknown or not there.
pub(crate) fn value(outcome: &Outcome, metric: &'static Metric) -> Option<f64> {
    let sample = outcome.samples.iter().find(|sample| std::ptr::eq(sample.metric, metric))?;
    match sample.value {
        Value::Known(number) => Some(sample.scale.value(number)),
        _ => None,
    }
}

/// A server that says this to everybody and then does nothing more; its connections stay open.
pub(crate) fn says(bytes: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.write_all(&bytes);
            open.push(stream);
        }
    });
    address
}

/// A secret in a file that only its owner may read, as the configuration names it.
pub(crate) fn secret(directory: &Path, text: &str) -> String {
    let file: PathBuf = directory.join("secret");
    fs::write(&file, text).expect("written");
    fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("set");
    format!("{{ file = \"{}\" }}", file.display())
}
