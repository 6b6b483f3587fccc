//! `fleetwright explain`: where a rendered value comes from, what a fact reaches, and what a template is for.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Component, Path, PathBuf};

use renderer::deployed;
use renderer::explain::{self, Group, Influence, Provenance, Reach, Usage};
use renderer::key_path::text_of;
use renderer::path::RepoPath;
use renderer::plan;
use renderer::plural::{listed, quoted_up_to};
use renderer::problem::{Place, did_you_mean};
use renderer::render::{Rendered, RenderedFile};
use serde_json::json;

use super::Global;
use super::options::{HelmArgs, ProfileArgs};
use crate::error::CommandError;
use crate::output::Exit;

/// How many names a hint lists before it only counts them.
const MAX_LISTED: usize = 8;
/// How many clusters are named before the rest is only counted.
const MAX_CLUSTERS: usize = 3;
/// How much of a value is shown on a line.
const MAX_VALUE_CHARS: usize = 100;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A rendered file, a file with facts or a file below `templates/`, relative to the current folder or to
    /// the top of the repository.
    file: String,
    /// The key, such as `prometheus.prometheusSpec.remoteWrite[0].url`, or as a plan prints it; a file below
    /// `environments/` needs one.
    key: Option<String>,
    #[command(flatten)]
    helm: HelmArgs,
    #[command(flatten)]
    profile: ProfileArgs,
}

pub(super) fn run(global: &Global, args: &Args) -> Result<Exit, CommandError> {
    let top = global.working_tree()?;
    let rendered = global.render_whole_working_tree(&top, &args.profile, &args.helm)?;
    let path = find(&names(&rendered), &global.repo, &top, &args.file)?;
    let mut files = rendered.clusters.values().flat_map(|cluster| cluster.files());
    match files.find(|file| file.path == path) {
        Some(file) if deployed::is_of_chart(&rendered, file.addon.as_ref(), &file.path) => {
            show_chart(global, &rendered, file);
        }
        Some(file) => show_values(global, &explain_value(&rendered, file, args)?),
        None => match explain::usage(&rendered, &path) {
            Some(usage) if args.key.is_none() => show_usage(global, &usage),
            Some(_) if !facts(&rendered).iter().any(|(_, place)| place.file == path) => {
                return Err(no_keys(&path));
            }
            _ => explain_fact(global, &rendered, &path, args)?,
        },
    }
    Ok(Exit::Done)
}

/// Returns the paths of all files that can be asked about.
fn names(rendered: &Rendered) -> BTreeSet<RepoPath> {
    let facts = facts(rendered).into_iter().map(|(_, place)| place.file);
    let files = rendered.clusters.values().flat_map(|cluster| cluster.files()).map(|file| &file.path);
    facts.chain(files.chain(rendered.catalog.ids.keys()).cloned()).collect()
}

/// Finds the file that `given` names, from the current folder or from the top.
fn find(names: &BTreeSet<RepoPath>, from: &Path, top: &Path, given: &str) -> Result<RepoPath, CommandError> {
    let from_here = from.canonicalize().ok().and_then(|here| below(&here.join(given), top));
    let candidates = from_here.into_iter().chain(below(&top.join(given), top));
    let candidates: Vec<_> = candidates.collect();
    let found = candidates.iter().find(|path| names.contains(*path)).cloned();
    found.ok_or_else(|| not_found(names, given, candidates.first()))
}

fn not_found(names: &BTreeSet<RepoPath>, given: &str, path: Option<&RepoPath>) -> CommandError {
    let shown = given.escape_debug();
    let hint =
        "name a file below `argocd-apps/` or `templates/`, or one below `environments/` and a key of it";
    let Some(path) = path else {
        return CommandError::usage(format!("`{shown}` is not in this repository"), hint);
    };
    let mut inside = names.iter().filter(|name| name.below(path.as_str()).is_some()).peekable();
    if inside.peek().is_some() {
        let hint = format!("name a file in it: {}", quoted_up_to(MAX_LISTED, inside));
        return CommandError::usage(format!("`{shown}` is a folder"), hint);
    }
    let near = did_you_mean(path.as_str(), names.iter().map(RepoPath::as_str));
    let hint = near.map_or_else(|| hint.to_owned(), |near| format!("did you mean `{near}`?"));
    CommandError::usage(format!("`{shown}` is neither a rendered file nor one that is rendered from"), hint)
}

