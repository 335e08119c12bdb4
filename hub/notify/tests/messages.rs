//! Messages as a whole: how many alerts they spell out, those that no alert is behind, and that they outlast the disk.

use rackside_alerting::{Cause, Life, State as Stage};
use rackside_notify::config::Tables;
use rackside_notify::{
    Gone, Held, Kind, MOST_ALERTS, MOST_SITES, Matchers, Message, NewMute, Notifier, Observed, Outgoing,
    Policy, Severity, SiteFacts, Status, Trial, Uplink, World,
};
use rackside_onair::Zone;
use rackside_promql::Labels;

/// A world in which all is well; at s000 an appliance may be being set up.
struct Well {
    is_setting_up: bool,
}

const WELL: Well = Well { is_setting_up: false };

impl World for Well {
    fn site(&self, site: &str) -> Option<SiteFacts> {
        Some(SiteFacts { id: site.to_owned(), ..SiteFacts::default() })
    }
    fn tags(&self, _: &str) -> Vec<String> {
        Vec::new()
    }
    fn zone(&self, _: &str) -> Zone {
        Zone::UTC
    }
    fn on_air(&self, _: &str) -> bool {
        true
    }
    fn is_up(&self, _: &str, _: &str) -> Option<bool> {
        Some(true)
    }
    fn is_being_set_up(&self, site: &str, _: &str) -> bool {
        self.is_setting_up && site == "s000"
    }
    fn gone(&self) -> Vec<Gone> {
        Vec::new()
    }
    fn fleet(&self) -> usize {
        1_000
    }
    fn uplink(&self) -> Uplink {
        Uplink::Well
    }
    fn query(&self, alert: &str) -> String {
        format!("{alert} > 75")
    }
}

fn notifier(more: &str) -> Notifier {
    let text = format!(
        "[[receiver]]\nname = \"crew\"\nkind = \"webhook\"\nurl = \"https://hub.example.org/crew\"\n\
         [[receiver]]\nname = \"other\"\nkind = \"alertmanager\"\nurls = [\"https://alertmanager.example.org\"]\n\
         [[route]]\nname = \"all\"\nto = [\"crew\"]\ngroup_by = []\ngroup_wait = \"0s\"\n{more}"
    );
    let tables: Tables = toml::from_str(&text).expect("it is TOML");
    Notifier::new(Policy::new(&tables).expect("it is a policy"))
}

fn fire(notifier: &mut Notifier, count: usize, value: f64) {
    for number in 0..count {
        let (site, severity) = (format!("s{number:03}"), if number == 7 { "critical" } else { "warning" });
        let pairs = [("alertname", "SocHot"), ("site", site.as_str()), ("severity", severity)];
        let life = Life { state: Stage::Firing, fired_at: Some(0), ..Life::begin(0) };
        let labels = Labels::new(pairs);
        let annotations = [].into();
        notifier.told(&Observed { at: 0, labels, annotations, value, life, cause: Cause::Result }, &WELL);
    }
}

fn only(outgoing: &[Outgoing]) -> &Message {
    assert_eq!(outgoing.len(), 1, "{outgoing:?}");
    &outgoing[0].message
}

#[test]
fn a_message_spells_out_a_hundred_and_counts_the_others() {
    let mut notifier = notifier("");
    fire(&mut notifier, 130, 78.5);
    let out = notifier.step(0, &WELL);
    let message = only(&out);
    assert_eq!((message.alerts.len(), message.truncated, message.firing), (MOST_ALERTS, 30, 130));
    assert_eq!((message.sites.len(), message.site_count), (MOST_SITES, 130));
    let first = &message.alerts[0];
    assert_eq!((first.severity, first.labels["site"].as_str()), (Severity::Critical, "s007"));
    assert_eq!((first.on_air, first.query.as_str()), (Some(true), "SocHot > 75"));
}

#[test]
fn an_alertmanager_is_told_of_every_alert() {
    let mut notifier = notifier("[[route.escalate]]\nafter = \"1m\"\nto = [\"other\"]\n");
    fire(&mut notifier, 130, 78.5);
    notifier.step(0, &WELL);
    let out = notifier.step(60_000, &WELL);
    let alerts: Vec<usize> = out.iter().map(|outgoing| outgoing.message.alerts.len()).collect();
    assert_eq!((alerts, out[0].receiver.as_ref(), out[0].message.escalation), (vec![100, 30], "other", 1));
    assert!(out[0].message.id < out[1].message.id);
}

