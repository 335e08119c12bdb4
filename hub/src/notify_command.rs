//! `rackside-hub notify test`, and what `check` says of notifications.
//!
//! A test message goes past the queue of a hub that may be running, once, by this process: what the receiver's server said is told at once. A
//! receiver on the hub's own MQTT cannot be tried so, since this process has no listener.
//!
//! ```text
//! crew: delivered
//! 3 receivers, 1 team, 2 routes; nobody is told of what no route takes
//! ```

use crate::cli::Target;
use crate::clock;
use crate::config::Config;
use crate::notify::{LinkKey, Office, address, post};
use rackside_notify::config::{KnownSites, Way};
use rackside_notify::{Notifier, Nowhere, Trial};
use rackside_receivers::send::{Publisher, Publishing};
use rackside_receivers::{Bounds, MqttParcel, Outbox, Outcome, template};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

/// Sends a test message; what came of it for each receiver, or that it has not arrived everywhere.
pub(crate) fn test(path: &Path, target: &Target) -> Result<String, String> {
    let config = Config::read(path).map_err(|error| error.to_string())?;
    let policy = config.policy().map_err(|(key, why)| format!("{key}: {why}"))?;
    let trial = match target {
        Target::Receiver(name) => Trial::Receiver(name.clone()),
        Target::Route(name) => Trial::Route(name.clone()),
    };
    let now = clock::now().utc_ms as i64;
    let outgoing = Notifier::new(policy.clone()).test(&trial, now, &Nowhere).ok_or_else(|| match target {
        Target::Receiver(name) => format!("there is no receiver {name:?} in {}", path.display()),
        Target::Route(name) => format!("there is no route {name:?} in {}", path.display()),
    })?;
    if outgoing.is_empty() {
        return Err("this route tells nobody at this moment".to_owned());
    }
    for one in policy.receivers.iter().filter(|one| outgoing.iter().any(|to| to.receiver == one.name)) {
        address::addresses(one, &policy).map_err(|error| error.to_string())?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("no threads to run on: {error}"))?;
    // A directory that is not there: what this sends waits nowhere.
    let outbox = Arc::new(Outbox::open(Path::new("/nonexistent/rackside"), Bounds::default(), now));
    let office = Office::new(policy.clone(), outbox, Arc::new(NoListener), LinkKey::of_this_run(), None);
    let (said, failed) = runtime.block_on(async {
        office.employ(&policy).await;
        let (mut said, mut failed) = (String::new(), 0);
        for one in office.spread(outgoing) {
            let outcome = office.couriers().send_once(&one.receiver, one.message).await;
            let what = match outcome {
                Some(Outcome::Delivered) => "delivered".to_owned(),
                Some(
                    Outcome::Retry { why, .. }
                    | Outcome::Stumbles { why, .. }
                    | Outcome::Final { why, .. }
                    | Outcome::Elsewhere { why, .. }
                    | Outcome::Plainer { why },
                ) => {
                    failed += 1;
                    why
                }
                None => {
                    failed += 1;
                    "it has no courier".to_owned()
                }
            };
            writeln!(said, "{}: {what}", one.receiver).expect("a String takes everything");
        }
        office.couriers().stop().await;
        (said, failed)
    });
    if failed == 0 { Ok(said) } else { Err(format!("a test message did not arrive\n{}", said.trim_end())) }
}

/// What would be told to whom, in a line. Or what is wrong with a template, a secret, a proxy or a file of certificates.
pub(crate) fn outlook(config: &Config) -> Result<String, String> {
    let policy = config.policy().map_err(|(key, why)| format!("{key}: {why}"))?;
    for one in &policy.receivers {
        let said =
            |what: &str, why: String| format!("receiver {:?}: {what} of `template`: {why}", &*one.name);
        if let Some(title) = &one.template.title {
            template::check(title).map_err(|why| said("`title`", why))?;
        }
        if let Some(body) = &one.template.body {
            let is_payload = matches!(one.way, Way::Webhook { .. });
            let checked = if is_payload { template::check_payload(body) } else { template::check(body) };
            checked.map_err(|why| said("`body`", why))?;
        }
        address::check(one, &policy).map_err(|error| error.to_string())?;
    }
    let of_all = |why: String| format!("[notify]: {why}");
    if let Some(proxy) = &policy.proxy {
        address::proxy_of(proxy).map_err(of_all)?;
    }
    if let Some(file) = &policy.ca {
        address::own_trust(file).map_err(of_all)?;
    }
    Ok(post::counted(&policy))
}

/// What is strange in what [`outlook`] finds good, a line each: holes of a rota, names that nobody names, routes that are never asked.
pub(crate) fn remarks(config: &Config, now: i64) -> Vec<String> {
    let sites = KnownSites {
        ids: config.site.iter().map(|site| site.id.as_str()).collect(),
        tags: config.site.iter().flat_map(|site| &site.tags).map(String::as_str).collect(),
    };
    config.policy().map(|policy| policy.remarks(&sites, now)).unwrap_or_default()
}

/// Who tries a receiver on MQTT from the command line.
#[derive(Debug)]
struct NoListener;

impl Publisher for NoListener {
    fn publish<'a>(&'a self, _: &'a MqttParcel) -> Publishing<'a> {
        Box::pin(async {
            Err("a receiver on the hub's own MQTT cannot be tried from the command line".to_owned())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_that_no_site_has_is_noted() {
        let text = "[[site]]\nid = \"hall\"\ntags = [\"north\"]\n[[receiver]]\nname = \"desk\"\nkind = \"mqtt\"\ntopic = \"a\"\n\
                    [[route]]\nname = \"all\"\nsites = [\"hall\"]\nto = [\"desk\"]\ntags = [\"north\", \"noth\"]\n";
        let config = Config::parse(text, "hub.toml").expect("right");
        assert_eq!(
            remarks(&config, 0),
            ["route \"all\": no [[site]] has the tag \"noth\"; did you mean \"north\"?"]
        );
    }

    #[test]
    fn authorities_and_proxies_that_cannot_be_used_are_told() {
        let hook = "[[receiver]]\nname = \"hook\"\nkind = \"webhook\"\nurl = \"https://hub.example.org/\"\n";
        for (text, why) in [
            ("ca = \"/nonexistent/ca.pem\"\n", "receiver \"hook\": `ca`: /nonexistent/ca.pem: No such file"),
            ("proxy = { file = \"/nonexistent/proxy\" }\n", "receiver \"hook\": /nonexistent/proxy: "),
            ("[notify]\nca = \"/nonexistent/ca.pem\"\n", "[notify]: `ca`: /nonexistent/ca.pem: No such file"),
            ("[notify]\nproxy = { env = \"RACKSIDE_NO_SUCH_PROXY\" }\n", "receiver \"hook\": "),
        ] {
            let config = Config::parse(&format!("{hook}{text}"), "hub.toml").expect("right");
            let said = outlook(&config).expect_err(text);
            assert!(said.starts_with(why), "{said}");
        }
    }
}