/// Returns where `path` lies below `top`, judged by the path alone: what it names need not exist.
fn below(path: &Path, top: &Path) -> Option<RepoPath> {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    let below: Vec<_> =
        plain.strip_prefix(top).ok()?.iter().map(|part| part.to_str()).collect::<Option<_>>()?;
    RepoPath::parse(&below.join("/")).ok()
}

fn explain_value(
    rendered: &Rendered,
    file: &RenderedFile,
    args: &Args,
) -> Result<Vec<Provenance>, CommandError> {
    let Some(key) = &args.key else {
        return Ok(explain::explain(rendered, &file.path, None).unwrap_or_default());
    };
    let places = plan::locate(&file.bytes, key).map_err(|missing| {
        let hint = match &missing.near {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("`fleetwright explain {}` shows every key", file.path),
        };
        CommandError::usage(format!("{missing} in `{}`", file.path), hint)
    })?;
    let explained = places.iter().flat_map(|place| {
        let found = explain::explain(rendered, &file.path, Some(&text_of(&place.path))).unwrap_or_default();
        found.into_iter().filter(|value| value.document == place.document)
    });
    Ok(explained.collect())
}

fn explain_fact(
    global: &Global,
    rendered: &Rendered,
    path: &RepoPath,
    args: &Args,
) -> Result<(), CommandError> {
    let own: BTreeSet<_> =
        facts(rendered).into_iter().filter(|(_, place)| place.file == *path).map(|(key, _)| key).collect();
    let Some(given) = &args.key else {
        let message = format!("`{path}` holds facts: name one of them");
        return Err(CommandError::usage(message, keys_hint(&own)));
    };
    // Shells take quotes away, so a key is understood without them.
    let bare = |key: &str| key.replace('"', "");
    let key = own.iter().find(|key| *key == given || bare(key) == bare(given));
    let found = key.and_then(|key| Some((key, explain::reach(rendered, path, key)?)));
    let Some((key, reach)) = found else {
        let near = did_you_mean(given, own.iter().map(String::as_str));
        let hint = near.map_or_else(|| keys_hint(&own), |near| format!("did you mean `{near}`?"));
        return Err(CommandError::usage(format!("`{path}` has no `{}`", given.escape_debug()), hint));
    };
    show_reach(global, key, &reach);
    Ok(())
}

fn no_keys(path: &RepoPath) -> CommandError {
    let hint =
        format!("`fleetwright explain {path}` shows what is rendered from it, and a rendered file has keys");
    CommandError::usage(format!("`{path}` has no keys"), hint)
}

/// Returns the key and the place of every fact of the inventory and of the add-ons.
fn facts(rendered: &Rendered) -> Vec<(String, Place)> {
    let fleet = std::iter::once(&rendered.inventory.fleet.origin);
    let clusters = rendered.inventory.clusters.values().map(|cluster| &cluster.origin);
    let addons = rendered.catalog.addons.values().map(|addon| &addon.origin);
    let all = fleet.chain(clusters).chain(addons).flat_map(|origin| origin.all());
    all.map(|(path, fact)| (text_of(&path), fact.own_place())).collect()
}

fn keys_hint(keys: &BTreeSet<String>) -> String {
    let has_parts = |key: &String| {
        keys.iter()
            .any(|other| other.strip_prefix(key.as_str()).is_some_and(|rest| rest.starts_with(['.', '['])))
    };
    format!("its keys are {}", quoted_up_to(MAX_LISTED, keys.iter().filter(|key| !has_parts(key))))
}

fn show_values(global: &Global, values: &[Provenance]) {
    let documents: BTreeSet<_> = values.iter().map(|value| value.document).collect();
    let text = || values.iter().map(|value| value_text(value, documents.len() > 1)).collect();
    global.show(|| json!({ "values": values }), text);
}

