//! Refs: where they are, and how they are asked to move.

use std::collections::BTreeMap;

use git2::ErrorCode;
use renderer::plural::quoted;

use super::repository::{HEADS, Repository};
use super::revision::Revision;
use crate::git::error::{Fault, GitError};

/// How many refs in a row may each stand for the next one; git follows as many.
const MAX_SYMBOLIC: usize = 5;

/// Where refs are, by their full names.
pub type Refs = BTreeMap<String, Revision>;

/// A ref that is to move.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RefUpdate {
    /// The full name, for instance `refs/heads/main`.
    pub name: String,
    /// Where it was seen, or `None` if it must not exist yet: the lease.
    pub expected: Option<Revision>,
    /// Where it goes, or `None` if it is deleted.
    pub new: Option<Revision>,
}

impl RefUpdate {
    /// Returns the update that moves a branch.
    #[must_use]
    pub fn branch(branch: &str, expected: Option<Revision>, new: Option<Revision>) -> Self {
        Self { name: format!("{HEADS}{branch}"), expected, new }
    }

    pub(in crate::git) const fn is_creation(&self) -> bool {
        self.expected.is_none() && self.new.is_some()
    }
}

impl Repository {
    /// Returns where a ref is, or `None` if it does not exist.
    pub(in crate::git) fn ref_target(&self, name: &str) -> Result<Option<Revision>, GitError> {
        match self.inner.refname_to_id(name) {
            Ok(id) => Ok(Some(Revision::from(id))),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(self.failed(format!("read `{name}`"))(error)),
        }
    }

    /// Returns the refs below `prefix` that name a commit, by their full names.
    pub(in crate::git) fn refs_below(&self, prefix: &str) -> Result<Refs, GitError> {
        let attempt = || format!("list the refs below `{prefix}`");
        let references = self.inner.references_glob(&format!("{prefix}*")).map_err(self.failed(attempt()))?;
        let mut refs = Refs::new();
        for reference in references {
            let reference = reference.map_err(self.failed(attempt()))?;
            // One that stands for another ref is where that is; one that leads nowhere is not there.
            let target = reference.target().or_else(|| reference.resolve().ok()?.target());
            if let (Ok(name), Some(id)) = (reference.name(), target) {
                refs.insert(name.to_owned(), Revision::from(id));
            }
        }
        Ok(refs)
    }

    /// Returns the refs called `names`; a name that ends in `/` stands for all that are below it.
    pub(in crate::git) fn refs_called(&self, names: &[String]) -> Result<Refs, GitError> {
        let mut refs = Refs::new();
        for name in names {
            if name.ends_with('/') {
                refs.append(&mut self.refs_below(name)?);
            } else if let Some(target) = self.ref_target(name)? {
                refs.insert(name.clone(), target);
            }
        }
        Ok(refs)
    }
}

/// Returns the refs that `name` stands for in turn, itself first.
pub(in crate::git) fn followed(repository: &git2::Repository, name: &str) -> impl Iterator<Item = String> {
    let next = |name: &String| {
        let reference = repository.find_reference(name).ok()?;
        reference.symbolic_target().ok()?.map(str::to_owned)
    };
    std::iter::successors(Some(name.to_owned()), next).take(MAX_SYMBOLIC + 1)
}

/// Finds what keeps a new ref from being made: it can neither stand below another one nor where others stand below
/// it.
pub(in crate::git) fn name_taken<'u>(
    mut updates: impl Iterator<Item = &'u RefUpdate>,
    refs: &Refs,
) -> Option<Fault> {
    let is_below =
        |name: &str, folder: &str| name.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
    updates.find_map(|update| {
        let name = &update.name;
        let taken = refs.keys().find(|taken| is_below(name, taken) || is_below(taken, name))?;
        update.is_creation().then(|| in_the_way(taken, name))
    })
}

fn in_the_way(taken: &str, name: &str) -> Fault {
    let hint = match taken.strip_prefix(HEADS) {
        Some(branch) => {
            let new = branch.replace('/', "-");
            format!("rename that branch, for instance with `git branch -m {branch} {new}-branch`")
        }
        None => format!("rename it, or delete it with `git update-ref -d {taken}`"),
    };
    let shown = |name: &str| match name.strip_prefix(HEADS) {
        Some(branch) => format!("branch `{branch}`"),
        None => format!("ref `{name}`"),
    };
    Fault::stalled(format!("{} is in the way of {}", shown(taken), shown(name)), hint)
}

/// Returns whether a ref is the one that is wanted, or below it if that ends in `/`.
pub(in crate::git) fn is_called(name: &str, wanted: &str) -> bool {
    if wanted.ends_with('/') { name.starts_with(wanted) } else { name == wanted }
}

pub(in crate::git) fn names(updates: &[RefUpdate]) -> String {
    quoted(updates.iter().map(|update| &update.name))
}
