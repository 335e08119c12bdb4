//! What a message looks like at each kind of receiver, and what the receiver's answer means. One file a kind; pure.
//!
//! Where words are shown, a template makes plain text ([`crate::template`]), and the format cuts it to the receiver's limits, escapes what means something
//! there, and adds links and, where pictures are taken, the chart. Where programs read, it is Alertmanager's JSON (`payload`).
//!
//! Invariant: any message makes a parcel within the receiver's limits; what was left out is counted in it.
//!
//! ```text
//! let parcel = format::parcel(&message, &receiver, &Extras { chart: None, now });
//! let outcome = format::judge(&receiver, &answer);
//! ```

mod alertmanager;
mod discord;
mod email;
mod mqtt;
mod multipart;
mod ntfy;
mod pagerduty;
mod payload;
mod slack;
mod telegram;
pub(crate) mod text;
mod verdict;
mod webhook;

use crate::chart::{self, Chart};
use crate::template::{self, words_or_ours};
use crate::view::View;
use crate::{Answer, Hidden, HttpParcel, Method, Outcome, Parcel, Receiver, Way};
use chrono::{DateTime, SecondsFormat};
use data_encoding::HEXLOWER;
use rackside_notify::Message;
use serde::Serialize;
use text::Weigh;

/// What a message does not know by itself.
#[derive(Clone, Copy, Debug)]
pub struct Extras<'a> {
    /// The last hour of what the alert watches.
    pub chart: Option<&'a Chart>,
    /// When it is sent, in milliseconds since 1970.
    pub now: i64,
}

/// What is sent to tell a receiver a message.
pub fn parcel(message: &Message, receiver: &Receiver, extras: &Extras) -> Parcel {
    let letter = Letter { message, receiver, extras, view: View::of(message, receiver, extras.now) };
    match &receiver.way {
        Way::Slack { url } => Parcel::Http(slack::parcel(&letter, url)),
        Way::Email { from, to } => Parcel::Mail(email::parcel(&letter, from, to)),
        Way::Telegram { server, token, chat_id, thread } => {
            let chat = telegram::Chat { server, token, id: chat_id, thread: *thread };
            Parcel::Http(telegram::parcel(&letter, &chat))
        }
        Way::Discord { url } => Parcel::Http(discord::parcel(&letter, url)),
        Way::PagerDuty { server, routing_key } => {
            Parcel::Http(pagerduty::parcel(&letter, server, routing_key))
        }
        Way::Ntfy { server, topic, authorization } => {
            Parcel::Http(ntfy::parcel(&letter, server, topic, authorization.as_ref()))
        }
        Way::Webhook { url, key, authorization } => {
            Parcel::Http(webhook::parcel(&letter, url, key.as_ref(), authorization.as_ref()))
        }
        Way::Alertmanager { server, authorization, stands } => {
            Parcel::Http(alertmanager::parcel(&letter, server, authorization.as_ref(), *stands))
        }
        Way::Mqtt { topic, retain } => Parcel::Mqtt(mqtt::parcel(&letter, topic, *retain)),
    }
}

/// What a receiver's answer to a request means, by the rules of its kind. Mail and MQTT are no requests: for them only the status counts.
pub fn judge(receiver: &Receiver, answer: &Answer) -> Outcome {
    let outcome = match &receiver.way {
        Way::Slack { .. } => slack::judge(answer),
        Way::Telegram { .. } => telegram::judge(answer),
        Way::Discord { .. } => discord::judge(answer),
        Way::PagerDuty { .. } => pagerduty::judge(answer),
        Way::Ntfy { .. } => ntfy::judge(answer),
        Way::Webhook { .. } => webhook::judge(answer),
        Way::Alertmanager { .. } | Way::Email { .. } | Way::Mqtt { .. } => verdict::by_status(answer),
    };
    verdict::without_secrets(outcome, receiver)
}

/// A message on its way to a receiver, with its words.
struct Letter<'a> {
    message: &'a Message,
    receiver: &'a Receiver,
    extras: &'a Extras<'a>,
    view: View,
}

