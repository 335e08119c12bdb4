//! Debian's Alertmanager on a port that the kernel chooses, and what is said to it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rackside_promql::Labels;
use serde_json::{Map, Value, json};

/// How long it may take to start.
const START: Duration = Duration::from_mins(1);

/// A running Alertmanager; it ends with this.
pub(crate) struct Alertmanager {
    child: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Alertmanager {
    pub(crate) fn start(config: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let file = folder.path().join("alertmanager.yml");
        std::fs::write(&file, config).expect("a file can be written");
        let mut child = Command::new("prometheus-alertmanager")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.path={}", folder.path().join("data").display()))
            .args(["--web.listen-address=127.0.0.1:0", "--cluster.listen-address="])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|why| {
                panic!(
                    "prometheus-alertmanager does not start: {why}; apt-get install prometheus-alertmanager"
                )
            });
        let stderr = child.stderr.take().expect("it was asked for");
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            // To the end, so that it never waits for a reader.
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let mut said = String::new();
        let address = loop {
            let Ok(line) = receiver.recv_timeout(START) else {
                panic!("it does not listen; it said:\n{said}")
            };
            let address = line.contains("Listening on").then(|| line.split("address=").nth(1)).flatten();
            if let Some(address) = address {
                break address.trim().parse().unwrap_or_else(|_| panic!("{line:?} has no address"));
            }
            said.push_str(&line);
            said.push('\n');
        };
        Self { child, address, _folder: folder }
    }

    pub(crate) fn fires(&self, labels: &Labels, ago: i64) {
        self.post(
            "/api/v2/alerts",
            &json!([{
                "labels": as_json(labels), "startsAt": moment(-ago), "endsAt": moment(3_600_000),
            }]),
        );
    }

    pub(crate) fn ends(&self, labels: &Labels) {
        self.post("/api/v2/alerts", &json!([{"labels": as_json(labels), "endsAt": moment(0)}]));
    }

    pub(crate) fn mute(&self, name: &str, length: i64) {
        let matchers = json!([{"name": "alertname", "value": name, "isRegex": false, "isEqual": true}]);
        self.post(
            "/api/v2/silences",
            &json!({
                "matchers": matchers, "startsAt": moment(0), "endsAt": moment(length),
                "createdBy": "desk", "comment": "work",
            }),
        );
    }

    fn post(&self, path: &str, body: &Value) {
        let body = body.to_string();
        let mut stream = TcpStream::connect(self.address).expect("it listens");
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nHost: alertmanager\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
        .expect("it takes a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        assert!(answer.starts_with("HTTP/1.1 200"), "{path} {body}: {answer}");
    }
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn as_json(labels: &Labels) -> Map<String, Value> {
    labels.iter().map(|label| (label.name.to_string(), Value::from(&*label.value))).collect()
}

/// So many milliseconds from now, as RFC 3339.
#[expect(clippy::disallowed_methods, reason = "Alertmanager goes by the real time")]
fn moment(from_now: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_millis();
    let at = i64::try_from(now).expect("it is before the year 292 million") + from_now;
    chrono::DateTime::from_timestamp_millis(at).expect("a date").to_rfc3339()
}
