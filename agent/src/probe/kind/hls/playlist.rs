//! HLS playlists (RFC 8216), as far as a probe needs them. Pure.
//!
//! Tags that are not known are passed over, as the RFC has it. Of a media playlist only the end is kept, however long it is; of a multivariant
//! one so many variants. Invariant: what is none says why, in words that show nothing of it.
//!
//! ```text
//! #EXTM3U                                        #EXTM3U
//! #EXT-X-STREAM-INF:BANDWIDTH=800000,…           #EXT-X-TARGETDURATION:6
//! low/index.m3u8                                 #EXT-X-MEDIA-SEQUENCE:1042
//!                                                #EXTINF:6.006,
//!                                                1042.ts
//! ```

use std::fmt;

/// More variants than this are passed over; a ladder has ten.
const VARIANTS: usize = 64;
/// Longer URIs are none.
const URI: usize = 4096;

/// What came.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Playlist {
    /// A list of playlists of one stream, in the order of the text.
    Multivariant(Vec<Variant>),
    /// A list of segments.
    Media(Media),
}

/// One of several playlists of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Variant {
    /// Bits a second at its peak.
    pub(super) bandwidth: u64,
    /// Where its playlist is, as the text has it.
    pub(super) uri: String,
}

/// A list of segments.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Media {
    /// No segment is longer, in seconds.
    pub(super) target: f64,
    /// The number of the first segment.
    pub(super) sequence: u64,
    /// How many there are.
    pub(super) segments: u64,
    /// The newest that is there.
    pub(super) last: Option<Segment>,
    /// Whether no more will come.
    pub(super) is_ended: bool,
}

/// A segment.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Segment {
    /// Where it is, as the text has it.
    pub(super) uri: String,
    /// How long it plays, in seconds.
    pub(super) duration: f64,
    /// Whether it is only a part of what is there.
    pub(super) is_part: bool,
    /// When its last picture was taken, by the encoder's clock: seconds since 1970.
    pub(super) ends: Option<f64>,
}

/// Why it is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PlaylistError {
    /// It does not begin with `#EXTM3U`.
    Foreign,
    /// A tag's value is none.
    Tag(&'static str),
    /// It has neither segments nor a target duration nor variants.
    Empty,
}

impl fmt::Display for PlaylistError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign => f.write_str("what came is no playlist"),
            Self::Tag(tag) => write!(f, "the playlist's {tag} is none"),
            Self::Empty => f.write_str("the playlist is empty"),
        }
    }
}

/// What stands before a segment's or a variant's URI and belongs to it.
#[derive(Default)]
struct Before {
    bandwidth: Option<u64>,
    duration: Option<f64>,
    is_part: bool,
    is_gap: bool,
}

/// Reads a playlist.
pub(super) fn parse(text: &[u8]) -> Result<Playlist, PlaylistError> {
    let text = String::from_utf8_lossy(text);
    let mut lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
    if lines.next().is_none_or(|first| first != "#EXTM3U") {
        return Err(PlaylistError::Foreign);
    }
    let (mut variants, mut media) = (Vec::new(), Media::default());
    let mut target = None;
    // When the next segment begins.
    let mut at: Option<f64> = None;
    let mut before = Before::default();
    for line in lines.filter(|line| !line.is_empty()) {
        let (tag, value) = line.split_once(':').unwrap_or((line, ""));
        match tag {
            "#EXT-X-STREAM-INF" => {
                let bandwidth = attribute(value, "BANDWIDTH").and_then(|text| text.parse().ok());
                before.bandwidth = Some(bandwidth.ok_or(PlaylistError::Tag("BANDWIDTH"))?);
            }
            "#EXT-X-TARGETDURATION" => {
                target = Some(seconds(value).ok_or(PlaylistError::Tag("EXT-X-TARGETDURATION"))?);
            }
            "#EXT-X-MEDIA-SEQUENCE" => {
                let number = value.trim().parse();
                media.sequence = number.map_err(|_| PlaylistError::Tag("EXT-X-MEDIA-SEQUENCE"))?;
            }
            "#EXTINF" => {
                let duration = value.split(',').next().unwrap_or_default();
                before.duration = Some(seconds(duration).ok_or(PlaylistError::Tag("EXTINF"))?);
            }
            "#EXT-X-PROGRAM-DATE-TIME" => at = date(value.trim()),
            "#EXT-X-BYTERANGE" => before.is_part = true,
            "#EXT-X-GAP" => before.is_gap = true,
            "#EXT-X-ENDLIST" => media.is_ended = true,
            _ if tag.starts_with('#') => {}
            _ => {
                let Before { bandwidth, duration, is_part, is_gap } = std::mem::take(&mut before);
                let uri =
                    if line.len() <= URI { line.to_owned() } else { return Err(PlaylistError::Tag("URI")) };
                if let Some(bandwidth) = bandwidth {
                    if variants.len() < VARIANTS {
                        variants.push(Variant { bandwidth, uri });
                    }
                } else if let Some(duration) = duration {
                    media.segments += 1;
                    at = at.map(|at| at + duration);
                    if !is_gap {
                        media.last = Some(Segment { uri, duration, is_part, ends: at });
                    }
                }
            }
        }
    }
    match (variants.is_empty(), target) {
        (false, _) => Ok(Playlist::Multivariant(variants)),
        (true, Some(target)) => Ok(Playlist::Media(Media { target, ..media })),
        (true, None) if media.segments > 0 => Err(PlaylistError::Tag("EXT-X-TARGETDURATION")),
        (true, None) => Err(PlaylistError::Empty),
    }
}

