//! What the notifier asks of its surroundings, answered from the hub's memory: sites from the configuration and on-air awareness, appliances from
//! the fleet.
//!
//! Who cannot be heard is not gone: not while the way in is down, nor for a minute after it has come back or the hub has started unless it was heard since,
//! not where power is off by plan, and not who said goodbye before an update, a planned stop or a shutdown; what that leaves undone is for rules to say.
//!
//! Sample: `arena-north/rack-1` has been silent since 21:04:10, its site is on air: gone. `town-hall/rack-1` stopped for an update: not gone.

use super::uplink::Check;
use crate::clock::Now;
use crate::fleet::{Appliance, State};
use crate::identity::Identities;
use crate::ingest::task::Shared;
use crate::onair::OnAir;
use crate::rules::Expressions;
use crate::site::SiteConfig;
use crate::web::WayIn;
use rackside_notify::{Contact, Gone, SiteFacts, Uplink, World};
use rackside_onair::Zone;
use rackside_proto::{AgentName, Id, Reason};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// After the way in has come back, agents take so long to follow.
const COMES_BACK: Duration = Duration::from_mins(1);

/// Where the answers come from.
pub(super) struct Surroundings {
    shared: Shared,
    on_air: OnAir,
    way: Arc<dyn WayIn>,
    pub(super) uplink: Check,
    /// Who is being set up; nobody, where nobody joins.
    pub(super) identities: Option<Identities>,
    configs: watch::Receiver<Vec<SiteConfig>>,
    expressions: watch::Receiver<Arc<Expressions>>,
    sites: HashMap<Id, SiteConfig>,
    /// Since when messages can come in: from the last look at which they could not.
    open_since: Option<Instant>,
    /// When that was looked at last.
    looked: Instant,
}

/// The surroundings at a moment.
pub(super) struct Moment<'a> {
    of: &'a Surroundings,
    now: Now,
}

impl Surroundings {
    pub(super) fn new(
        shared: Shared,
        on_air: OnAir,
        way: Arc<dyn WayIn>,
        uplink: Check,
        expressions: watch::Receiver<Arc<Expressions>>,
        now: Now,
    ) -> Self {
        let mut configs = on_air.configs();
        configs.mark_changed();
        let (sites, open_since, looked) = (HashMap::new(), None, now.instant);
        Self {
            shared,
            on_air,
            way,
            uplink,
            identities: None,
            configs,
            expressions,
            sites,
            open_since,
            looked,
        }
    }

    /// As it is now.
    pub(super) fn at(&mut self, now: Now) -> Moment<'_> {
        if self.configs.has_changed().unwrap_or(false) {
            let configs = self.configs.borrow_and_update();
            self.sites = configs.iter().map(|config| (config.id.clone(), config.clone())).collect();
        }
        if self.way.ready().0 {
            self.open_since.get_or_insert(self.looked);
        } else {
            self.open_since = None;
        }
        self.looked = now.instant;
        Moment { of: self, now }
    }
}

impl Moment<'_> {
    fn config(&self, site: &str) -> Option<&SiteConfig> {
        let id: Id = site.parse().ok()?;
        self.of.sites.get(&id)
    }

    /// Whether nobody can say that an appliance which is not up is gone: nobody can be heard, or it was not heard since that is so again, a minute ago at
    /// most. A hub that reaches nothing is heard by nobody.
    fn is_in_doubt(&self, appliance: &Appliance) -> bool {
        let Some(open_since) = self.of.open_since else { return true };
        let open_since = self.of.uplink.was_down().map_or(open_since, |down| down.max(open_since));
        let was_heard = appliance.heard_at().is_some_and(|at| at > open_since);
        !was_heard && self.now.since(open_since) < COMES_BACK
    }

    fn is_set_up(&self, name: &AgentName) -> bool {
        let identities = self.of.identities.as_ref();
        identities.is_some_and(|identities| identities.holds_pages(name, self.now.utc_ms as i64))
    }

    fn view(&self, site: &Id) -> Option<rackside_onair::View> {
        self.of.on_air.view(site, self.now)
    }
}

