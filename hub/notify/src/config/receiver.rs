//! `[[receiver]]`: who can be told, and how they are reached.
//!
//! One table for all kinds, so that whatever is wrong is told with its key and line; [`ReceiverConfig::checked`] makes the [`Receiver`] of it, in
//! which each kind has what it needs and nothing else. Secrets are not read here: a secret that cannot be read is the business of whoever sends.
//!
//! ```toml
//! [[receiver]]
//! name = "crew"
//! kind = "slack"
//! url = { file = "/run/credentials/rackside-hub.service/secrets_slack" }
//! ```

use super::given::Given;
use super::proxy::{self, Proxying};
use super::url::{check_url, is_this_machine};
use super::{Objection, line, ms, objection};
use rackside_config::{Secret, Span};
use rackside_onair::Zone;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Most recipients, and most Alertmanagers, of one receiver.
const MOST: usize = 50;
/// Most bytes of a template.
const TEMPLATE: usize = 64 * 1024;

/// `[[receiver]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiverConfig {
    /// As routes name it.
    pub name: String,
    /// What it is.
    pub kind: ReceiverKind,
    /// Where it is.
    pub url: Option<Given>,
    /// Where they are: Alertmanagers of one cluster.
    pub urls: Option<Vec<String>>,
    /// The mail server.
    pub host: Option<String>,
    /// Its port.
    pub port: Option<u16>,
    /// How the way there is encrypted.
    pub tls: Option<MailTls>,
    /// A name to log in with.
    pub user: Option<String>,
    /// The password for it.
    pub password: Option<Secret>,
    /// Instead of both.
    pub bearer: Option<Secret>,
    /// A mail's sender.
    pub from: Option<String>,
    /// Its recipients.
    pub to: Option<Vec<String>>,
    /// Of a bot, or of an account at ntfy.
    pub token: Option<Secret>,
    /// A chat of Telegram.
    pub chat: Option<Chat>,
    /// A topic in it.
    pub thread: Option<i64>,
    /// Of PagerDuty.
    pub routing_key: Option<Secret>,
    /// Of ntfy or MQTT.
    pub topic: Option<Given>,
    /// Whether the broker keeps the last one.
    pub retain: Option<bool>,
    /// What a webhook's body is signed with.
    pub secret: Option<Secret>,
    /// How long an alert stands at an Alertmanager without being told again.
    pub stands: Option<Span>,
    /// Through whom its requests go out, or "none".
    pub proxy: Option<Given>,
    /// The certificates of those who may vouch for it.
    pub ca: Option<PathBuf>,
    /// Whether `http://` and mail without TLS may leave this machine.
    #[serde(default)]
    pub allow_plain: bool,
    /// Words of one's own.
    #[serde(default)]
    pub template: TemplateConfig,
    /// Whether it is told that something is over.
    #[serde(default = "yes")]
    pub send_resolved: bool,
    /// Where its readers' clocks are.
    pub time_zone: Option<Zone>,
}

/// `template`: tinytemplate; whether they can be is checked by who renders them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TemplateConfig {
    /// Of the title.
    pub title: Option<String>,
    /// Of the body.
    pub body: Option<String>,
}

/// `kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReceiverKind {
    /// An incoming webhook of Slack.
    Slack,
    /// Mail.
    Email,
    /// A bot of Telegram.
    Telegram,
    /// A webhook of Discord.
    Discord,
    /// Events API v2 of PagerDuty.
    PagerDuty,
    /// A topic of ntfy.
    Ntfy,
    /// Any program that takes what Alertmanager sends.
    Webhook,
    /// Alertmanagers.
    Alertmanager,
    /// A topic at the hub's broker.
    Mqtt,
}

/// `tls` of a mail server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MailTls {
    /// It begins plain and is encrypted before anything is said; port 587.
    StartTls,
    /// From the first byte; port 465.
    Tls,
    /// Not at all; port 25.
    None,
}

