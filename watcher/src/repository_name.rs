//! The name of a repository on a forge.
//!
//! Knows nothing of where the repository is or what is in it.

use std::str::FromStr;

use derive_more::Display;
use thiserror::Error;

/// The full name of a repository on a forge, `owner/name`.
///
/// GitHub takes names that differ only in case for the same, and so does the comparison with [`Self::is`].
#[derive(Clone, Debug, Display, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[display("{owner}/{name}")]
pub struct RepositoryName {
    owner: String,
    name: String,
}

/// A text that is not the full name of a repository.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{text}` is not the name of a repository such as `owner/name`")]
pub struct RepositoryNameError {
    /// The text.
    pub text: String,
}

impl RepositoryName {
    /// Returns the account that the repository belongs to.
    pub(crate) fn owner(&self) -> &str {
        &self.owner
    }

    /// Returns the name without its owner.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Returns whether a full name means this repository.
    #[must_use]
    pub fn is(&self, full_name: &str) -> bool {
        full_name.eq_ignore_ascii_case(&self.to_string())
    }

    /// Returns whether the repository belongs to the account of that name.
    pub(crate) fn is_owned_by(&self, login: &str) -> bool {
        login.eq_ignore_ascii_case(&self.owner)
    }
}

impl FromStr for RepositoryName {
    type Err = RepositoryNameError;

    fn from_str(text: &str) -> Result<Self, RepositoryNameError> {
        match text.split_once('/') {
            Some((owner, name)) if is_segment(owner) && is_segment(name) => {
                Ok(Self { owner: owner.to_owned(), name: name.to_owned() })
            }
            _ => Err(RepositoryNameError { text: text.to_owned() }),
        }
    }
}

/// Returns whether `text` can stand between the slashes of an address without a second meaning.
fn is_segment(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !matches!(text, "" | "." | "..") && text.chars().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_an_owner_and_a_name() {
        let name: RepositoryName = "acme/fleet.git-ops_2".parse().unwrap();
        assert_eq!((name.owner(), name.name()), ("acme", "fleet.git-ops_2"));
        assert_eq!(name.to_string(), "acme/fleet.git-ops_2");
        for text in ["", "acme", "acme/", "/fleet", "acme/fleet/x", "acme/..", "acme/a?b", "ac me/fleet"] {
            assert!(text.parse::<RepositoryName>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn case_makes_no_other_repository() {
        let name: RepositoryName = "acme/fleet".parse().unwrap();
        assert!(name.is("Acme/Fleet"));
        assert!(!name.is("acme/fleet2"));
        assert!(!name.is("acme"));
    }
}
