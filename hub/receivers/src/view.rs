//! A message in words: what templates can name (the table in `docs/notifications.md`), written for somebody at three in the morning, on a phone.
//!
//! Everything is text, a number, a truth or a list of such, always there (a template fails on a name that is not), made fit to be shown
//! ([`crate::format`]'s `text`), and bounded. Escaping is the receiver's.
//!
//! ```text
//! word "Critical", what "Arena North/rack-1: SoC at 84.2 °C", alerts [{ since "03:12 (21:12 for you)", value "84.2 °C", … }], …
//! ```

use crate::Receiver;
use crate::format::text::{is_url, line, lines};
use crate::quantity::{Unit, duration, unit_of};
use crate::runbook;
use rackside_notify::{Entry, Kind, Message, Severity, SiteFacts, State, Status};
use rackside_onair::Zone;
use serde::Serialize;

/// What a template sees.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "a template asks about one name at a time, and compares nothing"
)]
pub struct View {
    /// `alerts`, `outage`, `test` or `heartbeat`.
    pub kind: &'static str,
    /// How bad and whether over, in a word: `Critical`, `Warning`, `Info`, `Acknowledged`, `Unknown`, `Resolved`, `Test`, `Outage`, `Still watching`.
    pub word: &'static str,
    /// The same as a symbol.
    pub symbol: &'static str,
    /// What and where, in one line.
    pub what: String,
    /// The worst severity: `critical`, `warning`, `info`.
    pub severity: &'static str,
    /// It goes on.
    pub firing: bool,
    /// It is over.
    pub resolved: bool,
    /// Somebody tries whether messages arrive.
    pub test: bool,
    /// A sign of life.
    pub heartbeat: bool,
    /// Many at once.
    pub outage: bool,
    /// What there is to say where no alert says it.
    pub text: String,
    /// What probably explains it, or nothing.
    pub cause: String,
    /// How many alerts that explains.
    pub explains: usize,
    /// Whoever was told before has not acknowledged.
    pub escalated: bool,
    /// Which step of the escalation this is, from 1.
    pub step: usize,
    /// It took more than five minutes to get here.
    pub late: bool,
    /// When it was written, for the reader.
    pub at: String,
    /// The receiver's name.
    pub receiver: String,
    /// The route's name, or nothing.
    pub route: String,
    /// How many alerts there are in all.
    pub count: usize,
    /// There is more than one.
    pub many: bool,
    /// How many of them fire.
    pub firing_count: usize,
    /// How many of them are over.
    pub resolved_count: usize,
    /// The alerts, as many as there is room for.
    pub alerts: Vec<AlertView>,
    /// How many alerts are not in that list.
    pub more: usize,
    /// The sites concerned, at most ten.
    pub sites: Vec<SiteView>,
    /// How many sites are not in that list.
    pub more_sites: usize,
    /// The page of the alert, or of all of them; nothing if the hub does not know its address.
    pub url: String,
    /// The page to acknowledge on, if there is one alert that can be; else nothing.
    pub acknowledge_url: String,
}

