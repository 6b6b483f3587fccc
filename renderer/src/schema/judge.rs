//! Compiled schemas, and the violations that a value has of them.

use std::collections::BTreeSet;

use crate::key_path::Step;
use crate::network::FORMATS;
use crate::path::RepoPath;
use crate::problem::did_you_mean;
use jsonschema::PatternOptions;
use jsonschema::error::{ValidationError, ValidationErrorKind};
use serde_json::Value;

use super::alternatives;
use super::cost::{self, MAX_REASONED_STEPS, MAX_STEPS};
use super::violation::{SchemaError, Violation};
use super::wording::{self, MAX_LISTED, subject};

/// How many faults of one value are listed.
const MAX_VIOLATIONS: usize = 100;
/// How large one pattern may become when it is compiled.
const MAX_PATTERN_BYTES: usize = 256 * 1024;

/// A compiled JSON Schema, draft 2020-12 unless it names another.
///
/// A sub-schema may carry `x-hint`: what to write there, for people. The formats of the draft are asserted,
/// and so are those of addresses: `ip`, `cidr` and `address-range`.
#[derive(Debug)]
pub struct Schema {
    source: Value,
    validator: jsonschema::Validator,
    /// With how many parts of it a value is compared at most.
    parts: usize,
    file: Option<RepoPath>,
}

impl Schema {
    /// Compiles a schema; fails on one that is not valid, that refers to another document, or that costs too
    /// much whatever it judges. Patterns have no look-around and no back-references, so that the time of a
    /// match is bounded.
    pub fn compile(schema: &Value) -> Result<Self, SchemaError> {
        Self::with_parts(schema, cost::parts_at_most(schema)?)
    }

    /// Compiles a schema of our own, which is valid and costs no more than the value has parts.
    ///
    /// # Panics
    ///
    /// If it is not valid.
    pub(crate) fn own(schema: &Value) -> Self {
        Self::with_parts(schema, 0).expect("a schema of our own is valid")
    }

    fn with_parts(schema: &Value, parts: usize) -> Result<Self, SchemaError> {
        let options = jsonschema::options()
            .offline()
            .with_pattern_options(PatternOptions::regex().size_limit(MAX_PATTERN_BYTES))
            .should_validate_formats(true);
        let validator = FORMATS
            .into_iter()
            .fold(options, |options, (format, is_valid)| options.with_format(format, is_valid))
            .build(schema)
            .map_err(|error| SchemaError::new(error.instance_path().to_string(), error.to_string()))?;
        Ok(Self { source: schema.clone(), validator, parts, file: None })
    }

    /// Names the file that a person must edit if the schema can't be judged by.
    pub(crate) fn in_file(self, file: &RepoPath) -> Self {
        Self { file: Some(file.clone()), ..self }
    }

    /// Returns the places where `value` breaks the schema, in the order of their paths, each once, and a
    /// hundred at most.
    ///
    /// A value that would take too long to judge breaks it as a whole.
    #[must_use]
    pub fn violations(&self, value: &Value) -> Vec<Violation> {
        let steps = cost::steps(&self.source, value, self.parts);
        if steps > MAX_STEPS {
            return vec![self.too_many_steps()];
        }
        if self.validator.is_valid(value) {
            return Vec::new();
        }
        if steps > MAX_REASONED_STEPS {
            return vec![in_whole("the document does not fit its schema, in too many ways to list")];
        }
        let errors: Vec<_> = self.validator.iter_errors(value).take(MAX_VIOLATIONS).collect();
        let judge = Judge { schema: &self.source, value };
        judge.all(&errors).into_iter().take(MAX_VIOLATIONS).collect()
    }

    fn too_many_steps(&self) -> Violation {
        let file = self.file.as_ref();
        let schema = file.map_or("its schema".to_owned(), |file| format!("the schema in `{file}`"));
        in_whole(format!("{schema} takes more than {MAX_STEPS} steps to judge the document"))
    }
}

