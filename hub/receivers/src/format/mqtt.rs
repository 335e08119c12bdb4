//! A topic on a broker: Alertmanager's payload, small enough for any broker.
//!
//! ```json
//! {"receiver":"stage","status":"firing","alerts":[…],…}
//! ```

use super::{Letter, payload};
use crate::MqttParcel;

/// Below the 64 KiB that brokers and clients with small buffers are set to.
const LIMIT: usize = 60 * 1024;

pub(super) fn parcel(letter: &Letter, topic: &str, retain: bool) -> MqttParcel {
    MqttParcel { topic: topic.to_owned(), payload: payload::json(letter, LIMIT), retain }
}
