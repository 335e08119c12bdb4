//! `/settings/boxes`: a code for a box, and who has joined. What is done is `identities`; here is how a page asks for it.
//!
//! ```text
//! POST /settings/boxes                    site, appliance; replaces=hall/rack-1 where that has a box    the page with the code, once
//! POST /settings/boxes/card               code                                                          rackside.toml
//! POST /settings/boxes/hall/rack-1        do=revoke | retire
//! ```

use super::super::Web;
use super::super::accept::answer;
use super::super::api::Form;
use super::super::identities::Refused;
use super::super::missing;
use super::super::venue::Venues;
use super::super::visitor::Visitor;
use super::{HTML, LONG, WRONG, asked, day, found, login, read, sentence};
use crate::clock;
use crate::identity::{DeskError, Handout, Identities, Listed};
use crate::moment::span;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Request, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use rackside_identity::End;
use rackside_pages::Here;
use rackside_pages::boxes::{Boxes, JoinForm, Line, MadeCode};
use rackside_pages::quantity::counted;
use rackside_proto::AgentName;
use rackside_proto::join::Code;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Groups of a code in a line.
const GROUPS: usize = 4;
/// What was done, by the word that leads back to the page.
const DONE: [(&str, &str); 3] = [
    ("revoked", "It is revoked: the box is let in no more."),
    ("retired", "It is retired: out of service, and its history stays."),
    ("", ""),
];

/// What it means to retire a box with a certificate, and one without.
const RETIRES: &str = "Out of service: it is let in no more, the fleet does not wait for it, and its alerts end. History stays. A new code brings it back.";
const RETIRES_NOBODY: &str = "Out of service: the fleet does not wait for it, and its alerts end. History stays. It has no certificate that could be taken away: switch it off; started anew, it is in service again.";

/// What is said on the page beside what is so.
#[derive(Default)]
struct Said {
    done: String,
    fault: String,
    made: Option<Handout>,
    form: JoinForm,
    find: String,
}

fn fault(fault: &str) -> Said {
    Said { fault: sentence(&fault.trim_end_matches('.')), ..Said::default() }
}

fn made(handout: &Handout, venues: &Venues) -> MadeCode {
    let zone = venues.zone(handout.name.site.as_str());
    let (code, picture) = (handout.code.text(), handout.picture());
    let (width, picture) = picture.map(|picture| (picture.width(), picture.path())).unwrap_or_default();
    let groups: Vec<&str> = code.split('-').collect();
    MadeCode {
        name: handout.name.to_string(),
        rows: groups.chunks(GROUPS).map(|row| row.join("-")).collect(),
        line: handout.line(),
        until: zone.local(handout.until).format("%A %-d %B, %H:%M").to_string(),
        zone: zone.name().to_owned(),
        has_box: handout.has_box,
        width,
        picture,
        code: code.as_str().to_owned(),
    }
}

fn line(one: &Listed, is_heard: bool, now: i64) -> Line {
    let state = one.state();
    let ago = |at: i64| span(now.saturating_sub(at).max(0).unsigned_abs());
    // It is written down to the hour.
    let late = |at: i64| match now.saturating_sub(at) {
        ms if ms < 2 * 3_600_000 => "of late".to_owned(),
        _ => format!("{} ago", ago(at)),
    };
    let mut says: Vec<String> = match &one.joined {
        Some(joined) if state == "joined" => vec![format!("until {}", day(joined.until))],
        Some(joined) => vec![format!("since {}", day(one.retired_at.unwrap_or(joined.until)))],
        None => one.retired_at.map(|at| format!("since {}", day(at))).into_iter().collect(),
    };
    if let (Some(_), Some(at)) = (&one.joined, one.seen_at) {
        says.push(format!("seen {}", late(at)));
    }
    if let Some((_, until)) = one.waiting {
        let left = span(until.saturating_sub(now).max(0).unsigned_abs());
        says.push(format!("a code waits to be used, good for {left}"));
    }
    let mut notes = Vec::new();
    if let Some(at) = one.old_came_at {
        notes.push(format!(
            "Replaced: the old box is still switched on somewhere; it came {} and was turned away.",
            late(at)
        ));
    }
    if one.tries > 0 {
        let tries = counted(usize::try_from(one.tries).unwrap_or(usize::MAX), "time", "times");
        notes.push(format!("Another box came with a code that was used, {tries}."));
    }
    if one.joined.is_none() && state == "retired" {
        notes.push("It had no certificate: switched on again, it is in service again.".to_owned());
    }
    let can_end = one.waiting.is_some() || matches!(state, "joined" | "expired");
    Line {
        name: one.name.to_string(),
        has_page: is_heard,
        mark: match state {
            "joined" => "well",
            "waiting" => "look",
            "expired" => "warning",
            "no certificate" => "unknown",
            _ => "muted",
        },
        state,
        says: says.join(", "),
        notes,
        can_end,
        retires: if one.joined.is_some() { RETIRES } else { RETIRES_NOBODY },
        can_retire: state != "retired" && (one.joined.is_some() || is_heard),
    }
}

