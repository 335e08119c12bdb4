//! Rule files in Prometheus's format, and the lives of the alerts that they make.
//!
//! [`RuleFile`] reads and checks a file; [`Template`](template::Template) writes labels and annotations. This crate knows no clock, no network
//! and no threads, and reads nothing but the rule files themselves ([`RuleFile::open`]): whoever calls it brings the time and the series.

pub mod duration;
mod file;
pub mod template;
pub mod unit_test;
pub mod yaml;

pub use file::{Action, AlertSpec, Fault, GroupSpec, Lint, RuleFile, RuleSpec};
