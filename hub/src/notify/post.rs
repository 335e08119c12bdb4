//! The post office: a courier for each receiver of the policy, the dead man's URL, and what both are told of the hub.
//!
//! A cluster of Alertmanagers is one receiver for whoever writes routes, and a queue for each of its members here: `am`, `am#2`.
//!
//! ```text
//! Policy ─▶ addresses ─▶ Couriers ◀─ bells of the outbox        Outgoing for am ─▶ am, am#2
//! ```

use super::address::{self, addresses};
use super::key::LinkKey;
use super::step::Watchman;
use crate::clock;
use crate::inbound::{Blocked, Outbound, Outlet};
use crate::shutdown;
use crate::turns::Turns;
use crate::web::WayIn;
use bytes::Bytes;
use rackside_notify::config::{self, Email, Given, MailTls, Proxying, check_url};
use rackside_notify::{Outgoing, Policy};
use rackside_onair::Zone;
use rackside_receivers::send::{
    Carrier, HttpClient, Limits, MailServer, Mailer, Publisher, Publishing, Security, Trust,
};
use rackside_receivers::worker::{Charts, Couriers, DeadMan, Patience, Post, Surroundings};
use rackside_receivers::{Hidden, MqttParcel, Outbox, Receiver, Signer, Way};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// One mail may take so long for each of its recipients.
const MAIL_WITHIN: Duration = Duration::from_mins(1);
/// What waits for the disk, and what waits for too long, is looked at this often.
const TEND: Duration = Duration::from_secs(5);

/// The post office. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Office(Arc<Inner>);

struct Inner {
    outbox: Arc<Outbox>,
    couriers: Couriers,
    publisher: Arc<dyn Publisher>,
    signer: Signer,
    /// What the couriers that are there were made of, by their names.
    made_of: Mutex<BTreeMap<Arc<str>, Ingredients>>,
    policies: watch::Sender<Policy>,
}

impl fmt::Debug for Office {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Office").field("couriers", &self.0.couriers).finish_non_exhaustive()
    }
}

fn ms() -> i64 {
    clock::now().utc_ms as i64
}

impl Office {
    /// Without couriers; [`Office::run`] sends them.
    pub(crate) fn new(
        policy: Policy,
        outbox: Arc<Outbox>,
        publisher: Arc<dyn Publisher>,
        links: LinkKey,
        charts: Option<Charts>,
    ) -> Self {
        let surroundings = Surroundings { clock: Box::new(ms), charts, patience: Patience::default() };
        let couriers = Couriers::new(Arc::clone(&outbox), surroundings);
        let signer = Signer::new(move |alert, since, receiver| links.sign(alert, since, receiver));
        let (policies, _) = watch::channel(policy);
        Self(Arc::new(Inner { outbox, couriers, publisher, signer, made_of: Mutex::default(), policies }))
    }

    /// Goes by this policy from now on.
    pub(super) fn load(&self, policy: &Policy) {
        self.0.policies.send_replace(policy.clone());
    }

    /// Where messages wait.
    pub(crate) fn outbox(&self) -> &Outbox {
        &self.0.outbox
    }

    /// How each receiver fares.
    pub(crate) fn couriers(&self) -> &Couriers {
        &self.0.couriers
    }

    /// A cluster's messages for each of its members.
    pub(crate) fn spread(&self, outgoing: Vec<Outgoing>) -> Vec<Outgoing> {
        let policy = self.0.policies.borrow();
        let each = |one: Outgoing| {
            let members = policy.receiver(&one.receiver).map_or(1, members);
            (0..members)
                .map(move |at| Outgoing { receiver: member(&one.receiver, at), message: one.message.clone() })
        };
        outgoing.into_iter().flat_map(each).collect()
    }

