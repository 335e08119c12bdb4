//! vMix's status in XML, as far as its outputs go. Pure.
//!
//! No XML library: one pass over the bytes that knows where tags begin and end, and how deep it is. Only what stands directly in `<vmix>` is
//! read, because inputs have titles and texts in them that may be anything. Entities are not resolved, nothing is fetched, nothing recurses.
//!
//! ```text
//! <vmix><version>27.0.0.49</version><inputs>…</inputs><fadeToBlack>False</fadeToBlack><recording duration="12">True</recording>
//!   <external>False</external><streaming channel1="True" channel2="False">True</streaming><multiCorder>False</multiCorder></vmix>
//! ```

/// Channels of a stream that it may have; it has five.
pub(super) const CHANNELS: u8 = 8;
/// The longest text that is told.
const TEXT: usize = 64;

/// What it says; each part is missing for itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub version: Option<String>,
    pub edition: Option<String>,
    pub streaming: Option<bool>,
    /// By their numbers, the first one's is 1.
    pub channels: Vec<(u8, bool)>,
    pub recording: Option<bool>,
    pub external: Option<bool>,
    pub multicorder: Option<bool>,
    pub black: Option<bool>,
}

/// Reads it, or says what is wrong without quoting it.
pub(super) fn read(body: &[u8]) -> Result<Told, String> {
    let (mut told, mut depth, mut rest) = (Told::default(), 0_usize, body);
    if rest.trim_ascii().is_empty() {
        return Err("the answer is empty".to_owned());
    }
    let cut = || "the answer ends in the middle".to_owned();
    loop {
        let Some(begin) = rest.iter().position(|byte| *byte == b'<') else {
            return Err(if depth == 0 { strange() } else { cut() });
        };
        let tag = rest.get(begin + 1..).unwrap_or_default();
        let (inside, after) = split(tag).ok_or_else(cut)?;
        rest = after;
        match inside {
            [b'?' | b'!', ..] => {}
            [b'/', ..] => {
                depth = depth.checked_sub(1).ok_or_else(strange)?;
                if depth == 0 {
                    return Ok(told);
                }
            }
            _ => {
                let (name, attributes, is_empty) = parts(inside);
                if depth == 0 && name != b"vmix" {
                    return Err(strange());
                }
                if depth == 1 {
                    let end = rest.iter().position(|byte| *byte == b'<').unwrap_or(0);
                    let text = if is_empty { &[][..] } else { rest.get(..end).unwrap_or_default() };
                    told.take(name, attributes, text.trim_ascii());
                }
                if !is_empty {
                    depth += 1;
                } else if depth == 0 {
                    return Ok(told);
                }
            }
        }
    }
}

fn strange() -> String {
    "the answer is no status of vMix; is the address right?".to_owned()
}

/// What is between `<` and the end of this tag, comment or the like, and what comes after.
fn split(tag: &[u8]) -> Option<(&[u8], &[u8])> {
    let until = |end: &[u8]| {
        let at = tag.windows(end.len()).position(|window| window == end)?;
        Some((tag.get(..at)?, tag.get(at + end.len()..)?))
    };
    if tag.starts_with(b"!--") {
        return until(b"-->");
    }
    if tag.starts_with(b"![CDATA[") {
        return until(b"]]>");
    }
    let mut quote = None;
    for (at, byte) in tag.iter().enumerate() {
        match (quote, byte) {
            (None, b'>') => return Some((tag.get(..at)?, tag.get(at + 1..)?)),
            (None, b'"' | b'\'') => quote = Some(*byte),
            (Some(open), byte) if open == *byte => quote = None,
            _ => {}
        }
    }
    None
}

/// A tag's name and attributes, and whether it has no content.
fn parts(inside: &[u8]) -> (&[u8], &[u8], bool) {
    let is_empty = inside.ends_with(b"/");
    let inside = inside.strip_suffix(b"/").unwrap_or(inside);
    let end = inside.iter().position(u8::is_ascii_whitespace).unwrap_or(inside.len());
    let (name, attributes) = inside.split_at(end);
    (name, attributes, is_empty)
}

impl Told {
    fn take(&mut self, name: &[u8], attributes: &[u8], text: &[u8]) {
        match name {
            b"version" => self.version = plain(text),
            b"edition" => self.edition = plain(text),
            b"recording" => self.recording = truth(text),
            b"external" => self.external = truth(text),
            b"multiCorder" => self.multicorder = truth(text),
            b"fadeToBlack" => self.black = truth(text),
            b"streaming" => {
                self.streaming = truth(text);
                self.channels = channels(attributes);
            }
            _ => {}
        }
    }
}

fn truth(text: &[u8]) -> Option<bool> {
    match text {
        _ if text.eq_ignore_ascii_case(b"true") => Some(true),
        _ if text.eq_ignore_ascii_case(b"false") => Some(false),
        _ => None,
    }
}

fn plain(text: &[u8]) -> Option<String> {
    let is_plain = !text.is_empty() && text.len() <= TEXT;
    let is_plain =
        is_plain && text.iter().all(|byte| byte.is_ascii_alphanumeric() || b" .+-_".contains(byte));
    is_plain.then(|| String::from_utf8_lossy(text).into_owned())
}

