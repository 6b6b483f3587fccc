//! Packages, and the files that list them, as a plain web server serves them.

use std::fs;
use std::path::Path;

use anyhow::Result;

use super::{Reply, Request};

/// Returns a package, unless something else was asked for.
pub(super) fn reply(root: &Path, request: &Request) -> Result<Option<Reply>> {
    let path = Path::new(request.path().trim_start_matches('/'));
    let is_package = path.extension().is_some_and(|extension| extension == "tgz" || extension == "yaml");
    if !is_package {
        return Ok(None);
    }
    let file = root.join(path);
    Ok(Some(if file.is_file() {
        Reply::status(200).body("application/octet-stream", fs::read(file)?)
    } else {
        Reply::status(404)
    }))
}
