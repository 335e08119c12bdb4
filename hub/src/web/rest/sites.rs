//! `/api/sites`, and what is below it: every site, one of them, an appliance, its series. Newest readings, no history.
//!
//! ```json
//! {"time":"…","sites":[{"site":"arena-north","name":"Arena North","tags":["city"],"time_zone":"Europe/Berlin","power":"always",
//!  "on_air":{"on":true,"reasons":["show"],…},"appliances":[{"appliance":"rack-1","up":true,…}]}],"next":null}
//! ```

use super::paging::Paging;
use super::tag;
use crate::clock::{self, Now};
use crate::fleet::Appliance;
use crate::ingest::Ingest;
use crate::json::{self, OfSeries, OfSite};
use crate::moment::rfc3339;
use crate::site::{PowerConfig, SiteConfig};
use crate::web::Web;
use crate::web::api::Form;
use crate::web::problem::Problem;
use crate::web::visitor::Visitor;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use rackside_onair::Zone;
use rackside_proto::{AgentName, Id};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "it is the JSON's word for its id")]
struct Site<'a> {
    site: &'a str,
    name: &'a str,
    tags: &'a [String],
    time_zone: Option<&'static str>,
    power: &'static str,
    on_air: Option<OnAir>,
    appliances: Vec<OfSite<'a>>,
}

/// Whether a site is on air, and why.
#[derive(Serialize)]
pub(in crate::web) struct OnAir {
    on: bool,
    reasons: Vec<&'static str>,
    power_expected: bool,
    show_end: Option<String>,
}

/// A site by itself: what is only worth telling there as well.
#[derive(Serialize)]
struct Whole<'a> {
    #[serde(flatten)]
    site: Site<'a>,
    access: &'a str,
    contacts: Vec<Contact<'a>>,
}

#[derive(Serialize)]
struct Contact<'a> {
    role: &'a str,
    name: &'a str,
    phone: &'a str,
    email: &'a str,
    hours: &'a str,
}

/// Whether a site is on air; none where nobody knows.
pub(in crate::web) fn on_air(web: &Web, site: &str, now: Now) -> Option<OnAir> {
    let view = web.on_air.view(&site.parse::<Id>().ok()?, now)?;
    Some(OnAir {
        on: view.on_air(),
        reasons: view.reasons.iter().filter(|(_, is)| *is).map(|(reason, _)| reason.as_str()).collect(),
        power_expected: view.power_expected,
        show_end: view.show_end.map(|at| rfc3339(at.max(0) as u64)),
    })
}

/// What is configured, and which sites there are beside.
struct Known {
    configs: BTreeMap<String, SiteConfig>,
    now: Now,
}

impl Known {
    fn new(web: &Web, now: Now) -> Self {
        let told = web.on_air.configs();
        let configs = told.borrow().iter().map(|config| (config.id.to_string(), config.clone())).collect();
        Self { configs, now }
    }

    fn site<'a>(&'a self, web: &Web, name: &'a str, appliances: Vec<OfSite<'a>>) -> Site<'a> {
        let config = self.configs.get(name);
        Site {
            site: name,
            name: config.and_then(|config| config.name.as_deref()).unwrap_or(name),
            tags: config.map_or(&[], |config| &config.tags),
            time_zone: config.and_then(|config| config.time_zone).map(Zone::name),
            power: match config.map(|config| config.power) {
                Some(PowerConfig::WithShow) => "with_show",
                Some(PowerConfig::Always) | None => "always",
            },
            on_air: on_air(web, name, self.now),
            appliances,
        }
    }
}

/// The appliances of each site that the visitor sees, by name; sites without any as well.
fn by_site<'a>(
    ingest: &'a Ingest,
    known: &'a Known,
    visitor: &Visitor,
) -> Vec<(&'a str, Vec<(usize, &'a Appliance)>)> {
    let mut sites: BTreeMap<&str, Vec<(usize, &Appliance)>> =
        known.configs.keys().map(|site| (site.as_str(), Vec::new())).collect();
    let all = ingest.fleet().appliances().iter().enumerate();
    for (slot, one) in all.filter(|(_, one)| one.retired_ms.is_none()) {
        sites.entry(one.name.site.as_str()).or_default().push((slot, one));
    }
    sites.retain(|site, _| visitor.sees(site, &[]));
    for appliances in sites.values_mut() {
        appliances.sort_by(|a, b| a.1.name.cmp(&b.1.name));
    }
    sites.into_iter().collect()
}

fn of_site<'a>(ingest: &Ingest, all: Vec<(usize, &'a Appliance)>, now: Now) -> Vec<OfSite<'a>> {
    all.into_iter().map(|(slot, one)| OfSite::new(one, ingest.records(slot), now)).collect()
}

