//! Who may do what: the hub, clients by user name or none, and appliances by their certificates.
//!
//! A client may subscribe to everything, unless `[listener.read]` names it: then it reads what stands there (`rights`) and publishes nothing. Others publish
//! anywhere but here:
//!
//! | topic | why not |
//! |---|---|
//! | `<prefix>/<version>/<site>/<appliance>/ack` | only the hub: a forged ack empties an agent's spool |
//! | … `/verdict`, `/command`, `/config` | only the hub: they drive the rack's LED, its actions, its settings |
//! | `<prefix>/<version>/<site>/<appliance>/#` of a name that has joined | only whoever has its certificate; of every name, where the listener requires identities |
//! | `<prefix>/json/#` | it is what the hub understood |
//! | `$…` | reserved by the standard for the server |
//!
//! An appliance publishes what agents do, below its own name, retained only what is to be; subscribes to what the hub says to it; has a client id
//! of its own name. Nothing else.
//!
//! Stills and replies (`<prefix>/<version>/<site>/<appliance>/still`, `/reply`, which may bring lines of a log) go to the hub and to no subscriber: they are for
//! operators, whom the pages know, and a will cannot be one.
//! Any version is held shut, so that today's hub does not leave tomorrow's topics open.

use super::config::Demand;
use super::rights::{Readers, Rights};
use crate::identity::Identities;
use rackside_proto::{AgentName, Channel, Prefix};
use std::sync::Arc;

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
    /// A user who reads a part only.
    Reader {
        /// The user name.
        user: Box<str>,
        /// Which part.
        rights: Arc<Rights>,
    },
    /// Whoever has shown the certificate of this appliance.
    Appliance(AgentName),
}

/// Whose a client id is, as long as it is in use or its session is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Owner {
    /// This user, or whoever comes without a name.
    User(Option<Box<str>>),
    /// An appliance: its client ids say which one.
    Appliance,
}

impl Identity {
    /// Whose its client id is.
    pub(super) fn owner(&self) -> Owner {
        match self {
            Self::Hub => Owner::User(None),
            Self::Client { user } => Owner::User(user.clone()),
            Self::Reader { user, .. } => Owner::User(Some(user.clone())),
            Self::Appliance(_) => Owner::Appliance,
        }
    }

    /// What it may read, if that is a part only.
    pub(super) fn rights(&self) -> Option<Arc<Rights>> {
        match self {
            Self::Reader { rights, .. } => Some(Arc::clone(rights)),
            Self::Hub | Self::Client { .. } | Self::Appliance(_) => None,
        }
    }
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

/// Why a client id cannot be that of whoever brings it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotTheirs {
    /// An appliance's is `site/appliance/run`.
    OfAnother,
    /// It is an appliance's that has to come with its certificate.
    NeedsIdentity,
}

/// The rules, for one prefix.
#[derive(Debug, Clone)]
pub(super) struct Permissions {
    prefix: Prefix,
    demand: Demand,
    identities: Option<Identities>,
    readers: Readers,
}

/// `site/appliance` of the words of a topic or a client id.
fn name_of<'a>(words: &mut impl Iterator<Item = &'a str>) -> Option<AgentName> {
    AgentName::new(words.next()?, words.next()?).ok()
}

impl Permissions {
    /// The rules of a hub whose topics begin with `prefix`.
    pub(super) fn new(
        prefix: Prefix,
        demand: Demand,
        identities: Option<Identities>,
        readers: Readers,
    ) -> Self {
        Self { prefix, demand, identities, readers }
    }

    /// Who a user is that has passed the door.
    pub(super) fn client(&self, user: Option<&str>) -> Identity {
        match user.and_then(|user| self.readers.get_key_value(user)) {
            Some((user, rights)) => Identity::Reader { user: user.clone(), rights: Arc::clone(rights) },
            None => Identity::Client { user: user.map(Into::into) },
        }
    }

    /// Whether nobody without a certificate speaks for this name; `None` is one that no appliance can have.
    fn is_taken(&self, name: Option<&AgentName>) -> bool {
        let is_joined = |name| self.identities.as_ref().is_some_and(|identities| identities.is_joined(name));
        self.demand == Demand::Required || name.is_some_and(is_joined)
    }