/// A violation of the value as a whole.
fn in_whole(message: impl Into<String>) -> Violation {
    let hint = "simplify the schema: alternatives that repeat the same parts inside each other double the work \
                with each level";
    Violation::new(Vec::new(), message, Some(hint.to_owned()))
}

/// Turns the errors of the crate into violations, with both the schema and the value at hand.
#[derive(Clone, Copy)]
struct Judge<'a> {
    schema: &'a Value,
    value: &'a Value,
}

impl<'a> Judge<'a> {
    fn all(self, errors: &[ValidationError]) -> BTreeSet<Violation> {
        errors
            .iter()
            .filter(|error| !is_reported_better_by_another(error, errors))
            .flat_map(|error| self.one(error))
            .collect()
    }

    fn one(self, error: &ValidationError) -> Vec<Violation> {
        match error.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected }
            | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
                unexpected.iter().take(MAX_VIOLATIONS).map(|key| self.unknown_key(error, key)).collect()
            }
            ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
                match alternatives::meant(error, &subject(&self.path(error)), context) {
                    Err(errors) => self.all(errors).into_iter().collect(),
                    Ok(wording) => {
                        let hint = wording.hint.or_else(|| wording::hint_of(self.subschema(error)));
                        vec![Violation::new(self.path(error), wording.message, hint)]
                    }
                }
            }
            ValidationErrorKind::OneOfMultipleValid { context } => {
                let path = self.path(error);
                let message = format!("{} fits more than one of its alternatives", subject(&path));
                vec![Violation::new(path, message, alternatives::mixed(self.subschema(error), context))]
            }
            ValidationErrorKind::PropertyNames { error: inner } => vec![self.bad_key(error, inner)],
            ValidationErrorKind::FalseSchema => vec![self.forbidden(error)],
            _ => vec![self.worded(error)],
        }
    }

    fn worded(self, error: &ValidationError) -> Violation {
        let path = self.path(error);
        let mut wording = wording::of(error, &subject(&path), self.written_hint(error));
        // A number is no address, and neither is one in quotes.
        if matches!(error.kind(), ValidationErrorKind::Type { .. })
            && error.instance().is_number()
            && self.is_address(error)
        {
            wording.hint = self.written_hint(error);
        }
        let missing = alternatives::missing_key(error).map(str::to_owned);
        Violation { missing, ..Violation::new(path, wording.message, wording.hint) }
    }

    fn is_address(self, error: &ValidationError) -> bool {
        let format = self.subschema(error).get("format").and_then(Value::as_str);
        FORMATS.iter().any(|(name, _)| Some(*name) == format)
    }

    fn unknown_key(self, error: &ValidationError, key: &str) -> Violation {
        let taken = error.instance().as_ref();
        let mut known = BTreeSet::new();
        self.collect_known_keys(self.subschema(error), &mut Vec::new(), &mut known);
        let free = known.iter().copied().filter(|name| taken.get(name).is_none());
        let hint = match did_you_mean(key, free) {
            Some(near) => Some(format!("did you mean `{near}`?")),
            None if (1..=MAX_LISTED).contains(&known.len()) => {
                Some(format!("known keys: {}", wording::list(known.iter().copied())))
            }
            None => None,
        };
        let key_text = key.escape_debug();
        self.on_key(error, key, format!("unknown key `{key_text}`"), hint)
    }

    fn bad_key(self, error: &ValidationError, inner: &ValidationError) -> Violation {
        let key = inner.instance().as_str().unwrap_or_default();
        let written = wording::hint_of(self.subschema(inner));
        let subject = format!("key `{}`", key.escape_debug());
        let message = match (inner.kind(), &written) {
            (ValidationErrorKind::Pattern { .. }, Some(_)) => {
                format!("{} is not a valid key", wording::show(inner.instance().as_ref()))
            }
            (ValidationErrorKind::Pattern { pattern }, None) => {
                format!("{subject} does not match `{pattern}`")
            }
            _ => {
                let wording = wording::of(inner, &subject, written);
                return self.on_key(error, key, wording.message, wording.hint);
            }
        };
        self.on_key(error, key, message, written)
    }

    fn forbidden(self, error: &ValidationError) -> Violation {
        let path = self.path(error);
        let on_key = matches!(path.last(), Some(Step::Key(_)));
        let message = format!("{} is not allowed here", subject(&path));
        Violation { on_key, ..Violation::new(path, message, None) }
    }

    fn on_key(self, error: &ValidationError, key: &str, message: String, hint: Option<String>) -> Violation {
        let mut path = self.path(error);
        path.push(Step::Key(key.to_owned()));
        Violation { on_key: true, ..Violation::new(path, message, hint) }
    }

    /// The `x-hint` of the schema for what to write there; for a missing key, what to write for that key.
    fn written_hint(self, error: &ValidationError) -> Option<String> {
        let subschema = self.subschema(error);
        match alternatives::missing_key(error) {
            Some(key) => wording::hint_of(self.resolve(subschema.get("properties")?.get(key)?)),
            None => wording::hint_of(subschema),
        }
    }

    /// Walks the value along the error's pointer, since only the value distinguishes the key `0` from the index 0.
    fn path(self, error: &ValidationError) -> Vec<Step> {
        let mut at = Some(self.value);
        pointer_segments(error.instance_path().as_str())
            .map(|segment| {
                if let Some(Value::Array(items)) = at {
                    let index = segment.parse().unwrap_or_default();
                    at = items.get(index);
                    Step::Index(index)
                } else {
                    at = at.and_then(|value| value.get(&segment));
                    Step::Key(segment)
                }
            })
            .collect()
    }

    /// Returns the sub-schema that holds the keyword that failed.
    fn subschema(self, error: &ValidationError) -> &'a Value {
        let pointer = error.schema_path().as_str();
        let keyword = format!("/{}", error.kind().keyword());
        let holder = pointer.rfind(&keyword).map_or(pointer, |end| &pointer[..end]);
        self.schema.pointer(holder).unwrap_or(&Value::Null)
    }

    /// Follows a `$ref` inside the document, once: chains of references do not occur in the schemas at hand.
    fn resolve(self, schema: &'a Value) -> &'a Value {
        let target = schema.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix('#'));
        target.and_then(|pointer| self.schema.pointer(pointer)).unwrap_or(schema)
    }

    /// Collects the keys that a sub-schema names, through the keywords that apply to the same map.
    fn collect_known_keys(self, schema: &'a Value, seen: &mut Vec<&'a str>, known: &mut BTreeSet<&'a str>) {
        if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
            known.extend(
                properties.iter().filter(|(_, value)| **value != Value::Bool(false)).map(|(key, _)| &**key),
            );
        }
        if let Some(target) = schema.get("$ref").and_then(Value::as_str)
            && !seen.contains(&target)
        {
            seen.push(target);
            self.collect_known_keys(self.resolve(schema), seen, known);
        }
        let lists = ["allOf", "anyOf", "oneOf"].iter().filter_map(|keyword| schema.get(keyword)?.as_array());
        let single = ["if", "then", "else"].iter().filter_map(|keyword| schema.get(keyword));
        for part in lists.flatten().chain(single) {
            self.collect_known_keys(part, seen, known);
        }
    }
}

/// A wrong type is not reported where the permitted values themselves are, nor a missing key where it is there and
/// misspelt.
fn is_reported_better_by_another(error: &ValidationError, all: &[ValidationError]) -> bool {
    let mut here = all.iter().filter(|other| other.instance_path() == error.instance_path());
    if matches!(error.kind(), ValidationErrorKind::Type { .. }) {
        return here.any(alternatives::is_choice);
    }
    let Some(missing) = alternatives::missing_key(error) else { return false };
    here.any(|other| match other.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            unexpected.iter().any(|key| did_you_mean(key, [missing]).is_some())
        }
        _ => false,
    })
}

fn pointer_segments(pointer: &str) -> impl Iterator<Item = String> {
    pointer.split('/').skip(1).map(|segment| segment.replace("~1", "/").replace("~0", "~"))
}
