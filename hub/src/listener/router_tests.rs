//! Tests of the router: its promises, one by one, without a socket.

use super::*;
use bytes::BytesMut;
use rackside_config::Span;
use rumqttc::mqttbytes::v4::{Packet, Publish};
use std::time::Duration;

struct Stage {
    router: Router,
    limits: Arc<Limits>,
    counters: Arc<Counters>,
    connections: u64,
    start: Instant,
}

struct Guest {
    name: Arc<str>,
    connection: u64,
    session: Arc<Session>,
    bell: Arc<Bell>,
    present: bool,
}

impl Stage {
    fn new(limits: Limits) -> Self {
        let (limits, counters) = (Arc::new(limits), Arc::new(Counters::default()));
        let router = Router::new(Arc::clone(&limits), Arc::clone(&counters), "rackside/json".into());
        Self { router, limits, counters, connections: 0, start: Instant::now() }
    }

    fn try_connect(&mut self, name: &str, clean: bool, will: Option<&str>) -> Result<Guest, Reason> {
        self.try_connect_as(Owner::User(None), None, name, clean, will)
    }

    /// `right`: the one filter that this user may read.
    fn try_connect_as(
        &mut self,
        owner: Owner,
        right: Option<&str>,
        name: &str,
        clean: bool,
        will: Option<&str>,
    ) -> Result<Guest, Reason> {
        self.connections += 1;
        let connection = self.connections;
        let bell = Arc::new(Bell::default());
        let will = will.map(|topic| Will {
            message: Message::new(topic, b"gone", Qos::AtLeastOnce),
            retain: true,
            ingest: false,
            connection,
        });
        let client_id = (!name.is_empty()).then(|| name.into());
        let greeting = Greeting {
            client_id,
            clean,
            will,
            connection,
            bell: Arc::clone(&bell),
            owner,
            rights: right.map(|right| Arc::new(Rights::new(&[right.to_owned()]))),
        };
        let Welcome { client_id, session, present, .. } = self.router.connect(greeting)?;
        Ok(Guest { name: client_id, connection, session, bell, present })
    }

    fn connect(&mut self, name: &str) -> Guest {
        self.try_connect(name, true, None).expect("there is room")
    }

    fn subscribe(&mut self, guest: &Guest, filter: &str, qos: Qos) -> Option<Qos> {
        self.router.subscribe(&guest.name, guest.connection, filter, qos)
    }

    fn publish(&mut self, topic: &str, payload: &str, retain: bool) {
        let publication = Publication { topic, payload: payload.as_bytes(), qos: Qos::AtLeastOnce, retain };
        if retain {
            self.router.keep_and_route([publication].into_iter());
        } else {
            self.router.route([publication].into_iter());
        }
    }

    fn taken(&self, guest: &Guest) -> Vec<Publish> {
        let mut out = Vec::new();
        guest.session.take(&guest.bell, &mut out, usize::MAX, &self.limits);
        let mut stream = BytesMut::from(&out[..]);
        let mut publishes = Vec::new();
        while let Ok(Packet::Publish(publish)) = Packet::read(&mut stream, 1 << 20) {
            publishes.push(publish);
        }
        publishes
    }

    fn heard(&self, guest: &Guest) -> Vec<(String, String, bool)> {
        let text = |publish: Publish| {
            (publish.topic, String::from_utf8_lossy(&publish.payload).into_owned(), publish.retain)
        };
        self.taken(guest).into_iter().map(text).collect()
    }

    fn leave(&mut self, guest: &Guest, goodbye: bool, after: u64) -> Option<Will> {
        let now = self.start + Duration::from_secs(after);
        self.router.disconnect(&guest.name, guest.connection, goodbye, now)
    }
}

fn entry(topic: &str, payload: &str, retained: bool) -> (String, String, bool) {
    (topic.into(), payload.into(), retained)
}

#[test]
fn overlapping_subscriptions_deliver_once_at_the_highest_qos() {
    let mut stage = Stage::new(Limits::default());
    let panel = stage.connect("panel");
    for (filter, qos) in [("a/#", Qos::AtMostOnce), ("a/+", Qos::AtLeastOnce), ("a/b", Qos::AtMostOnce)] {
        stage.subscribe(&panel, filter, qos);
    }
    stage.publish("a/b", "x", false);
    let taken = stage.taken(&panel);
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0].qos, rumqttc::QoS::AtLeastOnce);
}

#[test]
fn retained_messages_come_with_the_flag_on_subscribing_and_without_it_live() {
    let mut stage = Stage::new(Limits::default());
    stage.publish("a/b", "old", true);
    stage.publish("a/b", "kept", true);
    let panel = stage.connect("panel");
    stage.subscribe(&panel, "a/+", Qos::AtLeastOnce);
    stage.publish("a/b", "live", true);
    assert_eq!(stage.heard(&panel), [entry("a/b", "kept", true), entry("a/b", "live", false)]);
    stage.publish("a/b", "", true);
    assert_eq!(stage.heard(&panel), [entry("a/b", "", false)]);
    stage.subscribe(&panel, "a/+", Qos::AtLeastOnce);
    assert_eq!(stage.heard(&panel), []);
}

