//! `[[site]]` in `hub.toml`: what the hub is told of a venue. A site that is not in the file is known by its appliances, and has defaults.
//!
//! ```toml
//! [[site]]
//! id = "arena-north"
//! time_zone = "Europe/Berlin"
//! power = "with_show"
//! calendar = "/etc/rackside/arena-north.ics"
//! [[site.show]]
//! name = "Sunday service"
//! start = "2026-11-22T10:00"
//! duration = "90m"
//! days = ["sun"]
//! ```
//!
//! Invariant of one in a whole configuration: each of its shows can be, none of its texts is longer than a page can show.

use rackside_config::Span;
use rackside_onair::{
    Date, Day, Entered, LONGEST, LONGEST_MARGIN, Local, Margins, Power, Settings, Weekday, Zone,
};
use rackside_proto::Id;
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// Most characters of a name, a role, a phone number, hours.
const LINE: usize = 80;
/// Most characters of notes.
const NOTES: usize = 2000;
/// Most tags of a site.
const TAGS: usize = 32;

/// `[[site]]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteConfig {
    /// Which, as its appliances call it.
    #[serde(deserialize_with = "of_text")]
    pub id: Id,
    /// What people call it.
    pub name: Option<String>,
    /// Where its clocks are.
    pub time_zone: Option<Zone>,
    /// When its racks have power.
    #[serde(default)]
    pub power: PowerConfig,
    /// Words to find it by.
    #[serde(default)]
    pub tags: Vec<String>,
    /// How to get in.
    #[serde(default)]
    pub access: String,
    /// Whether the status page for the public has it.
    #[serde(default)]
    pub public: bool,
    /// What the public calls it, if not by its name.
    pub public_name: Option<String>,
    /// Its calendar, an iCal file.
    pub calendar: Option<PathBuf>,
    /// How long before a show the racks are set up.
    #[serde(default = "rig_up")]
    pub rig_up: Span,
    /// How long after a show they are taken down.
    #[serde(default = "strike")]
    pub strike: Span,
    /// How long it is on air after a tally has ended.
    #[serde(default = "hold")]
    pub hold: Span,
    /// On air by hand until then, by the site's clocks.
    pub on_air: Option<Local>,
    /// Then the holds of tallies end that were over before.
    pub off_air: Option<Local>,
    /// Who can be called.
    #[serde(default)]
    pub contact: Vec<Contact>,
    /// Shows that are in no calendar.
    #[serde(default)]
    pub show: Vec<ShowConfig>,
}

/// `power`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PowerConfig {
    /// All the time.
    #[default]
    Always,
    /// From rig-up to strike.
    WithShow,
}

/// `[[site.contact]]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contact {
    /// What for: `technician`.
    pub role: String,
    /// Who.
    #[serde(default)]
    pub name: String,
    /// Where.
    pub phone: String,
    /// Where else: `desk@example.org`.
    #[serde(default)]
    pub email: String,
    /// When: `Mon-Fri 9-17`.
    #[serde(default)]
    pub hours: String,
}

/// `[[site.show]]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShowConfig {
    /// What it is called.
    pub name: String,
    /// When it is live for the first time, by the site's clocks.
    pub start: Local,
    /// When that ends.
    pub end: Option<Local>,
    /// Or how long it takes.
    pub duration: Option<Span>,
    /// The days of the week on which it is, from the start's on.
    #[serde(default)]
    pub days: Vec<Day>,
    /// The last date.
    pub until: Option<Date>,
    /// A rig-up of its own.
    pub rig_up: Option<Span>,
    /// A strike of its own.
    pub strike: Option<Span>,
}

const fn rig_up() -> Span {
    Span::seconds(2 * 3600)
}

const fn strike() -> Span {
    Span::seconds(3600)
}

const fn hold() -> Span {
    Span::seconds(600)
}

fn of_text<'de, T: FromStr<Err: fmt::Display>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// The first key that cannot be in `sites`, `site.0.hold`, and why.
pub(crate) fn check(sites: &[SiteConfig]) -> Result<(), (String, String)> {
    for (at, site) in sites.iter().enumerate() {
        let of_site = |(key, why): (String, String)| (format!("site.{at}.{key}"), why);
        if sites[..at].iter().any(|other| other.id == site.id) {
            return Err(of_site((
                "id".to_owned(),
                format!("there is a site {} already, further up", site.id),
            )));
        }
        site.check().map_err(of_site)?;
    }
    Ok(())
}

type Objection = (String, String);

fn objection<T>(key: impl Into<String>, why: impl Into<String>) -> Result<T, Objection> {
    Err((key.into(), why.into()))
}

