//! Finding the commits that made the inputs what they are, and what they were before.

use std::collections::HashSet;

use git2::{ObjectType, Oid};
use renderer::snapshot::{ENVIRONMENTS, TEMPLATES};

use crate::git::error::GitError;
use crate::git::objects::repository::Repository;
use crate::git::objects::revision::Revision;

/// How far back it is looked for a file that is gone.
const MAX_STEPS: usize = 1_000;

/// A revision and its source, as they were found last.
#[derive(Clone, Copy, Debug, Default)]
pub struct SourceMemory(Option<(Revision, Revision)>);

impl Repository {
    /// Returns the newest commit on the mainline of `tip` that changed `environments/` or `templates/`.
    ///
    /// A commit that only publishes rendered files is not a source, so that what is rendered from the same inputs
    /// gets the same commit however often the base branch moves. `memory` keeps the answer, so that only what came
    /// since is walked through the next time.
    pub fn source_of_inputs(&self, tip: Revision, memory: &mut SourceMemory) -> Result<Revision, GitError> {
        let inputs = self.input_ids(tip)?;
        let mut source = tip;
        for step in self.mainline(tip) {
            // A parent may be beyond the boundary of a shallow clone.
            let Some((at, _)) =
                step.ok().filter(|(at, _)| self.input_ids(*at).is_ok_and(|ids| ids == inputs))
            else {
                break;
            };
            source = at;
            if let Some((_, known)) = memory.0.filter(|(tip, _)| *tip == at) {
                source = known;
                break;
            }
        }
        memory.0 = Some((tip, source));
        Ok(source)
    }

    /// Returns the commits on the mainline that made the inputs what they were before `source` did, the newest
    /// first, at most so many.
    pub fn earlier_sources(&self, source: Revision, most: usize) -> Result<Vec<Revision>, GitError> {
        let (mut found, mut at) = (Vec::new(), source);
        while found.len() < most {
            let Some(parent) = self.parents(at)?.first().copied().filter(|parent| self.has(*parent)) else {
                break;
            };
            at = self.source_of_inputs(parent, &mut SourceMemory::default())?;
            found.push(at);
        }
        Ok(found)
    }

    /// Returns whether two revisions have the same `environments/` and `templates/`.
    pub fn has_same_inputs(&self, one: Revision, two: Revision) -> Result<bool, GitError> {
        Ok(self.input_ids(one)? == self.input_ids(two)?)
    }

    /// Returns the newest commit on the mainline of `tip` that has a file called `name` anywhere below `folder`.
    pub fn newest_with_file(
        &self,
        tip: Revision,
        folder: &str,
        name: &str,
    ) -> Result<Option<Revision>, GitError> {
        let mut without = None;
        for step in self.mainline(tip).take(MAX_STEPS) {
            let (at, _) = step?;
            // It may be beyond the boundary of a shallow clone.
            let Ok(tree) = self.tree_at(at) else { return Ok(None) };
            let below = tree.get_name(folder).map(|entry| entry.id());
            if below != without {
                without = below;
                if let Some(id) = below
                    && self.has_file(id, name)?
                {
                    return Ok(Some(at));
                }
            }
        }
        Ok(None)
    }

    /// Looks at each tree once, wherever and how deep it stands.
    fn has_file(&self, tree: Oid, name: &str) -> Result<bool, GitError> {
        let (mut open, mut seen) = (vec![tree], HashSet::from([tree]));
        while let Some(tree) = open.pop() {
            let tree = self.inner.find_tree(tree).map_err(self.failed(format!("look for `{name}`")))?;
            if tree.get_name(name).is_some() {
                return Ok(true);
            }
            let folders = tree.iter().filter(|entry| entry.kind() == Some(ObjectType::Tree));
            open.extend(folders.map(|entry| entry.id()).filter(|id| seen.insert(*id)));
        }
        Ok(false)
    }

    pub(super) fn input_ids(&self, revision: Revision) -> Result<[Option<Oid>; 2], GitError> {
        let tree = self.tree_at(revision)?;
        Ok([ENVIRONMENTS, TEMPLATES].map(|folder| tree.get_name(folder).map(|entry| entry.id())))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::git::scene::Scene;

    #[test]
    fn the_source_is_the_newest_commit_that_changed_the_inputs() {
        let scene = Scene::bare();
        let first = scene.commit("main", "describe", &[("environments/app.yaml", "a"), ("README.md", "1")]);
        let (repository, memory) = (scene.repository(), RefCell::new(SourceMemory::default()));
        let source = |tip: Revision| repository.source_of_inputs(tip, &mut memory.borrow_mut()).unwrap();
        assert_eq!(source(first), first);
        let later = scene.commit("main", "publish", &[("argocd-apps/app/values.yaml", "a")]);
        assert_eq!(source(later), first);
        let edited = scene.commit("main", "edit", &[("templates/cluster/x.yaml.hbs", "x")]);
        let tip = scene.commit("main", "explain", &[("README.md", "2")]);
        assert_eq!(source(tip), edited);
        assert_eq!(repository.earlier_sources(edited, 3).unwrap(), [first]);
        // A base that is set back has the source that it had.
        assert_eq!(source(later), first);
    }

    #[test]
    fn a_source_is_named_however_many_commits_came_after_it() {
        let scene = Scene::bare();
        let source = scene.commit("main", "describe", &[("environments/app.yaml", "a")]);
        let commits = (0..1_200).fold(String::new(), |all, number| {
            let from = if number == 0 { "from refs/heads/main^0\n" } else { "" };
            let by = format!("committer Ann <ann@example.com> {} +0000", 1_767_312_000 + number);
            all + &format!(
                "commit refs/heads/main\n{by}\ndata 1\nx\n{from}M 644 inline README.md\ndata 4\n{number:04}\n"
            )
        });
        scene.import(&commits);
        let tip = scene.tip("main");
        let (repository, mut memory) = (scene.repository(), SourceMemory::default());
        for _ in 0..2 {
            assert_eq!(repository.source_of_inputs(tip, &mut memory).unwrap(), source);
        }
    }

    #[test]
    fn a_file_that_is_gone_is_found_where_it_stood_last() {
        let scene = Scene::with_working_tree();
        scene.commit("main", "describe", &[("environments/eu/app.yaml", "1"), ("environments/us.yaml", "1")]);
        let last = scene.commit("main", "edit", &[("environments/eu/app.yaml", "2")]);
        scene.git(&["rm", "-q", "environments/eu/app.yaml"]);
        scene.git(&["commit", "-qm", "retire"]);
        let tip = scene.commit("main", "explain", &[("README.md", "1")]);
        let repository = scene.repository();
        let find = |name: &str| repository.newest_with_file(tip, "environments", name).unwrap();
        assert_eq!(find("app.yaml"), Some(last));
        assert_eq!(find("us.yaml"), Some(tip));
        assert_eq!(find("never.yaml"), None);
        assert_eq!(repository.newest_with_file(tip, "nowhere", "app.yaml").unwrap(), None);
    }
}
