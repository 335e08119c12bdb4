//! What the formats make of messages: each sample at each receiver, written down in `golden/` (`UPDATE_GOLDEN=1` writes it anew), and of any text
//! at all, held against the receivers' limits. What answers mean is a table in `answers.rs`.
//!
//! Invariant: whatever is written down was held against the limits first.

mod answers;
mod limits;

use super::*;
use crate::sample;
use crate::{HttpParcel, MailParcel};
use limits::{form_of, hold};
use proptest::prelude::*;
use rackside_notify::{Entry, Kind, Message, State};
use rackside_onair::Zone;
use serde_json::Value;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

/// A receiver of each kind; every secret has the word in it.
fn receivers() -> Vec<(&'static str, Receiver)> {
    let secret = |text: &str| Hidden::new(text.replace('!', "hunter2-hunter2"));
    let bearer = || Some(secret("Bearer !"));
    let ways = [
        ("slack", Way::Slack { url: secret("https://hooks.slack.com/services/T0/B0/!") }),
        (
            "email",
            Way::Email {
                from: "Rackside <hub@example.org>".to_owned(),
                to: vec!["crew@example.org".to_owned(), "desk@example.org".to_owned()],
            },
        ),
        (
            "telegram",
            Way::Telegram {
                server: "https://api.telegram.org".to_owned(),
                token: secret("1:!"),
                chat_id: "-1001".to_owned(),
                thread: Some(5),
            },
        ),
        ("discord", Way::Discord { url: secret("https://discord.com/api/webhooks/1/!?thread_id=9") }),
        (
            "pagerduty",
            Way::PagerDuty { server: "https://events.pagerduty.com".to_owned(), routing_key: secret("!") },
        ),
        (
            "ntfy",
            Way::Ntfy {
                server: "https://ntfy.example.org".to_owned(),
                topic: secret("crew-!"),
                authorization: bearer(),
            },
        ),
        (
            "webhook",
            Way::Webhook {
                url: secret("https://example.org/hook/!"),
                key: Some(secret("!")),
                authorization: bearer(),
            },
        ),
        (
            "alertmanager",
            Way::Alertmanager {
                server: secret("http://user:!@alertmanager.example.org:9093/am"),
                authorization: bearer(),
                stands: Duration::from_mins(4),
            },
        ),
        ("mqtt", Way::Mqtt { topic: "rackside/alerts".to_owned(), retain: false }),
    ];
    let receiver = |way| Receiver { way, ..sample::receiver() };
    ways.map(|(name, way)| (name, receiver(way))).into()
}

fn of(message: &Message, receiver: &Receiver) -> Parcel {
    parcel(message, receiver, &Extras { chart: None, now: message.at })
}

fn with_chart(message: &Message, receiver: &Receiver) -> Parcel {
    let chart = crate::chart::tests::sample();
    parcel(message, receiver, &Extras { chart: Some(&chart), now: message.at })
}

/// A parcel as a text that can be read and compared.
fn shown(parcel: &Parcel) -> String {
    match parcel {
        Parcel::Http(request) => shown_request(request),
        Parcel::Mail(mail) => shown_mail(mail),
        Parcel::Mqtt(publish) => {
            format!("{} retain={}\n\n{}", publish.topic, publish.retain, shown_body(&publish.payload))
        }
    }
}

fn shown_request(request: &HttpParcel) -> String {
    let mut text = format!("{} {}\n", request.method.as_str(), request.url.expose());
    for (name, value) in &request.headers {
        writeln!(text, "{name}: {value}").unwrap();
    }
    text.push('\n');
    match form_of(request) {
        Some(fields) => {
            for (name, value) in fields {
                writeln!(text, "-- {name}\n{}", shown_body(&value)).unwrap();
            }
        }
        None => text.push_str(&shown_body(&request.body)),
    }
    text
}

fn shown_mail(mail: &MailParcel) -> String {
    let attachments = mail.attachments.iter().map(|file| {
        format!(
            "-- {} {} {}\n{}\n",
            file.file_name,
            file.content_type,
            file.content_id,
            shown_body(&file.bytes)
        )
    });
    format!(
        "From: {}\nTo: {}\nSubject: {}\nMessage-ID: {}\nReferences: {}\n\n-- text\n{}\n-- html\n{}{}",
        mail.from,
        mail.to.join(", "),
        mail.subject,
        mail.message_id,
        mail.references,
        mail.text,
        mail.html,
        attachments.collect::<String>()
    )
}

