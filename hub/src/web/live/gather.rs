//! What is new for those who watch, four times a second: appliances that came, went or were read, alerts that changed, entries of the log,
//! what is wrong with the hub.
//!
//! What nobody waits for (another reading, as well as the one before) is gathered for a second, so that a message is worth sending; what turns an
//! appliance or an alert goes at once.

use super::board::{Board, Channel, Follower, News, Told, whole};
use super::frame::{Event, Id};
use super::view::{Topic, View};
use crate::clock::{self, Now};
use crate::moment::rfc3339;
use crate::shutdown;
use crate::web::around::{Around, Fires, Venue};
use crate::web::{Troubles, Web, alerts, appliance, health, page, row, silences};
use rackside_notify::{AlertId, Booked, Mute, MuteId, Work, WorkId};
use rackside_pages::fleet::Group;
use rackside_proto::AgentName;
use serde::Serialize;
use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

/// How often is looked.
const TICK: Duration = Duration::from_millis(250);
/// What nobody waits for is gathered for so many looks.
const GATHERED: u32 = 4;
/// Views are looked through after so many looks.
const SWEEP: u32 = 40;

/// Tells those who watch, until the hub stops.
pub(in crate::web) async fn run(web: Arc<Web>, mut shutdown: watch::Receiver<bool>) {
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = shutdown::asked(&mut shutdown) => return,
        }
        if !web.live.is_watched() {
            continue;
        }
        let web = Arc::clone(&web);
        // A large fleet takes a while to write: not on a thread that serves others.
        let looking = tokio::task::spawn_blocking(move || web.live.desk().look(&web, clock::now()));
        looking.await.expect("writing rows does not panic, and is not cancelled");
    }
}

/// The views, and what was told, as far as it takes to know what is new.
#[derive(Debug)]
pub(super) struct Desk {
    board: Board,
    looks: u32,
    /// By slot, whether it was told to be up.
    up: Vec<Option<bool>>,
    alerts: Option<Alerts>,
    /// What fires and who is on air.
    around: Option<Around>,
    /// What is wrong with the hub.
    hub: Option<[String; 4]>,
    /// What was told of the hub's own alerts.
    own: Option<String>,
    /// Whether it is ready, and how or why not.
    ready: Option<(bool, String)>,
}

/// What was told of alerts.
#[derive(Debug)]
struct Alerts {
    /// The notifier's, when it was looked at.
    revision: u64,
    /// What was told of each, as a number.
    told: HashMap<AlertId, u64>,
    /// When each mute was changed last.
    mutes: HashMap<MuteId, i64>,
    /// When each maintenance by hand ends.
    works: HashMap<WorkId, i64>,
}

impl Desk {
    /// Nobody watches yet.
    pub(super) fn new(boot: u32) -> Self {
        Self {
            board: Board::new(boot),
            looks: 0,
            up: Vec::new(),
            alerts: None,
            around: None,
            hub: None,
            own: None,
            ready: None,
        }
    }

    /// A client comes; there is none if there is no room for its view.
    pub(super) fn join(&mut self, web: &Web, view: &View, after: Option<Id>, now: Now) -> Option<Follower> {
        // From here on changes are noted; what was before is in what the client is told first.
        web.live.watched(true);
        if self.hub.is_none() {
            self.hub(web);
        }
        if view.wants(Topic::Hub) && self.ready.is_none() {
            self.ready = Some(web.ready(now));
        }
        if view.wants(Topic::Rows) && self.around.is_none() {
            self.around = Some(web.around(now));
        }
        if view.wants(Topic::Rows) && self.own.is_none() {
            self.own(web);
        }
        if (view.wants(Topic::Alerts) || view.wants(Topic::Log)) && self.alerts.is_none() {
            self.alerts(web);
        }
        let nothing = Around::default();
        let around = self.around.as_ref().unwrap_or(&nothing);
        self.board.join(view, after, now.instant, |channel| all(web, around, channel, now))
    }