#[test]
fn a_retained_message_keeps_the_lower_of_both_qos() {
    let mut stage = Stage::new(Limits::default());
    stage.publish("a", "x", true);
    let panel = stage.connect("panel");
    stage.subscribe(&panel, "a", Qos::AtMostOnce);
    assert_eq!(stage.taken(&panel)[0].qos, rumqttc::QoS::AtMostOnce);
}

#[test]
fn wills_are_sent_on_breaks_and_not_after_a_goodbye() {
    let mut stage = Stage::new(Limits::default());
    let panel = stage.connect("panel");
    stage.subscribe(&panel, "will/#", Qos::AtLeastOnce);
    let polite = stage.try_connect("polite", true, Some("will/polite")).expect("room");
    let broken = stage.try_connect("broken", true, Some("will/broken")).expect("room");
    assert!(stage.leave(&polite, true, 1).is_none());
    assert!(stage.leave(&broken, false, 1).is_some());
    assert!(stage.leave(&broken, false, 1).is_none(), "only once");
    assert_eq!(stage.heard(&panel), [entry("will/broken", "gone", false)]);
    assert_eq!(stage.router.sizes().retained_messages, 1);
}

#[test]
fn a_take_over_closes_the_older_connection_and_sends_its_will_once() {
    let mut stage = Stage::new(Limits { clients: 2, ..Limits::default() });
    let panel = stage.connect("panel");
    stage.subscribe(&panel, "will/#", Qos::AtMostOnce);
    let first = stage.try_connect("rack", true, Some("will/rack")).expect("room");
    let second = stage.try_connect("rack", true, None).expect("a take-over needs no more room");
    assert_eq!(first.bell.closing(), Some(Closing::TakenOver));
    assert!(stage.leave(&first, false, 1).is_none());
    assert_eq!(stage.heard(&panel), [entry("will/rack", "gone", false)]);
    assert_eq!(stage.router.sizes().clients, 2);
    assert_eq!(stage.subscribe(&second, "x", Qos::AtMostOnce), Some(Qos::AtMostOnce));
    assert_eq!(stage.subscribe(&first, "x", Qos::AtMostOnce), None, "it no longer has the name");
}

#[test]
fn a_kept_session_waits_and_a_clean_one_does_not() {
    let mut stage = Stage::new(Limits::default());
    let kept = stage.try_connect("kept", false, None).expect("room");
    let clean = stage.connect("clean");
    for guest in [&kept, &clean] {
        stage.subscribe(guest, "a", Qos::AtLeastOnce);
        stage.leave(guest, true, 1);
    }
    stage.publish("a", "while away", false);
    let back = stage.try_connect("kept", false, None).expect("room");
    assert!(!kept.present && back.present);
    assert_eq!(stage.heard(&back), [entry("a", "while away", false)]);
    assert!(!stage.try_connect("clean", false, None).expect("room").present);
    stage.leave(&back, true, 2);
    let anew = stage.connect("kept");
    stage.publish("a", "x", false);
    assert!(!anew.present);
    assert_eq!(stage.heard(&anew), [], "a clean CONNECT forgot the subscription");
}

#[test]
fn sessions_of_clients_away_are_bounded_in_number_and_age() {
    let limits = Limits { sessions: 2, session_age: Span::seconds(10), ..Limits::default() };
    let mut stage = Stage::new(limits);
    for (second, name) in ["a", "b", "c"].into_iter().enumerate() {
        let guest = stage.try_connect(name, false, None).expect("room");
        stage.subscribe(&guest, "x/+", Qos::AtLeastOnce);
        stage.leave(&guest, true, second as u64);
    }
    assert_eq!(stage.router.sizes().sessions_away, 2);
    stage.router.expire(stage.start + Duration::from_millis(11_500));
    let sizes = stage.router.sizes();
    assert_eq!(
        (sizes.sessions_away, sizes.subscriptions),
        (2 - 1, 1),
        "b was away for more than 10 s, c was not"
    );
    assert!(stage.try_connect("c", false, None).expect("room").present);
    assert_eq!(stage.counters.of(Reason::SessionExpired), 2);
}

#[test]
fn clients_subscriptions_and_retained_messages_have_limits() {
    let limits = Limits { clients: 1, subscriptions: 2, retained_messages: 1, ..Limits::default() };
    let mut stage = Stage::new(limits);
    let guest = stage.connect("a");
    assert_eq!(stage.try_connect("b", true, None).err(), Some(Reason::TooManyClients));
    for (filter, granted) in [("1", true), ("2", true), ("3", false), ("2", true), ("a/#/b", false)] {
        assert_eq!(stage.subscribe(&guest, filter, Qos::AtMostOnce).is_some(), granted, "{filter}");
    }
    stage.router.unsubscribe(&guest.name, guest.connection, &["1".into(), "never".into()]);
    assert!(stage.subscribe(&guest, "3", Qos::AtMostOnce).is_some());
    stage.publish("a", "x", true);
    stage.publish("b", "x", true);
    assert_eq!(stage.counters.of(Reason::RetainedFull), 1);
    assert_eq!(stage.counters.of(Reason::Subscription), 2);
}

