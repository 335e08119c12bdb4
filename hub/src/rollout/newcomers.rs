//! Boxes that come when the fleet has its configuration already: they are given what it has, without a roll-out of their own.
//!
//! What the fleet has is what the newest roll-out that meant them, is done and was not taken back has brought; of one that is under way nobody knows yet
//! whether it is any good. Whoever came while one was under way is given what that has brought once it is done. Who is in a roll-out is left to it.
//!
//! ```text
//! roll-out 3, all: done     hall/rack-9 joins: revision 1, as of roll-out 3
//! roll-out 4, all: done     hall/rack-9 was not in it: revision 2, as of roll-out 4
//! roll-out 5 takes 4 back   hall/rack-9: revision 3, as of roll-out 3
//! ```

use super::task::Ground;
use super::{Hand, RollOuts, tags_of};
use crate::clock::Now;
use rackside_rollout::{Base, Book, BookError, Newcomer, Outcome, RollOut, digest_of};
use std::collections::BTreeSet;

/// So many are told in one look: each is a file that is written twice.
const AT_ONCE: usize = 50;

/// What is remembered from look to look.
#[derive(Default)]
pub(super) struct Newcomers {
    /// What was said of whom, so that it is said once.
    said: BTreeSet<String>,
}

/// What is to be done with one.
#[derive(Debug, PartialEq, Eq)]
enum Turn {
    /// Nothing.
    Stays,
    /// It is to have what this base says, or nothing.
    Gets(Option<i64>),
}

/// Which base is the one of whom `is_meant` by it.
fn turn(bases: &[Base], base: i64, is_meant: impl Fn(&Base) -> bool) -> Turn {
    let is_taken_back = bases.iter().any(|one| one.roll_out == base && one.is_taken_back);
    let current = bases.iter().find(|one| one.is_proven && is_meant(one)).map(|one| one.roll_out);
    match current {
        Some(current) if current > base || is_taken_back => Turn::Gets(Some(current)),
        None if is_taken_back => Turn::Gets(None),
        _ => Turn::Stays,
    }
}

impl Newcomers {
    /// Looks at everybody who came lately, and gives them what they are to have.
    pub(super) fn attend(
        &mut self,
        all: &RollOuts,
        ground: &Ground,
        newest: Option<&RollOut>,
        now: Now,
    ) -> Result<(), String> {
        let (Some(_), Some(hand)) = (all.directory(), ground.hand.as_deref()) else { return Ok(()) };
        let mut book = all.book()?;
        let failed = |error: BookError| error.to_string();
        let (newcomers, bases) = (book.newcomers().map_err(failed)?, book.bases().map_err(failed)?);
        let sites = ground.on_air.configs().borrow().clone();
        let mut left = AT_ONCE;
        for one in &newcomers {
            note(&mut book, hand, one).map_err(failed)?;
            let tags = tags_of(&sites, &one.name.site);
            let Turn::Gets(base) = turn(&bases, one.base, |base| base.selection.has(&one.name, tags)) else {
                continue;
            };
            let is_running = newest.is_some_and(|newest| {
                newest.is_running() && newest.members.iter().any(|member| member.name == one.name)
            });
            // What it begins with disturbs nobody; what comes later waits like any roll-out.
            let is_on_air = || ground.on_air.view(&one.name.site, now).is_some_and(|view| view.on_air());
            if is_running || left == 0 || (one.base > 0 && is_on_air()) {
                continue;
            }
            left -= 1;
            if let Err(why) = give(&mut book, hand, one, base, tags) {
                let why = format!("{} is new, and cannot be given what the fleet has: {why}", one.name);
                // Bounded: a fleet has so many names.
                if self.said.insert(why.clone()) {
                    log::warn!("roll-outs: {why}");
                }
            }
        }
        Ok(())
    }
}

/// Writes down that it runs on what it was told.
fn note(book: &mut Book, hand: &dyn Hand, one: &Newcomer) -> Result<(), BookError> {
    if one.revision > 0
        && one.counts != one.sent
        && hand.became(&one.name) == Some((one.revision, Outcome::Applied))
    {
        book.runs(&one.name)?;
    }
    Ok(())
}

fn give(
    book: &mut Book,
    hand: &dyn Hand,
    one: &Newcomer,
    base: Option<i64>,
    tags: &[String],
) -> Result<(), String> {
    let failed = |error: BookError| error.to_string();
    let id = base.unwrap_or_default();
    if base.is_some() && book.was_about(id, &one.name).map_err(failed)? {
        return book.follows(&one.name, id).map_err(failed);
    }
    let text = match base {
        None => String::new(),
        Some(id) => {
            let rendered = book.base(id).map_err(failed)?.and_then(|sources| sources.render(&one.name, tags));
            rendered
                .map_err(|faults| faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?
                .toml
        }
    };
    if digest_of(&text) == one.sent {
        return book.follows(&one.name, id).map_err(failed);
    }
    let revision = hand.publish(&one.name, &text)?;
    book.gave(&one.name, &text, revision, id).map_err(failed)?;
    match base {
        Some(id) => {
            log::info!(
                "{} is given what roll-out {id} has brought to the fleet: revision {revision}",
                one.name
            );
        }
        None => log::info!("{} is given nothing any more: revision {revision}", one.name),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rackside_rollout::Selection;

    fn base(roll_out: i64, state: &str) -> Base {
        Base {
            roll_out,
            selection: Selection::default(),
            is_proven: state == "proven",
            is_taken_back: state == "taken back",
        }
    }

    #[test]
    fn the_newest_base_that_is_proven_counts_and_none_that_is_under_way() {
        let bases = [base(4, "rolling"), base(3, "proven"), base(1, "proven")];
        let of = |bases: &[Base], had| turn(bases, had, |_| true);
        assert_eq!(of(&bases, 0), Turn::Gets(Some(3)));
        assert_eq!(of(&bases, 1), Turn::Gets(Some(3)));
        assert_eq!(of(&bases, 3), Turn::Stays);
        assert_eq!(turn(&bases, 0, |base| base.roll_out < 3), Turn::Gets(Some(1)), "who was not meant");
        assert_eq!(turn(&bases, 0, |_| false), Turn::Stays);
        assert_eq!(of(&[], 7), Turn::Stays, "what was forgotten was not taken back");
    }

    #[test]
    fn what_was_taken_back_is_taken_back_from_who_came_after_it_too() {
        let bases = [base(3, "taken back"), base(1, "proven")];
        assert_eq!(turn(&bases, 3, |_| true), Turn::Gets(Some(1)));
        assert_eq!(turn(&bases, 1, |_| true), Turn::Stays);
        assert_eq!(turn(&bases[..1], 3, |_| true), Turn::Gets(None));
        assert_eq!(turn(&bases[..1], 0, |_| true), Turn::Stays);
    }
}
