//! Every kind that is reached over HTTP, through a real courier, to a server that records it: method, path, headers, body and picture of what comes, and
//! how each service's own answers are read. What the services say is from their documentation.
//!
//! Not here: how messages look in all states (`golden/`), and mail, MQTT and the real Alertmanager, which have tests of their own.
//!
//! ```text
//! discord   429 {"retry_after":0.65,…}, 204   two requests, 0.65 s apart at least, and it is delivered
//! ```

use crate::world::{NOW, Says, Seen, Server, Watch, limits, opened, post, receiver, until};
use crate::{directory, of};
use rackside_notify::{AlertId, Entry, Message, Outgoing, Severity, State};
use rackside_onair::Zone;
use rackside_receivers::chart::Chart;
use rackside_receivers::quantity::Unit;
use rackside_receivers::worker::{Charts, Couriers, Patience, Surroundings};
use rackside_receivers::{Hidden, Kind, Way};
use std::sync::Arc;
use std::time::Duration;

/// What becomes of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    Delivered,
    /// Refused with these words.
    Refused(&'static str),
    /// The same, and nothing more is sent there.
    Disabled(&'static str),
}
use Ends::{Delivered, Disabled, Refused};

/// An answer: status, header lines, body.
type Answer = (u16, &'static str, &'static str);

struct Row {
    way: fn(&str) -> Way,
    /// What the server says to each request.
    says: &'static [Answer],
    /// How each request begins, what header lines it has, and what stands in its body.
    asked: &'static [(&'static str, &'static [&'static str], &'static [&'static str])],
    ends: Ends,
    /// Between the first request and the second.
    apart: Duration,
}

const NOT: Duration = Duration::ZERO;
const JSON: &str = "content-type: application/json";
const FORM: &str = "content-type: multipart/form-data; boundary=";
/// How a picture begins, as far as it is text.
const PNG: &str = "PNG\r\n\u{1a}\n";

fn slack(server: &str) -> Way {
    Way::Slack { url: Hidden::new(format!("{server}/services/T0/B0/hunter2")) }
}

fn discord(server: &str) -> Way {
    Way::Discord { url: Hidden::new(format!("{server}/api/webhooks/1/hunter2?thread_id=7")) }
}

fn pagerduty(server: &str) -> Way {
    Way::PagerDuty { server: server.to_owned(), routing_key: Hidden::new("hunter2-routing") }
}

fn telegram(server: &str) -> Way {
    let (server, token) = (server.to_owned(), Hidden::new("1:hunter2"));
    Way::Telegram { server, token, chat_id: "-1001".to_owned(), thread: Some(5) }
}

fn ntfy(server: &str) -> Way {
    let authorization = Some(Hidden::new("Bearer hunter2"));
    Way::Ntfy { server: server.to_owned(), topic: Hidden::new("stage-hunter2"), authorization }
}

fn webhook(server: &str) -> Way {
    let url = Hidden::new(format!("{server}/hook?a=b"));
    Way::Webhook { url, key: Some(Hidden::new("hunter2")), authorization: Some(Hidden::new("Basic aDp2")) }
}

fn alertmanager(server: &str) -> Way {
    let server = Hidden::new(format!("{server}/am/"));
    Way::Alertmanager { server, authorization: None, stands: Duration::from_mins(5) }
}

const SLACK: &[&str] =
    &["\"text\":\"🔴 Critical: ", "\"type\":\"header\"", "\"type\":\"mrkdwn\"", "|Open the alert>"];
const DISCORD: &[&str] =
    &["\"username\":\"Rackside\"", "\"allowed_mentions\":{\"parse\":[]}", "\"embeds\":[{"];
const PAGERDUTY: &[&str] = &[
    "\"routing_key\":\"hunter2-routing\"",
    "\"event_action\":\"trigger\"",
    "\"dedup_key\":\"all:hall\"",
    "\"severity\":\"critical\"",
    "\"source\":\"hall\"",
    "\"timestamp\":\"2026-11-20T05:20:00Z\"",
    "\"client_url\":\"https://hub.example.org/alerts/0000000000000007\"",
];
const NTFY_FILE: &[&str] = &[
    "content-type: image/png",
    "authorization: bearer hunter2",
    "title: =?utf-8?b?",
    "message: =?utf-8?b?",
    "priority: 5",
    "filename: chart.png",
    "click: https://hub.example.org/alerts/0000000000000007",
];
const WEBHOOK: &[&str] = &["\"version\":\"4\"", "\"groupKey\":\"all:hall\"", "\"status\":\"firing\""];
const ALERTMANAGER: &[&str] = &[
    "\"labels\":{\"alertname\":\"SocHot\"",
    "\"startsAt\":\"2026-11-20T05:20:00Z\"",
    "\"endsAt\":\"2026-11-20T05:29:56Z\"",
];

