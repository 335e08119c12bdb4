//! What the hub shows over HTTP: one file per endpoint.
//!
//! Everything that an agent can choose is escaped where it is written: in pages by the template engine, in JSON by
//! `serde_json`, in `/metrics` by [`Listing`](crate::fleet::Listing). Every answer carries the headers of `guard`: nothing is loaded from
//! elsewhere, no script or style stands in a page.
//!
//! ```text
//! /  /sites/{site}  /alerts  /alerts/{id}  /api/alerts  /api/silences  /api/receivers
//! /metrics  /health/liveness  /health/readiness  /health/detailed  /api/sites  /api/live  /api/v1/…  /static/<file>
//! ```

mod accept;
mod address;
mod admit;
mod alerts;
pub mod api;
mod appliance;
mod around;
mod assets;
mod body;
mod change;
mod commands;
mod cookie;
mod door;
mod exposition;
mod frame;
mod guard;
mod health;
mod histogram;
mod identities;
mod join;
mod listener;
mod live;
mod log;
mod login;
mod maintenance;
mod metrics;
mod missing;
mod mqtt;
mod names;
mod oidc;
mod own;
mod page;
mod people;
mod places;
mod problem;
mod receivers;
mod rest;
mod rights;
mod roll_outs;
mod row;
pub mod server;
mod settings;
mod silences;
mod site;
mod sparks;
mod status;
mod stills;
mod tunnel;
mod venue;
mod visitor;
mod works;

pub use door::Door;
pub(crate) use health::ready;
pub use live::{Live, Updates};
pub use oidc::OidcConfig;
pub(crate) use rest::cors;

use crate::clock::{self, Now};
use crate::command::Commands;
use crate::fleet::{Appliance, State};
use crate::identity::Identities;
use crate::ingest::task::Shared;
use crate::listener::ListenerHandle;
use crate::notify::{LinkKey, Notifications};
use crate::onair::OnAir;
use crate::query::Fleetwide;
use crate::rollout::RollOuts;
use crate::rules::Rules;
use crate::status::Public;
use crate::storage::Status;
use crate::text::{Format, Sink, Text};
use crate::turns::Turns;
use api::{Api, Behind, Meanings, QueryConfig};
use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{delete, get, post, put};
use rackside_alerting::GroupView;
use std::collections::BTreeSet;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;
use tokio::sync::watch;

/// The way in, as the pages see it: the hub's own listener or the link to an outside broker.
pub trait WayIn: Send + Sync {
    /// Whether messages can come in, and in one sentence how or why not.
    fn ready(&self) -> (bool, String);

    /// Its own numbers for `/metrics`.
    fn write(&self, text: &mut dyn Sink);

    /// What to write into an agent's configuration to come in this way: `127.0.0.1:1883`.
    fn address(&self) -> String;

    /// Whether that is a broker's, and not the hub's own.
    fn is_broker(&self) -> bool;
}

/// What the page warns of.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Troubles {
    /// Why nothing can come in.
    way: String,
    /// Why history cannot be written.
    history: String,
    /// Why alerts do not begin, are not told, or are not kept.
    watch: String,
    /// What is not known yet, as the hub has only just started. Not a trouble.
    starting: String,
}

impl Troubles {
    /// Whether anything keeps the hub from its work.
    fn is_any(&self) -> bool {
        [&self.way, &self.history, &self.watch].iter().any(|why| !why.is_empty())
    }
}

/// So long after a start that an appliance is not heard yet says nothing of it: agents come back within a minute.
const GATHERING: Duration = Duration::from_secs(90);

/// What the hub knows of now.
pub struct Known {
    /// The core.
    pub shared: Shared,
    /// Which site is on air.
    pub on_air: OnAir,
    /// Who is told of alerts.
    pub notifications: Notifications,
    /// What links in messages are signed with.
    pub links: LinkKey,
    /// Who may come in.
    pub door: Door,
    /// Origins whose pages may ask `/api/`; see `[web] cors`.
    pub cors: Vec<String>,
    /// What the public is told.
    pub public: Public,
    /// Who has joined; none, where they cannot be asked.
    pub identities: Option<Identities>,
    /// The hub's own listener, unless agents come through an outside broker.
    pub listener: Option<ListenerHandle>,
    /// How appliances are to be configured.
    pub roll_outs: RollOuts,
    /// What boxes are told to do.
    pub commands: Commands,
}

