//! Whether commits that Argo CD names are the wanted one or come after it.

use std::collections::HashMap;

use crate::argocd::Reach;
use crate::git::{Repository, Revision};

/// What is known of commits; each is looked up once. Those that are not here are asked about again.
#[derive(Debug)]
pub struct Known {
    wanted: Revision,
    reached: HashMap<String, Reach>,
    /// Whether a commit was asked about that is not here.
    lacks: bool,
}

impl Known {
    /// Starts with nothing known.
    #[must_use]
    pub fn new(wanted: Revision) -> Self {
        Self { wanted, reached: HashMap::new(), lacks: false }
    }

    /// Returns whether a commit is the wanted one or comes after it.
    pub fn reach(&mut self, repository: &Repository, commit: &str) -> Reach {
        if let Some(known) = self.reached.get(commit) {
            return *known;
        }
        let revision = Revision::parse(commit).ok().filter(|revision| repository.has(*revision));
        let is_after = revision.map(|revision| repository.is_ancestor(self.wanted, revision));
        let reach = match is_after {
            Some(Ok(true)) => Reach::Reached,
            Some(Ok(false)) => Reach::Before,
            Some(Err(_)) | None => Reach::Unknown,
        };
        if reach == Reach::Unknown {
            self.lacks = true;
        } else {
            self.reached.insert(commit.to_owned(), reach);
        }
        reach
    }

    /// Returns whether a commit was asked about that is not here, since this was last called.
    pub fn took_unknown(&mut self) -> bool {
        std::mem::take(&mut self.lacks)
    }
}
