//! `[[probe.web_presenter]]`: a Blackmagic Web Presenter or Streaming Encoder by its own word: whether it streams, how fast, and how full
//! its cache is.
//!
//! Newer firmware has a REST interface; older has only a text protocol on TCP 9977, which is asked where there is no REST. Which of the two
//! it is is found out once, and again after the device was out of reach. Nothing of what it says is needed: each field is missing or
//! mistyped for itself. A device that cannot be asked says nothing of its stream. It is asked once at a time and once a second at most;
//! what changes seldom is asked for in turn, one page a run. Keys and passwords that it tells are not read.
//!
//! ```toml
//! [[probe.web_presenter]]
//! name = "encoder"
//! url = "http://192.0.2.30"
//! ```

pub(crate) mod blocks;
pub(crate) mod report;
#[cfg(test)]
mod tests;

use crate::clock::Clock;
use crate::probe::ask::{self, Refusal, Server};
use crate::probe::config::{Settings, kind};
use crate::probe::http::{Trust, Url};
use crate::probe::login::Login;
use crate::probe::streak::{Seen, Streak};
use crate::probe::{Context, Outcome, Probe, Running, dial};
use async_io::Timer;
use blocks::Blocks;
use futures_lite::{AsyncReadExt, future};
use rackside_proto::{Scale, Value, metric};
use report::{Live, Livestream, Page, Status, Texts};
use serde::Deserialize;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The REST interface, below the device's address.
const REST: &str = "control/api/v1";
/// The text protocol's port.
const PORT: u16 = 9977;
/// From one question to the next.
const APART: Duration = Duration::from_secs(1);
/// A device that does not end its account ends it by so much silence.
const SILENCE: Duration = Duration::from_millis(500);
/// From this share of its cache on, the line does not carry the stream.
const FULL: f64 = 0.8;
/// Hundredths.
const SHARE: Scale = Scale::per(100);

/// How the device is asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Protocol {
    /// As it is found out.
    #[default]
    Auto,
    /// HTTP and JSON.
    Rest,
    /// The Ethernet protocol.
    Text,
}

kind! {
    /// What the configuration has for it.
    pub struct WebPresenter {
        /// `http://192.0.2.30`.
        url: String,
        /// `auto`, `rest` or `text`.
        #[serde(default)]
        protocol: Protocol,
        /// The text protocol's port, if it is not 9977.
        #[serde(default)]
        text_port: Option<u16>,
        /// Whose signature on its certificate is believed, instead of the system's authorities.
        #[serde(default)]
        ca: Option<PathBuf>,
    }
}

impl Settings for WebPresenter {
    fn target(&self) -> String {
        ask::shown(&self.url)
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        ask::check(&self.url)?;
        match self.text_port {
            Some(0) => Err(("text_port", "is 0, which is no port; leave it out for 9977".to_owned())),
            _ => Ok(()),
        }
    }

    fn open(&self) -> Box<dyn Probe> {
        Box::new(Asking {
            settings: self.clone(),
            way: None,
            streak: Streak::default(),
            stalled: 0,
            texts: Texts::default(),
            next_page: 0,
        })
    }
}

/// The probe, with what it knows from one run to the next.
struct Asking {
    settings: WebPresenter,
    /// How it answered last.
    way: Option<Protocol>,
    streak: Streak,
    /// So many polls in a row it streamed nothing.
    stalled: u8,
    texts: Texts,
    /// Which of the pages that change seldom comes next.
    next_page: usize,
}

impl Probe for Asking {
    fn run<'a>(&'a mut self, context: &'a Context) -> Running<'a> {
        Box::pin(async {
            let until = Clock::now() + context.within;
            match self.ask(context, until).await {
                Ok((way, live)) => {
                    self.way = Some(way);
                    if way == Protocol::Rest {
                        self.page(context, until).await;
                    }
                    self.known(&live)
                }
                Err(why) => self.unknown(why),
            }
        })
    }

    fn late(&mut self, why: String) -> Outcome {
        self.unknown(why)
    }
}

impl Asking {
    /// What it says of its stream, and which way it said it.
    async fn ask(&mut self, context: &Context, until: Instant) -> Result<(Protocol, Live), String> {
        let way = match self.settings.protocol {
            Protocol::Auto => self.way.unwrap_or_default(),
            set => set,
        };
        if way == Protocol::Text {
            return self.by_text(context, until).await.map(|live| (Protocol::Text, live));
        }
        // If both are to be tried, the first must leave time for the second.
        let share = if way == Protocol::Auto { 2 } else { 1 };
        let refusal = match self.by_rest(context, until, share).await {
            Ok(live) => return Ok((Protocol::Rest, live)),
            Err(refusal) => refusal.why(false),
        };
        if way == Protocol::Rest {
            return Err(refusal);
        }
        match self.by_text(context, until).await {
            Ok(live) => Ok((Protocol::Text, live)),
            Err(why) => Err(format!("{refusal}; {why}")),
        }
    }

    async fn by_rest(&mut self, context: &Context, until: Instant, share: u32) -> Result<Live, Refusal> {
        let body = self.fetch(context, "livestreams/0", until, share).await?;
        let wrong = |why| Refusal::Unreadable(format!("{}: {why}", ask::shown(&self.settings.url)));
        Livestream::read(&body, &mut self.texts).map_err(wrong)
    }

    /// Asks for one page of what changes seldom, if there is time; that it is not there is no fault.
    async fn page(&mut self, context: &Context, until: Instant) {
        let Some(page) = Page::ALL.get(self.next_page % Page::ALL.len()) else { return };
        self.next_page += 1;
        if left(until) > APART * 2
            && let Ok(body) = self.fetch(context, page.path(), until, 1).await
        {
            page.read(&body, &mut self.texts);
        }
    }

