//! A topic of ntfy: JSON to the server's root, or the chart as a file with everything else in headers.
//!
//! A message of exactly the server's limit counts as too long there, so less is sent. Headers are ASCII: words are RFC 2047. A server without a store
//! for attachments refuses the file (40014), and gets the same message without.
//!
//! ```json
//! {"topic":"crew","title":"Critical: …","message":"…","priority":5,"tags":["rotating_light"],"click":"https://…","actions":[…]}
//! ```

use super::text::{bytes, weight};
use super::{Letter, authorize, post_json, request, verdict};
use crate::{Answer, Hidden, HttpParcel, Method, Outcome};
use data_encoding::BASE64;
use serde::Deserialize;
use serde_json::{Value, json};
use std::fmt::Write as _;

const TITLE: usize = 250;
/// Of 4,096 bytes.
const BODY: usize = 3_900;
/// Of a message in a header: with base64 it stays below what a proxy in between lets through.
const HEADER: usize = 1_500;

pub(super) fn parcel(
    letter: &Letter,
    server: &str,
    topic: &Hidden,
    authorization: Option<&Hidden>,
) -> HttpParcel {
    let view = &letter.view;
    let title = letter.title(TITLE, bytes);
    let body = letter.body(BODY, bytes);
    let body = if body.is_empty() { title.clone() } else { body };
    let (priority, tag) = match (view.resolved, view.heartbeat, view.severity) {
        (true, _, _) => (3, "white_check_mark"),
        (_, true, _) => (2, "green_heart"),
        (_, _, "critical") => (5, "rotating_light"),
        (_, _, "warning") => (4, "warning"),
        _ => (3, "information_source"),
    };
    let links = letter.links();
    let actions = links.iter().map(|(label, url)| json!({"action": "view", "label": label, "url": url}));
    let actions: Vec<Value> = actions.collect();
    let server = server.trim_end_matches('/');
    let picture = if weight(&body, bytes) <= HEADER { letter.picture() } else { None };
    let mut parcel = if let Some(picture) = picture {
        let url = format!("{server}/{}", encoded(topic.expose()));
        let mut parcel = request(Method::Put, url, "image/png", picture);
        parcel.headers.extend([
            ("Title", rfc2047(&title)),
            ("Message", rfc2047(&body)),
            ("Priority", priority.to_string()),
            ("Tags", tag.to_owned()),
            ("Filename", "chart.png".to_owned()),
        ]);
        if !view.url.is_empty() {
            parcel.headers.push(("Click", view.url.clone()));
        }
        if !actions.is_empty() {
            parcel.headers.push(("Actions", Value::from(actions).to_string()));
        }
        parcel
    } else {
        let mut message = json!({
            "topic": topic.expose(),
            "title": title,
            "message": body,
            "priority": priority,
            "tags": [tag],
            "actions": actions,
        });
        if !view.url.is_empty() {
            message["click"] = Value::from(view.url.as_str());
        }
        post_json(format!("{server}/"), &message)
    };
    authorize(&mut parcel, authorization);
    parcel
}

/// A text as a header takes it.
fn rfc2047(text: &str) -> String {
    format!("=?UTF-8?B?{}?=", BASE64.encode(text.as_bytes()))
}

/// A topic as a part of a path.
fn encoded(topic: &str) -> String {
    let mut path = String::new();
    for byte in topic.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_".contains(&byte) {
            path.push(char::from(byte));
        } else {
            write!(path, "%{byte:02X}").expect("text takes text");
        }
    }
    path
}

#[derive(Deserialize)]
struct Reply {
    #[serde(default)]
    error: String,
}

pub(super) fn judge(answer: &Answer) -> Outcome {
    let outcome = match serde_json::from_slice::<Reply>(answer.body) {
        Ok(reply) => verdict::by_status_saying(answer, &reply.error),
        Err(_) => verdict::by_status(answer),
    };
    verdict::plainer_first(answer, outcome)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_ascii_and_a_topic_is_one_step_of_a_path() {
        assert_eq!(rfc2047("é\r\n"), "=?UTF-8?B?w6kNCg==?=");
        assert_eq!(encoded("a-b_/é?x"), "a-b_%2F%C3%A9%3Fx");
    }
}
