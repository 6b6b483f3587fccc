//! The commits that made folders what they are.

use git2::Oid;

use crate::git::error::GitError;
use crate::git::objects::differences::Sides;
use crate::git::objects::repository::Repository;
use crate::git::objects::revision::Revision;

/// How far back it is looked. What did not change since the last commit that is looked at is as it was there.
const MAX_STEPS: usize = 10_000;

impl Repository {
    /// Returns, for each set of folders right below `root`, the newest commit on the mainline of `tip` that changed one of
    /// them. `set_of` returns the set that a folder is in, below `sets`.
    pub fn newest_of_folders(
        &self,
        tip: Revision,
        root: &str,
        sets: usize,
        set_of: impl Fn(&str) -> Option<usize>,
    ) -> Result<Vec<Revision>, GitError> {
        let mut found = vec![None; sets];
        let mut newer: Option<(Revision, Option<Oid>)> = None;
        for step in self.mainline(tip).take(MAX_STEPS) {
            // It may be beyond the boundary of a shallow clone.
            let Some((at, _)) = step.ok() else { break };
            let Ok(tree) = self.tree_at(at) else { break };
            let id = tree.get_name(root).map(|entry| entry.id());
            if let Some((newer, changed)) = newer.filter(|(_, newer)| *newer != id) {
                for name in self.changed_names([changed, id])? {
                    if let Some(slot) = set_of(&name).and_then(|set| found.get_mut(set)) {
                        slot.get_or_insert(newer);
                    }
                }
            }
            newer = Some((at, id));
            if found.iter().all(Option::is_some) {
                break;
            }
        }
        let oldest = newer.map_or(tip, |(at, _)| at);
        Ok(found.into_iter().map(|found| found.unwrap_or(oldest)).collect())
    }

    /// Returns the names of the entries that differ between two folders. What cannot be read as one has no entries.
    fn changed_names(&self, folders: [Option<Oid>; 2]) -> Result<Vec<String>, GitError> {
        let folders = folders.map(|id| id.filter(|id| self.inner.find_tree(*id).is_ok()));
        let entries = self.changed_entries(folders).map_err(self.failed("compare two folders"))?;
        let is_changed = |[old, new]: &Sides| old.map(|(_, id)| id) != new.map(|(_, id)| id);
        let changed = entries.iter().filter(|(_, sides)| is_changed(sides));
        Ok(changed.map(|(name, _)| String::from_utf8_lossy(name).into_owned()).collect())
    }
}

#[cfg(test)]
mod tests {
    use crate::git::scene::Scene;

    #[test]
    fn each_set_of_folders_has_the_newest_commit_that_changed_one_of_them() {
        let scene = Scene::bare();
        let first =
            scene.commit("main", "first", &[("out/hub/a", "1"), ("out/one/a", "1"), ("out/two/a", "1")]);
        let hub = scene.commit("main", "the hub", &[("out/hub/a", "2")]);
        let one = scene.commit("main", "one", &[("out/one/b/c", "1")]);
        scene.commit("main", "what is in no set", &[("out/other/a", "1")]);
        let tip = scene.commit("main", "beside it", &[("README.md", "1")]);
        let set_of = |name: &str| ["hub", "one", "two"].iter().position(|known| *known == name);
        let found = |tip| scene.repository().newest_of_folders(tip, "out", 3, set_of).unwrap();
        assert_eq!(found(tip), [hub, one, first]);
        assert_eq!(found(hub), [hub, first, first]);
        assert_eq!(found(first), [first; 3], "what was always there is as it was at the first commit");
    }

    #[test]
    fn a_merge_counts_where_it_comes_onto_the_mainline() {
        let scene = Scene::bare();
        let first = scene.commit("main", "first", &[("out/one/a", "1")]);
        scene.git(&["branch", "side"]);
        let side = scene.commit("side", "on the side", &[("out/one/a", "2")]);
        let merge = scene.merge_as(side, [first, side], "merge");
        let found = |tip| scene.repository().newest_of_folders(tip, "out", 1, |_| Some(0)).unwrap();
        assert_eq!((found(merge), found(first)), (vec![merge], vec![first]));
    }
}
