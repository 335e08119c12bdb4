//! Commissioning: a box that has joined is looked at until it is known to work, and until then nobody is paged for it.
//!
//! What there is to see follows from what the box lists: its LED, each of its tallies, each of its probes. A tally has been pressed when it was seen going on and
//! off, a probe when it was green once; the LED is seen by a person. Whoever may act can put the box into service before.
//!
//! Paging is held for a name that was in no service before it joined, and for [`HOLDS_FOR`] at most: a box that somebody has forgotten pages like
//! any other from then on, and a rule of its own says that it was forgotten. A box that takes another one's place is looked at in the same
//! way and pages from the first moment on: its venue is in service.
//!
//! ```text
//! hall/rack-1   since 2 h, pages held   LED seen by desk · tally camera-1 pressed · probe encoder not green yet
//! ```

use super::Identities;
use crate::clock;
use crate::fleet::{Appliance, Listing};
use crate::ingest::task::Shared;
use crate::query::Fleetwide;
use crate::shutdown;
use rackside_identity::{Commissioning, STEPS, StoreError};
use rackside_promql::{Answer, Limits, Query};
use rackside_proto::{AgentName, metric};
use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// Pages are held for so long at most, in milliseconds: a week.
pub(crate) const HOLDS_FOR: i64 = 7 * 24 * 60 * 60 * 1000;
/// Boxes are looked at so often.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// So many of them at once; of more, each has its turn.
const AT_ONCE: usize = 100;
/// How far back a look reaches, in seconds: what is in memory in any case.
const BACK: i64 = 300;

/// What there is to see of a box.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// That it is heard at all, and what it lists.
    Heard,
    /// Its LED, by somebody at the rack.
    Led,
    /// A tally contact.
    Tally,
    /// A probe.
    Probe,
}

impl Kind {
    /// In one word, in `identity.db` and for programs.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Heard => "heard",
            Self::Led => "led",
            Self::Tally => "tally",
            Self::Probe => "probe",
        }
    }
}

/// One thing that there is to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) kind: Kind,
    /// Which tally or probe; of an LED that was seen, by whom.
    pub(crate) name: String,
    /// When it was seen, in milliseconds since 1970.
    pub(crate) at: Option<i64>,
}

/// How far a box has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Since when it is being set up.
    pub(crate) since: i64,
    /// Until when nobody is paged for it; nothing, where everybody is.
    pub(crate) held_until: Option<i64>,
    /// What there is to see of it.
    pub(crate) items: Vec<Item>,
}

impl Progress {
    /// Whether all was seen.
    pub(crate) fn is_done(&self) -> bool {
        self.items.iter().all(|item| item.at.is_some())
    }
}

/// What a box lists that is to be seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Listed {
    has_led: bool,
    tallies: BTreeSet<String>,
    probes: BTreeSet<String>,
}

impl Listed {
    fn of(listing: &Listing) -> Self {
        let mut listed = Self::default();
        for entry in listing.series().iter().filter(|entry| entry.served) {
            let label = |wanted: &str| {
                let found = entry.labels.iter().find(|(name, _)| &**name == wanted);
                found.map(|(_, value)| value.to_string()).unwrap_or_default()
            };
            let has_room = listed.tallies.len() + listed.probes.len() + 1 < STEPS;
            if &*entry.name == metric::LED_STATE.name {
                listed.has_led = true;
            } else if &*entry.name == metric::TALLY_ACTIVE.name && has_room {
                listed.tallies.insert(label("tally"));
            } else if &*entry.name == metric::PROBE_SUCCESS.name && has_room {
                listed.probes.insert(label("probe"));
            }
        }
        listed
    }
}

/// What was seen against what there is to see. A box that was not heard since it joined lists nothing yet.
fn progress(of: &Commissioning, listed: Option<&Listed>, now: i64) -> Progress {
    let seen = |kind: Kind, name: &str| {
        let found = of.steps.iter().find(|step| step.kind == kind.as_str() && step.name == name);
        Item { kind, name: name.to_owned(), at: found.map(|step| step.at) }
    };
    let items = match listed {
        None => vec![Item { kind: Kind::Heard, name: String::new(), at: None }],
        Some(listed) => {
            let by = of.steps.iter().find(|step| step.kind == Kind::Led.as_str());
            let led = listed.has_led.then(|| Item {
                kind: Kind::Led,
                name: by.map(|step| step.name.clone()).unwrap_or_default(),
                at: by.map(|step| step.at),
            });
            let tallies = listed.tallies.iter().map(|name| seen(Kind::Tally, name));
            let probes = listed.probes.iter().map(|name| seen(Kind::Probe, name));
            led.into_iter().chain(tallies).chain(probes).collect()
        }
    };
    let until = of.since.saturating_add(HOLDS_FOR);
    Progress { since: of.since, held_until: Some(until).filter(|until| of.holds && now < *until), items }
}

