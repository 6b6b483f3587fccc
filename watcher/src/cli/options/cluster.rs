//! Which cluster of the inventory a command is about.

use std::sync::Arc;

use renderer::inventory::{self, Cluster, Inventory, InventoryCache};
use renderer::path::ClusterName;
use renderer::plural::quoted_up_to;
use renderer::problem::hint_at_near;

use super::global::Global;
use crate::error::CommandError;
use crate::working_tree::read_working_tree;

/// How many clusters a hint names.
const MAX_NAMED: usize = 10;

/// Returns a cluster of the inventory, or a hint at those that there are.
pub(in crate::cli) fn check_cluster<'i>(
    inventory: &'i Inventory,
    name: &str,
) -> Result<&'i Arc<Cluster>, CommandError> {
    inventory.clusters.get(name).ok_or_else(|| {
        let names = || inventory.clusters.keys().map(ClusterName::as_str);
        let hint =
            hint_at_near(name, names(), || format!("the clusters are {}", quoted_up_to(MAX_NAMED, names())));
        CommandError::usage(format!("there is no cluster `{}`", name.escape_debug()), hint)
    })
}

/// Returns a cluster as the working tree describes it.
pub(in crate::cli) fn known_cluster(global: &Global, name: &str) -> Result<Arc<Cluster>, CommandError> {
    let (snapshot, mut problems) = read_working_tree(&global.working_tree()?)?;
    let (inventory, more) = inventory::read(&snapshot, &mut InventoryCache::default());
    problems.extend(more);
    if problems.is_empty() {
        return check_cluster(&inventory, name).cloned();
    }
    problems.sort();
    problems.dedup();
    Err(CommandError::Problems { problems })
}
