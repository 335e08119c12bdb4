//! What ffprobe says of a stream: its codecs, its picture's size and rate, its sound's rate; or why there is none. Pure but for the list of
//! arguments, which is data as well.
//!
//! Every field is looked at for itself, since live inputs lack many. ffprobe ends with 1 whatever went wrong; `error.string` says what,
//! and holds no address.
//!
//! ```text
//! {"streams":[{"codec_type":"video","codec_name":"h264","width":1920,"height":1080,"avg_frame_rate":"25/1"},…],"format":{"format_name":"flv"}}
//! {"error":{"code":-111,"string":"Connection refused"}}
//! ```

use crate::probe::streak::Seen;
use serde_json::Value;

/// Streams that are looked at; a transport stream may have dozens.
const STREAMS: usize = 64;
/// Of a name.
const NAME: usize = 40;

/// A stream's video.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Video {
    /// `h264`.
    pub codec: String,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
}

/// A stream's audio.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audio {
    /// `aac`.
    pub codec: String,
    /// Samples a second; 0 when not known.
    pub rate: u32,
}

/// What a stream is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// `flv`, `rtsp`, `mpegts`.
    pub format: String,
    /// The first one, if there is one.
    pub video: Option<Video>,
    /// The first one, if there is one.
    pub audio: Option<Audio>,
}

/// Why there is no description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoDescription {
    /// What that says of the stream.
    pub seen: Seen,
    /// For people.
    pub why: String,
}

/// What ffprobe is asked for.
pub const ARGUMENTS: &[&str] = &[
    "-v",
    "error",
    "-of",
    "json",
    "-show_error",
    "-show_entries",
    "stream=codec_type,codec_name,width,height,sample_rate:format=format_name",
];

impl Description {
    /// Reads what ffprobe wrote; `complaints` is what it said besides.
    pub fn parse(json: &[u8], complaints: &str) -> Result<Self, NoDescription> {
        let failed = |why: String| NoDescription { seen: Seen::Failed, why };
        let all: Value = serde_json::from_slice(json)
            .map_err(|_| failed("ffprobe did not say what it found".to_owned()))?;
        if let Some(why) = all.pointer("/error/string").and_then(Value::as_str) {
            return Err(judge(why, complaints));
        }
        let streams = all.get("streams").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let first = |kind: &str| {
            streams
                .iter()
                .take(STREAMS)
                .find(|stream| stream.get("codec_type").and_then(Value::as_str) == Some(kind))
        };
        let pixels =
            |stream: &Value, key: &str| stream.get(key).and_then(Value::as_u64).unwrap_or_default() as u32;
        let video = first("video").map(|stream| Video {
            codec: name(stream.get("codec_name")),
            width: pixels(stream, "width"),
            height: pixels(stream, "height"),
        });
        let rate = |stream: &Value| {
            stream.get("sample_rate").and_then(Value::as_str).and_then(|rate| rate.parse().ok())
        };
        let audio = first("audio").map(|stream| Audio {
            codec: name(stream.get("codec_name")),
            rate: rate(stream).unwrap_or_default(),
        });
        if video.is_none() && audio.is_none() {
            return Err(failed("there is neither picture nor sound in it".to_owned()));
        }
        let format = name(all.pointer("/format/format_name"));
        Ok(Self { format, video, audio })
    }

    /// The codecs, picture first: `h264, aac`.
    pub fn codecs(&self) -> String {
        let video = self.video.iter().map(|video| video.codec.as_str());
        video.chain(self.audio.iter().map(|audio| audio.codec.as_str())).collect::<Vec<_>>().join(", ")
    }
}

/// A name as it may be shown; `unknown` when there is none.
fn name(value: Option<&Value>) -> String {
    let name: String = value
        .and_then(Value::as_str)
        .unwrap_or_default()
        .chars()
        .filter(|c| !c.is_control())
        .take(NAME)
        .collect();
    if name.is_empty() { "unknown".to_owned() } else { name }
}

