//! The now-playing API of AzuraCast, for one station called `hall`.

use super::http::{Fake, Question, Reply};
use serde_json::json;
use std::sync::{Arc, Mutex, PoisonError};

/// What the station does.
#[derive(Debug, Clone)]
pub struct State {
    /// On the air.
    pub is_online: bool,
    /// How many.
    pub listeners: u64,
    /// Who is live, if anybody is.
    pub streamer: Option<String>,
    /// Number of the play, when it began (seconds since 1970), its length, and the track.
    pub playing: Option<(u64, u64, u64, String)>,
    /// Who may see it, when not everybody may.
    pub api_key: Option<String>,
}

/// A running one.
pub struct AzuraCast {
    /// Its socket and its faults.
    pub fake: Fake,
    state: Arc<Mutex<State>>,
}

impl AzuraCast {
    /// One that is on the air with nothing to play.
    pub fn start() -> Self {
        let state = State { is_online: true, listeners: 0, streamer: None, playing: None, api_key: None };
        let state = Arc::new(Mutex::new(state));
        let its = Arc::clone(&state);
        let fake = Fake::start(move |question| {
            answer(&its.lock().unwrap_or_else(PoisonError::into_inner).clone(), question)
        });
        Self { fake, state }
    }

    /// Changes what it does.
    pub fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

fn error(status: u16, kind: &str, message: &str) -> Reply {
    let body = json!({"code": status, "type": kind, "message": message, "formatted_message": message, "success": false});
    Reply::json(status, &body.to_string())
}

fn answer(state: &State, question: &Question) -> Reply {
    if question.path != "/api/nowplaying/hall" {
        return error(404, "NotFoundException", "Record not found");
    }
    if state.api_key.is_some() && question.header("x-api-key") != state.api_key.as_deref() {
        return error(
            403,
            "PermissionDeniedException",
            "You do not have permission to access this portion of the site.",
        );
    }
    let mounts = json!([{"id": 1, "name": "/radio.mp3", "url": "https://radio.example/radio.mp3", "bitrate": 192, "format": "mp3",
        "listeners": {"total": state.listeners, "unique": state.listeners, "current": state.listeners}, "path": "/radio.mp3",
        "is_default": true}]);
    let playing = state.playing.as_ref().map(|(id, begun, length, text)| {
        json!({"sh_id": id, "played_at": begun, "duration": length, "playlist": "day", "streamer": "", "is_request": false,
            "song": {"id": "9", "text": text, "artist": "", "title": text, "album": ""}, "elapsed": 1, "remaining": 1})
    });
    let body = json!({
        "station": {"id": 1, "name": "Hall", "shortcode": "hall", "description": "", "frontend": "icecast", "backend": "liquidsoap",
            "timezone": "UTC", "listen_url": "https://radio.example/radio.mp3", "is_public": true, "mounts": mounts, "remotes": [],
            "hls_enabled": false, "hls_listeners": 0},
        "listeners": {"total": state.listeners, "unique": state.listeners, "current": state.listeners},
        "live": {"is_live": state.streamer.is_some(), "streamer_name": state.streamer.clone().unwrap_or_default(),
            "broadcast_start": null, "art": null},
        "now_playing": playing, "playing_next": null, "song_history": [], "is_online": state.is_online, "cache": "database",
    });
    Reply::json(200, &body.to_string())
}
