//! From a receiver as it is configured to one that can be sent to: secrets are read, URLs that are secrets are looked at.
//!
//! Done when the hub starts and whenever its configuration is read again, so that a secret that is changed takes effect with `SIGHUP`. One that
//! cannot be read leaves that receiver alone without an address; its messages wait.
//!
//! Invariant: no error shows a secret.
//!
//! ```text
//! crew: slack, url = { file = .. } ─▶ Way::Slack { url: https://hooks.example.org/.. }
//! crew: /run/credentials/..: cannot be read: No such file or directory
//! ```

use data_encoding::BASE64;
use rackside_config::{Secret, host_and_port};
use rackside_notify::Policy;
use rackside_notify::config::{self, Given, Login, ProxyAddress, Proxying, check_url};
use rackside_onair::Zone;
use rackside_receivers::send::{Proxy, Trust};
use rackside_receivers::worker::Post;
use rackside_receivers::{Hidden, Receiver, Way};
use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

/// Why a receiver has no address: which, and why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AddressError {
    receiver: String,
    why: String,
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "receiver {:?}: {}; its messages wait until this is mended", self.receiver, self.why)
    }
}

impl std::error::Error for AddressError {}

/// What a receiver of this policy is sent to; several, if it is a cluster.
pub(crate) fn addresses(of: &config::Receiver, policy: &Policy) -> Result<Vec<Receiver>, AddressError> {
    let error = |why: String| AddressError { receiver: of.name.to_string(), why };
    let ways = ways(of).map_err(error)?;
    Ok(ways.into_iter().map(|way| receiver(of, policy, way)).collect())
}

/// The same, and whether the proxy and the authorities that stand between can be used.
pub(crate) fn check(of: &config::Receiver, policy: &Policy) -> Result<(), AddressError> {
    let error = |why: String| AddressError { receiver: of.name.to_string(), why };
    for address in addresses(of, policy)? {
        proxy(of, policy, &address.way).map_err(error)?;
    }
    match &of.ca {
        Some(file) => own_trust(file).map(drop).map_err(error),
        None => Ok(()),
    }
}

fn receiver(of: &config::Receiver, policy: &Policy, way: Way) -> Receiver {
    Receiver {
        name: of.name.to_string(),
        way,
        title: of.template.title.clone(),
        body: of.template.body.clone(),
        reader: of.time_zone.or(policy.time_zone).unwrap_or(Zone::UTC),
        external_url: policy.external_url.clone(),
        signer: None,
    }
}

/// A receiver that waits for its address: it has a queue, and nothing leaves it.
pub(crate) fn nowhere(of: &config::Receiver, policy: &Policy, error: &AddressError) -> Post {
    let way = match &of.way {
        config::Way::Email(mail) => Way::Email { from: mail.from.clone(), to: mail.to.clone() },
        _ => Way::Webhook { url: Hidden::default(), key: None, authorization: None },
    };
    let receiver = receiver(of, policy, way);
    Post { receiver, carrier: Err(error.why.clone()) }
}

/// Where the hub goes to reach it, `host:port` each, its proxy in its stead: to try whether the hub reaches anything. This machine is no such place: it
/// always answers.
pub(crate) fn places(of: &config::Receiver, policy: &Policy) -> Vec<String> {
    let to = |way: &Way| {
        let server = server(of, way)?;
        match proxy(of, policy, way) {
            Ok(Some(proxy)) => place(&proxy.host, proxy.port),
            _ => Some(server),
        }
    };
    ways(of).unwrap_or_default().iter().filter_map(to).collect()
}

/// Where a receiver's server is, `host:port`; none, if it is on this machine or at the broker.
fn server(of: &config::Receiver, way: &Way) -> Option<String> {
    match way {
        Way::Slack { url } | Way::Discord { url } | Way::Webhook { url, .. } => server_of(url.expose()),
        Way::Telegram { server, .. } | Way::PagerDuty { server, .. } | Way::Ntfy { server, .. } => {
            server_of(server)
        }
        Way::Alertmanager { server, .. } => server_of(server.expose()),
        Way::Email { .. } => match &of.way {
            config::Way::Email(mail) => place(&mail.host, mail.port),
            _ => None,
        },
        // The broker is on the hub's own side as often as not.
        Way::Mqtt { .. } => None,
    }
}

