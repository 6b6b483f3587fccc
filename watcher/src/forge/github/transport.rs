//! What `octocrab` sends goes out through our own HTTP: the same proxy, the same certificates, the same bounds as git's.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use octocrab::{AuthState, OctoBody, Octocrab, OctocrabBuilder};
use tokio::task::spawn_blocking;
use tower::service_fn;

use super::account::GRAPHQL;
use super::error::Cause;
use crate::http::{Client, Url};

/// Returns an `octocrab` whose requests go to `api` by `client`. It has to be called within a runtime, where it keeps a
/// task.
pub(super) fn octocrab(api: &Url, client: &Client, answer_limit: u64) -> Octocrab {
    // A GitHub Enterprise Server has REST below `/api/v3`, and GraphQL beside it.
    let (api, graphql, client) = (api.clone(), api.without_end("/v3"), client.clone());
    let service = service_fn(move |request: Request<OctoBody>| {
        let is_graphql = request.uri().path() == GRAPHQL;
        let (api, client) = (if is_graphql { graphql.clone() } else { api.clone() }, client.clone());
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await?.to_bytes().to_vec();
            let request = Request::from_parts(parts, body);
            let answer = spawn_blocking(move || client.exchange(&api, request, answer_limit)).await??;
            Ok::<Response<Full<Bytes>>, Cause>(answer.map(Full::from))
        }
    });
    let built: Result<Octocrab, Infallible> =
        OctocrabBuilder::new_empty().with_service(service).with_auth(AuthState::None).build();
    match built {
        Ok(crab) => crab,
        Err(never) => match never {},
    }
}
