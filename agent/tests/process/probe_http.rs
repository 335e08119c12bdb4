//! Pages, certificates and HLS streams of real servers: nginx, and ffmpeg behind it.

use crate::panel::Listing;
use crate::support::{Agent, Broker, PATIENCE, Process, Subscriber, tool};
use rackside_proto::metric::{
    HLS_LATENCY, HLS_RESTARTS, HTTP_BODY, HTTP_STATUS, STREAM_UP, THROUGHPUT_RECEIVE, TLS_NOT_AFTER,
};
use rackside_proto::{Date, Value};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::fmt::Write as _;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// nginx with a directory of pages, plain and behind as many certificates as there are.
struct Nginx {
    _process: Process,
    plain: u16,
    secure: Vec<u16>,
}

impl Nginx {
    /// Serves `dir/www`; each of `certificates` is the name of a pair of files in `dir`.
    fn start(dir: &Path, certificates: &[&str]) -> Self {
        for _ in 0..5 {
            // nginx cannot be asked which ports it took, so some that were free a moment ago are named.
            let free: Vec<TcpListener> =
                (0..=certificates.len()).map(|_| TcpListener::bind("127.0.0.1:0").expect("a port")).collect();
            let mut ports: Vec<u16> =
                free.iter().map(|free| free.local_addr().expect("bound").port()).collect();
            drop(free);
            let plain = ports.remove(0);
            fs::write(dir.join("nginx.conf"), configuration(dir, plain, &ports, certificates))
                .expect("written");
            if let Some(process) = Self::launch(dir, plain) {
                return Self { _process: process, plain, secure: ports };
            }
        }
        panic!("nginx does not start; see {}", dir.join("nginx.log").display());
    }

    fn launch(dir: &Path, port: u16) -> Option<Process> {
        let mut command = tool("nginx", "nginx");
        command.arg("-p").arg(dir).arg("-c").arg(dir.join("nginx.conf")).arg("-e").arg(dir.join("nginx.log"));
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("nginx starts");
        let mut process = Process(child);
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end && process.0.try_wait().expect("a child").is_none() {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some(process);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        None
    }
}

fn configuration(dir: &Path, plain: u16, secure: &[u16], certificates: &[&str]) -> String {
    let dir = dir.display();
    let mut text = format!(
        "daemon off;\nmaster_process off;\npid nginx.pid;\nevents {{}}\nhttp {{\n\
         access_log off; root {dir}/www; types {{ application/vnd.apple.mpegurl m3u8; }}\n\
         client_body_temp_path {dir}/t1; proxy_temp_path {dir}/t2; fastcgi_temp_path {dir}/t3;\n\
         uwsgi_temp_path {dir}/t4; scgi_temp_path {dir}/t5;\n\
         server {{ listen 127.0.0.1:{plain}; location /old {{ return 301 /page.html; }} }}\n"
    );
    for (port, name) in secure.iter().zip(certificates) {
        writeln!(
            text,
            "server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {dir}/{name}.pem; ssl_certificate_key {dir}/{name}.key; }}"
        )
        .expect("a String has room");
    }
    text.push_str("}\n");
    text
}

/// The day that is so many days from now: year, month, day.
fn day(from_now: i64) -> (i32, u8, u8) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as u64;
    let Date { year, month, day } = Date::of_ms(now.saturating_add_signed(from_now * 86_400_000));
    (year as i32, month as u8, day as u8)
}

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("an authority"))
    }

    /// Leaves `dir/FILE.pem` and `dir/FILE.key`, valid between these days from now.
    fn sign(&self, dir: &Path, file: &str, name: &str, days: (i64, i64)) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        let date = |(year, month, day)| rcgen::date_time_ymd(year, month, day);
        (params.not_before, params.not_after) = (date(day(days.0)), date(day(days.1)));
        let key = KeyPair::generate().expect("a key");
        let leaf = params.signed_by(&key, &self.0).expect("a certificate");
        fs::write(dir.join(format!("{file}.pem")), leaf.pem() + &self.0.pem()).expect("written");
        fs::write(dir.join(format!("{file}.key")), key.serialize_pem()).expect("written");
    }
}

