//! `/api/sites/{site}/{appliance}`: all that its page says, for programs. The charts' numbers and the series have addresses of their own.
//!
//! ```json
//! {"time":"…","site":"arena-north","appliance":"rack-1","up":true,…,"state":"critical","alerts":[…],"on_air":{"on":true,…},"clock":{"source":"ntp",…},
//!  "backlog":{"records":2,…},"catalog":{"number":3,"series":42},"probes":[{"probe":"encoder","state":"failed","since":"…",…}],"runs":[…]}
//! ```

use super::page::past;
use super::probes::{Standing, standing};
use super::runs::Run;
use super::{Subject, about, nobody};
use crate::clock::{self, Now};
use crate::json::{self, OfSite};
use crate::moment::rfc3339;
use crate::web::problem::Problem;
use crate::web::rest::sites::{OnAir, on_air};
use crate::web::rest::tag;
use crate::web::visitor::Visitor;
use crate::web::{Web, alerts};
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use rackside_notify::State as At;
use rackside_proto::metric;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

/// So long it waits for the past; then it tells the rest without it.
const PATIENCE: Duration = Duration::from_secs(10);
/// Not heard, as it is meant to be. It looks as what is muted does, and is said by its own word.
const OFF: &str = "off";

/// What stands beside what `/api/sites` says of an appliance.
#[derive(Serialize)]
struct Beside {
    /// As its page says it, in one word.
    state: &'static str,
    alerts: Vec<serde_json::Value>,
    on_air: Option<OnAir>,
    clock: Clock,
    backlog: Backlog,
    catalog: Option<Catalog>,
    probes: Vec<Standing>,
    /// `null`, if the past could not be read in time.
    runs: Option<Vec<Run>>,
}

#[derive(Serialize)]
struct Clock {
    /// `null`, if it is not known yet.
    source: Option<&'static str>,
    /// How much the time server that a probe asks is ahead of it.
    offset_seconds: Option<f64>,
}

#[derive(Serialize)]
struct Backlog {
    records: Option<f64>,
    disk_bytes: Option<f64>,
    link_sent_bytes: Option<f64>,
    link_received_bytes: Option<f64>,
}

#[derive(Serialize)]
struct Catalog {
    number: u32,
    series: usize,
}

pub(in crate::web) async fn whole(
    State(web): State<Arc<Web>>,
    visitor: Visitor,
    Path((site, appliance)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let now = clock::now();
    let asking = (Arc::clone(&web), visitor.clone(), (site.clone(), appliance.clone()));
    let found = tokio::task::spawn_blocking(move || {
        let (web, visitor, (site, appliance)) = asking;
        web.subject(&visitor, &site, &appliance, now)
    });
    let found = found.await.expect("a look at the fleet does not panic, and is not cancelled");
    let subject = Arc::new(found.ok_or_else(|| nobody(&site, &appliance))?);
    let read = {
        let (series, subject) = (Arc::clone(&web.queries), Arc::clone(&subject));
        let reads = web.api.reads(move |stopped| past(&series, &subject, stopped, now));
        tokio::time::timeout(PATIENCE, reads).await
    };
    let (probes, runs) = match read {
        Ok(Ok(past)) => (past.probes, Some(past.runs)),
        Err(_late) => (standing(&subject, None, &[]), None),
        Ok(Err(failure)) => return Err(Problem::new(failure.code(), failure.to_string())),
    };
    let writing = tokio::task::spawn_blocking(move || {
        let beside = web.beside(&subject, &visitor, probes, runs, now);
        let told = web.told(&subject, &beside, now);
        tag::json(&headers, timed(&told, now), &told)
    });
    Ok(writing.await.expect("writing JSON does not panic, and is not cancelled"))
}

/// With the hub's time in front of it.
fn timed(told: &str, now: Now) -> String {
    let time = json::text(&rfc3339(now.utc_ms));
    format!("{{\"time\":{time},{}", told.strip_prefix('{').expect("it is an object"))
}

impl Web {
    fn beside(
        &self,
        subject: &Subject,
        visitor: &Visitor,
        probes: Vec<Standing>,
        runs: Option<Vec<Run>>,
        now: Now,
    ) -> Beside {
        let (site, name) = (subject.agent.site.as_str(), subject.agent.appliance.as_str());
        let alerts = self.notifications.look(|notifier, _| {
            let here = notifier.alerts().filter(|alert| {
                alert.site() == site && ["", name].contains(&alert.appliance()) && alert.state != At::Resolved
            });
            here.map(alerts::json).collect()
        });
        let quantity = |metric: &metric::Metric| about::quantity(subject, metric.name);
        let latest = subject.latest.as_ref();
        let head = self.head(subject, visitor, now);
        Beside {
            state: if head.word == OFF { OFF } else { head.state },
            alerts,
            on_air: on_air(self, site, now),
            clock: Clock {
                source: subject.clock.map(rackside_proto::ClockSource::as_str),
                offset_seconds: quantity(&metric::NTP_OFFSET),
            },
            backlog: Backlog {
                records: quantity(&metric::AGENT_BACKLOG),
                disk_bytes: quantity(&metric::AGENT_SPOOL),
                link_sent_bytes: about::link(subject, "transmit"),
                link_received_bytes: about::link(subject, "receive"),
            },
            catalog: latest
                .map(|latest| Catalog { number: latest.listing.number, series: latest.listing.len() }),
            probes,
            runs,
        }
    }

    /// What `/api/sites` says of it, and what stands beside that.
    fn told(&self, subject: &Subject, beside: &Beside, now: Now) -> String {
        let of_site = {
            let ingest = self.shared.read();
            let slot = ingest.fleet().slot(&subject.agent);
            let slot = slot.expect("an appliance that was found is never forgotten");
            json::text(&OfSite::new(&ingest.fleet().appliances()[slot], ingest.records(slot), now))
        };
        let (site, beside) = (json::text(&subject.agent.site.as_str()), json::text(beside));
        let of_site = of_site.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        let of_site = of_site.expect("it is an object");
        format!("{{\"site\":{site},{of_site},{}", beside.strip_prefix('{').expect("it is an object"))
    }
}