/// An alert in words.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "a template asks about one name at a time, and compares nothing"
)]
pub struct AlertView {
    /// Its number in 16 hexadecimal digits.
    pub id: String,
    /// The rule's name.
    pub name: String,
    /// As of the message, of this one.
    pub word: &'static str,
    /// The same as a symbol.
    pub symbol: &'static str,
    /// What and where, in one line.
    pub what: String,
    /// The rule's longer text, or nothing.
    pub description: String,
    /// `critical`, `warning`, `info`.
    pub severity: &'static str,
    /// `firing`, `acknowledged`, `unknown`, `resolved`.
    pub state: &'static str,
    /// It is over.
    pub resolved: bool,
    /// The site's id, or nothing.
    pub site: String,
    /// The appliance's, or nothing.
    pub appliance: String,
    /// Its site is on air.
    pub on_air: bool,
    /// Since when, on the site's wall and on the reader's.
    pub since: String,
    /// Until when, or nothing.
    pub until: String,
    /// How long it has lasted: `1 h 20 min`.
    pub lasted: String,
    /// With its unit, where that is known; nothing if it was not a number, or a bare 0 or 1, which says no more than the alert itself.
    pub value: String,
    /// Its appliance cannot be heard.
    pub unknown: bool,
    /// It comes and goes.
    pub flapping: bool,
    /// Somebody has it in hand.
    pub acknowledged: bool,
    /// Who, or nothing.
    pub acknowledged_by: String,
    /// When, on the reader's wall.
    pub acknowledged_at: String,
    /// What they say, or nothing.
    pub acknowledged_note: String,
    /// What to do: an address or a paragraph, or nothing.
    pub runbook: String,
    /// All labels.
    pub labels: Vec<LabelView>,
    /// Its page, or nothing.
    pub url: String,
    /// The page to acknowledge it on, or nothing.
    pub acknowledge_url: String,
}

/// A label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LabelView {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// A site in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SiteView {
    /// As its appliances call it.
    pub id: String,
    /// What people call it.
    pub title: String,
    /// It is on air.
    pub on_air: bool,
    /// How to get in, or nothing.
    pub access: String,
    /// Whom to call.
    pub contacts: Vec<ContactView>,
}

/// Somebody at a site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ContactView {
    /// What for.
    pub role: String,
    /// Who, or nothing.
    pub name: String,
    /// Where.
    pub phone: String,
    /// When, or nothing.
    pub hours: String,
    /// Where else, by mail, or nothing.
    pub email: String,
}

/// Longer names would push what is wrong out of a phone's first line.
const TITLE: usize = 32;
const WORD: usize = 120;
const LINE: usize = 300;
const TEXT: usize = 1_000;
const MOST_LABELS: usize = 40;
const MOST_CONTACTS: usize = 5;
/// A message that is older than that says so.
const LATE: i64 = 5 * 60_000;

impl View {
    /// A message as its receiver's reader sees it at a moment.
    pub fn of(message: &Message, receiver: &Receiver, now: i64) -> Self {
        let words = Words { message, receiver };
        // What stands for a test is for programs; people are told in `text`.
        let entries = if message.kind == Kind::Test { &[] } else { message.alerts.as_slice() };
        let alerts: Vec<_> = entries.iter().map(|entry| words.alert(entry)).collect();
        let count = alerts.len() + message.truncated;
        let (word, symbol) = words.word();
        let links = Links { external: receiver.external_url.trim_end_matches('/') };
        let alone = if count == 1 { alerts.first() } else { None };
        let page = if count == 0 && message.kind != Kind::Outage { "/" } else { "/alerts" };
        let url = alone.map_or_else(|| links.to(page), |alert| alert.url.clone());
        // A link is of one alert: where several are open, each has its own.
        let mut links_to_acknowledge =
            alerts.iter().map(|alert| &alert.acknowledge_url).filter(|url| !url.is_empty());
        let acknowledge_url = match (links_to_acknowledge.next(), links_to_acknowledge.next()) {
            (Some(only), None) if message.truncated == 0 => only.clone(),
            _ => String::new(),
        };
        let sites = message.sites.iter().take(rackside_notify::MOST_SITES).map(site);
        // Of many sites at once it is enough to know which.
        let mut sites: Vec<_> = if message.kind == Kind::Outage {
            sites.map(|site| SiteView { access: String::new(), contacts: Vec::new(), ..site }).collect()
        } else {
            sites.collect()
        };
        sites.sort_by_key(|site| !site.on_air);
        Self {
            kind: kind(message.kind),
            word,
            symbol,
            what: words.what(&alerts, count),
            severity: words.worst().as_str(),
            firing: message.status == Status::Firing,
            resolved: message.status == Status::Resolved,
            test: message.kind == Kind::Test,
            heartbeat: message.kind == Kind::Heartbeat,
            outage: message.kind == Kind::Outage,
            text: words.text(),
            // An outage's cause is what it is called already.
            cause: match message.kind {
                Kind::Outage => String::new(),
                _ => line(message.cause.as_deref().unwrap_or_default(), LINE),
            },
            explains: message.explains,
            escalated: message.escalation > 0,
            step: message.escalation + 1,
            late: now.saturating_sub(message.at) > LATE,
            at: moment(message.at, now, receiver.reader),
            receiver: line(&receiver.name, WORD),
            route: line(&message.route, WORD),
            count,
            many: count > 1,
            firing_count: message.firing,
            resolved_count: message.resolved,
            more: message.truncated,
            more_sites: if sites.is_empty() { 0 } else { message.site_count.saturating_sub(sites.len()) },
            alerts,
            sites,
            url,
            acknowledge_url,
        }
    }