    fn look(&mut self, web: &Web, now: Now) {
        self.looks = self.looks.wrapping_add(1);
        if self.looks.is_multiple_of(SWEEP) {
            self.board.sweep(now.instant);
            if self.board.is_idle() {
                web.live.watched(false);
                *self = Self { board: std::mem::replace(&mut self.board, Board::new(0)), ..Self::new(0) };
                return;
            }
        }
        let mut news = News { hub: self.hub(web), ..News::default() };
        if self.board.wants(Topic::Hub) {
            news.state = self.state(web, now);
        }
        let mut log = web.live.take_log();
        if self.board.wants(Topic::Alerts) || self.board.wants(Topic::Log) {
            (news.alerts, news.mutes, news.works) = self.alerts(web);
            log.extend(news.alerts.iter().map(|alert| (alert.site.clone(), alert.appliance.clone())));
        }
        if self.board.wants(Topic::Log) {
            news.log = log.into_iter().map(entry).collect();
        }
        let is_due = self.looks.is_multiple_of(GATHERED);
        let is_urgent = !news.alerts.is_empty()
            || !news.mutes.is_empty()
            || !news.works.is_empty()
            || !news.log.is_empty()
            || !news.hub.is_empty()
            || news.state.is_some();
        let mut slots = web.live.take_changed();
        if is_due && self.board.wants(Topic::Rows) {
            news.sites = self.sites(web, &mut slots, now);
            news.own = self.own(web);
        }
        let picked = self.board.picking();
        if is_due || is_urgent || self.has_turned(web, &slots) {
            self.note(web, &slots);
            news.series = series(web, &picked, &slots);
            news.latest = latest(web, self.board.read(), |slot| slots.contains(&slot));
            if self.board.wants(Topic::Rows) {
                news.rows = rows(web, self.around(web, now), slots.into_iter(), (true, now));
            }
        } else {
            web.live.put_back(slots);
        }
        if is_urgent
            || !news.sites.is_empty()
            || !news.own.is_empty()
            || !news.rows.is_empty()
            || !news.latest.is_empty()
            || news.series.iter().any(|values| !values.is_empty())
        {
            self.board.publish(&news, &picked);
        }
    }

    /// What fires and who is on air, as it was told.
    fn around(&mut self, web: &Web, now: Now) -> &Around {
        self.around.get_or_insert_with(|| web.around(now))
    }

    /// Sites that are not as they were told; appliances of which something else fires than was told are added to `slots`.
    fn sites(&mut self, web: &Web, slots: &mut BTreeSet<usize>, now: Now) -> Vec<Told> {
        let fresh = web.around(now);
        let before = self.around(web, now);
        let differing = fresh.differing(before).into_iter();
        let names = differing.filter_map(|(site, appliance)| AgentName::new(site, appliance).ok());
        {
            let ingest = web.shared.read();
            slots.extend(names.filter_map(|name| ingest.fleet().slot(&name)));
        }
        let is_new = |(site, venue): &(&String, &Venue)| before.venue(site) != Some(*venue);
        let gone = before.venues().keys().filter(|site| fresh.venue(site).is_none());
        let gone = gone.map(|site| told_of(Group { gone: true, ..page::group(site, None, Vec::new()) }));
        let heads = fresh.venues().iter().filter(is_new).map(head).chain(gone).collect();
        self.around = Some(fresh);
        heads
    }

    fn has_turned(&self, web: &Web, slots: &BTreeSet<usize>) -> bool {
        let ingest = web.shared.read();
        let appliances = ingest.fleet().appliances();
        slots.iter().any(|slot| {
            let is_up = appliances.get(*slot).map(|one| one.state.is_up());
            is_up != self.up.get(*slot).copied().flatten()
        })
    }

    fn note(&mut self, web: &Web, slots: &BTreeSet<usize>) {
        let ingest = web.shared.read();
        let appliances = ingest.fleet().appliances();
        self.up.resize(appliances.len(), None);
        for &slot in slots {
            if let (Some(told), Some(one)) = (self.up.get_mut(slot), appliances.get(slot)) {
                *told = Some(one.state.is_up());
            }
        }
    }

    /// What is wrong with the hub, if that changed since it was told.
    fn hub(&mut self, web: &Web) -> Vec<Event> {
        let fresh = words(web.troubles());
        let told = self.hub.replace(fresh.clone()).unwrap_or_else(|| fresh.clone());
        let is_new = told.iter().zip(&fresh).map(|(told, fresh)| told != fresh);
        events(&fresh).into_iter().zip(is_new).filter(|(_, is_new)| *is_new).map(|(event, _)| event).collect()
    }

    /// How the hub fares, if that changed since it was told.
    fn state(&mut self, web: &Web, now: Now) -> Option<[Event; 2]> {
        let fresh = web.ready(now);
        let is_new = self.ready.as_ref().is_some_and(|told| *told != fresh);
        let told = is_new.then(|| [true, false].map(|sees_all| state(web, &fresh, sees_all)));
        self.ready = Some(fresh);
        told
    }

    /// How the hub itself stands, if that changed since it was told.
    fn own(&mut self, web: &Web) -> Vec<Told> {
        let fires = self.around.as_ref().map(Around::hub).cloned().unwrap_or_default();
        let fresh = own(&fires, &web.troubles());
        let is_new = self.own.as_ref() != Some(&fresh.json);
        self.own = Some(fresh.json.clone());
        if is_new { vec![fresh] } else { Vec::new() }
    }

