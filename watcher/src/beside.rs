//! Gathers what stands at a path of the repository that an Application names, from git or from the disk, within bounds.

use std::collections::BTreeMap;
use std::sync::Arc;

use renderer::beside::{Folder, Standing};
use renderer::path::RepoPath;

use crate::hex::hex;
use crate::parted::Parted;

/// How many bytes are read for one side of a change.
const MAX_BYTES: usize = 64 << 20;
/// How many files and folders are looked at for it.
const MAX_ENTRIES: usize = 20_000;

/// How much may still be read.
#[derive(Debug)]
pub struct Room {
    bytes: usize,
    entries: usize,
}

impl Default for Room {
    fn default() -> Self {
        Self { bytes: MAX_BYTES, entries: MAX_ENTRIES }
    }
}

/// Why gathering ends early.
#[derive(Debug)]
pub(crate) enum Stop<E> {
    /// Something is not read, for this reason.
    Refused(String),
    /// It could not be read.
    Failed(E),
}

impl<E> Stop<E> {
    /// Returns what stands at a path at which something is not read.
    pub fn into_standing(self) -> Result<Standing, E> {
        match self {
            Self::Refused(reason) => Ok(Standing::Refused(reason)),
            Self::Failed(error) => Err(error),
        }
    }

    /// Refuses what is no file of this repository.
    pub fn no_file(path: &RepoPath, what: &str) -> Self {
        Self::Refused(format!("`{path}` is {what}"))
    }
}

/// A folder that is being gathered.
#[derive(Debug)]
pub(crate) struct Gathering<'a> {
    top: &'a RepoPath,
    room: &'a mut Room,
    files: BTreeMap<String, Arc<[u8]>>,
    /// The symbolic links, and where they lead.
    links: BTreeMap<String, String>,
}

impl<'a> Gathering<'a> {
    /// Begins with what is at the path `top`.
    pub const fn at(top: &'a RepoPath, room: &'a mut Room) -> Self {
        Self { top, room, files: BTreeMap::new(), links: BTreeMap::new() }
    }

    /// Returns the path of what a folder holds under a name.
    pub fn path<E>(&mut self, folder: &RepoPath, name: &[u8]) -> Result<RepoPath, Stop<E>> {
        let reason = format!("there are more than {MAX_ENTRIES} files and folders");
        self.room.entries = self.room.entries.checked_sub(1).ok_or(Stop::Refused(reason))?;
        let path = std::str::from_utf8(name).ok().and_then(|name| folder.join(name).ok());
        path.ok_or_else(|| {
            let name = String::from_utf8_lossy(name).escape_debug().to_string();
            Stop::Refused(format!("`{folder}` holds a file whose name cannot be used, `{name}`"))
        })
    }

    /// Takes room for a file before it is read.
    pub fn take<E>(&mut self, bytes: usize) -> Result<(), Stop<E>> {
        let reason = format!("there are more than {} MiB", MAX_BYTES >> 20);
        self.room.bytes = self.room.bytes.checked_sub(bytes).ok_or(Stop::Refused(reason))?;
        Ok(())
    }

    /// Takes in a file that there is room for.
    pub fn file(&mut self, path: &RepoPath, bytes: Arc<[u8]>) {
        self.files.insert(path.below(self.top.as_str()).unwrap_or_default().to_owned(), bytes);
    }

    /// Takes in a symbolic link, which has to lead to a file of the folder.
    pub fn link<E>(&mut self, path: &RepoPath, target: &[u8]) -> Result<(), Stop<E>> {
        let Some(inner) = path.below(self.top.as_str()) else {
            return Err(Stop::no_file(path, "a symbolic link"));
        };
        let target = std::str::from_utf8(target).ok().filter(|target| !target.starts_with('/'));
        let above = inner.rsplit_once('/').map_or("", |(above, _)| above);
        let mut parts: Vec<&str> = above.split('/').filter(|part| !part.is_empty()).collect();
        let led = target.into_iter().flat_map(|target| target.split('/')).try_for_each(|part| match part {
            "" | "." => Some(()),
            ".." => parts.pop().map(drop),
            _ => {
                parts.push(part);
                Some(())
            }
        });
        if target.is_none() || led.is_none() {
            return Err(Stop::no_file(path, "a symbolic link that leads out of the folder"));
        }
        self.links.insert(inner.to_owned(), parts.join("/"));
        Ok(())
    }

