//! Every target: those that the crates have in their own tables, and those of what is public anyway.

#[path = "wire.rs"]
mod wire;

/// A name, and what takes the bytes.
pub(crate) type Target = (&'static str, fn(&[u8]));

const PUBLIC: &[Target] =
    &[("join", wire::join), ("link", wire::link), ("topic", wire::topic), ("wire", wire::messages)];

/// By name.
pub(crate) fn all() -> Vec<Target> {
    let of_crates = [
        rackside_agent::fuzzing::TARGETS,
        rackside_hub::fuzzing::TARGETS,
        rackside_history::fuzzing::TARGETS,
        rackside_identity::fuzzing::TARGETS,
        rackside_onair::fuzzing::TARGETS,
        rackside_promql::fuzzing::TARGETS,
        PUBLIC,
    ];
    let mut all: Vec<Target> = of_crates.concat();
    all.sort_unstable_by_key(|(name, _)| *name);
    all
}
