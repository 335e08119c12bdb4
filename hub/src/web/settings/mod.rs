//! `/settings`: one's own password; for admins users, tokens, sessions, receivers. This file gathers what the page shows, `change` does what its forms ask.
//!
//! What was done leads back to the page (303), so that loading it again does nothing twice; what could not be done is told on the page itself, beside the field
//! that is wrong. A token that was made is in the answer that made it and nowhere else, and so is what came of a test message, which stands beside its receiver.
//!
//! ```text
//! POST /settings/password          current, password, again
//! POST /settings/users             name, password, role, sites, tags
//! POST /settings/users/desk        do=change (role, sites, tags) | password | remove
//! POST /settings/tokens            name, scope…, owner, lasts, sites, tags
//! POST /settings/tokens/grafana    revokes it
//! POST /settings/sessions/3        ends it
//! POST /settings/receivers/crew    sends a test message
//! ```

pub(super) mod boxes;
mod change;

pub(super) use change::{add_user, end_session, make_token, password, revoke_token, try_receiver, user};

use super::accept::answer;
use super::api::Form;
use super::door::told;
use super::visitor::Visitor;
use super::{Web, missing, receivers};
use crate::clock;
use crate::identity::Identities;
use crate::moment::{rfc3339, span};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Request, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use rackside_access::{Access, How, Reach, Right, Role, SHORTEST, StoreError, Token, User};
use rackside_pages::Here;
use rackside_pages::settings::{
    Change, Choice, Fact, Made, Managed, Own, Receiver, Session, Settings, Token as TokenLine, TokenForm,
    User as UserLine, UserForm,
};
use std::sync::Arc;

const HTML: &str = "text/html; charset=utf-8";
const DAY: i64 = 86_400_000;
/// So many changes are shown.
const CHANGES: i64 = 20;
/// So many users, tokens and logins; of more it is said, and one is found by name.
const SHOWN: usize = 100;
/// Longest name that is looked for.
const FOUND: usize = 64;
/// From so many on there is something to look among.
const LONG: usize = 12;
/// How long a token may be good: what is sent, and what is read. The first one is offered.
const LASTS: [(&str, &str); 4] = [("365", "a year"), ("90", "90 days"), ("30", "30 days"), ("", "ever")];
/// What was done, by the word that leads back to the page.
const DONE: [(&str, &str); 8] = [
    ("password", "Your password is changed, and every other login of yours has ended."),
    ("added", "The user is added."),
    ("changed", "Role and sites are changed."),
    ("given", "The user has another password, and has to log in anew."),
    ("removed", "The user is removed."),
    ("revoked", "The token is revoked."),
    ("ended", "The login has ended."),
    ("", ""),
];

/// What a form's page is answered with that could not be done.
const WRONG: StatusCode = StatusCode::UNPROCESSABLE_ENTITY;

/// What the page says beside how things are.
#[derive(Default)]
struct Said {
    done: String,
    fault: String,
    made: Option<Made>,
    current_fault: String,
    password_fault: String,
    /// What is looked for among users, tokens and logins.
    find: String,
    /// Of a user, by name.
    of_user: Option<(String, String)>,
    user: UserForm,
    token: TokenForm,
    /// What came of a test message.
    tested: Option<Tested>,
}

/// What came of a test message to a receiver.
struct Tested {
    name: String,
    /// Why it did not arrive everywhere; none, if it did.
    why: Option<String>,
}

impl Tested {
    fn says(&self) -> String {
        self.why.as_ref().map_or_else(
            || format!("The test message to {} was delivered.", self.name),
            |why| format!("The test message to {} did not arrive. {why}", self.name),
        )
    }
}

fn fields(reach: &Reach) -> (String, String) {
    let line = |words: &std::collections::BTreeSet<String>| {
        words.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
    };
    match reach {
        Reach::All => (String::new(), String::new()),
        Reach::Some { sites, tags } => (line(sites), line(tags)),
    }
}

/// A sentence of what an error says in a line.
pub(super) fn sentence(error: &impl ToString) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

