//! Where a chart is fetched from.

use std::fmt;

use renderer::inventory::ChartSources;

use super::error::ChartError;
use crate::http::{HttpError, Url};

/// Where a chart is fetched from: a repository over HTTP, or a folder of a registry.
#[derive(Clone, Debug)]
pub struct Origin {
    pub(super) url: Url,
    pub(super) is_registry: bool,
}

impl Origin {
    /// Returns where a fleet draws the charts of a repository from. A mirror may be unencrypted: an operator chose it.
    pub fn of(sources: &ChartSources, repository: &str) -> Result<Self, ChartError> {
        match sources.fact_about(repository) {
            Some(_) => Self::parse(&sources.address_of(repository), Url::parse_mirror),
            None => Self::at(repository),
        }
    }

    /// Returns the repository or registry that an add-on or a person names.
    pub fn at(address: &str) -> Result<Self, ChartError> {
        Self::parse(address, Url::parse_file)
    }

    fn parse(address: &str, parse: fn(&str) -> Result<Url, HttpError>) -> Result<Self, ChartError> {
        let Some(rest) = address.strip_prefix("oci://") else {
            return Ok(Self { url: parse(address)?, is_registry: false });
        };
        // Registries on this machine have no certificate.
        let url =
            Url::parse(&format!("http://{rest}")).or_else(|_| Url::parse(&format!("https://{rest}")))?;
        Ok(Self { url, is_registry: true })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.url.to_string();
        match url.split_once("://") {
            Some((_, rest)) if self.is_registry => write!(f, "oci://{rest}"),
            _ => f.write_str(&url),
        }
    }
}