/// A duration that makes sense: up to a day.
fn seconds(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|seconds| (0.0..=86_400.0).contains(seconds))
}

/// `BANDWIDTH=800000,CODECS="avc1.4d401f,mp4a.40.2"`: a comma within quotes separates nothing.
fn attribute<'a>(list: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = list;
    loop {
        let (key, after) = rest.split_once('=')?;
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => {
                let (value, next) = quoted.split_once('"')?;
                (value, next.strip_prefix(',').unwrap_or(next))
            }
            None => after.split_once(',').unwrap_or((after, "")),
        };
        if key.trim() == name {
            return Some(value.trim());
        }
        rest = next;
    }
}

/// `2026-11-20T12:00:00.040Z`, `…+01:00`, `…+0100`, or without a zone, which ISO 8601 leaves to the reader and everybody reads as UTC:
/// seconds since 1970.
fn date(text: &str) -> Option<f64> {
    let (date, time) = text.split_once(['T', ' '])?;
    let mut date = date.split('-').map(str::parse::<u64>);
    let (year, month, day) = (date.next()?.ok()?, date.next()?.ok()?, date.next()?.ok()?);
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let (time, zone) = match time.find(['Z', 'z', '+', '-']) {
        Some(at) => time.split_at(at),
        None => (time, ""),
    };
    let mut parts = time.split(':');
    let (hour, minute) = (parts.next()?.parse::<u32>().ok()?, parts.next()?.parse::<u32>().ok()?);
    let second = parts.next()?.parse::<f64>().ok().filter(|second| (0.0..61.0).contains(second))?;
    if hour > 23 || minute > 59 {
        return None;
    }
    let of_day = f64::from(hour * 3600 + minute * 60) + second;
    Some(days(year, month, day) as f64 * 86_400.0 + of_day - offset(zone)?)
}

/// Seconds east of Greenwich.
fn offset(zone: &str) -> Option<f64> {
    let (sign, digits) = match zone.split_at_checked(1) {
        None | Some(("Z" | "z", "")) => return Some(0.0),
        Some(("+", digits)) => (1.0, digits),
        Some(("-", digits)) => (-1.0, digits),
        Some(_) => return None,
    };
    let digits: String = digits.chars().filter(|c| *c != ':').collect();
    let (hours, minutes) = digits.split_at_checked(2)?;
    let minutes = if minutes.is_empty() { 0 } else { minutes.parse::<u32>().ok()? };
    let hours = hours.parse::<u32>().ok()?;
    (hours < 24 && minutes < 60).then(|| sign * f64::from(hours * 3600 + minutes * 60))
}

