//! `[[probe.vimeo]]`: a live event at Vimeo by its API: what state it is in, and whether its ingest gets anything.
//!
//! Vimeo's word on the event counts at once; when Vimeo cannot be asked, everything is unknown. Its limit of requests is obeyed: when it
//! is used up, nothing is asked until Vimeo says that there is more. That an event is not live is no fault, so the probe itself is up
//! as long as Vimeo answers and names no error; `rackside_stream_up` is what a rule looks at during a show. Answers hold the stream
//! key; it is not read.
//!
//! ```toml
//! [[probe.vimeo]]
//! name = "webcast"
//! event = 1234567
//! token = { file = "/etc/rackside/vimeo-token" }
//! ```

pub(crate) mod answer;

use crate::clock::Clock;
use crate::probe::ask::{self, Refusal, Server};
use crate::probe::config::{Settings, kind};
use crate::probe::http::Trust;
use crate::probe::login::Login;
use crate::probe::streak::{Seen, Streak};
use crate::probe::{Context, Outcome, Probe, Running, patience};
use answer::{Event, Session, Stage};
use rackside_config::{Secret, Span};
use rackside_proto::{Scale, Value, metric};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// It is asked for version 3.4, of which the fields are known.
const ACCEPT: &str = "application/vnd.vimeo.*+json;version=3.4";
/// The fields that are read; to ask for fewer is said to be counted for less, and leaves the stream key where it is.
const FIELDS: &str = "uri,status,live_video.status,live_video.uri,pre_live_video.status,\
                      streamable_clip.uri,streamable_clip.live.status";
/// Vimeo's limits allow no more.
const SOONEST: Span = Span::seconds(30);
/// After a token that was refused, or an ingest that this token may not see.
const REFUSED: Duration = Duration::from_mins(10);

kind! {
    /// What the configuration has for it.
    pub struct Vimeo {
        /// The event's number, as it stands in its address.
        event: u64,
        /// Of an application that may see the event (scope `private`, or `public` for a public one).
        token: Secret,
        /// Where the API is, when it is not Vimeo's own.
        #[serde(default)]
        url: Option<String>,
        /// Whose signature on its certificate is believed, instead of the system's authorities.
        #[serde(default)]
        ca: Option<PathBuf>,
    }
}

impl Vimeo {
    fn url(&self) -> &str {
        self.url.as_deref().unwrap_or("https://api.vimeo.com")
    }
}

impl Settings for Vimeo {
    fn target(&self) -> String {
        format!("{} event {}", ask::shown(self.url()), self.event)
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        ask::check(self.url())?;
        match self.every {
            Some(every) if every < SOONEST => Err((
                "every",
                format!("\"{every}\" is more often than Vimeo lets anybody ask; at least \"{SOONEST}\""),
            )),
            _ => Ok(()),
        }
    }

    fn open(&self) -> Box<dyn Probe> {
        Box::new(Asking {
            settings: self.clone(),
            streak: Streak::default(),
            rest: None,
            no_session_until: None,
            left: None,
        })
    }
}

/// The probe, with what it knows from one run to the next.
struct Asking {
    settings: Vimeo,
    streak: Streak,
    /// Until when nothing is asked, and why.
    rest: Option<(Instant, String)>,
    /// Until when the ingest is not asked for, since it cannot be seen.
    no_session_until: Option<Instant>,
    /// Requests that are left of Vimeo's limit.
    left: Option<u64>,
}

impl Probe for Asking {
    fn run<'a>(&'a mut self, context: &'a Context) -> Running<'a> {
        Box::pin(async {
            if let Some((until, why)) = &self.rest
                && Clock::now() < *until
            {
                let why = why.clone();
                return self.unknown(why);
            }
            self.rest = None;
            match self.event(context).await {
                Ok(event) => {
                    let session = self.session(context, &event).await;
                    self.known(&event, session.as_ref())
                }
                Err(refusal) => self.refused(&refusal),
            }
        })
    }

    fn late(&mut self, why: String) -> Outcome {
        self.unknown(why)
    }
}

