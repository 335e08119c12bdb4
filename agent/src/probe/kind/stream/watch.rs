//! What ffmpeg says while it decodes a few seconds of a stream: pictures and their times, what its filters found, what it read. Pure: lines
//! go in, a [`Window`] comes out.
//!
//! One decoder feeds all filters: `showinfo` (a line a picture), `freezedetect`, `blackdetect`, `silencedetect`, `volumedetect`, on a
//! picture made small first; and one small grey picture a second goes to standard output, by which a still picture is told from
//! another one a minute later. Bytes are those that ffmpeg read from the input (`-v verbose` ends with them). Invariants: no line is kept, no
//! picture but the first and the last; whatever ffmpeg says, nothing here panics.
//!
//! ```text
//! [Parsed_showinfo_1 @ 0x5598] n:   0 pts:    672 pts_time:0.672   pos: …
//! [freezedetect @ 0x5598] lavfi.freezedetect.freeze_start: 0.672
//! [blackdetect @ 0x5598] black_start:0.672 black_end:6.552 black_duration:5.88
//! [silencedetect @ 0x5598] silence_end: 6.57083 | silence_duration: 6.5705
//!   Input stream #0:1 (video): 148 packets read (97629 bytes); 148 frames decoded;
//! [Parsed_volumedetect_9 @ 0x5598] mean_volume: -21.1 dB
//! ```

use super::describe::Description;
use std::time::Duration;

/// A small picture: 16 × 9 shades of grey.
pub const SMALL: usize = 16 * 9;
/// Longer lines are cut; ffmpeg writes none that matter.
const LINE: usize = 4096;
/// Two small pictures are the same when their pixels differ by no more than this in the mean; an encoder's pulse stays below it.
const SAME: u32 = 2;
/// From the first picture to a still one at most so many seconds, when all of it is still.
const AT_ONCE: f64 = 0.5;
/// What is black or silent is so for this share of the time.
const MOST_OF_IT: f64 = 0.9;
/// No time is later, in seconds: some 30,000 years.
const MOST: f64 = 1e12;
/// Pictures within a shorter time, in seconds, have no rate.
const LEAST: f64 = 0.001;
/// Pixels of the greatest picture that is decoded: somewhat more than 8K.
const LARGEST: &str = "36000000";

/// The arguments for ffmpeg before the address, and those after it.
pub fn arguments(description: &Description, watch: Duration) -> (Vec<String>, Vec<String>) {
    let before =
        ["-hide_banner", "-nostdin", "-nostats", "-v", "verbose", "-max_pixels", LARGEST, "-threads", "2"];
    // A filter says "still" or "black" of what lasts so long; shorter than the window, or it could never say so.
    let least = (watch.as_secs_f64() / 4.0).min(2.0);
    let mut graph = Vec::new();
    let mut mapped = Vec::new();
    if description.video.is_some() {
        graph.push(format!(
            "[0:v:0]scale=w='min(320,iw)':h=-2:flags=fast_bilinear,showinfo=checksum=0,split[all][few];\
             [all]freezedetect=n=-50dB:d={least},blackdetect=d={least}:pix_th=0.10[v];\
             [few]fps=1,scale=16:9:flags=area,format=gray[small]"
        ));
        mapped.extend(["-map", "[v]"]);
    }
    if description.audio.is_some() {
        graph.push(format!("[0:a:0]silencedetect=n=-50dB:d={least},volumedetect[a]"));
        mapped.extend(["-map", "[a]"]);
    }
    let (time, graph) = (format!("{:.3}", watch.as_secs_f64()), graph.join(";"));
    let mut after = vec!["-filter_complex", &graph];
    after.extend(mapped);
    after.extend(["-t", &time, "-f", "null", "-"]);
    if description.video.is_some() {
        after.extend(["-map", "[small]", "-t", &time, "-f", "rawvideo", "pipe:1"]);
    }
    let owned = |all: &[&str]| all.iter().map(ToString::to_string).collect();
    (owned(&before), owned(&after))
}

/// What was read of one of the input's streams.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Read {
    packets: f64,
    bytes: f64,
    samples: f64,
}

