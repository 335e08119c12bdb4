//! The configuration of notifications, checked: who can be told, who is told, when, and when not.

/// What `[notify]`, `[[receiver]]`, `[[team]]`, `[[route]]`, `[[maintenance]]` and `[[inhibit]]` say, checked.
#[derive(Clone, Debug, Default)]
pub struct Policy {}
