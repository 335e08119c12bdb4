//! The shows of all sites: entered ones, and those of iCal files, which are read again when they change.
//!
//! A file that cannot be read, or is no calendar any more, is said once, and its site's shows stay as they were. Shows are looked up anew twice a day,
//! since time goes on and rules for weeks to come are not worked out for ever.

use crate::site::SiteConfig;
use rackside_config::Watched;
use rackside_onair::{Calendar, Problem, Show, Window};
use rackside_proto::Id;
use std::fmt::{self, Write as _};
use std::fs::File;
use std::io::Read as _;
use std::panic::{AssertUnwindSafe, UnwindSafe, catch_unwind};
use std::path::Path;

/// A calendar is no larger.
const LARGEST: u64 = 16 << 20;
/// Shows are looked up again after this many milliseconds.
const AGAIN: i64 = 12 * 3_600_000;
/// Problems of one file that are said one by one.
const SAID: usize = 20;

/// The shows of all sites.
#[derive(Debug, Default)]
pub(super) struct Calendars(Vec<One>);

#[derive(Debug)]
struct One {
    config: SiteConfig,
    file: Option<Watched>,
    calendar: Calendar,
    /// When shows were looked up.
    looked: Option<i64>,
}

impl Calendars {
    /// Those of these sites; nothing is read yet.
    pub(super) fn new(configs: &[SiteConfig]) -> Self {
        let with_shows = configs.iter().filter(|config| config.settings().has_shows);
        let one = |config: &SiteConfig| One {
            config: config.clone(),
            file: config.calendar.clone().map(Watched::new),
            calendar: Calendar::default(),
            looked: None,
        };
        Self(with_shows.map(one).collect())
    }

    /// Reads what changed, and gives the shows of the sites for which that is due.
    pub(super) fn look(&mut self, now: i64) -> Vec<(Id, Vec<Show>)> {
        let looked = self.0.iter_mut().filter_map(|one| {
            let site = one.config.id.clone();
            let shows = fenced(&site, AssertUnwindSafe(|| one.look(now)));
            // What fell once falls again: not every two seconds.
            one.looked = one.looked.or(Some(now));
            Some((site, shows?))
        });
        looked.collect()
    }
}

/// A calendar is anybody's text, and its rules are worked out by a crate of others: should one of them fall over it, the site
/// keeps its shows, and the hub goes on.
fn fenced<T>(site: &Id, look: impl FnOnce() -> Option<T> + UnwindSafe) -> Option<T> {
    catch_unwind(look).unwrap_or_else(|_| {
        log::error!(
            "site {site}: its calendar cannot be worked out; its shows stay as they were; this is a bug of the hub: please report it, with the file"
        );
        None
    })
}

impl One {
    fn look(&mut self, now: i64) -> Option<Vec<Show>> {
        let is_due = self.looked.is_none_or(|at| !(at..at + AGAIN).contains(&now));
        let changed = self.file.as_mut().is_some_and(Watched::changed);
        if !(is_due || changed) {
            return None;
        }
        let site = &self.config.id;
        let mut problems = Vec::new();
        if let Some(file) = self.file.as_ref().filter(|_| changed || self.looked.is_none()) {
            match read(file.path(), &self.config) {
                Ok((calendar, found)) => {
                    log::info!("site {site}: {} events in {}", calendar.len(), file.path().display());
                    self.calendar = calendar;
                    problems = found;
                }
                Err(error) => log::error!("site {site}: {error}; its shows stay as they were"),
            }
        }
        let window = Window::around(now);
        let (mut shows, beyond) = self.calendar.shows(window, self.config.margins());
        problems.extend(beyond);
        if let Some(path) = self.config.calendar.as_ref().filter(|_| changed || self.looked.is_none()) {
            for problem in problems.iter().take(SAID) {
                log::warn!("site {site}: {}: {problem}", path.display());
            }
            if let Some(more) = problems.len().checked_sub(SAID).filter(|more| *more > 0) {
                log::warn!("site {site}: {}: and {more} more", path.display());
            }
        }
        shows.extend(self.config.entered().iter().flat_map(|show| show.shows(self.config.zone(), window)));
        self.looked = Some(now);
        Some(shows)
    }
}

/// Why a calendar is not taken.
#[derive(Debug)]
pub(crate) enum CalendarError {
    /// The file cannot be read.
    Unreadable(String, std::io::Error),
    /// It is too large.
    TooLarge(String),
    /// It is something else.
    None(String, Problem),
}

impl fmt::Display for CalendarError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(file, error) => write!(f, "{file}: cannot be read: {error}"),
            Self::TooLarge(file) => write!(f, "{file}: is larger than {} MiB", LARGEST >> 20),
            Self::None(file, problem) => write!(f, "{file}: {problem}"),
        }
    }
}

fn read(path: &Path, config: &SiteConfig) -> Result<(Calendar, Vec<Problem>), CalendarError> {
    let name = || path.display().to_string();
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes))
        .map_err(|error| CalendarError::Unreadable(name(), error))?;
    if bytes.len() as u64 > LARGEST {
        return Err(CalendarError::TooLarge(name()));
    }
    let (calendar, mut problems) = Calendar::read(&String::from_utf8_lossy(&bytes), config.zone());
    // A file that is half written, or a page that says "log in", is no calendar, and not one without shows.
    if let Some(problem) = problems.first().filter(|_| !calendar.is_whole()) {
        return Err(CalendarError::None(name(), problem.clone()));
    }
    problems.sort_by_key(|problem| problem.line);
    Ok((calendar, problems))
}

