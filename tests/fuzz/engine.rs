//! libFuzzer over one target of the table, which `RACKSIDE_FUZZ` names. One program for all of them: it is built and linked once.
//!
//! Started by `./run`, which knows the flags. By hand, with a file, it takes that file only:
//!
//! ```text
//! RACKSIDE_FUZZ=rtmp fuzz corpus/rtmp/connected
//! ```
#![no_main]

mod targets;

use std::sync::LazyLock;
use targets::Target;

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let wanted = std::env::var("RACKSIDE_FUZZ").unwrap_or_default();
    let target = targets::all().into_iter().find(|(name, _)| *name == wanted);
    target.unwrap_or_else(|| panic!("RACKSIDE_FUZZ is {wanted:?}, which is no target; ./run --list has them"))
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| TARGET.1(bytes));