impl World for Moment<'_> {
    fn site(&self, site: &str) -> Option<SiteFacts> {
        let config = self.config(site);
        let is_known = config.is_some() || {
            let ingest = self.of.shared.read();
            ingest.fleet().appliances().iter().any(|appliance| appliance.name.site.as_str() == site)
        };
        is_known.then(|| SiteFacts {
            id: site.to_owned(),
            title: config.and_then(|config| config.name.clone()).unwrap_or_else(|| site.to_owned()),
            time_zone: self.zone(site).name().to_owned(),
            on_air: self.on_air(site),
            access: config.map(|config| config.access.clone()).unwrap_or_default(),
            contacts: config.map(contacts).unwrap_or_default(),
        })
    }

    fn tags(&self, site: &str) -> Vec<String> {
        self.config(site).map(|config| config.tags.clone()).unwrap_or_default()
    }

    fn zone(&self, site: &str) -> Zone {
        self.config(site).and_then(|config| config.time_zone).unwrap_or(Zone::UTC)
    }

    fn on_air(&self, site: &str) -> bool {
        site.parse().ok().and_then(|site| self.view(&site)).is_some_and(|view| view.on_air())
    }

    fn query(&self, alert: &str) -> String {
        self.of.expressions.borrow().get(alert).map_or_else(String::new, ToString::to_string)
    }

    fn is_up(&self, site: &str, appliance: &str) -> Option<bool> {
        let name = AgentName::new(site, appliance).ok()?;
        let ingest = self.of.shared.read();
        match ingest.fleet().find(&name)?.state {
            State::Unknown => None,
            state => Some(state.is_up()),
        }
    }

    fn is_unsure(&self, site: &str, appliance: &str) -> bool {
        let Ok(name) = AgentName::new(site, appliance) else { return false };
        let ingest = self.of.shared.read();
        let found = ingest.fleet().find(&name).filter(|appliance| !appliance.state.is_up());
        found.is_some_and(|appliance| self.is_in_doubt(appliance))
    }

    fn is_being_set_up(&self, site: &str, appliance: &str) -> bool {
        AgentName::new(site, appliance).is_ok_and(|name| self.is_set_up(&name))
    }

    fn gone(&self) -> Vec<Gone> {
        let gone: Vec<(AgentName, u64)> = {
            let ingest = self.of.shared.read();
            let appliances = ingest.fleet().in_service();
            let gone =
                appliances.filter(|appliance| is_gone(appliance.state) && !self.is_in_doubt(appliance));
            gone.map(|appliance| (appliance.name.clone(), appliance.gone_since_ms())).collect()
        };
        let mut has_power: HashMap<&Id, bool> = HashMap::new();
        let in_service = gone.iter().filter(|(name, _)| !self.is_set_up(name));
        let expected = in_service.filter(|(name, _)| {
            let view = || self.view(&name.site).is_none_or(|view| view.power_expected);
            *has_power.entry(&name.site).or_insert_with(view)
        });
        expected
            .map(|(name, since_ms)| Gone {
                site: name.site.to_string(),
                appliance: name.appliance.to_string(),
                at: *since_ms as i64,
            })
            .collect()
    }

    fn fleet(&self) -> usize {
        let ingest = self.of.shared.read();
        let heard = ingest.fleet().in_service().map(|appliance| &appliance.name.site);
        heard.chain(self.of.sites.keys()).collect::<BTreeSet<_>>().len()
    }

    fn uplink(&self) -> Uplink {
        self.of.uplink.state(self.now)
    }
}

/// Whether nobody meant it to go.
fn is_gone(state: State) -> bool {
    match state {
        State::Silent => true,
        State::Gone(reason) => reason == Reason::Will,
        State::Up | State::Unknown => false,
    }
}

