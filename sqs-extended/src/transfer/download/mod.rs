//! Downloads of payloads, verified while they stream.

mod fetch;

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::stream::{self, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use tokio_util::task::AbortOnDropHandle;

use crate::error::refusal::NotFound;
use crate::error::{Error, ErrorKind};
use crate::payload::digest::{Digest, Hasher};
pub(crate) use crate::payload::stream::Chunks;
use fetch::{Fetch, Object, PIECE, wrong_length};

/// The settings of downloads.
#[derive(Clone, Debug)]
pub(crate) struct DownloadSettings {
    /// The number of concurrent requests for one payload. With 1, one request fetches the whole payload.
    pub(crate) concurrency: usize,
    /// The number of bytes of each of several requests. (`concurrency` + 1) parts are in memory.
    pub(crate) part_size: u64,
}

impl Default for DownloadSettings {
    /// One request.
    fn default() -> Self {
        Self {
            concurrency: 1,
            part_size: 8 * 1024 * 1024,
        }
    }
}

/// The properties of a payload that are known before it is fetched.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expected {
    pub(crate) len: Option<u64>,
    pub(crate) digest: Option<Digest>,
    /// The maximum length that is accepted. A longer payload is not read.
    pub(crate) max: Option<u64>,
}

impl Expected {
    fn check(&self, len: u64) -> Result<(), Error> {
        if self.len.is_some_and(|expected| expected != len) {
            return Err(wrong_length());
        }
        if self.max.is_some_and(|max| len > max) {
            return Err(Error::plain(
                ErrorKind::TooLarge,
                "the payload is longer than the configured maximum",
            ));
        }
        Ok(())
    }
}

/// A payload that is being fetched.
pub(crate) struct Download {
    /// The object's length according to the store.
    pub(crate) len: u64,
    /// Ends without an error only after all expected properties were verified.
    pub(crate) chunks: Chunks,
}

/// Starts to fetch the object. An interrupted download is resumed if the object is still the same. The number of resumptions
/// without progress is bounded.
///
/// # Errors
///
/// Returns an error if the store fails or does not have the object, or if the object's length is wrong or too large.
pub(crate) async fn download(
    store: &Arc<dyn ObjectStore>,
    key: &Path,
    expected: Expected,
    settings: &DownloadSettings,
) -> Result<Download, Error> {
    // A payload that is too long according to its sender is not requested.
    expected.len.map_or(Ok(()), |len| expected.check(len))?;
    let with_digest = expected.digest.is_some();
    let in_parts = |len| settings.concurrency > 1 && len > settings.part_size;
    let parts = match expected.len {
        Some(len) if !in_parts(len) => None,
        _ if settings.concurrency <= 1 => None,
        _ => {
            match store.head(key).await {
                Ok(meta) => Some(Object::new(store, meta, with_digest))
                    .filter(|object| in_parts(object.len()) && object.resumable()),
                // A 404 to a HEAD request has no body that says what does not exist. The GET below has one.
                Err(error) if NotFound::from_error(&error) == Some(NotFound::Unclear) => None,
                Err(error) => return Err(Error::fetch(error)),
            }
        }
    };
    let (len, chunks) = match parts {
        Some(object) => {
            expected.check(object.len())?;
            (object.len(), parts_of(object.into(), settings))
        }
        None => {
            let response = store.get(key).await.map_err(Error::fetch)?;
            let object = Object::new(store, response.meta.clone(), with_digest);
            expected.check(object.len())?;
            (
                object.len(),
                Fetch::from_response(object.into(), response).into_stream(),
            )
        }
    };
    let chunks = match expected.digest {
        Some(digest) => verified(chunks, digest),
        None => chunks,
    };
    Ok(Download { len, chunks })
}

/// Fetches the object with several concurrent requests, each in its own task.
fn parts_of(object: Arc<Object>, settings: &DownloadSettings) -> Chunks {
    let (len, part_size) = (object.len(), settings.part_size.max(1));
    let starts = std::iter::successors(Some(0_u64), move |start| {
        start.checked_add(part_size).filter(|next| *next < len)
    });
    stream::iter(starts)
        .map(move |start| {
            let range = start..start.saturating_add(part_size).min(len);
            let part_len = range.end - range.start;
            let part = Fetch::new(Arc::clone(&object), range).into_stream();
            AbortOnDropHandle::new(tokio::spawn(gathered(part, part_len)))
        })
        .buffered(settings.concurrency)
        .map(|part| {
            let message = "a part of the payload could not be fetched";
            let chunks = part.map_err(|error| Error::io(ErrorKind::Store, message, error.into()))??;
            Ok::<_, Error>(stream::iter(chunks).map(Ok))
        })
        .try_flatten()
        .boxed()
}

/// Copies a part into its own blocks. A network chunk keeps the whole buffer alive that it was read into, which can be
/// several times as large.
async fn gathered(mut chunks: Chunks, len: u64) -> Result<Vec<Bytes>, Error> {
    let mut missing = usize::try_from(len).unwrap_or(usize::MAX);
    let mut blocks = Vec::with_capacity(missing.div_ceil(PIECE));
    let (mut block, mut room) = (BytesMut::new(), 0);
    while let Some(mut chunk) = chunks.try_next().await? {
        while !chunk.is_empty() {
            if room == 0 {
                room = missing.min(PIECE);
                block = BytesMut::with_capacity(room);
            }
            let copied = chunk.split_to(room.min(chunk.len()));
            block.extend_from_slice(&copied);
            room -= copied.len();
            missing -= copied.len();
            if room == 0 {
                blocks.push(std::mem::take(&mut block).freeze());
            }
        }
    }
    Ok(blocks)
}

/// Ends the chunks with an error if their digest is not the expected one.
pub(crate) fn verified(chunks: Chunks, expected: Digest) -> Chunks {
    let hasher = Hasher::new(expected.algorithm());
    stream::try_unfold((chunks, hasher, expected), |(mut chunks, mut hasher, expected)| async {
        if let Some(chunk) = chunks.try_next().await? {
            hash(&mut hasher, &chunk).await;
            return Ok(Some((chunk, (chunks, hasher, expected))));
        }
        if hasher.finish() == expected {
            return Ok(None);
        }
        Err(Error::plain(
            ErrorKind::Corrupt,
            "the stored payload's digest differs from the one in the message",
        ))
    })
    .boxed()
}

/// Hashes on the thread that received the chunk, while it is in the cache. Network chunks are small, so another thread
/// would cost more than it gains. A large chunk yields to the runtime between two pieces.
async fn hash(hasher: &mut Hasher, chunk: &[u8]) {
    let mut pieces = chunk.chunks(PIECE);
    if let Some(first) = pieces.next() {
        hasher.update(first);
    }
    for piece in pieces {
        tokio::task::yield_now().await;
        hasher.update(piece);
    }
}

#[cfg(test)]
mod tests;
