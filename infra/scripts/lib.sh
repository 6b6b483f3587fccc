# shellcheck shell=bash
#
# What the scripts beside this file share: messages, retries, and work on machines of Multipass. Sourced, not run. All of
# them run in bash 3.2, which is the one of macOS.

set -euo pipefail

# Seconds between two tries.
: "${RETRY_PAUSE:=5}"

# The root modules of Terraform, and the folder that `argocd-apps/` and `infra/` are rendered into, from the top of the
# repository.
readonly ROOTS=infra/terraform/clusters
RENDERED=.

# Lets the script, and what it calls, work with what is rendered in a profile; with an empty name, with what is published.
in_profile() {
  export FLEETWRIGHT_PROFILE=$1
  [[ -n $1 ]] || return 0
  RENDERED=infra/profiles/$1
  export TF_VAR_rendered="$PWD/$RENDERED/infra/clusters" TF_VAR_folder="$PWD/$RENDERED/infra/fleet"
}

# Returns whether a cluster runs Argo CD.
is_hub() { [[ -d $RENDERED/argocd-apps/$1/argo-cd ]]; }

# Prints the name of each machine that Terraform believes to be there in a root module.
machines_of() {
  { terraform -chdir="$ROOTS/$1" state list 2>/dev/null || :; } | sed -n 's/.*terraform_data\.machine\["\(.*\)"\]$/\1/p'
}

note() { printf '%s\n' "$1" >&2; }

# Ends the script with a message and, as a second argument, with a way out.
die() {
  printf 'error: %s\n' "$1" >&2
  [[ -z ${2:-} ]] || printf '  hint: %s\n' "$2" >&2
  exit 1
}

# Runs a command up to so many times. `set -e` has no effect inside it: a function that is run so joins its steps by `&&`.
retry() {
  local tries=$1 try=1
  shift
  until "$@"; do
    ((try < tries)) || return 1
    try=$((try + 1))
    note "failed: $*; try $try of $tries follows"
    sleep "$RETRY_PAUSE"
  done
}

# Ends the script unless Terraform set these variables.
need() {
  local name
  for name in "$@"; do
    [[ -n ${!name+set} ]] || die "\`$name\` is not set" 'this script is called by Terraform: see docs/platform/machines.md'
  done
}

# The ledger has a file for each thing that a script works on: `begun`, then `making` once what it finds is its own, then `done`;
# the number of the attempt; a mark of what it makes; and its process, while it runs. A script may live on when its
# Terraform was killed, so the next one waits for it.
begin() {
  local process word=begun
  process=$(ledger "$1" 4)
  while [[ -n $process && $(ps -p "$process" -o args=) == *scripts/* ]]; do
    note "$1: waits for process $process, which works on it"
    sleep 1
  done
  ! is_half_made "$1" || word=making
  record "$1" "$word $(new_number) $(ledger "$1" 3) $$"
}

# Writes down that what there is and what comes is this script's own, and has a new mark.
make() { record "$1" "making $(new_number) $(new_number) $$"; }

# Writes down that it is done, with the number that Terraform knows, and the mark.
finish() { record "$1" "done $ATTEMPT $2"; }

record() {
  mkdir -p "$LEDGER"
  printf '%s\n' "$2" >"$LEDGER/$1.new"
  mv "$LEDGER/$1.new" "$LEDGER/$1"
}

# Prints a field of what is written down about something, or nothing.
ledger() { awk -v field="$2" '{ print $field }' "$LEDGER/$1" 2>/dev/null || :; }

new_number() { printf '%s-%s%s\n' "$$" "$RANDOM" "$RANDOM"; }

# Returns whether an attempt to make something did not come to its end.
is_half_made() { [[ $(ledger "$1" 1) == making ]]; }

# Prints the state of a machine as Multipass has it, or `Absent`.
state_of() {
  local list
  list=$(retry 3 multipass list --format csv </dev/null) || die 'failed to list the machines of Multipass'
  awk -F, -v name="$1" 'NR > 1 && $1 == name { state = $2 } END { print state == "" ? "Absent" : state }' <<<"$list"
}

# Runs a command on a machine, without input.
on() {
  local machine=$1
  shift
  multipass exec "$machine" -- "$@" </dev/null
}

# Writes its input to a file of root's that no other user reads. Neither `/dev/stdin`, which is a socket there, nor a here-string,
# which is a file here.
put() { multipass exec "$1" -- sudo sh -c "umask 077 && mkdir -p \"\${1%/*}\" && cat >\"\$1\"" sh "$2"; }

# Returns 0 if a machine has a file, 1 if not, and something else if that cannot be found out.
has() {
  local machine=$1 path=$2 try status
  for try in 1 2 3; do
    status=0
    on "$machine" sudo test -e "$path" || status=$?
    ((status > 1 && try < 3)) || break
    sleep "$RETRY_PAUSE"
  done
  return "$status"
}

# Removes a machine for good, whatever its state. `multipass purge` would take deleted machines of others along.
purge() {
  [[ $(state_of "$1") == Absent ]] || multipass delete --purge "$1" </dev/null
}

# Starts a machine that is stopped.
start() {
  case $(state_of "$1") in
    Stopped | Suspended) multipass start "$1" </dev/null ;;
  esac
}

# Prints a quantity of memory in MiB. Multipass counts in powers of two whatever the unit is called.
in_mebibytes() {
  awk -v quantity="$1" 'BEGIN {
    number = quantity + 0
    if (quantity ~ /G/) number *= 1024
    else if (quantity ~ /K/) number /= 1024
    else if (quantity !~ /M/) number /= 1048576
    print int(number + 0.5)
  }'
}

# Returns whether a setting of a machine has a value. Multipass shows one decimal of a quantity.
is_set_to() {
  local machine=$1 setting=$2 wanted=$3 actual
  actual=$(retry 3 multipass get "local.$machine.$setting" </dev/null) || die "failed to read the size of machine \`$machine\`"
  [[ $actual != "$wanted" ]] || return 0
  [[ $setting != cpus ]] || return 1
  awk -v actual="$(in_mebibytes "$actual")" -v wanted="$(in_mebibytes "$wanted")" \
    'BEGIN { off = actual - wanted; exit !((off < 0 ? -off : off) <= wanted / 20) }'
}

# Returns whether a machine has this size.
is_of_size() {
  is_set_to "$1" cpus "$2" && is_set_to "$1" memory "$3" && is_set_to "$1" disk "$4"
}

# Gives a machine this size; it is stopped for that.
resize() {
  local machine=$1
  note "$machine: its size becomes $2 CPUs, $3 of memory, $4 of disk"
  multipass stop "$machine" </dev/null &&
    change "$machine" cpus "$2" && change "$machine" memory "${3}B" && change "$machine" disk "${4}B" &&
    multipass start "$machine" </dev/null
}

change() {
  is_set_to "$1" "$2" "$3" || multipass set "local.$1.$2=$3" </dev/null
}
