//! Which of several alternatives was meant when none of them fits, or more than one does.
//!
//! "Not valid under any of the schemas" helps no reader. The alternative that was most likely meant is the one that
//! fails latest: its type fits, its discriminator fits, and the least is wrong with it.

use std::collections::BTreeSet;

use jsonschema::error::{ValidationError, ValidationErrorKind};
use serde_json::Value;

use super::wording::{self, Wording};

/// How far an alternative is from what was written; the smallest is what was meant.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Distance {
    /// Only something inside is wrong.
    Inside,
    /// A constant is another one: a different variant was meant.
    Variant,
    /// It is another type of value altogether.
    Type,
}

type Alternative = Vec<ValidationError<'static>>;

/// Returns why the nearest alternative does not fit: one sentence for all that are equally near, or the errors of one.
pub(super) fn meant<'e>(
    error: &ValidationError,
    subject: &str,
    alternatives: &'e [Alternative],
) -> Result<Wording, &'e [ValidationError<'static>]> {
    let nearest = alternatives.iter().map(|errors| distance(error, errors)).min();
    let near: Vec<&Alternative> =
        alternatives.iter().filter(|errors| Some(distance(error, errors)) == nearest).collect();
    merged(error, subject, &near, nearest)
        .ok_or_else(|| near.into_iter().min_by_key(|errors| errors.len()).map_or(&[][..], Vec::as_slice))
}

/// Returns the hint for alternatives that exclude each other and were mixed.
pub(super) fn mixed(schema: &Value, alternatives: &[Alternative]) -> Option<String> {
    let schemas = schema.get("oneOf").and_then(Value::as_array).into_iter().flatten();
    let fitting = schemas.zip(alternatives).filter(|(_, errors)| errors.is_empty());
    let keys: BTreeSet<&str> = fitting
        .filter_map(|(schema, _)| schema.get("required")?.as_array())
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    (keys.len() > 1).then(|| format!("keep only one of {}", wording::list(keys)))
}

/// Puts the alternatives into one sentence where they differ in one word each.
fn merged(
    error: &ValidationError,
    subject: &str,
    near: &[&Alternative],
    distance: Option<Distance>,
) -> Option<Wording> {
    let value = error.instance().as_ref();
    if distance == Some(Distance::Type) {
        let types = near.iter().copied().flatten().filter(|inner| is_at(error, inner));
        let types = types.filter_map(|inner| match inner.kind() {
            ValidationErrorKind::Type { kind } => Some(wording::expected_types(kind)),
            _ => None,
        });
        let mut expected: Vec<_> = types.flatten().collect();
        expected.sort();
        expected.dedup();
        return Some(wording::wrong_type(subject, &expected, value));
    }
    let only = near.iter().map(|errors| match errors.as_slice() {
        [only] if is_at(error, only) => Some(only),
        _ => None,
    });
    let only: Vec<_> = only.collect::<Option<_>>()?;
    if let Some(options) = only.iter().map(|inner| options(inner)).collect::<Option<Vec<_>>>() {
        return Some(wording::wrong_choice(subject, &options.concat(), value));
    }
    let keys: Vec<&str> = only.iter().map(|inner| missing_key(inner)).collect::<Option<_>>()?;
    (keys.len() > 1)
        .then(|| Wording { message: format!("missing one of the keys {}", wording::list(keys)), hint: None })
}

fn distance(outer: &ValidationError, errors: &[ValidationError]) -> Distance {
    let worst = errors.iter().map(|inner| match inner.kind() {
        ValidationErrorKind::Type { .. } if is_at(outer, inner) => Distance::Type,
        _ if is_choice(inner) && depth(inner) <= depth(outer) + 1 => Distance::Variant,
        _ => Distance::Inside,
    });
    worst.max().unwrap_or(Distance::Inside)
}

fn depth(error: &ValidationError) -> usize {
    error.instance_path().as_str().matches('/').count()
}

fn is_at(outer: &ValidationError, inner: &ValidationError) -> bool {
    inner.instance_path() == outer.instance_path()
}

fn options(error: &ValidationError) -> Option<Vec<Value>> {
    match error.kind() {
        ValidationErrorKind::Enum { options } => options.as_array().cloned(),
        ValidationErrorKind::Constant { expected_value } => Some(vec![expected_value.as_ref().clone()]),
        _ => None,
    }
}

/// Returns the key that is missing, if that is the error.
pub(super) fn missing_key<'e>(error: &'e ValidationError) -> Option<&'e str> {
    match error.kind() {
        ValidationErrorKind::Required { property } => property.as_str(),
        _ => None,
    }
}

/// Returns whether an error says which values are permitted.
pub(super) fn is_choice(error: &ValidationError) -> bool {
    matches!(error.kind(), ValidationErrorKind::Enum { .. } | ValidationErrorKind::Constant { .. })
}
