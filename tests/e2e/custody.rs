//! Nothing is lost and nothing counts twice, whatever ends in between: the broker, its memory, the hub.

use crate::complete::{RACK, RECOVERY, expect_complete, has_reading, records};
use rackside_tests::agent::{Agent, AgentOptions};
use rackside_tests::clock;
use rackside_tests::forgetful::ForgetfulBroker;
use rackside_tests::hub::{Hub, Way};
use rackside_tests::ledger::Ledger;
use rackside_tests::mosquitto::Mosquitto;
use rackside_tests::proxy::Proxy;
use std::time::Duration;

/// How long something is away: longer than a tick, so that records wait.
const AWAY: Duration = Duration::from_secs(4);

#[test]
fn a_broker_restarted_costs_nothing() {
    let mut broker = Mosquitto::start();
    let hub = Hub::by(Way::Broker(broker.address()));
    let ledger = Ledger::start(broker.address(), RACK.0, RACK.1);
    let _agent = Agent::start(&AgentOptions::new(RACK.0, RACK.1, broker.address()));
    hub.expect("a reading", RECOVERY, RACK, has_reading);
    expect_complete(&hub, &ledger, 2);
    broker.stop();
    std::thread::sleep(AWAY);
    broker.come_up();
    hub.expect("up again", RECOVERY, RACK, |said| (said["up"] == true).then_some(()));
    expect_complete(&hub, &ledger, 2 + AWAY.as_secs());
}

#[test]
fn a_broker_that_drops_after_puback_costs_nothing() {
    let broker = Mosquitto::start();
    let hub = Hub::by(Way::Broker(broker.address()));
    let ledger = Ledger::start(broker.address(), RACK.0, RACK.1);
    let forgetful = ForgetfulBroker::before(broker.address(), &["data", "event"]);
    let agent = Agent::start(&AgentOptions::new(RACK.0, RACK.1, forgetful.address()));
    hub.expect("a reading", RECOVERY, RACK, has_reading);
    expect_complete(&hub, &ledger, 2);
    forgetful.forget(true);
    let forgot = clock::eventually(RECOVERY, || (forgetful.forgotten() >= 4).then_some(()));
    assert!(forgot.is_some(), "the agent publishes\n{}", agent.last_words());
    let had = ledger.only_run().below;
    forgetful.forget(false);
    expect_complete(&hub, &ledger, had + 4);
    assert!(ledger.only_run().resent > 0, "what was forgotten was sent once more");
}

#[test]
fn a_broker_that_forgets_the_catalog_is_told_it_again() {
    let broker = Mosquitto::start();
    let hub = Hub::by(Way::Broker(broker.address()));
    let ledger = Ledger::start(broker.address(), RACK.0, RACK.1);
    let forgetful = ForgetfulBroker::before(broker.address(), &["data", "birth"]);
    forgetful.forget(true);
    let agent = Agent::start(&AgentOptions::new(RACK.0, RACK.1, forgetful.address()));
    // The birth, the catalog and a reading.
    let forgot = clock::eventually(RECOVERY, || (forgetful.forgotten() >= 3).then_some(()));
    assert!(forgot.is_some(), "the agent publishes\n{}", agent.last_words());
    forgetful.forget(false);
    hub.expect("a reading", RECOVERY, RACK, has_reading);
    expect_complete(&hub, &ledger, 3);
}

#[test]
fn a_hub_restarted_behind_a_link_that_stays_up_costs_nothing() {
    let broker = Mosquitto::start();
    let mut hub = Hub::by(Way::Broker(broker.address()));
    let ledger = Ledger::start(broker.address(), RACK.0, RACK.1);
    let link = Proxy::to(broker.address());
    let _agent = Agent::start(&AgentOptions::new(RACK.0, RACK.1, link.address()));
    hub.expect("a reading", RECOVERY, RACK, has_reading);
    expect_complete(&hub, &ledger, 3);
    hub.restart();
    let before = ledger.only_run().below;
    hub.expect("a reading at the new hub", RECOVERY, RACK, has_reading);
    let mut told = String::new();
    let complete = clock::eventually(RECOVERY, || {
        let (taken, _, lost) = records(&hub.appliance(RACK.0, RACK.1)?);
        let below = ledger.only_run().below;
        told = format!(
            "taken {taken} by the new hub, lost {lost}, acknowledged below {before} before and {below} now"
        );
        assert_eq!(lost, 0, "{told}");
        // Everything since the old hub's last ack; the catalog once more, if it was asked for.
        (below >= before + 3 && (below - before..=below - before + 1).contains(&taken)).then_some(())
    });
    assert!(complete.is_some(), "{told}\n{}", hub.last_words());
    assert_eq!(link.connections(), 1, "the agent's link was never down");
}

#[test]
fn a_hub_restarted_with_its_own_listener_gets_its_agents_back() {
    let mut hub = Hub::start();
    let ledger = Ledger::start(hub.mqtt(), RACK.0, RACK.1);
    let _agent = Agent::start(&AgentOptions::new(RACK.0, RACK.1, hub.mqtt()));
    hub.expect("a reading", RECOVERY, RACK, has_reading);
    expect_complete(&hub, &ledger, 2);
    hub.restart();
    let before = ledger.only_run().below;
    hub.expect("up again", RECOVERY, RACK, |said| (said["up"] == true).then(|| has_reading(said)).flatten());
    let acked = clock::eventually(RECOVERY, || (ledger.only_run().below > before + 2).then_some(()));
    assert!(acked.is_some(), "acks go on\n{}", hub.last_words());
    let (_, _, lost) = records(&hub.appliance(RACK.0, RACK.1).expect("it is there"));
    assert_eq!(lost, 0);
}

#[test]
fn a_link_cut_again_and_again_costs_nothing() {
    let hub = Hub::start();
    let ledger = Ledger::start(hub.mqtt(), RACK.0, RACK.1);
    let link = Proxy::to(hub.mqtt());
    let agent = Agent::start(&AgentOptions::new(RACK.0, RACK.1, link.address()));
    hub.expect("a reading", RECOVERY, RACK, has_reading);
    for _ in 0..5 {
        link.cut();
        std::thread::sleep(Duration::from_millis(300));
        let before = link.connections();
        link.heal();
        // How long it waits is drawn from a range that grows with each failure: up to 30 s.
        let back = clock::eventually(RECOVERY, || (link.connections() > before).then_some(()));
        assert!(back.is_some(), "it came back each time\n{}", agent.last_words());
        std::thread::sleep(Duration::from_millis(500));
    }
    expect_complete(&hub, &ledger, 8);
    assert!(link.connections() > 5, "one connection at least for each cut");
}
