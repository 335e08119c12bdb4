//! Pictures for messages: the last hour of what an alert watches, asked of the same series as every query.
//!
//! ```text
//! Message (SocHot, hall/rack-1) ─▶ rackside_receivers::chart::last_hour ─ Fleetwide ─▶ 121 points
//! ```

use crate::clock;
use crate::query::Fleetwide;
use rackside_promql::{Limits, Stop};
use rackside_receivers::chart::last_hour;
use rackside_receivers::worker::Charts;
use std::sync::Arc;
use std::time::Duration;

/// A message does not wait for its picture any longer than that.
const PATIENCE: Duration = Duration::from_secs(2);

/// Draws from these series, within these limits.
pub(crate) fn charts(series: Arc<Fleetwide>, limits: Limits<'static>) -> Charts {
    Box::new(move |message, _| {
        let begun = clock::now().instant;
        let stop = || (clock::now().since(begun) > PATIENCE).then_some(Stop::Timeout);
        last_hour(message, &*series, &Limits { stop: Some(&stop), ..limits })
    })
}