fn contacts(config: &SiteConfig) -> Vec<Contact> {
    let contacts = config.contact.iter();
    contacts
        .map(|one| Contact {
            role: one.role.clone(),
            name: one.name.clone(),
            phone: one.phone.clone(),
            hours: one.hours.clone(),
            email: one.email.clone(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use crate::config::Config;
    use crate::inbound::{Inbound, Via};
    use crate::ingest::{Ingest, NoPast};
    use crate::query::Feed;
    use crate::rack::Rack;
    use crate::text::Sink;
    use rackside_history::KnownAgent;
    use rackside_proto::Prefix;
    use std::sync::atomic::{AtomicBool, Ordering};
    use tokio::runtime::Handle;

    /// A way in that is there or not.
    struct Way(AtomicBool);

    impl WayIn for Way {
        fn ready(&self) -> (bool, String) {
            (self.0.load(Ordering::Relaxed), String::new())
        }

        fn write(&self, _: &mut dyn Sink) {}

        fn address(&self) -> String {
            String::new()
        }

        fn is_broker(&self) -> bool {
            true
        }
    }

    struct Scene {
        shared: Shared,
        way: Arc<Way>,
        surroundings: Surroundings,
        now: Now,
        _stop: watch::Sender<bool>,
    }

    impl Scene {
        /// A hub that has run for a while, with a site without power at present and one that always has it.
        fn new() -> Self {
            Self::knowing(Vec::new())
        }

        /// One that knows these from before.
        fn knowing(known: Vec<KnownAgent>) -> Self {
            let now = clock::now();
            let mut ingest = Ingest::new(Prefix::default(), 1, Arc::new(NoPast), now);
            ingest.know(known, now);
            let shared = Shared::new(ingest);
            let text = "[[site]]\nid = \"town-hall\"\ntime_zone = \"Europe/Berlin\"\npower = \"with_show\"\n\
                        [[site.show]]\nname = \"long ago\"\nstart = 2020-01-01T20:00:00\nduration = \"2h\"\n";
            let configs = Config::parse(text, "hub.toml").expect("right").site;
            let (stop, asked) = watch::channel(false);
            let derived = Arc::clone(Feed::default().derived());
            let (on_air, ..) = OnAir::start(configs, derived, |_| {}, now, asked);
            let way = Arc::new(Way(AtomicBool::new(true)));
            let check = Check::new(Handle::current(), || {});
            let mut surroundings = Surroundings::new(
                shared.clone(),
                on_air,
                way.clone(),
                check,
                watch::channel(Arc::default()).1,
                now,
            );
            surroundings.at(now);
            Self { shared, way, surroundings, now: now.plus(COMES_BACK), _stop: stop }
        }

        fn take(&self, (topic, body): (String, Vec<u8>)) {
            let message = Inbound {
                topic,
                payload: body.into(),
                retained: false,
                via: Via::Listener { connection: 1 },
            };
            self.shared.take(&message, self.now);
        }

        fn gone(&mut self) -> Vec<String> {
            let gone = self.surroundings.at(self.now).gone();
            gone.into_iter().map(|one| format!("{}/{}", one.site, one.appliance)).collect()
        }
    }

    #[tokio::test]
    async fn who_said_goodbye_is_not_gone_and_who_fell_silent_or_left_a_will_is() {
        let mut scene = Scene::new();
        let reasons = [Reason::Will, Reason::Stop, Reason::Update, Reason::Shutdown];
        let racks: Vec<Rack> =
            reasons.iter().map(|reason| Rack::new("arena-north", reason.as_str())).collect();
        let silent = Rack::new("arena-north", "silent");
        for rack in racks.iter().chain([&silent]) {
            scene.take(rack.presence(true));
        }
        assert!(scene.gone().is_empty());
        for (rack, reason) in racks.iter().zip(reasons) {
            scene.take(rack.presence_because(false, reason));
        }
        assert_eq!(scene.gone(), ["arena-north/will"]);
        for _ in 0..20 {
            scene.now = scene.now.plus(Duration::from_secs(1));
            scene.shared.tick(scene.now);
        }
        assert_eq!(scene.gone(), ["arena-north/will", "arena-north/silent"]);
        let world = scene.surroundings.at(scene.now);
        assert_eq!(
            (world.is_up("arena-north", "stop"), world.is_up("arena-north", "nobody")),
            (Some(false), None)
        );
        assert_eq!(world.fleet(), 2, "one was heard, one is configured");
    }

    #[tokio::test]
    async fn nobody_is_gone_while_nobody_can_be_heard_nor_right_after() {
        let mut scene = Scene::new();
        let rack = Rack::new("arena-north", "rack-1");
        scene.take(rack.presence(true));
        scene.take(rack.presence(false));
        assert_eq!(scene.gone().len(), 1);
        scene.way.0.store(false, Ordering::Relaxed);
        assert_eq!(scene.gone().len(), 0, "the broker is down");
        scene.way.0.store(true, Ordering::Relaxed);
        assert_eq!(scene.gone().len(), 0, "agents follow within a minute");
        scene.now = scene.now.plus(COMES_BACK);
        assert_eq!(scene.gone().len(), 1);
        // A clock that is set is no time that has passed.
        scene.way.0.store(false, Ordering::Relaxed);
        scene.gone();
        scene.way.0.store(true, Ordering::Relaxed);
        scene.gone();
        scene.now.utc_ms += 86_400_000;
        assert_eq!(scene.gone().len(), 0);
    }

    #[tokio::test]
    async fn who_was_heard_since_the_way_is_open_and_is_not_any_more_is_gone_at_once() {
        let mut scene = Scene::new();
        let (rack, other) = (Rack::new("arena-north", "rack-1"), Rack::new("arena-north", "rack-2"));
        scene.take(rack.presence(true));
        scene.take(other.presence(true));
        scene.way.0.store(false, Ordering::Relaxed);
        scene.gone();
        scene.way.0.store(true, Ordering::Relaxed);
        scene.take(rack.presence(false));
        scene.take(other.presence(false));
        assert_eq!(scene.gone().len(), 0);
        let unsure =
            |scene: &mut Scene, name| scene.surroundings.at(scene.now).is_unsure("arena-north", name);
        assert!(unsure(&mut scene, "rack-1") && unsure(&mut scene, "rack-2"));
        scene.now = scene.now.plus(Duration::from_secs(1));
        let back = rack.started_again(2);
        scene.take(back.presence(true));
        assert!(!unsure(&mut scene, "rack-1"), "it is there");
        scene.take(back.presence(false));
        assert_eq!(scene.gone(), ["arena-north/rack-1"]);
        assert!(!unsure(&mut scene, "rack-1") && unsure(&mut scene, "rack-2"));
    }

    #[tokio::test]
    async fn a_rack_that_has_no_power_by_plan_is_not_gone() {
        let mut scene = Scene::new();
        let rack = Rack::new("town-hall", "rack-1");
        scene.take(rack.presence(true));
        scene.take(rack.presence(false));
        assert!(scene.gone().is_empty());
    }

    #[tokio::test]
    async fn who_was_known_before_the_start_and_has_not_come_back_yet_is_neither_up_nor_gone() {
        let mut scene = Scene::new();
        let rack = Rack::new("arena-north", "rack-1");
        // What a broker kept from before.
        let (topic, body) = rack.birth();
        let message =
            Inbound { topic, payload: body.into(), retained: true, via: Via::Listener { connection: 1 } };
        scene.shared.take(&message, scene.now);
        assert!(scene.gone().is_empty());
        assert_eq!(scene.surroundings.at(scene.now).is_up("arena-north", "rack-1"), None);
    }

    #[tokio::test]
    async fn what_a_broker_kept_of_those_long_gone_is_no_outage_at_the_start() {
        let racks: Vec<Rack> = (1..=3).map(|nth| Rack::new(&format!("hall-{nth}"), "rack-1")).collect();
        // The hub before this one knew one of them.
        let known = KnownAgent { name: racks[0].name.clone(), last_ms: 7, runs: Vec::new(), catalog: None };
        let mut scene = Scene::knowing(vec![known]);
        for rack in &racks {
            let (topic, body) = rack.presence(false);
            let message =
                Inbound { topic, payload: body.into(), retained: true, via: Via::Listener { connection: 1 } };
            scene.shared.take(&message, scene.now);
        }
        let since = |scene: &mut Scene| -> Vec<i64> {
            scene.surroundings.at(scene.now).gone().into_iter().map(|one| one.at).collect()
        };
        assert_eq!(since(&mut scene), [7, 0, 0]);
        // Who comes back is gone anew.
        let back = racks[2].started_again(2);
        scene.take(back.presence(true));
        scene.take(back.presence(false));
        let now = scene.now.utc_ms as i64;
        assert_eq!(since(&mut scene), [7, 0, now]);
    }
}