impl Letter<'_> {
    /// The title in one line, within a limit.
    fn title(&self, limit: usize, weigh: Weigh) -> String {
        let title = words_or_ours(self.receiver.title.as_deref(), template::TITLE, &self.view);
        let mut title = text::line(&title, 1_000);
        if title.is_empty() {
            // Some receivers refuse a message without a title.
            title = text::line(&words_or_ours(None, template::TITLE, &self.view), 1_000);
        }
        text::cut(&title, limit, weigh)
    }

    /// The title with the symbol in front of it, which a phone shows before any word is read.
    fn marked_title(&self, limit: usize, weigh: Weigh) -> String {
        format!("{} {}", self.view.symbol, self.title(limit.saturating_sub(3), weigh))
    }

    /// The body within a limit: with as many alerts as there is room for, and the others counted; if one is too long by itself, cut.
    fn body(&self, limit: usize, weigh: Weigh) -> String {
        let body = |alerts: usize| {
            let view = self.view.with_first(alerts);
            let body = words_or_ours(self.receiver.body.as_deref(), template::BODY, &view);
            text::lines(&body, usize::MAX - 1)
        };
        let all = self.view.alerts.len().min(self.most_alerts());
        let whole = body(all);
        if text::weight(&whole, weigh) <= limit {
            return whole;
        }
        let (mut fits, mut too_many) = (0, all);
        while too_many - fits > 1 {
            let middle = fits.midpoint(too_many);
            if text::weight(&body(middle), weigh) <= limit {
                fits = middle;
            } else {
                too_many = middle;
            }
        }
        text::cut(&body(fits.max(all.min(1))), limit, weigh)
    }

    /// Chats are read on a phone: the first ten, unless somebody's own words ask for more. A mail has them all.
    fn most_alerts(&self) -> usize {
        let is_mail = matches!(self.receiver.way, Way::Email { .. });
        if is_mail || self.receiver.body.is_some() { usize::MAX } else { 10 }
    }

    /// Links below the words: what they say, and where to.
    fn links(&self) -> Vec<(&'static str, &str)> {
        let view = &self.view;
        let open = match (view.count, view.outage) {
            (1, _) => "Open the alert",
            (0, false) => "Open the hub",
            _ => "Open the alerts",
        };
        let runbook =
            view.alerts.first().filter(|_| !view.resolved).map_or("", |alert| alert.runbook.as_str());
        [(open, view.url.as_str()), ("Acknowledge", view.acknowledge_url.as_str()), ("What to do", runbook)]
            .into_iter()
            .filter(|(_, url)| text::is_url(url))
            .collect()
    }

    /// The picture, drawn.
    fn picture(&self) -> Option<Vec<u8>> {
        self.extras.chart.and_then(chart::draw)
    }
}

/// Who sends this.
const USER_AGENT: &str = concat!("rackside-hub/", env!("CARGO_PKG_VERSION"));

/// A request with a body of this type.
fn request(
    method: Method,
    url: impl Into<String>,
    content_type: impl Into<String>,
    body: Vec<u8>,
) -> HttpParcel {
    let headers = vec![("Content-Type", content_type.into()), ("User-Agent", USER_AGENT.to_owned())];
    HttpParcel { method, url: Hidden::new(url), headers, body }
}

/// A POST of JSON.
fn post_json(url: impl Into<String>, body: &impl Serialize) -> HttpParcel {
    let body = serde_json::to_vec(body).expect("text, numbers and lists of them are JSON");
    request(Method::Post, url, "application/json", body)
}

/// Adds `Authorization`.
fn authorize(parcel: &mut HttpParcel, authorization: Option<&Hidden>) {
    if let Some(value) = authorization {
        let value = value.expose().chars().filter(|c| c.is_ascii_graphic() || *c == ' ').collect();
        parcel.headers.push(("Authorization", value));
    }
}

/// As programs write moments: `2026-11-20T03:00:00Z`, with milliseconds where there are any.
fn rfc3339(ms: i64) -> String {
    let moment = DateTime::from_timestamp_millis(ms).unwrap_or_default();
    let precision = if ms % 1000 == 0 { SecondsFormat::Secs } else { SecondsFormat::Millis };
    moment.to_rfc3339_opts(precision, true)
}

/// The first bytes of a SHA-256 in hexadecimal digits: a short name for something long.
fn short_hash(parts: &[&str]) -> String {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_le_bytes());
        context.update(part.as_bytes());
    }
    HEXLOWER.encode(&context.finish().as_ref()[..16])
}

#[cfg(test)]
mod tests;
