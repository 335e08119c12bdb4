//! Icecast's status page: which mounts have a source, who listens, what is on. Pure.
//!
//! `source` is missing without mounts, an object with one, a list with several. The page is made by a style sheet that writes whatever
//! looks like a number without quotes, so that a track called `-05` or `5.` makes it invalid JSON (2.4.4 of Debian 12 does that); such
//! words get quotes here. In the first moment of a server it is no JSON at all.
//!
//! ```text
//! {"icestats":{"source":{"listenurl":"http://localhost:8000/live.mp3","listeners":1,"bitrate":128,"title":"Ann - One"}}}
//!   →  Page { mounts: [Mount { path: "/live.mp3", listeners: Some(1), bitrate: Some(128000.0), title: Some("Ann - One") }], … }
//! ```

use crate::probe::loose::{self, List, loose};
use rackside_proto::limits;
use std::borrow::Cow;

loose! {
    struct Whole {
        stats: Option<Stats> = "icestats",
    }
}

loose! {
    struct Stats {
        sources: List<Source> = "source",
    }
}

loose! {
    struct Source {
        url: Option<String> = "listenurl",
        listeners: Option<u64> = "listeners",
        title: Option<String> = "title",
        artist: Option<String> = "artist",
        bitrate: Option<f64> = "bitrate",
        ice_bitrate: Option<f64> = "ice-bitrate",
        audio_bitrate: Option<f64> = "audio_bitrate",
    }
}

/// A mount with a source.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Mount {
    /// `/live.mp3`.
    pub(super) path: String,
    /// How many.
    pub(super) listeners: Option<u64>,
    /// Bits a second, as the source says.
    pub(super) bitrate: Option<f64>,
    /// `Ann - One`.
    pub(super) title: Option<String>,
}

/// The page.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Page {
    /// Those with a source.
    pub(super) mounts: Vec<Mount>,
    /// Whether there are no others.
    pub(super) is_whole: bool,
}

impl Page {
    /// Reads it, or says why it is no such page, without a word of it.
    pub(super) fn read(body: &[u8]) -> Result<Self, String> {
        let whole: Option<Whole> = loose::parse(body).or_else(|why| {
            let text = String::from_utf8_lossy(body);
            loose::parse(mended(&text).as_bytes()).map_err(|_| why)
        })?;
        let stats = whole.and_then(|whole| whole.stats).ok_or("the answer is no status page of Icecast")?;
        let sent = stats.sources.items.len();
        let mounts: Vec<Mount> = stats.sources.items.into_iter().filter_map(Source::read).collect();
        let is_whole = stats.sources.is_whole && mounts.len() == sent;
        Ok(Self { mounts, is_whole })
    }
}

impl Source {
    fn read(self) -> Option<Mount> {
        let url = self.url?;
        let rest = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
        let path = rest.find('/').and_then(|at| rest.get(at..)).filter(|path| path.len() > 1)?;
        let written =
            |text: Option<String>| text.map(|text| unescaped(text.trim())).filter(|text| !text.is_empty());
        let title = match (written(self.artist), written(self.title)) {
            (Some(artist), Some(title)) => Some(format!("{artist} - {title}")),
            (artist, title) => title.or(artist),
        };
        let kilobits = self.bitrate.or(self.ice_bitrate).map(|kilobits| kilobits * 1000.0);
        Some(Mount {
            path: limits::fit(path).to_owned(),
            listeners: self.listeners,
            bitrate: kilobits.or(self.audio_bitrate).filter(|bitrate| *bitrate > 0.0 && bitrate.is_finite()),
            title,
        })
    }
}

/// With the characters that an MP3 mount's ISO 8859-1 lacks: Icecast writes them as `&#8364;`.
fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("&#") {
        plain.push_str(before);
        let found = behind.split_once(';').and_then(|(number, after)| {
            let is_number = number.len() <= 7 && number.bytes().all(|byte| byte.is_ascii_digit());
            let c = number.parse().ok().filter(|_| is_number).and_then(char::from_u32)?;
            (!c.is_control()).then_some((c, after))
        });
        if let Some((c, after)) = found {
            plain.push(c);
            rest = after;
        } else {
            plain.push_str("&#");
            rest = behind;
        }
    }
    plain + rest
}

/// The text with quotes around bare words that JSON does not know.
fn mended(text: &str) -> Cow<'_, str> {
    let mut mended = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        let length = if first == '"' {
            string(rest)
        } else if is_word(first) {
            rest.find(|c| !is_word(c)).unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        let (part, behind) = rest.split_at(length);
        let is_known = !is_word(first)
            || matches!(part, "true" | "false" | "null")
            || serde_json::from_slice::<serde_json::Number>(part.as_bytes()).is_ok();
        if is_known {
            mended.push_str(part);
        } else {
            mended.extend(["\"", part, "\""]);
        }
        rest = behind;
    }
    Cow::Owned(mended)
}

/// How long the string is that `text` begins with, its quotes included; all of it if it does not end.
fn string(text: &str) -> usize {
    let mut is_escaped = false;
    let end = text.bytes().enumerate().skip(1).find(|(_, byte)| {
        let ends = *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
        ends
    });
    end.map_or(text.len(), |(at, _)| at + 1)
}