    /// Sends couriers by the policy of the moment, tends the outbox, and asks for the dead man's URL while the hub is well, until `shutdown` says so.
    pub(crate) async fn run(self, way: Arc<dyn WayIn>, turns: Turns, mut shutdown: watch::Receiver<bool>) {
        let mut policies = self.0.policies.subscribe();
        policies.mark_changed();
        let (mut dead_man, mut watchman) = (None, Watchman::new(clock::now()));
        loop {
            tokio::select! {
                () = shutdown::asked(&mut shutdown) => break,
                changed = policies.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    let policy = policies.borrow_and_update().clone();
                    self.employ(&policy).await;
                    drop(dead_man.replace(Watch::keep(&policy, Arc::clone(&way), turns.clone())));
                }
                () = tokio::time::sleep(TEND) => {
                    let outbox = Arc::clone(&self.0.outbox);
                    let now = clock::now();
                    let (at, step) = (now.utc_ms as i64, watchman.look(now));
                    let tended = tokio::task::spawn_blocking(move || {
                        if let Some(step) = step {
                            outbox.clock_stepped(step.by, step.within, at);
                        }
                        outbox.tend(at);
                    });
                    tended.await.expect("tending does not panic, and nobody aborts it");
                }
            }
        }
        self.0.couriers.stop().await;
    }

    /// A courier for each receiver, in place of those before. Who is told in the same way as before keeps theirs, whatever it is at.
    pub(crate) async fn employ(&self, policy: &Policy) {
        let (taken, office) = (policy.clone(), self.clone());
        // Secrets and certificates are files.
        let made = tokio::task::spawn_blocking(move || office.posts(&taken));
        let (posts, unchanged) = made.await.expect("making posts does not panic, and nobody aborts it");
        self.0.couriers.exchange(posts, &unchanged).await;
        log::info!("{}", counted(policy));
    }

    /// All posts, and the names of those that are as they were.
    fn posts(&self, policy: &Policy) -> (Vec<Post>, BTreeSet<Arc<str>>) {
        let trust = Trust::of_the_system().map_err(|error| error.to_string());
        let (mut posts, mut made_of) = (Vec::new(), BTreeMap::new());
        for of in &policy.receivers {
            match addresses(of, policy) {
                Ok(found) => {
                    for (at, receiver) in found.into_iter().enumerate() {
                        let carrier = self.carrier(of, policy, &receiver.way, trust.as_ref());
                        let name = member(&of.name, at);
                        if carrier.is_ok() {
                            made_of.insert(Arc::clone(&name), Ingredients::of(of, policy, receiver.clone()));
                        }
                        let (name, signer) = (name.to_string(), Some(self.0.signer.clone()));
                        posts.push(Post { receiver: Receiver { name, signer, ..receiver }, carrier });
                    }
                }
                Err(error) => {
                    log::error!("{error}");
                    posts.extend((0..members(of)).map(|at| {
                        let mut post = address::nowhere(of, policy, &error);
                        post.receiver.name = member(&of.name, at).to_string();
                        post
                    }));
                }
            }
        }
        let mut before = self.0.made_of.lock().unwrap_or_else(PoisonError::into_inner);
        let same = made_of.iter().filter(|(name, of)| before.get(*name) == Some(of));
        let unchanged = same.map(|(name, _)| Arc::clone(name)).collect();
        *before = made_of;
        (posts, unchanged)
    }

    fn carrier(
        &self,
        of: &config::Receiver,
        policy: &Policy,
        way: &Way,
        system: Result<&Trust, &String>,
    ) -> Result<Carrier, String> {
        let trust = || address::trust(of, policy, system.map_err(Clone::clone)?);
        match &of.way {
            config::Way::Mqtt { .. } => Ok(Carrier::Mqtt(Arc::clone(&self.0.publisher))),
            config::Way::Email(mail) => {
                let mailer = Mailer::new(server(mail)?, &trust()?);
                Ok(Carrier::Mail(mailer.map_err(|error| error.to_string())?))
            }
            _ => {
                let proxy = address::proxy(of, policy, way)?;
                Ok(Carrier::Http(HttpClient::new(&trust()?, proxy, Limits::default())))
            }
        }
    }
}

/// How many there are of what, in a line; gaps are named: `3 receivers, 1 team, 2 routes`.
pub(crate) fn counted(policy: &Policy) -> String {
    if policy.receivers.is_empty() {
        return "nobody is told of alerts: there is no [[receiver]]".to_owned();
    }
    let many = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let teams = (!policy.teams.is_empty()).then(|| many(policy.teams.len(), "team"));
    let routes = (!policy.routes.is_empty()).then(|| many(policy.routes.len(), "route"));
    let all: Vec<String> =
        [Some(many(policy.receivers.len(), "receiver")), teams, routes].into_iter().flatten().collect();
    let gap = if policy.routes.is_empty() { "; nobody is told of alerts: there is no [[route]]" } else { "" };
    format!("{}{gap}", all.join(", "))
}

