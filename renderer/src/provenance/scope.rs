//! What the templates of one cluster see, and where each part of it was written.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::{Value as Json, json};

use crate::catalog::{Addon, Catalog};
use crate::charts::ChartId;
use crate::inventory::{Cluster, Fact, Fleet, Publish, key};
use crate::key_path::Step;
use crate::path::AddonName;
use crate::problem::Place;

/// A cluster with everything its templates may depend on.
#[derive(Debug)]
pub struct ClusterScope<'a> {
    /// The cluster.
    pub cluster: &'a Cluster,
    /// Its hub; itself on a hub.
    pub hub: &'a Cluster,
    /// On a hub: the clusters that it serves, itself left out.
    pub spokes: Vec<&'a Cluster>,
    /// The shared facts.
    pub fleet: &'a Fleet,
    /// All clusters, if the files of the whole fleet are rendered with it.
    pub clusters: Vec<&'a Cluster>,
    /// The add-ons that run on it, by wave and name.
    pub addons: Vec<PlacedAddon<'a>>,
    /// All that can run anywhere: an add-on has the same namespace on every cluster.
    pub catalog: &'a Catalog,
}

/// An add-on on a cluster with its settings there.
#[derive(Debug)]
pub struct PlacedAddon<'a> {
    /// The add-on.
    pub addon: &'a Addon,
    /// Its chart at the version there.
    pub chart: Option<ChartId>,
    /// What is published of the chart there.
    pub publish: Publish,
    /// The settings, defaults included.
    pub settings: Json,
}

impl ClusterScope<'_> {
    /// Returns the facts as templates see them.
    #[must_use]
    pub fn facts(&self) -> Json {
        let namespace = |(name, addon): (&AddonName, &Arc<Addon>)| {
            (name.to_string(), Json::from(addon.facts.namespace.as_str()))
        };
        let mut facts = json!({
            "cluster": self.cluster.view,
            "hub": self.hub.view,
            "spokes": self.spokes.iter().map(|spoke| &spoke.view).collect::<Vec<_>>(),
            "fleet": self.fleet.view,
            "addons": self.addons.iter().map(|placed| placed.view(self.fleet)).collect::<Vec<_>>(),
            "namespaces": self.catalog.addons.iter().map(namespace).collect::<serde_json::Map<_, _>>(),
        });
        if !self.clusters.is_empty() {
            facts["clusters"] = self.clusters.iter().map(|cluster| &cluster.view).cloned().collect();
        }
        facts
    }

    /// Returns where the fact at `path` of [`Self::facts`] was written.
    pub(crate) fn place(&self, path: &[Step]) -> Option<Place> {
        if let Some((origin, rest)) = self.origin(path) {
            return Some(origin.place(&rest));
        }
        if let Some(addon) = self.namespaced(path) {
            return Some(addon.origin.place(&[key("namespace")]));
        }
        let (placed, rest) = self.placed(path)?;
        let drawn_from = placed.source_fact(self.fleet, rest);
        Some(drawn_from.map_or_else(|| placed.place(self.cluster, rest), |at| self.fleet.origin.place(&at)))
    }

    /// Returns whether the fact at `path` of [`Self::facts`] is written on a line of its own.
    ///
    /// A cluster's name is not, for one: it is the name of the file.
    pub(crate) fn is_written(&self, path: &[Step]) -> bool {
        if let Some((origin, rest)) = self.origin(path) {
            return origin.at(&rest).is_some();
        }
        if self.namespaced(path).is_some() {
            return true;
        }
        self.placed(path).is_some_and(|(placed, rest)| {
            let is_setting = matches!(rest, [Step::Key(section), _, ..] if section == "settings");
            is_setting || placed.addon.origin.at(rest).is_some()
        })
    }

    /// Returns the facts that a path leads into, and the path in them; nothing for add-ons.
    fn origin<'p>(&self, path: &'p [Step]) -> Option<(&Fact, Cow<'p, [Step]>)> {
        let (Step::Key(section), rest) = path.split_first()? else { return None };
        let (cluster, rest) = match (section.as_str(), rest) {
            ("fleet", rest) => return Some((&self.fleet.origin, rest.into())),
            ("cluster", rest) => (self.cluster, rest),
            ("hub", rest) => (self.hub, rest),
            ("spokes", [Step::Index(index), rest @ ..]) => (*self.spokes.get(*index)?, rest),
            ("clusters", [Step::Index(index), rest @ ..]) => (*self.clusters.get(*index)?, rest),
            _ => return None,
        };
        Some((&cluster.origin, cluster.written_fact(rest)))
    }

    /// Returns the add-on whose namespace a path leads to.
    fn namespaced(&self, path: &[Step]) -> Option<&Addon> {
        match path {
            [Step::Key(section), Step::Key(name)] if section == "namespaces" => {
                self.catalog.addons.get(name.as_str()).map(Arc::as_ref)
            }
            _ => None,
        }
    }

    /// Returns the add-on that a path leads into, and the path in it.
    fn placed<'p>(&self, path: &'p [Step]) -> Option<(&PlacedAddon<'_>, &'p [Step])> {
        match path {
            [Step::Key(section), Step::Index(index), rest @ ..] if section == "addons" => {
                Some((self.addons.get(*index)?, rest))
            }
            _ => None,
        }
    }

    /// Returns what the cluster overrides of an add-on's values, if anything.
    pub(crate) fn overrides(&self, addon: &Addon) -> Option<&serde_json::Map<String, Json>> {
        let choice = self.cluster.facts.addons.get(addon.name.as_str())?;
        Some(&choice.values).filter(|values| !values.is_empty())
    }

    /// Returns where the cluster overrides the value at `path` of an add-on's values, if it does.
    pub(crate) fn override_place(&self, addon: &Addon, path: &[Step]) -> Option<Place> {
        let at = override_path(addon, path);
        self.cluster.origin.at(&at).map(Fact::own_place)
    }

    /// Returns where the key of the value at `path` is overridden, if it is.
    pub(crate) fn override_key_place(&self, addon: &Addon, path: &[Step]) -> Option<Place> {
        let at = override_path(addon, path);
        self.cluster.origin.at(&at).map(|_| self.cluster.origin.key_place(&at))
    }
}

