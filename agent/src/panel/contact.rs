//! A contact at a pin: a tally's or a button's.

use super::config;
use super::debounce::{Change, Debounce, State};
use super::pins::{Input, Level, Pins};
use std::time::Instant;

/// A contact, and what is told of it.
#[derive(Debug)]
pub(super) struct Contact {
    pin: u8,
    active: Level,
    debounce: Debounce,
    fault: Option<String>,
}

impl Contact {
    pub(super) fn new(contact: &config::Contact) -> Self {
        let debounce = Debounce::new(contact.debounce);
        Self { pin: contact.pin, active: contact.active, debounce, fault: None }
    }

    /// The pin that it needs.
    pub(super) const fn input(contact: &config::Contact) -> Input {
        Input { pin: contact.pin, pull: contact.pull, apart: contact.debounce }
    }

    /// What is told of it.
    pub(super) const fn state(&self) -> State {
        self.debounce.state()
    }

    /// Whether it is closed, as told by `state`; `None` while nobody can tell.
    pub(super) fn closed(&self, state: State) -> Option<bool> {
        match state {
            State::At(level) => Some(level == self.active),
            State::Unknown | State::Chatters => None,
        }
    }

    /// Why nobody can tell, if that is worth telling.
    pub(super) fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }

    /// Takes what its pin did, and gives what is told of it since then. `glance` looks at the level as well, in case an edge was missed.
    pub(super) fn step(&mut self, pins: &mut dyn Pins, glance: bool, now: Instant) -> Vec<Change> {
        let mut told = Vec::new();
        while let Some(burst) = pins.take(self.pin) {
            told.extend(self.debounce.moved(burst));
        }
        match pins.level(self.pin) {
            Some(level) if glance || self.debounce.state() == State::Unknown => {
                if self.debounce.seen(level, now) {
                    log::debug!("pin {} moved without an edge", self.pin);
                }
            }
            Some(_) => {}
            None => told.extend(self.debounce.lost(now)),
        }
        while let Some(change) = self.debounce.step(now) {
            told.push(change);
        }
        if self.debounce.is_at_rest() {
            pins.heed(self.pin);
        }
        self.fault = match (pins.fault(self.pin), self.debounce.state()) {
            (Some(error), _) => Some(error.to_string()),
            (None, State::Chatters) => Some(format!(
                "the contact at pin {} chatters: look at its wiring, or give it a longer debounce",
                self.pin
            )),
            (None, _) => None,
        };
        told
    }

    /// When it has something to tell if it does not move again.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.debounce.deadline()
    }
}
