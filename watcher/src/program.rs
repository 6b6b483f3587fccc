//! Other programs, and where they are.

use std::env;
use std::path::{Path, PathBuf};

/// Returns where the first program of a name is in the folders of `PATH`, as far as these are absolute.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let folders = env::var_os("PATH")?;
    let mut places =
        env::split_paths(&folders).filter(|folder| folder.is_absolute()).map(|folder| folder.join(name));
    places.find(|place| is_program(place))
}

/// Returns whether there is a file that may be run.
pub(crate) fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
}
