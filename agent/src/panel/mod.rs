//! The rack's front. For now only which board it would hang on; inputs, LEDs and relays come with the panel's own work.

mod board;

pub use board::Board;
