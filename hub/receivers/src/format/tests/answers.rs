//! What answers mean: a table of what the services say, as far as it is documented, and what follows.

use super::super::judge;
use super::receivers;
use crate::{Answer, Outcome};
use std::time::Duration;

const NOW: i64 = 1_795_140_960_000;

fn judged(kind: &str, status: u16, retry_after: Option<&str>, body: &str, pictured: bool) -> Outcome {
    let (_, receiver) =
        receivers().into_iter().find(|(name, _)| *name == kind).expect("a receiver of this kind");
    judge(&receiver, &Answer { status, retry_after, body: body.as_bytes(), pictured, now: NOW })
}

/// An outcome in a word, with what is in it.
fn word(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Delivered => "delivered".to_owned(),
        Outcome::Retry { after: None, why } => format!("retry | {why}"),
        Outcome::Retry { after: Some(after), why } => format!("retry in {after:?} | {why}"),
        Outcome::Stumbles { after: None, why } => format!("stumbles | {why}"),
        Outcome::Stumbles { after: Some(after), why } => format!("stumbles, again in {after:?} | {why}"),
        Outcome::Elsewhere { chat_id, why } => format!("elsewhere {chat_id} | {why}"),
        Outcome::Plainer { why } => format!("plainer | {why}"),
        Outcome::Final { why, disable: false } => format!("final | {why}"),
        Outcome::Final { why, disable: true } => format!("final, disabled | {why}"),
    }
}

