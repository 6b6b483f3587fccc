//! Names and paths that people write, parsed once at the edge and trusted from there on.
//!
//! Knows nothing of what stands at a path.

use std::borrow::Borrow;

use derive_more::Display;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A path inside the repository: relative, `/`-separated and unable to leave it.
///
/// Never empty and never deeper than [`MAX_FOLDERS`]; no component is empty, `.`, `..` or `.git`; no
/// backslash and no control character, so that it means the same on every platform and can be printed as it
/// is.
#[derive(
    Clone, derive_more::Debug, Display, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[debug("{_0:?}")]
#[serde(try_from = "String", into = "String")]
pub struct RepoPath(Box<str>);

/// A path that would leave the repository or could not be written on every platform.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{path}` is not a path inside the repository: {reason}")]
pub struct PathError {
    /// The path as it was given, with control characters escaped.
    pub path: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl RepoPath {
    /// Parses a path, refusing everything that could point outside the repository.
    pub fn parse(path: &str) -> Result<Self, PathError> {
        match path_fault(path) {
            None => Ok(Self(path.into())),
            Some(reason) => Err(PathError { path: path.escape_debug().to_string(), reason }),
        }
    }

    /// Returns the path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the last component.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// Returns the folder that holds this path, or `None` at the top.
    pub(crate) fn parent(&self) -> Option<&str> {
        self.0.rsplit_once('/').map(|(folder, _)| folder)
    }

    /// Returns the components from the top down.
    pub fn components(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// Returns what is left below `folder`, or `None` if the path is not below it.
    #[must_use]
    pub fn below(&self, folder: &str) -> Option<&str> {
        self.0.strip_prefix(folder)?.strip_prefix('/')
    }

    /// Returns the path `child` below this one.
    pub fn join(&self, child: &str) -> Result<Self, PathError> {
        Self::parse(&format!("{self}/{child}"))
    }
}

/// How deep a path may be: what walks folders calls itself for each of them.
pub const MAX_FOLDERS: usize = 200;
/// What is wrong with a deeper one.
pub const TOO_DEEP: &str = "it is more than 200 folders deep";

fn path_fault(path: &str) -> Option<&'static str> {
    if path.is_empty() {
        return Some("it is empty");
    }
    if path.starts_with('/') {
        return Some("it is absolute");
    }
    if path.contains('\\') {
        return Some("it contains a backslash");
    }
    if path.chars().any(char::is_control) {
        return Some("it contains a control character");
    }
    if path.split('/').count() > MAX_FOLDERS {
        return Some(TOO_DEEP);
    }
    path.split('/').find_map(|component| match component {
        "" => Some("it has an empty component"),
        "." | ".." => Some("it has a `.` or `..` component"),
        _ if component.eq_ignore_ascii_case(".git") => Some("it points into `.git`"),
        _ => None,
    })
}

/// Returns whether an editor or a desktop made a file of this name beside the ones that people write, and
/// takes it away again or leaves it: locks, backups and copies of what is being edited. It is never meant as an
/// input.
#[must_use]
pub fn is_left_by_editor(name: &[u8]) -> bool {
    let is_between = |start: &[u8], end: &[u8]| {
        name.len() > start.len() + end.len() && name.starts_with(start) && name.ends_with(end)
    };
    let is_swap = |name: &[u8]| {
        // Vim counts down from `.swp` when there are several: `.swo`, `.swn`, and so on.
        matches!(name.rsplit(|byte| *byte == b'.').next(), Some([b's', b'v' | b'w', b'a'..=b'z']))
    };
    matches!(name, b".DS_Store" | b"Thumbs.db" | b"desktop.ini" | b"4913")
        || is_between(b".#", b"")
        || is_between(b"#", b"#")
        || is_between(b"", b"~")
        || is_between(b"", b"___jb_tmp___")
        || is_between(b"", b"___jb_old___")
        || is_between(b".", b".kate-swp")
        || (is_between(b".", b"") && is_swap(name))
}

/// A DNS label (RFC 1123): at most 63 lower-case letters, digits and hyphens, with no hyphen at either end.
fn is_dns_label(name: &str) -> bool {
    (1..=63).contains(&name.len())
        && !name.starts_with('-')
        && !name.ends_with('-')
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// A name that Kubernetes would refuse.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{name}` is not a valid name")]
pub struct NameError {
    /// The name as it was given, with control characters escaped.
    pub name: String,
}

impl NameError {
    /// The way out, for the `hint:` line of a problem.
    pub const HINT: &'static str =
        "use at most 63 lower-case letters, digits and hyphens, with a letter or digit at both ends";
}

macro_rules! dns_label {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, derive_more::Debug, Display, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[debug("{_0:?}")]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Box<str>);

        impl $name {
            /// Parses a name; it must be a DNS label, since it ends up in the names of Kubernetes objects.
            pub fn parse(name: &str) -> Result<Self, NameError> {
                if is_dns_label(name) {
                    Ok(Self(name.into()))
                } else {
                    Err(NameError { name: name.escape_debug().to_string() })
                }
            }

            /// Returns the name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        text_newtype!($name, NameError);
    };
}

macro_rules! text_newtype {
    ($name:ident, $error:ident) => {
        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = $error;

            fn try_from(text: String) -> Result<Self, $error> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.into()
            }
        }
    };
}