/// A chat of Telegram: its number, or `@channel`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chat(pub String);

/// A receiver, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Receiver {
    /// As routes name it.
    pub name: Arc<str>,
    /// What it is and where.
    pub way: Way,
    /// Words of one's own.
    pub template: TemplateConfig,
    /// Whether it is told that something is over.
    pub send_resolved: bool,
    /// Where its readers' clocks are; none: as `[notify]` says.
    pub time_zone: Option<Zone>,
    /// Through whom its requests go out.
    pub proxy: Proxying,
    /// The certificates of those who may vouch for it; none: as `[notify]` says.
    pub ca: Option<PathBuf>,
    /// Whether `http://` and mail without TLS may leave this machine: for [`check_url`] of a URL that is a secret.
    pub allow_plain: bool,
}

/// What a receiver is and where. Servers' URLs have no slash at the end.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the keys of the configuration, which `ReceiverConfig` explains")]
pub enum Way {
    /// An incoming webhook of Slack.
    Slack { url: Secret },
    /// Mail.
    Email(Email),
    /// A bot of Telegram.
    Telegram { url: String, token: Secret, chat: String, thread: Option<i64> },
    /// A webhook of Discord.
    Discord { url: Secret },
    /// Events API v2 of PagerDuty.
    PagerDuty { url: String, routing_key: Secret },
    /// A topic of ntfy.
    Ntfy { url: String, topic: Given, login: Option<Login> },
    /// Any program that takes what Alertmanager sends.
    Webhook { url: Given, secret: Option<Secret>, login: Option<Login> },
    /// Alertmanagers of one cluster, each of which is told; `stands` in milliseconds.
    Alertmanager { urls: Vec<String>, login: Option<Login>, stands: i64 },
    /// A topic at the hub's broker.
    Mqtt { topic: String, retain: bool },
}

/// A mail server, and who writes to whom.
#[derive(Debug, Clone, PartialEq)]
pub struct Email {
    /// The server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the way there is encrypted.
    pub tls: MailTls,
    /// Who logs in there.
    pub login: Option<(String, Secret)>,
    /// The sender.
    pub from: String,
    /// The recipients.
    pub to: Vec<String>,
}

/// How a sender makes itself known over HTTP.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "they say it themselves")]
pub enum Login {
    /// `Authorization: Basic …`
    Basic { user: String, password: Secret },
    /// `Authorization: Bearer …`
    Bearer(Secret),
}

const fn yes() -> bool {
    true
}

impl ReceiverKind {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Slack,
        Self::Email,
        Self::Telegram,
        Self::Discord,
        Self::PagerDuty,
        Self::Ntfy,
        Self::Webhook,
        Self::Alertmanager,
        Self::Mqtt,
    ];

    /// As `kind` has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Slack => "slack",
            Self::Email => "email",
            Self::Telegram => "telegram",
            Self::Discord => "discord",
            Self::PagerDuty => "pagerduty",
            Self::Ntfy => "ntfy",
            Self::Webhook => "webhook",
            Self::Alertmanager => "alertmanager",
            Self::Mqtt => "mqtt",
        }
    }

    /// The keys that it takes, beside those that all do.
    const fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Slack | Self::Discord => &["url", "proxy", "ca"],
            Self::Email => &["host", "port", "tls", "user", "password", "from", "to", "ca"],
            Self::Telegram => &["token", "chat", "thread", "url", "proxy", "ca"],
            Self::PagerDuty => &["routing_key", "url", "proxy", "ca"],
            Self::Ntfy => &["topic", "url", "token", "user", "password", "proxy", "ca"],
            Self::Webhook => &["url", "secret", "user", "password", "bearer", "proxy", "ca"],
            Self::Alertmanager => &["urls", "user", "password", "bearer", "stands", "proxy", "ca"],
            Self::Mqtt => &["topic", "retain"],
        }
    }
}

