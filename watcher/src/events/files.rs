//! Watching files: a source that is faster than polling where the system reports changes.
//!
//! Knows nothing of git beyond the names of the files that hold refs. Where watching is not possible it logs that once
//! and looks at the same files at intervals.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use notify::event::EventKind;
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use renderer::snapshot::{ENVIRONMENTS, TEMPLATES};
use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tracing::warn;
use walkdir::WalkDir;

use super::poll::poll;
use super::{Event, Events};
use crate::output::with_causes;

/// The interval between looks where watching is not possible.
const FALLBACK_INTERVAL: Duration = Duration::from_secs(2);

/// File systems that other machines write to without the local system knowing.
const REMOTE_FILE_SYSTEMS: [&str; 9] =
    ["nfs", "nfs4", "cifs", "smb3", "9p", "virtiofs", "fuse.sshfs", "fuse.grpcfuse", "vboxsf"];

/// The places whose changes are worth an event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places(Vec<Anchor>);

/// A folder that is there to stay, and what is of interest in it and may come and go.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Anchor {
    folder: PathBuf,
    files: &'static [&'static str],
    folders: &'static [&'static str],
    /// The end of the names that mean nothing, such as those of git's locks.
    ignored_suffix: Option<&'static str>,
}

/// What a path that changed means for the watcher, the weaker first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Meaning {
    /// Its content is of interest.
    Changed,
    /// It is a watched folder that came or went, so the watch on it must be set again.
    Moved,
}

impl Places {
    /// The refs of a repository: `git_dir` holds its `HEAD`, `common_dir` the refs, and often they are one.
    pub(crate) fn refs(git_dir: &Path, common_dir: &Path) -> Self {
        let anchor = |folder: &Path, files, folders| Anchor {
            folder: canonical(folder),
            files,
            folders,
            // A lock that was taken and released again changed nothing.
            ignored_suffix: Some(".lock"),
        };
        Self(vec![anchor(git_dir, &["HEAD"], &[]), anchor(common_dir, &["packed-refs"], &["refs"])])
    }

    /// The source files of a working tree.
    #[must_use]
    pub fn inputs(working_tree: &Path) -> Self {
        Self(vec![Anchor {
            folder: canonical(working_tree),
            files: &[],
            folders: &[ENVIRONMENTS, TEMPLATES],
            ignored_suffix: None,
        }])
    }

    /// Adds the places of `other`.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    fn meaning(&self, path: &Path) -> Option<Meaning> {
        self.0.iter().filter_map(|anchor| anchor.meaning(path)).max()
    }

    fn meaning_of(&self, event: &notify::Event) -> Option<Meaning> {
        if event.need_rescan() {
            return Some(Meaning::Moved);
        }
        // Reading is no change, and answering it with another read would never end.
        let paths = event.paths.iter().filter(|_| !matches!(event.kind, EventKind::Access(_)));
        paths.filter_map(|path| self.meaning(path)).max()
    }

    /// Size and time of every file, by which a change is noticed without reading it.
    fn stamps(&self) -> io::Result<Stamps> {
        let mut stamps = Stamps::new();
        for anchor in &self.0 {
            for name in anchor.files.iter().chain(anchor.folders) {
                add_stamps(&anchor.folder.join(name), &mut stamps)?;
            }
        }
        Ok(stamps)
    }
}

impl Anchor {
    fn meaning(&self, path: &Path) -> Option<Meaning> {
        let below = path.strip_prefix(&self.folder).ok()?;
        let mut components = below.components();
        let Some(first) = components.next() else { return Some(Meaning::Moved) };
        let first = first.as_os_str().to_str()?;
        let is_direct = components.next().is_none();
        if self.ignored_suffix.is_some_and(|suffix| below.to_string_lossy().ends_with(suffix)) {
            None
        } else if self.folders.contains(&first) {
            Some(if is_direct { Meaning::Moved } else { Meaning::Changed })
        } else {
            (is_direct && self.files.contains(&first)).then_some(Meaning::Changed)
        }
    }
}

/// Sends `event` whenever something in `places` may have changed, until the channel is closed.
///
/// The first event comes as soon as watching has begun, since what happened before it is not known. Changes that come
/// while the channel is full become one event.
pub async fn watch(places: Places, event: Event, events: Events) {
    let Err(error) = forward(&places, event, &events).await else { return };
    warn!(error = %with_causes(&error), hint = hint(&error), "cannot watch files, looking at them at intervals");
    poll(FALLBACK_INTERVAL, event, events, move || places.stamps()).await;
}

