//! What Vimeo's API says of a live event and of its ingest. Pure.
//!
//! Every field may be null, missing, or of a kind that is not known yet. Several of them say what state the event is in; the one
//! that says most counts.
//!
//! ```text
//! {"uri":"/live_events/123","live_video":{"status":"streaming"}, … } and {"ingest":{"status":4,"width":1920, … }}
//!   →  Stage::Streaming, ingest 4, "1920x1080"
//! ```

use crate::probe::loose::loose;

loose! {
    /// `/live_events/{id}`, as far as it is asked for.
    pub(super) struct Event {
        uri: Option<String> = "uri",
        status: Option<String> = "status",
        live: Option<Broadcast> = "live_video",
        preview: Option<Broadcast> = "pre_live_video",
        clip: Option<Clip> = "streamable_clip",
    }
}

loose! {
    struct Broadcast {
        uri: Option<String> = "uri",
        status: Option<String> = "status",
    }
}

loose! {
    struct Clip {
        uri: Option<String> = "uri",
        live: Option<Broadcast> = "live",
    }
}

loose! {
    /// `/videos/{id}/sessions/status`.
    pub(super) struct Session {
        ingest: Option<Ingest> = "ingest",
    }
}

loose! {
    struct Ingest {
        status: Option<u64> = "status",
        width: Option<u64> = "width",
        height: Option<u64> = "height",
    }
}

/// What state the event is in, as `rackside_vimeo_event_state` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing comes in, and nothing is prepared.
    Idle = 0,
    /// Vimeo prepares what it needs.
    Pending = 1,
    /// It may begin; the encoder may send already.
    Ready = 2,
    /// It is live.
    Streaming = 3,
    /// It is over.
    Ended = 4,
    /// Vimeo says that something is wrong.
    Error = 5,
}

impl Stage {
    /// For people.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Pending => "pending",
            Self::Ready => "ready",
            Self::Streaming => "streaming",
            Self::Ended => "ended",
            Self::Error => "error",
        }
    }

    /// The state that event and ingest are in together.
    pub(super) fn of(event: &Event, session: Option<&Session>) -> Option<Self> {
        let status = |of: Option<&Broadcast>| of.and_then(|of| of.status.as_deref()).map(str::to_owned);
        let (live, preview) = (status(event.live.as_ref()), status(event.preview.as_ref()));
        let clip = status(event.clip.as_ref().and_then(|clip| clip.live.as_ref()));
        let ingest = session.and_then(Session::ingest);
        let by_live = (live.as_deref() == Some("streaming")).then_some(Self::Streaming);
        let by_ingest = match ingest {
            Some(4) => Some(Self::Streaming),
            Some(5) => Some(Self::Ended),
            _ => None,
        };
        let by_clip = match clip.as_deref() {
            Some("streaming") => Some(Self::Streaming),
            Some("streaming_error" | "archive_error") => Some(Self::Error),
            Some("archiving" | "done") => Some(Self::Ended),
            _ => None,
        };
        let by_preview = match preview.as_deref().or(clip.as_deref()) {
            Some("pending") => Some(Self::Pending),
            Some("ready" | "streaming" | "streaming_preview") => Some(Self::Ready),
            Some("unavailable") => Some(Self::Idle),
            _ => None,
        };
        let by_event = match event.status.as_deref() {
            Some("ended") => Some(Self::Ended),
            Some("started") => Some(Self::Pending),
            _ => None,
        };
        let by_machine = match ingest {
            Some(0 | 3) => Some(Self::Idle),
            Some(1) => Some(Self::Pending),
            Some(2) => Some(Self::Ready),
            _ => None,
        };
        by_live.or(by_ingest).or(by_clip).or(by_preview).or(by_event).or(by_machine)
    }
}

impl Event {
    /// Whether this is one at all.
    pub(super) fn is_known(&self) -> bool {
        let is_event = self.uri.as_deref().is_some_and(|uri| uri.contains("/live_events/"));
        is_event
            || self.status.is_some()
            || self.live.is_some()
            || self.preview.is_some()
            || self.clip.is_some()
    }

    /// The number of its video.
    pub(super) fn video(&self) -> Option<u64> {
        let live = self.live.as_ref().and_then(|live| live.uri.as_deref());
        let clip = self.clip.as_ref().and_then(|clip| clip.uri.as_deref());
        [live, clip].into_iter().flatten().find_map(|uri| {
            let number = uri.strip_prefix("/videos/")?;
            number.split([':', '/', '?']).next()?.parse().ok()
        })
    }
}

impl Session {
    /// 0 to 5, as Vimeo counts.
    pub(super) fn ingest(&self) -> Option<u64> {
        self.ingest.as_ref()?.status.filter(|status| *status <= 5)
    }

