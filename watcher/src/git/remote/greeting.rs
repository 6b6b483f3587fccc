//! How the other side greets: the version of the protocol that it speaks, what it can do, and in version 0 its refs.

use std::io::Read;

use crate::git::objects::refs::Refs;
use crate::git::objects::revision::Revision;

use super::packet;
use crate::git::error::{Fault, FaultKind};

/// A ref with a longer name, or part of one, cannot be kept as a file; a branch that is read here has none.
const MAX_NAME_BYTES: usize = 1_000;
const MAX_NAME_PART_BYTES: usize = 240;

/// A greeting.
#[derive(Debug, Default)]
pub(in crate::git) struct Greeting {
    /// Whether refs are shown only when they are asked for, and commands are taken: version 2.
    pub(super) is_version_2: bool,
    pub(super) capabilities: Vec<String>,
    pub(super) refs: Refs,
}

impl Greeting {
    pub(in crate::git) fn read(input: &mut dyn Read) -> Result<Self, Fault> {
        let mut greeting = Self::default();
        let Some(first) = packet::read_greeting(input)? else { return Ok(greeting) };
        greeting.is_version_2 = first == "version 2";
        if !greeting.is_version_2 {
            greeting.take(&first)?;
        }
        packet::read_list(input, |line| greeting.take(line))?;
        match greeting.value_of("object-format=") {
            None | Some("sha1") => Ok(greeting),
            Some(format) => Err(Fault::without_hint(
                FaultKind::Stalled,
                format!("the other repository names its objects by `{format}`, and only `sha1` is supported"),
            )),
        }
    }

    fn take(&mut self, line: &str) -> Result<(), Fault> {
        if self.is_version_2 {
            self.capabilities.push(line.to_owned());
            return Ok(());
        }
        // What the other side can do stands behind the first ref.
        let (line, offered) = line.split_once('\0').unwrap_or((line, ""));
        self.capabilities.extend(offered.split(' ').filter(|word| !word.is_empty()).map(str::to_owned));
        if line.starts_with("shallow ") {
            return Err(shallow());
        }
        self.refs.extend(read_ref(line));
        Ok(())
    }

    pub(super) fn offers(&self, wanted: &str) -> bool {
        self.capabilities.iter().any(|offered| offered.split('=').next() == Some(wanted))
    }

    pub(super) fn value_of(&self, key: &str) -> Option<&str> {
        self.capabilities.iter().find_map(|offered| offered.strip_prefix(key))
    }
}

pub(super) fn shallow() -> Fault {
    Fault::stalled(
        "the other repository is a shallow clone, which lacks history that is needed here",
        "name the repository that it was cloned from, or complete it with `git fetch --unshallow`",
    )
}

/// Reads a ref as it is listed; nothing if it is none that can be kept here.
pub(super) fn read_ref(line: &str) -> Option<(String, Revision)> {
    let mut words = line.split(' ');
    let (id, name) = words.next().zip(words.next())?;
    let revision = Revision::parse(id).ok()?;
    let can_be_kept =
        name.len() <= MAX_NAME_BYTES && name.split('/').all(|part| part.len() <= MAX_NAME_PART_BYTES);
    let is_usable = name.starts_with("refs/") && can_be_kept && git2::Reference::is_valid_name(name);
    is_usable.then(|| (name.to_owned(), revision))
}
