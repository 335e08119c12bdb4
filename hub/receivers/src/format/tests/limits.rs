//! What each receiver takes, as assertions about a parcel: lengths, marks, headers, secrets.
//!
//! ```text
//! hold(&parcel, &receiver)   // panics with what is wrong
//! ```

use super::super::text::{units, weight};
use crate::{HttpParcel, MailParcel, Parcel, Receiver, Way};
use serde_json::Value;

/// Holds a parcel against its receiver's rules.
pub(super) fn hold(parcel: &Parcel, receiver: &Receiver) {
    assert!(!format!("{parcel:?} {receiver:?}").contains("hunter2"), "{parcel:?} {receiver:?}");
    match (parcel, &receiver.way) {
        (Parcel::Http(request), way) => {
            for (name, value) in &request.headers {
                assert!(value.chars().all(|c| c.is_ascii_graphic() || c == ' '), "{name}: {value:?}");
            }
            assert!(request.header("Content-Type").is_some() && request.header("User-Agent").is_some());
            hold_request(request, way);
        }
        (Parcel::Mail(mail), _) => hold_mail(mail),
        (Parcel::Mqtt(publish), _) => {
            assert!(publish.payload.len() <= 60 * 1024, "{} bytes", publish.payload.len());
            hold_payload(&publish.payload);
        }
    }
}

fn hold_request(request: &HttpParcel, way: &Way) {
    match way {
        Way::Slack { url } => {
            assert_eq!(&request.url, url);
            hold_slack(&json(&request.body));
        }
        Way::Telegram { .. } => hold_telegram(request),
        Way::Discord { .. } => hold_discord(request),
        Way::PagerDuty { .. } => hold_pagerduty(request),
        Way::Ntfy { .. } => hold_ntfy(request),
        Way::Webhook { .. } => {
            assert!(request.body.len() <= 1024 * 1024);
            if json(&request.body)["version"].is_string() {
                hold_payload(&request.body);
            }
        }
        Way::Alertmanager { .. } => hold_alertmanager(&json(&request.body)),
        Way::Email { .. } | Way::Mqtt { .. } => panic!("not by a request"),
    }
}

fn json(body: &[u8]) -> Value {
    serde_json::from_slice(body).expect("JSON")
}

fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    value.pointer(path).and_then(Value::as_str).unwrap_or_else(|| panic!("{path} of {value}"))
}

/// Shorter than or as long as, and not empty.
fn at_most(text: &str, most: usize) {
    let length = weight(text, units);
    assert!((1..=most).contains(&length), "{length} of {most}: {text}");
}

fn hold_slack(body: &Value) {
    assert!(!text(body, "/text").contains(['<', '>']), "{body}");
    let blocks = body["blocks"].as_array().unwrap();
    assert!((1..=50).contains(&blocks.len()));
    at_most(text(&blocks[0], "/text/text"), 150);
    for block in &blocks[1..] {
        let words = block.pointer("/text/text").or_else(|| block.pointer("/elements/0/text"));
        let words = words.and_then(Value::as_str).unwrap();
        at_most(words, 3_000);
        entities(words);
        for (at, _) in words.match_indices('<') {
            assert!(words[at + 1..].starts_with("http"), "a mention or a command: {words}");
        }
        assert!(block["text"]["verbatim"] == true || block["elements"][0]["verbatim"] == true);
    }
}

/// Every `&` begins a whole entity.
fn entities(text: &str) {
    for (at, _) in text.match_indices('&') {
        let whole = ["&amp;", "&lt;", "&gt;", "&quot;"].iter().any(|entity| text[at..].starts_with(entity));
        assert!(whole, "a broken entity: {text}");
    }
}

/// What is seen of HTML with these tags; others, or ones that do not close, are a fault.
fn seen(html: &str, tags: &[&str]) -> String {
    let mut seen = String::new();
    let mut open = Vec::new();
    let mut rest = html;
    while let Some((before, behind)) = rest.split_once('<') {
        assert!(!before.contains('>'), "a stray >: {html}");
        seen.push_str(before);
        let (tag, behind) = behind.split_once('>').expect("a tag closes");
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "{html}");
        } else {
            let name = tag.split(' ').next().unwrap();
            assert!(tags.contains(&name), "<{tag}> in {html}");
            if !["br", "img", "meta", "!DOCTYPE"].contains(&name) {
                open.push(name);
            }
        }
        rest = behind;
    }
    assert!(open.is_empty() && !rest.contains('>'), "{html}");
    seen.push_str(rest);
    entities(&seen);
    seen.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&")
}

fn hold_telegram(request: &HttpParcel) {
    let (words, most) = if let Some(fields) = form_of(request) {
        assert!(request.url.expose().ends_with("/sendPhoto"));
        let caption = fields.iter().find(|(name, _)| name == "caption").expect("a caption");
        (String::from_utf8(caption.1.clone()).unwrap(), 1_024)
    } else {
        assert!(request.url.expose().ends_with("/sendMessage"));
        (text(&json(&request.body), "/text").to_owned(), 4_096)
    };
    at_most(&seen(&words, &["b", "a"]), most);
}