fn listed(web: &Web, visitor: &Visitor, paging: &Paging) -> Result<(String, String), Problem> {
    let now = clock::now();
    let known = Known::new(web, now);
    let ingest = web.shared.read();
    let (page, next) = paging.cut(by_site(&ingest, &known, visitor), |(site, _)| (*site).to_owned())?;
    let sites: Vec<Site> =
        page.into_iter().map(|(site, all)| known.site(web, site, of_site(&ingest, all, now))).collect();
    let told = json::text(&sites);
    drop(sites);
    drop(ingest);
    let (time, next) = (json::text(&rfc3339(now.utc_ms)), json::text(&next));
    Ok((format!("{{\"time\":{time},\"sites\":{told},\"next\":{next}}}"), told))
}

fn no_site(site: &str) -> Problem {
    Problem::not_found(format!("there is no site {site:?}"))
}

fn one(web: &Web, visitor: &Visitor, site: &str) -> Result<String, Problem> {
    let now = clock::now();
    let known = Known::new(web, now);
    let ingest = web.shared.read();
    let found = by_site(&ingest, &known, visitor).into_iter().find(|(known, _)| *known == site);
    let (name, all) = found.ok_or_else(|| no_site(site))?;
    let config = known.configs.get(name);
    let contacts = config.map_or(&[][..], |config| &config.contact);
    let contacts = contacts.iter().map(|one| Contact {
        role: &one.role,
        name: &one.name,
        phone: &one.phone,
        email: &one.email,
        hours: &one.hours,
    });
    let contacts = contacts.collect();
    let access = config.map_or("", |config| &config.access);
    Ok(json::text(&Whole { site: known.site(web, name, of_site(&ingest, all, now)), access, contacts }))
}

/// The appliance, if the visitor may see it, and what `look` makes of it.
fn appliance<T>(
    web: &Web,
    visitor: &Visitor,
    (site, name): &(String, String),
    look: impl FnOnce(&Ingest, usize, &Appliance) -> T,
) -> Result<T, Problem> {
    let missing = || Problem::not_found(format!("there is no appliance {:?}", format!("{site}/{name}")));
    if !visitor.sees(site, &[]) {
        return Err(missing());
    }
    let agent = AgentName::new(site, name).map_err(|_| missing())?;
    let ingest = web.shared.read();
    let slot = ingest.fleet().slot(&agent).ok_or_else(missing)?;
    Ok(look(&ingest, slot, &ingest.fleet().appliances()[slot]))
}

/// With the hub's time in front of it.
fn timed(told: &str) -> String {
    let time = json::text(&rfc3339(clock::now().utc_ms));
    format!("{{\"time\":{time},{}", told.strip_prefix('{').expect("it is an object"))
}

/// On a thread where it may take its time.
async fn said(
    headers: HeaderMap,
    make: impl FnOnce() -> Result<(String, String), Problem> + Send + 'static,
) -> Result<Response, Problem> {
    let making =
        tokio::task::spawn_blocking(move || make().map(|(body, told)| tag::json(&headers, body, &told)));
    making.await.expect("writing JSON does not panic, and is not cancelled")
}

pub(in crate::web) async fn list(
    State(web): State<Arc<Web>>,
    visitor: Visitor,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let paging = Paging::of(&Form::of_address(&uri))?;
    said(headers, move || listed(&web, &visitor, &paging)).await
}

pub(in crate::web) async fn site(
    State(web): State<Arc<Web>>,
    visitor: Visitor,
    Path(site): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    said(headers, move || one(&web, &visitor, &site).map(|told| (timed(&told), told))).await
}

pub(in crate::web) async fn series(
    State(web): State<Arc<Web>>,
    visitor: Visitor,
    Path(name): Path<(String, String)>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let paging = Paging::of(&Form::of_address(&uri))?;
    said(headers, move || {
        let told = appliance(&web, &visitor, &name, |_, _, one| {
            let Some(latest) = one.shown().and_then(|run| run.latest.as_ref()) else {
                return Ok::<_, Problem>((String::new(), "[]".to_owned(), None));
            };
            let mut all = OfSeries::all(latest);
            all.sort_by(|a, b| a.id.cmp(&b.id));
            let (page, next) = paging.cut(all, |one| one.id.clone())?;
            Ok((latest.time_ms.map(rfc3339).unwrap_or_default(), json::text(&page), next))
        })?;
        let (time, series, next) = told?;
        let time = Some(time).filter(|time| !time.is_empty());
        let body =
            format!("{{\"time\":{},\"series\":{series},\"next\":{}}}", json::text(&time), json::text(&next));
        Ok((body.clone(), body))
    })
    .await
}
