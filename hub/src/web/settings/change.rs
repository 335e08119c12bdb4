//! What the forms of `/settings` ask for.

use super::super::Web;
use super::super::api::Form;
use super::super::change::Peer;
use super::super::door::{self, Refused};
use super::super::login::Asked;
use super::super::people::reach;
use super::super::visitor::Visitor;
use super::{DAY, LASTS, Said, Tested, WRONG, lasts, read, roles, scopes, sentence};
use crate::clock;
use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rackside_access::{
    Browser, ChangeError, How, KnockError, NewToken, NewUser, Reach, Right, Role, Scopes, Store,
};
use rackside_pages::settings::{Choice, Made, TokenForm, UserForm};
use std::sync::Arc;

fn back(done: &str, part: &str) -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, format!("/settings?done={done}#{part}"))]).into_response()
}

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split([' ', ',']).map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned)
}

fn reach_of(form: &Form) -> Reach {
    reach(words(form.first("sites")), words(form.first("tags")))
}

fn fault(fault: impl Into<String>) -> Said {
    Said { fault: fault.into(), ..Said::default() }
}

pub(in crate::web) async fn password(
    State(web): State<Arc<Web>>,
    visitor: Visitor,
    Extension(peer): Extension<Peer>,
    request: Request<Body>,
) -> Response {
    let (headers, form) = read(request).await;
    let asked = Asked::of(&web, headers.clone(), peer);
    // A token has a name as well, and no password.
    let name = visitor.name.clone().filter(|_| visitor.how == How::Session);
    let (Some(form), Some(name)) = (form, name) else {
        return web.show(WRONG, headers, visitor, fault(Form::BROKEN)).await;
    };
    let (current, new) = (form.first("current").to_owned(), form.first("password").to_owned());
    if new != form.first("again") {
        let said =
            Said { password_fault: "These were two different passwords.".to_owned(), ..Said::default() };
        return web.show(WRONG, headers, visitor, said).await;
    }
    match change_own(&web, &asked, name, current, new).await {
        Ok(secret) => asked.let_in(&web, &secret, "/settings?done=password"),
        Err(said) => web.show(WRONG, headers, visitor, *said).await,
    }
}

/// Another password for who knows the present one, and a session in place of all that there were.
async fn change_own(
    web: &Web,
    asked: &Asked,
    name: Arc<str>,
    current: String,
    new: String,
) -> Result<rackside_access::Secret, Box<Said>> {
    let of_current = |fault: String| Box::new(Said { current_fault: fault, ..Said::default() });
    let access = Arc::clone(web.door.access().map_err(|why| Box::new(fault(&*why)))?);
    let (address, agent) = asked.browser(web);
    let from = Browser { address, agent: &agent };
    // The present password can be guessed here as at the login, and no more often.
    let knock = match access.knock(&name, from, clock::now().utc_ms as i64) {
        Ok(knock) => knock,
        Err(KnockError::Wait(wait)) => {
            let wait = wait.as_secs() + 1;
            return Err(of_current(format!("Too many attempts went wrong. Try again in {wait} s.")));
        }
        Err(KnockError::Store(error)) => return Err(Box::new(fault(&*door::told(&error)))),
    };
    let turn = web.door.turn().await.map_err(|_| Box::new(fault(sentence(&Refused::Busy))))?;
    let changing = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let from = Browser { address, agent: &agent };
        access.change_password(&knock, (&current, &new), from, clock::now().utc_ms as i64)
    });
    match changing.await.expect("changing a password does not panic, and is not cancelled") {
        Ok(Some(secret)) => Ok(secret),
        Ok(None) => Err(of_current("This is not your present password.".to_owned())),
        Err(ChangeError::Password(fault)) => {
            Err(Box::new(Said { password_fault: sentence(&fault), ..Said::default() }))
        }
        Err(error) => Err(Box::new(fault(sentence(&error)))),
    }
}

