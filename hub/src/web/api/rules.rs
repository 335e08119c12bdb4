//! `/api/v1/rules`, `/api/v1/alerts`: what the rule engine shows of itself, in the envelope of the API. Decides nothing.
//!
//! ```text
//! {"groups":[{"name":"box","file":"box.yml","rules":[{"state":"firing","name":"Gone","query":"rackside_appliance_up == 0",…
//! {"alerts":[{"labels":{"alertname":"Gone","site":"hall"},"annotations":{},"state":"firing","activeAt":"2026-11-20T05:25:19.25Z","value":"0e+00"}]}
//! ```

use super::Api;
use super::form::Form;
use super::json::quoted;
use super::reach;
use super::reply::{Failure, text};
use crate::web::accept::gzip;
use axum::extract::{Request, State};
use axum::response::Response;
use rackside_alerting::{AlertView, RuleView, RulesView};
use serde::Serialize;
use std::sync::Arc;

/// Which rules are asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    All,
    Alerting,
    Recording,
}

impl Wanted {
    fn of(text: &str) -> Result<Self, Failure> {
        match text.to_lowercase().as_str() {
            "" => Ok(Self::All),
            "alert" => Ok(Self::Alerting),
            "record" => Ok(Self::Recording),
            other => Err(Failure::parameter("type", format_args!("not supported value {}", quoted(other)))),
        }
    }

    fn takes(self, rule: &RuleView) -> bool {
        match rule {
            RuleView::Alerting(_) => self != Self::Recording,
            RuleView::Recording(_) => self != Self::Alerting,
        }
    }
}

pub(super) async fn rules(State(api): State<Arc<Api>>, request: Request) -> Response {
    let is_packed = gzip(request.headers());
    let sites = reach::of(&request);
    let write = |wanted: Wanted| {
        move |api: &Api| {
            let view = (api.behind.rules)(sites.as_ref());
            if wanted == Wanted::All {
                return text(&*view, &[]);
            }
            let mut view = RulesView::clone(&view);
            for group in &mut view.groups {
                group.rules.retain(|rule| wanted.takes(rule));
            }
            text(&view, &[])
        }
    };
    match Wanted::of(Form::of_address(request.uri()).first("type")) {
        Ok(wanted) => api.said(is_packed, write(wanted)).await,
        Err(failure) => failure.response(),
    }
}

pub(super) async fn alerts(State(api): State<Arc<Api>>, request: Request) -> Response {
    let sites = reach::of(&request);
    let write = move |api: &Api| text(&of_rules(&(api.behind.rules)(sites.as_ref())), &[]);
    api.said(gzip(request.headers()), write).await
}

#[derive(Serialize)]
struct Alerts<'a> {
    alerts: Vec<&'a AlertView>,
}

fn of_rules(view: &RulesView) -> Alerts<'_> {
    let rules = view.groups.iter().flat_map(|group| &group.rules);
    let alerts = rules.flat_map(|rule| match rule {
        RuleView::Alerting(rule) => rule.alerts.as_slice(),
        RuleView::Recording(_) => &[],
    });
    Alerts { alerts: alerts.collect() }
}
