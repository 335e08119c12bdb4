//! `[[probe.hls]]`: whether an HLS stream is there, goes on, and can be fetched.
//!
//! The playlist is asked for; of several variants the one of the lowest and the one of the highest bandwidth. Each must be valid, have
//! changed within three target durations, not have ended, and its newest segment must be there: its head is asked for (or its first
//! byte, where the server gives no head), no media is pulled, so this is fine over a metered interface. `rackside_stream_up` goes to 0 after two polls in a row that failed, or at once when
//! the playlist itself says so: by its end, or by standing still.
//!
//! ```toml
//! [[probe.hls]]
//! name = "player"
//! stream = "main"
//! url = "https://cdn.example/live/main.m3u8"
//! ```

mod follow;
pub(crate) mod playlist;

use crate::clock::Clock;
use crate::probe::config::{Settings, kind};
use crate::probe::http::{self, Answer, FetchError, Method, Request, Trust, Url};
use crate::probe::outcome::State;
use crate::probe::streak::{Seen, Streak};
use crate::probe::{Context, Outcome, Probe, Running, mask};
use follow::{Followed, stale_after};
use playlist::{Media, Playlist, Segment, Variant};
use rackside_proto::Scale;
use rackside_proto::metric::{self, Metric};
use std::path::PathBuf;

/// Half a day of two-second segments.
const MOST: usize = 2 * 1024 * 1024;
/// Hundredths of a second.
const SECONDS: Scale = Scale::per(100);
/// Kilobits a second.
const RATE: Scale = Scale::times(1000);

kind! {
    /// What the configuration has for it.
    pub struct Hls {
        /// Its playlist.
        url: String,
        /// Whether it goes on for ever, so that its end is a fault; it does unless this is `false`.
        #[serde(default)]
        live: Option<bool>,
        /// Whose signature on its certificate is believed; the system's authorities' when not set.
        #[serde(default)]
        ca: Option<PathBuf>,
    }
}

impl Settings for Hls {
    /// The playlist's name is the stream's key as often as not.
    fn target(&self) -> String {
        mask::url(&self.url)
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        match Url::parse(&self.url) {
            Ok(_) => Ok(()),
            Err(why) => Err(("url", format!("this is no address of a page: {why}"))),
        }
    }

    fn open(&self) -> Box<dyn Probe> {
        Box::new(Watch { settings: self.clone(), streak: Streak::default(), followed: [const { None }; 2] })
    }
}

/// The probe, with what it knows from earlier polls.
#[derive(Debug)]
struct Watch {
    settings: Hls,
    streak: Streak,
    /// A plain playlist or the lowest variant, and the highest one.
    followed: [Option<Followed>; 2],
}

/// What is wrong, and what that says of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Trouble {
    seen: Seen,
    why: String,
}

impl Trouble {
    fn failed(why: impl Into<String>) -> Self {
        Self { seen: Seen::Failed, why: why.into() }
    }

    fn gone(why: impl Into<String>) -> Self {
        Self { seen: Seen::Gone, why: why.into() }
    }
}

impl From<FetchError> for Trouble {
    fn from(error: FetchError) -> Self {
        let is_ours = match &error {
            FetchError::Dial(error) => error.is_ours(),
            _ => error.is_own(),
        };
        Self { seen: if is_ours { Seen::Nothing } else { Seen::Failed }, why: error.to_string() }
    }
}

impl Probe for Watch {
    fn run<'a>(&'a mut self, context: &'a Context) -> Running<'a> {
        Box::pin(async {
            let mut outcome = Outcome::up();
            let result = self.look(context, &mut outcome).await;
            self.conclude(outcome, result)
        })
    }

    fn late(&mut self, why: String) -> Outcome {
        self.conclude(Outcome::up(), Err(Trouble::failed(why)))
    }
}

impl Watch {
    /// Adds what this poll says of the stream.
    fn conclude(&mut self, mut outcome: Outcome, result: Result<(), Trouble>) -> Outcome {
        let seen = result.as_ref().map_or_else(|trouble| trouble.seen, |()| Seen::Well);
        if let Err(Trouble { why, .. }) = result {
            outcome.state = match seen {
                Seen::Nothing => State::Unknown(why),
                // One variant of two goes on.
                Seen::Well | Seen::Failed | Seen::Gone => State::Down(why),
            };
        }
        outcome.put_value(&metric::STREAM_UP, &[""], Scale::ONE, self.streak.observe(seen));
        outcome
    }

