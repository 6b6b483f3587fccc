//! What carries an add-on to its cluster: files that nothing deploys are rendered for nothing.
//!
//! Knows that a deployment names the folder of what it deploys, or its chart. What a generator finds elsewhere may be anything.

use crate::catalog::Addon;
use crate::path::RepoPath;
use crate::snapshot::OUTPUT;
use crate::yaml::{Map, Value};

use super::super::argo::{self, applications};
use super::super::flows::{ClusterContent, ClusterFlows, FlowFinding};
use super::super::{Document, DocumentKind, Finding, Part, Spot};
use super::Provided;

/// The name of the check.
const CHECK: &str = "deployed";
/// The way out where nothing is wrong.
const ANSWER: &str = "say so under `accept` in `addon.yaml`";
/// How many names a message lists.
const MAX_LISTED: usize = 5;

/// Returns what an object of Argo CD's deploys.
pub(super) fn of_argo(document: &Document<'_>) -> Vec<Provided> {
    if document.kind != DocumentKind::Object {
        return Vec::new();
    }
    let anything = argo::finds_elsewhere(document.value).then_some(Provided::Anything);
    let mut provided: Vec<_> = anything.into_iter().collect();
    let mut named = Vec::new();
    for application in applications(document.value) {
        // All that are made of one ApplicationSet have one template.
        if named.is_empty() {
            add_texts(application.template(), &mut named);
        }
        let charts = application.sources().filter_map(|(_, source)| source.get("chart")?.as_str());
        let charts = charts.filter_map(|chart| application.filled(chart));
        provided.extend(charts.map(|chart| Provided::Chart(chart.into_owned())));
        let texts = named.iter().filter_map(|text| application.filled(text));
        provided.extend(texts.flat_map(|text| folders(&text).collect::<Vec<_>>()));
        let mut own = Vec::new();
        application.values().for_each(|value| add_texts(value, &mut own));
        provided.extend(own.into_iter().flat_map(folders));
    }
    provided
}

/// Returns whether what an object names is what it deploys only once its own templates are filled in.
pub(in super::super) fn is_filled_later(object: &Value) -> bool {
    argo::is_kind(object, "ApplicationSet")
}

/// Adds the texts of a value that name a rendered folder.
fn add_texts<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
    match value {
        Value::String(text) if text.contains(OUTPUT) => found.push(text),
        Value::List(items) => items.iter().for_each(|item| add_texts(item, found)),
        Value::Map(map) => Map::iter(map).for_each(|(_, value)| add_texts(value, found)),
        _ => {}
    }
}

/// Returns the rendered folders of add-ons that a text names: `argocd-apps/<cluster>/<add-on>`, or a pattern of both.
pub(in super::super) fn folders(text: &str) -> impl Iterator<Item = Provided> {
    let is_end = |c: char| c.is_whitespace() || "\"',;:".contains(c);
    text.match_indices(OUTPUT).filter_map(move |(at, found)| {
        let rest = text[at + found.len()..].strip_prefix('/')?;
        let mut parts = rest.split(is_end).next()?.split('/').filter(|part| !part.is_empty());
        let cluster = parts.next()?;
        let addon = parts.next().or_else(|| (cluster == "**").then_some("**"))?;
        Some(Provided::Deployed { cluster: cluster.to_owned(), addon: addon.to_owned() })
    })
}

/// Each add-on that runs on a cluster is named by some rendered Application there, or on its hub.
pub(in super::super) fn addons_are_deployed(content: &ClusterContent<'_>) -> Vec<FlowFinding> {
    let own = content.flows;
    // Of a hub that could not be rendered, it is not known what it deploys.
    let Some(hub) = content.all.clusters.get(&own.cluster.hub) else { return Vec::new() };
    let addons = content.addons.iter().filter(|addon| !deploys(own, own, addon) && !deploys(hub, own, addon));
    let (answered, missing): (Vec<&Addon>, Vec<&Addon>) = addons.partition(|addon| is_answered(addon));
    let mut findings: Vec<_> =
        answered.into_iter().map(|addon| finding(own, addon, not_deployed(own, addon))).collect();
    let deploys_nothing = |cluster: &ClusterFlows<'_>| !cluster.provided().any(is_deployment);
    match missing.as_slice() {
        [first, ..] if deploys_nothing(own) && deploys_nothing(hub) => {
            findings.push(finding(own, first, nothing_deployed(own, &missing)));
        }
        missing => findings.extend(missing.iter().map(|addon| finding(own, addon, not_deployed(own, addon)))),
    }
    findings
}

