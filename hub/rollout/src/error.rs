//! What is wrong, in a line for whoever edits the files.
//!
//! Sample: `tags/city.toml:3: mqtt.address: is the box's own business and is not sent; take it out`

use std::fmt;

/// A line that says what is wrong, where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault(pub String);

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Fault {}
