//! The folder in which this user's programs keep what they can fetch or make again.

use std::env;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Returns Fleetwright's own cache: below `$XDG_CACHE_HOME`, or else below `~/.cache`. None if neither is known.
pub(crate) fn folder() -> Option<PathBuf> {
    let set = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
    Some(cache?.join("fleetwright"))
}

/// Writes a file as a whole, whatever other processes do at the same time: a reader finds all of it or nothing.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.persist(path)?;
    Ok(())
}

/// Notes that a file is still used.
pub(crate) fn note_use(path: &Path) {
    let _ = File::open(path).and_then(|file| file.set_modified(SystemTime::now()));
}

/// Removes the files of a folder that were not used for longest, if all of them have more than `most` bytes. A quarter goes, so that
/// it happens seldom.
pub(crate) fn tidy(folder: &Path, most: u64) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let of = |entry: fs::DirEntry| {
        let metadata = entry.metadata().ok().filter(fs::Metadata::is_file)?;
        Some((metadata.modified().ok()?, metadata.len(), entry.path()))
    };
    let mut files: Vec<_> = entries.flatten().filter_map(of).collect();
    let mut total: u64 = files.iter().map(|(_, size, _)| size).sum();
    if total <= most {
        return;
    }
    files.sort();
    for (_, size, path) in files {
        if total <= most / 4 * 3 {
            return;
        }
        // Another process may have removed it.
        let _ = fs::remove_file(path);
        total -= size;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        let folder = tempfile::tempdir().unwrap();
        for (name, age) in [("old", 3), ("new", 1), ("older", 5)] {
            let file = File::create(folder.path().join(name)).unwrap();
            file.set_len(10).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000 - age)).unwrap();
        }
        let left = || {
            let mut names: Vec<_> = fs::read_dir(folder.path())
                .unwrap()
                .map(|it| it.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        };
        tidy(folder.path(), 30);
        assert_eq!(left(), ["new", "old", "older"]);
        tidy(folder.path(), 28);
        assert_eq!(left(), ["new", "old"]);
        note_use(&folder.path().join("old"));
        tidy(folder.path(), 16);
        assert_eq!(left(), ["old"]);
    }
}
