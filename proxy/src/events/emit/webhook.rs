//! The webhook sink: one POST of JSON per event, no retry.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};

use super::fields::payload;
use super::post::{Poster, address, header};
use super::queue::Queue;
use super::{EmitError, Emitted, Sink, complain};
use crate::config::EmitWebhook;

pub(super) struct Webhook {
    queue: Queue,
}

impl Webhook {
    pub(super) fn start(config: &EmitWebhook, instance: &str) -> Result<Webhook, EmitError> {
        let url = address("webhook url", &config.url)?;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if !config.auth_token.is_empty() {
            let (_, value) = header("authorization", &format!("Bearer {}", config.auth_token.expose()))?;
            headers.insert(AUTHORIZATION, value);
        }
        let timeout =
            Duration::from_secs(u64::try_from(config.timeout_seconds).ok().filter(|s| *s > 0).unwrap_or(5));
        let size = usize::try_from(config.queue_size).ok().filter(|n| *n > 0).unwrap_or(64);
        let poster = Poster::new(timeout)?;
        let instance = instance.to_owned();
        let queue = Queue::start("webhook", size, move |events, _| {
            for event in events {
                let body = Bytes::from(payload(&event, &instance));
                match poster.post(&url, &headers, &body) {
                    Ok(status) if status.as_u16() < 300 => {}
                    Ok(status) => {
                        complain(format_args!(
                            "webhook returned HTTP {} for event {}",
                            status.as_u16(),
                            event.kind
                        ));
                    }
                    Err(why) => complain(format_args!("webhook send error: {why}")),
                }
            }
        })?;
        Ok(Webhook { queue })
    }
}

impl Sink for Webhook {
    fn emit(&self, event: &Arc<Emitted>) {
        self.queue.push(event);
    }

    fn close(&self) {
        self.queue.close();
    }
}
