//! Random histories of an output, its probes and its site, and what must never happen in any of them.

use super::*;
use crate::clock::Clock;
use proptest::prelude::*;

const LIMITS: Limits = Limits {
    attempts: 3,
    cooldown: Duration::from_mins(1),
    after: Duration::from_secs(5),
    reset: Duration::from_mins(10),
};

/// What happens next.
#[derive(Debug, Clone)]
enum Step {
    Wait(u64),
    Own(Word),
    Others(Others),
    Scene(Scene),
    Done,
}

/// One fault most often, and some others.
fn faults() -> impl Strategy<Value = Faults> {
    let one = prop::sample::select(&Fault::ALL[..]).prop_map(|fault| Faults::from_iter([fault]));
    let some = prop::sample::subsequence(&Fault::ALL[..], 1..=4).prop_map(Faults::from_iter);
    prop_oneof![4 => Just(Faults::from_iter([Fault::Frozen])), 1 => one, 1 => some]
}

fn step() -> impl Strategy<Value = Step> {
    let word =
        prop_oneof![4 => faults().prop_map(Word::Bad), 1 => Just(Word::Well), 1 => Just(Word::Unknown)];
    let perhaps = || prop_oneof![Just(Faults::default()), faults()];
    prop_oneof![
        3 => prop_oneof![1_u64..10, 30_u64..90, 500_u64..700].prop_map(Step::Wait),
        6 => word.prop_map(Step::Own),
        1 => (perhaps(), perhaps()).prop_map(|(good, bad)| Step::Others(Others { good, bad })),
        1 => any::<(bool, bool, bool)>()
            .prop_map(|(on_air, maintenance, quiet)| Step::Scene(Scene { on_air, maintenance, quiet })),
        2 => Just(Step::Done),
    ]
}

/// What is remembered beside the core, to judge it by.
struct Judge {
    core: Core,
    now: Instant,
    others: Others,
    scene: Scene,
    /// The words of the probe since the last attempt ended, with their times.
    words: Vec<(Instant, Word)>,
    well: Option<Instant>,
    busy: bool,
    ended: Option<Instant>,
    /// Attempts since it was well for long.
    made: u32,
    acts: usize,
    surrenders: usize,
}

impl Judge {
    fn new() -> Self {
        Self {
            core: Core::new(LIMITS),
            now: Clock::now(),
            others: Others::default(),
            scene: Scene::default(),
            words: Vec::new(),
            well: None,
            busy: false,
            ended: None,
            made: 0,
            acts: 0,
            surrenders: 0,
        }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Wait(seconds) => self.now += Duration::from_secs(*seconds),
            Step::Own(word) => {
                self.core.heard(*word, self.now);
                if !self.busy || !matches!(word, Word::Bad(_)) {
                    self.words.push((self.now, *word));
                }
                self.well = (*word == Word::Well).then(|| self.well.unwrap_or(self.now));
                if self.well.is_some_and(|since| self.now - since >= LIMITS.reset) {
                    self.made = 0;
                }
            }
            Step::Others(others) => self.others = *others,
            Step::Scene(scene) => self.scene = *scene,
            Step::Done if self.busy => {
                self.core.done(self.now);
                (self.busy, self.ended) = (false, Some(self.now));
                self.words.clear();
            }
            Step::Done => {}
        }
        match self.core.decide(self.others, self.scene, self.now) {
            Decision::Act(number, fault) => self.judge(number, fault),
            Decision::GiveUp(fault) => {
                assert_eq!(self.made, LIMITS.attempts, "it gave up before it had tried all");
                assert!(!self.others.good.has(fault), "somebody sees it work");
                self.surrenders += 1;
            }
            Decision::Nothing | Decision::Hold(_) => {}
        }
    }

    /// An attempt is made because of `fault`: may it be?
    fn judge(&mut self, number: u32, fault: Fault) {
        self.made += 1;
        self.acts += 1;
        assert_eq!(number, self.made);
        assert!(self.made <= LIMITS.attempts, "more attempts than there may be");
        assert!(!self.busy, "two at once");
        assert!(!self.others.good.has(fault), "somebody sees it work");
        assert!(!self.scene.maintenance && !self.scene.quiet, "{:?}", self.scene);
        let is_confirmed = self.others.bad.has(fault) || self.others.bad.has(Fault::Down);
        assert!(!self.scene.on_air || is_confirmed, "on air, on one word");
        assert!(
            self.ended.is_none_or(|ended| self.now - ended >= LIMITS.cooldown),
            "too soon after the last"
        );
        let is_so = |word: &Word| matches!(word, Word::Bad(faults) if faults.has(fault));
        let row: Vec<_> = self.words.iter().rev().take_while(|(_, word)| is_so(word)).collect();
        assert!(row.len() >= 2, "it is not so, or nobody knows, or one look was enough: {:?}", self.words);
        assert!(row.last().is_some_and(|(since, _)| self.now - *since >= LIMITS.after), "too soon");
        self.busy = true;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn no_history_makes_it_touch_what_works_or_try_too_often(steps in prop::collection::vec(step(), 1..120)) {
        let mut judge = Judge::new();
        for step in &steps {
            judge.take(step);
        }
    }
}

