//! Who may do what. Today every client is a [`Identity::Client`]; identities per appliance come in here later.
//!
//! A client may publish anywhere but here, and subscribe to everything:
//!
//! | topic | why only the hub |
//! |---|---|
//! | `<prefix>/<version>/<site>/<appliance>/ack` | a forged ack empties an agent's spool |
//! | … `/verdict`, `/command`, `/config` | they drive the rack's LED, its actions, its settings |
//! | `<prefix>/json/#` | it is what the hub understood |
//! | `$…` | reserved by the standard for the server |
//!
//! Stills (`<prefix>/<version>/<site>/<appliance>/still`) go to the hub and to no subscriber: they are for operators, whom the pages know, and a will cannot be one.
//! Any version is held shut, so that today's hub does not leave tomorrow's topics open.

use rackside_proto::{Channel, Prefix};

/// Who somebody is, as far as permissions go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Identity {
    /// The hub itself.
    Hub,
    /// Whoever has passed the door, by user name if there was one.
    Client {
        /// The user name.
        user: Option<Box<str>>,
    },
}

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Passage {
    /// To ingest and to subscribers.
    Ingest,
    /// To ingest only, and never kept: not for subscribers.
    Private,
    /// To subscribers only.
    Route,
    /// Nowhere: who published it may not.
    Forbidden,
}

impl Passage {
    /// Whether ingest gets it.
    pub(super) const fn is_for_ingest(self) -> bool {
        matches!(self, Self::Ingest | Self::Private)
    }
}

/// The rules, for one prefix.
#[derive(Debug, Clone)]
pub(super) struct Permissions {
    prefix: Prefix,
}

impl Permissions {
    /// The rules of a hub whose topics begin with `prefix`.
    pub(super) fn new(prefix: Prefix) -> Self {
        Self { prefix }
    }

    /// What becomes of a message that `identity` publishes to `topic`.
    pub(super) fn publish(&self, identity: &Identity, topic: &str) -> Passage {
        if matches!(identity, Identity::Hub) {
            return Passage::Route;
        }
        if topic.starts_with('$') {
            return Passage::Forbidden;
        }
        let Some(rest) = topic.strip_prefix(self.prefix.as_str()).and_then(|rest| rest.strip_prefix('/'))
        else {
            return Passage::Route;
        };
        let mut levels = rest.split('/');
        if levels.next() == Some("json") {
            return Passage::Forbidden;
        }
        let channel = levels.nth(2);
        let whole = levels.next().is_none();
        match channel.and_then(|word| word.parse().ok()) {
            Some(channel) if whole && Channel::is_from_hub(channel) => Passage::Forbidden,
            Some(Channel::Still) if whole => Passage::Private,
            _ => Passage::Ingest,
        }
    }

    /// Below what the JSON mirror lies: `rackside/json`.
    pub(super) fn mirror_stem(&self) -> String {
        format!("{}/json", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_hub_publishes_what_only_the_hub_may() {
        let rules = Permissions::new(Prefix::default());
        let client = Identity::Client { user: Some("agent".into()) };
        for (topic, passage) in [
            ("rackside/1/arena-north/rack-1/data", Passage::Ingest),
            ("rackside/1/arena-north/rack-1/presence", Passage::Ingest),
            ("rackside/1/arena-north/rack-1/still", Passage::Private),
            ("rackside/2/arena-north/rack-1/still", Passage::Private),
            ("rackside/1/arena-north/rack-1/still/more", Passage::Ingest),
            ("rackside/1/arena-north/rack-1/nonsense", Passage::Ingest),
            ("rackside/", Passage::Ingest),
            ("rackside/1/arena-north/rack-1/ack/more", Passage::Ingest),
            ("rackside/1/arena-north/rack-1/ack", Passage::Forbidden),
            ("rackside/2/arena-north/rack-1/verdict", Passage::Forbidden),
            ("rackside/1///command", Passage::Forbidden),
            ("rackside/1/arena-north/rack-1/config", Passage::Forbidden),
            ("rackside/json", Passage::Forbidden),
            ("rackside/json/arena-north/rack-1/data", Passage::Forbidden),
            ("$SYS/broker/load", Passage::Forbidden),
            ("rackside", Passage::Route),
            ("racksides/1/a/b/ack", Passage::Route),
            ("home/lamp", Passage::Route),
        ] {
            assert_eq!(rules.publish(&client, topic), passage, "{topic}");
            assert_eq!(rules.publish(&Identity::Hub, topic), Passage::Route, "{topic}");
        }
    }
}
