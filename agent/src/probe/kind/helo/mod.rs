//! `[[probe.helo]]`: an AJA HELO by its own word: whether it streams and records, what room is left, how warm it is.
//!
//! Its web server is small: it is asked one thing at a time, with a pause between. What changes seldom is asked for in turn, one thing a
//! run; what this firmware does not know is not asked again until the device was out of reach. Where a password is set, a page without a session
//! looks as if it were not there (404), so that is when a login is tried, once a run. A device that cannot be asked says nothing of its stream.
//!
//! ```toml
//! [[probe.helo]]
//! name = "helo"
//! url = "http://192.0.2.31"
//! password = { file = "/etc/rackside/helo-password" }
//! ```

pub(crate) mod parameter;
#[cfg(test)]
mod tests;

use crate::clock::Clock;
use crate::probe::ask::{self, Refusal, Server};
use crate::probe::config::{Settings, kind};
use crate::probe::http::{self, Method, Request, Trust, Url};
use crate::probe::login::Login;
use crate::probe::streak::{Seen, Streak};
use crate::probe::{Context, Outcome, Probe, Running};
use parameter::{Parameter, Stage, Told, form, is_let_in, session};
use rackside_config::Secret;
use rackside_proto::metric::{self, Metric};
use rackside_proto::{Scale, Value};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// From one question to the next.
const APART: Duration = Duration::from_millis(250);
/// The device answers within this, or is out of reach.
const PATIENCE: Duration = Duration::from_secs(2);
/// After a login that was refused.
const REFUSED: Duration = Duration::from_mins(1);
/// What changes seldom.
const SELDOM: [Parameter; 3] = [Parameter::VideoInput, Parameter::MediaState, Parameter::Firmware];

kind! {
    /// What the configuration has for it.
    pub struct Helo {
        /// `http://192.0.2.31`.
        url: String,
        /// Where authentication is on.
        #[serde(default)]
        password: Option<Secret>,
        /// Whose signature on its certificate is believed, instead of the system's authorities.
        #[serde(default)]
        ca: Option<PathBuf>,
    }
}

impl Settings for Helo {
    fn target(&self) -> String {
        ask::shown(&self.url)
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        ask::check(&self.url)
    }

    fn open(&self) -> Box<dyn Probe> {
        Box::new(Asking::new(self.clone()))
    }
}

/// The probe, with what it knows from one run to the next.
struct Asking {
    settings: Helo,
    streak: Streak,
    /// The cookie of its session.
    session: Option<String>,
    /// Until when no login is tried, and why.
    rest: Option<(Instant, String)>,
    /// What this firmware does not know.
    unsupported: BTreeSet<Parameter>,
    /// Which of what changes seldom comes next.
    next: usize,
    input: Option<&'static str>,
    medium: Option<&'static str>,
    firmware: Option<String>,
}

/// What it told in a run; each part is missing for itself.
#[derive(Debug, Default, PartialEq)]
struct Account {
    stream: Option<Stage>,
    record: Option<Stage>,
    space: Option<f64>,
    celsius: Option<f64>,
    duration: Option<f64>,
}

impl Probe for Asking {
    fn run<'a>(&'a mut self, context: &'a Context) -> Running<'a> {
        Box::pin(async {
            match self.ask(context, Clock::now() + context.within).await {
                Ok(account) => self.known(&account),
                Err(why) => self.unknown(why),
            }
        })
    }

    fn late(&mut self, why: String) -> Outcome {
        self.unknown(why)
    }
}

impl Asking {
    fn new(settings: Helo) -> Self {
        Self {
            settings,
            streak: Streak::default(),
            session: None,
            rest: None,
            unsupported: BTreeSet::new(),
            next: 0,
            input: None,
            medium: None,
            firmware: None,
        }
    }