    /// The same with the first alerts only, and the others counted.
    #[must_use]
    pub fn with_first(&self, most: usize) -> Self {
        let mut view = self.clone();
        let left_out = view.alerts.len().saturating_sub(most);
        view.alerts.truncate(most);
        view.more += left_out;
        view
    }
}

/// Where pages are.
struct Links<'a> {
    external: &'a str,
}

impl Links<'_> {
    /// An address, or nothing if the hub's own is not known or is none.
    fn to(&self, path: &str) -> String {
        if is_url(self.external) { format!("{}{path}", self.external) } else { String::new() }
    }
}

struct Words<'a> {
    message: &'a Message,
    receiver: &'a Receiver,
}

impl Words<'_> {
    /// The worst of what is not over; of all, if all is.
    fn worst(&self) -> Severity {
        let open = self.message.alerts.iter().filter(|entry| entry.state != State::Resolved);
        let worst = open.map(|entry| entry.severity).max();
        let any = || self.message.alerts.iter().map(|entry| entry.severity).max();
        worst.or_else(any).unwrap_or(match self.message.kind {
            Kind::Outage => Severity::Critical,
            Kind::Alerts => Severity::Warning,
            Kind::Test | Kind::Heartbeat => Severity::Info,
        })
    }

    fn word(&self) -> (&'static str, &'static str) {
        match (self.message.kind, self.message.status) {
            (Kind::Test, _) => ("Test", "🔔"),
            (Kind::Heartbeat, _) => ("Still watching", "💚"),
            (_, Status::Resolved) => ("Resolved", "✅"),
            (Kind::Outage, Status::Firing) => ("Outage", "🔴"),
            (Kind::Alerts, Status::Firing) => {
                let open = || self.message.alerts.iter().filter(|entry| entry.state != State::Resolved);
                let all = |state| open().next().is_some() && open().all(|entry| entry.state == state);
                let state = [State::Acknowledged, State::Unknown].into_iter().find(|state| all(*state));
                word(state.unwrap_or(State::Firing), self.worst())
            }
        }
    }

    fn site(&self, id: &str) -> Option<&SiteFacts> {
        self.message.sites.iter().find(|site| site.id == id)
    }

    fn zone(&self, site: &str) -> Zone {
        let known = self.site(site).and_then(|site| site.time_zone.parse().ok());
        known.unwrap_or(self.receiver.reader)
    }

    /// A site as people call it.
    fn title(&self, id: &str) -> String {
        line(self.site(id).map_or(id, title), TITLE)
    }

    fn alert(&self, entry: &Entry) -> AlertView {
        let label = |name: &str| entry.labels.get(name).map_or("", String::as_str);
        let note = |name: &str| entry.annotations.get(name).map_or("", String::as_str);
        let (word, symbol) = word(entry.state, entry.severity);
        let links = Links { external: self.receiver.external_url.trim_end_matches('/') };
        let url = links.to(&format!("/alerts/{}", entry.id));
        let resolved = entry.state == State::Resolved;
        let end = entry.ends_at.filter(|_| resolved);
        let here = self.zone(label("site"));
        let time = |at| both(at, self.message.at, here, self.receiver.reader);
        let lasted = end.unwrap_or(self.message.at).saturating_sub(entry.starts_at).max(0);
        let acknowledged = entry.acknowledged.as_ref().filter(|_| !resolved);
        let runbook = [note("runbook_url"), note("runbook")].into_iter().find(|text| !text.is_empty());
        let unit = unit_of(&entry.query);
        let is_state = unit == Unit::Number && [0.0, 1.0].contains(&entry.value);
        let value = if entry.value.is_nan() || is_state { String::new() } else { unit.show(entry.value) };
        AlertView {
            id: entry.id.to_string(),
            name: line(label("alertname"), WORD),
            word,
            symbol,
            what: self.alert_in_a_line(entry),
            description: lines(note("description"), TEXT),
            severity: entry.severity.as_str(),
            state: entry.state.as_str(),
            resolved,
            site: line(label("site"), WORD),
            appliance: line(label("appliance"), WORD),
            on_air: entry.on_air == Some(true),
            since: time(entry.starts_at),
            until: end.map(time).unwrap_or_default(),
            lasted: duration((lasted / 1000) as f64),
            value,
            unknown: entry.state == State::Unknown,
            flapping: entry.flapping,
            acknowledged: acknowledged.is_some(),
            acknowledged_by: acknowledged.map(|by| line(&by.by, WORD)).unwrap_or_default(),
            acknowledged_at: acknowledged
                .map(|by| moment(by.at, self.message.at, self.receiver.reader))
                .unwrap_or_default(),
            acknowledged_note: acknowledged.map(|by| line(&by.note, LINE)).unwrap_or_default(),
            runbook: line(&runbook::said(runbook.unwrap_or_default()), LINE),
            labels: entry.labels.iter().take(MOST_LABELS).map(label_view).collect(),
            acknowledge_url: if url.is_empty() || resolved || entry.state == State::Acknowledged {
                String::new()
            } else {
                let signer = self.receiver.signer.as_ref();
                let query = signer.map(|signer| signer.query(entry.id, entry.starts_at, &self.receiver.name));
                format!("{url}{}#acknowledge", query.unwrap_or_default())
            },
            url,
        }
    }

    /// What and where: the rule's summary, with the site as people call it, and in front of it where it does not say so itself.
    fn alert_in_a_line(&self, entry: &Entry) -> String {
        let label = |name: &str| entry.labels.get(name).map_or("", String::as_str);
        let (id, appliance) = (label("site"), label("appliance"));
        let title = self.title(id);
        let place = if appliance.is_empty() { title.clone() } else { format!("{title}/{appliance}") };
        let summary = entry.annotations.get("summary").filter(|text| !text.trim().is_empty());
        let summary = line(summary.map_or(label("alertname"), String::as_str), LINE);
        let summary = if summary.is_empty() { "an alert without a name".to_owned() } else { summary };
        let named = summary.strip_prefix(id).filter(|rest| !id.is_empty() && !continues_a_name(rest));
        let said = match named {
            Some(rest) => format!("{title}{rest}"),
            None if id.is_empty() || summary.contains(id) || summary.contains(&title) => summary,
            None => format!("{place}: {summary}"),
        };
        line(&said, LINE)
    }

    fn what(&self, alerts: &[AlertView], count: usize) -> String {
        let message = self.message;
        let cause = message.cause.as_deref().filter(|text| !text.trim().is_empty());
        match message.kind {
            Kind::Test => {
                let (route, receiver) = (line(&message.route, WORD), line(&self.receiver.name, WORD));
                let of = if route.is_empty() { String::new() } else { format!(" of the route {route}") };
                format!("messages{of} to {receiver} arrive")
            }
            Kind::Heartbeat => match message.firing {
                0 => "the hub is up, and no alert fires".to_owned(),
                1 => "the hub is up, and 1 alert fires".to_owned(),
                firing => format!("the hub is up, and {firing} alerts fire"),
            },
            Kind::Outage => cause.map_or_else(
                || {
                    let sites = message.site_count.max(1);
                    format!("{sites} {} at once", plural(sites, "site"))
                },
                |text| line(text, LINE),
            ),
            Kind::Alerts => match alerts {
                [] => cause.map_or_else(|| self.group(), |text| line(text, LINE)),
                [alert] if count == 1 => alert.what.clone(),
                [first, ..] => {
                    let place = match message.sites.as_slice() {
                        [only] if message.site_count <= 1 => format!(" at {}", line(title(only), TITLE)),
                        _ if message.site_count > 1 => format!(" at {} sites", message.site_count),
                        _ => String::new(),
                    };
                    let said = cause.unwrap_or(&first.what);
                    line(&format!("{count} alerts{place}: {said}"), LINE)
                }
            },
        }
    }

    /// A group without an alert in it, by its labels.
    fn group(&self) -> String {
        let labels = self.message.group_labels.iter().map(|(name, value)| format!("{name} {value}"));
        let said = labels.collect::<Vec<_>>().join(", ");
        line(if said.is_empty() { "alerts" } else { &said }, LINE)
    }

    fn text(&self) -> String {
        match self.message.kind {
            Kind::Test => "Somebody has sent this to see whether it arrives. Nothing is wrong.".to_owned(),
            Kind::Heartbeat => "If these messages stop, look after the hub.".to_owned(),
            Kind::Alerts | Kind::Outage => String::new(),
        }
    }
}

