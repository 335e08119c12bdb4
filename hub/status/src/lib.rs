//! What the public is told: for each site how much of each day it was well, and incidents that somebody has put into words. In `status.db`.
//!
//! Knows no alerts, no pages and no clock: whoever counts hands in how long a site was looked at and how long it was disturbed of that. What nobody looked at
//! (the hub was off, the site was off the air) is not known, and not well.
//!
//! Invariants: of a day no more is disturbed than is known; a book has a bounded number of incidents and days.
//!
//! ```text
//! arena-north  2026-11-20  known 86,400 s, disturbed 312 s      incident 3: "Picture frozen", from 21:04 to 21:09, stage office
//! ```

mod book;
mod error;

pub use book::{Book, Day, Incident, MOST_DAYS, NewIncident, backup};
pub use error::BookError;
