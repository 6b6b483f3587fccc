//! What carries an add-on to its cluster: files that nothing deploys are rendered for nothing.
//!
//! Knows that a deployment names the folder of what it deploys, or its chart. What a generator finds
//! elsewhere may be anything.

use crate::catalog::Addon;
use crate::checks::{ClusterContent, ClusterFlows, Finding, FlowFinding, Part, Provided, Spot};
use crate::path::RepoPath;
use crate::plural::listed;
use crate::root::APPLICATIONS;

/// The name of the check.
const CHECK: &str = "deployed";
/// The way out where nothing is wrong.
const ANSWER: &str = "say so under `accept` in `addon.yaml`";
/// How many names a message lists.
const MAX_LISTED: usize = 5;

/// Each add-on that runs on a cluster is named by some rendered Application there, or on its hub.
pub(in super::super) fn addons_are_deployed(content: &ClusterContent<'_>) -> Vec<FlowFinding> {
    let own = content.flows;
    // Of a hub that could not be rendered, it is not known what it deploys.
    let Some(hub) = content.all.clusters.get(&own.cluster.hub) else { return Vec::new() };
    let addons = content.addons.iter().filter(|addon| !deploys(own, own, addon) && !deploys(hub, own, addon));
    let (answered, missing): (Vec<&Addon>, Vec<&Addon>) = addons.partition(|addon| is_answered(addon));
    let is_deployment =
        |it: &Provided| matches!(it, Provided::Anything | Provided::Chart(_) | Provided::Deployed { .. });
    let deploys_nothing = |cluster: &ClusterFlows<'_>| !cluster.provided().any(is_deployment);
    let is_nothing = deploys_nothing(own) && deploys_nothing(hub);
    let nothing = missing.first().filter(|_| is_nothing);
    let nothing = nothing.map(|first| finding(own, first, nothing_deployed(own, &missing)));
    let others: &[&Addon] = if is_nothing { &[] } else { &missing };
    let each = answered.iter().chain(others).map(|addon| finding(own, addon, not_deployed(own, addon)));
    each.chain(nothing).collect()
}

fn is_answered(addon: &Addon) -> bool {
    addon.facts.accept.iter().any(|accept| accept.check == CHECK)
}

/// Returns whether the documents of one cluster deploy an add-on of another.
fn deploys(by: &ClusterFlows<'_>, on: &ClusterFlows<'_>, addon: &Addon) -> bool {
    by.provided().any(|provided| match provided {
        Provided::Anything => true,
        // The hub deploys most charts for itself.
        Provided::Chart(chart) => {
            by.cluster.name == on.cluster.name
                && addon.facts.chart.as_ref().is_some_and(|own| own.name == *chart)
        }
        Provided::Deployed { cluster, addon: name } => {
            may_be(cluster, on.cluster.name.as_str()) && may_be(name, addon.name.as_str())
        }
        _ => false,
    })
}

/// Returns whether a part of a path is a name, or a pattern or a template that may come to be it.
fn may_be(part: &str, name: &str) -> bool {
    part == name || part.contains(['*', '?', '[', '{', '$'])
}

fn finding(on: &ClusterFlows<'_>, addon: &Addon, finding: Finding) -> FlowFinding {
    let (name, _) = addon.files().next().expect("an add-on has something to run");
    let file = format!("{APPLICATIONS}/{}/{}/{name}", on.cluster.name, addon.name);
    let file = RepoPath::parse(&file).expect("names are file names");
    let document = Spot { document: 0, item: None };
    FlowFinding { cluster: on.cluster.name.clone(), file, document, finding }
}

fn not_deployed(on: &ClusterFlows<'_>, addon: &Addon) -> Finding {
    let message = format!("no rendered Application deploys add-on `{}` on `{}`", addon.name, on.cluster.name);
    let hint = format!(
        "name `{APPLICATIONS}/{{{{cluster.name}}}}/{}` in one, as an element of the cluster's ApplicationSet; if something outside this repository deploys it, {ANSWER}",
        addon.name
    );
    Finding::new(&[], message).hint(hint).on(Part::Addon)
}

fn nothing_deployed(on: &ClusterFlows<'_>, addons: &[&Addon]) -> Finding {
    let names = listed(addons.iter().map(|addon| format!("`{}`", addon.name)), MAX_LISTED);
    let cluster = &on.cluster.name;
    let message =
        format!("no rendered Application deploys anything on `{cluster}`: {names} would run nowhere");
    let hint = format!(
        "write `templates/cluster/applicationset.yaml.hbs`, which makes an Application for each of `addons` out of `{APPLICATIONS}/{{{{cluster.name}}}}/<add-on>`; \
         if something outside this repository deploys them, {ANSWER}"
    );
    Finding::new(&[], message).hint(hint).on(Part::ClusterTemplates)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_may_be_any_name() {
        for part in ["x", "*", "{{ .path.basename }}", "{x,y}", "x?"] {
            assert!(may_be(part, "x"), "{part}");
        }
        assert!(!may_be("xy", "x"));
    }
}