/// Shows what Helm makes the objects of a chart's file of.
fn show_chart(global: &Global, rendered: &Rendered, file: &RenderedFile) {
    let cluster = file.path.components().nth(1).and_then(|name| rendered.inventory.clusters.get(name));
    let addon = file.addon.as_ref().and_then(|name| rendered.catalog.addons.get(name));
    let (Some(cluster), Some(addon)) = (cluster, addon) else { return };
    let Some(chart) = addon.chart_on(cluster) else { return };
    let (place, publish) = (deployed::chart_place(addon, cluster), addon.publish_place(cluster));
    let values = format!("argocd-apps/{}/{}/values.yaml", cluster.name, addon.name);
    let publish = publish.to_string();
    global.show(
        || json!({ "file": file.path, "chart": chart, "version": place, "publish": publish, "valuesFile": values }),
        || {
            let (name, version) = (&chart.name, &chart.version);
            format!(
                "{}\n  chart     {place}  {name} {version}\n  values    {values}\n  decides   {publish}  publish: manifests\n",
                file.path
            )
        },
    );
}

fn show_reach(global: &Global, key: &str, reach: &Reach) {
    let Reach { place, value, reached } = reach;
    let groups = explain::grouped(reached);
    global.show(
        || {
            let fact = json!({ "key": key, "place": place, "value": value });
            json!({ "fact": fact, "reached": reached, "groups": groups })
        },
        || format!("{place}  {key}{}\n{}", equals(value), groups_text(&groups)),
    );
}

fn show_usage(global: &Global, usage: &Usage) {
    let groups = explain::grouped(&usage.reached);
    global.show(
        || json!({ "source": usage, "reached": usage.reached, "groups": groups }),
        || {
            let called = |word, files: &[RepoPath]| {
                files.iter().map(|file| format!("  {word:<9}  {file}\n")).collect::<Vec<_>>().concat()
            };
            let (calls, callers) = (called("calls", &usage.calls), called("called by", &usage.called_by));
            format!("{}\n{calls}{callers}{}", usage.file, groups_text(&groups))
        },
    );
}

fn value_text(value: &Provenance, is_numbered: bool) -> String {
    let document = if is_numbered { format!("[{}].", value.document) } else { String::new() };
    let mut text = format!("{} {document}{}{}\n", value.file, text_of(&value.path), equals(&value.value));
    for line in &value.templates {
        let expression = line.expression.iter().map(|expression| format!("  {{{{{expression}}}}}"));
        let _ = writeln!(text, "  template  {}{}", line.place, expression.collect::<String>());
        if let Some(file) = &line.text {
            let _ = writeln!(text, "  file      {file}");
        }
    }
    for fact in &value.facts {
        let influence = match fact.influence {
            Influence::Value => "fact    ",
            Influence::Presence => "decides ",
        };
        let _ = writeln!(text, "  {influence}  {}  {}{}", fact.place, fact.fact, equals(&fact.value));
    }
    text
}

/// Shows a value on one line, shortened if it is long.
fn equals(value: &serde_json::Value) -> String {
    let written = value.to_string();
    match written.char_indices().nth(MAX_VALUE_CHARS) {
        Some((end, _)) => format!(" = {}…", &written[..end]),
        None => format!(" = {written}"),
    }
}

fn groups_text(groups: &[Group]) -> String {
    let line = |group: &Group| {
        let path = if group.path.is_empty() { String::new() } else { format!(" {}", group.path) };
        format!("  {}{path}  on {}\n", group.file, clusters_text(&group.clusters))
    };
    if groups.is_empty() {
        "  reaches no rendered file\n".to_owned()
    } else {
        groups.iter().map(line).collect()
    }
}

fn clusters_text(clusters: &[String]) -> String {
    let named = listed(clusters, MAX_CLUSTERS);
    if clusters.len() > MAX_CLUSTERS { format!("{} clusters: {named}", clusters.len()) } else { named }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_clusters_are_named_and_more_are_counted() {
        let clusters: Vec<_> = (1..=42).map(|at| format!("c{at}")).collect();
        assert_eq!(clusters_text(&clusters[..1]), "c1");
        assert_eq!(clusters_text(&clusters[..3]), "c1, c2, c3");
        assert_eq!(clusters_text(&clusters), "42 clusters: c1, c2, c3 and 39 more");
    }

    #[test]
    fn a_long_value_is_shortened() {
        let value = json!("ü".repeat(1_000));
        assert_eq!(equals(&value).chars().count(), " = ".len() + MAX_VALUE_CHARS + 1);
        assert_eq!(equals(&json!({"a": [1, null]})), r#" = {"a":[1,null]}"#);
    }
}
