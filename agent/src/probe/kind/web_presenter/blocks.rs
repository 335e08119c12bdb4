//! The text protocol of Blackmagic's encoders (TCP 9977), as far as its state goes. Pure.
//!
//! Whoever connects is told everything: blocks of `Key: value` below a header, an empty line after each, `END PRELUDE:` as the last. Unknown
//! blocks and keys are passed over, a line that is too long is as well. The stream's key and its password stand in there in clear, and
//! are not kept.
//!
//! ```text
//! STREAM STATE:
//! Status: Streaming
//! Duration: 00:00:02:05      days:hours:minutes:seconds
//! Bitrate: 6012000
//! Cache Used: 0
//!
//! END PRELUDE:
//! ```

use super::report::{Live, Status, Texts};

/// The longest line that is read: lists of platforms are long, and say nothing of the state.
const LINE: usize = 1024;
/// More than any device says.
pub(super) const MOST: usize = 256 * 1024;

/// Blocks of which something is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Section {
    Identity,
    Version,
    Settings,
    State,
    #[default]
    Other,
}

/// What was said so far.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    line: Vec<u8>,
    is_long: bool,
    section: Section,
    taken: usize,
    /// Whether it speaks this protocol at all.
    pub is_one: bool,
    /// Whether that was all.
    pub is_over: bool,
    /// Of its stream.
    pub live: Live,
    /// The rest.
    pub texts: Texts,
}

impl Blocks {
    /// Takes bytes, however they come.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.taken += bytes.len();
        if self.taken > MOST {
            return Err(format!("it says more than {MOST} bytes"));
        }
        for byte in bytes {
            match byte {
                b'\n' => {
                    let line = std::mem::take(&mut self.line);
                    if !std::mem::take(&mut self.is_long) {
                        self.line(&String::from_utf8_lossy(&line));
                    }
                }
                _ if self.line.len() < LINE => self.line.push(*byte),
                _ => self.is_long = true,
            }
        }
        Ok(())
    }

    fn line(&mut self, line: &str) {
        let line = line.trim();
        let section = match line {
            "PROTOCOL PREAMBLE:" => {
                self.is_one = true;
                Some(Section::Other)
            }
            "END PRELUDE:" => {
                self.is_over = self.is_one;
                Some(Section::Other)
            }
            "" => Some(Section::Other),
            "IDENTITY:" => Some(Section::Identity),
            "VERSION:" => Some(Section::Version),
            "STREAM SETTINGS:" => Some(Section::Settings),
            "STREAM STATE:" => Some(Section::State),
            _ => None,
        };
        if let Some(section) = section {
            self.section = section;
            return;
        }
        let Some((key, value)) = line.split_once(':') else { return };
        let value = value.trim();
        match (self.section, key) {
            (Section::Identity, "Model") => self.texts.put("model", value),
            (Section::Version, "Software Release") => self.texts.put("firmware", value),
            (Section::Settings, "Video Mode") => self.texts.put("format", value),
            (Section::Settings, "Current Platform") => self.texts.put("platform", value),
            (Section::Settings, "Current Quality Level") => self.texts.put("quality", value),
            (Section::State, "Status") => self.live.status = Status::of(value),
            (Section::State, "Bitrate") => self.live.bitrate = number(value),
            (Section::State, "Duration") => self.live.duration = duration(value),
            (Section::State, "Cache Used") => {
                self.live.cache =
                    number(value.trim_end_matches('%').trim_end()).map(|percent| percent / 100.0);
            }
            _ => {}
        }
    }
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0)
}

/// `DD:HH:MM:SS` in seconds.
fn duration(text: &str) -> Option<f64> {
    let mut parts = text.split(':').map(|part| part.parse::<u32>().ok().map(f64::from));
    let (days, hours) = (parts.next()??, parts.next()??);
    let (minutes, seconds) = (parts.next()??, parts.next()??);
    parts.next().is_none().then_some(((days * 24.0 + hours) * 60.0 + minutes) * 60.0 + seconds)
}