/// What a courier is made of: with the same it would be the same.
#[derive(PartialEq)]
struct Ingredients {
    of: config::Receiver,
    way: Way,
    reader: Zone,
    external_url: String,
    /// What was read from elsewhere: a password, proxies, authorities.
    read: [Option<Vec<u8>>; 4],
}

impl Ingredients {
    fn of(of: &config::Receiver, policy: &Policy, receiver: Receiver) -> Self {
        let text = |given: &Given| given.read().ok().map(String::into_bytes);
        let password = match &of.way {
            config::Way::Email(Email { login: Some((_, password)), .. }) => password.read().ok(),
            _ => None,
        };
        let own_proxy = match &of.proxy {
            Proxying::By(given) => text(given),
            Proxying::Direct | Proxying::AsNotify => None,
        };
        let ca = of.ca.as_ref().or(policy.ca.as_ref());
        let read = [
            password.map(|password| password.expose().as_bytes().to_vec()),
            own_proxy,
            policy.proxy.as_ref().and_then(text),
            ca.and_then(|file| std::fs::read(file).ok()),
        ];
        let Receiver { way, reader, external_url, .. } = receiver;
        Self { of: of.clone(), way, reader, external_url, read }
    }
}

/// How many a receiver is: a cluster is as many as it has addresses.
fn members(of: &config::Receiver) -> usize {
    match &of.way {
        config::Way::Alertmanager { urls, .. } => urls.len().max(1),
        _ => 1,
    }
}

/// A member of a cluster; the first has the receiver's own name.
fn member(name: &Arc<str>, at: usize) -> Arc<str> {
    if at == 0 { Arc::clone(name) } else { format!("{name}#{}", at + 1).into() }
}

fn server(mail: &Email) -> Result<MailServer, String> {
    let login = match &mail.login {
        None => None,
        Some((user, password)) => {
            let password = password.read().map_err(|error| error.to_string())?;
            Some((user.clone(), Hidden::new(password.expose())))
        }
    };
    let security = match mail.tls {
        MailTls::StartTls => Security::StartTls,
        MailTls::Tls => Security::Tls,
        MailTls::None => Security::None,
    };
    Ok(MailServer { host: mail.host.clone(), port: Some(mail.port), security, login, within: MAIL_WITHIN })
}

/// Somebody else's page that is asked for as long as this is kept.
struct Watch {
    /// Ends the asking when it is dropped.
    _stop: watch::Sender<bool>,
}

impl Watch {
    fn keep(policy: &Policy, way: Arc<dyn WayIn>, turns: Turns) -> Option<Self> {
        let dead_man = policy.dead_man.as_ref()?;
        let url = dead_man.url.read().map_err(|error| error.to_string());
        let checked = url.and_then(|url| {
            check_url(&url, dead_man.allow_plain).map_err(|why| format!("its URL {why}"))?;
            let trust = match &policy.ca {
                Some(file) => address::own_trust(file)?,
                None => Trust::of_the_system().map_err(|error| error.to_string())?,
            };
            let proxy = policy.proxy.as_ref().filter(|_| address::server_of(&url).is_some());
            Ok((url, trust, proxy.map(address::proxy_of).transpose()?))
        });
        let (url, trust, proxy) = match checked {
            Ok(checked) => checked,
            Err(why) => {
                log::error!("dead_man in [notify]: {why}; nobody is told when this hub is gone");
                return None;
            }
        };
        let every = Duration::from_millis(dead_man.every.unsigned_abs());
        let client = HttpClient::new(&trust, proxy, Limits::default());
        let asks = DeadMan::new(Hidden::new(url), every, client, Box::new(ms));
        let (stop, stopped) = watch::channel(false);
        let is_well = move || way.ready().0 && turns.trouble(clock::now()).is_none();
        tokio::spawn(async move { asks.run(is_well, stopped).await });
        Some(Self { _stop: stop })
    }
}

/// Publishes by whatever way the hub has to its agents.
pub(crate) struct ByTheHub {
    pub(crate) way: Arc<dyn WayIn>,
    pub(crate) outlet: Arc<dyn Outlet>,
}

impl fmt::Debug for ByTheHub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByTheHub").field("way", &self.way.address()).finish_non_exhaustive()
    }
}

