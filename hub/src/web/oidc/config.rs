//! `[web.oidc]`: through which provider people log in, and what they are then.
//!
//! ```toml
//! [web.oidc]
//! issuer = "https://login.example.org/realms/venues"
//! client_id = "rackside"
//! client_secret = { file = "/etc/rackside/oidc.secret" }
//!
//! [[web.oidc.grant]]
//! claim = "groups"
//! value = "crew-arena"
//! role = "operator"
//! sites = ["arena-north"]
//! ```

use rackside_access::{Reach, Role};
use rackside_config::{Secret, Span};
use rackside_notify::config::Given;
use rackside_oidc::{Grant, Registration};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use std::path::PathBuf;

/// Longest text of the button.
const LONGEST_BUTTON: usize = 60;

/// `[web.oidc]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OidcConfig {
    /// The provider's name, to the letter; its description lies below it.
    pub issuer: String,
    /// What the provider calls the hub.
    pub client_id: String,
    /// What proves it, unless the provider wants none.
    #[serde(default)]
    pub client_secret: Option<Secret>,
    /// What is asked for beside `openid`.
    #[serde(default = "scopes")]
    pub scopes: Vec<String>,
    /// What the button says.
    #[serde(default = "button")]
    pub button: String,
    /// The claim that people are called by.
    #[serde(default = "name")]
    pub name: String,
    /// Whether people log in with a password of the hub's too.
    #[serde(default = "yes")]
    pub passwords: bool,
    /// Whether people come in whom nobody has introduced, if they have a grant.
    #[serde(default = "yes")]
    pub newcomers: bool,
    /// How long a login lasts at most: until then what the provider has changed is not known here.
    #[serde(default = "session")]
    pub session: Span,
    /// Who vouches for the provider's certificate; the system's authorities if left out.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// Through whom the provider is asked.
    #[serde(default)]
    pub proxy: Option<Given>,
    /// What people are.
    #[serde(default)]
    pub grant: Vec<GrantConfig>,
}

/// `[[web.oidc.grant]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantConfig {
    /// Which claim.
    pub claim: String,
    /// Which value of it.
    pub value: String,
    /// What it makes of somebody.
    #[serde(deserialize_with = "role")]
    pub role: Role,
    /// Which sites they see; with no tags either, all.
    #[serde(default)]
    pub sites: Vec<String>,
    /// Sites with one of these tags.
    #[serde(default)]
    pub tags: Vec<String>,
}

fn scopes() -> Vec<String> {
    ["profile", "email"].map(str::to_owned).into()
}

fn button() -> String {
    "Log in with single sign-on".to_owned()
}

fn name() -> String {
    "preferred_username".to_owned()
}

const fn yes() -> bool {
    true
}

const fn session() -> Span {
    Span::seconds(12 * 3600)
}

fn role<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Role, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

impl GrantConfig {
    fn reach(&self) -> Reach {
        if self.sites.is_empty() && self.tags.is_empty() {
            return Reach::All;
        }
        Reach::Some { sites: self.sites.iter().cloned().collect(), tags: self.tags.iter().cloned().collect() }
    }
}

impl OidcConfig {
    /// The first key that cannot be, and why. `external` is where people reach the hub.
    pub fn check(&self, external: &str) -> Result<(), (&'static str, String)> {
        let objection = |key, why: &str| Err((key, why.to_owned()));
        if external.is_empty() {
            return objection(
                "web.oidc",
                "the provider has to send people back: say where they reach the hub, `external_url` in [notify]",
            );
        }
        if let Err(why) = Registration::new(&self.issuer, &self.client_id, None, &[]) {
            return objection("web.oidc.issuer", &why);
        }
        if !is_private(&self.issuer) {
            return objection(
                "web.oidc.issuer",
                "begins with https:// (plain http:// only on this machine): whoever is on the line could be anybody",
            );
        }
        if self.client_id.trim().is_empty() {
            return objection(
                "web.oidc.client_id",
                "is empty; the provider gives one when the hub is made known to it",
            );
        }
        if self.button.trim().is_empty() || self.button.chars().count() > LONGEST_BUTTON {
            return objection("web.oidc.button", "has 1 to 60 characters");
        }
        if self.session < Span::seconds(300) {
            return objection("web.oidc.session", "is less than 5 minutes; write for example \"12h\"");
        }
        if self.grant.is_empty() {
            return objection(
                "web.oidc",
                "nobody would be let in: say with [[web.oidc.grant]] which value of which claim has which role",
            );
        }
        for grant in &self.grant {
            if grant.claim.trim().is_empty() || grant.value.is_empty() {
                return objection("web.oidc.grant", "needs a claim and a value, and neither is empty");
            }
            if grant.role == Role::Admin && grant.reach() != Reach::All {
                return objection("web.oidc.grant", "an admin sees all sites; leave out `sites` and `tags`");
            }
        }
        if let Some(proxy) = self.proxy.as_ref().and_then(Given::here)
            && let Err(why) = rackside_notify::config::ProxyAddress::read(proxy)
        {
            return objection("web.oidc.proxy", &why);
        }
        Ok(())
    }

    /// What claims come to.
    pub(super) fn grants(&self) -> Vec<Grant> {
        let of = |grant: &GrantConfig| {
            let (claim, value) = (grant.claim.clone(), grant.value.clone());
            Grant { claim, value, role: grant.role, reach: grant.reach() }
        };
        self.grant.iter().map(of).collect()
    }
}

/// Whether nobody on the line can read or answer what goes there.
pub(super) fn is_private(url: &str) -> bool {
    let Ok(uri) = url.parse::<axum::http::Uri>() else { return false };
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let is_here = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    match uri.scheme_str() {
        Some("https") => true,
        Some("http") => is_here,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    const GOOD: &str = "[notify]\nexternal_url = \"https://hub.example.org\"\n[web.oidc]\nissuer = \"https://login.example.org\"\n\
                        client_id = \"rackside\"\n[[web.oidc.grant]]\nclaim = \"groups\"\nvalue = \"crew\"\nrole = \"operator\"\n";

    #[test]
    fn what_cannot_be_is_told_at_its_key() {
        assert!(Config::parse(GOOD, "hub.toml").is_ok());
        for (from, to, told) in [
            ("external_url = \"https://hub.example.org\"", "", "external_url"),
            ("https://login.example.org", "login.example.org", "is no URL"),
            ("https://login.example.org", "http://login.example.org", "begins with https://"),
            ("https://login.example.org", "https://login.example.org/?a", "without ? and #"),
            ("\"rackside\"", "\" \"", "is empty"),
            ("role = \"operator\"", "role = \"boss\"", "there are viewer, operator and admin"),
            ("role = \"operator\"", "role = \"admin\"\ntags = [\"north\"]", "an admin sees all sites"),
            ("\"crew\"", "\"\"", "needs a claim and a value"),
            ("client_id", "session = \"1m\"\nclient_id", "less than 5 minutes"),
            ("client_id", "button = \"\"\nclient_id", "1 to 60"),
            ("client_id", "client_secret = \"hunter2\"\nclient_id", "file"),
            ("client_id", "clientid = \"\"\nclient_id", "clientid"),
        ] {
            let error = Config::parse(&GOOD.replacen(from, to, 1), "hub.toml").expect_err(told).to_string();
            assert!(error.contains(told) && error.starts_with("hub.toml:"), "{told}: {error}");
        }
        let nobody = GOOD.split("[[web.oidc.grant]]").next().expect("a first part");
        let error = Config::parse(nobody, "hub.toml").expect_err("nobody").to_string();
        assert!(error.contains("nobody would be let in"), "{error}");
    }
}