/// What queries are asked over, and what they may cost.
pub struct Queried {
    /// `[query]`.
    pub config: QueryConfig,
    /// Every series that there is.
    pub series: Arc<Fleetwide>,
    /// What the rule engine does.
    pub rules: Rules,
}

/// What the endpoints share.
pub struct Web {
    /// The core.
    pub shared: Shared,
    /// The way in.
    pub way: Arc<dyn WayIn>,
    /// How the history fares.
    pub history: Status,
    /// Who watches live.
    pub live: Live,
    /// Which site is on air.
    pub on_air: OnAir,
    /// Who is told of alerts.
    pub notifications: Notifications,
    links: LinkKey,
    door: Door,
    /// Origins whose pages may ask `/api/`.
    cors: Vec<String>,
    board: status::Board,
    identities: Option<Identities>,
    mqtt: Option<ListenerHandle>,
    roll_outs: RollOuts,
    commands: Commands,
    /// What queries are asked of.
    pub queries: Arc<Fleetwide>,
    /// When the hub started.
    pub started: Now,
    /// True once the hub stops: streams end.
    pub shutdown: watch::Receiver<bool>,
    exposition: Mutex<exposition::Exposition>,
    sparks: sparks::Sparks,
    rules: Rules,
    api: Arc<Api>,
    /// Connections that the web server has refused.
    refused: Arc<AtomicU64>,
    /// For files of samples while they are sent.
    files: Arc<places::Places>,
}

impl Web {
    /// Everything that the endpoints need.
    pub fn new(
        known: Known,
        way: Arc<dyn WayIn>,
        history: Status,
        live: Live,
        asked: Queried,
        started: Now,
        shutdown: watch::Receiver<bool>,
    ) -> Arc<Self> {
        let Known {
            shared,
            on_air,
            notifications,
            links,
            door,
            cors,
            public,
            identities,
            listener: mqtt,
            roll_outs,
            commands,
        } = known;
        let Queried { config, series, rules } = asked;
        let queries = Arc::clone(&series);
        Arc::new_cyclic(|web: &Weak<Self>| {
            let (web, again) = (web.clone(), web.clone());
            let metadata = Box::new(move || web.upgrade().map(|web| web.meanings()).unwrap_or_default());
            let view = Box::new({
                let (rules, web) = (rules.clone(), again);
                move |sites: Option<&BTreeSet<String>>| {
                    let view = rules.view();
                    let (Some(sites), Some(web)) = (sites, web.upgrade()) else { return view };
                    Arc::new(api::rules_within(&view, sites, &web.names_beyond(sites)))
                }
            });
            let api = Api::new(config, Behind { series, metadata, rules: view }, shutdown.clone());
            let exposition = Mutex::new(exposition::Exposition::default());
            Self {
                shared,
                way,
                history,
                live,
                on_air,
                notifications,
                links,
                door,
                cors,
                board: status::Board::new(public),
                identities,
                mqtt,
                roll_outs,
                commands,
                queries,
                started,
                shutdown,
                exposition,
                sparks: sparks::Sparks::default(),
                rules,
                api,
                refused: Arc::default(),
                files: places::Places::new(appliance::FILES, appliance::FILES_OF_ONE, &[places::HERE]),
            }
        })
    }

    /// Where the web server counts the connections that it refuses.
    pub(crate) fn refused(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.refused)
    }

    /// What metrics mean: those of agents, as far as this hub knows them, and its own.
    fn meanings(&self) -> Meanings {
        let mut text = Text::new(Format::OpenMetrics, 16 * 1024);
        own::write(&mut text, self, clock::now());
        let mut meanings = api::of_vocabulary();
        meanings.extend(api::of_openmetrics(&text.out));
        meanings
    }

    /// Whether those turn without whom nobody is told of anything.
    fn turns(&self) -> Turns {
        Turns { rules: self.rules.turn().clone(), notifications: self.notifications.turn().clone() }
    }

    /// What is wrong: nothing can come in, history cannot be written, nobody watches. Each is empty while that is well.
    fn troubles(&self) -> Troubles {
        let ((ready, why), now) = (self.way.ready(), clock::now());
        let kept = self.queries.trouble().map(|why| format!("what the hub makes cannot be kept: {why}"));
        let watch: Vec<String> = self.turns().missing(now).into_iter().chain(kept).collect();
        Troubles {
            way: if ready { String::new() } else { why },
            history: self.history.trouble(now).unwrap_or_default(),
            watch: watch.join("; "),
            starting: self.starting(now).to_owned(),
        }
    }

    /// What is not known yet after a start; nothing once all is.
    fn starting(&self, now: Now) -> &'static str {
        let watches =
            |group: &GroupView| watches(group.interval, group.counts.regular + group.counts.at_once);
        if !self.queries.is_warm() || !self.rules.view().groups.iter().all(watches) {
            return "Starting: rules do not watch yet";
        }
        let is_unknown = |one: &Appliance| one.state == State::Unknown;
        let is_young = now.since(self.started.instant) < GATHERING;
        if is_young && self.shared.read().fleet().in_service().any(is_unknown) {
            return "Starting: not every appliance is heard again yet";
        }
        ""
    }
}