/// A few seconds of a stream.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Window {
    pictures: u32,
    first: f64,
    last: f64,
    still_since: Option<f64>,
    black: f64,
    silent: f64,
    silent_since: Option<f64>,
    video: Option<Read>,
    audio: Option<Read>,
    /// Mean level of the sound, dBFS.
    pub level: Option<f64>,
    /// Highest level of the sound, dBFS.
    pub peak: Option<f64>,
    /// The last line that complains.
    pub complaint: String,
    /// Whether ffmpeg was ended before it had told all: what its filters say at the end of something is missing.
    pub is_cut: bool,
    line: Vec<u8>,
    small: Vec<u8>,
    first_small: Option<Small>,
    last_small: Option<Small>,
}

/// A small picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Small([u8; SMALL]);

impl Small {
    /// Whether two show the same.
    pub fn is_like(&self, other: &Self) -> bool {
        let difference: u32 =
            self.0.iter().zip(&other.0).map(|(one, other)| u32::from(one.abs_diff(*other))).sum();
        difference <= SAME * SMALL as u32
    }
}

impl Window {
    /// Bytes of ffmpeg's standard error.
    pub fn hear(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match byte {
                b'\n' | b'\r' => {
                    let line = std::mem::take(&mut self.line);
                    self.line(&String::from_utf8_lossy(&line));
                }
                byte if self.line.len() < LINE => self.line.push(*byte),
                _ => {}
            }
        }
    }

    /// Bytes of its standard output: small pictures.
    pub fn see(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.small.push(*byte);
            if let Ok(small) = <[u8; SMALL]>::try_from(self.small.as_slice()) {
                self.small.clear();
                let small = Small(small);
                self.first_small.get_or_insert_with(|| small.clone());
                self.last_small = Some(small);
            }
        }
    }

    fn line(&mut self, line: &str) {
        let Some((source, said)) = source(line) else { return self.end(line) };
        if source.starts_with("Parsed_showinfo") {
            if let Some(time) = number(said, "pts_time:") {
                if self.pictures == 0 {
                    self.first = time;
                }
                self.last = time.max(self.last);
                self.pictures = self.pictures.saturating_add(1);
            }
        } else if source == "freezedetect" {
            if let Some(time) = number(said, "freeze_start:") {
                self.still_since = Some(time);
            } else if number(said, "freeze_end:").is_some_and(|end| end < self.last - AT_ONCE) {
                self.still_since = None;
            }
        } else if source == "blackdetect" {
            self.black += number(said, "black_duration:").unwrap_or_default();
        } else if source == "silencedetect" {
            if let Some(time) = number(said, "silence_start:") {
                self.silent_since = Some(time);
            }
            if let Some(duration) = number(said, "silence_duration:") {
                self.silent += duration;
                self.silent_since = None;
            }
        } else if source.starts_with("Parsed_volumedetect") {
            self.level = number(said, "mean_volume:").or(self.level);
            self.peak = number(said, "max_volume:").or(self.peak);
        } else {
            self.complain(line);
        }
    }

    /// A line that is no filter's.
    fn end(&mut self, line: &str) {
        let Some(rest) = line.trim_start().strip_prefix("Input stream #0:") else {
            return self.complain(line);
        };
        let before = |what: &str| {
            let (front, _) = rest.split_once(what)?;
            front.rsplit([' ', '(']).next()?.parse::<u64>().ok().map(|count| count as f64)
        };
        let read = Read {
            packets: before(" packets read").unwrap_or_default(),
            bytes: before(" bytes)").unwrap_or_default(),
            samples: before(" samples)").unwrap_or_default(),
        };
        // The first of each kind is the one that the filters have.
        if rest.contains("(video)") && self.video.is_none_or(|video| video.packets == 0.0) {
            self.video = Some(read);
        } else if rest.contains("(audio)") && self.audio.is_none_or(|audio| audio.packets == 0.0) {
            self.audio = Some(read);
        }
    }

    fn complain(&mut self, line: &str) {
        if ["rror", "refused", "imed out", "nvalid", "matches no streams"]
            .iter()
            .any(|word| line.contains(word))
        {
            line.trim().clone_into(&mut self.complaint);
        }
    }

    /// From the first picture to the last, in seconds.
    fn seen(&self) -> f64 {
        self.last - self.first
    }

    /// Pictures a second; nothing before there are some.
    pub fn fps(&self) -> Option<f64> {
        (self.pictures > 2 && self.seen() >= LEAST).then(|| f64::from(self.pictures - 1) / self.seen())
    }

    /// Seconds of sound that were decoded.
    fn heard(&self, description: &Description) -> Option<f64> {
        let rate = description.audio.as_ref().map(|audio| audio.rate).filter(|rate| *rate > 0)?;
        self.audio.map(|audio| audio.samples / f64::from(rate))
    }

    /// Seconds of media that came.
    pub fn length(&self, description: &Description) -> f64 {
        self.seen().max(self.heard(description).unwrap_or_default())
    }

    /// Bits a second of the picture and the sound together.
    pub fn bitrate(&self, description: &Description) -> Option<f64> {
        let video = match (&description.video, self.video) {
            (Some(_), Some(read)) if read.packets > 0.0 => read.bytes * 8.0 * self.fps()? / read.packets,
            (Some(_), _) => return None,
            (None, _) => 0.0,
        };
        let audio = match (self.audio, self.heard(description)) {
            (Some(read), Some(seconds)) if seconds > 0.0 => read.bytes * 8.0 / seconds,
            _ => 0.0,
        };
        Some(video + audio).filter(|bitrate| *bitrate > 0.0)
    }

    /// Whether the picture was black; nothing when there was none, and when ffmpeg was cut off: of black it speaks only once that has
    /// ended.
    pub fn is_black(&self) -> Option<bool> {
        let is_black = self.black >= self.seen() * MOST_OF_IT;
        (self.pictures > 2 && (is_black || !self.is_cut)).then_some(is_black)
    }

    /// Whether the sound was silent; nothing when there was none.
    pub fn is_silent(&self, description: &Description) -> Option<bool> {
        let heard = self.heard(description).filter(|seconds| *seconds > 0.0)?;
        let open = self.silent_since.map_or(0.0, |since| heard - since);
        Some(self.silent + open >= heard * MOST_OF_IT)
    }

    /// For how many seconds at its end the picture stood still; nothing when there was none.
    pub fn still(&self) -> Option<f64> {
        (self.pictures > 2)
            .then(|| self.still_since.map_or(0.0, |since| (self.last - since).clamp(0.0, self.seen())))
    }

    /// Whether it stood still all the time.
    pub fn is_all_still(&self) -> bool {
        self.still().is_some_and(|still| still > 0.0 && still >= self.seen() - AT_ONCE)
    }

    /// The first and the last small picture.
    pub fn small(&self) -> Option<(&Small, &Small)> {
        self.first_small.as_ref().zip(self.last_small.as_ref())
    }
}

