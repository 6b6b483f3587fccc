//! The book says of the fleet what is so: its tables are made from what is rendered, and its prose names no
//! address and no version that the fleet does not have.
//!
//! A table stands between two markers, `<!-- fleetwright: NAME -->` and `<!-- end -->`, in any page of the
//! documentation. `UPDATE=1 cargo test -p fleetwright --test book` writes all of them anew.

#![expect(clippy::unwrap_used, reason = "a test may panic, and so may what it is made of")]

mod buffers;
mod metrics;
mod objects;
mod pages;
mod prose;
mod tables;
mod threats;

use std::path::{Path, PathBuf};

use fleetwright::working_tree::read_working_tree;
use renderer::render::{Rendered, Renderer};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Renders what this repository ships.
fn shipped() -> Rendered {
    let (snapshot, problems) = read_working_tree(&repository()).unwrap();
    assert!(problems.is_empty(), "{problems:?}");
    Renderer::new().render(&snapshot, &()).unwrap()
}