    /// Alerts, mutes and maintenance by hand that changed since they were told.
    fn alerts(&mut self, web: &Web) -> (Vec<Told>, Vec<Told>, Vec<Told>) {
        let before = self.alerts.take();
        let (fresh, changed, mutes, works) = web.notifications.look(|notifier, now| {
            let revision = notifier.revision();
            if before.as_ref().is_some_and(|before| before.revision == revision) {
                return (None, Vec::new(), Vec::new(), Vec::new());
            }
            let is_new = |mute: &&Mute| {
                before.as_ref().is_some_and(|before| before.mutes.get(&mute.id) != Some(&mute.changed_at))
            };
            let changed_mutes =
                notifier.mutes().iter().filter(is_new).map(|mute| mute_told(mute, now)).collect();
            let mutes = notifier.mutes().iter().map(|mute| (mute.id, mute.changed_at)).collect();
            let is_new = |work: &&Work| {
                before.as_ref().is_some_and(|before| before.works.get(&work.id) != Some(&work.ends_at))
            };
            let changed_works =
                notifier.works().iter().filter(is_new).map(|work| work_told(work, now)).collect();
            let works = notifier.works().iter().map(|work| (work.id, work.ends_at)).collect();
            let mut changed = Vec::new();
            let mut told = HashMap::new();
            for alert in notifier.alerts() {
                let number = number(alert);
                if before.as_ref().is_some_and(|before| before.told.get(&alert.id) != Some(&number)) {
                    changed.push(alert.clone());
                }
                told.insert(alert.id, number);
            }
            (Some(Alerts { revision, told, mutes, works }), changed, changed_mutes, changed_works)
        });
        self.alerts = fresh.or(before);
        (changed.iter().map(told).collect(), mutes, works)
    }
}

/// A number that changes with what is told of an alert.
fn number(alert: &Booked) -> u64 {
    let mut hasher = DefaultHasher::new();
    let times = (alert.active_at, alert.starts_at, alert.ends_at, alert.unknown_since);
    (alert.state.as_str(), alert.severity.as_str(), times, alert.history.len()).hash(&mut hasher);
    alert.history.back().map(|event| event.at).hash(&mut hasher);
    (alert.acknowledged.as_ref().map(|by| (&by.by, by.at, &by.note)), &alert.annotations).hash(&mut hasher);
    format!("{:?}", alert.held).hash(&mut hasher);
    hasher.finish()
}

fn told(alert: &Booked) -> Told {
    let (site, appliance) = (alert.site().to_owned(), alert.appliance().to_owned());
    Told { site, appliance, json: alerts::json(alert).to_string() }
}

/// A mute concerns who sees the one site that it is about; one of several, who sees all.
fn mute_told(mute: &Mute, now: i64) -> Told {
    let json = silences::json(mute, now).to_string();
    Told { site: alerts::site_of(mute), appliance: String::new(), json }
}

/// That maintenance was announced or ended by hand, for who sees its site; of a tag, for who sees all. What there is now is asked for.
fn work_told(work: &Work, now: i64) -> Told {
    let json = serde_json::json!({ "id": work.id, "over": work.ends_at <= now }).to_string();
    Told { site: work.at.site().unwrap_or_default().to_owned(), appliance: String::new(), json }
}

/// That there is something new in the log of an appliance, or of a site.
fn entry((site, appliance): (String, String)) -> Told {
    let json = serde_json::json!({ "site": site, "appliance": appliance }).to_string();
    Told { site, appliance, json }
}

/// In the order of [`events`].
fn words(troubles: Troubles) -> [String; 4] {
    let Troubles { way, history, watch, starting } = troubles;
    [watch, starting, way, history]
}

fn events(hub: &[String; 4]) -> Vec<Event> {
    let names = ["watch", "starting", "trouble", "history"].into_iter();
    names.zip(hub).map(|(name, text)| (name, json(text))).collect()
}

/// How the hub itself is, for those who see every site.
fn own(fires: &Fires, troubles: &Troubles) -> Told {
    let json = json(&page::hub(fires, troubles));
    Told { site: String::new(), appliance: String::new(), json }
}

/// How the hub fares, for who sees every site or some.
fn state(web: &Web, (ready, message): &(bool, String), sees_all: bool) -> Event {
    let told = serde_json::json!({
        "ready": ready,
        "message": health::shown(sees_all, *ready, message),
        "version": env!("CARGO_PKG_VERSION"),
        "started_at": rfc3339(web.started.utc_ms),
    });
    ("health", told.to_string())
}