fn is_answered(addon: &Addon) -> bool {
    addon.facts.accept.iter().any(|accept| accept.check == CHECK)
}

const fn is_deployment(provided: &Provided) -> bool {
    matches!(provided, Provided::Anything | Provided::Chart(_) | Provided::Deployed { .. })
}

/// Returns whether the documents of one cluster deploy an add-on of another.
fn deploys(by: &ClusterFlows<'_>, on: &ClusterFlows<'_>, addon: &Addon) -> bool {
    by.provided().any(|provided| match provided {
        Provided::Anything => true,
        // The hub deploys most charts for itself.
        Provided::Chart(chart) => by.cluster.name == on.cluster.name && *chart == addon.facts.chart.name,
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
    let file = format!("{OUTPUT}/{}/{}/values.yaml", on.cluster.name, addon.name);
    let file = RepoPath::parse(&file).expect("names are file names");
    let document = Spot { document: 0, item: None };
    FlowFinding { cluster: on.cluster.name.clone(), file, document, finding }
}

fn not_deployed(on: &ClusterFlows<'_>, addon: &Addon) -> Finding {
    let message = format!("no rendered Application deploys add-on `{}` on `{}`", addon.name, on.cluster.name);
    let hint = format!(
        "name `{OUTPUT}/{{{{cluster.name}}}}/{}` in one, as an element of the cluster's ApplicationSet; if something outside this repository deploys it, {ANSWER}",
        addon.name
    );
    Finding::new(&[], message).hint(hint).on(Part::Addon)
}

fn nothing_deployed(on: &ClusterFlows<'_>, addons: &[&Addon]) -> Finding {
    let names: Vec<_> = addons.iter().take(MAX_LISTED).map(|addon| format!("`{}`", addon.name)).collect();
    let more = addons.len() - names.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let message = format!(
        "no rendered Application deploys anything on `{}`: {}{more} would run nowhere",
        on.cluster.name,
        names.join(", ")
    );
    let hint = format!(
        "write `templates/cluster/applicationset.yaml.hbs`, which makes an Application for each of `addons` out of `{OUTPUT}/{{{{cluster.name}}}}/<add-on>`; \
         if something outside this repository deploys them, {ANSWER}"
    );
    Finding::new(&[], message).hint(hint).on(Part::ClusterTemplates)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(String, String)> {
        let parts = folders(text).map(|provided| match provided {
            Provided::Deployed { cluster, addon } => (cluster, addon),
            other => panic!("{other:?}"),
        });
        parts.collect()
    }

    #[test]
    fn folders_are_found_in_any_text() {
        let pair = |cluster: &str, addon: &str| (cluster.to_owned(), addon.to_owned());
        assert_eq!(found("$values/argocd-apps/a/x/values.yaml"), [pair("a", "x")]);
        assert_eq!(found("./argocd-apps/a/x"), [pair("a", "x")]);
        assert_eq!(found("argocd-apps/*/*/values.yaml argocd-apps/**"), [pair("*", "*"), pair("**", "**")]);
        assert_eq!(found("argocd-apps"), []);
        assert_eq!(found("argocd-apps/a"), []);
        assert_eq!(found("argocd-apps/a/, argocd-appsx/a/b"), []);
    }

    #[test]
    fn a_pattern_may_be_any_name() {
        for part in ["x", "*", "{{ .path.basename }}", "{x,y}", "x?"] {
            assert!(may_be(part, "x"), "{part}");
        }
        assert!(!may_be("xy", "x"));
    }
}