impl Way {
    /// Of what kind it is.
    pub const fn kind(&self) -> ReceiverKind {
        match self {
            Self::Slack { .. } => ReceiverKind::Slack,
            Self::Email(_) => ReceiverKind::Email,
            Self::Telegram { .. } => ReceiverKind::Telegram,
            Self::Discord { .. } => ReceiverKind::Discord,
            Self::PagerDuty { .. } => ReceiverKind::PagerDuty,
            Self::Ntfy { .. } => ReceiverKind::Ntfy,
            Self::Webhook { .. } => ReceiverKind::Webhook,
            Self::Alertmanager { .. } => ReceiverKind::Alertmanager,
            Self::Mqtt { .. } => ReceiverKind::Mqtt,
        }
    }
}

impl<'de> Deserialize<'de> for Chat {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl Visitor<'_> for Either {
            type Value = Chat;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a chat's number or \"@channel\"")
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Chat, E> {
                Ok(Chat(number.to_string()))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Chat, E> {
                let is_number = text.parse::<i64>().is_ok();
                let is_name = |name: &str| {
                    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
                };
                if is_number || text.strip_prefix('@').is_some_and(is_name) {
                    Ok(Chat(text.to_owned()))
                } else {
                    Err(E::custom(format!(
                        "{text:?} is no chat; write its number, for example -1001234567890, or \"@channel\""
                    )))
                }
            }
        }

        deserializer.deserialize_any(Either)
    }
}

impl ReceiverConfig {
    /// The receiver, or the first key that cannot be, and why.
    pub fn checked(&self) -> Result<Receiver, Objection> {
        line("name", &self.name)?;
        if self.name.starts_with("team:") {
            return objection("name", "begins with `team:`, which stands for a team");
        }
        self.no_other_keys()?;
        for (key, text) in [("title", &self.template.title), ("body", &self.template.body)] {
            if text.as_ref().is_some_and(|text| text.len() > TEMPLATE) {
                return objection(format!("template.{key}"), "is longer than 64 KiB");
            }
        }
        Ok(Receiver {
            name: self.name.as_str().into(),
            way: self.way()?,
            template: self.template.clone(),
            send_resolved: self.send_resolved,
            time_zone: self.time_zone,
            proxy: proxy::of_receiver(self.proxy.as_ref())?,
            ca: self.ca.clone(),
            allow_plain: self.allow_plain,
        })
    }

