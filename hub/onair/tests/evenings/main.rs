//! Evenings, and what a site makes of them: scenarios on virtual time, and random ones held to what has to be so always.

mod properties;
mod scenarios;
mod stage;