/// What `check` says of a site.
#[derive(Debug)]
pub struct Outlook {
    text: String,
}

impl fmt::Display for Outlook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Reads a site's calendar, and tells its next show and what is wrong.
pub(crate) fn outlook(config: &SiteConfig, now: i64) -> Result<Outlook, CalendarError> {
    let (calendar, mut problems) =
        config.calendar.as_deref().map_or(Ok(Default::default()), |path| read(path, config))?;
    let window = Window::around(now);
    let (mut shows, beyond) = calendar.shows(window, config.margins());
    problems.extend(beyond);
    shows.extend(config.entered().iter().flat_map(|show| show.shows(config.zone(), window)));
    shows.sort();
    let next = shows.iter().find(|show| now < show.end).map_or_else(
        || "no show within six weeks".to_owned(),
        |show| {
            let local = |ms| config.zone().local(ms).format("%Y-%m-%d %H:%M").to_string();
            format!(
                "next show {:?}, {} to {}, {}",
                show.name,
                local(show.live),
                local(show.end),
                config.zone().name()
            )
        },
    );
    let mut text = format!("site {}: {next}", config.id);
    if let Some(path) = &config.calendar {
        for problem in &problems {
            write!(text, "\nsite {}: {}: {problem}", config.id, path.display())
                .expect("a String takes everything");
        }
    }
    Ok(Outlook { text })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    /// 2026-11-20T12:00:00Z.
    const NOON: i64 = 1_795_176_000_000;
    const EVENT: &str = "BEGIN:VEVENT\nDTSTART:20261120T190000\nDURATION:PT3H\nSUMMARY:Gala\nEND:VEVENT\n";

    fn whole(events: &str) -> String {
        format!("BEGIN:VCALENDAR\n{events}END:VCALENDAR\n")
    }

    fn site(file: &Path) -> Vec<SiteConfig> {
        let text = format!(
            "[[site]]\nid = \"arena-north\"\ntime_zone = \"Europe/Berlin\"\ncalendar = {:?}\n",
            file.display().to_string()
        );
        Config::parse(&text, "hub.toml").expect("right").site
    }

    #[test]
    fn a_calendar_is_read_again_when_it_changes_and_shows_are_looked_up_twice_a_day() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let file = directory.path().join("arena-north.ics");
        let mut calendars = Calendars::new(&site(&file));
        let mut shows = |now| calendars.look(now).pop().map(|(_, shows)| shows.len());
        assert_eq!(shows(NOON), Some(0), "there is no file");
        assert_eq!(shows(NOON + 2000), None);
        std::fs::write(&file, whole(EVENT)).expect("written");
        assert_eq!(shows(NOON + 4000), Some(1));
        assert_eq!(shows(NOON + 6000), None, "nothing new");
        std::fs::write(&file, &whole(EVENT)[..60]).expect("written");
        assert_eq!(shows(NOON + 8000), Some(1), "half a file is no calendar: what was known stays");
        std::fs::remove_file(&file).expect("removed");
        assert_eq!(shows(NOON + 10_000), Some(1), "and so with none");
        assert_eq!(shows(NOON + 9999 + AGAIN), None);
        assert_eq!(shows(NOON + 10_000 + AGAIN), Some(1));
        assert_eq!(shows(NOON), Some(1), "a clock that was set back");
        std::fs::write(&file, whole("")).expect("written");
        assert_eq!(shows(NOON + 1), Some(0));
    }

    #[test]
    fn a_calendar_that_is_stumbled_over_costs_its_site_alone() {
        let site = "arena-north".parse().expect("an id");
        assert_eq!(fenced(&site, || Some(1)), Some(1));
        assert_eq!(fenced::<i32>(&site, || panic!("on purpose")), None);
    }

    #[test]
    fn the_outlook_names_the_next_show_and_what_is_wrong() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let file = directory.path().join("arena-north.ics");
        let config = site(&file).remove(0);
        let said = |text: &str| {
            std::fs::write(&file, text).expect("written");
            let said = outlook(&config, NOON).map_or_else(|error| error.to_string(), |said| said.to_string());
            said.replace(&file.display().to_string(), "FILE")
        };
        let next =
            "site arena-north: next show \"Gala\", 2026-11-20 19:00 to 2026-11-20 22:00, Europe/Berlin";
        assert_eq!(said(&whole(EVENT)), next);
        let bad = "BEGIN:VEVENT\nSUMMARY:Talk\nEND:VEVENT\n";
        let talk = "site arena-north: FILE: line 7: \"Talk\" is left out: it has no DTSTART";
        assert_eq!(said(&whole(&format!("{EVENT}{bad}"))), format!("{next}\n{talk}"));
        assert_eq!(said(&whole("")), "site arena-north: no show within six weeks");
        assert_eq!(said("<html>"), "FILE: line 1: this is no calendar: BEGIN:VCALENDAR is missing");
        assert_eq!(
            said("BEGIN:VCALENDAR\n"),
            "FILE: line 1: the calendar breaks off: END:VCALENDAR is missing"
        );
        std::fs::remove_file(&file).expect("removed");
        let missing = outlook(&config, NOON).expect_err("it is not there").to_string();
        assert!(
            missing.ends_with("arena-north.ics: cannot be read: No such file or directory (os error 2)"),
            "{missing}"
        );
    }
}
