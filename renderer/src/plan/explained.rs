//! What was explained of the files of a plan: each file once, in some files at most, since explaining one renders it several
//! times.

use std::collections::BTreeMap;

use super::group::place;
use super::locate::locate;
use super::model::Change;
use crate::explain::{Provenance, explain};
use crate::key_path::{is_at_or_below, text_of};
use crate::path::{ClusterName, RepoPath};
use crate::render::Rendered;

/// In how many files the lines are looked for.
const MAX_FILES: usize = 40;

/// The files that are explained.
#[derive(Debug)]
pub(crate) struct Explained<'a> {
    /// Before and after the change.
    sides: [&'a Rendered; 2],
    left: usize,
    files: BTreeMap<(bool, RepoPath), Vec<Provenance>>,
}

impl<'a> Explained<'a> {
    pub(crate) fn new(base: &'a Rendered, head: &'a Rendered) -> Self {
        Self { sides: [base, head], left: MAX_FILES, files: BTreeMap::new() }
    }

    /// Returns what made a setting that changes in a cluster's file: after the change, or before it if the setting goes.
    /// Nothing if the file is one too many, or has no such setting.
    pub(crate) fn setting(
        &mut self,
        cluster: &ClusterName,
        path: &RepoPath,
        change: &Change,
    ) -> Option<impl Iterator<Item = &Provenance> + Clone> {
        let is_new = change.new.is_some();
        let rendered = self.sides[usize::from(is_new)];
        let file = rendered.clusters.get(cluster)?.iter_files().find(|file| file.path == *path)?;
        let located = locate(&file.bytes, place("", change).trim_start()).ok()?;
        let key = (is_new, path.clone());
        if !self.files.contains_key(&key) {
            self.left = self.left.checked_sub(1)?;
            self.files.insert(key.clone(), explain(rendered, path, None).unwrap_or_default());
        }
        let located: Vec<_> = located.into_iter().map(|it| (it.document, text_of(&it.path))).collect();
        let is_meant = move |provenance: &&Provenance| {
            located.iter().any(|(document, path)| {
                provenance.document == *document && is_at_or_below(&provenance.path, path)
            })
        };
        Some(self.files.get(&key)?.iter().filter(is_meant))
    }
}
