//! Mirrors on the disk: created, damaged, left behind by a killed process, grown slow, held by another.

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::git::Revision;
use crate::git::Upstream;
use crate::git::scene::{Scene, with_few_files};
use crate::identity::Identity;

struct World {
    there: Scene,
    cache: tempfile::TempDir,
    tip: Revision,
}

impl World {
    fn new() -> Self {
        let there = Scene::bare();
        let tip = there.commit("main", "start", &[("a", "1"), ("b/c", "2")]);
        Self { there, cache: tempfile::tempdir().unwrap(), tip }
    }

    fn address(&self) -> String {
        format!("file://{}", self.there.path().display())
    }

    fn folder(&self) -> PathBuf {
        mirror_folder(self.cache.path(), &self.address())
    }

    fn open(&self) -> Result<Upstream, GitError> {
        Upstream::mirrored(&self.folder(), &self.address(), &Identity::anonymous())
    }

    /// The folder of the only clone.
    fn clone_folder(&self) -> PathBuf {
        let entries = fs::read_dir(self.folder()).unwrap().map(|entry| entry.unwrap().path());
        let clones: Vec<_> = entries.filter(|path| path.is_dir()).collect();
        assert_eq!(clones.len(), 1, "{clones:?}");
        clones[0].clone()
    }

    fn packs(&self) -> usize {
        count(&self.clone_folder().join("objects/pack"), |name| {
            Path::new(name).extension() == Some(OsStr::new("pack"))
        })
    }
}

/// Turns over every byte but the first few of the packs of a clone, where they are.
fn damage_packs(clone: &Path) {
    for entry in fs::read_dir(clone.join("objects/pack")).unwrap().map(Result::unwrap) {
        if entry.path().extension() == Some(OsStr::new("pack")) {
            let mut bytes = fs::read(entry.path()).unwrap();
            bytes.iter_mut().skip(12).for_each(|byte| *byte = !*byte);
            fs::set_permissions(entry.path(), fs::Permissions::from_mode(0o644)).unwrap();
            File::options().write(true).open(entry.path()).unwrap().write_all(&bytes).unwrap();
        }
    }
}

#[test]
fn a_mirror_is_created_once_and_fetched_into() {
    let world = World::new();
    for _ in 0..2 {
        let upstream = world.open().unwrap();
        assert_eq!(upstream.fetch().unwrap()["refs/heads/main"], world.tip);
        assert_eq!(upstream.branch("main").unwrap(), Some(world.tip));
        assert_eq!(upstream.head_branch().unwrap(), "main");
        assert_eq!(world.packs(), 1);
    }
}

#[test]
fn the_folder_says_what_it_mirrors() {
    let name = |address| mirror_folder(Path::new("/c"), address).to_string_lossy().into_owned();
    assert!(name("https://github.com/acme/fleet.git").starts_with("/c/mirrors/fleet-"));
    assert!(name("git@github.com:fleet").starts_with("/c/mirrors/fleet-"));
    assert_ne!(name("https://a/fleet"), name("https://b/fleet"));
    assert!(name("https://a/..").starts_with("/c/mirrors/-"), "{}", name("https://a/.."));
}

#[test]
fn a_damaged_mirror_is_thrown_away_and_cloned_again() {
    let world = World::new();
    world.open().unwrap().fetch().unwrap();
    damage_packs(&world.clone_folder());
    let upstream = world.open().unwrap();
    assert_eq!(upstream.fetch().unwrap()["refs/heads/main"], world.tip);
    upstream.repository().tree_at(world.tip).unwrap();
}

#[test]
fn damage_that_shows_in_the_middle_of_a_run_is_put_right() {
    let world = World::new();
    let upstream = world.open().unwrap();
    upstream.fetch().unwrap();
    let other = upstream.repository().branch("main").unwrap_err();
    assert!(upstream.recovered(&other).unwrap().is_none(), "a missing branch is no damage");

    damage_packs(&world.clone_folder());
    let error = upstream.reopen().unwrap().repository().tree_at(world.tip).unwrap_err();
    assert!(error.is_damage(), "{error:?}");
    let upstream = upstream.recovered(&error).unwrap().unwrap();
    upstream.repository().tree_at(world.tip).unwrap();
    assert_eq!(upstream.branch("main").unwrap(), Some(world.tip));
}

#[test]
fn a_repository_that_is_no_mirror_is_never_thrown_away() {
    let world = World::new();
    let own = Scene::bare();
    let tip = own.commit("main", "mine", &[("a", "1")]);
    let error = Upstream::mirrored(own.path(), &world.address(), &Identity::anonymous()).unwrap_err();
    assert_eq!(error.fault.to_string(), "the folder is not empty and not a mirror");
    assert_eq!(own.tip("main"), tip);
    let upstream = Upstream::at(own.repository(), &world.address()).unwrap();
    let error = GitError { fault: Fault::without_hint(FaultKind::Damaged, "it is torn"), ..error };
    assert!(upstream.recovered(&error).unwrap().is_none());
}

#[test]
fn a_mirror_of_another_repository_is_left_alone() {
    let world = World::new();
    let upstream = world.open().unwrap();
    drop(upstream);
    let other = Scene::bare();
    let address = other.path().display().to_string();
    let error = Upstream::mirrored(&world.folder(), &address, &Identity::anonymous()).unwrap_err();
    let of = error.fault.to_string();
    let of = of.strip_prefix("it is the mirror of `").and_then(|of| of.strip_suffix('`'));
    assert!(of.is_some_and(|of| world.address().ends_with(of)), "{error:?}");
}

