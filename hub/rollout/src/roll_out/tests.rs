use super::*;
use std::cell::RefCell;

const MINUTE: i64 = 60_000;

fn rack(number: usize) -> AgentName {
    AgentName::new("hall", &format!("rack-{number}")).expect("a name")
}

fn well() -> Sight {
    Sight { is_up: true, ..Sight::default() }
}

/// Appliances as a test has them, and a roll-out of theirs.
struct Stage {
    roll_out: RollOut,
    sights: RefCell<BTreeMap<AgentName, Sight>>,
    now: i64,
    told: Vec<AgentName>,
}

impl Stage {
    fn new(count: usize, stages: &str) -> Self {
        let members =
            (1..=count).map(|at| Member::new(rack(at), "old".to_owned(), "new".to_owned())).collect();
        let roll_out = RollOut {
            id: 1,
            back_of: None,
            by: "desk".to_owned(),
            begun_at: 0,
            stages: stages.parse().expect("stages"),
            wait: 10 * MINUTE,
            on_air_too: false,
            stage: 0,
            state: State::Running,
            members,
        };
        let sights = (1..=count).map(|at| (rack(at), well())).collect();
        Self { roll_out, sights: RefCell::new(sights), now: 0, told: Vec::new() }
    }

    fn see(&mut self, number: usize, change: impl Fn(&mut Sight)) {
        change(self.sights.borrow_mut().get_mut(&rack(number)).expect("it is there"));
    }

    /// A minute of one pass a second, in which whoever is up says `outcome` to what it was told.
    fn minutes(&mut self, minutes: i64, outcome: &Outcome) {
        for _ in 0..minutes * 6 {
            self.pass(outcome);
            self.now += 10_000;
        }
    }

    fn pass(&mut self, outcome: &Outcome) {
        let sights = self.sights.borrow().clone();
        let orders = self.roll_out.step(self.now, |name| sights[name].clone());
        for order in orders {
            assert_eq!(order.text, "new");
            self.roll_out.told(&order.name, 7, self.now, &sights[&order.name]);
            self.told.push(order.name.clone());
        }
        for member in &self.roll_out.members {
            let mut sights = self.sights.borrow_mut();
            let sight = sights.get_mut(&member.name).expect("it is there");
            if sight.is_up && member.step.told().is_some() {
                (sight.revision, sight.outcome) = (7, outcome.clone());
            }
        }
    }

    fn numbers(&self) -> Vec<String> {
        self.told.iter().map(|name| name.appliance.to_string()).collect()
    }

    fn stopped(&self) -> &str {
        match &self.roll_out.state {
            State::Stopped { why, .. } => why,
            other => panic!("{other}"),
        }
    }
}

#[test]
fn each_stage_has_proven_itself_before_the_next_one() {
    let mut stage = Stage::new(20, "1,10%,100%");
    stage.minutes(9, &Outcome::Applied);
    assert_eq!(stage.numbers(), ["rack-1"]);
    stage.minutes(2, &Outcome::Applied);
    assert_eq!(stage.numbers(), ["rack-1", "rack-2"]);
    stage.minutes(11, &Outcome::Applied);
    assert_eq!(stage.told.len(), 20);
    assert!(stage.roll_out.is_running());
    stage.minutes(11, &Outcome::Applied);
    assert!(matches!(stage.roll_out.state, State::Done { .. }), "{}", stage.roll_out.state);
    assert_eq!(stage.roll_out.counts(), BTreeMap::from([("proven", 20)]));
}

#[test]
fn the_first_refusal_ends_it() {
    let mut stage = Stage::new(5, "1,100%");
    stage.minutes(60, &Outcome::Refused("line 3: unknown key".to_owned()));
    assert_eq!(stage.numbers(), ["rack-1"]);
    assert_eq!(stage.stopped(), "hall/rack-1 refuses it: line 3: unknown key");
    assert_eq!(stage.roll_out.counts(), BTreeMap::from([("due", 4), ("failed", 1)]));
    stage.roll_out.explain(&rack(2), " (nobody's)");
    stage.roll_out.explain(&rack(1), " (base.toml:7)");
    assert_eq!(stage.stopped(), "hall/rack-1 refuses it: line 3: unknown key (base.toml:7)");
}

