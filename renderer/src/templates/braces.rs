//! How to write braces that are meant for another program.

/// How to write braces that are meant for another program.
pub(super) const HINT: &str = "braces for another program are written `\\{{ … }}`, in quotes or a block scalar, or stand in a raw block";

/// Adds it to another hint.
pub(super) fn or_else(hint: &str) -> String {
    let pause = if hint.ends_with('?') { "" } else { ";" };
    format!("{hint}{pause} {HINT}")
}
