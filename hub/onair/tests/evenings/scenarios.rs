//! Evenings that have been, or will be. Each bug that is found stays as one more.

use crate::stage::Act::{Back, Calendar, Gone, Hand, HandOff, LetGo, Off, On, Removed, Restart, Unknown};
use crate::stage::{Act, Stage, ical};
use rackside_onair::{Entered, Margins, Power, Settings, Zone, local_time};

const CAMERA: &str = "rack-1/camera-1";
const OTHER: &str = "rack-2/camera-2";
const BERLIN: &str = "Europe/Berlin";

fn settings() -> Settings {
    Settings { has_shows: true, ..Settings::default() }
}

/// A show on 20 November from 19:00 to 22:00, rig-up 3 h, strike 1 h.
fn evening(acts: &[(&'static str, Act)]) -> Vec<String> {
    let gala = ical(&[["20261120T190000", "20261120T220000", "PT3H", "PT1H"]]);
    Stage::new(BERLIN, settings(), gala, "11-20 12:00").play(acts, 3)
}

/// A site without a calendar.
fn by_tally_alone(acts: &[(&'static str, Act)]) -> Vec<String> {
    Stage::new(BERLIN, Settings::default(), ical(&[]), "11-20 12:00").play(acts, 3)
}

#[test]
fn a_show_goes_by_its_plan() {
    assert_eq!(
        evening(&[("11-20 12:00", Off(CAMERA)), ("11-20 19:02", On(CAMERA)), ("11-20 21:50", Off(CAMERA))]),
        [
            "11-20 12:00 - | - | power",
            "11-20 16:00 - | rig_up | power",
            "11-20 19:00 calendar | live | power",
            "11-20 19:02 tally+calendar | live | power",
            "11-20 22:00 - | strike | power",
            "11-20 23:00 - | - | power",
        ]
    );
}

#[test]
fn a_show_that_runs_over_is_on_air_until_the_hold_of_its_tally_ends() {
    assert_eq!(
        evening(&[("11-20 18:55", On(CAMERA)), ("11-20 22:20", Off(CAMERA))]),
        [
            "11-20 16:00 - | rig_up | power",
            "11-20 18:55 tally | rig_up | power",
            "11-20 19:00 tally+calendar | live | power",
            "11-20 22:00 tally | strike | power",
            "11-20 22:30 - | strike | power",
            "11-20 23:00 - | - | power",
        ]
    );
}

#[test]
fn a_show_of_several_days_is_live_through_its_nights() {
    let festival = ical(&[["20261120T100000", "20261122T180000", "P1D", "PT12H"]]);
    let with_show = Settings { power: Power::WithShow, ..settings() };
    let stage = Stage::new(BERLIN, with_show, festival, "11-18 12:00");
    assert_eq!(
        stage.play(
            &[("11-18 12:00", Off(CAMERA)), ("11-20 20:00", On(CAMERA)), ("11-20 23:00", Off(CAMERA))],
            9
        ),
        [
            "11-18 12:00 - | - | off",
            "11-19 10:00 - | rig_up | power",
            "11-20 10:00 calendar | live | power",
            "11-20 20:00 tally+calendar | live | power",
            "11-20 23:10 calendar | live | power",
            "11-22 18:00 - | strike | power",
            "11-23 06:00 - | - | off",
        ]
    );
}

/// An entered show over the night of a change; its moments in UTC, since the wall clock is not enough to tell them apart.
fn over_the_change(zone: &str, start: &str, end: &str) -> Vec<String> {
    let (from, to) = (local_time(start).expect("a time"), local_time(end).expect("a time"));
    let margins = Margins { rig_up: 3_600_000, strike: 3_600_000 };
    let entered = Entered {
        name: "night".into(),
        start: from,
        length: (to - from).num_milliseconds(),
        days: Vec::new(),
        until: None,
        margins,
    };
    let zone: rackside_onair::Zone = zone.parse().expect("a zone");
    let show = entered.shows(zone, rackside_onair::Window::around(zone.moment(from))).remove(0);
    show.bounds()
        .iter()
        .map(|at| rackside_onair::Zone::UTC.local(*at).format("%m-%d %H:%M").to_string())
        .collect()
}

#[test]
fn a_show_over_the_change_of_clocks_keeps_its_local_times() {
    // Clocks skip 02:00–03:00: the night is an hour shorter.
    assert_eq!(
        over_the_change(BERLIN, "2026-03-28T22:00", "2026-03-29T05:00"),
        ["03-28 20:00", "03-28 21:00", "03-29 03:00", "03-29 04:00"]
    );
    // 02:00–03:00 comes twice: an hour longer.
    assert_eq!(
        over_the_change(BERLIN, "2026-10-24T22:00", "2026-10-25T05:00"),
        ["10-24 19:00", "10-24 20:00", "10-25 04:00", "10-25 05:00"]
    );
    assert_eq!(
        over_the_change("America/New_York", "2026-03-07T22:00", "2026-03-08T05:00"),
        ["03-08 02:00", "03-08 03:00", "03-08 09:00", "03-08 10:00"]
    );
    assert_eq!(
        over_the_change("America/New_York", "2026-10-31T22:00", "2026-11-01T05:00"),
        ["11-01 01:00", "11-01 02:00", "11-01 10:00", "11-01 11:00"]
    );
}

#[test]
fn a_show_that_begins_or_ends_within_the_change_covers_it() {
    // 02:30 is skipped: it is 03:30 then, 01:30 in UTC.
    assert_eq!(over_the_change(BERLIN, "2026-03-28T22:00", "2026-03-29T02:30")[2], "03-29 01:30");
    assert_eq!(over_the_change(BERLIN, "2026-03-29T02:30", "2026-03-29T05:00")[1], "03-29 01:30");
    // 02:30 comes twice: a start is the first, an end the second.
    assert_eq!(over_the_change(BERLIN, "2026-10-24T22:00", "2026-10-25T02:30")[2], "10-25 01:30");
    assert_eq!(over_the_change(BERLIN, "2026-10-25T02:30", "2026-10-25T05:00")[1], "10-25 00:30");
    assert_eq!(over_the_change("America/New_York", "2026-10-31T22:00", "2026-11-01T01:30")[2], "11-01 06:30");
    assert_eq!(over_the_change("America/New_York", "2026-11-01T01:30", "2026-11-01T05:00")[1], "11-01 05:30");
}

#[test]
fn a_tally_lost_over_the_change_holds_to_the_shows_local_end() {
    let night = ical(&[["20261024T220000", "20261025T050000", "PT1H", "PT1H"]]);
    let stage = Stage::new(BERLIN, settings(), night, "10-24 12:00");
    // 00:30Z is the first 02:30.
    assert_eq!(
        stage.play(&[("10-24 21:55", On(CAMERA)), ("10-25 00:30Z", Gone("rack-1"))], 2),
        [
            "10-24 21:00 - | rig_up | power",
            "10-24 21:55 tally | rig_up | power",
            "10-24 22:00 tally+calendar | live | power",
            "10-25 05:00 - | strike | power",
            "10-25 06:00 - | - | power",
        ]
    );
}

#[test]
fn a_tally_lost_in_the_middle_of_a_show_holds_to_its_end() {
    for lost in [Gone("rack-1"), Unknown(CAMERA)] {
        let told = by_tally_in_a_show(&[("11-20 19:02", On(CAMERA)), ("11-20 20:40", lost)]);
        assert_eq!(told, ["11-20 19:02 on", "11-20 22:00 off"], "{lost:?}");
    }
}

/// When the tally alone puts the site on air, in a show from 19:00 to 22:00.
fn by_tally_in_a_show(acts: &[(&'static str, Act)]) -> Vec<String> {
    let mut last = false;
    let changes = evening(acts).into_iter().filter_map(|line| {
        let is = line.contains("tally");
        (is != std::mem::replace(&mut last, is))
            .then(|| format!("{} {}", &line[..11], if is { "on" } else { "off" }))
    });
    changes.collect()
}

#[test]
fn a_tally_that_is_known_again_ends_what_it_held() {
    let told = by_tally_in_a_show(&[
        ("11-20 19:02", On(CAMERA)),
        ("11-20 20:00", Gone("rack-1")),
        ("11-20 20:30", Off(CAMERA)),
    ]);
    assert_eq!(told, ["11-20 19:02 on", "11-20 20:40 off"], "off, and held for ten minutes");
    let told = by_tally_in_a_show(&[
        ("11-20 19:02", On(CAMERA)),
        ("11-20 20:00", Gone("rack-1")),
        ("11-20 20:30", Back("rack-1")),
        ("11-20 22:15", Off(CAMERA)),
    ]);
    assert_eq!(told, ["11-20 19:02 on", "11-20 22:25 off"], "it had been on all the while");
}

#[test]
fn a_switcher_that_dies_before_the_show_holds_what_was_on_to_the_shows_end() {
    let died_while_on = [("11-20 17:00", On(CAMERA)), ("11-20 17:30", Unknown(CAMERA))];
    assert_eq!(by_tally_in_a_show(&died_while_on), ["11-20 17:00 on", "11-20 22:00 off"]);
    let died_while_off = [("11-20 17:00", Off(CAMERA)), ("11-20 17:30", Unknown(CAMERA))];
    assert!(by_tally_in_a_show(&died_while_off).is_empty(), "what was off was not lost");
    assert!(by_tally_in_a_show(&[("11-20 17:30", Unknown(CAMERA))]).is_empty());
}

#[test]
fn a_switcher_that_dies_in_the_show_takes_all_tallies_and_no_air() {
    let acts = [
        ("11-20 12:00", Off(CAMERA)),
        ("11-20 12:00", Off(OTHER)),
        ("11-20 19:02", On(CAMERA)),
        ("11-20 19:30", Off(CAMERA)),
        ("11-20 19:30", On(OTHER)),
        ("11-20 20:00", Unknown(CAMERA)),
        ("11-20 20:00", Unknown(OTHER)),
    ];
    assert_eq!(by_tally_in_a_show(&acts), ["11-20 19:02 on", "11-20 22:00 off"]);
}

#[test]
fn a_switcher_that_dies_after_the_show_holds_to_the_end_of_strike_at_most() {
    let told = by_tally_in_a_show(&[("11-20 19:02", On(CAMERA)), ("11-20 22:15", Unknown(CAMERA))]);
    assert_eq!(told, ["11-20 19:02 on", "11-20 23:00 off"]);
    let told = by_tally_in_a_show(&[("11-20 19:02", On(CAMERA)), ("11-20 22:58", Unknown(CAMERA))]);
    assert_eq!(told, ["11-20 19:02 on", "11-20 23:08 off"], "and no shorter than the hold");
    let told = by_tally_in_a_show(&[("11-20 19:02", On(CAMERA)), ("11-20 21:55", Unknown(CAMERA))]);
    assert_eq!(told, ["11-20 19:02 on", "11-20 22:05 off"]);
}

#[test]
fn a_rack_that_is_switched_off_after_its_tally_ended_holds_no_longer() {
    let told = by_tally_alone(&[
        ("11-20 19:00", On(CAMERA)),
        ("11-20 21:00", Off(CAMERA)),
        ("11-20 21:03", Gone("rack-1")),
    ]);
    assert_eq!(told, ["11-20 19:00 tally | - | power", "11-20 21:10 - | - | power"]);
}

#[test]
fn an_end_that_silence_follows_at_once_is_no_end() {
    let told = by_tally_alone(&[
        ("11-20 19:00", On(CAMERA)),
        ("11-20 20:00", Off(CAMERA)),
        ("11-20 20:00:04", Unknown(CAMERA)),
    ]);
    assert_eq!(
        told,
        ["11-20 19:00 tally | - | power", "11-21 08:00 - | - | power"],
        "lost at 20:00, outside of every show"
    );
}

#[test]
fn a_tally_lost_outside_of_every_show_holds_for_twelve_hours_at_most() {
    let told = by_tally_alone(&[("11-20 19:00", On(CAMERA)), ("11-20 20:00", Gone("rack-1"))]);
    assert_eq!(told, ["11-20 19:00 tally | - | power", "11-21 08:00 - | - | power"]);
    let acts = [("11-20 19:00", On(CAMERA)), ("11-20 20:00", Gone("rack-1")), ("11-21 09:00", Off(CAMERA))];
    assert_eq!(by_tally_alone(&acts).len(), 2, "off long after is no news");
}

#[test]
fn a_tally_that_flaps_is_on_air_all_through() {
    let mut acts = vec![("11-20 19:00", On(CAMERA))];
    for at in ["11-20 19:05", "11-20 19:14", "11-20 19:23:59"] {
        acts.extend([(at, Off(CAMERA)), (at, On(CAMERA))]);
    }
    acts.extend([("11-20 19:30", Off(CAMERA)), ("11-20 19:39:59", On(CAMERA)), ("11-20 19:45", Off(CAMERA))]);
    assert_eq!(by_tally_alone(&acts), ["11-20 19:00 tally | - | power", "11-20 19:55 - | - | power"]);
}

#[test]
fn a_tally_that_is_on_again_after_its_hold_rises_again() {
    let acts = [
        ("11-20 19:00", On(CAMERA)),
        ("11-20 19:01", Off(CAMERA)),
        ("11-20 19:11", On(CAMERA)),
        ("11-20 19:12", Off(CAMERA)),
    ];
    let told = by_tally_alone(&acts);
    // At 19:11 the hold ends and the tally rises: the site is on air without a gap.
    assert_eq!(told, ["11-20 19:00 tally | - | power", "11-20 19:22 - | - | power"]);
    let acts = [
        ("11-20 19:00", On(CAMERA)),
        ("11-20 19:01", Off(CAMERA)),
        ("11-20 19:12", On(CAMERA)),
        ("11-20 19:13", Off(CAMERA)),
    ];
    assert_eq!(by_tally_alone(&acts).len(), 4);
}

#[test]
fn a_hub_that_restarts_in_a_show_goes_on_with_what_held() {
    let told = by_tally_in_a_show(&[
        ("11-20 19:02", On(CAMERA)),
        ("11-20 20:00", Restart),
        ("11-20 20:01", Back("rack-1")),
        ("11-20 21:40", Off(CAMERA)),
    ]);
    assert_eq!(told, ["11-20 19:02 on", "11-20 21:50 off"]);
    let told = by_tally_in_a_show(&[
        ("11-20 19:02", On(CAMERA)),
        ("11-20 20:00", Off(CAMERA)),
        ("11-20 20:04", Restart),
    ]);
    assert_eq!(
        told,
        ["11-20 19:02 on", "11-20 20:10 off"],
        "a hold that ran goes on, and does not begin anew"
    );
    let told = by_tally_in_a_show(&[
        ("11-20 19:02", On(CAMERA)),
        ("11-20 20:00", Restart),
        ("11-20 20:30", Restart),
    ]);
    assert_eq!(told, ["11-20 19:02 on", "11-20 22:00 off"], "nobody comes back: lost, to the show's end");
}

#[test]
fn what_was_on_when_the_hub_went_for_days_was_lost_then() {
    let told = by_tally_alone(&[("11-20 19:00", On(CAMERA)), ("11-22 19:00", Restart)]);
    assert_eq!(told, ["11-20 19:00 tally | - | power", "11-22 19:00 - | - | power"]);
}

#[test]
fn by_hand_holds_over_everything_and_ends_at_its_time_or_by_hand() {
    let acts = [
        ("11-20 12:00", Off(CAMERA)),
        ("11-20 14:00", Hand(Some("11-20 23:30"))),
        ("11-20 19:02", On(CAMERA)),
        ("11-20 21:00", Off(CAMERA)),
        ("11-20 21:01", LetGo),
        ("11-20 22:30", Restart),
    ];
    assert_eq!(
        evening(&acts),
        [
            "11-20 12:00 - | - | power",
            "11-20 14:00 manual | - | power",
            "11-20 16:00 manual | rig_up | power",
            "11-20 19:00 calendar+manual | live | power",
            "11-20 19:02 tally+calendar+manual | live | power",
            "11-20 21:01 calendar+manual | live | power",
            "11-20 22:00 manual | strike | power",
            "11-20 23:00 manual | - | power",
            "11-20 23:30 - | - | power",
        ]
    );
    let told = by_tally_alone(&[("11-20 14:00", Hand(None)), ("11-22 15:00", HandOff)]);
    assert_eq!(told, ["11-20 14:00 manual | - | power", "11-22 15:00 - | - | power"]);
}

#[test]
fn what_the_configuration_says_by_hand_ends_at_its_time() {
    let at = |local: &str| {
        Some(BERLIN.parse::<Zone>().expect("a zone").moment(local_time(local).expect("a time")))
    };
    let played = |settings, acts: &[(&'static str, Act)]| {
        Stage::new(BERLIN, settings, ical(&[]), "11-20 12:00").play(acts, 3)
    };
    let on = Settings { on_until: at("2026-11-20T23:30"), ..Settings::default() };
    let evening = ["11-20 12:00 manual | - | power", "11-20 23:30 - | - | power"];
    let quiet = [("11-20 12:00", Off(CAMERA)), ("11-20 20:00", Restart)];
    assert_eq!(played(on, &quiet), evening);
    let past = Settings { on_until: at("2026-11-20T12:00"), ..Settings::default() };
    assert_eq!(played(past, &quiet), ["11-20 12:00 - | - | power"]);
    let over = Settings { let_go_at: at("2026-11-20T20:05"), ..Settings::default() };
    let lost = [("11-20 19:00", On(CAMERA)), ("11-20 20:00", Gone("rack-1")), ("11-20 21:00", Restart)];
    assert_eq!(played(over, &lost), ["11-20 19:00 tally | - | power", "11-20 20:05 - | - | power"]);
    let again = [
        ("11-20 19:00", On(CAMERA)),
        ("11-20 20:04", Off(CAMERA)),
        ("11-20 20:06", On(CAMERA)),
        ("11-20 21:00", Off(CAMERA)),
    ];
    assert_eq!(
        played(over, &again),
        [
            "11-20 19:00 tally | - | power",
            "11-20 20:05 - | - | power",
            "11-20 20:06 tally | - | power",
            "11-20 21:10 - | - | power",
        ],
        "what comes after holds as ever"
    );
}

#[test]
fn letting_go_ends_holds_and_no_tally() {
    let told = by_tally_alone(&[
        ("11-20 19:00", On(CAMERA)),
        ("11-20 20:00", Gone("rack-1")),
        ("11-20 20:30", LetGo),
    ]);
    assert_eq!(told, ["11-20 19:00 tally | - | power", "11-20 20:30 - | - | power"]);
    let told =
        by_tally_alone(&[("11-20 19:00", On(CAMERA)), ("11-20 20:30", LetGo), ("11-20 21:00", Off(CAMERA))]);
    assert_eq!(told, ["11-20 19:00 tally | - | power", "11-20 21:10 - | - | power"]);
}

#[test]
fn shows_that_overlap_are_one_time_on_air() {
    let two = ical(&[
        ["20261120T140000", "20261120T160000", "PT2H", "PT1H"],
        ["20261120T153000", "20261120T180000", "PT2H", "PT1H"],
    ]);
    let stage = Stage::new(BERLIN, settings(), two, "11-20 10:00");
    // Lost in both: it holds to the later end.
    assert_eq!(
        stage.play(&[("11-20 14:05", On(CAMERA)), ("11-20 15:45", Gone("rack-1"))], 1),
        [
            "11-20 12:00 - | rig_up | power",
            "11-20 14:00 calendar | rig_up+live | power",
            "11-20 14:05 tally+calendar | rig_up+live | power",
            "11-20 15:30 tally+calendar | live | power",
            "11-20 16:00 tally+calendar | live+strike | power",
            "11-20 17:00 tally+calendar | live | power",
            "11-20 18:00 - | strike | power",
            "11-20 19:00 - | - | power",
        ]
    );
}

#[test]
fn one_tally_of_two_is_enough() {
    let acts = [
        ("11-20 19:00", On(CAMERA)),
        ("11-20 19:30", On(OTHER)),
        ("11-20 20:00", Off(CAMERA)),
        ("11-20 21:00", Off(OTHER)),
    ];
    assert_eq!(by_tally_alone(&acts), ["11-20 19:00 tally | - | power", "11-20 21:10 - | - | power"]);
    // One that is lost is not ended by the other, which knows of its own camera alone.
    let acts = [
        ("11-20 19:00", On(CAMERA)),
        ("11-20 19:00", Off(OTHER)),
        ("11-20 20:00", Gone("rack-1")),
        ("11-20 20:30", Off(OTHER)),
    ];
    assert_eq!(by_tally_alone(&acts), ["11-20 19:00 tally | - | power", "11-21 08:00 - | - | power"]);
}

#[test]
fn a_tally_that_is_taken_out_of_the_configuration_has_ended() {
    let told = by_tally_alone(&[("11-20 19:00", On(CAMERA)), ("11-20 20:00", Removed(CAMERA))]);
    assert_eq!(told, ["11-20 19:00 tally | - | power", "11-20 20:10 - | - | power"]);
}

#[test]
fn a_calendar_that_changes_moves_what_a_lost_tally_holds() {
    let longer = ical(&[["20261120T190000", "20261120T230000", "PT3H", "PT1H"]]);
    let acts =
        [("11-20 19:02", On(CAMERA)), ("11-20 20:00", Gone("rack-1")), ("11-20 21:00", Calendar(longer))];
    assert_eq!(by_tally_in_a_show(&acts), ["11-20 19:02 on", "11-20 23:00 off"]);
    let none = ical(&[]);
    let acts =
        [("11-20 19:02", On(CAMERA)), ("11-20 20:00", Gone("rack-1")), ("11-20 21:00", Calendar(none))];
    assert_eq!(by_tally_in_a_show(&acts), ["11-20 19:02 on", "11-21 08:00 off"]);
}

#[test]
fn racks_have_power_from_rig_up_to_strike_and_while_on_air() {
    let gala = ical(&[["20261120T190000", "20261120T220000", "PT3H", "PT1H"]]);
    let with_show = Settings { power: Power::WithShow, ..settings() };
    let acts = [
        ("11-20 13:00", On(CAMERA)),
        ("11-20 13:05", Off(CAMERA)),
        ("11-20 22:45", On(CAMERA)),
        ("11-20 23:05", Off(CAMERA)),
    ];
    assert_eq!(
        Stage::new(BERLIN, with_show, gala, "11-20 12:00").play(&acts, 2),
        [
            "11-20 13:00 tally | - | power",
            "11-20 13:15 - | - | off",
            "11-20 16:00 - | rig_up | power",
            "11-20 19:00 calendar | live | power",
            "11-20 22:00 - | strike | power",
            "11-20 22:45 tally | strike | power",
            "11-20 23:00 tally | - | power",
            "11-20 23:15 - | - | off",
        ]
    );
}

#[test]
fn a_hold_of_nothing_falls_with_the_tally() {
    let none = Settings { hold: 0, ..Settings::default() };
    let stage = Stage::new(BERLIN, none, ical(&[]), "11-20 12:00");
    let told = stage.play(&[("11-20 19:00", On(CAMERA)), ("11-20 20:00", Off(CAMERA))], 1);
    assert_eq!(told, ["11-20 19:00 tally | - | power", "11-20 20:00 - | - | power"]);
}