const DOWN: Fault = Fault::Down;

fn set(faults: &[Fault]) -> Faults {
    faults.iter().copied().collect()
}

fn down() -> Word {
    Word::Bad(set(&[DOWN]))
}

fn frozen() -> Word {
    Word::Bad(set(&[Fault::Frozen]))
}

fn run(judge: &mut Judge, seconds: u64, word: Word) {
    for _ in 0..seconds {
        judge.take(&Step::Own(word));
        judge.take(&Step::Wait(1));
        judge.take(&Step::Done);
    }
}

#[test]
fn what_stays_down_is_tried_three_times_and_then_given_up_until_it_was_well_for_long() {
    let mut judge = Judge::new();
    run(&mut judge, 1000, down());
    assert_eq!((judge.acts, judge.surrenders), (3, 1));
    assert!(judge.core.has_given_up());
    run(&mut judge, 300, Word::Well);
    run(&mut judge, 1000, down());
    assert_eq!(judge.acts, 3, "five minutes are not long");
    run(&mut judge, 602, Word::Well);
    assert!(!judge.core.has_given_up());
    run(&mut judge, 1000, down());
    assert_eq!((judge.acts, judge.surrenders), (6, 2));
}

fn on_air(judge: &mut Judge) {
    judge.take(&Step::Scene(Scene { on_air: true, ..Scene::default() }));
}

#[test]
fn on_air_it_waits_for_a_second_word() {
    let mut judge = Judge::new();
    on_air(&mut judge);
    run(&mut judge, 100, down());
    assert_eq!(judge.acts, 0);
    judge.take(&Step::Others(Others { bad: set(&[DOWN]), ..Others::default() }));
    assert_eq!(judge.acts, 1);
}

#[test]
fn on_air_the_second_word_has_to_be_on_the_same_fault_or_that_it_is_down() {
    for (bad, acts) in [(Fault::Black, 0), (Fault::Silent, 0), (Fault::Frozen, 1), (Fault::Down, 1)] {
        let mut judge = Judge::new();
        on_air(&mut judge);
        judge.take(&Step::Others(Others { bad: set(&[bad]), ..Others::default() }));
        run(&mut judge, 30, frozen());
        assert_eq!(judge.acts, acts, "frozen, and another says {bad}");
    }
    let mut judge = Judge::new();
    on_air(&mut judge);
    judge.take(&Step::Others(Others { bad: set(&[Fault::Frozen]), ..Others::default() }));
    run(&mut judge, 30, down());
    assert_eq!(judge.acts, 0, "who sees a frozen picture has not seen that it is down");
}

#[test]
fn who_sees_the_stream_come_in_does_not_see_its_picture_move() {
    let mut judge = Judge::new();
    judge.take(&Step::Others(Others { good: set(&[DOWN, Fault::Silent]), ..Others::default() }));
    run(&mut judge, 30, frozen());
    assert_eq!(judge.acts, 1);
    judge = Judge::new();
    judge.take(&Step::Others(Others { good: set(&[DOWN, Fault::Frozen]), ..Others::default() }));
    run(&mut judge, 30, frozen());
    assert_eq!(judge.acts, 0);
    run(&mut judge, 30, Word::Bad(set(&[Fault::Frozen, Fault::Silent])));
    assert_eq!(judge.acts, 1, "that it is silent nobody denies");
}

#[test]
fn another_fault_each_time_is_none_twice_in_a_row() {
    let mut judge = Judge::new();
    for _ in 0..50 {
        run(&mut judge, 1, frozen());
        run(&mut judge, 1, Word::Bad(set(&[Fault::Black])));
    }
    assert_eq!(judge.acts, 0);
    run(&mut judge, 30, Word::Bad(set(&[Fault::Black])));
    assert_eq!(judge.acts, 1);
}

#[test]
fn attempts_are_the_outputs_whatever_is_wrong_with_it() {
    let mut judge = Judge::new();
    for word in [down(), frozen(), Word::Bad(set(&[Fault::Black])), Word::Bad(set(&[Fault::Silent]))] {
        run(&mut judge, 100, word);
    }
    assert_eq!((judge.acts, judge.surrenders), (3, 1));
}

#[test]
fn it_says_what_holds_it_back() {
    let mut core = Core::new(LIMITS);
    let now = Clock::now();
    core.heard(down(), now);
    let later = now + Duration::from_secs(10);
    let mut decide = |others, scene| {
        core.heard(down(), later);
        core.decide(others, scene, later)
    };
    let both = Others { good: set(&[DOWN]), bad: set(&[DOWN]) };
    let scene = Scene::default();
    assert_eq!(decide(both, scene), Decision::Hold(Held::Works));
    let nobody = Others::default();
    assert_eq!(decide(nobody, Scene { maintenance: true, ..scene }), Decision::Hold(Held::Maintenance));
    assert_eq!(decide(nobody, Scene { quiet: true, ..scene }), Decision::Hold(Held::Quiet));
    assert_eq!(decide(nobody, Scene { on_air: true, ..scene }), Decision::Hold(Held::Alone));
    assert_eq!(decide(nobody, scene), Decision::Act(1, DOWN));
}
