//! An iCal file (RFC 5545) as a calendar of shows.
//!
//! Each VEVENT is a show from DTSTART to DTEND or for DURATION; a date is a whole day of the site. RRULE, RDATE and EXDATE are followed; an
//! event with RECURRENCE-ID stands for one occurrence of the event of its UID. Cancelled events, and those that take no time
//! (TRANSP:TRANSPARENT), are no shows. `X-RACKSIDE-RIG-UP:PT3H` and `X-RACKSIDE-STRIKE:PT1H` give a show margins of its own.
//!
//! Not understood, and said: THISANDFUTURE, EXRULE, rules that come again within a day, and zones that neither IANA nor Windows knows (a VTIMEZONE
//! is not read). Invariant: what is wrong with one event costs that event, and no other.
//!
//! ```text
//! BEGIN:VEVENT / DTSTART;TZID=Europe/Berlin:20261120T190000 / DTEND;TZID=Europe/Berlin:20261120T220000 / SUMMARY:Gala / END:VEVENT
//! ```

mod event;
mod lines;
mod when;
mod windows;

use crate::show::{DAY, LONGEST, LONGEST_MARGIN, Margins, Show, Window};
use crate::zone::Zone;
use event::Event;
use lines::Property;
use std::fmt;

/// Most events of a calendar.
const EVENTS: usize = 10_000;
/// Most lines of one event.
const LINES: usize = 1000;
/// Most shows of a calendar within a window.
const SHOWS: usize = 2000;

/// A calendar.
#[derive(Debug, Clone, Default)]
pub struct Calendar {
    events: Vec<Event>,
    is_whole: bool,
}

/// What is wrong with a part of a calendar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1.
    pub line: usize,
    /// What, and of which event.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

/// The lines of an event that is being read.
struct Open {
    line: usize,
    lines: Vec<Property>,
    /// A line in it that cannot be read.
    bad: Option<(usize, String)>,
    /// How many components inside it are open.
    depth: usize,
}

impl Calendar {
    /// Reads a text; `site` is the zone of times that name none. What is wrong is left out, and said.
    pub fn read(text: &str, site: Zone) -> (Self, Vec<Problem>) {
        let mut calendar = Self::default();
        let mut problems = Vec::new();
        let (mut open, mut is_calendar): (Option<Open>, _) = (None, false);
        let mut is_whole = false;
        for property in lines::properties(text) {
            let property = match (property, &mut open) {
                (Ok(property), _) => property,
                (Err((line, _)), Some(event)) if event.depth == 0 => {
                    event.bad.get_or_insert((line, "this is no line of iCal, NAME:VALUE".to_owned()));
                    continue;
                }
                (Err(_), _) => continue,
            };
            let of = property.value.trim().to_ascii_uppercase();
            match (property.name.as_str(), &mut open) {
                ("BEGIN", None) => {
                    is_calendar |= of == "VCALENDAR";
                    let line = property.line;
                    open = (of == "VEVENT").then(|| Open { line, lines: Vec::new(), bad: None, depth: 0 });
                }
                ("BEGIN", Some(event)) if of == "VEVENT" => {
                    problems.push(Problem {
                        line: event.line,
                        what: "an event without END:VEVENT; it is left out".to_owned(),
                    });
                    *event = Open { line: property.line, lines: Vec::new(), bad: None, depth: 0 };
                }
                ("BEGIN", Some(event)) => event.depth += 1,
                ("END", Some(event)) if of != "VEVENT" && event.depth > 0 => event.depth -= 1,
                ("END", Some(_)) => {
                    let event = open.take().expect("it is some");
                    calendar.take(event, site, &mut problems);
                }
                ("END", None) => is_whole |= is_calendar && of == "VCALENDAR",
                (_, Some(event)) if event.depth == 0 && event.lines.len() < LINES => {
                    event.lines.push(property);
                }
                _ => {}
            }
        }
        if let Some(Open { line, .. }) = open {
            problems.push(Problem { line, what: "an event without END:VEVENT; it is left out".to_owned() });
        }
        if !is_calendar {
            problems.insert(
                0,
                Problem { line: 1, what: "this is no calendar: BEGIN:VCALENDAR is missing".to_owned() },
            );
        }
        if is_calendar && !is_whole {
            problems.insert(
                0,
                Problem {
                    line: text.lines().count(),
                    what: "the calendar breaks off: END:VCALENDAR is missing".to_owned(),
                },
            );
        }
        calendar.is_whole = is_whole;
        calendar.newest();
        (calendar, problems)
    }

