//! Something that happened at a moment.

use crate::codec::{Input, checked, put};
use crate::{Adopted, DecodeError, EncodeError, Sink, Time, Value, limits};
use serde::{Deserialize, Serialize};

/// The body of an event record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event<'a> {
    /// When it happened.
    pub time: Time,
    /// What happened.
    #[serde(borrow)]
    pub what: What<'a>,
}

/// What happened. New kinds are added at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum What<'a> {
    /// A series took this value at this very moment, between two readings: a tally edge, a probe that changed state.
    Sample {
        /// The catalog's number, in the run of the record's envelope.
        catalog: u32,
        /// The series' position in it.
        series: u32,
        /// Its value, on the series' scale.
        value: Value,
    },
    /// A text changed: the interface of the default route, a codec, a track's title.
    Text {
        /// What the text is about: `default_route`.
        subject: &'a str,
        /// Its new content; empty when there is none any more.
        text: &'a str,
    },
    /// The clock became known: this moment has two names.
    Anchor {
        /// The first four bytes of the kernel's boot id.
        boot: u32,
        /// The moment on that boot's `CLOCK_BOOTTIME`, in milliseconds.
        boot_ms: u64,
        /// The moment in milliseconds since 1970-01-01 UTC.
        utc_ms: u64,
    },
    /// Something became of a configuration that the hub handed out.
    Configuration {
        /// Which.
        revision: u32,
        /// What.
        adopted: Adopted,
        /// Why, with the line at fault; empty where it was applied.
        why: &'a str,
    },
}

impl<'a> Event<'a> {
    /// Appends the record's body.
    pub fn encode<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        match self.what {
            What::Sample { value, .. } if !value.is_in_bounds() => return Err(EncodeError::Limit("value")),
            What::Text { subject, text } => {
                checked(subject, "subject")?;
                checked(text, "text")?;
            }
            What::Configuration { why, .. } if why.len() > limits::WHY => {
                return Err(EncodeError::Limit("why"));
            }
            What::Sample { .. } | What::Anchor { .. } | What::Configuration { .. } => {}
        }
        put(sink, self)
    }

    /// Reads a record's body.
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let event: Self = Input::new(body).take("event")?;
        match event.what {
            What::Sample { value, .. } if !value.is_in_bounds() => Err(DecodeError::Limit("value")),
            What::Text { subject, text } if checked(subject, "").is_err() || checked(text, "").is_err() => {
                Err(DecodeError::Limit("text"))
            }
            What::Configuration { why, .. } if why.len() > limits::WHY => Err(DecodeError::Limit("why")),
            _ => Ok(event),
        }
    }
}
