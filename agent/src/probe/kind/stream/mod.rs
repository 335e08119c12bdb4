//! `[[probe.stream]]`: what a stream is and how it looks and sounds. ffprobe says what it is, ffmpeg decodes some seconds of it; both are child
//! processes, ended with their group when their time is over.
//!
//! Up, frozen, black, silent, its bitrate against what it used to be, frame rate, size, level of the sound; its codecs as a text. What
//! ffprobe said is kept for `DESCRIBED` and asked again at once when something failed. While a metered interface carries the default
//! route nothing is pulled, and all of it is unknown.
//!
//! ```toml
//! [[probe.stream]]
//! name = "programme"
//! url = "rtmp://192.0.2.40/live/{key}"
//! key = { file = "/etc/rackside/stream-key" }
//! watch = "10s"
//! ```

pub mod describe;
pub mod still;
pub mod watch;

use crate::clock::Clock;
use crate::probe::child::{ChildError, Order, Pipe};
use crate::probe::config::{Settings, Shared as _, kind};
use crate::probe::locator::{Address, Locator};
use crate::probe::mean::Mean;
use crate::probe::recovery::fault::Fault;
use crate::probe::stills::plan::{Plan, StillTable};
use crate::probe::stills::take::Media;
use crate::probe::streak::{Seen, Streak};
use crate::probe::{Context, Outcome, Probe, Running, mask};
use async_io::Timer;
use describe::{Description, NoDescription};
use futures_lite::future;
use rackside_config::{Secret, Span};
use rackside_proto::{Scale, Value, metric};
use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};
use still::Stillness;
use watch::Window;

const SCHEMES: &[&str] = &["rtmp", "rtmps", "rtsp", "rtsps", "srt", "http", "https", "udp"];
/// What an address, or a playlist behind one, may lead to: no files.
const PROTOCOLS: &str = "rtmp,rtmps,rtmpt,rtsp,tcp,tls,srt,http,https,httpproxy,udp,rtp,srtp,crypto,data";
/// What ffprobe said is believed for so long.
const DESCRIBED: Duration = Duration::from_mins(10);
/// Of ffprobe's answer; it is asked for six fields a stream.
const ANSWER: usize = 128 * 1024;
/// A server that says nothing for so long in the middle of a stream says nothing any more. Microseconds.
const SILENCE: &str = "5000000";
/// Frames a second and levels go in tenths, a bitrate in kilobits.
const TENTH: Scale = Scale::per(10);
const KILO: Scale = Scale::times(1000);

kind! {
    /// What the configuration has for it.
    pub struct Stream with user, password {
        /// `rtmp://`, `rtmps://`, `rtsp://`, `rtsps://`, `srt://`, `http://`, `https://`, `udp://`.
        url: Address,
        /// What stands for `{key}` in it.
        #[serde(default)]
        key: Option<Secret>,
        /// How much of it is decoded in a run; 10 s unless set.
        #[serde(default)]
        watch: Option<Span>,
        /// A picture that has stood still for so long is frozen; 30 s unless set.
        #[serde(default)]
        frozen_after: Option<Span>,
        /// A bitrate has dropped that is so many per cent below its rolling mean; 50 unless set.
        #[serde(default)]
        bitrate_drop: Option<u8>,
        /// Whether pictures of it are sent to the hub, and how; none unless set.
        #[serde(default)]
        still: Option<StillTable>,
        /// How long ffprobe may take; 15 s unless set.
        #[serde(default)]
        ffprobe_timeout: Option<Span>,
        /// The program; a path, or a name in `PATH`.
        #[serde(default)]
        ffmpeg: Option<String>,
        /// The program; a path, or a name in `PATH`.
        #[serde(default)]
        ffprobe: Option<String>,
    }
}