#[test]
fn pages_and_certificates_of_nginx_are_told_apart() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary directory");
    let at = dir.path();
    fs::create_dir(at.join("www")).expect("made");
    fs::write(at.join("www/page.html"), "<html>on the air</html>").expect("written");
    fs::write(at.join("www/health.json"), r#"{"streams":[{"state":"live"}]}"#).expect("written");
    fs::write(at.join("www/large.bin"), "x".repeat(3_000_000)).expect("written");
    let (ours, strangers) = (Authority::new(), Authority::new());
    fs::write(at.join("ca.pem"), ours.0.pem()).expect("written");
    let names = ["good", "expiring", "expired", "early", "other", "stranger"];
    for (name, host, days) in [
        ("good", "localhost", (-10, 900)),
        ("expiring", "localhost", (-87, 3)),
        ("expired", "localhost", (-90, -3)),
        ("early", "localhost", (20, 900)),
        ("other", "mixer.example", (-10, 900)),
    ] {
        ours.sign(at, name, host, days);
    }
    strangers.sign(at, "stranger", "localhost", (-10, 900));
    let nginx = Nginx::start(at, &names);
    let ca = at.join("ca.pem").display().to_string();
    let plain = format!("http://127.0.0.1:{}", nginx.plain);
    let mut probes = String::new();
    for (name, keys) in [
        ("page", format!("url = \"{plain}/old\"\ncontains = \"on the air\"\n")),
        (
            "field",
            format!(
                "url = \"{plain}/health.json\"\njson = {{ field = \"streams.0.state\", equals = \"idle\" }}\n"
            ),
        ),
        ("missing", format!("url = \"{plain}/none\"\n")),
        ("secure", format!("url = \"https://localhost:{}/page.html\"\nca = \"{ca}\"\n", nginx.secure[0])),
        ("over", format!("url = \"https://localhost:{}/page.html\"\nca = \"{ca}\"\n", nginx.secure[2])),
    ] {
        writeln!(probes, "[[probe.http]]\nname = \"{name}\"\nevery = \"1s\"\n{keys}")
            .expect("a String has room");
    }
    for (name, port) in names.iter().zip(&nginx.secure) {
        let keys = format!("target = \"localhost:{port}\"\nca = \"{ca}\"");
        writeln!(probes, "[[probe.tls]]\nname = \"{name}\"\nevery = \"1s\"\n{keys}")
            .expect("a String has room");
    }
    writeln!(probes, "[[probe.throughput]]\nname = \"line\"\nevery = \"1s\"\nurl = \"{plain}/large.bin\"")
        .expect("a String has room");
    let broker = Broker::open(at);
    let hub = Subscriber::start(&broker).ready(&broker);
    let agent = Agent::start(at, broker.port, "clock = \"trust\"\n", &probes);
    let believe = "the certificate of localhost is not to be believed: ";
    let (year, month, day_of) = day(-3);
    agent.logs_each(&[
        "its field streams.0.state is \"live\" instead of \"idle\"",
        "it answers 404",
        "probe over (http https://localhost:",
        "): down: the certificate of localhost has expired",
        &format!("{believe}it expired on {year:04}-{month:02}-{day_of:02}, "),
        &format!("{believe}it is not valid before "),
        &format!("{believe}it is not for localhost"),
        &format!("{believe}it is signed by \"rcgen self signed cert\", and that not by an authority in {ca}"),
    ]);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs() as i64;
    let mut listing = Listing::default();
    let mut read = |metric, probe| {
        hub.wait(probe, |seen| listing.read(seen, metric, Some(probe)).and_then(Value::known))
    };
    assert_eq!(read(&HTTP_STATUS, "page"), 200, "after a redirect");
    assert_eq!(read(&HTTP_BODY, "page"), 23);
    assert_eq!(read(&HTTP_STATUS, "secure"), 200);
    assert_eq!(read(&HTTP_STATUS, "missing"), 404);
    let days = (read(&TLS_NOT_AFTER, "expiring") - now) / 86_400;
    assert!((2..=3).contains(&days), "{days} days left");
    let days = (now - read(&TLS_NOT_AFTER, "over")) / 86_400;
    assert!((2..=3).contains(&days), "{days} days ago, told by a page that was never asked for");
    assert!(read(&THROUGHPUT_RECEIVE, "line") > 1000, "kbit/s on loopback");
}