/// Through whom requests to it go: its own proxy, or that of `[notify]` if it is not on this machine. Mail and MQTT are no requests.
pub(crate) fn proxy(of: &config::Receiver, policy: &Policy, way: &Way) -> Result<Option<Proxy>, String> {
    let given = match &of.proxy {
        _ if matches!(way, Way::Email { .. } | Way::Mqtt { .. }) => None,
        Proxying::Direct => None,
        Proxying::By(given) => Some(given),
        Proxying::AsNotify => policy.proxy.as_ref().filter(|_| server(of, way).is_some()),
    };
    given.map(proxy_of).transpose()
}

/// A proxy as it is given.
pub(crate) fn proxy_of(given: &Given) -> Result<Proxy, String> {
    let url = given.read().map_err(|error| error.to_string())?;
    let address = ProxyAddress::read(&url).map_err(|why| format!("`proxy` {why}"))?;
    let basic = |login: String| Hidden::new(format!("Basic {}", BASE64.encode(login.as_bytes())));
    Ok(Proxy { host: address.host, port: address.port, authorization: address.login.map(basic) })
}

/// Who may vouch for it: who its own `ca` names, else that of `[notify]`, else whom the system trusts.
pub(crate) fn trust(of: &config::Receiver, policy: &Policy, system: &Trust) -> Result<Trust, String> {
    match of.ca.as_ref().or(policy.ca.as_ref()) {
        Some(file) => own_trust(file),
        None => Ok(system.clone()),
    }
}

/// Those of a file.
pub(crate) fn own_trust(file: &Path) -> Result<Trust, String> {
    Trust::of_file(file).map_err(|error| format!("`ca`: {error}"))
}

/// The same of a URL.
pub(crate) fn server_of(url: &str) -> Option<String> {
    let (default, rest) = match url.split_once("://")? {
        ("https", rest) => (443, rest),
        (_, rest) => (80, rest),
    };
    let (host, port) = host_and_port(rest.split(['/', '?', '#']).next()?)?;
    place(host, port.unwrap_or(default))
}