fn override_path(addon: &Addon, path: &[Step]) -> Vec<Step> {
    [&[key("addons"), key(addon.name.as_str()), key("values")], path].concat()
}

impl PlacedAddon<'_> {
    /// Of a chart whose objects are published, templates see what they see of an add-on of manifests alone: Argo CD has no
    /// chart to render.
    fn view(&self, fleet: &Fleet) -> Json {
        let facts = &self.addon.facts;
        let is_chart = self.publish == Publish::Chart;
        json!({
            "name": self.addon.name.as_str(),
            "namespace": facts.namespace,
            "release": self.addon.release(),
            "wave": facts.wave,
            "serverSideApply": facts.server_side_apply,
            "chart": self.chart.as_ref().filter(|_| is_chart).map(|chart| json!({
                "name": chart.name,
                "version": chart.version,
                "repository": source(fleet, &chart.repository),
            })),
            "settings": self.settings,
            "manifests": !is_chart || !self.addon.manifests.is_empty(),
        })
    }

    /// Returns the path of the shared fact that decides on what stands at `path` of the add-on, if one does.
    fn source_fact(&self, fleet: &Fleet, path: &[Step]) -> Option<Vec<Step>> {
        let chart = self.addon.facts.chart.as_ref()?;
        let is_repository = path == [key("chart"), key("repository")];
        is_repository.then(|| fleet.facts.charts.fact_about(&chart.repository))?
    }

    fn place(&self, cluster: &Cluster, path: &[Step]) -> Place {
        match path {
            [Step::Key(section), rest @ ..] if section == "settings" => {
                self.addon.setting_place(cluster, rest)
            }
            [Step::Key(section), ..]
                if self.publish == Publish::Manifests
                    && ["chart", "manifests"].contains(&section.as_str()) =>
            {
                self.addon.publish_place(cluster)
            }
            path if path == [key("chart"), key("version")] => self.addon.version_place(cluster),
            path => self.addon.origin.place(path),
        }
    }
}

/// Returns where the charts of a repository are drawn from, in Argo CD's spelling: it takes a chart out of a
/// registry only if `oci://` is left out, and with it looks for an image of the repository's own name.
fn source(fleet: &Fleet, repository: &str) -> String {
    let address = fleet.facts.charts.address_of(repository);
    address.strip_prefix("oci://").unwrap_or(&address).to_owned()
}
