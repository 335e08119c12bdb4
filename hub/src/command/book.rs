//! Which commands were given and what came of them. Pure: time is an argument, in milliseconds since 1970-01-01 UTC.
//!
//! Invariants: numbers only rise, also over a restart of the hub, since each is the time or more; a reply counts for a command that was given here, from the
//! appliance and the run that it was for, once, and until it has expired; everything is bounded.
//!
//! ```text
//! given ──► waiting ─┬─ done · refused · failed      by a reply
//!                    └─ no answer                    its time is over
//! ```

use rackside_proto::{
    Action, AgentName, Body, Capabilities, Command, EncodeError, Outcome, Refused, Reply, Run,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Commands that are remembered; the oldest are forgotten first. An answer may hold 64 KiB.
const KEPT: usize = 128;
/// Commands that one appliance can be waited for with at once.
const OF_ONE: usize = 4;
/// Flashing, muting and telling lines take a moment; probes as long as their timeouts.
const SOON: u64 = 30_000;
const PROBES: u64 = 90_000;

/// What is to be done. As JSON: `{"do": "identify", "seconds": 30}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "lowercase", deny_unknown_fields)]
pub enum Wanted {
    /// All LEDs flicker together.
    Identify {
        /// For so long.
        #[serde(default = "half_a_minute")]
        seconds: u32,
    },
    /// A probe runs at once.
    Probe {
        /// Its name; all of them without one.
        #[serde(default)]
        probe: Option<String>,
    },
    /// The last lines of the agent's log are told.
    Log {},
    /// The local alarm is silent.
    Mute {
        /// For so long.
        seconds: u32,
    },
}

/// For whoever stands before a row of racks.
const fn half_a_minute() -> u32 {
    30
}

impl Wanted {
    /// As it goes over the wire.
    pub fn action(&self) -> Action<'_> {
        match self {
            Self::Identify { seconds } => Action::Identify { seconds: *seconds },
            Self::Probe { probe } => Action::Probe { name: probe.as_deref().unwrap_or_default() },
            Self::Log {} => Action::Log,
            Self::Mute { seconds } => Action::Mute { seconds: *seconds },
        }
    }

    /// What an appliance says in its birth if it does such a thing.
    pub const fn needs(&self) -> Capabilities {
        match self {
            Self::Identify { .. } => Capabilities::IDENTIFY,
            Self::Probe { .. } => Capabilities::PROBE,
            Self::Log {} => Capabilities::LOG,
            Self::Mute { .. } => Capabilities::MUTE,
        }
    }
}

impl fmt::Display for Wanted {
    /// `identify 30 s`, `probe encoder`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.action().as_str();
        match self {
            Self::Identify { seconds } | Self::Mute { seconds } => write!(f, "{word} {seconds} s"),
            Self::Probe { probe: Some(name) } => write!(f, "{word} {name}"),
            Self::Probe { probe: None } | Self::Log {} => f.write_str(word),
        }
    }
}

/// How a command stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Nothing came back yet.
    Waiting,
    /// It was done.
    Done,
    /// It was not begun.
    Refused(Refused),
    /// It cannot be done; why.
    Failed(String),
    /// Nothing came back in time.
    NoAnswer,
}

impl State {
    /// The state as a word: `waiting`, `done`, `refused`, `failed`, `no_answer`.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Done => "done",
            Self::Refused(_) => "refused",
            Self::Failed(_) => "failed",
            Self::NoAnswer => "no_answer",
        }
    }
}

/// What came back with a reply.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Told {
    /// Nothing.
    #[default]
    Nothing,
    /// [`LogLine`](rackside_proto::LogLine)s, as they came.
    Log(Box<[u8]>),
    /// What probes [`Found`](rackside_proto::Found), as it came.
    Probes(Box<[u8]>),
}

/// A command that was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// Its number.
    pub id: u64,
    /// Whom it was for.
    pub agent: AgentName,
    /// Which run of it.
    pub run: Run,
    /// What was wanted.
    pub wanted: Wanted,
    /// Who gave it.
    pub by: String,
    /// When.
    pub at_ms: u64,
    /// Until when it is begun.
    pub expires_ms: u64,
    /// How it stands.
    pub state: State,
    /// When the answer came.
    pub answered_ms: Option<u64>,
    /// What came with it.
    pub told: Told,
}

/// What was counted since the hub's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Commands given.
    pub given: u64,
    /// Done.
    pub done: u64,
    /// Refused by the box.
    pub refused: u64,
    /// Failed.
    pub failed: u64,
    /// Without an answer.
    pub no_answer: u64,
    /// Replies to nothing that was asked, or from somebody else.
    pub stray: u64,
}

