//! `fleetwright vault init`: initializes Vault; its keys and its first token are shown, or written, this once.

use std::fs;
use std::io::{IsTerminal as _, Write as _, stdout};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use super::super::{Exit, Global, print_report, print_secret};
use super::target::Target;
use crate::cluster::ClusterError;
use crate::error::CommandError;
use crate::live::{Step, Vault, initialize};
use crate::secrets::{create_file, read_file};
use crate::vault::{Keys, Standing};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    target: Target,
    /// Write the keys and the token into this new file, which its owner alone may read, and show nothing.
    #[arg(long, value_name = "FILE")]
    keys_file: Option<PathBuf>,
    /// Make so many keys.
    #[arg(long, value_name = "COUNT", default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..))]
    key_shares: u8,
    /// Let so many of them unseal it.
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..))]
    key_threshold: u8,
}

pub(super) fn run(global: &Global, args: &Args) -> Result<Exit, CommandError> {
    args.check(global)?;
    let hub = args.target.hub(global)?;
    let store = hub.store()?;
    hub.work(async |client, waiting| {
        let look = async || {
            let vault = Vault::find_whole(client, &store).await?;
            Ok(Some((is_initialized(&vault).await?, vault)))
        };
        let (is_initialized, vault) = waiting.until(("Vault", &hub.name, ""), look).await?;
        let is_new = args.initialize(&vault, is_initialized).await?;
        let document = || json!({ "cluster": hub.name, "keysFile": args.keys_file, "initialized": is_new });
        if global.is_json() {
            global.show(document, String::new);
        } else if let Some(file) = &args.keys_file {
            let step = Step { what: format!("Vault's keys in `{}`", file.display()), changed: is_new };
            global.show_step(&step, false);
        }
        Ok(Exit::Done)
    })
}

async fn is_initialized(vault: &Vault<'_>) -> Result<bool, ClusterError> {
    for pod in vault.pods() {
        if vault.standing(pod).await? != Standing::Uninitialized {
            return Ok(true);
        }
    }
    Ok(false)
}

impl Args {
    /// Refuses what would lose the keys, before there are any.
    fn check(&self, global: &Global) -> Result<(), CommandError> {
        if self.key_threshold > self.key_shares || (self.key_threshold == 1 && self.key_shares > 1) {
            return Err(CommandError::usage(
                format!("{} of {} keys cannot unseal Vault", self.key_threshold, self.key_shares),
                "let at least two of several keys unseal it, and no more than there are",
            ));
        }
        if self.keys_file.is_none() && (global.is_json() || !stdout().is_terminal()) {
            return Err(CommandError::usage(
                "the keys are shown on a terminal alone",
                "run it on a terminal, or name a new file with `--keys-file`",
            ));
        }
        Ok(())
    }

    /// Initializes Vault, and returns whether it was not, with its keys in the file.
    async fn initialize(&self, vault: &Vault<'_>, is_initialized: bool) -> Result<bool, CommandError> {
        let (has_keys, is_empty) = match self.keys_file.as_deref().map(|file| (file, read_file(file))) {
            Some((_, Ok(text))) => (Keys::is_text(&text), text.expose_secret().is_empty()),
            _ => (false, false),
        };
        if is_initialized && has_keys {
            return Ok(false);
        }
        if is_initialized {
            let hint = if is_empty {
                "the file is of a run that was ended before it had the keys: docs/platform/systems/vault.md says what is left to do"
            } else {
                "unseal it with the keys that it gave then: `fleetwright vault unseal`"
            };
            return Err(ClusterError::missing("Vault is initialized already", vault.cluster(), hint).into());
        }
        let Some(path) = &self.keys_file else {
            let keys = initialize(vault, self.key_shares, self.key_threshold).await?;
            print_secret(&self.page(&keys));
            return Ok(true);
        };
        let unwritten = |source| CommandError::Write { path: path.clone(), source };
        if is_empty {
            fs::remove_file(path).map_err(unwritten)?;
        }
        let mut file = create_file(path).map_err(unwritten)?;
        let keys = match initialize(vault, self.key_shares, self.key_threshold).await {
            Ok(keys) => keys,
            Err(error) => {
                // Nothing is in it.
                let _ = fs::remove_file(path);
                return Err(error.into());
            }
        };
        let text = keys.text();
        if let Err(source) = file.write_all(text.expose_secret().as_bytes()).and_then(|()| file.sync_all()) {
            self.rescue(&keys, path);
            return Err(unwritten(source));
        }
        Ok(true)
    }

    /// Shows keys that could not be written: they would be lost.
    fn rescue(&self, keys: &Keys, path: &Path) {
        if stdout().is_terminal() {
            print_report(&format!("`{}` cannot be written: keep what follows", path.display()));
            print_secret(&self.page(keys));
        }
    }

    fn page(&self, keys: &Keys) -> SecretString {
        let title = format!(
            "any {} of these keys unseal Vault; neither they nor the token are shown again",
            self.key_threshold
        );
        let keys_of = keys
            .keys
            .iter()
            .enumerate()
            .map(|(number, key)| format!("key {}: {}\n", number + 1, key.expose_secret()));
        format!("{title}\n{}first token: {}\n", keys_of.collect::<String>(), keys.token.expose_secret())
            .into()
    }
}
