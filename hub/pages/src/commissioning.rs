//! A box that is being set up, on its page: what was seen of it and what is still to be, and who may say that it is in service.
//!
//! Sample: `Being set up for 2 h; nobody is paged for it until Sat 28 Nov 12:00`, `LED: seen by desk at 12:04`, `tally camera-1: press it once`

use serde::Serialize;

/// The list.
#[derive(Debug, Default, Serialize)]
pub struct Commissioning {
    /// What each form has to carry.
    pub csrf: String,
    /// Where forms go: the appliance's page.
    pub action: String,
    /// Whether whoever looks may say something about it.
    pub may_act: bool,
    /// Since when, and what that means for alerts.
    pub says: String,
    /// What there is to see.
    pub items: Vec<Item>,
    /// Whether somebody is to look at the LED.
    pub led_waits: bool,
    /// Where the form goes that has the LED flash meanwhile; empty where the box does not.
    pub identify: String,
}

/// One thing to see.
#[derive(Debug, Serialize)]
pub struct Item {
    /// Whether it was seen.
    pub is_seen: bool,
    /// `Tally camera-1`.
    pub what: String,
    /// When it was seen, or what is to be done.
    pub says: String,
}