#[test]
fn one_process_has_a_mirror_at_a_time() {
    let world = World::new();
    let upstream = world.open().unwrap();
    let clone = upstream.reopen().unwrap();
    drop(upstream);
    let error = world.open().unwrap_err();
    assert_eq!(error.fault.to_string(), "another process works in it");
    assert!(error.is_transient());
    drop(clone);
    world.open().unwrap();
}

#[test]
fn what_a_killed_process_left_behind_is_no_obstacle() {
    let world = World::new();
    world.open().unwrap().fetch().unwrap();
    let folder = world.clone_folder();
    let leftovers = [
        "refs/fleetwright/upstream/heads/main.lock",
        "packed-refs.lock",
        "objects/pack/pack_git2_0123456789abcdef",
        "objects/pack/tmp_pack_x",
    ];
    for name in leftovers {
        fs::write(folder.join(name), "").unwrap();
    }
    let new = world.there.commit("main", "more", &[("a", "2")]);
    assert_eq!(world.open().unwrap().fetch().unwrap()["refs/heads/main"], new);
    for name in leftovers {
        assert!(!folder.join(name).exists(), "{name}");
    }
    // Killed before there was more than the marker, before a clone was whole, and before an older one was gone.
    fs::remove_dir_all(&folder).unwrap();
    assert_eq!(world.open().unwrap().fetch().unwrap()["refs/heads/main"], new);
    fs::create_dir(world.folder().join("2.git")).unwrap();
    assert_eq!(world.open().unwrap().fetch().unwrap()["refs/heads/main"], new);
    assert!(world.clone_folder().ends_with("3.git"));
}

#[test]
fn a_mirror_with_many_packs_is_repacked_and_a_tidy_one_is_left_alone() {
    let world = World::new();
    let upstream = world.open().unwrap();
    upstream.fetch().unwrap();
    assert!(upstream.tidied().unwrap().is_none());
    for n in 0..=MAX_PACKS {
        world.there.commit("main", "more", &[("a", &n.to_string())]);
        upstream.fetch().unwrap();
    }
    assert!(world.packs() > MAX_PACKS);
    let upstream = upstream.tidied().unwrap().unwrap();
    assert!(world.packs() <= 2, "{}", world.packs());
    assert_eq!(upstream.fetch().unwrap()["refs/heads/main"], world.there.tip("main"));
    upstream.repository().tree_at(world.tip).unwrap();
}

#[test]
fn what_an_author_has_malformed_is_no_damage() {
    let world = World::new();
    for head in testkit::hostile::floods::malformed_commit_heads() {
        world.there.commit_with_head("main", &head);
    }
    let tip = world.there.tip("main");
    world.open().unwrap().fetch().unwrap();
    let upstream = world.open().unwrap();
    assert_eq!(upstream.branch("main").unwrap(), Some(tip));
    assert!(world.clone_folder().ends_with("1.git"), "the mirror was cloned again");

    let clone = git2::Repository::open(world.clone_folder()).unwrap();
    let odb = clone.odb().unwrap();
    let tree = odb.write(git2::ObjectType::Tree, b"not a tree").unwrap();
    let head = format!("tree {tree}\nauthor A <a@b.c> 1 +0000\ncommitter A <a@b.c> 1 +0000\n\nx\n");
    let id = odb.write(git2::ObjectType::Commit, head.as_bytes()).unwrap();
    let error = upstream.repository().tree_at(Revision::parse(&id.to_string()).unwrap()).unwrap_err();
    assert!(!error.is_damage(), "{error:?}");
}

#[test]
fn a_mirror_that_cannot_be_read_for_lack_of_file_descriptors_is_kept() {
    with_few_files(
        "git::mirror::clones::tests::a_mirror_that_cannot_be_read_for_lack_of_file_descriptors_is_kept",
        || {
            let world = World::new();
            world.open().unwrap().fetch().unwrap();
            let mut refused = 0;
            for free in 0..16 {
                let mut held: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
                held.truncate(held.len() - free);
                let opened = world.open();
                drop(held);
                match opened {
                    Err(error) => {
                        assert_eq!(
                            error.fault.to_string(),
                            "too many files are open",
                            "{free} free: {error:?}"
                        );
                        refused += 1;
                    }
                    Ok(upstream) => {
                        assert_eq!(upstream.branch("main").unwrap(), Some(world.tip), "{free} free");
                    }
                }
                assert!(world.clone_folder().ends_with("1.git"), "{free} free: the mirror was cloned again");
            }
            assert!(refused > 1, "the limit had no effect");
        },
    );
}

#[test]
fn only_its_owner_can_look_into_a_mirror() {
    let world = World::new();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    drop(world.open().unwrap());
    assert_eq!((mode(&world.folder()), mode(&world.clone_folder())), (0o700, 0o700));
    for folder in [world.folder(), world.clone_folder()] {
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    }
    drop(world.open().unwrap());
    assert_eq!((mode(&world.folder()), mode(&world.clone_folder())), (0o700, 0o700));
}

#[test]
fn the_name_of_a_mirror_has_no_secret_of_its_address() {
    let named = |address: &str| mirror_folder(Path::new("/c"), address);
    let plain = named("https://h/x.git");
    assert_eq!(named("https://h/x.git?token=s3cret"), plain);
    assert_eq!(named("https://h/x.git#s3cret"), plain);
    assert_eq!(named("https://u:s3cret@h/x.git"), named("https://u:0ther@h/x.git"));
    assert_ne!(named("https://h/y/x.git"), plain);
}
