//! Edits of rendered files by hand: what a head holds in the folders of rendered files that its own inputs do not
//! render.
//!
//! Argo CD applies what is merged there, by any author. What a head holds is compared with what its inputs
//! render to, path by path, so that it makes no difference who committed it; with each edit stands the line
//! to change instead.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use renderer::explain::{self, Influence};
use renderer::key_path::text_of;
use renderer::path::RepoPath;
use renderer::plan::{self, Facts, FileChange, FilePlan, Plan, Risk};
use renderer::problem::{Place, Position};
use renderer::render::{Rendered, RenderedFile};
use renderer::root::Root;

use crate::git::{Difference, Entry, GitError, Repository};
use crate::run::changes::{owner, published};

/// How many edited files are compared with what is rendered.
const MAX_COMPARED: usize = 100;
/// The largest edited file that is compared with what is rendered, in bytes.
const MAX_EDITED_BYTES: usize = 1 << 20;
/// For how many edited files it is worked out which line to change instead: each takes some renderings of one file.
const MAX_EXPLAINED: usize = 10;
/// For how many values of one file.
const MAX_VALUES: usize = 3;

/// What a head changes of the rendered files that its inputs do not.
#[derive(Debug, Default)]
pub(super) struct Edits {
    /// The files, by path.
    pub files: Vec<Edit>,
    /// From what is rendered to what is committed instead, as far as both can be read.
    pub plan: Option<Plan>,
}

/// A rendered file, or one beside them, that was edited by hand.
#[derive(Debug)]
pub(super) struct Edit {
    /// The file.
    pub path: String,
    /// What the head has there.
    pub entry: Option<Entry>,
    /// What was done to it, in words.
    pub what: String,
    /// The most severe risks of the edit.
    pub risks: Vec<Risk>,
    /// Which setting comes from where.
    pub sources: Vec<(String, Place)>,
}

/// Finds the edits among what a head changes over its base; `base` and `head` are what their inputs render
/// to, if they do.
pub(super) fn find(
    repository: &Repository,
    differences: &[Difference],
    base: Option<&Rendered>,
    head: Option<&Rendered>,
) -> Result<Edits, GitError> {
    let (before, after) = (files_of(base, differences), files_of(head, differences));
    let is_rendered = |found: &Difference, files: &BTreeMap<&str, &RenderedFile>| {
        found.new == files.get(found.path.as_str()).map(|file| Entry::of_file(&file.bytes))
    };
    let mut edits = Edits::default();
    let mut changes = Vec::new();
    for found in differences {
        if (base.is_some() && is_rendered(found, &before)) || (head.is_some() && is_rendered(found, &after)) {
            continue;
        }
        let rendered = after.get(found.path.as_str()).copied();
        if let Some(head) = head.filter(|_| changes.len() < MAX_COMPARED) {
            changes.extend(change(repository, found, rendered, head)?);
        }
        let (path, entry) = (found.path.clone(), found.new);
        let what = match head {
            Some(_) => what(found, rendered),
            None => "differs from the base, and this head does not render".to_owned(),
        };
        edits.files.push(Edit { path, entry, what, risks: Vec::new(), sources: Vec::new() });
    }
    if let Some(head) = head.filter(|_| !changes.is_empty()) {
        let plan = plan::plan(&changes, &published(head), Facts::default());
        edits.explain(&plan, head, &after);
        edits.plan = Some(plan);
    }
    Ok(edits)
}

fn what(found: &Difference, rendered: Option<&RenderedFile>) -> String {
    match (&found.new, rendered) {
        (None, _) => "is rendered, and missing".to_owned(),
        (Some(entry), _) if entry.blob().is_none() => format!("is {entry}"),
        (Some(_), Some(_)) => "is not as it is rendered".to_owned(),
        (Some(_), None) => "is added, and nothing renders it".to_owned(),
    }
}

/// Returns what is rendered of the clusters whose folders are among the differences.
fn files_of<'r>(
    rendered: Option<&'r Rendered>,
    differences: &[Difference],
) -> BTreeMap<&'r str, &'r RenderedFile> {
    let Some(rendered) = rendered else { return BTreeMap::new() };
    let paths = differences.iter().filter_map(|found| RepoPath::parse(&found.path).ok());
    let owners: BTreeSet<_> = paths.filter_map(|path| Some(owner(&path, &rendered.inventory)?.0)).collect();
    let clusters = owners.iter().filter_map(|name| rendered.clusters.get(name));
    clusters.flat_map(|cluster| cluster.iter_files()).map(|file| (file.path.as_str(), file)).collect()
}