impl Counts {
    /// By what became of them: `given` is all, `stray` are replies that nobody has asked for.
    pub fn by_outcome(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
        let Self { given, done, refused, failed, no_answer, stray } = *self;
        [
            ("given", given),
            ("done", done),
            ("refused", refused),
            ("failed", failed),
            ("no_answer", no_answer),
            ("stray", stray),
        ]
        .into_iter()
    }
}

/// Why a command cannot be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotGiven {
    /// The appliance has not answered what it was told before.
    Busy,
    /// It says more than a command can.
    Bounds(EncodeError),
}

/// All commands that are remembered.
#[derive(Debug, Default)]
pub struct Book {
    given: BTreeMap<u64, Given>,
    newest: u64,
    counts: Counts,
}

impl Book {
    /// Gives a command: its number, and the bytes that are to be signed.
    pub fn give(
        &mut self,
        agent: &AgentName,
        run: Run,
        wanted: Wanted,
        by: &str,
        now_ms: u64,
    ) -> Result<(u64, Vec<u8>), NotGiven> {
        self.expire(now_ms);
        let waits = |given: &&Given| given.agent == *agent && given.state == State::Waiting;
        if self.given.values().filter(waits).count() >= OF_ONE {
            return Err(NotGiven::Busy);
        }
        let id = now_ms.max(self.newest + 1);
        let lasts = if matches!(wanted, Wanted::Probe { .. }) { PROBES } else { SOON };
        let (issued_ms, expires_ms) = (now_ms, now_ms + lasts);
        let mut content = Vec::new();
        Command { run, id, issued_ms, expires_ms, by, action: wanted.action() }
            .encode(&mut content)
            .map_err(NotGiven::Bounds)?;
        self.newest = id;
        self.counts.given += 1;
        if self.given.len() >= KEPT {
            self.given.pop_first();
        }
        let (agent, by) = (agent.clone(), by.to_owned());
        let (state, answered_ms, told) = (State::Waiting, None, Told::Nothing);
        let given = Given { id, agent, run, wanted, by, at_ms: now_ms, expires_ms, state, answered_ms, told };
        self.given.insert(id, given);
        Ok((id, content))
    }

    /// It could not be sent after all.
    pub fn take_back(&mut self, id: u64) {
        if self.given.remove(&id).is_some() {
            self.counts.given -= 1;
        }
    }

    /// A reply came from this appliance. Says of what, if it is one to something that was asked.
    pub fn hear(&mut self, agent: &AgentName, reply: &Reply<'_>, now_ms: u64) -> Option<&Given> {
        self.expire(now_ms);
        let ours = |given: &&mut Given| {
            given.agent == *agent && given.run == reply.run && given.state == State::Waiting
        };
        let Some(given) = self.given.get_mut(&reply.id).filter(ours) else {
            self.counts.stray += 1;
            return None;
        };
        given.state = match reply.outcome {
            Outcome::Done => State::Done,
            Outcome::Refused(why) => State::Refused(why),
            Outcome::Failed(why) => State::Failed(why.to_owned()),
        };
        let count = match reply.outcome {
            Outcome::Done => &mut self.counts.done,
            Outcome::Refused(_) => &mut self.counts.refused,
            Outcome::Failed(_) => &mut self.counts.failed,
        };
        *count += 1;
        given.answered_ms = Some(now_ms);
        given.told = match (reply.body, &given.wanted) {
            (Body::Log(bytes), Wanted::Log {}) => Told::Log(bytes.into()),
            (Body::Probes(bytes), Wanted::Probe { .. }) => Told::Probes(bytes.into()),
            _ => Told::Nothing,
        };
        Some(given)
    }

    /// What waited for too long is waited for no more.
    fn expire(&mut self, now_ms: u64) {
        for given in self.given.values_mut() {
            if given.state == State::Waiting && now_ms >= given.expires_ms {
                given.state = State::NoAnswer;
                self.counts.no_answer += 1;
            }
        }
    }

    /// A command by its number.
    pub fn look(&mut self, id: u64, now_ms: u64) -> Option<&Given> {
        self.expire(now_ms);
        self.given.get(&id)
    }

    /// Those for this appliance, the newest first.
    pub fn of<'a>(&'a mut self, agent: &'a AgentName, now_ms: u64) -> impl Iterator<Item = &'a Given> {
        self.expire(now_ms);
        self.given.values().rev().filter(move |given| given.agent == *agent)
    }

