//! The worker itself: it answers one request after the other, and remembers between them what has not changed.
//!
//! It reads a repository and writes nothing but its answers. It knows no forge, no token and no network.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use renderer::inventory::{self, Inventory, InventoryCache, OwnFacts};
use renderer::path::ClusterName;
use renderer::render::{Progress, Rendered, RenderedCluster, Renderer};

use super::frame;
use super::limits;
use super::message::{Answer, Cluster, Reply, Request, Task, Unit};
use crate::git::{BlobCache, GitError, Repository, Revision};
use crate::run::review::{self, Side};

/// How often it is shown how far a rendering has come.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// What a worker remembers between two requests.
#[derive(Debug, Default)]
struct Memory {
    renderer: Renderer,
    blobs: BlobCache,
    /// What was answered last.
    answered: BTreeMap<ClusterName, Arc<RenderedCluster>>,
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
        let answer = memory.answer(&request, &out, time)?;
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
    ) -> io::Result<Answer> {
        let answer =
            Repository::open(Path::new(&request.git_dir)).and_then(|repository| match &request.task {
                Task::Render(revision) => self.render(&repository, *revision, out, time),
                Task::Examine(question) => {
                    let page = review::examine(&repository, question, |revision| {
                        self.side(&repository, revision, out, time)
                    })?;
                    Ok(Ok(Answer::Examined { page: Box::new(page), memory_bytes: limits::memory_bytes() }))
                }
                Task::Roles(revision) => Ok(Ok(Answer::Roles(roles(&repository, *revision)?))),
            });
        answer.unwrap_or_else(|error| Ok(Answer::Unreadable(error)))
    }

    /// Renders a revision and sends what differs from the last answer.
    fn render(
        &mut self,
        repository: &Repository,
        revision: Revision,
        out: &Out<impl Write + Send>,
        time: Duration,
    ) -> Result<io::Result<Answer>, GitError> {
        Ok(match self.side(repository, revision, out, time)? {
            Ok(rendered) => self.send(rendered, out),
            Err(problems) => Ok(Answer::Problems(problems)),
        })
    }

    fn send(&mut self, rendered: Rendered, out: &Out<impl Write>) -> io::Result<Answer> {
        let notes = rendered.notes();
        for (name, cluster) in &rendered.clusters {
            let known = self.answered.get(name);
            if known.is_none_or(|known| !Arc::ptr_eq(known, cluster)) {
                let own = own_facts(&rendered.inventory, name);
                out.send_cluster(cluster, own, known.map(Arc::as_ref))?;
            }
        }
        let known = std::mem::replace(&mut self.answered, rendered.clusters);
        let gone = known.into_keys().filter(|name| !self.answered.contains_key(name)).collect();
        Ok(Answer::Rendered { gone, notes, memory_bytes: limits::memory_bytes() })
    }

    fn side(
        &mut self,
        repository: &Repository,
        revision: Revision,
        out: &Out<impl Write + Send>,
        time: Duration,
    ) -> Result<Side, GitError> {
        limits::allow_rendering(time);
        // A pipe that is broken shows in the answer.
        let _ = out.send(&Reply::Begin(revision)).and_then(|()| out.lock().flush());
        let (snapshot, mut problems) = repository.snapshot(revision, &mut self.blobs)?;
        Ok(match self.renderer.render(&snapshot, &Shown::new(out)) {
            Ok(rendered) if problems.is_empty() => Ok(rendered),
            Ok(_) => Err(problems),
            Err(found) => {
                problems.extend(found);
                problems.sort();
                problems.dedup();
                Err(problems)
            }
        })
    }
}

/// Returns what a cluster has of its own.
fn own_facts(inventory: &Inventory, cluster: &ClusterName) -> OwnFacts {
    let cluster = inventory.clusters.get(cluster);
    cluster.map_or_else(OwnFacts::default, |cluster| {
        OwnFacts::of(cluster, inventory.hub_of(cluster).map(Arc::as_ref))
    })
}