impl Asking {
    fn server(&self) -> Server<'_> {
        Server {
            url: self.settings.url(),
            login: Login::token(&self.settings.token),
            trust: Trust::of(self.settings.ca.as_ref()),
        }
    }

    async fn ask<T: crate::probe::loose::Loose>(
        &mut self,
        context: &Context,
        page: &str,
    ) -> Result<T, Refusal> {
        let result = self.server().ask::<T>(context, page, &[("accept", ACCEPT.to_owned())]).await;
        let answer = match &result {
            Ok((_, answer)) => answer,
            Err(Refusal::Status { answer, .. }) => answer,
            Err(_) => return result.map(|(read, _)| read),
        };
        self.left = answer.header("x-ratelimit-remaining").and_then(|text| text.trim().parse().ok());
        if let Some(wait) = patience::asked_for(answer) {
            let why = "Vimeo's limit of requests is used up; nothing is asked until there is more".to_owned();
            self.rest = Some((Clock::now() + wait, why));
        }
        result.map(|(read, _)| read)
    }

    async fn event(&mut self, context: &Context) -> Result<Event, Refusal> {
        let page = format!("live_events/{}?fields={FIELDS}", self.settings.event);
        let read: Option<Event> = self.ask(context, &page).await?;
        read.filter(Event::is_known).ok_or_else(|| {
            Refusal::Unreadable(format!(
                "{} answers, and not with a live event",
                ask::shown(self.settings.url())
            ))
        })
    }

    /// What the ingest says, if the event has a video and this token may see it.
    async fn session(&mut self, context: &Context, event: &Event) -> Option<Session> {
        let may_ask = self.rest.is_none() && self.no_session_until.is_none_or(|until| Clock::now() >= until);
        let video = event.video().filter(|_| may_ask)?;
        let asked: Result<Option<Session>, Refusal> =
            self.ask(context, &format!("videos/{video}/sessions/status")).await;
        match asked {
            Ok(session) => session,
            Err(refusal) => {
                if matches!(refusal.status(), Some(400..=428 | 430..500)) {
                    self.no_session_until = Some(Clock::now() + REFUSED);
                }
                None
            }
        }
    }

    fn known(&mut self, event: &Event, session: Option<&Session>) -> Outcome {
        let stage = Stage::of(event, session);
        let mut outcome = match stage {
            Some(Stage::Error) => Outcome::down("the event's stream has an error, says Vimeo"),
            Some(_) => Outcome::up(),
            None => Outcome::unknown("Vimeo does not say what state the event is in"),
        };
        let up = self.streak.observe(match stage {
            Some(Stage::Streaming) => Seen::Well,
            Some(_) => Seen::Gone,
            None => Seen::Nothing,
        });
        outcome.put_value(&metric::STREAM_UP, &[""], Scale::ONE, up);
        let number = stage.map_or(Value::Unknown, |stage| Value::Known(stage as i64));
        outcome.put_value(&metric::VIMEO_EVENT_STATE, &[], Scale::ONE, number);
        if let Some(ingest) = session.and_then(Session::ingest) {
            outcome.put_value(&metric::VIMEO_INGEST_STATE, &[], Scale::ONE, Value::Known(ingest as i64));
        }
        if let Some(left) = self.left {
            outcome.put(&metric::VIMEO_REQUESTS_LEFT, &[], Scale::ONE, left as f64);
        }
        if let Some(stage) = stage {
            outcome.say("state", stage.as_str());
        }
        if let Some(picture) = session.and_then(Session::picture) {
            outcome.say("picture", picture);
        }
        outcome
    }

    fn refused(&mut self, refusal: &Refusal) -> Outcome {
        let event = self.settings.event;
        let why = match refusal.status() {
            Some(401) => "Vimeo does not take the token (401)".to_owned(),
            Some(403) => {
                "Vimeo does not let this token see live events (403); it needs the scope `private`".to_owned()
            }
            Some(404) => format!("Vimeo has no live event {event} that this token may see (404)"),
            Some(429) => {
                "Vimeo's limit of requests is used up; nothing is asked until there is more".to_owned()
            }
            _ => refusal.why(true),
        };
        if refusal.is_about_login() {
            self.rest = Some((Clock::now() + REFUSED, why.clone()));
        }
        self.unknown(why)
    }

    fn unknown(&mut self, why: String) -> Outcome {
        let mut outcome = Outcome::unknown(why);
        let up = self.streak.observe(Seen::Nothing);
        outcome.put_value(&metric::STREAM_UP, &[""], Scale::ONE, up);
        outcome.put_value(&metric::VIMEO_EVENT_STATE, &[], Scale::ONE, Value::Unknown);
        outcome
    }
}

#[cfg(test)]
mod tests;
