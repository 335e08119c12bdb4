//! Random histories: appliances that come and go, refuse, roll back, alert and go on air, a hub that is killed between any two steps,
//! and somebody who stops the roll-out. Whatever happens, the promises of `roll_out.rs` hold.

use proptest::prelude::*;
use rackside_proto::AgentName;
use rackside_rollout::{Alarm, Begun, Book, Outcome, RollOut, Sight, Stages, State, Step, Wanted};
use std::collections::BTreeMap;

const STEP: i64 = 30_000;

/// What happens to an appliance.
#[derive(Debug, Clone)]
enum Event {
    Up(bool),
    Off(bool),
    OnAir(bool),
    Answer(u8),
    Alert(bool),
    Calm,
    /// The hub is killed after having told this many, and writes of none of them what became of it.
    Killed(usize),
    Stop,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => any::<bool>().prop_map(Event::Up),
        1 => any::<bool>().prop_map(Event::Off),
        2 => any::<bool>().prop_map(Event::OnAir),
        6 => prop_oneof![20 => Just(0_u8), 1 => Just(1_u8), 1 => Just(2_u8)].prop_map(Event::Answer),
        1 => any::<bool>().prop_map(Event::Alert),
        2 => Just(Event::Calm),
        1 => (0_usize..5).prop_map(Event::Killed),
        1 => Just(Event::Stop),
    ]
}

fn rack(number: usize) -> AgentName {
    AgentName::new("hall", &format!("rack-{number:03}")).expect("a name")
}

struct World {
    book: Book,
    roll_out: RollOut,
    sights: BTreeMap<AgentName, Sight>,
    /// How often each was told, for real.
    told: BTreeMap<AgentName, u32>,
    now: i64,
}

impl World {
    fn new(directory: &std::path::Path, count: usize, stages: &str) -> Self {
        let mut book = Book::open(directory).expect("opens");
        let stages: Stages = stages.parse().expect("stages");
        let texts =
            (0..count).map(|at| (rack(at), format!("x = {}\n", at % 3), "x = 9\n".to_owned())).collect();
        let wanted = Wanted {
            back_of: None,
            by: "desk".to_owned(),
            stages,
            wait: 300_000,
            on_air_too: false,
            texts,
            snapshot: None,
        };
        assert_eq!(book.begin(&wanted, 0).expect("writes"), Begun::Yes(1));
        let roll_out = book.newest().expect("reads").expect("there is one");
        let sights = (0..count).map(|at| (rack(at), Sight { is_up: true, ..Sight::default() })).collect();
        Self { book, roll_out, sights, told: BTreeMap::new(), now: 0 }
    }

    fn pass(&mut self, event: Option<&Event>) -> Result<(), TestCaseError> {
        let killed_after = if let Some(Event::Killed(after)) = event { Some(*after) } else { None };
        let before = self.roll_out.clone();
        if matches!(event, Some(Event::Stop)) {
            self.roll_out.stop("desk", self.now);
        }
        let stage_before = before.stage;
        let stopped = !self.roll_out.is_running();
        let went_wrong = before.members.iter().any(|member| matches!(member.step, Step::Failed { .. }));
        let orders = self.roll_out.step(self.now, |name| self.sights[name].clone());
        prop_assert!(!went_wrong || orders.is_empty(), "nobody is told after a failure");
        prop_assert!(!stopped || orders.is_empty(), "nobody is told after the end");
        let goes_wrong =
            self.roll_out.members.iter().any(|member| matches!(member.step, Step::Failed { .. }));
        prop_assert!(!goes_wrong || orders.is_empty(), "nor in the same pass");
        prop_assert!(!goes_wrong || !self.roll_out.is_running());
        // Who is chosen is written before anybody is told.
        self.book.keep(&before, &self.roll_out).expect("writes");
        let before = self.roll_out.clone();
        for (at, order) in orders.iter().enumerate() {
            let sight = self.sights.get_mut(&order.name).expect("it is there");
            prop_assert!(!sight.is_on_air, "nobody on air is told");
            let times = self.told.entry(order.name.clone()).or_default();
            *times += 1;
            // A new revision: what was said of the one before is not about it.
            (sight.revision, sight.outcome) = (*times, Outcome::Pending);
            let sight = sight.clone();
            self.roll_out.told(&order.name, *times, self.now, &sight);
            if killed_after == Some(at) {
                break;
            }
        }
        if self.roll_out.stage > stage_before {
            let proven = |member: &&rackside_rollout::Member| matches!(member.step, Step::Proven(_));
            prop_assert!(self.roll_out.members.iter().find(proven).is_some(), "nobody has proven it");
        }
        let size = self.roll_out.stages.after(self.roll_out.stage, self.roll_out.members.len());
        prop_assert!(self.told.len() <= size, "{} told, and the stage has {size}", self.told.len());
        if killed_after.is_none() {
            self.book.keep(&before, &self.roll_out).expect("writes");
        }
        self.roll_out.members.iter_mut().for_each(|member| member.note.clear());
        if killed_after.is_some() {
            self.roll_out = self.book.newest().expect("reads").expect("there is one");
        } else {
            prop_assert_eq!(&self.book.newest().expect("reads").expect("there is one"), &self.roll_out);
        }
        Ok(())
    }

