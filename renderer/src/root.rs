//! The folders that only Fleetwright writes, and whose files stand where in them.
//!
//! Knows nothing of what is in the files.

use serde::{Deserialize, Serialize};

use crate::path::{ClusterName, RepoPath};

/// A folder that only Fleetwright writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Root {
    /// What Argo CD applies, by cluster.
    Applications,
    /// What the machines of a cluster are made from, by cluster.
    Machines,
    /// What is made from the facts of all clusters together.
    Fleet,
}

/// The folder that Argo CD reads.
pub const APPLICATIONS: &str = Root::Applications.path();

impl Root {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Applications, Self::Machines, Self::Fleet];

    /// Returns the folder's path.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Applications => "argocd-apps",
            Self::Machines => "infra/clusters",
            Self::Fleet => "infra/fleet",
        }
    }

    /// Returns the root that a path leads to or into, and what is left below it.
    #[must_use]
    pub fn of(path: &str) -> Option<(Self, &str)> {
        Self::ALL.into_iter().find_map(|root| {
            let rest = path.strip_prefix(root.path())?;
            if rest.is_empty() { Some((root, rest)) } else { Some((root, rest.strip_prefix('/')?)) }
        })
    }

    /// Returns the folder that a cluster's files are rendered into; the files of the fleet have no folder for each.
    #[must_use]
    pub fn folder(self, cluster: &ClusterName) -> RepoPath {
        let path = match self {
            Self::Applications | Self::Machines => format!("{}/{cluster}", self.path()),
            Self::Fleet => self.path().to_owned(),
        };
        RepoPath::parse(&path).expect("a cluster's name is a file name")
    }

    /// Returns the folder right above those that files are rendered into, and the only one of them, if it is known.
    #[must_use]
    pub fn above(self) -> (RepoPath, Option<&'static str>) {
        let (above, only) = match self {
            Self::Applications | Self::Machines => (self.path(), None),
            Self::Fleet => self.path().split_once('/').map_or((self.path(), None), |(a, b)| (a, Some(b))),
        };
        (RepoPath::parse(above).expect("a constant path"), only)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_in_the_root_that_its_first_folders_are() {
        for (path, found) in [
            ("argocd-apps/app/loki/values.yaml", Some((Root::Applications, "app/loki/values.yaml"))),
            ("argocd-apps", Some((Root::Applications, ""))),
            ("argocd-apps2/app", None),
            ("infra/clusters/app/hosts", Some((Root::Machines, "app/hosts"))),
            ("infra/fleet/hosts", Some((Root::Fleet, "hosts"))),
            ("infra/terraform/main.tf", None),
            ("infra", None),
        ] {
            assert_eq!(Root::of(path), found, "{path}");
        }
    }

    #[test]
    fn every_folder_is_right_below_the_one_above() {
        let cluster = ClusterName::parse("app").unwrap();
        for root in Root::ALL {
            let (folder, (above, only)) = (root.folder(&cluster), root.above());
            let name = folder.below(above.as_str()).unwrap();
            assert!(!name.contains('/') && only.is_none_or(|only| only == name), "{folder}");
        }
    }
}
