//! The defaults in a chart's `values.yaml`: which keys there are, and of which type each default is.
//!
//! A default shows one value of those that are allowed, so the type that is read from it is the widest that
//! it could mean. A key that is commented out has no default, and is known all the same.

use std::collections::BTreeMap;
use std::ops::Range;

use super::shape::{Others, Shape, Types};
use crate::yaml::{Node, NodeKind, Reading, Scalar, Style, Value, interpret_plain};

/// Endings of keys whose map goes as it is into a Kubernetes object, or into the configuration of a mesh,
/// which define its fields.
const PASSED_ON: [&str; 17] = [
    "affinity",
    "annotations",
    "behavior",
    "dnsconfig",
    "emptydir",
    "env",
    "labels",
    "lifecycle",
    "limits",
    "meshconfig",
    "nodeselector",
    "probe",
    "requests",
    "resources",
    "securitycontext",
    "selector",
    "strategy",
];

/// Endings of keys that take a number or text: names of ports, percentages, quantities.
const NUMBER_OR_TEXT: [&str; 7] =
    ["cpu", "maxsurge", "maxunavailable", "memory", "minavailable", "port", "storage"];

/// Words before a colon in a comment that are no keys.
const PROSE: [&str; 8] = ["default", "defaults", "e.g.", "example", "examples", "note", "ref", "see"];

/// Returns the shape of a chart's values as a whole, whose keys are never passed on unseen.
///
/// `values` is the map of them, `text` the file that it stands in.
pub(super) fn shape_of_values(values: &Node, text: &str) -> Shape {
    let reader = DefaultsReader { commented: commented_keys(text) };
    let entries = values.as_map().unwrap_or_default();
    Shape::map(reader.shapes(entries, values.position.line..u32::MAX))
}

/// A line such as `# storageClassName: fast`.
struct CommentedKey<'a> {
    line: u32,
    /// Where the `#` stands, which is where the key would stand.
    column: u32,
    key: &'a str,
}

struct DefaultsReader<'a> {
    commented: Vec<CommentedKey<'a>>,
}

impl DefaultsReader<'_> {
    /// Returns the shapes of a map's entries, and of those that are commented out within its lines.
    fn shapes(&self, entries: &[(Node, Node)], lines: Range<u32>) -> BTreeMap<Box<str>, Shape> {
        let mut shapes = BTreeMap::new();
        let Some((first, _)) = entries.first() else { return shapes };
        let start = self.commented.partition_point(|commented| commented.line < lines.start);
        let within = self.commented[start..].iter().take_while(|commented| commented.line < lines.end);
        for commented in within.filter(|commented| commented.column == first.position.column) {
            shapes.insert(commented.key.into(), Shape::of(Types::all()));
        }
        for (index, (key, value)) in entries.iter().enumerate() {
            let Some(name) = key.as_scalar().map(|scalar| scalar.text.as_str()) else { continue };
            let end = entries.get(index + 1).map_or(lines.end, |(next, _)| next.position.line);
            shapes.insert(name.into(), self.shape(name, value, key.position.line..end));
        }
        shapes
    }

    fn shape(&self, key: &str, value: &Node, lines: Range<u32>) -> Shape {
        match &value.kind {
            NodeKind::Scalar(scalar) => Shape::of(scalar_types(key, scalar)),
            NodeKind::List(_) => Shape::of(Types::LIST),
            NodeKind::Map(entries) if is_passed_on(key, entries) => Shape::of(Types::MAP),
            NodeKind::Map(entries) => Shape::map(self.shapes(entries, lines)),
        }
    }
}

fn commented_keys(text: &str) -> Vec<CommentedKey<'_>> {
    let mut found = Vec::new();
    // Between two such marks stands a schema for a tool, and no values.
    let mut is_schema = false;
    for (line, text) in (1..).zip(text.lines()) {
        let comment = text.trim_start();
        if comment.trim_end() == "# @schema" {
            is_schema = !is_schema;
        }
        if let Some(key) = commented_key(comment).filter(|_| !is_schema) {
            found.push(CommentedKey { line, column: (text.len() - comment.len()) as u32 + 1, key });
        }
    }
    found
}

fn commented_key(comment: &str) -> Option<&str> {
    let text = comment.strip_prefix('#')?;
    let text = text.strip_prefix(' ').unwrap_or(text);
    let (key, value) = text.split_once(':')?;
    let is_word = key.starts_with(|c: char| c.is_ascii_lowercase())
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    let is_key = is_word && (value.is_empty() || value.starts_with(' ')) && !PROSE.contains(&key);
    is_key.then_some(key)
}

fn scalar_types(key: &str, scalar: &Scalar) -> Types {
    let types = match scalar.style {
        // Text that looks like a number is quoted for the sake of some reader; most take the number as well.
        Style::Quoted | Style::Block => match plain_types(&scalar.text) {
            types if types.is_all() => Types::SCALAR,
            types => types | Types::TEXT,
        },
        Style::Plain => plain_types(&scalar.text),
    };
    let is_number_or_text =
        has_ending(key, &NUMBER_OR_TEXT) && types != Types::BOOL && Types::SCALAR.contains(types);
    if is_number_or_text { types | Types::NUMBER | Types::TEXT } else { types }
}

