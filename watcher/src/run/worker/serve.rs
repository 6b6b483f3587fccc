//! The worker itself: it answers one request after the other, and remembers between them what has not changed.
//!
//! It reads a repository and writes nothing but its answers, unless it makes objects of charts. It knows no forge and no token.

use std::io::{self, Write};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use renderer::deployed;
use renderer::inventory::{self, InventoryCache};
use renderer::plan::FileChange;
use renderer::render::{Progress, Rendered, Renderer, with_lines};
use renderer::snapshot::Snapshot;

use super::changes::Change;
use super::frame;
use super::limits;
use super::message::{Answer, Reply, Request, Task, Unmade};
use super::objects::Publisher;
use crate::git::{BlobCache, Entry, FolderMemo, GitError, Repository, Revision};
use crate::live;
use crate::run::changes::{self, Fleet, Members};
use crate::run::effects;
use crate::run::gate;
use crate::run::review::{self, Side};

/// How often it is shown how far a rendering has come.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// How many revisions with objects of charts are remembered: both sides of a change.
const MAX_PUBLISHED: usize = 2;

/// What a worker remembers between two requests.
#[derive(Debug, Default)]
struct Memory {
    renderer: Renderer,
    blobs: BlobCache,
    folders: FolderMemo,
    /// What revisions render to with the objects of charts, the newest first.
    published: Vec<(Revision, Rendered)>,
}

/// The way back.
struct Out<W>(Mutex<W>);

/// Answers `requests` on `out` until there are no more; one rendering may take so long.
pub(super) fn serve(
    requests: impl Iterator<Item = Request>,
    out: impl Write + Send,
    time: Duration,
) -> io::Result<()> {
    let (mut memory, out) = (Memory::default(), Out(Mutex::new(out)));
    for request in requests {
        let answer = memory.answer(&request, &out, time);
        let answer = answer.unwrap_or_else(Answer::Unreadable);
        if let Answer::Compared { fleet, .. } = &answer {
            let by_cluster = fleet.changes.chunk_by(|a, b| a.cluster == b.cluster);
            by_cluster.into_iter().try_for_each(|changes| out.send_changes(changes))?;
        }
        out.send(&Reply::Done(answer))?;
        out.lock().flush()?;
    }
    Ok(())
}

impl Memory {
    fn answer(
        &mut self,
        request: &Request,
        out: &Out<impl Write + Send>,
        time: Duration,
    ) -> Result<Answer, GitError> {
        let repository = Repository::open(Path::new(&request.git_dir))?;
        let mut publisher = Publisher::of(request);
        let mut render = |revision| self.whole(&repository, revision, &mut publisher, out, time);
        let answer = match &request.task {
            Task::Compare(revision) => match render(*revision)? {
                Ok(rendered) => Answer::Compared {
                    publishes: !deployed::publishing(&rendered).is_empty(),
                    fleet: Fleet::compare(&repository, *revision, &rendered, &mut self.folders)?,
                    notes: rendered.notes(),
                    memory_bytes: limits::memory_bytes(),
                },
                Err(problems) => Answer::Problems(problems),
            },
            Task::Entries(revision, paths) => match render(*revision)? {
                Ok(rendered) => {
                    let files = rendered.clusters.values().flat_map(|cluster| cluster.iter_files());
                    let files = files.filter(|file| paths.contains(&file.path));
                    let entries = files.map(|file| (file.path.clone(), Entry::of_file(&file.bytes)));
                    Answer::Entries(entries.collect())
                }
                Err(problems) => Answer::Problems(problems),
            },
            Task::Shapes(revision) => match self.side(&repository, *revision, out, time)?.1 {
                Ok(rendered) => Answer::Shapes(rendered.shapes()),
                Err(problems) => Answer::Problems(problems),
            },
            Task::Examine(question) => {
                let page = Box::new(review::examine(&repository, question, render)?);
                Answer::Examined { page, memory_bytes: limits::memory_bytes() }
            }
            Task::Effects(question) => {
                let shown = effects::find(&repository, question, render)?;
                Answer::Effects(match publisher.unmade.take() {
                    Some(Unmade::Late { made, all }) => effects::Shown::late(made, all),
                    Some(Unmade::Absent(error)) => effects::Shown::without(&error.to_string()),
                    Some(Unmade::Confined) | None => shown,
                })
            }
            Task::Order(revision) => Answer::Order(gate::order_at(&repository, *revision)?),
            Task::Members(revision) => Answer::Members(members(&repository, *revision)?),
            Task::Desired(revision) => match live::read(&repository, *revision)? {
                Ok(fleet) => Answer::Desired(fleet),
                Err(problems) => Answer::Problems(problems),
            },
        };
        Ok(match publisher.unmade {
            // A review reports it as a problem.
            Some(Unmade::Late { .. } | Unmade::Absent(_)) if matches!(answer, Answer::Examined { .. }) => {
                answer
            }
            Some(unmade) => Answer::Unmade(unmade),
            None => answer,
        })
    }

