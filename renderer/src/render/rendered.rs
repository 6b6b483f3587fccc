//! Rendered files, by cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use crate::beside::Beside;
use crate::catalog::Catalog;
use crate::charts::LOCK;
use crate::checks::{DocumentNames, Footprint, Spot};
use crate::inventory::Inventory;
use crate::page::Shape;
use crate::path::{AddonName, ClusterName, RepoPath};
use crate::plural::counted;
use crate::problem::Place;
use crate::provenance::{ClusterScope, PlacedAddon};
use crate::root::Root;
use crate::visible::visible;

use super::digest::{self, Digest};
use super::sources::Sources;

/// All rendered files of the fleet, with what they were rendered from.
#[derive(Clone, Debug)]
pub struct Rendered {
    /// The clusters by name.
    pub clusters: BTreeMap<ClusterName, Arc<RenderedCluster>>,
    /// The facts.
    pub inventory: Inventory,
    /// The templates.
    pub catalog: Arc<Catalog>,
    /// What checks that guess find, and an add-on accepts.
    pub accepted: Vec<Accepted>,
    /// What Applications read of the repository beside the files; the shell adds it where their objects are wanted.
    pub beside: Beside,
}

/// The rendered files of one cluster.
#[derive(Debug)]
pub struct RenderedCluster {
    /// The cluster's name.
    pub name: ClusterName,
    /// The identity of all files together: equal digests mean equal files.
    pub digest: Digest,
    pub(super) units: Vec<Arc<Unit>>,
    /// Which unit and which file of it have footprints: few do, and all of them are looked at in every run.
    pub(super) outward: Vec<(usize, usize)>,
    /// The names in its documents: looked at only when something changes for the cluster, or for one beside it.
    pub(super) names: Vec<DocumentNames>,
}

impl RenderedCluster {
    /// Puts the units of a cluster together.
    pub(super) fn of(name: &ClusterName, units: Vec<Arc<Unit>>) -> Self {
        let digest = digest::of(units.iter().map(|unit| unit.key.as_slice()));
        let (outward, names) = (outward(&units), names(&units));
        Self { name: name.clone(), digest, units, outward, names }
    }

    /// Returns the files in the order of their paths.
    #[must_use]
    pub fn files(&self) -> Vec<&RenderedFile> {
        let mut files: Vec<_> = self.iter_files().collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        files
    }

    /// Returns the files that stand in a root, in the order of their paths.
    #[must_use]
    pub fn files_in(&self, root: Root) -> Vec<&RenderedFile> {
        let mut files: Vec<_> = self.units_in(root).flat_map(|unit| &unit.files).collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        files
    }

    /// Returns the folder of the files that stand in a root, and the identity of all of them; nothing if there are none.
    #[must_use]
    pub fn folder(&self, root: Root) -> Option<(RepoPath, Digest)> {
        let has_files = self.units_in(root).any(|unit| !unit.files.is_empty());
        let digest = digest::of([self.digest.as_slice(), root.path().as_bytes()].into_iter());
        has_files.then(|| (root.folder(&self.name), digest))
    }

    fn units_in(&self, root: Root) -> impl Iterator<Item = &Arc<Unit>> {
        self.units.iter().filter(move |unit| unit.root == root)
    }

    pub(super) fn footprints(&self) -> Vec<(&RepoPath, Spot, &Footprint)> {
        self.outward_files()
            .flat_map(|file| file.footprints.iter().map(|(index, footprint)| (&file.path, *index, footprint)))
            .filter(|(_, _, footprint)| footprint.is_outward())
            .collect()
    }

    fn outward_files(&self) -> impl Iterator<Item = &RenderedFile> {
        self.outward.iter().map(|(unit, file)| &self.units[*unit].files[*file])
    }

    /// Returns the addresses that its add-ons ask load balancers for, as they are written.
    pub(crate) fn exposed(&self) -> impl Iterator<Item = &str> {
        let files = self.outward_files().filter(|file| file.addon.is_some());
        let exposed = files.flat_map(|file| &file.footprints).flat_map(|(_, footprint)| &footprint.exposed);
        exposed.map(|exposed| exposed.text.as_str())
    }

    /// Returns the signals that the cluster sends, each with the URL that it is sent to.
    pub fn sends(&self) -> impl Iterator<Item = (&str, &str)> {
        let ends = self.footprints().into_iter().flat_map(|(_, _, footprint)| &footprint.ends);
        ends.flat_map(|ends| ends.senders.iter().map(|sender| (ends.signal.as_str(), sender.url.as_str())))
    }

    /// Returns what the files were rendered in: the add-ons, then the cluster's own files. Units that were taken over
    /// from the rendering before are the very same.
    #[must_use]
    pub fn units(&self) -> &[Arc<Unit>] {
        &self.units
    }

    /// Returns the files in no particular order, at no cost.
    pub fn iter_files(&self) -> impl Iterator<Item = &RenderedFile> {
        self.units.iter().flat_map(|unit| &unit.files)
    }

