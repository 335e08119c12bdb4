//! The agent as a process, on real time: against a broker, and with a state directory. One program, so that its tests run beside
//! each other: they wait more than they work.

#![expect(clippy::disallowed_methods, reason = "tests of real processes run on real time")]

mod broker;
mod metered;
mod panel;
mod probe;
mod probe_http;
mod probe_network;
mod recovery;
#[path = "../streams/servers.rs"]
#[expect(dead_code, reason = "the tests of streams themselves use the rest")]
mod servers;
mod spool;
mod status;
mod stream;
mod support;
mod systemd;