    /// Renders a revision with the objects of charts that are published: all that is committed. Those of the same inputs are
    /// made once.
    fn whole(
        &mut self,
        repository: &Repository,
        revision: Revision,
        publisher: &mut Publisher<'_>,
        out: &Out<impl Write + Send>,
        time: Duration,
    ) -> Result<Side, GitError> {
        let (snapshot, side) = self.side(repository, revision, out, time)?;
        let Ok(rendered) = side else { return Ok(side) };
        if !publisher.has_any(revision, &rendered) {
            return Ok(Ok(rendered));
        }
        for (known, whole) in &self.published {
            if repository.has_same_inputs(*known, revision)? {
                return Ok(Ok(whole.clone()));
            }
        }
        let shown = Shown { out, since: Mutex::new((0, Instant::now())) };
        let side = publisher.complete(revision, &rendered, &shown);
        let side = side.map_err(|problems| with_lines(problems, &snapshot));
        if let Ok(whole) = &side {
            self.published.truncate(MAX_PUBLISHED - 1);
            self.published.insert(0, (revision, whole.clone()));
        }
        Ok(side)
    }

    fn side(
        &mut self,
        repository: &Repository,
        revision: Revision,
        out: &Out<impl Write + Send>,
        time: Duration,
    ) -> Result<(Snapshot, Side), GitError> {
        limits::allow_rendering(time);
        // A pipe that is broken shows in the answer.
        let _ = out.send(&Reply::Begin(revision)).and_then(|()| out.lock().flush());
        let (snapshot, mut problems) = repository.snapshot(revision, &mut self.blobs)?;
        let shown = Shown { out, since: Mutex::new((0, Instant::now())) };
        let side = match self.renderer.render(&snapshot, &shown) {
            Ok(rendered) if problems.is_empty() => Ok(rendered),
            Ok(_) => Err(problems),
            Err(found) => {
                problems.extend(found);
                problems.sort();
                problems.dedup();
                Err(problems)
            }
        };
        Ok((snapshot, side))
    }
}

/// Returns the clusters that a revision describes.
fn members(repository: &Repository, revision: Revision) -> Result<Members, GitError> {
    let (snapshot, _) = repository.snapshot(revision, &mut BlobCache::default())?;
    let (inventory, _) = inventory::read(&snapshot, &mut InventoryCache::default());
    Ok(changes::members(&inventory))
}

impl<W: Write> Out<W> {
    fn lock(&self) -> MutexGuard<'_, W> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, reply: &Reply) -> io::Result<()> {
        frame::write(&mut *self.lock(), reply, std::iter::empty())
    }

    /// Sends changes with the bytes of their files.
    fn send_changes(&self, changes: &[FileChange]) -> io::Result<()> {
        let (changes, bytes): (_, Vec<_>) = changes.iter().map(Change::of).unzip();
        frame::write(&mut *self.lock(), &Reply::Changes(changes), bytes.into_iter().flatten())
    }
}

/// Sends how far a rendering has come, now and then.
struct Shown<'a, W> {
    out: &'a Out<W>,
    since: Mutex<(usize, Instant)>,
}

