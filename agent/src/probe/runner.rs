//! Runs the probes: each in a task of its own on the agent's one thread, so many at once, and no longer than its timeout.
//!
//! The loop that owns this awaits [`Probes::moved`], which drives the tasks, and then calls [`Probes::step`], which takes what has
//! ended and starts what is due. Invariant: a run lasts no longer than its probe's timeout, its retries included; a probe runs once at a
//! time; while [`MOST_LIGHT`] hang, and no sooner, others wait, and they begin in the order in which they became due.

use super::Probe;
use super::config::{Config, Planned, Weight};
use super::context::{Context, Surroundings};
use super::outcome::{Outcome, State, unmeasured};
use super::recovery::Recoveries;
use super::results::{Latest, Results, Series};
use super::schedule::{Schedule, due};
use super::stills::{Stills, Taken};
use crate::clock::Clock;
use crate::panel::Happened;
use async_io::Timer;
use futures_lite::future;
use log::{info, warn};
use rackside_proto::limits;
use smol::LocalExecutor;
use smol::channel::{Receiver, Sender, unbounded};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// So many runs that hold a socket go on at once: 200 targets that are silent for 5 s each are through within 16 s.
pub const MOST_LIGHT: usize = 64;
/// So many that compute: a Pi has four cores, and an encoder beside it may want them.
pub const MOST_HEAVY: usize = 2;
/// Between a run that found its target down and the next try of it.
const RETRY: Duration = Duration::from_secs(1);
/// First runs begin within this, at random, or within the schedule if that is shorter.
const SPREAD: Duration = Duration::from_secs(5);

/// Something that probes found, for the hub to hear at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// A state changed.
    Sample(Happened),
    /// A text changed.
    Text {
        /// What it is about: `encoder/codec`.
        subject: String,
        /// Its new content; empty when there is none any more.
        text: String,
    },
    /// A relay of the panel is to be closed for so long.
    Pulse {
        /// Its name.
        relay: String,
        /// For how long.
        lasts: Duration,
    },
    /// A picture of a stream is there.
    Still(Taken),
}

/// One probe.
struct Slot {
    planned: Planned,
    schedule: Schedule,
    results: Results,
    texts: BTreeMap<&'static str, String>,
    /// What it is itself; out while it runs.
    probe: Option<Box<dyn Probe>>,
    /// Told apart from a slot of an earlier configuration by this.
    id: u64,
}

/// A run that ended.
struct Ended {
    id: u64,
    probe: Box<dyn Probe>,
    latest: Latest,
}

/// What is known of one probe, for `status` and `once`.
#[derive(Debug)]
pub struct Known<'a> {
    /// What it asks.
    pub planned: &'a Planned,
    /// The newest outcome.
    pub latest: Option<&'a Latest>,
    /// When it runs next.
    pub next: Instant,
    /// Whether it runs now.
    pub is_running: bool,
}

/// All probes of one agent.
pub struct Probes {
    config: Config,
    context: Context,
    slots: Vec<Slot>,
    executor: LocalExecutor<'static>,
    sender: Sender<Ended>,
    ended: Receiver<Ended>,
    inbox: Vec<Ended>,
    ids: u64,
    recoveries: Recoveries,
    stills: Stills,
}

impl Probes {
    /// Begins with those of `config`.
    pub fn new(config: Config, context: Context, now: Instant) -> Self {
        let (sender, ended) = unbounded();
        let mut probes = Self {
            config: Config::default(),
            context,
            slots: Vec::new(),
            executor: LocalExecutor::new(),
            sender,
            ended,
            inbox: Vec::new(),
            ids: 0,
            recoveries: Recoveries::new(),
            stills: Stills::new(),
        };
        probes.configure(config, now);
        probes
    }