/// What an appliance lists, if it was heard to live since then.
fn listed(appliance: &Appliance, since: i64) -> Option<Listed> {
    let latest = appliance.shown()?.latest.as_ref()?;
    let is_fresh = latest.time_ms.is_none_or(|at| i64::try_from(at).unwrap_or(i64::MAX) >= since);
    (is_fresh && appliance.state.is_up()).then(|| Listed::of(&latest.listing))
}

impl Identities {
    /// Whether nobody is paged for this appliance yet.
    pub(crate) fn holds_pages(&self, name: &AgentName, now: i64) -> bool {
        let all = self.0.commissioning.read().unwrap_or_else(PoisonError::into_inner);
        all.get(name).is_some_and(|one| one.holds && now < one.since.saturating_add(HOLDS_FOR))
    }

    /// Every box that is being set up, and since when.
    pub(crate) fn being_set_up(&self) -> Vec<(AgentName, i64)> {
        let all = self.0.commissioning.read().unwrap_or_else(PoisonError::into_inner);
        all.values().map(|one| (one.name.clone(), one.since)).collect()
    }

    /// How far a box has come; nothing, where it is not being set up.
    pub(crate) fn progress(&self, name: &AgentName, shared: &Shared, now: i64) -> Option<Progress> {
        let of = self.commissioning(name)?;
        let listed = shared.read().fleet().find(name).and_then(|one| listed(one, of.since));
        Some(progress(&of, listed.as_ref(), now))
    }

    fn commissioning(&self, name: &AgentName) -> Option<Commissioning> {
        self.0.commissioning.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Somebody has seen a box's LED. Says whether that is news.
    pub(crate) async fn led_seen(&self, name: AgentName, who: String) -> Result<bool, StoreError> {
        let kind = Kind::Led.as_str();
        self.written(move |registrar, now| registrar.store().step(&name, (kind, &who), now)).await
    }

    /// A box is in service by somebody's word. Says whether it was being set up.
    pub(crate) async fn in_service(&self, name: AgentName) -> Result<bool, StoreError> {
        self.written(move |registrar, _| registrar.store().in_service(&name)).await
    }

    /// Looks at what boxes that are being set up say, until the hub stops.
    pub(crate) async fn attend(
        self,
        shared: Shared,
        series: Arc<Fleetwide>,
        mut shutdown: watch::Receiver<bool>,
    ) {
        let mut turn = 0;
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = shutdown::asked(&mut shutdown) => return,
            }
            let mut names: Vec<AgentName> = self.being_set_up().into_iter().map(|(name, _)| name).collect();
            if names.is_empty() {
                continue;
            }
            names.sort();
            let from = turn % names.len();
            names.rotate_left(from);
            names.truncate(AT_ONCE);
            turn = from + names.len();
            let (identities, shared, series) = (self.clone(), shared.clone(), Arc::clone(&series));
            let looked = tokio::task::spawn_blocking(move || {
                for name in &names {
                    if let Err(error) = identities.look_at(name, &shared, &series) {
                        log::error!("identities: {error}");
                        return;
                    }
                }
            });
            if looked.await.is_err() {
                return;
            }
        }
    }

    /// Notes what is news of one box, and puts it into service once all was seen.
    fn look_at(&self, name: &AgentName, shared: &Shared, series: &Fleetwide) -> Result<(), StoreError> {
        let now = clock::now();
        let at = now.utc_ms as i64;
        let Some(of) = self.commissioning(name) else { return Ok(()) };
        let Some(listed) = shared.read().fleet().find(name).and_then(|one| listed(one, of.since)) else {
            return Ok(());
        };
        let so_far = progress(&of, Some(&listed), at);
        let mut is_news = false;
        for kind in [Kind::Tally, Kind::Probe] {
            let waiting: Vec<&Item> =
                so_far.items.iter().filter(|item| item.kind == kind && item.at.is_none()).collect();
            if waiting.is_empty() {
                continue;
            }
            let seen = seen(kind, name, series, of.since, at);
            for item in waiting.into_iter().filter(|item| seen.contains(&item.name)) {
                is_news |= self.registrar().store().step(name, (kind.as_str(), &item.name), at)?;
            }
        }
        if is_news {
            self.wrote();
        }
        let Some(of) = self.commissioning(name) else { return Ok(()) };
        if progress(&of, Some(&listed), at).is_done() && self.registrar().store().in_service(name)? {
            self.wrote();
            log::info!("{name} is in service: all there is to see of it was seen");
            shared.note_of(name, "agent/service", "all there is to see of it was seen", now);
        }
        Ok(())
    }
}

