//! The configuration in tables: what is taken and what becomes of it, and what is refused and with which words.

mod receivers;

use super::*;
use crate::message::Severity;
use crate::route::{GroupBy, Target};
use rackside_config::{ConfigError, Secret};

fn policy(text: &str) -> Result<Policy, String> {
    let tables: Tables = rackside_config::parse(text, "hub.toml").map_err(|error| error.to_string())?;
    Policy::new(&tables).map_err(|(key, why)| ConfigError::at(text, "hub.toml", &key, why).to_string())
}

fn right(text: &str) -> Policy {
    policy(text).unwrap_or_else(|why| panic!("{text}\n{why}"))
}

/// What is said of a text that is wrong, without the file's name.
fn said(text: &str) -> String {
    let why = policy(text).expect_err(text);
    why.strip_prefix("hub.toml:").unwrap_or_else(|| panic!("{why}: names no file")).to_owned()
}

const CREW: &str = "[[receiver]]\nname = \"crew\"\nkind = \"slack\"\nurl = { env = \"CREW\" }\n";

fn secret(name: &str) -> Secret {
    Secret::in_env(name)
}

#[test]
fn without_any_table_nobody_is_told() {
    assert_eq!(right(""), Policy::default());
}

#[test]
fn a_route_has_its_defaults() {
    let policy = right(&format!("{CREW}[[route]]\nname = \"all\"\nto = [\"crew\"]\n"));
    let route = &policy.routes[0];
    assert_eq!((route.to.as_slice(), route.goes_on), (&[Target::Receiver("crew".into())][..], false));
    assert_eq!(route.group_by, GroupBy::Labels(vec!["site".into()]));
    assert_eq!((route.group_interval, route.repeat_interval), (300_000, 14_400_000));
    assert!(!route.keeps_interval, "critical news need not wait for it");
    assert_eq!(
        [Severity::Info, Severity::Warning, Severity::Critical].map(|worst| route.wait(worst)),
        [30_000, 30_000, 1000]
    );
}

