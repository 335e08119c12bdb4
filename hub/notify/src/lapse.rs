//! What is said for a while: it ends by itself or is ended early, and is kept a while afterwards, because one wants to know who did what. Mutes, and
//! maintenance by hand.

/// How long those that are over are kept, in milliseconds: five days, as Alertmanager does.
pub(crate) const KEPT: i64 = 5 * 86_400_000;

/// Something with an end.
pub(crate) trait Lapsing {
    /// Its number.
    fn id(&self) -> u64;
    /// Up to when it is said, in milliseconds since 1970.
    fn ends_at(&self) -> i64;
}

/// Why one cannot be changed any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gone {
    /// There is none of this number.
    Unknown,
    /// It is over.
    Over,
}

/// The one of this number, if it is not over.
pub(crate) fn running<T: Lapsing>(all: &mut [T], id: u64, now: i64) -> Result<&mut T, Gone> {
    match all.iter_mut().find(|one| one.id() == id) {
        None => Err(Gone::Unknown),
        Some(one) if one.ends_at() <= now => Err(Gone::Over),
        Some(one) => Ok(one),
    }
}

/// Forgets those that have been over for long, and the oldest of more than so many. Says whether there were any.
pub(crate) fn forget<T: Lapsing>(all: &mut Vec<T>, most_over: usize, now: i64) -> bool {
    let before = all.len();
    all.retain(|one| now < one.ends_at().saturating_add(KEPT));
    let over = all.iter().filter(|one| one.ends_at() <= now).count();
    let mut too_many = over.saturating_sub(most_over);
    all.retain(|one| {
        let goes = too_many > 0 && one.ends_at() <= now;
        too_many -= usize::from(goes);
        !goes
    });
    all.len() < before
}