/// Whether a group of rules with that interval, in seconds, watches, so often evaluated since the start. One of a longer interval than a start takes looks at what
/// takes days, a certificate's end for example, and is not waited for: what fired of it before fires still.
fn watches(interval: f64, evaluated: u64) -> bool {
    evaluated > 0 || interval > GATHERING.as_secs_f64()
}

/// Tells those who watch live, until the hub stops.
pub async fn live_updates(web: Arc<Web>, shutdown: watch::Receiver<bool>) {
    live::run(web, shutdown).await;
}

/// Where a fleet and those who look after it are managed.
fn managed() -> Router<Arc<Web>> {
    Router::new()
        .route("/settings", get(settings::page))
        .route("/settings/fleet", get(roll_outs::page::page))
        .route("/settings/fleet/{what}", post(roll_outs::page::change))
        .route("/settings/password", post(settings::password))
        .route("/settings/users", post(settings::add_user))
        .route("/settings/users/{name}", post(settings::user))
        .route("/settings/tokens", post(settings::make_token))
        .route("/settings/tokens/{name}", post(settings::revoke_token))
        .route("/settings/sessions/{id}", post(settings::end_session))
        .route("/settings/receivers/{name}", post(settings::try_receiver))
        .route("/settings/boxes", get(settings::boxes::page).post(settings::boxes::make))
        .route("/settings/boxes/card", post(settings::boxes::card))
        .route("/settings/boxes/{site}/{appliance}", post(settings::boxes::change))
        .route("/api/identities", get(identities::list).post(identities::make))
        .route("/api/identities/{site}/{appliance}/revoke", post(identities::revoke))
        .route("/api/identities/{site}/{appliance}/retire", post(identities::retire))
        .route("/api/users", get(people::users).post(people::add))
        .route("/api/users/{name}", put(people::change).delete(people::remove))
        .route("/api/tokens", get(people::tokens).post(people::make_token))
        .route("/api/tokens/{name}", delete(people::revoke))
}

