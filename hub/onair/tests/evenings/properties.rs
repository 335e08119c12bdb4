//! Random evenings, and what has to be so in each: a site rises at once, falls no sooner than its hold, changes at no other moment than it
//! said, ends at last, and goes on the same after a restart.

use proptest::prelude::*;
use rackside_onair::{Heard, Kept, Margins, Power, Settings, Show, Site, Word};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const START: i64 = 1_795_000_000_000;

#[derive(Debug, Clone)]
enum Act {
    Say(usize, Word),
    Heard(usize, bool),
    Hand(Option<i64>),
    HandOff,
    LetGo,
    Restart,
    Plan(Vec<(i64, i64)>),
    Wait(i64),
}

fn word() -> impl Strategy<Value = Word> {
    prop_oneof![Just(Word::On), Just(Word::Off), Just(Word::Unknown)]
}

fn act() -> impl Strategy<Value = Act> {
    let wait = prop_oneof![1..15_000_i64, 1..15 * MINUTE, 1..8 * HOUR];
    prop_oneof![
        6 => (0..3_usize, word()).prop_map(|(of, word)| Act::Say(of, word)),
        2 => (0..2_usize, any::<bool>()).prop_map(|(of, heard)| Act::Heard(of, heard)),
        1 => prop::option::of(1..10 * HOUR).prop_map(Act::Hand),
        1 => Just(Act::HandOff),
        1 => Just(Act::LetGo),
        1 => Just(Act::Restart),
        1 => prop::collection::vec((-5 * HOUR..20 * HOUR, 1..30 * HOUR), 0..4).prop_map(Act::Plan),
        8 => wait.prop_map(Act::Wait),
    ]
}

struct World {
    settings: Settings,
    site: Site,
    now: i64,
    words: [Word; 3],
    heard: [bool; 2],
    shows: Vec<Show>,
    /// Until when it may not fall, by the tallies that were on.
    held: i64,
    open_ended: bool,
}

impl World {
    fn hear(&mut self) {
        // The first appliance has two tallies, the second one.
        let tallies = [vec![("a", 0), ("b", 1)], vec![("a", 2)]];
        let names = ["rack-1", "rack-2"];
        let heard = (0..2).filter(|of| self.heard[*of]).map(|of| Heard {
            appliance: names[of].into(),
            tallies: tallies[of].iter().map(|(name, at)| ((*name).into(), self.words[*at])).collect(),
        });
        self.site.hear(&heard.collect::<Vec<_>>(), self.now);
    }

    fn is_on(&self) -> bool {
        let of = [0, 0, 1];
        (0..3).any(|at| self.words[at] == Word::On && self.heard[of[at]])
    }

    fn act(&mut self, act: &Act) -> Result<(), TestCaseError> {
        match act {
            Act::Say(of, word) => self.words[*of] = *word,
            Act::Heard(of, heard) => self.heard[*of] = *heard,
            Act::Hand(after) => {
                self.site.on_by_hand(after.map(|after| self.now + after));
                self.open_ended = after.is_none();
            }
            Act::HandOff => {
                self.site.off_by_hand();
                self.open_ended = false;
            }
            Act::LetGo => {
                self.site.let_go(self.now);
                self.held = i64::MIN;
            }
            Act::Restart => {
                let kept = serde_json::to_string(&self.site.kept(self.now)).expect("it is written");
                let kept: Kept = serde_json::from_str(&kept).expect("it is read");
                let before = self.site.view(self.now).on_air();
                self.site = Site::new(self.settings);
                self.site.plan(self.shows.clone());
                self.site.resume(&kept, self.now);
                prop_assert_eq!(self.site.view(self.now).on_air(), before, "a restart changes nothing");
            }
            Act::Plan(shows) => {
                let margins = Margins { rig_up: HOUR, strike: HOUR };
                let show = |(from, length): &(i64, i64)| {
                    Show::new("s", self.now + from, self.now + from + length, margins)
                };
                self.shows = shows.iter().filter_map(show).collect();
                self.site.plan(self.shows.clone());
            }
            Act::Wait(ms) => return self.wait(*ms),
        }
        let was_on = self.site.view(self.now).tallies[0] > 0;
        self.hear();
        if was_on || self.is_on() {
            self.held = self.held.max(self.now + self.settings.hold);
        }
        if matches!(act, Act::LetGo) && !self.is_on() {
            self.held = i64::MIN;
        }
        prop_assert!(!self.is_on() || self.site.view(self.now).on_air(), "it rises at once");
        self.holds()
    }

    fn holds(&self) -> Result<(), TestCaseError> {
        prop_assert!(
            self.held <= self.now || self.site.view(self.now).on_air(),
            "it falls before its hold has ended"
        );
        Ok(())
    }

    fn wait(&mut self, ms: i64) -> Result<(), TestCaseError> {
        let until = self.now + ms;
        let mut steps = 0;
        while self.now < until {
            let next = self.site.next_change(self.now).unwrap_or(until).min(until);
            prop_assert!(next > self.now, "time goes on");
            for at in [self.now, i64::midpoint(self.now, next), next - 1] {
                prop_assert_eq!(self.site.view(at), self.site.view(self.now), "it changes when it said");
            }
            if self.is_on() {
                self.held = next + self.settings.hold;
            }
            self.now = next;
            steps += 1;
            prop_assert!(steps < 1000);
        }
        self.holds()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn every_evening_keeps_the_promises(
        acts in prop::collection::vec(act(), 1..60),
        hold in prop_oneof![Just(0), Just(10 * MINUTE), Just(HOUR)],
        has_shows in any::<bool>(),
        with_show in any::<bool>(),
    ) {
        let power = if with_show { Power::WithShow } else { Power::Always };
        let settings = Settings { power, hold, has_shows, ..Settings::default() };
        let mut world = World {
            settings,
            site: Site::new(settings),
            now: START,
            words: [Word::Off; 3],
            heard: [true; 2],
            shows: Vec::new(),
            held: i64::MIN,
            open_ended: false,
        };
        for act in &acts {
            world.act(act)?;
        }
        // Nobody says anything any more.
        world.heard = [false; 2];
        world.hear();
        if world.open_ended {
            world.site.off_by_hand();
        }
        let end = world.now + 4 * 24 * HOUR;
        let mut steps = 0;
        while let Some(next) = world.site.next_change(world.now) {
            prop_assert!(next < end, "{next} is later than everything that was planned");
            world.now = next;
            steps += 1;
            prop_assert!(steps < 1000);
        }
        let view = world.site.view(world.now);
        prop_assert!(!view.on_air(), "it ends at last: {view:?}");
        prop_assert_eq!(view.power_expected, power == Power::Always);
        prop_assert_eq!(view.tallies[0], 0);
    }
}
