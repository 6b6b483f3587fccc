//! Helm, which says what a chart makes of values.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::Component;

const HELM: Component = Component { name: "helm", pinned_by: "helm/package-lock.json" };

/// The program.
pub struct Helm(PathBuf);

/// What became of a chart with its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Templated {
    /// The objects that it gives.
    Rendered(String),
    /// Why it gives none.
    Refused(String),
}

impl Helm {
    /// Finds the program, or says how to bring it in.
    pub fn find() -> Result<Self> {
        HELM.binary("helm").map(Self)
    }

    /// Renders the chart in a folder with a file of values.
    pub fn template(&self, chart: &Path, values: &Path) -> Result<Templated> {
        let output = Command::new(&self.0)
            .env_clear()
            .args(["template", "release"])
            .arg(chart)
            .arg("--values")
            .arg(values)
            .output()
            .with_context(|| format!("failed to start `{}`", self.0.display()))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(if output.status.success() {
            Templated::Rendered(text(&output.stdout))
        } else {
            Templated::Refused(text(&output.stderr))
        })
    }
}