impl Settings for Stream {
    fn target(&self) -> String {
        self.url.shown()
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        self.url.check(self.key.as_ref(), SCHEMES)?;
        for (key, span, least, most) in [
            ("watch", self.watch, 2, 60),
            ("frozen_after", self.frozen_after, 5, 3600),
            ("ffprobe_timeout", self.ffprobe_timeout, 1, 60),
        ] {
            let (least, most) = (Span::seconds(least), Span::seconds(most));
            if let Some(span) = span.filter(|span| !(least..=most).contains(span)) {
                return Err((
                    key,
                    format!("\"{span}\" is out of range; from \"{least}\" to \"{most}\" is possible"),
                ));
            }
        }
        if self.bitrate_drop.is_some_and(|share| !(1..=99).contains(&share)) {
            return Err(("bitrate_drop", "is out of range; from 1 to 99 per cent is possible".to_owned()));
        }
        self.still.as_ref().map(StillTable::plan).transpose()?;
        let needed = self.ffprobe_time() + self.watch_time();
        if self.timeout.is_some_and(|timeout| timeout.get() < needed) {
            return Err((
                "timeout",
                format!("is shorter than ffprobe_timeout and watch together, {needed:?}"),
            ));
        }
        Ok(())
    }

    fn programs(&self) -> Vec<&str> {
        vec![self.ffprobe_program(), self.ffmpeg_program()]
    }

    fn tells(&self) -> &'static [Fault] {
        &Fault::ALL
    }

    fn still(&self) -> Option<Plan> {
        self.still.as_ref().and_then(|table| table.plan().ok())
    }

    fn media(&self) -> Result<Media, String> {
        let address = self.address()?;
        let options = protocol(&address);
        Ok(Media { address, options, protocols: PROTOCOLS, ffmpeg: self.ffmpeg_program().to_owned() })
    }

    fn open(&self) -> Box<dyn Probe> {
        Box::new(Watcher::new(self.clone()))
    }
}

impl Stream {
    fn watch_time(&self) -> Duration {
        self.watch.map_or(Duration::from_secs(10), Span::get)
    }

    fn frozen_time(&self) -> Duration {
        self.frozen_after.map_or(Duration::from_secs(30), Span::get)
    }

    fn ffprobe_time(&self) -> Duration {
        self.ffprobe_timeout.map_or(Duration::from_secs(15), Span::get)
    }

    fn ffmpeg_program(&self) -> &str {
        self.ffmpeg.as_deref().unwrap_or("ffmpeg")
    }

    fn ffprobe_program(&self) -> &str {
        self.ffprobe.as_deref().unwrap_or("ffprobe")
    }

    /// Whether the address, as ffmpeg wants it, says more than people may see.
    fn is_secret(&self, address: &str) -> bool {
        self.url.shown() != address
    }

    /// The address as ffmpeg wants it, with the key and the login in it.
    fn address(&self) -> Result<String, String> {
        let url = self.url.filled(self.key.as_ref())?;
        Locator::parse(&url, SCHEMES)?;
        let Some((user, password)) = self.login().named()? else { return Ok(url) };
        let (scheme, rest) = url.split_once("://").unwrap_or(("", &url));
        Ok(format!("{scheme}://{}:{}@{rest}", encoded(user), encoded(&password)))
    }
}

/// Percent-encoded, all but what never needs it.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

/// What ffmpeg and ffprobe have to know of a protocol.
fn protocol(address: &str) -> Vec<(&'static str, &'static str)> {
    match address.split_once("://").map_or("", |(scheme, _)| scheme) {
        // Not timeout, which makes ffmpeg 5 listen for RTMP.
        "rtmp" | "rtmps" | "http" | "https" => vec![("rw_timeout", SILENCE)],
        "rtsp" | "rtsps" => vec![("rtsp_transport", "tcp"), ("timeout", SILENCE)],
        _ => vec![("timeout", SILENCE)],
    }
}

/// Tells ffmpeg or ffprobe where the stream is, what they may be led to, and for how many microseconds they may look before they know what it is.
/// An address with something secret in it stands on no command line: it is handed over in memory, as a list of one for the concat format.
fn aimed(order: Order, address: &str, is_secret: bool, analyse: &'static str) -> Order {
    let mut options = protocol(address);
    options.push(("analyzeduration", analyse));
    if is_secret {
        let protocols = format!("pipe,{PROTOCOLS}");
        let media =
            Media { address: address.to_owned(), options, protocols: PROTOCOLS, ffmpeg: String::new() };
        let order = order.args(["-protocol_whitelist", &protocols, "-safe", "0", "-f", "concat"]);
        return order.args(["-i", "pipe:0"]).input(media.list());
    }
    let options = options.into_iter().flat_map(|(key, value)| [format!("-{key}"), value.to_owned()]);
    order.args(["-protocol_whitelist", PROTOCOLS]).args(options).args(["-i", address])
}

