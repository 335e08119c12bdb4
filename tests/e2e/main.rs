//! The promises to the user, end to end: real programs, real brokers, real time where the promise is in seconds.
//!
//! Each test has its own hub, agent, broker, ports and directories. What a single part can be held to without the others
//! stands in that part's own tests.

mod alarm;
mod api;
mod brokers;
mod chaos;
mod chart;
mod command;
mod complete;
mod configure;
mod cross;
mod custody;
mod desk;
mod down;
mod fleet;
mod join;
mod lamp;
mod lasting;
mod metered;
mod names;
mod page;
mod queries;
#[path = "../../hub/tests/rack/mod.rs"]
mod rack;
mod rubbish;
mod seen;
mod set_up;
mod sign_on;
mod stills;
mod stop;
mod ways;
mod who;
