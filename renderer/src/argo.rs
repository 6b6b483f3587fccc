//! What Argo CD makes of the objects that are written for it: Applications out of an `ApplicationSet`,
//! clusters out of Secrets.
//!
//! Reads what is written out and fills in an `ApplicationSet`'s own templates where their values stand in its
//! list. Knows nothing of where a value was written.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::key_path::{Step, key, keys};
use crate::tree::{Below, walk};
use crate::yaml::{self, Value};

/// The version of Argo CD's objects, without the number.
const GROUP: &str = "argoproj.io/";
/// The label that makes a Secret a cluster of Argo CD's.
const SECRET_TYPE: &str = "argocd.argoproj.io/secret-type";
/// What Argo CD calls the cluster that it runs on.
pub(crate) const IN_CLUSTER: &str = "in-cluster";

/// What one document means to Argo CD.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArgoPart {
    /// Whether it lands on the cluster's hub and not on the cluster itself.
    pub is_on_hub: bool,
    /// The namespace that the Applications are made in.
    pub namespace: String,
    /// The Applications that it makes.
    pub made: Vec<Made>,
    /// The cluster that it registers.
    pub registered: Option<Registered>,
}

/// An Application that an `ApplicationSet` makes of an element of its list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// Its name.
    pub name: String,
    /// What the element calls itself: its `name`, or else the Application's name.
    pub element: String,
    /// Where in the document the name comes from.
    pub path: Vec<Step>,
}

/// A cluster that a Secret registers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registered {
    /// Its name.
    pub name: String,
    /// The address of its API server.
    pub server: String,
    /// Where in the document both are written.
    pub path: Vec<Step>,
}

/// An Application that is written out, or that an `ApplicationSet` makes, as Argo CD has it once it is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desired {
    /// Its name.
    pub name: String,
    /// The namespace that it is in.
    pub namespace: String,
    /// The `ApplicationSet` that makes it, if one does.
    pub set: Option<String>,
    /// What the element of the set calls itself, or else the Application's name.
    pub element: String,
    /// What it takes its objects from, in order.
    pub sources: Vec<DesiredSource>,
}

/// What an Application takes objects or values from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DesiredSource {
    /// The repository.
    pub repository: String,
    /// The chart, if that is a repository of charts.
    pub chart: Option<String>,
    /// The version or the branch.
    pub revision: String,
    /// The folder in the repository, if it takes objects from one.
    pub path: String,
}

/// The objects of Argo CD's that a file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DesiredObjects {
    /// The Applications that are written out or made of what stands in the file.
    pub applications: Vec<Desired>,
    /// The names of the `ApplicationSet`s, each with whether it makes further Applications, which the file does not name.
    pub sets: Vec<(String, bool)>,
}

/// Reads the Applications that a rendered file asks for; nothing if it is not YAML.
#[must_use]
pub fn desired(text: &str) -> Option<DesiredObjects> {
    let mut found = DesiredObjects::default();
    for node in yaml::parse(text).ok()? {
        let object = yaml::interpret_as_written(&node);
        let set = object.text_at(&["metadata", "name"]).filter(|_| is_kind(&object, "ApplicationSet"));
        let (namespace, written) = (namespace(&object), applications(&object));
        let named: Vec<_> = written.iter().filter_map(|made| made.desired(set, namespace)).collect();
        let makes_more = finds_elsewhere(&object) || named.len() < written.len();
        found.sets.extend(set.map(|name| (name.to_owned(), makes_more)));
        found.applications.extend(named);
    }
    Some(found)
}

/// Returns the namespace that an object's Applications are in.
fn namespace(object: &Value) -> &str {
    let of_template = object.text_at(&["spec", "template", "metadata", "namespace"]);
    of_template.or_else(|| object.text_at(&["metadata", "namespace"])).unwrap_or_default()
}

/// Returns what an object means to Argo CD, if it means anything beside itself.
pub(crate) fn part(object: &Value, is_on_hub: bool) -> Option<ArgoPart> {
    let made = applications(object).iter().filter_map(Application::made).collect();
    let registered = registered(object);
    let part = ArgoPart { is_on_hub, namespace: namespace(object).to_owned(), made, registered };
    (!part.made.is_empty() || part.registered.is_some()).then_some(part)
}

/// Returns whether an object is a kind of Argo CD's.
pub(crate) fn is_kind(object: &Value, kind: &str) -> bool {
    object.text_at(&["kind"]) == Some(kind)
        && object.text_at(&["apiVersion"]).is_some_and(|version| version.starts_with(GROUP))
}