impl<W: Write + Send> Progress for Shown<'_, W> {
    fn advance(&self, total: usize) {
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        since.0 += 1;
        if since.1.elapsed() >= PROGRESS_INTERVAL {
            // A pipe that is broken shows in the answer.
            let reply = Reply::Advance { by: since.0, total };
            let _ = self.out.send(&reply).and_then(|()| self.out.lock().flush());
            *since = (0, Instant::now());
        }
    }

    fn may_go_on(&self, rendered_bytes: usize) -> bool {
        rendered_bytes <= review::MAX_RENDERED_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::super::changes::Arrived;
    use super::*;
    use crate::git::scene::Scene;

    const ADDONS: usize = 3;

    fn commit(scene: &Scene, title: &str, edit: [&str; 2]) -> Revision {
        let files = testkit::fleet::files(2, ADDONS);
        let files: Vec<_> =
            files.iter().map(|(path, text)| (path.clone(), text.replace(edit[0], edit[1]))).collect();
        let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        scene.commit("main", title, &files)
    }

    fn replies(scene: &Scene, revisions: &[Revision]) -> Vec<(Reply, Vec<u8>)> {
        let git_dir = scene.repository().git_dir().as_os_str().to_owned();
        let request =
            |revision| Request { git_dir: git_dir.clone(), objects: None, task: Task::Compare(revision) };
        let mut out = Vec::new();
        serve(revisions.iter().copied().map(request), &mut out, Duration::from_mins(1)).unwrap();
        let mut out = out.as_slice();
        std::iter::from_fn(|| frame::read(&mut out).unwrap()).collect()
    }

    /// Returns what is answered, one reply a line: of a cluster how many of its files change.
    fn answered(scene: &Scene, revisions: &[Revision]) -> Vec<String> {
        replies(scene, revisions).into_iter().filter_map(|(reply, _)| line(reply)).collect()
    }

    /// Publishes what a revision renders to.
    fn publish(scene: &Scene, revision: Revision) -> Revision {
        let mut arrived = Arrived::new(1 << 20);
        for (reply, bytes) in replies(scene, &[revision]) {
            if let Reply::Changes(changes) = reply {
                arrived.take(changes, &bytes).unwrap();
            }
        }
        let content = |change: &FileChange| String::from_utf8(change.new.as_ref().unwrap().to_vec()).unwrap();
        let files = arrived.changes.iter().map(|change| (change.path.to_string(), content(change)));
        let files: Vec<_> = files.collect();
        let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        scene.commit("main", "publish", &files)
    }

    fn line(reply: Reply) -> Option<String> {
        match reply {
            Reply::Begin(_) => Some("begin".to_owned()),
            Reply::Advance { .. } => None,
            Reply::Changes(changes) => Some(format!("{} changes", changes.len())),
            Reply::Done(Answer::Compared { fleet, .. }) => {
                Some(format!("{} clusters with {} files", fleet.groups.len(), fleet.files))
            }
            Reply::Done(answer) => Some(format!("{answer:?}")),
        }
    }

    #[test]
    fn an_answer_holds_what_differs_from_what_is_published() {
        let scene = Scene::bare();
        let first = commit(&scene, "describe", ["role", "role"]);
        let published = publish(&scene, first);
        let template = commit(
            &scene,
            "edit a template",
            [
                "kind: IPAddressPool\nmetadata:\n  name: default",
                "kind: IPAddressPool\nmetadata:\n  name: other",
            ],
        );
        insta::assert_snapshot!(answered(&scene, &[first, published, template]).join("\n"), @"
        begin
        7 changes
        8 changes
        2 clusters with 15 files
        begin
        2 clusters with 15 files
        begin
        1 changes
        1 changes
        2 clusters with 15 files
        ");
    }

    #[test]
    fn what_cannot_be_read_or_rendered_is_an_answer_and_ends_nothing() {
        let scene = Scene::bare();
        let broken = commit(&scene, "break", ["role: ", "roll: "]);
        let none = Revision::parse(&"a".repeat(40)).unwrap();
        let answers = answered(&scene, &[none, broken, none]);
        let kinds: Vec<_> = answers.iter().map(|answer| answer.split(['(', ' ']).next().unwrap()).collect();
        assert_eq!(kinds, ["begin", "Unreadable", "begin", "Problems", "begin", "Unreadable"]);
    }
}
