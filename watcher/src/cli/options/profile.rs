//! In which profile the source files are read.

use renderer::inventory::{PROFILES, profile_names};
use renderer::path::ProfileName;
use renderer::plural::quoted_up_to;
use renderer::problem::hint_at_near;
use renderer::snapshot::Snapshot;

use crate::error::CommandError;

/// How many profiles a hint names.
const MAX_NAMED: usize = 10;

#[derive(Clone, Debug, Default, clap::Args)]
pub(in crate::cli) struct ProfileArgs {
    /// Lay this profile over the facts: `environments/_profiles/NAME.yaml`.
    #[arg(long = "profile", value_name = "NAME")]
    name: Option<String>,
}

impl ProfileArgs {
    /// Returns whether a profile is asked for.
    pub(in crate::cli) const fn is_given(&self) -> bool {
        self.name.is_some()
    }

    /// Returns the source files in the profile that is asked for, if one is.
    pub(in crate::cli) fn chosen(&self, snapshot: Snapshot) -> Result<Snapshot, CommandError> {
        let Some(name) = &self.name else { return Ok(snapshot) };
        let names: Vec<_> = profile_names(&snapshot).collect();
        let Some(profile) = names.iter().find(|known| known.as_str() == name) else {
            let known = || names.iter().map(ProfileName::as_str);
            let hint = hint_at_near(name, known(), || match names.as_slice() {
                [] => format!("a profile is a file `{PROFILES}/<name>.yaml`"),
                _ => format!("the profiles are {}", quoted_up_to(MAX_NAMED, known())),
            });
            return Err(CommandError::usage(format!("there is no profile `{}`", name.escape_debug()), hint));
        };
        Ok(snapshot.in_profile(profile.clone()))
    }
}