    /// What becomes of a message that `identity` publishes to `topic`.
    pub(super) fn publish(&self, identity: &Identity, topic: &str, retain: bool) -> Passage {
        if matches!(identity, Identity::Hub) {
            return Passage::Route;
        }
        if let Identity::Appliance(name) = identity {
            let channel = self.own(name, topic).filter(|channel| !channel.is_from_hub());
            return match channel {
                Some(Channel::Still | Channel::Reply) if !retain => Passage::Private,
                Some(channel) if !retain || channel.is_retained() => Passage::Ingest,
                _ => Passage::Forbidden,
            };
        }
        if topic.starts_with('$') || matches!(identity, Identity::Reader { .. }) {
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
        let name = name_of(&mut levels.clone());
        let channel = levels.nth(2);
        let whole = levels.next().is_none();
        match channel.and_then(|word| word.parse().ok()) {
            Some(channel) if whole && Channel::is_from_hub(channel) => Passage::Forbidden,
            _ if self.is_taken(name.as_ref()) => Passage::Forbidden,
            Some(Channel::Still | Channel::Reply) if whole => Passage::Private,
            _ => Passage::Ingest,
        }
    }

    /// The channel of a topic of this appliance's own, of whatever version.
    fn own(&self, name: &AgentName, topic: &str) -> Option<Channel> {
        let mut levels = topic.strip_prefix(self.prefix.as_str())?.strip_prefix('/')?.split('/');
        levels.next()?.parse::<u32>().ok()?;
        let is_own = levels.next()? == name.site.as_str() && levels.next()? == name.appliance.as_str();
        let channel = levels.next()?.parse().ok()?;
        (is_own && levels.next().is_none()).then_some(channel)
    }

    /// Whether `identity` may subscribe to `filter`.
    pub(super) fn may_subscribe(&self, identity: &Identity, filter: &str) -> bool {
        match identity {
            Identity::Hub | Identity::Client { .. } => true,
            Identity::Reader { rights, .. } => rights.meet(filter),
            Identity::Appliance(name) => self.own(name, filter).is_some_and(Channel::is_from_hub),
        }
    }

    /// Whether a client id can be that of `identity`.
    pub(super) fn check_client_id(&self, identity: &Identity, client_id: &str) -> Result<(), NotTheirs> {
        let mut words = client_id.split('/');
        let name = name_of(&mut words);
        let run = words.next();
        let is_an_agents = run.is_some_and(|run| !run.is_empty()) && words.next().is_none();
        match identity {
            Identity::Appliance(own) if is_an_agents && name.as_ref() == Some(own) => Ok(()),
            Identity::Appliance(_) => Err(NotTheirs::OfAnother),
            Identity::Client { .. } | Identity::Reader { .. }
                if is_an_agents && name.is_some() && self.is_taken(name.as_ref()) =>
            {
                Err(NotTheirs::NeedsIdentity)
            }
            Identity::Hub | Identity::Client { .. } | Identity::Reader { .. } => Ok(()),
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
        let rules = Permissions::new(Prefix::default(), Demand::Accepted, None, Readers::new());
        let client = Identity::Client { user: Some("agent".into()) };
        for (topic, passage) in [
            ("rackside/1/arena-north/rack-1/data", Passage::Ingest),
            ("rackside/1/arena-north/rack-1/presence", Passage::Ingest),
            ("rackside/1/arena-north/rack-1/still", Passage::Private),
            ("rackside/2/arena-north/rack-1/still", Passage::Private),
            ("rackside/1/arena-north/rack-1/reply", Passage::Private),
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
            assert_eq!(rules.publish(&client, topic, false), passage, "{topic}");
            assert_eq!(rules.publish(&Identity::Hub, topic, true), Passage::Route, "{topic}");
        }
    }

    #[test]
    fn an_appliance_speaks_and_hears_for_itself_alone() {
        let rules = Permissions::new(Prefix::default(), Demand::Accepted, None, Readers::new());
        let own = Identity::Appliance(AgentName::new("arena-north", "rack-1").expect("a name"));
        for (topic, retain, passage) in [
            ("rackside/1/arena-north/rack-1/data", false, Passage::Ingest),
            ("rackside/1/arena-north/rack-1/presence", true, Passage::Ingest),
            ("rackside/1/arena-north/rack-1/birth", true, Passage::Ingest),
            ("rackside/2/arena-north/rack-1/reply", false, Passage::Private),
            ("rackside/1/arena-north/rack-1/reply", true, Passage::Forbidden),
            ("rackside/1/arena-north/rack-1/still", false, Passage::Private),
            ("rackside/1/arena-north/rack-1/still", true, Passage::Forbidden),
            ("rackside/1/arena-north/rack-1/data", true, Passage::Forbidden),
            ("rackside/1/arena-north/rack-1/ack", false, Passage::Forbidden),
            ("rackside/1/arena-north/rack-1/config", true, Passage::Forbidden),
            ("rackside/1/arena-north/rack-1/nonsense", false, Passage::Forbidden),
            ("rackside/1/arena-north/rack-1/data/more", false, Passage::Forbidden),
            ("rackside/1/arena-north/rack-2/data", false, Passage::Forbidden),
            ("rackside/1/arena-south/rack-1/presence", true, Passage::Forbidden),
            ("rackside/x/arena-north/rack-1/data", false, Passage::Forbidden),
            ("rackside/json/arena-north/rack-1/data", false, Passage::Forbidden),
            ("home/lamp", false, Passage::Forbidden),
            ("$SYS/broker/load", false, Passage::Forbidden),
            ("", false, Passage::Forbidden),
        ] {
            assert_eq!(rules.publish(&own, topic, retain), passage, "{topic}, retained {retain}");
        }
        for channel in Channel::ALL {
            let filter = format!("rackside/1/arena-north/rack-1/{channel}");
            assert_eq!(rules.may_subscribe(&own, &filter), channel.is_from_hub(), "{filter}");
        }
        for filter in [
            "#",
            "rackside/#",
            "rackside/1/#",
            "rackside/1/+/+/ack",
            "rackside/1/arena-north/+/ack",
            "rackside/1/arena-north/rack-1/#",
            "rackside/1/arena-north/rack-1/+",
            "rackside/1/arena-north/rack-2/ack",
            "+/1/arena-north/rack-1/ack",
            "rackside/json/#",
        ] {
            assert!(!rules.may_subscribe(&own, filter), "{filter}");
            assert!(rules.may_subscribe(&Identity::Client { user: None }, filter), "{filter}");
        }
        for (id, theirs) in [
            ("arena-north/rack-1/0a1b2c3d", Ok(())),
            ("arena-north/rack-1/", Err(NotTheirs::OfAnother)),
            ("arena-north/rack-1", Err(NotTheirs::OfAnother)),
            ("arena-north/rack-2/0a1b2c3d", Err(NotTheirs::OfAnother)),
            ("arena-north/rack-1/0a1b2c3d/more", Err(NotTheirs::OfAnother)),
            ("panel", Err(NotTheirs::OfAnother)),
            ("", Err(NotTheirs::OfAnother)),
        ] {
            assert_eq!(rules.check_client_id(&own, id), theirs, "{id}");
        }
    }

    #[test]
    fn where_identities_are_required_nobody_else_speaks_for_an_appliance() {
        let rules = Permissions::new(Prefix::default(), Demand::Required, None, Readers::new());
        let client = Identity::Client { user: Some("agent".into()) };
        for (topic, passage) in [
            ("rackside/1/arena-north/rack-1/data", Passage::Forbidden),
            ("rackside/1/arena-north/rack-1/nonsense", Passage::Forbidden),
            ("rackside/anything", Passage::Forbidden),
            ("home/lamp", Passage::Route),
        ] {
            assert_eq!(rules.publish(&client, topic, false), passage, "{topic}");
        }
        assert!(rules.may_subscribe(&client, "rackside/#"));
        assert_eq!(rules.check_client_id(&client, "hall/rack-1/7"), Err(NotTheirs::NeedsIdentity));
        for id in ["panel", "a/b", "home/lamp/living room/1", ""] {
            assert_eq!(rules.check_client_id(&client, id), Ok(()), "{id}");
        }
    }

    #[test]
    fn a_reader_reads_its_part_and_says_nothing() {
        let read = [("desk".to_owned(), vec!["rackside/json/hall/#".to_owned()])].into();
        let readers = super::super::rights::readers(&read);
        let rules = Permissions::new(Prefix::default(), Demand::Required, None, readers);
        let (desk, other) = (rules.client(Some("desk")), rules.client(Some("other")));
        assert_eq!(other, Identity::Client { user: Some("other".into()) });
        assert_eq!(rules.client(None), Identity::Client { user: None });
        for topic in ["home/lamp", "rackside/1/hall/rack-1/data", "rackside/json/hall/rack-1/latest"] {
            assert_eq!(rules.publish(&desk, topic, false), Passage::Forbidden, "{topic}");
        }
        assert_eq!(rules.publish(&other, "home/lamp", false), Passage::Route);
        for (filter, may) in
            [("rackside/json/#", true), ("rackside/json/arena-south/#", false), ("home/#", false)]
        {
            assert_eq!(rules.may_subscribe(&desk, filter), may, "{filter}");
            assert!(rules.may_subscribe(&other, filter), "{filter}");
        }
        assert_eq!(rules.check_client_id(&desk, "hall/rack-1/7"), Err(NotTheirs::NeedsIdentity));
        assert_eq!(rules.check_client_id(&desk, "panel"), Ok(()));
    }
}
