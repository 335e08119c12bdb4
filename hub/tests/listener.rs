//! The hub's own listener beside real clients (mosquitto's, Python's paho), on the wire, and against hostile ones.
//!
//! Each test starts a listener of its own in this process on a free port. Nothing sleeps for a limit's default: limits
//! are set short instead. A missing tool fails the test and names its Debian package.

#[path = "listener/hostile.rs"]
mod hostile;
#[path = "listener/identity.rs"]
mod identity;
#[path = "listener/mosquitto.rs"]
mod mosquitto;
#[path = "listener/paho.rs"]
mod paho;
#[path = "listener/readers.rs"]
mod readers;
#[path = "listener/stage.rs"]
mod stage;
#[path = "listener/start.rs"]
mod start;
#[path = "listener/wire.rs"]
mod wire;
