//! The control API of MediaMTX in two ages, for what a test cannot make a real server do: an old version, another number of paths,
//! answers that go wrong.
//!
//! The tests have a real MediaMTX as well (`tests/mediamtx` builds it); what both can do is asked of the real one.

use super::http::{Fake, Question, Reply};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Which version it is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Age {
    /// 1.9: `ready`, `bytesReceived`, errors without `status`, no `/v3/info`.
    Old,
    /// 1.20.
    New,
}

/// A path.
#[derive(Debug, Clone, Default)]
pub struct Path {
    /// Its name.
    pub name: String,
    /// Since when somebody publishes, if anybody does.
    pub since: Option<String>,
    /// From the publisher.
    pub inbound: u64,
    /// To readers.
    pub outbound: u64,
    /// How many.
    pub readers: usize,
}

/// What it has.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// In any order.
    pub paths: Vec<Path>,
    /// User and password, if it wants them.
    pub login: Option<(String, String)>,
}

/// A running one.
pub struct MediaMtx {
    /// Its socket and its faults.
    pub fake: Fake,
    state: Arc<Mutex<State>>,
}

/// The real one takes up to 4 s.
const REFUSAL: Duration = Duration::from_millis(700);

impl MediaMtx {
    /// One of that age.
    pub fn start(age: Age) -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let its = Arc::clone(&state);
        let fake = Fake::start(move |question| {
            answer(&its.lock().unwrap_or_else(PoisonError::into_inner).clone(), age, question)
        });
        Self { fake, state }
    }

    /// Changes what it has.
    pub fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

fn error(age: Age, status: u16, text: &str) -> Reply {
    let body =
        if age == Age::Old { json!({"error": text}) } else { json!({"status": "error", "error": text}) };
    Reply::json(status, &body.to_string())
}

fn answer(state: &State, age: Age, question: &Question) -> Reply {
    if let Some((user, password)) = &state.login {
        // `rackside:hunter2`, the only login that tests use.
        let is_right = (user.as_str(), password.as_str()) == ("rackside", "hunter2")
            && question.header("authorization") == Some("Basic cmFja3NpZGU6aHVudGVyMg==");
        if !is_right {
            let reply =
                if age == Age::Old { Reply::json(401, "") } else { error(age, 401, "authentication error") };
            let delay = if question.header("authorization").is_some() { REFUSAL } else { Duration::ZERO };
            return reply.with("WWW-Authenticate", "Basic realm=\"mediamtx\"").after(delay);
        }
    }
    match (question.path.as_str(), age) {
        ("/v3/info", Age::New) => {
            Reply::json(200, &json!({"version": "v1.20.1", "started": "2026-11-20T03:00:00Z"}).to_string())
        }
        ("/v3/paths/list", _) => {
            let mut paths = state.paths.clone();
            paths.sort_by(|one, other| one.name.cmp(&other.name));
            page(age, question, paths.iter().map(|path| item(age, path)).collect())
        }
        ("/v3/srtconns/list" | "/v3/rtmpconns/list" | "/v3/rtspsessions/list", _) => {
            page(age, question, Vec::new())
        }
        // What the framework answers for a list that is not there.
        _ => Reply {
            headers: vec![("Content-Type".to_owned(), "text/plain".to_owned())],
            ..Reply::json(404, "404 page not found")
        },
    }
}

fn page(age: Age, question: &Question, items: Vec<Value>) -> Reply {
    let number =
        |name: &str, usual: usize| question.value(name).map_or(Some(usual), |text| text.parse().ok());
    let (Some(page), Some(size @ 1..)) = (number("page", 0), number("itemsPerPage", 100)) else {
        return error(age, 400, "invalid items per page");
    };
    let all = items.len();
    let items: Vec<Value> = items.into_iter().skip(page * size).take(size).collect();
    Reply::json(200, &json!({"itemCount": all, "pageCount": all.div_ceil(size), "items": items}).to_string())
}

fn item(age: Age, path: &Path) -> Value {
    let is_online = path.since.is_some();
    let source = is_online.then(|| json!({"type": "srtConn", "id": "0b0b6c52-8d7b-4a54-9a43-6a3e9b6f0d11"}));
    let reader = json!({"type": "rtmpConn", "id": "5f1f0a30-34a3-4b0b-8d5c-0d3f1c0d7e21"});
    let mut item = json!({
        "name": path.name, "confName": "all_others", "source": source, "ready": is_online, "readyTime": path.since,
        "tracks": if is_online { vec!["H264", "MPEG-4 Audio"] } else { Vec::new() },
        "bytesReceived": path.inbound, "bytesSent": path.outbound, "readers": vec![reader; path.readers],
    });
    if age == Age::New {
        let tracks = [
            json!({"codec": "H264", "codecProps": {"width": 1920, "height": 1080, "profile": "High", "level": "4.2"}}),
            json!({"codec": "MPEG-4 Audio", "codecProps": {"sampleRate": 48000, "channelCount": 2}}),
        ];
        let more = json!({
            "available": is_online, "availableTime": path.since, "online": is_online, "onlineTime": path.since,
            "tracks2": if is_online { tracks.to_vec() } else { Vec::new() },
            "inboundBytes": path.inbound, "outboundBytes": path.outbound, "inboundFramesInError": 0,
        });
        if let (Value::Object(item), Value::Object(more)) = (&mut item, more) {
            item.extend(more);
        }
    }
    item
}