    /// Each key that is not for all kinds, and whether it is given.
    fn given(&self) -> [(&'static str, bool); 20] {
        [
            ("url", self.url.is_some()),
            ("urls", self.urls.is_some()),
            ("host", self.host.is_some()),
            ("port", self.port.is_some()),
            ("tls", self.tls.is_some()),
            ("user", self.user.is_some()),
            ("password", self.password.is_some()),
            ("bearer", self.bearer.is_some()),
            ("from", self.from.is_some()),
            ("to", self.to.is_some()),
            ("token", self.token.is_some()),
            ("chat", self.chat.is_some()),
            ("thread", self.thread.is_some()),
            ("routing_key", self.routing_key.is_some()),
            ("topic", self.topic.is_some()),
            ("retain", self.retain.is_some()),
            ("secret", self.secret.is_some()),
            ("stands", self.stands.is_some()),
            ("proxy", self.proxy.is_some()),
            ("ca", self.ca.is_some()),
        ]
    }

    fn no_other_keys(&self) -> Result<(), Objection> {
        let takes = self.kind.keys();
        match self.given().into_iter().find(|(key, is_given)| *is_given && !takes.contains(key)) {
            None => Ok(()),
            Some((key, _)) => {
                let kind = self.kind.as_str();
                objection(
                    key,
                    format!("a receiver of kind \"{kind}\" has no such key; it takes {}", takes.join(", ")),
                )
            }
        }
    }

    fn way(&self) -> Result<Way, Objection> {
        Ok(match self.kind {
            ReceiverKind::Slack => Way::Slack { url: self.secret_url()? },
            ReceiverKind::Discord => Way::Discord { url: self.secret_url()? },
            ReceiverKind::Email => Way::Email(self.email()?),
            ReceiverKind::Telegram => Way::Telegram {
                url: self.server("https://api.telegram.org")?,
                token: self.needs("token", self.token.as_ref())?,
                chat: self.needs("chat", self.chat.as_ref())?.0,
                thread: self.thread,
            },
            ReceiverKind::PagerDuty => Way::PagerDuty {
                url: self.server("https://events.pagerduty.com")?,
                routing_key: self.needs("routing_key", self.routing_key.as_ref())?,
            },
            ReceiverKind::Ntfy => Way::Ntfy {
                url: self.server("https://ntfy.sh")?,
                topic: self.ntfy_topic()?,
                login: self.login("token", self.token.as_ref())?,
            },
            ReceiverKind::Webhook => Way::Webhook {
                url: self.url()?,
                secret: self.secret.clone(),
                login: self.login("bearer", self.bearer.as_ref())?,
            },
            ReceiverKind::Alertmanager => Way::Alertmanager {
                urls: self.alertmanagers()?,
                login: self.login("bearer", self.bearer.as_ref())?,
                stands: self.stands()?,
            },
            ReceiverKind::Mqtt => {
                Way::Mqtt { topic: self.mqtt_topic()?, retain: self.retain.unwrap_or(false) }
            }
        })
    }

    fn needs<T: Clone>(&self, key: &str, value: Option<&T>) -> Result<T, Objection> {
        value.cloned().ok_or_else(|| {
            let kind = self.kind.as_str();
            (key.to_owned(), format!("is missing: a receiver of kind \"{kind}\" needs it"))
        })
    }

    fn url(&self) -> Result<Given, Objection> {
        let url = self.needs("url", self.url.as_ref())?;
        if let Some(here) = url.here() {
            check_url(here, self.allow_plain).map_err(|why| ("url".to_owned(), why))?;
        }
        Ok(url)
    }

    /// A URL with a token in it.
    fn secret_url(&self) -> Result<Secret, Objection> {
        match self.needs("url", self.url.as_ref())? {
            Given::Elsewhere(secret) => Ok(secret),
            Given::Here(_) => objection(
                "url",
                "whoever knows this URL can write there, so it is a secret and does not belong in this file; write { file = \"/path/of/the/secret\" } or { env = \"NAME\" }",
            ),
        }
    }

    /// A server's URL, which is no secret.
    fn server(&self, default: &str) -> Result<String, Objection> {
        match &self.url {
            None => Ok(default.to_owned()),
            Some(Given::Elsewhere(_)) => objection("url", "is no secret here; write it as a text"),
            Some(Given::Here(url)) => {
                check_url(url, self.allow_plain).map_err(|why| ("url".to_owned(), why))?;
                Ok(url.trim_end_matches('/').to_owned())
            }
        }
    }

    fn login(&self, other: &str, bearer: Option<&Secret>) -> Result<Option<Login>, Objection> {
        match (self.user_and_password()?, bearer) {
            (Some(_), Some(_)) => {
                objection(other, format!("both `user` and `{other}` are given; keep one of them"))
            }
            (Some((user, password)), None) => Ok(Some(Login::Basic { user, password })),
            (None, bearer) => Ok(bearer.cloned().map(Login::Bearer)),
        }
    }

    fn user_and_password(&self) -> Result<Option<(String, Secret)>, Objection> {
        match (&self.user, &self.password) {
            (Some(user), Some(password)) => {
                line("user", user)?;
                Ok(Some((user.clone(), password.clone())))
            }
            (None, None) => Ok(None),
            (Some(_), None) => objection("user", "without a `password` nobody can log in"),
            (None, Some(_)) => objection("password", "whose it is is missing: give `user`"),
        }
    }

    fn email(&self) -> Result<Email, Objection> {
        let host = self.needs("host", self.host.as_ref())?;
        let is_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | ':');
        if host.is_empty() || !host.chars().all(is_host) {
            return objection(
                "host",
                format!("{host:?} is no name of a mail server; write for example \"mail.example.org\""),
            );
        }
        let tls = self.tls.unwrap_or(MailTls::StartTls);
        if tls == MailTls::None && !self.allow_plain && !is_this_machine(&host) {
            return objection(
                "tls",
                "mail would go over the network without encryption; write \"starttls\" or \"tls\", or say `allow_plain = true` if that network is yours alone",
            );
        }
        let port = self.port.unwrap_or(match tls {
            MailTls::StartTls => 587,
            MailTls::Tls => 465,
            MailTls::None => 25,
        });
        if port == 0 {
            return objection("port", "is from 1 to 65535");
        }
        let (from, to) = (self.needs("from", self.from.as_ref())?, self.needs("to", self.to.as_ref())?);
        address("from", &from)?;
        at_least_one("to", &to)?;
        to.iter().try_for_each(|to| address("to", to))?;
        Ok(Email { host, port, tls, login: self.user_and_password()?, from, to })
    }

