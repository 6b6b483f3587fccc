//! Which working tree a command works on.

use std::path::{Path, PathBuf};

use renderer::snapshot::{ENVIRONMENTS, TEMPLATES};

use crate::git::{GitError, Repository};

/// Finds the top of the working tree that `dir` is in, as git does: the nearest folder upwards with a `.git`.
///
/// Git itself is not asked, so that a user who may read the files may also render them. A folder outside of every
/// repository counts if it has inputs, such as an unpacked archive.
pub fn find_working_tree(dir: &Path) -> Result<PathBuf, GitError> {
    let Ok(dir) = dir.canonicalize() else { return Err(no_working_tree(dir)) };
    if let Some(top) = dir.ancestors().find(|folder| folder.join(".git").exists()) {
        return Ok(top.to_owned());
    }
    let has_inputs = [ENVIRONMENTS, TEMPLATES].iter().any(|folder| dir.join(folder).is_dir());
    if has_inputs { Ok(dir) } else { Err(no_working_tree(&dir)) }
}

/// Explains why there is no working tree at `dir`: there is no repository, or it is bare.
fn no_working_tree(dir: &Path) -> GitError {
    match Repository::open(dir) {
        Ok(repository) => repository.without_working_tree(),
        Err(error) => error,
    }
}
