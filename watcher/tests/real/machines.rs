//! What machines are made from, held against the programs that read it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a script puts in the place of each placeholder, in the form that `kubeadm` takes.
const PLACEHOLDERS: [(&str, &str); 4] = [
    ("@TOKEN@", "abcdef.0123456789abcdef"),
    ("@CA_CERT_HASH@", "sha256:0000000000000000000000000000000000000000000000000000000000000000"),
    ("@CERTIFICATE_KEY@", "0000000000000000000000000000000000000000000000000000000000000000"),
    ("@ADDRESS@", "192.168.64.32"),
];

fn rendered(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra").join(path)
}

/// Judges a configuration by `kubeadm`, and returns what is wrong with it.
fn faults(configuration: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kubeadm.yaml");
    let filled =
        PLACEHOLDERS.iter().fold(configuration.to_owned(), |text, (place, value)| text.replace(place, value));
    fs::write(&file, filled).unwrap();
    let mut kubeadm = Command::new(testkit::real::kubeadm().unwrap());
    let output = kubeadm.args(["config", "validate", "--config"]).arg(&file).output().unwrap();
    if output.status.success() { String::new() } else { String::from_utf8_lossy(&output.stderr).into_owned() }
}

#[test]
#[ignore = "needs real components: `testkit/real/fetch` brings them in"]
fn kubeadm_takes_the_configuration_of_each_kind_of_node_and_no_unknown_field() {
    for cluster in ["app", "control"] {
        for name in ["init", "join-control-plane", "join-worker"] {
            let text =
                fs::read_to_string(rendered(&format!("clusters/{cluster}/kubeadm/{name}.yaml"))).unwrap();
            assert_eq!(faults(&text), "", "{name} of {cluster}");
            let planted = text.replacen("criSocket:", "criSocked:", 1);
            assert!(faults(&planted).contains("criSocked"), "{name} of {cluster}");
        }
    }
}
