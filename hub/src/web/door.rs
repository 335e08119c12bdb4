//! Who stands before the hub: by token, by session, from this machine; and from which address. What they may is `admit`'s to decide.
//!
//! Where `access.db` cannot be used, nobody is anybody: every request that needs a right is refused with the reason, and ingest and alerts go on.

use super::accept::text;
use super::change::{Peer, is_local};
use super::cookie;
use super::visitor::Visitor;
use crate::clock;
use crate::config::WebConfig;
use crate::shutdown;
use crate::site::SiteConfig;
use crate::web::oidc::Provider;
use axum::http::{HeaderMap, HeaderName, header};
use data_encoding::BASE64_NOPAD;
use rackside_access::{
    Access, Browser, ChangeError, Credential, How, Lasting, Pass, Store, StoreError, TOKEN_PREFIX, Visit,
};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// What the command line changed is told within this.
const TELL_EVERY: Duration = Duration::from_secs(2);
/// Whoever is told live is looked at so often.
const STILL_THERE: Duration = Duration::from_secs(5);
/// Passwords that may wait for their slow check, whosever they are. An address is held off long before by how often it may try.
const WAITING: usize = 64;

/// The door. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Door {
    access: Result<Arc<Access>, Arc<str>>,
    allow_anonymous: bool,
    /// Through which people log in, or why they cannot.
    provider: Option<Result<Arc<Provider>, Arc<str>>>,
    proxies: Arc<[IpAddr]>,
    sites: watch::Receiver<Vec<SiteConfig>>,
    /// One for each password that is looked at or waits.
    places: Arc<Semaphore>,
    /// One for each that is looked at.
    turns: Arc<Semaphore>,
}

/// Who it is.
#[derive(Debug)]
pub(super) enum Came {
    /// Somebody, and of what it is to be written that it was used.
    In(Visitor, Option<Pass>),
    /// Nobody.
    Nobody,
    /// With a token that is not good.
    BadToken,
}

/// Enough wait already.
#[derive(Debug, Clone, Copy)]
pub(super) struct Busy;

/// Why nothing was changed.
#[derive(Debug)]
pub(super) enum Refused {
    /// It cannot be.
    Change(ChangeError),
    /// Nobody can be asked.
    Unwell(Arc<str>),
    /// Too many wait already.
    Busy,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Change(error) => error.fmt(f),
            Self::Unwell(why) => f.write_str(why),
            Self::Busy => f.write_str("too many passwords are looked at; try again in a few seconds"),
        }
    }
}

