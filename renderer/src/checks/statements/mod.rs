//! What `addon.yaml` says of a chart, held against what the chart makes: a statement that is not true misleads every
//! check that reads it.

mod content;
mod exposed;
mod names;
mod reached;

pub use content::{AddonObjects, UntrueStatement};

/// Services, Secrets, storage classes, the beginning of names, exposures and ports: each is made as it is said, and what
/// is said to be all of a kind is all.
pub(super) fn statements_are_true(it: &AddonObjects<'_>) -> Vec<UntrueStatement> {
    let of_names = names::services(it).into_iter().chain(names::secrets(it)).chain(names::classes(it));
    let of_exposures = exposed::exposed(it).into_iter().chain(exposed::unsaid(it));
    of_names.chain(of_exposures).chain(reached::reached(it)).collect()
}
