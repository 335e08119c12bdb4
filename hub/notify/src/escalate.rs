//! Escalation: an alert that was told and that nobody has in hand for so long goes one step further.
//!
//! Every step counts from when the alert was first told. Acknowledging stops it, and so does recovery; whoever was told at any step is told that it is
//! over.
//!
//! Sample: told to `crew` at 12:00:01, `after = "5m"`, nobody acknowledges: `phone` is told at 12:05:01.

use std::ops::RangeInclusive;

use crate::book::{Book, Booked};
use crate::group::{Group, Member};

/// When a member goes a step further; none, if it does not. `after` says how long after the first message each step is due.
pub(crate) fn due(member: &Member, booked: &Booked, after: impl Fn(usize) -> Option<i64>) -> Option<i64> {
    let waits = member.is_current && booked.counts_as_firing() && booked.acknowledged.is_none();
    let told_at = member.told_at.filter(|_| waits)?;
    Some(told_at.saturating_add(after(member.step + 1)?))
}

/// When the next member of a group goes a step further.
pub(crate) fn next(group: &Group, book: &Book, after: impl Fn(usize) -> Option<i64>) -> Option<i64> {
    let members = group.members.iter();
    members.filter_map(|(id, member)| due(member, book.alert(*id)?, &after)).min()
}

/// Takes every member of a group that has waited long enough a step further. Says which steps were reached.
pub(crate) fn step(
    group: &mut Group,
    book: &Book,
    now: i64,
    after: impl Fn(usize) -> Option<i64>,
) -> Option<RangeInclusive<usize>> {
    let mut reached: Option<RangeInclusive<usize>> = None;
    for (id, member) in &mut group.members {
        let Some(booked) = book.alert(*id) else { continue };
        while due(member, booked, &after).is_some_and(|at| at <= now) {
            member.step += 1;
            let (first, last) = reached.map_or((member.step, member.step), RangeInclusive::into_inner);
            reached = Some(first.min(member.step)..=last.max(member.step));
        }
    }
    reached
}