    /// Takes over another configuration. A probe of which nothing changed goes on as it is; a run of one that is gone ends for itself, and is
    /// not heard.
    pub fn configure(&mut self, config: Config, now: Instant) {
        self.config = config;
        self.context.surroundings.meter(&self.config.general.metered);
        self.recoveries.configure(&self.config);
        self.stills.configure(&self.config, now);
        let mut before = std::mem::take(&mut self.slots);
        for planned in &self.config.probes {
            if let Some(at) = before.iter().position(|slot| slot.planned == *planned) {
                self.slots.push(before.swap_remove(at));
                continue;
            }
            self.ids += 1;
            let spread = planned.settings.spread().unwrap_or(SPREAD).min(planned.every);
            let schedule = Schedule::new(planned.every, spread, fastrand::u64(..), now);
            self.slots.push(Slot {
                probe: Some(planned.settings.open()),
                planned: planned.clone(),
                schedule,
                results: Results::default(),
                texts: BTreeMap::new(),
                id: self.ids,
            });
        }
    }

    /// What the probes know of their site.
    pub fn surroundings(&self) -> &Surroundings {
        &self.context.surroundings
    }

    /// Takes what has ended, starts what is due, and tells what changed.
    pub fn step(&mut self, now: Instant) -> Vec<News> {
        let mut news = self.take(now);
        for at in due(self.slots.iter().map(|slot| &slot.schedule), now) {
            if self.has_room(self.slots[at].planned.kind.weight) {
                self.begin(at, now);
            }
        }
        news.extend(self.recoveries.step(&self.context.surroundings, &self.executor, now));
        news.extend(self.stills.step(&self.context.surroundings, &self.executor, now));
        news
    }

    /// Has a probe run at once, or all of them where none is named, as far as there is room: their schedules go on from there. Says whether there is
    /// such a probe.
    pub fn hasten(&mut self, name: &str, now: Instant) -> bool {
        let ours = self.slots.iter_mut().filter(|slot| name.is_empty() || slot.planned.common.name == name);
        ours.map(|slot| slot.schedule.hasten(now)).count() > 0
    }

    /// Runs each once, as many at once as may be, whatever the schedules say. Nothing is done about what is down.
    pub async fn each_once(&mut self) {
        loop {
            let now = Clock::now();
            self.take(now);
            let is_new = |slot: &Slot| slot.results.latest().is_none();
            if !self.slots.iter().any(is_new) {
                return;
            }
            for at in 0..self.slots.len() {
                if is_new(&self.slots[at]) && self.has_room(self.slots[at].planned.kind.weight) {
                    self.begin(at, now);
                }
            }
            self.moved().await;
        }
    }

    /// Takes what has ended, and tells what changed.
    fn take(&mut self, now: Instant) -> Vec<News> {
        let mut news = Vec::new();
        while let Ok(ended) = self.ended.try_recv() {
            self.inbox.push(ended);
        }
        for Ended { id, probe, latest } in std::mem::take(&mut self.inbox) {
            let Some(slot) = self.slots.iter_mut().find(|slot| slot.id == id) else { continue };
            slot.probe = Some(probe);
            if let Some(wait) = latest.outcome.again {
                slot.schedule.hasten(now + wait);
            }
            slot.say(&latest.outcome.state);
            let texts = slot.tell(&latest.outcome);
            self.recoveries.hear(&slot.planned, &latest);
            news.extend(slot.results.take(&slot.planned, latest).into_iter().map(News::Sample));
            news.extend(texts);
        }
        news
    }

    fn has_room(&self, weight: Weight) -> bool {
        let most = match weight {
            Weight::Light => MOST_LIGHT,
            Weight::Heavy => MOST_HEAVY,
        };
        let running = |slot: &&Slot| slot.probe.is_none() && slot.planned.kind.weight == weight;
        self.slots.iter().filter(running).count() < most
    }

    fn begin(&mut self, at: usize, now: Instant) {
        let slot = &mut self.slots[at];
        // One whose run goes on is due when that has ended, for the runs that it missed are left out.
        let Some(mut probe) = slot.probe.take() else { return };
        slot.schedule.begin(now);
        let (id, planned, sender) = (slot.id, slot.planned.clone(), self.sender.clone());
        let context = self.context.with_timeout(planned.timeout);
        let task = async move {
            let begun = Clock::now();
            let outcome = run(probe.as_mut(), &planned, &context).await;
            let at = Clock::now();
            let latest = Latest { at, took: at.saturating_duration_since(begun), outcome };
            // Nobody hears it only when the agent ends.
            let _ = sender.try_send(Ended { id, probe, latest });
        };
        self.executor.spawn(task).detach();
    }

