//! The judgement of single deliveries, without a connection.

use axum::http::header::{HeaderName, HeaderValue};
use ring::hmac;
use tokio::sync::mpsc;

use super::*;

const SECRET: &str = "a secret of the test";
const PUSH: &[u8] = br#"{"ref":"refs/heads/main","repository":{"full_name":"acme/fleet"}}"#;

/// A webhook, and the channel that its hints come out of.
struct Scene {
    webhook: Webhook,
    hints: mpsc::Receiver<Event>,
    metrics: Metrics,
}

impl Scene {
    fn new(capacity: usize) -> Self {
        let (sender, hints) = mpsc::channel(capacity);
        let metrics = Metrics::new();
        let secrets = Secrets::from_text(&SECRET.into()).unwrap();
        let repository = "acme/fleet".parse().unwrap();
        let webhook = Webhook::new(secrets, repository, sender, metrics.clone(), BodyLimits::default());
        Self { webhook, hints, metrics }
    }

    /// Delivers a push with that id.
    fn push(&self, id: &str) -> DeliveryVerdict {
        self.webhook.receive(&head(id, PUSH), PUSH)
    }

    /// Delivers that a person closed a pull request.
    fn closed(&self, id: &str) -> DeliveryVerdict {
        const CLOSED: &[u8] = br#"{"action":"closed","repository":{"full_name":"acme/fleet"}}"#;
        let head = Head { event: EventKind::find("pull_request"), ..head(id, CLOSED) };
        self.webhook.receive(&head, CLOSED)
    }
}

fn sign(secret: &str, body: &[u8]) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), body);
    tag.as_ref().iter().fold("sha256=".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

fn headers(id: &str, body: &[u8]) -> HeaderMap {
    let signature = sign(SECRET, body);
    let pairs = [
        ("x-github-event", "push"),
        ("x-github-delivery", id),
        ("x-hub-signature-256", &signature),
        ("content-type", "application/json"),
    ];
    pairs.map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).into_iter().collect()
}

fn head(id: &str, body: &[u8]) -> Head {
    Head::read(&headers(id, body)).unwrap()
}

/// Returns the verdict on the headers of a good delivery with one of them changed, or taken away.
fn refused(name: &'static str, value: Option<&'static str>) -> Option<DeliveryVerdict> {
    let mut headers = headers("1", PUSH);
    match value {
        Some(value) => headers.insert(name, HeaderValue::from_static(value)),
        None => headers.remove(name),
    };
    Head::read(&headers).err()
}

#[test]
fn without_a_delivery_there_is_no_hint() {
    assert!(Scene::new(4).hints.try_recv().is_err());
}

#[test]
fn a_push_becomes_one_hint() {
    let mut scene = Scene::new(4);
    assert_eq!(scene.push("1"), DeliveryVerdict::Queued);
    assert_eq!(scene.hints.try_recv(), Ok(Event::Moved));
    assert!(scene.hints.try_recv().is_err());
}

#[test]
fn a_repeated_delivery_is_no_further_hint() {
    let mut scene = Scene::new(4);
    assert_eq!([scene.push("1"), scene.push("1")], [DeliveryVerdict::Queued, DeliveryVerdict::Repeated]);
    assert_eq!(scene.push("2"), DeliveryVerdict::Queued);
    assert!(scene.hints.try_recv().is_ok() && scene.hints.try_recv().is_ok());
    assert!(scene.hints.try_recv().is_err());
}

#[test]
fn a_full_channel_is_awake_already_and_makes_nobody_wait() {
    let scene = Scene::new(1);
    assert_eq!([scene.push("1"), scene.push("2")], [DeliveryVerdict::Queued, DeliveryVerdict::Coalesced]);
}