    /// Returns the add-ons that run on the cluster.
    pub fn addons(&self) -> impl Iterator<Item = &AddonName> {
        self.units.iter().filter_map(|unit| unit.addon.as_ref())
    }
}

fn outward(units: &[Arc<Unit>]) -> Vec<(usize, usize)> {
    let files = units.iter().enumerate().flat_map(|(unit, it)| {
        it.files.iter().enumerate().map(move |(file, rendered)| ((unit, file), rendered))
    });
    let is_outward =
        |file: &RenderedFile| file.footprints.iter().any(|(_, footprint)| footprint.is_outward());
    files.filter(|(_, file)| is_outward(file)).map(|(at, _)| at).collect()
}

fn names(units: &[Arc<Unit>]) -> Vec<DocumentNames> {
    let files = units.iter().flat_map(|unit| &unit.files);
    let names = files.flat_map(|file| {
        file.footprints.iter().filter_map(|(document, footprint)| {
            let names = Arc::clone(footprint.names.as_ref()?);
            Some(DocumentNames { file: file.path.clone(), document: *document, names })
        })
    });
    names.collect()
}

impl Rendered {
    /// Returns how many files there are.
    #[must_use]
    pub fn file_count(&self) -> usize {
        self.clusters.values().flat_map(|cluster| &cluster.units).map(|unit| unit.files.len()).sum()
    }

    /// Returns what could not be judged, though nothing is wrong with it: reported beside the result.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let is_unlocked = self.catalog.lock.is_none() && !self.catalog.addons.is_empty();
        let note =
            format!("chart values are not judged, since there is no `{LOCK}`: run `fleetwright charts lock`");
        is_unlocked.then_some(note).into_iter().collect()
    }

    /// Returns the digest of everything that is rendered: of paths and bytes alone, so that equal trees have
    /// equal digests however they came about.
    #[must_use]
    pub fn tree_digest(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for file in self.clusters.values().flat_map(|cluster| cluster.files()) {
            for part in [file.path.as_str().as_bytes(), &file.bytes] {
                hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
            }
        }
        hasher.finalize().to_hex().to_string()
    }

    /// Returns it with other files in the place of some, for what has been published of it; a file without bytes is not there.
    ///
    /// What was judged or remembered of the files is not known of these.
    #[must_use]
    pub fn with_files(
        &self,
        files: impl IntoIterator<Item = (ClusterName, RepoPath, Option<AddonName>, Option<Arc<[u8]>>)>,
    ) -> Self {
        let mut changes: BTreeMap<ClusterName, BTreeMap<RepoPath, _>> = BTreeMap::new();
        for (cluster, path, addon, bytes) in files {
            changes.entry(cluster).or_default().insert(path, (addon, bytes));
        }
        let mut clusters = self.clusters.clone();
        for (name, changes) in changes {
            let known = clusters.get(&name).into_iter().flat_map(|cluster| cluster.iter_files());
            let kept = known.filter(|file| !changes.contains_key(&file.path));
            let kept: Vec<_> =
                kept.map(|file| (file.path.clone(), file.addon.clone(), Arc::clone(&file.bytes))).collect();
            let put = changes.into_iter().filter_map(|(path, (addon, bytes))| Some((path, addon, bytes?)));
            let mut units: BTreeMap<Root, Unit> = BTreeMap::new();
            for (path, addon, bytes) in kept.into_iter().chain(put) {
                let Some((root, _)) = Root::of(path.as_str()) else { continue };
                let unit = units.entry(root).or_insert_with(|| Unit {
                    root,
                    addon: None,
                    files: Vec::new(),
                    answers: BTreeSet::new(),
                    key: Digest::default(),
                });
                unit.files.push(RenderedFile { path, addon, bytes, footprints: Vec::new() });
            }
            let units = units.into_values().map(Arc::new).collect();
            let (digest, outward, names) = (Digest::default(), Vec::new(), Vec::new());
            let cluster = RenderedCluster { name: name.clone(), digest, units, outward, names };
            clusters.insert(name, Arc::new(cluster));
        }
        Self { clusters, ..self.clone() }
    }

    /// Returns the cluster that a file is rendered for.
    pub(crate) fn cluster_of(&self, file: &RepoPath) -> Option<&ClusterName> {
        match Root::of(file.as_str())? {
            (Root::Fleet, _) => Some(&self.inventory.first()?.name),
            (_, rest) => self.clusters.get(rest.split('/').next()?).map(|cluster| &cluster.name),
        }
    }

    /// Returns it with further files of add-ons: the objects of their charts.
    #[must_use]
    pub fn with_objects(
        &self,
        files: impl IntoIterator<Item = ((ClusterName, AddonName), Vec<(RepoPath, Arc<[u8]>)>)>,
    ) -> Self {
        let mut of_clusters: BTreeMap<ClusterName, BTreeMap<AddonName, Vec<_>>> = BTreeMap::new();
        for ((cluster, addon), files) in files {
            of_clusters.entry(cluster).or_default().insert(addon, files);
        }
        let mut clusters = self.clusters.clone();
        for (name, mut of_addons) in of_clusters {
            let Some(known) = clusters.get(&name) else { continue };
            let content = of_addons.values().flatten().flat_map(|(path, bytes)| {
                [path.as_str().as_bytes(), b"\0".as_slice(), bytes.as_ref(), b"\0".as_slice()]
            });
            let digest = digest::of([known.digest.as_slice()].into_iter().chain(content));
            let with_files =
                |unit: &Arc<Unit>| match unit.addon.as_ref().and_then(|it| of_addons.remove_entry(it)) {
                    Some((addon, files)) => {
                        let file = |(path, bytes)| RenderedFile {
                            path,
                            addon: Some(addon.clone()),
                            bytes,
                            footprints: Vec::new(),
                        };
                        let files = unit.files.iter().cloned().chain(files.into_iter().map(file)).collect();
                        let key = digest::of([unit.key.as_slice(), digest.as_slice()].into_iter());
                        Arc::new(Unit {
                            files,
                            key,
                            addon: unit.addon.clone(),
                            answers: unit.answers.clone(),
                            root: unit.root,
                        })
                    }
                    None => Arc::clone(unit),
                };
            let units = known.units.iter().map(with_files).collect();
            let (outward, names) = (known.outward.clone(), known.names.clone());
            let cluster = RenderedCluster { name: name.clone(), digest, units, outward, names };
            clusters.insert(name, Arc::new(cluster));
        }
        Self { clusters, ..self.clone() }
    }

    /// Returns what the templates of a cluster see.
    ///
    /// # Panics
    ///
    /// If the cluster is not one of this rendering.
    #[must_use]
    pub fn scope(&self, cluster: &ClusterName) -> ClusterScope<'_> {
        let sources = Sources::new(&self.inventory, &self.catalog);
        sources.scope(&self.inventory.clusters[cluster]).expect("a rendered cluster has a valid scope")
    }

    /// Returns the clusters by group, role and add-ons with their versions: equal ones are one shape.
    #[must_use]
    pub fn shapes(&self) -> Vec<Shape> {
        let sources = Sources::new(&self.inventory, &self.catalog);
        let order = self.inventory.fleet.facts.groups.names();
        let mut shapes: BTreeMap<_, Vec<ClusterName>> = BTreeMap::new();
        for (name, cluster) in &self.inventory.clusters {
            let (Ok(scope), Some(group)) = (sources.scope(cluster), self.inventory.group_of(name)) else {
                continue;
            };
            let version = |placed: &PlacedAddon<'_>| {
                let version = placed.chart.as_ref().map(|chart| chart.version.clone());
                (placed.addon.name.to_string(), version.unwrap_or_default())
            };
            let mut addons: Vec<_> = scope.addons.iter().map(version).collect();
            addons.sort_unstable();
            let at = order.iter().position(|known| known == group).unwrap_or(order.len());
            let key = ((at, group.to_string()), cluster.facts.role.as_str().to_owned(), addons);
            shapes.entry(key).or_default().push(name.clone());
        }
        let shape = |((group, role, addons), clusters)| Shape { group, role, addons, clusters };
        shapes.into_iter().map(shape).collect()
    }
}