fn plain_types(text: &str) -> Types {
    match interpret_plain(text) {
        Ok(Value::Bool(_)) => Types::BOOL,
        Ok(Value::Number(_)) => Types::NUMBER,
        Ok(Value::String(text)) if !text.is_empty() => Types::TEXT,
        Ok(_) => Types::all(),
        // Helm reads by the rules of YAML 1.1.
        Err(ambiguity) => match ambiguity.reading {
            Reading::Boolean => Types::BOOL,
            Reading::Date | Reading::Indicator => Types::TEXT,
            Reading::Sexagesimal => Types::NUMBER | Types::TEXT,
            _ => Types::NUMBER,
        },
    }
}

/// Returns whether a map's keys are not the chart's own but those of whatever it hands the map to.
fn is_passed_on(key: &str, entries: &[(Node, Node)]) -> bool {
    entries.is_empty()
        || has_ending(key, &PASSED_ON)
        || is_file_name(key)
        || has_names_of_data(entries)
        || is_configuration(entries)
}

fn has_ending(key: &str, endings: &[&str]) -> bool {
    let key = key.to_ascii_lowercase();
    endings.iter().any(|ending| key.ends_with(ending))
}

/// `grafana.ini`, `config.yml`: the content of a file.
fn is_file_name(key: &str) -> bool {
    key.contains('.')
}

/// A key with a dot or a slash can't be written as a path in a chart's template: it is a label, or a key of a
/// `ConfigMap`.
fn has_names_of_data(entries: &[(Node, Node)]) -> bool {
    names(entries).any(|name| name.contains(['.', '/']))
}

/// Charts name their own settings `likeThis`, and the programs that they install are set `like_this`. A
/// switch is the chart's.
fn is_configuration(entries: &[(Node, Node)]) -> bool {
    names(entries).any(|name| name.contains('_'))
        && names(entries).all(|name| name != "enabled" && !name.contains(|c: char| c.is_ascii_uppercase()))
}

fn names(entries: &[(Node, Node)]) -> impl Iterator<Item = &str> {
    entries.iter().filter_map(|(key, _)| Some(key.as_scalar()?.text.as_str()))
}

/// Returns whether only the type is known of a place, and the place takes any key.
pub(super) fn is_free(shape: &Shape) -> bool {
    shape.entries.is_empty() && shape.others == Others::Free
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::charts::notation;
    use crate::yaml;

    fn shape(values: &str) -> String {
        let nodes = yaml::parse(values).unwrap();
        yaml::write(&notation::write(&shape_of_values(&nodes[0], values)))
    }

    #[test]
    fn a_key_that_is_commented_out_is_known() {
        let values = "\
# Ref: https://example.com
persistence:
  enabled: true
  # storageClassName: fast
  # A note: this is prose, as is what follows.
  # see: https://example.com
  ## ref: x
  #   nested: true
  # - item: x
  #accessMode:
  # @schema
  # type: string
  # @schema
  size: 1Gi
# top.level: 1
resources: {}
  # limits: {}
";
        assert_snapshot!(shape(values), @r#"
        _any: "\"top.level\""
        _map: resources
        persistence:
          _any: accessMode storageClassName
          _bool: enabled
          _text: size
        "#);
    }

    #[test]
    fn a_default_shows_the_type_and_an_empty_one_shows_little() {
        let values = "a: true\nb: 3\nc: x\nd: ''\ne: ~\nf: []\ng: {}\nh: [1]\ni: yes\nj: 0644\nk: '12'\nl: |\n  x\nm:\n";
        assert_snapshot!(shape(values), @"
        _any: e m
        _bool: a i
        _list: f h
        _map: g
        _number: b j
        _number|text: k
        _scalar: d
        _text: c l
        ");
    }

    #[test]
    fn ports_and_quantities_are_numbers_or_text() {
        assert_snapshot!(shape("port: 80\nmaxSurge: 25%\ncpu: 100m\nreplicas: 1\nenabledPort: true\n"), @"
        _bool: enabledPort
        _number: replicas
        _number|text: cpu maxSurge port
        ");
    }

    #[test]
    fn what_a_chart_hands_on_is_free() {
        let values = "\
resources: {limits: {cpu: 1}}
podSecurityContext: {runAsUser: 1}
grafana.ini: {server: {domain: x}}
cm: {create: true, admin.enabled: true}
limits_config: {reject_old_samples: true, period: 7d}
route: {enabled: false, termination_type: edge}
loki: {auth_enabled: true, podLabels: {}}
";
        assert_snapshot!(shape(values), @r#"
        _map: cm "grafana.ini" limits_config podSecurityContext resources
        loki:
          _bool: auth_enabled
          _map: podLabels
        route:
          _bool: enabled
          _text: termination_type
        "#);
    }
}
