//! Turns at devices that must not be asked too often: one question at a time, and so long between two.
//!
//! An encoder's web server is the smallest part of it, and its picture must not suffer from being watched. All probes of one device
//! share its turns, by its host's name. Invariant: nothing is asked without a turn, and one that nobody waits for any more is given back.
//!
//! ```text
//! two probes of 192.0.2.30, a second apart:   ask ┃ answer · · · ┃ ask ┃ answer · ┃ ask …
//! ```

use crate::clock::Clock;
use async_io::Timer;
use smol::lock::{Mutex, MutexGuardArc};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// When a device was asked last.
type Asked = Mutex<Option<Instant>>;

/// The devices.
#[derive(Debug, Default)]
pub struct Pace {
    devices: RefCell<BTreeMap<String, Arc<Asked>>>,
}

/// The right to ask one device, until it is dropped.
#[derive(Debug)]
pub struct Turn(
    #[expect(dead_code, reason = "held, so that nobody else asks")] MutexGuardArc<Option<Instant>>,
);

impl Pace {
    /// Waits for a turn: until nobody asks the device, and the last question is `apart` ago.
    pub async fn turn(&self, device: &str, apart: Duration) -> Turn {
        let asked = Arc::clone(self.devices.borrow_mut().entry(device.to_owned()).or_default());
        let mut asked = asked.lock_arc().await;
        if let Some(last) = *asked {
            Timer::at(last + apart).await;
        }
        *asked = Some(Clock::now());
        Turn(asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::future;

    const APART: Duration = Duration::from_secs(1);

    #[test]
    fn a_device_is_asked_once_at_a_time_and_no_more_often() {
        let pace = Pace::default();
        let begun = Clock::now();
        let pace = &pace;
        let ask = |apart: Duration| async move {
            drop(pace.turn("a", apart).await);
            begun.elapsed()
        };
        let (first, second) = smol::block_on(future::zip(ask(APART), ask(APART)));
        assert!(first < APART && second >= APART, "{first:?} {second:?}");
        let held = smol::block_on(pace.turn("a", Duration::ZERO));
        assert!(smol::block_on(future::poll_once(ask(Duration::ZERO))).is_none(), "somebody asks");
        assert!(smol::block_on(future::poll_once(pace.turn("b", APART))).is_some(), "another device");
        drop(held);
        assert!(smol::block_on(future::poll_once(ask(Duration::ZERO))).is_some());
    }

    #[test]
    fn a_turn_that_nobody_waits_for_is_given_back() {
        let pace = Pace::default();
        drop(smol::block_on(pace.turn("a", APART)));
        let waits = smol::block_on(future::poll_once(pace.turn("a", Duration::from_hours(1))));
        assert!(waits.is_none());
        let begun = Clock::now();
        smol::block_on(pace.turn("a", Duration::ZERO));
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
}
