//! What a provider vouches for, as JSON: the claims of an ID token that was verified, and of the provider's page about somebody.
//!
//! `{"iss": "https://login.example.org", "sub": "248289761001", "preferred_username": "desk", "groups": ["crew"], "realm_access": {"roles": ["night"]}}`

use serde_json::{Map, Value as Json};

/// Claims that were verified.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claims(Map<String, Json>);

impl From<Map<String, Json>> for Claims {
    fn from(claims: Map<String, Json>) -> Self {
        Self(claims)
    }
}

impl Claims {
    /// A claim, by its name or, if none has it, by a path of names with dots between: `realm_access.roles`.
    pub fn find(&self, name: &str) -> Option<&Json> {
        let deep = || {
            let (first, rest) = name.split_once('.')?;
            rest.split('.').try_fold(self.0.get(first)?, |at, word| at.get(word))
        };
        self.0.get(name).or_else(deep)
    }

    /// The same, if it is a text that is not empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.find(name).and_then(Json::as_str).filter(|text| !text.is_empty())
    }

    /// Whether a claim has this value: as a text, as one of a list, as the name of a field (which is how some tell roles), or as `true` or `false`.
    pub fn has(&self, name: &str, value: &str) -> bool {
        match self.find(name) {
            Some(Json::String(text)) => text == value,
            Some(Json::Array(list)) => list.iter().any(|one| one.as_str() == Some(value)),
            Some(Json::Object(fields)) => fields.contains_key(value),
            Some(Json::Bool(is)) => value == if *is { "true" } else { "false" },
            Some(Json::Null | Json::Number(_)) | None => false,
        }
    }

    /// Adds what is not there yet.
    pub(crate) fn complete(&mut self, more: Map<String, Json>) {
        for (name, value) in more {
            self.0.entry(name).or_insert(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn claims(json: &Json) -> Claims {
        Claims(json.as_object().expect("an object").clone())
    }

    #[test]
    fn a_value_is_found_wherever_providers_put_one() {
        let claims = claims(&json!({
            "hd": "example.org",
            "groups": ["crew", "touring"],
            "realm_access": { "roles": ["night"] },
            "https://example.org/roles": ["office"],
            "urn:zitadel:iam:org:project:roles": { "stage": { "1": "example.org" } },
            "is_crew": true,
            "number": 7,
        }));
        for (name, value) in [
            ("hd", "example.org"),
            ("groups", "touring"),
            ("realm_access.roles", "night"),
            ("https://example.org/roles", "office"),
            ("urn:zitadel:iam:org:project:roles", "stage"),
            ("is_crew", "true"),
        ] {
            assert!(claims.has(name, value), "{name} {value}");
        }
        for (name, value) in [
            ("hd", "example"),
            ("hd", "EXAMPLE.ORG"),
            ("groups", "cre"),
            ("groups", ""),
            ("realm_access", "night"),
            ("realm_access.roles.night", "night"),
            ("is_crew", "false"),
            ("number", "7"),
            ("nothing", ""),
            ("", ""),
        ] {
            assert!(!claims.has(name, value), "{name} {value}");
        }
    }

    #[test]
    fn what_the_token_says_is_not_overwritten() {
        let mut claims = claims(&json!({ "sub": "1", "name": "a" }));
        let more = json!({ "sub": "2", "name": "b", "groups": ["crew"] });
        claims.complete(more.as_object().expect("an object").clone());
        assert_eq!((claims.text("name"), claims.text("sub")), (Some("a"), Some("1")));
        assert!(claims.has("groups", "crew"));
    }
}
