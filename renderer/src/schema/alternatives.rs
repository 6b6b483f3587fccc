//! What to say when none of several alternatives fits, or more than one does.
//!
//! "Not valid under any of the schemas" helps nobody. The alternative that a person most likely meant is the one that
//! fails latest: its type fits, its discriminator fits, and the least is wrong with it.

use std::collections::BTreeSet;

use jsonschema::error::{ValidationError, ValidationErrorKind as Kind};
use serde_json::Value;

use super::wording::{self, Subject, Wording};
use super::{Judge, Violation, is_choice};

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

impl Judge<'_> {
    /// Says why the nearest alternative does not fit.
    pub(super) fn no_alternative(
        self,
        error: &ValidationError,
        alternatives: &[Alternative],
    ) -> Vec<Violation> {
        let nearest = alternatives.iter().map(|errors| distance(error, errors)).min();
        let near: Vec<&Alternative> =
            alternatives.iter().filter(|errors| Some(distance(error, errors)) == nearest).collect();
        if let Some(wording) = self.merged(error, &near, nearest) {
            let path = self.path(error);
            let hint = wording.hint.or_else(|| wording::hint_of(self.subschema(error)));
            return vec![Violation { path, on_key: false, missing: None, message: wording.message, hint }];
        }
        let best = near.into_iter().min_by_key(|errors| errors.len());
        best.map(|errors| self.all(errors).into_iter().collect()).unwrap_or_default()
    }

    /// Says that alternatives which exclude each other were mixed.
    pub(super) fn several_alternatives(
        self,
        error: &ValidationError,
        alternatives: &[Alternative],
    ) -> Violation {
        let path = self.path(error);
        let message = format!("{} fits more than one of its alternatives", Subject::of(&path));
        let schemas = self.subschema(error).get("oneOf").and_then(Value::as_array).into_iter().flatten();
        let fitting = schemas.zip(alternatives).filter(|(_, errors)| errors.is_empty());
        let keys: BTreeSet<&str> = fitting
            .filter_map(|(schema, _)| schema.get("required")?.as_array())
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let hint = (keys.len() > 1).then(|| format!("keep only one of {}", wording::list(keys)));
        Violation { path, on_key: false, missing: None, message, hint }
    }

    /// Says the alternatives in one sentence where they differ in one word each.
    fn merged(
        self,
        error: &ValidationError,
        near: &[&Alternative],
        distance: Option<Distance>,
    ) -> Option<Wording> {
        let path = self.path(error);
        let subject = Subject::of(&path);
        let value = error.instance().as_ref();
        if distance == Some(Distance::Type) {
            let types = near.iter().flat_map(|errors| errors.iter()).filter(|inner| is_at(error, inner));
            let mut expected: Vec<_> = types.filter_map(expected_types).flatten().collect();
            expected.sort();
            expected.dedup();
            return Some(wording::wrong_type(&subject, &expected, value));
        }
        let only: Vec<_> = near.iter().map(|errors| only_error_at(error, errors)).collect::<Option<_>>()?;
        let options: Option<Vec<Value>> =
            only.iter().map(|inner| options(inner)).collect::<Option<Vec<_>>>().map(|all| all.concat());
        if let Some(options) = options {
            return Some(wording::wrong_choice(&subject, &options, value));
        }
        let keys: Vec<&str> = only.iter().map(|inner| missing_key(inner)).collect::<Option<_>>()?;
        (keys.len() > 1).then(|| Wording {
            message: format!("missing one of the keys {}", wording::list(keys)),
            hint: None,
        })
    }
}

fn distance(outer: &ValidationError, errors: &[ValidationError]) -> Distance {
    let worst = errors.iter().map(|inner| match inner.kind() {
        Kind::Type { .. } if is_at(outer, inner) => Distance::Type,
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

fn only_error_at<'e>(
    outer: &ValidationError,
    errors: &'e [ValidationError<'static>],
) -> Option<&'e ValidationError<'static>> {
    match errors {
        [only] if is_at(outer, only) => Some(only),
        _ => None,
    }
}

fn expected_types(error: &ValidationError) -> Option<Vec<jsonschema::types::JsonType>> {
    match error.kind() {
        Kind::Type { kind } => Some(wording::expected_types(kind)),
        _ => None,
    }
}

fn options(error: &ValidationError) -> Option<Vec<Value>> {
    match error.kind() {
        Kind::Enum { options } => options.as_array().cloned(),
        Kind::Constant { expected_value } => Some(vec![expected_value.as_ref().clone()]),
        _ => None,
    }
}

fn missing_key<'e>(error: &'e ValidationError) -> Option<&'e str> {
    match error.kind() {
        Kind::Required { property } => property.as_str(),
        _ => None,
    }
}
