//! What every run of a probe may use and know.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// A site stays on air for so long after its last tally went out: between two items of a show every camera is off.
const HOLD: Duration = Duration::from_mins(10);

/// What the agent knows of its site while probes run; the agent's loop keeps it up to date.
#[derive(Debug, Default)]
pub struct Surroundings {
    on_air_until: Cell<Option<Instant>>,
    is_on_air: Cell<bool>,
    is_maintained: Cell<bool>,
    default_route: RefCell<Option<String>>,
}

impl Surroundings {
    /// The site as it stands at `now`: whether a tally is on program, whether there is maintenance, and which interface carries the
    /// default route.
    pub fn see(&self, tally: bool, maintenance: bool, default_route: Option<&str>, now: Instant) {
        if tally {
            self.on_air_until.set(Some(now + HOLD));
        }
        self.is_on_air.set(self.on_air_until.get().is_some_and(|until| now < until));
        self.is_maintained.set(maintenance);
        if self.default_route.borrow().as_deref() != default_route {
            *self.default_route.borrow_mut() = default_route.map(str::to_owned);
        }
    }

    /// Whether the site is on air, as far as it can tell itself: by its tallies, and for ten minutes after the last one.
    pub const fn is_on_air(&self) -> bool {
        self.is_on_air.get()
    }

    /// Whether somebody at the rack has announced maintenance.
    pub const fn is_maintained(&self) -> bool {
        self.is_maintained.get()
    }

    /// The interface that carries the default route.
    pub fn default_route(&self) -> Option<String> {
        self.default_route.borrow().clone()
    }
}

/// What a run may use. A copy shares all of it.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// What is known of the site.
    pub surroundings: Rc<Surroundings>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    #[test]
    fn on_air_rises_at_once_and_falls_ten_minutes_after_the_last_tally() {
        let (site, start) = (Surroundings::default(), Clock::now());
        let at = |seconds, tally| {
            site.see(tally, false, None, start + Duration::from_secs(seconds));
            site.is_on_air()
        };
        assert!(!at(0, false));
        assert!(at(1, true));
        assert!(at(2, false) && at(600, false));
        assert!(!at(601, false));
    }
}