/// ffmpeg that makes a stream of one-second segments.
struct Encoder(Process);

impl Encoder {
    fn start(dir: &Path) -> Self {
        let mut command = tool("ffmpeg", "ffmpeg");
        command.args([
            "-loglevel",
            "error",
            "-nostdin",
            "-re",
            "-f",
            "lavfi",
            "-i",
            "testsrc=size=160x90:rate=10",
        ]);
        command.args(["-c:v", "libx264", "-preset", "ultrafast", "-g", "10", "-f", "hls", "-hls_time", "1"]);
        command.args(["-hls_list_size", "4", "-hls_flags", "delete_segments+program_date_time"]);
        let child = command.arg(dir.join("www/stream-key.m3u8")).spawn().expect("ffmpeg starts");
        Self(Process(child))
    }

    fn signal(&self, signal: &str) {
        let pid = self.0.0.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().expect("kill starts").success());
    }
}

#[test]
fn a_stream_of_ffmpeg_is_followed_through_its_faults() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary directory");
    let at = dir.path();
    fs::create_dir(at.join("www")).expect("made");
    let nginx = Nginx::start(at, &[]);
    let broker = Broker::open(at);
    let hub = Subscriber::start(&broker).ready(&broker);
    let encoder = Encoder::start(at);
    while !at.join("www/stream-key.m3u8").exists() {
        std::thread::sleep(Duration::from_millis(100));
    }
    let probe = format!(
        "[[probe.hls]]\nname = \"player\"\nstream = \"main\"\nevery = \"1s\"\nurl = \"http://127.0.0.1:{}/stream-key.m3u8\"\n",
        nginx.plain
    );
    let agent = Agent::start(at, broker.port, "clock = \"trust\"\n", &probe);
    let mut listing = Listing::default();
    hub.wait("a stream that is up", |seen| {
        (listing.read(seen, &STREAM_UP, Some("player")) == Some(Value::Known(1))).then_some(())
    });
    let latency = hub
        .wait("its latency", |seen| listing.read(seen, &HLS_LATENCY, Some("player")).and_then(Value::known));
    assert!((0..2000).contains(&latency), "{latency} hundredths of a second");
    let turns = |listing: &mut Listing, up| {
        hub.wait("an event", |seen| {
            listing.sample(seen, &STREAM_UP, Some("player")).filter(|(value, _)| *value == Value::Known(up))
        })
    };
    encoder.signal("-STOP");
    turns(&mut listing, 0);
    let line = agent.logs("probe player (hls http://127.0.0.1:");
    assert!(
        line.contains("down: the playlist has not changed for 1") && !line.contains("stream-key"),
        "{line}"
    );
    encoder.signal("-CONT");
    turns(&mut listing, 1);
    encoder.signal("-TERM");
    turns(&mut listing, 0);
    agent.logs("down: the playlist says that the stream has ended");
    drop(encoder);
    let _again = Encoder::start(at);
    turns(&mut listing, 1);
    let restarts = hub.wait("the restart", |seen| {
        listing.read(seen, &HLS_RESTARTS, Some("player")).and_then(Value::known).filter(|count| *count > 0)
    });
    assert_eq!(restarts, 1);
    drop(nginx);
    turns(&mut listing, 0);
    agent.logs("Connection refused");
}