/// A line of text that pages show.
fn line(key: String, text: &str, may_be_empty: bool) -> Result<(), Objection> {
    if text.trim().is_empty() && !may_be_empty {
        return objection(key, "is empty");
    }
    if text.chars().count() > LINE || text.chars().any(char::is_control) {
        return objection(key, format!("is more than one line of {LINE} characters"));
    }
    Ok(())
}

fn at_most(key: &str, span: Span, most: Duration, said: &str) -> Result<(), Objection> {
    if span.get() > most { objection(key, format!("\"{span}\" is more than {said}")) } else { Ok(()) }
}

const MARGIN: Duration = Duration::from_millis(LONGEST_MARGIN as u64);

impl SiteConfig {
    /// What people call it.
    pub fn title(&self) -> &str {
        self.name.as_deref().unwrap_or(self.id.as_str())
    }

    /// What the public calls it.
    pub fn public_title(&self) -> &str {
        self.public_name.as_deref().unwrap_or(self.title())
    }

    /// Where its clocks are.
    pub fn zone(&self) -> Zone {
        self.time_zone.unwrap_or(Zone::UTC)
    }

    /// How it is on air.
    pub fn settings(&self) -> Settings {
        let power = match self.power {
            PowerConfig::Always => Power::Always,
            PowerConfig::WithShow => Power::WithShow,
        };
        let zone = self.zone();
        Settings {
            power,
            hold: ms(self.hold.get()),
            has_shows: self.has_shows(),
            on_until: self.on_air.map(|until| zone.last_moment(until.0)),
            let_go_at: self.off_air.map(|over| zone.moment(over.0)),
        }
    }

    /// Rig-up and strike of its shows.
    pub fn margins(&self) -> Margins {
        Margins { rig_up: ms(self.rig_up.get()), strike: ms(self.strike.get()) }
    }

    /// The shows that are in no calendar.
    pub fn entered(&self) -> Vec<Entered> {
        self.show.iter().map(|show| show.entered(self.margins())).collect()
    }

    fn has_shows(&self) -> bool {
        self.calendar.is_some() || !self.show.is_empty()
    }

    fn check(&self) -> Result<(), Objection> {
        if let Some(name) = &self.name {
            line("name".to_owned(), name, false)?;
        }
        if let Some(name) = &self.public_name {
            line("public_name".to_owned(), name, false)?;
        }
        if self.has_shows() && self.time_zone.is_none() {
            let key = if self.calendar.is_some() { "calendar" } else { "show" };
            return objection(
                key,
                "shows are in local time: say `time_zone` of the site, for example \"Europe/Berlin\"",
            );
        }
        for (key, time) in [("on_air", self.on_air), ("off_air", self.off_air)] {
            if time.is_some() && self.time_zone.is_none() {
                return objection(
                    key,
                    "is in local time: say `time_zone` of the site, for example \"Europe/Berlin\"",
                );
            }
        }
        if self.power == PowerConfig::WithShow && !self.has_shows() {
            return objection(
                "power",
                "without shows there is no plan: name a `calendar`, or enter [[site.show]]",
            );
        }
        if self.tags.len() > TAGS {
            return objection("tags", format!("there are more than {TAGS}"));
        }
        for tag in &self.tags {
            line("tags".to_owned(), tag, false)?;
        }
        if self.access.chars().count() > NOTES {
            return objection("access", format!("is longer than {NOTES} characters"));
        }
        at_most("rig_up", self.rig_up, MARGIN, "7 days")?;
        at_most("strike", self.strike, MARGIN, "7 days")?;
        at_most("hold", self.hold, Duration::from_hours(24), "a day")?;
        for (at, contact) in self.contact.iter().enumerate() {
            contact.check().map_err(|(key, why)| (format!("contact.{at}.{key}"), why))?;
        }
        for (at, show) in self.show.iter().enumerate() {
            show.check().map_err(|(key, why)| (format!("show.{at}.{key}"), why))?;
        }
        Ok(())
    }
}

impl Contact {
    fn check(&self) -> Result<(), Objection> {
        line("role".to_owned(), &self.role, false)?;
        line("name".to_owned(), &self.name, true)?;
        line("hours".to_owned(), &self.hours, true)?;
        line("phone".to_owned(), &self.phone, false)?;
        let digits = self.phone.chars().filter(char::is_ascii_digit).count();
        let may_be = |c: char| c.is_ascii_digit() || " +-/().".contains(c);
        if digits < 3 || !self.phone.chars().all(may_be) {
            let why = format!("{:?} is no phone number; write for example \"+49 30 901820\"", self.phone);
            return objection("phone", why);
        }
        line("email".to_owned(), &self.email, true)?;
        let is_address = |text: &str| {
            let may_be = |c: char| c.is_alphanumeric() || ".!#$%&'*+-/=?^_`{|}~@".contains(c);
            let parts = text.split_once('@');
            parts.is_some_and(|(who, at)| !who.is_empty() && !at.is_empty() && !at.contains('@'))
                && text.chars().all(may_be)
        };
        if !self.email.is_empty() && !is_address(&self.email) {
            let why =
                format!("{:?} is no e-mail address; write for example \"desk@example.org\"", self.email);
            return objection("email", why);
        }
        Ok(())
    }
}

