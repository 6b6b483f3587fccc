//! The routes of the service: health, readiness, metrics and the webhook. Knows nothing of connections.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use tokio::sync::mpsc::WeakSender;

use super::webhook::{Webhook, deliver};
use super::{Event, Events, Monitor};
use crate::output::metrics::{self, Metrics};

/// Updates metrics that are not updated when they change.
pub type Refresh = Box<dyn Fn(&Metrics) + Send + Sync>;

/// What the service answers to.
pub struct Site {
    monitor: Monitor,
    /// A weak end, since showing the channel does not keep it open.
    events: WeakSender<Event>,
    refresh: Refresh,
    webhook: Option<Arc<Webhook>>,
}

impl Site {
    /// Shows the state of the service: whether it is alive and ready, and what it counted; `refresh` updates
    /// metrics before they are shown.
    #[must_use]
    pub fn new(monitor: Monitor, events: &Events, refresh: Refresh) -> Self {
        Self { monitor, events: events.downgrade(), refresh, webhook: None }
    }

    /// Receives deliveries too.
    #[must_use]
    pub fn with_webhook(self, webhook: Webhook) -> Self {
        Self { webhook: Some(Arc::new(webhook)), ..self }
    }

    /// Returns the routes.
    pub fn into_router(self) -> Router {
        let mut routes = Router::new()
            .route("/healthz", get(liveness))
            .route("/readyz", get(readiness))
            .route("/metrics", get(show_metrics));
        if let Some(webhook) = &self.webhook {
            routes = routes.route("/webhook", post(deliver).with_state(Arc::clone(webhook)));
        }
        routes.with_state(Arc::new(self))
    }
}

async fn liveness(State(site): State<Arc<Site>>) -> (StatusCode, &'static str) {
    site.monitor.liveness(Instant::now())
}

async fn readiness(State(site): State<Arc<Site>>) -> (StatusCode, String) {
    site.monitor.readiness(Instant::now())
}

async fn show_metrics(State(site): State<Arc<Site>>) -> Response {
    let metrics = &site.monitor.metrics;
    (site.refresh)(metrics);
    let pending = site.events.upgrade().map_or(0, |events| events.max_capacity() - events.capacity());
    metrics.pending_hints.set(pending as u64);
    metrics.buffered_bytes.set(site.webhook.as_ref().map_or(0, |webhook| webhook.buffered_bytes()) as u64);
    match metrics.encode() {
        Ok(encoded) => ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], encoded).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
