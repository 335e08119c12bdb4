//! What such an encoder says of itself, whichever way it was asked; and how its REST interface says it. Pure.
//!
//! ```text
//! GET /control/api/v1/livestreams/0
//! {"status":"Streaming","bitrate":6012000,"effectiveVideoFormat":"1920x1080p30","duration":125,"cache":0}
//! ```

use crate::probe::loose::{self, loose};

/// The longest text that is told.
const TEXT: usize = 64;

/// What its stream does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    /// It is not meant to stream.
    Idle,
    /// It begins to.
    Connecting,
    /// It streams.
    Streaming,
    /// It was stopped, and sends what it still holds.
    Flushing,
    /// The network fails it; it holds what it cannot send.
    Interrupted,
}

impl Status {
    pub(super) fn of(text: &str) -> Option<Self> {
        let all = [Self::Idle, Self::Connecting, Self::Streaming, Self::Flushing, Self::Interrupted];
        all.into_iter().find(|status| status.as_str().eq_ignore_ascii_case(text.trim()))
    }

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Connecting => "connecting",
            Self::Streaming => "streaming",
            Self::Flushing => "flushing",
            Self::Interrupted => "interrupted",
        }
    }
}

/// Its stream; each part is missing for itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Live {
    pub status: Option<Status>,
    /// Bits a second.
    pub bitrate: Option<f64>,
    /// Seconds.
    pub duration: Option<f64>,
    /// Share of its cache that is full.
    pub cache: Option<f64>,
}

/// What it says in words, by what it is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Texts(Vec<(&'static str, String)>);

impl Texts {
    /// Notes a text in the place of an older one. What looks like an address is left out: there is a key in it as often as not.
    pub(super) fn put(&mut self, subject: &'static str, text: &str) {
        self.0.retain(|(other, _)| *other != subject);
        let text = text.trim();
        if !text.is_empty() && !text.contains("://") && !text.contains(char::is_control) {
            self.0.push((subject, text.chars().take(TEXT).collect()));
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(subject, text)| (*subject, text.as_str()))
    }
}

loose! {
    /// `livestreams/0`.
    pub(super) struct Livestream {
        status: Option<String> = "status",
        bitrate: Option<f64> = "bitrate",
        format: Option<String> = "effectiveVideoFormat",
        duration: Option<f64> = "duration",
        cache: Option<f64> = "cache",
    }
}

impl Livestream {
    /// What the answer says; nothing if it is not about a stream at all.
    pub(super) fn read(body: &[u8], texts: &mut Texts) -> Result<Live, String> {
        let read: Option<Self> = loose::parse(body)?;
        let Some(read) = read.filter(|read| *read != Self::default()) else {
            return Err("the answer does not tell of a stream".to_owned());
        };
        texts.put("format", read.format.as_deref().unwrap_or_default());
        let positive = |number: Option<f64>| number.filter(|number| *number >= 0.0);
        Ok(Live {
            status: read.status.as_deref().and_then(Status::of),
            bitrate: positive(read.bitrate),
            duration: positive(read.duration),
            cache: positive(read.cache).map(|percent| percent / 100.0),
        })
    }
}

loose! {
    /// `livestreams/0/activePlatform`, without the key, the passphrase and the address in it.
    struct ActivePlatform {
        platform: Option<String> = "platform",
        quality: Option<String> = "quality",
    }
}

loose! {
    /// `system/product`, or `system`.
    struct Product {
        name: Option<String> = "productName",
        version: Option<String> = "softwareVersion",
    }
}

/// A page of what changes seldom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Page {
    Platform,
    Product,
}

impl Page {
    pub(super) const ALL: [Self; 2] = [Self::Platform, Self::Product];

    /// Below `/control/api/v1`.
    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::Platform => "livestreams/0/activePlatform",
            Self::Product => "system/product",
        }
    }

    /// Notes what it says; a page that cannot be read says nothing.
    pub(super) fn read(self, body: &[u8], texts: &mut Texts) {
        let mut put = |subject, text: Option<String>| texts.put(subject, text.as_deref().unwrap_or_default());
        match self {
            Self::Platform => {
                if let Ok(Some(ActivePlatform { platform, quality })) = loose::parse(body) {
                    put("platform", platform);
                    put("quality", quality);
                }
            }
            Self::Product => {
                if let Ok(Some(Product { name, version })) = loose::parse(body) {
                    put("model", name);
                    put("firmware", version);
                }
            }
        }
    }
}

