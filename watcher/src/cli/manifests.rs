//! `fleetwright manifests`: the final objects of clusters.

use rayon::prelude::*;
use renderer::deployed::{self, masked};
use renderer::manifests::Object;
use renderer::path::{AddonName, ClusterName};
use renderer::plural::quoted_up_to;
use renderer::problem::hint_at_near;
use renderer::render::Rendered;
use renderer::yaml;
use serde_json::{Value, json};

use super::options::{HelmArgs, ProfileArgs, check_cluster, renderer};
use super::{Global, print_json, print_report, print_text};
use crate::error::CommandError;
use crate::helm::{Bound, Parts, Side};
use crate::output::Exit;
use crate::working_tree::{read_working_tree, standing};

/// How many names a hint has.
const MAX_NAMED: usize = 10;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only the objects of this cluster.
    #[arg(long, value_name = "CLUSTER")]
    cluster: Option<String>,
    /// Only the objects of this add-on.
    #[arg(long, value_name = "ADD-ON")]
    addon: Option<String>,
    #[command(flatten)]
    helm: HelmArgs,
    #[command(flatten)]
    profile: ProfileArgs,
}

pub(super) fn run(global: &Global, args: &Args) -> Result<Exit, CommandError> {
    let making = args.helm.making()?;
    let top = global.working_tree()?;
    let (snapshot, problems) = read_working_tree(&top)?;
    // What an add-on names may come from any other one: this is judged where all objects are made.
    let is_whole = args.addon.is_none();
    let mut by = if is_whole { renderer().for_objects() } else { renderer() };
    let mut rendered = global.render_whole(&mut by, &args.profile.chosen(snapshot)?, problems, &args.helm)?;
    args.check(&rendered)?;
    let wanted = |cluster: &ClusterName, addon: Option<&AddonName>| {
        args.cluster.as_deref().is_none_or(|name| name == cluster.as_str())
            && args.addon.as_deref().is_none_or(|name| addon.is_some_and(|addon| addon.as_str() == name))
    };
    let progress = global.progress("charts");
    let side = Side::read(&mut rendered, |path, room| standing(&top, path, room))?;
    let parts = making.parts(&side, &|it| wanted(&it.cluster, it.addon.as_ref()), Bound::NONE, &progress)?;
    drop(progress);
    let read: Vec<_> = parts.par_iter().map(|parts| parts.objects(&rendered)).collect();
    let (mut found, mut problems) = (Vec::new(), Vec::new());
    for (parts, objects) in parts.iter().zip(read) {
        match objects {
            Ok(objects) => found.push((parts, objects)),
            Err(more) => problems.extend(more),
        }
    }
    if problems.is_empty() {
        let made: Vec<_> = found.iter().map(|(parts, objects)| parts.made(objects)).collect();
        problems = deployed::judged(&rendered, &made);
        if is_whole && parts.iter().all(|parts| parts.unread.is_empty()) {
            problems.extend(deployed::judged_together(&rendered, &made, &|| true));
        }
    }
    if !problems.is_empty() {
        return Err(CommandError::Problems { problems: deployed::merged(problems) });
    }
    for (parts, _) in &found {
        for reason in &parts.unread {
            print_report(&format!("note: not all objects of `{}` are shown: {reason}", parts.application));
        }
    }
    if global.is_json() {
        let applications: Vec<_> = found.iter().map(|(parts, objects)| document(parts, objects)).collect();
        print_json(&json!({ "applications": applications }));
    } else {
        // One by one: all of them together may be large.
        for (parts, objects) in &found {
            print_text(&stream(parts, objects));
        }
    }
    Ok(Exit::Done)
}

impl Args {
    /// Refuses names of what is not there: no objects would look like an answer.
    fn check(&self, rendered: &Rendered) -> Result<(), CommandError> {
        self.cluster.as_deref().map(|name| check_cluster(&rendered.inventory, name)).transpose()?;
        let addons = &rendered.catalog.addons;
        let Some(name) = self.addon.as_deref().filter(|name| !addons.contains_key(*name)) else {
            return Ok(());
        };
        let names = || addons.keys().map(AddonName::as_str);
        let hint = hint_at_near(name, names(), || format!("there are {}", quoted_up_to(MAX_NAMED, names())));
        Err(CommandError::usage(format!("there is no add-on `{}`", name.escape_debug()), hint))
    }
}

fn document(parts: &Parts, objects: &[Object]) -> Value {
    let objects: Vec<_> = objects.iter().map(|object| masked(object).to_json()).collect();
    json!({
        "cluster": parts.cluster,
        "addon": parts.addon,
        "application": parts.application,
        "objects": objects,
        "unread": parts.unread,
    })
}

fn stream(parts: &Parts, objects: &[Object]) -> String {
    let head = format!("# {} on {}\n", parts.application, parts.cluster);
    let mut text = String::new();
    for object in objects {
        text.push_str("---\n");
        text.push_str(&head);
        yaml::write_to(&mut text, &masked(object));
    }
    text
}