/// An Application as it is written, or as an `ApplicationSet` makes it of one element of its list.
#[derive(Clone, Debug)]
pub(crate) struct Application<'v> {
    /// The Application, or what each of them is made of.
    template: &'v Value,
    /// Where that stands.
    at: &'static [&'static str],
    element: Option<Element<'v>>,
}

/// An element of a list of an `ApplicationSet`.
#[derive(Clone, Debug)]
struct Element<'v> {
    at: Vec<Step>,
    value: &'v Value,
    is_go: bool,
}

/// Where an `ApplicationSet` says what it makes Applications of.
const GENERATORS: [&str; 2] = ["spec", "generators"];

/// Returns the Applications that an object is or makes, as far as it says so itself: what a generator finds
/// elsewhere, or combines, is not known.
pub(crate) fn applications(object: &Value) -> Vec<Application<'_>> {
    let is_direct = |element: &Element<'_>| {
        element.at.len() == GENERATORS.len() + ["[0]", "list", "elements", "[0]"].len()
    };
    all(object, elements(object).into_iter().filter(is_direct).map(Some).collect())
}

/// Returns the Applications that an object is or makes, of the elements of all its lists. Of a generator
/// without one, what it makes them of stands for all of them.
pub(crate) fn applications_of_any_generator(object: &Value) -> Vec<Application<'_>> {
    let elements: Vec<_> = elements(object).into_iter().map(Some).collect();
    all(object, if elements.is_empty() { vec![None] } else { elements })
}

fn all<'v>(object: &'v Value, elements: Vec<Option<Element<'v>>>) -> Vec<Application<'v>> {
    if is_kind(object, "Application") {
        return vec![Application { template: object, at: &[], element: None }];
    }
    let template = object.at(&TEMPLATE).filter(|_| is_kind(object, "ApplicationSet"));
    let Some(template) = template else { return Vec::new() };
    elements.into_iter().map(|element| Application { template, at: &TEMPLATE, element }).collect()
}

/// Where an `ApplicationSet` holds what its Applications are made of.
const TEMPLATE: [&str; 2] = ["spec", "template"];

/// Returns the elements of all lists of all generators, nested ones included.
fn elements(object: &Value) -> Vec<Element<'_>> {
    let is_go = object.at(&["spec", "goTemplate"]) == Some(&Value::Bool(true));
    let mut found = Vec::new();
    let Some(generators) = object.at(&GENERATORS) else { return found };
    walk(generators, &mut |visit| {
        let items = visit.value.as_list().filter(|_| visit.key() == Some("elements"));
        let Some(items) = items else { return Below::Enter };
        let above: Vec<_> = GENERATORS.map(key).into_iter().chain(visit.owned_path()).collect();
        found.extend(items.iter().enumerate().filter(|(_, value)| value.as_map().is_some()).map(
            |(index, value)| Element { at: [above.as_slice(), &[Step::Index(index)]].concat(), value, is_go },
        ));
        Below::Skip
    });
    found
}

/// Returns whether an object makes Applications of what it finds elsewhere: in git, among clusters, in a combination.
pub(crate) fn finds_elsewhere(object: &Value) -> bool {
    let generators = object.at(&GENERATORS).and_then(Value::as_list).unwrap_or_default();
    is_kind(object, "ApplicationSet")
        && generators.iter().any(|generator| generator.at(&["list", "elements"]).is_none())
}

