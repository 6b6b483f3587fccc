//! Targets for fuzzing: each takes any bytes, and panics if something that must always hold does not.
//!
//! The corpus of a target stands in `corpus/<name>/` and is replayed as a test. What finds new inputs is the
//! binary of this crate, on any machine, or libFuzzer with coverage in `coverage/`.

#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a panic is what a target reports with")]

mod fleet;
pub mod mutate;
mod schema;
mod templates;
mod watcher;
mod yaml;

use std::fs;
use std::path::{Path, PathBuf};

/// Something to fuzz.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name, which is also that of its folder in the corpus.
    pub name: &'static str,
    /// Takes an input.
    pub run: fn(&[u8]),
    /// What inputs are made of, besides pieces of the corpus.
    pub words: &'static [&'static str],
}

/// All targets.
pub const TARGETS: [Target; 7] = [
    Target { name: "archive", run: watcher::archive, words: watcher::ARCHIVE_WORDS },
    Target { name: "fleet", run: fleet::run, words: fleet::WORDS },
    Target { name: "git", run: watcher::git, words: watcher::GIT_WORDS },
    Target { name: "schema", run: schema::run, words: schema::WORDS },
    Target { name: "templates", run: templates::run, words: templates::WORDS },
    Target { name: "webhook", run: watcher::webhook, words: watcher::WEBHOOK_WORDS },
    Target { name: "yaml", run: yaml::run, words: yaml::WORDS },
];

/// Returns the target of a name.
#[must_use]
pub fn target(name: &str) -> Option<Target> {
    TARGETS.into_iter().find(|target| target.name == name)
}

impl Target {
    /// Returns the folder of the inputs that are kept.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(self.name)
    }

    /// Returns the inputs that are kept, in the order of their names.
    #[must_use]
    pub fn corpus(&self) -> Vec<(String, Vec<u8>)> {
        let files = fs::read_dir(self.folder()).unwrap().map(|entry| entry.unwrap());
        let mut inputs: Vec<_> = files
            .map(|file| (file.file_name().to_string_lossy().into_owned(), fs::read(file.path()).unwrap()))
            .collect();
        inputs.sort();
        inputs
    }
}
