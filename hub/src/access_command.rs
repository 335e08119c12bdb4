//! `rackside-hub user …` and `rackside-hub token …`: the hub's users and tokens, from a terminal, by the rules that hold on its pages.
//!
//! They work on `access.db` beside a hub that may be running, which goes by it with its next request and tells it in its log.
//!
//! ```text
//! $ rackside-hub user list --config hub.toml
//! NAME   ROLE      SITES        SINCE       THROUGH
//! desk   operator  hall, #north 2026-11-21  https://login.example.org
//! first  admin     all          2026-11-20  -
//! ```

use crate::cli::{AccessCommand, TokenWanted};
use crate::moment::rfc3339;
use crate::{clock, password, storage};
use rackside_access::{ChangeError, Fault, Identity, NewToken, NewUser, Store, StoreError, Token, User};
use std::fmt::Write as _;
use std::path::Path;

/// Under which name changes are noted.
const WHO: &str = "the command line";
const DAY: i64 = 86_400_000;

/// What was done: for stdout, and a remark for stderr.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) out: String,
    pub(crate) remark: String,
}

fn done(out: String) -> Done {
    Done { out, remark: String::new() }
}

/// Does it, in the data directory of a hub. `issuer` is the provider that people log in through.
pub(crate) fn run(what: &AccessCommand, data: &Path, issuer: Option<&str>) -> Result<Done, String> {
    let directory = storage::whole(data);
    if !directory.is_dir() {
        return Err(format!(
            "{}: there is no such directory; start the hub once, or name its configuration with --config",
            directory.display()
        ));
    }
    let mut store = Store::open(&directory).map_err(|error| unopened(&error))?;
    let now = clock::now().utc_ms as i64;
    let said = match what {
        AccessCommand::UserAdd(name, role, reach) => {
            // Whoever cannot be added is told before being asked for a password.
            match store.user(name) {
                Ok(Some(_)) => return Err(ChangeError::Taken(name.clone()).to_string()),
                Err(error) => return Err(error.to_string()),
                Ok(None) => {}
            }
            let password = password::ask(name).map_err(|error| error.to_string())?;
            let new = NewUser { name, password: &password, role: *role, reach: reach.clone() };
            store.add_user(&new, WHO, now).map(|()| done(format!("added {name}, {role}\n")))
        }
        AccessCommand::UserIntroduce(name, subject) => {
            let Some(issuer) = issuer else {
                return Err("no provider vouches for anybody: the configuration has no [web.oidc]".to_owned());
            };
            let identity = Identity { issuer: issuer.to_owned(), subject: subject.clone() };
            store
                .introduce(name, &identity, WHO, now)
                .map(|()| done(format!("{name} can log in through {issuer}, which says the role\n")))
        }
        AccessCommand::UserPasswords(span) => {
            let until = now.saturating_add(span.get().as_millis() as i64);
            let taken = store.take_passwords(until, WHO, now).map_err(Into::into);
            taken.map(|()| done(format!("passwords are taken until {}\n", rfc3339(until.max(0) as u64))))
        }
        AccessCommand::UserChange(name, role, reach) => {
            let changed = store.change_user(name, *role, reach, WHO, now);
            changed.map(|()| done(format!("{name} is {role} now, and sees {reach}\n")))
        }
        AccessCommand::UserList => {
            store.users().map(|users| done(table_of_users(&users))).map_err(Into::into)
        }
        AccessCommand::UserRemove(name) => {
            let removed = store.remove_user(name, WHO, now);
            removed.map(|()| done(format!("removed {name}, with all sessions and tokens\n")))
        }
        AccessCommand::UserPassword(name) => {
            if store.user(name) == Ok(None) {
                return Err(ChangeError::Unknown(name.clone()).to_string());
            }
            let password = password::ask(name).map_err(|error| error.to_string())?;
            let changed = store.set_password(name, &password, WHO, now);
            changed
                .map(|()| done(format!("{name} has another password, and has to log in anew everywhere\n")))
        }
        AccessCommand::TokenCreate(wanted) => create(&mut store, wanted, now),
        AccessCommand::TokenList => {
            store.tokens().map(|tokens| done(table_of_tokens(&tokens, now))).map_err(Into::into)
        }
        AccessCommand::TokenRevoke(name) => {
            store.revoke_token(name, WHO, now).map(|()| done(format!("revoked {name}\n")))
        }
    };
    said.map_err(|error| error.to_string())
}