/// Returns the name of the cluster whose rendered files a path is among; nothing if that follows from no folder.
pub(in crate::run) fn folder(path: &str) -> Option<&str> {
    let (_, rest) = Root::of(path).filter(|(root, _)| *root != Root::Fleet)?;
    rest.split('/').next().filter(|name| !name.is_empty())
}

/// Returns the change from what is rendered to what is there, if it is of a cluster and both can be read.
fn change(
    repository: &Repository,
    found: &Difference,
    rendered: Option<&RenderedFile>,
    head: &Rendered,
) -> Result<Option<FileChange>, GitError> {
    let Ok(path) = RepoPath::parse(&found.path) else { return Ok(None) };
    let Some((cluster, addon)) = owner(&path, &head.inventory) else { return Ok(None) };
    let new = match found.new.as_ref().map(Entry::blob) {
        None => None,
        Some(None) => return Ok(None),
        Some(Some(blob)) if repository.blob_size(blob)? > MAX_EDITED_BYTES => return Ok(None),
        Some(Some(blob)) => Some(repository.read_blob(blob)?),
    };
    let old = rendered.map(|file| Arc::clone(&file.bytes));
    Ok((old != new).then_some(FileChange { path, cluster, addon, old, new }))
}

impl Edits {
    /// Returns whether there are none.
    pub(super) const fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Adds to the files what is risky about their edits, and which lines to change instead.
    fn explain(&mut self, plan: &Plan, head: &Rendered, rendered: &BTreeMap<&str, &RenderedFile>) {
        let planned: BTreeMap<&str, &FilePlan> =
            plan.files().map(|file| (file.path.as_str(), file)).collect();
        let mut explained = 0;
        for edit in &mut self.files {
            let Some(planned) = planned.get(edit.path.as_str()) else { continue };
            edit.risks = planned.all_risks().collect();
            edit.risks.sort_unstable();
            edit.risks.dedup_by_key(|risk| risk.kind);
            if let Some(file) = rendered.get(edit.path.as_str()).filter(|_| explained < MAX_EXPLAINED) {
                explained += 1;
                edit.sources = sources(planned, head, file);
            }
        }
    }
}

/// Returns where the settings of a rendered file come from that were edited; of a file that is gone, its first one.
fn sources(planned: &FilePlan, head: &Rendered, file: &RenderedFile) -> Vec<(String, Place)> {
    let keys = planned.changes.iter().take(MAX_VALUES).map(|change| match &change.object {
        Some(object) => format!("{object} {}", change.path),
        None => change.path.to_string(),
    });
    let mut found: Vec<_> = keys.filter_map(|key| Some((key.clone(), source(head, file, &key)?))).collect();
    if found.is_empty() {
        found.extend(template(file).map(|place| (String::new(), place)));
    }
    found.dedup_by(|one, other| one.1 == other.1);
    found
}

/// Returns the line that a setting of a rendered file comes from: of the one fact that it is made of, or of
/// its template.
fn source(head: &Rendered, file: &RenderedFile, key: &str) -> Option<Place> {
    let located = plan::locate(&file.bytes, key).ok()?.into_iter().next()?;
    let found = explain::explain(head, &file.path, Some(&text_of(&located.path)))?;
    let value = found.into_iter().find(|value| value.document == located.document)?;
    let mut facts = value.facts.iter().filter(|fact| fact.influence == Influence::Value);
    match (facts.next(), facts.next()) {
        (Some(fact), None) => Some(fact.place.clone()),
        _ => value.templates.into_iter().next().map(|line| line.place),
    }
}

/// Returns the template that a rendered file names in its first line.
fn template(file: &RenderedFile) -> Option<Place> {
    let text = std::str::from_utf8(&file.bytes).ok()?;
    let (path, _) = text.lines().next()?.split_once(" from ")?.1.split_once(';')?;
    let file = RepoPath::parse(path).ok()?;
    Some(Place { file, position: Position::START })
}