/// What the stream comes in, as ffprobe calls it, where the protocol leaves no choice: of a list it says that it is one.
fn format_of(address: &str) -> Option<&'static str> {
    match address.split_once("://").map_or("", |(scheme, _)| scheme) {
        "rtmp" | "rtmps" => Some("flv"),
        "rtsp" | "rtsps" => Some("rtsp"),
        "srt" | "udp" => Some("mpegts"),
        _ => None,
    }
}

/// The probe: its settings, and what it saw before.
struct Watcher {
    settings: Stream,
    streak: Streak,
    mean: Mean,
    stillness: Stillness,
    description: Option<(Description, Instant)>,
    /// What the stream was when it was last had.
    last: Option<Description>,
}

/// What a run saw when that was not the stream.
struct Not {
    seen: Seen,
    why: String,
}

impl From<NoDescription> for Not {
    fn from(error: NoDescription) -> Self {
        Self { seen: error.seen, why: error.why }
    }
}

impl From<ChildError> for Not {
    fn from(error: ChildError) -> Self {
        Self { seen: Seen::Nothing, why: error.to_string() }
    }
}

impl Probe for Watcher {
    fn run<'a>(&'a mut self, context: &'a Context) -> Running<'a> {
        Box::pin(async {
            if let Some(interface) = context.surroundings.metered() {
                let why = format!("no media are pulled over {interface}, which is metered");
                return self.without(Not { seen: Seen::Nothing, why });
            }
            let address = match self.settings.address() {
                Ok(address) => address,
                Err(why) => return self.without(Not { seen: Seen::Nothing, why }),
            };
            match self.look(&address).await {
                Ok((description, window)) => self.with(&description, &window, Clock::now()),
                Err(not) => self.without(Not { why: mask::scrub(&not.why, &address), ..not }),
            }
        })
    }

    fn late(&mut self, why: String) -> Outcome {
        self.without(Not { seen: Seen::Failed, why })
    }
}

impl Watcher {
    fn new(settings: Stream) -> Self {
        let (streak, mean, stillness) = (Streak::default(), Mean::default(), Stillness::default());
        Self { settings, streak, mean, stillness, description: None, last: None }
    }

    /// What the stream is, and some seconds of it.
    async fn look(&mut self, address: &str) -> Result<(Description, Window), Not> {
        // Whatever fails, the next run asks anew what the stream is.
        let kept = self.description.take();
        let now = Clock::now();
        let (description, at) = match kept {
            Some((description, at)) if now.saturating_duration_since(at) < DESCRIBED => (description, at),
            _ => (self.describe(address).await?, now),
        };
        let window = self.watch(address, &description).await?;
        let (length, watch) = (window.length(&description), self.settings.watch_time().as_secs_f64());
        if length < watch / 2.0 {
            if length <= 0.0 && !window.complaint.is_empty() {
                return Err(describe::judge(&window.complaint, "").into());
            }
            let why = format!("the stream stopped: of {watch:.0} s came {length:.1} s");
            return Err(Not { seen: Seen::Failed, why });
        }
        if self.last.as_ref() != Some(&description) {
            self.mean.forget();
        }
        self.description = Some((description.clone(), at));
        Ok((description, window))
    }

    async fn describe(&self, address: &str) -> Result<Description, Not> {
        let time = self.settings.ffprobe_time();
        let order = Order::new(self.settings.ffprobe_program()).args(describe::ARGUMENTS);
        let is_secret = self.settings.is_secret(address);
        let order = aimed(order, address, is_secret, "5000000");
        let late = async {
            Timer::after(time).await;
            None
        };
        let output = async { order.spawn()?.output(ANSWER).await };
        let output = future::or(async { Some(output.await) }, late).await;
        let why = || format!("ffprobe could not say within {time:?} what the stream is");
        let output = output.ok_or_else(|| Not { seen: Seen::Failed, why: why() })??;
        let mut description = Description::parse(&output.out, &String::from_utf8_lossy(&output.err))?;
        if is_secret {
            format_of(address).unwrap_or("unknown").clone_into(&mut description.format);
        }
        Ok(description)
    }

