//! Which Helm renders charts, and where the charts come from.

use std::path::PathBuf;

use crate::error::CommandError;
use crate::helm::Making;

#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Charts")]
pub(in crate::cli) struct HelmArgs {
    /// Render charts by this program; the default is the `helm` on the `PATH`.
    #[arg(long, value_name = "PATH")]
    helm: Option<PathBuf>,
    /// Take charts from this folder, unpacked or in packages, in the place of those of their name and version.
    #[arg(long, value_name = "DIR")]
    charts: Option<PathBuf>,
}

impl HelmArgs {
    /// Returns what makes final objects.
    pub(in crate::cli) fn making(&self) -> Result<Making, CommandError> {
        Making::open(self.helm.as_deref(), self.charts.as_deref())
    }
}
