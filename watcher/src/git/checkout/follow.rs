//! Working trees that follow a branch which moves, without touching what a person has not committed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use git2::build::CheckoutBuilder;
use git2::{CheckoutNotificationType, ErrorCode, ObjectType, StatusOptions, StatusShow, Tree};

use crate::git::error::{Fault, FaultKind, GitError, quoted};
use crate::git::objects::object::hash;
use crate::git::objects::refs::{RefUpdate, followed};
use crate::git::objects::repository::Repository;
use crate::git::objects::revision::Revision;

impl Repository {
    /// Brings the working tree to where a branch is about to move, if the branch is checked out in it.
    ///
    /// Runs while the ref is locked and before it moves: when this refuses, nothing has changed.
    pub(super) fn take_working_tree_along(&self, update: &RefUpdate) -> Result<(), GitError> {
        let Some(branch) = update.name.strip_prefix("refs/heads/") else {
            return Ok(());
        };
        let checked_out = |working_tree: &Path| {
            let message = format!("branch `{branch}` is checked out in `{}`", working_tree.display());
            let hint = "switch that working tree to another branch with `git switch`";
            let fault = Fault::new(FaultKind::CheckedOut, message, hint);
            Err(self.error(format!("move branch `{branch}`"), fault))
        };
        if let Some(elsewhere) = self.other_working_tree_on(&update.name)? {
            return checked_out(&elsewhere);
        }
        match (self.inner.workdir(), update.new) {
            (Some(_), _) if !is_on(&self.inner, &update.name) => Ok(()),
            (Some(working_tree), None) => checked_out(working_tree),
            (Some(_), Some(new)) => self.follow(update.expected, new),
            (None, _) => Ok(()),
        }
    }

    /// Finds another working tree of this repository that is on the branch.
    fn other_working_tree_on(&self, name: &str) -> Result<Option<PathBuf>, GitError> {
        let names = self.inner.worktrees().map_err(self.failed("list the working trees"))?;
        let linked = names.iter().filter_map(|name| {
            let worktree = self.inner.find_worktree(name.ok()??).ok()?;
            git2::Repository::open_from_worktree(&worktree).ok()
        });
        // Seen from a linked working tree, the main one is one of the others.
        let main = self.inner.is_worktree().then(|| git2::Repository::open(self.inner.commondir()).ok());
        let other = linked.chain(main.flatten()).find(|other| {
            other.workdir().is_some() && other.path() != self.inner.path() && is_on(other, name)
        });
        Ok(other.and_then(|other| other.workdir().map(Path::to_owned)))
    }

    fn follow(&self, old: Option<Revision>, new: Revision) -> Result<(), GitError> {
        let attempt = || format!("bring the working tree to `{}`", new.short());
        let old = old.map(|old| self.tree_at(old)).transpose()?;
        let new = self.tree_at(new)?;
        let changed = self.changed_paths(old.as_ref(), &new).map_err(self.failed(attempt()))?;
        let paths = self.left_out(&changed).map_err(self.failed(attempt()))?;
        if !paths.is_empty() {
            return Err(self.error(attempt(), left_out(&paths)));
        }
        let staged = self.staged_in_the_way(&changed, &new).map_err(self.failed(attempt()))?;
        if !staged.is_empty() {
            return Err(self.error(attempt(), uncommitted(&staged)));
        }
        let (already_there, in_the_way): (Vec<_>, Vec<_>) = self
            .try_checkout(&new)
            .map_err(self.failed(attempt()))?
            .into_iter()
            .partition(|path| self.is_already_there(path, &new));
        if !in_the_way.is_empty() {
            return Err(self.error(attempt(), uncommitted(&in_the_way)));
        }
        self.checkout_around(&new, &already_there).map_err(self.failed(attempt()))
    }

    /// Lists the files that the move changes and that a sparse checkout leaves out: libgit2 takes them for deleted.
    fn left_out(&self, changed: &BTreeSet<String>) -> Result<Vec<String>, git2::Error> {
        const SKIP_WORKTREE: u16 = 1 << 14;
        let is_sparse = self.inner.config()?.get_bool("core.sparseCheckout").unwrap_or(false);
        if !is_sparse {
            return Ok(Vec::new());
        }
        let index = self.inner.index()?;
        let is_left_out = |path: &&String| {
            let entry = index.get_path(Path::new(path), 0);
            entry.is_some_and(|entry| entry.flags_extended & SKIP_WORKTREE != 0)
        };
        Ok(changed.iter().filter(is_left_out).cloned().collect())
    }

