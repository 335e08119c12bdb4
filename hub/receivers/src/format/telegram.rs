//! A bot of Telegram: `sendMessage` with HTML, or `sendPhoto` with the chart and the words as its caption, where they are short enough.
//!
//! Lengths are UTF-16 units after entities are read. What needs nobody at once (resolved, info, signs of life) comes without a sound.
//!
//! ```json
//! {"chat_id":"-1001","text":"<b>🔴 Critical: …</b>\n\n…","parse_mode":"HTML","link_preview_options":{"is_disabled":true}}
//! ```

use super::multipart::{File, form};
use super::text::{html, units, weight};
use super::{Letter, post_json, request, verdict};
use crate::{Answer, Hidden, HttpParcel, Method, Outcome};
use serde::Deserialize;
use serde_json::{Map, Value, json};

const TITLE: usize = 250;
/// Of a message's 4,096: what title, links and the ends of lines between them leave.
const BODY: usize = 4_096 - TITLE - 100;
/// Of a picture's caption, all in all.
const CAPTION: usize = 1_024;

/// Where to.
pub(super) struct Chat<'a> {
    pub(super) server: &'a str,
    pub(super) token: &'a Hidden,
    pub(super) id: &'a str,
    pub(super) thread: Option<i64>,
}

impl Chat<'_> {
    fn url(&self, method: &str) -> String {
        format!("{}/bot{}/{method}", self.server.trim_end_matches('/'), self.token.expose())
    }
}

pub(super) fn parcel(letter: &Letter, chat: &Chat) -> HttpParcel {
    let title = letter.marked_title(TITLE, units);
    let body = letter.body(BODY, units);
    let links = letter.links();
    let shown = links.iter().map(|(label, _)| label.len() + 3).sum::<usize>();
    let length = weight(&title, units) + weight(&body, units) + shown + 4;
    let mut text = format!("<b>{}</b>\n\n{}", html(&title), html(&body));
    let links: Vec<_> =
        links.iter().map(|(label, url)| format!("<a href=\"{}\">{label}</a>", html(url))).collect();
    if !links.is_empty() {
        text.push_str("\n\n");
        text.push_str(&links.join(" · "));
    }
    let silent =
        letter.view.resolved || letter.view.heartbeat || letter.view.severity == "info" && !letter.view.test;
    let picture = if length <= CAPTION { letter.picture() } else { None };
    if let Some(picture) = picture {
        let mut fields = vec![
            ("chat_id", chat.id.to_owned()),
            ("caption", text),
            ("parse_mode", "HTML".to_owned()),
            ("disable_notification", silent.to_string()),
        ];
        fields.extend(chat.thread.map(|thread| ("message_thread_id", thread.to_string())));
        let (content_type, body) = form(&fields, &File { field: "photo", bytes: &picture });
        request(Method::Post, chat.url("sendPhoto"), content_type, body)
    } else {
        let mut body = Map::new();
        body.insert("chat_id".to_owned(), Value::from(chat.id));
        body.insert("text".to_owned(), Value::from(text));
        body.insert("parse_mode".to_owned(), Value::from("HTML"));
        body.insert("disable_notification".to_owned(), Value::from(silent));
        body.insert("link_preview_options".to_owned(), json!({"is_disabled": true}));
        if let Some(thread) = chat.thread {
            body.insert("message_thread_id".to_owned(), Value::from(thread));
        }
        post_json(chat.url("sendMessage"), &body)
    }
}

#[derive(Deserialize)]
struct Reply {
    #[serde(default)]
    description: String,
    #[serde(default)]
    parameters: Parameters,
}

#[derive(Default, Deserialize)]
struct Parameters {
    retry_after: Option<f64>,
    migrate_to_chat_id: Option<i64>,
}

pub(super) fn judge(answer: &Answer) -> Outcome {
    let Ok(reply) = serde_json::from_slice::<Reply>(answer.body) else {
        return verdict::plainer_first(answer, verdict::by_status(answer));
    };
    let outcome = verdict::by_status_saying(answer, &reply.description);
    match (outcome, reply.parameters) {
        (Outcome::Final { why, .. }, Parameters { migrate_to_chat_id: Some(chat_id), .. }) => {
            Outcome::Elsewhere { chat_id, why }
        }
        (Outcome::Retry { after, why }, Parameters { retry_after, .. }) => {
            Outcome::Retry { after: retry_after.and_then(verdict::seconds_of).or(after), why }
        }
        (outcome, _) => verdict::plainer_first(answer, outcome),
    }
}