/// A form that was sent, if it came whole.
async fn read(request: Request<Body>) -> (HeaderMap, Option<Form>) {
    let headers = request.headers().clone();
    (headers, Form::read(request).await.ok())
}

fn day(at: i64) -> String {
    rfc3339(at.max(0) as u64)[..10].to_owned()
}

fn roles(chosen: Role) -> Vec<Choice> {
    let label = |role| match role {
        Role::Viewer => "viewer: sees",
        Role::Operator => "operator: and acknowledges, mutes, puts on air",
        Role::Admin => "admin: and manages users and tokens, and sees all sites",
    };
    let choice = |role: Role| {
        let (value, label) = (role.as_str().to_owned(), label(role).to_owned());
        Choice { value, label, chosen: role == chosen }
    };
    Role::ALL.map(choice).into()
}

/// Scopes to choose from; `chosen` are those that were sent.
fn scopes(chosen: &[&str]) -> Vec<Choice> {
    let label = |right| match right {
        Right::See => "read: pages, queries, the API, and metrics",
        Right::Metrics => "metrics: /metrics alone",
        Right::Act => "act: acknowledge, mute, put on air",
        Right::Manage => "manage: users, tokens, test messages",
    };
    let choice = |right: Right| {
        let (value, label) = (right.as_str().to_owned(), label(right).to_owned());
        Choice { chosen: chosen.contains(&value.as_str()), value, label }
    };
    Right::ALL.map(choice).into()
}

fn lasts(chosen: &str) -> Vec<Choice> {
    let choice = |(value, label): (&str, &str)| Choice {
        value: value.to_owned(),
        label: label.to_owned(),
        chosen: value == chosen,
    };
    LASTS.map(choice).into()
}

/// As one word of an address.
fn path(name: &str) -> String {
    super::admit::escaped(name)
}

fn user_line(user: &User, fault: Option<&(String, String)>) -> UserLine {
    let (sites, tags) = fields(&user.reach);
    let fault =
        fault.filter(|(name, _)| name.eq_ignore_ascii_case(&user.name)).map(|(_, fault)| fault.clone());
    let identity = user.identity.as_ref();
    UserLine {
        path: path(&user.name),
        name: user.name.clone(),
        role: user.role.to_string(),
        sees: user.reach.to_string(),
        since: day(user.made_at),
        roles: roles(user.role),
        sites,
        tags,
        provider: identity.map_or_else(String::new, |identity| identity.issuer.clone()),
        subject: identity.map_or_else(String::new, |identity| identity.subject.clone()),
        open: fault.is_some(),
        fault: fault.unwrap_or_default(),
    }
}

fn token_line(token: &Token, now: i64) -> TokenLine {
    TokenLine {
        path: path(&token.name),
        name: token.name.clone(),
        scopes: token.scopes.to_string(),
        sees: token.reach.to_string(),
        owner: token.owner.clone().unwrap_or_default(),
        until: token.expires_at.map_or_else(|| "revoked".to_owned(), day),
        expired: token.expires_at.is_some_and(|at| at <= now),
        used: token.used_day.map_or_else(|| "never".to_owned(), |on| format!("on {}", day(on * DAY))),
    }
}

/// Those whose name has this in it, as many as a page shows, and how many more there are of them.
fn found<T>(all: Vec<T>, find: &str, name: impl Fn(&T) -> &str) -> (Vec<T>, usize) {
    let find = find.to_lowercase();
    let mut of_it: Vec<T> = all.into_iter().filter(|one| name(one).to_lowercase().contains(&find)).collect();
    let more = of_it.len().saturating_sub(SHOWN);
    of_it.truncate(SHOWN);
    (of_it, more)
}

/// That there are more than a page shows.
fn more(users: usize, tokens: usize, sessions: usize) -> String {
    let words = [(users, "users"), (tokens, "tokens"), (sessions, "logins")];
    let words: Vec<String> = words
        .iter()
        .filter(|(more, _)| *more > 0)
        .map(|(more, what)| format!("{more} more {what}"))
        .collect();
    if words.is_empty() {
        String::new()
    } else {
        format!("There are {}: find them by name.", words.join(", "))
    }
}