impl<'v> Application<'v> {
    /// Returns what it is written as, before its own templates are filled in.
    pub fn template(&self) -> &'v Value {
        self.template
    }

    fn desired(&self, set: Option<&str>, namespace: &str) -> Option<Desired> {
        let name = self.text(&["metadata", "name"])?;
        let own = self.element.as_ref().and_then(|element| element.value.text_at(&["name"]));
        let source = |(_, source): (Vec<Step>, &Value)| {
            let text = |key| self.filled(source.text_at(&[key])?).map(Cow::into_owned);
            DesiredSource {
                repository: text("repoURL").unwrap_or_default(),
                chart: text("chart").filter(|chart| !chart.is_empty()),
                revision: text("targetRevision").unwrap_or_default(),
                path: text("path").unwrap_or_default(),
            }
        };
        Some(Desired {
            element: own.unwrap_or(&name).to_owned(),
            namespace: namespace.to_owned(),
            set: set.map(str::to_owned),
            sources: self.sources().map(source).collect(),
            name: name.into_owned(),
        })
    }

    fn made(&self) -> Option<Made> {
        let own = self.element.as_ref()?.value.text_at(&["name"]);
        let name = self.text(&["metadata", "name"])?;
        Some(Made {
            element: own.unwrap_or(&name).to_owned(),
            path: self.origin(&["metadata", "name"]),
            name: name.into_owned(),
        })
    }

    /// Returns the text at a path of the Application, once it is made; nothing if it is not known.
    pub fn text(&self, path: &[&str]) -> Option<Cow<'v, str>> {
        self.filled(self.template.text_at(path)?)
    }

    /// Returns a text of the Application as it is once made; nothing if it is not known.
    pub fn filled<'t>(&self, text: &'t str) -> Option<Cow<'t, str>> {
        match &self.element {
            None => Some(Cow::Borrowed(text)),
            Some(element) => {
                replaced(text, |expression| element.value(element.name_of(expression)?).map(str::to_owned))
            }
        }
    }

    /// Returns a text of the Application with what is known of it filled in: an expression that is worked out
    /// from values stays, with the values in it.
    pub fn shown<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let value = |word: &str| self.element.as_ref()?.value(word.strip_prefix('.').unwrap_or(word));
        let shown = replaced(text, |expression| {
            let expression = bare(expression);
            let words = expression
                .split(' ')
                .map(|word| value(word).filter(|_| word.starts_with('.')).unwrap_or(word));
            let words = || format!("{{{{{}}}}}", words.collect::<Vec<_>>().join(" "));
            Some(value(expression).map_or_else(words, str::to_owned))
        });
        shown.unwrap_or(Cow::Borrowed(text))
    }

    /// Returns the element that it is made of, if an `ApplicationSet` makes it.
    pub fn element(&self) -> Option<&'v Value> {
        self.element.as_ref().map(|element| element.value)
    }

    /// Returns the Application's sources, with the paths of each.
    pub fn sources(&self) -> impl Iterator<Item = (Vec<Step>, &'v Value)> {
        let one = self.template.at(&["spec", "source"]).map(|source| (keys(&["spec", "source"]), source));
        let many = self.template.at(&["spec", "sources"]).and_then(Value::as_list).unwrap_or_default();
        let many = many
            .iter()
            .enumerate()
            .map(|(index, source)| ([keys(&["spec", "sources"]), vec![Step::Index(index)]].concat(), source));
        one.into_iter().chain(many)
    }

    /// Returns where what stands at a path of the Application comes from: the element's value that it is made
    /// of, or the path.
    pub fn origin(&self, path: &[&str]) -> Vec<Step> {
        self.origin_of(&keys(path), self.template.text_at(path).unwrap_or_default())
    }

    /// As [`Self::origin`], of a text at a path with indexes.
    pub fn origin_of(&self, path: &[Step], text: &str) -> Vec<Step> {
        let used = self.element.as_ref().and_then(|element| Some((element, element.only_name_in(text)?)));
        match used {
            Some((element, name)) => element.at.iter().cloned().chain(name.split('.').map(key)).collect(),
            None => [&keys(self.at), path].concat(),
        }
    }
}

impl<'v> Element<'v> {
    /// Returns the path that an expression names, without what marks it as one.
    fn name_of<'t>(&self, expression: &'t str) -> Option<&'t str> {
        let expression = bare(expression);
        let name = if self.is_go { expression.strip_prefix('.')? } else { expression };
        let is_name = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        (!name.is_empty() && name.chars().all(is_name)).then_some(name)
    }

    fn value(&self, name: &str) -> Option<&'v str> {
        let path: Vec<&str> = name.split('.').collect();
        match self.value.get(name).or_else(|| self.value.at(&path))? {
            Value::String(text) => Some(text),
            Value::Number(number) => Some(number.as_str()),
            Value::Bool(true) => Some("true"),
            Value::Bool(false) => Some("false"),
            _ => None,
        }
    }

    fn only_name_in<'t>(&self, text: &'t str) -> Option<&'t str> {
        let (_, after) = text.split_once("{{")?;
        let (expression, behind) = after.split_once("}}")?;
        self.name_of(expression).filter(|name| !behind.contains("{{") && self.value(name).is_some())
    }
}

/// Returns an expression without what marks it as one.
fn bare(expression: &str) -> &str {
    expression.trim().trim_matches('-').trim()
}

/// Replaces each expression of an `ApplicationSet`'s own templates by its value; nothing if one has none.
fn replaced(text: &str, mut value: impl FnMut(&str) -> Option<String>) -> Option<Cow<'_, str>> {
    if !text.contains("{{") {
        return Some(Cow::Borrowed(text));
    }
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let (expression, behind) = after.split_once("}}")?;
        replaced.push_str(before);
        replaced.push_str(&value(expression)?);
        rest = behind;
    }
    Some(Cow::Owned(replaced + rest))
}

