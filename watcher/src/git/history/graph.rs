//! Walks through history. They need nothing of a commit but its parents and its date, so no malformed commit stops
//! them.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

use crate::git::objects::commit_object::CommitObject;
use crate::git::objects::repository::Repository;
use crate::git::objects::revision::Revision;

/// Reached from the first side.
const ONE: u8 = 1;
/// Reached from the other side.
const OTHER: u8 = 2;
/// Reached from a commit that both sides reach.
const STALE: u8 = 4;
const BOTH: u8 = ONE | OTHER;

/// How many commits are read past the last one that is wanted: dates of different machines differ.
const SLOP: usize = 5;

/// The history of a repository, of which each commit is read once.
pub(in crate::git) struct Graph<'r> {
    repository: &'r Repository,
    odb: git2::Odb<'r>,
    nodes: HashMap<Revision, Node>,
}

struct Node {
    seconds: i64,
    parents: Vec<Revision>,
}

/// Commits in the order in which they are walked: the newest first.
type Queue = BinaryHeap<(i64, Revision)>;

impl<'r> Graph<'r> {
    pub(in crate::git) fn new(repository: &'r Repository) -> Result<Self, git2::Error> {
        Ok(Self { repository, odb: repository.inner.odb()?, nodes: HashMap::new() })
    }

    /// Returns up to `limit` commits that `tips` reach, the newest first.
    pub(in crate::git) fn newest(
        &mut self,
        tips: &[Revision],
        limit: usize,
    ) -> Result<Vec<Revision>, git2::Error> {
        let (mut queue, mut seen) = (Queue::new(), HashSet::new());
        for tip in tips {
            self.push(&mut queue, *tip, 0)?;
        }
        let mut newest = Vec::new();
        while newest.len() < limit
            && let Some((seconds, id)) = queue.pop()
        {
            if seen.insert(id) {
                newest.push(id);
                for parent in self.parents(id)? {
                    self.push(&mut queue, parent, seconds)?;
                }
            }
        }
        Ok(newest)
    }

    /// Returns the commits that `tips` reach and `hidden` do not, the newest first and no parent before its child.
    pub(in crate::git) fn reached(
        &mut self,
        tips: &[Revision],
        hidden: &[Revision],
    ) -> Result<Vec<Revision>, git2::Error> {
        let marks = self.paint(tips, hidden, |marks| marks == ONE)?;
        let wanted: HashSet<Revision> =
            marks.into_iter().filter(|(_, marks)| *marks == ONE).map(|(id, _)| id).collect();
        Ok(self.sorted(&wanted))
    }

    /// Returns whether `ancestor` is `of` or comes before it.
    pub(in crate::git) fn is_ancestor(
        &mut self,
        ancestor: Revision,
        of: Revision,
    ) -> Result<bool, git2::Error> {
        let marks = self.paint(&[ancestor], &[of], |marks| marks & STALE == 0)?;
        Ok(marks.get(&ancestor).is_some_and(|marks| marks & OTHER != 0))
    }

    /// Returns the newest commit that both sides reach.
    pub(super) fn merge_base(
        &mut self,
        one: Revision,
        other: Revision,
    ) -> Result<Option<Revision>, git2::Error> {
        let marks = self.paint(&[one], &[other], |marks| marks & STALE == 0)?;
        let common = marks.into_iter().filter(|(_, marks)| *marks == BOTH);
        let mut common: Vec<_> = common.map(|(id, _)| (Reverse(self.nodes[&id].seconds), id)).collect();
        common.sort_unstable();
        for (_, id) in &common {
            let mut is_before_another = false;
            for (_, another) in common.iter().filter(|(_, another)| another != id) {
                is_before_another |= self.is_ancestor(*id, *another)?;
            }
            if !is_before_another {
                return Ok(Some(*id));
            }
        }
        Ok(None)
    }

