//! The gate against whoever would like to be the hub, and against the hub's own commands at the wrong time.

use super::*;
use crate::clock::{Clock, Moment};
use crate::join::Identity;
use crate::join::signed::HubKey;
use crate::join::tests::joined;
use rackside_identity::Registrar;
use rackside_proto::{Action, AgentName, COMMAND_LABEL, CONFIG_LABEL, Command, Refused, Run, Signed};
use std::time::Duration;

const RUN: Run = Run(7);
const NOW: u64 = 1_795_219_200_000;
const ALL: Capabilities = Capabilities(
    Capabilities::IDENTIFY.0 | Capabilities::PROBE.0 | Capabilities::LOG.0 | Capabilities::MUTE.0,
);

struct World {
    identity: Identity,
    hub: Registrar,
    gate: Gate,
    moment: Moment,
}

/// A command that is all right, but for what a test changes.
fn command(id: u64) -> Command<'static> {
    let action = Action::Identify { seconds: 30 };
    Command { run: RUN, id, issued_ms: NOW, expires_ms: NOW + 30_000, by: "anna", action }
}

fn content(command: &Command<'_>) -> Vec<u8> {
    let mut content = Vec::new();
    command.encode(&mut content).expect("within bounds");
    content
}

fn body(signature: &[u8], content: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    Signed { signature, content }.encode(&mut body).expect("a signature is small");
    body
}

impl World {
    fn new() -> Self {
        let (identity, hub) = joined(vec!["mqtts://hub.example.org".to_owned()]);
        let gate = Gate::new(HubKey::of(&identity), ALL);
        let moment = Moment {
            now: Clock::now(),
            boot_ms: 60_000,
            boot: 1,
            utc_ms: NOW + 1000,
            synchronised: Some(true),
            known: true,
            disciplined: true,
            doubt: None,
        };
        Self { identity, hub, gate, moment }
    }

    fn signed(&self, command: &Command<'_>) -> Vec<u8> {
        let content = content(command);
        body(&self.hub.authority().sign(COMMAND_LABEL, &self.identity.name, &content), &content)
    }

    /// What comes of it, as far as it can be compared.
    fn hear(&mut self, body: &[u8]) -> Result<u64, Option<Refused>> {
        let name = self.identity.name.clone();
        match self.gate.hear(body, &name, RUN, &self.moment) {
            Heard::Do(command) => Ok(command.id),
            Heard::Refuse(_, why) => Err(Some(why)),
            Heard::Ignore => Err(None),
        }
    }

    fn later(&mut self, by: Duration) {
        self.moment.now += by;
        self.moment.utc_ms += by.as_millis() as u64;
    }
}

#[test]
fn a_command_of_the_hub_is_done() {
    let mut world = World::new();
    let body = world.signed(&command(NOW));
    let name = world.identity.name.clone();
    assert_eq!(world.gate.hear(&body, &name, RUN, &world.moment), Heard::Do(command(NOW)));
    assert_eq!(world.gate.refused(), Some(0));
}

#[test]
fn nobody_else_can_make_one() {
    let mut world = World::new();
    let (_, stranger) = joined(vec!["mqtts://hub.example.org".to_owned()]);
    let (name, made) = (world.identity.name.clone(), content(&command(NOW)));
    let other = AgentName::new("arena-north", "rack-2").expect("a name");
    let hub = world.hub.authority();
    let mut longer = made.clone();
    *longer.last_mut().expect("seconds") = 31;
    let good = hub.sign(COMMAND_LABEL, &name, &made);
    let forged = [
        body(&stranger.authority().sign(COMMAND_LABEL, &name, &made), &made),
        body(&hub.sign(COMMAND_LABEL, &other, &made), &made),
        body(&hub.sign(CONFIG_LABEL, &name, &made), &made),
        body(&good, &longer),
        body(&[0x30; 8], &made),
        made.clone(),
        Vec::new(),
        vec![0xff; 100],
    ];
    for (nth, forged) in (1..).zip(&forged) {
        assert_eq!(world.hear(forged), Err(None));
        assert_eq!(world.gate.refused(), Some(nth));
    }
    assert_eq!(world.hear(&body(&good, &made)), Ok(NOW), "what was forged has used up no number");
}

