//! One VEVENT: when it is, how often, and which of its occurrences are left out or moved.

use super::lines::Property;
use super::when::{self, Length, When};
use crate::show::{DAY, LONGEST, LONGEST_MARGIN, Window};
use crate::zone::Zone;
use chrono::{DateTime, Days, NaiveDateTime, TimeDelta, TimeZone};
use rrule::{Frequency, RRule, RRuleSet, Tz, Unvalidated};

/// Most occurrences of a rule within a window.
const OCCURRENCES: u16 = 1000;

/// An event.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    /// The line of its BEGIN.
    pub(crate) line: usize,
    /// Events of one UID are one event and what was moved of it.
    pub(crate) uid: String,
    /// Which edition of it this is.
    pub(crate) sequence: i64,
    /// Which occurrence of the other event of this UID it stands for.
    pub(crate) stands_for: Option<When>,
    /// Its summary.
    pub(crate) name: String,
    /// Whether it makes a show: it does not if it is cancelled or takes no time (TRANSP:TRANSPARENT).
    pub(crate) counts: bool,
    /// Rig-up of its own, in milliseconds.
    pub(crate) rig_up: Option<i64>,
    /// Strike of its own, in milliseconds.
    pub(crate) strike: Option<i64>,
    start: When,
    length: Length,
    rules: Vec<Rule>,
    more: Vec<(When, Option<Length>)>,
    left_out: Vec<When>,
}

/// A recurrence rule, and its UNTIL, which is a moment and no local time.
#[derive(Debug, Clone)]
struct Rule {
    rule: RRule<Unvalidated>,
    until: Option<When>,
}

/// An occurrence: what the clock of its event shows at its start, and from when to when it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Occurrence {
    /// The local time.
    pub(crate) local: NaiveDateTime,
    /// When it begins.
    pub(crate) from: i64,
    /// When it ends.
    pub(crate) to: i64,
}

impl Event {
    /// Makes an event of the lines between its BEGIN, at `line`, and its END; `site` is the clock of times that name none.
    pub(crate) fn read(line: usize, properties: &[Property], site: Zone) -> Result<Self, (usize, String)> {
        let one = |name: &str| properties.iter().find(|property| property.name == name);
        let at = |property: &Property, what: String| (property.line, what);
        let when = |property: &Property| when::one(property, site).map_err(|what| at(property, what));
        let text = |name: &str| one(name).map(|property| property.text().trim().to_owned());
        let is = |name: &str, value: &str| one(name).is_some_and(|of| of.value.eq_ignore_ascii_case(value));
        let start = one("DTSTART").ok_or_else(|| (line, "it has no DTSTART".to_owned()))?;
        let start = when(start)?;
        let margin = |name: &str| {
            one(name)
                .map(|of| when::span(&of.value).map_err(|what| at(of, format!("{name}: {what}"))))
                .transpose()
                .map(|margin| margin.map(|ms| ms.min(LONGEST_MARGIN)))
        };
        let length = length(line, properties, start, site)?;
        if i64::try_from(length.days).unwrap_or(i64::MAX).saturating_mul(DAY).saturating_add(length.ms)
            > LONGEST
        {
            return Err((line, "it lasts longer than 31 days".to_owned()));
        }
        let mut event = Self {
            line,
            uid: text("UID").unwrap_or_default(),
            sequence: one("SEQUENCE").and_then(|of| of.value.trim().parse().ok()).unwrap_or(0),
            stands_for: one("RECURRENCE-ID").map(when).transpose()?,
            name: text("SUMMARY").filter(|name| !name.is_empty()).unwrap_or_else(|| "show".to_owned()),
            counts: !is("STATUS", "CANCELLED") && !is("TRANSP", "TRANSPARENT"),
            rig_up: margin("X-RACKSIDE-RIG-UP")?,
            strike: margin("X-RACKSIDE-STRIKE")?,
            start,
            length,
            rules: Vec::new(),
            more: Vec::new(),
            left_out: Vec::new(),
        };
        for property in properties {
            let wrong = |what| at(property, what);
            match property.name.as_str() {
                "RRULE" => event.rules.push(rule(property, start).map_err(wrong)?),
                "RDATE" => event.more.extend(dates(property, site).map_err(wrong)?),
                "EXDATE" => {
                    event
                        .left_out
                        .extend(dates(property, site).map_err(wrong)?.into_iter().map(|(when, _)| when));
                }
                "EXRULE" => return Err(wrong("EXRULE is not understood; write EXDATE".to_owned())),
                _ => {}
            }
        }
        Ok(event)
    }

    /// Its zone.
    pub(crate) fn zone(&self) -> Zone {
        self.start.zone
    }

    /// Its occurrences that begin within `window`, in their order, without those that are left out; and whether there are more than fit.
    pub(crate) fn occurrences(&self, window: Window) -> (Vec<Occurrence>, bool) {
        let mut found = vec![self.at(self.start.local, self.length)];
        let mut limited = false;
        for rule in &self.rules {
            let (locals, more) = self.recur(rule, window);
            limited |= more;
            found.extend(locals.into_iter().map(|local| self.at(local, self.length)));
        }
        let zone = self.zone();
        let more = self.more.iter().map(|(when, length)| {
            let local = if when.is_date { when.local } else { zone.local(when.moment()) };
            self.at(local, length.unwrap_or(self.length))
        });
        found.extend(more);
        found.retain(|one| {
            window.from <= one.from
                && one.from < window.to
                && !self.left_out.iter().any(|when| when.names(one.local, zone))
        });
        found.sort_unstable();
        found.dedup_by_key(|one| one.from);
        limited |= found.len() > usize::from(OCCURRENCES);
        found.truncate(usize::from(OCCURRENCES));
        (found, limited)
    }

