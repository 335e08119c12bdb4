//! `[[probe.process]]`: whether a process of this box runs, what it takes, and how often it was started again.
//!
//! It is named by its unit of systemd, by a pid file, or by its command line. Asked each second, so a look reads one small file for each
//! process that is known already; it is searched for only when it is gone, and after a while less often. systemd itself is not asked: what
//! that leaves untold is in `table`. Its own word that a process is gone is the kernel's, so one look is enough.
//!
//! ```toml
//! [[probe.process]]
//! name = "encoder"
//! unit = "encoder.service"
//! ```

mod life;
pub(crate) mod table;

use crate::clock::Clock;
use crate::probe::config::{Settings, kind};
use crate::probe::{Context, Outcome, Probe, Running};
use life::Life;
use rackside_config::Span;
use rackside_proto::{Scale, Value, limits, metric};
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use table::{Process as Found, Table};

/// Memory goes in steps of 64 KiB, as all memory does here.
const SPACE: Scale = Scale::times(64 * 1024);
const SHARE: Scale = Scale::per(1000);
/// One that is gone is searched for at each look so often, then at this distance.
const AT_ONCE: u32 = 10;
const SEARCH: Duration = Duration::from_secs(5);

kind! {
    /// What the configuration has for it.
    pub struct Process {
        /// A unit of systemd.
        #[serde(default)]
        unit: Option<String>,
        /// A file with the process's number.
        #[serde(default)]
        pid_file: Option<PathBuf>,
        /// The program's name or path, and words among its arguments.
        #[serde(default)]
        command: Option<String>,
        /// So many restarts are a loop,
        #[serde(default = "usual_restarts")]
        loop_restarts: u32,
        /// within so long.
        #[serde(default = "usual_within")]
        loop_within: Span,
    }
}

const fn usual_restarts() -> u32 {
    3
}

const fn usual_within() -> Span {
    Span::seconds(300)
}

/// Whether systemd could have a unit of this name that has processes.
pub(in crate::probe) fn is_unit(name: &str) -> bool {
    let is_fine = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
    [".service", ".scope"].iter().any(|end| name.len() > end.len() && name.ends_with(end))
        && name.len() <= 255
        && name.chars().all(is_fine)
}

impl Settings for Process {
    fn target(&self) -> String {
        match (&self.unit, &self.pid_file, &self.command) {
            (Some(unit), ..) => unit.clone(),
            (_, Some(file), _) => file.display().to_string(),
            // Arguments hold stream keys as often as not.
            (.., command) => command
                .as_deref()
                .and_then(|line| line.split_whitespace().next())
                .unwrap_or_default()
                .to_owned(),
        }
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        let given = [self.unit.is_some(), self.pid_file.is_some(), self.command.is_some()];
        if given.iter().filter(|given| **given).count() != 1 {
            let message = "needs exactly one of unit, pid_file and command, to say which process it is";
            return Err(("name", message.to_owned()));
        }
        if let Some(unit) = self.unit.as_ref().filter(|unit| !is_unit(unit)) {
            return Err((
                "unit",
                format!("\"{unit}\" is no unit with processes; \"encoder.service\" would be"),
            ));
        }
        if let Some(file) = self.pid_file.as_ref().filter(|file| !file.is_absolute()) {
            return Err(("pid_file", format!("\"{}\" does not begin with a slash", file.display())));
        }
        if self.command.as_ref().is_some_and(|line| line.trim().is_empty()) {
            return Err(("command", "is empty; the program's name is needed".to_owned()));
        }
        if !(1..=100).contains(&self.loop_restarts) {
            return Err(("loop_restarts", "is out of range; from 1 to 100 is possible".to_owned()));
        }
        if !(Span::seconds(1)..=Span::seconds(24 * 3600)).contains(&self.loop_within) {
            let message =
                format!("\"{}\" is out of range; from \"1s\" to \"1d\" is possible", self.loop_within);
            return Err(("loop_within", message));
        }
        Ok(())
    }

    fn open(&self) -> Box<dyn Probe> {
        Box::new(Watch::new(self.clone(), Table::default()))
    }
}

/// What one look saw.
enum Look {
    /// These.
    Running(Vec<Found>),
    /// They run, and the kernel does not show them to us.
    Shadows,
    /// None; why, for people.
    Gone(String),
    /// Nothing can be told; why.
    Hidden(String),
}

/// One process that is watched.
#[derive(Debug)]
struct Watch {
    settings: Process,
    table: Table,
    life: Life,
    /// The one that was seen last.
    known: Option<Found>,
    /// The unit's directory, once it was found.
    place: Option<PathBuf>,
    /// Searches without success, and when the next is due.
    searches: u32,
    next_search: Option<Instant>,
}

impl Watch {
    fn new(settings: Process, table: Table) -> Self {
        let life = Life::new(settings.loop_restarts as usize, settings.loop_within.get());
        Self { settings, table, life, known: None, place: None, searches: 0, next_search: None }
    }

