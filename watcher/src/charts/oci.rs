//! OCI registries: a chart is a manifest with one layer, which is the package.

use std::fmt;
use std::io;

use renderer::charts::ChartId;
use serde::Deserialize;
use ureq::http::header::{LINK, WWW_AUTHENTICATE};

use super::address::{Address, scheme_for};
use super::archive::MAX_PACKAGE_BYTES;
use super::check_digest;
use super::client::{Answer, Client, Connection, Request};
use super::error::{ChartError, Refused};
use super::repository::MAX_VERSIONS;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const LAYER: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
/// The largest manifest, token or list of tags that is read.
const MAX_DOCUMENT_BYTES: u64 = 4 << 20;
/// How many pages of tags are read.
const MAX_PAGES: usize = 50;

/// A folder of a registry, as in `oci://ghcr.io/argoproj/argo-helm`.
#[derive(Debug)]
pub(super) struct Registry {
    authority: String,
    folder: String,
}

/// Returns the registry that an address names, or nothing if it is not an `oci://` address.
pub(super) fn name(address: &str) -> Option<Result<Registry, ChartError>> {
    let rest = address.strip_prefix("oci://")?;
    let (authority, folder) = rest.split_once('/').unwrap_or((rest, ""));
    if authority.contains('@') {
        let address = "oci://…".to_owned();
        return Some(Err(ChartError::Address { address, reason: Refused::Credentials }));
    }
    Some(Ok(Registry { authority: authority.to_owned(), folder: folder.trim_matches('/').to_owned() }))
}

#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    layers: Vec<Layer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Layer {
    media_type: String,
    digest: String,
}

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

#[derive(Deserialize)]
struct Tags {
    #[serde(default)]
    tags: Option<Vec<String>>,
}

/// Fetches a chart's package and holds it against the digest in the manifest.
pub(super) fn package(client: &Client, registry: &Registry, chart: &ChartId) -> Result<Vec<u8>, ChartError> {
    // A tag can't hold a plus.
    let tag = chart.version.replace('+', "_");
    let address = registry.address(chart, &format!("manifests/{tag}"))?;
    let mut session = Session { connection: client.at(&address), token: None };
    let answer = session.get(&address, MANIFEST, MAX_DOCUMENT_BYTES)?;
    if answer.status == 404 {
        return Err(ChartError::NotFound {
            name: chart.name.clone(),
            version: chart.version.clone(),
            repository: registry.to_string(),
        });
    }
    let manifest: Manifest = document(answer, "the manifest of a chart")?;
    let layer = manifest.layers.into_iter().find(|layer| layer.media_type == LAYER);
    let layer = layer.ok_or_else(|| ChartError::Answer {
        address: address.to_string(),
        what: "the manifest of a chart",
        reason: format!("it has no layer of the type `{LAYER}`"),
    })?;
    if !is_digest(&layer.digest) {
        return Err(ChartError::Answer {
            address: address.to_string(),
            what: "the manifest of a chart",
            reason: "its layer has no digest of the form `sha256:…`".to_owned(),
        });
    }
    let address = registry.address(chart, &format!("blobs/{}", layer.digest))?;
    let bytes = session.get(&address, "*/*", MAX_PACKAGE_BYTES)?.ok()?;
    check_digest(&address, &bytes, &layer.digest)?;
    Ok(bytes)
}

fn is_digest(text: &str) -> bool {
    let digits = text.strip_prefix("sha256:").unwrap_or_default();
    digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Returns every version of a chart.
pub(super) fn versions(
    client: &Client,
    registry: &Registry,
    chart: &ChartId,
) -> Result<Vec<String>, ChartError> {
    let first = registry.address(chart, "tags/list?n=1000")?;
    let mut session = Session { connection: client.at(&first), token: None };
    let (mut next, mut versions) = (Some(first), Vec::new());
    for _ in 0..MAX_PAGES {
        let Some(address) = next.filter(|_| versions.len() < MAX_VERSIONS) else { break };
        let answer = session.get(&address, "application/json", MAX_DOCUMENT_BYTES)?;
        let link = answer.headers.get(LINK).and_then(|link| link.to_str().ok()).and_then(next_page);
        next = link.map(|link| address.redirect(link)).transpose()?;
        let page: Tags = document(answer, "a list of tags")?;
        versions.extend(page.tags.unwrap_or_default().into_iter().map(|tag| tag.replace('_', "+")));
        versions.truncate(MAX_VERSIONS);
    }
    Ok(versions)
}

fn document<T: for<'a> Deserialize<'a>>(answer: Answer, what: &'static str) -> Result<T, ChartError> {
    answer.read(what, |body| serde_json::from_reader(io::BufReader::new(body)))
}

/// `<https://…>; rel="next"` names the next page.
fn next_page(link: &str) -> Option<&str> {
    let (target, relation) = link.split_once('>')?;
    relation.contains("next").then(|| target.trim_start().strip_prefix('<'))?
}

impl fmt::Display for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "oci://{}/{}", self.authority, self.folder)
    }
}

