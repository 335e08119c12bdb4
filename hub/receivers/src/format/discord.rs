//! A webhook of Discord: the title as the message, which is what a phone shows, and the body in an embed with a coloured edge, the chart in it.
//!
//! Nobody is mentioned, whatever a text says (`allowed_mentions`). Marks of its Markdown are escaped, except in addresses, which become links by themselves.
//! `wait=true` has Discord answer with what it made of it, so that a refusal is not silent.
//!
//! ```json
//! {"content":"🔴 **Critical: …**","embeds":[{"description":"…","color":13639710}],"allowed_mentions":{"parse":[]}}
//! ```

use super::multipart::{File, form};
use super::text::{Piece, pieces, units, weight};
use super::{Letter, post_json, request, rfc3339, verdict};
use crate::{Answer, Hidden, HttpParcel, Method, Outcome};
use serde::Deserialize;
use serde_json::json;

/// Of a message's 2,000; nobody reads a longer title.
const TITLE: usize = 400;
/// Of an embed's 4,096: what links leave, each address of 1,000 at most counted twice.
const BODY: usize = 3_000;
const DESCRIPTION: usize = 4_096;

pub(super) fn parcel(letter: &Letter, url: &Hidden) -> HttpParcel {
    let view = &letter.view;
    let title = letter.title(TITLE, escaped_units);
    let mut description = markdown(&letter.body(BODY, escaped_units));
    for (nth, (label, url)) in letter.links().into_iter().enumerate() {
        let link = format!("{}[{label}]({url})", if nth == 0 { "\n\n" } else { " · " });
        if weight(&description, units) + weight(&link, units) <= DESCRIPTION {
            description.push_str(&link);
        }
    }
    let colour = match (view.resolved || view.heartbeat, view.severity) {
        (true, _) => 0x2e_a0_43,
        (false, "critical") => 0xd0_20_1e,
        (false, "warning") => 0xe0_8a_00,
        (false, _) => 0x2f_6f_d0,
    };
    let picture = letter.picture();
    let mut embed =
        json!({"description": description, "color": colour, "timestamp": rfc3339(letter.message.at)});
    if picture.is_some() {
        embed["image"] = json!({"url": "attachment://chart.png"});
    }
    let content = format!("{} **{}**", view.symbol, escape(&title, false));
    let message = json!({
        "username": "Rackside",
        "content": content,
        "embeds": [embed],
        "allowed_mentions": {"parse": []},
    });
    let url = waiting(url.expose());
    match picture {
        None => post_json(url, &message),
        Some(picture) => {
            let fields = [("payload_json", message.to_string())];
            let (content_type, body) = form(&fields, &File { field: "files[0]", bytes: &picture });
            request(Method::Post, url, content_type, body)
        }
    }
}

/// The webhook's URL, asked for an answer.
fn waiting(url: &str) -> String {
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}wait=true")
}

/// What means something anywhere.
fn is_mark(c: char) -> bool {
    r"\*_~`|<[]".contains(c)
}

/// What means something at the beginning of a line.
fn begins(c: char) -> bool {
    ">#-".contains(c)
}

fn escaped_units(c: char) -> usize {
    c.len_utf16() + usize::from(is_mark(c) || begins(c))
}

/// Whether the text begins a line is told.
fn escape(text: &str, begins_line: bool) -> String {
    let mut escaped = String::with_capacity(text.len() + 16);
    let mut at_begin = begins_line;
    for c in text.chars() {
        if is_mark(c) || at_begin && begins(c) {
            escaped.push('\\');
        }
        at_begin = c == '\n' || at_begin && c == ' ';
        escaped.push(c);
    }
    escaped
}

fn markdown(text: &str) -> String {
    let mut marked = String::with_capacity(text.len() + 64);
    for piece in pieces(text) {
        let begins_line = marked.is_empty() || marked.ends_with('\n');
        match piece {
            Piece::Words(words) => marked.push_str(&escape(words, begins_line)),
            Piece::Url(url) => marked.push_str(url),
        }
    }
    marked
}

#[derive(Deserialize)]
struct Reply {
    #[serde(default)]
    message: String,
    #[serde(default)]
    code: i64,
    retry_after: Option<f64>,
}

/// "Unknown webhook": it was deleted.
const UNKNOWN_WEBHOOK: i64 = 10_015;

pub(super) fn judge(answer: &Answer) -> Outcome {
    let Ok(reply) = serde_json::from_slice::<Reply>(answer.body) else {
        return verdict::plainer_first(answer, verdict::by_status(answer));
    };
    match verdict::by_status_saying(answer, &reply.message) {
        Outcome::Retry { after, why } => {
            Outcome::Retry { after: reply.retry_after.and_then(verdict::seconds_of).or(after), why }
        }
        // Ten thousand refused requests within ten minutes get an address banned.
        Outcome::Final { why, .. } if reply.code == UNKNOWN_WEBHOOK => Outcome::Final {
            why: format!("{why} (it was deleted at Discord; make a new one)"),
            disable: true,
        },
        outcome => verdict::plainer_first(answer, outcome),
    }
}