/// Whether a text goes on with what could be more of a site's name.
fn continues_a_name(rest: &str) -> bool {
    rest.starts_with(|c: char| c.is_alphanumeric() || c == '-' || c == '_')
}

fn plural(count: usize, word: &str) -> String {
    if count == 1 { word.to_owned() } else { format!("{word}s") }
}

fn title(site: &SiteFacts) -> &str {
    if site.title.trim().is_empty() { &site.id } else { &site.title }
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Alerts => "alerts",
        Kind::Outage => "outage",
        Kind::Test => "test",
        Kind::Heartbeat => "heartbeat",
    }
}

fn word(state: State, severity: Severity) -> (&'static str, &'static str) {
    match (state, severity) {
        (State::Resolved, _) => ("Resolved", "✅"),
        (State::Acknowledged, _) => ("Acknowledged", "👤"),
        (State::Unknown, _) => ("Unknown", "⚪"),
        (State::Pending | State::Firing, Severity::Critical) => ("Critical", "🔴"),
        (State::Pending | State::Firing, Severity::Warning) => ("Warning", "🟠"),
        (State::Pending | State::Firing, Severity::Info) => ("Info", "🔵"),
    }
}

fn label_view((name, value): (&String, &String)) -> LabelView {
    LabelView { name: line(name, WORD), value: line(value, LINE) }
}

fn site(site: &SiteFacts) -> SiteView {
    let contacts = site.contacts.iter().take(MOST_CONTACTS);
    SiteView {
        id: line(&site.id, WORD),
        title: line(title(site), WORD),
        on_air: site.on_air,
        access: line(&site.access, LINE),
        contacts: contacts
            .map(|contact| ContactView {
                role: line(&contact.role, WORD),
                name: line(&contact.name, WORD),
                phone: line(&contact.phone, WORD),
                hours: line(&contact.hours, WORD),
                email: line(&contact.email, LINE),
            })
            .collect(),
    }
}

/// A moment on a wall: the time, with the date if that is not today's there.
fn moment(at: i64, now: i64, zone: Zone) -> String {
    let (there, today) = (zone.local(at), zone.local(now));
    if there.date() == today.date() {
        there.format("%H:%M").to_string()
    } else {
        there.format("%-d %b %H:%M").to_string()
    }
}

/// A moment on the site's wall, and on the reader's where that shows something else.
fn both(at: i64, now: i64, site: Zone, reader: Zone) -> String {
    let (there, here) = (moment(at, now, site), moment(at, now, reader));
    if site.local(at) == reader.local(at) { there } else { format!("{there} ({here} for you)") }
}
