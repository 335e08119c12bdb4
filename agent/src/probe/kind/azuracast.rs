//! `[[probe.azuracast]]`: a station of AzuraCast by its public now-playing API: on the air or not, listeners, the track, and whether
//! somebody is live.
//!
//! `is_online` is the station's own word and counts at once. How long a switch of tracks took is told by the station's clock: from
//! the end of one track, as its automation had planned it, to the begin of the next.
//!
//! ```toml
//! [[probe.azuracast]]
//! name = "radio"
//! url = "https://radio.example"
//! station = "hall"
//! ```

use crate::clock::Clock;
use crate::probe::ask::{self, Refusal, Server};
use crate::probe::config::{Settings, kind};
use crate::probe::http::Trust;
use crate::probe::login::Login;
use crate::probe::loose::loose;
use crate::probe::streak::{Seen, Streak};
use crate::probe::track::{Look, Tracks};
use crate::probe::{Context, Outcome, Probe, Running, patience};
use rackside_config::Secret;
use rackside_proto::{Scale, Value, metric};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A longer pause between two tracks is a track that nobody saw.
const LONGEST_SWITCH: Duration = Duration::from_mins(10);
/// Milliseconds.
const MILLI: Scale = Scale::per(1000);

kind! {
    /// What the configuration has for it.
    pub struct AzuraCast {
        /// `https://radio.example`.
        url: String,
        /// The station's short name or its number.
        station: String,
        /// Of a user who may see the station, when it is not public.
        #[serde(default)]
        api_key: Option<Secret>,
        /// Whose signature on its certificate is believed, instead of the system's authorities.
        #[serde(default)]
        ca: Option<PathBuf>,
    }
}

impl Settings for AzuraCast {
    fn target(&self) -> String {
        format!("{} {}", ask::shown(&self.url), self.station)
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        ask::check(&self.url)?;
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        if self.station.is_empty() || !self.station.bytes().all(is_name) {
            return Err((
                "station",
                format!("{:?} is no short name and no number of a station", self.station),
            ));
        }
        Ok(())
    }

    fn is_audio(&self) -> bool {
        true
    }

    fn open(&self) -> Box<dyn Probe> {
        Box::new(Asking {
            settings: self.clone(),
            streak: Streak::default(),
            tracks: Tracks::default(),
            planned: None,
            rest: None,
        })
    }
}

loose! {
    /// `/api/nowplaying/{station}`.
    struct NowPlaying {
        is_online: Option<bool> = "is_online",
        listeners: Option<Listeners> = "listeners",
        live: Option<Live> = "live",
        playing: Option<Playing> = "now_playing",
    }
}

loose! {
    struct Listeners {
        current: Option<u64> = "current",
        total: Option<u64> = "total",
    }
}

loose! {
    struct Live {
        is_live: Option<bool> = "is_live",
        streamer: Option<String> = "streamer_name",
    }
}

loose! {
    struct Playing {
        id: Option<u64> = "sh_id",
        played_at: Option<f64> = "played_at",
        duration: Option<f64> = "duration",
        elapsed: Option<f64> = "elapsed",
        song: Option<Song> = "song",
    }
}

loose! {
    struct Song {
        text: Option<String> = "text",
        artist: Option<String> = "artist",
        title: Option<String> = "title",
    }
}

impl Song {
    fn name(&self) -> Option<String> {
        let written = |text: &Option<String>| {
            text.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
        };
        written(&self.text).or_else(|| match (written(&self.artist), written(&self.title)) {
            (Some(artist), Some(title)) => Some(format!("{artist} - {title}")),
            (artist, title) => title.or(artist),
        })
    }
}

/// The probe, with what it knows from one run to the next.
struct Asking {
    settings: AzuraCast,
    streak: Streak,
    tracks: Tracks,
    /// When the present track ends, in seconds since 1970.
    planned: Option<f64>,
    /// Until when the station wants to be left alone.
    rest: Option<Instant>,
}

impl Probe for Asking {
    fn run<'a>(&'a mut self, context: &'a Context) -> Running<'a> {
        Box::pin(async {
            if self.rest.is_some_and(|until| Clock::now() < until) {
                return self.unknown(
                    "the station's server was asked too often; it is left alone for a while".to_owned(),
                );
            }
            match self.ask(context).await {
                Ok(now_playing) => self.known(&now_playing, Clock::now()),
                Err(refusal) => {
                    if let Refusal::Status { answer, .. } = &refusal {
                        self.rest = patience::asked_for(answer).map(|wait| Clock::now() + wait);
                    }
                    let why = match refusal.status() {
                        Some(404) => format!(
                            "{} has no station {}",
                            ask::shown(&self.settings.url),
                            self.settings.station
                        ),
                        Some(401 | 403) => format!(
                            "{} shows this station only with an `api_key` that may see it",
                            ask::shown(&self.settings.url)
                        ),
                        _ => refusal.why(self.settings.api_key.is_some()),
                    };
                    self.unknown(why)
                }
            }
        })
    }