/// Who says a line, and what: `[name @ 0x5598] text`.
fn source(line: &str) -> Option<(&str, &str)> {
    let (head, said) = line.trim_start().strip_prefix('[')?.split_once("] ")?;
    Some((head.split(" @ ").next()?, said))
}

/// The number behind a key; one that is no time and no level is none.
fn number(text: &str, key: &str) -> Option<f64> {
    let (_, rest) = text.split_once(key)?;
    let number: f64 = rest.trim_start().split([' ', '|']).next()?.parse().ok()?;
    (number.abs() <= MOST).then_some(number)
}

/// However ffmpeg's words are cut, the same window comes out of them, with numbers that can be told.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz(bytes: &[u8]) {
    use super::describe::{Audio, Video};
    let hear = |piece: usize| {
        let mut window = Window::default();
        for piece in bytes.chunks(piece) {
            window.hear(piece);
            window.see(piece);
            assert!(window.line.len() <= LINE && window.small.len() < SMALL);
        }
        window
    };
    let (window, again) = (hear(bytes.len().max(1)), hear(7));
    assert_eq!(window, again);
    let video = Some(Video { codec: String::new(), width: 1920, height: 1080 });
    let description = Description {
        format: String::new(),
        video,
        audio: Some(Audio { codec: String::new(), rate: 48_000 }),
    };
    let told = [window.bitrate(&description), window.still(), window.level, window.peak, window.fps()];
    assert!(told.into_iter().flatten().all(f64::is_finite), "{told:?}");
    assert!(window.length(&description).is_finite());
    let _ = (window.is_black(), window.is_silent(&description));
    let mut stillness = super::still::Stillness::default();
    for window in [&window, &again] {
        stillness.observe(window, crate::clock::Clock::now());
    }
}

