//! Vault: whether its own configuration listens as the chart takes it to.

use crate::checks::{Ends, Finding, Part};
use crate::key_path::{keys, text_of};
use crate::yaml::Value;

/// Reads whether the listener fits the values.
pub(super) fn read(values: &Value, ends: &mut Ends) {
    ends.faults.extend(listener_fault(values));
}

fn is_on(values: &Value, path: &[&str]) -> bool {
    values.at(path) == Some(&Value::Bool(true))
}

/// Vault's own configuration is a text that the chart does not look into; its probes and addresses follow
/// `tlsDisable`.
fn listener_fault(values: &Value) -> Option<Finding> {
    let path: &[&str] = if !is_on(values, &["server", "ha", "enabled"]) {
        &["server", "standalone", "config"]
    } else if is_on(values, &["server", "ha", "raft", "enabled"]) {
        &["server", "ha", "raft", "config"]
    } else {
        &["server", "ha", "config"]
    };
    let config = match values.at(path) {
        None => None,
        Some(Value::String(text)) => Some(text.as_str()),
        // In another form, what the listener does is not read here.
        Some(_) => return None,
    };
    // The chart's own text turns TLS off.
    let (line, is_off) = config.map_or((None, true), tls_of_listener);
    let is_plain = values.at(&["global", "tlsDisable"]) != Some(&Value::Bool(false));
    if is_off == is_plain {
        return None;
    }
    let says = |is_plain| if is_plain { "without TLS" } else { "with TLS" };
    let message =
        format!("Vault listens {}, and the chart takes it to listen {}", says(is_off), says(is_plain));
    let hint = format!("make `tls_disable` in `{}` agree with `global.tlsDisable`", text_of(&keys(path)));
    let place = if config.is_some() { keys(path) } else { keys(&["global", "tlsDisable"]) };
    Some(Finding::new(&place, message).on(line.map_or(Part::Value, Part::Line)).hint(hint))
}

/// Reads whether a listener turns TLS off, and the line that says so or, if none does, opens the listener.
fn tls_of_listener(config: &str) -> (Option<usize>, bool) {
    let mut opens = None;
    for (line, written) in config.lines().enumerate() {
        let written = written.trim();
        if written.starts_with("listener") {
            opens.get_or_insert(line);
        }
        if let Some(value) =
            written.strip_prefix("tls_disable").and_then(|rest| rest.trim_start().strip_prefix('='))
        {
            let value = value.split('#').next().unwrap_or("").trim().trim_matches('"');
            return (Some(line), ["1", "true"].contains(&value));
        }
    }
    (opens, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_says_in_several_ways_that_it_does_without_tls() {
        for (config, told) in [
            ("listener \"tcp\" {\n  tls_disable = 1\n}", (Some(1), true)),
            ("listener \"tcp\" {\n  tls_disable=\"true\" # for now\n}", (Some(1), true)),
            ("listener \"tcp\" {\n  tls_disable = 0\n}", (Some(1), false)),
            (
                "ui = true\nlistener \"tcp\" {\n  tls_cert_file = \"/tls/tls.crt\"\n  tls_disable_client_certs = true\n}",
                (Some(1), false),
            ),
        ] {
            assert_eq!(tls_of_listener(config), told, "{config}");
        }
    }
}