#[test]
fn one_that_comes_again_or_too_late_is_not_done() {
    let mut world = World::new();
    let (first, second, third) =
        (world.signed(&command(NOW)), world.signed(&command(NOW + 1)), world.signed(&command(NOW + 2)));
    assert_eq!(world.hear(&second), Ok(NOW + 1));
    assert_eq!(world.hear(&second), Err(None), "delivered twice");
    assert_eq!(world.hear(&first), Err(None), "kept back until a later one was there");
    world.later(Duration::from_millis(28_999));
    assert_eq!(world.hear(&third), Ok(NOW + 2), "the last moment");
    let fourth = world.signed(&command(NOW + 3));
    world.later(Duration::from_millis(1));
    assert_eq!(world.hear(&fourth), Err(Some(Refused::Expired)));
    assert_eq!(world.gate.refused(), Some(3));
}

#[test]
fn a_later_start_does_not_do_what_an_earlier_one_was_told() {
    let mut world = World::new();
    let old = world.signed(&Command { run: Run(6), ..command(NOW) });
    assert_eq!(world.hear(&old), Err(Some(Refused::OtherRun)));
    let mine = world.signed(&command(NOW));
    assert_eq!(world.hear(&mine), Ok(NOW));
    let mut again = World { gate: Gate::new(HubKey::of(&world.identity), ALL), ..world };
    let name = again.identity.name.clone();
    let heard = again.gate.hear(&mine, &name, Run(8), &again.moment);
    assert_eq!(heard, Heard::Refuse(NOW, Refused::OtherRun), "after a restart");
    assert_eq!(again.hear(&mine), Ok(NOW), "by the run alone it is told, which the disk does not know");
}

#[test]
fn without_a_clock_the_hubs_time_counts_on() {
    let mut world = World::new();
    (world.moment.known, world.moment.utc_ms) = (false, 1000);
    let made = world.signed(&command(NOW));
    assert_eq!(world.hear(&made), Err(Some(Refused::NoClock)));
    world.gate.hub_said(NOW, world.moment.now);
    world.later(Duration::from_secs(29));
    assert_eq!(world.hear(&made), Ok(NOW), "one that came before anybody knew the time is still good");
    world.later(Duration::from_secs(1));
    let next = world.signed(&command(NOW + 1));
    assert_eq!(world.hear(&next), Err(Some(Refused::Expired)));
}

#[test]
fn the_venue_has_the_last_word() {
    let mut world = World::new();
    world.gate.configure(HubKey::of(&world.identity), Capabilities::LOG.with(Capabilities::PROBE));
    let identify = world.signed(&command(NOW));
    assert_eq!(world.hear(&identify), Err(Some(Refused::Forbidden)));
    assert_eq!(world.hear(&identify), Err(None), "nobody is answered twice");
    let log = world.signed(&Command { action: Action::Log, ..command(NOW + 1) });
    assert_eq!(world.hear(&log), Ok(NOW + 1));
    assert!(!world.gate.accepts().has(Capabilities::IDENTIFY) && world.gate.accepts().has(Capabilities::LOG));
}

#[test]
fn a_kind_that_is_newer_than_this_agent_is_told_as_such() {
    let mut world = World::new();
    let mut made = content(&Command { action: Action::Log, ..command(NOW) });
    *made.last_mut().expect("the action") = 99;
    let name = world.identity.name.clone();
    let newer = body(&world.hub.authority().sign(COMMAND_LABEL, &name, &made), &made);
    assert_eq!(world.hear(&newer), Err(Some(Refused::Unknown)));
}

#[test]
fn a_box_that_has_not_joined_believes_nobody() {
    let mut world = World::new();
    world.gate.configure(None, ALL);
    let made = world.signed(&command(NOW));
    assert_eq!(world.hear(&made), Err(None));
    assert_eq!((world.gate.accepts(), world.gate.refused()), (Capabilities::default(), None));
}

#[test]
fn a_flood_costs_so_many_signatures_and_no_more() {
    let mut world = World::new();
    for _ in 0..20 {
        assert_eq!(world.hear(&[0xff; 100]), Err(None));
    }
    let made = world.signed(&command(NOW));
    assert_eq!(world.hear(&made), Err(None), "nobody looks at it");
    world.later(Duration::from_secs(10));
    assert_eq!(world.hear(&made), Ok(NOW));
    assert_eq!(world.gate.refused(), Some(21));
}

#[test]
fn what_waits_is_bounded() {
    let mut commands = Commands::new(World::new().gate);
    for byte in 0..6 {
        commands.put(&[byte]);
        commands.reply(vec![byte]);
    }
    let inbox: Vec<Vec<u8>> = std::iter::from_fn(|| commands.take()).collect();
    let outbox: Vec<Vec<u8>> = std::iter::from_fn(|| commands.take_reply()).collect();
    assert_eq!(
        (inbox, outbox),
        (vec![vec![0], vec![1], vec![2], vec![3]], vec![vec![2], vec![3], vec![4], vec![5]])
    );
    assert_eq!(commands.gate.refused(), Some(2));
}
