//! A disk whose power can be cut at every step, for tests.
