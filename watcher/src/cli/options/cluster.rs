//! Which cluster of the inventory a command is about.

use std::sync::Arc;

use renderer::inventory::{self, Cluster, Inventory, InventoryCache};
use renderer::path::ClusterName;
use renderer::plural::quoted_up_to;
use renderer::problem::hint_at_near;
use secrecy::SecretString;

use super::global::Global;
use crate::cluster::{Client, Contexts};
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

/// Returns the hub that is named, or the only one.
pub(in crate::cli) fn check_hub<'i>(
    inventory: &'i Inventory,
    name: Option<&str>,
) -> Result<&'i Arc<Cluster>, CommandError> {
    let mut hubs = inventory.clusters.values().filter(|it| it.name == it.hub);
    if let Some(name) = name {
        let cluster = check_cluster(inventory, name)?;
        return if cluster.name == cluster.hub {
            Ok(cluster)
        } else {
            let hint = format!("its hub is `{}`", cluster.hub);
            Err(CommandError::usage(format!("`{name}` is no hub"), hint))
        };
    }
    match (hubs.next(), hubs.next()) {
        (Some(only), None) => Ok(only),
        _ => Err(CommandError::usage("which hub?", "name one of the clusters that are their own hub")),
    }
}

/// Returns the cluster that has a context of its name.
pub(in crate::cli) async fn client_of(contexts: &Contexts, name: &str) -> Result<Client, CommandError> {
    let client = contexts.client(name).await.ok_or_else(|| {
        CommandError::usage(
            format!("no context of the kubeconfig is called `{name}`"),
            format!("bring it in with `fleetwright kubeconfig merge {name} FILE`"),
        )
    })?;
    Ok(client?)
}

/// Returns the token for Vault, from where Vault's own program reads it.
pub(in crate::cli) fn vault_token() -> Result<SecretString, CommandError> {
    let token = std::env::var("VAULT_TOKEN").ok().filter(|token| !token.is_empty());
    token.map(SecretString::from).ok_or_else(|| {
        CommandError::usage(
            "there is no token for Vault",
            "put it into the environment variable `VAULT_TOKEN`",
        )
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