    fn late(&mut self, why: String) -> Outcome {
        self.unknown(why)
    }
}

impl Asking {
    async fn ask(&self, context: &Context) -> Result<NowPlaying, Refusal> {
        let server = Server {
            url: &self.settings.url,
            login: Login::default(),
            trust: Trust::of(self.settings.ca.as_ref()),
        };
        let key = self.settings.api_key.as_ref().map(Secret::read).transpose();
        let key = key.map_err(|error| Refusal::Unasked(error.to_string()))?;
        let headers: Vec<(&str, String)> =
            key.iter().map(|key| ("x-api-key", key.expose().to_owned())).collect();
        let page = format!("api/nowplaying/{}", self.settings.station);
        let (read, answer) = server.ask::<Option<NowPlaying>>(context, &page, &headers).await?;
        let is_known = |read: &NowPlaying| read.is_online.is_some() || read.playing.is_some();
        read.filter(is_known).ok_or_else(|| {
            Refusal::Unreadable(format!("{} answers, and not as AzuraCast does", answer.url.origin()))
        })
    }

    fn known(&mut self, read: &NowPlaying, now: Instant) -> Outcome {
        let (seen, mut outcome) = match read.is_online {
            Some(true) => (Seen::Well, Outcome::up()),
            Some(false) => (Seen::Gone, Outcome::down("the station is not on the air, says its server")),
            None => {
                (Seen::Nothing, Outcome::unknown("the server does not say whether the station is on the air"))
            }
        };
        let up = self.streak.observe(seen);
        outcome.put_value(&metric::STREAM_UP, &[""], Scale::ONE, up);
        if let Some(number) = read.listeners.as_ref().and_then(|them| them.current.or(them.total)) {
            outcome.put(&metric::STREAM_LISTENERS, &[""], Scale::ONE, number as f64);
        }
        let live = read.live.as_ref();
        if let Some(is_live) = live.and_then(|live| live.is_live) {
            outcome.put_value(&metric::STATION_LIVE, &[], Scale::ONE, Value::Known(is_live.into()));
            let streamer =
                live.and_then(|live| live.streamer.as_deref()).filter(|name| is_live && !name.is_empty());
            if let Some(streamer) = streamer {
                outcome.say("streamer", streamer);
            }
        }
        self.track(read, &mut outcome, now);
        outcome
    }

    fn track(&mut self, read: &NowPlaying, outcome: &mut Outcome, now: Instant) {
        let playing = read.playing.as_ref().filter(|_| read.is_online != Some(false));
        let title = playing.and_then(|playing| playing.song.as_ref()?.name());
        // The number of a play, since the same track may follow itself.
        let id = playing.and_then(|playing| playing.id.map(|id| id.to_string()).or_else(|| title.clone()));
        let Some((playing, id)) = playing.zip(id) else {
            self.planned = None;
            self.tracks.look(Look::Nothing, None, now);
            return self.tracks.tell(outcome, "", None, now);
        };
        let took = playing.played_at.zip(self.planned).and_then(|(begun, end)| {
            let took = Duration::try_from_secs_f64((begun - end).max(0.0)).ok()?;
            (took <= LONGEST_SWITCH).then_some(took)
        });
        self.tracks.look(Look::Track(&id), took, now);
        let length = playing.duration.filter(|seconds| *seconds > 0.0);
        self.planned = playing.played_at.zip(length).map(|(begun, length)| begun + length);
        self.tracks.tell(outcome, "", playing.elapsed.filter(|seconds| *seconds >= 0.0), now);
        if let Some(length) = length {
            outcome.put(&metric::TRACK_DURATION, &[""], MILLI, length);
        }
        if let Some(title) = title {
            outcome.say("title", title);
        }
    }

    fn unknown(&mut self, why: String) -> Outcome {
        self.tracks.look(Look::Blind, None, Clock::now());
        let mut outcome = Outcome::unknown(why);
        let up = self.streak.observe(Seen::Nothing);
        outcome.put_value(&metric::STREAM_UP, &[""], Scale::ONE, up);
        outcome
    }
}

#[cfg(test)]
mod tests;
