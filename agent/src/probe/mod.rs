//! The probes: what this box asks of the world around it.
//!
//! A sensor reads this box; a probe asks something else, which may be slow, silent, or lie. So each has a schedule of its own, a
//! timeout, and a task that nobody waits for. From the outside in: [`Probes`] is what the agent's loop steps; [`schedule`] says when a
//! probe is due, [`outcome`] is what it found, [`results`] what is known of it between two runs; [`kind`] holds the kinds, one file
//! each, and [`config`] what the file says of them. What several kinds need is here as well.
//!
//! A new kind of probe is one file in `kind/`, one row in [`config::KINDS`], one block of the example configuration and a line for each
//! of its series in `docs/metrics.md`.
//!
//! Invariants: whatever a probe does, the reading is taken in time and no other probe waits for it, short of [`MOST_LIGHT`] that hang at
//! once; what could not be told is unknown, never what it was and never "down".
//!
//! ```text
//! [[probe.tcp]] name = "encoder", target = "192.0.2.30:1935"
//!   every 30 s, at most 5 s:  up, 1.8 ms   →  rackside_probe_success{probe="encoder",type="tcp"} 1
//!   refused                   →  the same, 0, as an event at that millisecond; and the log says why
//! ```

mod ask;
pub mod certificate;
pub mod child;
pub mod config;
mod context;
pub mod dial;
pub mod http;
pub mod icmp;
pub mod kind;
pub mod locator;
pub mod login;
pub(crate) mod loose;
pub mod mask;
pub mod mean;
pub mod outcome;
pub mod pace;
pub(crate) mod patience;
pub mod recovery;
pub mod results;
mod runner;
pub mod schedule;
pub mod secure;
pub mod stills;
pub mod streak;
mod track;

pub use context::{Context, Surroundings};
pub use outcome::{Outcome, State};
pub use runner::{Known, MOST_HEAVY, MOST_LIGHT, News, Probes};

use std::pin::Pin;

/// A run that goes on.
pub type Running<'a> = Pin<Box<dyn Future<Output = Outcome> + 'a>>;

/// Something that can be asked again and again. It keeps what it wants to know from one run to the next.
pub trait Probe {
    /// Asks once. The runner drops this future when its time is over, so whatever it opened must close with it.
    fn run<'a>(&'a mut self, context: &'a Context) -> Running<'a>;

    /// What a run that its time ended has found; `why` says that it was too slow. Down, unless that says nothing of the target.
    fn late(&mut self, why: String) -> Outcome {
        Outcome::down(why)
    }
}
