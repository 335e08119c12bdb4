//! Placeholder.
pub mod clock;
pub mod sampler;
pub mod sensor;
pub mod ticker;
