//! Mail, by SMTP: one server for one receiver, with STARTTLS, TLS or neither. lettre speaks; its pool keeps a connection between mails.
//!
//! Not here: what the mail says. A mail is made into MIME with the id that the parcel has, so that one that is sent again is the same one.
//!
//! Invariant: a login goes over TLS or not at all; no error has the password in it; an address that does not work, for now or ever, costs the others
//! nothing, and who has got a mail does not get it again because of another, as long as the mailer lives.
//!
//! ```text
//! 250 → Delivered · 451 → Stumbles · 421, no connection, no answer → Retry · 550 of the only recipient, 535 → Final
//! ```

use super::trust::Trust;
use crate::{Hidden, MailParcel, Outcome};
use lettre::address::Envelope;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Attachment, Mailbox, MultiPart, SinglePart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::{Error as SmtpError, PoolConfig};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error as _;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};
use tokio::time::timeout;

/// A connection is not kept for longer than that without a mail.
const IDLE: Duration = Duration::from_secs(30);
/// Mails that are under way to some of their recipients still, of one receiver, are not more as a rule. The oldest is forgotten first.
const HALF_SENT: usize = 100;
/// What a server says is not quoted further.
const QUOTED: usize = 200;

/// How the conversation is kept secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Security {
    /// It begins in the clear, and goes no further without TLS. Port 587.
    #[default]
    StartTls,
    /// TLS from the first byte on. Port 465.
    Tls,
    /// Not at all, for a server on this machine. Port 25.
    None,
}

/// A mail server.
#[derive(Debug, Clone)]
pub struct MailServer {
    /// Its host.
    pub host: String,
    /// Its port, if not the usual one.
    pub port: Option<u16>,
    /// How the conversation is kept secret.
    pub security: Security,
    /// User and password.
    pub login: Option<(String, Hidden)>,
    /// How long a server may take for each recipient of a mail.
    pub within: Duration,
}

/// Why a mail server cannot be used as it is configured.
#[derive(Debug)]
pub enum MailError {
    /// A login without TLS would be heard by others.
    LoginInTheClear,
    /// The certificates cannot be used.
    Tls(SmtpError),
}

impl fmt::Display for MailError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LoginInTheClear => {
                f.write_str("a password is not sent without TLS; use STARTTLS or TLS, or leave out the login")
            }
            Self::Tls(error) => write!(f, "TLS cannot be used: {error}"),
        }
    }
}

impl std::error::Error for MailError {}

/// Sends mail to one server.
pub struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    server: MailServer,
    /// By ids of mails that some of their recipients have not got yet.
    half_sent: Mutex<BTreeMap<String, HalfSent>>,
}

/// A mail that some recipients have not got yet.
#[derive(Clone, Default)]
struct HalfSent {
    /// They have it, or will never.
    done: BTreeSet<String>,
    /// Somebody has it.
    reached: bool,
}

impl fmt::Debug for Mailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Mailer").field(&self.server).finish()
    }
}

impl Mailer {
    /// A mailer without a connection. The server's certificate has to be for its host's name.
    pub fn new(server: MailServer, trust: &Trust) -> Result<Self, MailError> {
        if server.login.is_some() && server.security == Security::None {
            return Err(MailError::LoginInTheClear);
        }
        let tls = match server.security {
            Security::None => Tls::None,
            Security::StartTls => Tls::Required(parameters(&server.host, trust)?),
            Security::Tls => Tls::Wrapper(parameters(&server.host, trust)?),
        };
        let usual = match server.security {
            Security::None => 25,
            Security::StartTls => 587,
            Security::Tls => 465,
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&server.host)
            .port(server.port.unwrap_or(usual))
            .timeout(Some(server.within))
            .pool_config(PoolConfig::new().max_size(1).idle_timeout(IDLE))
            .tls(tls);
        if let Some((user, password)) = &server.login {
            builder = builder.credentials(Credentials::new(user.clone(), password.expose().to_owned()));
        }
        Ok(Self { transport: builder.build(), server, half_sent: Mutex::default() })
    }

    /// Sends a mail, dated `now`, in milliseconds since 1970.
    pub async fn send(&self, parcel: &MailParcel, now: i64) -> Outcome {
        let mail = match mime(parcel, now) {
            Ok(mail) => mail,
            Err(why) => return Outcome::Final { why, disable: false },
        };
        let sent = self.deliver(&mail, &parcel.message_id).await;
        match sent {
            Ok(()) => Outcome::Delivered,
            Err(Refusal { is_final: true, why, .. }) => {
                Outcome::Final { why: self.said(&why), disable: false }
            }
            Err(Refusal { is_reply: true, why, .. }) => {
                Outcome::Stumbles { after: None, why: self.said(&why) }
            }
            Err(Refusal { why, .. }) => Outcome::Retry { after: None, why: self.said(&why) },
        }
    }

