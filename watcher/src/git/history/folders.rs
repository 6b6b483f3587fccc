//! The commits that made folders what they are.

use std::collections::BTreeMap;

use git2::Oid;

use crate::git::error::GitError;
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
                for name in self.changed_names(changed, id)? {
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

    /// Returns the names of the entries that differ between two folders.
    fn changed_names(&self, one: Option<Oid>, two: Option<Oid>) -> Result<Vec<String>, GitError> {
        let entries = |id: Option<Oid>| -> Result<BTreeMap<String, Oid>, GitError> {
            let Some(tree) = id.and_then(|id| self.inner.find_tree(id).ok()) else {
                return Ok(BTreeMap::new());
            };
            Ok(tree
                .iter()
                .map(|it| (String::from_utf8_lossy(it.name_bytes()).into_owned(), it.id()))
                .collect())
        };
        let (one, two) = (entries(one)?, entries(two)?);
        let names = one.keys().chain(two.keys().filter(|name| !one.contains_key(*name)));
        Ok(names.filter(|name| one.get(*name) != two.get(*name)).cloned().collect())
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
