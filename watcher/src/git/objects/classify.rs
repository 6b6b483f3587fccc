//! From the errors of libgit2 and of the operating system to what a person can do about them.

use std::path::PathBuf;

use git2::{ErrorClass, ErrorCode};

use crate::git::error::{Completeness, Fault};

/// Sorts an error of libgit2 into what a person can do about it.
pub(in crate::git) fn classify(error: git2::Error, clone: Completeness) -> Fault {
    let message = error.message();
    if let Some(fault) = of_format(message) {
        return fault;
    }
    if let Some(fault) = of_system(message) {
        return fault;
    }
    match (error.code(), error.class()) {
        (ErrorCode::Locked, _) => Fault::Locked { lock: "a file of the repository".into() },
        (ErrorCode::Owner, _) => Fault::ForeignOwner { folder: quoted_folder(message) },
        (ErrorCode::UnbornBranch, _) => Fault::NoCommits,
        (_, ErrorClass::NoMemory) => Fault::OutOfMemory,
        // libgit2 takes a pack that it could not open for one that lacks the object.
        (ErrorCode::NotFound, ErrorClass::Odb) if !can_open_files() => Fault::OpenFiles,
        (ErrorCode::NotFound, ErrorClass::Odb) => Fault::MissingObject { clone },
        _ => Fault::Other { message: message.to_owned(), source: Box::new(error) },
    }
}

/// Returns the fault of a repository whose format libgit2 does not read.
fn of_format(message: &str) -> Option<Fault> {
    const FORMATS: [(&str, &str, &str); 5] = [
        (
            "object format 'sha256'",
            "names its objects by SHA-256",
            "use a clone in a repository made by `git init --object-format=sha1`; `render`, `check` and `watch` work here, too",
        ),
        (
            "extensions.refstorage",
            "keeps its refs in another way than files (reftable)",
            "convert it with `git refs migrate --ref-format=files`; `render`, `check` and `watch` work here, too",
        ),
        (
            "mandatory extension: 'link'",
            "has a split index",
            "join it with `git update-index --no-split-index`",
        ),
        (
            "mandatory extension: 'sdir'",
            "has a sparse index",
            "expand it with `git sparse-checkout reapply --no-sparse-index`",
        ),
        (
            "unsupported extension name",
            "has an extension that libgit2 does not know",
            "see `extensions.*` in `git config --list --local`; a fresh clone may do without; `render`, `check` and `watch` work here, too",
        ),
    ];
    let (_, trait_, hint) = FORMATS.into_iter().find(|(words, ..)| message.contains(words))?;
    Some(Fault::UnsupportedFormat { trait_, hint })
}

/// Returns the folder in single quotes that a message about its owner names: the very one that is compared with the
/// configuration, which differs between a working tree, a linked one and a bare repository.
pub(in crate::git) fn quoted_folder(message: &str) -> Option<PathBuf> {
    let (_, rest) = message.split_once(" '")?;
    Some(PathBuf::from(rest.rsplit_once('\'')?.0))
}

/// Sorts an error of the operating system the same way.
pub(in crate::git) fn classify_io(error: std::io::Error) -> Fault {
    of_system(&error.to_string()).unwrap_or_else(|| Fault::Other {
        message: "an operation of the system failed".into(),
        source: Box::new(error),
    })
}

/// Returns the fault that the operating system names at the end of a message, if it is one that says what to do.
pub(in crate::git) fn of_system(message: &str) -> Option<Fault> {
    let message = message.rsplit_once(" (os error ").map_or(message, |(message, _)| message);
    let ends_in = |words: &[&'static str]| words.iter().copied().find(|words| message.ends_with(words));
    if ends_in(&["No space left on device", "Disk quota exceeded"]).is_some() {
        return Some(Fault::DiskFull);
    }
    if ends_in(&["Too many open files", "Too many open files in system"]).is_some() {
        return Some(Fault::OpenFiles);
    }
    if ends_in(&["Cannot allocate memory"]).is_some() {
        return Some(Fault::OutOfMemory);
    }
    let reason = ends_in(&["Read-only file system", "Permission denied", "Operation not permitted"])?;
    Some(Fault::ReadOnly { reason: reason.to_lowercase() })
}

/// Returns whether there is room for the few files that reading an object opens.
fn can_open_files() -> bool {
    let files: Result<Vec<_>, _> = (0..4).map(|_| std::fs::File::open("/dev/null")).collect();
    !files.is_err_and(|error| matches!(of_system(&error.to_string()), Some(Fault::OpenFiles)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::scene::{Scene, with_few_files};
    use crate::git::{BlobCache, GitError};

    fn error(fault: Fault) -> GitError {
        GitError { repository: "/srv/fleet.git".into(), attempt: "read branch `mian`".into(), fault }
    }

    #[test]
    fn a_folder_is_named_as_it_is_compared() {
        for (message, folder) in [
            ("repository path '/srv/it's mine' is not owned by current user", Some("/srv/it's mine")),
            ("fatal: detected dubious ownership in repository at '/srv/a'\nTo add", Some("/srv/a")),
            ("no folder", None),
        ] {
            assert_eq!(quoted_folder(message), folder.map(PathBuf::from));
        }
    }

    #[test]
    fn what_the_operating_system_says_is_reported_as_such_and_never_as_damage() {
        for (words, hint) in [
            ("Too many open files", "ulimit -n"),
            ("Too many open files in system", "ulimit -n"),
            ("Cannot allocate memory", "more memory"),
            ("No space left on device", "free some space"),
            ("Permission denied", "write access"),
            ("Read-only file system", "write access"),
        ] {
            let of_git =
                git2::Error::new(ErrorCode::GenericError, ErrorClass::Os, format!("open 'x': {words}"));
            for fault in
                [classify(of_git, Completeness::Whole), of_system(&format!("{words} (os error 1)")).unwrap()]
            {
                assert!(fault.is_of_system(), "{fault:?}");
                let error = error(fault);
                assert!(!error.is_damage() && error.hint().unwrap().contains(hint), "{error:?}");
            }
        }
        let named = "cannot read `Too many open files`: it is empty";
        assert!(of_system(named).is_none(), "a file's name was taken for the system's words");
    }

    #[test]
    fn a_pack_that_cannot_be_opened_for_lack_of_file_descriptors_is_not_missing() {
        const TEST: &str = "git::objects::classify::tests::a_pack_that_cannot_be_opened_for_lack_of_file_descriptors_is_not_missing";
        with_few_files(TEST, || {
            let scene = Scene::bare();
            let tip = scene.commit("main", "start", &[("environments/a.yaml", "a")]);
            scene.git(&["gc", "-q"]);
            let repository = scene.repository();
            let held: Vec<_> = std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect();
            let error = repository.snapshot(tip, &mut BlobCache::default()).unwrap_err();
            drop(held);
            assert!(matches!(error.fault, Fault::OpenFiles), "{error:?}");
            assert!(error.is_transient() && !error.is_damage());
            assert!(repository.snapshot(tip, &mut BlobCache::default()).is_ok());
        });
    }
}