/// What was entered for a user to be, with what is wrong.
fn entered(form: &Form, role: Role, refused: &Refused) -> UserForm {
    let says = sentence(refused);
    let mut user = UserForm {
        name: form.first("name").to_owned(),
        roles: roles(role),
        sites: form.first("sites").to_owned(),
        tags: form.first("tags").to_owned(),
        ..UserForm::default()
    };
    match refused {
        Refused::Change(ChangeError::Password(_)) => user.password_fault = says,
        Refused::Change(ChangeError::Reach(_) | ChangeError::LimitedAdmin | ChangeError::FirstIsAdmin) => {
            user.reach_fault = says;
        }
        _ => user.name_fault = says,
    }
    user
}

pub(in crate::web) async fn add_user(
    State(web): State<Arc<Web>>,
    visitor: Visitor,
    request: Request<Body>,
) -> Response {
    let (headers, form) = read(request).await;
    let Some(form) = form else { return web.show(WRONG, headers, visitor, fault(Form::BROKEN)).await };
    let role = form.first("role").parse().unwrap_or(Role::Viewer);
    let (name, password) = (form.first("name").trim().to_owned(), form.first("password").to_owned());
    let (reach, who, now) = (reach_of(&form), visitor.shown().to_owned(), clock::now().utc_ms as i64);
    let added = web.door.change(move |store| {
        store.add_user(&NewUser { name: &name, password: &password, role, reach }, &who, now)
    });
    match added.await {
        Ok(()) => back("added", "users"),
        Err(refused) => {
            let said = Said { user: entered(&form, role, &refused), ..Said::default() };
            web.show(WRONG, headers, visitor, said).await
        }
    }
}

pub(in crate::web) async fn user(
    State(web): State<Arc<Web>>,
    Path(name): Path<String>,
    visitor: Visitor,
    request: Request<Body>,
) -> Response {
    let (headers, form) = read(request).await;
    let Some(form) = form else { return web.show(WRONG, headers, visitor, fault(Form::BROKEN)).await };
    let (who, now) = (visitor.shown().to_owned(), clock::now().utc_ms as i64);
    let of = name.clone();
    let (done, changed) = match form.first("do") {
        "change" => {
            let Ok(role) = form.first("role").parse::<Role>() else {
                return web.show(WRONG, headers, visitor, fault("There is no such role.")).await;
            };
            let reach = reach_of(&form);
            ("changed", web.door.change(move |store| store.change_user(&of, role, &reach, &who, now)).await)
        }
        "password" => {
            let password = form.first("password").to_owned();
            ("given", web.door.change(move |store| store.set_password(&of, &password, &who, now)).await)
        }
        "remove" => ("removed", web.door.change(move |store| store.remove_user(&of, &who, now)).await),
        _ => return web.show(WRONG, headers, visitor, fault("Nothing was asked for.")).await,
    };
    match changed {
        Ok(()) => back(done, "users"),
        Err(refused @ Refused::Change(ChangeError::Unknown(_))) => {
            web.show(WRONG, headers, visitor, fault(sentence(&refused))).await
        }
        Err(refused) => {
            let said = Said { of_user: Some((name, sentence(&refused))), ..Said::default() };
            web.show(WRONG, headers, visitor, said).await
        }
    }
}

pub(in crate::web) async fn make_token(
    State(web): State<Arc<Web>>,
    visitor: Visitor,
    request: Request<Body>,
) -> Response {
    let (headers, form) = read(request).await;
    let Some(form) = form else { return web.show(WRONG, headers, visitor, fault(Form::BROKEN)).await };
    let chosen: Vec<&str> = form.all("scope").collect();
    let wanted: Scopes = chosen.iter().filter_map(|word| word.parse::<Right>().ok()).collect();
    let (name, owner) = (form.first("name").trim().to_owned(), form.first("owner").to_owned());
    let (reach, who, now) = (reach_of(&form), visitor.shown().to_owned(), clock::now().utc_ms as i64);
    let length = LASTS.iter().map(|(days, _)| *days).find(|days| *days == form.first("lasts"));
    let length = length.unwrap_or(LASTS[0].0);
    let expires_at = length.parse::<i64>().ok().map(|days| now + days * DAY);
    let made = web.door.change({
        let (name, owner) = (name.clone(), owner.clone());
        move |store| {
            let owner = Some(owner.as_str()).filter(|owner| !owner.is_empty());
            let new = NewToken { name: &name, owner, scopes: wanted, reach, expires_at };
            store.make_token(&new, &who, now)
        }
    });
    let refused = match made.await {
        Ok((_, secret)) => {
            let made = Some(Made { name, secret: secret.shown().to_owned() });
            return web.show(StatusCode::OK, headers, visitor, Said { made, ..Said::default() }).await;
        }
        Err(refused) => refused,
    };
    let mut token = TokenForm {
        name,
        scopes: scopes(&chosen),
        // Which one is chosen; the page puts the others beside it.
        owners: vec![Choice { value: owner, label: String::new(), chosen: true }],
        lasts: lasts(length),
        sites: form.first("sites").to_owned(),
        tags: form.first("tags").to_owned(),
        ..TokenForm::default()
    };
    let says = sentence(&refused);
    match refused {
        Refused::Change(ChangeError::Name(_) | ChangeError::Taken(_)) => token.name_fault = says,
        _ => token.reach_fault = says,
    }
    web.show(WRONG, headers, visitor, Said { token, ..Said::default() }).await
}

