//! What of a calendar becomes a show, and what is said of the rest.

use super::*;
use crate::show::HOUR;
use proptest::prelude::*;

fn berlin() -> Zone {
    "Europe/Berlin".parse().unwrap()
}

fn window(from: &str, to: &str) -> Window {
    let at = |text: &str| berlin().moment(crate::local_time(text).unwrap());
    Window { from: at(from), to: at(to) }
}

/// A calendar of these events, each the lines between BEGIN and END.
fn calendar(events: &[&str]) -> String {
    let events: Vec<_> = events.iter().map(|event| format!("BEGIN:VEVENT\n{event}\nEND:VEVENT\n")).collect();
    format!("BEGIN:VCALENDAR\nVERSION:2.0\n{}END:VCALENDAR\n", events.concat()).replace('\n', "\r\n")
}

/// The live parts in Berlin's local time, between these times; nothing is wrong.
fn live(events: &[&str], from: &str, to: &str) -> Vec<String> {
    let (calendar, problems) = Calendar::read(&calendar(events), berlin());
    assert_eq!(problems, []);
    let (shows, problems) = calendar.shows(window(from, to), Margins::default());
    assert_eq!(problems, []);
    let local = |ms| berlin().local(ms).format("%m-%d %H:%M").to_string();
    shows.iter().map(|show| format!("{}–{}", local(show.live), local(show.end))).collect()
}

fn problems(events: &[&str]) -> Vec<String> {
    let (_, problems) = Calendar::read(&calendar(events), berlin());
    problems.iter().map(ToString::to_string).collect()
}

const NOVEMBER: (&str, &str) = ("2026-11-01T00:00", "2026-12-01T00:00");

fn in_november(events: &[&str]) -> Vec<String> {
    live(events, NOVEMBER.0, NOVEMBER.1)
}

#[test]
fn an_event_is_a_show_by_each_clock() {
    let here = "DTSTART;TZID=Europe/Berlin:20261120T190000\nDTEND;TZID=Europe/Berlin:20261120T220000";
    assert_eq!(in_november(&[here]), ["11-20 19:00–11-20 22:00"]);
    let elsewhere = "DTSTART;TZID=America/New_York:20261120T130000\nDURATION:PT3H";
    assert_eq!(in_november(&[elsewhere]), ["11-20 19:00–11-20 22:00"]);
    assert_eq!(
        in_november(&["DTSTART:20261120T180000Z\nDTEND:20261120T210000Z"]),
        ["11-20 19:00–11-20 22:00"]
    );
    assert_eq!(in_november(&["DTSTART:20261120T190000\nDURATION:PT3H"]), ["11-20 19:00–11-20 22:00"]);
}

#[test]
fn dates_are_whole_days_of_the_site() {
    assert_eq!(in_november(&["DTSTART;VALUE=DATE:20261120"]), ["11-20 00:00–11-21 00:00"]);
    let three = "DTSTART;VALUE=DATE:20261120\nDTEND;VALUE=DATE:20261123";
    assert_eq!(in_november(&[three]), ["11-20 00:00–11-23 00:00"]);
    let change = "DTSTART;VALUE=DATE:20261024\nDTEND;VALUE=DATE:20261026";
    assert_eq!(
        live(&[change], "2026-10-25T12:00", "2026-10-25T12:01"),
        ["10-24 00:00–10-26 00:00"],
        "49 hours"
    );
}

#[test]
fn a_rule_keeps_its_local_time_over_the_change_of_clocks() {
    let weekly = "DTSTART;TZID=Europe/Berlin:20261016T190000\nDURATION:PT2H\nRRULE:FREQ=WEEKLY;COUNT=3";
    let found = live(&[weekly], "2026-10-01T00:00", NOVEMBER.1);
    assert_eq!(found, ["10-16 19:00–10-16 21:00", "10-23 19:00–10-23 21:00", "10-30 19:00–10-30 21:00"]);
    let daily = "DTSTART;TZID=Europe/Berlin:20260327T023000\nDURATION:PT1H\nRRULE:FREQ=DAILY";
    let found = live(&[daily], "2026-03-28T00:00", "2026-03-31T00:00");
    assert_eq!(found, ["03-28 02:30–03-28 03:30", "03-29 03:30–03-29 04:30", "03-30 02:30–03-30 03:30"]);
}

#[test]
fn a_duration_is_exact_and_days_are_by_the_calendar() {
    let night = |length: &str| {
        let event = format!("DTSTART;TZID=Europe/Berlin:20261024T220000\n{length}");
        live(&[event.as_str()], "2026-10-24T00:00", "2026-10-27T00:00").remove(0)
    };
    assert_eq!(night("DURATION:PT6H"), "10-24 22:00–10-25 03:00");
    assert_eq!(night("DURATION:P1D"), "10-24 22:00–10-25 22:00");
    assert_eq!(night("DTEND;TZID=Europe/Berlin:20261025T040000"), "10-24 22:00–10-25 04:00");
}

