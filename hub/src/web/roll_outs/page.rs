//! `/settings/fleet`: the same for people. Every form is one of an admin, and leads back to the page.

use super::{Look, Pace, Refusal};
use crate::clock;
use crate::moment::span;
use crate::rollout::NO_DIRECTORY;
use crate::web::Web;
use crate::web::accept::answer;
use crate::web::api::Form;
use crate::web::visitor::Visitor;
use axum::body::Body;
use axum::extract::{Path, State as Of};
use axum::http::{HeaderMap, Request, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use rackside_onair::Zone;
use rackside_pages::configuration::{Configuration, Group, Line, Running};
use rackside_pages::quantity::counted;
use rackside_pages::{Here, When};
use rackside_proto::AgentName;
use rackside_rollout::{Member, Plan, RollOut, State, Step};
use std::sync::Arc;

const HTML: &str = "text/html; charset=utf-8";
/// So many names of a group, so many changes, so many groups, so many appliances of a roll-out are shown; of more it is said.
const NAMES: usize = 12;
const CHANGES: usize = 60;
const GROUPS: usize = 30;
const MEMBERS: usize = 60;

/// What was entered, to be entered again.
#[derive(Default)]
struct Entered {
    to: String,
    pace: Pace,
    fault: String,
}

fn and_more(shown: usize, all: usize) -> String {
    if all > shown { format!("and {} more", all - shown) } else { String::new() }
}

fn names(all: &[AgentName]) -> String {
    let first: Vec<String> = all.iter().take(NAMES).map(ToString::to_string).collect();
    format!("{} {}", first.join(", "), and_more(first.len(), all.len())).trim_end().to_owned()
}

fn groups(plan: &Plan) -> (Vec<Group>, String) {
    let all = plan.groups();
    let shown = all.iter().take(GROUPS).map(|group| Group {
        count: counted(group.names.len(), "appliance", "appliances"),
        names: names(&group.names),
        changes: group.changes.iter().take(CHANGES).map(ToString::to_string).collect(),
        more: and_more(CHANGES, group.changes.len()),
    });
    (shown.collect(), and_more(GROUPS, all.len()))
}

fn lines(of: &RollOut) -> Vec<Line> {
    let told = |member: &&Member| {
        !matches!(member.step, Step::Proven(_)) && (member.stage.is_some() || !member.note.is_empty())
    };
    let line = |member: &Member| {
        let (state, word) = match &member.step {
            Step::Failed { .. } => ("critical", "failed"),
            Step::Applied { .. } => ("info", "has it"),
            Step::Told(_) => ("info", "was told"),
            Step::Due | Step::Proven(_) => ("unknown", "not yet"),
        };
        let says = if let Step::Failed { why, .. } = &member.step { why } else { &member.note };
        Line { path: member.name.to_string(), state, word, says: says.clone() }
    };
    of.members.iter().filter(told).take(MEMBERS).map(line).collect()
}

fn running(of: &RollOut) -> Running {
    let now = clock::now().utc_ms as i64;
    let ago = |at: i64| span(now.saturating_sub(at).max(0) as u64);
    let (state, word) = match &of.state {
        State::Running => ("info", format!("running, stage {} of {}", of.stage + 1, of.stages.count())),
        State::Done { at } => ("well", format!("done {} ago", ago(*at))),
        State::Stopped { at, .. } => ("critical", format!("stopped {} ago", ago(*at))),
    };
    let counts = of.counts();
    let count = |word: &str| counts.get(word).copied().unwrap_or_default();
    let away = if of.away() > 0 { format!(", {} of them away", of.away()) } else { String::new() };
    Running {
        id: of.id,
        head: of.back_of.map_or_else(String::new, |id| format!("takes back roll-out {id}")),
        by: of.by.clone(),
        since: When::new(of.begun_at, Zone::UTC, now),
        state,
        word,
        why: if let State::Stopped { why, .. } = &of.state { why.clone() } else { String::new() },
        says: format!(
            "{} in stages {}: {} proven, {}, {} told{away}, {} to come, {} failed",
            counted(of.members.len(), "appliance", "appliances"),
            of.stages,
            count("proven"),
            counted(count("applied"), "has it", "have it"),
            count("told"),
            count("due"),
            count("failed")
        ),
        can_stop: of.is_running(),
        can_go_back: !of.is_running() && of.members.iter().any(|member| member.step.told().is_some()),
        appliances: lines(of),
    }
}

impl Web {
    fn fleet_page(&self, visitor: &Visitor, entered: Entered) -> String {
        let Entered { to, pace, fault } = entered;
        let mut page = Configuration {
            fault,
            to: to.clone(),
            stages: pace.stages,
            wait: pace.wait,
            on_air_too: pace.on_air_too,
            ..Configuration::new(self.frame("Configurations", Here::Settings, visitor))
        };
        let looked = self.look_at_fleet(&to).or_else(|(_, why)| {
            page.fault = why;
            self.look_at_fleet("")
        });
        let Look { directory, plan, newest } = match looked {
            Ok(look) => look,
            Err((_, why)) => {
                page.fault = why;
                return page.html();
            }
        };
        page.directory = directory.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
        page.hint = if directory.is_none() { NO_DIRECTORY.to_owned() } else { String::new() };
        match plan {
            _ if directory.is_none() => {}
            Ok(plan) => {
                page.faults = plan.faults.iter().map(ToString::to_string).collect();
                page.remarks.clone_from(&plan.remarks);
                page.same = plan.same;
                page.seal = plan.seal();
                (page.groups, page.more) = groups(&plan);
                page.can_begin = plan.faults.is_empty()
                    && !plan.entries.is_empty()
                    && newest.as_ref().is_none_or(|newest| !newest.is_running());
            }
            Err(faults) => page.faults = faults.iter().map(ToString::to_string).collect(),
        }
        page.running = newest.map(|newest| running(&newest));
        page.html()
    }
}

async fn show(
    web: Arc<Web>,
    code: StatusCode,
    headers: HeaderMap,
    visitor: Visitor,
    entered: Entered,
) -> Response {
    let writing = tokio::task::spawn_blocking(move || {
        let mut response = answer(&headers, HTML, web.fleet_page(&visitor, entered));
        *response.status_mut() = code;
        response
    });
    writing.await.expect("writing the page does not panic, and is not cancelled")
}

pub(in crate::web) async fn page(
    Of(web): Of<Arc<Web>>,
    visitor: Visitor,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let to = Form::of_address(&uri).first("to").to_owned();
    show(web, StatusCode::OK, headers, visitor, Entered { to, ..Entered::default() }).await
}

pub(in crate::web) async fn change(
    Of(web): Of<Arc<Web>>,
    visitor: Visitor,
    Path(what): Path<String>,
    request: Request<Body>,
) -> Response {
    let headers = request.headers().clone();
    let Ok(form) = Form::read(request).await else {
        let fault = Form::BROKEN.to_owned();
        return show(web, StatusCode::BAD_REQUEST, headers, visitor, Entered { fault, ..Entered::default() })
            .await;
    };
    let pace = || Pace {
        stages: form.first("stages").to_owned(),
        wait: form.first("wait").to_owned(),
        on_air_too: form.first("on_air") == "yes",
    };
    let (to, seal) = (form.first("to").to_owned(), form.first("seal").to_owned());
    let mut entered = Entered { to: to.clone(), pace: pace(), fault: String::new() };
    let (asked, on, by) = (pace(), Arc::clone(&web), visitor.clone());
    let doing = tokio::task::spawn_blocking(move || match what.as_str() {
        "roll-out" => on.begin_roll_out(&by, &to, &seal, &asked),
        "stop" => on.stop_roll_out(&by),
        "back" => on.take_back_roll_out(&by, &asked),
        _ => Err::<i64, Refusal>((StatusCode::NOT_FOUND, "There is no such form.".to_owned())),
    });
    match doing.await.expect("it does not panic, and is not cancelled") {
        Ok(_) => (StatusCode::SEE_OTHER, [(header::LOCATION, "/settings/fleet")]).into_response(),
        Err((code, why)) => {
            entered.fault = why;
            show(web, code, headers, visitor, entered).await
        }
    }
}