    /// A page, within a half or the whole of the time that is left once it is its turn.
    async fn fetch(
        &self,
        context: &Context,
        page: &str,
        until: Instant,
        share: u32,
    ) -> Result<Vec<u8>, Refusal> {
        let settings = &self.settings;
        let trust = Trust::of(settings.ca.as_ref());
        let server = Server { url: &settings.url, login: Login::default(), trust };
        let _turn = context.pace.turn(&host(&settings.url), APART).await;
        let context = Context { within: left(until) / share, ..context.clone() };
        server.fetch(&context, &format!("{REST}/{page}"), &[]).await.map(|answer| answer.body)
    }

    async fn by_text(&mut self, context: &Context, until: Instant) -> Result<Live, String> {
        let (host, port) = (host(&self.settings.url), self.settings.text_port.unwrap_or(PORT));
        let _turn = context.pace.turn(&host, APART).await;
        let within = left(until);
        let late = async {
            Timer::after(within).await;
            Err(format!("{host}:{port} had not said its state after {within:?}"))
        };
        let blocks = future::or(listen(&host, port), late).await?;
        self.texts = blocks.texts;
        Ok(blocks.live)
    }

    fn known(&mut self, live: &Live) -> Outcome {
        let is_silent = live.status == Some(Status::Streaming) && live.bitrate == Some(0.0);
        self.stalled = if is_silent { self.stalled.saturating_add(1) } else { 0 };
        let cache = live.cache.filter(|_| live.status == Some(Status::Streaming));
        let mut outcome = match (live.status, cache) {
            (Some(Status::Interrupted), _) => {
                Outcome::down("the network fails its stream, says the device; it caches what it cannot send")
            }
            _ if self.stalled > 1 => Outcome::down("the device streams, it says, and sends nothing"),
            (_, Some(cache)) if cache >= FULL => Outcome::down(format!(
                "the device's cache is {:.0} % full; the line does not carry the stream",
                cache * 100.0
            )),
            (Some(_), _) => Outcome::up(),
            (None, _) => {
                Outcome::unknown("the device does not say, or not in a known word, what its stream does")
            }
        };
        let up = self.streak.observe(match live.status {
            Some(Status::Streaming) if is_silent => Seen::Failed,
            Some(Status::Streaming | Status::Flushing) => Seen::Well,
            Some(Status::Idle | Status::Connecting | Status::Interrupted) => Seen::Gone,
            None => Seen::Nothing,
        });
        outcome.put_value(&metric::STREAM_UP, &[""], Scale::ONE, up);
        let state = live.status.map_or(Value::Unknown, |status| Value::Known(status as i64));
        outcome.put_value(&metric::WEB_PRESENTER_STATE, &[], Scale::ONE, state);
        if let Some(bitrate) = live.bitrate {
            outcome.put(&metric::STREAM_BITRATE, &[""], Scale::times(1000), bitrate);
        }
        if let Some(cache) = live.cache {
            outcome.put(&metric::STREAM_CACHE_USED, &[], SHARE, cache);
        }
        if let Some(duration) = live.duration {
            outcome.put(&metric::STREAM_DURATION, &[], Scale::ONE, duration);
        }
        if let Some(status) = live.status {
            outcome.say("state", status.as_str());
        }
        for (subject, text) in self.texts.iter() {
            outcome.say(subject, text);
        }
        outcome
    }

    fn unknown(&mut self, why: String) -> Outcome {
        // It may come back with another firmware.
        (self.way, self.stalled) = (None, 0);
        self.texts = Texts::default();
        let mut outcome = Outcome::unknown(why);
        let up = self.streak.observe(Seen::Nothing);
        outcome.put_value(&metric::STREAM_UP, &[""], Scale::ONE, up);
        outcome.put_value(&metric::WEB_PRESENTER_STATE, &[], Scale::ONE, Value::Unknown);
        outcome
    }
}

/// Its whole account: until it ends it, or is silent after its state.
async fn listen(host: &str, port: u16) -> Result<Blocks, String> {
    let mut stream = dial::connect(host, port).await.map_err(|error| error.to_string())?.stream;
    let (mut blocks, mut buffer) = (Blocks::default(), [0; 4096]);
    while !blocks.is_over {
        let has_all = blocks.is_one && blocks.live.status.is_some();
        let silence = async {
            if !has_all {
                future::pending::<()>().await;
            }
            Timer::after(SILENCE).await;
            Ok(None)
        };
        let piece = async { stream.read(&mut buffer).await.map(Some) };
        match future::or(piece, silence).await {
            Ok(None) => break,
            Ok(Some(0)) if has_all => break,
            Ok(Some(0)) if blocks.is_one => {
                return Err(format!("{host}:{port} closed the connection in the middle of its account"));
            }
            Ok(Some(0)) => return Err(format!("{host}:{port} does not speak Blackmagic's text protocol")),
            Ok(Some(length)) => blocks
                .take(buffer.get(..length).unwrap_or_default())
                .map_err(|why| format!("{host}:{port}: {why}"))?,
            Err(why) => return Err(format!("{host}:{port}: {why}")),
        }
        // Who sends faster than this reads must not have the agent's one thread for himself.
        future::yield_now().await;
    }
    Ok(blocks)
}

fn host(url: &str) -> String {
    Url::parse(url).map(|url| url.host().to_owned()).unwrap_or_default()
}

fn left(until: Instant) -> Duration {
    until.saturating_duration_since(Clock::now())
}