fn place(host: &str, port: u16) -> Option<String> {
    let host = host.trim_matches(['[', ']']);
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    let by_number = host.parse().is_ok_and(|address: IpAddr| address.to_canonical().is_loopback());
    if by_number || name == "localhost" || name.ends_with(".localhost") {
        return None;
    }
    Some(if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") })
}

fn ways(of: &config::Receiver) -> Result<Vec<Way>, String> {
    let url = |url: &Given| -> Result<Hidden, String> {
        let url = url.read().map_err(|error| error.to_string())?;
        check_url(&url, of.allow_plain).map_err(|why| format!("its `url` {why}"))?;
        Ok(Hidden::new(url))
    };
    let secret_url = |secret: &Secret| url(&Given::Elsewhere(secret.clone()));
    let one = match &of.way {
        config::Way::Slack { url } => Way::Slack { url: secret_url(url)? },
        config::Way::Discord { url } => Way::Discord { url: secret_url(url)? },
        config::Way::Email(mail) => Way::Email { from: mail.from.clone(), to: mail.to.clone() },
        config::Way::Telegram { url, token, chat, thread } => Way::Telegram {
            server: url.clone(),
            token: hidden(token)?,
            chat_id: chat.clone(),
            thread: *thread,
        },
        config::Way::PagerDuty { url, routing_key } => {
            Way::PagerDuty { server: url.clone(), routing_key: hidden(routing_key)? }
        }
        config::Way::Ntfy { url, topic, login } => Way::Ntfy {
            server: url.clone(),
            topic: Hidden::new(topic.read().map_err(|error| error.to_string())?),
            authorization: authorization(login.as_ref())?,
        },
        config::Way::Webhook { url: given, secret, login } => Way::Webhook {
            url: url(given)?,
            key: secret.as_ref().map(hidden).transpose()?,
            authorization: authorization(login.as_ref())?,
        },
        config::Way::Alertmanager { urls, login, stands } => {
            let authorization = authorization(login.as_ref())?;
            let stands = Duration::from_millis(stands.unsigned_abs());
            let way = |url: &String| Way::Alertmanager {
                server: Hidden::new(url),
                authorization: authorization.clone(),
                stands,
            };
            return Ok(urls.iter().map(way).collect());
        }
        config::Way::Mqtt { topic, retain } => Way::Mqtt { topic: topic.clone(), retain: *retain },
    };
    Ok(vec![one])
}

fn hidden(secret: &Secret) -> Result<Hidden, String> {
    Ok(Hidden::new(secret.read().map_err(|error| error.to_string())?.expose()))
}

/// The value of the header `Authorization`.
fn authorization(login: Option<&Login>) -> Result<Option<Hidden>, String> {
    let value = match login {
        None => return Ok(None),
        Some(Login::Bearer(token)) => {
            format!("Bearer {}", token.read().map_err(|error| error.to_string())?.expose())
        }
        Some(Login::Basic { user, password }) => {
            let both = format!("{user}:{}", password.read().map_err(|error| error.to_string())?.expose());
            format!("Basic {}", BASE64.encode(both.as_bytes()))
        }
    };
    Ok(Some(Hidden::new(value)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn policy(text: &str) -> Policy {
        Config::parse(text, "hub.toml").expect("right").policy().expect("it was checked")
    }

    #[test]
    fn a_secret_url_is_read_and_looked_at_and_never_shown() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let file = directory.path().join("slack");
        let text = format!(
            "[notify]\ntime_zone = \"Europe/Berlin\"\nexternal_url = \"https://hub.example.org/\"\n\
             [[receiver]]\nname = \"crew\"\nkind = \"slack\"\nurl = {{ file = {file:?} }}\n"
        );
        let policy = policy(&text);
        let crew = &policy.receivers[0];
        let error = addresses(crew, &policy).expect_err("there is no file").to_string();
        assert!(error.starts_with("receiver \"crew\": ") && error.contains("cannot be read"), "{error}");
        write(&file, "http://hooks.example.org/hunter2");
        let error = addresses(crew, &policy).expect_err("it is plain").to_string();
        assert!(error.contains("without encryption") && !error.contains("hunter2"), "{error}");
        write(&file, "https://hooks.example.org/hunter2\n");
        let found = addresses(crew, &policy).expect("it is there");
        assert_eq!(found[0].way, Way::Slack { url: Hidden::new("https://hooks.example.org/hunter2") });
        assert_eq!(
            (found[0].reader.name(), &*found[0].external_url),
            ("Europe/Berlin", "https://hub.example.org")
        );
        assert!(!format!("{found:?}").contains("hunter2"));
        assert_eq!(places(crew, &policy), ["hooks.example.org:443"]);
    }

    fn write(file: &std::path::Path, text: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::write(file, text).expect("written");
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).expect("it is ours");
    }

    #[test]
    fn a_cluster_is_several_addresses_and_each_place_has_its_port() {
        let policy = policy(
            "[[receiver]]\nname = \"am\"\nkind = \"alertmanager\"\nurls = [\"http://127.0.0.1:9093\", \"https://am.example.org\"]\n\
             [[receiver]]\nname = \"mail\"\nkind = \"email\"\nhost = \"mail.example.org\"\nfrom = \"hub@example.org\"\nto = [\"desk@example.org\"]\n\
             [[receiver]]\nname = \"here\"\nkind = \"email\"\nhost = \"LocalHost\"\nfrom = \"hub@example.org\"\nto = [\"desk@example.org\"]\n\
             [[receiver]]\nname = \"am6\"\nkind = \"alertmanager\"\nurls = [\"http://[::1]:9093\"]\n",
        );
        assert_eq!(addresses(&policy.receivers[0], &policy).expect("no secrets").len(), 2);
        assert_eq!(
            places(&policy.receivers[0], &policy),
            ["am.example.org:443"],
            "the hub always reaches itself"
        );
        assert_eq!(places(&policy.receivers[1], &policy), ["mail.example.org:587"]);
        assert_eq!(places(&policy.receivers[2], &policy), [""; 0]);
        assert_eq!(places(&policy.receivers[3], &policy), [""; 0]);
    }
}