/// What lets one password be looked at.
pub(super) struct Turn(#[expect(dead_code, reason = "given back when dropped")] [OwnedSemaphorePermit; 2]);

impl Door {
    /// Opens `access.db` in this directory, or makes it.
    pub fn open(directory: &Path, config: &WebConfig, sites: watch::Receiver<Vec<SiteConfig>>) -> Self {
        let ms = |span: rackside_config::Span| span.get().as_millis() as i64;
        let lasting = Lasting { idle: ms(config.session_idle), longest: ms(config.session) };
        let access = Access::open(directory, lasting).map(Arc::new).map_err(|error| {
            log::error!("users: {error}");
            Arc::from(error.to_string())
        });
        let provider = config.oidc.as_ref().map(|oidc| {
            Provider::new(oidc).map(Arc::new).map_err(|why| {
                log::error!("users: nobody can log in through {}: {why}", oidc.issuer);
                Arc::from(why)
            })
        });
        // Half of the cores at most: each takes one, and 19 MiB.
        let turns = std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1));
        Self {
            access,
            allow_anonymous: config.allow_anonymous,
            provider,
            proxies: config.proxies.iter().map(IpAddr::to_canonical).collect(),
            sites,
            places: Arc::new(Semaphore::new(WAITING)),
            turns: Arc::new(Semaphore::new(turns)),
        }
    }

    /// Users, sessions and tokens; or why there are none to be asked.
    pub(super) fn access(&self) -> Result<&Arc<Access>, Arc<str>> {
        self.access.as_ref().map_err(Arc::clone)
    }

    /// Through which provider people log in, or why they cannot; none, if there is none.
    pub(super) fn provider(&self) -> Option<Result<Arc<Provider>, Arc<str>>> {
        self.provider.clone()
    }

    /// Whether a password lets anybody in now: unless a provider stands for all, and the command line has not said otherwise for a while.
    pub(super) fn takes_passwords(&self, now: i64) -> bool {
        let Some(Ok(provider)) = &self.provider else { return true };
        let by_command =
            || self.access().is_ok_and(|access| access.look(|store| store.takes_passwords(now)) == Ok(true));
        provider.config().passwords || by_command()
    }

    /// Ends the sessions of whoever came through another provider than today's.
    pub(crate) fn end_sessions_of_others(&self) {
        let Ok(access) = self.access() else { return };
        let issuer = self.provider.as_ref().and_then(|provider| provider.as_ref().ok());
        let issuer = issuer.map(|provider| provider.config().issuer.as_str());
        match access.change(|store| store.end_sessions_of_others(issuer)) {
            Ok(0) => {}
            Ok(ended) => {
                log::info!("users: {ended} sessions of people ended who came through another provider");
            }
            Err(error) => log::error!("users: {error}"),
        }
    }

    /// Whether there are any users.
    pub(super) fn has_users(&self) -> Result<bool, Arc<str>> {
        self.access()?.look(rackside_access::Store::has_users).map_err(|error| told(&error))
    }

    /// The code of a set-up link, while there are no users.
    fn offer(&self, now: i64) -> Option<String> {
        let offered = self.access().ok()?.change(|store| store.offer_setup(now));
        match offered {
            Ok(code) => code.map(|code| code.shown().to_owned()),
            Err(error) => {
                log::error!("users: {error}");
                None
            }
        }
    }

    /// Says in the log how the first user is made, while there is none. `external` is where people reach the hub, if that is known.
    pub(crate) fn say_how_to_begin(&self, address: SocketAddr, external: &str, now: i64) {
        if self.has_users() != Ok(false) {
            return;
        }
        if address.ip().to_canonical().is_loopback() && self.may_be_open(external) {
            log::info!(
                "there are no users: whoever is on this machine may see and change everything at http://{address}/, and nobody else; \
                 make the first one there in Settings, or with `rackside-hub user add NAME --role admin`"
            );
            return;
        }
        let Some(code) = self.offer(now) else { return };
        let external = external.trim_end_matches('/');
        let root = if external.is_empty() { reachable(address) } else { external.to_owned() };
        log::warn!(
            "there are no users: make the first one at {root}/setup/{code} (good once, within a day), \
             or with `rackside-hub user add NAME --role admin`"
        );
    }

    /// Whether this machine may be let in without a user: nothing in the configuration says that others are brought here, by a proxy that might not say so
    /// itself.
    fn may_be_open(&self, external: &str) -> bool {
        external.is_empty() && self.proxies.is_empty()
    }

    /// Who it is that asks. `external` is where people reach the hub, if that is known.
    pub(super) fn who(
        &self,
        headers: &HeaderMap,
        peer: Peer,
        external: &str,
        now: i64,
    ) -> Result<Came, Arc<str>> {
        let (access, is_secure) = (self.access()?, is_secure(headers, peer, external));
        let visit = |credential: Credential<'_>| {
            let sites = self.sites.borrow();
            let sites = sites.iter().map(|site| (site.id.as_str(), site.tags.as_slice()));
            access.visit(credential, sites, now).map_err(|error| told(&error))
        };
        if let Some(token) = token(headers) {
            return Ok(match visit(Credential::Token(&token))? {
                Some(visit) => let_in(visit),
                None => Came::BadToken,
            });
        }
        if let Some(secret) = cookie::sent(headers, is_secure)
            && let Some(visit) = visit(Credential::Session(secret))?
        {
            return Ok(let_in(visit));
        }
        if is_local(headers, peer) && self.may_be_open(external) && !self.has_users()? {
            return Ok(Came::In(rackside_access::Visitor::open().into(), None));
        }
        if self.allow_anonymous {
            return Ok(Came::In(rackside_access::Visitor::anonymous().into(), None));
        }
        Ok(Came::Nobody)
    }

    /// Resolves when `visitor` would not be let in again as they were: logged out, removed, revoked, or with another role or reach; let in
    /// without a user while there was none, when there is one. Within a few seconds; never for who needs nothing to come in.
    pub(super) async fn gone(self, visitor: Visitor) {
        loop {
            tokio::time::sleep(STILL_THERE).await;
            if !self.is_still(&visitor, clock::now().utc_ms as i64) {
                return;
            }
        }
    }

    /// Whether `visitor` would be let in again as they were. What cannot be asked ends nothing: it lets nobody new in either.
    fn is_still(&self, visitor: &Visitor, now: i64) -> bool {
        let Ok(access) = self.access() else { return true };
        let Some(pass) = visitor.pass() else {
            return visitor.how != How::Open || self.has_users() != Ok(true);
        };
        let sites = self.sites.borrow();
        let of_site = sites.iter().map(|site| (site.id.as_str(), site.tags.as_slice()));
        access.is_still(pass, visitor, of_site, now).unwrap_or(true)
    }

    /// From where it comes: what a proxy that is trusted says, else the other end of the connection.
    pub(super) fn address(&self, headers: &HeaderMap, peer: Peer) -> IpAddr {
        let peer = peer.0.ip().to_canonical();
        if !peer.is_loopback() && !self.proxies.contains(&peer) {
            return peer;
        }
        forwarded(headers).unwrap_or(peer)
    }

    /// What somebody logs in with.
    pub(super) fn browser<'a>(&self, headers: &'a HeaderMap, peer: Peer) -> Browser<'a> {
        Browser {
            address: self.address(headers, peer),
            agent: text(headers, &header::USER_AGENT).unwrap_or_default(),
        }
    }

    /// Waits for a turn at looking at a password.
    pub(super) async fn turn(&self) -> Result<Turn, Busy> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Busy)?;
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| Busy)?;
        Ok(Turn([place, turn]))
    }

    /// Changes users, sessions or tokens, on a thread that may take its time.
    pub(super) async fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Store) -> Result<T, ChangeError> + Send + 'static,
    ) -> Result<T, Refused> {
        let access = Arc::clone(self.access().map_err(Refused::Unwell)?);
        let turn = self.turn().await.map_err(|Busy| Refused::Busy)?;
        let changing = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            access.change(change)
        });
        changing.await.expect("changing users does not panic, and is not cancelled").map_err(Refused::Change)
    }

    /// Tells each change of users, sessions and tokens in the log, whoever makes it and however, until the hub stops.
    pub(crate) async fn tell(self, mut shutdown: watch::Receiver<bool>) {
        let Ok(access) = self.access() else { return shutdown::asked(&mut shutdown).await };
        let mut last = access.look(rackside_access::Store::last_note).unwrap_or_default();
        loop {
            tokio::select! {
                () = tokio::time::sleep(TELL_EVERY) => {}
                () = shutdown::asked(&mut shutdown) => return,
            }
            // What cannot be read now is told later; requests say that it cannot.
            for note in access.look(|store| store.notes_after(last)).unwrap_or_default() {
                log::info!("users: {} {}", note.who, note.what);
                last = note.id;
            }
        }
    }
}

