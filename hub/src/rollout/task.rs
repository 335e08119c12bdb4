//! One pass a second: what the command line wants is taken up, whoever is due is told, and what became of it is written down.

use super::newcomers::Newcomers;
use super::sight::Sights;
use super::{Hand, RollOuts};
use crate::clock::{self, Now};
use crate::configure::Configurations;
use crate::identity::Identities;
use crate::ingest::task::Shared;
use crate::notify::Notifications;
use crate::onair::OnAir;
use crate::shutdown;
use crate::web::Known;
use rackside_pages::quantity::counted;
use rackside_proto::AgentName;
use rackside_rollout::{Member, Order, RollOut, State, Step};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// From one pass to the next.
const EVERY: Duration = Duration::from_secs(1);
/// Why nobody can be told anything.
const NO_HAND: &str = "the hub has no identities to sign it with; its log says why";
/// Who is known is written down so often, in passes.
const KNOW_EVERY: u32 = 10;

/// What a pass looks at, and works with.
pub(crate) struct Ground {
    /// The fleet.
    pub(crate) shared: Shared,
    /// Who is on air.
    pub(crate) on_air: OnAir,
    /// What fires.
    pub(crate) notifications: Notifications,
    /// Who has joined: nobody else believes the hub.
    pub(crate) identities: Option<Identities>,
    /// Who brings configurations; none, where there is nothing to sign them with.
    pub(crate) hand: Option<Arc<dyn Hand>>,
}

impl Ground {
    /// Of a hub that knows this, and hands out configurations, if it has anything to sign them with.
    pub(crate) fn of(known: &Known, configurations: Option<Configurations>) -> Self {
        let hand = configurations.map(|configurations| Arc::new(configurations) as Arc<dyn Hand>);
        Self {
            shared: known.shared.clone(),
            on_air: known.on_air.clone(),
            notifications: known.notifications.clone(),
            identities: known.identities.clone(),
            hand,
        }
    }
}

/// What is remembered from pass to pass.
#[derive(Default)]
struct Course {
    newest: Option<Arc<RollOut>>,
    known: Vec<AgentName>,
    passes: u32,
    newcomers: Newcomers,
    said: String,
}

/// Runs until the hub stops.
pub(crate) async fn run(roll_outs: RollOuts, ground: Ground, mut shutdown: watch::Receiver<bool>) {
    let ground = Arc::new(ground);
    let mut course = Course::default();
    loop {
        let (all, on) = (roll_outs.clone(), Arc::clone(&ground));
        let passing = tokio::task::spawn_blocking(move || {
            let came = course.pass(&all, &on, clock::now());
            (course, came)
        });
        let Ok((after, came)) = passing.await else { return };
        course = after;
        let said = came.err().unwrap_or_default();
        if !said.is_empty() && said != course.said {
            log::error!("roll-outs: {said}");
        }
        course.said = said;
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = shutdown::asked(&mut shutdown) => return,
        }
    }
}

impl Course {
    fn pass(&mut self, all: &RollOuts, ground: &Ground, now: Now) -> Result<(), String> {
        let is_due = self.know(all, ground)?;
        self.take_up(all)?;
        if is_due {
            self.newcomers.attend(all, ground, self.newest.as_deref(), now)?;
        }
        let Some(before) = self.newest.clone().filter(|roll_out| is_watched(roll_out)) else { return Ok(()) };
        let at = now.utc_ms as i64;
        let mut after = RollOut::clone(&before);
        if let Some(by) = all.book()?.stop_by(before.id).map_err(|error| error.to_string())? {
            after.stop(&by, at);
        }
        let sights = Sights::look(ground, now);
        let orders = after.step(at, |name| sights.of(name, ground.hand.as_deref()));
        explain(all, ground, &before, &mut after);
        // Who is chosen is written before anybody is told: whatever happens in between, no more are told than a stage has.
        self.keep(all, after)?;
        for order in orders {
            self.tell(all, ground, &sights, &order, at)?;
        }
        Ok(())
    }

    fn tell(
        &mut self,
        all: &RollOuts,
        ground: &Ground,
        sights: &Sights,
        order: &Order,
        at: i64,
    ) -> Result<(), String> {
        let Some(before) = self.newest.clone().filter(|roll_out| roll_out.is_running()) else {
            return Ok(());
        };
        let mut after = RollOut::clone(&before);
        let text = all.book()?.text(&order.text).map_err(|error| error.to_string());
        let hand = ground.hand.as_deref().ok_or_else(|| NO_HAND.to_owned());
        match hand.and_then(|hand| hand.publish(&order.name, &text?)) {
            Ok(revision) => {
                log::info!("roll-out {}: {} is told revision {revision}", after.id, order.name);
                after.told(&order.name, revision, at, &sights.of(&order.name, ground.hand.as_deref()));
            }
            Err(why) => after.untold(&order.name, &why, at),
        }
        self.keep(all, after)
    }

