//! What became of the configuration that an appliance is to run on. Pure.

use rackside_proto::Adopted;

/// How the newest revision that is wanted stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Sent, or to be sent once its appliance is there; nothing was heard of it.
    Sent,
    /// The appliance runs on it, and has reached the hub since.
    Applied,
    /// The appliance cannot run on it.
    Refused,
    /// The appliance did not reach the hub with it, and runs on what it ran on before.
    RolledBack,
    /// The appliance takes no configuration: its own file forbids it, or its agent is older than that.
    NotTaken,
}

impl State {
    const ALL: [Self; 5] = [Self::Sent, Self::Applied, Self::Refused, Self::RolledBack, Self::NotTaken];

    /// In words: `sent`, `applied`, `refused`, `rolled back`, `not taken`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Applied => "applied",
            Self::Refused => "refused",
            Self::RolledBack => "rolled back",
            Self::NotTaken => "not taken",
        }
    }

    pub(crate) fn read(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// Whether nothing more comes of it, unless somebody does something.
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::Refused | Self::RolledBack | Self::NotTaken)
    }
}

impl From<Adopted> for State {
    fn from(adopted: Adopted) -> Self {
        match adopted {
            Adopted::Applied => Self::Applied,
            Adopted::Refused => Self::Refused,
            Adopted::RolledBack => Self::RolledBack,
        }
    }
}

/// What is known of one appliance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The revision that is wanted; 0 for none.
    pub wanted: u32,
    /// The revision that the appliance said it runs on; 0 for its own file alone, or if nothing was heard.
    pub applied: u32,
    /// How the wanted one stands.
    pub state: State,
    /// Why it is not applied, in the appliance's words.
    pub why: String,
    /// Since when it stands so, in milliseconds since 1970.
    pub since_ms: i64,
}

impl Outcome {
    /// Of an appliance of which nothing is known.
    pub(crate) const fn unknown(now: i64) -> Self {
        Self { wanted: 0, applied: 0, state: State::Sent, why: String::new(), since_ms: now }
    }

    /// The next revision.
    pub(crate) fn next(&self) -> Option<u32> {
        self.wanted.max(self.applied).checked_add(1)
    }

    /// Whether it has yet to be heard of.
    pub fn is_pending(&self) -> bool {
        self.wanted != 0 && self.state == State::Sent
    }

    fn turn(&mut self, state: State, why: &str, now: i64) {
        if (self.state, self.why.as_str()) != (state, why) {
            (self.state, self.why, self.since_ms) = (state, why.to_owned(), now);
        }
    }

    /// The appliance was born: it runs on this revision, and takes others or does not.
    pub(crate) fn runs(&mut self, revision: u32, takes: bool, now: i64) {
        self.applied = revision;
        if self.wanted == 0 {
            return;
        }
        match self.state {
            _ if revision == self.wanted => self.turn(State::Applied, "", now),
            _ if revision > self.wanted => {
                let why = format!("it runs on {revision}, which this hub does not know; have it sent again");
                self.turn(State::Refused, &why, now);
            }
            State::Applied | State::Sent | State::NotTaken if !takes => {
                let why = "its own file forbids it, or its agent is too old or has not joined";
                self.turn(State::NotTaken, why, now);
            }
            State::Applied | State::NotTaken => self.turn(State::Sent, "", now),
            State::Sent | State::Refused | State::RolledBack => {}
        }
    }

    /// The appliance has told what became of a revision.
    pub(crate) fn became(&mut self, revision: u32, adopted: Adopted, why: &str, now: i64) {
        if adopted == Adopted::Applied {
            self.applied = revision;
        }
        if revision == self.wanted && revision != 0 {
            // It goes to terminals and logs, and an appliance may say anything.
            let plain: String = why.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            self.turn(adopted.into(), &plain, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(revision: u32) -> Outcome {
        Outcome { wanted: revision, ..Outcome::unknown(0) }
    }

    #[test]
    fn what_is_sent_is_applied_or_not_and_says_since_when() {
        let mut one = wanted(3);
        one.runs(2, true, 10);
        assert_eq!((one.state, one.applied, one.since_ms), (State::Sent, 2, 0));
        one.became(2, Adopted::RolledBack, "an older one", 20);
        assert_eq!(one.state, State::Sent, "that is about another");
        one.became(3, Adopted::Refused, "line 2: tick", 30);
        assert_eq!((one.state, one.why.as_str(), one.since_ms), (State::Refused, "line 2: tick", 30));
        one.became(3, Adopted::Refused, "line 2:\ntick", 40);
        one.runs(2, true, 50);
        assert_eq!((one.state, one.since_ms), (State::Refused, 30), "told again, it is no newer");
        one.runs(3, true, 60);
        assert_eq!((one.state, one.why.as_str(), one.since_ms), (State::Applied, "", 60));
        one.runs(0, true, 70);
        assert!(one.is_pending(), "it has lost it");
    }

    #[test]
    fn who_takes_none_is_told_as_such_until_it_does() {
        let mut one = wanted(1);
        one.runs(0, false, 10);
        assert!(one.state == State::NotTaken && one.state.is_failure() && !one.is_pending());
        one.runs(0, true, 20);
        assert_eq!((one.state, one.why.as_str()), (State::Sent, ""));
        one.runs(1, true, 30);
        one.runs(0, false, 40);
        assert_eq!((one.state, one.applied), (State::NotTaken, 0));
    }

    #[test]
    fn a_hub_from_a_backup_counts_on_from_what_runs() {
        let mut one = wanted(5);
        one.runs(7, true, 10);
        assert_eq!((one.state, one.next()), (State::Refused, Some(8)));
        assert!(one.why.contains("runs on 7"), "{}", one.why);
        let mut unknown = Outcome::unknown(0);
        unknown.runs(7, true, 10);
        assert_eq!((unknown.state, unknown.next()), (State::Sent, Some(8)));
        assert_eq!(Outcome { applied: u32::MAX, ..unknown }.next(), None);
    }
}
