//! Fluent Bit: where the outputs of its classic configuration send logs.

use crate::checks::{ClusterLabel, Ends, Finding, Part, Sender};
use crate::key_path::{Step, key};
use crate::yaml::Value;

/// Where the `loki` output sends to when it says nothing.
const DEFAULT_HOST: &str = "127.0.0.1";
const DEFAULT_PORT: &str = "3100";
const DEFAULT_PATH: &str = "/loki/api/v1/push";
/// Where the outputs are described in the chart's values.
const OUTPUTS: [&str; 2] = ["config", "outputs"];

/// Reads where Fluent Bit sends logs.
pub(super) fn read(values: &Value, ends: &mut Ends) {
    let path = OUTPUTS.map(key);
    let Some(text) = values.text_at(&OUTPUTS) else {
        let message = "logs go to `elasticsearch-master`, as the chart does by default";
        let hint = "write an `[OUTPUT]` with `Name loki` to `config.outputs`";
        ends.faults.push(Finding::new(&path, message).hint(hint));
        return;
    };
    let outputs: Vec<_> = sections(text).into_iter().filter(Section::is_loki).collect();
    ends.cluster_label = outputs.iter().find_map(|output| output.cluster_label(&path));
    ends.senders.extend(outputs.iter().map(|output| Sender { path: path.to_vec(), ..output.sender() }));
}

/// An `[OUTPUT]` of Fluent Bit's classic configuration.
#[derive(Debug)]
struct Section<'t> {
    line: usize,
    /// Line, name and value of each property; names know no case.
    properties: Vec<(usize, &'t str, &'t str)>,
}

fn sections(text: &str) -> Vec<Section<'_>> {
    let mut sections: Vec<Section<'_>> = Vec::new();
    let mut is_output = false;
    for (line, written) in text.lines().enumerate() {
        let written = written.trim();
        if let Some(name) = written.strip_prefix('[') {
            is_output = name.trim_end_matches(']').trim().eq_ignore_ascii_case("output");
            if is_output {
                sections.push(Section { line, properties: Vec::new() });
            }
        } else if let Some(section) = sections.last_mut().filter(|_| is_output && !written.starts_with('#'))
            && let Some((name, value)) = written.split_once([' ', '\t'])
        {
            section.properties.push((line, name, value.trim()));
        }
    }
    sections
}

impl Section<'_> {
    fn property(&self, wanted: &str) -> Option<(usize, &str)> {
        let mut properties = self.properties.iter();
        let (line, _, value) = properties.find(|(_, name, _)| name.eq_ignore_ascii_case(wanted))?;
        Some((*line, value))
    }

    fn text(&self, wanted: &str) -> Option<&str> {
        self.property(wanted).map(|(_, value)| value)
    }

    fn is_loki(&self) -> bool {
        self.text("name").is_some_and(|name| name.eq_ignore_ascii_case("loki"))
    }

    fn sender(&self) -> Sender {
        let is_on = |value: &str| ["on", "true", "yes"].iter().any(|on| value.eq_ignore_ascii_case(on));
        let scheme = if self.text("tls").is_some_and(is_on) { "https" } else { "http" };
        let (line, host) = self.property("host").unwrap_or((self.line, DEFAULT_HOST));
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let port = self.text("port").unwrap_or(DEFAULT_PORT);
        let path = self.text("uri").unwrap_or(DEFAULT_PATH);
        let is_named = ["tenant_id", "tenant_id_key"].iter().any(|name| self.text(name).is_some());
        let is_proven = scheme == "https" && self.text("tls.crt_file").is_some();
        Sender {
            path: Vec::new(),
            part: Part::Line(line),
            url: format!("{scheme}://{host}:{port}{path}"),
            unnamed_tenant: (!is_named).then(|| "`Tenant_id`".to_owned()),
            unnamed_certificate: (!is_proven).then(|| "`tls.crt_file`".to_owned()),
        }
    }

    /// Reads the label with the cluster's name; nothing if labels are taken from what each record holds.
    fn cluster_label(&self, path: &[Step]) -> Option<ClusterLabel> {
        let (line, labels) = self.property("labels").unwrap_or((self.line, ""));
        let mut labels = labels.split(',').filter_map(|label| label.split_once('='));
        let label = labels.find(|(name, _)| name.trim() == "cluster").map(|(_, value)| value.trim());
        let is_from_record = label.is_some_and(|value| value.starts_with('$'))
            || self.text("label_map_path").is_some()
            || self.text("label_keys").is_some_and(|keys| keys.contains("$cluster"));
        (!is_from_record).then(|| ClusterLabel {
            path: path.to_vec(),
            part: Part::Line(line),
            value: label.map(str::to_owned),
            hint: "write `cluster={{cluster.name}}` among the `Labels` of the output".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_read_as_fluent_bit_reads_them() {
        let text = "[FILTER]\n    Name x\n[output]\n    # Host 10.0.0.9\n    name\tLoki\n    HOST  10.0.0.1\n    tls on\n";
        let [section] = &sections(text)[..] else { panic!("one output") };
        assert!(section.is_loki());
        assert_eq!(section.sender().url, "https://10.0.0.1:3100/loki/api/v1/push");
        assert_eq!(section.sender().part, Part::Line(5));
    }

    #[test]
    fn a_label_that_comes_from_the_record_is_not_judged() {
        let label = |line: &str| {
            let text = format!("[OUTPUT]\n  Name loki\n  {line}\n");
            sections(&text)[0].cluster_label(&[]).map(|label| label.value)
        };
        assert_eq!(label("Labels job=x, cluster = app"), Some(Some("app".to_owned())));
        assert_eq!(label("Labels job=x"), Some(None));
        assert_eq!(label("Labels cluster=$cluster"), None);
        assert_eq!(label("label_keys $namespace,$cluster"), None);
    }
}
