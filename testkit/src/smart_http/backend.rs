//! `git http-backend`, spoken to as a web server does.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, Result};

use super::{Reply, Request};
use crate::program::command;

pub(super) fn run(root: &Path, request: &Request, body: &[u8], knows_version_2: bool) -> Result<Reply> {
    let query = request.target.split_once('?').map_or("", |(_, query)| query);
    let protocol = request.header("git-protocol").filter(|_| knows_version_2);
    let mut child = command("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", &request.method)
        .env("PATH_INFO", request.path())
        .env("QUERY_STRING", query)
        .env("CONTENT_TYPE", request.header("content-type").unwrap_or_default())
        .env("CONTENT_LENGTH", body.len().to_string())
        // Whoever is let in may push.
        .env("REMOTE_USER", "tester")
        .envs(protocol.map(|version| ("GIT_PROTOCOL", version)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("start `git http-backend`")?;
    let mut input = child.stdin.take().context("a pipe")?;
    let output = std::thread::scope(|scope| {
        // Git may stop reading when it has heard enough.
        scope.spawn(move || input.write_all(body).ok());
        child.wait_with_output()
    })?;
    reply(&output.stdout)
}

fn reply(output: &[u8]) -> Result<Reply> {
    let end = output.windows(4).position(|window| window == b"\r\n\r\n").context("a head from git")?;
    let head = std::str::from_utf8(&output[..end])?;
    let headers = || head.split("\r\n").filter_map(|line| line.split_once(": "));
    let status = headers().find(|(name, _)| *name == "Status").and_then(|(_, value)| value.split(' ').next());
    let status = status.map_or(Ok(200), str::parse)?;
    let kind = headers().find(|(name, _)| *name == "Content-Type").map_or("text/plain", |(_, value)| value);
    Ok(Reply::status(status).body(kind, &output[end + 4..]))
}