impl Web {
    /// What it means that a name gets a code, where somebody is to agree to it first.
    fn agreement(&self, name: &AgentName, has_box: bool) -> Option<(String, String)> {
        if has_box {
            let what = format!(
                "{name} has a box already. Once the code is used, that box is let in no more, and history and settings go on with the new one."
            );
            return Some((what, format!("Replace the box of {name}")));
        }
        let is_known = self.shared.read().fleet().find(name).is_some();
        let is_joined = self.identities.as_ref().is_some_and(|identities| identities.is_joined(name));
        (is_known && !is_joined).then(|| {
            let what = format!(
                "{name} is known, and came without a certificate. Once the code is used, only the box that used it speaks for that name."
            );
            (what, format!("Make a code for {name}"))
        })
    }

    fn boxes(&self, visitor: &Visitor, mut listed: Vec<Listed>, said: Said) -> String {
        let (venues, now) = (self.venues(), clock::now().utc_ms as i64);
        listed.retain(|one| venues.sees(visitor, one.name.site.as_str()));
        let mut names: BTreeSet<AgentName> = listed.iter().map(|one| one.name.clone()).collect();
        let heard: BTreeSet<AgentName> = {
            let ingest = self.shared.read();
            ingest.fleet().appliances().iter().map(|one| one.name.clone()).collect()
        };
        // Who came without a certificate stands there as well: it can be retired.
        for name in heard.iter().filter(|name| venues.sees(visitor, name.site.as_str())) {
            if names.insert(name.clone()) {
                listed.push(Listed::nothing(name.clone()));
            }
        }
        listed.sort_by(|one, other| one.name.cmp(&other.name));
        let is_long = listed.len() >= LONG || !said.find.is_empty();
        let mut sites: BTreeSet<String> = names.iter().map(|name| name.site.to_string()).collect();
        let configured = venues.all().map(|(site, _)| site).filter(|site| venues.sees(visitor, site));
        sites.extend(configured.map(str::to_owned));
        let appliances: BTreeSet<String> = names.iter().map(|name| name.appliance.to_string()).collect();
        let lines: Vec<(String, Listed)> =
            listed.into_iter().map(|one| (one.name.to_string(), one)).collect();
        let (shown, more) = found(lines, &said.find, |(name, _)| name);
        let unready = self.identities().map_err(|error| error.to_string());
        let unready = unready.and_then(Identities::readiness).err().unwrap_or_default();
        let page = Boxes {
            frame: self.frame("Boxes", Here::Settings, visitor),
            done: said.done,
            fault: said.fault,
            unready,
            made: said.made.as_ref().map(|handout| made(handout, &venues)),
            form: said.form,
            sites: sites.into_iter().take(SUGGESTED).collect(),
            appliances: appliances.into_iter().take(SUGGESTED).collect(),
            find: said.find,
            is_long,
            more: if more > 0 { format!("There are {more} more: find them by name.") } else { String::new() },
            boxes: shown.iter().map(|(_, one)| line(one, heard.contains(&one.name), now)).collect(),
        };
        page.html()
    }

