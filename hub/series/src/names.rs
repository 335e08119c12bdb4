//! One copy of each text that labels share, such as a metric's name, and of each set of labels that racks share.
//!
//! Sixty series of a thousand racks have the same sixty names and mostly the same labels, but for those that say whose they are; kept once, a
//! series costs two words. What nobody holds any more is let go when the store has doubled since it was looked through last.
//!
//! Sample: `rackside_disk_used_bytes{mount="/"}` is one set, whichever racks have such a disk.

use rackside_promql::Labels;
use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

/// Below so many nobody looks for ones that are not needed.
const FEW: usize = 4096;

/// What is kept once and handed out as a counted reference.
pub(crate) trait Counted: Clone + Eq + Hash {
    /// Whether anybody else has it.
    fn is_held(&self) -> bool;
}

impl Counted for Arc<str> {
    fn is_held(&self) -> bool {
        Arc::strong_count(self) > 1
    }
}

impl Counted for Labels {
    fn is_held(&self) -> bool {
        self.is_shared()
    }
}

/// Each thing once.
#[derive(Debug)]
struct Once<T> {
    all: HashSet<T>,
    /// How many there were when it was looked through last.
    after_look: usize,
}

impl<T> Default for Once<T> {
    fn default() -> Self {
        Self { all: HashSet::new(), after_look: 0 }
    }
}

impl<T: Counted> Once<T> {
    /// The one that is like `what`, or a new one.
    fn one<Q: Hash + Eq + ?Sized>(&mut self, what: &Q, make: impl FnOnce() -> T) -> T
    where
        T: Borrow<Q>,
    {
        if let Some(known) = self.all.get(what) {
            return known.clone();
        }
        if self.all.len() >= FEW.max(2 * self.after_look) {
            self.all.retain(T::is_held);
            self.all.shrink_to_fit();
            self.after_look = self.all.len();
        }
        let new = make();
        self.all.insert(new.clone());
        new
    }
}

/// Texts and sets, each once.
#[derive(Debug, Default)]
pub(crate) struct Names {
    texts: Mutex<Once<Arc<str>>>,
    sets: Mutex<Once<Labels>>,
}

impl Names {
    /// The one copy of `text`.
    pub(crate) fn one(&self, text: &str) -> Arc<str> {
        self.texts.lock().unwrap_or_else(PoisonError::into_inner).one(text, || text.into())
    }

    /// The one copy of `set`.
    pub(crate) fn set(&self, set: &Labels) -> Labels {
        self.sets.lock().unwrap_or_else(PoisonError::into_inner).one(set, || set.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_kept_once_and_let_go_when_nobody_holds_it() {
        let names = Names::default();
        let kept = names.one("arena-north");
        assert!(Arc::ptr_eq(&kept, &names.one("arena-north")));
        for n in 0..3 * FEW {
            names.one(&n.to_string());
        }
        assert!(names.texts.lock().expect("nobody panics").all.len() <= FEW);
        assert!(Arc::ptr_eq(&kept, &names.one("arena-north")), "somebody holds this one");
    }

    #[test]
    fn a_set_is_kept_once_and_let_go_when_nobody_holds_it() {
        let (names, set) = (Names::default(), |n: usize| Labels::new([("mount", n.to_string())]));
        let kept = names.set(&set(0));
        assert!(kept.is_shared());
        for n in 1..3 * FEW {
            drop(names.set(&set(n)));
        }
        assert!(names.sets.lock().expect("nobody panics").all.len() <= FEW);
        assert_eq!(names.set(&set(0)), kept);
        assert!(names.sets.lock().expect("nobody panics").all.contains(&kept), "somebody holds this one");
    }
}
