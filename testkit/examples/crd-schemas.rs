//! Writes the object schemas that the renderer embeds, from the definitions of the projects that own the kinds.
//!
//! `cargo run -p testkit --example crd-schemas -- CRD_DIR OUT_DIR`

use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context, Result, bail};
use testkit::crds::condense;

/// The folders of `CRD_DIR` whose kinds our own templates write.
const OWNERS: [&str; 2] = ["argo-cd", "metallb"];

fn main() -> Result<()> {
    let arguments: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    let [definitions, out] = arguments.as_slice() else { bail!("usage: crd-schemas CRD_DIR OUT_DIR") };
    for owner in OWNERS {
        for file in files_in(&definitions.join(owner))? {
            write_schemas(&file, out).with_context(|| format!("failed to condense `{}`", file.display()))?;
        }
    }
    Ok(())
}

fn files_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("failed to list `{}`", folder.display()))?;
    let mut files: Vec<_> = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    files.sort();
    Ok(files)
}

fn write_schemas(file: &Path, out: &Path) -> Result<()> {
    for schema in condense(&fs::read_to_string(file)?)? {
        println!("{:>7} bytes  {}", schema.text.len(), schema.file_name);
        fs::write(out.join(&schema.file_name), schema.text)?;
    }
    Ok(())
}
