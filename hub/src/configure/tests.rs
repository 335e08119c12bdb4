use super::*;
use crate::config::Config;
use crate::identity::registrar;
use crate::inbound::Blocked;
use rackside_identity::asking::Box as Rack;
use rackside_identity::{End, Offer, make_code};
use rackside_proto::join::p256_point;
use rackside_proto::{Adopted, Message};
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use std::sync::atomic::{AtomicBool, Ordering};
use tempfile::TempDir;

fn name(appliance: &str) -> AgentName {
    AgentName::new("hall", appliance).expect("a name")
}

fn config(data: &TempDir) -> Config {
    Config { data: data.path().to_owned(), ..Config::default() }
}

/// A hub that `rack-1` has joined, and its authority's key.
fn hub() -> (TempDir, Configurations, Vec<u8>) {
    let data = tempfile::tempdir().expect("a temporary directory");
    let mut registrar = registrar(&config(&data)).expect("made");
    let (code, now) = (make_code(registrar.authority().fingerprint()), clock::now().utc_ms as i64);
    registrar.store().make_code(&code, &name("rack-1"), now).expect("made");
    let offer = Offer::new(vec!["mqtts://localhost:8883".to_owned()], String::new()).expect("an offer");
    registrar.answer(&Rack::default().ask(&code), &offer, now);
    let key = registrar.authority().key().to_vec();
    let configurations = open(&data);
    (data, configurations, key)
}

fn open(data: &TempDir) -> Configurations {
    let identities = Identities::open(&config(data)).expect("opened");
    Configurations::open(data.path(), identities).expect("opened")
}

fn look(configurations: &Configurations) -> Vec<(AgentName, Outbound)> {
    configurations.look(None, &Prefix::default()).expect("the file is well").1
}

fn revisions(sent: &[(AgentName, Outbound)]) -> Vec<u32> {
    let revision = |(_, sent): &(AgentName, Outbound)| match Message::decode(Channel::Config, &sent.payload) {
        Ok(Message::Config(_, configuration)) => configuration.revision,
        other => panic!("{other:?}"),
    };
    sent.iter().map(revision).collect()
}

fn says(configurations: &Configurations, adoption: Adoption) {
    configurations.ears().adopted(&mut vec![(name("rack-1"), adoption)]);
}

use crate::ingest::task::Watcher as _;

#[test]
fn what_is_published_is_signed_for_its_appliance_and_retained() {
    let (_data, configurations, key) = hub();
    let text = "tick = \"5s\"\n";
    assert_eq!(configurations.publish(&name("rack-1"), text).expect("taken"), 1);
    let sent = look(&configurations);
    let (of, message) = &sent[0];
    assert_eq!(
        (of, message.topic.as_str(), message.retain),
        (&name("rack-1"), "rackside/1/hall/rack-1/config", true)
    );
    let Ok(Message::Config(signed, configuration)) = Message::decode(Channel::Config, &message.payload)
    else {
        panic!("a configuration");
    };
    assert_eq!(configuration, Configuration { revision: 1, text });
    let checked = |appliance: &str| {
        let signed_text =
            [&b"rackside config 1\0hall/"[..], appliance.as_bytes(), b"\0", signed.content].concat();
        let point = p256_point(&key).expect("the authority's key");
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).verify(&signed_text, signed.signature).is_ok()
    };
    assert!(checked("rack-1") && !checked("rack-2"));
    assert_eq!(revisions(&look(&configurations)), [0_u32; 0], "once");
}

#[test]
fn what_must_not_travel_or_cannot_be_checked_is_not_taken() {
    let (_data, configurations, _) = hub();
    let said = |of: &str, text: &str| configurations.publish(&name(of), text).expect_err(text).to_string();
    assert!(
        said("rack-1", "[mqtt]\npassword = \"hunter2\"\n")
            .starts_with("the configuration:2: mqtt.password: ")
    );
    assert!(said("rack-1", "tick = ").starts_with("the configuration:1: "));
    assert_eq!(
        said("rack-2", ""),
        "hall/rack-2 has not joined, and takes no configuration: give it an identity with `rackside-hub join hall/rack-2`"
    );
    assert!(configurations.all().is_empty() && look(&configurations).is_empty());
}