async fn forward(places: &Places, event: Event, events: &Events) -> notify::Result<()> {
    let mut watch = Watch::new(places.clone())?;
    let mut meaning = Meaning::Moved;
    loop {
        // Setting watches walks the folders, so the watch moves to a thread for blocking work and back.
        if meaning == Meaning::Moved {
            let reset = spawn_blocking(move || watch.reset()).await;
            watch = reset.map_err(|panic| notify::Error::io(io::Error::other(panic)))??;
        }
        if events.send(event).await.is_err() {
            return Ok(());
        }
        meaning = tokio::select! {
            change = watch.signal.next() => change?,
            () = events.closed() => return Ok(()),
        }
    }
}

/// A watcher of the system and the changes that it reports.
struct Watch {
    places: Places,
    signal: Arc<Signal>,
    watcher: RecommendedWatcher,
}

/// Carries changes from the watcher's thread; those that wait become one.
#[derive(Debug, Default)]
struct Signal {
    pending: Mutex<Option<notify::Result<Meaning>>>,
    wake: Notify,
}

impl Watch {
    /// Creates a watcher whose watches are still to be set.
    fn new(places: Places) -> notify::Result<Self> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        for Anchor { folder, .. } in &places.0 {
            if let Some(kind) = remote_file_system(&mounts, folder) {
                let folder = folder.display();
                return Err(notify::Error::generic(&format!(
                    "`{folder}` is on a file system of type `{kind}`, which does not report changes made elsewhere"
                )));
            }
        }
        let signal = Arc::<Signal>::default();
        let watcher = notify::recommended_watcher({
            let (places, signal) = (places.clone(), Arc::clone(&signal));
            move |result| signal.receive(&places, result)
        })?;
        Ok(Self { places, signal, watcher })
    }

    /// Sets every watch again; a folder that does not exist is noticed when it is created.
    fn reset(mut self) -> notify::Result<Self> {
        for anchor in &self.places.0 {
            reset(&mut self.watcher, &anchor.folder, RecursiveMode::NonRecursive)?;
            let folders = anchor.folders.iter().map(|name| anchor.folder.join(name));
            for folder in folders.filter(|path| path.is_dir()) {
                match reset(&mut self.watcher, &folder, RecursiveMode::Recursive) {
                    Err(_) if !folder.is_dir() => {}
                    result => result?,
                }
            }
        }
        Ok(self)
    }
}

fn reset(watcher: &mut RecommendedWatcher, path: &Path, mode: RecursiveMode) -> notify::Result<()> {
    // There may be no watch to remove, which is as well.
    let _ = watcher.unwatch(path);
    watcher.watch(path, mode)
}

impl Signal {
    fn receive(&self, places: &Places, result: notify::Result<notify::Event>) {
        let Some(new) = result.map(|event| places.meaning_of(&event)).transpose() else { return };
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        // A failure outweighs a change, and a folder that came or went the content of a file.
        *pending = match (pending.take(), new) {
            (Some(Err(old)), _) => Some(Err(old)),
            (Some(Ok(Meaning::Moved)), Ok(_)) => Some(Ok(Meaning::Moved)),
            (_, new) => Some(new),
        };
        self.wake.notify_one();
    }

    /// Waits for a change.
    async fn next(&self) -> notify::Result<Meaning> {
        loop {
            if let Some(change) = self.pending.lock().unwrap_or_else(PoisonError::into_inner).take() {
                return change;
            }
            self.wake.notified().await;
        }
    }
}

fn hint(error: &notify::Error) -> Option<&'static str> {
    matches!(error.kind, notify::ErrorKind::MaxFilesWatch)
        .then_some("raise the limit `fs.inotify.max_user_watches` for changes to be seen at once")
}

