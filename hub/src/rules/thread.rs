//! The thread that evaluates rules: waits for the next group's turn or for what an event has touched, evaluates, writes down what must last.

use super::files::{Files, Loaded};
use super::saver::{KEY, Saver};
use super::witness::{Fleet, Memory};
use super::{Expressions, Ground, Rules, RulesConfig};
use crate::clock::{self, Now};
use crate::query::{Fleetwide, Touched};
use rackside_alerting::{
    Action, Change, Common, Engine, Ground as Footing, RuleSpec, Settings, State, Store,
};
use rackside_promql::{Labels, Limits, Source, Stop};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// The thread looks at least this often what time it is: clocks are set.
const LOOK: Duration = Duration::from_secs(1);
/// Rule files are looked at this often.
const FILES: Duration = Duration::from_secs(2);
/// What is shown is put down at most so often, and takes at most this share of the thread's time.
const SHOW: Duration = Duration::from_millis(100);
const SHOW_SHARE: u32 = 20;
/// After a start rules wait at most this long until what they look back at is in memory: from the disk it takes longer, and everybody else waits.
const WARM: Duration = Duration::from_secs(10);
/// It is looked this often whether it is.
const WARMING: Duration = Duration::from_millis(20);
/// Alerts are saved at most so often: a hub that is killed forgets no more.
const SAVE: Duration = Duration::from_millis(500);
/// All rules of a turn together may take so long; those that are left then fail, and have their turn at the next interval.
const TURN: Duration = Duration::from_secs(20);
/// So many changes of one evaluation are logged one by one.
const LOGGED: usize = 20;

/// The thread's own.
pub(super) struct Thread {
    rules: Rules,
    config: RulesConfig,
    ground: Ground,
    files: Files,
    memory: Memory,
    saver: Option<Saver>,
    started: Now,
    looked: Now,
    saved: Now,
    revision: u64,
    /// When what is shown may be put down anew.
    shows: Now,
    /// Something has changed since it was.
    is_outdated: bool,
}

pub(super) fn settings(config: &RulesConfig) -> Settings {
    let common =
        Common { external_labels: Labels::empty(), external_url: config.external_url.as_str().into() };
    Settings { interval: config.interval.get().as_millis() as i64, common, ..Settings::default() }
}

impl Thread {
    pub(super) fn new(rules: Rules, config: RulesConfig, ground: Ground) -> std::io::Result<Self> {
        let now = clock::now();
        let files = Files::default();
        let memory = Memory::default();
        let saver = ground.series.derived().db().map(|db| Saver::start(Arc::clone(db))).transpose()?;
        let mut thread = Self {
            rules,
            config,
            ground,
            files,
            memory,
            saver,
            started: now,
            looked: now,
            saved: now,
            revision: 0,
            shows: now,
            is_outdated: true,
        };
        thread.load();
        thread.restore();
        thread.show();
        Ok(thread)
    }

    pub(super) fn run(mut self) {
        self.warm_up();
        loop {
            let touched = self.wait();
            self.rules.turn().turn(clock::now());
            if clock::now().since(self.looked.instant) >= FILES {
                self.looked = clock::now();
                if self.files.changed(&self.config) {
                    let said = self.load();
                    self.ground.shared.note("hub/rules", &said, clock::now());
                }
            }
            {
                let now = clock::now().utc_ms as i64;
                let mut engine = self.rules.engine();
                for touch in &touched {
                    engine.touched(&touch.labels, touch.at, now);
                }
            }
            let stops = self.rules.stops();
            if !stops {
                self.evaluate();
            }
            self.show();
            self.save(stops);
            if stops {
                if let Some(saver) = self.saver {
                    saver.finish();
                }
                return;
            }
        }
    }