    /// One thing after the other. Without what its stream does there is no account; once the device is too slow, the rest is left.
    async fn ask(&mut self, context: &Context, until: Instant) -> Result<Account, String> {
        let mut login = self.settings.password.is_some();
        let stream = self.tell(context, Parameter::StreamState, until, &mut login).await?;
        let mut account = Account { stream: stream.as_ref().and_then(Told::stage), ..Account::default() };
        let record = self.tell(context, Parameter::RecordState, until, &mut login).await?;
        account.record = record.as_ref().and_then(Told::stage);
        if stream.is_none() && record.is_none() {
            let origin = self.settings.target();
            return Err(match self.settings.password {
                None => {
                    format!("{origin} does not tell what it does; if a password is set there, set `password`")
                }
                Some(_) => format!("{origin} does not tell what it does; is it a HELO?"),
            });
        }
        let seldom = SELDOM.get(self.next % SELDOM.len()).copied();
        self.next += 1;
        let duration = (account.stream == Some(Stage::Running)).then_some(Parameter::StreamDuration);
        let more = [Some(Parameter::MediaAvailable), Some(Parameter::Temperature), duration, seldom];
        for parameter in more.into_iter().flatten() {
            let Ok(told) = self.tell(context, parameter, until, &mut login).await else { break };
            let Some(told) = told else { continue };
            match parameter {
                Parameter::MediaAvailable => account.space = told.share(),
                Parameter::Temperature => account.celsius = told.celsius(),
                Parameter::StreamDuration => account.duration = told.duration(),
                Parameter::VideoInput => self.input = told.input(),
                Parameter::MediaState => self.medium = told.medium(),
                Parameter::Firmware => self.firmware = told.version(),
                Parameter::StreamState | Parameter::RecordState => {}
            }
        }
        Ok(account)
    }

    /// One parameter; nothing if the device does not know it. `login` says whether one may be tried.
    async fn tell(
        &mut self,
        context: &Context,
        parameter: Parameter,
        until: Instant,
        login: &mut bool,
    ) -> Result<Option<Told>, String> {
        if self.unsupported.contains(&parameter) {
            return Ok(None);
        }
        let mut answer = self.fetch(context, parameter, until).await;
        if matches!(&answer, Err(refusal) if refusal.status() == Some(404)) && std::mem::take(login) {
            self.log_in(context, until).await?;
            answer = self.fetch(context, parameter, until).await;
        }
        match answer {
            Ok(body) => match Told::read(&body) {
                Ok(told) => Ok(Some(told)),
                Err(why) => Err(format!("{}: {why}", self.settings.target())),
            },
            Err(refusal) if matches!(refusal.status(), Some(400 | 404 | 500 | 501)) => {
                let is_state = matches!(parameter, Parameter::StreamState | Parameter::RecordState);
                if !is_state {
                    self.unsupported.insert(parameter);
                }
                Ok(None)
            }
            Err(refusal) => Err(refusal.why(self.settings.password.is_some())),
        }
    }

    async fn fetch(
        &self,
        context: &Context,
        parameter: Parameter,
        until: Instant,
    ) -> Result<Vec<u8>, Refusal> {
        let settings = &self.settings;
        let trust = Trust::of(settings.ca.as_ref());
        let server = Server { url: &settings.url, login: Login::default(), trust };
        let _turn = context.pace.turn(&host(&settings.url), APART).await;
        let context = Context { within: patience(until), ..context.clone() };
        let page = format!("config?action=get&paramid={}", parameter.id());
        let cookie: Vec<_> = self.session.iter().map(|session| ("cookie", session.clone())).collect();
        server.fetch(&context, &page, &cookie).await.map(|answer| answer.body)
    }

