//! Mosquitto's list of who may what, and the lines of its configuration.
//!
//! Appliances come by patterns: `%u` is the name in their certificate, `site/appliance`, so whoever joins is heard at once, before anything is reloaded. What
//! has ended is denied by name: that reaches those who are connected, whom the list of ended certificates does not.

use super::User;
use rackside_identity::Identity;
use rackside_proto::{AgentName, Channel, Prefix, WIRE};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

/// Who may what.
pub(super) fn text(prefix: &Prefix, users: &[User], identities: &[Identity]) -> String {
    let mut text = "# By rackside-hub, which writes it anew whenever somebody joins or is revoked: changes here do not last.\n".to_owned();
    let mut add = |line: String| writeln!(text, "{line}").expect("a String takes everything");
    for user in users {
        add(format!("\nuser {}", user.name));
        match &user.read {
            None => add(format!("topic readwrite {prefix}/#")),
            Some(read) => {
                // Pictures are for operators, whom the pages know.
                add(format!("topic deny {prefix}/+/+/+/{}", Channel::Still));
                for filter in read {
                    add(format!("topic read {filter}"));
                }
            }
        }
    }
    for name in gone(identities) {
        add(format!("\nuser {name}\ntopic deny #"));
    }
    add("\n# Each appliance for itself.".to_owned());
    for channel in Channel::ALL {
        let may = if channel.is_from_hub() { "read" } else { "write" };
        add(format!("pattern {may} {prefix}/{WIRE}/%u/{channel}"));
    }
    text
}

/// Names of which no certificate is left.
fn gone(identities: &[Identity]) -> Vec<&AgentName> {
    let mut names = BTreeMap::new();
    for one in identities {
        *names.entry(&one.name).or_insert(false) |= one.end.is_none();
    }
    names.into_iter().filter(|(_, has_one)| !has_one).map(|(name, _)| name).collect()
}

/// How Mosquitto is to use the files.
pub(super) fn conf(directory: &Path) -> String {
    let at = directory.display();
    format!(
        "\
# For Mosquitto 2, by rackside-hub: `include_dir {at}` in mosquitto.conf. Written once: from now on it is yours.

# Nobody comes without a certificate or a password, also where another file adds a listener.
allow_anonymous false
acl_file {at}/acl
password_file {at}/passwd

# Appliances, by certificates of the hub's authority. Their user name is the one in the certificate, and their client id
# is taken from that too: so nobody can have the connection of another one.
listener 8883
cafile {at}/authority.pem
certfile {at}/broker.pem
keyfile {at}/broker.key
crlfile {at}/revoked.pem
require_certificate true
use_identity_as_username true
use_username_as_clientid true

# The hub and readers, by passwords. Each user is connected once: who comes with the same name takes the place of the one before.
# Beyond this machine give it a certificate as well (certfile and keyfile, without the other three lines of the listener above).
listener 1883 127.0.0.1
use_username_as_clientid true
"
    )
}
