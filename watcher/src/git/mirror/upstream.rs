//! Where refs live: in the repository itself, or in another one that it fetches from and pushes to.
//!
//! Both are read and written the same way. Every write carries a lease: a ref moves only from where it was seen.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use crate::http::{Client, Url};
use crate::identity::Identity;

use super::clones::Mirror;
use crate::git::checkout::refs::{PushError, RefUpdate};
use crate::git::error::{Fault, GitError};
use crate::git::objects::repository::Repository;
use crate::git::objects::revision::Revision;
use crate::git::remote::conversation::Remote;
use crate::git::remote::receive_pack;
use crate::git::remote::smart_http::HttpRemote;
use crate::git::remote::upload_pack;

/// What an upstream's refs are called there, and what they are called here once they are fetched.
const NAMESPACES: [(&str, &str); 2] =
    [(PREFIXES[0], "refs/fleetwright/upstream/heads/"), (PREFIXES[1], "refs/fleetwright/upstream/pulls/")];

/// What is read of an upstream; the rest, such as tags and the forge's own refs, may be large and is not needed.
const PREFIXES: [&str; 2] = ["refs/heads/", "refs/fleetwright/pulls/"];

/// The repository in which branches and pull requests live, seen from the one in which commits are made.
#[derive(Debug)]
pub struct Upstream {
    repository: Repository,
    location: Location,
    /// The refs that are read; a name that ends in `/` stands for all that are below it.
    names: Arc<RwLock<Vec<String>>>,
    /// What the repository is, if it is one's own to throw away.
    mirror: Option<Mirror>,
    /// What was moved through this value, by which one's own moves are told from those of others.
    moved: RefCell<Vec<RefUpdate>>,
}

#[derive(Clone, Debug)]
enum Location {
    Own,
    Other(Remote),
}

impl Location {
    fn on_this_machine(repository: &Repository, path: &Path) -> Result<Self, GitError> {
        let other = Repository::open(path)?;
        if same_folder(other.git_dir(), repository.git_dir()) {
            return Ok(Self::Own);
        }
        Ok(Self::Other(Remote::Path(other.inner.path().to_owned())))
    }
}

impl Upstream {
    /// Returns the repository as its own upstream.
    #[must_use]
    pub fn own(repository: Repository) -> Self {
        Self::new(repository, Location::Own, None)
    }

    fn new(repository: Repository, location: Location, mirror: Option<Mirror>) -> Self {
        let names = Arc::new(RwLock::new(PREFIXES.map(str::to_owned).into()));
        Self { repository, location, names, mirror, moved: RefCell::default() }
    }

    /// Reads, of all branches, only these; a name that ends in `/` stands for all that are below it.
    ///
    /// A repository may have a hundred thousand branches, of which a run looks at a handful.
    /// So does every value that was opened again from this one.
    pub fn read_branches(&self, branches: impl IntoIterator<Item = String>) {
        let [heads, pulls] = PREFIXES;
        let mut names: Vec<_> = branches.into_iter().map(|branch| format!("{heads}{branch}")).collect();
        names.push(pulls.to_owned());
        *self.names.write().unwrap_or_else(PoisonError::into_inner) = names;
    }

