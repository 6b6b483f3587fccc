//! Requests and replies as the routes see them: parsed, and free of the HTTP library.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde_json::{Value, json};

/// A request.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The method in capitals.
    pub method: String,
    /// The path below the API's root, with a leading `/`.
    pub path: String,
    /// The query, decoded.
    pub query: BTreeMap<String, String>,
    /// The headers that count, by names in small letters.
    pub headers: BTreeMap<String, String>,
    /// The body as it came.
    pub body: Vec<u8>,
}

/// A reply.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The headers by names in small letters.
    pub headers: BTreeMap<String, String>,
    /// The body; nothing for 204 and 304.
    pub body: Option<Value>,
}

/// What a route gives: a reply, or one that says what is wrong.
pub type Answer = Result<Reply, Reply>;

impl Request {
    /// Returns the parts of the path.
    #[must_use]
    pub fn segments(&self) -> Vec<&str> {
        self.path.split('/').filter(|part| !part.is_empty()).collect()
    }

    /// Returns whether nothing is changed by it: what is asked in GraphQL here is a question, too.
    #[must_use]
    pub fn is_read(&self) -> bool {
        matches!(self.method.as_str(), "GET" | "HEAD") || self.path == "/graphql"
    }

    /// Returns the body as JSON.
    pub fn json(&self) -> Result<Value, Reply> {
        if self.body.is_empty() {
            return Ok(json!({}));
        }
        serde_json::from_slice(&self.body).map_err(|_| Reply::error(400, "Problems parsing JSON"))
    }

    /// Returns the part of a list that was asked for, with the links to the others.
    #[must_use]
    pub fn page(&self, items: &[Value], root: &str) -> Reply {
        let number = |key: &str, default: usize| {
            self.query.get(key).and_then(|text| text.parse().ok()).unwrap_or(default).max(1)
        };
        let (size, page) = (number("per_page", 30).min(100), number("page", 1));
        let last = items.len().div_ceil(size).max(1);
        let shown: Vec<&Value> = items.iter().skip((page - 1) * size).take(size).collect();
        let mut links = Vec::new();
        if page < last {
            links.extend([self.link(root, page + 1, "next"), self.link(root, last, "last")]);
        }
        if page > 1 {
            links.extend([self.link(root, 1, "first"), self.link(root, page - 1, "prev")]);
        }
        let reply = Reply::ok(200, json!(shown));
        if links.is_empty() { reply } else { reply.with("link", &links.join(", ")) }
    }

    fn link(&self, root: &str, page: usize, relation: &str) -> String {
        let mut query = self.query.clone();
        query.insert("page".into(), page.to_string());
        let query: Vec<_> = query.iter().map(|(key, value)| format!("{key}={}", encoded(value))).collect();
        format!("<{root}{}?{}>; rel=\"{relation}\"", self.path, query.join("&"))
    }
}

impl Reply {
    /// Returns a reply with a body.
    #[must_use]
    pub const fn ok(status: u16, body: Value) -> Self {
        Self { status, headers: BTreeMap::new(), body: Some(body) }
    }

    /// Returns a reply without a body.
    #[must_use]
    pub const fn empty(status: u16) -> Self {
        Self { status, headers: BTreeMap::new(), body: None }
    }

    /// Returns a reply that says what is wrong.
    #[must_use]
    pub fn error(status: u16, message: &str) -> Self {
        let documentation = "https://docs.github.com/rest";
        Self::ok(
            status,
            json!({ "message": message, "documentation_url": documentation, "status": status.to_string() }),
        )
    }

    /// Returns a 422 with one error of the code `custom`.
    #[must_use]
    pub fn invalid(resource: &str, message: &str) -> Self {
        Self::invalid_with(&json!({ "resource": resource, "code": "custom", "message": message }))
    }

    /// Returns a 422 that finds fault with a field.
    #[must_use]
    pub fn invalid_field(resource: &str, field: &str, code: &str) -> Self {
        Self::invalid_with(&json!({ "resource": resource, "field": field, "code": code }))
    }

    fn invalid_with(error: &Value) -> Self {
        let mut reply = Self::error(422, "Validation Failed");
        if let Some(body) = &mut reply.body {
            body["errors"] = json!([error]);
        }
        reply
    }

    /// Returns the reply with one more header.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Returns the tag of the body as `token` sees it.
    #[must_use]
    pub fn etag(&self, token: &str) -> String {
        let mut hasher = DefaultHasher::new();
        (token, self.body.as_ref().map(Value::to_string)).hash(&mut hasher);
        format!("W/\"{:016x}\"", hasher.finish())
    }
}

/// Decodes a query such as `state=open&head=acme%3Amain`.
#[must_use]
pub fn parse_query(query: &str) -> BTreeMap<String, String> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(key, value)| (decoded(key), decoded(value)))
        .collect()
}

/// Decodes `%XX` and `+`.
#[must_use]
pub fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let digits = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        rest = tail;
        match (first, digits.and_then(|digits| u8::from_str_radix(digits, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            (b'+', _) => bytes.push(b' '),
            _ => bytes.push(first),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_fits_has_no_links_and_a_longer_one_names_its_neighbours() {
        let items: Vec<Value> = (0..5).map(Value::from).collect();
        let query = parse_query("per_page=2&page=2&head=acme%3Aa%2Fb");
        let request = Request { path: "/x".into(), query, ..Request::default() };
        let reply = request.page(&items, "http://h");
        assert_eq!(reply.body, Some(json!([2, 3])));
        let links = &reply.headers["link"];
        assert!(
            links.starts_with("<http://h/x?head=acme%3Aa%2Fb&page=3&per_page=2>; rel=\"next\""),
            "{links}"
        );
        assert!(links.contains("page=1&per_page=2>; rel=\"prev\""), "{links}");
        assert!(Request::default().page(&items, "").headers.is_empty());
    }
}
