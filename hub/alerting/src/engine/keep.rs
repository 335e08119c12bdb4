//! What outlasts the program: every alert, by its rule, as bytes. Not where they are kept, and not the series, which the hub keeps as such.
//!
//! One version byte, then postcard. What was kept of a rule that is loaded goes to that rule, whichever of loading and restoring comes first; of a
//! file that cannot be loaded just now it is kept for a day. After a restart every alert is unknown until an evaluation has found it, or has found
//! its appliance heard and the alert gone. However long the program was down, what was kept is in `ALERTS` again before a rule reads it there: one that
//! holds its alert by a lower figure still finds it.
//!
//! Sample: `01`, then `[{file: "box.yml", group: "box", rule: "SocHot", labels: [..], expr: "soc > 75", alerts: [..]}]`.

use std::fmt;
use std::sync::Arc;

use rackside_promql::Labels;
use serde::{Deserialize, Serialize};

use super::alert::Alert;
use super::life::Life;
use super::rule::Rule;
use super::{Engine, Ground, Group};

const VERSION: u8 = 1;

/// How long alerts of a file that is not loaded are kept, in milliseconds: long enough to mend a file, not for ever.
const WAITS: i64 = 24 * 60 * 60 * 1000;

/// The alerts of one rule.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Kept {
    file: String,
    group: String,
    rule: String,
    labels: Vec<(String, String)>,
    expr: String,
    alerts: Vec<KeptAlert>,
    /// Since when its rule is not loaded.
    waits_since: Option<i64>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct KeptAlert {
    labels: Vec<(String, String)>,
    annotations: Vec<(String, String)>,
    value: f64,
    life: Life,
}

/// Why what was kept cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeepError {
    /// It is not of this program, or damaged.
    Damaged,
    /// It was kept by a version of the program that is newer.
    Version(u8),
}

impl fmt::Display for KeepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged => f.write_str("the kept state of alerts cannot be read; alerts begin anew"),
            Self::Version(version) => write!(
                f,
                "the kept state of alerts has version {version}, and this program knows {VERSION}; alerts begin anew"
            ),
        }
    }
}

impl std::error::Error for KeepError {}

impl Engine {
    /// All alerts as bytes.
    pub fn save(&self) -> Vec<u8> {
        let mut kept: Vec<Kept> = Vec::new();
        for group in &self.groups {
            kept.extend(
                group.rules.iter().filter(|rule| !rule.active.is_empty()).map(|rule| keep(group, rule)),
            );
        }
        kept.extend(self.kept.iter().cloned());
        postcard::to_extend(&kept, vec![VERSION]).expect("plain data in memory can always be written")
    }

    /// Takes what [`Engine::save`] gave, before or after [`Engine::load`]. An error changes nothing.
    pub fn restore(&mut self, bytes: &[u8], now: i64) -> Result<(), KeepError> {
        let (version, body) = bytes.split_first().ok_or(KeepError::Damaged)?;
        if *version != VERSION {
            return Err(KeepError::Version(*version));
        }
        let kept: Vec<Kept> = postcard::from_bytes(body).map_err(|_| KeepError::Damaged)?;
        self.kept.extend(kept);
        let loaded: Vec<Arc<str>> = self.groups.iter().map(|group| Arc::clone(&group.file)).collect();
        self.give_back(&loaded, now);
        Ok(())
    }

    /// Gives rules that are loaded now what was kept of them. What is left of files that are loaded belongs to rules that are no more.
    pub(super) fn give_back(&mut self, loaded: &[Arc<str>], now: i64) {
        for group in &mut self.groups {
            for rule in &mut group.rules {
                let exact =
                    |kept: &Kept| kept.is_of(&group.file, &group.name, rule) && kept.expr == *rule.spec.expr;
                let found = self.kept.iter().position(exact);
                if let Some(at) = found {
                    self.given_back |= give(rule, self.kept.remove(at), now);
                }
            }
            // As when a file is loaded again: a rule may have another expression by now.
            for rule in group.rules.iter_mut().filter(|rule| rule.active.is_empty()) {
                let found = self.kept.iter().position(|kept| kept.is_of(&group.file, &group.name, rule));
                if let Some(at) = found {
                    self.given_back |= give(rule, self.kept.remove(at), now);
                }
            }
        }
        self.kept.retain_mut(|kept| {
            let since = *kept.waits_since.get_or_insert(now);
            now.saturating_sub(since) < WAITS && !loaded.iter().any(|file| **file == *kept.file)
        });
    }

    /// Once after alerts were given back, writes the series of all that are active, so that an evaluation at `at` or later finds them.
    pub(super) fn tell_again(&mut self, at: i64, ground: &mut Ground<'_>) {
        if !std::mem::take(&mut self.given_back) {
            return;
        }
        let rules = self.groups.iter_mut().flat_map(|group| &mut group.rules);
        let active = rules.flat_map(|rule| rule.active.values_mut()).filter(|alert| alert.life.is_active());
        let samples: Vec<(Labels, f64)> = active.flat_map(Alert::samples).collect();
        if !samples.is_empty() {
            // Ahead of what the evaluation at that moment writes. A store that fails now fails it as well.
            let _ = ground.store.record(at - 1, &samples);
        }
    }
}

impl Kept {
    fn is_of(&self, file: &str, group: &str, rule: &Rule) -> bool {
        self.file == file
            && self.group == group
            && self.rule == *rule.spec.name
            && rule.spec.is_alert()
            && labels(&self.labels) == rule.base
    }
}

fn keep(group: &Group, rule: &Rule) -> Kept {
    Kept {
        file: group.file.to_string(),
        group: group.name.to_string(),
        rule: rule.spec.name.to_string(),
        labels: pairs(&rule.base),
        expr: rule.spec.expr.to_string(),
        alerts: rule.active.values().map(keep_alert).collect(),
        waits_since: None,
    }
}

fn keep_alert(alert: &Alert) -> KeptAlert {
    KeptAlert {
        labels: pairs(&alert.labels),
        annotations: alert
            .annotations
            .iter()
            .map(|(name, text)| (name.to_string(), text.to_string()))
            .collect(),
        value: alert.value,
        life: alert.life,
    }
}

/// Returns whether any of it is active.
fn give(rule: &mut Rule, kept: Kept, now: i64) -> bool {
    for kept in kept.alerts {
        let mut alert = Alert::new(&rule.base, labels(&kept.labels), kept.life);
        alert.value = kept.value;
        alert.annotations =
            kept.annotations.into_iter().map(|(name, text)| (name.into(), text.into())).collect();
        if alert.life.is_active() {
            alert.life.unknown_since.get_or_insert(now);
            // Its series are in the hub's store, and end there when it does.
            for (labels, _) in alert.samples() {
                rule.written.assume(labels);
            }
        }
        rule.active.insert(alert.labels.clone(), alert);
    }
    rule.active.values().any(|alert| alert.life.is_active())
}

fn pairs(labels: &Labels) -> Vec<(String, String)> {
    labels.iter().map(|label| (label.name.to_string(), label.value.to_string())).collect()
}

fn labels(pairs: &[(String, String)]) -> Labels {
    Labels::new(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())))
}
