//! What answers have in common: what a status means where nothing better is known, and when to come back.
//!
//! Invariant: what is said of an answer is one short line, and no secret of the receiver's is in it, even if the server repeats it.
//!
//! ```text
//! 503 "upstream down"            → Retry, "503: upstream down"
//! 429, Retry-After: 30           → Retry after 30 s
//! 500 "rollup_error"             → Stumbles, "500: rollup_error"
//! 404 "no_service"               → Final
//! ```

use super::text::line;
use crate::{Answer, Hidden, Outcome, Receiver, Way};
use chrono::DateTime;
use std::time::Duration;

/// Nobody is waited for longer than that, whatever is asked.
const LONGEST: Duration = Duration::from_hours(24);

/// By the status alone: 2xx is delivered; 408, 425, 429 and 5xx are again; anything else is never. Of 5xx, those say that the receiver itself is not there
/// that a proxy in front of it says (502 to 504, and what Cloudflare has for that); with the others it is there and fails.
pub(super) fn by_status(answer: &Answer) -> Outcome {
    by_status_saying(answer, &String::from_utf8_lossy(beginning(answer.body)))
}

/// The same, with what the body says read already.
pub(super) fn by_status_saying(answer: &Answer, said: &str) -> Outcome {
    let why = why(answer.status, said);
    match answer.status {
        200..=299 => Outcome::Delivered,
        408 | 425 | 429 | 502..=504 | 520..=530 => Outcome::Retry { after: retry_after(answer), why },
        500.. => Outcome::Stumbles { after: retry_after(answer), why },
        300..=399 => Outcome::Final {
            why: format!("{why} (it sends us elsewhere, and redirects are not followed)"),
            disable: false,
        },
        _ => Outcome::Final { why, disable: false },
    }
}

/// The same, where a picture may be what was refused.
pub(super) fn plainer_first(answer: &Answer, outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Final { why, .. } if answer.pictured && matches!(answer.status, 400 | 413 | 415 | 422) => {
            Outcome::Plainer { why }
        }
        other => other,
    }
}

fn why(status: u16, said: &str) -> String {
    let said = line(said, 160);
    if said.is_empty() { format!("{status}, without a word") } else { format!("{status}: {said}") }
}

/// Enough of a body to quote from.
fn beginning(body: &[u8]) -> &[u8] {
    body.get(..1024).unwrap_or(body)
}

/// `Retry-After`, in seconds or as a date.
fn retry_after(answer: &Answer) -> Option<Duration> {
    let text = answer.retry_after?.trim();
    let wait = if let Ok(seconds) = text.parse::<f64>() {
        seconds_of(seconds)?
    } else {
        let then = DateTime::parse_from_rfc2822(text).ok()?.timestamp_millis();
        Duration::from_millis(then.saturating_sub(answer.now).max(0) as u64)
    };
    Some(wait.min(LONGEST))
}

/// A number of seconds that a server has said.
pub(super) fn seconds_of(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok().map(|wait| wait.min(LONGEST))
}

/// The same outcome without the receiver's secrets in its words.
pub(super) fn without_secrets(outcome: Outcome, receiver: &Receiver) -> Outcome {
    let clean =
        |why: String| secrets(receiver).iter().fold(why, |why, secret| why.replace(secret.as_str(), "…"));
    match outcome {
        Outcome::Delivered => Outcome::Delivered,
        Outcome::Retry { after, why } => Outcome::Retry { after, why: clean(why) },
        Outcome::Stumbles { after, why } => Outcome::Stumbles { after, why: clean(why) },
        Outcome::Elsewhere { chat_id, why } => Outcome::Elsewhere { chat_id, why: clean(why) },
        Outcome::Plainer { why } => Outcome::Plainer { why: clean(why) },
        Outcome::Final { why, disable } => Outcome::Final { why: clean(why), disable },
    }
}

/// What must not be repeated, the longest first: each secret, and each part of one that is long enough to be one.
fn secrets(receiver: &Receiver) -> Vec<String> {
    let hidden: Vec<&Hidden> = match &receiver.way {
        Way::Slack { url } | Way::Discord { url } => vec![url],
        Way::Telegram { token, .. } => vec![token],
        Way::PagerDuty { routing_key, .. } => vec![routing_key],
        Way::Ntfy { topic, authorization, .. } => {
            [Some(topic), authorization.as_ref()].into_iter().flatten().collect()
        }
        Way::Webhook { url, key, authorization } => {
            [Some(url), key.as_ref(), authorization.as_ref()].into_iter().flatten().collect()
        }
        Way::Alertmanager { server, authorization, .. } => {
            [Some(server), authorization.as_ref()].into_iter().flatten().collect()
        }
        Way::Email { .. } | Way::Mqtt { .. } => Vec::new(),
    };
    let mut secrets: Vec<String> = Vec::new();
    for text in hidden.into_iter().map(Hidden::expose) {
        let parts = text
            .split(['/', '?', '&', '=', ':', '@', ' '])
            .filter(|part| part.len() >= 8 && !part.contains('.'));
        secrets.extend(parts.chain([text]).filter(|part| part.len() >= 4).map(str::to_owned));
    }
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets
}
