//! `[[probe.mediamtx]]`: a MediaMTX server by its control API (v3): its paths, who publishes and who takes them, how much flows, and
//! how well SRT connections do. Versions 1.8 to 1.20, by presence of fields.
//!
//! The server's word on a path counts at once; an API that cannot be asked says nothing of any path, so that everything is unknown then.
//! A run asks for all pages of paths, for SRT connections, and in turn for how many connections one other protocol has, so that every
//! protocol is counted within eight runs. A list that does not exist (404) belongs to a protocol that is switched off. A wrong login is
//! answered after up to 4 s, which the timeout must leave room for.
//!
//! ```toml
//! [[probe.mediamtx]]
//! name = "server"
//! url = "http://127.0.0.1:9997"
//! paths = { "live/abcd-efgh-1234" = "main" }
//! expect = ["main"]
//! ```

mod aliases;
mod book;
pub(crate) mod read;
mod srt;

use crate::clock::Clock;
use crate::probe::ask::{self, Refusal, Server};
use crate::probe::config::{Settings, Shared as _, kind};
use crate::probe::http::Trust;
use crate::probe::{Context, Outcome, Probe, Running};
use aliases::Aliases;
use book::{Book, Listed, MOST};
use log::warn;
use rackside_proto::{Scale, Value, limits, metric};
use read::{Counted, Info, PathItem, PathPage, Srt, SrtItem, SrtPage};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// What the server takes for a page unless asked otherwise.
const PER_PAGE: u64 = 100;
/// So many pages are asked for; nothing is concluded from a list that has more.
const PAGES: u64 = 10;
/// Between two tries of a login that was refused: until somebody has changed something, there is no use in more.
const REFUSED: Duration = Duration::from_secs(30);
/// Between two questions for what was not there: another version, a protocol that is switched off.
const MISSING: Duration = Duration::from_mins(1);
/// The lists of other protocols, and what they are called.
const OTHERS: [(&str, &str); 8] = [
    ("rtmpconns", "rtmp"),
    ("rtmpsconns", "rtmps"),
    ("rtspsessions", "rtsp"),
    ("rtspssessions", "rtsps"),
    ("webrtcsessions", "webrtc"),
    ("hlssessions", "hls"),
    ("moqsessions", "moq"),
    ("hlsmuxers", "hls_muxer"),
];

kind! {
    /// What the configuration has for it.
    pub struct MediaMtx with user, password, token {
        /// Where its control API is: `http://127.0.0.1:9997`.
        url: String,
        /// Whose signature on its certificate is believed, instead of the system's authorities.
        #[serde(default)]
        ca: Option<PathBuf>,
        /// Believe any certificate: a server on a network of one's own that signs for itself.
        #[serde(default)]
        any_certificate: bool,
        /// What paths are called, by their names.
        #[serde(default)]
        paths: Aliases,
        /// Aliases of paths without which the server is not as it should be.
        #[serde(default)]
        expect: Vec<String>,
    }
}

impl Settings for MediaMtx {
    fn target(&self) -> String {
        ask::shown(&self.url)
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        ask::check(&self.url)?;
        if self.ca.is_some() && self.any_certificate {
            return Err(("any_certificate", "there is a `ca` as well; keep one of them".to_owned()));
        }
        if self.paths.names().count() > MOST {
            return Err(("paths", format!("has more than {MOST} entries, which is all that is watched")));
        }
        if self.paths.has_other() {
            return Err(("paths", "has a path whose alias is no text".to_owned()));
        }
        let mut aliases: Vec<&str> = self.paths.aliases().collect();
        aliases.sort_unstable();
        for alias in &aliases {
            if alias.is_empty() || alias.len() > limits::STRING || alias.chars().any(char::is_control) {
                let most = limits::STRING;
                return Err(("paths", format!("{alias:?} is no label; 1 to {most} bytes of text are")));
            }
        }
        if let Some([alias, _]) = aliases.array_windows().find(|[one, other]| one == other) {
            return Err(("paths", format!("calls two paths \"{alias}\"")));
        }
        match self.expect.iter().find(|wanted| !aliases.contains(&wanted.as_str())) {
            Some(wanted) => Err(("expect", format!("\"{wanted}\" is no alias in `paths`"))),
            None => Ok(()),
        }
    }

