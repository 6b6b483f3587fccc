//! OCI registries: a chart is a manifest with one layer, which is the package.

use ::http::StatusCode;
use ::http::header::WWW_AUTHENTICATE;
use renderer::charts::ChartId;
use secrecy::SecretString;
use serde::Deserialize;

use super::archive::MAX_PACKAGE_BYTES;
use super::client::{Client, Connection, File};
use super::error::ChartError;
use super::origin::Origin;
use super::repository::MAX_VERSIONS;
use super::verify::check_digest;
use crate::http::{Answer, HttpError, Url, next_page};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const LAYER: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
const A_MANIFEST: &str = "the manifest of a chart";
/// The largest manifest, token or list of tags that is read.
const MAX_DOCUMENT_BYTES: u64 = 4 << 20;
/// How many pages of tags are read.
const MAX_PAGES: usize = 50;

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
    token: Option<SecretString>,
    access_token: Option<SecretString>,
}

#[derive(Deserialize)]
struct Tags {
    #[serde(default)]
    tags: Option<Vec<String>>,
}

/// Fetches a chart's package and holds it against the digest in the manifest.
pub(super) fn package(client: &Client, registry: &Origin, chart: &ChartId) -> Result<Vec<u8>, ChartError> {
    // A tag can't hold a plus.
    let tag = chart.version.replace('+', "_");
    let url = url_of(registry, chart, &format!("manifests/{tag}"))?;
    let mut session = Session { connection: client.at(&url), token: None };
    let answer = session.get(&url, MANIFEST, MAX_DOCUMENT_BYTES)?;
    if answer.status == StatusCode::NOT_FOUND {
        return Err(ChartError::not_found(chart, registry));
    }
    let manifest: Manifest = document(&url, answer, A_MANIFEST)?;
    let layer = manifest.layers.into_iter().find(|layer| layer.media_type == LAYER);
    let unusable = |reason: String| ChartError::of_answer(&url, A_MANIFEST, reason);
    let layer = layer.ok_or_else(|| unusable(format!("it has no layer of the type `{LAYER}`")))?;
    if !is_digest(&layer.digest) {
        return Err(unusable("its layer has no digest of the form `sha256:…`".to_owned()));
    }
    let url = url_of(registry, chart, &format!("blobs/{}", layer.digest))?;
    let bytes = session.get(&url, "*/*", MAX_PACKAGE_BYTES)?.success().and_then(Answer::bytes);
    let bytes = bytes.map_err(|error| ChartError::of_fetch(&url, &error))?;
    check_digest(&url, &bytes, &layer.digest)?;
    Ok(bytes)
}

fn is_digest(text: &str) -> bool {
    let digits = text.strip_prefix("sha256:").unwrap_or_default();
    digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Returns every version of a chart.
pub(super) fn versions(
    client: &Client,
    registry: &Origin,
    chart: &ChartId,
) -> Result<Vec<String>, ChartError> {
    let first = url_of(registry, chart, "tags/list?n=1000")?;
    let mut session = Session { connection: client.at(&first), token: None };
    let (mut next, mut versions) = (Some(first), Vec::new());
    for _ in 0..MAX_PAGES {
        let Some(url) = next.filter(|_| versions.len() < MAX_VERSIONS) else { break };
        let answer = session.get(&url, "application/json", MAX_DOCUMENT_BYTES)?;
        next = next_page(&answer.headers).map(|link| url.join(link)).transpose()?;
        let page: Tags = document(&url, answer, "a list of tags")?;
        versions.extend(page.tags.unwrap_or_default().into_iter().map(|tag| tag.replace('_', "+")));
        versions.truncate(MAX_VERSIONS);
    }
    Ok(versions)
}

fn document<T: for<'a> Deserialize<'a>>(
    url: &Url,
    answer: Answer,
    what: &'static str,
) -> Result<T, ChartError> {
    let bytes =
        answer.success().and_then(Answer::bytes).map_err(|error| ChartError::of_fetch(url, &error))?;
    serde_json::from_slice(&bytes).map_err(|error| ChartError::of_answer(url, what, error))
}

/// Returns the address of something that a registry has of a chart.
fn url_of(Origin { url, .. }: &Origin, chart: &ChartId, rest: &str) -> Result<Url, HttpError> {
    Url::parse_file(&format!("{}/v2{}/{}/{rest}", url.origin(), url.path(), chart.name))
}

/// Requests to a registry that may ask for a token, and gives one to everyone for what is public.
struct Session {
    connection: Connection,
    token: Option<SecretString>,
}

impl Session {
    fn get(&mut self, url: &Url, accept: &str, max_bytes: u64) -> Result<Answer, ChartError> {
        let send = |token: Option<&SecretString>| {
            let answer = self.connection.follow(File { url, accept, token, max_bytes });
            answer.map_err(|error| ChartError::of_fetch(url, &error))
        };
        let answer = send(self.token.as_ref())?;
        let challenge =
            answer.header(&WWW_AUTHENTICATE).filter(|_| answer.status == StatusCode::UNAUTHORIZED);
        let Some(url) = challenge.and_then(token_url) else { return Ok(answer) };
        let token = self.token(&url?)?;
        let answer = send(token.as_ref())?;
        self.token = token;
        Ok(answer)
    }

    fn token(&self, url: &Url) -> Result<Option<SecretString>, ChartError> {
        let file = File { url, accept: "application/json", token: None, max_bytes: MAX_DOCUMENT_BYTES };
        let answer = self.connection.follow(file).map_err(|error| ChartError::of_fetch(url, &error))?;
        let token: Token = document(url, answer, "a token")?;
        Ok(token.token.or(token.access_token))
    }
}

/// Returns where a registry's request for a token leads: `Bearer realm="…",service="…",scope="…"`.
fn token_url(challenge: &str) -> Option<Result<Url, HttpError>> {
    let (scheme, rest) = challenge.split_once(' ')?;
    let field = |name: &str| {
        let (_, rest) = rest.split_once(&format!("{name}=\""))?;
        Some(rest.split_once('"')?.0)
    };
    let realm = field("realm").filter(|_| scheme.eq_ignore_ascii_case("bearer"))?;
    let parameters = ["service", "scope"].into_iter().filter_map(|name| Some((name, field(name)?)));
    Some(Url::parse_file(realm).map(|url| url.with_query(parameters)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_says_where_to_get_a_token() {
        let text = r#"Bearer realm="https://ghcr.io/token",service="ghcr.io",scope="repository:a/b:pull""#;
        let url = token_url(text).unwrap().unwrap();
        assert_eq!(url.target(""), "https://ghcr.io/token?service=ghcr.io&scope=repository%3Aa%2Fb%3Apull");
        assert!(token_url("Basic realm=\"x\"").is_none());
    }
}
