//! A body of a stated length on its way from the socket to the handler, past hyper.
//!
//! hyper would read it into a buffer of its own, piece by piece, and hand each piece on through a channel. Here the guard reads
//! straight into what the handler gets, when that asks for it, and all at once where it wants all. (See `guard`.)

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Bytes, BytesMut};

/// See the module.
#[derive(Debug)]
pub(super) struct Inflow(Mutex<State>);

#[derive(Debug)]
struct State {
    got: BytesMut,
    /// Bytes that are still to be read.
    left: usize,
    failed: Option<io::Error>,
    /// Nothing more can be read.
    broken: bool,
    /// Somebody waits for bytes.
    wanted: bool,
    /// They want all there is in one piece.
    whole: bool,
    /// There is somebody who may yet want some.
    held: bool,
    reader: Option<Waker>,
    guard: Option<Waker>,
}

/// What is left of a body when its handler is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    None,
    Some,
    /// It cannot be read, or not by others.
    Lost,
}

/// What a look for bytes came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    /// All is there.
    Complete,
    /// Nothing more can be read.
    Broken,
}

impl Inflow {
    /// Of a body of so many bytes, which are at least one.
    pub(super) fn new(length: usize) -> Self {
        Self(Mutex::new(State {
            got: BytesMut::new(),
            left: length,
            failed: None,
            broken: false,
            wanted: false,
            whole: false,
            held: true,
            reader: None,
            guard: None,
        }))
    }

    /// The handler: no piece before all are there.
    pub(super) fn gather(&self) {
        self.lock().whole = true;
    }

    /// The handler: the next piece; none at the end.
    pub(super) fn poll_piece(&self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let mut state = self.lock();
        if state.left == 0 || (!state.whole && !state.got.is_empty()) {
            let piece = std::mem::take(&mut state.got);
            return Poll::Ready((!piece.is_empty()).then(|| Ok(piece.freeze())));
        }
        if state.broken {
            return Poll::Ready(state.failed.take().map(Err));
        }
        state.reader = Some(cx.waker().clone());
        if !std::mem::replace(&mut state.wanted, true)
            && let Some(guard) = &state.guard
        {
            guard.wake_by_ref();
        }
        Poll::Pending
    }

    /// Bytes that the handler has not been given.
    pub(super) fn left(&self) -> usize {
        let state = self.lock();
        state.left + state.got.len()
    }

    /// The handler has no use for it any more.
    pub(super) fn let_go(&self) {
        let mut state = self.lock();
        state.held = false;
        state.whole = false;
    }

    /// Whether the rest, if any, can be read by others than the handler.
    pub(super) fn rest(&self) -> Rest {
        let state = self.lock();
        match (state.left, state.held || state.broken) {
            (0, _) => Rest::None,
            (_, true) => Rest::Lost,
            (_, false) => Rest::Some,
        }
    }

    /// The guard: reads by means of `read`, which appends to a buffer as many bytes as it is told at most; the last argument is
    /// whether all of them are wanted together. `eager`: also what nobody has asked for yet.
    pub(super) fn poll_fill(
        &self,
        cx: &mut Context<'_>,
        eager: bool,
        mut read: impl FnMut(&mut BytesMut, usize, bool, &mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> Poll<Flow> {
        let mut state = self.lock();
        let state = &mut *state;
        if !state.guard.as_ref().is_some_and(|guard| guard.will_wake(cx.waker())) {
            state.guard = Some(cx.waker().clone());
        }
        if !state.wanted && !eager {
            return Poll::Pending;
        }
        while state.left > 0 && (state.whole || eager || state.got.is_empty()) {
            let whole = state.whole || eager;
            let read = match ready!(read(&mut state.got, state.left, whole, cx)) {
                Ok(0) => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "unexpected EOF")),
                read => read,
            };
            match read {
                Ok(n) => state.left -= n,
                Err(error) => {
                    state.failed = Some(error);
                    state.broken = true;
                    break;
                }
            }
        }
        state.wanted = false;
        if let Some(reader) = state.reader.take() {
            reader.wake();
        }
        match state.left {
            0 => Poll::Ready(Flow::Complete),
            _ if state.broken => Poll::Ready(Flow::Broken),
            _ => Poll::Pending,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // What a panic leaves is a part of the client's bytes, and the panic ends the exchange.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
