//! What a deployment is of: who changed what, as git has it.

use std::collections::{BTreeMap, BTreeSet};

use renderer::path::RepoPath;
use renderer::plural::{counted, listed};
use renderer::root::APPLICATIONS;

use crate::argocd::DesiredFleet;
use crate::git::{GitError, Repository, Revision, SOURCE_REVISION};

/// How many clusters and add-ons are named.
const MAX_NAMED: usize = 10;

/// What a deployment is of. Its texts may come from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The group.
    pub group: String,
    /// The revision.
    pub revision: Revision,
    /// The first line of the commit that was rendered.
    pub title: String,
    /// Who wrote that commit.
    pub author: String,
    /// What the revision changes of the group's rendered files, one line for each cluster.
    pub changes: Vec<String>,
    /// The clusters of the group whose rendered files it changes; all of the group if it changes none.
    pub clusters: Vec<String>,
}

/// How many files of each cluster are changed, and of which add-ons.
type Changed = BTreeMap<String, (usize, BTreeSet<String>)>;

impl Subject {
    /// Reads what a revision changes for a group.
    pub fn read(
        repository: &Repository,
        revision: Revision,
        fleet: &DesiredFleet,
        group: &str,
    ) -> Result<Self, GitError> {
        let parents = repository.parents(revision)?;
        // Of a merge what was merged was rendered from something; a squash or a rebase keeps the trailer itself.
        let merged = parents.get(1).copied().unwrap_or(revision);
        let named = repository.read_trailer(merged, SOURCE_REVISION)?;
        let named =
            named.and_then(|named| Revision::parse(&named).ok()).filter(|named| repository.has(*named));
        let source = repository.commit_summary(named.unwrap_or(merged))?;
        let paths = match parents.first() {
            Some(parent) => repository.differences_below(APPLICATIONS, *parent, revision)?,
            None => Vec::new(),
        };
        let paths = paths.iter().map(|found| found.path.as_str());
        let all = fleet.clusters(group);
        let files = changed(paths, &all);
        let clusters = if files.is_empty() {
            all.into_iter().map(str::to_owned).collect()
        } else {
            files.keys().cloned().collect()
        };
        let changes = lines(&files);
        let (group, title, author) = (group.to_owned(), source.title, source.author.name);
        Ok(Self { group, revision, title, author, changes, clusters })
    }
}

fn changed<'p>(paths: impl Iterator<Item = &'p str>, clusters: &BTreeSet<&str>) -> Changed {
    let mut changed = Changed::new();
    for path in paths.filter_map(|path| RepoPath::parse(path).ok()) {
        let parts: Vec<&str> = path.components().skip(1).collect();
        let Some(cluster) = parts.first().filter(|cluster| clusters.contains(**cluster)) else { continue };
        let (files, addons) = changed.entry((*cluster).to_owned()).or_default();
        *files += 1;
        addons.extend(parts.get(1).filter(|_| parts.len() > 2).map(|addon| (*addon).to_owned()));
    }
    changed
}

fn lines(changed: &Changed) -> Vec<String> {
    let line = |(cluster, (files, addons)): (&String, &(usize, BTreeSet<String>))| {
        let addons =
            if addons.is_empty() { String::new() } else { format!(": {}", listed(addons, MAX_NAMED)) };
        format!("{} on {cluster}{addons}", counted(*files, "file"))
    };
    let mut lines: Vec<String> = changed.iter().take(MAX_NAMED).map(line).collect();
    if changed.len() > MAX_NAMED {
        lines.push(format!("and on {}", counted(changed.len() - MAX_NAMED, "more cluster")));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_counted_by_cluster_with_their_add_ons() {
        let paths = [
            "argocd-apps/control/loki/values.yaml",
            "argocd-apps/control/tempo/manifests/a.yaml",
            "argocd-apps/control/root.yaml",
            "argocd-apps/app/loki/values.yaml",
        ];
        let of = |clusters: &[&str]| lines(&changed(paths.into_iter(), &clusters.iter().copied().collect()));
        assert_eq!(of(&["control"]), ["3 files on control: loki, tempo"]);
        assert_eq!(of(&["app", "control"]), ["1 file on app: loki", "3 files on control: loki, tempo"]);
        assert_eq!(of(&["other"]), [""; 0]);
    }
}
