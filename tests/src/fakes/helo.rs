//! An AJA HELO: `/config`, one parameter at a time, all values as texts; with a password a session, without which every page hides.

use super::http::{Fake, Question, Reply};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What it says.
#[derive(Debug, Clone)]
pub struct State {
    /// Its parameters without `eParamID_`, and their values; what is not among them its firmware does not know.
    pub parameters: BTreeMap<String, String>,
    /// Whether values come as numbers instead of texts.
    pub has_numbers: bool,
    /// Where authentication is on.
    pub password: Option<String>,
    /// How many logins there were: the newest one's session is let in.
    pub sessions: u32,
    /// Parameters that take longer than anybody waits.
    pub slow: Option<String>,
}

/// A running one.
pub struct Helo {
    /// Its socket and its faults.
    pub fake: Fake,
    state: Arc<Mutex<State>>,
}

impl Helo {
    /// One that streams and records.
    pub fn start() -> Self {
        let parameters = [
            ("ReplicatorStreamState", "2"),
            ("ReplicatorRecordState", "2"),
            ("CurrentMediaAvailable", "80"),
            ("Temperature", "51"),
            ("StreamingDuration", "01:02:03:12"),
            ("VideoInSelect", "1"),
            ("MediaState", "0"),
        ];
        let state = State {
            parameters: parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            has_numbers: false,
            password: None,
            sessions: 0,
            slow: None,
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

    /// Changes a parameter.
    pub fn tell(&self, name: &str, value: &str) {
        self.set(|state| drop(state.parameters.insert(name.to_owned(), value.to_owned())));
    }
}

fn answer(state: &mut State, question: &Question) -> Reply {
    let reply = page(state, question);
    reply.with("Server", "Seminole")
}

fn page(state: &mut State, question: &Question) -> Reply {
    if let Some(password) = &state.password {
        if (question.method.as_str(), question.path.as_str()) == ("POST", "/authenticator/login") {
            if question.body != format!("password_provided={password}") {
                return Reply::json(200, r#"{"login":"failure"}"#);
            }
            state.sessions += 1;
            let cookie = format!("session=s{}; path=/", state.sessions);
            return Reply::json(200, r#"{"login":"success"}"#).with("Set-Cookie", &cookie);
        }
        let session = format!("session=s{}", state.sessions);
        if state.sessions == 0 || question.header("cookie") != Some(&session) {
            return Reply::page(404);
        }
    }
    let id = question.value("paramid").unwrap_or_default();
    let name = id.strip_prefix("eParamID_").unwrap_or_default();
    match state.parameters.get(name) {
        Some(value) if question.path == "/config" && question.value("action") == Some("get") => {
            let number = value.parse::<i64>().ok().filter(|_| state.has_numbers);
            let value = number.map_or_else(|| json!(value), |number| json!(number));
            let body =
                json!({"paramid": "2097225226", "name": id, "value": value, "value_name": "eRRSWhatever"});
            let late =
                if state.slow.as_deref() == Some(name) { Duration::from_secs(20) } else { Duration::ZERO };
            Reply::json(200, &body.to_string()).after(late)
        }
        _ => Reply::page(404),
    }
}