fn hold_discord(request: &HttpParcel) {
    assert!(request.url.expose().ends_with("?thread_id=9&wait=true"));
    let body = match form_of(request) {
        Some(fields) => {
            assert_eq!(fields[1].0, "files[0]");
            json(&fields[0].1)
        }
        None => json(&request.body),
    };
    at_most(text(&body, "/content"), 2_000);
    let description = body["embeds"][0]["description"].as_str().unwrap();
    assert!(weight(description, units) <= 4_096);
    assert_eq!(body["allowed_mentions"]["parse"], Value::Array(Vec::new()));
}

fn hold_pagerduty(request: &HttpParcel) {
    assert!(request.body.len() <= 512_000, "{} bytes", request.body.len());
    let event = json(&request.body);
    let key = text(&event, "/dedup_key");
    assert!((1..=255).contains(&key.chars().count()), "{key}");
    if text(&event, "/event_action") == "trigger" {
        at_most(text(&event, "/payload/summary"), 1_024);
        at_most(text(&event, "/payload/source"), 300);
        assert!(["critical", "error", "warning", "info"].contains(&text(&event, "/payload/severity")));
    }
}

fn hold_ntfy(request: &HttpParcel) {
    if request.header("Content-Type") == Some("image/png") {
        for name in ["Title", "Message"] {
            let value = request.header(name).unwrap();
            assert!(
                value.starts_with("=?UTF-8?B?") && value.ends_with("?=") && value.len() < 4_096,
                "{value}"
            );
        }
        return;
    }
    let body = json(&request.body);
    assert!((1..4_096).contains(&text(&body, "/message").len()));
    assert!((1..=250).contains(&text(&body, "/title").len()));
    assert!((1..=5).contains(&body["priority"].as_i64().unwrap()));
    assert!(body["actions"].as_array().unwrap().len() <= 3);
}

fn hold_payload(body: &[u8]) {
    let payload = json(body);
    let keys: Vec<&String> = payload.as_object().unwrap().keys().collect();
    let wanted = [
        "alerts",
        "commonAnnotations",
        "commonLabels",
        "externalURL",
        "groupKey",
        "groupLabels",
        "receiver",
        "status",
        "truncatedAlerts",
        "version",
    ];
    assert_eq!(keys, wanted);
    for alert in payload["alerts"].as_array().unwrap() {
        let fires = text(alert, "/status") == "firing";
        assert_eq!(text(alert, "/endsAt") == "0001-01-01T00:00:00Z", fires);
        assert_eq!(text(alert, "/fingerprint").len(), 16);
    }
}

fn hold_alertmanager(body: &Value) {
    let alerts = body.as_array().unwrap();
    assert!(!alerts.is_empty());
    for alert in alerts {
        let labels = alert["labels"].as_object().unwrap();
        assert!(!labels.is_empty() && labels.values().all(|value| value != ""));
        let names = labels.keys().chain(alert["annotations"].as_object().unwrap().keys());
        for name in names {
            let mut letters = name.chars();
            assert!(letters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_'), "{name}");
            assert!(letters.all(|c| c.is_ascii_alphanumeric() || c == '_'), "{name}");
        }
        assert!(text(alert, "/startsAt") <= text(alert, "/endsAt"));
    }
}

fn hold_mail(mail: &MailParcel) {
    at_most(&mail.subject, 200);
    for header in [&mail.subject, &mail.from].into_iter().chain(&mail.to) {
        assert!(!header.chars().any(char::is_control), "{header:?}");
    }
    for id in [&mail.message_id, &mail.references] {
        assert!(
            id.chars().all(|c| c.is_ascii_alphanumeric() || ".@-".contains(c)) && id.contains('@'),
            "{id}"
        );
    }
    assert!(!mail.text.chars().any(|c| c.is_control() && c != '\n'));
    assert!(mail.text.len() < 250_000 && mail.html.len() < 1_000_000);
    let tags = ["!DOCTYPE", "html", "head", "meta", "title", "body", "h1", "p", "br", "a", "img"];
    seen(&mail.html, &tags);
    assert!(!mail.html.contains("href=\"javascript"), "{}", mail.html);
}

/// The fields of a form, taken apart as a server does.
pub(super) fn form_of(request: &HttpParcel) -> Option<Vec<(String, Vec<u8>)>> {
    let boundary = request.header("Content-Type")?.strip_prefix("multipart/form-data; boundary=")?;
    let delimiter = format!("\r\n--{boundary}");
    let body = [b"\r\n", request.body.as_slice()].concat();
    let mut parts = split(&body, delimiter.as_bytes());
    assert_eq!(parts.pop()?, b"--\r\n", "the form ends");
    assert_eq!(parts.remove(0), b"", "nothing stands before the form");
    let field = |part: &[u8]| {
        let mut halves = split(part, b"\r\n\r\n");
        let head = String::from_utf8(halves.remove(0)).expect("text");
        let name = head.split("name=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a name");
        (name.to_owned(), halves.join(b"\r\n\r\n".as_slice()))
    };
    Some(parts.iter().map(|part| field(part)).collect())
}

fn split(bytes: &[u8], by: &[u8]) -> Vec<Vec<u8>> {
    let mut parts = Vec::new();
    let mut begin = 0;
    let mut at = 0;
    while at + by.len() <= bytes.len() {
        if bytes[at..].starts_with(by) {
            parts.push(bytes[begin..at].to_vec());
            at += by.len();
            begin = at;
        } else {
            at += 1;
        }
    }
    parts.push(bytes[begin..].to_vec());
    parts
}