fn shown_body(body: &[u8]) -> String {
    if body.starts_with(b"\x89PNG") {
        return "(a picture)\n".to_owned();
    }
    match serde_json::from_slice::<Value>(body) {
        Ok(json @ (Value::Object(_) | Value::Array(_))) => format!("{json:#}\n"),
        _ => format!("{}\n", String::from_utf8_lossy(body)),
    }
}

/// Compares with the file of this name, or writes it.
fn golden(kind: &str, situation: &str, text: &str) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(kind);
    let file = directory.join(format!("{situation}.txt"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(&file, text).unwrap();
    }
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(text, kept, "{kind} of {situation} is not as {}; UPDATE_GOLDEN=1 writes it", file.display());
}

#[test]
fn every_message_looks_as_written_down() {
    for (kind, receiver) in receivers() {
        for (situation, message) in sample::messages() {
            let parcel = of(&message, &receiver);
            hold(&parcel, &receiver);
            golden(kind, situation, &shown(&parcel));
        }
    }
}

#[test]
fn the_chart_goes_where_pictures_are_taken() {
    for (kind, receiver) in receivers() {
        let parcel = with_chart(&sample::hot(), &receiver);
        hold(&parcel, &receiver);
        let takes = ["email", "telegram", "discord", "ntfy"].contains(&kind);
        assert_eq!(shown(&parcel).contains("(a picture)"), takes, "{kind}");
        assert_eq!(receiver.takes_pictures(), takes, "{kind}");
        if takes {
            golden(kind, "hot-chart", &shown(&parcel));
        }
    }
}

#[test]
fn a_message_in_the_receivers_own_words_keeps_links_and_limits() {
    for (kind, mut receiver) in receivers() {
        receiver.title = Some("{symbol} {what} ({count})".to_owned());
        receiver.body = Some(
            if kind == "webhook" {
                r#"\{"title": "{what}", "since": [{{ for alert in alerts }}{{ if not @first }},{{ endif }}"{alert.since}"{{ endfor }}]}"#
            } else {
                "<b>{severity}</b> *{route}*\n{{ for alert in alerts }}{alert.what} & more\n{{ endfor }}{more} more"
            }
            .to_owned(),
        );
        receiver.reader = "America/New_York".parse().unwrap();
        let parcel = of(&sample::storm(), &receiver);
        hold(&parcel, &receiver);
        golden(kind, "storm-own-words", &shown(&parcel));
    }
}

#[test]
fn words_that_come_to_nothing_leave_a_message_that_is_taken() {
    for (kind, mut receiver) in receivers() {
        receiver.title = Some("{{ if heartbeat }}x{{ endif }}".to_owned());
        receiver.body = (kind != "webhook").then(|| " \n".to_owned());
        for (_, message) in sample::messages() {
            hold(&of(&message, &receiver), &receiver);
        }
    }
}

#[test]
fn without_the_hubs_address_there_are_no_links_to_it() {
    for (kind, mut receiver) in receivers() {
        receiver.external_url = String::new();
        let parcel = of(&sample::hot(), &receiver);
        hold(&parcel, &receiver);
        let shown = shown(&parcel);
        assert!(!shown.contains("/alerts/") && !shown.contains("Acknowledge"), "{kind}: {shown}");
    }
}

#[test]
fn the_first_sixty_characters_say_what_and_where() {
    let receiver = sample::receiver();
    for (situation, message) in sample::messages() {
        let view = View::of(&message, &receiver, message.at);
        let letter =
            Letter { message: &message, receiver: &receiver, extras: &Extras { chart: None, now: 0 }, view };
        let title: String = letter.title(200, text::units).chars().take(60).collect();
        let told: &[&str] = match situation {
            "hot" => &["Critical", "Arena North/rack-1", "SoC at 84.2"],
            "storm" => &["Critical", "37 alerts", "Arena North", "uplink"],
            "over" => &["Resolved", "Arena North/rack-1", "SoC"],
            "acknowledged" => &["Acknowledged", "2 alerts", "Arena North"],
            "unknown" => &["Unknown", "Arena North/rack-1", "SoC"],
            "bare" => &["Warning", "Watchdog"],
            "outage" => &["Outage", "23 sites are gone"],
            "test" => &["Test", "crew"],
            _ => &["Still watching", "3 alerts"],
        };
        assert!(told.iter().all(|told| title.contains(told)), "{situation}: {title}");
    }
}

