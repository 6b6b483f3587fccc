//! The routes of the service: health, readiness, metrics and the webhook. Knows nothing of connections.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};

use super::webhook::{BodyLimits, Receiver, Webhook, deliver};
use super::{Events, Monitor};
use crate::output::metrics::{self, Metrics};

/// Updates metrics that are not updated when they change.
pub type Refresh = Box<dyn Fn(&Metrics) + Send + Sync>;

/// What the service answers to.
pub struct Site {
    monitor: Monitor,
    refresh: Vec<Refresh>,
    webhook: Option<Arc<Receiver>>,
}

impl Site {
    /// Shows the state of the service: whether it is alive and ready, and what it counted.
    #[must_use]
    pub fn new(monitor: Monitor, events: &Events) -> Self {
        // A weak end, since showing the channel does not keep it open.
        let events = events.downgrade();
        let pending = move || events.upgrade().map_or(0, |events| events.max_capacity() - events.capacity());
        let site = Self { monitor, refresh: Vec::new(), webhook: None };
        site.with_refresh(Box::new(move |metrics| metrics.set_pending_hints(pending())))
    }

    /// Lets `refresh` update metrics before they are shown.
    #[must_use]
    pub fn with_refresh(mut self, refresh: Refresh) -> Self {
        self.refresh.push(refresh);
        self
    }

    /// Receives deliveries too.
    #[must_use]
    pub fn with_webhook(mut self, webhook: Webhook, limits: BodyLimits) -> Self {
        let receiver = Arc::new(Receiver::new(webhook, limits));
        self.webhook = Some(Arc::clone(&receiver));
        self.with_refresh(Box::new(move |metrics| metrics.set_buffered_bytes(receiver.buffered_bytes())))
    }

    /// Returns the routes.
    pub fn into_router(self) -> Router {
        let mut routes = Router::new()
            .route("/healthz", get("alive\n"))
            .route("/readyz", get(readiness))
            .route("/metrics", get(show_metrics));
        if let Some(webhook) = &self.webhook {
            routes = routes.route("/webhook", post(deliver).with_state(Arc::clone(webhook)));
        }
        routes.with_state(Arc::new(self))
    }
}

async fn readiness(State(site): State<Arc<Site>>) -> (StatusCode, String) {
    site.monitor.readiness()
}

async fn show_metrics(State(site): State<Arc<Site>>) -> Response {
    let metrics = &site.monitor.metrics;
    site.refresh.iter().for_each(|refresh| refresh(metrics));
    match metrics.encode() {
        Ok(encoded) => ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], encoded).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