pub(in crate::web) async fn revoke_token(
    State(web): State<Arc<Web>>,
    Path(name): Path<String>,
    visitor: Visitor,
    headers: HeaderMap,
) -> Response {
    let who = visitor.shown().to_owned();
    let revoke = move |store: &mut Store, now| store.revoke_token(&name, &who, now);
    end(web, headers, visitor, ("revoked", "tokens"), revoke).await
}

pub(in crate::web) async fn end_session(
    State(web): State<Arc<Web>>,
    Path(id): Path<i64>,
    visitor: Visitor,
    headers: HeaderMap,
) -> Response {
    let who = visitor.shown().to_owned();
    let over = move |store: &mut Store, now| store.end_session_of(id, &who, now);
    end(web, headers, visitor, ("ended", "sessions"), over).await
}

/// Ends something that there is; leads back to the page, where it says so in this part.
async fn end(
    web: Arc<Web>,
    headers: HeaderMap,
    visitor: Visitor,
    (done, part): (&str, &str),
    ending: impl FnOnce(&mut Store, i64) -> Result<(), ChangeError> + Send + 'static,
) -> Response {
    let now = clock::now().utc_ms as i64;
    match web.door.change(move |store| ending(store, now)).await {
        Ok(()) => back(done, part),
        Err(refused) => web.show(WRONG, headers, visitor, fault(sentence(&refused))).await,
    }
}

pub(in crate::web) async fn try_receiver(
    State(web): State<Arc<Web>>,
    Path(name): Path<String>,
    visitor: Visitor,
    headers: HeaderMap,
) -> Response {
    let Some(tried) = web.try_out(&name).await else {
        return web.show(WRONG, headers, visitor, fault(format!("There is no receiver {name:?}."))).await;
    };
    log::info!("users: {} sent a test message to {name}", visitor.shown());
    let failed: Vec<String> = tried
        .iter()
        .filter_map(|one| one.why.as_ref().map(|why| format!("{}: {why}", one.receiver)))
        .collect();
    let why = (!failed.is_empty()).then(|| failed.join("; "));
    let said = Said { tested: Some(Tested { name, why }), ..Said::default() };
    web.show(StatusCode::OK, headers, visitor, said).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use rackside_access::PasswordFault;

    #[test]
    fn faults_stand_where_they_are_made() {
        let form = Form::default();
        let of = |error| entered(&form, Role::Viewer, &Refused::Change(error));
        assert_eq!(of(ChangeError::Taken("desk".to_owned())).name_fault, "There is a \"desk\" already.");
        assert!(of(PasswordFault::Short.into()).password_fault.starts_with("The password has fewer than 10"));
        assert!(of(ChangeError::LimitedAdmin).reach_fault.starts_with("An admin reaches every site"));
        assert!(of(ChangeError::Name("a b".to_owned())).name_fault.contains("cannot be a name"));
    }

    #[test]
    fn sites_are_apart_by_spaces_or_commas() {
        let read: Vec<_> = words(" hall, arena-north  barn,").collect();
        assert_eq!(read, ["hall", "arena-north", "barn"]);
    }
}