    /// Marks what two sides reach, from the newest on, until nothing is left to walk whose marks are open.
    fn paint(
        &mut self,
        ones: &[Revision],
        others: &[Revision],
        is_open: impl Fn(u8) -> bool,
    ) -> Result<HashMap<Revision, u8>, git2::Error> {
        let (mut queue, mut marks) = (Queue::new(), HashMap::<Revision, u8>::new());
        // What of the queue is to be gone on from.
        let mut open = HashSet::new();
        let mut wanted: Vec<_> =
            ones.iter().map(|id| (*id, ONE)).chain(others.iter().map(|id| (*id, OTHER))).collect();
        let (mut seconds, mut slop) = (0, 0);
        loop {
            for (id, new) in wanted.drain(..) {
                let mark = marks.entry(id).or_default();
                if *mark & new == new {
                    continue;
                }
                *mark |= new;
                if is_open(*mark) {
                    open.insert(id)
                } else {
                    open.remove(&id)
                };
                self.push(&mut queue, id, seconds)?;
            }
            slop = if open.is_empty() { slop + 1 } else { 0 };
            let Some((at, id)) = queue.pop().filter(|_| slop <= SLOP) else { return Ok(marks) };
            open.remove(&id);
            seconds = at;
            let mark = marks[&id];
            let mark = if mark & BOTH == BOTH { mark | STALE } else { mark };
            wanted.extend(self.parents(id)?.into_iter().map(|parent| (parent, mark)));
        }
    }

    /// Sorts commits so that the newest comes first, and no parent before its child.
    fn sorted(&self, ids: &HashSet<Revision>) -> Vec<Revision> {
        let mut children: HashMap<Revision, usize> = HashMap::new();
        for parent in ids.iter().flat_map(|id| &self.nodes[id].parents) {
            *children.entry(*parent).or_default() += 1;
        }
        let without_child = ids.iter().filter(|id| !children.contains_key(id));
        let mut queue: Queue = without_child.map(|id| (self.nodes[id].seconds, *id)).collect();
        let mut sorted = Vec::with_capacity(ids.len());
        while let Some((_, id)) = queue.pop() {
            sorted.push(id);
            for parent in self.nodes[&id].parents.iter().filter(|parent| ids.contains(parent)) {
                let left = children.entry(*parent).or_default();
                *left -= 1;
                if *left == 0 {
                    queue.push((self.nodes[parent].seconds, *parent));
                }
            }
        }
        sorted
    }

    /// Queues a commit by its date. One without takes that of the child it was found by, or it would come last.
    fn push(&mut self, queue: &mut Queue, id: Revision, child_seconds: i64) -> Result<(), git2::Error> {
        let seconds = match self.node(id)?.seconds {
            0 => child_seconds,
            seconds => seconds,
        };
        queue.push((seconds, id));
        Ok(())
    }

    /// Returns whether a commit that was walked has several parents.
    pub(super) fn is_merge(&self, id: Revision) -> bool {
        self.nodes.get(&id).is_some_and(|node| node.parents.len() > 1)
    }

    /// Returns the parents of a commit, the mainline first.
    pub(in crate::git) fn parents(&mut self, id: Revision) -> Result<Vec<Revision>, git2::Error> {
        Ok(self.node(id)?.parents.clone())
    }