#[test]
fn whoever_takes_it_back_ends_it_even_later() {
    let mut stage = Stage::new(5, "1,2,100%");
    stage.minutes(12, &Outcome::Applied);
    assert_eq!(stage.told.len(), 2);
    stage.see(1, |sight| sight.outcome = Outcome::RolledBack("the hub was not reached".to_owned()));
    let sights = stage.sights.borrow().clone();
    assert_eq!(stage.roll_out.step(stage.now, |name| sights[name].clone()), []);
    assert_eq!(stage.stopped(), "hall/rack-1 has taken it back: the hub was not reached");
}

#[test]
fn whoever_is_gone_for_too_long_ends_it_and_a_blink_does_not() {
    let mut stage = Stage::new(3, "1,100%");
    stage.minutes(1, &Outcome::Pending);
    stage.see(1, |sight| sight.is_up = false);
    stage.minutes(2, &Outcome::Pending);
    stage.see(1, |sight| sight.is_up = true);
    stage.minutes(1, &Outcome::Applied);
    assert!(stage.roll_out.is_running());
    stage.see(1, |sight| sight.is_up = false);
    stage.minutes(6, &Outcome::Pending);
    assert!(stage.roll_out.is_running(), "it may be taking it back");
    stage.minutes(2, &Outcome::Pending);
    assert_eq!(stage.stopped(), "hall/rack-1 is gone since it was told");
    assert_eq!(stage.told.len(), 1);
}

#[test]
fn an_agent_that_never_answers_ends_it() {
    let mut stage = Stage::new(3, "1,100%");
    stage.minutes(9, &Outcome::Pending);
    assert!(stage.roll_out.is_running());
    stage.minutes(2, &Outcome::Pending);
    assert!(stage.stopped().starts_with("hall/rack-1 has not answered within 10 minutes"));
}

#[test]
fn an_answer_to_another_revision_is_none() {
    let mut stage = Stage::new(1, "100%");
    stage.pass(&Outcome::Pending);
    stage.see(1, |sight| (sight.revision, sight.outcome) = (6, Outcome::Refused("old".to_owned())));
    let sights = stage.sights.borrow().clone();
    stage.roll_out.step(1, |name| sights[name].clone());
    assert!(stage.roll_out.is_running());
}

#[test]
fn a_new_critical_alert_ends_it_another_one_holds_it_up_and_an_old_one_does_nothing() {
    let alarm =
        |key: &str, is_critical| Alarm { key: key.to_owned(), name: format!("Alert{key}"), is_critical };
    let mut stage = Stage::new(3, "1,100%");
    stage.see(1, |sight| sight.alerts = vec![alarm("old", true)]);
    stage.minutes(5, &Outcome::Applied);
    stage.see(1, |sight| sight.alerts = vec![alarm("old", true), alarm("new", false)]);
    stage.minutes(30, &Outcome::Applied);
    assert_eq!(stage.told.len(), 1);
    assert_eq!(stage.roll_out.members[0].note, "has a new alert: Alertnew");
    stage.see(1, |sight| sight.alerts = vec![]);
    stage.minutes(9, &Outcome::Applied);
    assert_eq!(stage.told.len(), 1, "from then on it is watched anew");
    stage.see(1, |sight| sight.alerts = vec![alarm("bad", true)]);
    stage.minutes(5, &Outcome::Applied);
    assert_eq!(stage.stopped(), "hall/rack-1 has a new critical alert: Alertbad");
    assert!(matches!(stage.roll_out.members[0].step, Step::Failed { has_it: true, .. }));
    assert_eq!(stage.told.len(), 1);
}

