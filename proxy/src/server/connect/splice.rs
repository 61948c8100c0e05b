//! Pipes for splice(2): bytes go from socket to socket without entering the process.
//!
//! A pipe is taken when there are bytes to move and goes back as soon as it is empty, so idle tunnels hold none. Spare ones wait
//! with their thread. A pipe that still holds bytes when its tunnel dies is closed: no tunnel ever sees bytes of another.

use std::cell::RefCell;
use std::io;
use std::os::fd::OwnedFd;

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_getpipe_size, fcntl_setpipe_size, pipe_with, splice};
use tokio::io::Interest;
use tokio::net::TcpStream;

/// Bytes that one pipe takes. The kernel grants an unprivileged user 64 MiB of pipes in all.
const SIZE: usize = 1 << 20;
/// A smaller pipe than this (the kernel's answer to too many) is worse than copying.
const LEAST: usize = 64 << 10;
/// Empty pipes that wait with a thread.
const SPARE: usize = 8;

thread_local! {
    static SPARES: RefCell<Vec<Ends>> = const { RefCell::new(Vec::new()) };
}

struct Ends {
    out: OwnedFd,
    into: OwnedFd,
}

/// A pipe on loan.
pub(super) struct Pipe {
    ends: Option<Ends>,
    held: usize,
}

impl Pipe {
    /// An empty pipe.
    ///
    /// # Errors
    /// There is none to be had; copying still works.
    pub(super) fn take() -> io::Result<Self> {
        let spare = SPARES.with_borrow_mut(Vec::pop);
        let ends = match spare {
            Some(ends) => ends,
            None => open()?,
        };
        Ok(Self { ends: Some(ends), held: 0 })
    }

    /// Bytes that wait in the pipe.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Moves what there is from a socket into the pipe, which must be empty; 0 at the end of the stream.
    ///
    /// # Errors
    /// `WouldBlock` when there is nothing yet; `InvalidInput` where sockets cannot be spliced.
    pub(super) fn fill(&mut self, from: &TcpStream) -> io::Result<usize> {
        let Some(ends) = &self.ends else { return Ok(0) };
        let moved = from.try_io(Interest::READABLE, || {
            splice(from, None, &ends.into, None, SIZE, flags()).map_err(io::Error::from)
        })?;
        self.held += moved;
        Ok(moved)
    }

    /// Moves what the pipe holds, or a part of it, on to a socket.
    ///
    /// # Errors
    /// `WouldBlock` when the socket takes nothing now.
    pub(super) fn drain(&mut self, to: &TcpStream) -> io::Result<()> {
        let Some(ends) = &self.ends else { return Ok(()) };
        let held = self.held;
        let moved = to.try_io(Interest::WRITABLE, || {
            splice(&ends.out, None, to, None, held, flags()).map_err(io::Error::from)
        })?;
        if moved == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.held -= moved.min(held);
        Ok(())
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        if self.held > 0 {
            return;
        }
        // While a thread ends there may be no place left to wait in.
        let _ = SPARES.try_with(|spares| {
            let Ok(mut spares) = spares.try_borrow_mut() else { return };
            if spares.len() < SPARE {
                spares.extend(self.ends.take());
            }
        });
    }
}

fn flags() -> SpliceFlags {
    SpliceFlags::MOVE | SpliceFlags::NONBLOCK
}

fn open() -> io::Result<Ends> {
    let (out, into) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    if fcntl_setpipe_size(&into, SIZE).is_err() && fcntl_getpipe_size(&into)? < LEAST {
        return Err(io::ErrorKind::QuotaExceeded.into());
    }
    Ok(Ends { out, into })
}

/// Has the next pipe that this thread takes be one that the kernel refuses to splice into, as a sandbox without splice does.
#[cfg(test)]
pub(super) fn offer_unusable() {
    let (out, _) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).unwrap();
    // No pipe at either end of the call: EINVAL.
    let into = std::net::TcpListener::bind("127.0.0.1:0").unwrap().into();
    SPARES.with_borrow_mut(|spares| spares.push(Ends { out, into }));
}