    /// Drives the runs until one has ended, or an attempt at recovery, or a still is there.
    pub async fn moved(&mut self) {
        if !self.inbox.is_empty() {
            return;
        }
        let beside = async {
            future::or(self.recoveries.moved(), self.stills.moved()).await;
            None
        };
        let ended = future::or(async { self.ended.recv().await.ok() }, beside);
        let ended = self.executor.run(ended).await;
        self.inbox.extend(ended);
    }

    /// When [`step`](Self::step) is due if no run ends before.
    pub fn deadline(&self) -> Option<Instant> {
        // Asked once, not for each of them: this is called whenever anything happens.
        let (light, heavy) = (self.has_room(Weight::Light), self.has_room(Weight::Heavy));
        let has_room = |weight| match weight {
            Weight::Light => light,
            Weight::Heavy => heavy,
        };
        let waits = |slot: &&Slot| slot.probe.is_some() && has_room(slot.planned.kind.weight);
        let due = self.slots.iter().filter(waits).map(|slot| slot.schedule.next());
        due.chain(self.recoveries.deadline()).chain(self.stills.deadline()).min()
    }

    /// The series of all probes at `now`.
    pub fn series(&self, now: Instant) -> Vec<Series> {
        let of_probes = self.slots.iter().flat_map(|slot| slot.results.series(&slot.planned, now));
        of_probes.chain(self.recoveries.series()).collect()
    }

    /// What is known of each.
    pub fn known(&self) -> impl Iterator<Item = Known<'_>> {
        self.slots.iter().map(|slot| Known {
            planned: &slot.planned,
            latest: slot.results.latest(),
            next: slot.schedule.next(),
            is_running: slot.probe.is_none(),
        })
    }
}

impl Slot {
    /// Logs what changed for people.
    fn say(&self, state: &State) {
        let before = self.results.latest().map(|latest| &latest.outcome.state);
        let planned = &self.planned;
        match (before, state) {
            (None | Some(State::Up), State::Up)
            | (Some(State::Down(_)), State::Down(_))
            | (Some(State::Unknown(_)), State::Unknown(_)) => {}
            (Some(_), State::Up) => info!("probe {planned}: up again"),
            (_, State::Down(why)) => warn!("probe {planned}: down: {why}"),
            (_, State::Unknown(why)) => warn!("probe {planned}: unknown: {why}"),
        }
    }

    /// The texts that changed.
    fn tell(&mut self, outcome: &Outcome) -> Vec<News> {
        let mut texts: BTreeMap<&'static str, String> =
            outcome.texts.iter().map(|(subject, text)| (*subject, limits::fit(text).to_owned())).collect();
        let before = std::mem::take(&mut self.texts);
        let old = |subject: &str| before.get(subject).map_or("", String::as_str);
        let why = limits::fit(outcome.state.why().unwrap_or_default());
        let is_told = unmeasured(why) == unmeasured(old("error"));
        texts.insert("error", if is_told { old("error") } else { why }.to_owned());
        let mut changed: Vec<(&'static str, String)> = Vec::new();
        for subject in before.keys().chain(texts.keys()) {
            let text = texts.get(subject).map_or("", String::as_str);
            if text != old(subject) && !changed.iter().any(|(other, _)| other == subject) {
                changed.push((subject, text.to_owned()));
            }
        }
        self.texts = texts;
        let name = &self.planned.common.name;
        let news = |(subject, text)| News::Text {
            subject: limits::fit(&format!("{subject}/{name}")).to_owned(),
            text,
        };
        changed.into_iter().map(news).collect()
    }
}

/// One run with its retries, within the timeout.
async fn run(probe: &mut dyn Probe, planned: &Planned, context: &Context) -> Outcome {
    let tries = async {
        for _ in 0..planned.common.retries {
            let outcome = probe.run(context).await;
            if !matches!(outcome.state, State::Down(_)) {
                return outcome;
            }
            Timer::after(RETRY).await;
        }
        probe.run(context).await
    };
    let late = async {
        Timer::after(planned.timeout).await;
        None
    };
    let outcome = future::or(async { Some(tries.await) }, late).await;
    outcome.unwrap_or_else(|| probe.late(format!("no answer within {:?}", planned.timeout)))
}

#[cfg(test)]
mod tests {
    use super::super::Running;
    use super::super::config::{Common, Kind, Says, Settings, Shared};
    use super::*;
    use rackside_proto::{Value, metric};
    use std::collections::VecDeque;
    use std::sync::{Arc, Mutex};