    fn names(&self) -> Vec<String> {
        self.names.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the upstream at an address that needs no credential: a path, `file://` or `ssh://`, or what is public.
    pub fn at(repository: Repository, url: &str) -> Result<Self, GitError> {
        Self::connect(repository, url, &Identity::anonymous())
    }

    /// Returns the upstream at an address, to which `identity` says who we are. Nothing is sent yet.
    pub fn connect(repository: Repository, url: &str, identity: &Identity) -> Result<Self, GitError> {
        let remote =
            Remote::parse(url, identity).map_err(|fault| repository.error("open its upstream", fault))?;
        let location = match remote {
            Remote::Path(path) => Location::on_this_machine(&repository, &path)?,
            remote => Location::Other(remote),
        };
        Ok(Self::new(repository, location, None))
    }

    /// Returns the upstream at a remote that a test has set up.
    #[cfg(test)]
    pub(in crate::git) fn over(repository: Repository, remote: Remote) -> Self {
        Self::new(repository, Location::Other(remote), None)
    }

    pub(in crate::git) fn in_mirror(repository: Repository, remote: Remote, mirror: Mirror) -> Self {
        Self::new(repository, Location::Other(remote), Some(mirror))
    }

    /// Returns the same upstream with another clone in its mirror.
    pub(in crate::git) fn in_clone(&self, repository: Repository) -> Self {
        let (location, mirror) = (self.location.clone(), self.mirror.clone());
        Self { names: Arc::clone(&self.names), ..Self::new(repository, location, mirror) }
    }

    /// Returns the mirror that is worked in, and what it is the mirror of.
    pub(in crate::git) fn mirror(&self) -> Option<(&Mirror, &Remote)> {
        match (&self.mirror, &self.location) {
            (Some(mirror), Location::Other(remote)) => Some((mirror, remote)),
            _ => None,
        }
    }

    /// Returns the upstream at an address of a web server, spoken to by a client that was made for it.
    #[must_use]
    pub fn through(repository: Repository, url: Url, client: Client, identity: &Identity) -> Self {
        let location = Location::Other(Remote::Http(HttpRemote::new(url, client, identity.clone())));
        Self::new(repository, location, None)
    }

    /// Opens the same upstream once more, for another thread.
    pub fn reopen(&self) -> Result<Self, GitError> {
        Ok(self.in_clone(self.repository.reopen()?))
    }

    /// Returns the repository in which commits are made.
    #[must_use]
    pub const fn repository(&self) -> &Repository {
        &self.repository
    }

    /// Returns where branches and pull requests are now; their objects may not be here yet.
    pub fn refs(&self) -> Result<BTreeMap<String, Revision>, GitError> {
        match &self.location {
            Location::Own => self.refs_of(&self.repository),
            Location::Other(Remote::Path(path)) => self.refs_of(&Repository::open(path)?),
            Location::Other(remote) => {
                upload_pack::list(remote, &self.names()).map_err(self.failed("read the refs of", remote))
            }
        }
    }

    /// Brings everything that branches and pull requests name into the repository and returns where they are.
    pub fn fetch(&self) -> Result<BTreeMap<String, Revision>, GitError> {
        let Location::Other(remote) = &self.location else {
            return self.refs();
        };
        let refs = match self.seen_from_here(remote)? {
            Some(refs) => refs,
            None => upload_pack::fetch(remote, &self.repository, &self.names())
                .map_err(self.failed("fetch from", remote))?,
        };
        self.repository.keep_upstream_refs(&refs)?;
        Ok(refs)
    }

    /// Brings in what one ref of the upstream names that a fetch of branches leaves out, and returns where it is.
    pub fn fetch_ref(&self, name: &str) -> Result<Option<Revision>, GitError> {
        let Location::Other(remote) = &self.location else {
            return self.repository.ref_target(name);
        };
        let refs = upload_pack::fetch(remote, &self.repository, &[name.to_owned()])
            .map_err(self.failed(&format!("fetch `{name}` from"), remote))?;
        Ok(refs.get(name).copied())
    }

    /// Returns where the refs of a repository on this machine are, if nothing has to be fetched to have what they name.
    fn seen_from_here(&self, remote: &Remote) -> Result<Option<BTreeMap<String, Revision>>, GitError> {
        let Remote::Path(path) = remote else { return Ok(None) };
        let refs = self.refs_of(&Repository::open(path)?)?;
        let odb = self.repository.inner.odb().map_err(self.repository.failed("look for objects"))?;
        Ok(refs.values().all(|revision| odb.exists(revision.oid())).then_some(refs))
    }

    /// Returns the revision that `branch` has upstream, after a fetch.
    pub fn branch(&self, branch: &str) -> Result<Option<Revision>, GitError> {
        let [(there, here), _] = NAMESPACES;
        let prefix = if matches!(self.location, Location::Own) { there } else { here };
        self.repository.ref_target(&format!("{prefix}{branch}"))
    }

    /// Returns the branch that is worked on if none is named: that of HEAD, of a mirror's upstream or else here.
    pub fn head_branch(&self) -> Result<String, GitError> {
        if self.mirror().is_some() { self.default_branch() } else { self.repository.head_branch() }
    }

    /// Returns the branch that HEAD is on where the refs live.
    pub fn default_branch(&self) -> Result<String, GitError> {
        match &self.location {
            Location::Own => self.repository.head_branch(),
            Location::Other(Remote::Path(path)) => Repository::open(path)?.head_branch(),
            Location::Other(remote) => {
                let failed = || self.failed("find the branch that HEAD is on in", remote);
                upload_pack::head_branch(remote).map_err(failed())?.ok_or_else(|| failed()(Fault::NoCommits))
            }
        }
    }

    /// Returns whether HEAD says which branch is meant while that is there: the HEAD of a working tree says only where somebody
    /// works.
    #[must_use]
    pub fn has_default_branch(&self) -> bool {
        match &self.location {
            Location::Own => self.repository.working_tree().is_none(),
            Location::Other(Remote::Path(_)) => false,
            Location::Other(_) => true,
        }
    }

    /// Returns the revision that `branch` has upstream, after a fetch; the error says which branches there are.
    pub fn existing_branch(&self, branch: &str) -> Result<Revision, GitError> {
        match (self.branch(branch)?, &self.location) {
            (Some(revision), _) => Ok(revision),
            (None, Location::Own) => self.repository.branch(branch),
            (None, Location::Other(Remote::Path(path))) => Repository::open(path)?.branch(branch),
            (None, Location::Other(remote)) => {
                let [prefix, _] = PREFIXES;
                let refs = upload_pack::list(remote, &[prefix.to_owned()]);
                let refs = refs.map_err(self.failed("read the branches of", remote))?.into_keys();
                let existing: Vec<_> =
                    refs.filter_map(|name| name.strip_prefix(prefix).map(str::to_owned)).collect();
                Err(self.failed(&format!("read branch `{branch}` of"), remote)(Fault::unknown_branch(
                    branch, existing,
                )))
            }
        }
    }

    /// Moves refs if every one still stands where it was expected; otherwise none moves.
    pub fn update(&self, updates: &[RefUpdate]) -> Result<(), PushError> {
        match &self.location {
            _ if updates.is_empty() => Ok(()),
            Location::Own => self.repository.update_refs(updates),
            Location::Other(remote) => receive_pack::push(&self.repository, remote, updates),
        }?;
        self.moved.borrow_mut().extend_from_slice(updates);
        Ok(())
    }

    /// Returns the refs that were moved through this value since they were taken, in order.
    #[must_use]
    pub fn moves(&self) -> Vec<RefUpdate> {
        self.moved.borrow().clone()
    }

    /// Takes the refs that were moved through this value since the last time it was asked, in order.
    pub fn take_moves(&self) -> Vec<RefUpdate> {
        self.moved.take()
    }

    /// Returns the folder in which the refs live, whose changes are worth watching; here, if they live elsewhere.
    #[must_use]
    pub fn git_dir(&self) -> &Path {
        match &self.location {
            Location::Other(Remote::Path(path)) => path,
            _ => self.repository.git_dir(),
        }
    }

    /// Returns those of a repository's refs that are read.
    fn refs_of(&self, repository: &Repository) -> Result<BTreeMap<String, Revision>, GitError> {
        let mut refs = BTreeMap::new();
        for name in &self.names() {
            if name.ends_with('/') {
                refs.append(&mut repository.refs_below(name)?);
            } else if let Some(target) = repository.ref_target(name)? {
                refs.insert(name.clone(), target);
            }
        }
        Ok(refs)
    }

    fn failed(&self, attempt: &str, remote: &Remote) -> impl FnOnce(Fault) -> GitError {
        let attempt = format!("{attempt} `{remote}`");
        move |fault| self.repository.error(attempt, fault)
    }
}

impl Repository {
    /// Lets the copies of an upstream's refs stand where `refs` are, and removes those that are gone.
    fn keep_upstream_refs(&self, refs: &BTreeMap<String, Revision>) -> Result<(), GitError> {
        for (there, here) in NAMESPACES {
            let wanted: BTreeMap<String, Revision> = refs
                .iter()
                .filter_map(|(name, revision)| {
                    Some((format!("{here}{}", name.strip_prefix(there)?), *revision))
                })
                .collect();
            let held = self.refs_below(here)?;
            let failed = |name: &str| self.failed(format!("keep `{name}`"));
            // First what goes: `a` has to make room for `a/b`.
            for name in held.keys().filter(|name| !wanted.contains_key(*name)) {
                let removed = self.inner.find_reference(name).and_then(|mut reference| reference.delete());
                removed.map_err(failed(name))?;
            }
            for (name, revision) in wanted.iter().filter(|(name, revision)| held.get(*name) != Some(revision))
            {
                self.inner.reference(name, revision.oid(), true, "fleetwright").map_err(failed(name))?;
            }
        }
        Ok(())
    }
}

fn same_folder(one: &Path, two: &Path) -> bool {
    match (one.canonicalize(), two.canonicalize()) {
        (Ok(one), Ok(two)) => one == two,
        _ => false,
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
