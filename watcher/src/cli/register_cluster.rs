//! `fleetwright register-cluster`: makes a spoke known to its hub.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use tokio::time::Instant;

use super::options::{ProfileArgs, check_cluster, client_of, time, vault_token};
use super::runtime::until_stopped;
use super::{Exit, Global};
use crate::cluster::Contexts;
use crate::error::CommandError;
use crate::events::Cancel;
use crate::live::{Register, Step, Waiting};
use crate::vault::Registration;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The spoke, as the inventory calls it.
    cluster: String,
    /// Only show what would be done.
    #[arg(long)]
    dry_run: bool,
    /// Wait no longer than this for the hub, such as `90s` or `10m`.
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = time)]
    timeout: Duration,
    #[command(flatten)]
    profile: ProfileArgs,
}

pub(super) fn run(global: &Global, args: &Args) -> Result<Exit, CommandError> {
    let rendered = global.render_working_tree(&global.working_tree()?, &args.profile)?;
    let cluster = check_cluster(&rendered.inventory, &args.cluster)?;
    let registration = Registration::read(&rendered, cluster).ok_or_else(|| {
        CommandError::usage(
            format!("nothing is rendered that registers `{}` on a hub", cluster.name),
            "name a spoke whose credential comes from a secret store in Vault",
        )
    })?;
    let token = vault_token()?;
    until_stopped(async |cancel: &Cancel| {
        let contexts = Contexts::read();
        let hub = client_of(&contexts, cluster.hub.as_str()).await?;
        let spoke = client_of(&contexts, cluster.name.as_str()).await?;
        let register = Register {
            hub: &hub,
            spoke: &spoke,
            registration: &registration,
            token: &token,
            is_dry: args.dry_run,
            waiting: Waiting { deadline: Instant::now() + args.timeout, cancel },
        };
        let moment = Timestamp::now().to_string();
        let show = |step: &Step| global.show_step(step, args.dry_run);
        let steps = register.run(&moment, show).await?;
        let document =
            || json!({ "cluster": cluster.name, "hub": cluster.hub, "dryRun": args.dry_run, "steps": steps });
        global.show(document, String::new);
        Ok(Exit::Done)
    })
}