    async fn log_in(&mut self, context: &Context, until: Instant) -> Result<(), String> {
        if let Some((rest, why)) = &self.rest
            && Clock::now() < *rest
        {
            return Err(why.clone());
        }
        self.session = None;
        let Some(password) = &self.settings.password else { return Ok(()) };
        let password = password.read().map_err(|error| error.to_string())?;
        let address = format!("{}/authenticator/login", self.settings.url.trim_end_matches('/'));
        let url = Url::parse(&address)?;
        let mut request = Request::get(&url);
        request.method = Method::POST;
        request.headers = vec![("content-type", "application/x-www-form-urlencoded".to_owned())];
        request.body = form(password.expose()).into_bytes();
        request.redirects = 0;
        request.trust = Trust::of(self.settings.ca.as_ref());
        let _turn = context.pace.turn(&host(&self.settings.url), APART).await;
        request.within = patience(until);
        let answer = http::fetch(context, request).await.map_err(|error| error.to_string())?;
        let mut cookies = answer.headers.get_all("set-cookie").iter();
        let session = cookies.find_map(|cookie| cookie.to_str().ok().and_then(session));
        if answer.is_success() && is_let_in(&answer.body) && session.is_some() {
            (self.session, self.rest) = (session, None);
            return Ok(());
        }
        let origin = url.origin();
        let why = match answer.status {
            404 => format!("{origin} has no such page (404), and no login either; is it a HELO?"),
            _ => format!("{origin} does not take the password"),
        };
        self.rest = Some((Clock::now() + REFUSED, why.clone()));
        Err(why)
    }

    fn known(&mut self, account: &Account) -> Outcome {
        let Account { stream, record, space, celsius, duration } = account;
        let fails = |stage: &Option<Stage>| stage.is_some_and(Stage::is_fault);
        let mut outcome = match (fails(stream), fails(record)) {
            (true, true) => Outcome::down("its stream and its recording fail, says the device"),
            (true, false) => Outcome::down("its stream fails, says the device"),
            (false, true) => Outcome::down("its recording fails, says the device"),
            (false, false) if stream.is_none() => {
                Outcome::unknown("the device does not say, or not in a known number, what its stream does")
            }
            (false, false) => Outcome::up(),
        };
        let up = self.streak.observe(match stream {
            Some(Stage::Running) => Seen::Well,
            Some(Stage::Idle | Stage::FailingInIdle | Stage::Failing | Stage::Shutdown) => Seen::Gone,
            Some(Stage::Uninitialized) | None => Seen::Nothing,
        });
        outcome.put_value(&metric::STREAM_UP, &[""], Scale::ONE, up);
        let records = match record {
            Some(Stage::Uninitialized) | None => Value::Unknown,
            Some(stage) => Value::Known(i64::from(*stage == Stage::Running)),
        };
        outcome.put_value(&metric::RECORDING_UP, &[], Scale::ONE, records);
        for (metric, stage) in
            [(&metric::HELO_STREAMING_STATE, stream), (&metric::HELO_RECORDING_STATE, record)]
        {
            let state = stage.map_or(Value::Unknown, |stage| Value::Known(stage as i64));
            outcome.put_value(metric, &[], Scale::ONE, state);
        }
        let mut put = |metric: &'static Metric, scale, value: &Option<f64>| {
            if let Some(value) = value {
                outcome.put(metric, &[], scale, *value);
            }
        };
        put(&metric::RECORDING_SPACE, Scale::per(100), space);
        put(&metric::ENCODER_TEMPERATURE, Scale::per(10), celsius);
        put(&metric::STREAM_DURATION, Scale::ONE, duration);
        let texts = [("input", self.input), ("medium", self.medium), ("firmware", self.firmware.as_deref())];
        for (subject, text) in texts {
            if let Some(text) = text {
                outcome.say(subject, text);
            }
        }
        outcome
    }

    fn unknown(&mut self, why: String) -> Outcome {
        // It may come back with another firmware, or as another device.
        self.unsupported.clear();
        (self.input, self.medium, self.firmware) = (None, None, None);
        let mut outcome = Outcome::unknown(why);
        let up = self.streak.observe(Seen::Nothing);
        outcome.put_value(&metric::STREAM_UP, &[""], Scale::ONE, up);
        for metric in [&metric::RECORDING_UP, &metric::HELO_STREAMING_STATE, &metric::HELO_RECORDING_STATE] {
            outcome.put_value(metric, &[], Scale::ONE, Value::Unknown);
        }
        outcome
    }
}

fn host(url: &str) -> String {
    Url::parse(url).map(|url| url.host().to_owned()).unwrap_or_default()
}

fn patience(until: Instant) -> Duration {
    until.saturating_duration_since(Clock::now()).min(PATIENCE)
}