    /// `1920x1080`, while something comes in.
    pub(super) fn picture(&self) -> Option<String> {
        let ingest = self.ingest.as_ref().filter(|ingest| ingest.status == Some(4))?;
        Some(format!("{}x{}", ingest.width?, ingest.height?))
    }
}

/// One answer as an event and as a session.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz(bytes: &[u8]) {
    use crate::probe::loose;
    let event = loose::parse::<Option<Event>>(bytes).ok().flatten().unwrap_or_default();
    let session = loose::parse::<Option<Session>>(bytes).ok().flatten();
    let _ = (Stage::of(&event, session.as_ref()), event.video());
    assert!(event.is_known() || event.video().is_none());
    if let Some(session) = session {
        assert!(session.ingest().is_none_or(|ingest| ingest <= 5));
        assert!(session.picture().is_none() || session.ingest() == Some(4));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::loose::parse;
    use proptest::prelude::*;

    const SESSION: &str = r#"{"id":700000001,"status":"started","stream_mode":"live","can_manage":true,
        "ingest":{"status":4,"session_id":"abc","encoder_type":"rtmp","width":1920,"height":1080,"stream_key":"SECRET"},
        "archive":{"clip_id":null,"status":0},"metering":{"seconds_max":43200,"seconds_remaining":40000}}"#;

    fn event(text: &str) -> Event {
        parse::<Option<Event>>(text.as_bytes()).expect("JSON").expect("an object")
    }

    fn session(text: &str) -> Session {
        parse::<Option<Session>>(text.as_bytes()).expect("JSON").expect("an object")
    }

    fn stage(text: &str) -> Option<Stage> {
        Stage::of(&event(text), None)
    }

    #[test]
    fn what_says_most_counts() {
        assert_eq!(
            stage(r#"{"live_video":{"status":"streaming"},"status":"ended"}"#),
            Some(Stage::Streaming)
        );
        assert_eq!(
            stage(r#"{"live_video":null,"pre_live_video":{"status":"pending"}}"#),
            Some(Stage::Pending)
        );
        assert_eq!(
            stage(r#"{"live_video":null,"pre_live_video":{"status":"unavailable"}}"#),
            Some(Stage::Idle)
        );
        assert_eq!(
            stage(r#"{"pre_live_video":{"status":"streaming"}}"#),
            Some(Stage::Ready),
            "a preview is not live"
        );
        assert_eq!(stage(r#"{"streamable_clip":{"live":{"status":"streaming_error"}}}"#), Some(Stage::Error));
        assert_eq!(stage(r#"{"status":"ended"}"#), Some(Stage::Ended));
        assert_eq!(stage(r#"{"uri":"/live_events/1","status":null,"live_video":7}"#), None);
        assert_eq!(stage(r#"{"status":"a new word"}"#), None);
        let idle = event(r#"{"uri":"/live_events/1"}"#);
        assert_eq!(Stage::of(&idle, Some(&session(SESSION))), Some(Stage::Streaming));
        assert_eq!(Stage::of(&idle, Some(&session(r#"{"ingest":{"status":"2"}}"#))), Some(Stage::Ready));
    }

    #[test]
    fn an_ingest_is_a_number_that_may_be_written_as_text() {
        assert_eq!(
            (session(SESSION).ingest(), session(SESSION).picture().as_deref()),
            (Some(4), Some("1920x1080"))
        );
        assert_eq!(session(r#"{"ingest":{"status":"5","width":1}}"#).ingest(), Some(5));
        assert_eq!(session(r#"{"ingest":{"status":17}}"#).ingest(), None);
        assert!(!format!("{:?}", session(SESSION)).contains("SECRET"));
    }

    #[test]
    fn a_video_is_known_by_its_address() {
        assert_eq!(event(r#"{"streamable_clip":{"uri":"/videos/700000001"}}"#).video(), Some(700_000_001));
        assert_eq!(
            event(r#"{"live_video":{"uri":"/videos/5:abc"},"streamable_clip":{"uri":"/videos/6"}}"#).video(),
            Some(5)
        );
        assert_eq!(event(r#"{"streamable_clip":{"uri":"/videos/../me"}}"#).video(), None);
    }

    proptest! {
        #[test]
        fn a_twisted_answer_is_read_or_refused(at in 0_usize..SESSION.len(), byte in any::<u8>(), cut in any::<bool>()) {
            let mut body = SESSION.as_bytes().to_vec();
            if cut { body.truncate(at) } else { body[at] = byte }
            if let Ok(Some(session)) = parse::<Option<Session>>(&body) {
                Stage::of(&Event::default(), Some(&session));
                session.picture();
            }
        }
    }
}