/// Days since 1970-01-01, by years that begin in March (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
const fn days(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year / 400, year % 400);
    let from_march = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * from_march + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// What is read of a playlist is bounded and makes sense.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz(bytes: &[u8]) {
    let is_time = |seconds: f64| (0.0..=86_400.0).contains(&seconds);
    match parse(bytes) {
        Ok(Playlist::Multivariant(variants)) => {
            assert!((1..=VARIANTS).contains(&variants.len()));
            assert!(variants.iter().all(|variant| variant.uri.len() <= URI && !variant.uri.is_empty()));
        }
        Ok(Playlist::Media(media)) => {
            assert!(is_time(media.target) && media.segments <= bytes.len() as u64);
            if let Some(Segment { uri, duration, ends, .. }) = media.last {
                assert!(!uri.is_empty() && uri.len() <= URI && is_time(duration));
                assert!(ends.is_none_or(|ends| ends.is_finite() && ends > -86_400.0));
            }
        }
        Err(why) => assert!(!why.to_string().is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As ffmpeg writes it, with `-hls_flags program_date_time`.
    const MEDIA: &str = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:7\n\
        #EXTINF:2.000000,\n#EXT-X-PROGRAM-DATE-TIME:2026-11-20T12:00:00.000+0000\nlive7.ts\n\
        #EXTINF:1.960000,\n#EXT-X-PROGRAM-DATE-TIME:2026-11-20T12:00:02.000+0000\nlive8.ts\n";
    const MASTER: &str = "#EXTM3U\r\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",URI=\"audio.m3u8\"\r\n\
        #EXT-X-STREAM-INF:CODECS=\"avc1.4d401f,mp4a.40.2\",RESOLUTION=1280x720,BANDWIDTH=2500000\r\nhigh.m3u8?k=v\r\n\
        #EXT-X-STREAM-INF:AVERAGE-BANDWIDTH=1,BANDWIDTH=800000\r\nlow.m3u8\r\n\
        #EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=1,URI=\"i.m3u8\"\r\n";

    fn media(text: &str) -> Media {
        match parse(text.as_bytes()) {
            Ok(Playlist::Media(media)) => media,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_end_of_a_media_playlist_is_kept() {
        let read = media(MEDIA);
        assert_eq!((read.target, read.sequence, read.segments, read.is_ended), (2.0, 7, 2, false));
        let last = read.last.expect("a segment");
        assert_eq!((last.uri.as_str(), last.duration, last.is_part), ("live8.ts", 1.96, false));
        // 2026-11-20T12:00:02Z and what it plays.
        assert!((last.ends.expect("it says when") - 1_795_176_003.96).abs() < 0.001, "{last:?}");
        assert!(media(&format!("{MEDIA}#EXT-X-ENDLIST\n")).is_ended);
    }

    #[test]
    fn a_date_once_is_carried_from_segment_to_segment() {
        let text = "#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXT-X-PROGRAM-DATE-TIME:1970-01-02T00:00:00Z\n\
            #EXTINF:6,\na\n#EXTINF:6,\nb\n#EXT-X-GAP\n#EXTINF:6,\nc\n";
        let read = media(text);
        assert_eq!((read.sequence, read.segments), (0, 3), "without a number the first is 0");
        let last = read.last.expect("a segment");
        assert_eq!((last.uri.as_str(), last.ends), ("b", Some(86_412.0)), "a gap is not there to be fetched");
    }

    #[test]
    fn the_variants_of_a_stream_are_listed() {
        let Ok(Playlist::Multivariant(variants)) = parse(MASTER.as_bytes()) else { panic!("no variants") };
        let found: Vec<_> = variants.iter().map(|one| (one.bandwidth, one.uri.as_str())).collect();
        assert_eq!(found, [(2_500_000, "high.m3u8?k=v"), (800_000, "low.m3u8")]);
        let many = format!("#EXTM3U\n{}", "#EXT-X-STREAM-INF:BANDWIDTH=1\nx\n".repeat(1000));
        let Ok(Playlist::Multivariant(variants)) = parse(many.as_bytes()) else { panic!("no variants") };
        assert_eq!(variants.len(), VARIANTS);
    }

    #[test]
    fn what_is_no_playlist_says_why() {
        for (text, why) in [
            ("", "what came is no playlist"),
            ("<html>", "what came is no playlist"),
            ("#EXTM3U8\n", "what came is no playlist"),
            ("#EXTM3U\n", "the playlist is empty"),
            ("#EXTM3U\n#EXT-X-TARGETDURATION:\n", "the playlist's EXT-X-TARGETDURATION is none"),
            ("#EXTM3U\n#EXT-X-TARGETDURATION:-1\n", "the playlist's EXT-X-TARGETDURATION is none"),
            ("#EXTM3U\n#EXT-X-TARGETDURATION:inf\n", "the playlist's EXT-X-TARGETDURATION is none"),
            ("#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:x\n", "the playlist's EXT-X-MEDIA-SEQUENCE is none"),
            (
                "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:99999999999999999999\n",
                "the playlist's EXT-X-MEDIA-SEQUENCE is none",
            ),
            ("#EXTM3U\n#EXTINF:NaN,\nx\n", "the playlist's EXTINF is none"),
            ("#EXTM3U\n#EXTINF:5,\nx\n", "the playlist's EXT-X-TARGETDURATION is none"),
            ("#EXTM3U\n#EXT-X-STREAM-INF:CODECS=\"a\nx\n", "the playlist's BANDWIDTH is none"),
        ] {
            assert_eq!(parse(text.as_bytes()).expect_err(text).to_string(), why, "{text:?}");
        }
    }

    #[test]
    fn dates_are_those_of_iso_8601() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", Some(0.0)),
            ("2000-02-29T23:59:59.5+0000", Some(951_868_799.5)),
            ("2026-11-20T13:00:00+01:00", Some(1_795_176_000.0)),
            ("2026-11-20T07:00:00-05", Some(1_795_176_000.0)),
            ("2026-11-20 12:00:00", Some(1_795_176_000.0)),
            ("2100-03-01T00:00:00Z", Some(4_107_542_400.0)),
            ("2026-13-20T12:00:00Z", None),
            ("2026-11-20T24:00:00Z", None),
            ("2026-11-20T12:00:00+ü", None),
            ("2026-11-20", None),
            ("", None),
        ] {
            assert_eq!(date(text), seconds, "{text}");
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_there_is_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), text in ".{0,80}") {
            let _ = parse(&bytes);
            let _ = date(&text);
            let tags = ["#EXT-X-PROGRAM-DATE-TIME", "#EXTINF", "#EXT-X-STREAM-INF", "#EXT-X-MEDIA-SEQUENCE", "#EXT-X-TARGETDURATION"];
            for tag in tags {
                let _ = parse(format!("#EXTM3U\n{tag}:{text}\n{text}\n").as_bytes());
            }
        }

        #[test]
        fn a_playlist_that_is_cut_off_gives_no_more_than_the_whole(at in 0..MEDIA.len()) {
            if let Ok(Playlist::Media(part)) = parse(&MEDIA.as_bytes()[..at]) {
                prop_assert!(part.segments <= media(MEDIA).segments);
            }
        }
    }
}
