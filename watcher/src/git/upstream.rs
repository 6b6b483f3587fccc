//! Where refs live: in the repository itself, or in another one that it fetches from and pushes to.
//!
//! Both are read and written the same way. Every write carries a lease: a ref moves only from where it was seen.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use git2::{AutotagOption, FetchOptions, FetchPrune};

use super::error::{Fault, GitError};
use super::receive_pack;
use super::refs::{PushError, RefUpdate};
use super::repository::Repository;
use super::revision::Revision;

/// What an upstream's refs are called there, and what they are called here once they are fetched.
const NAMESPACES: [(&str, &str); 2] = [
    ("refs/heads/", "refs/fleetwright/upstream/heads/"),
    ("refs/fleetwright/pulls/", "refs/fleetwright/upstream/pulls/"),
];

/// The repository in which branches and pull requests live, seen from the one in which commits are made.
#[derive(Debug)]
pub struct Upstream {
    repository: Repository,
    location: Location,
    /// What was moved through this value, by which one's own moves are told from those of others.
    moved: RefCell<Vec<RefUpdate>>,
}

#[derive(Clone, Debug)]
enum Location {
    Own,
    Other(PathBuf),
}

impl Upstream {
    /// Returns the repository as its own upstream.
    #[must_use]
    pub const fn own(repository: Repository) -> Self {
        Self { repository, location: Location::Own, moved: RefCell::new(Vec::new()) }
    }

    /// Returns the upstream at a path or a `file://` address.
    pub fn at(repository: Repository, url: &str) -> Result<Self, GitError> {
        let Some(path) = local_path(url) else {
            let fault = Fault::UnsupportedUrl { url: without_credentials(url) };
            return Err(repository.error("open its upstream", fault));
        };
        let other = Repository::open(&path)?;
        let is_own = same_folder(other.git_dir(), repository.git_dir());
        let location = if is_own { Location::Own } else { Location::Other(other.inner.path().to_owned()) };
        Ok(Self { repository, location, moved: RefCell::default() })
    }

    /// Opens the same upstream once more, for another thread.
    pub fn reopen(&self) -> Result<Self, GitError> {
        let (repository, location) = (self.repository.reopen()?, self.location.clone());
        Ok(Self { repository, location, moved: RefCell::default() })
    }

    /// Returns the repository in which commits are made.
    #[must_use]
    pub const fn repository(&self) -> &Repository {
        &self.repository
    }

    /// Returns where branches and pull requests are now; their objects may not be here yet.
    pub fn refs(&self) -> Result<BTreeMap<String, Revision>, GitError> {
        let mut refs = BTreeMap::new();
        for (prefix, _) in NAMESPACES {
            match &self.location {
                Location::Own => refs.append(&mut self.repository.refs_below(prefix)?),
                Location::Other(path) => refs.append(&mut Repository::open(path)?.refs_below(prefix)?),
            }
        }
        Ok(refs)
    }

    /// Brings everything that branches and pull requests name into the repository and returns where they are.
    pub fn fetch(&self) -> Result<BTreeMap<String, Revision>, GitError> {
        let Location::Other(path) = &self.location else {
            return self.refs();
        };
        self.download(path)?;
        let mut refs = BTreeMap::new();
        for (there, here) in NAMESPACES {
            let fetched = self.repository.refs_below(here)?;
            refs.extend(fetched.into_iter().filter_map(|(name, revision)| {
                Some((format!("{there}{}", name.strip_prefix(here)?), revision))
            }));
        }
        Ok(refs)
    }

    /// Returns the revision that `branch` has upstream, after a fetch.
    pub fn branch(&self, branch: &str) -> Result<Option<Revision>, GitError> {
        let [(there, here), _] = NAMESPACES;
        let prefix = if matches!(self.location, Location::Own) { there } else { here };
        self.repository.ref_target(&format!("{prefix}{branch}"))
    }

