//! The body of a response, whole or truncated.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

/// The time for written data to reach the client before the connection breaks.
const BEFORE_BREAKING: Duration = Duration::from_millis(20);

/// A response's body.
#[derive(Debug)]
pub(crate) struct ResponseBody {
    data: Option<Bytes>,
    /// The value of `Content-Length`.
    length: u64,
    breaks: Option<Pin<Box<Sleep>>>,
}

impl ResponseBody {
    pub(crate) fn whole(data: impl Into<Bytes>) -> Self {
        let data = data.into();
        Self {
            length: data.len() as u64,
            data: Some(data).filter(|d| !d.is_empty()),
            breaks: None,
        }
    }

    /// Announces all of the data, but sends only half of it.
    pub(crate) fn half(data: impl Into<Bytes>) -> Self {
        let mut data = data.into();
        // An empty body can only break if more is announced.
        let length = data.len().max(1) as u64;
        data.truncate(data.len() / 2);
        Self {
            data: Some(data).filter(|d| !d.is_empty()),
            length,
            breaks: Some(Box::pin(sleep(BEFORE_BREAKING))),
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if let Some(data) = self.data.take() {
            self.length -= data.len() as u64;
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        let Some(sleep) = &mut self.breaks else {
            return Poll::Ready(None);
        };
        ready!(sleep.as_mut().poll(cx));
        Poll::Ready(Some(Err(io::ErrorKind::ConnectionReset.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none() && self.breaks.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length)
    }
}