#[test]
fn the_first_one_is_there_and_not_on_air() {
    let mut stage = Stage::new(4, "1,100%");
    stage.see(1, |sight| sight.is_on_air = true);
    stage.see(2, |sight| sight.is_up = false);
    stage.minutes(1, &Outcome::Applied);
    assert_eq!(stage.numbers(), ["rack-3"]);
    let mut stage = Stage::new(2, "1,100%");
    stage.see(1, |sight| sight.is_on_air = true);
    stage.see(2, |sight| sight.is_up = false);
    stage.minutes(60, &Outcome::Applied);
    assert_eq!(stage.told.len(), 0);
    assert_eq!(stage.roll_out.members[0].note, "waits for one that is there and not on air");
    stage.see(1, |sight| sight.is_on_air = false);
    stage.minutes(1, &Outcome::Applied);
    assert_eq!(stage.numbers(), ["rack-1"]);
}

#[test]
fn whoever_is_on_air_gets_it_afterwards_or_when_it_is_wanted() {
    let mut stage = Stage::new(3, "1,100%");
    stage.see(2, |sight| sight.is_on_air = true);
    stage.minutes(60, &Outcome::Applied);
    assert_eq!(stage.numbers(), ["rack-1", "rack-3"]);
    assert!(stage.roll_out.is_running());
    assert_eq!(stage.roll_out.members[1].note, "its site is on air");
    stage.see(2, |sight| sight.is_on_air = false);
    stage.minutes(12, &Outcome::Applied);
    assert!(matches!(stage.roll_out.state, State::Done { .. }));
    let mut stage = Stage::new(1, "100%");
    stage.roll_out.on_air_too = true;
    stage.see(1, |sight| sight.is_on_air = true);
    stage.minutes(1, &Outcome::Applied);
    assert_eq!(stage.told.len(), 1);
}

#[test]
fn whoever_is_away_holds_nobody_up_and_is_watched_when_it_comes() {
    let mut stage = Stage::new(3, "1,100%");
    stage.see(2, |sight| sight.is_up = false);
    stage.see(3, |sight| (sight.is_up, sight.is_off) = (false, true));
    stage.minutes(12, &Outcome::Applied);
    assert_eq!(stage.told.len(), 3);
    assert!(matches!(stage.roll_out.state, State::Done { .. }), "{}", stage.roll_out.state);
    assert_eq!(stage.roll_out.away(), 2);
    stage.see(2, |sight| sight.is_up = true);
    stage.minutes(11, &Outcome::Applied);
    assert_eq!(stage.roll_out.away(), 1);
    assert!(matches!(stage.roll_out.members[1].step, Step::Proven(_)), "after the end too");
}

#[test]
fn one_of_each_kind_comes_before_a_second_one() {
    let mut stage = Stage::new(6, "2,100%");
    for member in &mut stage.roll_out.members[4..] {
        "other".clone_into(&mut member.before);
    }
    stage.minutes(1, &Outcome::Applied);
    assert_eq!(stage.numbers(), ["rack-1", "rack-5"]);
}

#[test]
fn somebody_ends_it_and_the_hubs_own_trouble_does() {
    let mut stage = Stage::new(2, "1,100%");
    stage.roll_out.stop("desk", 5);
    stage.minutes(5, &Outcome::Applied);
    assert_eq!((stage.stopped(), stage.told.len()), ("desk wanted it", 0));
    let mut stage = Stage::new(2, "1,100%");
    stage.roll_out.untold(&rack(1), "the disk is full", 5);
    stage.minutes(5, &Outcome::Applied);
    assert_eq!((stage.stopped(), stage.told.len()), ("hall/rack-1 could not be told: the disk is full", 0));
}

#[test]
fn nobody_is_told_in_the_pass_in_which_it_fails() {
    let mut stage = Stage::new(2, "100%");
    stage.see(2, |sight| sight.is_on_air = true);
    stage.minutes(1, &Outcome::Applied);
    assert_eq!(stage.numbers(), ["rack-1"]);
    stage.see(2, |sight| sight.is_on_air = false);
    stage.see(1, |sight| sight.outcome = Outcome::Refused("no".to_owned()));
    stage.minutes(1, &Outcome::Applied);
    assert_eq!((stage.stopped(), stage.told.len()), ("hall/rack-1 refuses it: no", 1));
}