    /// Returns the revision that `branch` has upstream, after a fetch; the error says which branches there are.
    pub fn existing_branch(&self, branch: &str) -> Result<Revision, GitError> {
        match (self.branch(branch)?, &self.location) {
            (Some(revision), _) => Ok(revision),
            (None, Location::Own) => self.repository.branch(branch),
            (None, Location::Other(path)) => Repository::open(path)?.branch(branch),
        }
    }

    /// Moves refs if every one still stands where it was expected; otherwise none moves.
    pub fn update(&self, updates: &[RefUpdate]) -> Result<(), PushError> {
        match &self.location {
            _ if updates.is_empty() => Ok(()),
            Location::Own => self.repository.update_refs(updates),
            Location::Other(path) => receive_pack::push(&self.repository, path, updates),
        }?;
        self.moved.borrow_mut().extend_from_slice(updates);
        Ok(())
    }

    /// Returns the refs that were moved through this value since the last time it was asked, in order.
    pub fn take_moves(&self) -> Vec<RefUpdate> {
        self.moved.take()
    }

    /// Returns the folder in which the refs live, whose changes are worth watching.
    #[must_use]
    pub fn git_dir(&self) -> &Path {
        match &self.location {
            Location::Own => self.repository.git_dir(),
            Location::Other(path) => path,
        }
    }

    fn download(&self, path: &Path) -> Result<(), GitError> {
        let failed = || self.repository.failed(format!("fetch from `{}`", path.display()));
        let url = path.to_string_lossy();
        let mut remote = self.repository.inner.remote_anonymous(&url).map_err(failed())?;
        let mut options = FetchOptions::new();
        options.download_tags(AutotagOption::None).update_fetchhead(false).prune(FetchPrune::On);
        let refspecs = NAMESPACES.map(|(there, here)| format!("+{there}*:{here}*"));
        remote.fetch(&refspecs, Some(&mut options), Some("fleetwright")).map_err(failed())
    }
}

fn same_folder(one: &Path, two: &Path) -> bool {
    match (one.canonicalize(), two.canonicalize()) {
        (Ok(one), Ok(two)) => one == two,
        _ => false,
    }
}

/// Returns the path that an address names on this machine, or `None` if it names another machine.
fn local_path(url: &str) -> Option<PathBuf> {
    if let Some(path) = url.strip_prefix("file://") {
        return Some(percent_decoded(path.strip_prefix("localhost").unwrap_or(path)));
    }
    let head = url.split('/').next().unwrap_or_default();
    // `https:` and `ssh:`, and `host:path`; a path with a colon in it can be written `./a:b`.
    (!head.contains(':')).then(|| PathBuf::from(url))
}

fn percent_decoded(path: &str) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let escaped = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if first == b'%' => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    std::ffi::OsString::from_vec(bytes).into()
}