impl Web {
    fn managed(
        &self,
        access: &Access,
        visitor: &Visitor,
        said: &mut Said,
        now: i64,
    ) -> Result<Managed, StoreError> {
        let (users, tokens, sessions, notes) = access.look(|store| {
            let last = store.last_note()?;
            let sessions = store.sessions(access.lasting(), now)?;
            Ok::<_, StoreError>((
                store.users()?,
                store.tokens()?,
                sessions,
                store.notes_after(last - CHANGES)?,
            ))
        })?;
        let ago = |at: i64| span(now.saturating_sub(at).max(0) as u64);
        let (mut user, mut token) = (std::mem::take(&mut said.user), std::mem::take(&mut said.token));
        user.is_first = users.is_empty();
        user.open = user.is_first || !user.roles.is_empty();
        token.open = !token.scopes.is_empty();
        if user.roles.is_empty() {
            user.roles = roles(if users.is_empty() { Role::Admin } else { Role::Viewer });
        }
        if token.scopes.is_empty() {
            (token.scopes, token.lasts) = (scopes(&[Right::See.as_str()]), lasts(LASTS[0].0));
        }
        let chosen = token.owners.pop().map(|owner| owner.value).unwrap_or_default();
        let nobody = Choice { value: String::new(), label: "nobody's".to_owned(), chosen: chosen.is_empty() };
        let owner = |user: &User| Choice {
            value: user.name.clone(),
            label: user.name.clone(),
            chosen: user.name.eq_ignore_ascii_case(&chosen),
        };
        token.owners = std::iter::once(nobody).chain(users.iter().map(owner)).collect();
        let is_long = !said.find.is_empty() || users.len() + tokens.len() + sessions.len() >= LONG;
        let find = std::mem::take(&mut said.find);
        // One that something is wrong with is there whatever is looked for.
        let asked = said.of_user.as_ref().map_or(find.as_str(), |(name, _)| name);
        let (users, more_users) = found(users, asked, |user| &user.name);
        let (tokens, more_tokens) = found(tokens, &find, |token| &token.name);
        let (sessions, more_sessions) = found(sessions, &find, |session| &session.user);
        let this = visitor.pass().and_then(rackside_access::Pass::session);
        Ok(Managed {
            csrf: visitor.csrf.clone(),
            more: more(more_users, more_tokens, more_sessions),
            find,
            is_long,
            users: users.iter().map(|user| user_line(user, said.of_user.as_ref())).collect(),
            user,
            tokens: tokens.iter().map(|token| token_line(token, now)).collect(),
            token,
            sessions: sessions
                .into_iter()
                .map(|one| Session {
                    id: one.id,
                    is_this: this == Some(one.id),
                    user: one.user,
                    address: one.address,
                    agent: one.agent,
                    since: ago(one.made_at),
                    seen: ago(one.seen_at),
                })
                .collect(),
            receivers: self.receivers(said, now),
            boxes: match self.identities().map(Identities::joined) {
                Ok(0) => "No box has joined yet.".to_owned(),
                Ok(1) => "1 box has joined.".to_owned(),
                Ok(joined) => format!("{joined} boxes have joined."),
                Err(why) => format!("No box can join: {why}."),
            },
            changes: notes
                .into_iter()
                .rev()
                .map(|note| {
                    let at = rfc3339(note.at.max(0) as u64);
                    let at = format!("{} {} UTC", &at[..10], &at[11..16]);
                    Change { at, who: note.who, what: note.what }
                })
                .collect(),
            shortest: SHORTEST,
        })
    }

    /// Receivers, one of them with what came of a test message. One that is not among them says it above all.
    fn receivers(&self, said: &mut Said, now: i64) -> Vec<Receiver> {
        let mut receivers = receivers::settings(self, now);
        let Some(tested) = said.tested.take() else { return receivers };
        match receivers.iter_mut().find(|one| one.name == tested.name) {
            Some(one) => (one.tested, one.is_delivered) = (tested.says(), tested.why.is_none()),
            None if tested.why.is_none() => said.done = tested.says(),
            None => said.fault = tested.says(),
        }
        receivers
    }