/// Returns the cluster that a Secret, or what fetches one, registers with Argo CD.
pub(crate) fn registered(object: &Value) -> Option<Registered> {
    let kind = object.text_at(&["kind"])?;
    let (above, data): (&[&str], _) = match kind {
        "Secret" => (&[], "stringData"),
        "ExternalSecret" => (&["spec", "target", "template"], "data"),
        _ => return None,
    };
    let secret = object.at(above)?;
    let of_data = |name| secret.text_at(&[data, name]).filter(|text| !text.contains("{{"));
    if secret.text_at(&["metadata", "labels", SECRET_TYPE]) != Some("cluster") {
        return None;
    }
    Some(Registered {
        name: of_data("name")?.to_owned(),
        server: of_data("server").unwrap_or_default().to_owned(),
        path: keys(&[above, &[data, "name"]].concat()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key_path::text_of;

    fn object(text: &str) -> Value {
        yaml::interpret(&yaml::parse(text).unwrap()[0]).unwrap()
    }

    fn set(go: bool, name: &str, elements: &str) -> Value {
        object(&format!(
            "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nspec:\n  goTemplate: {go}\n  generators: [{{list: {{elements: {elements}}}}}]\n  template:\n    metadata: {{name: '{name}'}}\n"
        ))
    }

    fn made(set: &Value) -> Vec<(String, String)> {
        let made = applications(set).into_iter().filter_map(|application| application.made());
        made.map(|made| (made.name, text_of(&made.path))).collect()
    }

    #[test]
    fn an_application_is_made_of_each_element() {
        let own = ("a-x".to_owned(), "spec.generators[0].list.elements[0].name".to_owned());
        assert_eq!(made(&set(true, "a-{{ .name }}", "[{name: x}]")), std::slice::from_ref(&own));
        assert_eq!(made(&set(false, "a-{{name}}", "[{name: x}]")), [own]);
        let deep = made(&set(true, "{{.a.b}}", "[{a: {b: x}}, {a: {b: 2}}]"));
        assert_eq!(deep.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["x", "2"]);
        let two = made(&set(true, "{{.a}}-{{.b}}", "[{a: x, b: z}]"));
        assert_eq!(two, [("x-z".to_owned(), "spec.template.metadata.name".to_owned())]);
    }

    #[test]
    fn what_is_not_known_is_not_guessed() {
        assert_eq!(made(&set(true, "{{ .name | lower }}", "[{name: x}]")), []);
        assert_eq!(made(&set(true, "{{ .nmae }}", "[{name: x}]")), []);
        assert_eq!(made(&set(true, "{{ .name", "[{name: x}]")), []);
        assert_eq!(made(&set(true, "a", "[]")), []);
    }

    #[test]
    fn what_a_file_asks_for_is_read_with_its_sources() {
        let text = concat!(
            "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\n",
            "metadata: {name: app, namespace: argocd}\nspec:\n  goTemplate: true\n",
            "  generators: [{list: {elements: [{name: loki, version: \"1.10\"}, {name: web, version: 2.0.0}]}}]\n",
            "  template:\n    metadata: {name: 'app-{{ .name }}'}\n    spec:\n      sources:\n",
            "      - {repoURL: 'https://charts', chart: '{{ .name }}', targetRevision: '{{ .version }}'}\n",
            "      - {repoURL: 'https://git', targetRevision: main, ref: values}\n",
            "---\napiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: root, namespace: argocd}\n",
            "spec: {source: {repoURL: 'https://git', targetRevision: main, path: out}}\n",
            "---\napiVersion: argoproj.io/v1alpha1\nkind: AppProject\nmetadata: {name: app}\n",
        );
        let found = desired(text).unwrap();
        assert_eq!(found.sets, [("app".to_owned(), false)]);
        let source = |source: &DesiredSource| {
            format!("{} {} {}", source.repository, source.chart.as_deref().unwrap_or("-"), source.revision)
        };
        let shown = found.applications.iter().map(|made| {
            let sources = made.sources.iter().map(source).collect::<Vec<_>>().join(", ");
            format!("{} {} {} {:?}: {sources}", made.namespace, made.name, made.element, made.set.as_deref())
        });
        assert_eq!(
            shown.collect::<Vec<_>>(),
            [
                "argocd app-loki loki Some(\"app\"): https://charts loki 1.10, https://git - main",
                "argocd app-web web Some(\"app\"): https://charts web 2.0.0, https://git - main",
                "argocd root root None: https://git - main",
            ]
        );
        assert_eq!(desired("a: [").map(|_| ()), None);
        assert_eq!(desired("a: 1\n").unwrap(), DesiredObjects::default());
    }
}
