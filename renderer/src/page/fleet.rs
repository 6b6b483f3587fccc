//! The page of a service: the fleet as it is described, and what the service does about it.

use serde::{Deserialize, Serialize};

use super::file::write;
use crate::path::ClusterName;
use crate::plural::counted;

const TEMPLATE: &str = include_str!("fleet.hbs");

/// Clusters of one role and group that run the same add-ons in the same versions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Shape {
    /// The place of the group in the order of release, and its name.
    pub group: (usize, String),
    /// The role.
    pub role: String,
    /// The add-ons by name, each with the version of its chart, if it has one.
    pub addons: Vec<(String, String)>,
    /// The clusters, by name.
    pub clusters: Vec<ClusterName>,
}

/// What the page shows.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Fleet {
    /// A line for each thing that is worth one: the base, the queue, the budget.
    pub lines: Vec<String>,
    /// What keeps the base from being rendered.
    pub problems: Vec<String>,
    /// The open pull requests.
    pub pulls: Vec<Pull>,
    /// The last runs, the newest first.
    pub runs: Vec<Run>,
}

/// An open pull request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pull {
    /// Its number.
    pub number: u64,
    /// Its branch.
    pub branch: String,
    /// What it is about, in one line.
    pub title: String,
    /// Whether there is a page of its review.
    pub has_page: bool,
}

/// A run that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Run {
    /// When it ended.
    pub ended: String,
    /// How long it took.
    pub took: String,
    /// How it ended.
    pub outcome: String,
}

#[derive(Serialize)]
struct Content<'a> {
    #[serde(flatten)]
    fleet: &'a Fleet,
    shapes: Vec<Shown<'a>>,
    clusters: Vec<&'a ClusterName>,
}

#[derive(Serialize)]
struct Shown<'a> {
    title: String,
    count: String,
    names: String,
    addons: &'a [(String, String)],
}

/// Writes the page of a fleet of these shapes.
#[must_use]
pub fn fleet(fleet: &Fleet, shapes: &[Shape]) -> String {
    let shown = shapes.iter().map(|shape| Shown {
        title: format!("{}: {} ({})", shape.group.1, counted(shape.clusters.len(), "cluster"), shape.role),
        count: counted(shape.addons.len(), "add-on"),
        names: shape.clusters.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        addons: &shape.addons,
    });
    let mut clusters: Vec<_> = shapes.iter().flat_map(|shape| &shape.clusters).collect();
    clusters.sort_unstable();
    write(TEMPLATE, "The fleet", &Content { fleet, shapes: shown.collect(), clusters })
}
