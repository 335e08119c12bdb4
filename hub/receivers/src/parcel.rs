//! What goes out, and what comes back.
//!
//! A parcel is complete: whoever sends it adds nothing but the connection (and what that needs: `Host`, `Content-Length`, the SMTP
//! envelope). It is made when it is sent and never kept, because it holds secrets; what is kept is the message.
//!
//! Invariant: `Debug` shows to whom and how much, never a URL's path, a header's value or a body.
//!
//! ```text
//! Http(POST hooks.slack.com, 812 bytes) · Mail(to 2, 1 attachment) · Mqtt(rackside/alerts, 633 bytes)
//! ```

use crate::Hidden;
use std::fmt;
use std::time::Duration;

/// Something to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parcel {
    /// One request.
    Http(HttpParcel),
    /// One mail.
    Mail(MailParcel),
    /// One publish.
    Mqtt(MqttParcel),
}

/// A request's method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `GET`
    Get,
    /// `POST`
    Post,
    /// `PUT`
    Put,
}

impl Method {
    /// As it stands in a request.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
        }
    }
}

/// One HTTP request.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpParcel {
    /// How.
    pub method: Method,
    /// Where to; its path and query are secrets as often as not.
    pub url: Hidden,
    /// `Content-Type` and `User-Agent` are among them; values are visible ASCII and spaces.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl HttpParcel {
    /// The host (and port) that it goes to: what may be shown of the URL.
    pub fn host(&self) -> &str {
        host(self.url.expose())
    }

    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(of, _)| of.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// The host (and port) of a URL, without user and password.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

impl fmt::Debug for HttpParcel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}, {} bytes", self.method.as_str(), self.host(), self.body.len())
    }
}

/// One mail, before any encoding.
#[derive(Clone, PartialEq, Eq)]
pub struct MailParcel {
    /// The sender, as configured: `Rackside <hub@example.org>`.
    pub from: String,
    /// The recipients, as configured.
    pub to: Vec<String>,
    /// One line without control characters.
    pub subject: String,
    /// The text part.
    pub text: String,
    /// The HTML part; names pictures as `cid:` and their `content_id`.
    pub html: String,
    /// Pictures in the HTML part.
    pub attachments: Vec<Attachment>,
    /// Without angle brackets; the same each time that this message is sent.
    pub message_id: String,
    /// The id of the mail that began this conversation, without angle brackets; for `References` and `In-Reply-To`. Nobody has to have sent it.
    pub references: String,
}

impl fmt::Debug for MailParcel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "to {}, {} attachments", self.to.len(), self.attachments.len())
    }
}

/// A picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Without angle brackets.
    pub content_id: String,
    /// `chart.png`
    pub file_name: String,
    /// `image/png`
    pub content_type: &'static str,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// One publish, at `QoS` 1.
#[derive(Clone, PartialEq, Eq)]
pub struct MqttParcel {
    /// The topic, without wildcards.
    pub topic: String,
    /// JSON.
    pub payload: Vec<u8>,
    /// Whether it is kept for whoever subscribes later.
    pub retain: bool,
}

impl fmt::Debug for MqttParcel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} bytes", self.topic, self.payload.len())
    }
}

/// What a receiver answered to a request.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// The status.
    pub status: u16,
    /// The header `Retry-After`, if there was one.
    pub retry_after: Option<&'a str>,
    /// The body, or its beginning.
    pub body: &'a [u8],
    /// Whether the parcel had a picture in it.
    pub pictured: bool,
    /// When, in milliseconds since 1970: what a date in `Retry-After` is counted from.
    pub now: i64,
}

/// What that means. `why` is one short line for a person, without secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is there.
    Delivered,
    /// Not now: again after this time, or by the sender's own back-off.
    Retry {
        /// How long the receiver wants to be left alone.
        after: Option<Duration>,
        /// What it said.
        why: String,
    },
    /// It is there, and failed: at this message, or at any. Again, and if others arrive meanwhile, behind them.
    Stumbles {
        /// How long the receiver wants to be left alone.
        after: Option<Duration>,
        /// What it said.
        why: String,
    },
    /// The receiver has moved: make the parcel anew with this chat ([`Receiver::moved`](crate::Receiver::moved)) and send it at once; from then on
    /// everything goes there, and the page asks for the configuration to be changed.
    Elsewhere {
        /// Telegram's new id of a group that became a supergroup.
        chat_id: i64,
        /// What it said.
        why: String,
    },
    /// It does not take the picture: make the parcel anew without one and send it at once. Words go before pictures.
    Plainer {
        /// What it said.
        why: String,
    },
    /// Never: the message or the configuration is wrong. Shown on the page.
    Final {
        /// What it said.
        why: String,
        /// Whether nothing should be sent there any more until somebody changes the configuration (a webhook that answers 410).
        disable: bool,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_the_host_and_no_secret() {
        let parcel = HttpParcel {
            method: Method::Post,
            url: Hidden::new("https://user:hunter2@hooks.example.org:8443/services/T0/hunter3?auth=hunter4"),
            headers: vec![("Authorization", "Bearer hunter5".to_owned())],
            body: b"hunter6".to_vec(),
        };
        assert_eq!(format!("{:?}", Parcel::Http(parcel)), "Http(POST hooks.example.org:8443, 7 bytes)");
    }
}