#[test]
fn rules_end_with_until_and_leave_out_exdates() {
    let base = "DTSTART;TZID=Europe/Berlin:20261102T190000\nDURATION:PT1H\nRRULE:FREQ=WEEKLY;BYDAY=MO,WE";
    let days = |more: &str| -> Vec<String> {
        let found = in_november(&[format!("{base}{more}").as_str()]);
        found.iter().map(|show| show[3..5].to_owned()).collect()
    };
    assert_eq!(days(""), ["02", "04", "09", "11", "16", "18", "23", "25", "30"]);
    assert_eq!(days(";UNTIL=20261109T180000Z"), ["02", "04", "09"], "until is 19:00 in Berlin, included");
    assert_eq!(days(";UNTIL=20261109T175959Z"), ["02", "04"]);
    assert_eq!(days(";UNTIL=20261109"), ["02", "04", "09"]);
    assert_eq!(days(";UNTIL=20261109T185959"), ["02", "04"]);
    assert_eq!(
        days(";COUNT=4\nEXDATE;TZID=Europe/Berlin:20261104T190000,20261109T190000"),
        ["02", "11"],
        "what is left out counts as one of the four"
    );
    assert_eq!(days(";COUNT=3\nEXDATE:20261104T180000Z"), ["02", "09"]);
    assert_eq!(days(";COUNT=3\nEXDATE;VALUE=DATE:20261104"), ["02", "09"]);
    assert_eq!(days(";COUNT=1\nRDATE;TZID=Europe/Berlin:20261105T200000"), ["02", "05"]);
}

#[test]
fn the_examples_of_the_standard_come_on_their_days() {
    let days = |rule: &str| -> Vec<String> {
        let event = format!("DTSTART;TZID=America/New_York:19970902T090000\nDURATION:PT1H\nRRULE:{rule}");
        let (calendar, problems) = Calendar::read(&calendar(&[event.as_str()]), berlin());
        assert_eq!(problems, []);
        let (shows, _) = calendar.shows(window("1997-09-01T00:00", "1998-02-01T00:00"), Margins::default());
        let new_york: Zone = "America/New_York".parse().unwrap();
        shows.iter().map(|show| new_york.local(show.live).format("%m-%d %H").to_string()).collect()
    };
    // RFC 5545, 3.8.5.3; the start is the first even where the rule would not give it.
    assert_eq!(
        days("FREQ=DAILY;INTERVAL=10;COUNT=5"),
        ["09-02 09", "09-12 09", "09-22 09", "10-02 09", "10-12 09"]
    );
    assert_eq!(days("FREQ=MONTHLY;COUNT=3;BYDAY=1FR"), ["09-02 09", "09-05 09", "10-03 09", "11-07 09"]);
    assert_eq!(
        days("FREQ=MONTHLY;BYMONTHDAY=-3"),
        ["09-02 09", "09-28 09", "10-29 09", "11-28 09", "12-29 09", "01-29 09"]
    );
    assert_eq!(
        days("FREQ=MONTHLY;COUNT=3;BYDAY=TU,WE,TH;BYSETPOS=3"),
        ["09-02 09", "09-04 09", "10-07 09", "11-06 09"]
    );
    assert_eq!(
        days("FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=SU"),
        ["09-02 09", "09-14 09", "09-16 09", "09-28 09"]
    );
    assert_eq!(days("FREQ=YEARLY;BYMONTH=1;BYDAY=SU,SA;COUNT=2"), ["09-02 09", "01-03 09", "01-04 09"]);
    assert_eq!(days("FREQ=YEARLY;BYYEARDAY=1,300"), ["09-02 09", "10-27 09", "01-01 09"]);
}

#[test]
fn an_occurrence_is_moved_or_cancelled_by_its_id() {
    let base = "UID:a\nDTSTART;TZID=Europe/Berlin:20261102T190000\nDURATION:PT1H\nRRULE:FREQ=WEEKLY;COUNT=3";
    let moved =
        "UID:a\nRECURRENCE-ID;TZID=Europe/Berlin:20261109T190000\nDTSTART:20261110T200000\nDURATION:PT2H";
    let found = in_november(&[base, moved]);
    assert_eq!(found, ["11-02 19:00–11-02 20:00", "11-10 20:00–11-10 22:00", "11-16 19:00–11-16 20:00"]);
    let cancelled =
        "UID:a\nRECURRENCE-ID:20261109T180000Z\nDTSTART:20261109T190000\nDURATION:PT1H\nSTATUS:CANCELLED";
    assert_eq!(in_november(&[cancelled, base]), ["11-02 19:00–11-02 20:00", "11-16 19:00–11-16 20:00"]);
    let other =
        "UID:b\nRECURRENCE-ID;TZID=Europe/Berlin:20261109T190000\nDTSTART:20261110T200000\nDURATION:PT2H";
    assert_eq!(in_november(&[base, other]).len(), 4, "of another event");
}