/// However bytes are cut, the same is read; texts are short, numbers are some.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz(bytes: &[u8]) {
    let read = |piece: usize| {
        let mut blocks = Blocks::default();
        for piece in bytes.chunks(piece) {
            if blocks.take(piece).is_err() {
                break;
            }
            assert!(blocks.line.len() <= LINE);
        }
        blocks
    };
    let [Blocks { is_one, is_over, live, texts, .. }, again] = [bytes.len().max(1), 7].map(read);
    if bytes.len() <= MOST {
        assert_eq!(
            (again.is_one, again.is_over, &again.live, &again.texts),
            (is_one, is_over, &live, &texts)
        );
    }
    let numbers = [live.bitrate, live.duration, live.cache];
    assert!(numbers.into_iter().flatten().all(|number| number.is_finite() && number >= 0.0));
    assert!(texts.iter().all(|(_, text)| !text.contains(char::is_control) && !text.contains("://")));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// As the reference has it, with what no parser of ours knows in between.
    const DUMP: &str = "PROTOCOL PREAMBLE:\nVersion: 1.2\n\nIDENTITY:\nModel: Blackmagic Web Presenter HD\nLabel: Hall: 1\n\n\
        VERSION:\nProduct ID: BE73\nSoftware Release: 3.4\n\nNEW BLOCK:\nStatus: Exploded\nFiles:\n\n\
        STREAM SETTINGS:\nVideo Mode: 1080p50\nCurrent Platform: YouTube\nCurrent Server: Primary\n\
        Current Quality Level: Streaming Medium\nStream Key: hunter2-key\nPassword: hunter2\nCurrent URL: rtmp://x/hunter2\n\n\
        STREAM STATE:\nStatus: Streaming\nBitrate: 6012000\nDuration: 01:02:03:04\nCache Used: 12\n\n\
        LAST BLOCK:\nStatus: Idle\nBitrate: 1\n\nEND PRELUDE:\n\n";

    fn read(text: &str) -> Blocks {
        let mut blocks = Blocks::default();
        blocks.take(text.as_bytes()).expect("short");
        blocks
    }

    #[test]
    fn a_dump_is_read_and_its_keys_are_not_kept() {
        let blocks = read(DUMP);
        let live = Live {
            status: Some(Status::Streaming),
            bitrate: Some(6_012_000.0),
            duration: Some(93_784.0),
            cache: Some(0.12),
        };
        assert_eq!((blocks.is_one, blocks.is_over, &blocks.live), (true, true, &live));
        let texts: Vec<_> = blocks.texts.iter().collect();
        assert_eq!(
            texts,
            [
                ("model", "Blackmagic Web Presenter HD"),
                ("firmware", "3.4"),
                ("format", "1080p50"),
                ("platform", "YouTube"),
                ("quality", "Streaming Medium"),
            ]
        );
        assert!(!format!("{blocks:?}").contains("hunter2"));
    }

    #[test]
    fn what_is_missing_or_mistyped_is_missing_and_the_rest_is_read() {
        for (wrong, right) in [
            ("Status: Streaming", "Status: Dancing"),
            ("Bitrate: 6012000", "Bitrate: fast"),
            ("Bitrate: 6012000", "Bitrate:"),
            ("Duration: 01:02:03:04", "Duration: 3:04"),
            ("Duration: 01:02:03:04", "Duration: -1:02:03:04"),
            ("Cache Used: 12", "Cache Used: -12"),
            ("Cache Used: 12", "No colon here"),
        ] {
            let blocks = read(&DUMP.replace(wrong, right));
            let live = &blocks.live;
            let there = [
                live.status.is_some(),
                live.bitrate.is_some(),
                live.duration.is_some(),
                live.cache.is_some(),
            ];
            assert_eq!(there.iter().filter(|there| !**there).count(), 1, "{right}: {live:?}");
            assert!(blocks.is_over);
        }
    }

    #[test]
    fn an_update_has_only_what_changed_and_the_last_word_counts() {
        let blocks = read(&format!("{DUMP}ACK\r\n\r\nSTREAM STATE:\r\nStatus: Interrupted\r\n\r\n"));
        assert_eq!((blocks.live.status, blocks.live.bitrate), (Some(Status::Interrupted), Some(6_012_000.0)));
    }

    #[test]
    fn a_line_that_is_too_long_is_passed_over_and_too_many_are_an_error() {
        let long = format!("STREAM SETTINGS:\nAvailable Servers: {}\n", "x, ".repeat(10_000));
        let blocks = read(&DUMP.replace("STREAM SETTINGS:\n", &long));
        assert_eq!(blocks.live.status, Some(Status::Streaming));
        assert_eq!(blocks.texts.iter().count(), 5);
        let mut blocks = Blocks::default();
        let error = (0..=MOST / 4096).find_map(|_| blocks.take(&[b'x'; 4096]).err());
        assert!(error.is_some_and(|why| why.contains("more than")));
        assert!(blocks.line.len() <= LINE);
    }

    #[test]
    fn what_is_no_such_device_is_none() {
        let blocks = read("HTTP/1.1 400 Bad Request\r\n\r\nEND PRELUDE:\n");
        assert!(!blocks.is_one && !blocks.is_over && blocks.live == Live::default());
    }

    proptest! {
        #[test]
        fn blocks_are_the_same_however_they_come(cuts in vec(1_usize..40, 1..20)) {
            let (mut blocks, mut rest) = (Blocks::default(), DUMP.as_bytes());
            for cut in cuts.iter().cycle() {
                let (piece, after) = rest.split_at((*cut).min(rest.len()));
                blocks.take(piece).expect("short");
                rest = after;
                if rest.is_empty() {
                    break;
                }
            }
            let whole = read(DUMP);
            prop_assert_eq!((blocks.live, blocks.texts, blocks.is_over), (whole.live, whole.texts, whole.is_over));
        }

        #[test]
        fn whatever_comes_is_no_panic(bytes in vec(any::<u8>(), 0..2000), keys in "(STREAM STATE:\n)?((Status|Bitrate|Duration|Cache Used): ?[0-9:.e%-]{0,12}\n){0,6}") {
            let mut blocks = Blocks::default();
            blocks.take(keys.as_bytes()).expect("short");
            blocks.take(&bytes).expect("short");
            let numbers = [blocks.live.bitrate, blocks.live.duration, blocks.live.cache];
            prop_assert!(numbers.into_iter().flatten().all(|number| number.is_finite() && number >= 0.0));
        }
    }
}