    fn facts(&self) -> Vec<Fact> {
        let external = self.notifications.external_url();
        let external = if external.is_empty() { "not configured".to_owned() } else { external.to_string() };
        vec![
            Fact { label: "Version", value: env!("CARGO_PKG_VERSION").to_owned() },
            Fact {
                label: "Running for",
                value: span(clock::now().since(self.started.instant).as_millis() as u64),
            },
            Fact { label: "Data", value: self.history.directory().display().to_string() },
            Fact { label: "Agents come in at", value: self.way.address() },
            Fact { label: "People reach it at", value: external },
        ]
    }

    /// The page, for whoever may see it.
    fn settings(&self, visitor: &Visitor, mut said: Said) -> Result<String, Arc<str>> {
        let access = self.door.access()?;
        let now = clock::now().utc_ms as i64;
        let managed = if visitor.may(Right::Manage) {
            Some(self.managed(access, visitor, &mut said, now).map_err(|error| told(&error))?)
        } else {
            None
        };
        let name = visitor.name.as_deref().filter(|_| visitor.how == How::Session);
        let provider = match name {
            Some(name) => access.look(|store| store.user(name)).map_err(|error| told(&error))?,
            None => None,
        };
        let provider = provider.and_then(|user| user.identity).map_or_else(String::new, |of| of.issuer);
        let own = name.map(|name| Own {
            provider,
            open: !(said.current_fault.is_empty() && said.password_fault.is_empty()),
            name: name.to_owned(),
            says: format!("{}, sees {}", visitor.role, visitor.reach),
            current_fault: said.current_fault,
            password_fault: said.password_fault,
            shortest: SHORTEST,
        });
        let page = Settings {
            frame: self.frame("Settings", Here::Settings, visitor),
            done: said.done,
            fault: said.fault,
            made: said.made,
            own,
            facts: if managed.is_some() { self.facts() } else { self.facts().into_iter().take(1).collect() },
            managed,
        };
        Ok(page.html())
    }

    /// The page with what is to be said on it, as an answer.
    async fn show(
        self: Arc<Self>,
        code: StatusCode,
        headers: HeaderMap,
        visitor: Visitor,
        said: Said,
    ) -> Response {
        let writing = tokio::task::spawn_blocking(move || match self.settings(&visitor, said) {
            Ok(page) => {
                let mut response = answer(&headers, HTML, page);
                *response.status_mut() = code;
                response
            }
            Err(why) => {
                let (code, title) = (StatusCode::SERVICE_UNAVAILABLE, "Settings cannot be read");
                missing::say(&headers, &Uri::from_static("/settings"), code, title, &why)
            }
        });
        writing.await.expect("writing the page does not panic, and is not cancelled")
    }
}

pub(super) async fn page(
    State(web): State<Arc<Web>>,
    visitor: Visitor,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let Some((done, find)) = asked(&visitor, &uri, &DONE) else { return login(&uri) };
    web.show(StatusCode::OK, headers, visitor, Said { done, find, ..Said::default() }).await
}

/// What an address of the settings asks for: the word of `words` that leads back to the page, said out, and what is looked for. Who has no
/// settings is to [log in](login).
fn asked(visitor: &Visitor, uri: &Uri, words: &[(&str, &str)]) -> Option<(String, String)> {
    if !matches!(visitor.how, How::Open | How::Session) {
        return None;
    }
    let form = Form::of_address(uri);
    let done = words.iter().find(|(word, _)| *word == form.first("done")).map_or("", |(_, done)| done);
    Some((done.to_owned(), form.first("find").trim().chars().take(FOUND).collect()))
}

/// To the login, and from there back to this address.
fn login(uri: &Uri) -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, format!("/login?to={}", uri.path()))]).into_response()
}