    async fn show_boxes(
        self: Arc<Self>,
        code: StatusCode,
        headers: HeaderMap,
        visitor: Visitor,
        said: Said,
    ) -> Response {
        let listed = match self.identities() {
            Ok(identities) => identities.listed().await.map_err(Refused::from),
            Err(refused) => Err(refused),
        };
        let listed = match listed {
            Ok(listed) => listed,
            Err(why) => {
                let (code, title) = (StatusCode::SERVICE_UNAVAILABLE, "Boxes cannot be read");
                return missing::say(
                    &headers,
                    &Uri::from_static("/settings/boxes"),
                    code,
                    title,
                    &why.to_string(),
                );
            }
        };
        let writing = tokio::task::spawn_blocking(move || {
            let mut response = answer(&headers, HTML, self.boxes(&visitor, listed, said));
            *response.status_mut() = code;
            response
        });
        writing.await.expect("writing the page does not panic, and is not cancelled")
    }
}

/// So many names are suggested.
const SUGGESTED: usize = 500;

pub(in crate::web) async fn page(
    State(web): State<Arc<Web>>,
    visitor: Visitor,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let Some((done, find)) = asked(&visitor, &uri, &DONE) else { return login(&uri) };
    web.show_boxes(StatusCode::OK, headers, visitor, Said { done, find, ..Said::default() }).await
}

pub(in crate::web) async fn make(
    State(web): State<Arc<Web>>,
    visitor: Visitor,
    request: Request<Body>,
) -> Response {
    let (headers, form) = read(request).await;
    let Some(form) = form else { return web.show_boxes(WRONG, headers, visitor, fault(Form::BROKEN)).await };
    let entered = |name: &str| form.first(name).trim().to_lowercase();
    let mut wanted =
        JoinForm { site: entered("site"), appliance: entered("appliance"), ..JoinForm::default() };
    let name = match web.box_name(&visitor, &wanted.site, &wanted.appliance) {
        Ok(name) => name,
        Err(refused) => {
            wanted.name_fault = sentence(&refused);
            return web.show_boxes(WRONG, headers, visitor, Said { form: wanted, ..Said::default() }).await;
        }
    };
    // What somebody agreed to is good for the name that they were asked about.
    let agreed = form.first("replaces") == name.to_string();
    let asked = |(asks, agree): (String, String), wanted: JoinForm| Said {
        form: JoinForm { asks, agree, ..wanted },
        ..Said::default()
    };
    if let Some(asks) = web.agreement(&name, false).filter(|_| !agreed) {
        return web.show_boxes(StatusCode::OK, headers, visitor, asked(asks, wanted)).await;
    }
    match web.hand_out(&visitor, name.clone(), agreed).await {
        Ok(handout) => {
            let said = Said { made: Some(handout), ..Said::default() };
            web.show_boxes(StatusCode::OK, headers, visitor, said).await
        }
        Err(Refused::Desk(DeskError::HasBox)) => {
            let asks = web.agreement(&name, true).unwrap_or_default();
            web.show_boxes(StatusCode::OK, headers, visitor, asked(asks, wanted)).await
        }
        Err(refused) => {
            let said = Said { form: wanted, ..fault(&refused.to_string()) };
            web.show_boxes(WRONG, headers, visitor, said).await
        }
    }
}

