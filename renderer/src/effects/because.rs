//! Which lines to edit are behind an effect.
//!
//! What an object of the repository's own becomes follows from the change of its own file alone. What an object of a chart
//! becomes may follow from each value that changes, from the version, and from whatever else Helm is called with: all of
//! these are named, since only Helm knows which one it is.

use std::collections::{BTreeMap, BTreeSet};

use super::model::{Effect, Effects};
use crate::deployed::{Call, Chart, Deployed, Source, deployed, is_of_chart, with_charts};
use crate::explain::{Causes, SourceLine};
use crate::key_path::Step;
use crate::manifests::{self, ObjectName};
use crate::path::{AddonName, ClusterName, RepoPath};
use crate::plan::explained::Explained;
use crate::plan::group::general_name;
use crate::plan::{Action, Change, FilePlan, Plan};
use crate::problem::Place;
use crate::render::Rendered;

/// How many lines are named of one effect.
const MAX_LINES: usize = 100;
/// On how many of an effect's clusters its lines are looked for.
const MAX_CLUSTERS: usize = 3;
/// In how many folders of clusters an Application is looked for.
const MAX_FOLDERS: usize = 40;
/// The group of permissions, which follow from several objects.
const PERMISSIONS: &str = "rbac.authorization.k8s.io";

/// Names the lines to edit behind each effect of a change from `base` to `head`, as far as they are known.
pub fn name_lines(effects: &mut Effects, plan: &Plan, base: &Rendered, head: &Rendered) {
    // Where the objects of charts are published, lines are behind what their charts are called with.
    let charted = [base, head].map(|side| with_charts(side).unwrap_or_else(|_| side.clone()));
    let mut search = Search {
        plan,
        sides: [base, head],
        charted: charted.each_ref(),
        explained: Explained::new(base, head),
        causes: Causes::new(base, head),
        deployed: BTreeMap::new(),
        of_charts: BTreeMap::new(),
    };
    // Each effect has its first cluster looked at before any has its second, since there is a bound on the files.
    for at in 0..MAX_CLUSTERS {
        for group in &mut effects.effects {
            let Some(cluster) = group.clusters.get(at) else { continue };
            let found = search.lines(cluster, &group.effect);
            add(&mut group.because, found);
        }
    }
}

fn add(lines: &mut Vec<SourceLine>, more: Vec<SourceLine>) {
    for line in more {
        if lines.len() < MAX_LINES && !lines.iter().any(|known| known.place == line.place) {
            lines.push(line);
        }
    }
}