#[cfg(test)]
mod tests {
    use super::super::describe::{Audio, Video};
    use super::*;
    use proptest::prelude::*;

    fn both() -> Description {
        Description {
            format: "flv".to_owned(),
            video: Some(Video { codec: "h264".to_owned(), width: 320, height: 180 }),
            audio: Some(Audio { codec: "aac".to_owned(), rate: 48_000 }),
        }
    }

    /// What ffmpeg 5.1 wrote of a stream whose picture is black and whose sound is silent.
    fn said() -> String {
        let mut text = String::from("Input #0, flv, from 'rtmp://a.example/live/x':\n");
        for n in 0..148 {
            let time = 0.672 + 0.04 * f64::from(n);
            let line = format!(
                "[Parsed_showinfo_1 @ 0x558bf] n: {n:3} pts:  1 pts_time:{time:.3} pos: 1 fmt:yuv420p\n"
            );
            text.push_str(&line);
            text.push_str("[Parsed_showinfo_1 @ 0x558bf] color_range:unknown color_space:unknown\n");
        }
        text.push_str(
            "[silencedetect @ 0x558bf] silence_start: 0.000333333\n\
             [freezedetect @ 0x558bf] lavfi.freezedetect.freeze_start: 0.672\n\
             Input file #0 (rtmp://a.example/live/x):\n\
             \x20 Input stream #0:0 (audio): 308 packets read (1249 bytes); 308 frames decoded (315392 samples); \n\
             \x20 Input stream #0:1 (video): 148 packets read (74000 bytes); 148 frames decoded; \n\
             \x20 Total: 456 packets (75249 bytes) demuxed\n\
             [Parsed_volumedetect_9 @ 0x558bf] n_samples: 315392\n\
             [Parsed_volumedetect_9 @ 0x558bf] mean_volume: -91.0 dB\n\
             [Parsed_volumedetect_9 @ 0x558bf] max_volume: -90.5 dB\n\
             [silencedetect @ 0x558bf] silence_end: 6.57083 | silence_duration: 6.5705\n\
             [blackdetect @ 0x558bf] black_start:0.672 black_end:6.552 black_duration:5.88\n",
        );
        text
    }

    fn window(text: &str, piece: usize) -> Window {
        let mut window = Window::default();
        text.as_bytes().chunks(piece).for_each(|bytes| window.hear(bytes));
        window
    }

    #[test]
    fn what_the_filters_found_is_read_however_it_is_cut() {
        for piece in [1, 33, 4096] {
            let (window, both) = (window(&said(), piece), both());
            assert_eq!((window.is_black(), window.is_silent(&both)), (Some(true), Some(true)));
            assert_eq!((window.level, window.peak), (Some(-91.0), Some(-90.5)));
            assert!(window.is_all_still() && (window.still().unwrap() - 5.88).abs() < 0.01);
            assert!((window.fps().unwrap() - 25.0).abs() < 0.01);
            // 500 bytes a picture, and 1249 bytes in 6.57 s.
            assert!((window.bitrate(&both).unwrap() - 101_521.0).abs() < 10.0, "{:?}", window.bitrate(&both));
        }
    }

    #[test]
    fn black_is_unknown_when_ffmpeg_was_cut_off_before_it_could_say_so() {
        let (before, _) = said()
            .rsplit_once("[blackdetect")
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .expect("it is black");
        let mut cut = window(&before, 99);
        assert_eq!(cut.is_black(), Some(false), "it ended by itself");
        cut.is_cut = true;
        assert_eq!(cut.is_black(), None);
        let mut told = window(&said(), 99);
        told.is_cut = true;
        assert_eq!(told.is_black(), Some(true), "what was said holds");
    }

