//! A bounded queue with one sending thread behind it.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::{Emitted, complain};

/// How long closing waits for the rest to be sent.
const DRAIN: Duration = Duration::from_secs(10);

/// Says when the queue was closed, so that a sender can cut its waits short.
#[derive(Clone, Default)]
pub(super) struct Closing(Arc<(Mutex<bool>, std::sync::Condvar)>);

impl Closing {
    fn set(&self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.1.notify_all();
    }

    /// Waits; ends at once when the queue closes.
    pub(super) fn wait(&self, time: Duration) {
        let closed = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = self.0.1.wait_timeout_while(closed, time, |closed| !*closed);
    }
}

pub(super) struct Queue {
    name: &'static str,
    sender: Mutex<Option<SyncSender<Arc<Emitted>>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    closing: Closing,
}

impl Queue {
    /// `send` runs on a thread of its own until the queue is closed and empty.
    pub(super) fn start(
        name: &'static str,
        size: usize,
        send: impl FnOnce(Receiver<Arc<Emitted>>, Closing) + Send + 'static,
    ) -> std::io::Result<Queue> {
        let (sender, receiver) = sync_channel(size.max(1));
        let closing = Closing::default();
        let theirs = closing.clone();
        let thread =
            std::thread::Builder::new().name(format!("emit-{name}")).spawn(move || send(receiver, theirs))?;
        Ok(Queue { name, sender: Mutex::new(Some(sender)), thread: Mutex::new(Some(thread)), closing })
    }

    /// Drops the event, aloud, when there is no room.
    pub(super) fn push(&self, event: &Arc<Emitted>) {
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = &*sender
            && let Err(TrySendError::Full(_)) = sender.try_send(Arc::clone(event))
        {
            complain(format_args!("{} queue full, event dropped", self.name));
        }
    }

    pub(super) fn close(&self) {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.closing.set();
        let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        let deadline = Instant::now() + DRAIN;
        while !thread.is_finished() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        // A sender that is still busy after that is left behind; the process is about to end or has new sinks.
        if thread.is_finished() {
            let _ = thread.join();
        }
    }
}
