//! Which Helm renders charts, and where the charts come from.

use std::path::{PathBuf, absolute};

use clap::builder::{PathBufValueParser, TypedValueParser as _};
use tracing::info;

use crate::error::CommandError;
use crate::helm::Making;
use crate::run::{Objects, TIME, Tools};

/// Both are made absolute: Helm runs in a folder of its own.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Charts")]
pub(in crate::cli) struct HelmArgs {
    /// Render charts by this program; the default is the `helm` on the `PATH`.
    #[arg(long, value_name = "PATH", value_parser = PathBufValueParser::new().try_map(absolute))]
    helm: Option<PathBuf>,
    /// Take charts from this folder, unpacked or in packages, in the place of those of their name and version.
    #[arg(long, value_name = "DIR", value_parser = PathBufValueParser::new().try_map(absolute))]
    charts: Option<PathBuf>,
}

impl HelmArgs {
    /// Returns what makes final objects.
    pub(in crate::cli) fn making(&self) -> Result<Making, CommandError> {
        Making::open(self.helm.as_deref(), self.charts.as_deref())
    }

    /// Returns with what runs find out what changes do to what runs. A Helm that is named has to be there; without one that
    /// is not, pull requests say so.
    pub(in crate::cli) fn objects(&self) -> Result<Objects, CommandError> {
        let (folder, helm) = match (Making::folder(), self.making()) {
            (Ok(folder), Ok(making)) => (folder, making.program().to_owned()),
            (Err(error), _) | (_, Err(error)) if self.helm.is_none() && self.charts.is_none() => {
                info!(
                    hint = error.hint(),
                    "pull requests do not show what changes do to what runs: {}",
                    error.message()
                );
                return Ok(Objects::Unknown(error.message()));
            }
            (Err(error), _) | (_, Err(error)) => return Err(error),
        };
        Ok(Objects::MadeBy(Tools { helm, charts: self.charts.clone(), folder, time: TIME }))
    }
}
