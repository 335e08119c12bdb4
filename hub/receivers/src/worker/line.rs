//! Whose turn it is at one receiver. Messages go in their order; one at which the receiver stumbles again and again must not hold up the others, and a
//! receiver that stumbles at everything must not have them out of order. Pure: time is an argument.
//!
//! A receiver stumbles ([`Outcome::Stumbles`](crate::Outcome::Stumbles)) when it is there and fails, with a 500 as a rule: at this message, or at anything. Which of
//! the two it is, another message tells. After [`STUMBLES`] of them at the first message, a later one (a scout) goes in every other try. If it arrives, the first
//! one has one more chance, and is then set aside: it is tried when nothing else waits, until it is too old. If the scout does not arrive, all wait.
//! A receiver that cannot be reached, or says that it is not there (502, 503, 504, 429, no answer), is waited for, and nobody goes first.
//!
//! Invariant: nothing goes before the first message but scouts, and none of them unless the receiver has stumbled at that one.
//!
//! ```text
//! #17 500 ×5   #18 200   #17 500 → aside   #19 200   #20 200   nothing waits: #17 500 … 200
//! #17 500 ×5   #18 500   #17 500   #19 500   #17 200   #18 200   …                        (in order)
//! ```

use std::collections::BTreeMap;
use tokio::time::Instant;

/// So often at the first message, before another is tried: with waits of up to 1, 2, 4 and 8 s between them, within a quarter of a minute.
const STUMBLES: u32 = 5;
/// So many messages behind the first one may be scouts.
pub(super) const SCOUTS: usize = 16;

/// One that waits: its place in the order, and the matter that it is about (its group's key).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Waiting<'m> {
    pub(super) id: u64,
    pub(super) matter: &'m str,
}

/// What came of a try, as far as turns go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Came {
    /// It arrived.
    There,
    /// It is over: refused.
    Over,
    /// The receiver is not there; again at this time.
    Away(Instant),
    /// The receiver stumbled; again at this time.
    Stumbled(Instant),
}

/// Whose turn it is.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// Before that nobody goes, but who was set aside has its own time.
    due: Option<Instant>,
    /// How often the receiver stumbled at whom.
    stumbles: BTreeMap<u64, u32>,
    /// Who was set aside, and when it is tried again.
    aside: BTreeMap<u64, Instant>,
    /// Who went last before it was its turn.
    scout: Option<u64>,
    /// The last try was the first one's.
    first_has_had_its_turn: bool,
    /// Another one has arrived: the first one's next stumble is its last before it is set aside.
    suspect: Option<u64>,
}

impl Line {
    /// Whether it was set aside.
    pub(super) fn is_aside(&self, id: u64) -> bool {
        self.aside.contains_key(&id)
    }

    /// Nobody goes before that.
    pub(super) fn wait(&mut self, until: Instant) {
        self.due = Some(until);
    }

    /// Forgets who does not wait any more.
    pub(super) fn keep(&mut self, waits: impl Fn(u64) -> bool) {
        self.stumbles.retain(|id, _| waits(*id));
        self.aside.retain(|id, _| waits(*id));
    }

    /// At whom the receiver has stumbled and who still waits, in line or aside.
    pub(super) fn stumbled(&self) -> Vec<u64> {
        self.stumbles.keys().chain(self.aside.keys()).copied().collect()
    }

