//! Where charts are drawn from: a site without the internet keeps copies of their repositories.
//!
//! Knows addresses only. An add-on names the repository that a chart comes from, wherever it is fetched from.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::key_path::{Step, key};

/// Where charts are drawn from, if not from the repositories that add-ons name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ChartSources {
    /// The address below which copies of all chart repositories lie, each under its own host and path:
    /// `https://charts.example.com/stable` in `oci://registry.internal/mirror` is
    /// `oci://registry.internal/mirror/charts.example.com/stable`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mirror: Option<ChartAddress>,
    /// Repositories that are drawn from somewhere else: the address that stands in for each. One that stands for itself is
    /// not mirrored.
    pub exceptions: BTreeMap<String, ChartAddress>,
}

/// The address of a chart repository or registry, or of what lies above several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(extend(
    "pattern" = r"^(https?|oci)://[^\s/?#@]+(/[^\s?#@]*)?$",
    "x-hint" = "write an `https://`, `http://` or `oci://` address without a user and without a query"
))]
pub struct ChartAddress(String);

impl ChartSources {
    /// Returns the address that the charts of a repository are drawn from.
    #[must_use]
    pub fn address_of<'a>(&'a self, repository: &'a str) -> Cow<'a, str> {
        match (self.exception(repository), &self.mirror) {
            (Some((_, address)), _) => Cow::Borrowed(address.as_str()),
            (None, Some(mirror)) => Cow::Owned(mirror.copy_of(repository)),
            (None, None) => Cow::Borrowed(repository),
        }
    }

    /// Returns the path of the fact that decides where a repository is fetched from, if one does.
    #[must_use]
    pub fn fact_about(&self, repository: &str) -> Option<Vec<Step>> {
        match (self.exception(repository), &self.mirror) {
            (Some((written, _)), _) => Some(vec![key("charts"), key("exceptions"), key(written)]),
            (None, Some(_)) => Some(vec![key("charts"), key("mirror")]),
            (None, None) => None,
        }
    }

    /// Returns whether it is empty, so that every chart comes from the repository that its add-on names.
    pub(crate) fn is_empty(&self) -> bool {
        self.mirror.is_none() && self.exceptions.is_empty()
    }

    fn exception(&self, repository: &str) -> Option<(&String, &ChartAddress)> {
        self.exceptions.iter().find(|(written, _)| is_same_repository(written, repository))
    }
}

impl ChartAddress {
    /// Returns the address as it is fetched from.
    pub(crate) fn as_str(&self) -> &str {
        self.0.trim_end_matches('/')
    }

    /// A registry takes neither a colon nor an upper-case letter in a name.
    fn copy_of(&self, repository: &str) -> String {
        let place = repository.split_once("://").map_or(repository, |(_, place)| place);
        let place = place.trim_end_matches('/').replace(':', "-");
        let place = if self.0.starts_with("oci://") { place.to_lowercase() } else { place };
        format!("{}/{place}", self.as_str())
    }
}

/// Returns whether two addresses name one repository: a slash at the end makes no difference.
#[must_use]
pub fn is_same_repository(a: &str, b: &str) -> bool {
    a.trim_end_matches('/') == b.trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(mirror: Option<&str>, exceptions: &[(&str, &str)]) -> ChartSources {
        let address = |text: &str| ChartAddress(text.to_owned());
        let exceptions = exceptions.iter().map(|(from, to)| ((*from).to_owned(), address(to))).collect();
        ChartSources { mirror: mirror.map(address), exceptions }
    }

    #[test]
    fn without_a_mirror_a_repository_stands_for_itself() {
        let none = sources(None, &[]);
        assert_eq!(none.address_of("https://charts.example.com/"), "https://charts.example.com/");
        assert_eq!(none.fact_about("https://charts.example.com/"), None);
    }

    #[test]
    fn a_copy_lies_under_the_host_and_path_of_its_repository() {
        let cases = [
            (
                "https://m.internal/charts",
                "https://a.example.com/stable/",
                "https://m.internal/charts/a.example.com/stable",
            ),
            (
                "https://m.internal/charts/",
                "oci://ghcr.io/org/Charts",
                "https://m.internal/charts/ghcr.io/org/Charts",
            ),
            (
                "oci://r.internal:5000/m",
                "https://a.example.com:8443/Stable",
                "oci://r.internal:5000/m/a.example.com-8443/stable",
            ),
            ("oci://r.internal", "oci://ghcr.io/org", "oci://r.internal/ghcr.io/org"),
        ];
        for (mirror, repository, copy) in cases {
            assert_eq!(sources(Some(mirror), &[]).address_of(repository), copy);
        }
    }

    #[test]
    fn an_exception_wins_over_the_mirror() {
        let exceptions = [
            ("https://own.example.com", "https://own.example.com"),
            ("https://b.example.com/", "oci://other.internal/b/"),
        ];
        let sources = sources(Some("https://m.internal"), &exceptions);
        assert_eq!(sources.address_of("https://own.example.com/"), "https://own.example.com");
        assert_eq!(sources.address_of("https://b.example.com"), "oci://other.internal/b");
        assert_eq!(sources.address_of("https://c.example.com"), "https://m.internal/c.example.com");
    }
}
