//! One object's bytes in order, fetched with as many requests as necessary.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use object_store::GetResult;

use crate::error::Error;
#[cfg(feature = "fs")]
use crate::error::ErrorKind;
use crate::payload::chunks::Chunks;
use crate::transfer::download::object::{Object, wrong_length};

/// The number of bytes in a piece: hashed in a fraction of a millisecond, and worth a task on the blocking pool to read.
pub(super) const PIECE: usize = 1024 * 1024;

/// Passes a chunk to `work` in pieces, between which other tasks run.
pub(super) async fn in_pieces(chunk: &[u8], mut work: impl FnMut(&[u8])) {
    let mut pieces = chunk.chunks(PIECE);
    if let Some(first) = pieces.next() {
        work(first);
    }
    for piece in pieces {
        tokio::task::yield_now().await;
        work(piece);
    }
}

/// The maximum number of resumptions without progress. Each may include the store's own retries.
const MAX_IN_VAIN: u32 = 6;

/// The download of a range of an object.
pub(super) struct Fetch {
    object: Arc<Object>,
    missing: Range<u64>,
    /// `None` if the next request is due.
    chunks: Option<Chunks>,
    /// The number of resumptions since the last progress.
    in_vain: u32,
}

impl Fetch {
    pub(super) fn new(object: Arc<Object>, range: Range<u64>) -> Self {
        Self {
            object,
            missing: range,
            chunks: None,
            in_vain: 0,
        }
    }

    /// Continues the response to a request for a range, or for the whole object.
    pub(super) fn from_response(object: Arc<Object>, response: GetResult) -> Self {
        let range = response.range.clone();
        Self {
            chunks: Some(chunks(response)),
            ..Self::new(object, range)
        }
    }

    /// Returns exactly the bytes of the range, or ends with an error.
    pub(super) fn into_stream(self) -> Chunks {
        stream::try_unfold(self, |mut fetch| async {
            Ok(fetch.next().await?.map(|chunk| (chunk, fetch)))
        })
        .boxed()
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            match self.receive().await {
                Ok(Some(chunk)) => {
                    let len = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
                    self.missing.start = self.missing.start.saturating_add(len);
                    if self.missing.start > self.missing.end {
                        return Err(wrong_length());
                    }
                    if len > 0 {
                        self.in_vain = 0;
                    }
                    self.object.count(chunk.len());
                    return Ok(Some(chunk));
                }
                // All bytes have arrived, even if the response ends with an error.
                _ if self.missing.is_empty() => return self.object.check_version().await.map(|()| None),
                Ok(None) => self.broke_off(wrong_length()).await?,
                Err(error) if error.is_retryable() => self.broke_off(error).await?,
                Err(error) => return Err(error),
            }
        }
    }

    async fn receive(&mut self) -> Result<Option<Bytes>, Error> {
        if self.chunks.is_none() && !self.missing.is_empty() {
            self.chunks = Some(chunks(self.object.get(self.missing.clone()).await?));
        }
        match &mut self.chunks {
            Some(chunks) => chunks.try_next().await,
            None => Ok(None),
        }
    }

    /// Pauses before the download is resumed, or returns the error if it cannot be.
    async fn broke_off(&mut self, error: Error) -> Result<(), Error> {
        self.chunks = None;
        if self.in_vain == MAX_IN_VAIN || !self.object.resumable() {
            return Err(error);
        }
        tracing::debug!(
            at = self.missing.start,
            error = &error as &dyn std::error::Error,
            "a download broke off and is resumed"
        );
        tokio::time::sleep(self.object.pause(self.missing.start, self.in_vain)).await;
        self.in_vain += 1;
        Ok(())
    }
}

#[cfg(not(feature = "fs"))]
fn chunks(response: GetResult) -> Chunks {
    response.into_stream().map_err(Error::fetch).boxed()
}

#[cfg(feature = "fs")]
fn chunks(response: GetResult) -> Chunks {
    use object_store::GetResultPayload;

    match response.payload {
        GetResultPayload::Stream(chunks) => chunks.map_err(Error::fetch).boxed(),
        GetResultPayload::File(file, _) => stream::try_unfold((file, response.range), |(file, range)| async {
            let read = tokio::task::spawn_blocking(|| read_piece(file, range)).await;
            read.map_err(std::io::Error::from)
                .flatten()
                .map_err(|error| Error::io(ErrorKind::Store, "the payload could not be fetched", error))
        })
        .boxed(),
    }
}

/// Reads the next piece of a file and returns it with the file and the rest of the range, or `None` at its end.
#[cfg(feature = "fs")]
#[allow(clippy::type_complexity)]
fn read_piece(
    mut file: std::fs::File,
    range: Range<u64>,
) -> std::io::Result<Option<(Bytes, (std::fs::File, Range<u64>))>> {
    use std::io::{Read, Seek, SeekFrom};

    let len = (range.end - range.start).min(PIECE as u64);
    let mut piece = Vec::with_capacity(usize::try_from(len).unwrap_or(PIECE));
    file.seek(SeekFrom::Start(range.start))?;
    let read = (&file).take(len).read_to_end(&mut piece)? as u64;
    Ok((read > 0).then(|| (piece.into(), (file, range.start + read..range.end))))
}
