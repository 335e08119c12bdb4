//! The part of Vimeo's API that tells of live events, for event 1234567 with video 700000001.

use super::http::{Fake, Question, Reply};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};

/// What it says.
#[derive(Debug, Clone)]
pub struct State {
    /// The only one that is let in.
    pub token: String,
    /// `live_video.status`.
    pub live: Option<String>,
    /// `pre_live_video.status`.
    pub preview: Option<String>,
    /// `ingest.status`.
    pub ingest: Value,
    /// How many requests are left.
    pub left: u64,
    /// Headers beside the limit's.
    pub headers: Vec<(String, String)>,
}

/// A running one.
pub struct Vimeo {
    /// Its socket and its faults.
    pub fake: Fake,
    state: Arc<Mutex<State>>,
}

impl Vimeo {
    /// One whose event waits for its stream.
    pub fn start(token: &str) -> Self {
        let state = State {
            token: token.to_owned(),
            live: None,
            preview: Some("ready".to_owned()),
            ingest: json!(2),
            left: 100,
            headers: Vec::new(),
        };
        let state = Arc::new(Mutex::new(state));
        let its = Arc::clone(&state);
        let fake = Fake::start(move |question| {
            answer(&mut its.lock().unwrap_or_else(PoisonError::into_inner), question)
        });
        Self { fake, state }
    }

    /// Changes what it says.
    pub fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

fn error(status: u16, code: u64, text: &str) -> Reply {
    let body = json!({"error": text, "developer_message": text, "error_code": code, "link": null});
    Reply::json(status, &body.to_string())
}

fn answer(state: &mut State, question: &Question) -> Reply {
    let token = format!("Bearer {}", state.token);
    let is_let_in = question.header("authorization").is_some_and(|sent| sent.eq_ignore_ascii_case(&token));
    let reply = if !is_let_in {
        error(401, 8000, "You must provide a valid authenticated access token.")
    } else if state.left == 0 {
        error(429, 9000, "Too many API requests. Wait an hour, then try again.")
    } else {
        state.left -= 1;
        page(state, question)
    };
    let reply = reply.with("X-RateLimit-Limit", "100").with("X-RateLimit-Remaining", &state.left.to_string());
    state.headers.iter().fold(reply, |reply, (name, value)| reply.with(name, value))
}

fn page(state: &State, question: &Question) -> Reply {
    let broadcast = |status: &Option<String>| {
        status.as_ref().map(|status| json!({"uri": "/videos/700000001", "status": status}))
    };
    let body = match question.path.as_str() {
        "/live_events/1234567" => json!({
            "uri": "/live_events/1234567", "title": "Service", "status": state.live.as_ref().map(|_| "started"),
            "stream_mode": "live", "live_video": broadcast(&state.live), "pre_live_video": broadcast(&state.preview),
            "streamable_clip": {"uri": "/videos/700000001", "live": {"status": "ready", "key": "SECRET-KEY"}},
            "rtmp_link": "rtmp://rtmp.example/live", "stream_key": "SECRET-KEY",
        }),
        "/videos/700000001/sessions/status" => json!({
            "id": 700_000_001, "status": "started", "stream_mode": "live", "can_manage": true,
            "ingest": {"status": state.ingest, "session_id": "abc", "encoder_type": "rtmp", "is_rtmp_session": true,
                "width": 1920, "height": 1080, "stream_key": "SECRET-KEY"},
            "archive": {"clip_id": null, "status": 0}, "metering": {"seconds_max": 43200, "seconds_remaining": 40000},
        }),
        _ => return error(404, 5000, "The requested event could not be found."),
    };
    Reply::json(200, &body.to_string())
}