/// The file for the card, of the code that the page shows: it is told once more to who has it.
pub(in crate::web) async fn card(
    State(web): State<Arc<Web>>,
    visitor: Visitor,
    request: Request<Body>,
) -> Response {
    let (headers, form) = read(request).await;
    let code = form.as_ref().and_then(|form| form.first("code").parse::<Code>().ok());
    let found = match (web.identities(), code) {
        (Ok(identities), Some(code)) => identities.handed_out(code).await.map_err(Refused::from),
        (Ok(_), None) => Ok(None),
        (Err(refused), _) => Err(refused),
    };
    let venues = web.venues();
    match found.map(|found| found.filter(|one| venues.sees(&visitor, one.name.site.as_str()))) {
        Ok(Some(handout)) => {
            let kind = [
                (header::CONTENT_TYPE, "application/toml"),
                (header::CONTENT_DISPOSITION, "attachment; filename=\"rackside.toml\""),
                (header::CACHE_CONTROL, "no-store"),
            ];
            (kind, handout.card()).into_response()
        }
        Ok(None) => {
            let said = fault("This code is none that waits to be used. Make a new one.");
            web.show_boxes(WRONG, headers, visitor, said).await
        }
        Err(refused) => web.show_boxes(WRONG, headers, visitor, fault(&refused.to_string())).await,
    }
}

pub(in crate::web) async fn change(
    State(web): State<Arc<Web>>,
    Path((site, appliance)): Path<(String, String)>,
    visitor: Visitor,
    request: Request<Body>,
) -> Response {
    let (headers, form) = read(request).await;
    let Some(form) = form else { return web.show_boxes(WRONG, headers, visitor, fault(Form::BROKEN)).await };
    let (end, done) = match form.first("do") {
        "revoke" => (End::Revoked, "revoked"),
        "retire" => (End::Retired, "retired"),
        _ => return web.show_boxes(WRONG, headers, visitor, fault("Nothing was asked for.")).await,
    };
    let ended = match web.box_name(&visitor, &site, &appliance) {
        Ok(name) => web.end_identity(&visitor, name, end).await,
        Err(refused) => Err(refused),
    };
    match ended {
        Ok(()) => {
            let place = format!("/settings/boxes?done={done}#joined");
            (StatusCode::SEE_OTHER, [(header::LOCATION, place)]).into_response()
        }
        Err(refused) => web.show_boxes(WRONG, headers, visitor, fault(&refused.to_string())).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Joined;

    const NOW: i64 = 1_795_219_200_000;

    fn listed(state: Option<&'static str>) -> Listed {
        Listed {
            joined: state.map(|state| Joined { state, since: NOW - 1, until: NOW + 1 }),
            retired_at: Some(NOW).filter(|_| state == Some("retired")),
            ..Listed::nothing(AgentName::new("hall", "rack-1").expect("a name"))
        }
    }

    #[test]
    fn a_line_says_what_can_be_done_about_it() {
        let of = |state, waiting| {
            let waiting = Some((NOW, NOW + 60_000)).filter(|_| waiting);
            let line = line(&Listed { waiting, ..listed(state) }, false, NOW);
            (line.state, line.can_end, line.can_retire)
        };
        assert_eq!(of(None, true), ("waiting", true, false));
        assert_eq!(of(Some("joined"), false), ("joined", true, true));
        assert_eq!(of(Some("revoked"), false), ("revoked", false, true), "the fleet waits for it still");
        assert_eq!(of(Some("retired"), true), ("retired", true, false));
        assert_eq!(of(None, false), ("no certificate", false, false));
        let line_of = |one: &Listed| line(one, true, NOW);
        assert!(line_of(&listed(None)).can_retire, "one that was heard");
        let retired = line_of(&Listed { retired_at: Some(NOW), ..listed(None) });
        assert_eq!((retired.state, retired.can_retire), ("retired", false));
        assert!(retired.notes[0].contains("in service again"), "{:?}", retired.notes);
        let both = line(&Listed { waiting: Some((NOW, NOW + 60_000)), ..listed(Some("joined")) }, true, NOW);
        assert!(both.says.ends_with(", a code waits to be used, good for 1 min"), "{}", both.says);
    }

    #[test]
    fn a_box_that_was_replaced_and_comes_back_is_told() {
        let line = line(&Listed { old_came_at: Some(NOW - 7_200_000), ..listed(Some("joined")) }, true, NOW);
        assert!(line.notes[0].starts_with("Replaced: the old box is still switched on"), "{:?}", line.notes);
        assert!(line.notes[0].contains("2 h ago"), "{:?}", line.notes);
    }
}