/// What ffmpeg's word for an error says of the stream.
pub fn judge(why: &str, complaints: &str) -> NoDescription {
    let said = |what: &str| why.contains(what) || complaints.contains(what);
    let why: String = why.chars().filter(|c| !c.is_control()).take(150).collect();
    let told = |seen, why| NoDescription { seen, why };
    if said("404 Not Found") || said("StreamNotFound") {
        return told(Seen::Gone, format!("the server has no such stream: {why}"));
    }
    if said("401 Unauthorized") || said("403 Forbidden") {
        return told(Seen::Nothing, format!("the server does not let us look: {why}"));
    }
    if said("Failed to resolve hostname") || said("Name or service not known") {
        return told(Seen::Nothing, "the server's name has no address".to_owned());
    }
    if said("Network is unreachable") {
        return told(Seen::Nothing, "there is no network to the server: Network is unreachable".to_owned());
    }
    if said("Protocol not found") {
        return told(Seen::Nothing, "this ffmpeg cannot speak that protocol".to_owned());
    }
    told(Seen::Failed, format!("the stream cannot be had: {why}"))
}

/// Names are short and fit into a sentence.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz(bytes: &[u8]) {
    let complaints = String::from_utf8_lossy(bytes);
    match Description::parse(bytes, &complaints) {
        Ok(Description { format, video, audio }) => {
            assert!(video.is_some() || audio.is_some());
            let names = video.map(|video| video.codec).into_iter().chain(audio.map(|audio| audio.codec));
            for name in names.chain([format]) {
                assert!((1..=NAME).contains(&name.chars().count()) && !name.contains(char::is_control));
            }
        }
        Err(NoDescription { why, .. }) => {
            assert!(why.chars().count() <= 200 && !why.contains(char::is_control));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOOD: &str = r#"{"programs":[],"streams":[
        {"codec_type":"audio","codec_name":"aac","sample_rate":"48000"},{"codec_type":"data"},
        {"codec_type":"video","codec_name":"h264","width":640,"height":360}],"format":{"format_name":"flv"}}"#;

    fn parse(json: &str) -> Result<Description, NoDescription> {
        Description::parse(json.as_bytes(), "")
    }

    #[test]
    fn codecs_and_size_are_read() {
        let description = parse(GOOD).expect("a stream");
        assert_eq!((description.codecs().as_str(), description.format.as_str()), ("h264, aac", "flv"));
        let video = description.video.expect("a picture");
        assert_eq!((video.width, video.height), (640, 360));
        assert_eq!(description.audio.map(|audio| audio.rate), Some(48_000));
    }

    #[test]
    fn a_field_that_is_missing_or_of_another_type_is_left_out() {
        let odd = r#"{"streams":[{"codec_type":"video","codec_name":7,"width":"x","height":-1},
            {"codec_type":"audio","sample_rate":48000}, 7, null],"format":[]}"#;
        let description = parse(odd).expect("a stream");
        assert_eq!(description.codecs(), "unknown, unknown");
        assert_eq!(description.video.map(|video| (video.width, video.height)), Some((0, 0)));
        for nothing in ["{}", "[]", "7", r#"{"streams":{}}"#, r#"{"streams":[{"codec_type":"data"}]}"#] {
            assert_eq!(parse(nothing).map_err(|why| why.seen), Err(Seen::Failed), "{nothing}");
        }
        assert!(parse("<html>").is_err() && parse("").is_err());
    }

    #[test]
    fn an_error_says_whether_it_is_the_stream_or_the_way_to_it() {
        let seen = |why: &str, complaints: &str| {
            let json = serde_json::json!({"error": {"code": -5, "string": why}}).to_string();
            Description::parse(json.as_bytes(), complaints).expect_err("an error").seen
        };
        assert_eq!(seen("Connection refused", ""), Seen::Failed);
        assert_eq!(seen("Input/output error", ""), Seen::Failed);
        assert_eq!(seen("Server returned 404 Not Found", ""), Seen::Gone);
        assert_eq!(seen("Server returned 401 Unauthorized (authorization failed)", ""), Seen::Nothing);
        assert_eq!(seen("Input/output error", "Failed to resolve hostname a.example: x"), Seen::Nothing);
        assert_eq!(seen("Network is unreachable", ""), Seen::Nothing);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".*", complaints in ".*") {
            let _ = Description::parse(text.as_bytes(), &complaints);
        }

        #[test]
        fn a_good_text_with_a_byte_changed_is_read_or_refused(at in 0..GOOD.len(), byte in any::<u8>(), end in 0..GOOD.len()) {
            let mut bytes = GOOD.as_bytes().to_vec();
            bytes[at] = byte;
            bytes.truncate(GOOD.len() - end / 8);
            let _ = Description::parse(&bytes, "");
        }
    }
}