    #[test]
    fn times_and_counts_that_cannot_be_are_none() {
        let showed = |time: &str| format!("[Parsed_showinfo_1 @ 0x1] n: 0 pts_time:{time} pos: 1\n");
        let text = ["-1e300", "0", "1", "2", "3e13"].map(showed).concat();
        let window = window(&(text + "[freezedetect @ 0x1] lavfi.freezedetect.freeze_start: -1e300\n"), 4096);
        assert_eq!((window.fps(), window.still()), (Some(1.0), Some(0.0)));
        let at_once = ["0", "5e-324", "1e-300"].map(showed).concat();
        assert_eq!(self::window(&at_once, 4096).fps(), None);
        let read =
            "Input stream #0:0 (audio): nan packets read (inf bytes); 1 frames decoded (1e300 samples);\n";
        let window = self::window(read, 4096);
        assert_eq!((window.length(&both()), window.bitrate(&both())), (0.0, None));
    }

    #[test]
    fn what_moves_again_is_not_still() {
        let moved = said().replace(
            "freeze_start: 0.672\n",
            "freeze_start: 0.672\n[freezedetect @ 0x1] lavfi.freezedetect.freeze_end: 3.1\n",
        );
        assert_eq!(window(&moved, 99).still(), Some(0.0));
        let late = said().replace("freeze_start: 0.672", "freeze_start: 4.552");
        let window = window(&late, 99);
        assert!(!window.is_all_still() && (window.still().unwrap() - 2.0).abs() < 0.01);
    }

    #[test]
    fn nothing_is_said_of_what_did_not_come() {
        let (nothing, both) = (Window::default(), both());
        assert_eq!((nothing.is_black(), nothing.is_silent(&both), nothing.still()), (None, None, None));
        assert_eq!((nothing.fps(), nothing.bitrate(&both)), (None, None));
        let complaint = window("[rtmp @ 0x1] x\nrtmp://a/b: Connection refused\nbye\n", 9);
        assert_eq!(complaint.complaint, "rtmp://a/b: Connection refused");
    }

    #[test]
    fn small_pictures_are_compared_and_not_kept() {
        let mut window = Window::default();
        for shade in [10, 50, 51] {
            window.see(&[shade; 100]);
            window.see(&[shade; SMALL - 100]);
        }
        window.see(&[9; 7]);
        let (first, last) = window.small().expect("some");
        assert!(last.is_like(&Small([52; SMALL])) && !last.is_like(first));
    }

    #[test]
    fn the_filters_go_with_what_there_is() {
        let (_, after) = arguments(&both(), Duration::from_secs(10));
        assert_eq!(after.iter().filter(|word| *word == "-map").count(), 3);
        let sound = Description { video: None, ..both() };
        let (_, after) = arguments(&sound, Duration::from_secs(10));
        assert!(
            after.join(" ").contains("-map [a] -t 10.000 -f null -") && !after.join(" ").contains("[0:v:0]")
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_heard(bytes in prop::collection::vec(any::<u8>(), 0..2000), small in prop::collection::vec(any::<u8>(), 0..600)) {
            let mut window = Window::default();
            window.hear(&bytes);
            window.see(&small);
            let _ = (window.fps(), window.bitrate(&both()), window.is_black(), window.is_silent(&both()), window.still());
        }

        #[test]
        fn a_good_text_with_a_byte_changed_is_heard(at in 0..30_000_usize, byte in any::<u8>(), end in 0..30_000_usize) {
            let mut bytes = said().into_bytes();
            let length = bytes.len();
            bytes[at % length] = byte;
            bytes.truncate(length - end % length);
            let mut window = Window::default();
            window.hear(&bytes);
            let _ = (window.fps(), window.bitrate(&both()), window.is_black(), window.is_silent(&both()), window.still());
        }
    }
}
