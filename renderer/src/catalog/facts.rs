//! Facts of a cluster in the texts of an add-on's checks, by their paths alone.

use serde_json::{Value as Json, json};

use super::addon::Addon;
use super::live::{LiveCheck, SPAN_HINT};
use crate::inventory::{Cluster, Fact, Fleet, key};
use crate::key_path::Step;
use crate::problem::{Place, Problem};

/// What may be filled into the texts of a check.
#[derive(Clone, Copy, Debug)]
pub struct LiveFacts<'a> {
    /// The cluster that the check is about.
    pub cluster: &'a Cluster,
    /// Its hub.
    pub hub: &'a Cluster,
    /// The shared facts.
    pub fleet: &'a Fleet,
    /// The add-on whose check it is.
    pub addon: &'a Addon,
}

impl LiveFacts<'_> {
    /// Returns the fact that a path such as `cluster.name` names.
    fn get(&self, path: &str) -> Option<Json> {
        let (root, rest) = path.split_once('.')?;
        let of = |root: &Json| {
            let found = rest.split('.').try_fold(root, |value, name| value.get(name))?;
            Some(found.clone()).filter(|found| !found.is_null())
        };
        match root {
            "cluster" => of(&self.cluster.view),
            "hub" => of(&self.hub.view),
            "fleet" => of(&self.fleet.view),
            "addon" => of(&json!({
                "name": self.addon.name.as_str(),
                "namespace": self.addon.facts.namespace,
                "release": self.addon.release(),
                "settings": self.addon.settings(self.cluster).unwrap_or_default(),
            })),
            _ => None,
        }
    }

    /// Returns a text with facts in place of `{{…}}`, or the path that names none. A text that is nothing else becomes
    /// the fact itself.
    pub(crate) fn filled(&self, text: &str) -> Result<Json, String> {
        let (mut filled, mut rest) = (String::new(), text);
        while let Some((before, after)) = rest.split_once("{{") {
            let (path, behind) = after.split_once("}}").ok_or_else(|| after.to_owned())?;
            let path = path.trim();
            let fact = self.get(path).ok_or_else(|| path.to_owned())?;
            if before.is_empty() && behind.is_empty() && filled.is_empty() {
                return Ok(fact);
            }
            filled += before;
            filled += &match fact {
                Json::String(text) => text,
                Json::Number(_) | Json::Bool(_) => fact.to_string(),
                _ => return Err(path.to_owned()),
            };
            rest = behind;
        }
        Ok(Json::String(filled + rest))
    }
}

impl Addon {
    /// Returns the add-on's checks with the facts of a cluster, or every problem in them.
    pub(crate) fn live_checks(&self, facts: &LiveFacts<'_>) -> Result<Vec<LiveCheck>, Vec<Problem>> {
        let (mut checks, mut problems) = (Vec::new(), Vec::new());
        let own = self.facts.verify.iter().enumerate();
        for (index, check) in own.filter(|(_, check)| check.clusters.admits(facts.cluster)) {
            let Some(written) = self.origin.at(&[key("verify"), Step::Index(index)]) else { continue };
            let (mut value, before) = (written.to_json(), problems.len());
            fill(&mut value, written, &mut Vec::new(), facts, &mut problems);
            match serde_json::from_value::<LiveCheck>(value) {
                Ok(check) if check.has_limits() => checks.push(check),
                _ if problems.len() > before => {}
                _ => problems.push(unfit_fact(written.own_place(), &check.name, facts.cluster)),
            }
        }
        if problems.is_empty() { Ok(checks) } else { Err(problems) }
    }
}

fn unfit_fact(place: Place, check: &str, cluster: &Cluster) -> Problem {
    let message =
        format!("with the facts of `{}` a limit of check `{check}` is no number and no time", cluster.name);
    Problem::at(place, message).hint(SPAN_HINT)
}

/// Fills the facts into a part of a check.
fn fill(
    value: &mut Json,
    written: &Fact,
    path: &mut Vec<Step>,
    facts: &LiveFacts<'_>,
    problems: &mut Vec<Problem>,
) {
    match value {
        Json::String(text) if text.contains("{{") => match facts.filled(text) {
            Ok(fact) => *value = fact,
            Err(unknown) => problems.push(unknown_fact(written.place(path), &unknown)),
        },
        Json::Array(items) => items.iter_mut().enumerate().for_each(|(index, item)| {
            path.push(Step::Index(index));
            fill(item, written, path, facts, problems);
            path.pop();
        }),
        Json::Object(entries) => entries.iter_mut().for_each(|(name, entry)| {
            path.push(key(name));
            fill(entry, written, path, facts, problems);
            path.pop();
        }),
        _ => {}
    }
}

fn unknown_fact(place: Place, unknown: &str) -> Problem {
    let hint = "a check names a single fact as templates do: `{{cluster.name}}`, `{{hub.name}}`, \
                `{{fleet.mesh.id}}` or `{{addon.settings.<name>}}`, without helpers";
    Problem::at(place, format!("there is no fact `{unknown}`")).hint(hint)
}