impl ShowConfig {
    /// How long it is live, by clocks on the wall, in milliseconds.
    fn length(&self) -> Result<i64, Objection> {
        match (self.end, self.duration) {
            (Some(end), None) => Ok((end.0 - self.start.0).num_milliseconds()),
            (None, Some(duration)) => Ok(ms(duration.get())),
            (Some(_), Some(_)) => {
                objection("duration", "both `end` and `duration` are given; keep one of them")
            }
            (None, None) => objection("start", "when it ends is missing: give `end` or `duration`"),
        }
    }

    fn entered(&self, margins: Margins) -> Entered {
        let own = |span: Option<Span>, of_site| span.map_or(of_site, |span| ms(span.get()));
        Entered {
            name: self.name.as_str().into(),
            start: self.start.0,
            length: self.length().unwrap_or_default(),
            days: self.days.iter().map(|day| Weekday::from(*day)).collect(),
            until: self.until.map(|until| until.0),
            margins: Margins {
                rig_up: own(self.rig_up, margins.rig_up),
                strike: own(self.strike, margins.strike),
            },
        }
    }

    fn check(&self) -> Result<(), Objection> {
        line("name".to_owned(), &self.name, false)?;
        let length = self.length()?;
        let key = if self.end.is_some() { "end" } else { "duration" };
        if length <= 0 {
            return objection(key, "the show ends before it begins");
        }
        if length > LONGEST {
            return objection(key, "a show lasts 31 days at most");
        }
        if let Some(until) = self.until {
            if self.days.is_empty() {
                return objection(
                    "until",
                    "is for shows that come again: name their `days`, for example [\"sun\"]",
                );
            }
            if until.0 < self.start.0.date() {
                return objection("until", "is before the show's first date");
            }
        }
        for (key, span) in [("rig_up", self.rig_up), ("strike", self.strike)] {
            span.map_or(Ok(()), |span| at_most(key, span, MARGIN, "7 days"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use rackside_onair::Window;

    fn one(text: &str) -> SiteConfig {
        let text = format!("[[site]]\nid = \"arena-north\"\ntime_zone = \"Europe/Berlin\"\n{text}");
        Config::parse(&text, "hub.toml").expect("right").site.remove(0)
    }

    #[test]
    fn a_site_has_its_defaults() {
        let site = one("");
        assert_eq!((site.title(), site.zone().name()), ("arena-north", "Europe/Berlin"));
        assert_eq!(site.settings(), Settings::default());
        assert_eq!(site.margins(), Margins { rig_up: 7_200_000, strike: 3_600_000 });
    }

    #[test]
    fn by_hand_is_by_the_sites_clocks() {
        let said = |text| {
            let settings = one(text).settings();
            (settings.on_until, settings.let_go_at)
        };
        // 2026-11-20T22:00Z.
        let at = 1_795_212_000_000;
        assert_eq!(
            said("on_air = \"2026-11-20T23:00\"\noff_air = 2026-11-20T23:00:30"),
            (Some(at), Some(at + 30_000))
        );
        assert_eq!(said(""), (None, None));
    }

    #[test]
    fn a_show_is_read_from_texts_and_from_dates_of_toml() {
        let texts = "[[site.show]]\nname = \"a\"\nstart = \"2026-11-20T19:00\"\nend = \"2026-11-20T21:00\"\ndays = [\"fri\"]\nuntil = \"2026-12-31\"";
        let dates = "[[site.show]]\nname = \"a\"\nstart = 2026-11-20T19:00:00\nduration = \"2h\"\ndays = [\"fri\"]\nuntil = 2026-12-31";
        assert_eq!(one(texts).entered(), one(dates).entered());
        assert!(one(texts).settings().has_shows);
    }

    #[test]
    fn a_show_has_the_sites_margins_or_its_own() {
        let site = one(
            "strike = \"3h\"\n[[site.show]]\nname = \"a\"\nstart = \"2026-11-20T19:00\"\nduration = \"2h\"\nrig_up = \"1d\"",
        );
        let window = Window { from: 0, to: i64::MAX / 4 };
        let show = site.entered()[0].shows(site.zone(), window).remove(0);
        let hours = |ms: i64| ms / 3_600_000;
        assert_eq!((hours(show.live - show.rig_up), hours(show.strike - show.end)), (24, 3));
    }
}