    /// Waits until what rules look back at is in memory, but not for ever. What is touched meanwhile is kept.
    fn warm_up(&self) {
        let mut inbox = self.rules.inbox();
        while !self.ground.series.is_warm() && !self.rules.stops() {
            if clock::now().since(self.started.instant) >= WARM {
                log::warn!("the last minutes are still read from the history; rules begin without");
                return;
            }
            let waited = self.rules.0.rings.wait_timeout(inbox, WARMING);
            (inbox, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        let took = clock::now().since(self.started.instant);
        log::info!("rules begin {:.1} s after the start", took.as_secs_f64());
    }

    /// Waits until something is to be done, or for a second; returns what was touched.
    fn wait(&self) -> Vec<Touched> {
        let due = self.rules.engine().due();
        let now = clock::now();
        let until = |due: i64| Duration::from_millis(due.saturating_sub(now.utc_ms as i64).max(0) as u64);
        let mut wait = due.map_or(LOOK, |due| until(due).min(LOOK));
        if self.is_outdated {
            wait = wait.min(self.shows.since(now.instant));
        }
        let inbox = self.rules.inbox();
        let is_quiet = |inbox: &mut Vec<Touched>| inbox.is_empty() && !self.rules.stops();
        let waited = self.rules.0.rings.wait_timeout_while(inbox, wait, is_quiet);
        let (mut inbox, _) = waited.unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *inbox)
    }

    /// Reads the files, and says what there is now.
    fn load(&mut self) -> String {
        let Loaded { files, faults } = self.files.read(&self.config);
        for fault in &faults {
            log::error!("{fault}");
        }
        let rules = || files.iter().flat_map(|file| &file.groups).flat_map(|group| &group.rules);
        let count = format!("{} rules in {} files", rules().count(), files.len());
        log::info!("{count}");
        self.ground.series.serve(rules().map(|rule| &rule.query), clock::now());
        self.rules.0.expressions.send_replace(Arc::new(expressions(rules())));
        let now = clock::now().utc_ms as i64;
        let mut engine = self.rules.engine();
        engine.load(files, now);
        self.rules.counted(engine.overview());
        drop(engine);
        self.is_outdated = true;
        let said = if faults.is_empty() { count } else { format!("{count}, {} faults", faults.len()) };
        *self.rules.0.faults.lock().unwrap_or_else(PoisonError::into_inner) = faults;
        said
    }

    /// Alerts go on as they were when the hub stopped.
    fn restore(&mut self) {
        let Some(db) = self.ground.series.derived().db() else { return };
        let now = clock::now().utc_ms as i64;
        match db.state_load(KEY) {
            Ok(Some(bytes)) => {
                if let Err(error) = self.rules.engine().restore(&bytes, now) {
                    log::error!("{}: {error}", db.path().display());
                }
            }
            Ok(None) => {}
            Err(error) => log::error!("{error}; alerts begin anew"),
        }
        let engine = self.rules.engine();
        self.revision = engine.revision();
        self.rules.stood(engine.standings());
    }

    /// Alerts that have changed are written down.
    fn save(&mut self, at_once: bool) {
        let Some(saver) = &self.saver else { return };
        let now = clock::now();
        if !at_once && now.since(self.saved.instant) < SAVE {
            return;
        }
        let engine = self.rules.engine();
        if engine.revision() != self.revision {
            self.revision = engine.revision();
            self.saved = now;
            saver.save(engine.save());
        }
    }

    /// One turn of one group, if one is due: then the thread looks what was touched meanwhile, so that a tally never waits for the rules of an hour.
    fn evaluate(&mut self) {
        let now = clock::now();
        let mut engine = self.rules.engine();
        let Some(changes) = self.turn(&mut engine, now) else { return };
        self.rules.counted(engine.overview());
        if !changes.is_empty() {
            self.rules.stood(engine.standings());
        }
        drop(engine);
        self.is_outdated = true;
        self.ground.news.told(&changes);
        tell(&changes);
    }

    /// Puts down what is shown, if something has changed and it is not too soon.
    fn show(&mut self) {
        let now = clock::now();
        if !self.is_outdated || now.instant < self.shows.instant {
            return;
        }
        self.rules.show(self.rules.engine().rules());
        let done = clock::now();
        self.shows = done.plus(SHOW.max(done.since(now.instant) * SHOW_SHARE));
        self.is_outdated = false;
    }

    /// One turn of the engine over the fleet.
    fn turn(&self, engine: &mut Engine, now: Now) -> Option<Vec<Change>> {
        let elapsed = || clock::now().since(now.instant);
        let stop = || {
            if self.rules.stops() {
                Some(Stop::Canceled)
            } else {
                (elapsed() > TURN).then_some(Stop::Timeout)
            }
        };
        let series = &self.ground.series;
        let witness = Fleet { shared: &self.ground.shared, series, memory: &self.memory, stop: &stop };
        let limits = Limits { stop: Some(&stop), ..Limits::default() };
        let mut store = Recorded(series);
        let mut footing = Footing { store: &mut store, witness: &witness, limits, elapsed: &elapsed };
        engine.step(now.utc_ms as i64, &mut footing)
    }
}

fn tell(changes: &[Change]) {
    let worth = changes.iter().filter(|change| change.from != change.alert.life.state);
    for change in worth.clone().take(LOGGED) {
        let (labels, state) = (&change.alert.labels, change.alert.life.state);
        match state {
            State::Firing => log::warn!("alert fires: {labels}"),
            State::Inactive => log::info!("alert is over: {labels}"),
            State::Pending => log::debug!("alert is pending: {labels}"),
        }
    }
    let more = worth.count().saturating_sub(LOGGED);
    if more > 0 {
        log::warn!("and {more} more alerts have changed");
    }
}

/// Rules read the whole fleet, and what they make goes where the hub's own series are.
struct Recorded<'a>(&'a Fleetwide);

impl Store for Recorded<'_> {
    fn source(&self) -> &dyn Source {
        self.0
    }

    fn record(&mut self, at: i64, samples: &[(Labels, f64)]) -> Result<(), String> {
        for (labels, value) in samples {
            self.0.derived().push(labels, at, *value);
        }
        Ok(())
    }
}

/// What alerts watch, by their names.
fn expressions<'r>(rules: impl Iterator<Item = &'r RuleSpec>) -> Expressions {
    let mut found: HashMap<Arc<str>, Option<Arc<str>>> = HashMap::new();
    for rule in rules.filter(|rule| matches!(rule.action, Action::Alert(_))) {
        let told = found.entry(Arc::clone(&rule.name)).or_insert_with(|| Some(Arc::clone(&rule.expr)));
        if told.as_ref().is_some_and(|told| *told != rule.expr) {
            *told = None;
        }
    }
    found.into_iter().filter_map(|(name, expression)| Some((name, expression?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rackside_alerting::RuleFile;

    #[test]
    fn what_an_alert_watches_is_told_where_its_rules_agree() {
        let text = "
groups:
- name: g
  rules:
  - {alert: Hot, expr: soc > 75}
  - {alert: Hot, expr: soc > 75, for: 5m, labels: {severity: info}}
  - {alert: Lost, expr: a == 0}
  - {alert: Lost, expr: b == 0, for: 1m}
  - {record: x, expr: y}
";
        let file = RuleFile::parse("own.yml", text).expect("a good file");
        let found = expressions(file.groups.iter().flat_map(|group| &group.rules));
        let found: Vec<(&str, &str)> = found.iter().map(|(name, text)| (&**name, &**text)).collect();
        assert_eq!(found, [("Hot", "soc > 75")]);
    }
}