    /// Of those that wait and are not set aside, the first ones in order: whose turn it is, and from when on. None, if there is none.
    pub(super) fn next(&self, waiting: &[Waiting<'_>]) -> Option<(u64, Option<Instant>)> {
        let first = waiting.first()?;
        let is_stuck = self.stumbles.get(&first.id).is_some_and(|times| *times >= STUMBLES);
        if !is_stuck || !self.first_has_had_its_turn || self.suspect == Some(first.id) {
            return Some((first.id, self.due));
        }
        let others = || waiting.iter().skip(1);
        // News of the same matter would make the first one old.
        let strangers: Vec<u64> =
            others().filter(|one| one.matter != first.matter).map(|one| one.id).collect();
        let scouts = if strangers.is_empty() { others().map(|one| one.id).collect() } else { strangers };
        let behind = scouts.iter().find(|id| self.scout.is_some_and(|last| **id > last));
        Some((behind.or(scouts.first()).copied().unwrap_or(first.id), self.due))
    }

    /// Of those that were set aside, whose turn it is when nobody else waits, and from when on.
    pub(super) fn next_aside(&self) -> Option<(u64, Instant)> {
        self.aside.iter().map(|(id, at)| (*id, *at)).min_by_key(|(_, at)| *at)
    }

    /// What came of a try, when `first` was the first in line. Says who is set aside by it.
    pub(super) fn came(&mut self, tried: u64, first: Option<u64>, came: Came) -> Option<u64> {
        let again = match came {
            Came::There | Came::Over => None,
            Came::Away(at) | Came::Stumbled(at) => Some(at),
        };
        if let Some(at) = self.aside.get_mut(&tried) {
            match again {
                Some(again) => *at = again,
                None => drop(self.aside.remove(&tried)),
            }
            return None;
        }
        let is_first = first == Some(tried);
        if !is_first {
            self.scout = Some(tried);
        }
        self.first_has_had_its_turn = is_first && matches!(came, Came::Stumbled(_));
        self.due = again;
        match came {
            Came::There | Came::Over => {
                self.stumbles.remove(&tried);
                if is_first {
                    self.suspect = None;
                } else if came == Came::There {
                    self.suspect = first;
                }
            }
            Came::Away(_) => {}
            Came::Stumbled(again) if is_first && self.suspect == first => {
                (self.suspect, self.due, self.scout) = (None, None, None);
                self.first_has_had_its_turn = false;
                self.stumbles.remove(&tried);
                self.aside.insert(tried, again);
                return Some(tried);
            }
            Came::Stumbled(_) => *self.stumbles.entry(tried).or_default() += 1,
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Plays tries of messages `1..=count`, each of its matter, against a receiver that does what `says` of the try's number and message; what it saw,
    /// message by message, and who was set aside.
    fn played(
        matters: &[&str],
        tries: usize,
        says: impl Fn(usize, u64) -> fn(Instant) -> Came,
    ) -> (Vec<u64>, Vec<u64>) {
        let (mut line, mut seen, mut aside) = (Line::default(), Vec::new(), Vec::new());
        let mut waiting: Vec<Waiting<'_>> =
            (1..).zip(matters).map(|(id, &matter)| Waiting { id, matter }).collect();
        let mut now = Instant::now();
        for number in 0..tries {
            let in_line: Vec<Waiting<'_>> =
                waiting.iter().filter(|one| !line.is_aside(one.id)).copied().take(SCOUTS).collect();
            let turn = line.next(&in_line).or_else(|| line.next_aside().map(|(id, at)| (id, Some(at))));
            let Some((id, due)) = turn else { break };
            now = due.map_or(now, |due| due.max(now));
            seen.push(id);
            let came = says(number, id)(now + Duration::from_secs(1));
            aside.extend(line.came(id, in_line.first().map(|one| one.id), came));
            if matches!(came, Came::There | Came::Over) {
                waiting.retain(|one| one.id != id);
            }
        }
        (seen, aside)
    }

    const THERE: fn(Instant) -> Came = |_| Came::There;
    const STUMBLED: fn(Instant) -> Came = Came::Stumbled;
    const AWAY: fn(Instant) -> Came = Came::Away;

    #[test]
    fn who_is_stumbled_at_alone_is_set_aside_and_tried_behind_the_others() {
        let (seen, aside) = played(&["a", "b", "c", "d"], 12, |_, id| if id == 1 { STUMBLED } else { THERE });
        assert_eq!((seen, aside), (vec![1, 1, 1, 1, 1, 2, 1, 3, 4, 1, 1, 1], vec![1]));
    }

    #[test]
    fn a_receiver_that_stumbles_at_everything_gets_the_rest_in_order() {
        let (seen, aside) =
            played(&["a", "b", "c"], 40, |number, _| if number < 9 { STUMBLED } else { THERE });
        assert_eq!((seen, aside), (vec![1, 1, 1, 1, 1, 2, 1, 3, 1, 2, 1, 3], vec![]));
        let (seen, _) = played(&["a", "b", "c"], 40, |number, _| if number < 10 { STUMBLED } else { THERE });
        assert_eq!(seen[10..], [1, 2, 3], "it was the first one's turn");
    }

    #[test]
    fn nobody_goes_first_while_the_receiver_is_away() {
        let (seen, aside) = played(&["a", "b"], 30, |_, _| AWAY);
        assert_eq!((seen, aside), (vec![1; 30], vec![]));
        let (seen, _) = played(&["a", "b"], 12, |number, _| if number % 2 == 0 { STUMBLED } else { AWAY });
        assert_eq!(seen[..9], [1; 9], "only what it stumbles at counts");
    }

    #[test]
    fn several_that_are_stumbled_at_hold_nobody_up() {
        let bad = |id: u64| [1, 2, 4].contains(&id);
        let (seen, aside) =
            played(&["a", "b", "c", "d", "e"], 60, |_, id| if bad(id) { STUMBLED } else { THERE });
        let first = |id: u64| seen.iter().position(|one| *one == id).expect("it was tried");
        assert!(first(3) <= 8 && first(5) <= 20, "{seen:?}");
        assert_eq!(aside, [1, 2], "nobody waits behind the last one");
    }

    #[test]
    fn a_scout_is_of_another_matter_where_there_is_one() {
        let (seen, _) = played(&["a", "a", "a", "b"], 6, |_, _| STUMBLED);
        assert_eq!(seen, [1, 1, 1, 1, 1, 4]);
        let (seen, _) = played(&["a", "a"], 6, |_, _| STUMBLED);
        assert_eq!(seen, [1, 1, 1, 1, 1, 2]);
        let (seen, _) = played(&["a"], 7, |_, _| STUMBLED);
        assert_eq!(seen, [1; 7]);
    }
}