    fn at(&self, local: NaiveDateTime, length: Length) -> Occurrence {
        let from = self.zone().moment(local);
        let end = local.checked_add_days(Days::new(length.days)).unwrap_or(local);
        // Without days the length is exact, as RFC 5545 has it, whatever clocks do in between.
        let to = if length.days == 0 { from } else { self.zone().moment(end) } + length.ms;
        Occurrence { local, from, to }
    }

    /// What a rule gives around `window`, as local times. It is worked out as if there were no changes of clocks; each local
    /// time becomes a moment by itself.
    fn recur(&self, Rule { rule, until }: &Rule, window: Window) -> (Vec<NaiveDateTime>, bool) {
        let start = floating(self.start.local);
        let Ok(rule) = rule.clone().validate(start) else { return (Vec::new(), false) };
        let around = |ms: i64, days: i64| {
            let local = self.zone().local(ms);
            floating(local.checked_add_signed(TimeDelta::days(days)).unwrap_or(local))
        };
        let set =
            RRuleSet::new(start).rrule(rule).after(around(window.from, -1)).before(around(window.to, 1));
        let found = set.all(OCCURRENCES);
        let zone = self.zone();
        let in_time = |local: &NaiveDateTime| match until {
            Some(until) if until.is_date => local.date() <= until.local.date(),
            Some(until) => zone.moment(*local) <= until.moment(),
            None => true,
        };
        let limited = found.limited && found.dates.len() >= usize::from(OCCURRENCES);
        (found.dates.into_iter().map(|date| date.naive_utc()).filter(in_time).collect(), limited)
    }
}

/// A local time as rules count: by a clock that is never changed.
fn floating(local: NaiveDateTime) -> DateTime<Tz> {
    Tz::UTC.from_utc_datetime(&local)
}

/// From DTEND, or DURATION, or by the kind of DTSTART: a date is a day.
fn length(line: usize, properties: &[Property], start: When, site: Zone) -> Result<Length, (usize, String)> {
    let one = |name: &str| properties.iter().find(|property| property.name == name);
    if let Some(property) = one("DTEND") {
        let end = when::one(property, site).map_err(|what| (property.line, what))?;
        if end.is_date != start.is_date {
            return Err((
                property.line,
                "DTSTART and DTEND are a date and a time; both have to be one or the other".to_owned(),
            ));
        }
        let length = if start.is_date {
            Length { days: u64::try_from((end.local - start.local).num_days()).unwrap_or(0), ms: 0 }
        } else {
            Length { days: 0, ms: end.moment() - start.moment() }
        };
        if length.days == 0 && length.ms <= 0 {
            return Err((property.line, "DTEND is not after DTSTART".to_owned()));
        }
        return Ok(length);
    }
    if let Some(property) = one("DURATION") {
        let length = when::length(&property.value).map_err(|what| (property.line, what))?;
        if length == (Length { days: 0, ms: 0 }) {
            return Err((property.line, "DURATION is no time at all".to_owned()));
        }
        return Ok(length);
    }
    if start.is_date {
        return Ok(Length { days: 1, ms: 0 });
    }
    Err((line, "it has no DTEND and no DURATION".to_owned()))
}

/// The dates of an RDATE or EXDATE; of periods with their lengths.
fn dates(property: &Property, site: Zone) -> Result<Vec<(When, Option<Length>)>, String> {
    let zone = when::zone(property, site)?;
    let one = |text: &str| {
        let Some((from, to)) = text.split_once('/') else { return Ok((when::read(text, zone)?, None)) };
        let from = when::read(from, zone)?;
        let length = if to.starts_with(['P', '+']) {
            when::length(to)?
        } else {
            Length { days: 0, ms: when::read(to, zone)?.moment() - from.moment() }
        };
        if length.days == 0 && length.ms <= 0 {
            return Err(format!("{text:?} ends before it begins"));
        }
        Ok((from, Some(length)))
    };
    property.value.split(',').map(one).collect()
}

/// Reads an RRULE, and tries it.
fn rule(property: &Property, start: When) -> Result<Rule, String> {
    // The crate rrule cuts texts by bytes.
    if !property.value.is_ascii() {
        return Err("RRULE: it has letters that are in no rule".to_owned());
    }
    let (until, parts): (Vec<&str>, Vec<&str>) =
        property.value.split(';').partition(|part| part.to_ascii_uppercase().starts_with("UNTIL="));
    let until = until.first().map(|part| when::read(&part["UNTIL=".len()..], start.zone)).transpose()?;
    let wrong = |what: String| format!("RRULE: {what}");
    let rule: RRule<Unvalidated> = parts
        .join(";")
        .to_ascii_uppercase()
        .parse()
        .map_err(|error: rrule::RRuleError| wrong(error.to_string()))?;
    let often = matches!(rule.get_freq(), Frequency::Hourly | Frequency::Minutely | Frequency::Secondly);
    if often {
        return Err(wrong("it can come again each day, week, month or year, and not more often".to_owned()));
    }
    rule.clone().validate(floating(start.local)).map_err(|error| wrong(error.to_string()))?;
    Ok(Rule { rule, until })
}
