//! `fleetwright vault unseal`: unseals each replica with the keys that are typed or piped in.

use std::io::{IsTerminal as _, stdin};

use secrecy::SecretString;
use serde_json::json;

use super::super::{Exit, Global, print_report};
use super::prompt::{ask, next_line};
use super::target::Target;
use crate::error::CommandError;
use crate::live::{Progress, Step, Unsealing, Vault};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    target: Target,
}

pub(super) fn run(global: &Global, args: &Args) -> Result<Exit, CommandError> {
    let hub = args.target.hub(global)?;
    let store = hub.store()?;
    hub.work(async |client, waiting| {
        let find = async || Vault::find(client, &store).await.map(Some);
        let vault = waiting.until(("Vault", &hub.name, ""), find).await?;
        let is_terminal = stdin().is_terminal();
        let key = async |number: usize| -> Result<Option<SecretString>, CommandError> {
            if is_terminal {
                ask(&format!("key {number}, or nothing to end: "), waiting.cancel).await
            } else {
                next_line(waiting.cancel).await
            }
        };
        let show = |Progress { pod, given, needed }: &Progress<'_>| {
            if !global.is_json() {
                print_report(&format!("`{pod}` has {given} of {needed} keys"));
            }
        };
        let done = |step: &Step| global.show_step(step, false);
        let unsealed = Unsealing::new(&vault, waiting).run(key, show, done).await?;
        for number in &unsealed.wrong {
            print_report(&format!("key {number} is wrong"));
        }
        let document =
            || json!({ "cluster": hub.name, "steps": unsealed.steps, "wrongKeys": unsealed.wrong });
        global.show(document, String::new);
        Ok(Exit::Done)
    })
}