text_newtype!(RepoPath, PathError);

dns_label! {
    /// The name of a cluster: its file name under `environments/` without `.yaml`.
    ClusterName
}

dns_label! {
    /// The name of a profile: its file name under `environments/_profiles/` without `.yaml`.
    ProfileName
}

dns_label! {
    /// The name of an add-on: its folder name under `templates/addons/`.
    AddonName
}

dns_label! {
    /// The name of a group of clusters, as `environments/_fleet.yaml` has it.
    GroupName
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_editors_leave_is_told_by_its_name() {
        for name in [
            ".#a.yaml",
            "#a.yaml#",
            "a.yaml~",
            ".a.yaml.swp",
            ".a.yaml.swo",
            ".a.yaml.kate-swp",
            "4913",
            ".DS_Store",
            "a.yaml___jb_tmp___",
            "a.yaml___jb_old___",
            "Thumbs.db",
        ] {
            assert!(is_left_by_editor(name.as_bytes()), "{name}");
        }
        for name in [
            "a.yaml",
            "a.yaml.orig",
            "a.yaml.rej",
            "a.yaml.bak",
            "#",
            "~",
            "a.swp",
            ".swp.yaml",
            "49130",
            ".#",
        ] {
            assert!(!is_left_by_editor(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn a_path_inside_the_repository_is_kept_as_it_is() {
        for path in ["a", "environments/prod/eu-1.yaml", "a b/ü.yaml", ".github/x"] {
            assert_eq!(RepoPath::parse(path).unwrap().as_str(), path);
        }
    }

    #[test]
    fn a_path_that_could_leave_the_repository_is_refused() {
        for path in [
            "",
            "/etc/passwd",
            "../x",
            "a/../b",
            "a//b",
            "a/",
            "./a",
            "a\\b",
            "a\nb",
            ".git/config",
            "x/.GIT/y",
            &"d/".repeat(MAX_FOLDERS),
        ] {
            assert!(RepoPath::parse(path).is_err(), "{path:?} was accepted");
        }
        assert!(RepoPath::parse(&format!("{}f", "d/".repeat(MAX_FOLDERS - 1))).is_ok());
    }

    #[test]
    fn below_takes_whole_components() {
        let path = RepoPath::parse("environments/prod/eu.yaml").unwrap();
        assert_eq!(path.below("environments"), Some("prod/eu.yaml"));
        assert_eq!(path.below("environ"), None);
        assert_eq!(path.parent(), Some("environments/prod"));
        assert_eq!(path.file_name(), "eu.yaml");
    }

    #[test]
    fn a_name_must_be_a_dns_label() {
        for name in ["app", "eu-1", "0a", &"x".repeat(63)] {
            assert!(ClusterName::parse(name).is_ok(), "{name:?} was refused");
        }
        for name in ["", "App", "-a", "a-", "a.b", "a_b", "ü", &"x".repeat(64)] {
            assert!(ClusterName::parse(name).is_err(), "{name:?} was accepted");
        }
    }
}
