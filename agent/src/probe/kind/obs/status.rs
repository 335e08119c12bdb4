//! What OBS answers to the three questions about its outputs. Pure.
//!
//! ```text
//! {"op":7,"d":{"requestType":"GetStreamStatus","requestId":"GetStreamStatus","requestStatus":{"result":true,"code":100},
//!   "responseData":{"outputActive":true,"outputReconnecting":false,"outputCongestion":0.02,"outputBytes":12345678, …}}}
//! ```

use crate::probe::loose::{self, loose};
use std::time::{Duration, Instant};

/// OBS is still loading.
const NOT_READY: u64 = 207;

loose! {
    /// Any message.
    struct Message {
        op: Option<u64> = "op",
        data: Option<Data> = "d",
    }
}

loose! {
    struct Data {
        kind: Option<String> = "requestType",
        status: Option<RequestStatus> = "requestStatus",
        told: Option<Told> = "responseData",
        authentication: Option<Authentication> = "authentication",
    }
}

loose! {
    struct RequestStatus {
        result: Option<bool> = "result",
        code: Option<u64> = "code",
    }
}

loose! {
    struct Authentication {
        challenge: Option<String> = "challenge",
        salt: Option<String> = "salt",
    }
}

loose! {
    /// All that is read of an answer, whichever it is.
    pub(super) struct Told {
        pub active: Option<bool> = "outputActive",
        pub reconnecting: Option<bool> = "outputReconnecting",
        pub paused: Option<bool> = "outputPaused",
        pub congestion: Option<f64> = "outputCongestion",
        /// Milliseconds.
        pub duration: Option<f64> = "outputDuration",
        pub bytes: Option<u64> = "outputBytes",
        /// Of a stream: what the network did not take. Of the statistics: what the encoder did not manage.
        pub skipped: Option<u64> = "outputSkippedFrames",
        pub total: Option<u64> = "outputTotalFrames",
        pub render_skipped: Option<u64> = "renderSkippedFrames",
        pub render_total: Option<u64> = "renderTotalFrames",
        /// Per cent.
        pub cpu: Option<f64> = "cpuUsage",
        /// MiB.
        pub memory: Option<f64> = "memoryUsage",
        /// MiB.
        pub disk: Option<f64> = "availableDiskSpace",
        pub fps: Option<f64> = "activeFps",
        /// Milliseconds.
        pub render_time: Option<f64> = "averageFrameRenderTime",
    }
}

/// What a message is.
#[derive(Debug, PartialEq)]
pub(super) enum Heard {
    /// It greets, and may want a password: challenge and salt.
    Hello(Option<(String, String)>),
    /// It listens.
    Identified,
    /// The answer to a question; nothing if it refuses it.
    Answer(Question, Option<Box<Told>>),
    /// Anything else.
    Other,
}

/// What is asked, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    Stream,
    Record,
    Stats,
}

impl Question {
    pub(super) const ALL: [Self; 3] = [Self::Stream, Self::Record, Self::Stats];

    /// As OBS calls it.
    pub(super) const fn kind(self) -> &'static str {
        match self {
            Self::Stream => "GetStreamStatus",
            Self::Record => "GetRecordStatus",
            Self::Stats => "GetStats",
        }
    }
}

/// Reads a message.
pub(super) fn read(message: &[u8]) -> Result<Heard, String> {
    let read: Option<Message> = loose::parse(message)?;
    let Some(Message { op: Some(op), data }) = read else {
        return Err("a message without an op code".to_owned());
    };
    let data = data.unwrap_or_default();
    Ok(match op {
        0 => {
            let wanted = data.authentication.unwrap_or_default();
            Heard::Hello(wanted.challenge.zip(wanted.salt))
        }
        2 => Heard::Identified,
        7 => {
            let question =
                Question::ALL.into_iter().find(|question| data.kind.as_deref() == Some(question.kind()));
            let Some(question) = question else { return Ok(Heard::Other) };
            let status = data.status.unwrap_or_default();
            if status.code == Some(NOT_READY) {
                return Err("OBS is still loading".to_owned());
            }
            let told = data.told.filter(|_| status.result != Some(false));
            Heard::Answer(question, told.map(Box::new))
        }
        _ => Heard::Other,
    })
}

/// What it answered.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Status {
    pub stream: Told,
    pub record: Told,
    pub stats: Told,
}

impl Status {
    pub(super) fn take(&mut self, question: Question, told: Told) {
        match question {
            Question::Stream => self.stream = told,
            Question::Record => self.record = told,
            Question::Stats => self.stats = told,
        }
    }
}

