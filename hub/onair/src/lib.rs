//! Whether a site is on air, and what its calendar says: a pure core. Time is an argument, files are texts.
//!
//! 1. A [`Zone`] makes moments of local times, over both changes of summer time.
//! 2. [`Entered`] shows (of `hub.toml`) and those of an iCal [`Calendar`] become [`Show`]s: rig-up, live, strike, as moments.
//! 3. A [`Site`] takes what its tallies say, its shows and what was set by hand, and gives a [`View`].
//! 4. [`series()`] makes of a view what `/metrics`, queries and rules see.
//!
//! Invariants: a site is on air at once when a program tally is; by a tally it stays so for at least its hold; without news it ends at
//! last, unless somebody has set it by hand without an end. Between two moments of [`Site::next_change`] a view does not change.
//!
//! ```text
//! tally on 19:01 … lost 20:40, show until 22:00  →  on air 19:01–22:00
//! tally on 19:01 … off 21:50                     →  on air 19:01–22:00, its hold of 10 minutes included
//! ```

mod entered;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod ical;
mod kept;
mod series;
mod show;
mod site;
mod tally;
mod written;
mod zone;

pub use chrono::{NaiveDate, NaiveDateTime, Weekday};
pub use entered::{Entered, local_time};
pub use ical::{Calendar, Problem};
pub use kept::Kept;
pub use series::{FAMILIES, Family, Sample, series};
pub use show::{LONGEST, LONGEST_MARGIN, Margins, Phase, Show, Window};
pub use site::{HOLD, LOST_HOLD, Power, Reason, Settings, Site, View};
pub use tally::{Heard, Word};
pub use written::{Date, Day, Local};
pub use zone::{UnknownZone, Zone};
