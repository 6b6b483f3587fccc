//! What queries find: the answers of Prometheus, Loki and Tempo as numbers, and whether these are within limits.
//!
//! Prometheus documents its answers under "HTTP API", Loki takes over the same form for metric queries, and Tempo lists
//! traces.

use renderer::catalog::{Language, Limit};
use renderer::plural::{counted, listed};
use renderer::span;
use renderer::verify::LiveQuery;
use renderer::visible::shortened;
use serde_json::Value;

use super::finding::{Found, MAX_NAMED, Verdict, is_within};

/// How many results are read.
const MAX_SAMPLES: usize = 10_000;
/// How much of the labels of a result is shown, in characters.
const MAX_LABELS: usize = 120;

/// A result of a query.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// What distinguishes it from the others.
    pub labels: String,
    /// The number.
    pub value: f64,
}

/// Reads what answered a query. Where the answer is none, returns why.
pub fn read(language: Language, answer: &Value) -> Result<Vec<Sample>, String> {
    if language == Language::Traceql {
        let traces = answer.get("traces").map_or(Some(0), |traces| Some(traces.as_array()?.len()));
        let number = traces.ok_or_else(|| "the answer is no list of traces".to_owned())?;
        let sample =
            Sample { labels: String::new(), value: f64::from(u32::try_from(number).unwrap_or(u32::MAX)) };
        return Ok((number > 0).then_some(sample).into_iter().collect());
    }
    let kind = answer.pointer("/data/resultType").and_then(Value::as_str).unwrap_or_default();
    let result = answer.pointer("/data/result");
    match (kind, result) {
        ("scalar", Some(value)) => sample(&Value::Null, value).map(|sample| vec![sample]),
        ("vector", Some(Value::Array(results))) => {
            let results = results.iter().take(MAX_SAMPLES);
            results.map(|it| sample(&it["metric"], &it["value"])).collect()
        }
        ("", _) => Err("the answer is not that of a query".to_owned()),
        (kind, _) => Err(format!("the query finds a {} and no numbers of now", shortened(kind, MAX_LABELS))),
    }
}

/// Reads a pair of a time and a number that is written as a text.
fn sample(metric: &Value, pair: &Value) -> Result<Sample, String> {
    let value = pair.get(1).and_then(Value::as_str).and_then(number);
    let value = value.ok_or_else(|| "a result is no number".to_owned())?;
    let labels = metric.as_object().into_iter().flatten();
    let labels = labels.map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()));
    let labels = labels.collect::<Vec<_>>().join(" ");
    Ok(Sample { labels: shortened(&labels, MAX_LABELS).into_owned(), value })
}

fn number(text: &str) -> Option<f64> {
    match text {
        "+Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        text => text.parse().ok(),
    }
}

/// Returns whether a query found anything.
#[must_use]
pub const fn has_result(samples: &[Sample]) -> bool {
    !samples.is_empty()
}

/// Decides whether there is a result, and each is within the limits.
#[must_use]
pub fn results(query: &LiveQuery, samples: &[Sample]) -> Found {
    let limit = |limit: &Option<Limit>| limit.as_ref().and_then(Limit::value);
    let (least, most) = (limit(&query.at_least), limit(&query.at_most));
    let is_time =
        [&query.at_least, &query.at_most].into_iter().any(|limit| matches!(limit, Some(Limit::Span(_))));
    let shown = |sample: &Sample| {
        let value = if is_time { time(sample.value) } else { plain(sample.value) };
        if sample.labels.is_empty() { value } else { format!("{}: {value}", sample.labels) }
    };
    if samples.is_empty() {
        return (Verdict::Failed, "nothing is found".to_owned());
    }
    let wrong: Vec<_> = samples.iter().filter(|it| !is_within(it.value, least, most)).map(shown).collect();
    if wrong.is_empty() {
        let first = samples.iter().map(shown);
        return (Verdict::Passed, listed(first.collect::<Vec<_>>(), MAX_NAMED));
    }
    let limits = [("at least", &query.at_least), ("at most", &query.at_most)].into_iter();
    let limits = limits.filter_map(|(words, limit)| Some(format!("{words} {}", written(limit.as_ref()?))));
    let limits = limits.collect::<Vec<_>>().join(" and ");
    let of = if samples.len() > 1 {
        format!("{} of {}: ", wrong.len(), counted(samples.len(), "result"))
    } else {
        String::new()
    };
    (Verdict::Failed, format!("{of}{}, and not {limits}", listed(&wrong, MAX_NAMED)))
}

fn written(limit: &Limit) -> String {
    match limit {
        Limit::Number(number) => number.to_string(),
        Limit::Span(it) => it.seconds().map(span::text).unwrap_or_default(),
    }
}

fn plain(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value}") } else { format!("{value:.3}") }
}

fn time(seconds: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "what is too large becomes the largest")]
    let whole = seconds.round() as i64;
    if seconds.is_finite() { span::text(whole) } else { plain(seconds) }
}
