//! Debian's real Alertmanager takes what we send, holds it while it is told again, and forgets it when nobody tells it any more. Its webhook is
//! the witness.

mod world;

use rackside_notify::{AlertId, Entry, Message, Outgoing, Severity, State, Status};
use rackside_receivers::send::Limits;
use rackside_receivers::worker::{Couriers, Patience, Surroundings};
use rackside_receivers::{Hidden, HttpParcel, Method, Way};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use world::{OK, Server, client, limits, opened, post};

/// How long an alert stands there when it is not told again; time enough for a machine that is busy.
const STANDS: Duration = Duration::from_secs(9);

#[expect(clippy::disallowed_methods, reason = "Alertmanager goes by the system's clock")]
fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later").as_millis() as i64
}

/// A running Alertmanager; it ends with this.
struct Alertmanager {
    address: String,
    _child: Child,
    _folder: tempfile::TempDir,
}

impl Alertmanager {
    /// One that tells `witness` at once.
    async fn start(witness: &str) -> Self {
        let folder = tempfile::tempdir().expect("a directory");
        let file = folder.path().join("alertmanager.yml");
        let config = format!(
            "route: {{receiver: wh, group_by: [alertname], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}}\n\
             receivers: [{{name: wh, webhook_configs: [{{url: '{witness}', send_resolved: true}}]}}]\n"
        );
        std::fs::write(&file, config).expect("it is written");
        let mut child = Command::new("prometheus-alertmanager")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.path={}", folder.path().join("data").display()))
            .args(["--web.listen-address=127.0.0.1:0", "--cluster.listen-address="])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|why| {
                panic!(
                    "prometheus-alertmanager does not start: {why}; apt-get install prometheus-alertmanager"
                )
            });
        let mut lines = BufReader::new(child.stderr.take().expect("it is piped")).lines();
        let address = loop {
            let line = lines.next_line().await.expect("text").expect("it says where it listens");
            if let Some((_, address)) =
                line.split_once("Listening on").and_then(|(_, rest)| rest.split_once("address="))
            {
                break address.trim().to_owned();
            }
        };
        // To the end, so that it never waits for a reader.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { address, _child: child, _folder: folder }
    }

    /// The one alert that it has, if it has one.
    async fn alert(&self) -> Option<serde_json::Value> {
        let parcel = HttpParcel {
            method: Method::Get,
            url: Hidden::new(format!("http://{}/api/v2/alerts", self.address)),
            headers: Vec::new(),
            body: Vec::new(),
        };
        let reply = client(Limits::default()).send(&parcel).await.expect("it answers");
        let alerts: Vec<serde_json::Value> = serde_json::from_slice(&reply.body).expect("JSON");
        assert!(alerts.len() < 2, "{alerts:?}");
        alerts.into_iter().next()
    }
}

fn message(id: u64, since: i64, status: Status) -> Outgoing {
    let pair = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let over = status == Status::Resolved;
    let entry = Entry {
        id: AlertId(7),
        labels: [("alertname", "EncoderStopped"), ("site", "hall"), ("severity", "critical")]
            .map(pair)
            .into(),
        annotations: [("summary", "encoder stopped")].map(pair).into(),
        value: 1.0,
        state: if over { State::Resolved } else { State::Firing },
        starts_at: since,
        ends_at: over.then(now),
        severity: Severity::Critical,
        on_air: Some(true),
        acknowledged: None,
        flapping: false,
        query: "up == 0".to_owned(),
    };
    let message =
        Message { status, alerts: vec![entry], group_key: "all:{}".to_owned(), ..world::message(id) };
    Outgoing { receiver: "outer".into(), message }
}

#[tokio::test]
async fn an_alertmanager_holds_what_it_is_told_for_as_long_as_it_is_told() {
    let witness = Server::start(|_, _| OK).await;
    let outer = Alertmanager::start(&witness.url("/")).await;
    let said = |at: usize| {
        let told = witness.seen()[at].json();
        assert_eq!(told["alerts"][0]["labels"]["alertname"], "EncoderStopped", "{told}");
        told["status"].as_str().expect("text").to_owned()
    };
    let directory = tempfile::tempdir().expect("a directory");
    let outbox = opened(directory.path());
    let surroundings = Surroundings { clock: Box::new(now), charts: None, patience: Patience::default() };
    let couriers = Couriers::new(Arc::clone(&outbox), surroundings);
    let server = Hidden::new(format!("http://{}", outer.address));
    let way = Way::Alertmanager { server, authorization: None, stands: STANDS };
    couriers.set(vec![post(world::receiver("outer", way), limits())]).await;

    let since = now();
    outbox.commit(b"", &[message(1, since, Status::Firing)], since);
    witness.came(1).await;
    assert_eq!(said(0), "firing");
    let first = outer.alert().await.expect("it has it");
    assert_eq!(first["annotations"]["summary"], "encoder stopped", "{first}");
    // It would be over by now if it had not been told again.
    let until_moved = async {
        let mut told = 1;
        while now() < since + STANDS.as_millis() as i64 + 1_000 {
            tokio::time::sleep(Duration::from_secs(2)).await;
            told += 1;
            outbox.commit(b"", &[message(told, since, Status::Firing)], now());
        }
        while outer.alert().await.expect("it has it still")["endsAt"].as_str() <= first["endsAt"].as_str() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(world::PATIENTLY, until_moved).await.expect("it is told again");
    assert_eq!(witness.seen().len(), 1, "{:?}", witness.seen());

    outbox.commit(b"", &[message(20, since, Status::Resolved)], now());
    witness.came(2).await;
    assert_eq!(said(1), "resolved");

    let again = now();
    outbox.commit(b"", &[message(21, again, Status::Firing)], again);
    witness.came(3).await;
    assert_eq!(said(2), "firing");
    witness.came(4).await;
    assert_eq!(said(3), "resolved");
    assert!(now() - again >= STANDS.as_millis() as i64, "{} ms", now() - again);
    couriers.stop().await;
}
