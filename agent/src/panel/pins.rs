//! Pins as the panel sees them, whatever drives them: [`Pins`] is the whole of what a board must do.
//!
//! Two boards do it: `raspberry` on rppal, and `simulated` on a directory of files. The kernel's GPIO character device would be a
//! third. Nothing here knows what a pin is for; levels are what a voltmeter shows, never "active".
//!
//! Invariant: opening never fails as a whole. A pin that cannot be had has a [`PinError`] and no level, and the others work.
//!
//! ```text
//! wanted   in 17 pulled up, out 22 low
//! moved    17: 9 edges in 4 ms, low since
//! ```

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The largest number that a pin may have: the header's pins are BCM 0 to 27.
pub const LAST_PIN: u8 = 27;

/// What a voltmeter shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Level {
    /// Ground.
    Low,
    /// 3.3 V.
    High,
}

impl std::ops::Not for Level {
    type Output = Self;

    fn not(self) -> Self {
        match self {
            Self::Low => Self::High,
            Self::High => Self::Low,
        }
    }
}

/// The resistor that holds an input while nothing drives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pull {
    /// To 3.3 V: for a contact to ground.
    Up,
    /// To ground: for a contact to 3.3 V.
    Down,
    /// None: for what drives both levels, or brings its own resistor.
    Off,
}

impl Pull {
    /// The level of an input to which nothing is connected.
    pub const fn idle(self) -> Level {
        match self {
            Self::Up => Level::High,
            Self::Down | Self::Off => Level::Low,
        }
    }
}

/// A pin to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Input {
    /// Its BCM number.
    pub pin: u8,
    /// What holds it.
    pub pull: Pull,
    /// Edges closer together than this belong to one burst.
    pub apart: Duration,
}

/// A pin to drive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Output {
    /// Its BCM number.
    pub pin: u8,
    /// What it is driven to from the first moment on: dark, open.
    pub level: Level,
    /// How much of the time it is at the other level when it is driven there, in per cent: less than 100 dims an LED.
    pub share: u8,
}

/// Edges that follow each other so closely that they are one movement of a contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Burst {
    /// The first edge.
    pub first: Instant,
    /// The last edge.
    pub last: Instant,
    /// The level after it.
    pub level: Level,
}

/// Why a pin cannot be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PinError {
    /// This machine has no pins.
    NoBoard,
    /// The board has no such pin.
    Unknown {
        /// Its number.
        pin: u8,
    },
    /// Somebody else has it.
    Held {
        /// Its number.
        pin: u8,
    },
    /// We may not.
    Permission {
        /// The device.
        path: String,
    },
    /// Something else went wrong with this pin.
    Pin {
        /// Its number.
        pin: u8,
        /// What the system says.
        why: String,
    },
    /// Something else went wrong with all of them.
    Board {
        /// What the system says.
        why: String,
    },
    /// The simulated panel's directory cannot be used.
    Directory {
        /// Which.
        path: PathBuf,
        /// What the system says.
        why: String,
    },
}

impl PinError {
    pub(super) fn pin(pin: u8, why: &io::Error) -> Self {
        Self::Pin { pin, why: why.to_string() }
    }
}

impl fmt::Display for PinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoBoard => f.write_str(
                "this machine is no Raspberry Pi that is known here; set `simulated` in [panel] to try the panel out",
            ),
            Self::Unknown { pin } => {
                write!(f, "the board has no pin {pin}; count as the BCM does, 0 to {LAST_PIN}")
            }
            Self::Held { pin } => {
                write!(f, "pin {pin} is held by another process or driver; stop that, or choose another pin")
            }
            Self::Permission { path } => write!(
                f,
                "may not open {path}; run as a member of the group that owns it (`gpio` on Raspberry Pi OS)"
            ),
            Self::Pin { pin, why } => write!(f, "pin {pin} cannot be used: {why}"),
            Self::Board { why } => write!(f, "the board's pins cannot be opened: {why}"),
            Self::Directory { path, why } => {
                write!(f, "the simulated panel in {} cannot be used: {why}", path.display())
            }
        }
    }
}

impl std::error::Error for PinError {}

/// A board with pins.
pub trait Pins: fmt::Debug {
    /// Why this pin cannot be had; `None` while it works, and as long as it is not known yet.
    fn fault(&self, pin: u8) -> Option<PinError>;

    /// Whether every pin was opened, or could not be.
    fn is_open(&self) -> bool {
        true
    }

    /// The level of an input as it is now; `None` when it cannot be told.
    fn level(&self, pin: u8) -> Option<Level>;

    /// The oldest movement of an input that was not taken yet.
    fn take(&mut self, pin: u8) -> Option<Burst>;

    /// Wakes whoever polls at the next edge of this input. Until it is said again, further edges are only kept: a contact
    /// that chatters costs nothing but its interrupts.
    fn heed(&mut self, pin: u8);

    /// Drives an output. One that cannot be had is passed over.
    fn write(&mut self, pin: u8, level: Level);

    /// Ready when a heeded input has moved, or something else changed that [`fault`](Self::fault) tells.
    fn poll_moved(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// Lets the pins go. Whoever wants them next waits for the thread first, if there is one.
    fn close(self: Box<Self>) -> Option<JoinHandle<()>>;
}

/// The board of a panel without pins.
#[derive(Debug)]
pub(super) struct NoPins(pub(super) Option<JoinHandle<()>>);

impl Pins for NoPins {
    fn fault(&self, _: u8) -> Option<PinError> {
        None
    }

    fn level(&self, _: u8) -> Option<Level> {
        None
    }

    fn take(&mut self, _: u8) -> Option<Burst> {
        None
    }

    fn heed(&mut self, _: u8) {}

    fn write(&mut self, _: u8, _: Level) {}

    fn poll_moved(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }

    fn close(self: Box<Self>) -> Option<JoinHandle<()>> {
        self.0
    }
}
