//! Deliveries as requests: their bodies are read within limits, and each is answered with what became of it.

use std::sync::Arc;

use axum::body::{Body, HttpBody as _};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use tokio::sync::SemaphorePermit;

use super::{DeliveryVerdict, Head, Webhook};

/// Answers a delivery.
pub(in crate::events) async fn deliver(
    State(webhook): State<Arc<Webhook>>,
    headers: HeaderMap,
    body: Body,
) -> (StatusCode, String) {
    let verdict = webhook.receive_request(&headers, body).await;
    (verdict.status(), format!("{}\n", verdict.answer()))
}

impl Webhook {
    async fn receive_request(&self, headers: &HeaderMap, body: Body) -> DeliveryVerdict {
        // A sender without a signature gets no memory either.
        let head = match Head::read(headers) {
            Ok(head) => head,
            Err(verdict) => return self.refuse(verdict),
        };
        match self.read(body).await {
            Ok((body, _held)) => self.receive(&head, &body),
            Err(verdict) => self.refuse(verdict),
        }
    }

    /// Reads a body within the limits, and returns it with the permits for what it holds.
    async fn read(&self, body: Body) -> Result<(Vec<u8>, Option<SemaphorePermit<'_>>), DeliveryVerdict> {
        if body.size_hint().lower() > self.limits.body_bytes as u64 {
            return Err(DeliveryVerdict::TooLarge);
        }
        let mut body = Limited::new(body, self.limits.body_bytes);
        let (mut bytes, mut held) = (Vec::new(), None::<SemaphorePermit<'_>>);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| match error.downcast_ref::<LengthLimitError>() {
                Some(_) => DeliveryVerdict::TooLarge,
                None => DeliveryVerdict::BrokenOff,
            })?;
            let Ok(chunk) = frame.into_data() else { continue };
            // Waiting here could have two half-read bodies wait for each other.
            let permit = self.buffer.try_acquire_many(chunk.len() as u32);
            let permit = permit.map_err(|_| DeliveryVerdict::Busy)?;
            match &mut held {
                Some(held) => held.merge(permit),
                None => held = Some(permit),
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok((bytes, held))
    }
}