fn let_in(visit: Visit) -> Came {
    Came::In(Visitor::of(visit.visitor, visit.pass), visit.is_stale.then_some(visit.pass))
}

/// As it is told to whoever asks. The path says nothing that the log does not.
pub(super) fn told(error: &StoreError) -> Arc<str> {
    Arc::from(error.to_string())
}

/// Where a browser of another machine finds this one, as far as it knows.
fn reachable(address: SocketAddr) -> String {
    if !address.ip().is_unspecified() {
        return format!("http://{address}");
    }
    let name = rustix::system::uname();
    format!("http://{}:{}", name.nodename().to_string_lossy(), address.port())
}

/// The token that was sent: as `Bearer`, or as the password of `Basic`, which is what some scrapers can send. What is none of ours is a proxy's.
fn token(headers: &HeaderMap) -> Option<String> {
    let (scheme, rest) = text(headers, &header::AUTHORIZATION)?.split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return rest.starts_with(TOKEN_PREFIX).then(|| rest.to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = String::from_utf8(BASE64_NOPAD.decode(rest.trim_end_matches('=').as_bytes()).ok()?).ok()?;
    let (_, password) = pair.split_once(':')?;
    password.starts_with(TOKEN_PREFIX).then(|| password.to_owned())
}

/// The last address that a proxy has added: the one that it saw itself.
fn forwarded(headers: &HeaderMap) -> Option<IpAddr> {
    let lines = headers.get_all(HeaderName::from_static("x-forwarded-for"));
    let last = lines.iter().next_back()?.to_str().ok()?;
    let last = last.rsplit(',').next()?.trim();
    let bare = last.trim_start_matches('[').trim_end_matches(']');
    let address = bare.parse().ok().or_else(|| last.parse::<SocketAddr>().ok().map(|address| address.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

/// Whether the browser speaks TLS, as far as anybody says so.
pub(super) fn is_secure(headers: &HeaderMap, peer: Peer, external: &str) -> bool {
    let said = text(headers, &HeaderName::from_static("x-forwarded-proto"));
    match said {
        Some(proto) => proto.trim().eq_ignore_ascii_case("https"),
        None => external.starts_with("https://") && !is_local(headers, peer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderValue, Version};
    use rackside_access::{NewUser, Reach, Role};

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).expect("a value"));
        }
        headers
    }

    fn door(proxies: &str) -> (tempfile::TempDir, Door) {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let text = format!("[web]\nproxies = {proxies}\n");
        let config = crate::config::Config::parse(&text, "hub.toml").expect("right");
        let door = Door::open(directory.path(), &config.web, watch::channel(Vec::new()).1);
        (directory, door)
    }

    #[test]
    fn a_token_comes_as_bearer_or_as_a_basic_password() {
        // "prometheus:rackside_1", and "user:secret" of a proxy.
        for (value, expected) in [
            ("Bearer rackside_1", Some("rackside_1")),
            ("bearer  rackside_1 ", Some("rackside_1")),
            ("Bearer eyJ.of.somebody-else", None),
            ("Basic cHJvbWV0aGV1czpyYWNrc2lkZV8x", Some("rackside_1")),
            ("Basic dXNlcjpzZWNyZXQ=", None),
            ("Basic ???", None),
            ("Digest abc", None),
            ("Bearer", None),
        ] {
            assert_eq!(token(&headers(&[("authorization", value)])).as_deref(), expected, "{value}");
        }
        assert_eq!(token(&HeaderMap::new()), None);
    }

    #[test]
    fn only_a_trusted_proxy_says_where_somebody_comes_from() {
        let (_directory, door) = door("[\"192.0.2.1\"]");
        let peer =
            |address: &str| Peer(SocketAddr::new(address.parse().expect("an address"), 1), Version::HTTP_11);
        for (from, said, address) in [
            ("198.51.100.1", &["203.0.113.9"][..], "198.51.100.1"),
            ("127.0.0.1", &["203.0.113.9"], "203.0.113.9"),
            ("192.0.2.1", &["203.0.113.9"], "203.0.113.9"),
            ("::ffff:192.0.2.1", &["203.0.113.9"], "203.0.113.9"),
            // The first ones are what the client says of itself.
            ("127.0.0.1", &["10.0.0.1, 203.0.113.9"], "203.0.113.9"),
            ("127.0.0.1", &["10.0.0.1", "203.0.113.9:4711"], "203.0.113.9"),
            ("127.0.0.1", &["[2001:db8::1]"], "2001:db8::1"),
            ("127.0.0.1", &["unknown"], "127.0.0.1"),
            ("127.0.0.1", &[], "127.0.0.1"),
        ] {
            let pairs: Vec<_> = said.iter().map(|value| ("x-forwarded-for", *value)).collect();
            let found = door.address(&headers(&pairs), peer(from)).to_string();
            assert_eq!(found, address, "{from} {said:?}");
        }
    }

    #[test]
    fn who_came_in_without_users_is_out_once_there_is_one() {
        let (_directory, door) = door("[]");
        let [open, anonymous] = [rackside_access::Visitor::open(), rackside_access::Visitor::anonymous()];
        let [open, anonymous] = [open, anonymous].map(Visitor::from);
        assert!(door.is_still(&open, 0), "there is none yet");
        let new =
            NewUser { name: "first", password: "three short words", role: Role::Admin, reach: Reach::All };
        let access = door.access().expect("it opens");
        access.change(|store| store.add_user(&new, "test", 0)).expect("it is added");
        assert!(!door.is_still(&open, 0));
        assert!(door.is_still(&anonymous, 0), "everybody may read");
    }

    #[test]
    fn tls_is_what_a_proxy_or_the_external_url_says() {
        let peer =
            |address: &str| Peer(SocketAddr::new(address.parse().expect("an address"), 1), Version::HTTP_11);
        for (proto, from, external, secure) in [
            (None, "192.0.2.7", "", false),
            (None, "192.0.2.7", "https://hub.example.org", true),
            (None, "127.0.0.1", "https://hub.example.org", false),
            (Some("https"), "127.0.0.1", "", true),
            (Some("http"), "127.0.0.1", "https://hub.example.org", false),
        ] {
            let headers =
                headers(&proto.map(|proto| ("x-forwarded-proto", proto)).into_iter().collect::<Vec<_>>());
            assert_eq!(is_secure(&headers, peer(from), external), secure, "{proto:?} {from} {external}");
        }
    }
}
