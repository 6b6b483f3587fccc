//! Where refs live: in the repository itself, or in another one that it fetches from and pushes to.
//!
//! Both are read and written the same way. Every write carries a lease: a ref moves only from where it was seen.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use tracing::{info, warn};

use super::clones::Mirror;
use crate::git::error::{Fault, GitError};
use crate::git::objects::refs::{RefUpdate, Refs};
use crate::git::objects::repository::{HEADS, Repository, branch_names};
use crate::git::objects::revision::Revision;
use crate::git::remote::address::Remote;
use crate::git::remote::smart_http::HttpRemote;
use crate::git::remote::upload_pack::Bring;
use crate::http::{Client, Url};
use crate::identity::Identity;

/// What an upstream's refs are called there, and what they are called here once they are fetched.
const NAMESPACES: [(&str, &str); 2] =
    [(HEADS, "refs/fleetwright/upstream/heads/"), (PULLS, "refs/fleetwright/upstream/pulls/")];

/// What is read of an upstream; the rest, such as tags and the forge's own refs, may be large and is not needed.
const PULLS: &str = "refs/fleetwright/pulls/";

/// The repository in which branches and pull requests live, seen from the one in which commits are made.
#[derive(Debug)]
pub struct Upstream {
    repository: Repository,
    /// Where the refs live, if not in the repository itself.
    remote: Option<Remote>,
    /// The refs that are read; a name that ends in `/` stands for all that are below it.
    names: Arc<RwLock<Vec<String>>>,
    /// What the repository is, if it may be thrown away.
    mirror: Option<Mirror>,
}

impl Upstream {
    /// Returns the repository as its own upstream.
    #[must_use]
    pub fn own(repository: Repository) -> Self {
        Self::new(repository, None, None)
    }

    fn new(repository: Repository, remote: Option<Remote>, mirror: Option<Mirror>) -> Self {
        let names = Arc::new(RwLock::new(vec![HEADS.to_owned(), PULLS.to_owned()]));
        Self { repository, remote, names, mirror }
    }

    /// Returns the upstream at an address that needs no credential: a path, `file://` or `ssh://`, or what is public.
    pub fn at(repository: Repository, url: &str) -> Result<Self, GitError> {
        Self::connect(repository, url, &Identity::anonymous())
    }

    /// Returns the upstream at an address, with the credential of `identity`. Nothing is sent yet.
    pub fn connect(repository: Repository, url: &str, identity: &Identity) -> Result<Self, GitError> {
        let parsed = Remote::parse(url, identity);
        let remote = match parsed.map_err(|error| repository.error("open its upstream", error))? {
            Remote::Path(path) => {
                let there = Repository::open(&path)?;
                let is_own = same_folder(there.git_dir(), repository.git_dir());
                (!is_own).then(|| Remote::Path(there.inner.path().to_owned()))
            }
            remote => Some(remote),
        };
        Ok(Self::new(repository, remote, None))
    }

    /// Returns the upstream at an address of a web server, reached by a client that was made for it.
    #[must_use]
    pub fn through(repository: Repository, url: Url, client: Client, identity: &Identity) -> Self {
        let remote = Remote::Http(HttpRemote::new(url, client, identity.clone()));
        Self::new(repository, Some(remote), None)
    }

    /// Returns the upstream at a remote that a test has set up.
    #[cfg(test)]
    pub(in crate::git) fn over(repository: Repository, remote: Remote) -> Self {
        Self::new(repository, Some(remote), None)
    }

    /// Returns the upstream at an address, with a mirror of it in `folder` to work in.
    ///
    /// Nothing is fetched yet.
    pub fn mirrored(folder: &Path, address: &str, identity: &Identity) -> Result<Self, GitError> {
        let failed = |fault| GitError::at(folder, "open the mirror", fault);
        let remote = Remote::parse(address, identity).map_err(failed)?;
        let mirror = Mirror::hold(folder, &remote.to_string()).map_err(failed)?;
        Ok(Self::new(mirror.open()?, Some(remote), Some(mirror)))
    }

    /// Opens the same upstream again, for another thread.
    pub fn reopen(&self) -> Result<Self, GitError> {
        Ok(self.in_clone(self.repository.reopen()?))
    }

    /// Returns the same upstream with another clone in its mirror.
    fn in_clone(&self, repository: Repository) -> Self {
        let names = Arc::clone(&self.names);
        Self { names, ..Self::new(repository, self.remote.clone(), self.mirror.clone()) }
    }

