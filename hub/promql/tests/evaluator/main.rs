//! The evaluator from outside: what the language means (`language`), what it asks of a source (`sources`) and what no query may do (`limits`). That it means the same in
//! Prometheus is shown in the workspace's `tests/`, by asking it.

mod asking;
mod language;
mod limits;
mod sources;
