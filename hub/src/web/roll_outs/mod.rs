//! The fleet's configurations, for admins: what the files would change, how the newest roll-out stands, beginning one, ending it, taking it back.
//! This file gathers and does it; `api` says it as JSON, `page` shows it at `/settings/fleet`.
//!
//! Whoever begins one can say which plan was looked at (its seal): if files or appliances are others since, nothing begins.

pub(super) mod api;
pub(super) mod page;

use super::Web;
use super::visitor::Visitor;
use crate::clock;
use crate::rollout::{self, RollOuts};
use axum::http::StatusCode;
use rackside_config::Span;
use rackside_rollout::{Begun, Fault, Plan, RollOut, Selection, Stages, Wanted};
use std::path::PathBuf;
use std::sync::Arc;

/// Longest text that says how long an appliance has to be well.
const LONGEST_WAIT: Span = Span::seconds(7 * 86_400);

type Refusal = (StatusCode, String);

/// How it all stands.
struct Look {
    directory: Option<PathBuf>,
    plan: Result<Plan, Vec<Fault>>,
    newest: Option<Arc<RollOut>>,
}

/// How fast somebody wants it.
#[derive(Debug, Default)]
struct Pace {
    stages: String,
    wait: String,
    on_air_too: bool,
}

#[expect(clippy::needless_pass_by_value, reason = "map_err hands it over")]
fn unwell(why: impl ToString) -> Refusal {
    (StatusCode::SERVICE_UNAVAILABLE, why.to_string())
}

#[expect(clippy::needless_pass_by_value, reason = "map_err hands it over")]
fn wrong(why: impl ToString) -> Refusal {
    (StatusCode::BAD_REQUEST, why.to_string())
}

/// One line of several faults.
fn line(faults: &[Fault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Who is meant; everybody, if nothing is said.
fn selection(text: &str) -> Result<Selection, Refusal> {
    if text.trim().is_empty() { Ok(Selection::default()) } else { text.trim().parse().map_err(wrong) }
}

impl Web {
    fn plan_of(&self, selection: &Selection) -> Result<Result<Plan, Vec<Fault>>, Refusal> {
        let sites = self.on_air.configs().borrow().clone();
        let book = self.roll_outs.book().map_err(unwell)?;
        Ok(rollout::plan(self.roll_outs.directory().as_deref(), &book, &sites, selection))
    }

    /// On a thread that may wait for the disk.
    fn look_at_fleet(&self, to: &str) -> Result<Look, Refusal> {
        let plan = self.plan_of(&selection(to)?)?;
        Ok(Look { directory: self.roll_outs.directory(), plan, newest: newest(&self.roll_outs)? })
    }

    fn begin_roll_out(&self, visitor: &Visitor, to: &str, seal: &str, pace: &Pace) -> Result<i64, Refusal> {
        let conflict = |why: String| (StatusCode::CONFLICT, why);
        let plan = self.plan_of(&selection(to)?)?.map_err(|faults| conflict(line(&faults)))?;
        if !plan.faults.is_empty() {
            return Err(conflict(line(&plan.faults)));
        }
        if !seal.is_empty() && seal != plan.seal() {
            let why = "files or appliances are others than those that were looked at; look again at what would change";
            return Err(conflict(why.to_owned()));
        }
        self.begin(&wanted(visitor, pace, Stages::default(), &plan)?)
    }

    fn take_back_roll_out(&self, visitor: &Visitor, pace: &Pace) -> Result<i64, Refusal> {
        let wanted = wanted(visitor, pace, Stages::at_once(), &Plan::default())?;
        let back = rollout::back(&*self.roll_outs.book().map_err(unwell)?, wanted).map_err(unwell)?;
        let nobody =
            || (StatusCode::CONFLICT, "nobody was told anything that could be taken back".to_owned());
        self.begin(&back.ok_or_else(nobody)?)
    }

    fn begin(&self, wanted: &Wanted) -> Result<i64, Refusal> {
        let begun = self.roll_outs.book().map_err(unwell)?.begin(wanted, clock::now().utc_ms as i64);
        match begun.map_err(unwell)? {
            Begun::Yes(id) => Ok(id),
            Begun::Running(id) => {
                Err((StatusCode::CONFLICT, format!("roll-out {id} is running; wait for it, or end it")))
            }
            Begun::Nobody => Err((StatusCode::CONFLICT, "nobody would get anything".to_owned())),
        }
    }

    fn stop_roll_out(&self, visitor: &Visitor) -> Result<i64, Refusal> {
        let stopped = self.roll_outs.book().map_err(unwell)?.stop(visitor.shown());
        stopped.map_err(unwell)?.ok_or_else(|| (StatusCode::CONFLICT, "no roll-out is running".to_owned()))
    }
}

/// The newest roll-out: with what members wait for, if the task has seen it already.
fn newest(roll_outs: &RollOuts) -> Result<Option<Arc<RollOut>>, Refusal> {
    let seen = roll_outs.newest();
    let book = roll_outs.book().map_err(unwell)?;
    if seen.as_ref().map(|seen| seen.id) == book.newest_id().map_err(unwell)? {
        return Ok(seen);
    }
    Ok(book.newest().map_err(unwell)?.map(Arc::new))
}

fn wanted(visitor: &Visitor, pace: &Pace, usual: Stages, plan: &Plan) -> Result<Wanted, Refusal> {
    let Pace { stages, wait, on_air_too } = pace;
    let stages = if stages.trim().is_empty() { usual } else { stages.trim().parse().map_err(wrong)? };
    let wait = match wait.trim() {
        "" => crate::cli::WAIT,
        text => text.parse().map_err(|error| wrong(format!("`wait`: {error}")))?,
    };
    if wait > LONGEST_WAIT {
        return Err(wrong("`wait` is a week at most"));
    }
    Ok(Wanted {
        back_of: None,
        by: visitor.shown().to_owned(),
        stages,
        wait: wait.get().as_millis() as i64,
        on_air_too: *on_air_too,
        texts: plan.texts(),
        snapshot: Some(plan.snapshot.clone()),
    })
}
