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
use crate::http::{Answer, Authorization, HttpError, Url, next_page};

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
    let mut session = Session::of(client, &url);
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
    let mut session = Session::of(client, &first);
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

/// Requests to a registry that may ask for a token, and gives one to everyone for what is public, or for a credential.
struct Session {
    connection: Connection,
    /// The host of the registry.
    host: String,
    /// The credential of this user at the registry.
    own: Option<Authorization>,
    /// What is shown with a request.
    shown: Option<Authorization>,
}

impl Session {
    fn of(client: &Client, url: &Url) -> Self {
        let own = client.credentials.of_registry(url);
        Self { connection: client.at(url), host: url.host().to_owned(), own, shown: None }
    }

    fn get(&mut self, url: &Url, accept: &str, max_bytes: u64) -> Result<Answer, ChartError> {
        let send = |authorization: Option<&Authorization>| {
            let answer = self.connection.follow(File { url, accept, authorization, max_bytes });
            answer.map_err(|error| ChartError::of_fetch(url, &error))
        };
        let answer = send(self.shown.as_ref())?;
        let challenge =
            answer.header(&WWW_AUTHENTICATE).filter(|_| answer.status == StatusCode::UNAUTHORIZED);
        let shown = match challenge {
            Some(challenge) if is_basic(challenge) && self.own.is_some() => self.own.clone(),
            Some(challenge) => match token_url(challenge) {
                Some(url) => self.token(&url?)?,
                None => return Ok(answer),
            },
            None => return Ok(answer),
        };
        let answer = send(shown.as_ref())?;
        self.shown = shown;
        Ok(answer)
    }

    fn token(&self, url: &Url) -> Result<Option<Authorization>, ChartError> {
        let authorization = self.own.as_ref().filter(|_| gives_tokens_for(url, &self.host));
        let file = File { url, accept: "application/json", authorization, max_bytes: MAX_DOCUMENT_BYTES };
        let answer = self.connection.follow(file).map_err(|error| ChartError::of_fetch(url, &error))?;
        let token: Token = document(url, answer, "a token")?;
        Ok(token.token.or(token.access_token).map(Authorization::Bearer))
    }
}

fn is_basic(challenge: &str) -> bool {
    challenge.split(' ').next().is_some_and(|scheme| scheme.eq_ignore_ascii_case("basic"))
}

/// Returns whether the server at an address, which gives tokens, may see the credential of a registry: it is the registry
/// itself, or is named below the domain that the registry is in, as `auth.docker.io` is for `registry-1.docker.io`.
fn gives_tokens_for(url: &Url, registry: &str) -> bool {
    let is_safe = url.origin().starts_with("https://") || url.is_loopback();
    let domain = registry.split_once('.').map(|(_, domain)| domain).filter(|domain| domain.contains('.'));
    let is_in = |domain: &str| {
        let rest = url.host().strip_suffix(domain);
        rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    let is_name = registry.chars().any(|c| c.is_ascii_alphabetic());
    is_safe && (url.host() == registry || (is_name && domain.is_some_and(is_in)))
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

    #[test]
    fn a_credential_goes_to_the_registry_and_to_what_is_in_its_domain() {
        for (url, registry, may_see) in [
            ("https://ghcr.io/token", "ghcr.io", true),
            ("https://auth.docker.io/token", "registry-1.docker.io", true),
            ("https://gitlab.com/jwt/auth", "registry.gitlab.com", true),
            ("https://evil.example.com/token", "ghcr.io", false),
            ("https://evil.io/token", "ghcr.io", false),
            ("https://notdocker.io/token", "registry-1.docker.io", false),
            ("https://192.168.64.9/token", "192.168.64.8", false),
        ] {
            assert_eq!(gives_tokens_for(&Url::parse_file(url).unwrap(), registry), may_see, "{url}");
        }
    }
}
