//! `rackside-hub`: takes in the telemetry of many sites, keeps the fleet, serves its metrics and its page.
//!
//! A guided tour, in the order in which a message takes it:
//!
//! 1. It comes in over the hub's own [`listener`] or through an outside [`broker`]; both make it an
//!    [`Inbound`](inbound::Inbound), and nothing further down knows which it was.
//! 2. [`ingest`] decodes it, accounts for it, puts it into a batch; what it cannot take it counts.
//! 3. [`storage`] has the batch written to the disk; only then does ingest ack it.
//! 4. [`fleet`] holds the latest value of every series of every appliance, and whether it is up.
//! 5. [`query`] holds the last window of it all and answers for rules and PromQL, with what the disk has of before.
//! 6. [`onair`] knows which site is on air: by its tallies, its calendar, by hand.
//! 7. [`rules`] evaluates alert rules over it, on their interval and at once when an event touches what they read.
//! 8. [`notify`] tells people of the alerts that fire.
//! 9. [`web`] shows the fleet: `/metrics` (as [`text`]), `/health`, `/api`, the page. [`mirror`] says it in JSON over MQTT.
//!
//! Agents come with a password or, once they have joined, with a certificate of the hub's own authority: [`identity`].
//!
//! How they are configured the hub can say, from files, in stages: [`rollout`].
//!
//! [`app`] starts and stops all of it by what [`config`] says, and [`site`] of venues; [`cli`] reads the command line, [`run`] does what it says;
//! [`decode`], [`password`], [`rules_command`], `notify_command`, `access_command`, `configuration_command`, `identity_command` and `fleet_command` are for its commands that need no hub. Only [`clock`] reads a clock.

mod access_command;
pub mod app;
pub mod broker;
pub mod cli;
pub mod clock;
pub mod command;
pub mod config;
mod configuration_command;
pub mod configure;
pub mod decode;
pub mod fleet;
mod fleet_command;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
pub mod identity;
mod identity_command;
pub mod inbound;
pub mod ingest;
pub mod json;
pub mod listener;
pub mod logging;
pub mod mirror;
pub use rackside_pages::moment;
pub mod notify;
mod notify_command;
pub mod onair;
pub mod password;
mod pulse;
pub mod query;
mod reload;
pub mod rollout;
pub mod rules;
pub mod rules_command;
pub mod run;
pub mod shutdown;
pub mod site;
pub mod status;
pub mod stills;
pub mod storage;
pub mod text;
mod turns;
pub mod web;

#[cfg(test)]
#[path = "../tests/rack/mod.rs"]
mod rack;
