//! Clusters that an earlier process has rendered and judged: how they are written down, and read again.
//!
//! Knows nothing of where that is kept.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::checks::{Footprint, Spot};
use crate::path::{AddonName, ClusterName, RepoPath};
use crate::root::Root;

use super::digest::Digest;
use super::rendered::{RenderedCluster, RenderedFile, Unit};
use super::sources::Sources;

/// What stands before the bytes of a cluster's files.
#[derive(Serialize, Deserialize)]
struct Head<'a> {
    units: Vec<UnitHead<'a>>,
}

#[derive(Serialize, Deserialize)]
struct UnitHead<'a> {
    root: Root,
    addon: Option<AddonName>,
    answers: BTreeSet<usize>,
    key: Digest,
    files: Vec<FileHead<'a>>,
}

#[derive(Serialize, Deserialize)]
struct FileHead<'a> {
    path: RepoPath,
    size: usize,
    footprints: Cow<'a, [(Spot, Footprint)]>,
}

impl<'a> UnitHead<'a> {
    fn of(unit: &'a Unit) -> Self {
        let Unit { root, addon, files, answers, key } = unit;
        let files = files.iter().map(FileHead::of).collect();
        Self { root: *root, addon: addon.clone(), answers: answers.clone(), key: *key, files }
    }
}

impl<'a> FileHead<'a> {
    fn of(file: &'a RenderedFile) -> Self {
        let RenderedFile { path, bytes, footprints, .. } = file;
        Self { path: path.clone(), size: bytes.len(), footprints: Cow::Borrowed(footprints) }
    }
}

/// Returns a cluster that an earlier process has rendered from the same inputs; units that are `known` are taken over.
pub(super) fn remembered(
    sources: &Sources<'_>,
    inputs: &Digest,
    name: &ClusterName,
    known: Option<&Arc<RenderedCluster>>,
) -> Option<RenderedCluster> {
    read(&sources.memory?.get(&sources.key(inputs))?, name, known)
}

/// Remembers a cluster for the processes that follow.
pub(super) fn remember(sources: &Sources<'_>, inputs: &Digest, cluster: &RenderedCluster) {
    if let Some((memory, record)) = sources.memory.zip(record(cluster)) {
        memory.put(&sources.key(inputs), &record);
    }
}

/// Writes a cluster down; nothing if something in it is of a kind that only final objects have.
fn record(cluster: &RenderedCluster) -> Option<Vec<u8>> {
    let units = cluster.units.iter().map(|unit| UnitHead::of(unit)).collect();
    let head = serde_json::to_vec(&Head { units }).ok()?;
    let mut record = (head.len() as u64).to_le_bytes().to_vec();
    record.extend(head);
    for file in cluster.iter_files() {
        record.extend_from_slice(&file.bytes);
    }
    Some(record)
}

/// Reads a cluster; nothing if it is none. Units that are `known` are taken over.
fn read(record: &[u8], name: &ClusterName, known: Option<&Arc<RenderedCluster>>) -> Option<RenderedCluster> {
    let known: HashMap<_, _> =
        known.into_iter().flat_map(|known| &known.units).map(|unit| (unit.key, unit)).collect();
    let (length, rest) = record.split_first_chunk()?;
    let (head, mut rest) = rest.split_at_checked(u64::from_le_bytes(*length).try_into().ok()?)?;
    let head: Head<'_> = serde_json::from_slice(head).ok()?;
    let mut units = Vec::with_capacity(head.units.len());
    for UnitHead { root, addon, answers, key, files } in head.units {
        let mut read = Vec::with_capacity(files.len());
        for FileHead { path, size, footprints } in files {
            let (bytes, others) = rest.split_at_checked(size)?;
            rest = others;
            let footprints = footprints.into_owned();
            read.push(RenderedFile { path, addon: addon.clone(), bytes: bytes.into(), footprints });
        }
        units.push(match known.get(&key) {
            Some(unit) => Arc::clone(unit),
            None => Arc::new(Unit { root, addon, files: read, answers, key }),
        });
    }
    rest.is_empty().then(|| RenderedCluster::of(name, units))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_record_is_none() {
        let files = vec![RenderedFile {
            path: RepoPath::parse("argocd-apps/a/b.yaml").unwrap(),
            addon: None,
            bytes: b"a: 1\n".as_slice().into(),
            footprints: Vec::new(),
        }];
        let (root, answers, key) = (Root::Applications, BTreeSet::from([3]), [7; 32]);
        let name = ClusterName::parse("a").unwrap();
        let cluster =
            RenderedCluster::of(&name, vec![Arc::new(Unit { root, addon: None, files, answers, key })]);
        let whole = record(&cluster).unwrap();
        let found = read(&whole, &name, None).unwrap();
        assert_eq!(format!("{found:?}"), format!("{cluster:?}"));
        for length in 0..whole.len() {
            assert!(read(&whole[..length], &name, None).is_none(), "{length}");
        }
        assert!(read(&[whole, vec![0]].concat(), &name, None).is_none());
        let known = Arc::new(cluster);
        let again = read(&record(&known).unwrap(), &name, Some(&known)).unwrap();
        assert!(Arc::ptr_eq(&again.units[0], &known.units[0]));
    }
}