#[test]
fn answers_mean_what_the_services_say_they_mean() {
    for (kind, status, body, meant) in [
        ("slack", 200, "ok", "delivered"),
        ("slack", 400, "invalid_payload", "final | 400: invalid_payload"),
        ("slack", 403, "action_prohibited", "final | 403: action_prohibited"),
        (
            "slack",
            404,
            "no_service",
            "final, disabled | 404: no_service (the webhook was removed at Slack; make a new one)",
        ),
        ("slack", 410, "channel_is_archived", "final | 410: channel_is_archived"),
        ("slack", 500, "rollup_error", "stumbles | 500: rollup_error"),
        ("telegram", 200, r#"{"ok":true,"result":{"message_id":7}}"#, "delivered"),
        (
            "telegram",
            429,
            r#"{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 5","parameters":{"retry_after":5}}"#,
            "retry in 5s | 429: Too Many Requests: retry after 5",
        ),
        (
            "telegram",
            400,
            r#"{"ok":false,"description":"Bad Request: group chat was upgraded","parameters":{"migrate_to_chat_id":-1007}}"#,
            "elsewhere -1007 | 400: Bad Request: group chat was upgraded",
        ),
        ("telegram", 401, r#"{"ok":false,"description":"Unauthorized"}"#, "final | 401: Unauthorized"),
        ("telegram", 502, "<html>Bad Gateway</html>", "retry | 502: <html>Bad Gateway</html>"),
        ("discord", 200, r#"{"id":"1","content":"x"}"#, "delivered"),
        ("discord", 204, "", "delivered"),
        (
            "discord",
            429,
            r#"{"message":"You are being rate limited.","retry_after":0.65,"global":false}"#,
            "retry in 650ms | 429: You are being rate limited.",
        ),
        (
            "discord",
            404,
            r#"{"message":"Unknown Webhook","code":10015}"#,
            "final, disabled | 404: Unknown Webhook (it was deleted at Discord; make a new one)",
        ),
        (
            "discord",
            400,
            r#"{"code":50006,"message":"Cannot send an empty message"}"#,
            "final | 400: Cannot send an empty message",
        ),
        (
            "pagerduty",
            202,
            r#"{"status":"success","message":"Event processed","dedup_key":"x"}"#,
            "delivered",
        ),
        (
            "pagerduty",
            400,
            r#"{"status":"invalid event","message":"Event object is invalid","errors":["'summary' is missing"]}"#,
            "final | 400: Event object is invalid 'summary' is missing",
        ),
        ("pagerduty", 429, "", "retry | 429, without a word"),
        ("ntfy", 200, r#"{"id":"x","event":"message"}"#, "delivered"),
        ("ntfy", 429, r#"{"code":42901,"http":429,"error":"limit reached"}"#, "retry | 429: limit reached"),
        ("ntfy", 403, r#"{"code":40301,"http":403,"error":"forbidden"}"#, "final | 403: forbidden"),
        ("alertmanager", 200, "", "delivered"),
        (
            "alertmanager",
            400,
            "\"at least one label pair required\"",
            "final | 400: \"at least one label pair required\"",
        ),
        ("alertmanager", 503, "", "retry | 503, without a word"),
        ("ntfy", 507, "", "stumbles | 507, without a word"),
        ("webhook", 501, "", "stumbles | 501, without a word"),
        ("webhook", 504, "", "retry | 504, without a word"),
        ("webhook", 521, "", "retry | 521, without a word"),
        ("webhook", 204, "", "delivered"),
        ("webhook", 410, "gone", "final, disabled | 410: gone"),
        ("webhook", 408, "", "retry | 408, without a word"),
        ("webhook", 404, "a\r\nb", "final | 404: a b"),
        (
            "webhook",
            302,
            "",
            "final | 302, without a word (it sends us elsewhere, and redirects are not followed)",
        ),
    ] {
        assert_eq!(word(&judged(kind, status, None, body, false)), meant, "{kind} {status} {body}");
    }
}

#[test]
fn retry_after_is_seconds_or_a_date_and_never_for_ever() {
    let after = |text: &str| match judged("webhook", 503, Some(text), "", false) {
        Outcome::Retry { after, .. } => after,
        other => panic!("{other:?}"),
    };
    assert_eq!(after("30"), Some(Duration::from_secs(30)));
    assert_eq!(after(" 1.5 "), Some(Duration::from_millis(1_500)));
    assert_eq!(after("Fri, 20 Nov 2026 02:17:00 GMT"), Some(Duration::from_mins(1)));
    assert_eq!(after("Fri, 20 Nov 2020 02:17:00 GMT"), Some(Duration::ZERO));
    assert_eq!(after("999999999"), Some(Duration::from_hours(24)));
    for odd in ["soon", "-1", "NaN", "inf", "", "1e400"] {
        assert_eq!(after(odd), None, "{odd}");
    }
}

#[test]
fn a_picture_that_is_refused_is_left_out_and_the_words_are_sent() {
    let refused = r#"{"code":40014,"http":400,"error":"invalid request: attachments not allowed"}"#;
    let meant = "plainer | 400: invalid request: attachments not allowed";
    assert_eq!(word(&judged("ntfy", 400, None, refused, true)), meant);
    assert!(word(&judged("ntfy", 400, None, refused, false)).starts_with("final"));
    let refused = r#"{"ok":false,"description":"Bad Request: IMAGE_PROCESS_FAILED"}"#;
    assert!(word(&judged("telegram", 400, None, refused, true)).starts_with("plainer"));
    assert!(word(&judged("discord", 413, None, "too large", true)).starts_with("plainer"));
    assert!(word(&judged("discord", 403, None, "no", true)).starts_with("final"));
}

#[test]
fn a_server_that_repeats_a_secret_does_not_make_us_repeat_it() {
    for (kind, _) in receivers() {
        for status in [404, 500] {
            let said = format!("{:?}", judged(kind, status, None, "no https://e/hunter2-hunter2?x=1", false));
            assert!(["email", "mqtt"].contains(&kind) || !said.contains("hunter2"), "{kind}: {said}");
        }
    }
}

#[test]
fn ten_megabytes_of_an_answer_are_a_line() {
    let body = "x\n".repeat(5_000_000);
    for (kind, _) in receivers() {
        assert!(word(&judged(kind, 500, None, &body, false)).len() < 300, "{kind}");
    }
}