#[tokio::test]
async fn what_no_ref_shows_is_not_lost_in_a_full_channel() {
    let mut scene = Scene::new(1);
    let verdicts = [scene.push("1"), scene.closed("2"), scene.closed("3")];
    assert_eq!(verdicts, [DeliveryVerdict::Queued, DeliveryVerdict::Coalesced, DeliveryVerdict::Coalesced]);
    let mut causes = Vec::new();
    for _ in 0..2 {
        causes.push(scene.hints.recv().await.unwrap());
    }
    assert_eq!(causes, [Event::Moved, Event::Changed]);
    assert!(scene.hints.try_recv().is_err(), "one look behind the others is enough");
    let again = [scene.push("4"), scene.closed("5")];
    assert_eq!(again, [DeliveryVerdict::Queued, DeliveryVerdict::Coalesced]);
    scene.hints.recv().await.unwrap();
    assert_eq!(scene.hints.recv().await.unwrap(), Event::Changed);
}

#[test]
fn a_delivery_that_a_stopping_service_refused_can_come_again() {
    let mut scene = Scene::new(1);
    scene.hints.close();
    assert_eq!(scene.push("1"), DeliveryVerdict::Stopping);
    assert_eq!(scene.push("1"), DeliveryVerdict::Stopping, "it was remembered although no hint was sent");
}

#[test]
fn the_signature_is_judged_before_the_content() {
    let scene = Scene::new(4);
    let malformed = b"{";
    let head_of =
        |signature: String| Head { signature: Signature::parse(&signature).unwrap(), ..head("1", PUSH) };
    let forged = scene.webhook.receive(&head_of(sign("another secret", malformed)), malformed);
    let signed = scene.webhook.receive(&head_of(sign(SECRET, malformed)), malformed);
    assert_eq!([forged, signed], [DeliveryVerdict::Unsigned, DeliveryVerdict::Malformed]);
}

#[test]
fn a_forged_delivery_does_not_take_the_id_of_a_true_one() {
    let scene = Scene::new(4);
    assert_eq!(scene.webhook.receive(&head("1", b"other"), PUSH), DeliveryVerdict::Unsigned);
    assert_eq!(scene.push("1"), DeliveryVerdict::Queued);
}

#[test]
fn a_form_is_refused_with_the_reason_once_its_signature_is_right() {
    let scene = Scene::new(4);
    let form = b"payload=%7B%7D";
    let mut headers = headers("1", form);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    let verdict = scene.webhook.receive(&Head::read(&headers).unwrap(), form);
    assert_eq!((verdict, verdict.status()), (DeliveryVerdict::NotJson, StatusCode::UNSUPPORTED_MEDIA_TYPE));
    assert!(verdict.is_verified() && verdict.reason().contains("application/json"));
}

#[test]
fn a_head_that_is_not_whole_is_refused_before_the_body_is_read() {
    let table = [
        ("x-hub-signature-256", None, Some(DeliveryVerdict::Unsigned)),
        ("x-hub-signature-256", Some("sha256=00"), Some(DeliveryVerdict::Unsigned)),
        ("x-github-event", None, Some(DeliveryVerdict::Incomplete)),
        ("x-github-delivery", None, Some(DeliveryVerdict::Incomplete)),
        ("x-github-delivery", Some("a b"), Some(DeliveryVerdict::Incomplete)),
        ("content-type", Some("Application/JSON; charset=utf-8"), None),
    ];
    for (name, value, expected) in table {
        assert_eq!(refused(name, value), expected, "{name}: {value:?}");
    }
}

#[test]
fn deliveries_are_counted_by_event_and_verdict_and_strangers_apart() {
    let scene = Scene::new(4);
    let _ = (scene.push("1"), scene.push("1"), scene.webhook.refuse(DeliveryVerdict::TooLarge));
    let text = scene.metrics.encode().unwrap();
    for line in [
        r#"fleetwright_webhook_deliveries_total{event="push",verdict="queued"} 1"#,
        r#"fleetwright_webhook_deliveries_total{event="push",verdict="repeated"} 1"#,
        r#"fleetwright_webhook_deliveries_total{event="unverified",verdict="too_large"} 1"#,
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}