const fn row(
    way: fn(&str) -> Way,
    says: &'static [Answer],
    asked: &'static [(&'static str, &'static [&'static str], &'static [&'static str])],
    ends: Ends,
    apart: Duration,
) -> Row {
    Row { way, says, asked, ends, apart }
}

const SLACK_ASKS: (&str, &[&str], &[&str]) = ("POST /services/T0/B0/hunter2 ", &[JSON], SLACK);
const DISCORD_FORM: (&str, &[&str], &[&str]) = (
    "POST /api/webhooks/1/hunter2?thread_id=7&wait=true ",
    &[FORM],
    &["name=\"payload_json\"", "\"allowed_mentions\":{\"parse\":[]}", "attachment://chart.png", PNG],
);
const DISCORD_WORDS: (&str, &[&str], &[&str]) =
    ("POST /api/webhooks/1/hunter2?thread_id=7&wait=true ", &[JSON], DISCORD);
const PAGERDUTY_ASKS: (&str, &[&str], &[&str]) = ("POST /v2/enqueue ", &[JSON], PAGERDUTY);
const TELEGRAM_PHOTO: (&str, &[&str], &[&str]) = (
    "POST /bot1:hunter2/sendPhoto ",
    &[FORM],
    &["name=\"chat_id\"", "-1001", "name=\"message_thread_id\"", "<b>🔴 Critical: ", "name=\"photo\"", PNG],
);
const TELEGRAM_WORDS: (&str, &[&str], &[&str]) = (
    "POST /bot1:hunter2/sendMessage ",
    &[JSON],
    &[
        "\"chat_id\":\"-1001\"",
        "\"parse_mode\":\"HTML\"",
        "\"message_thread_id\":5",
        "\"text\":\"<b>🔴 Critical: ",
    ],
);
const NTFY_PICTURE: (&str, &[&str], &[&str]) = ("PUT /stage-hunter2 ", NTFY_FILE, &[PNG]);
const NTFY_WORDS: (&str, &[&str], &[&str]) = (
    "POST / ",
    &[JSON, "authorization: bearer hunter2"],
    &[
        "\"topic\":\"stage-hunter2\"",
        "\"priority\":5",
        "\"tags\":[\"rotating_light\"]",
        "\"action\":\"view\"",
    ],
);
const WEBHOOK_ASKS: (&str, &[&str], &[&str]) = (
    "POST /hook?a=b ",
    &[
        JSON,
        "authorization: basic adp2",
        "x-timestamp: 1795152296",
        "x-signature-256: sha256=",
        "idempotency-key: ",
    ],
    WEBHOOK,
);
const ALERTMANAGER_ASKS: (&str, &[&str], &[&str]) = ("POST /am/api/v2/alerts ", &[JSON], ALERTMANAGER);