    /// What was counted.
    pub fn counts(&mut self, now_ms: u64) -> Counts {
        self.expire(now_ms);
        self.counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_795_219_200_000;

    fn name(appliance: &str) -> AgentName {
        AgentName::new("arena-north", appliance).expect("a name")
    }

    fn give(book: &mut Book, wanted: Wanted, now: u64) -> u64 {
        book.give(&name("rack-1"), Run(7), wanted, "anna", now).expect("given").0
    }

    fn reply(run: u32, id: u64, body: Body<'_>) -> Reply<'_> {
        Reply { run: Run(run), id, outcome: Outcome::Done, body }
    }

    #[test]
    fn numbers_rise_even_if_the_clock_does_not() {
        let mut book = Book::default();
        let ids = [NOW, NOW, NOW - 60_000, NOW + 5].map(|now| {
            let id = give(&mut book, Wanted::Log {}, now);
            book.take_back(id);
            id
        });
        assert_eq!(ids, [NOW, NOW + 1, NOW + 2, NOW + 5]);
    }

    #[test]
    fn what_is_given_reads_as_it_was_meant() {
        let mut book = Book::default();
        let wanted = Wanted::Probe { probe: Some("encoder".to_owned()) };
        let (id, content) = book.give(&name("rack-1"), Run(7), wanted, "anna", NOW).expect("given");
        let action = Action::Probe { name: "encoder" };
        let (issued_ms, expires_ms) = (NOW, NOW + PROBES);
        assert_eq!(
            Command::decode(&content),
            Ok(Command { run: Run(7), id, issued_ms, expires_ms, by: "anna", action })
        );
        let long = "x".repeat(65);
        for (wanted, by) in [
            (Wanted::Identify { seconds: 0 }, "anna"),
            (Wanted::Mute { seconds: 24 * 3600 + 1 }, "anna"),
            (Wanted::Probe { probe: Some(long.clone()) }, "anna"),
            (Wanted::Log {}, long.as_str()),
        ] {
            let refused = book.give(&name("rack-1"), Run(7), wanted, by, NOW);
            assert!(matches!(refused, Err(NotGiven::Bounds(_))), "{refused:?}");
        }
        assert_eq!(book.counts(NOW).given, 1);
    }

    #[test]
    fn a_reply_counts_once_from_whom_it_was_asked_and_in_time() {
        let mut book = Book::default();
        let id = give(&mut book, Wanted::Log {}, NOW);
        let good = reply(7, id, Body::Log(b""));
        for (agent, reply) in [
            (name("rack-2"), good),
            (name("rack-1"), reply(8, id, Body::Nothing)),
            (name("rack-1"), reply(7, id + 1, Body::Nothing)),
        ] {
            assert_eq!(book.hear(&agent, &reply, NOW + 1), None);
        }
        assert!(book.hear(&name("rack-1"), &good, NOW + 1).is_some());
        assert_eq!(book.hear(&name("rack-1"), &good, NOW + 2), None, "once");
        let given = book.look(id, NOW + 3).expect("remembered");
        assert_eq!((&given.state, given.answered_ms), (&State::Done, Some(NOW + 1)));
        let late = give(&mut book, Wanted::Log {}, NOW + 10);
        assert_eq!(book.hear(&name("rack-1"), &reply(7, late, Body::Nothing), NOW + 10 + SOON), None);
        assert_eq!(book.look(late, NOW + 10 + SOON).map(|given| &given.state), Some(&State::NoAnswer));
        let counts = book.counts(NOW);
        assert_eq!((counts.given, counts.done, counts.no_answer, counts.stray), (2, 1, 1, 5));
    }

    #[test]
    fn what_was_not_asked_for_is_not_kept() {
        let mut book = Book::default();
        let id = give(&mut book, Wanted::Identify { seconds: 30 }, NOW);
        book.hear(&name("rack-1"), &reply(7, id, Body::Log(&[0; 1000])), NOW);
        assert_eq!(book.look(id, NOW).map(|given| &given.told), Some(&Told::Nothing));
    }

    #[test]
    fn an_appliance_that_does_not_answer_is_not_asked_without_end_and_the_oldest_are_forgotten() {
        let mut book = Book::default();
        for _ in 0..OF_ONE {
            give(&mut book, Wanted::Log {}, NOW);
        }
        let more = book.give(&name("rack-1"), Run(7), Wanted::Log {}, "anna", NOW);
        assert_eq!(more, Err(NotGiven::Busy));
        assert!(book.give(&name("rack-2"), Run(7), Wanted::Log {}, "anna", NOW).is_ok());
        let first = give(&mut book, Wanted::Log {}, NOW + SOON);
        for nth in 0..KEPT as u64 {
            give(&mut book, Wanted::Log {}, NOW + SOON * (nth + 2));
        }
        assert_eq!(book.look(first, NOW), None);
        assert_eq!(book.of(&name("rack-1"), NOW).count(), KEPT);
    }
}
