//! Several short buffers, written as one.
//!
//! For the kernel `writev` of a head and a short body is dearer than `send` of both in one piece, copied there by us.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;

/// Up to this many bytes are put together.
const SHORT: usize = 4096;

thread_local! {
    /// At most [`SHORT`] bytes.
    static WHOLE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// [`AsyncWrite::poll_write_vectored`], by [`AsyncWrite::poll_write`] where the buffers are short or there is only one.
pub(crate) fn poll_write<W: AsyncWrite + Unpin>(
    io: &mut W,
    cx: &mut Context<'_>,
    bufs: &[IoSlice<'_>],
) -> Poll<io::Result<usize>> {
    if let [only] = bufs {
        return Pin::new(io).poll_write(cx, only);
    }
    if bufs.iter().map(|buf| buf.len()).sum::<usize>() > SHORT {
        return Pin::new(io).poll_write_vectored(cx, bufs);
    }
    let mut whole = WHOLE.take();
    whole.clear();
    for buf in bufs {
        whole.extend_from_slice(buf);
    }
    let written = Pin::new(io).poll_write(cx, &whole);
    WHOLE.set(whole);
    written
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[tokio::test]
    async fn every_byte_is_written_in_order_whatever_the_sizes() {
        let cases: &[&[usize]] = &[
            &[],
            &[0],
            &[5],
            &[5000],
            &[0, 0],
            &[100, 0, 200],
            &[96, 4000],
            &[97, 4000],
            &[4097, 1],
            &[1, 2, 9000],
        ];
        for sizes in cases {
            let (mut near, mut far) = tokio::io::duplex(1 << 16);
            let texts: Vec<Vec<u8>> =
                sizes.iter().zip(b'a'..).map(|(size, byte)| vec![byte; *size]).collect();
            let bufs: Vec<IoSlice<'_>> = texts.iter().map(|text| IoSlice::new(text)).collect();
            let written = poll_fn(|cx| poll_write(&mut near, cx, &bufs)).await.unwrap();
            drop(near);
            let mut got = Vec::new();
            far.read_to_end(&mut got).await.unwrap();
            assert_eq!((written, got), (sizes.iter().sum(), texts.concat()), "{sizes:?}");
        }
    }
}