#[test]
fn every_key_of_a_route_is_read() {
    let text = format!(
        "{CREW}[[team]]\nname = \"stage\"\ntime_zone = \"Europe/Berlin\"\nfallback = [\"crew\"]\n\
         [[route]]\nname = \"on air\"\nmatch = ['severity=\"critical\"', 'component=~\"box|network\"']\nsites = [\"arena-north\"]\n\
         tags = [\"north\"]\nseverity = \"warning\"\non_air = true\nquiet = [\"22:00-07:00\"]\ntime_zone = \"Europe/London\"\n\
         breaks_quiet = \"critical\"\nto = [\"crew\", \"team:stage\"]\ngroup_by = [\"...\"]\ngroup_wait = \"0s\"\ngroup_interval = \"1m\"\n\
         repeat_interval = \"1h\"\ncontinue = true\n[[route.escalate]]\nafter = \"5m\"\nto = [\"crew\"]\n[[route.escalate]]\n\
         after = \"15m\"\nto = [\"team:stage\"]\n"
    );
    let route = right(&text).routes.remove(0);
    assert_eq!(route.matchers.to_string(), r#"{severity="critical", component=~"box|network"}"#);
    assert_eq!(
        (route.severity, route.breaks_quiet, route.on_air),
        (Some(Severity::Warning), Some(Severity::Critical), Some(true))
    );
    assert_eq!(format!("{:?} {:?}", route.quiet, route.time_zone), "[\"22:00-07:00\"] Some(Europe/London)");
    assert_eq!(route.to, [Target::Receiver("crew".into()), Target::Team("stage".into())]);
    assert_eq!(
        (route.group_by.clone(), route.wait(Severity::Info), route.group_interval, route.repeat_interval),
        (GroupBy::All, 0, 60_000, 3_600_000)
    );
    assert!(route.goes_on);
    assert_eq!(route.escalate.iter().map(|step| step.after).collect::<Vec<_>>(), [300_000, 900_000]);
}

/// Keys of a route that begins in line 9, and what is said of them.
const WRONG_ROUTES: &[(&str, &str)] = &[
    ("to = [\"crwe\"]", "11: route.to: there is no [[receiver]] for \"crwe\"; did you mean \"crew\"?"),
    (
        "to = [\"team:stag\"]",
        "11: route.to: there is no [[team]] for \"team:stag\"; did you mean \"team:stage\"?",
    ),
    ("to = [\"phone\"]", "11: route.to: there is no [[receiver]] for \"phone\""),
    (
        "to = [\"stage\"]",
        "11: route.to: there is no [[receiver]] for \"stage\"; did you mean \"team:stage\"?",
    ),
    ("to = [\"crew\", \"crew\"]", "11: route.to: \"crew\" is named twice"),
    ("", "9: `to` is missing in [[route]]"),
    (
        "to = []\nmatch = [\"severity\"]",
        "12: route.match: \"severity\" is no matcher; write for example severity=\"critical\" or site=~\"arena-.*\"",
    ),
    (
        "to = []\ngroup_interval = \"0s\"",
        "12: route.group_interval: \"0s\" would tell each change by itself; write for example \"5m\"",
    ),
    (
        "to = []\nrepeat_interval = \"1m\"",
        "12: route.repeat_interval: \"1m\" is shorter than `group_interval`, \"5m\": a group is looked at no more often than that",
    ),
    (
        "to = []\ngroup_wait = \"2d\"",
        "12: route.group_wait: \"2d\" is more than a day; for what can wait there is `quiet`",
    ),
    ("to = []\ngroup_by = [\"a-b\"]", "12: route.group_by: \"a-b\" is no name of a label"),
    ("to = []\ngroup_by = [\"a\", \"a\"]", "12: route.group_by: \"a\" is named twice"),
    (
        "to = []\ngroup_by = [\"...\", \"a\"]",
        "12: route.group_by: \"...\" stands for all labels; leave out the others",
    ),
    (
        "to = []\nquiet = [\"25:00-07:00\"]",
        "12: route.quiet: \"25:00-07:00\" is no time of the week; write for example \"22:00-07:00\", \"mon-fri 18:00-08:00\" or \"sat,sun\"",
    ),
    (
        "to = []\nquiet = [\"07:00-07:00\"]",
        "12: route.quiet: \"07:00-07:00\" is no time at all; a whole day is \"00:00-24:00\"",
    ),
    (
        "to = []\nquiet = [\"07:00-20:00\", \"20:00-07:00\"]",
        "12: route.quiet: never ends, so nobody would ever be told; for that, write `to = []`",
    ),
    ("to = []\nbreaks_quiet = \"critical\"", "12: route.breaks_quiet: is about `quiet`, which is not given"),
    ("to = []\ntime_zone = \"UTC\"", "12: route.time_zone: is about `quiet`, which is not given"),
    (
        "to = []\nseverity = \"urgent\"",
        "12: route.severity: unknown value `urgent` (known values: info, warning, critical)",
    ),
    (
        "to = [\"crew\"]\n[[route.escalate]]\nafter = \"0s\"\nto = [\"crew\"]",
        "13: route.escalate.after: \"0s\" is not later than the step before; it counts from the first message",
    ),
    (
        "to = [\"crew\"]\nescalate = [{ after = \"5m\", to = [\"crew\"] }, { after = \"5m\", to = [\"crew\"] }]",
        "12: route.escalate.after: \"5m\" is not later than the step before; it counts from the first message",
    ),
    (
        "to = [\"crew\"]\n[[route.escalate]]\nafter = \"5m\"\nto = []",
        "14: route.escalate.to: is empty; name one at least",
    ),
    (
        "to = [\"crew\"]\n[[route.escalate]]\nafter = \"5m\"\nto = [\"phone\"]",
        "14: route.escalate.to: there is no [[receiver]] for \"phone\"",
    ),
    (
        "to = []\n[[route]]\nname = \"one\"\nto = []",
        "13: route.name: there is a [[route]] \"one\" already, further up",
    ),
];

#[test]
fn a_route_that_cannot_be_is_said_with_its_key() {
    let team = "[[team]]\nname = \"stage\"\ntime_zone = \"UTC\"\nfallback = [\"crew\"]\n";
    for (keys, why) in WRONG_ROUTES {
        assert_eq!(said(&format!("{CREW}{team}[[route]]\nname = \"one\"\n{keys}")), *why, "{keys}");
    }
}

/// Keys of a team that begins in line 5, and what is said of them.
const WRONG_TEAMS: &[(&str, &str)] = &[
    (
        "time_zone = \"Berlin\"",
        "7: team.time_zone: \"Berlin\" is no IANA time zone; did you mean \"Europe/Berlin\"?",
    ),
    ("", "5: `time_zone` is missing in [[team]]"),
    ("time_zone = \"UTC\"", "6: team.name: nobody is ever on call: give [[team.shift]] or `fallback`"),
    (
        "time_zone = \"UTC\"\nfallback = [\"team:one\"]",
        "8: team.fallback: \"team:one\" is a team; only receivers can be here",
    ),
    ("time_zone = \"UTC\"\n[[team.shift]]\nwho = []", "9: team.shift.who: is empty; name one at least"),
    (
        "time_zone = \"UTC\"\n[[team.shift]]\nwho = [\"crw\"]",
        "9: team.shift.who: there is no [[receiver]] for \"crw\"; did you mean \"crew\"?",
    ),
    (
        "time_zone = \"UTC\"\n[[team.shift]]\nwho = [\"crew\"]\nturn = \"7d\"",
        "10: team.shift.turn: when the first turn begins is missing: give `start`, for example \"2026-11-02T09:00\"",
    ),
    (
        "time_zone = \"UTC\"\n[[team.shift]]\nwho = [\"crew\"]\nstart = \"2026-11-02T09:00\"",
        "10: team.shift.start: is for those who take turns: give `turn`, for example \"7d\"",
    ),
    (
        "time_zone = \"UTC\"\n[[team.shift]]\nwho = [\"crew\"]\nstart = \"2026-11-02T09:00\"\nturn = \"36h\"",
        "11: team.shift.turn: \"36h\" is not in whole days; write for example \"7d\" or \"1d\", and `hours` for parts of a day",
    ),
    (
        "time_zone = \"UTC\"\n[[team.shift]]\nwho = [\"crew\"]\nhours = [\"9-17\"]",
        "10: team.shift.hours: \"9-17\" is no time of the week; write for example \"22:00-07:00\", \"mon-fri 18:00-08:00\" or \"sat,sun\"",
    ),
    (
        "time_zone = \"UTC\"\n[[team.override]]\nwho = [\"crew\"]\nfrom = \"2026-11-02T09:00\"\nuntil = \"2026-11-02T09:00\"",
        "6: team.name: nobody is ever on call: give [[team.shift]] or `fallback`",
    ),
    (
        "time_zone = \"UTC\"\nfallback = [\"crew\"]\n[[team.override]]\nwho = [\"crew\"]\nfrom = \"2026-11-02T09:00\"\nuntil = \"2026-11-02T09:00\"",
        "12: team.override.until: is not after `from`",
    ),
    (
        "time_zone = \"UTC\"\nfallback = [\"crew\"]\n[[team.override]]\nwho = [\"crew\"]\nfrom = \"9:00\"\nuntil = \"2026-11-02T09:00\"",
        "11: team.override.from: \"9:00\" is no local time; write for example \"2026-11-20T19:00\"",
    ),
];

#[test]
fn a_team_that_cannot_be_is_said_with_its_key() {
    for (keys, why) in WRONG_TEAMS {
        assert_eq!(said(&format!("{CREW}[[team]]\nname = \"one\"\n{keys}")), *why, "{keys}");
    }
}

#[test]
fn maintenance_that_cannot_be_is_said_with_its_key() {
    for (keys, why) in [
        ("", "1: `start` is missing in [[maintenance]]"),
        (
            "start = \"2026-11-22T02:00\"",
            "3: maintenance.start: when it ends is missing: give `end` or `duration`",
        ),
        (
            "start = 2026-11-22T02:00:00\nend = 2026-11-22T02:00:00",
            "4: maintenance.end: it ends before it begins",
        ),
        (
            "start = \"2026-11-22T02:00\"\nduration = \"32d\"",
            "4: maintenance.duration: maintenance lasts 31 days at most",
        ),
        (
            "start = \"2026-11-22T02:00\"\nduration = \"1h\"\nend = \"2026-11-22T03:00\"",
            "4: maintenance.duration: both `end` and `duration` are given; keep one of them",
        ),
        (
            "start = \"2026-11-22T02:00\"\nduration = \"1h\"\ndays = [\"sun\"]\nrule = \"FREQ=DAILY\"",
            "6: maintenance.rule: both `days` and `rule` are given; keep one of them",
        ),
        (
            "start = \"2026-11-22T02:00\"\nduration = \"1h\"\ndays = [\"sunday\"]",
            "5: maintenance.days: unknown value `sunday` (known values: mon, tue, wed, thu, fri, sat, sun)",
        ),
        (
            "start = \"2026-11-22T02:00\"\nduration = \"1h\"\nuntil = \"2026-12-31\"",
            "5: maintenance.until: is for what comes again: give `days`, for example [\"sun\"], or a `rule`",
        ),
        (
            "start = \"2026-11-22T02:00\"\nduration = \"1h\"\ndays = [\"sun\"]\nuntil = \"2026-11-21\"",
            "6: maintenance.until: is before the first date",
        ),
        (
            "start = \"2026-11-22T02:00\"\nduration = \"1h\"\nrule = \"FREQ=HOURLY\"",
            "5: maintenance.rule: it can come again each day, week, month or year, and not more often; write for example \"FREQ=MONTHLY;BYDAY=1SU\"",
        ),
        (
            "start = \"2026-11-22T02:00\"\nduration = \"1h\"\nrule = \"FREQ=DAILY\\nSUMMARY:x\"",
            "5: maintenance.rule: is more than one line of 500 bytes",
        ),
        (
            "start = \"2026-11-22T02:00\"\nduration = \"1h\"\nmatch = [\"x\"]",
            "5: maintenance.match: \"x\" is no matcher; write for example severity=\"critical\" or site=~\"arena-.*\"",
        ),
    ] {
        assert_eq!(said(&format!("[[maintenance]]\nname = \"one\"\n{keys}")), why, "{keys}");
    }
    right(
        "[[maintenance]]\nname = \"one\"\nstart = \"2026-11-22T02:00\"\nduration = \"1h\"\nrule = \"RRULE:FREQ=MONTHLY;BYDAY=1SU\"\nuntil = \"2027-01-01\"",
    );
}

#[test]
fn an_inhibition_is_read_or_said_with_its_key() {
    let policy = right(
        "[[inhibit]]\nsource = [\"alertname=UplinkDown\"]\ntarget = [\"component=stream\"]\nequal = [\"site\"]",
    );
    assert_eq!(
        format!("{:?}", policy.inhibitions[0]),
        r#"Inhibition { name: "inhibit 1", source: {alertname="UplinkDown"}, target: {component="stream"}, equal: ["site"] }"#
    );
    for (keys, why) in [
        (
            "source = []\ntarget = [\"a=b\"]",
            "2: inhibit.source: would match every alert; name a label that has to be there",
        ),
        (
            "source = [\"a=b\"]\ntarget = ['a=~\".*\"']",
            "3: inhibit.target: would match every alert; name a label that has to be there",
        ),
        (
            "source = [\"a=b\"]\ntarget = [\"a=c\"]\nequal = [\"a b\"]",
            "4: inhibit.equal: \"a b\" is no name of a label",
        ),
    ] {
        assert_eq!(said(&format!("[[inhibit]]\n{keys}")), why, "{keys}");
    }
}

#[test]
fn heartbeat_and_dead_man_are_read_or_said_with_their_key() {
    let text = format!(
        "{CREW}[notify]\nexternal_url = \"http://hub.example.org/\"\nheartbeat = {{ to = [\"crew\"] }}\ndead_man = {{ url = {{ env = \"U\" }} }}\n"
    );
    let policy = right(&text);
    assert_eq!(policy.external_url, "http://hub.example.org");
    assert_eq!(
        policy.heartbeat,
        Some(Heartbeat { every: 86_400_000, to: vec![Target::Receiver("crew".into())] })
    );
    assert_eq!(
        policy.dead_man,
        Some(DeadMan { url: Given::Elsewhere(secret("U")), every: 60_000, allow_plain: false })
    );
    for (keys, why) in [
        ("external_url = \"hub\"", "2: notify.external_url: begins with neither https:// nor http://"),
        ("heartbeat = { to = [] }", "2: notify.heartbeat.to: is empty; name one at least"),
        ("heartbeat = { to = [\"crew\"] }", "2: notify.heartbeat.to: there is no [[receiver]] for \"crew\""),
        (
            "heartbeat = { every = \"30s\", to = [\"crew\"] }",
            "2: notify.heartbeat.every: \"30s\" is too often; at least \"1m\"",
        ),
        (
            "dead_man = { url = \"http://a.example.org\" }",
            "2: notify.dead_man.url: goes over the network without encryption; write https://, or say `allow_plain = true` if that network is yours alone",
        ),
        (
            "dead_man = { url = \"https://a.example.org\", every = \"1s\" }",
            "2: notify.dead_man.every: \"1s\" is too often; at least \"10s\"",
        ),
    ] {
        assert_eq!(said(&format!("[notify]\n{keys}")), why, "{keys}");
    }
}

#[test]
fn places_that_tell_whether_the_hub_is_cut_off_are_read_or_said_with_their_key() {
    assert_eq!(right("").uplink, None);
    assert_eq!(right("[notify]\nuplink = []\n").uplink, Some(Vec::new()));
    let policy = right("[notify]\nuplink = [\"hub.example.org:443\", \"[2001:db8::1]:53\"]\n");
    assert_eq!(policy.uplink, Some(vec!["hub.example.org:443".to_owned(), "[2001:db8::1]:53".to_owned()]));
    for (keys, why) in [
        (
            "uplink = [\"hub.example.org\"]",
            "2: notify.uplink: \"hub.example.org\" is no place to try; write host:port",
        ),
        ("uplink = [\"a:0\"]", "2: notify.uplink: \"a:0\" is no place to try; write host:port"),
        (
            "uplink = [\"a:1\", \"a:2\", \"a:3\", \"a:4\", \"a:5\", \"a:6\", \"a:7\", \"a:8\", \"a:9\"]",
            "2: notify.uplink: names more than 8 places; one that answers is enough",
        ),
    ] {
        assert_eq!(said(&format!("[notify]\n{keys}")), why, "{keys}");
    }
}

#[test]
fn a_proxy_and_authorities_are_read_or_said_with_their_key() {
    let hook = "[[receiver]]\nname = \"hook\"\nkind = \"webhook\"\nurl = \"https://hub.example.org/\"\n";
    let policy = right(&format!(
        "{hook}proxy = \"none\"\nca = \"/etc/a.pem\"\n{CREW}proxy = {{ env = \"P\" }}\n[notify]\nproxy = \"http://proxy.example.org:3128\"\nca = \"/etc/b.pem\"\n"
    ));
    assert_eq!(policy.proxy, Some(Given::Here("http://proxy.example.org:3128".to_owned())));
    assert_eq!(
        (policy.ca, policy.receivers[0].ca.clone()),
        (Some("/etc/b.pem".into()), Some("/etc/a.pem".into()))
    );
    assert_eq!(policy.receivers[0].proxy, Proxying::Direct);
    assert_eq!(policy.receivers[1].proxy, Proxying::By(Given::Elsewhere(secret("P"))));
    assert_eq!(right(CREW).receivers[0].proxy, Proxying::AsNotify);
    let login = "has a login in it, which does not belong in this file; write { file = \"/path/of/the/secret\" } or { env = \"NAME\" }";
    assert_eq!(
        said("[notify]\nproxy = \"http://hub:hunter2@proxy.example.org:3128\""),
        format!("2: notify.proxy: {login}")
    );
    assert_eq!(
        said(&format!("{hook}proxy = \"proxy.example.org\"")),
        "5: receiver.proxy: does not begin with http://, which is how proxies are spoken to; write for example http://proxy.example.org:3128"
    );
    assert_eq!(
        said("[[receiver]]\nname = \"a\"\nkind = \"mqtt\"\ntopic = \"a\"\nproxy = \"none\""),
        "5: receiver.proxy: a receiver of kind \"mqtt\" has no such key; it takes topic, retain"
    );
}

/// Dates at the ends of what can be written: refused or taken, and then asked at any moment.
#[test]
fn no_date_is_too_far_away() {
    let zones = ["UTC", "Europe/Berlin", "America/Havana", "Pacific/Apia", "Asia/Kathmandu"];
    let dates = [
        "+262142-12-31T23:59",
        "-262143-01-01T00:00",
        "9999-12-31T23:59:59",
        "0000-01-01T00:00",
        "1970-01-01T00:00",
        "2026-03-29T02:30",
    ];
    let tables = [
        "[[team]]\nname = \"a\"\ntime_zone = \"ZONE\"\n[[team.shift]]\nwho = [\"crew\"]\nstart = \"DATE\"\nturn = \"36500d\"\n",
        "[[team]]\nname = \"a\"\ntime_zone = \"ZONE\"\n[[team.shift]]\nwho = [\"crew\"]\nstart = \"DATE\"\nturn = \"1d\"\nhours = [\"02:00-03:00\"]\n",
        "[[team]]\nname = \"a\"\ntime_zone = \"ZONE\"\nfallback = [\"crew\"]\n[[team.override]]\nwho = [\"crew\"]\nfrom = \"2026-01-01T00:00\"\nuntil = \"DATE\"\n",
        "[[team]]\nname = \"a\"\ntime_zone = \"ZONE\"\nfallback = [\"crew\"]\n[[team.override]]\nwho = [\"crew\"]\nfrom = \"DATE\"\nuntil = \"2026-01-01T00:00\"\n",
        "[[maintenance]]\nname = \"a\"\ntime_zone = \"ZONE\"\nstart = \"DATE\"\nduration = \"31d\"\ndays = [\"sun\"]\n",
        "[[maintenance]]\nname = \"a\"\ntime_zone = \"ZONE\"\nstart = \"DATE\"\nduration = \"31d\"\n",
        "[[maintenance]]\nname = \"a\"\ntime_zone = \"ZONE\"\nstart = \"DATE\"\nduration = \"31d\"\nrule = \"FREQ=YEARLY\"\n",
    ];
    let moments =
        [i64::MIN / 8, -62_167_219_200_001, 0, 1_795_176_000_000, 253_402_300_799_999, i64::MAX / 8];
    let mut taken = 0;
    for (zone, date) in zones.iter().flat_map(|zone| dates.map(|date| (zone, date))) {
        for table in tables {
            let text = format!("{CREW}{}", table.replace("ZONE", zone).replace("DATE", date));
            let Ok(policy) = policy(&text) else { continue };
            taken += 1;
            for now in moments {
                let _ = policy.remarks(&KnownSites::default(), now);
                let window = rackside_onair::Window { from: now, to: now + 1 };
                let times = policy.maintenance.iter().flat_map(|one| one.times(Zone::UTC, window));
                assert!(times.into_iter().all(|(from, to)| from <= now && now < to), "{text}");
            }
        }
    }
    assert!(taken > 100, "{taken} are taken");
}

/// The examples of the manual, as one file. Receivers that it only speaks of are added.
#[test]
fn what_the_manual_shows_can_be() {
    let manual = include_str!("../../../../../docs/notifications.md");
    let shown: String =
        manual.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    let others: String = ["phone", "first", "second", "third"]
        .map(|name| format!("[[receiver]]\nname = \"{name}\"\nkind = \"mqtt\"\ntopic = \"{name}\"\n"))
        .concat();
    let policy = right(&format!("{others}{shown}"));
    let names: Vec<&str> = policy.routes.iter().map(|route| &*route.name).collect();
    assert_eq!(names, ["on air", "else"]);
    assert_eq!((policy.teams.len(), policy.maintenance.len(), policy.inhibitions.len()), (1, 3, 1));
}
