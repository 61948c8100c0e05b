//! A limit that wakes its task when it has passed.

use std::future::Future;
use std::pin::Pin;
use std::task::Context;

use tokio::time::{Instant, Sleep, sleep_until};

/// A limit that is set far more often than it is waited for. The timer is therefore only moved while somebody waits, and only
/// when it would fire too late, or fired for an earlier limit.
#[derive(Debug)]
pub(super) struct Deadline {
    at: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Deadline {
    pub(super) fn new() -> Self {
        Self { at: None, timer: None }
    }

    pub(super) fn set(&mut self, at: Instant) {
        self.at = Some(at);
    }

    pub(super) fn is_set(&self) -> bool {
        self.at.is_some()
    }

    pub(super) fn clear(&mut self) {
        self.at = None;
    }

    /// Whether a timer runs that will wake the task, for this limit or an earlier one.
    pub(super) fn is_armed(&self) -> bool {
        self.timer.as_ref().is_some_and(|timer| !timer.is_elapsed())
    }

    pub(super) fn expired(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(at) = self.at else { return false };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(at)));
        if timer.deadline() > at {
            timer.as_mut().reset(at);
        }
        while timer.as_mut().poll(cx).is_ready() {
            if timer.deadline() >= at {
                return true;
            }
            timer.as_mut().reset(at);
        }
        false
    }
}