#[test]
fn of_two_editions_the_newer_counts() {
    let old = "UID:a\nSEQUENCE:1\nDTSTART:20261102T190000\nDURATION:PT1H";
    let new = "UID:a\nSEQUENCE:2\nDTSTART:20261103T190000\nDURATION:PT1H";
    assert_eq!(in_november(&[new, old]), ["11-03 19:00–11-03 20:00"]);
}

#[test]
fn what_is_cancelled_or_takes_no_time_is_no_show() {
    let base = "DTSTART:20261102T190000\nDURATION:PT1H";
    for more in ["STATUS:CANCELLED", "TRANSP:TRANSPARENT"] {
        assert!(in_november(&[format!("{base}\n{more}").as_str()]).is_empty(), "{more}");
    }
    for more in ["STATUS:TENTATIVE", "TRANSP:OPAQUE"] {
        assert_eq!(in_november(&[format!("{base}\n{more}").as_str()]).len(), 1, "{more}");
    }
}

#[test]
fn an_event_may_have_margins_of_its_own() {
    let event = "DTSTART:20261102T190000\nDURATION:PT1H\nX-RACKSIDE-RIG-UP:PT3H";
    let (calendar, problems) = Calendar::read(&calendar(&[event]), berlin());
    assert_eq!(problems, []);
    let margins = Margins { rig_up: HOUR, strike: 2 * HOUR };
    let (shows, _) = calendar.shows(window(NOVEMBER.0, NOVEMBER.1), margins);
    assert_eq!((shows[0].live - shows[0].rig_up, shows[0].strike - shows[0].end), (3 * HOUR, 2 * HOUR));
}

#[test]
fn alarms_and_time_zones_beside_events_are_passed_over() {
    let text = "BEGIN:VCALENDAR\nBEGIN:VTIMEZONE\nTZID:Europe/Berlin\nBEGIN:STANDARD\nDTSTART:19701025T030000\nEND:STANDARD\nEND:VTIMEZONE\n\
                BEGIN:VEVENT\nDTSTART:20261102T190000\nBEGIN:VALARM\nDURATION:PT15M\nEND:VALARM\nDTEND:20261102T200000\nEND:VEVENT\nEND:VCALENDAR\n";
    let (calendar, problems) = Calendar::read(text, berlin());
    assert_eq!(problems, []);
    let (shows, _) = calendar.shows(window(NOVEMBER.0, NOVEMBER.1), Margins::default());
    assert_eq!(shows[0].end - shows[0].live, HOUR);
}

#[test]
fn what_is_wrong_with_one_event_costs_that_event_alone() {
    let good = "SUMMARY:Good\nDTSTART:20261102T190000\nDURATION:PT1H";
    let start = "SUMMARY:Bad\nDTSTART:20261102T190000";
    let one = |bad: &str| {
        let (calendar, _) = Calendar::read(&calendar(&[bad, good]), berlin());
        assert_eq!(calendar.len(), 1, "{bad}");
        let said = problems(&[bad, good]);
        assert_eq!(said.len(), 1, "{said:?}");
        said[0].clone()
    };
    assert_eq!(one("SUMMARY:Bad"), "line 3: \"Bad\" is left out: it has no DTSTART");
    assert_eq!(one(start), "line 3: \"Bad\" is left out: it has no DTEND and no DURATION");
    assert_eq!(
        one("SUMMARY:Bad\nDTSTART;TZID=Customized Time Zone:20261102T190000\nDURATION:PT1H"),
        "line 5: \"Bad\" is left out: DTSTART: \"Customized Time Zone\" is no IANA time zone; write for example \"Europe/Berlin\""
    );
    assert_eq!(
        one(&format!("{start}\nDTEND:20261102T190000")),
        "line 6: \"Bad\" is left out: DTEND is not after DTSTART"
    );
    assert_eq!(
        one(&format!("{start}\nDTEND:20261102")),
        "line 6: \"Bad\" is left out: DTSTART and DTEND are a date and a time; both have to be one or the other"
    );
    assert_eq!(
        one("UID:x@y\nDTSTART:2026-11-02\nDURATION:PT1H"),
        "line 5: \"x@y\" is left out: \"2026-11-02\" is no date and no time; 20261120T190000 is"
    );
    assert_eq!(
        one(&format!("{start}\nDURATION:PT1H\nRRULE:FREQ=HOURLY")),
        "line 7: \"Bad\" is left out: RRULE: it can come again each day, week, month or year, and not more often"
    );
    assert_eq!(
        one(&format!("{start}\nDURATION:P40D")),
        "line 3: \"Bad\" is left out: it lasts longer than 31 days"
    );
    assert_eq!(
        one(&format!("{start}\nDURATION:PT1H\nRRULE:FREQ=WEEKLY;BYDAY=XX")),
        "line 7: \"Bad\" is left out: RRULE: RRule parsing error: `XX` is not a valid weekday. Valid values are `MO`, `TU`, `WE`, `TH`, `FR`, `SA` and `SU`."
    );
    assert_eq!(
        one(&format!("{start}\nDURATION:PT1H\nRRULE:FREQ=WEEKLY;BYDAY=TéH")),
        "line 7: \"Bad\" is left out: RRULE: it has letters that are in no rule"
    );
    assert_eq!(
        one(&format!("{start}\nDURATION:PT1H\nX-RACKSIDE-STRIKE:1h")),
        "line 7: \"Bad\" is left out: X-RACKSIDE-STRIKE: \"1h\" is no duration; PT2H30M is"
    );
    assert_eq!(
        one(&format!("{start}\nDURATION:PT1H\nnonsense")),
        "line 7: \"Bad\" is left out: this is no line of iCal, NAME:VALUE"
    );
}

