//! Requests and replies, as far as a test server needs them.

use std::io::{Read, Write};

use anyhow::{Context as _, Result, bail};

/// A request's head.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The path with its query.
    pub target: String,
    headers: Vec<(String, String)>,
}

impl Request {
    /// Returns a header by its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// Returns the path without its query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    pub(super) fn read(stream: &mut impl Read) -> Result<Option<(Self, Vec<u8>)>> {
        let Some(head) = read_head(stream)? else { return Ok(None) };
        let mut lines = head.split("\r\n");
        let mut first = lines.next().unwrap_or_default().split(' ');
        let (method, target) = first.next().zip(first.next()).context("a request line")?;
        let headers = lines.filter_map(|line| line.split_once(':'));
        let headers =
            headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
        let request = Self { method: method.to_owned(), target: target.to_owned(), headers };
        if request.header("transfer-encoding").is_some() {
            bail!("a body without a length");
        }
        let length = request.header("content-length").map_or(Ok(0), str::parse)?;
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        Ok(Some((request, body)))
    }
}

fn read_head(stream: &mut impl Read) -> Result<Option<String>> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            // Whoever goes without a word had nothing more to ask.
            Ok(0) | Err(_) if head.is_empty() => return Ok(None),
            Ok(0) => bail!("a head without an end"),
            Ok(_) => head.push(byte[0]),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Some(String::from_utf8(head)?))
}

/// A reply.
#[derive(Clone, Debug)]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Reply {
    /// Returns a reply without a body.
    #[must_use]
    pub const fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the body and what it is.
    #[must_use]
    pub fn body(self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..self.header("content-type", content_type) }
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes =
            format!("HTTP/1.1 {} -\r\ncontent-length: {}\r\n", self.status, self.body.len()).into_bytes();
        for (name, value) in &self.headers {
            let _ = write!(bytes, "{name}: {value}\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        bytes
    }
}