    /// Lets ffmpeg decode some seconds. What came until its time was over counts.
    async fn watch(&self, address: &str, description: &Description) -> Result<Window, Not> {
        let watch = self.settings.watch_time();
        let (before, after) = watch::arguments(description, watch);
        let order = Order::new(self.settings.ffmpeg_program()).args(before);
        let order = aimed(order, address, self.settings.is_secret(address), "3000000");
        let child = order.args(after).spawn()?;
        let mut window = Window::default();
        let hear = child.hear(|pipe, bytes| {
            match pipe {
                Pipe::Out => window.see(bytes),
                Pipe::Err => window.hear(bytes),
            }
            ControlFlow::Continue(())
        });
        let late = async {
            Timer::after(watch + self.settings.ffprobe_time()).await;
            Ok(true)
        };
        // One that a signal ended did not come to its end, either.
        window.is_cut = future::or(async { hear.await.map(|status| status.code().is_none()) }, late).await?;
        Ok(window)
    }

    /// A run that saw the stream.
    fn with(&mut self, description: &Description, window: &Window, now: Instant) -> Outcome {
        let mut outcome = Outcome::up();
        let mut state = |metric, value: Option<bool>| {
            let value = value.map_or(Value::Unknown, |is_so| Value::Known(i64::from(is_so)));
            outcome.put_value(metric, &[], Scale::ONE, value);
        };
        let bitrate = window.bitrate(description);
        let share = f64::from(self.settings.bitrate_drop.unwrap_or(50)) / 100.0;
        state(&metric::STREAM_BITRATE_DROPPED, bitrate.and_then(|bitrate| self.mean.observe(bitrate, share)));
        if description.video.is_some() {
            let still = self.stillness.observe(window, now);
            state(&metric::STREAM_FROZEN, still.map(|still| still >= self.settings.frozen_time()));
            state(&metric::STREAM_BLACK, window.is_black());
        }
        if description.audio.is_some() {
            state(&metric::STREAM_SILENT, window.is_silent(description));
        }
        let value = self.streak.observe(Seen::Well);
        outcome.put_value(&metric::STREAM_UP, &[], Scale::ONE, value);
        if let Some(video) = description.video.as_ref().filter(|video| video.width > 0 && video.height > 0) {
            outcome.put(&metric::STREAM_WIDTH, &[], Scale::ONE, f64::from(video.width));
            outcome.put(&metric::STREAM_HEIGHT, &[], Scale::ONE, f64::from(video.height));
        }
        for (metric, scale, value) in [
            (&metric::STREAM_BITRATE, KILO, bitrate),
            (&metric::STREAM_FPS, TENTH, window.fps()),
            (&metric::STREAM_AUDIO_LEVEL, TENTH, window.level),
            (&metric::STREAM_AUDIO_PEAK, TENTH, window.peak),
        ] {
            if let Some(value) = value {
                outcome.put(metric, &[], scale, value);
            }
        }
        outcome.say("codec", description.codecs());
        outcome.say("format", description.format.clone());
        self.last = Some(description.clone());
        outcome
    }

    /// A run that did not.
    fn without(&mut self, not: Not) -> Outcome {
        let mut outcome = match not.seen {
            Seen::Nothing => Outcome::unknown(not.why),
            _ => Outcome::down(not.why),
        };
        let value = self.streak.observe(not.seen);
        outcome.put_value(&metric::STREAM_UP, &[], Scale::ONE, value);
        let (picture, sound) =
            self.last.as_ref().map_or((false, false), |last| (last.video.is_some(), last.audio.is_some()));
        for (metric, was_had) in [
            (&metric::STREAM_FROZEN, picture),
            (&metric::STREAM_BLACK, picture),
            (&metric::STREAM_SILENT, sound),
            (&metric::STREAM_BITRATE_DROPPED, picture || sound),
        ] {
            if was_had {
                outcome.put_value(metric, &[], Scale::ONE, Value::Unknown);
            }
        }
        self.stillness.forget();
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_encoded_into_the_address() {
        assert_eq!(encoded("me@home:p w/ä"), "me%40home%3Ap%20w%2F%C3%A4");
    }

    #[test]
    fn rtmp_never_gets_the_option_that_makes_ffmpeg_listen() {
        let has = |address| protocol(address).iter().any(|(key, _)| *key == "timeout");
        assert!(!has("rtmp://a.example/x") && has("rtsp://a.example/x") && has("srt://a.example:9000"));
    }
}
