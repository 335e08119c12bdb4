//! Recovery: what the agent does by itself about an output that is down, or frozen, black or silent where the file says so. Off unless configured.
//!
//! [`core`] decides when, [`fault`] knows what can be wrong and who says so, [`plan`] says what is done and how patiently, [`quiet`] knows the times at which
//! nothing is done, `act` does it. Here they meet the probes: every run of a probe is a word, each attempt an event and a counter, the giving up a state.
//!
//! Who watches the same output has a say: another probe of the same `stream`, or one in `confirmed_by`. `rackside_stream_up` 1 of any of them, or
//! of the probe itself, says that the output is not down; that its picture moves says only who has seen it. A process that runs and a port that answers
//! say nothing. Words count while their probe's results stand. [`core`] has the invariants.
//!
//! ```text
//! recovery/encoder  "attempt 1 of 3: restart encoder.service"      rackside_recovery_attempts_total{probe="encoder",action="restart"} 1
//! recovery/encoder  "attempt 1 of 3: done"
//! recovery/encoder  "given up after 3 attempts"                    rackside_recovery_given_up{probe="encoder"} 1
//! ```

mod act;
pub mod core;
pub mod fault;
pub mod plan;
pub mod quiet;

use self::core::{Core, Decision, Held, Others, Scene, Word};
use super::config::{Config, Planned};
use super::context::Surroundings;
use super::results::{Latest, Series};
use super::runner::News;
use crate::panel::{Happened, Reading};
use async_io::Timer;
use fault::{Fault, Testimony, is_well};
use log::{error, info, warn};
use plan::{Action, Plan};
use quiet::Quiet;
use rackside_proto::{Scale, Value, limits, metric};
use smol::LocalExecutor;
use smol::channel::{Receiver, Sender, unbounded};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// What a probe said last of an output.
#[derive(Debug, Clone, Copy)]
struct Said {
    testimony: Testimony,
    /// Until when its results stand.
    until: Instant,
}

/// An attempt that ended, how.
#[derive(Debug)]
struct Done {
    id: u64,
    result: Result<(), String>,
}

/// The recovery of one probe's target.
#[derive(Debug)]
struct Recovery {
    planned: Planned,
    plan: Plan,
    core: Core,
    attempts: u64,
    /// What held it back last, as it was said.
    held: Option<Held>,
    /// Told apart from one of an earlier configuration by this.
    id: u64,
}

/// All recoveries of one agent.
#[derive(Debug)]
pub(super) struct Recoveries {
    list: Vec<Recovery>,
    said: BTreeMap<String, Said>,
    quiet: Quiet,
    ids: u64,
    sender: Sender<Done>,
    done: Receiver<Done>,
    inbox: Vec<Done>,
}

impl Recoveries {
    pub(super) fn new() -> Self {
        let (sender, done) = unbounded();
        let (list, said, inbox) = (Vec::new(), BTreeMap::new(), Vec::new());
        Self { list, said, quiet: Quiet::default(), ids: 0, sender, done, inbox }
    }

    /// Takes over another configuration. One of which nothing changed keeps its count.
    pub(super) fn configure(&mut self, config: &Config) {
        self.quiet = Quiet::new(config.general.windows());
        let mut before = std::mem::take(&mut self.list);
        for planned in &config.probes {
            let Some(plan) = &planned.recovery else { continue };
            if let Some(at) = before.iter().position(|recovery| recovery.planned == *planned) {
                self.list.push(before.swap_remove(at));
                continue;
            }
            self.ids += 1;
            self.list.push(Recovery {
                planned: planned.clone(),
                plan: plan.clone(),
                core: Core::new(plan.limits),
                attempts: 0,
                held: None,
                id: self.ids,
            });
        }
        self.said.clear();
    }

    /// A run of a probe ended.
    pub(super) fn hear(&mut self, planned: &Planned, latest: &Latest) {
        if self.list.is_empty() {
            return;
        }
        let testimony = Testimony::of(&latest.outcome);
        let until = latest.at + planned.every * 5 / 2 + planned.timeout;
        let name = &planned.common.name;
        for recovery in self.list.iter_mut().filter(|recovery| recovery.planned.common.name == *name) {
            let bad = testimony.bad.and(recovery.plan.when);
            let word = match () {
                () if !bad.is_empty() => Word::Bad(bad),
                () if is_well(&latest.outcome, recovery.plan.when) => Word::Well,
                () => Word::Unknown,
            };
            if bad.is_empty() {
                recovery.held = None;
            }
            recovery.core.heard(word, latest.at);
        }
        self.said.insert(name.clone(), Said { testimony, until });
    }

