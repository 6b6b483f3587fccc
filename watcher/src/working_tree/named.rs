//! What stands at a path of the working tree that an Application names.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use renderer::beside::Standing;
use renderer::path::{RepoPath, is_left_by_editor};

use super::{WorkingTreeError, is_absent};
use crate::beside::{Gathering, Room, Stop};
use crate::git::Tracked;

type Outcome<T> = Result<T, Stop<WorkingTreeError>>;

/// Returns what stands at a path of the working tree at `top`, as far as there is room: the same as in the commit that it
/// would become.
pub fn standing(top: &Path, path: &RepoPath, room: &mut Room) -> Result<Standing, WorkingTreeError> {
    let folder = path.components().next().unwrap_or_default();
    let tracked = Tracked::read(top, &[folder])?;
    let mut gathering = Gathering::at(path, room);
    let mut walk = Walk { top, tracked: &tracked, gathering: &mut gathering };
    let found = walk.at(path).and_then(|kind| match kind {
        Kind::Nothing => Ok(Standing::Nothing),
        Kind::File => Ok(gathering.into_file()),
        Kind::Folder => gathering.into_folder(),
    });
    found.or_else(Stop::into_standing)
}

enum Kind {
    Nothing,
    File,
    Folder,
}

struct Walk<'w, 'a> {
    top: &'w Path,
    tracked: &'w Tracked,
    gathering: &'w mut Gathering<'a>,
}

impl Walk<'_, '_> {
    fn at(&mut self, path: &RepoPath) -> Outcome<Kind> {
        // What is above it may be a link, too.
        let mut above = String::new();
        for part in path.components() {
            if self.top.join(&above).symlink_metadata().is_ok_and(|metadata| metadata.is_symlink()) {
                return Ok(Kind::Nothing);
            }
            above = if above.is_empty() { part.to_owned() } else { format!("{above}/{part}") };
        }
        let mut kind = match self.top.join(path.as_str()).symlink_metadata() {
            Ok(metadata) if metadata.is_dir() => Kind::Folder,
            Ok(_) => Kind::File,
            Err(_) => Kind::Nothing,
        };
        if !matches!(kind, Kind::Nothing) {
            self.entry(path)?;
        }
        for file in self.tracked.left_out().filter(|file| is_absent(self.top, &file.path)) {
            let Some(found) =
                std::str::from_utf8(&file.path).ok().and_then(|text| RepoPath::parse(text).ok())
            else {
                continue;
            };
            if found != *path && found.below(path.as_str()).is_none() {
                continue;
            }
            match self.tracked.content(file).map_err(|error| Stop::Failed(error.into()))? {
                Ok(bytes) => {
                    self.gathering.take(bytes.len())?;
                    self.gathering.file(&found, bytes);
                }
                Err(_) => {
                    return Err(Stop::no_file(&found, "left out of the working tree, and no small file"));
                }
            }
            kind = if found == *path { Kind::File } else { Kind::Folder };
        }
        Ok(kind)
    }