fn unopened(error: &StoreError) -> String {
    match error.fault {
        Fault::Io(_) => format!("{error}; it belongs to the hub's user: run this as that user, or as root"),
        _ => error.to_string(),
    }
}

fn create(store: &mut Store, wanted: &TokenWanted, now: i64) -> Result<Done, ChangeError> {
    let expires_at = wanted.lasts.map(|span| now.saturating_add(span.get().as_millis() as i64));
    let new = NewToken {
        name: &wanted.name,
        owner: wanted.owner.as_deref(),
        scopes: wanted.scopes.clone(),
        reach: wanted.reach.clone(),
        expires_at,
    };
    let (_, secret) = store.make_token(&new, WHO, now)?;
    let until = expires_at.map_or_else(|| "for ever".to_owned(), |at| format!("until {}", day(at)));
    let remark = format!(
        "the token {} (scopes: {}; sites: {}) is good {until}; it is shown this once\n",
        wanted.name, wanted.scopes, wanted.reach
    );
    Ok(Done { out: format!("{}\n", secret.shown()), remark })
}

pub(crate) fn day(at: i64) -> String {
    rfc3339(at.max(0) as u64)[..10].to_owned()
}

fn table_of_users(users: &[User]) -> String {
    let rows = users.iter().map(|user| {
        let through = user.identity.as_ref().map_or("-", |identity| &identity.issuer);
        let (role, sites) = (user.role.to_string(), user.reach.to_string());
        [user.name.clone(), role, sites, day(user.made_at), through.to_owned()]
    });
    table(["NAME", "ROLE", "SITES", "SINCE", "THROUGH"], rows)
}

fn table_of_tokens(tokens: &[Token], now: i64) -> String {
    let rows = tokens.iter().map(|token| {
        let until = match token.expires_at {
            None => "for ever".to_owned(),
            Some(at) if at <= now => format!("{} (expired)", day(at)),
            Some(at) => day(at),
        };
        [
            token.name.clone(),
            token.scopes.to_string(),
            token.reach.to_string(),
            token.owner.clone().unwrap_or_else(|| "-".to_owned()),
            until,
            token.used_day.map_or_else(|| "never".to_owned(), |day_| day(day_ * DAY)),
        ]
    });
    table(["NAME", "SCOPES", "SITES", "USER", "UNTIL", "USED"], rows)
}

pub(crate) fn table<const N: usize>(heads: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let rows: Vec<[String; N]> = std::iter::once(heads.map(str::to_owned)).chain(rows).collect();
    let widths: [usize; N] =
        std::array::from_fn(|at| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0));
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            write!(line, "{cell:width$}  ").expect("a String takes everything");
        }
        writeln!(text, "{}", line.trim_end()).expect("a String takes everything");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use rackside_access::{Reach, Role};

    const NOW: i64 = 1_795_219_200_000;

    #[test]
    fn tables_have_columns_that_fit() {
        let reach = Reach::Some { sites: ["hall".to_owned()].into(), tags: ["north".to_owned()].into() };
        let user = |name: &str, role, reach| {
            let identity = None;
            User { name: name.to_owned(), role, reach, made_at: NOW, identity }
        };
        let mut users = [user("desk", Role::Operator, reach), user("first", Role::Admin, Reach::All)];
        let (issuer, subject) = ("https://login.example.org".to_owned(), "1".to_owned());
        users[0].identity = Some(rackside_access::Identity { issuer, subject });
        let expected = "NAME   ROLE      SITES         SINCE       THROUGH\n\
                        desk   operator  hall, #north  2026-11-21  https://login.example.org\n\
                        first  admin     all           2026-11-21  -\n";
        assert_eq!(table_of_users(&users), expected);
        let token = Token {
            id: 1,
            name: "grafana".to_owned(),
            owner: None,
            scopes: "read act".parse().expect("scopes"),
            reach: Reach::All,
            made_at: NOW,
            expires_at: Some(NOW),
            used_day: Some(NOW / DAY),
        };
        let expected = "NAME     SCOPES    SITES  USER  UNTIL                 USED\n\
                        grafana  read act  all    -     2026-11-21 (expired)  2026-11-21\n";
        assert_eq!(table_of_tokens(&[token], NOW), expected);
    }
}