    /// To all at once; and if the server does not take that, to each alone who has not got it yet.
    async fn deliver(&self, mail: &Message, id: &str) -> Result<(), Refusal> {
        let (envelope, bytes) = (mail.envelope(), mail.formatted());
        let mut half = self.half_sent().get(id).cloned();
        let mut refused = None;
        if half.is_none() {
            let Err(refusal) = self.transaction(envelope, &bytes).await else { return Ok(()) };
            if !refusal.is_reply || envelope.to().len() < 2 {
                return Err(refusal);
            }
            (half, refused) = (Some(HalfSent::default()), Some(refusal));
        }
        let mut half = half.unwrap_or_default();
        let mut later = None;
        for recipient in envelope.to() {
            if half.done.contains(&recipient.to_string()) {
                continue;
            }
            match self.alone(envelope, recipient, &bytes).await {
                Ok(()) => half.reached = true,
                Err(refusal) if refusal.is_final => {
                    let why = self.said(&refusal.why);
                    log::warn!("{} does not take mail for {recipient}: {why}", self.server.host);
                    refused = Some(refusal);
                }
                Err(refusal) => {
                    let is_there = refusal.is_reply;
                    later =
                        later.or(Some(Refusal { why: format!("{recipient}: {}", refusal.why), ..refusal }));
                    if is_there {
                        continue;
                    }
                    // The others would wait for it as well.
                    break;
                }
            }
            half.done.insert(recipient.to_string());
            self.keep(id, &half);
        }
        if let Some(later) = later {
            self.keep(id, &half);
            return Err(later);
        }
        self.half_sent().remove(id);
        match refused {
            Some(refusal) if !half.reached => Err(refusal),
            _ => Ok(()),
        }
    }

    async fn alone(&self, envelope: &Envelope, recipient: &Address, bytes: &[u8]) -> Result<(), Refusal> {
        let alone =
            Envelope::new(envelope.from().cloned(), vec![recipient.clone()]).expect("it has a recipient");
        self.transaction(&alone, bytes).await
    }

    /// One mail over the wire. Each answer has its time (lettre's), and so has all of it, by how many recipients there are.
    async fn transaction(&self, envelope: &Envelope, bytes: &[u8]) -> Result<(), Refusal> {
        let within = self.server.within.saturating_mul(envelope.to().len().max(1) as u32);
        let sent = timeout(within, self.transport.send_raw(envelope, bytes)).await;
        let late = |_| {
            let why = format!("not done within {} s", within.as_secs());
            Refusal { is_final: false, is_reply: false, why }
        };
        sent.map_err(late)?.map(drop).map_err(|error| Refusal::of(&error))
    }

    fn keep(&self, id: &str, half: &HalfSent) {
        let mut all = self.half_sent();
        all.insert(id.to_owned(), half.clone());
        while all.len() > HALF_SENT {
            all.pop_first();
        }
    }

    fn half_sent(&self) -> MutexGuard<'_, BTreeMap<String, HalfSent>> {
        self.half_sent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was said, in one line with its host and without the password, should a server repeat it.
    fn said(&self, why: &str) -> String {
        let line: String = why.chars().map(|c| if c.is_control() { ' ' } else { c }).take(QUOTED).collect();
        let line = match &self.server.login {
            Some((_, password)) => line.replace(password.expose(), "…"),
            None => line,
        };
        format!("{}: {line}", self.server.host)
    }
}

struct Refusal {
    is_final: bool,
    /// The server is there, and said so to what it was asked; 421 says that it is going.
    is_reply: bool,
    why: String,
}

impl Refusal {
    fn of(error: &SmtpError) -> Self {
        // lettre's own words end in what happened, as far as it has them.
        let mut why = error.to_string();
        if let Some(source) = error.source().map(ToString::to_string).filter(|source| !why.contains(source)) {
            why = format!("{why}: {source}");
        }
        let is_reply = error.status().is_some_and(|code| code.to_string() != "421");
        Self { is_final: error.is_permanent(), is_reply, why }
    }
}

fn parameters(host: &str, trust: &Trust) -> Result<TlsParameters, MailError> {
    let mut parameters = TlsParameters::builder(host.to_owned());
    if let Some(pem) = trust.own() {
        parameters = parameters
            .certificate_store(CertificateStore::None)
            .add_root_certificate(Certificate::from_pem(pem).map_err(MailError::Tls)?);
    }
    parameters.build().map_err(MailError::Tls)
}

/// The mail as it goes over the wire.
fn mime(parcel: &MailParcel, now: i64) -> Result<Message, String> {
    let mailbox = |text: &str| -> Result<Mailbox, String> {
        text.parse()
            .map_err(|_| format!("{text:?} is no mail address; correct it in the receiver's configuration"))
    };
    let date = UNIX_EPOCH + Duration::from_millis(now.max(0) as u64);
    let reference = format!("<{}>", parcel.references);
    let mut builder = Message::builder()
        .from(mailbox(&parcel.from)?)
        .subject(parcel.subject.clone())
        .date(date)
        .message_id(Some(format!("<{}>", parcel.message_id)))
        .raw_header(header("Auto-Submitted", "auto-generated"));
    if parcel.references != parcel.message_id {
        builder = builder.in_reply_to(reference.clone()).references(reference);
    }
    for to in &parcel.to {
        builder = builder.to(mailbox(to)?);
    }
    let mut shown = MultiPart::related().singlepart(SinglePart::html(parcel.html.clone()));
    for picture in &parcel.attachments {
        let kind = ContentType::parse(picture.content_type).map_err(|error| error.to_string())?;
        let inline = Attachment::new_inline_with_name(picture.content_id.clone(), picture.file_name.clone());
        shown = shown.singlepart(inline.body(picture.bytes.clone(), kind));
    }
    let both = MultiPart::alternative().singlepart(SinglePart::plain(parcel.text.clone())).multipart(shown);
    builder.multipart(both).map_err(|error| format!("the mail cannot be made: {error}"))
}

fn header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}