    async fn look(&mut self, context: &Context, outcome: &mut Outcome) -> Result<(), Trouble> {
        let url = Url::parse(&self.settings.url).expect("the configuration was checked");
        let answer = self.settings.get(context, &url, Method::GET).await?;
        match playlist::parse(body(&answer)?).map_err(|error| Trouble::failed(error.to_string()))? {
            Playlist::Media(media) => self.judge(context, outcome, 0, "", &answer.url, &media).await,
            Playlist::Multivariant(variants) => {
                outcome.put(&metric::HLS_VARIANTS, &[], Scale::ONE, variants.len() as f64);
                self.look_at_variants(context, outcome, &answer.url, &variants).await
            }
        }
    }

    /// The lowest and the highest; the stream is up as long as one of them is.
    async fn look_at_variants(
        &mut self,
        context: &Context,
        outcome: &mut Outcome,
        base: &Url,
        variants: &[Variant],
    ) -> Result<(), Trouble> {
        let lowest = variants.iter().min_by_key(|variant| variant.bandwidth);
        let highest = variants.iter().max_by_key(|variant| variant.bandwidth);
        let highest = highest.filter(|highest| lowest.is_some_and(|lowest| lowest.uri != highest.uri));
        let (mut is_well, mut wrong) = (false, Vec::new());
        for (slot, variant, name) in [(0, lowest, "lowest"), (1, highest, "highest")] {
            let Some(variant) = variant else { continue };
            match self.look_at_variant(context, outcome, slot, name, base, variant).await {
                Ok(()) => is_well = true,
                Err(Trouble { seen, why }) => {
                    wrong.push(Trouble { seen, why: format!("the variant of the {name} bandwidth: {why}") });
                }
            }
        }
        match wrong.into_iter().next() {
            None => Ok(()),
            Some(trouble) if is_well => Err(Trouble { seen: Seen::Well, ..trouble }),
            Some(trouble) => Err(trouble),
        }
    }

    async fn look_at_variant(
        &mut self,
        context: &Context,
        outcome: &mut Outcome,
        slot: usize,
        name: &str,
        base: &Url,
        variant: &Variant,
    ) -> Result<(), Trouble> {
        let url =
            base.join(&variant.uri).map_err(|why| Trouble::failed(format!("its address is none: {why}")))?;
        let answer = self.settings.get(context, &url, Method::GET).await?;
        match playlist::parse(body(&answer)?).map_err(|error| Trouble::failed(error.to_string()))? {
            Playlist::Media(media) => self.judge(context, outcome, slot, name, &answer.url, &media).await,
            Playlist::Multivariant(_) => Err(Trouble::failed("it is a list of variants itself")),
        }
    }

    /// One media playlist: its series, and what is wrong with it.
    async fn judge(
        &mut self,
        context: &Context,
        outcome: &mut Outcome,
        slot: usize,
        name: &str,
        base: &Url,
        media: &Media,
    ) -> Result<(), Trouble> {
        let now = Clock::now();
        let followed = self.followed.get_mut(slot).expect("there are two").get_or_insert_default();
        let age = followed.observe(media, now);
        let mut put = |metric: &'static Metric, scale, value| outcome.put(metric, &[name], scale, value);
        put(&metric::HLS_MEDIA_SEQUENCE, Scale::ONE, media.sequence as f64);
        put(&metric::HLS_SEGMENTS, Scale::ONE, media.segments as f64);
        put(&metric::HLS_TARGET_DURATION, SECONDS, media.target);
        put(&metric::HLS_PLAYLIST_AGE, SECONDS, age.as_secs_f64());
        put(&metric::HLS_RESTARTS, Scale::ONE, followed.restarts() as f64);
        if let Some(latency) = latency(context, media) {
            put(&metric::HLS_LATENCY, SECONDS, latency);
        }
        let is_live = self.settings.live.unwrap_or(true);
        if is_live && media.is_ended {
            return Err(Trouble::gone("the playlist says that the stream has ended"));
        }
        if is_live && age > stale_after(media) {
            let (age, target) = (age.as_secs(), media.target);
            return Err(Trouble::gone(format!(
                "the playlist has not changed for {age} s, with segments of {target} s"
            )));
        }
        let Some(segment) = &media.last else {
            return Err(Trouble::failed("the playlist has no segment"));
        };
        let bytes = self.settings.segment(context, base, segment).await?;
        if let Some(bytes) = bytes.filter(|_| !segment.is_part && segment.duration > 0.0) {
            // Of two variants the higher one is looked at last, and its rate is the stream's.
            outcome.samples.retain(|sample| !std::ptr::eq(sample.metric, &raw const metric::STREAM_BITRATE));
            outcome.put(&metric::STREAM_BITRATE, &[""], RATE, bytes as f64 * 8.0 / segment.duration);
        }
        Ok(())
    }
}

