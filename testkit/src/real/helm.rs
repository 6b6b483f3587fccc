//! Helm, which says what a chart makes of values.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context as _, Result, ensure};

use super::Component;

pub(super) const HELM: Component = Component { name: "helm", pinned_by: "helm/package-lock.json" };

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

    /// Returns the folder that it is in.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.0.parent().unwrap_or(&self.0).to_owned()
    }

    /// Renders the chart in a folder with a file of values, for a cluster that knows monitors.
    pub fn template(&self, chart: &Path, values: &Path) -> Result<Templated> {
        let words = [
            "template".as_ref(),
            "release".as_ref(),
            chart.as_ref(),
            "--values".as_ref(),
            values.as_ref(),
            "--api-versions=monitoring.coreos.com/v1".as_ref(),
        ];
        let output = self.run(words)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(if output.status.success() {
            Templated::Rendered(text(&output.stdout))
        } else {
            Templated::Refused(text(&output.stderr))
        })
    }

    /// Packages the chart in a folder into another folder.
    pub(super) fn package(&self, chart: &Path, into: &Path) -> Result<()> {
        self.succeed(["package".as_ref(), chart.as_os_str(), "--destination".as_ref(), into.as_ref()])
    }

    /// Makes a folder of packages a chart repository.
    pub(super) fn index(&self, folder: &Path) -> Result<()> {
        self.succeed(["repo".as_ref(), "index".as_ref(), folder.as_os_str()])
    }

    fn succeed<const N: usize>(&self, arguments: [&OsStr; N]) -> Result<()> {
        let output = self.run(arguments)?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    fn run<const N: usize>(&self, arguments: [&OsStr; N]) -> Result<Output> {
        let command = &self.0;
        let output = Command::new(command).env_clear().args(arguments).output();
        output.with_context(|| format!("failed to start `{}`", command.display()))
    }
}