    /// Checks out `new` and returns nothing, or changes nothing and returns the files that are in the way.
    fn try_checkout(&self, new: &Tree<'_>) -> Result<Vec<String>, git2::Error> {
        let mut in_the_way = Vec::new();
        let mut checkout = CheckoutBuilder::new();
        checkout.safe().notify_on(CheckoutNotificationType::CONFLICT).notify(|_, path, _, _, _| {
            in_the_way.extend(path.map(|path| path.to_string_lossy().into_owned()));
            true
        });
        let result = self.inner.checkout_tree(new.as_object(), Some(&mut checkout));
        drop(checkout);
        match result {
            Err(error) if error.code() == ErrorCode::Conflict => Ok(in_the_way),
            result => result.map(|()| in_the_way),
        }
    }

    /// A file that has its new content already is not in the way: a move that was interrupted left it.
    fn is_already_there(&self, path: &str, new: &Tree<'_>) -> bool {
        let wanted = new.get_path(Path::new(path)).map(|entry| entry.id());
        let on_disk =
            self.inner.workdir().map(|dir| dir.join(path)).and_then(|path| std::fs::read(path).ok());
        matches!((wanted, on_disk), (Ok(wanted), Some(bytes)) if wanted == hash(ObjectType::Blob, &bytes))
    }

    fn checkout_around(&self, new: &Tree<'_>, already_there: &[String]) -> Result<(), git2::Error> {
        if already_there.is_empty() {
            return Ok(());
        }
        let mut checkout = CheckoutBuilder::new();
        checkout.safe().allow_conflicts(true);
        self.inner.checkout_tree(new.as_object(), Some(&mut checkout))?;
        let mut index = self.inner.index()?;
        for path in already_there {
            index.add_path(Path::new(path))?;
        }
        index.write()
    }

    /// Lists files that are staged with a content of their own and that the move changes.
    ///
    /// A staged content that equals the new one is left over from a move that was cut short, and is fine.
    fn staged_in_the_way(
        &self,
        changed: &BTreeSet<String>,
        new: &Tree<'_>,
    ) -> Result<Vec<String>, git2::Error> {
        let mut options = StatusOptions::new();
        options.show(StatusShow::Index);
        let statuses = self.inner.statuses(Some(&mut options))?;
        let index = self.inner.index()?;
        let staged = statuses.iter().filter_map(|status| {
            let path = status.path().ok()?.to_owned();
            let staged = index.get_path(Path::new(&path), 0).map(|entry| entry.id);
            let wanted = new.get_path(Path::new(&path)).ok().map(|entry| entry.id());
            (changed.contains(&path) && staged != wanted).then_some(path)
        });
        Ok(staged.collect())
    }
}

/// The branch would move over uncommitted changes.
fn uncommitted(paths: &[String]) -> Fault {
    let message = format!("uncommitted changes to {} would be overwritten", quoted(paths));
    Fault::stalled(message, "commit or stash them first, for instance with `git stash`")
}

/// The branch would move files that a sparse checkout leaves out.
fn left_out(paths: &[String]) -> Fault {
    let hint = "check them out with `git sparse-checkout add FOLDER`, or all with `git sparse-checkout disable`, \
                or switch to another branch first";
    Fault::stalled(format!("the checkout is sparse and leaves out {}", quoted(paths)), hint)
}