    fn happens(&mut self, at: usize, event: &Event) {
        let name = rack(at % self.sights.len());
        let sight = self.sights.get_mut(&name).expect("it is there");
        let told = self.told.contains_key(&name);
        match event {
            Event::Up(up) => sight.is_up = *up,
            Event::Off(off) => (sight.is_off, sight.is_up) = (*off, !*off),
            Event::OnAir(on) => sight.is_on_air = *on,
            Event::Answer(_) if !told || !sight.is_up => {}
            Event::Answer(0) => sight.outcome = Outcome::Applied,
            Event::Answer(1) => sight.outcome = Outcome::Refused("no".to_owned()),
            Event::Answer(_) => sight.outcome = Outcome::RolledBack("no".to_owned()),
            Event::Alert(is_critical) => {
                let name = format!("Alert{is_critical}");
                sight.alerts.push(Alarm { key: format!("{at}{name}"), name, is_critical: *is_critical });
            }
            Event::Calm => sight.alerts.clear(),
            Event::Killed(_) | Event::Stop => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_promises_hold_in_every_history(
        count in 1_usize..25,
        stages in prop_oneof![Just("1,10%,100%"), Just("100%"), Just("2,5,50%,100%")],
        events in prop::collection::vec((any::<usize>(), event()), 0..120),
    ) {
        let directory = tempfile::tempdir().expect("a directory");
        let mut world = World::new(directory.path(), count, stages);
        for (at, event) in &events {
            world.happens(*at, event);
            world.pass(Some(event))?;
            world.now += STEP;
        }
    }

    /// Once all is well and stays so, every roll-out that was not stopped comes to its end.
    #[test]
    fn where_all_is_well_in_the_end_everybody_gets_it(
        count in 1_usize..25,
        events in prop::collection::vec((any::<usize>(), event()), 0..60),
    ) {
        let directory = tempfile::tempdir().expect("a directory");
        let mut world = World::new(directory.path(), count, "1,10%,100%");
        for (at, event) in events.iter().filter(|(_, event)| matches!(event, Event::Up(_) | Event::Off(_) | Event::OnAir(_) | Event::Killed(_) | Event::Answer(0))) {
            world.happens(*at, event);
            world.pass(Some(event))?;
            world.now += 1_000;
        }
        for _ in 0..200 {
            for at in 0..count {
                for event in [Event::Off(false), Event::Up(true), Event::OnAir(false), Event::Calm, Event::Answer(0)] {
                    world.happens(at, &event);
                }
            }
            world.pass(None)?;
            world.now += STEP;
        }
        prop_assert!(matches!(world.roll_out.state, State::Done { .. }), "{}", world.roll_out.state);
        prop_assert_eq!(world.roll_out.counts(), BTreeMap::from([("proven", count)]));
    }
}