/// What was seen of late: tallies that went on and off, probes that were green.
fn seen(kind: Kind, name: &AgentName, series: &Fleetwide, since: i64, now: i64) -> BTreeSet<String> {
    let back = (now.saturating_sub(since) / 1000).clamp(1, BACK);
    let (site, appliance) = (&name.site, &name.appliance);
    let of = |metric: &str| format!("{metric}{{site=\"{site}\",appliance=\"{appliance}\"}}[{back}s]");
    let (label, query) = match kind {
        Kind::Tally => {
            let of = of(metric::TALLY_ACTIVE.name);
            ("tally", format!("max_over_time({of}) == 1 and min_over_time({of}) == 0"))
        }
        Kind::Probe => ("probe", format!("max_over_time({}) == 1", of(metric::PROBE_SUCCESS.name))),
        Kind::Heard | Kind::Led => return BTreeSet::new(),
    };
    let query = Query::parse(&query).expect("a site's and an appliance's names need no escapes");
    match query.instant(series, now, &Limits::default()).map(|outcome| outcome.answer) {
        Ok(Answer::Vector(points)) => {
            points.iter().map(|point| point.labels.value(label).to_owned()).collect()
        }
        Ok(_) => BTreeSet::new(),
        Err(error) => {
            log::debug!("{name} is looked at again: {error}");
            BTreeSet::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rackside_identity::Step;

    const NOW: i64 = 1_795_219_200_000;

    fn set_up(holds: bool, steps: &[(Kind, &str)]) -> Commissioning {
        let step = |(kind, name): &(Kind, &str)| Step {
            kind: kind.as_str().to_owned(),
            name: (*name).to_owned(),
            at: NOW + 1,
        };
        Commissioning {
            name: AgentName::new("hall", "rack-1").expect("a name"),
            since: NOW,
            holds,
            steps: steps.iter().map(step).collect(),
        }
    }

    fn lists() -> Listed {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Listed { has_led: true, tallies: names(&["camera-1", "camera-2"]), probes: names(&["encoder"]) }
    }

    #[test]
    fn all_that_a_box_lists_has_to_be_seen() {
        let mut steps = vec![(Kind::Tally, "camera-1"), (Kind::Probe, "encoder"), (Kind::Led, "desk")];
        let of = |steps: &[(Kind, &str)], listed: &Listed| {
            progress(&set_up(true, steps), Some(listed), NOW).is_done()
        };
        assert!(!of(&steps, &lists()), "camera-2 was not pressed");
        steps.push((Kind::Tally, "camera-2"));
        assert!(of(&steps, &lists()));
        for nth in 0..steps.len() {
            let without: Vec<_> =
                steps.iter().enumerate().filter(|(at, _)| *at != nth).map(|(_, one)| *one).collect();
            assert!(!of(&without, &lists()), "without {:?}", steps[nth]);
        }
        let mut more = lists();
        more.probes.insert("gateway".to_owned());
        assert!(!of(&steps, &more), "it lists another probe now");
        let bare = Listed { has_led: false, ..Listed::default() };
        assert!(of(&[], &bare), "one that has nothing to look at");
        assert!(!progress(&set_up(true, &steps), None, NOW).is_done(), "one that was not heard");
    }

    #[test]
    fn pages_are_held_for_a_week_at_most_and_not_for_a_box_in_anothers_place() {
        let until = |holds, now| progress(&set_up(holds, &[]), None, now).held_until;
        assert_eq!(until(true, NOW), Some(NOW + HOLDS_FOR));
        assert_eq!(until(true, NOW + HOLDS_FOR - 1), Some(NOW + HOLDS_FOR));
        assert_eq!(until(true, NOW + HOLDS_FOR), None);
        assert_eq!(until(false, NOW), None);
    }
}
