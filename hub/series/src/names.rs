//! One copy of each text that labels share: metrics' names, labels' names, values such as a site's.
//!
//! Sixty series of a thousand racks have the same sixty names, and each rack's name stands on all of its series; kept once, a label
//! costs two pointers. What nobody holds any more is let go when the store has doubled since it was looked through last.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// Below so many texts nobody looks for ones that are not needed.
const FEW: usize = 4096;

/// Texts, each once.
#[derive(Debug, Default)]
pub(crate) struct Names {
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    texts: HashSet<Arc<str>>,
    /// How many there were when it was looked through last.
    after_look: usize,
}

impl Names {
    /// The one copy of `text`.
    pub(crate) fn one(&self, text: &str) -> Arc<str> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = held.texts.get(text) {
            return Arc::clone(known);
        }
        if held.texts.len() >= FEW.max(2 * held.after_look) {
            held.texts.retain(|text| Arc::strong_count(text) > 1);
            held.texts.shrink_to_fit();
            held.after_look = held.texts.len();
        }
        let text: Arc<str> = text.into();
        held.texts.insert(Arc::clone(&text));
        text
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
        assert!(names.held.lock().expect("nobody panics").texts.len() <= FEW);
        assert!(Arc::ptr_eq(&kept, &names.one("arena-north")), "somebody holds this one");
    }
}