/// Texts are short and hold no address, numbers are some.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz(bytes: &[u8]) {
    let mut texts = Texts::default();
    if let Ok(live) = Livestream::read(bytes, &mut texts) {
        let numbers = [live.bitrate, live.duration, live.cache];
        assert!(numbers.into_iter().flatten().all(|number| number.is_finite() && number >= 0.0));
    }
    for page in Page::ALL {
        page.read(bytes, &mut texts);
    }
    for (_, text) in texts.iter() {
        assert!(text.chars().count() <= TEXT && !text.contains(char::is_control) && !text.contains("://"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn live(text: &str) -> (Result<Live, String>, Texts) {
        let mut texts = Texts::default();
        (Livestream::read(text.as_bytes(), &mut texts), texts)
    }

    #[test]
    fn an_answer_is_read_field_by_field() {
        let (read, texts) = live(
            r#"{"status":"Streaming","bitrate":6012000,"effectiveVideoFormat":"1920x1080p30","duration":125,"cache":5,"new":[1]}"#,
        );
        let streaming = Some(Status::Streaming);
        let whole =
            Live { status: streaming, bitrate: Some(6_012_000.0), duration: Some(125.0), cache: Some(0.05) };
        assert_eq!((read, texts), (Ok(whole), Texts(vec![("format", "1920x1080p30".to_owned())])));
        let (read, texts) = live(
            r#"{"status":7,"bitrate":"6012000","effectiveVideoFormat":{},"duration":-1,"cache":"full"}"#,
        );
        assert_eq!(
            (read, texts),
            (Ok(Live { bitrate: Some(6_012_000.0), ..Live::default() }), Texts::default())
        );
        let (read, _) = live(r#"{"status":"Interrupted"}"#);
        assert_eq!(read, Ok(Live { status: Some(Status::Interrupted), ..Live::default() }));
    }

    #[test]
    fn what_tells_of_no_stream_is_none() {
        for text in ["{}", "[]", "true", "{\"error\":\"no\"}", "[{\"status\":\"Streaming\"}]"] {
            assert_eq!(live(text).0, Err("the answer does not tell of a stream".to_owned()), "{text}");
        }
        assert!(live("<html>secret").0.is_err_and(|why| why.contains("web page")));
    }

    #[test]
    fn keys_and_addresses_are_not_kept() {
        let mut texts = Texts::default();
        let text = r#"{"platform":"YouTube","server":"Custom","key":"hunter2","passphrase":"hunter2","quality":"srt://h/hunter2","url":"rtmp://h/hunter2"}"#;
        Page::Platform.read(text.as_bytes(), &mut texts);
        assert_eq!(texts, Texts(vec![("platform", "YouTube".to_owned())]));
        Page::Product
            .read(br#"{"productName":"Blackmagic Streaming Encoder HD","softwareVersion":3.5}"#, &mut texts);
        assert_eq!(texts.iter().last(), Some(("firmware", "3.5")));
        Page::Platform.read(b"<html>", &mut texts);
        assert_eq!(texts.iter().count(), 3);
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_refused(text in "\\{(\"(status|bitrate|duration|cache)\":(-?[0-9]{1,30}(\\.[0-9]+)?(e[0-9]{1,3})?|\"[a-zA-Z0-9.-]{0,9}\"|null|\\[\\]|\\{\\}),?){0,5}\\}?", bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut texts = Texts::default();
            for body in [text.as_bytes(), &bytes] {
                if let Ok(live) = Livestream::read(body, &mut texts) {
                    let numbers = [live.bitrate, live.duration, live.cache];
                    prop_assert!(numbers.into_iter().flatten().all(|number| number.is_finite() && number >= 0.0));
                }
                for page in Page::ALL {
                    page.read(body, &mut texts);
                }
            }
            prop_assert!(texts.iter().all(|(_, text)| text.chars().count() <= TEXT));
        }
    }
}