#[test]
fn whatever_is_open_can_be_acknowledged_from_the_message() {
    let signed = |entry: &Entry| format!("/alerts/{}?by=crew", entry.id);
    let words = ["slack", "email", "telegram", "discord", "ntfy"];
    for (kind, receiver) in receivers().into_iter().filter(|(kind, _)| words.contains(kind)) {
        for (situation, message) in sample::messages() {
            let shown = shown(&of(&message, &receiver)).replace("&amp;", "&");
            let is_open = |entry: &&Entry| message.kind != Kind::Test && entry.state == State::Firing;
            if let Some(first) = message.alerts.iter().find(is_open) {
                assert!(shown.contains(&signed(first)), "{kind}, {situation}: {shown}");
            }
            for over in message.alerts.iter().filter(|entry| !is_open(entry) && entry.state != State::Unknown)
            {
                assert!(!shown.contains(&signed(over)), "{kind}, {situation}: {shown}");
            }
        }
        // What is over beside it is nothing that could be meant.
        let mut message = sample::storm();
        message.alerts.drain(..3);
        message.alerts.truncate(2);
        message.truncated = 0;
        let view = View::of(&message, &receiver, message.at);
        assert_eq!(view.acknowledge_url, view.alerts[0].acknowledge_url);
        let shown = shown(&of(&message, &receiver));
        assert_eq!(shown.matches("?by=crew").count(), if kind == "email" { 2 } else { 1 }, "{kind}: {shown}");
    }
}

#[test]
fn a_message_that_is_told_late_says_when_it_was_written() {
    let (_, receiver) = receivers().remove(0);
    let message = sample::hot();
    let late = |minutes: i64| {
        let now = message.at + minutes * 60_000;
        shown(&parcel(&message, &receiver, &Extras { chart: None, now }))
            .contains("Told late: this was written at 02:16.")
    };
    assert!(!late(5) && late(6));
}

#[test]
fn times_are_on_the_venues_wall_and_on_the_readers() {
    let mut receiver = sample::receiver();
    let since = |receiver: &Receiver| View::of(&sample::hot(), receiver, sample::NOW).alerts.remove(0).since;
    assert_eq!(since(&receiver), "04:12 (02:12 for you)");
    receiver.reader = "America/New_York".parse().unwrap();
    assert_eq!(since(&receiver), "04:12 (21:12 for you)");
    receiver.reader = "Europe/Helsinki".parse().unwrap();
    assert_eq!(since(&receiver), "04:12");
    receiver.reader = Zone::UTC;
    let over = sample::messages().into_iter().find(|(name, _)| *name == "over").unwrap().1;
    let alert = View::of(&over, &receiver, sample::NOW).alerts.remove(0);
    assert_eq!(alert.since, "19 Nov 02:16 (19 Nov 00:16 for you)");
    assert_eq!((alert.until.as_str(), alert.lasted.as_str()), ("04:15 (02:15 for you)", "1 d 1 h"));
}

#[test]
fn what_is_left_out_is_counted() {
    let receivers = receivers();
    let (_, telegram) = receivers.iter().find(|(kind, _)| *kind == "telegram").unwrap();
    let mut message = sample::storm();
    message.truncated = 0;
    let shown = shown(&of(&message, telegram));
    let told = (0..25).filter(|nth| shown.contains(&format!("stream-{nth} is down"))).count();
    assert!(told == 10 && shown.contains(&format!("and {} more alerts", 25 - told)), "{told}: {shown}");
}