struct Search<'a> {
    plan: &'a Plan,
    sides: [&'a Rendered; 2],
    /// The same as if Argo CD rendered all charts.
    charted: [&'a Rendered; 2],
    explained: Explained<'a>,
    causes: Causes<'a>,
    /// The Applications in the folder of a cluster, by side.
    deployed: BTreeMap<(bool, ClusterName), Vec<Deployed>>,
    of_charts: BTreeMap<(ClusterName, AddonName), Vec<SourceLine>>,
}

/// An Application of a cluster, with the cluster in whose folder it stands.
type Found = (ClusterName, Deployed);

impl Search<'_> {
    fn lines(&mut self, cluster: &ClusterName, effect: &Effect) -> Vec<SourceLine> {
        let addon = &effect.addon;
        let sides = [false, true].map(|is_new| self.application(is_new, cluster, addon));
        let [Some((folder, old)), Some((_, new))] = &sides else {
            return self.causes.of_placement(cluster, addon);
        };
        let is_permission = effect.object.group() == PERMISSIONS;
        let mut lines = self.of_documents([old, new], &effect.object, is_permission);
        if lines.is_empty() || is_permission {
            let key = (cluster.clone(), addon.clone());
            if !self.of_charts.contains_key(&key) {
                let found = self.of_chart(folder, [old, new]);
                self.of_charts.insert(key.clone(), found);
            }
            add(&mut lines, self.of_charts[&key].clone());
        } else if old.namespace != new.namespace {
            add(&mut lines, self.of_application(folder, new));
        }
        lines
    }

    /// Finds the Application of an add-on on a cluster: its own folder has it, or that of another cluster of its hub.
    fn application(&mut self, is_new: bool, cluster: &ClusterName, addon: &AddonName) -> Option<Found> {
        let changed = self.plan.clusters.iter().filter(|(name, it)| *name != cluster && !it.files.is_empty());
        let folders: Vec<_> = std::iter::once(cluster)
            .chain(changed.map(|(name, _)| name))
            .take(MAX_FOLDERS)
            .cloned()
            .collect();
        for folder in folders {
            let rendered = self.charted[usize::from(is_new)];
            let found = self.deployed.entry((is_new, folder.clone())).or_insert_with(|| {
                rendered.clusters.get(&folder).map(|it| deployed(rendered, it)).unwrap_or_default()
            });
            let is_it = |it: &&Deployed| {
                let name = it.addon.as_ref().map_or(it.application.as_str(), |addon| addon.as_str());
                it.cluster == *cluster && name == addon.as_str()
            };
            if let Some(found) = found.iter().find(is_it) {
                return Some((folder, found.clone()));
            }
        }
        None
    }

    /// Returns the lines of what changes in documents of the repository: of an object, or of all permissions.
    fn of_documents(
        &mut self,
        sides: [&Deployed; 2],
        object: &ObjectName,
        is_permission: bool,
    ) -> Vec<SourceLine> {
        let is_meant = |name: &ObjectName| {
            is_permission && name.group() == PERMISSIONS
                || name.kind == object.kind
                    && name.group() == object.group()
                    && name.name == object.name
                    && (name.namespace.is_none() || name.namespace == object.namespace)
        };
        let paths: Vec<&RepoPath> = sides.into_iter().flat_map(documents).map(|(path, _)| path).collect();
        let plan = self.plan;
        let mut lines = Vec::new();
        for (cluster, of_cluster) in &plan.clusters {
            let own = plan.facts.own(cluster);
            let general = |name: &ObjectName| is_meant(name) || is_meant(&general_name(name, &own));
            for file in of_cluster.files().filter(|file| paths.contains(&&file.path)) {
                if file.action == Action::Update {
                    let changes = file.changes.iter().filter(|it| it.object.as_deref().is_some_and(general));
                    for change in changes {
                        add(&mut lines, self.of_change(cluster, None, file, change));
                    }
                } else {
                    let is_new = file.action == Action::Create;
                    let side = sides[usize::from(is_new)];
                    let bytes = documents(side).find(|(path, _)| **path == file.path).map(|(_, bytes)| bytes);
                    let text = bytes.and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default();
                    let objects = manifests::read(text).unwrap_or_default();
                    if objects.iter().any(|object| general(&object.name)) {
                        add(&mut lines, self.causes.of_file(cluster, is_new, &file.path));
                    }
                }
            }
        }
        lines
    }

    /// Returns the lines of what is not the same about how Helm is called for an add-on.
    fn of_chart(&mut self, folder: &ClusterName, [old, new]: [&Deployed; 2]) -> Vec<SourceLine> {
        let (cluster, plan) = (&new.cluster, self.plan);
        let mut lines = self.of_folders([old, new]);
        let Some(addon) = new.addon.as_ref().or(old.addon.as_ref()) else {
            add(&mut lines, self.of_application(folder, new));
            return lines;
        };
        let sides = [old, new].map(|side| side.calls().collect::<Vec<_>>());
        let [before, after] = &sides;
        let differs = |part: fn(&Call) -> Call| {
            let [before, after] = sides.each_ref().map(|calls| calls.iter().map(|call| part(call)).collect());
            let (before, after): (Vec<Call>, Vec<Call>) = (before, after);
            before != after
        };
        let versions = |calls: &[&Call]| {
            calls.iter().map(|call| call.chart.id().map(|id| id.version.clone())).collect::<Vec<_>>()
        };
        let mut is_open = differs(rest);
        for version in versions(after).iter().filter(|version| !versions(before).contains(version)).flatten()
        {
            let found = self.causes.of_version(cluster, addon, version);
            is_open |= found.is_none();
            lines.extend(found);
        }
        if differs(|call| Call { values: call.values.clone(), ..rest(call) }) {
            let documents: Vec<&RepoPath> =
                documents(old).chain(documents(new)).map(|(path, _)| path).collect();
            let files = plan.clusters.get(cluster).and_then(|it| it.addons.get(addon)).map(|it| &it.files);
            let sides = self.sides;
            let is_made =
                |path: &RepoPath| sides.into_iter().all(|side| is_of_chart(side, Some(addon), path));
            let files = files.into_iter().flatten().filter(|file| !is_made(&file.path));
            for file in files.filter(|file| !documents.contains(&&file.path)) {
                if file.action != Action::Update {
                    let is_new = file.action == Action::Create;
                    add(&mut lines, self.causes.of_file(cluster, is_new, &file.path));
                }
                for change in &file.changes {
                    add(&mut lines, self.of_change(cluster, Some(addon), file, change));
                }
            }
        }
        let kubernetes = ["version", "apiVersions"]
            .map(|fact| self.causes.of_cluster_fact(cluster, &["kubernetes", fact]));
        lines.extend(kubernetes.into_iter().flatten());
        if is_open {
            add(&mut lines, self.of_application(folder, new));
        }
        lines
    }

    /// Returns the files that are not the same in charts in folders of this repository.
    fn of_folders(&self, deployed: [&Deployed; 2]) -> Vec<SourceLine> {
        let paths: BTreeSet<&RepoPath> =
            deployed.iter().flat_map(|it| it.calls()).filter_map(|call| call.chart.folder()).collect();
        let mut lines = Vec::new();
        for path in paths {
            let [Some(before), Some(after)] = self.sides.map(|side| side.beside.folder(path)) else {
                continue;
            };
            let names: BTreeSet<&String> = before.files.keys().chain(after.files.keys()).collect();
            for name in names.into_iter().filter(|name| before.files.get(*name) != after.files.get(*name)) {
                let is_former = !after.files.contains_key(name);
                let file = path.join(name).ok();
                add(
                    &mut lines,
                    file.map(|file| SourceLine {
                        place: Place::start_of(&file),
                        what: String::new(),
                        is_former,
                    })
                    .into_iter()
                    .collect(),
                );
            }
        }
        lines
    }

    /// Returns the lines of what changes about an Application, or about all that are made as it is.
    fn of_application(&mut self, folder: &ClusterName, application: &Deployed) -> Vec<SourceLine> {
        let plan = self.plan;
        let element =
            application.addon.as_ref().map_or(application.application.as_str(), |addon| addon.as_str());
        let is_of_it = |change: &Change| {
            let of_other = change.path.iter().any(|step| match step {
                Step::Item { id, .. } => id != element && id != &application.application,
                Step::Key(_) | Step::Index(_) => false,
            });
            change.object.as_deref().is_some_and(|object| match object.kind.as_str() {
                "Application" => object.name == application.application,
                "ApplicationSet" => !of_other,
                _ => false,
            })
        };
        let mut lines = Vec::new();
        for file in plan.clusters.get(folder).map(|it| &it.files).into_iter().flatten() {
            for change in file.changes.iter().filter(|change| is_of_it(change)) {
                add(&mut lines, self.of_change(folder, None, file, change));
            }
        }
        lines
    }

    fn of_change(
        &mut self,
        cluster: &ClusterName,
        addon: Option<&AddonName>,
        file: &FilePlan,
        change: &Change,
    ) -> Vec<SourceLine> {
        let is_new = change.new.is_some();
        let mut lines = Vec::new();
        for value in self.explained.setting(cluster, &file.path, change).into_iter().flatten() {
            add(&mut lines, self.causes.of_value(cluster, addon, is_new, value));
        }
        lines
    }
}

/// Returns a call without its values, its version and what it knows of the cluster.
fn rest(call: &Call) -> Call {
    let mut call = call.clone();
    (call.digest, call.kube_version) = (None, None);
    match &mut call.chart {
        Chart::Packed(id) => id.version.clear(),
        Chart::Folder { digest, .. } => digest.clear(),
    }
    call.values.clear();
    call.api_versions.clear();
    call
}

fn documents(deployed: &Deployed) -> impl Iterator<Item = (&RepoPath, &[u8])> {
    deployed
        .sources
        .iter()
        .flat_map(|source| match source {
            Source::Documents(files) => files.as_slice(),
            Source::Chart(_) | Source::Unread(_) | Source::Faulty(_) | Source::Lacking(_) => &[],
        })
        .map(|(path, bytes)| (path, bytes.as_ref()))
}