/// The newest values of these appliances, as far as their slots are meant.
fn latest<'n>(
    web: &Web,
    wanted: impl IntoIterator<Item = (&'n str, &'n str)>,
    slots: impl Fn(usize) -> bool,
) -> Vec<Told> {
    let found: Vec<_> = {
        let ingest = web.shared.read();
        let fleet = ingest.fleet();
        let named = wanted.into_iter().filter_map(|(site, rack)| AgentName::new(site, rack).ok());
        let here = named.filter_map(|name| Some((fleet.slot(&name)?, name)));
        let here = here.filter(|(slot, _)| slots(*slot));
        here.filter_map(|(slot, name)| Some((name, fleet.appliances().get(slot)?.shown()?.latest.clone()?)))
            .collect()
    };
    let told = |(name, latest): (AgentName, _)| {
        let (site, appliance) = (name.site.to_string(), name.appliance.to_string());
        let json = appliance::told(&site, &appliance, &latest);
        Told { site, appliance, json }
    };
    found.into_iter().map(told).collect()
}

/// A site without its appliances.
fn head((site, venue): (&String, &Venue)) -> Told {
    told_of(page::group(site, Some(venue), Vec::new()))
}

fn told_of(group: Group) -> Told {
    Told { json: json(&group), site: group.site, appliance: String::new() }
}

/// The rows of these; who is retired has none, and where `is_news`, that is said.
fn rows(
    web: &Web,
    around: &Around,
    slots: impl Iterator<Item = usize>,
    (is_news, now): (bool, Now),
) -> Vec<Told> {
    let ingest = web.shared.read();
    let appliances = ingest.fleet().appliances();
    let (gone, here): (Vec<_>, Vec<_>) =
        slots.filter_map(|slot| appliances.get(slot)).partition(|one| one.retired_ms.is_some());
    let rows: Vec<_> = here.into_iter().map(|one| row::of(one, now, around)).collect();
    let gone: Vec<AgentName> = gone.into_iter().filter(|_| is_news).map(|one| one.name.clone()).collect();
    drop(ingest);
    let rows =
        rows.into_iter().map(|row| Told { json: json(&row), site: row.site, appliance: row.appliance });
    rows.chain(gone.iter().map(no_row)).collect()
}

/// That an appliance has no row any more.
fn no_row(name: &AgentName) -> Told {
    let (site, appliance) = (name.site.to_string(), name.appliance.to_string());
    let json = serde_json::json!({ "site": site, "appliance": appliance, "gone": true }).to_string();
    Told { site, appliance, json }
}

fn json(of: &impl Serialize) -> String {
    serde_json::to_string(of).expect("it has text keys only")
}

/// What each of these views takes of the series of these appliances.
fn series(web: &Web, picked: &[Arc<Channel>], slots: &BTreeSet<usize>) -> Vec<Vec<String>> {
    let ingest = web.shared.read();
    let appliances = ingest.fleet().appliances();
    let of = |channel: &Arc<Channel>| {
        let slots = slots.iter().filter_map(|slot| Some((*slot, appliances.get(*slot)?)));
        channel.picked(slots)
    };
    picked.iter().map(of).collect()
}

/// Everything that a view is about, as it is now.
fn all(web: &Web, around: &Around, channel: &Channel, now: Now) -> Vec<Event> {
    let mut events = Vec::new();
    if channel.view.wants(Topic::Rows) {
        let count = web.shared.read().fleet().appliances().len();
        events.push(whole("all", &rows(web, around, 0..count, (false, now)), &channel.view));
        let heads: Vec<Told> = around.venues().iter().map(head).collect();
        events.push(whole("sites", &heads, &channel.view));
        events.push(whole("own", &[own(around.hub(), &web.troubles())], &channel.view));
    }
    if channel.view.wants(Topic::Alerts) {
        let (alerts, mutes): (Vec<Booked>, Vec<Told>) = web.notifications.look(|notifier, now| {
            let open = notifier.alerts().filter(|alert| alert.ends_at.is_none());
            let mutes = notifier.mutes().iter().filter(|mute| now < mute.ends_at);
            (open.cloned().collect(), mutes.map(|mute| mute_told(mute, now)).collect())
        });
        let alerts: Vec<Told> = alerts.iter().map(told).collect();
        events.push(whole("alerts", &alerts, &channel.view));
        events.push(whole("mutes", &mutes, &channel.view));
    }
    if channel.view.has_series() {
        let ingest = web.shared.read();
        let values = channel.picked(ingest.fleet().appliances().iter().enumerate());
        events.push(("series", format!("[{}]", values.join(","))));
    }
    if channel.view.wants(Topic::Latest) {
        events.push(whole("latest", &latest(web, channel.view.one(), |_| true), &channel.view));
    }
    if channel.view.wants(Topic::Hub) {
        events.push(state(web, &web.ready(now), !channel.view.is_limited()));
    }
    events.extend(self::events(&words(web.troubles())));
    events
}
