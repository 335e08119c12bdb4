//! `[join]` of `hub.toml`: how boxes get an identity of their own, and where they go with it.
//!
//! ```toml
//! [join]
//! url = "https://hub.example.org"
//! addresses = ["mqtts://hub.example.org:8883"]
//! configuration = "/etc/rackside/start.toml"
//! ```

use crate::config::Config;
use rackside_config::host_and_port;
use rackside_identity::Offer;
use rackside_proto::join::WEBSOCKET_PATH;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// `[join]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JoinConfig {
    /// Where boxes reach this hub's pages; empty: `external_url` of `[notify]`.
    pub url: String,
    /// Where boxes that have joined find MQTT, in the order to try; empty: the listener's TLS port at the name in `url`, then WebSocket where the
    /// pages are.
    pub addresses: Vec<String>,
    /// The authority's key, given from outside; without it, one is made in the data directory.
    pub authority_key: Option<PathBuf>,
    /// What boxes are to start with: a file of the agent's configuration without secrets.
    pub configuration: Option<PathBuf>,
}

/// What nothing is known of.
const NO_URL: &str =
    "nobody has said where boxes reach this hub: write `url = \"https://hub.example.org\"` into [join]";

impl JoinConfig {
    /// What of it cannot be.
    pub(crate) fn check(&self) -> Result<(), (&'static str, String)> {
        if !self.url.is_empty() && host(&self.url).is_none() {
            let why = format!(
                "{:?} is no address of a hub; write for example \"https://hub.example.org\"",
                self.url
            );
            return Err(("join.url", why));
        }
        if !self.addresses.is_empty() {
            Offer::new(self.addresses.clone(), String::new())
                .map_err(|error| ("join.addresses", error.to_string()))?;
        }
        Ok(())
    }
}

/// Host of an address of ours, with a port if it has one.
fn host(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    let authority = rest.split('/').next()?;
    let (host, _) = host_and_port(authority)?;
    (!host.is_empty()).then_some(host)
}

/// Where boxes reach the hub's pages, without a slash at the end.
pub(crate) fn url(config: &Config) -> Result<String, String> {
    let external = config.policy().map(|policy| policy.external_url).unwrap_or_default();
    let url = if config.join.url.is_empty() { external } else { config.join.url.clone() };
    if host(&url).is_none() { Err(NO_URL.to_owned()) } else { Ok(url.trim_end_matches('/').to_owned()) }
}

/// What boxes are sent along with a certificate; or why there is nothing to send. `tls` is where the listener speaks TLS, once it listens.
pub(crate) fn offer(config: &Config, tls: Option<SocketAddr>) -> Result<Offer, String> {
    let addresses =
        if config.join.addresses.is_empty() { derived(config, tls)? } else { config.join.addresses.clone() };
    let configuration = config.join.configuration.as_deref().map_or(Ok(String::new()), read)?;
    Offer::new(addresses, configuration).map_err(|error| format!("[join]: {error}"))
}

fn read(path: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("[join] configuration: {}: {error}", path.display()))?;
    rackside_configure::check(&text, &path.display().to_string())
        .map_err(|error| format!("[join] configuration: {error}"))?;
    Ok(text)
}

fn derived(config: &Config, tls: Option<SocketAddr>) -> Result<Vec<String>, String> {
    if config.mqtt.is_some() {
        return Err(
            "agents come through an outside broker: write where boxes find it into `addresses` of [join]"
                .to_owned(),
        );
    }
    let listener = config.listener();
    let configured = listener.tls.as_ref().map(|tls| tls.address.unwrap_or(listener.address));
    let tls = tls.or(configured);
    if tls.is_none() && !listener.websocket {
        return Err("boxes that join come by TLS, and the listener has none: write `tls = { address = \"0.0.0.0:8883\" }` into [listener]".to_owned());
    }
    let url = url(config)?;
    let host = host(&url).ok_or_else(|| NO_URL.to_owned())?;
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let direct = tls.map(|at| format!("mqtts://{host}:{}", at.port()));
    Ok(direct.into_iter().chain(over_the_web(&url).filter(|_| listener.websocket)).collect())
}

/// MQTT over WebSocket, where the pages are.
fn over_the_web(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let scheme = if scheme == "https" { "wss" } else { "ws" };
    Some(format!("{scheme}://{}{WEBSOCKET_PATH}", rest.split('/').next()?))
}

/// The names and addresses in an offer, and those of this machine: what the listener's own certificate is for.
pub(super) fn names(offer: Option<&Offer>) -> Vec<String> {
    let offered = offer.map_or(&[][..], Offer::addresses).iter().filter_map(|address| {
        let (_, rest) = address.split_once("://")?;
        let authority = rest.split('/').next()?;
        let inside = authority.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        let (host, _) = inside.or_else(|| authority.split_once(':')).unwrap_or((authority, ""));
        Some(host.to_owned())
    });
    let mut names: Vec<String> =
        offered.chain(["localhost", "127.0.0.1", "::1"].map(str::to_owned)).collect();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        Config::parse(text, "hub.toml").expect("right")
    }

    #[test]
    fn boxes_find_the_listeners_tls_port_at_the_name_of_the_pages() {
        let at = |text: &str| offer(&config(text), None).map(|offer| offer.addresses().to_vec());
        let told = |addresses: &[&str]| Ok(addresses.iter().map(ToString::to_string).collect::<Vec<_>>());
        let tls = "[listener]\ntls = { address = \"127.0.0.1:8883\" }\n";
        let found = at(&format!("{tls}[join]\nurl = \"https://hub.example.org/\"\n"));
        assert_eq!(found, told(&["mqtts://hub.example.org:8883", "wss://hub.example.org/mqtt"]));
        let found = at(&format!("{tls}[notify]\nexternal_url = \"https://hub.example.org:8443\"\n"));
        assert_eq!(found, told(&["mqtts://hub.example.org:8883", "wss://hub.example.org:8443/mqtt"]));
        let found = at(&format!("{tls}[join]\nurl = \"http://[2001:db8::1]:8080\"\n"));
        assert_eq!(found, told(&["mqtts://[2001:db8::1]:8883", "ws://[2001:db8::1]:8080/mqtt"]));
        let found = at("[join]\naddresses = [\"mqtts://a.example.org:1\", \"mqtts://b.example.org:2\"]\n");
        assert_eq!(found.map(|found| found.len()), Ok(2));
        assert!(at(tls).expect_err("no name").contains("url"));
        let url = "[join]\nurl = \"https://hub.example.org\"\n";
        assert_eq!(at(url), told(&["wss://hub.example.org/mqtt"]));
        let neither = format!("[listener]\nwebsocket = false\n{url}");
        assert!(at(&neither).expect_err("no TLS").contains("[listener]"));
        let broker = "[mqtt]\naddress = \"broker.example.org\"\n[join]\nurl = \"https://hub.example.org\"\n";
        assert!(at(broker).expect_err("a broker").contains("`addresses` of [join]"));
    }

    #[test]
    fn the_listeners_certificate_is_for_what_boxes_are_told() {
        let found = offer(
            &config(
                "[join]\naddresses = [\"mqtts://a.example.org:1\", \"wss://b.example.org/mqtt\", \"ws://[2001:db8::1]:2/mqtt\"]\n",
            ),
            None,
        );
        assert_eq!(
            names(found.as_ref().ok()),
            ["127.0.0.1", "2001:db8::1", "::1", "a.example.org", "b.example.org", "localhost"]
        );
    }
}
