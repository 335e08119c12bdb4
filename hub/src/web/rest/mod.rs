//! The hub's own JSON API below `/api/`, as far as it has no file of its own elsewhere: sites, appliances, series, alerts, on air and shows,
//! maintenance, who is on call. What every list has in common
//! (`paging`), what every answer that may be unchanged has (`tag`), what pages of other origins may ask (`cors`), who asks (`me`),
//! and what it all promises (`openapi`).
//!
//! Errors are [`Problem`](super::problem::Problem)s. What a visitor may not see is not there: 404, and not in a list.
//!
//! ```text
//! GET /api/sites?limit=50&after=arena-north     {"time":"…","sites":[…],"next":"hall-2"}
//! GET /api/alerts/274019e265251482              an alert, with a tag
//! POST /api/alerts/274019e265251482/acknowledge {"note":"on my way"}
//! ```

pub(super) mod alerts;
pub(crate) mod cors;
pub(super) mod maintenance;
pub(super) mod me;
mod moment;
pub(super) mod on_air;
pub(super) mod on_call;
pub(super) mod openapi;
pub(super) mod paging;
pub(super) mod sites;
pub(super) mod tag;
