//! A receiver, as far as its messages' form goes: of what kind it is, where it is, in whose words and in which time zone.
//!
//! Not here: how its server is reached (SMTP, the broker), which belongs to sending, and the configuration file, whose types are converted into
//! these once all is checked and secrets are read.
//!
//! Invariant: `Debug` shows no secret.
//!
//! ```text
//! Receiver { name: "crew", way: Telegram { token: .., chat_id: "-1001", thread: None, .. }, reader: Europe/Berlin, .. }
//! ```

use rackside_notify::AlertId;
pub use rackside_notify::config::ReceiverKind as Kind;
use rackside_onair::Zone;
use std::fmt;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

/// A text that is for the receiver alone: a URL with a token in it, a key. `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Hidden(String);

impl Hidden {
    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}

/// One receiver.
#[derive(Clone, Debug)]
pub struct Receiver {
    /// As routes name it.
    pub name: String,
    /// What it is and where.
    pub way: Way,
    /// The template of the title, if not ours; checked.
    pub title: Option<String>,
    /// The template of the body, if not ours; checked. Of a webhook: of the whole payload.
    pub body: Option<String>,
    /// The reader's time zone.
    pub reader: Zone,
    /// Where the hub's pages are from outside, without a slash at the end: `https://hub.example.org`. Empty: nobody said, and there are no links.
    pub external_url: String,
    /// Signs links with which whoever gets them may acknowledge; none: the links lead to the page alone.
    pub signer: Option<Signer>,
}

/// Signs links to acknowledge: an alert, since when it fires (milliseconds since 1970), who is told.
#[derive(Clone)]
pub struct Signer(Arc<Sign>);

type Sign = dyn Fn(AlertId, i64, &str) -> String + Send + Sync;

impl Signer {
    /// Signs with this.
    pub fn new(sign: impl Fn(AlertId, i64, &str) -> String + Send + Sync + 'static) -> Self {
        Self(Arc::new(sign))
    }

    /// What stands behind the page's address: `?by=crew&since=1795145096120&key=3f0c…`.
    pub(crate) fn query(&self, alert: AlertId, since: i64, receiver: &str) -> String {
        let key = (self.0)(alert, since, receiver);
        let by = receiver.bytes().fold(String::new(), |mut text, byte| {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                text.push(char::from(byte));
            } else {
                write!(text, "%{byte:02X}").expect("a String takes everything");
            }
            text
        });
        format!("?by={by}&since={since}&key={key}")
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer(..)")
    }
}

/// Where a receiver is.
#[derive(Clone, Debug, PartialEq)]
pub enum Way {
    /// An incoming webhook of Slack.
    Slack {
        /// The whole URL.
        url: Hidden,
    },
    /// Mail.
    Email {
        /// The sender.
        from: String,
        /// The recipients.
        to: Vec<String>,
    },
    /// A bot of Telegram.
    Telegram {
        /// `https://api.telegram.org`
        server: String,
        /// The bot's token.
        token: Hidden,
        /// A number, or `@channel`.
        chat_id: String,
        /// The topic of a group that has topics.
        thread: Option<i64>,
    },
    /// A webhook of Discord.
    Discord {
        /// The whole URL; `?thread_id=` may be in it.
        url: Hidden,
    },
    /// Events API v2 of `PagerDuty`.
    PagerDuty {
        /// `https://events.pagerduty.com`
        server: String,
        /// The key of the service's integration.
        routing_key: Hidden,
    },
    /// A topic of ntfy.
    Ntfy {
        /// `https://ntfy.example.org`
        server: String,
        /// The topic, which is a password where anybody may read it.
        topic: Hidden,
        /// The value of `Authorization`: `Bearer tk_…` or `Basic …`.
        authorization: Option<Hidden>,
    },
    /// Any program that takes what Alertmanager sends.
    Webhook {
        /// The whole URL.
        url: Hidden,
        /// What the body is signed with (`X-Signature-256`).
        key: Option<Hidden>,
        /// The value of `Authorization`.
        authorization: Option<Hidden>,
    },
    /// An Alertmanager.
    Alertmanager {
        /// `http://alertmanager.example.org:9093`, with its path prefix if it has one.
        server: Hidden,
        /// The value of `Authorization`.
        authorization: Option<Hidden>,
        /// How long an alert stands there if it is not sent again: it is told as `endsAt`, so that alerts do not outlive a hub that is gone.
        stands: Duration,
    },
    /// A topic on a broker.
    Mqtt {
        /// Without wildcards.
        topic: String,
        /// Whether the broker keeps the last one.
        retain: bool,
    },
}

impl Way {
    /// Of what kind it is.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Slack { .. } => Kind::Slack,
            Self::Email { .. } => Kind::Email,
            Self::Telegram { .. } => Kind::Telegram,
            Self::Discord { .. } => Kind::Discord,
            Self::PagerDuty { .. } => Kind::PagerDuty,
            Self::Ntfy { .. } => Kind::Ntfy,
            Self::Webhook { .. } => Kind::Webhook,
            Self::Alertmanager { .. } => Kind::Alertmanager,
            Self::Mqtt { .. } => Kind::Mqtt,
        }
    }
}

impl Receiver {
    /// Whether a picture would reach anybody there.
    pub const fn takes_pictures(&self) -> bool {
        matches!(self.way.kind(), Kind::Email | Kind::Telegram | Kind::Discord | Kind::Ntfy)
    }

    /// The same receiver after [`Outcome::Elsewhere`](crate::Outcome::Elsewhere).
    #[must_use]
    pub fn moved(&self, to: i64) -> Self {
        let mut moved = self.clone();
        if let Way::Telegram { chat_id, .. } = &mut moved.way {
            *chat_id = to.to_string();
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signed_link_names_whom_it_is_for() {
        let signer =
            Signer::new(|alert, since, receiver| format!("{alert}{since}{receiver}").replace(' ', "_"));
        let query = signer.query(AlertId(7), 12, "the crew&co");
        assert_eq!(query, "?by=the%20crew%26co&since=12&key=000000000000000712the_crew&co");
        assert_eq!(format!("{signer:?}"), "Signer(..)");
    }

    #[test]
    fn debug_shows_no_secret_and_a_moved_chat_is_another_one() {
        let way = Way::Telegram {
            server: "https://api.telegram.org".into(),
            token: Hidden::new("1:hunter2"),
            chat_id: "-7".into(),
            thread: None,
        };
        let receiver = Receiver {
            name: "crew".into(),
            way,
            title: None,
            body: None,
            reader: Zone::UTC,
            external_url: String::new(),
            signer: None,
        };
        let shown = format!("{:?}", receiver.moved(-1007));
        assert!(shown.contains("chat_id: \"-1007\"") && !shown.contains("hunter2"), "{shown}");
    }
}