    /// Writes down how it stands, and tells what is news.
    fn keep(&mut self, all: &RollOuts, after: RollOut) -> Result<(), String> {
        let Some(before) = self.newest.clone() else { return Ok(()) };
        all.book()?.keep(&before, &after).map_err(|error| error.to_string())?;
        for (was, is) in before.members.iter().zip(&after.members) {
            match &is.step {
                Step::Failed { why, .. } if !matches!(was.step, Step::Failed { .. }) => {
                    log::warn!("roll-out {}: {} {why}", after.id, is.name);
                }
                Step::Proven(_) if !matches!(was.step, Step::Proven(_)) => {
                    log::info!("roll-out {}: {} has proven it", after.id, is.name);
                }
                _ => {}
            }
        }
        match &after.state {
            State::Done { .. } if before.is_running() => {
                log::info!(
                    "roll-out {} is done; {} are away and get it when they come",
                    after.id,
                    after.away()
                );
            }
            State::Stopped { why, .. } if before.is_running() => {
                log::warn!("roll-out {} is stopped: {why}", after.id);
            }
            _ if after.stage > before.stage => {
                log::info!("roll-out {}: stage {} of {}", after.id, after.stage + 1, after.stages.count());
            }
            _ => {}
        }
        let after = Arc::new(after);
        self.newest = Some(Arc::clone(&after));
        all.shows(Some(after));
        Ok(())
    }

    /// Reads the newest roll-out, if there is one that is not known yet.
    fn take_up(&mut self, all: &RollOuts) -> Result<(), String> {
        let book = all.book()?;
        let newest = book.newest_id().map_err(|error| error.to_string())?;
        if newest == self.newest.as_ref().map(|roll_out| roll_out.id) {
            return Ok(());
        }
        let found = book.newest().map_err(|error| error.to_string())?;
        drop(book);
        if let Some(found) = found.as_ref().filter(|found| found.is_running()) {
            log::info!(
                "roll-out {} by {}: {} in stages {}",
                found.id,
                found.by,
                counted(found.members.len(), "appliance", "appliances"),
                found.stages
            );
        }
        self.newest = found.map(Arc::new);
        all.shows(self.newest.clone());
        Ok(())
    }

    /// Writes down which appliances there are that can be told something, for the command line.
    /// Says whether it was time for it.
    fn know(&mut self, all: &RollOuts, ground: &Ground) -> Result<bool, String> {
        let is_due = self.passes.is_multiple_of(KNOW_EVERY);
        self.passes = self.passes.wrapping_add(1);
        if !is_due {
            return Ok(false);
        }
        let known: Vec<AgentName> = {
            let ingest = ground.shared.read();
            let joined = |name: &AgentName| ground.identities.as_ref().is_some_and(|all| all.is_joined(name));
            let names = ingest.fleet().by_name().into_iter().map(|appliance| appliance.name.clone());
            names.filter(joined).collect()
        };
        if known != self.known {
            all.book()?.know(&known).map_err(|error| error.to_string())?;
            self.known = known;
        }
        Ok(true)
    }
}

/// Says of those who have failed now in which file the line stands that they object to.
fn explain(all: &RollOuts, ground: &Ground, before: &RollOut, after: &mut RollOut) {
    let is_new = |(was, is): &(&Member, &Member)| was.step.as_str() != is.step.as_str();
    let failed =
        before.members.iter().zip(&after.members).filter(is_new).filter_map(|(_, is)| match &is.step {
            Step::Failed { why, .. } => Some((is.name.clone(), is.after.clone(), line_in(why)?)),
            _ => None,
        });
    let failed: Vec<_> = failed.collect();
    for (name, digest, line) in failed {
        let text = all.book().and_then(|book| book.text(&digest).map_err(|error| error.to_string()));
        let sites = ground.on_air.configs().borrow().clone();
        let place =
            text.ok().and_then(|text| super::place(all.directory().as_deref(), &sites, &name, &text, line));
        if let Some(place) = place {
            after.explain(&name, &format!(" (that line is of {place})"));
        }
    }
}

/// The number of the line that an agent names: `the hub's configuration:7: tick: ...`.
fn line_in(why: &str) -> Option<usize> {
    why.split(':').skip(1).find_map(|word| word.parse().ok())
}

/// Whether there is anything to look at: it goes on, or somebody was told who has not proven it yet.
fn is_watched(roll_out: &RollOut) -> bool {
    let is_open = |step: &Step| matches!(step, Step::Told(_) | Step::Applied { .. });
    roll_out.is_running() || roll_out.members.iter().any(|member| is_open(&member.step))
}

#[cfg(test)]
mod tests {
    use super::line_in;

    #[test]
    fn the_line_of_an_objection_is_found() {
        assert_eq!(line_in("refuses it: the hub's configuration:7: tick: \"0s\" is out of range"), Some(7));
        assert_eq!(line_in("refuses it: the hub's configuration: `a` is missing"), None);
        assert_eq!(line_in("7 is gone"), None);
    }
}
