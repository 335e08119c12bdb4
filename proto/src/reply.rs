//! What came of a command. In nobody's custody: the hub waits for it until the command has expired.
//!
//! ```text
//! Reply { run: 0badcafe, id: 1_795_145_096_123, outcome: Done, body: Probes([encoder up 1.8 ms, uplink down "refused"]) }
//! ```

use crate::codec::{Input, checked, put};
use crate::{DecodeError, EncodeError, Run, Sink, WIRE, limits};
use serde::{Deserialize, Serialize};

/// Most bytes of a reply's body: what [`limits::SMALL`] leaves when everything around it is as long as it may be.
pub const REPLY_BODY: usize = limits::SMALL - 256;
/// Longest line of a log, in bytes.
pub const LINE: usize = 1024;

/// What came of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply<'a> {
    /// The run that says so.
    pub run: Run,
    /// The command's number.
    pub id: u64,
    /// What came of it.
    pub outcome: Outcome<'a>,
    /// What was asked for.
    pub body: Body<'a>,
}

/// What came of a command. New kinds are added at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome<'a> {
    /// It was done.
    Done,
    /// It was not begun.
    Refused(Refused),
    /// It cannot be done; why, in words.
    Failed(&'a str),
}

/// Why a command was not begun. New reasons are added at the end. What is forged or comes a second time has no answer at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Refused {
    /// The venue's own configuration does not allow it.
    Forbidden,
    /// It came too late.
    Expired,
    /// It was for another start of the agent.
    OtherRun,
    /// The agent is older than this kind of command.
    Unknown,
    /// Nobody has told the agent yet what time it is.
    NoClock,
    /// Too much is asked at once.
    Busy,
}

impl Refused {
    /// The reason as a word: `forbidden`, `expired`, `other_run`, `unknown`, `no_clock`, `busy`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Forbidden => "forbidden",
            Self::Expired => "expired",
            Self::OtherRun => "other_run",
            Self::Unknown => "unknown",
            Self::NoClock => "no_clock",
            Self::Busy => "busy",
        }
    }
}

/// What was asked for. New kinds are added at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Body<'a> {
    /// Nothing.
    Nothing,
    /// Lines of the agent's log, the oldest first: [`LogLine`]s, one behind the other.
    Log(&'a [u8]),
    /// What probes found: [`Found`]s, one behind the other.
    Probes(&'a [u8]),
}

/// A line of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine<'a> {
    /// How long before the reply it was written, in milliseconds.
    pub ago_ms: u64,
    /// How bad: 1 error, 2 warning, 3 information, 4 debugging, 5 tracing.
    pub level: u8,
    /// The line, at most [`LINE`] bytes.
    pub text: &'a str,
}

/// What a probe found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found<'a> {
    /// Its name.
    pub probe: &'a str,
    /// How its target is.
    pub state: Finding,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// Why it is not up, or empty.
    pub why: &'a str,
}

/// How the target of a probe is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Finding {
    /// Up.
    Up,
    /// Down.
    Down,
    /// Nobody can tell.
    Unknown,
    /// The probe has not ended in time.
    Pending,
}

impl Finding {
    /// `up`, `down`, `unknown`, `pending`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Unknown => "unknown",
            Self::Pending => "pending",
        }
    }
}

/// A reply as it is written.
#[derive(Serialize, Deserialize)]
struct Written<'a> {
    run: Run,
    id: u64,
    #[serde(borrow)]
    outcome: Outcome<'a>,
    #[serde(borrow)]
    body: Body<'a>,
}

impl<'a> Reply<'a> {
    /// Appends the body.
    pub fn encode<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        if let Some(what) = self.beyond() {
            return Err(EncodeError::Limit(what));
        }
        let Self { run, id, outcome, body } = *self;
        sink.put(&[WIRE])?;
        put(sink, &Written { run, id, outcome, body })
    }

    /// Reads a body, with all that is in it.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let Written { run, id, outcome, body } = Input::body(bytes, limits::SMALL)?.take("reply")?;
        let reply = Self { run, id, outcome, body };
        if let Some(what) = reply.beyond() {
            return Err(DecodeError::Limit(what));
        }
        match body {
            Body::Log(bytes) => each(bytes, LogLine::take).try_for_each(|line| line.map(|_| ()))?,
            Body::Probes(bytes) => each(bytes, Found::take).try_for_each(|found| found.map(|_| ()))?,
            Body::Nothing => {}
        }
        Ok(reply)
    }

    fn beyond(&self) -> Option<&'static str> {
        let len = match self.body {
            Body::Log(bytes) | Body::Probes(bytes) => bytes.len(),
            Body::Nothing => 0,
        };
        match self.outcome {
            Outcome::Failed(why) if checked(why, "").is_err() => Some("why it failed"),
            _ if len > REPLY_BODY => Some("body of the reply"),
            _ => None,
        }
    }
}

/// What stands one behind the other in `bytes`, up to their end or the first that cannot be read.
fn each<'a, T: 'a>(
    bytes: &'a [u8],
    take: fn(&mut Input<'a>) -> Result<T, DecodeError>,
) -> impl Iterator<Item = Result<T, DecodeError>> + 'a {
    let mut input = Input::new(bytes);
    let mut is_over = false;
    core::iter::from_fn(move || {
        if is_over || input.rest().is_empty() {
            return None;
        }
        let taken = take(&mut input);
        is_over = taken.is_err();
        Some(taken)
    })
}

impl<'a> LogLine<'a> {
    /// Appends it to others.
    pub fn encode<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        if self.text.len() > LINE {
            return Err(EncodeError::Limit("line of a log"));
        }
        put(sink, self)
    }

    fn take(input: &mut Input<'a>) -> Result<Self, DecodeError> {
        let line: Self = input.take("line of a log")?;
        if line.text.len() > LINE { Err(DecodeError::Limit("line of a log")) } else { Ok(line) }
    }

    /// Those in the body of a reply that was decoded.
    pub fn all(bytes: &'a [u8]) -> impl Iterator<Item = Self> + 'a {
        each(bytes, Self::take).map_while(Result::ok)
    }
}

impl<'a> Found<'a> {
    /// Appends it to others.
    pub fn encode<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        checked(self.probe, "name of a probe")?;
        checked(self.why, "why it is not up")?;
        put(sink, self)
    }

    fn take(input: &mut Input<'a>) -> Result<Self, DecodeError> {
        let found: Self = input.take("what a probe found")?;
        if checked(found.probe, "").is_err() || checked(found.why, "").is_err() {
            return Err(DecodeError::Limit("what a probe found"));
        }
        Ok(found)
    }

    /// Those in the body of a reply that was decoded.
    pub fn all(bytes: &'a [u8]) -> impl Iterator<Item = Self> + 'a {
        each(bytes, Self::take).map_while(Result::ok)
    }
}
