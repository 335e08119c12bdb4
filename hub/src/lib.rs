//! Placeholder.

pub mod inbound;
pub mod listener;