/// Returns whether HEAD is on a branch, by its own name or by one that stands for it.
fn is_on(repository: &git2::Repository, name: &str) -> bool {
    followed(repository, "HEAD").skip(1).any(|followed| followed == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::Upstream;
    use crate::git::scene::Scene;

    struct World {
        scene: Scene,
        old: Revision,
        new: Revision,
    }

    impl World {
        /// `main` is checked out at `old`; `new` changes `a`, adds `n/n` and removes `b`.
        fn new() -> Self {
            let scene = Scene::with_working_tree();
            let old = scene.commit("main", "start", &[("a", "1\n"), ("b", "1\n"), ("mine", "1\n")]);
            scene.git(&["switch", "-q", "-c", "next"]);
            scene.write("a", "2\n");
            scene.write("n/n", "2\n");
            scene.git(&["rm", "-q", "b"]);
            scene.git(&["add", "-A"]);
            scene.git(&["commit", "-qm", "next"]);
            let new = scene.tip("next");
            scene.git(&["switch", "-q", "main"]);
            Self { scene, old, new }
        }

        fn advance(&self) -> Result<(), GitError> {
            let update = RefUpdate::branch("main", Some(self.old), Some(self.new));
            Upstream::own(self.scene.repository()).update(&[update])
        }

        fn status(&self) -> String {
            self.scene.git(&["status", "--porcelain"])
        }
    }

    #[test]
    fn a_clean_working_tree_follows_its_branch() {
        let world = World::new();
        world.advance().unwrap();
        assert_eq!(world.scene.tip("main"), world.new);
        assert_eq!(world.status(), "");
        assert_eq!(world.scene.read("a"), "2\n");
    }

    #[test]
    fn uncommitted_changes_elsewhere_are_kept() {
        let world = World::new();
        world.scene.write("mine", "edited\n");
        world.scene.write("untracked", "x\n");
        world.advance().unwrap();
        assert_eq!(world.status(), " M mine\n?? untracked");
    }

    #[test]
    fn uncommitted_changes_in_the_way_stop_the_move_and_nothing_changes() {
        type Edit = fn(&World);
        let edits: [(&str, Edit); 5] = [
            ("a", |world| world.scene.write("a", "edited\n")),
            ("a", |world| std::fs::remove_file(world.scene.path().join("a")).unwrap()),
            ("b", |world| world.scene.write("b", "edited\n")),
            ("n/n", |world| world.scene.write("n/n", "untracked\n")),
            ("a", |world| {
                world.scene.write("a", "staged\n");
                world.scene.git(&["add", "a"]);
                world.scene.write("a", "1\n");
            }),
        ];
        for (file, edit) in edits {
            let world = World::new();
            edit(&world);
            let before = world.status();
            let Err(error) = world.advance() else { panic!("the move of `{file}` went through") };
            let expected = format!("uncommitted changes to `{file}` would be overwritten");
            assert_eq!(error.fault.to_string(), expected);
            assert_eq!((world.status(), world.scene.tip("main")), (before, world.old));
        }
    }

    #[test]
    fn a_move_that_was_cut_short_after_the_files_is_finished_by_the_next() {
        let world = World::new();
        let update = RefUpdate::branch("main", Some(world.old), Some(world.new));
        world.scene.repository().take_working_tree_along(&update).unwrap();
        assert_eq!(world.scene.tip("main"), world.old);
        world.advance().unwrap();
        assert_eq!((world.status(), world.scene.tip("main")), (String::new(), world.new));
    }

    #[test]
    fn a_move_that_was_cut_short_between_the_files_and_the_index_is_finished_by_the_next() {
        let world = World::new();
        world.scene.write("a", "2\n");
        world.scene.write("n/n", "2\n");
        std::fs::remove_file(world.scene.path().join("b")).unwrap();
        world.advance().unwrap();
        assert_eq!((world.status(), world.scene.tip("main")), (String::new(), world.new));
    }

    #[test]
    fn a_branch_that_another_working_tree_is_on_stays() {
        let world = World::new();
        let other = world.scene.path().join("../other");
        world.scene.git(&["switch", "-q", "next"]);
        world.scene.git(&["worktree", "add", "-q", other.to_str().unwrap(), "main"]);
        let error = world.advance().unwrap_err();
        assert!(error.is_checked_out(), "{error:?}");
        assert_eq!(world.scene.tip("main"), world.old);
    }

    #[test]
    fn a_branch_is_not_deleted_under_a_working_tree() {
        let world = World::new();
        let update = RefUpdate::branch("main", Some(world.old), None);
        let error = Upstream::own(world.scene.repository()).update(&[update]).unwrap_err();
        assert!(error.is_checked_out(), "{error:?}");
        assert_eq!(world.scene.tip("main"), world.old);
    }
}