#[test]
fn the_signature_is_over_time_and_body() {
    let receivers = receivers();
    let (_, webhook) = receivers.iter().find(|(kind, _)| *kind == "webhook").unwrap();
    let Parcel::Http(request) = of(&sample::hot(), webhook) else { panic!("a request") };
    let at = request.header("X-Timestamp").unwrap();
    assert_eq!(at, (sample::NOW / 1000).to_string());
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"hunter2-hunter2");
    let signed = [at.as_bytes(), b".", &request.body].concat();
    let signature = data_encoding::HEXLOWER.encode(ring::hmac::sign(&key, &signed).as_ref());
    assert_eq!(request.header("X-Signature-256").unwrap(), format!("sha256={signature}"));
    let again = parcel(&sample::hot(), webhook, &Extras { chart: None, now: sample::NOW + 60_000 });
    let Parcel::Http(again) = again else { panic!("a request") };
    assert_eq!(again.header("Idempotency-Key"), request.header("Idempotency-Key"));
    assert_ne!(again.header("X-Signature-256"), request.header("X-Signature-256"));
    // RFC 4231, test case 2.
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"Jefe");
    let tag =
        data_encoding::HEXLOWER.encode(ring::hmac::sign(&key, b"what do ya want for nothing?").as_ref());
    assert_eq!(tag, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

/// Texts as devices, rules and people may write them: ordinary, with what means something somewhere, and far too long.
fn any_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        any::<String>(),
        "[a-z ]{0,20}",
        Just("<!channel> @everyone <@U1> & \"'`*_~|>#".to_owned()),
        Just("\r\nBcc: all@example.org\r\n\r\n<script>alert(1)</script>".to_owned()),
        Just("\u{202e}\u{5e9}\u{5dc}\u{5d5}\u{5dd}\u{2066} \u{0}\u{1b}[31m".to_owned()),
        Just("👨‍👩‍👧‍👦🏳️‍🌈e\u{301}\u{301}\u{301}".to_owned()),
        Just("https://example.org/?a=1&b=2 javascript:alert(1) http://x/<y>\"".to_owned()),
        Just("--rackside0\r\n=?UTF-8?B?eA==?= {what} &amp; &lt".to_owned()),
    ];
    let times = prop_oneof![8 => Just(1_usize), 1 => Just(400_usize), 1 => Just(100_000_usize)];
    (prop::collection::vec(piece, 0..4), times).prop_map(|(pieces, times)| {
        let text = pieces.concat();
        text.chars().cycle().take(text.chars().count() * times).take(100_000).collect()
    })
}

prop_compose! {
    fn any_entry()(
        texts in prop::collection::vec(any_text(), 6),
        labels in prop::collection::btree_map(any_text(), any_text(), 0..4),
        nth in 0_usize..9,
        value in any::<f64>(),
    ) -> Entry {
        let samples = sample::messages();
        let mut entry = samples[nth].1.alerts.first().unwrap_or(&sample::hot().alerts[0]).clone();
        entry.labels.extend(labels);
        let keys = ["summary", "description", "runbook", "runbook_url"];
        entry.annotations.extend(keys.iter().zip(&texts).map(|(key, text)| ((*key).to_owned(), text.clone())));
        entry.labels.insert("site".to_owned(), texts[4].clone());
        entry.query.clone_from(&texts[5]);
        entry.value = value;
        entry
    }
}

/// A message that is shown by its beginning: the whole would be megabytes.
struct Odd(Message);

impl std::fmt::Debug for Odd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.1000}", format!("{:?}", self.0))
    }
}

prop_compose! {
    fn any_message()(
        nth in 0_usize..9,
        kind in prop::sample::select(vec![Kind::Alerts, Kind::Outage, Kind::Test, Kind::Heartbeat]),
        entries in prop::collection::vec(any_entry(), 0..3),
        times in prop::sample::select(vec![1_usize, 1, 1, 40]),
        texts in prop::collection::vec(any_text(), 7),
    ) -> Odd {
        let mut message = sample::messages().swap_remove(nth).1;
        message.kind = kind;
        message.alerts = entries.iter().cycle().take(entries.len() * times).cloned().collect();
        message.group_key.clone_from(&texts[0]);
        message.group_labels.insert(texts[1].clone(), texts[2].clone());
        message.cause = Some(texts[3].clone());
        message.route.clone_from(&texts[4]);
        if let Some(site) = message.sites.first_mut() {
            site.title.clone_from(&texts[5]);
            site.access.clone_from(&texts[6]);
            site.time_zone.clone_from(&texts[0]);
            if let Some(contact) = site.contacts.first_mut() {
                contact.phone.clone_from(&texts[1]);
                contact.name.clone_from(&texts[2]);
                contact.email.clone_from(&texts[3]);
            }
        }
        Odd(message)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, max_shrink_iters: 50, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_makes_a_parcel_within_the_limits(Odd(message) in any_message(), pictured in any::<bool>()) {
        for (_, receiver) in receivers() {
            let parcel = if pictured { with_chart(&message, &receiver) } else { of(&message, &receiver) };
            hold(&parcel, &receiver);
        }
    }
}