    fn ntfy_topic(&self) -> Result<Given, Objection> {
        let topic = self.needs("topic", self.topic.as_ref())?;
        let is_right = |topic: &str| {
            (1..=64).contains(&topic.len())
                && topic.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        if topic.here().is_some_and(|topic| !is_right(topic)) {
            return objection("topic", "is no topic of ntfy: 1 to 64 of A-Z a-z 0-9 - _");
        }
        Ok(topic)
    }

    fn mqtt_topic(&self) -> Result<String, Objection> {
        let topic = self.needs("topic", self.topic.as_ref())?;
        let Some(topic) = topic.here() else {
            return objection("topic", "is no secret here; write it as a text");
        };
        let is_right = (1..=1024).contains(&topic.len())
            && !topic.starts_with('$')
            && !topic.contains(|c: char| c.is_control() || matches!(c, '+' | '#'));
        if is_right {
            Ok(topic.to_owned())
        } else {
            objection(
                "topic",
                format!("{topic:?} is no topic to publish to; write for example \"rackside/alerts\""),
            )
        }
    }

    fn alertmanagers(&self) -> Result<Vec<String>, Objection> {
        let urls = self.needs("urls", self.urls.as_ref())?;
        at_least_one("urls", &urls)?;
        for url in &urls {
            check_url(url, self.allow_plain).map_err(|why| ("urls".to_owned(), why))?;
        }
        Ok(urls.iter().map(|url| url.trim_end_matches('/').to_owned()).collect())
    }

    fn stands(&self) -> Result<i64, Objection> {
        let stands = self.stands.unwrap_or(Span::seconds(300));
        if stands.get() < Duration::from_mins(1) {
            return objection(
                "stands",
                format!(
                    "\"{stands}\" is too short; it is told again only now and then, so write for example \"5m\""
                ),
            );
        }
        Ok(ms(stands))
    }
}

fn at_least_one(key: &str, list: &[String]) -> Result<(), Objection> {
    match list.len() {
        0 => objection(key, "is empty; name one at least"),
        1..=MOST => Ok(()),
        _ => objection(key, format!("there are more than {MOST}")),
    }
}

/// `crew@example.org`, or `Crew <crew@example.org>`.
fn address(key: &str, text: &str) -> Result<(), Objection> {
    let bare = match text.split_once('<') {
        Some((_, rest)) => rest.strip_suffix('>').unwrap_or_default(),
        None => text,
    };
    let is_part = |part: &str| {
        !part.is_empty()
            && !part.contains(|c: char| c.is_control() || c.is_whitespace() || "<>@,;\"".contains(c))
    };
    let is_right = bare.split_once('@').is_some_and(|(user, host)| is_part(user) && is_part(host));
    if is_right && !text.contains(char::is_control) {
        return Ok(());
    }
    objection(key, format!("{text:?} is no address; write for example \"Crew <crew@example.org>\""))
}