/// Takes out what stands between `://` and `@`, which may be a password or a token.
fn without_credentials(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let authority = rest.split('/').next().unwrap_or_default();
    match authority.rsplit_once('@') {
        Some((credentials, _)) => format!("{scheme}://{}", &rest[credentials.len() + 1..]),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::scene::Scene;
    use crate::git::{CommitRequest, CommitText, TreeChange};

    /// An upstream repository and a clone of nothing that pushes to it.
    struct World {
        there: Scene,
        here: Scene,
    }

    impl World {
        fn new() -> (Self, Revision) {
            let world = Self { there: Scene::bare(), here: Scene::bare() };
            let tip = world.there.commit("main", "start", &[("a", "1")]);
            (world, tip)
        }

        fn upstream(&self) -> Upstream {
            let url = format!("file://{}", self.there.path().display());
            Upstream::at(self.here.repository(), &url).unwrap()
        }
    }

    fn commit(upstream: &Upstream, base: Revision, content: &str) -> Revision {
        let path = crate::git::scene::path("out/app/a.yaml");
        let changes = [TreeChange { path, content: Some(content.as_bytes().into()) }];
        let text = CommitText::rendered("Render app", base);
        let request = CommitRequest { base, changes: &changes, roots: &["out"], text: &text, source: base };
        upstream.repository().commit(&request).unwrap()
    }

    /// Both kinds of upstream, each with the scene where its refs live and the tip of `main`.
    fn both(test: impl Fn(&Upstream, &Scene, Revision)) {
        let own = Scene::bare();
        let tip = own.commit("main", "start", &[("a", "1")]);
        test(&Upstream::own(own.repository()), &own, tip);
        let (world, tip) = World::new();
        test(&world.upstream(), &world.there, tip);
    }

    #[test]
    fn nothing_to_update_is_nothing_done() {
        both(|upstream, scene, _| {
            let before = scene.refs();
            upstream.update(&[]).unwrap();
            assert_eq!(scene.refs(), before);
        });
    }

    #[test]
    fn a_branch_is_created_moved_and_deleted() {
        both(|upstream, scene, tip| {
            assert_eq!(upstream.fetch().unwrap(), BTreeMap::from([("refs/heads/main".into(), tip)]));
            let (one, two) = (commit(upstream, tip, "1"), commit(upstream, tip, "2"));
            for (expected, new) in [(None, Some(one)), (Some(one), Some(two)), (Some(two), None)] {
                upstream.update(&[RefUpdate::branch("render/app", expected, new)]).unwrap();
                upstream.fetch().unwrap();
                assert_eq!(upstream.branch("render/app").unwrap(), new);
            }
            scene.assert_sound();
        });
    }

    #[test]
    fn a_lease_that_was_lost_moves_nothing_at_all() {
        both(|upstream, scene, tip| {
            upstream.fetch().unwrap();
            let new = commit(upstream, tip, "1");
            let before = scene.refs();
            let stale = [(None, Some(new)), (Some(new), Some(new)), (Some(new), None)];
            for (expected, target) in stale {
                let updates = [
                    RefUpdate::branch("other", None, Some(new)),
                    RefUpdate::branch("main", expected, target),
                ];
                let error = upstream.update(&updates).unwrap_err();
                assert!(
                    matches!(&error, PushError::LeaseLost { found, .. } if *found == Some(tip)),
                    "{error:?}"
                );
                assert!(error.is_transient());
                assert_eq!(scene.refs(), before);
            }
        });
    }

    #[test]
    fn of_many_updates_that_race_exactly_one_wins() {
        both(|upstream, scene, tip| {
            upstream.fetch().unwrap();
            let revisions: Vec<_> = (0..6).map(|n| commit(upstream, tip, &n.to_string())).collect();
            let won = std::thread::scope(|scope| {
                let racers: Vec<_> = revisions
                    .iter()
                    .map(|new| {
                        let upstream = upstream.reopen().unwrap();
                        let update = RefUpdate::branch("main", Some(tip), Some(*new));
                        scope.spawn(move || upstream.update(&[update]))
                    })
                    .collect();
                racers.into_iter().map(|racer| racer.join().unwrap()).collect::<Vec<_>>()
            });
            let lost = won.iter().filter(|result| matches!(result, Err(PushError::LeaseLost { .. }))).count();
            assert_eq!(lost, 5, "{won:?}");
            let winner = won.iter().position(Result::is_ok).unwrap();
            assert_eq!(scene.tip("main"), revisions[winner]);
        });
    }

    #[test]
    fn a_base_that_was_force_pushed_is_fetched_as_it_is_now_and_deleted_branches_go() {
        let (world, root) = World::new();
        let upstream = world.upstream();
        world.there.commit("main", "old", &[("a", "2")]);
        world.there.commit("gone", "x", &[("a", "2")]);
        upstream.fetch().unwrap();
        world.there.git(&["update-ref", "refs/heads/main", &root.to_string()]);
        world.there.git(&["update-ref", "-d", "refs/heads/gone"]);
        let new = world.there.commit("main", "new", &[("a", "3")]);
        assert_eq!(upstream.fetch().unwrap(), BTreeMap::from([("refs/heads/main".into(), new)]));
        assert!(upstream.repository().is_ancestor(root, new).unwrap());
    }

    #[test]
    fn a_hook_that_refuses_is_an_error_with_its_words() {
        for hook in ["pre-receive", "update"] {
            let (world, tip) = World::new();
            world.there.hook(hook, "echo 'ask the platform team first' >&2; exit 1");
            let upstream = world.upstream();
            upstream.fetch().unwrap();
            let update = RefUpdate::branch("main", Some(tip), Some(commit(&upstream, tip, "1")));
            let error = upstream.update(&[update]).unwrap_err();
            assert!(matches!(error, PushError::Rejected { .. }), "{error:?}");
            let reason = if hook == "update" { "hook declined" } else { "pre-receive hook declined" };
            let told = format!("`refs/heads/main` was rejected: {reason}: ask the platform team first");
            assert!(error.to_string().starts_with(&told), "{error}");
            assert!(!error.is_transient());
            assert_eq!(world.there.tip("main"), tip);
        }
    }

    #[test]
    fn a_branch_that_is_checked_out_upstream_is_rejected_by_its_owner() {
        let there = Scene::with_working_tree();
        let tip = there.commit("main", "start", &[("a", "1")]);
        let here = Scene::bare();
        let upstream = Upstream::at(here.repository(), there.path().to_str().unwrap()).unwrap();
        upstream.fetch().unwrap();
        let new = commit(&upstream, tip, "1");
        let error = upstream.update(&[RefUpdate::branch("main", Some(tip), Some(new))]).unwrap_err();
        assert!(error.to_string().contains("branch is currently checked out"), "{error}");
        upstream.update(&[RefUpdate::branch("render/app", None, Some(new))]).unwrap();
    }

    #[test]
    fn an_upstream_that_is_the_repository_itself_is_seen_as_such() {
        let scene = Scene::with_working_tree();
        scene.commit("main", "start", &[("a", "1")]);
        let upstream = Upstream::at(scene.repository(), scene.path().to_str().unwrap()).unwrap();
        assert!(matches!(upstream.location, Location::Own));
    }

    #[test]
    fn addresses_of_other_machines_are_refused_without_showing_a_password() {
        let scene = Scene::bare();
        for url in
            ["https://user:secret@example.com/a@b.git", "ssh://git@example.com/a.git", "example.com:a.git"]
        {
            let error = Upstream::at(scene.repository(), url).unwrap_err();
            let Fault::UnsupportedUrl { url } = &error.fault else { panic!("{error:?}") };
            assert!(!url.contains("secret"), "{url}");
            assert!(error.hint().unwrap().contains("file://"));
        }
        assert_eq!(local_path("file:///srv/a%20b.git"), Some("/srv/a b.git".into()));
        assert_eq!(without_credentials("https://u:p@example.com/a@b"), "https://example.com/a@b");
    }

    #[test]
    fn an_upstream_that_is_not_there_is_named() {
        let scene = Scene::bare();
        let error = Upstream::at(scene.repository(), "/nowhere/fleet.git").unwrap_err();
        assert!(error.to_string().contains("/nowhere/fleet.git"), "{error}");
        assert!(matches!(error.fault, Fault::NoSuchFolder), "{error:?}");
    }

    #[test]
    fn a_lock_that_nobody_lets_go_of_is_named_with_the_way_out() {
        let scene = Scene::bare();
        let tip = scene.commit("main", "start", &[("a", "1")]);
        let upstream = Upstream::own(scene.repository());
        let new = commit(&upstream, tip, "1");
        scene.write("refs/heads/main.lock", "");
        let error = upstream.update(&[RefUpdate::branch("main", Some(tip), Some(new))]).unwrap_err();
        assert!(error.is_transient());
        assert!(error.hint().unwrap().contains(".lock"), "{error:?}");
        assert_eq!(scene.tip("main"), tip);
    }
}
