//! Writes the facts and templates of a generated fleet into a folder, to measure or to play with.
//!
//! `cargo run -p testkit --example fleet -- CLUSTERS ADDONS OUT`

use std::path::PathBuf;
use std::{env, fs};

use anyhow::{Context, Result, bail};
use testkit::fleet;

const USAGE: &str = "usage: fleet CLUSTERS ADDONS OUT, such as `fleet 1000 30 /tmp/fleet`";

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [clusters, addons, out] = arguments.as_slice() else { bail!(USAGE) };
    let files = fleet::files(clusters.parse().context(USAGE)?, addons.parse().context(USAGE)?);
    let out = PathBuf::from(out);
    for (path, text) in &files {
        let path = out.join(path);
        fs::create_dir_all(path.parent().context("a file has a folder")?)?;
        fs::write(&path, text).with_context(|| format!("failed to write `{}`", path.display()))?;
    }
    println!("wrote {} files below `{}`", files.len(), out.display());
    Ok(())
}