    static KIND: Kind = Kind {
        name: "scripted",
        every: Duration::from_millis(200),
        timeout: Duration::from_millis(100),
        weight: Weight::Light,
        says: Says::Output,
    };

    /// A probe that answers as it is told to, and hangs when it is told nothing more.
    #[derive(Debug, Clone)]
    struct Script {
        common: Common,
        answers: Arc<Mutex<VecDeque<Outcome>>>,
    }

    impl Shared for Script {
        fn common(&self) -> Common {
            self.common.clone()
        }
    }

    impl Settings for Script {
        fn target(&self) -> String {
            "a script".to_owned()
        }

        fn open(&self) -> Box<dyn Probe> {
            Box::new(self.clone())
        }
    }

    impl Probe for Script {
        fn run<'a>(&'a mut self, _: &'a Context) -> Running<'a> {
            let answer = self.answers.lock().expect("nobody panics").pop_front();
            Box::pin(async {
                match answer {
                    Some(answer) => answer,
                    None => future::pending().await,
                }
            })
        }
    }

    fn planned(name: &str, answers: impl IntoIterator<Item = Outcome>) -> Planned {
        let common = Common {
            name: name.to_owned(),
            every: None,
            timeout: None,
            retries: 0,
            stream: None,
            on_failure: None,
        };
        let answers = Arc::new(Mutex::new(answers.into_iter().collect()));
        let settings = Arc::new(Script { common: common.clone(), answers });
        Planned { kind: &KIND, common, every: KIND.every, timeout: KIND.timeout, recovery: None, settings }
    }

    fn probes(planned: Vec<Planned>) -> Probes {
        let config = Config { probes: planned, ..Config::default() };
        Probes::new(config, Context::default(), Clock::now())
    }

    /// Runs them until `enough`.
    fn until(probes: &mut Probes, mut enough: impl FnMut(&Probes, &[News]) -> bool) -> Vec<News> {
        let mut news = Vec::new();
        let end = Clock::now() + Duration::from_secs(10);
        loop {
            news.extend(probes.step(Clock::now()));
            if enough(probes, &news) {
                return news;
            }
            assert!(Clock::now() < end, "it does not come: {news:?}");
            let deadline = probes.deadline().unwrap_or(end);
            smol::block_on(future::or(probes.moved(), async {
                Timer::at(deadline).await;
            }));
        }
    }

    fn state(probes: &Probes, name: &str) -> Option<State> {
        let mut known = probes.known();
        let known = known.find(|known| known.planned.common.name == name).expect("it was planned");
        known.latest.map(|latest| latest.outcome.state.clone())
    }

    #[test]
    fn a_probe_that_hangs_is_down_by_its_timeout_and_delays_no_other() {
        let mut hanging = planned("hangs", []);
        hanging.timeout = Duration::from_secs(1);
        let well = planned("well", std::iter::repeat_n(Outcome::up(), 50));
        let mut probes = probes(vec![hanging, well]);
        let mut seen = Vec::new();
        until(&mut probes, |probes, _| {
            seen.extend(probes.known().filter_map(|known| Some(known.latest?.at)));
            state(probes, "hangs").is_some()
        });
        seen.dedup();
        assert!(seen.len() > 3, "the other one ran {} times within a second", seen.len());
        assert_eq!(state(&probes, "hangs"), Some(State::Down("no answer within 1s".to_owned())));
    }