#[test]
fn the_mirror_is_wanted_while_a_filter_reaches_it() {
    let mut stage = Stage::new(Limits::default());
    let (first, second) = (stage.connect("first"), stage.connect("second"));
    stage.subscribe(&first, "rackside/1/#", Qos::AtMostOnce);
    assert!(!stage.router.mirror_wanted());
    stage.subscribe(&first, "rackside/json/#", Qos::AtMostOnce);
    stage.subscribe(&first, "rackside/json/#", Qos::AtLeastOnce);
    stage.subscribe(&second, "#", Qos::AtMostOnce);
    stage.router.unsubscribe(&first.name, first.connection, &["rackside/json/#".into()]);
    assert!(stage.router.mirror_wanted());
    stage.leave(&second, false, 1);
    assert!(!stage.router.mirror_wanted());
}

#[test]
fn clients_without_a_name_get_names_of_their_own() {
    let mut stage = Stage::new(Limits::default());
    let taken = stage.connect("unnamed-2");
    let (first, second) = (stage.connect(""), stage.connect(""));
    assert_eq!(stage.router.sizes().clients, 3);
    assert_eq!(taken.bell.closing(), None);
    assert_ne!(first.name, second.name);
}

#[test]
fn a_stuck_subscriber_takes_nothing_from_the_others() {
    let mut stage = Stage::new(Limits { queue_messages: 5, ..Limits::default() });
    let (stuck, well) = (stage.connect("stuck"), stage.connect("well"));
    stage.subscribe(&stuck, "a", Qos::AtMostOnce);
    stage.subscribe(&well, "a", Qos::AtMostOnce);
    for number in 0..20 {
        stage.publish("a", &number.to_string(), false);
        assert_eq!(stage.taken(&well).len(), 1);
    }
    assert_eq!(stage.taken(&stuck).len(), 5);
    assert_eq!(stage.counters.of(Reason::QueueFull), 15);
    assert_eq!(stuck.bell.closing(), None);
}

fn user(name: &str) -> Owner {
    Owner::User(Some(name.into()))
}

#[test]
fn a_reader_gets_its_part_live_and_retained_by_any_filter_and_wills_too() {
    let mut stage = Stage::new(Limits::default());
    stage.publish("rackside/json/north/data", "kept north", true);
    stage.publish("rackside/json/south/data", "kept south", true);
    let right = Some("rackside/json/north/#");
    let reader = stage.try_connect_as(user("desk"), right, "panel", true, None).expect("room");
    let all = stage.connect("all");
    for filter in ["#", "rackside/+/+/data", "rackside/json/south/data"] {
        for guest in [&reader, &all] {
            stage.subscribe(guest, filter, Qos::AtLeastOnce);
        }
    }
    let topics = |stage: &Stage, guest: &Guest| {
        let mut topics: Vec<_> = stage.taken(guest).into_iter().map(|publish| publish.topic).collect();
        topics.dedup();
        topics
    };
    assert_eq!(topics(&stage, &reader), ["rackside/json/north/data"]);
    assert_eq!(stage.taken(&all).len(), 5);
    let will = Some("rackside/json/south/gone");
    let broken = stage.try_connect("broken", true, will).expect("room");
    stage.router.disconnect(&broken.name, broken.connection, false, stage.start);
    stage.publish("rackside/json/south/data", "live", false);
    stage.publish("rackside/json/south/data", "live and kept", true);
    stage.publish("rackside/json/north/data", "live", false);
    assert_eq!(topics(&stage, &reader), ["rackside/json/north/data"]);
    assert_eq!(stage.taken(&all).len(), 4);
}

#[test]
fn a_client_id_in_use_and_a_session_that_is_kept_are_their_users_own() {
    let mut stage = Stage::new(Limits::default());
    let desk = stage.try_connect_as(user("desk"), None, "panel", false, None).expect("room");
    stage.subscribe(&desk, "#", Qos::AtLeastOnce);
    for owner in [user("hall"), Owner::User(None)] {
        assert_eq!(stage.try_connect_as(owner, None, "panel", true, None).err(), Some(Reason::ClientId));
    }
    assert_eq!(desk.bell.closing(), None, "it goes on");
    stage.router.disconnect(&desk.name, desk.connection, true, stage.start);
    stage.publish("home/lamp", "for desk", false);
    let hall = stage.try_connect_as(user("hall"), None, "panel", false, None).expect("nobody has it now");
    assert!(!hall.present);
    stage.publish("home/lamp", "for nobody", false);
    assert_eq!(stage.taken(&hall), []);
    assert_eq!(stage.router.sizes().subscriptions, 0);
    // Whoever has the certificate has its name, whoever is there: a box that has joined while its old self was connected by a password.
    let rack = stage.try_connect_as(Owner::Appliance, None, "panel", false, None).expect("its name");
    assert!(!rack.present);
    assert_eq!(hall.bell.closing(), Some(Closing::TakenOver));
}
