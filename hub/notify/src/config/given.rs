//! A text that is a secret at some receivers and none at others: it stands in the file, or the file says where it is.
//!
//! ```toml
//! url = "https://hub.example.org/hook"
//! url = { file = "/run/credentials/rackside-hub.service/secrets_hook" }
//! ```

use rackside_config::{ConfigError, Secret};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;

/// A text, or where it is.
#[derive(Clone, PartialEq, Eq)]
pub enum Given {
    /// It stands in the file.
    Here(String),
    /// It is a secret.
    Elsewhere(Secret),
}

impl Given {
    /// The text; a secret is read.
    pub fn read(&self) -> Result<String, ConfigError> {
        match self {
            Self::Here(text) => Ok(text.clone()),
            Self::Elsewhere(secret) => Ok(secret.read()?.expose().to_owned()),
        }
    }

    /// The text, if it is no secret.
    pub fn here(&self) -> Option<&str> {
        match self {
            Self::Here(text) => Some(text),
            Self::Elsewhere(_) => None,
        }
    }
}

/// Without the text: what is none here may be one.
impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Here(_) => f.write_str("Here(..)"),
            Self::Elsewhere(secret) => secret.fmt(f),
        }
    }
}

impl<'de> Deserialize<'de> for Given {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl<'de> Visitor<'de> for Text {
            type Value = Given;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, { file = \"/path\" } or { env = \"NAME\" }")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Given, E> {
                Ok(Given::Here(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Given, A::Error> {
                Secret::deserialize(MapAccessDeserializer::new(map)).map(Given::Elsewhere)
            }
        }

        deserializer.deserialize_any(Text)
    }
}
