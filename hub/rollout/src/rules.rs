//! What a configuration from the hub must not say: who the box is, how it reaches the hub, and secrets.
//!
//! Which keys there are otherwise the agent knows; what it refuses stops a roll-out at its first appliance.

use crate::error::Fault;
use crate::tree::{Table, Value};

/// What is the box's own business, and the only key of such a table that may be sent.
const OWN: [(&str, Option<&str>); 7] = [
    ("site", None),
    ("appliance", None),
    ("join", None),
    ("config", None),
    ("command", None),
    ("commands", None),
    ("mqtt", Some("prefix")),
];
/// The keys of the agent's configuration that name secrets.
const SECRETS: [&str; 4] = ["password", "token", "api_key", "key"];

/// The first thing in a layer that must not be there.
pub(crate) fn check(says: &Table, file: &str) -> Result<(), Fault> {
    for (key, node) in &says.0 {
        let Some((_, allowed)) = OWN.iter().find(|(own, _)| own == key) else { continue };
        let refused = |key: &str, line: usize| {
            Fault(format!("{file}:{line}: {key}: is the box's own business and is not sent; take it out"))
        };
        match (&node.value, allowed) {
            (Value::Table(table), Some(allowed)) => {
                if let Some((inner, node)) = table.0.iter().find(|(inner, _)| inner != allowed) {
                    return Err(refused(&format!("{key}.{inner}"), node.at.line));
                }
            }
            _ => return Err(refused(key, node.at.line)),
        }
    }
    secrets(says, file)
}

fn secrets(table: &Table, file: &str) -> Result<(), Fault> {
    for (key, node) in &table.0 {
        if SECRETS.contains(&key.as_str()) && !is_named(&node.value) {
            return Err(Fault(format!(
                "{file}:{}: {key}: a secret is not sent; put it on the box and write {{ file = \"/path/of/the/secret\" }} or {{ env = \"NAME\" }}",
                node.at.line
            )));
        }
        within(key, &node.value, file, node.at.line)?;
    }
    Ok(())
}

fn within(key: &str, value: &Value, file: &str, line: usize) -> Result<(), Fault> {
    match value {
        Value::Table(inner) | Value::Named(inner) => secrets(inner, file),
        Value::List(list) => list.iter().try_for_each(|one| within(key, &one.value, file, one.at.line)),
        Value::Text(text) if has_password(text) => Err(Fault(format!(
            "{file}:{line}: {key}: there is a password in this address, and secrets are not sent; give it by `user` and `password`"
        ))),
        _ => Ok(()),
    }
}

/// Whether it says where the secret is, and nothing else.
fn is_named(value: &Value) -> bool {
    let Value::Table(table) = value else { return false };
    matches!(table.0.as_slice(), [(key, node)] if matches!(key.as_str(), "file" | "env") && matches!(node.value, Value::Text(_)))
}

/// `rtsp://user:password@host/`.
fn has_password(text: &str) -> bool {
    let Some((_, rest)) = text.split_once("://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree;

    fn said(text: &str) -> String {
        let table = tree::read(text, 0, "base.toml").expect("it is TOML");
        check(&table, "base.toml").map_or_else(|fault| fault.to_string(), |()| String::new())
    }

    #[test]
    fn what_is_the_boxes_own_is_not_sent() {
        for (text, key) in [
            ("site = 'a'", "site"),
            ("appliance = 'a'", "appliance"),
            ("[join]\nurl = 'x'", "join"),
            ("[config]\naccept = true", "config"),
            ("[commands]\naccept = true", "commands"),
            ("[[command]]\nname = 'x'", "command"),
        ] {
            assert_eq!(
                said(text),
                format!("base.toml:1: {key}: is the box's own business and is not sent; take it out")
            );
        }
        assert_eq!(
            said("[mqtt]\nprefix = 'a'\naddress = 'b'"),
            "base.toml:3: mqtt.address: is the box's own business and is not sent; take it out"
        );
        assert_eq!(said("[mqtt]\nprefix = 'a'"), "");
        assert!(said("mqtt = 1").contains("base.toml:1: mqtt: is"));
    }

    #[test]
    fn secrets_are_named_and_never_said() {
        for value in ["'x'", "1", "['x']", "{ x = 'x' }", "{ file = 1 }", "{ file = 'a', env = 'b' }"] {
            for key in SECRETS {
                let said = said(&format!("[[probe.http]]\nname = 'a'\n{key} = {value}\n"));
                assert!(said.starts_with(&format!("base.toml:3: {key}: a secret is not sent; ")), "{said}");
                assert!(!said.contains(value), "{said}");
            }
        }
        assert_eq!(said("[[probe.http]]\nname = 'a'\npassword = { file = '/run/x' }\n"), "");
        assert_eq!(said("[[tally]]\nname = 'a'\nobs = { address = 'a', password = { env = 'X' } }\n"), "");
        assert!(said("[[tally]]\nname = 'a'\nobs = { password = 'x' }\n").contains(":3: password: a secret"));
    }

    #[test]
    fn an_address_with_a_password_in_it_is_a_secret() {
        for url in ["rtsp://a:b@host/x", "http://a:@host", "srt://:b@host:1?x=y"] {
            let said = said(&format!("[[probe.rtsp]]\nname = 'a'\nurl = '{url}'\n"));
            assert!(said.starts_with("base.toml:3: url: there is a password in this address"), "{said}");
            assert!(!said.contains(url), "{said}");
        }
        for url in ["rtsp://host/a:b@c", "http://user@host/", "http://[::1]:80/", "a:b@c"] {
            assert_eq!(said(&format!("[[probe.rtsp]]\nname = 'a'\nurl = '{url}'\n")), "");
        }
        assert!(said("urls = ['http://a:b@c']").contains("there is a password"));
    }
}