    #[test]
    fn a_change_of_state_is_told_once_at_its_moment() {
        let script =
            [Outcome::up(), Outcome::down("refused"), Outcome::down("refused"), Outcome::unknown("deaf")];
        let mut probes = probes(vec![planned("encoder", script)]);
        let news =
            until(&mut probes, |probes, _| matches!(state(probes, "encoder"), Some(State::Unknown(_))));
        let samples: Vec<Value> = news
            .iter()
            .filter_map(|news| match news {
                News::Sample(happened) => Some(happened),
                News::Text { .. } | News::Pulse { .. } | News::Still(_) => None,
            })
            .map(|happened| {
                assert_eq!(happened.reading.metric.name, metric::PROBE_SUCCESS.name);
                assert_eq!(happened.reading.labels, ["encoder", "scripted", ""]);
                happened.reading.value
            })
            .collect();
        assert_eq!(samples, [Value::Known(0), Value::Unknown]);
        let texts: Vec<&str> = news
            .iter()
            .filter_map(|news| match news {
                News::Text { subject, text } => {
                    assert_eq!(subject, "error/encoder");
                    Some(text.as_str())
                }
                News::Sample(_) | News::Pulse { .. } | News::Still(_) => None,
            })
            .collect();
        assert_eq!(texts, ["refused", "deaf"]);
    }

    #[test]
    fn a_reason_whose_measures_move_is_told_once() {
        let script = [
            Outcome::down("not changed for 31 s, 83% full"),
            Outcome::down("not changed for 32.5 s, 9% full"),
            Outcome::down("it answers 404"),
            Outcome::down("it answers 503"),
            Outcome::down("no answer within 512ms"),
            Outcome::down("no answer within 1s"),
            Outcome::up(),
        ];
        let mut probes = probes(vec![planned("encoder", script)]);
        let news = until(&mut probes, |probes, _| state(probes, "encoder") == Some(State::Up));
        let text = |news| match news {
            News::Text { text, .. } => Some(text),
            News::Sample(_) | News::Pulse { .. } | News::Still(_) => None,
        };
        let texts: Vec<String> = news.into_iter().filter_map(text).collect();
        let told = [
            "not changed for 31 s, 83% full",
            "it answers 404",
            "it answers 503",
            "no answer within 512ms",
            "",
        ];
        assert_eq!(texts, told);
    }

    #[test]
    fn a_target_that_is_down_is_asked_again_before_it_is_said() {
        let script = [Outcome::down("a hiccup"), Outcome::up()];
        let mut patient = planned("patient", script);
        patient.common.retries = 1;
        patient.timeout = Duration::from_secs(5);
        let mut probes = probes(vec![patient]);
        until(&mut probes, |probes, _| state(probes, "patient").is_some());
        assert_eq!(state(&probes, "patient"), Some(State::Up));
    }

    #[test]
    fn so_many_run_at_once_and_no_more() {
        let all = (0..MOST_LIGHT + 10).map(|at| planned(&format!("{at}"), [])).collect();
        let mut probes = probes(all);
        probes.step(Clock::now() + SPREAD);
        assert_eq!(probes.known().filter(|known| known.is_running).count(), MOST_LIGHT);
        until(&mut probes, |probes, _| probes.known().all(|known| known.latest.is_some()));
    }

    static HEAVY: Kind = Kind {
        name: "computing",
        every: Duration::from_millis(50),
        timeout: Duration::from_millis(100),
        weight: Weight::Heavy,
        says: Says::Output,
    };

    #[test]
    fn those_that_take_longer_than_their_schedule_keep_nobody_from_running() {
        let all = ["one", "two", "last"].map(|name| {
            let planned = planned(name, []);
            Planned { kind: &HEAVY, every: HEAVY.every, timeout: HEAVY.timeout, ..planned }
        });
        let (mut probes, mut seen) = (probes(all.to_vec()), Vec::new());
        until(&mut probes, |probes, _| {
            let last = probes.known().last().expect("it was planned");
            seen.extend(last.latest.map(|latest| latest.at));
            seen.dedup();
            seen.len() > 2
        });
    }

    #[test]
    fn what_did_not_change_goes_on() {
        let [kept, gone] = ["kept", "gone"].map(|name| planned(name, std::iter::repeat_n(Outcome::up(), 9)));
        let mut probes = probes(vec![kept.clone(), gone]);
        until(&mut probes, |probes, _| state(probes, "kept").is_some());
        let fresh = planned("fresh", []);
        probes.configure(Config { probes: vec![fresh, kept], ..Config::default() }, Clock::now());
        assert_eq!((state(&probes, "kept"), state(&probes, "fresh")), (Some(State::Up), None));
        assert_eq!(probes.known().count(), 2);
    }
}