impl Registry {
    fn address(&self, chart: &ChartId, rest: &str) -> Result<Address, ChartError> {
        let folder = if self.folder.is_empty() { String::new() } else { format!("{}/", self.folder) };
        let scheme = scheme_for(&self.authority);
        Address::parse(&format!("{scheme}://{}/v2/{folder}{}/{rest}", self.authority, chart.name))
    }
}

/// A conversation with a registry that may ask for a token, and gives one to everybody for what is public.
struct Session {
    connection: Connection,
    token: Option<String>,
}

impl Session {
    fn get(&mut self, address: &Address, accept: &str, limit: u64) -> Result<Answer, ChartError> {
        let with = |token: Option<&str>| self.connection.get(Request { address, accept, token, limit });
        let answer = with(self.token.as_deref())?;
        let challenge = answer.headers.get(WWW_AUTHENTICATE).and_then(|challenge| challenge.to_str().ok());
        match challenge.filter(|_| answer.status == 401).and_then(Challenge::parse) {
            None => Ok(answer),
            Some(challenge) => {
                let token = self.token(&challenge)?;
                let answer = with(token.as_deref())?;
                self.token = token;
                Ok(answer)
            }
        }
    }

    fn token(&self, challenge: &Challenge) -> Result<Option<String>, ChartError> {
        let query = challenge.parameters.iter().map(|(name, value)| format!("{name}={}", encoded(value)));
        let query = query.collect::<Vec<_>>().join("&");
        let separator = if challenge.realm.contains('?') { '&' } else { '?' };
        let address = Address::parse(&format!("{}{separator}{query}", challenge.realm))?;
        let request =
            Request { address: &address, accept: "application/json", token: None, limit: MAX_DOCUMENT_BYTES };
        let token: Token = document(self.connection.get(request)?, "a token")?;
        Ok(token.token.or(token.access_token))
    }
}

/// What a registry asks for: `Bearer realm="…",service="…",scope="…"`.
#[derive(Debug, PartialEq, Eq)]
struct Challenge {
    realm: String,
    parameters: Vec<(&'static str, String)>,
}

impl Challenge {
    fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let field = |name: &str| {
            let (_, rest) = rest.split_once(&format!("{name}=\""))?;
            Some(rest.split_once('"')?.0.to_owned())
        };
        let parameters = ["service", "scope"].into_iter().filter_map(|name| Some((name, field(name)?)));
        Some(Self { realm: field("realm")?, parameters: parameters.collect() })
    }
}

/// Writes a value so that it can stand in a query.
fn encoded(value: &str) -> String {
    let bytes = value.bytes().map(|byte| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' | b':' => {
            char::from(byte).to_string()
        }
        byte => format!("%{byte:02X}"),
    });
    bytes.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_says_where_to_get_a_token() {
        let text = r#"Bearer realm="https://ghcr.io/token",service="ghcr.io",scope="repository:a/b:pull""#;
        let challenge = Challenge::parse(text).unwrap();
        assert_eq!(challenge.realm, "https://ghcr.io/token");
        assert_eq!(
            challenge.parameters,
            [("service", "ghcr.io".to_owned()), ("scope", "repository:a/b:pull".to_owned())]
        );
        assert_eq!(Challenge::parse("Basic realm=\"x\""), None);
    }

    #[test]
    fn the_next_page_is_read_from_its_link() {
        assert_eq!(
            next_page("</v2/a/tags/list?n=2&last=b>; rel=\"next\""),
            Some("/v2/a/tags/list?n=2&last=b")
        );
        assert_eq!(next_page("</v2/a>; rel=\"prev\""), None);
        assert_eq!(encoded("repository:a b&c"), "repository:a%20b%26c");
    }
}
