//! A configuration that the hub hands out: a revision, and TOML. It comes as the content of a [`Signed`](crate::Signed) body, under
//! [`CONFIG_LABEL`](crate::CONFIG_LABEL).
//!
//! Brokers keep it, and one that is old or ill-willed may bring an old one: so revisions of an appliance only rise, and what is not above the
//! newest that the appliance knows says nothing. The text names files with secrets, and never a secret. An empty one takes back what the hub said
//! before.
//!
//! ```
//! use rackside_proto::Configuration;
//!
//! let mut content = heapless::Vec::<u8, 64>::new();
//! Configuration { revision: 7, text: "tick = \"5s\"\n" }.encode(&mut content)?;
//! assert_eq!(Configuration::decode(&content)?.revision, 7);
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

use crate::codec::{Input, put};
use crate::{DecodeError, EncodeError, Sink, limits};
use core::fmt;
use serde::{Deserialize, Serialize};

/// What an appliance is to run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configuration<'a> {
    /// From 1; what is newer has a higher one.
    pub revision: u32,
    /// TOML.
    pub text: &'a str,
}

impl<'a> Configuration<'a> {
    /// Appends the bytes that are signed.
    pub fn encode<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        self.beyond().map_or(Ok(()), |what| Err(EncodeError::Limit(what)))?;
        put(sink, self)
    }

    /// Reads what was signed.
    pub fn decode(content: &'a [u8]) -> Result<Self, DecodeError> {
        let read: Self = Input::new(content).take("configuration")?;
        read.beyond().map_or(Ok(read), |what| Err(DecodeError::Limit(what)))
    }

    /// What of it is beyond a bound.
    fn beyond(&self) -> Option<&'static str> {
        if self.revision == 0 {
            // That is the appliance's own file.
            Some("revision")
        } else if self.text.len() > limits::CONFIGURATION {
            Some("configuration")
        } else {
            None
        }
    }
}

/// What an appliance made of a revision. New ones are added at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Adopted {
    /// It runs on it, and has reached the hub since.
    Applied,
    /// It cannot run on it; it goes on as before.
    Refused,
    /// It did not reach the hub with it, and runs on what it ran on before.
    RolledBack,
}

impl Adopted {
    /// In words: `applied`, `refused`, `rolled back`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Refused => "refused",
            Self::RolledBack => "rolled back",
        }
    }

    /// All of it in one line: `7 refused: tick: "0s" is out of range`.
    pub fn told(self, revision: u32, why: &str) -> impl fmt::Display {
        fmt::from_fn(move |f| {
            write!(f, "{revision} {}", self.as_str())?;
            if why.is_empty() { Ok(()) } else { write!(f, ": {why}") }
        })
    }
}
