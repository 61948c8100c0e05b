//! A body whose beginning has been looked at and is sent nevertheless.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;

/// The frames that have been read already, then those of `body`.
#[derive(Debug)]
pub struct Peeked<B: Body<Data = Bytes>> {
    early: VecDeque<Result<Frame<Bytes>, B::Error>>,
    /// Data bytes in `early`.
    held: u64,
    body: B,
}

impl<B: Body<Data = Bytes> + Unpin> Peeked<B> {
    /// Nothing has been read yet.
    pub fn new(body: B) -> Self {
        Self { early: VecDeque::new(), held: 0, body }
    }

    /// What has not been read.
    pub fn body(&self) -> &B {
        &self.body
    }

    /// Reads until `limit` bytes are there, the body ends or fails; at most `limit` bytes of its beginning.
    pub async fn peek(&mut self, limit: usize) -> Vec<u8> {
        let mut beginning = Vec::new();
        while beginning.len() < limit {
            let Some(frame) = self.body.frame().await else { break };
            let failed = frame.is_err();
            if let Some(data) = frame.as_ref().ok().and_then(Frame::data_ref) {
                beginning.extend_from_slice(&data[..data.len().min(limit - beginning.len())]);
                self.held += data.len() as u64;
            }
            self.early.push_back(frame);
            if failed {
                break;
            }
        }
        beginning
    }
}

impl<B> Body for Peeked<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Unpin,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = &mut *self;
        match this.early.pop_front() {
            Some(frame) => {
                let taken = frame.as_ref().ok().and_then(Frame::data_ref).map_or(0, Bytes::len);
                this.held -= taken as u64;
                Poll::Ready(Some(frame))
            }
            None => Pin::new(&mut this.body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.early.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.body.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower() + self.held);
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper + self.held);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use futures_util::stream;
    use http_body_util::StreamBody;

    use super::*;

    fn body(frames: &[Result<&'static str, ()>]) -> impl Body<Data = Bytes, Error = io::Error> + Unpin {
        let frames: Vec<_> = frames
            .iter()
            .map(|frame| frame.map(|text| Frame::data(text.into())).map_err(|()| io::Error::other("cut")))
            .collect();
        StreamBody::new(stream::iter(frames))
    }

    #[tokio::test]
    async fn what_was_looked_at_is_sent_too() {
        for limit in [0, 1, 3, 4, 6, 7, 100] {
            let mut peeked = Peeked::new(body(&[Ok("abc"), Ok("defg")]));
            assert_eq!(peeked.peek(limit).await, b"abcdefg"[..limit.min(7)], "{limit}");
            assert_eq!(peeked.collect().await.unwrap().to_bytes(), "abcdefg", "{limit}");
        }
    }

    #[tokio::test]
    async fn the_length_includes_what_was_looked_at() {
        let mut peeked = Peeked::new(http_body_util::Full::new(Bytes::from_static(b"abc")));
        assert_eq!(peeked.size_hint().exact(), Some(3));
        assert_eq!(peeked.peek(10).await, b"abc");
        assert_eq!(peeked.size_hint().exact(), Some(3));
        assert!(!peeked.is_end_stream());
        assert_eq!(peeked.collect().await.unwrap().to_bytes(), "abc");
    }

    #[tokio::test]
    async fn a_body_that_fails_while_looked_at_fails_when_sent() {
        let mut peeked = Peeked::new(body(&[Ok("abc"), Err(()), Ok("d")]));
        assert_eq!(peeked.peek(100).await, b"abc");
        assert_eq!(peeked.frame().await.unwrap().unwrap().into_data().unwrap(), "abc");
        assert!(peeked.frame().await.unwrap().is_err());
    }
}
