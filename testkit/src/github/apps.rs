//! GitHub Apps: who they are, their installations and tokens, and what their webhook was sent.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::{Value, json};

use super::moment;
use super::shapes;
use super::state::{App, Delivery, State, Token};
use crate::web::wire::{Answer, Reply, Request};

/// How long an installation's token lives, in seconds.
pub const TOKEN_LIFE: u64 = 3_600;
/// The longest life of a JWT, in seconds.
const JWT_LIFE: u64 = 600;
/// The permissions of a repository that this fake knows of.
const PERMISSIONS: [&str; 8] =
    ["checks", "contents", "deployments", "issues", "merge_queues", "metadata", "pull_requests", "statuses"];
/// How far a clock may be off, in seconds.
const DRIFT: u64 = 60;

/// Answers what is asked below `/app`.
pub fn answer(state: &mut State, request: &Request) -> Answer {
    let app = authenticated(state, request)?;
    let segments = request.segments();
    match (request.method.as_str(), &segments[1..]) {
        ("GET", []) => Ok(Reply::ok(200, integration(state, &app))),
        ("GET", ["installations"]) => Ok(request.page(&[installation(state, &app)], &state.root)),
        ("GET", ["installations", id]) if *id == app.installation.to_string() => {
            Ok(Reply::ok(200, installation(state, &app)))
        }
        ("POST", ["installations", id, "access_tokens"]) if *id == app.installation.to_string() => {
            Ok(access_token(state, &app))
        }
        ("GET", ["hook", "deliveries"]) => Ok(deliveries(state, request)),
        ("POST", ["hook", "deliveries", id, "attempts"]) => redeliver(state, id),
        _ => Err(Reply::error(404, "Not Found")),
    }
}

fn authenticated(state: &State, request: &Request) -> Result<App, Reply> {
    let refused = |why: &str| Reply::error(401, why);
    let header = request.headers.get("authorization").map(String::as_str).unwrap_or_default();
    let jwt =
        header.strip_prefix("Bearer ").ok_or_else(|| refused("A JSON web token could not be decoded"))?;
    let app = state.app.clone().ok_or_else(|| refused("Integration not found"))?;
    let claims =
        verified(jwt, &app.public_key).ok_or_else(|| refused("A JSON web token could not be decoded"))?;
    let number = |key: &str| claims.get(key).and_then(Value::as_u64);
    let issued_by = match &claims["iss"] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let (issued, ends) = (number("iat").unwrap_or(u64::MAX), number("exp").unwrap_or(0));
    if issued_by != app.id.to_string() {
        return Err(refused("Integration not found"));
    }
    if issued > state.now + DRIFT {
        return Err(refused(
            "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued",
        ));
    }
    if ends <= state.now {
        return Err(refused(
            "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires",
        ));
    }
    if ends > state.now + JWT_LIFE {
        return Err(refused("'Expiration time' claim ('exp') is too far in the future"));
    }
    Ok(app)
}

/// Takes in a manifest as the page for new apps does when a person confirms it, and returns the code for it.
///
/// Refuses what GitHub refuses: a manifest without a place to go back to, or that asks for what there is not.
pub fn agree(state: &mut State, manifest: &str) -> anyhow::Result<String> {
    let manifest: Value = serde_json::from_str(manifest)?;
    for key in ["name", "url", "redirect_url"] {
        anyhow::ensure!(manifest[key].is_string(), "`{key}` is missing");
    }
    let permissions = manifest["default_permissions"].as_object().into_iter().flatten();
    for (name, access) in permissions {
        let is_known =
            PERMISSIONS.contains(&name.as_str()) && matches!(access.as_str(), Some("read" | "write"));
        anyhow::ensure!(is_known, "there is no permission `{name}: {access}`");
    }
    let code = format!("code{:036}", state.next_id());
    state.manifests.insert(code.clone(), manifest);
    Ok(code)
}

/// Exchanges a code for the app that its manifest describes. A code is good once.
pub fn convert(state: &mut State, request: &Request) -> Answer {
    let code = match (request.method.as_str(), &request.segments()[1..]) {
        ("POST", [code, "conversions"]) => (*code).to_owned(),
        _ => return Err(Reply::error(404, "Not Found")),
    };
    let manifest = state.manifests.remove(&code).ok_or_else(|| Reply::error(404, "Not Found"))?;
    let has_webhook = manifest["hook_attributes"]["url"].is_string();
    let (id, at) = (state.next_id(), moment::text(state.now));
    let slug = manifest["name"].as_str().unwrap_or_default().to_lowercase().replace(' ', "-");
    let body = json!({
        "id": id, "slug": slug, "node_id": "A_2", "owner": shapes::user(&state.root, &state.owner),
        "name": manifest["name"], "description": manifest["description"], "external_url": manifest["url"],
        "html_url": format!("{}/apps/{slug}", state.root), "created_at": at, "updated_at": at,
        "permissions": manifest["default_permissions"], "events": manifest["default_events"],
        "client_id": "Iv1.0000000000000000", "client_secret": "0000",
        "webhook_secret": if has_webhook { json!("a webhook secret") } else { Value::Null },
        "pem": "a private key\n",
    });
    Ok(Reply::ok(201, body))
}

