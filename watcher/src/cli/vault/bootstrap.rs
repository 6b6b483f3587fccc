//! `fleetwright vault bootstrap`: writes what the job that configures Vault needs, and runs it.

use jiff::Timestamp;
use serde_json::json;

use super::super::options::vault_token;
use super::super::{Exit, Global, print_text};
use super::target::Target;
use crate::error::CommandError;
use crate::live::{Bootstrapping, Step};
use crate::vault::Bootstrap;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    target: Target,
    /// Only show what would be done.
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn run(global: &Global, args: &Args) -> Result<Exit, CommandError> {
    let hub = args.target.hub(global)?;
    let bootstrap = hub.rendered.clusters.get(hub.name.as_str()).map(|rendered| Bootstrap::read(rendered));
    let bootstrap =
        bootstrap.unwrap_or_else(|| Err("nothing is rendered for it".to_owned())).map_err(|reason| {
            CommandError::usage(
                format!("nothing says what Vault on `{}` needs: {reason}", hub.name),
                "compare with `templates/addons/vault`",
            )
        })?;
    let token = vault_token()?;
    hub.work(async |client, waiting| {
        let run = Bootstrapping {
            hub: client,
            bootstrap: &bootstrap,
            token: &token,
            is_dry: args.dry_run,
            waiting,
        };
        let show = |step: &Step| global.show_step(step, args.dry_run);
        let mut written = String::new();
        let log = |text: &str| {
            text.clone_into(&mut written);
            if !global.is_json() {
                print_text(&format!("  {}\n", text.trim_end().replace('\n', "\n  ")));
            }
        };
        let number = u64::try_from(Timestamp::now().as_second()).unwrap_or_default();
        let steps = run.run(number, show, log).await?;
        let document =
            || json!({ "cluster": hub.name, "dryRun": args.dry_run, "steps": steps, "log": written });
        global.show(document, String::new);
        Ok(Exit::Done)
    })
}