#[test]
fn what_came_of_it_is_heard_and_outlasts_the_hub() {
    let (data, configurations, _) = hub();
    let rack = name("rack-1");
    let mut changes = configurations.changes();
    configurations.publish(&rack, "tick = \"5s\"\n").expect("taken");
    assert!(
        configurations.state(&rack).expect("known").is_pending()
            && changes.has_changed().expect("it is there")
    );
    look(&configurations);
    says(
        &configurations,
        Adoption::Became { revision: 1, adopted: Adopted::Refused, why: "line 1: tick".to_owned() },
    );
    changes.mark_unchanged();
    look(&configurations);
    assert!(changes.has_changed().expect("it is there"));
    drop(configurations);
    let configurations = open(&data);
    let outcome = configurations.state(&rack).expect("known");
    assert_eq!((outcome.state, outcome.why.as_str(), outcome.wanted), (State::Refused, "line 1: tick", 1));
    assert_eq!(revisions(&look(&configurations)), [1], "the listener has forgotten it");
    configurations.publish(&rack, "tick = \"6s\"\n").expect("taken");
    says(&configurations, Adoption::Runs { revision: 2, takes: true });
    look(&configurations);
    let outcome = configurations.state(&rack).expect("known");
    assert_eq!((outcome.state, outcome.applied), (State::Applied, 2));
}

#[test]
fn who_is_born_without_it_gets_it_again_and_a_stranger_leaves_nothing() {
    let (_data, configurations, _) = hub();
    says(&configurations, Adoption::Runs { revision: 0, takes: true });
    assert!(look(&configurations).is_empty());
    configurations.publish(&name("rack-1"), "").expect("taken");
    assert_eq!(revisions(&look(&configurations)), [1]);
    says(&configurations, Adoption::Runs { revision: 0, takes: true });
    assert_eq!(revisions(&look(&configurations)), [1]);
    says(&configurations, Adoption::Runs { revision: 1, takes: true });
    assert!(look(&configurations).is_empty());
    let stranger = Adoption::Runs { revision: 9, takes: true };
    configurations.ears().adopted(&mut vec![(name("rack-9"), stranger)]);
    look(&configurations);
    assert_eq!(configurations.state(&name("rack-9")), None);
}

#[test]
fn the_command_lines_change_is_sent_and_the_retired_are_forgotten() {
    let (data, configurations, _) = hub();
    let rack = name("rack-1");
    let (version, _) = configurations.look(None, &Prefix::default()).expect("well");
    let now = clock::now().utc_ms as i64;
    Store::open(data.path()).expect("opened").want(&rack, "tick = \"5s\"\n", now).expect("written");
    let (_, sent) = configurations.look(Some(version), &Prefix::default()).expect("well");
    assert_eq!(revisions(&sent), [1]);
    drop(configurations);
    registrar(&config(&data)).expect("opened").store().end(&rack, End::Retired, false, now).expect("ended");
    let configurations = open(&data);
    assert!(look(&configurations).is_empty());
    assert_eq!((configurations.state(&rack), configurations.wanted(&rack)), (None, Ok(None)));
}

/// A way that is blocked at first.
#[derive(Default)]
struct Way {
    open: AtomicBool,
    sent: Mutex<Vec<(AgentName, Outbound)>>,
}

impl Outlet for Way {
    fn send(&self, message: Outbound) -> Result<(), Blocked> {
        if !self.open.swap(true, Ordering::Relaxed) {
            return Err(Blocked);
        }
        self.sent.lock().expect("nobody panics with it").push((name("rack-1"), message));
        Ok(())
    }

    fn mirror_wanted(&self) -> bool {
        false
    }
}

#[tokio::test]
async fn what_a_broken_way_did_not_take_is_sent_again() {
    let (_data, configurations, _) = hub();
    let way = Arc::new(Way::default());
    let (stop, asked) = watch::channel(false);
    let outlet: Arc<dyn Outlet> = Arc::<Way>::clone(&way);
    let keeping = tokio::spawn(configurations.clone().keep(outlet, Prefix::default(), asked));
    tokio::task::spawn_blocking(move || configurations.publish(&name("rack-1"), "tick = \"5s\"\n"))
        .await
        .expect("it ends")
        .expect("taken");
    let end = clock::now().instant + Duration::from_secs(20);
    while way.sent.lock().expect("nobody panics with it").is_empty() && clock::now().instant < end {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(revisions(&way.sent.lock().expect("nobody panics with it")), [1]);
    stop.send_replace(true);
    keeping.await.expect("it ends with the hub");
}
