//! Bytes into documents.
//!
//! The one place where the plan depends on how YAML is read.

use crate::yaml::{self, Map, Node, NodeKind, Style, Value};

/// Reads all documents of a text; `None` if it is not YAML, for example after an edit by hand.
pub(super) fn read(text: &str) -> Option<Vec<Value>> {
    Some(yaml::parse(text).ok()?.iter().map(value).collect())
}

/// Interprets a node; a scalar that readers disagree about (`no`, `12:30:00`) is what is written there.
///
/// Our own files have none, but what is published may have been written by someone else, and can still be compared.
fn value(node: &Node) -> Value {
    match &node.kind {
        NodeKind::Scalar(scalar) if scalar.style == Style::Plain => {
            yaml::interpret_plain(&scalar.text).unwrap_or_else(|_| Value::String(scalar.text.clone()))
        }
        NodeKind::Scalar(scalar) => Value::String(scalar.text.clone()),
        NodeKind::List(items) => Value::List(items.iter().map(value).collect()),
        NodeKind::Map(entries) => Value::Map(
            entries
                .iter()
                .filter_map(|(key, item)| Some((key.as_scalar()?.text.clone(), value(item))))
                .collect::<Map>(),
        ),
    }
}