    fn node(&mut self, id: Revision) -> Result<&Node, git2::Error> {
        if !self.nodes.contains_key(&id) {
            let CommitObject { parents, committer, .. } = CommitObject::read(&self.odb, id.oid())?;
            let parents = if self.repository.is_boundary(id) { Vec::new() } else { parents };
            self.nodes.insert(id, Node { seconds: committer.seconds, parents });
        }
        Ok(&self.nodes[&id])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::scene::Scene;
    use crate::git::{CommitRequest, Upstream, rendered_message};

    #[test]
    fn the_walks_agree_with_git_on_a_history_with_merges() {
        let scene = Scene::bare();
        let root = scene.commit("main", "root", &[("a", "1")]);
        scene.git(&["update-ref", "refs/heads/side", &root.to_string()]);
        let repository = scene.repository();
        let mut tips = vec![root];
        for turn in 0..6 {
            let main = scene.commit("main", "main", &[("a", &turn.to_string())]);
            let side = scene.commit("side", "side", &[("b", &turn.to_string())]);
            tips.extend([main, side]);
            if turn % 2 == 0 {
                let (onto, from) = if turn % 4 == 0 { ("main", side) } else { ("side", main) };
                let by = crate::git::scene::signature();
                let merge = repository.merge(scene.tip(onto), from, &by, "Merge").unwrap();
                scene.git(&["update-ref", &format!("refs/heads/{onto}"), &merge.to_string()]);
                tips.push(merge);
            }
        }
        let mut graph = Graph::new(&repository).unwrap();
        let list =
            |text: String| text.lines().map(|line| Revision::parse(line).unwrap()).collect::<HashSet<_>>();
        for one in &tips {
            for other in &tips {
                let ids = [one.to_string(), other.to_string()];
                let bases = list(scene.git(&["merge-base", "--all", &ids[0], &ids[1]]));
                assert!(bases.contains(&graph.merge_base(*one, *other).unwrap().unwrap()), "{ids:?}");
                let between = list(scene.git(&["rev-list", &ids[0], &format!("^{}", ids[1])]));
                let found = graph.reached(&[*one], &[*other]).unwrap();
                assert_eq!(found.iter().copied().collect::<HashSet<_>>(), between, "{ids:?}");
                let is_before = bases.contains(one) && bases.len() == 1;
                assert_eq!(graph.is_ancestor(*one, *other).unwrap(), is_before, "{ids:?}");
            }
        }
        let newest = graph.newest(&[*tips.last().unwrap()], 4).unwrap();
        assert_eq!(newest[0], *tips.last().unwrap());
        assert_eq!(newest.len(), 4);
    }

    #[test]
    fn a_malformed_commit_in_the_history_stops_nothing() {
        for head in testkit::hostile::floods::malformed_commit_heads() {
            let there = Scene::bare();
            let first = there.commit("main", "first", &[("environments/a.yaml", "a"), ("out/a", "1")]);
            let malformed = there.commit_with_head("main", &head);
            let side = there.commit("side", "unrelated", &[("x", "1")]);
            let tip = there.commit("main", "last", &[("out/a", "2")]);
            let here = Scene::bare();
            let upstream = Upstream::at(here.repository(), there.path().to_str().unwrap()).unwrap();
            assert_eq!(upstream.fetch().unwrap()["refs/heads/main"], tip);
            let repository = upstream.repository();
            assert!(repository.is_ancestor(first, tip).unwrap(), "{head:?}");
            assert_eq!(repository.merge_base(malformed, tip).unwrap(), Some(malformed));
            assert_eq!(repository.merge_base(side, tip).unwrap(), None);
            assert_eq!(
                repository.source_of_inputs(tip, &mut crate::git::SourceMemory::default()).unwrap(),
                first
            );
            let changed =
                repository.newest_changes(tip, first, &[crate::git::scene::path("out/a")].into()).unwrap();
            assert_eq!(changed[0].commit.revision, tip);
            // What is rendered from it is a commit that any server accepts, and its objects are pushed.
            let text = rendered_message("Render", malformed);
            let request =
                CommitRequest { base: tip, changes: &[], roots: &[], message: &text, source: malformed };
            let ours = repository.commit(&request).unwrap();
            let told = here.run(&["fsck", "--strict", &ours.to_string()], None).unwrap_or_else(|told| told);
            assert!(!told.contains(&ours.to_string()), "{head:?}: {told}");
            upstream.update(&[crate::git::RefUpdate::branch("render", None, Some(ours))]).unwrap();
            assert_eq!(there.tip("render"), ours);
        }
    }
}