fn canonical(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

type Stamps = BTreeMap<PathBuf, (u64, Option<SystemTime>)>;

/// Adds size and time of the files at and below `path`; files come and go while the tree is walked.
fn add_stamps(path: &Path, stamps: &mut Stamps) -> io::Result<()> {
    for entry in WalkDir::new(path).follow_root_links(false) {
        let stamp = entry.and_then(|entry| Ok((entry.metadata()?, entry.into_path())));
        match stamp.map_err(io::Error::from) {
            Ok((metadata, _)) if metadata.is_dir() => {}
            Ok((metadata, path)) => drop(stamps.insert(path, (metadata.len(), metadata.modified().ok()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Returns the type of the file system that holds `path`, if it is a remote one, by Linux's table of mounts.
fn remote_file_system<'a>(mounts: &'a str, path: &Path) -> Option<&'a str> {
    let mounted = mounts.lines().filter_map(|line| {
        let (place, kind) = line.split_once(" - ")?;
        Some((Path::new(place.split(' ').nth(4)?), kind.split(' ').next()?))
    });
    let holding = mounted.filter(|(point, _)| path.starts_with(point));
    // Later mounts cover earlier ones at the same point.
    let (_, kind) = holding.max_by_key(|(point, _)| point.components().count())?;
    REMOTE_FILE_SYSTEMS.contains(&kind).then_some(kind)
}

#[cfg(test)]
mod tests {
    use notify::event::{AccessKind, CreateKind, Flag};
    use tempfile::TempDir;
    use tokio::sync::mpsc;
    use tokio::time::timeout;

    use super::*;

    fn repository() -> (TempDir, Places) {
        let folder = TempDir::new().unwrap();
        for sub in [".git/refs/heads", ".git/objects", "environments", "argocd-apps"] {
            fs::create_dir_all(folder.path().join(sub)).unwrap();
        }
        let git = folder.path().join(".git");
        let places = Places::refs(&git, &git).and(Places::inputs(folder.path()));
        (folder, places)
    }

    #[test]
    fn only_refs_and_inputs_mean_something() {
        let (folder, places) = repository();
        let table = [
            (".git/HEAD", Some(Meaning::Changed)),
            (".git/packed-refs", Some(Meaning::Changed)),
            (".git/refs/heads/main", Some(Meaning::Changed)),
            (".git/refs", Some(Meaning::Moved)),
            (".git", Some(Meaning::Moved)),
            ("environments/prod/eu-1.yaml", Some(Meaning::Changed)),
            ("environments", Some(Meaning::Moved)),
            ("templates", Some(Meaning::Moved)),
            (".git/refs/heads/main.lock", None),
            (".git/HEAD.lock", None),
            (".git/index", None),
            (".git/objects/ab/cdef", None),
            ("argocd-apps/app/argo-cd/values.yaml", None),
            ("environments-old/eu-1.yaml", None),
        ];
        for (path, meaning) in table {
            assert_eq!(places.meaning(&canonical(folder.path()).join(path)), meaning, "{path}");
        }
        assert_eq!(places.meaning(Path::new("/elsewhere/environments/a.yaml")), None);
    }

    #[test]
    fn reading_a_file_sends_no_wake_signal_and_a_lost_event_does() {
        let (folder, places) = repository();
        let path = canonical(folder.path()).join("environments/a.yaml");
        let table = [
            (notify::Event::new(EventKind::Access(AccessKind::Any)).add_path(path.clone()), false),
            (notify::Event::new(EventKind::Create(CreateKind::File)).add_path(path), true),
            (notify::Event::new(EventKind::Other).set_flag(Flag::Rescan), true),
        ];
        for (event, wakes) in table {
            let signal = Signal::default();
            signal.receive(&places, Ok(event.clone()));
            // A permit is there at once, or never.
            let mut woken = std::pin::pin!(signal.wake.notified());
            assert_eq!(woken.as_mut().enable(), wakes, "{event:?}");
        }
    }

    #[test]
    fn a_mount_from_another_machine_is_recognised() {
        let mounts = "\
            27 1 0:24 / / rw - ext4 /dev/vda rw\n\
            30 27 0:31 / /mnt/share rw shared:1 - nfs4 server:/export rw\n\
            31 30 0:32 / /mnt/share/local rw - xfs /dev/vdb rw\n";
        let table = [
            ("/srv/a", None),
            ("/mnt/share/fleet", Some("nfs4")),
            ("/mnt/share/local/fleet", None),
            ("/mnt/shared", None),
        ];
        for (path, kind) in table {
            assert_eq!(remote_file_system(mounts, Path::new(path)), kind, "{path}");
        }
        assert_eq!(remote_file_system("", Path::new("/srv")), None);
    }

    #[test]
    fn stamps_change_with_the_files_and_survive_missing_folders() {
        let (folder, places) = repository();
        let empty = places.stamps().unwrap();
        assert_eq!(places.stamps().unwrap(), empty);
        fs::write(folder.path().join("environments/a.yaml"), "role: app\n").unwrap();
        let written = places.stamps().unwrap();
        assert_ne!(written, empty);
        fs::write(folder.path().join("argocd-apps/x.yaml"), "x").unwrap();
        assert_eq!(places.stamps().unwrap(), written, "rendered files are not looked at");
        fs::remove_dir_all(folder.path().join("environments")).unwrap();
        assert_eq!(places.stamps().unwrap(), empty);
    }

    /// Watches a repository through the system, and waits for what the system reports.
    struct Watched {
        folder: TempDir,
        events: mpsc::Receiver<Event>,
    }

    impl Watched {
        async fn new() -> Self {
            let (folder, places) = repository();
            let (sender, events) = mpsc::channel(1);
            tokio::spawn(watch(places, Event::Moved, sender));
            let mut watched = Self { folder, events };
            watched.event("the start").await;
            watched
        }

        /// Waits for an event, and receives all that came of the same change.
        async fn event(&mut self, of: &str) {
            let event = timeout(Duration::from_secs(10), self.events.recv()).await;
            assert!(matches!(event, Ok(Some(_))), "no event of {of}");
            self.quiet().await;
        }

        async fn quiet(&mut self) -> usize {
            let mut events = 0;
            while let Ok(Some(_)) = timeout(Duration::from_millis(100), self.events.recv()).await {
                events += 1;
            }
            events
        }

        fn path(&self, path: &str) -> PathBuf {
            self.folder.path().join(path)
        }
    }

    #[tokio::test]
    async fn changes_of_refs_and_inputs_give_events_and_nothing_else() {
        let mut watched = Watched::new().await;
        assert_eq!(watched.quiet().await, 0);

        fs::write(watched.path("argocd-apps/x.yaml"), "x").unwrap();
        fs::write(watched.path(".git/index"), "x").unwrap();
        fs::read_dir(watched.path("environments")).unwrap().for_each(drop);
        assert_eq!(watched.quiet().await, 0, "an event of what is not watched");

        fs::write(watched.path("environments/.a.tmp"), "role: app\n").unwrap();
        watched.event("a new file").await;
        fs::rename(watched.path("environments/.a.tmp"), watched.path("environments/a.yaml")).unwrap();
        watched.event("a save by rename").await;
        fs::write(watched.path(".git/refs/heads/main.lock"), "1").unwrap();
        fs::rename(watched.path(".git/refs/heads/main.lock"), watched.path(".git/refs/heads/main")).unwrap();
        watched.event("a new ref").await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_watched_is_looked_at_instead() {
        let folder = TempDir::new().unwrap();
        let missing = folder.path().join("later");
        let (sender, mut events) = mpsc::channel(1);
        let event = Event::Moved;
        tokio::spawn(watch(Places::inputs(&missing), event, sender));
        assert_eq!(events.recv().await.as_ref(), Some(&event), "no event of the start");

        let nothing_changed = timeout(FALLBACK_INTERVAL * 5, events.recv()).await;
        assert!(nothing_changed.is_err(), "{nothing_changed:?}");
        fs::create_dir_all(missing.join("environments")).unwrap();
        fs::write(missing.join("environments/a.yaml"), "role: app\n").unwrap();
        assert_eq!(events.recv().await, Some(event));
    }

    #[tokio::test]
    async fn folders_may_come_and_go() {
        let mut watched = Watched::new().await;
        for _ in 0..2 {
            fs::remove_dir_all(watched.path("environments")).unwrap();
            watched.event("a removed folder").await;
            fs::create_dir(watched.path("environments")).unwrap();
            watched.event("a new folder").await;
            fs::write(watched.path("environments/a.yaml"), "role: app\n").unwrap();
            watched.event("a file in the new folder").await;
        }
        fs::create_dir_all(watched.path("templates/addons/x")).unwrap();
        watched.event("a folder that was not there at the start").await;
        fs::write(watched.path("templates/addons/x/addon.yaml"), "a: b\n").unwrap();
        watched.event("a file deep inside it").await;
    }
}
