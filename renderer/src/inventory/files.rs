//! The files below `environments/`: which describe clusters, and what is written in one.

use std::sync::Arc;

use super::fact::Fact;
use crate::path::{ClusterName, NameError, ProfileName, RepoPath};
use crate::problem::{Fault, Problem, did_you_mean};
use crate::snapshot::{ENVIRONMENTS, Snapshot, Source};
use crate::yaml;

/// The file with facts for every cluster of its folder and below.
const DEFAULTS_FILE: &str = "_defaults.yaml";
/// The file with facts that all clusters share.
pub const FLEET_FILE: &str = "environments/_fleet.yaml";
/// The folder of profiles.
pub const PROFILES: &str = "environments/_profiles";
/// The largest file that is read, in bytes. A cluster's facts are a few kilobytes.
pub const MAX_FILE_BYTES: usize = 1024 * 1024;
/// How much the facts of one cluster may take, those that it inherits included, in bytes of text and 64 for each fact.
pub const MAX_CLUSTER_WEIGHT: usize = 4 * 1024 * 1024;
/// Returns the problem of facts that are too many, at the file that goes beyond what is read.
pub(super) fn too_many_facts(file: &RepoPath, whose: &str, weight: usize) -> Problem {
    let message = format!("the facts of {whose} together take more than {} MiB", weight >> 20);
    Problem::in_whole_file(file, message)
        .found_by("limits")
        .hint("a large map that many clusters inherit, or that aliases repeat, counts once for each")
}

/// A file whose name is wrong, and the cluster that it was probably meant to describe.
pub(super) struct Misnamed {
    pub problem: Box<Problem>,
    pub meant: Option<ClusterName>,
}

/// Returns the cluster whose own file a path names, whatever stands in it.
pub(crate) fn own_cluster(path: &RepoPath) -> Option<ClusterName> {
    path.below(ENVIRONMENTS)?;
    cluster_name(path).ok().flatten()
}

/// Returns the cluster that a file describes, if it describes one.
pub(super) fn cluster_name(path: &RepoPath) -> Result<Option<ClusterName>, Misnamed> {
    let file = path.file_name();
    let (stem, ending) = file.rsplit_once('.').unwrap_or((file, ""));
    if file.starts_with('.') || ending == "md" || file == DEFAULTS_FILE || path.as_str() == FLEET_FILE {
        return Ok(None);
    }
    let misnamed = |message: String, hint: String| Misnamed {
        problem: Problem::in_whole_file(path, message).hint(hint).into(),
        meant: ClusterName::parse(&stem.to_lowercase()).ok(),
    };
    if ending == "yml" {
        let message = "the file's name ends in `.yml` and is not read".to_owned();
        return Err(misnamed(message, format!("rename it to `{stem}.yaml`")));
    }
    if ending != "yaml" {
        let hint = "a cluster is described in `<cluster>.yaml`; remove other files, or make them `.md`";
        return Err(misnamed("nothing reads this file".to_owned(), hint.to_owned()));
    }
    if let Some(below) = path.below(PROFILES) {
        if below.contains('/') {
            let hint = format!("a profile is `{PROFILES}/<name>.yaml`");
            return Err(misnamed("nothing reads this file".to_owned(), hint));
        }
        let name = ProfileName::parse(stem).map(|_| None);
        return name.map_err(|error| misnamed(error.to_string(), NameError::HINT.to_owned()));
    }
    if stem.starts_with('_') {
        let hint = match did_you_mean(file, [DEFAULTS_FILE, "_fleet.yaml"]) {
            Some("_fleet.yaml") => format!("there is only one, `{FLEET_FILE}`"),
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there is `{DEFAULTS_FILE}` in every folder and one `{FLEET_FILE}`"),
        };
        return Err(misnamed(format!("`{file}` is not a file that is read"), hint));
    }
    match ClusterName::parse(stem) {
        Ok(name) => Ok(Some(name)),
        Err(error) => Err(misnamed(error.to_string(), NameError::HINT.to_owned())),
    }
}

/// Returns the files of defaults that apply to a file, outermost first.
pub(super) fn defaults_chain<'a>(snapshot: &'a Snapshot, path: &RepoPath) -> Vec<(&'a RepoPath, &'a Source)> {
    let mut folder = String::new();
    let folders = path.parent().unwrap_or("").split('/').map(|component| {
        if !folder.is_empty() {
            folder.push('/');
        }
        folder.push_str(component);
        format!("{folder}/{DEFAULTS_FILE}")
    });
    folders.filter_map(|file| snapshot.entry(&file)).collect()
}

/// Reads one file as a single document of facts.
pub(crate) fn parse_file(file: &Arc<RepoPath>, source: &Source) -> Result<Fact, Vec<Problem>> {
    if source.bytes.len() > MAX_FILE_BYTES {
        let message = format!("the file has {} bytes; at most {MAX_FILE_BYTES} are read", source.bytes.len());
        let problem = Problem::in_whole_file(file, message).found_by("limits");
        return Err(vec![problem.hint("facts are written by people: split the file")]);
    }
    let fact = match documents(file, source)?.as_slice() {
        [] => Ok(Fact::empty(file)),
        [document] if document.as_map().is_some() => Fact::read(document, file),
        [document] => {
            Err(vec![Fault::new(document.position, "the file is not a map").hint("write `key: value` lines")])
        }
        [_, second, ..] => Err(vec![
            Fault::new(second.position, "a second document in one file")
                .hint("remove `---` or split the file"),
        ]),
    };
    fact.map_err(|faults| in_file(faults, file))
}

fn documents(file: &Arc<RepoPath>, source: &Source) -> Result<Vec<yaml::Node>, Vec<Problem>> {
    let documents = yaml::decode(&source.bytes).map_err(|fault| vec![fault]).and_then(yaml::parse);
    let documents = documents.map_err(|faults| in_file(faults, file))?;
    if documents.iter().map(yaml::weight).sum::<usize>() > MAX_CLUSTER_WEIGHT {
        return Err(vec![too_many_facts(file, "the file", MAX_CLUSTER_WEIGHT)]);
    }
    Ok(documents)
}

fn in_file(faults: Vec<Fault>, file: &RepoPath) -> Vec<Problem> {
    faults.into_iter().map(|fault| fault.in_file(file).found_by("yaml")).collect()
}
