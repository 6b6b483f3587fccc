//! How fast YAML is read and written, on a values file of about 1.2 KB as a fleet has tens of thousands of.

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use fleetwright_renderer::yaml::{Value, interpret, parse, write_to};

const VALUES: &str = "\
global:
  clusterName: eu-west-1-payments
  imageRegistry: registry.example.org
  labels:
    region: eu-west-1
    team: payments
    \"on\": \"yes\"
prometheus:
  enabled: true
  prometheusSpec:
    replicas: 2
    retention: 15d
    externalLabels:
      cluster: eu-west-1-payments
    remoteWrite:
      - url: http://prometheus.control.example.org:9090/api/v1/write
        queueConfig:
          maxSamplesPerSend: 2000
          capacity: 10000
        writeRelabelConfigs:
          - sourceLabels:
              - __name__
            regex: \"go_gc_.*|process_.*\"
            action: drop
    resources:
      requests:
        cpu: 500m
        memory: 2Gi
      limits:
        memory: 4Gi
    nodeSelector: {}
    tolerations: []
grafana:
  enabled: false
  ingress:
    hosts:
      - grafana.eu-west-1.example.org
    tls: null
  grafana.ini: |
    [server]
    root_url = https://grafana.eu-west-1.example.org
    serve_from_sub_path = true

    [auth]
    disable_login_form = false
alertmanager:
  config:
    route:
      receiver: slack
      group_wait: 30s
      repeat_interval: 12h
    receivers:
      - name: slack
        slack_configs:
          - channel: \"#alerts\"
            send_resolved: true
            text: 'https://runbooks.example.org/{{ .GroupLabels.alertname }}'
";

fn main() {
    divan::main();
}

fn value() -> Value {
    interpret(&parse(VALUES).expect("the document is YAML")[0]).expect("the document is not ambiguous")
}

#[divan::bench]
fn read_into_nodes(bencher: Bencher<'_, '_>) {
    bencher.counter(BytesCount::of_str(VALUES)).bench(|| parse(black_box(VALUES)));
}

#[divan::bench]
fn interpret_nodes(bencher: Bencher<'_, '_>) {
    let nodes = parse(VALUES).expect("the document is YAML");
    bencher.counter(BytesCount::of_str(VALUES)).bench(|| interpret(black_box(&nodes[0])));
}

#[divan::bench]
fn write_value(bencher: Bencher<'_, '_>) {
    let value = value();
    let mut out = String::with_capacity(2 * VALUES.len());
    bencher.counter(BytesCount::of_str(VALUES)).bench_local(|| {
        out.clear();
        write_to(&mut out, black_box(&value));
        out.len()
    });
}
