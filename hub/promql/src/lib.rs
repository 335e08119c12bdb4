//! PromQL: a query is parsed once and evaluated over series that a [`Source`] hands in, at one moment or at many.
//!
//! The language is that of Prometheus 2.42; where an answer differs, `DIFFERENCES.md` says so and why. This crate is neither a store nor a
//! server: it knows no clock, no files, no network and no threads. Whoever calls it brings the time, the series and the limits.
//!
//! A query's way: `scan` bounds the text, the crate promql-parser reads its grammar, `lower` makes of its tree an expression in which nothing
//! can be wrong any more, and `eval` works through that, part by part, each part for all steps at once.
//!
//! ```
//! use rackside_promql::{Answer, Labels, Limits, Memory, Query, Sample};
//!
//! let mut memory = Memory::new();
//! memory.push(Labels::new([("__name__", "up"), ("site", "hall")]), [Sample::new(60_000, 1.0)]);
//! let query = Query::parse(r#"up{site=~"h.*"} + 1"#)?;
//! let Answer::Vector(points) = query.instant(&memory, 90_000, &Limits::default())?.answer else { panic!("a vector plus a number is a vector") };
//! assert_eq!((points[0].labels.to_string(), points[0].sample.value), (r#"{site="hall"}"#.to_owned(), 2.0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod answer;
mod dialect;
pub mod duration;
mod error;
mod eval;
mod expr;
mod function;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod labels;
mod limits;
mod matcher;
mod memory;
mod number;
mod parse;
mod pattern;
mod query;
mod quoted;
mod sample;
mod source;
mod table;
mod value;

pub use answer::{Answer, Line, Outcome, Point};
pub use error::{ErrorType, EvalError, ParseError};
pub use labels::{Edit, Label, Labels, METRIC_NAME, is_label_name, is_metric_name};
pub use limits::{Limits, Stop};
pub use matcher::{Matcher, Test};
pub use memory::Memory;
pub use number::{format_float, format_value};
pub use pattern::{Pattern, go_regex};
pub use query::{Query, format_query, parse_selector};
pub use sample::{STALE, Sample, is_stale};
pub use source::{Reduce, Select, Source, SourceError, Take, Wanted};
pub use value::Type;
