//! Lines that made a rendered value, as they are shown.

use serde::Serialize;
use serde_json::Value as Json;

use crate::key_path::{KeyPath, Step, text_of};
use crate::path::RepoPath;
use crate::problem::Place;
use crate::secrets::{Mask, names_a_secret};
use crate::templates::TemplateLine;
use crate::tree::Tree;
use crate::yaml::Value;

use super::documents::FileDocuments;

/// Where a rendered value comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Provenance {
    /// The rendered file.
    pub file: RepoPath,
    /// The document in the file, from 0.
    pub document: usize,
    /// The path of the value in the document.
    pub path: KeyPath,
    /// The value, without what is a secret.
    pub value: Json,
    /// The template lines that wrote it.
    pub templates: Vec<TemplateLine>,
    /// The inventory lines that it depends on, the nearest first.
    pub facts: Vec<FactLine>,
}

/// An inventory line that a value depends on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FactLine {
    /// Where it stands.
    #[serde(flatten)]
    pub place: Place,
    /// The fact as templates see it, such as `hub.addresses.prometheus`.
    pub fact: String,
    /// Its value, without what is a secret.
    pub value: Json,
    #[serde(skip)]
    pub(super) path: Vec<Step>,
    /// How the value depends on it.
    pub influence: Influence,
}

impl FactLine {
    /// Returns the path of the fact as templates see it.
    pub(crate) fn path(&self) -> &[Step] {
        &self.path
    }
}

/// How a rendered value depends on a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Influence {
    /// The value changes with it.
    Value,
    /// It decides whether the value is there.
    Presence,
}

/// Finds what wrote a node: the cluster's override, or lines of the template.
pub(crate) fn written_at(file: FileDocuments<'_>, document: usize, path: &[Step]) -> Provenance {
    let mut provenance = Provenance {
        file: file.template.writes.clone(),
        document,
        path: path.to_vec().into(),
        value: Json::Null,
        templates: Vec::new(),
        facts: Vec::new(),
    };
    let scope = file.cluster.scope;
    if let Some(addon) = file.template.addon
        && let Some(place) = scope.override_place(addon, path)
    {
        let fact = format!("addons.{}.values.{}", addon.name, text_of(path));
        let value = scope.overrides(addon).and_then(|values| {
            let (first, rest) = path.split_first()?;
            values.get(first.key()?)?.at(rest)
        });
        let value = value.map_or(Json::Null, |value| masked(value, path));
        let path = path.to_vec();
        provenance.facts.push(FactLine { place, fact, value, path, influence: Influence::Value });
        return provenance;
    }
    let templates = &file.cluster.catalog.templates;
    let lines = file.expand(&file.cluster.facts).and_then(|expand| {
        // A value that is not there comes from where it would have been written: the nearest node above.
        (0..=path.len()).rev().find_map(|length| templates.origin(expand, document, &path[..length]))
    });
    provenance.templates = lines.unwrap_or_default();
    provenance
}

/// Returns how a fact is called: an add-on and a spoke by its name, not by its place in the list.
pub(super) fn name_of(facts: &Json, path: &[Step]) -> String {
    if let [Step::Key(list), Step::Index(at), rest @ ..] = path
        && let Some(name) = facts[list.as_str()][*at]["name"].as_str()
    {
        let dot = if rest.is_empty() { "" } else { "." };
        return format!("{list}[name={name}]{dot}{}", text_of(rest));
    }
    text_of(path)
}

/// Returns a value without what is a secret by its form, or by the key that it stands under.
pub(crate) fn masked(value: &Json, path: &[Step]) -> Json {
    let key = path.iter().rev().find_map(Step::key).map(String::as_str);
    let name = key.filter(|key| names_a_secret(key));
    Mask::default().rendered(Value::from(value), name).to_json()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::secrets::MASK;

    #[test]
    fn a_secret_is_masked_by_its_key_and_by_its_form() {
        let token = ["ghp_", "0123456789abcdefghijABCDEFGHIJ012345"].concat();
        let value = json!({"adminPassword": "hunter2hunter2", "note": token, "list": ["a", 1, null]});
        let shown = json!({"adminPassword": MASK, "note": "*** (GitHub token)", "list": ["a", 1, null]});
        assert_eq!(masked(&value, &[]), shown);
        assert_eq!(masked(&json!("hunter2hunter2"), &[Step::Key("password".to_owned())]), json!(MASK));
    }

    #[test]
    fn an_addon_and_a_spoke_are_called_by_their_names() {
        let facts =
            json!({"addons": [{"name": "loki"}], "spokes": [{"name": "app"}], "fleet": {"list": ["x"]}});
        let index =
            |list: &str, rest: &[Step]| [&[Step::Key(list.to_owned()), Step::Index(0)], rest].concat();
        let setting = [Step::Key("settings".to_owned()), Step::Key("a".to_owned())];
        assert_eq!(name_of(&facts, &index("addons", &setting)), "addons[name=loki].settings.a");
        assert_eq!(name_of(&facts, &index("spokes", &[])), "spokes[name=app]");
        assert_eq!(
            name_of(&facts, &[Step::Key("fleet".to_owned()), Step::Key("list".to_owned()), Step::Index(0)]),
            "fleet.list[0]"
        );
    }
}
