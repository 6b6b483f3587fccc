#!/usr/bin/env bash
#
# Runs the shipped platform on two real clusters (testkit/real/README.md), and writes what was shown, with times, into the book:
# docs/testing/results.md, and the steps of docs/platform/deployments.md. `multi-cluster-tests.sh DIR` writes into another folder.
# If anything fails, nothing is written, and the exit code is not 0.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# The parts of the results, in their order: what a test prints as a case of another part is a fault.
readonly PARTS=('Installation' 'Control alone' 'App alone' 'Cross-cluster' 'Final objects' 'Data flow' 'Backups' 'Chaos' 'Machines' 'Workflows')
readonly STEPS='From push to healthy'

main() {
  local book=${1:-docs} log
  log=$(mktemp)
  # The name is known here and not when the script ends.
  # shellcheck disable=SC2064
  trap "jobs -p | xargs --no-run-if-empty kill; rm -f '$log' '$log.patient'" EXIT
  testkit/real/fetch
  run_tests "$log"
  check_parts "$log"
  mkdir -p "$book/testing"
  results "$log" >"$book/testing/results.md"
  if [[ -f $book/platform/deployments.md ]]; then
    insert_steps "$log" "$book/platform/deployments.md"
  fi
}

# A cluster takes what memory and cores there are; two tests at a time take longer than one after the other. Only what waits most of
# the time runs beside the others.
run_tests() {
  local log=$1 patient
  cargo test --locked --workspace --no-run
  run_patient_tests "$log.patient" &
  patient=$!
  real "$log" --skip chaos::
  # The quotes are Markdown's.
  # shellcheck disable=SC2016
  timed "$log" Workflows '`render.yml` for a pull request and for a push, and a workflow for another group' \
    cargo test --locked --workspace --test cli act:: -- --ignored
  wait "$patient"
  cat "$log.patient" >>"$log"
}

run_patient_tests() {
  local log=$1
  real "$log" chaos::
  timed "$log" Chaos 'the service: one hundred fail-overs in the middle of runs' \
    cargo test --locked --workspace --test world failovers:: -- --ignored --nocapture
}

# Runs tests that print their cases; they are added to the log.
real() {
  local log=$1
  shift
  cargo test --locked --workspace --test real -- --ignored --test-threads=1 --nocapture "$@" 2>&1 | tee -a "$log"
}

# Runs tests that print no case of their own as one case of a part.
timed() {
  local log=$1 part=$2 what=$3 started=$SECONDS
  shift 3
  "$@"
  printf 'case\t%s\t%s\t%s\n' "$part" "$what" $((SECONDS - started)) >>"$log"
}

# Prints the cases of a part as rows of a table.
rows() {
  local log=$1 part=$2
  awk -F '\t' -v part="$part" '$1 == "case" && $2 == part { printf "| %s | %s |\n", $3, $4 }' "$log"
}

table() {
  printf '| %s | seconds |\n|---|---:|\n' "$3"
  rows "$1" "$2"
}

check_parts() {
  local log=$1 part
  for part in "${PARTS[@]}" "$STEPS"; do
    if [[ -z $(rows "$log" "$part") ]]; then
      echo "no case of the part \`$part\` was run" >&2
      return 1
    fi
  done
  if awk -F '\t' '$1 == "case" { print $2 }' "$log" | grep -vxF -f <(printf '%s\n' "${PARTS[@]}" "$STEPS"); then
    echo 'the parts above are not in the list of this script' >&2
    return 1
  fi
}

# The version that a component is pinned at.
version() { sed -n "s|^\t*$2 \(v[^ ]*\).*|\1|p" "testkit/real/$1/${3:-go.mod}" | head -n 1; }

results() {
  local log=$1 part
  cat <<EOF
# Results on two clusters

Written by \`tests/integration/multi-cluster-tests.sh\` on $(date -u +%Y-%m-%d), on a machine with $(nproc) cores: two clusters of Kubernetes
$(version kube k8s.io/kubernetes), Argo CD $(version argocd github.com/argoproj/argo-cd/v3), MetalLB $(version metallb go.universe.tf/metallb), Prometheus $(version prometheus github.com/prometheus/prometheus | sed 's/^v0\.3/v3./') with its operator
$(version prometheus github.com/prometheus-operator/prometheus-operator), the OpenTelemetry collector $(version collector go.opentelemetry.io/collector/otelcol), cert-manager $(version cert-manager github.com/cert-manager/cert-manager),
External Secrets $(version external-secrets github.com/external-secrets/external-secrets module.txt). All cases passed
($(awk '/^test result: ok\./ { count += $4 } END { print count }' "$log") tests). What is real and what stands for something is in \`testkit/real/README.md\`.
EOF
  for part in "${PARTS[@]}"; do
    printf '\n## %s\n\n' "$part"
    table "$log" "$part" case
  done
  cat <<'EOF'

## What is not shown

| what | why | what is shown instead |
|---|---|---|
| Loki, Tempo, Grafana | they are not run by these tests | what is sent to them is checked by `fleetwright check`; spans reach a collector behind the gateway |
| logs on their way | Fluent Bit, a program in C, is not built for these tests | `fleetwright check` compares both ends |
| Vault, and the chart's version of External Secrets | OpenBao stands for the one; the other is made of modules that are not published | OpenBao has the same interface; External Secrets in the version above reads what is rendered |
| webhooks of cert-manager and External Secrets | their controllers run without | real API servers hold the objects against the definitions |
| cert-manager and External Secrets beside Argo CD | stand-ins report there that everything is ready, and read Vault | both controllers and OpenBao get what is rendered for both clusters, without Argo CD |
| the mesh, policies of Kyverno, scaling by KEDA, Velero | nothing of them runs | their objects are taken by real API servers |
| kubelets, containers, volumes, networks of pods | nodes and pods are kwok's | schedulers and controllers are real; what the installation does in a pod of Vault is done on this machine |
| what GitHub itself does for workflows | `act` runs one workflow at a time, and knows no path filters, concurrency groups, environments or time limits of jobs; actions from elsewhere are stand-ins | a token of the test kit's GitHub may write what its job is permitted to; `actionlint` and `zizmor` check the files |
| announced addresses | no speaker of MetalLB runs | its controller assigns each address |
| machines of Multipass, kubeadm, the network of pods | nothing virtual runs | the real Terraform and scripts run against a Multipass without machines, and what `kubeadm` would begin are the real API servers |
| MySQL, and the exporters | no machine runs them | the password reaches the machine as input |
| the real charts | stand-ins of the same names and versions come from the chart mirror | `FLEETWRIGHT_CHARTS` holds the values against real charts where they can be had |
EOF
}

# Puts the steps between the markers of a page.
insert_steps() {
  local log=$1 page=$2
  TEXT=$(table "$log" "$STEPS" step) awk '
    /^<!-- measured -->$/ { print; print "\n" ENVIRON["TEXT"] "\n"; inside = 1 }
    /^<!-- end of measured -->$/ { inside = 0 }
    !inside && !/^<!-- measured -->$/ { print }
  ' "$page" >"$page.new"
  mv "$page.new" "$page"
}

main "$@"