    fn look(&mut self, now: Instant) -> Look {
        if let Some(unit) = self.settings.unit.clone() {
            return self.look_for_unit(&unit, now);
        }
        let same = |table: &Table, known: &Found| table.process(known.pid).filter(|found| found.is(known));
        if let Some(found) = self.known.as_ref().and_then(|known| same(&self.table, known)) {
            return self.seen(vec![found]);
        }
        if let Some(file) = &self.settings.pid_file {
            return match self.table.of_file(file) {
                Ok(Some(found)) => self.seen(vec![found]),
                Ok(None) => self.missed(format!("the process that {} names is gone", file.display())),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.missed(format!("{}: {error}", file.display()))
                }
                // One that may not be read, or is being written, says nothing of its process.
                Err(error) => Look::Hidden(format!("{}: {error}", file.display())),
            };
        }
        let gone = format!("no process of {} runs with these arguments", self.settings.target());
        if !self.may_search(now) {
            return Look::Gone(gone);
        }
        let words: Vec<&str> =
            self.settings.command.as_deref().unwrap_or_default().split_whitespace().collect();
        match self.table.of_command(&words) {
            Some(found) => self.seen(vec![found]),
            None => self.missed(gone),
        }
    }

    fn look_for_unit(&mut self, unit: &str, now: Instant) -> Look {
        let known = self.place.take().filter(|place| place.is_dir());
        let usual = known.or_else(|| self.table.usual_place(unit));
        self.place = match usual {
            None if self.may_search(now) => self.table.any_place(unit),
            usual => usual,
        };
        let pids = self.place.as_deref().map(Table::members).unwrap_or_default();
        if pids.is_empty() {
            let has_trees = self.table.cgroup.join("system.slice").is_dir()
                || self.table.cgroup.join("unified").is_dir()
                || self.table.cgroup.join("systemd").is_dir();
            return if has_trees {
                Look::Gone(format!("{unit} has no process"))
            } else {
                let place = self.table.cgroup.display();
                Look::Hidden(format!("{place} has no control groups of systemd, so nobody can tell"))
            };
        }
        let found: Vec<Found> = pids.iter().filter_map(|pid| self.table.process(*pid)).collect();
        if !found.is_empty() {
            return self.seen(found);
        }
        if self.table.is_hidden() { Look::Shadows } else { Look::Gone(format!("{unit} has no process")) }
    }

    fn seen(&mut self, found: Vec<Found>) -> Look {
        (self.searches, self.next_search) = (0, None);
        self.known = found.first().copied();
        Look::Running(found)
    }

    fn missed(&self, why: String) -> Look {
        if self.table.is_hidden() {
            let hidden = "the processes of others are hidden from the agent (ProtectProc= of its unit, or hidepid of /proc)";
            return Look::Hidden(hidden.to_owned());
        }
        Look::Gone(why)
    }

    /// Whether it is time to search for it, if it is not where it was.
    fn may_search(&mut self, now: Instant) -> bool {
        if self.next_search.is_some_and(|next| now < next) {
            return false;
        }
        self.searches = self.searches.saturating_add(1);
        self.next_search = (self.searches >= AT_ONCE).then_some(now + SEARCH);
        true
    }

    /// One look as series; `boot_ms` is how long the machine has run.
    fn observe(&mut self, boot_ms: Option<u64>, now: Instant) -> Outcome {
        let name = self.settings.name.clone();
        let tick = Duration::from_secs(1) / rustix::param::clock_ticks_per_second().clamp(1, 100_000) as u32;
        let look = self.look(now);
        let found = if let Look::Running(found) = &look { found.as_slice() } else { &[] };
        let mut cpu = None;
        if !matches!(look, Look::Shadows | Look::Hidden(_)) {
            cpu = self.life.look(found, tick, now);
        }
        let up = match &look {
            Look::Running(_) | Look::Shadows => Value::Known(1),
            Look::Gone(_) => Value::Known(0),
            Look::Hidden(_) => Value::Unknown,
        };
        let mut outcome = Outcome::up();
        outcome.put_value(&metric::PROCESS_UP, &[&name], Scale::ONE, up);
        if !found.is_empty() {
            let pages: u64 = found.iter().map(|process| process.pages).sum();
            let bytes = pages as f64 * rustix::param::page_size() as f64;
            outcome.put(&metric::PROCESS_MEMORY, &[&name], SPACE, bytes);
        }
        if let Some(cpu) = cpu {
            outcome.put(&metric::PROCESS_CPU, &[&name], SHARE, cpu);
        }
        let start = found.iter().map(|process| process.start).min();
        if let (Some(start), Some(boot_ms)) = (start, boot_ms) {
            let begun = tick.as_secs_f64() * start as f64;
            let uptime = (boot_ms as f64 / 1000.0 - begun).max(0.0).floor();
            outcome.put(&metric::PROCESS_UPTIME, &[&name], Scale::ONE, uptime);
        }
        let restarts = (self.life.restarts() % limits::MAGNITUDE as u64) as i64;
        let is_loop = i64::from(self.life.is_loop());
        let (restarts, is_loop) = match &look {
            Look::Shadows | Look::Hidden(_) => (Value::Unknown, Value::Unknown),
            _ => (Value::Known(restarts), Value::Known(is_loop)),
        };
        outcome.put_value(&metric::PROCESS_RESTARTS, &[&name], Scale::ONE, restarts);
        outcome.put_value(&metric::PROCESS_LOOP, &[&name], Scale::ONE, is_loop);
        outcome.state = match look {
            Look::Running(_) | Look::Shadows => crate::probe::State::Up,
            Look::Gone(why) => crate::probe::State::Down(why),
            Look::Hidden(why) => crate::probe::State::Unknown(why),
        };
        outcome
    }
}

impl Probe for Watch {
    fn run<'a>(&'a mut self, context: &'a Context) -> Running<'a> {
        let boot_ms = context.surroundings.moment().map(|moment| moment.boot_ms);
        let outcome = self.observe(boot_ms, Clock::now());
        Box::pin(async { outcome })
    }
}

#[cfg(test)]
mod tests;
