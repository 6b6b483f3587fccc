# The commands of daily work. `just` alone lists them.

_default:
    @just --list --unsorted

# Run every gate that CI runs, or only those named: `just check fmt clippy`.
check *gates:
    .ci/run {{ gates }}

# Run the tests.
test *args:
    cargo test --workspace {{ args }}

# Run the gates that need no test: format, clippy, documentation, workflows, shell, YAML, links.
lint:
    .ci/run fmt clippy doc workflows shell yaml links paths

# Fuzz a target for some seconds, with libFuzzer if it can be built here: `just fuzz yaml 300`.
fuzz target seconds="60":
    fuzz/run {{ target }} {{ seconds }}

# Measure: compare figures only within one run.
bench *args:
    cargo bench --workspace {{ args }}

# Show the whole path on a throwaway copy: an edit, a push, the pull request, the merge.
demo:
    cargo run -- demo

# Render the repository's own fleet.
render:
    cargo run -q -- render

# Write the JSON Schemas that editors complete with.
schemas:
    mkdir -p docs/reference/schemas
    for kind in inventory defaults fleet profile addon; do cargo run -q -- schema "$kind" >"docs/reference/schemas/$kind.schema.json" || exit 1; done

# Write the tables and diagrams of the documentation anew, from what is rendered.
tables:
    UPDATE=1 cargo test -q -p fleetwright --test book

# Build the book below target/book, with its tables anew.
book: tables
    .ci/run book