/// All endpoints.
pub fn router(web: Arc<Web>) -> Router {
    let api = api::router(Arc::clone(&web.api));
    Router::new()
        .route("/", get(page::page))
        .route("/sites/{site}", get(site::site).post(site::change))
        .route("/metrics", get(metrics::metrics))
        .route("/health/liveness", get(health::liveness))
        .route("/health/readiness", get(health::readiness))
        .route("/health/detailed", get(health::detailed))
        .route("/api/sites", get(rest::sites::list))
        .route("/api/sites/{site}", get(rest::sites::site))
        .route(
            "/api/sites/{site}/on_air",
            get(rest::on_air::look).post(rest::on_air::put).delete(rest::on_air::take_back),
        )
        .route("/api/sites/{site}/let_go", post(rest::on_air::let_go))
        .route("/api/shows", get(rest::on_air::shows))
        .route("/api/sites/{site}/{appliance}", get(appliance::whole))
        .route("/api/sites/{site}/{appliance}/series", get(rest::sites::series))
        .route("/sites/{site}/{appliance}", get(appliance::page).post(appliance::set_up::change))
        .route("/api/sites/{site}/{appliance}/commissioning", get(appliance::set_up::look))
        .route("/api/sites/{site}/{appliance}/commissioning/led_seen", post(appliance::set_up::led_seen))
        .route("/api/sites/{site}/{appliance}/commissioning/in_service", post(appliance::set_up::in_service))
        .route("/sites/{site}/{appliance}/chart.svg", get(appliance::picture))
        .route("/sites/{site}/{appliance}/chart.csv", get(appliance::csv))
        .route("/api/sites/{site}/{appliance}/chart", get(appliance::data))
        .route("/api/sites/{site}/{appliance}/latest", get(appliance::latest))
        .route("/api/sites/{site}/{appliance}/stills", get(stills::list))
        .route("/sites/{site}/{appliance}/stills/{probe}", get(stills::picture))
        .route("/api/sites/{site}/{appliance}/commands", get(commands::list).post(commands::give))
        .route("/api/sites/{site}/{appliance}/commands/{id}", get(commands::look))
        .route("/sites/{site}/{appliance}/commands", post(commands::form))
        .route("/sites/{site}/{appliance}/commands/{id}", get(commands::page))
        .route("/alerts", get(alerts::list))
        .route("/alerts/{id}", get(alerts::page).post(alerts::change))
        .route("/log", get(log::page))
        .route("/status", get(status::page))
        .route("/status/feed", get(status::feed))
        .route("/status/incidents", post(status::begin))
        .route("/status/incidents/{id}", post(status::change))
        .route("/api/status", get(status::api))
        .route("/api/log", get(log::api))
        .route("/mutes/{id}", post(alerts::change_mute))
        .route("/api/alerts", get(rest::alerts::list))
        .route("/api/alerts/{id}", get(rest::alerts::alert))
        .route("/api/alerts/{id}/acknowledge", post(rest::alerts::acknowledge))
        .route("/api/alerts/{id}/release", post(rest::alerts::release))
        .route("/api/alerts/{id}/mute", post(alerts::mute))
        .route("/api/alerts/{id}/around", get(alerts::around))
        .route("/api/silences", get(silences::list).post(silences::make))
        .route("/api/silences/{id}", put(silences::change).delete(silences::end))
        .route("/api/receivers", get(receivers::list))
        .route("/api/me", get(rest::me::me))
        .route("/api/hub", get(health::api))
        .route("/maintenance", get(works::page).post(works::begin))
        .route("/maintenance/{id}", post(works::change))
        .route("/api/maintenance", get(rest::maintenance::list).post(rest::maintenance::begin))
        .route("/api/maintenance/{id}", delete(rest::maintenance::end))
        .route("/api/on_call", get(rest::on_call::list))
        .route("/api/incidents", get(status::incidents::list).post(status::incidents::begin))
        .route("/api/incidents/{id}", put(status::incidents::change))
        .route("/api/incidents/{id}/end", post(status::incidents::end))
        .route("/api/fleet/configuration", get(roll_outs::api::look))
        .route("/api/fleet/configuration/roll_out", post(roll_outs::api::begin))
        .route("/api/fleet/configuration/stop", post(roll_outs::api::stop))
        .route("/api/fleet/configuration/back", post(roll_outs::api::back))
        .route("/api/live", get(live::live))
        .route("/api/openapi.json", get(rest::openapi::openapi))
        .route("/login", get(login::form).post(login::enter))
        .route("/login/provider", get(oidc::begin))
        .route("/login/back", get(oidc::end))
        .merge(managed())
        .route("/api/receivers/{name}/test", post(receivers::test))
        .route("/logout", post(login::leave))
        .route("/join", post(join::join))
        .route("/mqtt", get(mqtt::mqtt))
        .route("/setup/{code}", get(login::setup).post(login::set_up))
        .route("/static/{file}", get(assets::asset))
        .fallback(missing::not_found)
        .method_not_allowed_fallback(missing::not_allowed)
        .nest_service("/api/v1", api)
        .layer(from_fn_with_state(Arc::clone(&web), admit::admit))
        .layer(from_fn(problem::everywhere))
        .layer(from_fn_with_state(Arc::clone(&web), rest::cors::cors))
        .layer(from_fn_with_state(Arc::clone(&web), guard::guard))
        .with_state(web)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_waits_for_no_group_that_takes_longer_than_a_start() {
        assert!(!watches(15.0, 0) && !watches(60.0, 0), "nobody has looked yet");
        assert!(watches(15.0, 1));
        assert!(watches(3600.0, 0), "an hour is no start");
    }
}
