//! Slack's incoming webhook: a header, the body, links. It takes no pictures.
//!
//! `text` is what a phone's notification shows. `verbatim` keeps Slack from making mentions and channels of words; addresses become links by our
//! own hand. In mrkdwn `&`, `<` and `>` are entities; stars and underscores in a text may show as bold, and harm nothing.
//!
//! ```json
//! {"text":"🔴 Critical: …","blocks":[{"type":"header",…},{"type":"section",…},{"type":"context",…}]}
//! ```

use super::text::{Piece, pieces, units, weight};
use super::{Letter, post_json, verdict};
use crate::{Answer, Hidden, HttpParcel, Outcome};
use serde_json::json;

/// Of a header block.
const TITLE: usize = 150;
/// Of a section's text, entities counted as they are written.
const SECTION: usize = 3_000;
/// Kept of that for the marks around addresses, two characters each.
const MARKS: usize = 64;

pub(super) fn parcel(letter: &Letter, url: &Hidden) -> HttpParcel {
    let title = letter.marked_title(TITLE, units);
    let body = letter.body(SECTION - MARKS, escaped_units);
    let with_links = mrkdwn(&body);
    let body = if weight(&with_links, units) <= SECTION { with_links } else { escape(&body) };
    let mut blocks =
        vec![json!({"type": "header", "text": {"type": "plain_text", "text": title, "emoji": true}})];
    if !body.is_empty() {
        blocks.push(json!({"type": "section", "text": {"type": "mrkdwn", "text": body, "verbatim": true}}));
    }
    let links = letter.links().into_iter().map(|(label, url)| format!("<{}|{label}>", escape(url)));
    let links = links.collect::<Vec<_>>().join(" · ");
    if !links.is_empty() {
        blocks.push(
            json!({"type": "context", "elements": [{"type": "mrkdwn", "text": links, "verbatim": true}]}),
        );
    }
    post_json(url.expose(), &json!({"text": escape(&title), "blocks": blocks}))
}

fn escaped_units(c: char) -> usize {
    match c {
        '&' => 5,
        '<' | '>' => 4,
        _ => c.len_utf16(),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn mrkdwn(text: &str) -> String {
    pieces(text)
        .map(|piece| match piece {
            Piece::Words(words) => escape(words),
            Piece::Url(url) => format!("<{}>", escape(url)),
        })
        .collect()
}

/// A webhook that is gone says `no_service`: it will not come back, and asking again and again helps nobody.
pub(super) fn judge(answer: &Answer) -> Outcome {
    match verdict::by_status(answer) {
        Outcome::Final { why, .. } if answer.body.starts_with(b"no_service") => Outcome::Final {
            why: format!("{why} (the webhook was removed at Slack; make a new one)"),
            disable: true,
        },
        other => other,
    }
}