/// Returns the claims of a JWT that `key` signed with RS256.
fn verified(jwt: &str, key: &[u8]) -> Option<Value> {
    let (signed, signature) = jwt.rsplit_once('.')?;
    let (header, claims) = signed.split_once('.')?;
    let json = |part: &str| -> Option<Value> {
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).ok()?).ok()
    };
    if json(header)?.get("alg")? != "RS256" {
        return None;
    }
    let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).ok()?;
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key).verify(signed.as_bytes(), &signature).ok()?;
    json(claims)
}

fn access_token(state: &mut State, app: &App) -> Reply {
    let token = format!("ghs_{:08}", state.next_id());
    let expires = state.now + TOKEN_LIFE;
    let granted = Token {
        login: "fleetwright[bot]".into(),
        is_app: true,
        sees_repository: true,
        writes: app.writes.clone(),
        expires: Some(expires),
    };
    state.tokens.insert(token.clone(), granted);
    let body = json!({
        "token": token, "expires_at": moment::text(expires), "permissions": permissions(app),
        "repository_selection": "selected",
    });
    Reply::ok(201, body)
}

fn permissions(app: &App) -> Value {
    let mut all = json!({ "metadata": "read" });
    for name in &app.writes {
        all[name] = "write".into();
    }
    all
}

fn integration(state: &State, app: &App) -> Value {
    let mut integration = shapes::app(state, "fleetwright");
    (integration["id"], integration["permissions"]) = (app.id.into(), permissions(app));
    integration
}

fn installation(state: &State, app: &App) -> Value {
    let at = moment::text(state.start);
    let url = format!("{}/app/installations/{}", state.root, app.installation);
    json!({
        "id": app.installation, "app_id": app.id, "app_slug": "fleetwright", "target_id": shapes::id_of(&state.owner),
        "target_type": "Organization", "single_file_name": null, "repository_selection": "selected",
        "access_tokens_url": format!("{url}/access_tokens"), "html_url": url, "suspended_at": null,
        "repositories_url": format!("{}/installation/repositories", state.root), "events": ["push", "pull_request"],
        "account": shapes::user(&state.root, &state.owner), "permissions": permissions(app), "created_at": at,
        "updated_at": at, "suspended_by": null,
    })
}

/// Lists what a webhook was sent, the newest first.
pub fn deliveries(state: &State, request: &Request) -> Reply {
    let status = request.query.get("status").map(String::as_str);
    let is_wanted = |delivery: &&Delivery| match status {
        Some("success") => is_success(delivery.status_code),
        Some("failure") => !is_success(delivery.status_code),
        _ => true,
    };
    let before = request.query.get("cursor").and_then(|cursor| cursor.parse::<u64>().ok());
    let size = request.query.get("per_page").and_then(|size| size.parse().ok()).unwrap_or(30).clamp(1, 100);
    let mut left = state.deliveries.iter().rev().filter(is_wanted);
    let shown: Vec<&Delivery> =
        left.by_ref().filter(|delivery| before.is_none_or(|id| delivery.id < id)).take(size).collect();
    let reply = Reply::ok(200, shown.iter().map(|delivery| delivery_item(delivery)).collect());
    match (left.next(), shown.last()) {
        (Some(_), Some(last)) => {
            let url = format!("{}{}?cursor={}&per_page={size}", state.root, request.path, last.id);
            let url = status.map_or_else(|| url.clone(), |status| format!("{url}&status={status}"));
            reply.with("link", &format!("<{url}>; rel=\"next\""))
        }
        _ => reply,
    }
}

/// Sends a delivery once more, which this fake only writes down.
pub fn redeliver(state: &mut State, id: &str) -> Answer {
    let Some(delivery) = state.deliveries.iter().find(|delivery| delivery.id.to_string() == id).cloned()
    else {
        return Err(Reply::error(404, "Not Found"));
    };
    let again =
        Delivery { id: state.next_id(), at: state.now, is_redelivery: true, status_code: 202, ..delivery };
    state.deliveries.push(again);
    Ok(Reply::ok(202, json!({})))
}

fn delivery_item(delivery: &Delivery) -> Value {
    json!({
        "id": delivery.id, "guid": delivery.guid, "delivered_at": moment::text(delivery.at),
        "redelivery": delivery.is_redelivery, "duration": 0.05,
        "status": if is_success(delivery.status_code) { "OK" } else { "failed to connect to host" },
        "status_code": delivery.status_code, "event": delivery.event, "action": delivery.action,
        "installation_id": null, "repository_id": null, "throttled_at": null,
    })
}

fn is_success(status: u16) -> bool {
    (200..400).contains(&status)
}
