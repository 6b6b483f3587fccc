//! A chart repository of stand-ins: charts that make of any values what matters to those who wait for it.

use std::fs;
use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::helm::Helm;
use crate::smart_http::Server;

const OBJECTS: &str = include_str!("../../real/stand-in/templates/objects.yaml");

/// A chart that stands for a real one of the same name and version.
pub struct StandIn {
    name: String,
    version: String,
    /// The kinds of objects that it defines.
    pub definitions: Vec<Value>,
    /// The accounts that it makes.
    pub accounts: Vec<String>,
}

/// Serves stand-ins as chart repositories do.
pub struct ChartRepository {
    server: Server,
    helm: Helm,
    folder: TempDir,
}

impl ChartRepository {
    /// Starts a server without charts.
    pub fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        Ok(Self { server: Server::plain(folder.path())?, helm: Helm::find()?, folder })
    }

    /// Packages a chart into the repository at a path.
    pub fn add(&self, repository: &str, chart: &StandIn) -> Result<()> {
        let (source, into) = (tempfile::tempdir()?, self.folder.path().join(repository));
        chart.write(source.path())?;
        self.helm.package(source.path(), &into)?;
        self.helm.index(&into)
    }

    /// Returns the address of the repository at a path.
    #[must_use]
    pub fn url(&self, repository: &str) -> String {
        self.server.url(repository)
    }
}

impl StandIn {
    /// Describes a chart that brings nothing but its workload and Services.
    #[must_use]
    pub fn named(name: &str, version: &str) -> Self {
        let (name, version) = (name.to_owned(), version.to_owned());
        Self { name, version, definitions: Vec::new(), accounts: Vec::new() }
    }

    /// Writes the chart into an empty folder.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let chart = json!({"apiVersion": "v2", "name": self.name, "version": self.version});
        fs::write(folder.join("Chart.yaml"), chart.to_string())?;
        fs::write(folder.join("values.yaml"), json!({"standIn": {"accounts": self.accounts}}).to_string())?;
        fs::create_dir(folder.join("templates"))?;
        fs::write(folder.join("templates/objects.yaml"), OBJECTS)?;
        fs::create_dir(folder.join("crds"))?;
        for (number, definition) in self.definitions.iter().enumerate() {
            fs::write(folder.join(format!("crds/{number}.yaml")), definition.to_string())?;
        }
        Ok(())
    }
}