    /// Takes what has ended and begins what is due; what the hub and the panel are to know of it.
    pub(super) fn step(
        &mut self,
        site: &Surroundings,
        executor: &LocalExecutor<'static>,
        now: Instant,
    ) -> Vec<News> {
        let mut news = Vec::new();
        while let Ok(done) = self.done.try_recv() {
            self.inbox.push(done);
        }
        for Done { id, result } in std::mem::take(&mut self.inbox) {
            if let Some(recovery) = self.list.iter_mut().find(|recovery| recovery.id == id) {
                news.push(recovery.end(result, now));
            }
        }
        for at in 0..self.list.len() {
            let Some(recovery) = self.list.get(at).filter(|one| one.core.due().is_some_and(|due| due <= now))
            else {
                continue;
            };
            let utc_ms = site.moment().filter(|moment| moment.known).map(|moment| moment.utc_ms);
            let scene = Scene {
                on_air: site.is_on_air(),
                maintenance: site.is_maintained(),
                quiet: self.quiet.is_now(utc_ms, now),
            };
            let said = |name: &String| self.said.get(name).filter(|said| now <= said.until);
            let mut others = Others::default();
            for Said { testimony, .. } in recovery.plan.others.iter().filter_map(said) {
                others.good = others.good.or(testimony.good);
                others.bad = others.bad.or(testimony.bad);
            }
            // A word of its own that is too old is none.
            let is_fresh = said(&recovery.planned.common.name).is_some();
            let Some(recovery) = self.list.get_mut(at).filter(|_| is_fresh) else { continue };
            news.extend(recovery.act(others, scene, &self.sender, executor, now));
        }
        news
    }

    /// Waits for an attempt to end.
    pub(super) async fn moved(&mut self) {
        if let Ok(done) = self.done.recv().await {
            self.inbox.push(done);
        }
    }

    /// When something is due; what is held back is looked at with every step.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.list.iter().filter(|one| one.held.is_none()).filter_map(|one| one.core.due()).min()
    }

    /// The series of all.
    pub(super) fn series(&self) -> impl Iterator<Item = Series> {
        self.list.iter().flat_map(|recovery| {
            let mut labels = recovery.labels();
            let given_up = recovery.given_up();
            labels.push(recovery.plan.action.as_str().to_owned());
            let attempts = Value::Known((recovery.attempts % limits::MAGNITUDE as u64) as i64);
            let metric = &metric::RECOVERY_ATTEMPTS;
            let Reading { metric: state, labels: of_state, value } = given_up;
            [
                Series { metric, labels, scale: Scale::ONE, value: attempts },
                Series { metric: state, labels: of_state, scale: Scale::ONE, value },
            ]
        })
    }
}

impl Recovery {
    fn labels(&self) -> Vec<String> {
        let common = &self.planned.common;
        vec![common.name.clone(), common.stream.clone().unwrap_or_default()]
    }

    fn given_up(&self) -> Reading {
        let value = Value::Known(self.core.has_given_up().into());
        Reading { metric: &metric::RECOVERY_GIVEN_UP, labels: self.labels(), value }
    }

    fn text(&self, text: &str) -> News {
        let subject = limits::fit(&format!("recovery/{}", self.planned.common.name)).to_owned();
        News::Text { subject, text: limits::fit(text).to_owned() }
    }

    fn act(
        &mut self,
        others: Others,
        scene: Scene,
        sender: &Sender<Done>,
        executor: &LocalExecutor<'static>,
        now: Instant,
    ) -> Vec<News> {
        let (name, action) = (self.planned.common.name.clone(), self.plan.action.clone());
        match self.core.decide(others, scene, now) {
            Decision::Nothing => Vec::new(),
            Decision::Hold(held) => {
                if self.held.replace(held) != Some(held) {
                    warn!("recovery of {name}: {action} is due, and held back: {held}");
                }
                Vec::new()
            }
            Decision::GiveUp(fault) => {
                let text = format!("given up after {} attempts", self.plan.limits.attempts);
                error!(
                    "recovery of {name}: {text} to {action}; it is {fault}, and somebody has to look at it"
                );
                vec![self.text(&text), News::Sample(Happened { at: now, reading: self.given_up() })]
            }
            Decision::Act(attempt, fault) => {
                (self.held, self.attempts) = (None, self.attempts + 1);
                let why = if fault == Fault::Down { String::new() } else { format!(" ({fault})") };
                let text = format!("attempt {attempt} of {}{why}: {action}", self.plan.limits.attempts);
                warn!("recovery of {name}: {text}");
                let mut news = vec![self.text(&text)];
                let mut pause = Duration::ZERO;
                if let Action::Pulse(relay, lasts) = &action {
                    pause = *lasts;
                    news.push(News::Pulse { relay: relay.clone(), lasts: *lasts });
                }
                let (id, sender) = (self.id, sender.clone());
                let task = async move {
                    if !pause.is_zero() {
                        Timer::after(pause).await;
                    }
                    let result = act::perform(&action).await;
                    // Nobody hears it only when the agent ends.
                    let _ = sender.try_send(Done { id, result });
                };
                executor.spawn(task).detach();
                news
            }
        }
    }

    /// An attempt ended.
    fn end(&mut self, result: Result<(), String>, now: Instant) -> News {
        self.core.done(now);
        let (name, action) = (&self.planned.common.name, &self.plan.action);
        let text = match result {
            Ok(()) => {
                info!("recovery of {name}: {action} is done");
                "done".to_owned()
            }
            Err(why) => {
                error!("recovery of {name}: {action} failed: {why}");
                format!("failed: {why}")
            }
        };
        self.text(&text)
    }
}

#[cfg(test)]
mod tests;
