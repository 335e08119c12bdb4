//! Servers that stand in for devices and services which no test can have, written from their documentation.
//!
//! [`http`] is what they share: a real socket, real HTTP, and faults on demand. Each other file is one device or service: its answers as
//! functions of a small state that a test changes. What of them is not confirmed is in `README.md`, beside this file.

pub mod azuracast;
mod door;
pub mod helo;
pub mod http;
pub mod mediamtx;
pub mod obs;
pub mod provider;
pub mod vimeo;
pub mod vmix;
pub mod web_presenter;