    /// Returns this upstream with a mirror as new if `error` reports that something in it is damaged.
    ///
    /// Returns nothing if there is no mirror, or if the error reports something else.
    pub fn recovered(&self, error: &GitError) -> Result<Option<Self>, GitError> {
        match &self.mirror {
            Some(mirror) if error.is_damage() => {
                warn!(mirror = %mirror.folder().display(), %error, "the mirror is damaged: it is deleted and cloned again");
                self.in_new_clone(mirror).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Returns this upstream with its mirror repacked if it had become slow; otherwise, nothing.
    ///
    /// Git does it where it is installed. Elsewhere the mirror is cloned again, with the same result.
    pub fn tidied(&self) -> Result<Option<Self>, GitError> {
        let Some(mirror) = self.mirror.as_ref().filter(|mirror| mirror.is_untidy()) else { return Ok(None) };
        info!(mirror = %mirror.folder().display(), "repacking the mirror");
        if mirror.repack() {
            Ok(Some(self.in_clone(mirror.open()?)))
        } else {
            self.in_new_clone(mirror).map(Some)
        }
    }

    /// Fetches everything into a new clone.
    fn in_new_clone(&self, mirror: &Mirror) -> Result<Self, GitError> {
        let upstream = self.in_clone(mirror.begin()?);
        upstream.fetch()?;
        Ok(upstream)
    }

    /// Reads, of all branches, only these; a name that ends in `/` stands for all that are below it.
    ///
    /// A repository may have a hundred thousand branches, of which a run looks at a handful.
    /// So does every value that was opened again from this one.
    pub fn read_branches(&self, branches: impl IntoIterator<Item = String>) {
        let heads = branches.into_iter().map(|branch| format!("{HEADS}{branch}"));
        let names = heads.chain([PULLS.to_owned()]).collect();
        *self.names.write().unwrap_or_else(PoisonError::into_inner) = names;
    }

    /// Returns the repository in which commits are made.
    #[must_use]
    pub const fn repository(&self) -> &Repository {
        &self.repository
    }

    /// Returns the folder in which the refs live, whose changes are worth watching; here, if they live elsewhere.
    pub(crate) fn git_dir(&self) -> &Path {
        match &self.remote {
            Some(Remote::Path(path)) => path,
            _ => self.repository.git_dir(),
        }
    }

    /// Returns where branches and pull requests are now; their objects may not be here yet.
    pub fn refs(&self) -> Result<BTreeMap<String, Revision>, GitError> {
        self.bring(Bring::Refs)
    }

    /// Brings everything that branches and pull requests name into the repository and returns where they are.
    pub fn fetch(&self) -> Result<BTreeMap<String, Revision>, GitError> {
        let refs = self.bring(Bring::Objects)?;
        if self.remote.is_some() {
            self.keep(&refs)?;
        }
        Ok(refs)
    }

    fn bring(&self, bring: Bring) -> Result<Refs, GitError> {
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner).clone();
        match &self.remote {
            None => self.repository.refs_called(&names),
            Some(remote) => Ok(remote.fetch(&self.repository, &names, bring)?.refs),
        }
    }

    /// Brings in what one ref of the upstream names that a fetch of branches leaves out, and returns where it is.
    pub fn fetch_ref(&self, name: &str) -> Result<Option<Revision>, GitError> {
        let Some(remote) = &self.remote else { return self.repository.ref_target(name) };
        let fetched = remote.fetch(&self.repository, &[name.to_owned()], Bring::Objects)?;
        Ok(fetched.refs.get(name).copied())
    }

    /// Returns the revision that `branch` has upstream, after a fetch.
    pub fn branch(&self, branch: &str) -> Result<Option<Revision>, GitError> {
        let [(there, here), _] = NAMESPACES;
        let prefix = if self.remote.is_none() { there } else { here };
        self.repository.ref_target(&format!("{prefix}{branch}"))
    }

    /// Returns the revision that `branch` has upstream, after a fetch; the error lists which branches there are.
    pub fn existing_branch(&self, branch: &str) -> Result<Revision, GitError> {
        let Some(remote) = &self.remote else { return self.repository.branch(branch) };
        if let Some(revision) = self.branch(branch)? {
            return Ok(revision);
        }
        let refs = remote.fetch(&self.repository, &[HEADS.to_owned()], Bring::Refs)?.refs;
        let attempt = format!("read branch `{branch}` of `{remote}`");
        Err(self.repository.error(attempt, Fault::unknown_branch(branch, &branch_names(&refs))))
    }

    /// Returns the branch that is worked on if none is named: that of HEAD, of a mirror's upstream or else here.
    pub fn head_branch(&self) -> Result<String, GitError> {
        if self.mirror.is_some() { self.default_branch() } else { self.repository.head_branch() }
    }

    /// Returns the branch that HEAD is on where the refs live.
    pub fn default_branch(&self) -> Result<String, GitError> {
        let remote = match &self.remote {
            None => return self.repository.head_branch(),
            Some(Remote::Path(path)) => return Repository::open(path)?.head_branch(),
            Some(remote) => remote,
        };
        let head = remote.fetch(&self.repository, &[], Bring::Refs)?.head;
        head.and_then(|name| name.strip_prefix(HEADS).map(str::to_owned)).ok_or_else(|| {
            let attempt = format!("find the branch that HEAD is on in `{remote}`");
            self.repository.error(attempt, Fault::no_commits())
        })
    }

    /// Returns whether HEAD chooses the branch while that is there: the HEAD of a working tree shows only where a
    /// user works.
    pub(crate) fn has_default_branch(&self) -> bool {
        match &self.remote {
            None => self.repository.working_tree().is_none(),
            Some(remote) => !matches!(remote, Remote::Path(_)),
        }
    }

    /// Moves refs if every one still stands where it was expected; otherwise none moves.
    pub fn update(&self, updates: &[RefUpdate]) -> Result<(), GitError> {
        match &self.remote {
            _ if updates.is_empty() => Ok(()),
            None => self.repository.update_refs(updates),
            Some(remote) => remote.push(&self.repository, updates),
        }
    }

    /// Lets the copies of the upstream's refs stand where `refs` are, and removes those that are gone.
    fn keep(&self, refs: &Refs) -> Result<(), GitError> {
        let repository = &self.repository;
        for (there, here) in NAMESPACES {
            let copy = |(name, revision): (&String, &Revision)| {
                Some((format!("{here}{}", name.strip_prefix(there)?), *revision))
            };
            let wanted: Refs = refs.iter().filter_map(copy).collect();
            let held = repository.refs_below(here)?;
            let failed = |name: &str| repository.failed(format!("keep `{name}`"));
            // First what goes: `a` has to make room for `a/b`.
            for name in held.keys().filter(|name| !wanted.contains_key(*name)) {
                let removed = repository.inner.find_reference(name).and_then(|mut found| found.delete());
                removed.map_err(failed(name))?;
            }
            for (name, revision) in wanted.iter().filter(|(name, revision)| held.get(*name) != Some(revision))
            {
                let kept = repository.inner.reference(name, revision.oid(), true, "fleetwright");
                kept.map_err(failed(name))?;
            }
        }
        Ok(())
    }
}

fn same_folder(one: &Path, two: &Path) -> bool {
    matches!((one.canonicalize(), two.canonicalize()), (Ok(one), Ok(two)) if one == two)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::scene::Scene;
    use crate::git::{CommitRequest, TreeChange, rendered_message};

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
        let text = rendered_message("Render app", base);
        let request =
            CommitRequest { base, changes: &changes, roots: &["out"], message: &text, source: base };
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
                assert!(error.is_lease_lost() && error.is_transient(), "{error:?}");
                let found = format!("found `{}`", tip.short());
                assert!(error.fault.to_string().ends_with(&found), "{error:?}");
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
            let lost =
                won.iter().filter(|result| result.as_ref().is_err_and(GitError::is_lease_lost)).count();
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
            let reason = if hook == "update" { "hook declined" } else { "pre-receive hook declined" };
            let told = format!("`refs/heads/main` was rejected: {reason}: ask the platform team first");
            assert!(error.fault.to_string().starts_with(&told), "{error:?}");
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
        assert!(error.fault.to_string().contains("branch is currently checked out"), "{error:?}");
        upstream.update(&[RefUpdate::branch("render/app", None, Some(new))]).unwrap();
    }

    #[test]
    fn an_upstream_that_is_the_repository_itself_is_seen_as_such() {
        let scene = Scene::with_working_tree();
        scene.commit("main", "start", &[("a", "1")]);
        let upstream = Upstream::at(scene.repository(), scene.path().to_str().unwrap()).unwrap();
        assert!(upstream.remote.is_none());
    }

    #[test]
    fn an_upstream_that_is_not_there_is_named() {
        let scene = Scene::bare();
        let error = Upstream::at(scene.repository(), "/nowhere/fleet.git").unwrap_err();
        assert!(error.to_string().contains("/nowhere/fleet.git"), "{error}");
        assert_eq!(error.fault.to_string(), "there is no such folder");
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