/// `channel1="True" channel2="False"`.
fn channels(attributes: &[u8]) -> Vec<(u8, bool)> {
    let text = String::from_utf8_lossy(attributes);
    let mut channels: Vec<(u8, bool)> = Vec::new();
    for pair in text.split_ascii_whitespace() {
        let Some((name, value)) = pair.split_once('=') else { continue };
        let number = name.strip_prefix("channel").and_then(|number| number.parse().ok());
        let value = truth(value.trim_matches(['"', '\'']).as_bytes());
        if let (Some(number @ 1..=CHANNELS), Some(value)) = (number, value)
            && channels.iter().all(|(other, _)| *other != number)
        {
            channels.push((number, value));
        }
    }
    channels
}

/// What is read is bounded and plain, and each channel stands once.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz(bytes: &[u8]) {
    if let Ok(told) = read(bytes) {
        let mut numbers: Vec<u8> = told.channels.iter().map(|(number, _)| *number).collect();
        numbers.sort_unstable();
        assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(numbers.iter().all(|number| (1..=CHANNELS).contains(number)));
        for text in [told.version, told.edition].into_iter().flatten() {
            assert!((1..=TEXT).contains(&text.len()) && text.is_ascii() && !text.contains('<'));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STATUS: &str = "<?xml version=\"1.0\"?>\r\n<vmix><version>27.0.0.49</version><edition>4K</edition>\
        <preset>C:\\show.vmix</preset><inputs><input key=\"a1\" number=\"1\" title=\"a > b <streaming>\" state=\"Running\">\
        <recording>True</recording><vmix/><![CDATA[</vmix>]]></input><input key=\"b\"/></inputs><!-- </vmix> -->\
        <fadeToBlack>False</fadeToBlack><recording duration=\"12\"> True </recording><external>False</external>\
        <streaming channel1=\"True\" channel2=\"False\">True</streaming><multiCorder>False</multiCorder>\
        <dynamic><recording>maybe</recording><streaming/><version>1</version></dynamic></vmix>\r\n";

    #[test]
    fn only_what_stands_directly_in_it_is_read() {
        let told = read(STATUS.as_bytes()).expect("a status");
        let expected = Told {
            version: Some("27.0.0.49".to_owned()),
            edition: Some("4K".to_owned()),
            streaming: Some(true),
            channels: vec![(1, true), (2, false)],
            recording: Some(true),
            external: Some(false),
            multicorder: Some(false),
            black: Some(false),
        };
        assert_eq!(told, expected);
        let other = STATUS.replace("\"12\"> True", "\"12\">False");
        assert_eq!(
            read(other.as_bytes()).map(|told| told.recording),
            Ok(Some(false)),
            "not the title's, nor the input's"
        );
    }

    #[test]
    fn what_is_mistyped_or_missing_takes_nothing_else_with_it() {
        let text = "<vmix><streaming channel1='maybe' channel2='TRUE' channel2='False' channel99=\"True\" x>perhaps</streaming>\
            <recording/><external>true</external><version>&lt;b&gt;</version></vmix>";
        let expected = Told { channels: vec![(2, true)], external: Some(true), ..Told::default() };
        assert_eq!(read(text.as_bytes()), Ok(expected));
        assert_eq!(read(b"<vmix/>"), Ok(Told::default()));
    }

    #[test]
    fn what_is_no_status_is_named_and_not_quoted() {
        let strange = Err("the answer is no status of vMix; is the address right?".to_owned());
        for text in [
            "<!DOCTYPE html><html><vmix></vmix></html>",
            "{\"secret\":1}",
            "secret",
            "</vmix>",
            "<a/><vmix></vmix>",
        ] {
            assert_eq!(read(text.as_bytes()), strange, "{text}");
        }
        assert_eq!(read(b" \n"), Err("the answer is empty".to_owned()));
        for end in [1, 6, 60, STATUS.len() - 9] {
            let why = read(&STATUS.as_bytes()[..end]).expect_err("cut");
            assert_eq!(why, "the answer ends in the middle", "{end}");
        }
    }

    proptest! {
        #[test]
        fn any_cut_is_an_error_or_all_of_it(end in 0..STATUS.len()) {
            let whole = read(STATUS.as_bytes());
            let cut = read(&STATUS.as_bytes()[..end]);
            prop_assert!(cut.is_err() || cut == whole);
        }

        #[test]
        fn whatever_comes_is_read_or_refused(text in "(<vmix>)?(</?[a-zA-Z!?-]{0,9}( channel[0-9]{1,3}=[\"']?[TtRrUuEe]{0,4}[\"']?)?/?>?|True|\"|'|<!--|-->|<!\\[CDATA\\[|\\]\\]>){0,12}", bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            for body in [text.as_bytes(), &bytes] {
                if let Ok(told) = read(body) {
                    prop_assert!(told.channels.len() <= usize::from(CHANNELS));
                }
            }
        }
    }
}
