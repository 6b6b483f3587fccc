//! Traces: whether the environment asks for them, by the variables that are standard for OTLP.
//!
//! What sends them is in `traces_otlp`, in builds that have it.

use std::env;

use thiserror::Error;
use tracing_subscriber::Registry;
use tracing_subscriber::layer::Layer;

/// Something that receives what is logged.
pub(super) type Receiver = Box<dyn Layer<Registry> + Send + Sync>;

/// What the variables are called for traces, and for all signals.
const VARIABLES: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES", "OTEL_EXPORTER_OTLP"];

/// Traces are asked for, and cannot be sent.
#[derive(Debug, Error)]
pub enum TracesError {
    /// The build has no exporter.
    #[error(
        "`OTEL_EXPORTER_OTLP_ENDPOINT` asks for traces, which this build does not send: build it with `--features otlp`, \
         or remove the variable"
    )]
    Absent,
    /// The collector is to be reached by another protocol.
    #[error("`OTEL_EXPORTER_OTLP_PROTOCOL` is `{0}`: traces are sent by `http/json` only")]
    Protocol(String),
    /// Another variable is wrong.
    #[error("failed to set up traces: {0}")]
    Variables(String),
}

/// Returns the value of a variable, that for traces before that for all signals.
pub(super) fn variable(end: &str) -> Option<String> {
    let value = |start| env::var(format!("{start}_{end}")).ok().filter(|value| !value.is_empty());
    VARIABLES.into_iter().find_map(value)
}

/// Returns whether the environment names an endpoint for traces.
pub(super) fn are_wanted() -> Result<bool, TracesError> {
    let is_disabled = env::var("OTEL_SDK_DISABLED").is_ok_and(|text| text.eq_ignore_ascii_case("true"));
    if is_disabled || variable("ENDPOINT").is_none() {
        return Ok(false);
    }
    match variable("PROTOCOL").filter(|protocol| protocol != "http/json") {
        Some(other) => Err(TracesError::Protocol(other)),
        None => Ok(true),
    }
}
