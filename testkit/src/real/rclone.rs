//! An S3 on this machine, by the server that Rclone has in it.

use std::fs;
use std::net::TcpStream;
use std::path::PathBuf;

use anyhow::Result;

use super::RCLONE;
use super::process::{Folder, Process, arguments, free_ports};

/// A server of S3 whose buckets are folders.
pub struct S3 {
    _process: Process,
    folder: Folder,
    url: String,
}

impl S3 {
    /// Starts a server with one bucket, which answers one pair of keys.
    pub fn start(bucket: &str, access_key: &str, secret_key: &str) -> Result<Self> {
        let folder = Folder::new()?;
        fs::create_dir_all(folder.path().join("buckets").join(bucket))?;
        let [port] = free_ports()?;
        let address = format!("127.0.0.1:{port}");
        let arguments = arguments([
            "serve",
            "s3",
            "buckets",
            "--config=",
            &format!("--addr={address}"),
            &format!("--auth-key={access_key},{secret_key}"),
        ]);
        let mut process = Process::start("s3", &RCLONE.binary("rclone")?, arguments, [], folder.path())?;
        let url = format!("http://{address}");
        process.wait_until("the S3 answered", || TcpStream::connect(&address).is_ok())?;
        Ok(Self { _process: process, folder, url })
    }

    /// Returns where it answers.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the folder that a bucket is.
    #[must_use]
    pub fn bucket(&self, bucket: &str) -> PathBuf {
        self.folder.path().join("buckets").join(bucket)
    }
}