/// Bits a second from the bytes that OBS counted at two polls.
#[derive(Debug, Default)]
pub(super) struct Rate {
    last: Option<(Instant, u64)>,
}

impl Rate {
    /// One more poll; nothing at the first, and when the count began anew.
    pub(super) fn take(&mut self, bytes: Option<u64>, now: Instant) -> Option<f64> {
        let before = std::mem::replace(&mut self.last, bytes.map(|bytes| (now, bytes)));
        let ((then, before), bytes) = before.zip(bytes)?;
        let took = now.checked_duration_since(then).filter(|took| *took >= Duration::from_millis(500))?;
        Some(bytes.checked_sub(before)? as f64 * 8.0 / took.as_secs_f64())
    }
}

/// Messages are read, and a rate of bytes is one.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz(bytes: &[u8]) {
    let mut rate = Rate::default();
    let now = crate::clock::Clock::now();
    for (at, message) in (0..).zip(bytes.split(|byte| *byte == b'\n')) {
        if let Ok(Heard::Answer(_, Some(told))) = read(message) {
            let numbers = [told.congestion, told.duration, told.cpu, told.memory, told.disk, told.fps];
            assert!(numbers.into_iter().flatten().all(f64::is_finite));
            let bitrate = rate.take(told.bytes, now + Duration::from_secs(at));
            assert!(bitrate.is_none_or(|bitrate| bitrate.is_finite() && bitrate >= 0.0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn heard(message: &Value) -> Result<Heard, String> {
        read(message.to_string().as_bytes())
    }

    fn response(kind: &str, result: bool, code: u64, data: &Value) -> Value {
        json!({"op": 7, "d": {"requestType": kind, "requestId": kind, "requestStatus": {"result": result, "code": code}, "responseData": data}})
    }

    #[test]
    fn messages_are_told_apart() {
        let hello =
            json!({"op": 0, "d": {"rpcVersion": 1, "authentication": {"challenge": "c", "salt": "s"}}});
        assert_eq!(heard(&hello), Ok(Heard::Hello(Some(("c".to_owned(), "s".to_owned())))));
        assert_eq!(heard(&json!({"op": 0, "d": {"rpcVersion": 1}})), Ok(Heard::Hello(None)));
        assert_eq!(heard(&json!({"op": 2, "d": {}})), Ok(Heard::Identified));
        assert_eq!(heard(&json!({"op": 5, "d": {"eventType": "x"}})), Ok(Heard::Other));
        assert_eq!(heard(&response("GetVersion", true, 100, &json!({}))), Ok(Heard::Other));
        assert_eq!(
            heard(&response("GetStats", false, 204, &Value::Null)),
            Ok(Heard::Answer(Question::Stats, None))
        );
        assert_eq!(
            heard(&response("GetStats", false, 207, &Value::Null)),
            Err("OBS is still loading".to_owned())
        );
        for bytes in [&b"{"[..], b"[]", b"{\"d\":1}", b"\xff", b"{\"op\":\"x\"}"] {
            assert!(read(bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn what_is_mistyped_takes_nothing_else_with_it() {
        let data = json!({"outputActive": "yes", "outputReconnecting": true, "outputBytes": -1, "outputCongestion": "0.5"});
        let Ok(Heard::Answer(Question::Stream, Some(told))) =
            heard(&response("GetStreamStatus", true, 100, &data))
        else {
            panic!("an answer")
        };
        assert_eq!(
            (told.active, told.reconnecting, told.bytes, told.congestion),
            (None, Some(true), None, Some(0.5))
        );
    }

    #[test]
    fn a_rate_needs_two_counts_that_go_up() {
        let (mut rate, start) = (Rate::default(), Clock::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(rate.take(Some(1000), at(0)), None);
        assert_eq!(rate.take(Some(6000), at(10)), Some(4000.0));
        assert_eq!(rate.take(Some(6000), at(20)), Some(0.0));
        assert_eq!(rate.take(Some(10), at(30)), None, "it began anew");
        assert_eq!(rate.take(None, at(40)), None);
        assert_eq!(rate.take(Some(20), at(50)), None);
        assert_eq!(rate.take(Some(30), at(50)), None, "at the same moment");
    }

    proptest! {
        #[test]
        fn no_message_makes_it_panic(text in "\\{\"op\":[0-9],\"d\":(\\{\"(requestType|requestStatus|responseData|authentication)\":[a-zA-Z0-9{}\":\\[\\]]{0,40}\\}|[0-9a-z\"]{0,9})\\}", bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = (read(text.as_bytes()), read(&bytes));
        }
    }
}