    fn take(&mut self, open: Open, site: Zone, problems: &mut Vec<Problem>) {
        let read = open.bad.map_or_else(|| Event::read(open.line, &open.lines, site), Err);
        let name = || {
            let one = |name| open.lines.iter().find(|property| property.name == name);
            one("SUMMARY")
                .or_else(|| one("UID"))
                .map_or_else(|| "an event".to_owned(), |of| format!("{:?}", of.text()))
        };
        match read {
            Ok(_) if self.events.len() >= EVENTS => {
                let what = format!("{} is left out: there are more than {EVENTS} events", name());
                problems.push(Problem { line: open.line, what });
            }
            Ok(event) => {
                if let Some(range) = open.lines.iter().find(|of| of.parameter("RANGE").is_some()) {
                    let what = format!(
                        "{}: RANGE=THISANDFUTURE is not understood; this one day is moved, no later one",
                        name()
                    );
                    problems.push(Problem { line: range.line, what });
                }
                self.events.push(event);
            }
            Err((line, what)) => {
                problems.push(Problem { line, what: format!("{} is left out: {what}", name()) });
            }
        }
    }

    /// Of two editions of an event the one with the higher SEQUENCE counts.
    fn newest(&mut self) {
        let key = |event: &Event| (event.uid.clone(), event.stands_for.map(when::When::moment));
        let mut newest = std::collections::HashMap::new();
        for event in &self.events {
            let sequence = newest.entry(key(event)).or_insert(event.sequence);
            *sequence = event.sequence.max(*sequence);
        }
        self.events.retain(|event| event.uid.is_empty() || newest.get(&key(event)) == Some(&event.sequence));
    }

    /// Whether it has a beginning and an end. A file that is half written has not.
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// How many events it has.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The shows that have part in `window`, in their order, with these margins where an event has none of its own; and what did not fit.
    pub fn shows(&self, window: Window, margins: Margins) -> (Vec<Show>, Vec<Problem>) {
        let reach = Window {
            from: window.from - LONGEST - LONGEST_MARGIN - DAY,
            to: window.to + LONGEST_MARGIN + DAY,
        };
        let mut moved = std::collections::HashMap::<&str, Vec<when::When>>::new();
        for event in self.events.iter().filter(|event| !event.uid.is_empty()) {
            if let Some(stands_for) = event.stands_for {
                moved.entry(&event.uid).or_default().push(stands_for);
            }
        }
        let (mut shows, mut problems) = (Vec::new(), Vec::new());
        for event in self.events.iter().filter(|event| event.counts) {
            let (mut occurrences, limited) = event.occurrences(reach);
            if limited {
                let what = format!("{:?} comes too often; its first occurrences count", event.name);
                problems.push(Problem { line: event.line, what });
            }
            if let (None, Some(moved)) = (event.stands_for, moved.get(event.uid.as_str())) {
                occurrences.retain(|one| !moved.iter().any(|when| when.names(one.local, event.zone())));
            }
            let margins = Margins {
                rig_up: event.rig_up.unwrap_or(margins.rig_up),
                strike: event.strike.unwrap_or(margins.strike),
            };
            let of_event =
                occurrences.iter().filter_map(|one| Show::new(&event.name, one.from, one.to, margins));
            shows.extend(of_event.filter(|show| window.has(show)));
        }
        shows.sort();
        if shows.len() > SHOWS {
            let what = format!("{} shows in so short a time; the first {SHOWS} count", shows.len());
            problems.push(Problem { line: 1, what });
            shows.truncate(SHOWS);
        }
        (shows, problems)
    }
}

/// Any bytes: read, and looked up around a day; every show is one, and has part in what was asked for.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz(bytes: &[u8]) {
    // 2026-11-20T12:00:00Z.
    const NOON: i64 = 1_795_176_000_000;
    let site = "Europe/Berlin".parse().expect("a zone");
    let (calendar, problems) = Calendar::read(&String::from_utf8_lossy(bytes), site);
    assert!(problems.iter().all(|problem| problem.line > 0 && !problem.what.contains('\n')));
    let window = Window::around(NOON);
    let (shows, _) = calendar.shows(window, Margins { rig_up: DAY, strike: DAY });
    assert!(shows.len() <= SHOWS);
    for show in &shows {
        assert!(
            window.has(show) && show.rig_up <= show.live && show.live < show.end && show.end <= show.strike
        );
    }
}

#[cfg(test)]
mod tests;