    /// Returns the file at the path itself.
    pub fn into_file(mut self) -> Standing {
        self.files.remove("").map_or(Standing::Nothing, Standing::File)
    }

    /// Returns the folder, in which links are the files that they lead to.
    pub fn into_folder<E>(mut self) -> Result<Standing, Stop<E>> {
        for (link, target) in std::mem::take(&mut self.links) {
            let Some(bytes) = self.files.get(&target).cloned() else {
                let top = self.top;
                return Err(Stop::Refused(format!(
                    "`{top}/{link}` is a symbolic link to no file of the folder"
                )));
            };
            self.take(bytes.len())?;
            self.files.insert(link, bytes);
        }
        let mut hasher = Parted::default();
        for (path, bytes) in &self.files {
            hasher.add(path.as_bytes());
            hasher.add(bytes);
        }
        let digest = format!("sha256:{}", hex(&hasher.digest()));
        Ok(Standing::Folder(Arc::new(Folder { digest, files: self.files })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Outcome = Result<(), Stop<()>>;

    fn path(text: &str) -> RepoPath {
        RepoPath::parse(text).unwrap()
    }

    fn gathered(fill: impl FnOnce(&mut Gathering<'_>) -> Outcome) -> Standing {
        let (top, mut room) = (path("charts/web"), Room { bytes: 10, entries: 3 });
        let mut gathering = Gathering::at(&top, &mut room);
        fill(&mut gathering)
            .and_then(|()| gathering.into_folder())
            .unwrap_or_else(|stop| stop.into_standing().unwrap())
    }

    fn refusal(fill: impl FnOnce(&mut Gathering<'_>) -> Outcome) -> String {
        match gathered(fill) {
            Standing::Refused(reason) => reason,
            other => panic!("{other:?}"),
        }
    }

    fn link(from: &str, to: &str) -> impl FnOnce(&mut Gathering<'_>) -> Outcome {
        let (from, to) = (path(from), to.to_owned());
        move |gathering| {
            gathering.file(&path("charts/web/values.yaml"), b"a: 1\n".as_slice().into());
            gathering.link(&from, to.as_bytes())
        }
    }

    #[test]
    fn a_link_is_the_file_of_the_folder_that_it_leads_to() {
        let Standing::Folder(folder) = gathered(link("charts/web/deep/b.yaml", ".././values.yaml")) else {
            panic!()
        };
        assert_eq!(folder.files.keys().collect::<Vec<_>>(), ["deep/b.yaml", "values.yaml"]);
        let out = "`charts/web/b` is a symbolic link that leads out of the folder";
        for target in ["/etc/passwd", "../web/values.yaml", "a/../../x", "\u{0}/../.."] {
            assert_eq!(refusal(link("charts/web/b", target)), out, "{target}");
        }
        for target in ["gone.yaml", "deep", "b", "."] {
            let reason = refusal(link("charts/web/b", target));
            assert_eq!(reason, "`charts/web/b` is a symbolic link to no file of the folder", "{target}");
        }
    }

    #[test]
    fn what_is_read_has_bounds() {
        assert_eq!(refusal(|it| it.take(11)), "there are more than 64 MiB");
        let many = refusal(|it| (0..4).try_for_each(|_| it.path(&path("a"), b"b").map(drop)));
        assert_eq!(many, "there are more than 20000 files and folders");
        let twice = |gathering: &mut Gathering<'_>| {
            gathering.take(5)?;
            link("charts/web/b", "values.yaml")(gathering)?;
            link("charts/web/c", "values.yaml")(gathering)
        };
        assert_eq!(refusal(twice), "there are more than 64 MiB", "what links lead to counts each time");
        assert_eq!(
            refusal(|it| it.path(&path("a"), b"..").map(drop)),
            "`a` holds a file whose name cannot be used, `..`"
        );
    }
}