#[test]
fn a_message_is_the_same_after_the_disk_whatever_its_value() {
    for value in [78.5, f64::INFINITY, f64::NEG_INFINITY, 0.1 + 0.2] {
        let mut notifier = notifier("");
        fire(&mut notifier, 3, value);
        let out = notifier.step(0, &WELL);
        let message = only(&out);
        let json = serde_json::to_string(message).expect("JSON can be written");
        assert_eq!(&serde_json::from_str::<Message>(&json).expect("its own writing"), message);
        let bytes = postcard::to_allocvec(message).expect("bytes can be written");
        assert_eq!(&postcard::from_bytes::<Message>(&bytes).expect("its own writing"), message);
    }
}

#[test]
fn still_watching_comes_every_so_often_over_restarts_as_well() {
    let heartbeat = "[notify]\nheartbeat = { every = \"1h\", to = [\"crew\"] }\n";
    let mut watching = notifier(heartbeat);
    fire(&mut watching, 2, 1.0);
    assert_eq!(only(&watching.step(1_000, &WELL)).kind, Kind::Alerts);
    let bytes = watching.save();
    let mut watching = notifier(heartbeat);
    watching.restore(&bytes).expect("what was saved can be restored");
    let mut beats = Vec::new();
    let mut now = 2_000;
    while now < 3 * 3_600_000 {
        let out = watching.step(now, &WELL);
        beats.extend(
            out.into_iter()
                .filter(|it| it.message.kind == Kind::Heartbeat)
                .map(|it| (now, it.message.firing)),
        );
        now = watching.due().expect("there is a next one");
    }
    assert_eq!(beats, [(3_601_000, 2), (7_201_000, 2)]);
}

#[test]
fn a_test_goes_to_whom_an_alert_would() {
    let mut notifier = notifier("");
    for trial in [Trial::Receiver("crew".to_owned()), Trial::Route("all".to_owned())] {
        let out = notifier.test(&trial, 5, &WELL).expect("there is such a one");
        let message = only(&out);
        assert_eq!(
            (message.kind, message.status, out[0].receiver.as_ref()),
            (Kind::Test, Status::Firing, "crew")
        );
    }
    assert_eq!(notifier.test(&Trial::Route("none".to_owned()), 5, &WELL), None);
    assert!(
        notifier.step(6, &WELL).is_empty() && notifier.alerts().next().is_none(),
        "nothing is left of it"
    );
}

#[test]
fn why_nobody_is_told_is_kept_with_the_alert() {
    let quiet = "quiet = [\"00:00-23:00\"]\nmatch = [\"site!=s002\"]\n";
    let mut notifier = notifier(quiet);
    let new = NewMute {
        matchers: Matchers::read(["site=s001"]).expect("a matcher"),
        starts_at: None,
        ends_at: 60_000,
        by: "desk".to_owned(),
        comment: "work".to_owned(),
    };
    let mute = notifier.mute(new, 0).expect("a mute that can be");
    fire(&mut notifier, 3, 1.0);
    assert!(notifier.step(0, &WELL).is_empty());
    let held = |site: &str| {
        let booked = notifier.alerts().find(|booked| booked.site() == site);
        booked.and_then(|booked| booked.held.clone())
    };
    assert_eq!(held("s000"), Some(Held::Quiet(23 * 3_600_000)));
    assert_eq!(held("s001"), Some(Held::Muted(mute)));
    assert_eq!(held("s002"), Some(Held::NotRouted));
}

#[test]
fn nobody_is_told_of_what_is_being_set_up_until_it_is_in_service() {
    let mut notifier = notifier("group_interval = \"30s\"\n");
    fire(&mut notifier, 2, 1.0);
    let out = notifier.step(0, &Well { is_setting_up: true });
    let sites = |message: &Message| -> Vec<String> {
        message.alerts.iter().map(|entry| entry.labels["site"].clone()).collect()
    };
    assert_eq!(sites(only(&out)), ["s001"], "the other site is told of");
    let held =
        notifier.alerts().find(|booked| booked.site() == "s000").and_then(|booked| booked.held.clone());
    assert_eq!(held, Some(Held::Commissioning));
    assert!(notifier.step(30_000, &Well { is_setting_up: true }).is_empty());
    let mut restored = Notifier::new(Policy::default());
    restored.restore(&notifier.save()).expect("it is what was saved");
    assert_eq!(restored.save(), notifier.save());
    let out = notifier.step(60_000, &WELL);
    assert_eq!(sites(only(&out)), ["s000", "s001"]);
}