impl Publisher for ByTheHub {
    fn publish<'a>(&'a self, parcel: &'a MqttParcel) -> Publishing<'a> {
        Box::pin(async {
            let (is_ready, why) = self.way.ready();
            if !is_ready {
                return Err(why);
            }
            let MqttParcel { topic, payload, retain } = parcel.clone();
            let sent = self.outlet.send(Outbound { topic, payload: Bytes::from(payload), retain });
            sent.map_err(|Blocked| format!("the link to {} did not take it", self.way.address()))
        })
    }
}

#[cfg(test)]
mod through;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Sink;

    /// A link that is up, and whose queue is full.
    struct Full;

    impl WayIn for Full {
        fn ready(&self) -> (bool, String) {
            (true, String::new())
        }

        fn write(&self, _: &mut dyn Sink) {}

        fn address(&self) -> String {
            String::new()
        }

        fn is_broker(&self) -> bool {
            true
        }
    }

    impl Outlet for Full {
        fn send(&self, _: Outbound) -> Result<(), Blocked> {
            Err(Blocked)
        }

        fn mirror_wanted(&self) -> bool {
            false
        }
    }

    #[tokio::test]
    async fn what_the_link_to_the_broker_does_not_take_has_not_arrived() {
        let publisher = ByTheHub { way: Arc::new(Full), outlet: Arc::new(Full) };
        let parcel = MqttParcel { topic: "alerts".to_owned(), payload: b"{}".to_vec(), retain: false };
        let why = publisher.publish(&parcel).await.expect_err("it was dropped");
        assert!(why.contains("did not take"), "{why}");
    }

    fn policy(text: &str) -> Policy {
        crate::config::Config::parse(text, "hub.toml").expect("right").policy().expect("right")
    }

    fn office(policy: Policy, directory: &tempfile::TempDir) -> Office {
        let outbox = crate::notify::outbox(directory.path(), clock::now());
        let publisher = Arc::new(ByTheHub { way: Arc::new(Full), outlet: Arc::new(Full) });
        Office::new(policy, outbox, publisher, LinkKey::open(directory.path()), None)
    }

    #[tokio::test]
    async fn a_cluster_is_spread_before_anybody_is_employed() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let text = "[[receiver]]\nname = \"am\"\nkind = \"alertmanager\"\nurls = [\"https://a.example.org\", \"https://b.example.org\"]\n";
        let policy = policy(text);
        let office = office(policy.clone(), &directory);
        let mut notifier = rackside_notify::Notifier::new(policy);
        let trial = rackside_notify::Trial::Receiver("am".to_owned());
        let outgoing = notifier.test(&trial, 1, &rackside_notify::Nowhere).expect("there is one");
        let names: Vec<String> = office.spread(outgoing).iter().map(|one| one.receiver.to_string()).collect();
        assert_eq!(names, ["am", "am#2"]);
    }

    #[tokio::test]
    async fn whose_receiver_is_as_it_was_keeps_their_courier_and_a_secret_that_changed_is_a_change() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let secret = directory.path().join("secret");
        let write = |text: &str| {
            std::fs::write(&secret, text).expect("it can be written");
            let ours = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            std::fs::set_permissions(&secret, ours).expect("it is ours");
        };
        write("https://a.example.org/1");
        let text = format!(
            "[[receiver]]\nname = \"crew\"\nkind = \"webhook\"\nurl = {{ file = \"{}\" }}\n\
             [[receiver]]\nname = \"desk\"\nkind = \"webhook\"\nurl = \"https://b.example.org\"\n",
            secret.display()
        );
        let office = office(policy(&text), &directory);
        let unchanged = |text: &str| -> Vec<String> {
            office.posts(&policy(text)).1.iter().map(ToString::to_string).collect()
        };
        assert!(unchanged(&text).is_empty(), "all are new");
        assert_eq!(unchanged(&text), ["crew", "desk"]);
        write("https://a.example.org/2");
        assert_eq!(unchanged(&text), ["desk"]);
        assert_eq!(unchanged(&text.replace("b.example.org", "c.example.org")), ["crew"]);
        assert!(
            unchanged(&format!("{text}[notify]\nexternal_url = \"https://hub.example.org\"\n")).is_empty()
        );
        std::fs::remove_file(&secret).expect("it is there");
        assert_eq!(unchanged(&text), Vec::<String>::new(), "back to no links; and one has no address");
        write("https://a.example.org/2");
        assert_eq!(unchanged(&text), ["desk"], "what had no address is looked at anew");
    }
}
