//! The runs of an appliance: when each was heard, for how long, what of it is lost, and why it ended.
//!
//! Why a run ended is known where it said so to this hub, or its broker did. Of older ones it follows from the run that came next: if the machine had just started then, it was the
//! machine that was off; if the machine had run on, the agent alone was started anew.
//!
//! Sample: `3f2a91c0  19 Nov 18:02 – 20 Nov 03:11  9 h  the machine started anew  –`

use super::Subject;
use super::about::{when, why};
use crate::clock::Now;
use crate::moment::{rfc3339, span};
use crate::query::Fleetwide;
use rackside_history::RunSpan;
use rackside_pages::appliance::Run as Shown;
use rackside_pages::quantity::counted;
use rackside_promql::SourceError;
use rackside_proto::Reason;
use serde::Serialize;

/// Runs that are told.
pub(super) const MOST: usize = 20;
/// What a clock and a first reading may differ by, in milliseconds.
const SLACK: i64 = 15_000;

/// A run, as it is told in JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(clippy::struct_field_names, reason = "it is the JSON's word for its id")]
pub(super) struct Run {
    run: String,
    first_heard: String,
    last_heard: String,
    /// Whether it is the one that is heard now.
    live: bool,
    /// `null` while it lives, and where nobody knows.
    ended: Option<&'static str>,
    lost: u64,
    #[serde(skip)]
    span: (u64, u64),
}

/// The runs, the newest first.
pub(super) fn told(
    series: &Fleetwide,
    subject: &Subject,
    spans: &[RunSpan],
    now: Now,
) -> Result<Vec<Run>, SourceError> {
    let mut all = Vec::with_capacity(spans.len());
    for (nth, of) in spans.iter().enumerate() {
        let run = of.run.to_string();
        let is_shown = subject.run.as_deref() == Some(&run);
        let live = is_shown && subject.state.is_up();
        let said = subject.ends.iter().find(|(ended, _)| *ended == of.run).map(|(_, reason)| *reason);
        let next = nth.checked_sub(1).and_then(|newer| spans.get(newer));
        let ended = match (said, next) {
            _ if live => None,
            (Some(reason), _) => Some(because(reason)),
            (None, _) if is_shown => Some(why(subject.state)).filter(|why| !why.is_empty()),
            (None, Some(newer)) => followed_by(series, subject, of, newer, now)?,
            (None, None) => Some("not heard since"),
        };
        let last_ms = if live { subject.seen_ms } else { of.last_ms };
        all.push(Run {
            first_heard: rfc3339(of.first_ms),
            last_heard: rfc3339(last_ms),
            live,
            ended,
            lost: of.lost,
            span: (of.first_ms, last_ms),
            run,
        });
    }
    Ok(all)
}

fn because(reason: Reason) -> &'static str {
    match reason {
        Reason::Stop => "stopped",
        Reason::Update => "updated",
        Reason::Shutdown => "the machine was shut down",
        Reason::Will | Reason::Start => "link lost",
    }
}

/// What the next run says of the end of this one.
fn followed_by(
    series: &Fleetwide,
    subject: &Subject,
    of: &RunSpan,
    newer: &RunSpan,
    now: Now,
) -> Result<Option<&'static str>, SourceError> {
    let started = series.machine_started(&subject.agent, newer.first_ms as i64, now)?;
    Ok(Some(match started {
        Some(at) if at + SLACK >= of.last_ms as i64 => "the machine started anew",
        Some(_) => "the agent started anew",
        None => "a newer run began",
    }))
}

/// The same for the page.
pub(super) fn shown(runs: Vec<Run>, subject: &Subject, now: Now) -> Vec<Shown> {
    let at = |ms| when(ms, subject.zone, now);
    runs.into_iter()
        .map(|one| Shown {
            start: at(one.span.0),
            end: if one.live { "now".to_owned() } else { at(one.span.1) },
            span: span(one.span.1.saturating_sub(one.span.0)),
            why: one.ended.unwrap_or_default().to_owned(),
            lost: if one.lost == 0 {
                "–".to_owned()
            } else {
                counted(one.lost as usize, "record", "records")
            },
            id: one.run,
        })
        .collect()
}
