//! An App against a server that answers as GitHub documents it, with a key that `openssl` makes and judges.

use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use testkit::smart_http::{Reply, Request as Seen, Server, Trouble};

use super::*;
use crate::http::Timeouts;
use crate::identity::Identity;

const START: SystemTime = SystemTime::UNIX_EPOCH;
const JSON: &str = "application/json; charset=utf-8";

fn minutes(n: u64) -> SystemTime {
    START + Duration::from_secs(1_800_000_000 + n * 60)
}

fn openssl(folder: &Path, arguments: &[&str]) -> bool {
    Command::new("openssl").args(arguments).current_dir(folder).output().unwrap().status.success()
}

/// A key of each form in a folder, or `None` where there is no `openssl` to make them.
fn keys() -> Option<tempfile::TempDir> {
    if Command::new("openssl").arg("version").output().is_err() {
        eprintln!("left out: `openssl`, which makes the keys, is not installed");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let make = |arguments: &[&str]| assert!(openssl(folder.path(), arguments), "{arguments:?}");
    make(&["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", "pkcs8.pem"]);
    make(&["rsa", "-in", "pkcs8.pem", "-traditional", "-out", "pkcs1.pem"]);
    make(&["pkey", "-in", "pkcs8.pem", "-pubout", "-out", "public.pem"]);
    make(&["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "ec.pem"]);
    Some(folder)
}

struct World {
    keys: tempfile::TempDir,
    server: Server,
}

impl World {
    fn new() -> Option<Self> {
        let keys = keys()?;
        let server = Server::with_tls(keys.path()).unwrap();
        Some(Self { keys, server })
    }

    fn app(&self) -> App {
        let api = Url::parse(&self.server.url("api/v3")).unwrap();
        let client = Client::trusting(&api, &self.server.roots(), Timeouts::default());
        let settings = AppSettings {
            id: "Iv23abc".into(),
            key_file: self.keys.path().join("pkcs1.pem"),
            api,
            repository: "acme/fleet".parse().unwrap(),
        };
        App::new(settings, client).unwrap()
    }

    fn answer(&self, part: &str, status: u16, body: &str) {
        self.server.trouble(part, Trouble::Reply(Reply::status(status).body(JSON, body)));
    }

    fn issue(&self, token: &str) {
        self.answer("/installation", 200, r#"{"id": 42, "account": {"login": "acme"}}"#);
        let issued =
            format!(r#"{{"token": "{token}", "expires_at": "2027-01-15T09:00:00Z", "permissions": {{}}}}"#);
        self.answer("/access_tokens", 201, &issued);
    }
}

fn token(identity: &Identity, now: SystemTime) -> String {
    identity.token(now).unwrap().unwrap().expose_secret().to_owned()
}

#[test]
fn a_token_is_made_once_and_replaced_before_its_hour_ends() {
    let Some(world) = World::new() else { return };
    let identity = Identity::of_app(world.app());
    assert!(world.server.take_requests().is_empty(), "nothing is asked before a token is needed");
    world.issue("ghs_one");
    assert_eq!(token(&identity, minutes(0)), "ghs_one");
    let targets = |seen: &[Seen]| {
        seen.iter().map(|seen| format!("{} {}", seen.method, seen.target)).collect::<Vec<_>>()
    };
    let asked =
        ["GET /api/v3/repos/acme/fleet/installation", "POST /api/v3/app/installations/42/access_tokens"];
    assert_eq!(targets(&world.server.take_requests()), asked);

    assert_eq!(token(&identity.clone(), minutes(49)), "ghs_one");
    assert!(world.server.take_requests().is_empty());
    world.issue("ghs_two");
    assert_eq!(token(&identity, minutes(50)), "ghs_two");
    world.issue("ghs_three");
    assert_eq!(token(&identity, minutes(20)), "ghs_three", "a clock that was set back proves nothing");
}

#[test]
fn a_token_that_was_turned_down_is_replaced_at_the_next_use() {
    let Some(world) = World::new() else { return };
    let identity = Identity::of_app(world.app());
    world.issue("ghs_one");
    token(&identity, minutes(0));
    identity.forget();
    world.issue("ghs_two");
    assert_eq!(token(&identity, minutes(1)), "ghs_two");
}

#[test]
fn the_claim_is_one_that_openssl_verifies_and_that_github_takes() {
    let Some(world) = World::new() else { return };
    for file in ["pkcs1.pem", "pkcs8.pem"] {
        let key = AppKey::from_pem(&std::fs::read_to_string(world.keys.path().join(file)).unwrap()).unwrap();
        let claim = key.claim("Iv23abc", minutes(0)).unwrap();
        let (signed, signature) = claim.expose_secret().rsplit_once('.').unwrap();
        let (header, claims) = signed.split_once('.').unwrap();
        let decoded = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
        let json = |text: &str| serde_json::from_slice::<serde_json::Value>(&decoded(text)).unwrap();
        assert_eq!(json(header), serde_json::json!({ "alg": "RS256", "typ": "JWT" }));
        let now = 1_800_000_000;
        assert_eq!(json(claims), serde_json::json!({ "iat": now - 60, "exp": now + 540, "iss": "Iv23abc" }));

        std::fs::write(world.keys.path().join("signed"), signed).unwrap();
        std::fs::write(world.keys.path().join("signature"), decoded(signature)).unwrap();
        let verify = ["dgst", "-sha256", "-verify", "public.pem", "-signature", "signature", "signed"];
        assert!(openssl(world.keys.path(), &verify), "{file}");
    }
}

#[test]
fn what_github_refuses_is_told_with_what_to_check() {
    let Some(world) = World::new() else { return };
    let identity = Identity::of_app(world.app());
    for (part, status, body, hint, is_transient) in [
        ("/installation", 401, r#"{"message": "A JSON web token could not be decoded"}"#, "clock", false),
        ("/installation", 404, r#"{"message": "Not Found"}"#, "install the App on the repository", false),
        (
            "/installation",
            403,
            r#"{"message": "This installation has been suspended"}"#,
            "lacks a right",
            false,
        ),
        ("/installation", 502, "{}", "", true),
        ("/installation", 200, r#"{"secret": "ghs_stray"}"#, "", true),
    ] {
        world.answer(part, status, body);
        let error = identity.token(minutes(0)).unwrap_err();
        assert_eq!(error.is_transient(), is_transient, "{error:?}");
        assert!(error.hint().unwrap_or_default().contains(hint), "{error:?} {:?}", error.hint());
        assert!(!format!("{error:?}").contains("ghs_stray"), "{error:?}");
    }
}

#[test]
fn what_is_no_key_is_named_and_not_shown() {
    let Some(keys) = keys() else { return };
    let read = |file: &str| std::fs::read_to_string(keys.path().join(file)).unwrap();
    assert_eq!(AppKey::from_pem("ghp_token").unwrap_err(), "there is no PEM block with a private key");
    assert_eq!(
        AppKey::from_pem(&read("public.pem")).unwrap_err(),
        "there is no PEM block with a private key"
    );
    assert_eq!(AppKey::from_pem(&read("ec.pem")).unwrap_err(), "it is not an RSA key of 2,048 to 4,096 bits");
    let broken = read("pkcs1.pem").replace("MII", "AII");
    let error = AppKey::from_pem(&broken).unwrap_err();
    assert!(!format!("{error:?}{error}").contains("AII"));
    assert_eq!(format!("{:?}", AppKey::from_pem(&read("pkcs1.pem")).unwrap()), "AppKey");
}