const ROWS: &[Row] = &[
    row(slack, &[(200, "Content-Type: text/plain\r\n", "ok")], &[SLACK_ASKS], Delivered, NOT),
    row(slack, &[(400, "", "invalid_payload")], &[SLACK_ASKS], Refused("400: invalid_payload"), NOT),
    row(
        slack,
        &[(429, "Retry-After: 2\r\n", "rate_limited"), (200, "", "ok")],
        &[SLACK_ASKS, SLACK_ASKS],
        Delivered,
        Duration::from_secs(2),
    ),
    row(
        slack,
        &[(404, "", "no_service")],
        &[SLACK_ASKS],
        Disabled("404: no_service (the webhook was removed at Slack; make a new one)"),
        NOT,
    ),
    row(slack, &[(500, "", "rollup_error"), (200, "", "ok")], &[SLACK_ASKS, SLACK_ASKS], Delivered, NOT),
    row(discord, &[(204, "", "")], &[DISCORD_FORM], Delivered, NOT),
    row(
        discord,
        &[
            (429, "", r#"{"message":"You are being rate limited.","retry_after":0.65,"global":false}"#),
            (200, "", r#"{"id":"1"}"#),
        ],
        &[DISCORD_FORM, DISCORD_FORM],
        Delivered,
        Duration::from_millis(650),
    ),
    row(
        discord,
        &[(413, "", r#"{"code":40005,"message":"Request entity too large"}"#), (204, "", "")],
        &[DISCORD_FORM, DISCORD_WORDS],
        Delivered,
        NOT,
    ),
    row(
        discord,
        &[(404, "", r#"{"message":"Unknown Webhook","code":10015}"#)],
        &[DISCORD_FORM],
        Disabled("404: Unknown Webhook (it was deleted at Discord; make a new one)"),
        NOT,
    ),
    row(
        pagerduty,
        &[(202, "", r#"{"status":"success","message":"Event processed","dedup_key":"all:hall"}"#)],
        &[PAGERDUTY_ASKS],
        Delivered,
        NOT,
    ),
    row(
        pagerduty,
        &[(
            400,
            "",
            r#"{"status":"invalid event","message":"Event object is invalid","errors":["'summary' is missing"]}"#,
        )],
        &[PAGERDUTY_ASKS],
        Refused("400: Event object is invalid 'summary' is missing"),
        NOT,
    ),
    row(
        pagerduty,
        &[(429, "", ""), (202, "", r#"{"status":"success"}"#)],
        &[PAGERDUTY_ASKS, PAGERDUTY_ASKS],
        Delivered,
        NOT,
    ),
    row(
        telegram,
        &[(200, "", r#"{"ok":true,"result":{"message_id":7}}"#)],
        &[TELEGRAM_PHOTO],
        Delivered,
        NOT,
    ),
    row(
        telegram,
        &[
            (
                429,
                "",
                r#"{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 2","parameters":{"retry_after":2}}"#,
            ),
            (200, "", r#"{"ok":true}"#),
        ],
        &[TELEGRAM_PHOTO, TELEGRAM_PHOTO],
        Delivered,
        Duration::from_secs(2),
    ),
    row(
        telegram,
        &[
            (400, "", r#"{"ok":false,"error_code":400,"description":"Bad Request: IMAGE_PROCESS_FAILED"}"#),
            (200, "", r#"{"ok":true}"#),
        ],
        &[TELEGRAM_PHOTO, TELEGRAM_WORDS],
        Delivered,
        NOT,
    ),
    row(
        telegram,
        &[(401, "", r#"{"ok":false,"error_code":401,"description":"Unauthorized"}"#)],
        &[TELEGRAM_PHOTO],
        Refused("401: Unauthorized"),
        NOT,
    ),
    row(ntfy, &[(200, "", r#"{"id":"x","event":"message"}"#)], &[NTFY_PICTURE], Delivered, NOT),
    row(
        ntfy,
        &[
            (400, "", r#"{"code":40014,"http":400,"error":"invalid request: attachments not allowed"}"#),
            (200, "", r#"{"id":"x"}"#),
        ],
        &[NTFY_PICTURE, NTFY_WORDS],
        Delivered,
        NOT,
    ),
    row(
        ntfy,
        &[(507, "", r#"{"code":50701,"http":507,"error":"cannot publish"}"#), (200, "", r#"{"id":"x"}"#)],
        &[NTFY_PICTURE, NTFY_PICTURE],
        Delivered,
        NOT,
    ),
    row(
        ntfy,
        &[(403, "", r#"{"code":40301,"http":403,"error":"forbidden"}"#)],
        &[NTFY_PICTURE],
        Refused("403: forbidden"),
        NOT,
    ),
    row(webhook, &[(204, "", "")], &[WEBHOOK_ASKS], Delivered, NOT),
    row(webhook, &[(410, "", "gone")], &[WEBHOOK_ASKS], Disabled("410: gone"), NOT),
    row(alertmanager, &[(200, "", "")], &[ALERTMANAGER_ASKS], Delivered, NOT),
    row(
        alertmanager,
        &[(400, "", "\"at least one label pair required\"")],
        &[ALERTMANAGER_ASKS],
        Refused("400: \"at least one label pair required\""),
        NOT,
    ),
];

/// An alert at a site, critical since five minutes before [`NOW`].
fn message() -> Message {
    let pair = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let labels =
        [("alertname", "SocHot"), ("site", "hall"), ("appliance", "rack-1"), ("severity", "critical")];
    let entry = Entry {
        id: AlertId(7),
        labels: labels.map(pair).into(),
        annotations: [("summary", "hall/rack-1: SoC at 84 °C")].map(pair).into(),
        value: 84.0,
        state: State::Firing,
        starts_at: NOW - 296_000,
        ends_at: None,
        severity: Severity::Critical,
        on_air: Some(true),
        acknowledged: None,
        flapping: false,
        query: String::new(),
    };
    Message { alerts: vec![entry], group_key: "all:hall".to_owned(), ..crate::world::message(7) }
}

fn chart(now: i64) -> Chart {
    let from = now - 3_600_000;
    let points = (0..60).map(|minute| (from + minute * 60_000, 60.0 + minute as f64 / 3.0)).collect();
    let (unit, zone) = (Unit::default(), Zone::UTC);
    Chart { points, from, until: now, step: 60_000, threshold: Some(80.0), unit, zone }
}

async fn holds(row: &'static Row) {
    let server = Server::start(|number, _| {
        let (status, headers, body) = row.says[number.min(row.says.len() - 1)];
        Says::Answer(status, headers, body)
    })
    .await;
    let (directory, watch) = (directory(), Watch::new());
    let outbox = opened(directory.path());
    let patience = Patience { first: Duration::from_millis(5), longest: Duration::from_millis(20) };
    let clock = Box::new(move || watch.now());
    let charts: Charts = Box::new(|_, now| Some(chart(now)));
    let surroundings = Surroundings { clock, charts: Some(charts), patience };
    let couriers = Couriers::new(Arc::clone(&outbox), surroundings);
    let way = (row.way)(&server.url(""));
    let name = format!("{} {:?}", way.kind().as_str(), row.says);
    couriers.set(vec![post(receiver("crew", way), limits())]).await;
    outbox.commit(b"", &[Outgoing { receiver: "crew".into(), message: message() }], NOW);
    let ended = || {
        let status = of(&couriers.status(), "crew");
        status.delivered + status.refused == 1
    };
    until(&name, ended).await;
    let status = of(&couriers.status(), "crew");
    let why = outbox.failures("crew").first().map(|failure| failure.why.clone());
    let (refused, disabled) = match row.ends {
        Delivered => (None, false),
        Refused(why) => (Some(why), false),
        Disabled(why) => (Some(why), true),
    };
    assert_eq!((why.as_deref(), status.disabled.is_some()), (refused, disabled), "{name}");
    let seen = server.seen();
    assert_eq!(seen.len(), row.asked.len(), "{name}: {seen:?}");
    for (seen, (begins, headers, bodies)) in seen.iter().zip(row.asked) {
        let head = seen.head.to_lowercase();
        assert!(seen.head.starts_with(begins), "{name}: {}", seen.head);
        for header in ["user-agent: rackside-hub/", "host: 127.0.0.1:"].iter().chain(*headers) {
            assert!(
                head.lines().any(|line| line.starts_with(header)),
                "{name}: no {header} in {}",
                seen.head
            );
        }
        for part in *bodies {
            assert!(seen.body.contains(part), "{name}: no {part} in {}", seen.body);
        }
    }
    if let [first, second, ..] = seen.as_slice() {
        assert!(second.at - first.at >= row.apart, "{name}: {:?}", second.at - first.at);
    }
    couriers.stop().await;
    if let [one] = seen.as_slice() {
        is_signed(&name, one);
    }
}

/// A body that says that it is signed is signed with the key, together with its time.
fn is_signed(name: &str, seen: &Seen) {
    let header = |of: &str| {
        seen.head.lines().find_map(|line| {
            line.split_once(": ").filter(|(name, _)| name.eq_ignore_ascii_case(of)).map(|(_, value)| value)
        })
    };
    let Some(signature) = header("X-Signature-256") else { return };
    let signed = format!("{}.{}", header("X-Timestamp").expect("a time"), seen.body);
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"hunter2");
    let digits = signature.strip_prefix("sha256=").expect("a SHA-256");
    let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).expect("hexadecimal digits");
    let tag: Vec<u8> = (0..digits.len()).step_by(2).map(byte).collect();
    assert!(ring::hmac::verify(&key, signed.as_bytes(), &tag).is_ok(), "{name}: {signature}");
}

#[tokio::test]
async fn each_service_gets_what_it_takes_and_is_understood() {
    let mut rows = tokio::task::JoinSet::new();
    for row in ROWS {
        rows.spawn(holds(row));
    }
    while let Some(held) = rows.join_next().await {
        if let Err(failed) = held {
            std::panic::resume_unwind(failed.into_panic());
        }
    }
    let kinds: Vec<Kind> = ROWS.iter().map(|row| (row.way)("http://127.0.0.1").kind()).collect();
    let others = [Kind::Email, Kind::Mqtt];
    let all: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| !others.contains(kind)).collect();
    assert!(all.iter().all(|kind| kinds.contains(kind)), "{kinds:?}");
}
