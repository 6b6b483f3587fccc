//! Which hub's Vault it is, and how long it may take.

use std::time::Duration;

use renderer::render::Rendered;
use tokio::time::Instant;

use super::super::options::{ProfileArgs, check_hub, client_of, time};
use super::super::runtime::until_stopped;
use super::super::{Exit, Global};
use crate::cluster::{Client, Contexts};
use crate::error::CommandError;
use crate::events::Cancel;
use crate::live::Waiting;
use crate::vault::Store;

#[derive(Debug, clap::Args)]
pub(super) struct Target {
    /// The hub whose Vault it is, as the inventory calls it; may be left out if the fleet has one.
    cluster: Option<String>,
    /// Wait no longer than this for the hub, such as `90s` or `10m`.
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = time)]
    timeout: Duration,
    #[command(flatten)]
    profile: ProfileArgs,
}

/// The hub.
pub(super) struct Hub {
    pub name: String,
    pub rendered: Rendered,
    timeout: Duration,
}

impl Target {
    /// Finds the hub and what is rendered for it.
    pub fn hub(&self, global: &Global) -> Result<Hub, CommandError> {
        let rendered = global.render_working_tree(&global.working_tree()?, &self.profile)?;
        let name = check_hub(&rendered.inventory, self.cluster.as_deref())?.name.to_string();
        Ok(Hub { name, rendered, timeout: self.timeout })
    }
}

impl Hub {
    /// Returns where the hub's secrets are.
    pub fn store(&self) -> Result<Store, CommandError> {
        let rendered = self.rendered.clusters.get(self.name.as_str());
        rendered.and_then(|rendered| Store::of_cluster(rendered)).ok_or_else(|| {
            CommandError::usage(
                format!("no secret store in Vault is rendered for `{}`", self.name),
                "name a hub that has a `ClusterSecretStore`",
            )
        })
    }

    /// Works on the hub until it is done or a signal asks it to stop.
    pub fn work(
        &self,
        work: impl AsyncFnOnce(&Client, Waiting<'_>) -> Result<Exit, CommandError>,
    ) -> Result<Exit, CommandError> {
        until_stopped(async |cancel: &Cancel| {
            let client = client_of(&Contexts::read(), &self.name).await?;
            work(&client, Waiting { deadline: Instant::now() + self.timeout, cancel }).await
        })
    }
}
