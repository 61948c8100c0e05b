//! A future that is nearly always pending beside one that is polled all the time.
//!
//! Polling a cancellation token takes two locks that every connection of the process shares. [`Rarely`] gives it a waker of its
//! own and polls it again only once that was used; what that costs each poll of the connection stays in memory of its own.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;

/// See the module.
#[derive(Debug)]
pub(super) struct Rarely<F> {
    inner: Pin<Box<F>>,
    signal: Arc<Signal>,
    waker: Waker,
}

#[derive(Debug)]
struct Signal {
    /// The inner future is to be polled.
    woken: AtomicBool,
    task: AtomicWaker,
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.task.wake();
    }
}

impl<F: Future> Rarely<F> {
    pub(super) fn new(inner: F) -> Self {
        let signal = Arc::new(Signal { woken: AtomicBool::new(true), task: AtomicWaker::new() });
        let waker = Arc::clone(&signal).into();
        Self { inner: Box::pin(inner), signal, waker }
    }
}

impl<F: Future> Future for Rarely<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        // First where to wake, then whether it happened: the other way round a signal in between would be lost.
        this.signal.task.register(cx.waker());
        if !this.signal.woken.load(Ordering::Acquire) {
            return Poll::Pending;
        }
        this.signal.woken.store(false, Ordering::Release);
        this.inner.as_mut().poll(&mut Context::from_waker(&this.waker))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use tokio_util::sync::CancellationToken;

    use super::*;

    #[tokio::test]
    async fn is_polled_when_it_was_woken_and_not_otherwise() {
        let token = CancellationToken::new();
        let polls = Arc::new(AtomicUsize::new(0));
        let counted = {
            let (polls, token) = (Arc::clone(&polls), token.clone());
            async move {
                let mut cancelled = std::pin::pin!(token.cancelled());
                std::future::poll_fn(|cx| {
                    polls.fetch_add(1, Ordering::Relaxed);
                    cancelled.as_mut().poll(cx)
                })
                .await;
            }
        };
        let mut rarely = Rarely::new(counted);
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..10 {
            assert!(Pin::new(&mut rarely).poll(&mut cx).is_pending());
        }
        assert_eq!(polls.load(Ordering::Relaxed), 1);
        let waiting = tokio::spawn(rarely);
        tokio::task::yield_now().await;
        token.cancel();
        waiting.await.unwrap();
        assert_eq!(polls.load(Ordering::Relaxed), 2);
    }
}
