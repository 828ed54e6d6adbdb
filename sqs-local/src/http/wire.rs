//! Faults below HTTP: slow writes and resets of a connection.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

/// The faults of a connection's bytes, shared by the connection and its responses.
#[derive(Clone, Debug, Default)]
pub(crate) struct Line(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    trickle: Option<Duration>,
    reset: bool,
}

impl Line {
    /// Sets the faults of the next response: a pause between two bytes, and a reset of the connection instead of a
    /// close.
    pub(crate) fn set(&self, trickle: Option<Duration>, reset: bool) {
        *self.lock() = State { trickle, reset };
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    line: Line,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream, line: Line) -> Self {
        Self {
            stream,
            line,
            pause: None,
        }
    }

    /// Returns the number of bytes that may be written now: all, or one after each pause.
    fn poll_allowed(&mut self, cx: &mut Context<'_>) -> Poll<usize> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(cx));
            self.pause = None;
        }
        match self.line.lock().trickle {
            Some(pause) => {
                self.pause = Some(Box::pin(sleep(pause)));
                Poll::Ready(1)
            }
            None => Poll::Ready(usize::MAX),
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if self.line.lock().reset {
            // If the option cannot be set, the connection is closed instead, which is a fault too.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let allowed = ready!(self.poll_allowed(cx)).min(data.len());
        Pin::new(&mut self.stream).poll_write(cx, &data[..allowed])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if ready!(self.poll_allowed(cx)) == usize::MAX {
            return Pin::new(&mut self.stream).poll_write_vectored(cx, data);
        }
        let first = data.iter().find(|slice| !slice.is_empty());
        let byte = first.map_or(&[][..], |slice| &slice[..1]);
        Pin::new(&mut self.stream).poll_write(cx, byte)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.line.lock().reset {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