/// How far the newest picture is behind now, if the playlist says when it was taken and somebody here knows the date.
fn latency(context: &Context, media: &Media) -> Option<f64> {
    let ends = media.last.as_ref()?.ends?;
    let moment = context.surroundings.moment().filter(|moment| moment.known)?;
    Some(moment.utc_ms as f64 / 1000.0 - ends)
}

/// The text of a playlist.
fn body(answer: &Answer) -> Result<&[u8], Trouble> {
    if answer.is_cut {
        return Err(Trouble::failed(format!("the playlist is larger than {MOST} bytes")));
    }
    Ok(&answer.body)
}

impl Hls {
    /// A page, if the server gives it.
    async fn get(&self, context: &Context, url: &Url, method: Method) -> Result<Answer, Trouble> {
        let trust = Trust::of(self.ca.as_ref());
        let request = Request { method, most: MOST, trust, within: context.within, ..Request::get(url) };
        let answer = http::fetch(context, request).await?;
        let (origin, status) = (url.origin(), answer.status);
        match status {
            _ if answer.is_success() => Ok(answer),
            404 | 410 => Err(Trouble::failed(format!("{origin} has no such playlist ({status})"))),
            401 | 403 | 407 | 429 => {
                Err(Trouble { seen: Seen::Nothing, why: format!("{origin} does not let us see ({status})") })
            }
            _ => Err(Trouble::failed(format!("{origin} answers {status}"))),
        }
    }

    /// Asks for the head of a segment; its size, if the server tells.
    async fn segment(
        &self,
        context: &Context,
        base: &Url,
        segment: &Segment,
    ) -> Result<Option<u64>, Trouble> {
        let wrong = |why: String| Trouble::failed(format!("its newest segment cannot be had: {why}"));
        let url = base.join(&segment.uri).map_err(wrong)?;
        let mut method = Method::HEAD;
        loop {
            let trust = Trust::of(self.ca.as_ref());
            // Where the head alone is not to be had, the body's first byte will do: some servers know GET only, and say 404 to all
            // else; an address that was signed for GET is refused (403) for HEAD.
            let is_head = method == Method::HEAD;
            let request = Request {
                method: method.clone(),
                headers: if is_head { Vec::new() } else { vec![("range", "bytes=0-0".to_owned())] },
                most: 1,
                is_kept: false,
                trust,
                within: context.within,
                ..Request::get(&url)
            };
            let answer = http::fetch(context, request).await.map_err(|error| wrong(error.to_string()))?;
            if is_head && !answer.is_success() {
                method = Method::GET;
                continue;
            }
            let length = match answer.status {
                // There is no first byte.
                416 => Some(0),
                _ if !answer.is_success() => {
                    return Err(wrong(format!("{} answers {}", url.origin(), answer.status)));
                }
                // The length of a part is not the segment's: `bytes 0-0/250000`.
                206 => {
                    answer.header("content-range").and_then(|range| range.rsplit_once('/')?.1.parse().ok())
                }
                _ => answer.header("content-length").and_then(|length| length.parse().ok()),
            };
            if length == Some(0) {
                return Err(wrong("it is empty".to_owned()));
            }
            return Ok(length);
        }
    }
}

#[cfg(test)]
mod tests;
