//! A payload as its receiver reads it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::{fmt, io};

use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt, TryStreamExt};
use tokio::io::{AsyncBufRead, AsyncRead, ReadBuf};
use tokio_util::io::StreamReader;

use crate::error::Error;
use crate::payload::chunks::Chunks;
use crate::payload::progress::OnProgress;

/// A payload's chunks, returned by [`ExtendedDelivery::stream`](crate::ExtendedDelivery::stream).
///
/// The payload is verified only if the stream ends without an error.
///
/// ```
/// # async fn example(delivery: sqs_extended::ExtendedDelivery) -> Result<(), sqs_extended::Error> {
/// use futures::TryStreamExt;
///
/// let mut stream = delivery.stream().await?;
/// let mut len = 0;
/// while let Some(chunk) = stream.try_next().await? {
///     len += chunk.len();
/// }
/// println!("{len} verified bytes");
/// # Ok(()) }
/// ```
pub struct PayloadStream {
    chunks: Chunks,
    size: Option<u64>,
}

impl PayloadStream {
    pub(crate) fn new(chunks: Chunks, size: Option<u64>) -> Self {
        Self { chunks, size }
    }

    pub(crate) fn inline(body: Bytes) -> Self {
        let size = u64::try_from(body.len()).ok();
        Self::new(stream::iter([Ok(body)]).boxed(), size)
    }

    /// Adds the message's receipt handle to the stream's errors.
    pub(crate) fn of_message(self, receipt_handle: &str) -> Self {
        let handle = receipt_handle.to_owned();
        let chunks = self.chunks.map_err(move |error| error.with_receipt_handle(&handle));
        Self::new(chunks.boxed(), self.size)
    }

    /// Reports the progress to this function.
    pub(crate) fn report_to(self, on_progress: &OnProgress) -> Self {
        let chunks = on_progress.meter(self.size, 0).count(self.chunks);
        Self::new(chunks, self.size)
    }

    /// Returns the payload's length in bytes if it is known before the end.
    ///
    /// It is the length of the stored object if the payload is stored as it is. Otherwise it is the length that the
    /// sender claims, which the stream does not exceed.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        self.size
    }
}

impl Stream for PayloadStream {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.chunks.poll_next_unpin(cx)
    }
}

impl fmt::Debug for PayloadStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PayloadStream")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

/// A payload as a reader, returned by [`ExtendedDelivery::reader`](crate::ExtendedDelivery::reader).
///
/// The payload is verified only if its end is reached without an error. After an error, every further read fails.
///
/// ```
/// # async fn example(delivery: sqs_extended::ExtendedDelivery) -> Result<(), Box<dyn std::error::Error>> {
/// let mut reader = delivery.reader().await?;
/// let mut file = tokio::fs::File::create("payload").await?;
/// tokio::io::copy(&mut reader, &mut file).await?;
/// # Ok(()) }
/// ```
pub struct PayloadReader {
    reader: StreamReader<PayloadStream, Bytes>,
    size: Option<u64>,
    failed: bool,
}

impl PayloadReader {
    pub(crate) fn new(stream: PayloadStream) -> Self {
        Self {
            size: stream.size,
            reader: StreamReader::new(stream),
            failed: false,
        }
    }

    /// Returns the payload's length in bytes as [`PayloadStream::size`] does.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        self.size
    }

    /// Fails after an earlier failure, because a failed stream that is polled again looks like a complete payload.
    fn check(&mut self) -> io::Result<()> {
        if self.failed {
            return Err(io::Error::other(
                "an earlier read of the payload failed; receive the message again",
            ));
        }
        Ok(())
    }
}

impl AsyncRead for PayloadReader {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        let read = ready!(Pin::new(&mut self.reader).poll_read(cx, buf));
        self.failed = read.is_err();
        Poll::Ready(read)
    }
}

impl AsyncBufRead for PayloadReader {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        this.check()?;
        let filled = ready!(Pin::new(&mut this.reader).poll_fill_buf(cx));
        this.failed = filled.is_err();
        Poll::Ready(filled)
    }

    fn consume(mut self: Pin<&mut Self>, amount: usize) {
        Pin::new(&mut self.reader).consume(amount);
    }
}

impl fmt::Debug for PayloadReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PayloadReader")
            .field("size", &self.size)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;
    use crate::error::ErrorKind;

    #[tokio::test]
    async fn a_failed_reader_stays_failed() {
        let chunks = stream::iter([
            Ok(Bytes::from_static(b"hello")),
            Err(Error::plain(ErrorKind::Corrupt, "the digest differs")),
        ]);
        let stream = PayloadStream::new(chunks.boxed(), Some(5));
        let mut reader = PayloadReader::new(stream.of_message("handle"));
        let mut text = String::new();
        let error = reader.read_to_string(&mut text).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        let ours = error.get_ref().unwrap().downcast_ref::<Error>().unwrap();
        assert_eq!(ours.receipt_handle(), Some("handle"));
        assert!(
            reader.read_to_string(&mut text).await.is_err(),
            "the reader must not look complete"
        );
    }

    #[tokio::test]
    async fn an_inline_payload_is_readable() {
        let mut reader = PayloadReader::new(PayloadStream::inline(Bytes::from_static(b"hello")));
        assert_eq!(reader.size(), Some(5));
        let mut text = String::new();
        reader.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "hello");
    }
}