    fn open(&self) -> Box<dyn Probe> {
        Box::new(Asking::new(self.clone()))
    }
}

/// Another protocol's connections.
struct Other {
    number: Option<u64>,
    ask_after: Option<Instant>,
}

/// The probe, with what it knows from one run to the next.
struct Asking {
    settings: MediaMtx,
    book: Book,
    version: Option<String>,
    version_after: Option<Instant>,
    srt_after: Option<Instant>,
    counts: [Other; OTHERS.len()],
    /// Whose turn it is among the others.
    turn: usize,
    /// Why the login was refused, and until when nobody asks again.
    refused: Option<(Instant, String)>,
    has_said_more: bool,
}

impl Probe for Asking {
    fn run<'a>(&'a mut self, context: &'a Context) -> Running<'a> {
        Box::pin(async {
            if let Some((until, why)) = &self.refused
                && Clock::now() < *until
            {
                let why = why.clone();
                return self.unknown(why);
            }
            self.refused = None;
            match self.ask(context).await {
                Ok(()) => self.known(),
                Err(refusal) => {
                    let why = refusal.why(self.settings.login().is_some());
                    if refusal.is_about_login() {
                        self.refused = Some((Clock::now() + REFUSED, why.clone()));
                    }
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
    fn new(settings: MediaMtx) -> Self {
        Self {
            settings,
            book: Book::default(),
            version: None,
            version_after: None,
            srt_after: None,
            counts: [const { Other { number: None, ask_after: None } }; OTHERS.len()],
            turn: 0,
            refused: None,
            has_said_more: false,
        }
    }

    fn server(&self) -> Server<'_> {
        Server {
            url: &self.settings.url,
            login: self.settings.login(),
            trust: if self.settings.any_certificate {
                Trust::Anybody
            } else {
                Trust::of(self.settings.ca.as_ref())
            },
        }
    }

    /// One round of questions. Only the paths must be answered; what else is missing, is missing.
    async fn ask(&mut self, context: &Context) -> Result<(), Refusal> {
        let listed = self.paths(context).await?;
        self.book.take(Some(listed), &self.settings.paths, Clock::now());
        if self.version.is_none() && is_due(self.version_after) {
            self.version = self.version(context).await;
            self.version_after = Some(Clock::now() + MISSING);
        }
        let srt = self.srt(context).await;
        self.book.take_srt(srt);
        self.count(context).await;
        Ok(())
    }

    async fn paths(&self, context: &Context) -> Result<Listed, Refusal> {
        let mut listed = Listed::default();
        let (mut all, mut page, mut pages) = (None, 0, 1);
        while page < pages.min(PAGES) {
            let asked = format!("v3/paths/list?page={page}&itemsPerPage={PER_PAGE}");
            let (read, answer) = self.server().ask::<Option<PathPage>>(context, &asked, &[]).await?;
            let read = read.unwrap_or_default();
            if page == 0 && read.items.items.is_empty() && read.all != Some(0) {
                let origin = answer.url.origin();
                return Err(Refusal::Unreadable(format!("{origin} answers, and not with a list of paths")));
            }
            (all, pages) = (read.all, read.pages.unwrap_or(1));
            listed.paths.extend(read.items.items.into_iter().filter_map(PathItem::read));
            page += 1;
        }
        // What moved on by a path that came between two pages stands on both.
        listed.paths.sort_by(|one, other| one.name.cmp(&other.name));
        listed.paths.dedup_by(|one, other| one.name == other.name);
        listed.is_whole = all.is_some_and(|all| listed.paths.len() as u64 >= all);
        Ok(listed)
    }

    async fn version(&self, context: &Context) -> Option<String> {
        let info = self.server().ask::<Option<Info>>(context, "v3/info", &[]).await;
        info.ok()?.0?.version.filter(|version| !version.chars().any(char::is_control))
    }

    /// All pages of SRT connections, or nothing.
    async fn srt(&mut self, context: &Context) -> Option<Vec<Srt>> {
        if !is_due(self.srt_after) {
            return None;
        }
        let mut connections = Vec::new();
        let (mut page, mut pages) = (0, 1);
        while page < pages.min(PAGES) {
            let asked = format!("v3/srtconns/list?page={page}&itemsPerPage={PER_PAGE}");
            match self.server().ask::<Option<SrtPage>>(context, &asked, &[]).await {
                Ok((read, _)) => {
                    let read = read.unwrap_or_default();
                    pages = read.pages.unwrap_or(1);
                    connections.extend(read.items.items.into_iter().filter_map(SrtItem::read));
                }
                Err(refusal) => {
                    self.srt_after = (refusal.status() == Some(404)).then(|| Clock::now() + MISSING);
                    return None;
                }
            }
            page += 1;
        }
        Some(connections)
    }

    /// The next of the other protocols that may be there.
    async fn count(&mut self, context: &Context) {
        for _ in 0..OTHERS.len() {
            let at = self.turn % OTHERS.len();
            self.turn = at + 1;
            let (Some((list, _)), Some(other)) = (OTHERS.get(at), self.counts.get(at)) else { return };
            if !is_due(other.ask_after) {
                continue;
            }
            let asked = format!("v3/{list}/list?page=0&itemsPerPage=1");
            let read = self.server().ask::<Option<Counted>>(context, &asked, &[]).await;
            let Some(other) = self.counts.get_mut(at) else { return };
            match read {
                Ok((read, _)) => other.number = read.and_then(|read| read.all),
                Err(refusal) => {
                    other.number = None;
                    other.ask_after = (refusal.status() == Some(404)).then(|| Clock::now() + MISSING);
                }
            }
            return;
        }
    }

    fn known(&mut self) -> Outcome {
        let missing = self.book.among(&self.settings.expect, Value::Known(0));
        let untold = self.book.among(&self.settings.expect, Value::Unknown);
        let mut outcome = if !missing.is_empty() {
            Outcome::down(format!("{} not online, says the server", missing.join(", ")))
        } else if !untold.is_empty() {
            let untold = untold.join(", ");
            Outcome::unknown(format!("the server's list does not say whether {untold} is online"))
        } else {
            Outcome::up()
        };
        self.book.tell(&mut outcome, &self.settings.paths, true);
        for ((_, protocol), other) in OTHERS.iter().zip(&self.counts) {
            if let Some(number) = other.number {
                outcome.put(&metric::MEDIAMTX_CONNECTIONS, &[protocol], Scale::ONE, number as f64);
            }
        }
        if let Some(version) = &self.version {
            outcome.say("version", version.clone());
        }
        let more = self.book.left_out;
        if more > 0 && !self.has_said_more {
            let name = &self.settings.name;
            warn!(
                "probe {name}: {more} of the server's paths have no series; name those that matter in `paths`"
            );
            self.has_said_more = true;
        }
        outcome
    }

    fn unknown(&mut self, why: String) -> Outcome {
        self.book.take(None, &self.settings.paths, Clock::now());
        // Whoever answers next may be another version, with other protocols.
        (self.version, self.version_after) = (None, None);
        self.counts.iter_mut().for_each(|other| other.number = None);
        let mut outcome = Outcome::unknown(why);
        self.book.tell(&mut outcome, &self.settings.paths, false);
        outcome
    }
}

fn is_due(after: Option<Instant>) -> bool {
    after.is_none_or(|after| Clock::now() >= after)
}

#[cfg(test)]
mod tests;
