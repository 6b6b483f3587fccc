//! All templates and partials of a revision, read and checked together.

use std::collections::{BTreeMap, BTreeSet};

use crate::path::RepoPath;
use crate::problem::Problem;

use super::syntax::{MAX_SOURCE_BYTES, PartialCalls, SourceKind, TemplateSource, Texts, Tree, parse};

/// How many bytes all templates and partials may have together.
const MAX_SET_BYTES: usize = 16 * 1024 * 1024;
/// How many tags they may have: each takes about a kilobyte when it is read.
const MAX_SET_TAGS: usize = 100_000;

/// A source that was read.
#[derive(Debug)]
pub(super) struct Parsed {
    pub source: TemplateSource,
    pub tree: Tree,
}

/// Templates by their files, and partials by the names they are called by.
#[derive(Debug, Default)]
pub(super) struct Compiled {
    pub templates: BTreeMap<RepoPath, Parsed>,
    pub partials: BTreeMap<String, Parsed>,
    /// Every name that occurs in a path of some template.
    pub names_read: BTreeSet<String>,
    /// The names that paths end in: what is read as a whole.
    pub ends_read: BTreeSet<String>,
    /// The partials that each source calls, and the files whose text it inserts.
    pub parts: BTreeMap<RepoPath, BTreeSet<RepoPath>>,
}

/// Reads all sources, or returns every problem in them.
pub(super) fn compile(
    templates: Vec<TemplateSource>,
    partials: Vec<(String, TemplateSource)>,
    texts: &Texts,
) -> Result<Compiled, Vec<Problem>> {
    let known: BTreeMap<_, _> = partials.iter().map(|(name, it)| (name.clone(), it.file.clone())).collect();
    let mut calls =
        PartialCalls { partials: known.keys().map(String::as_str).collect(), ..Default::default() };
    let templates =
        templates.into_iter().map(|source| (SourceKind::Template, source.file.to_string(), source));
    let partials = partials.into_iter().map(|(name, source)| (SourceKind::Partial, name, source));
    let (mut compiled, mut problems, mut names) = (Compiled::default(), Vec::new(), Vec::new());
    let (mut bytes, mut tags) = (0, 0);
    for (kind, name, source) in templates.chain(partials) {
        // One that is too large by itself is reported as such.
        bytes += source.text.len().min(MAX_SOURCE_BYTES);
        if bytes > MAX_SET_BYTES || tags > MAX_SET_TAGS {
            problems.push(too_many(&source.file));
            break;
        }
        names.push((name.clone(), source.file.clone()));
        match parse(kind, &source, texts) {
            Ok(mut tree) => {
                tags += tree.tags;
                calls.calls.insert(name.clone(), std::mem::take(&mut tree.partials));
                compiled.add(kind, name, Parsed { source, tree });
            }
            Err(faults) => problems.extend(faults.into_iter().map(|fault| fault.in_file(&source.file))),
        }
    }
    let faulty = names
        .iter()
        .flat_map(|(name, file)| calls.check(name).into_iter().map(move |fault| fault.in_file(file)));
    problems.extend(once_for_all_calls(faulty));
    if !problems.is_empty() {
        return Err(problems);
    }
    for (name, file) in names {
        let called = calls.made_by(&name).filter_map(|call| known.get(&call.name).cloned());
        compiled.parts.entry(file).or_default().extend(called);
    }
    Ok(compiled)
}

impl Compiled {
    fn add(&mut self, kind: SourceKind, name: String, mut parsed: Parsed) {
        let tree = &mut parsed.tree;
        self.names_read.append(&mut tree.names_read);
        self.ends_read.append(&mut tree.ends_read);
        self.parts.insert(parsed.source.file.clone(), std::mem::take(&mut tree.texts));
        match kind {
            SourceKind::Template => self.templates.insert(parsed.source.file.clone(), parsed),
            SourceKind::Partial => self.partials.insert(name, parsed),
        };
    }
}

fn too_many(file: &RepoPath) -> Problem {
    let size = MAX_SET_BYTES >> 20;
    let message =
        format!("the templates up to here have more than {size} MiB or {MAX_SET_TAGS} tags together");
    Problem::in_whole_file(file, message)
        .found_by("limits")
        .hint("loop over lists of the inventory, and share partials")
}

/// A partial that is missing is missed by every call of it: reported at the first, with the number of the others.
fn once_for_all_calls(faulty: impl Iterator<Item = Problem>) -> impl Iterator<Item = Problem> {
    let mut first: BTreeMap<String, (Problem, usize)> = BTreeMap::new();
    for problem in faulty {
        first.entry(problem.message.clone()).and_modify(|(_, more)| *more += 1).or_insert((problem, 0));
    }
    first.into_values().map(|(problem, more)| problem.and_in_more_places(more))
}