/// An add-on on a cluster, or the cluster's own files, rendered.
#[derive(Debug)]
pub struct Unit {
    /// Where the files stand.
    pub root: Root,
    /// The add-on; none for the cluster's own files.
    pub addon: Option<AddonName>,
    /// The files.
    pub files: Vec<RenderedFile>,
    /// Which of the add-on's answers are to something that a check finds in the files.
    pub(super) answers: BTreeSet<usize>,
    pub(super) key: Digest,
}

/// A rendered file.
#[derive(Clone, Debug)]
pub struct RenderedFile {
    /// Where it is written.
    pub path: RepoPath,
    /// The add-on that it belongs to; none for the cluster's own files.
    pub addon: Option<AddonName>,
    /// The content.
    pub bytes: Arc<[u8]>,
    /// What its documents do outside themselves, by their number; one that does nothing is left out.
    pub(super) footprints: Vec<(Spot, Footprint)>,
}

/// Which answers of which add-ons are to something that was found on a cluster.
pub(super) type Answers = BTreeSet<(AddonName, usize)>;

/// Something that a check finds and that an add-on accepts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Accepted {
    /// The add-on.
    pub addon: AddonName,
    /// The check.
    pub check: String,
    /// The place in the add-on's rendered files.
    pub path: String,
    /// Why it is accepted.
    pub reason: String,
    /// Where the answer stands.
    #[serde(flatten)]
    pub place: Place,
    /// The clusters on which something is found there.
    pub clusters: BTreeSet<ClusterName>,
}

impl fmt::Display for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { addon, check, path, reason, place, clusters } = self;
        let clusters = counted(clusters.len(), "cluster");
        write!(f, "`{check}` at `{path}` of `{addon}` on {clusters}: {} ({place})", visible(reason))
    }
}