/// Returns the roles of the clusters that a revision describes.
fn roles(
    repository: &Repository,
    revision: Revision,
) -> Result<BTreeMap<ClusterName, inventory::Role>, GitError> {
    let (snapshot, _) = repository.snapshot(revision, &mut BlobCache::default())?;
    let (inventory, _) = inventory::read(&snapshot, &mut InventoryCache::default());
    let clusters = inventory.clusters.values();
    Ok(clusters.map(|cluster| (cluster.name.clone(), cluster.facts.role)).collect())
}

impl<W: Write> Out<W> {
    fn lock(&self) -> MutexGuard<'_, W> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, reply: &Reply) -> io::Result<()> {
        frame::write(&mut *self.lock(), reply, std::iter::empty())
    }

    /// Sends a cluster, leaving out the units that the last answer had.
    fn send_cluster(
        &self,
        cluster: &RenderedCluster,
        facts: OwnFacts,
        known: Option<&RenderedCluster>,
    ) -> io::Result<()> {
        let known = known.map_or(&[][..], RenderedCluster::units);
        let mut sent = Vec::new();
        let mut units = Vec::with_capacity(cluster.units().len());
        for unit in cluster.units() {
            if let Some(index) = known.iter().position(|known| Arc::ptr_eq(known, unit)) {
                units.push(Unit::Kept(index));
            } else {
                let files = unit.files.iter().map(|file| (file.path.clone(), file.bytes.len()));
                units.push(Unit::Sent(unit.addon.clone(), files.collect()));
                sent.extend(unit.files.iter().map(|file| &*file.bytes));
            }
        }
        let (name, role, digest) = (cluster.name.clone(), cluster.role, cluster.digest);
        let reply = Reply::Cluster(Cluster { name, role, digest, facts, units });
        frame::write(&mut *self.lock(), &reply, sent.into_iter())
    }
}

/// Sends how far a rendering has come, now and then.
struct Shown<'a, W> {
    out: &'a Out<W>,
    since: Mutex<(usize, Instant)>,
}

impl<'a, W> Shown<'a, W> {
    fn new(out: &'a Out<W>) -> Self {
        Self { out, since: Mutex::new((0, Instant::now())) }
    }
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

    /// Returns what is answered, one reply a line: of a cluster how many units are sent and how many are kept.
    fn answered(scene: &Scene, revisions: &[Revision]) -> Vec<String> {
        let git_dir = scene.repository().git_dir().as_os_str().to_owned();
        let request = |revision| Request { git_dir: git_dir.clone(), task: Task::Render(revision) };
        let mut out = Vec::new();
        serve(revisions.iter().copied().map(request), &mut out, Duration::from_mins(1)).unwrap();
        let mut out = out.as_slice();
        std::iter::from_fn(|| frame::read(&mut out).unwrap()).filter_map(|(reply, _)| line(reply)).collect()
    }

    fn line(reply: Reply) -> Option<String> {
        match reply {
            Reply::Begin(_) => Some("begin".to_owned()),
            Reply::Advance { .. } => None,
            Reply::Cluster(Cluster { name, units, .. }) => {
                let kept = units.iter().filter(|unit| matches!(unit, Unit::Kept(_))).count();
                Some(format!("{name}: {} sent, {kept} kept", units.len() - kept))
            }
            Reply::Done(Answer::Rendered { gone, .. }) => Some(format!("done, {gone:?} gone")),
            Reply::Done(answer) => Some(format!("{answer:?}")),
        }
    }

    #[test]
    fn an_answer_holds_what_differs_from_the_last_one() {
        let scene = Scene::bare();
        let first = commit(&scene, "describe", ["role", "role"]);
        let template = commit(
            &scene,
            "edit a template",
            [
                "kind: IPAddressPool\nmetadata:\n  name: default",
                "kind: IPAddressPool\nmetadata:\n  name: other",
            ],
        );
        insta::assert_snapshot!(answered(&scene, &[first, first, template]).join("\n"), @"
        begin
        app-0001: 4 sent, 0 kept
        hub-000: 4 sent, 0 kept
        done, {} gone
        begin
        done, {} gone
        begin
        app-0001: 1 sent, 3 kept
        hub-000: 1 sent, 3 kept
        done, {} gone
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
