//! Publishing, by whatever the hub has: its own listener, or its link to a broker.

use crate::MqttParcel;
use std::fmt;
use std::pin::Pin;

/// What comes of a publish: done, or why not for now.
pub type Publishing<'a> = Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;

/// Publishes.
pub trait Publisher: fmt::Debug + Send + Sync {
    /// Publishes, and returns when the message is with the broker; else in one line why it is not yet.
    fn publish<'a>(&'a self, parcel: &'a MqttParcel) -> Publishing<'a>;
}