#[test]
fn what_is_no_calendar_is_said() {
    let said = |text: &str| {
        let (_, problems) = Calendar::read(text, berlin());
        problems.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(said("<html>"), ["line 1: this is no calendar: BEGIN:VCALENDAR is missing"]);
    assert_eq!(
        said("BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:1"),
        [
            "line 3: the calendar breaks off: END:VCALENDAR is missing",
            "line 2: an event without END:VEVENT; it is left out"
        ]
    );
    assert!(said("BEGIN:VCALENDAR\nEND:VCALENDAR").is_empty(), "an empty one is one");
}

#[test]
fn a_rule_that_never_comes_ends() {
    let never = "DTSTART:20200102T190000\nDURATION:PT1H\nRRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30";
    assert!(in_november(&[never]).is_empty());
}

#[test]
fn more_than_fits_is_said() {
    let daily = "UID:d\nSUMMARY:Often\nDTSTART:20261101T190000\nDURATION:PT1H\nRRULE:FREQ=DAILY;BYMINUTE=0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30";
    let (calendar, problems) = Calendar::read(&calendar(&[daily]), berlin());
    assert_eq!(problems, []);
    let (shows, problems) =
        calendar.shows(window("2026-11-01T00:00", "2027-01-01T00:00"), Margins::default());
    assert!(!shows.is_empty() && shows.len() <= SHOWS);
    assert_eq!(problems[0].to_string(), "line 3: \"Often\" comes too often; its first occurrences count");
}

proptest! {
    #[test]
    fn any_text_is_read_without_a_fall(text in "(BEGIN:VEVENT\n|END:VEVENT\n|DTSTART[:;T0-9A-Z=]{0,20}\n|RRULE:[A-Z=;,0-9+-]{0,40}\n|[ -~é\t]{0,30}\n){0,20}") {
        let (calendar, _) = Calendar::read(&text, berlin());
        let _ = calendar.shows(window(NOVEMBER.0, NOVEMBER.1), Margins::default());
    }

    #[test]
    fn any_rule_gives_shows_that_are_in_the_window(
        freq in prop::sample::select(vec!["DAILY", "WEEKLY", "MONTHLY", "YEARLY"]),
        parts in prop::collection::vec(prop::sample::select(vec![
            "INTERVAL=2", "COUNT=5", "BYDAY=MO,SU", "BYDAY=-1FR", "BYMONTHDAY=31,-1", "BYMONTH=2,10", "BYSETPOS=-1", "BYWEEKNO=53",
            "BYYEARDAY=366,-1", "WKST=SU", "BYHOUR=1,2,3", "UNTIL=20261115", "INTERVAL=0", "COUNT=0", "BYDAY=60MO", "BYSETPOS=0",
        ]), 0..4),
        year in 1950..2100,
    ) {
        let event = format!("DTSTART:{year}1025T023000\nDURATION:PT2H\nRRULE:FREQ={freq};{}", parts.join(";"));
        let (calendar, _) = Calendar::read(&calendar(&[&event]), berlin());
        let window = window(NOVEMBER.0, NOVEMBER.1);
        let (shows, _) = calendar.shows(window, Margins { rig_up: HOUR, strike: HOUR });
        prop_assert!(shows.iter().all(|show| window.has(show)));
        prop_assert!(shows.windows(2).all(|pair| pair[0] <= pair[1]));
    }
}
