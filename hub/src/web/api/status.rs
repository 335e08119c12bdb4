//! What a client of Prometheus asks about Prometheus itself: `/api/v1/status/buildinfo`; and targets and Alertmanagers, of which there are
//! none here.
//!
//! `version` is the Prometheus whose language and API the hub speaks, since clients choose by it what they ask for; `revision` is the hub's own.
//!
//! `{"version":"2.42.0","revision":"rackside-hub 0.1.0","branch":"","buildUser":"","buildDate":"","goVersion":""}`

use super::reply::{text, whole};
use axum::response::Response;
use serde::Serialize;

/// Whose language it is.
const SPOKEN: &str = "2.42.0";

pub(super) async fn build() -> Response {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Info {
        version: &'static str,
        revision: &'static str,
        branch: &'static str,
        build_user: &'static str,
        build_date: &'static str,
        go_version: &'static str,
    }
    let revision = concat!("rackside-hub ", env!("CARGO_PKG_VERSION"));
    let (branch, build_user, build_date, go_version) = ("", "", "", "");
    let info = Info { version: SPOKEN, revision, branch, build_user, build_date, go_version };
    whole(false, text(&info, &[]))
}

pub(super) async fn targets() -> Response {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Targets {
        active_targets: [(); 0],
        dropped_targets: [(); 0],
    }
    whole(false, text(&Targets { active_targets: [], dropped_targets: [] }, &[]))
}

pub(super) async fn alertmanagers() -> Response {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Alertmanagers {
        active_alertmanagers: [(); 0],
        dropped_alertmanagers: [(); 0],
    }
    whole(false, text(&Alertmanagers { active_alertmanagers: [], dropped_alertmanagers: [] }, &[]))
}
