//! Runs promtool's unit-test files of rules.
