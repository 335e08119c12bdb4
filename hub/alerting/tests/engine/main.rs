//! The engine as a whole, in virtual time, over series in memory.
//!
//! `at_once` is what changed series bring about, `freeze` what silence does, `reload` what goes on when files change or the program
//! starts anew, `shown` what is told of it, `model` random histories against a plain model of an alert's life, and `promtool` random
//! histories as unit-test files on which the real promtool has to agree.

mod at_once;
mod freeze;
mod model;
mod promtool;
mod reload;
mod scene;
mod shown;