/// What is JSON is left as it is; what is read of a page is bounded.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if serde_json::from_str::<serde_json::Value>(&text).is_ok() {
        assert_eq!(mended(&text), text);
    }
    if let Ok(Page { mounts, .. }) = Page::read(bytes) {
        for Mount { path, bitrate, .. } in mounts {
            assert!(path.starts_with('/') && path.len() <= limits::STRING, "{path}");
            assert!(bitrate.is_none_or(|bitrate| bitrate.is_finite() && bitrate > 0.0), "{bitrate:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As Icecast 2.4.4 of Debian 12 answers with one source.
    const ONE: &str = r#"{"icestats":{"admin":"a@b","host":"localhost","location":"Earth","server_id":"Icecast 2.4.4",
        "server_start":"Fri, 20 Nov 2026 03:26:10 +0000","source":{"audio_info":"bitrate=128","bitrate":128,"genre":"various",
        "listener_peak":1,"listeners":1,"listenurl":"http://localhost:8000/live.mp3","server_name":"Hall 1",
        "server_type":"audio/mpeg","title":"Ann - One","dummy":null},"dummy":null}}"#;

    fn page(text: &str) -> Page {
        Page::read(text.as_bytes()).expect("a page")
    }

    fn mount(path: &str, title: Option<&str>) -> Mount {
        Mount { path: path.to_owned(), listeners: None, bitrate: None, title: title.map(str::to_owned) }
    }

    #[test]
    fn no_source_one_and_several_are_three_forms() {
        let read = page(ONE);
        let one =
            Mount { listeners: Some(1), bitrate: Some(128_000.0), ..mount("/live.mp3", Some("Ann - One")) };
        assert_eq!(read, Page { mounts: vec![one], is_whole: true });
        assert_eq!(page(r#"{"icestats":{"dummy":null}}"#), Page { mounts: vec![], is_whole: true });
        let several = r#"{"icestats":{"source":[{"listenurl":"http://h:8000/a","artist":"Ann","title":"One"},
            {"listenurl":"http://h:8000/b/c.ogg","title":" ","audio_bitrate":64000}]}}"#;
        let second = Mount { bitrate: Some(64_000.0), ..mount("/b/c.ogg", None) };
        assert_eq!(page(several).mounts, [mount("/a", Some("Ann - One")), second]);
    }

    #[test]
    fn what_is_no_status_page_is_no_answer() {
        let why = |text: &str| Page::read(text.as_bytes()).expect_err("no page");
        assert_eq!(why("<html><body>404"), "the answer is a web page, not JSON; is the address right?");
        assert_eq!(why("{}"), "the answer is no status page of Icecast");
        assert_eq!(why("[1,2]"), "the answer is no status page of Icecast");
        assert_eq!(why(&ONE[..300]), "the answer ends in the middle");
    }

    #[test]
    fn a_mount_that_cannot_be_read_makes_the_list_no_whole_one() {
        assert!(!page(r#"{"icestats":{"source":"none"}}"#).is_whole);
        assert!(!page(r#"{"icestats":{"source":[{"listenurl":"http://h/a"},7]}}"#).is_whole);
        assert!(!page(r#"{"icestats":{"source":{"title":"x"}}}"#).is_whole);
    }

    #[test]
    fn a_track_whose_name_is_almost_a_number_does_not_spoil_the_page() {
        for title in ["-05", "5.", ".5", "-.5", "4", "-4.5", "\"\\\"{[,\"", "true"] {
            let text = format!(
                r#"{{"icestats":{{"source":{{"listenurl":"http://h/a","title":{title},"listeners":3}}}}}}"#
            );
            let read = page(&text);
            assert_eq!(read.mounts[0].listeners, Some(3), "{title}");
            let wanted = if title.starts_with('"') { "\"{[," } else { title };
            let wanted = (title != "true").then(|| wanted.to_owned());
            assert_eq!(read.mounts[0].title, wanted);
        }
    }

    #[test]
    fn a_bitrate_beyond_all_numbers_is_none() {
        let text = r#"{"icestats":{"source":{"listenurl":"http://h/a","bitrate":1e308}}}"#;
        assert_eq!(page(text).mounts, [mount("/a", None)]);
    }

    #[test]
    fn a_title_has_the_characters_that_its_charset_lacks() {
        assert_eq!(unescaped("Bob - 5&#8364; &#128512;"), "Bob - 5\u{20ac} \u{1f600}");
        for plain in
            ["&#;", "&#8364", "&#x20ac;", "&#55296;", "&#7;", "&#99999999;", "&&#", "a &# b; c", "&#+65;"]
        {
            assert_eq!(unescaped(plain), plain);
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Page::read(&body);
        }

        #[test]
        fn a_twisted_page_is_read_or_refused(at in 0_usize..ONE.len(), byte in any::<u8>()) {
            let mut body = ONE.as_bytes().to_vec();
            body[at] = byte;
            let _ = Page::read(&body);
        }

        #[test]
        fn what_is_json_already_is_left_as_it_is(text in "[ -~]{0,40}", number in any::<f64>()) {
            prop_assume!(number.is_finite());
            let json = serde_json::json!({"a": [text, number, null, true], "b": {"c": -1}}).to_string();
            prop_assert_eq!(mended(&json), json.as_str());
        }
    }
}