    fn entry(&mut self, path: &RepoPath) -> Outcome<()> {
        let on_disk = self.top.join(path.as_str());
        let failed = |error| Stop::Failed(WorkingTreeError::unreadable(on_disk.clone())(error));
        let metadata = match on_disk.symlink_metadata() {
            Ok(metadata) => metadata,
            // Editors replace files while they save.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(failed(error)),
        };
        if metadata.is_symlink() {
            let target = fs::read_link(&on_disk).map_err(failed)?;
            return self.gathering.link(path, target.as_os_str().as_bytes());
        }
        if metadata.is_dir() && on_disk.join(".git").symlink_metadata().is_ok() {
            return Err(Stop::no_file(path, "a submodule"));
        }
        if metadata.is_dir() {
            for entry in fs::read_dir(&on_disk).map_err(failed)? {
                let name = entry.map_err(failed)?.file_name();
                let path = self.gathering.path(path, name.as_bytes())?;
                let is_tracked = self.tracked.is_tracked(path.as_str().as_bytes());
                let is_file = !self.top.join(path.as_str()).is_dir();
                if is_tracked || !(is_file && is_left_by_editor(name.as_bytes())) {
                    self.entry(&path)?;
                }
            }
            return Ok(());
        }
        if !metadata.is_file() {
            return Err(Stop::no_file(path, "neither a file nor a folder"));
        }
        self.gathering.take(usize::try_from(metadata.len()).unwrap_or(usize::MAX))?;
        let bytes = fs::read(&on_disk).map_err(failed)?;
        let bytes = self.tracked.to_git(path.as_str().as_bytes(), &bytes);
        self.gathering.file(path, bytes.as_ref().into());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;
    use crate::git::scene::Scene;

    fn path(text: &str) -> RepoPath {
        RepoPath::parse(text).unwrap()
    }

    fn shown(standing: &Standing) -> String {
        match standing {
            Standing::Nothing => "nothing".to_owned(),
            Standing::File(bytes) => format!("{:?}", String::from_utf8_lossy(bytes)),
            Standing::Folder(folder) => {
                format!("{} {:?}", folder.digest, folder.files.keys().collect::<Vec<_>>())
            }
            Standing::Refused(reason) => reason.clone(),
        }
    }

    /// Returns what stands at a path of the working tree, which is the same at the tip.
    fn both(scene: &Scene, text: &str) -> String {
        let (repository, path) = (scene.repository(), path(text));
        let tip = repository.branch("main").unwrap();
        let committed = shown(&repository.standing(tip, &path, &mut Room::default()).unwrap());
        assert_eq!(shown(&standing(scene.path(), &path, &mut Room::default()).unwrap()), committed, "{text}");
        committed
    }

    #[test]
    fn the_same_stands_in_a_working_tree_as_in_the_commit_that_it_would_become() {
        let scene = Scene::with_working_tree();
        scene.write(".gitattributes", "*.yaml text\n");
        scene.write("charts/web/Chart.yaml", "name: web\r\n");
        scene.write("charts/web/templates/a.yaml~", "left");
        scene.write("charts/web/.helmignore", "x\n");
        symlink("Chart.yaml", scene.path().join("charts/web/link.yaml")).unwrap();
        symlink("web", scene.path().join("charts/other")).unwrap();
        symlink("/etc", scene.path().join("etc")).unwrap();
        scene.git(&["add", "-A"]);
        let id = "0123456789abcdef0123456789abcdef01234567";
        scene.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{id},modules/one")]);
        scene.git(&["commit", "-qm", "start"]);
        let web = both(&scene, "charts/web");
        let files = r#"[".helmignore", "Chart.yaml", "link.yaml", "templates/a.yaml~"]"#;
        assert!(web.starts_with("sha256:") && web.ends_with(files), "{web}");
        assert_eq!(both(&scene, "charts/web/Chart.yaml"), r#""name: web\n""#);
        for nowhere in
            ["charts/none", "charts/web/Chart.yaml/x", "charts/other/Chart.yaml", "etc/passwd", "none/a/b"]
        {
            assert_eq!(both(&scene, nowhere), "nothing", "{nowhere}");
        }
        assert_eq!(both(&scene, "charts/other"), "`charts/other` is a symbolic link");
        assert_eq!(both(&scene, "charts/web/link.yaml"), "`charts/web/link.yaml` is a symbolic link");
        assert_eq!(both(&scene, "charts"), "`charts/other` is a symbolic link to no file of the folder");
        fs::create_dir_all(scene.path().join("modules/one/.git")).unwrap();
        assert_eq!(both(&scene, "modules"), "`modules/one` is a submodule");
        // What a sparse checkout leaves out is there all the same.
        scene.git(&["update-index", "--skip-worktree", "charts/web/Chart.yaml", "charts/web/.helmignore"]);
        fs::remove_file(scene.path().join("charts/web/.helmignore")).unwrap();
        assert_eq!(both(&scene, "charts/web"), web);
        fs::remove_file(scene.path().join("charts/web/Chart.yaml")).unwrap();
        assert_eq!(both(&scene, "charts/web/Chart.yaml"), r#""name: web\n""#);
        // An editor's leftover counts only if it is committed, and a socket never.
        scene.write("charts/web/Chart.yaml~", "left");
        assert_eq!(both(&scene, "charts/web"), web);
        let _socket = UnixListener::bind(scene.path().join("charts/web/socket")).unwrap();
        let found = shown(&standing(scene.path(), &path("charts/web"), &mut Room::default()).unwrap());
        assert_eq!(found, "`charts/web/socket` is neither a file nor a folder");
    }
}
