//! Payloads out of the store, verified as they pass.

mod fetch;

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use tokio_util::task::AbortOnDropHandle;

use crate::error::refusal::NotFound;
use crate::error::{Error, ErrorKind};
use crate::payload::digest::{Digest, Hasher};
use fetch::{Fetch, Object};

/// So much is hashed in a fraction of a millisecond, and worth a trip to the blocking pool to read it.
const PIECE: usize = 1024 * 1024;

/// Chunks of a payload on their way.
pub(crate) type Chunks = BoxStream<'static, Result<Bytes, Error>>;

/// How payloads are fetched.
#[derive(Clone, Debug)]
pub(crate) struct DownloadSettings {
    /// How many requests for one payload are under way at a time; with 1, all of it is fetched by one.
    pub(crate) concurrency: usize,
    /// What each of several requests asks for. (`concurrency` + 1) of it are held in memory.
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

/// What is known of a payload before it is fetched.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expected {
    pub(crate) len: Option<u64>,
    pub(crate) digest: Option<Digest>,
    /// The longest that is accepted; no more is read of anything longer.
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
                "the payload is longer than is accepted",
            ));
        }
        Ok(())
    }
}

/// A payload that is being fetched.
pub(crate) struct Download {
    /// The object's length as the store says it.
    pub(crate) len: u64,
    /// Ends without an error only after all that was expected was found to be so.
    pub(crate) chunks: Chunks,
}

/// Begins to fetch the object. What breaks off is fetched again from where it broke off, as long as it is the same
/// object, and not forever in vain.
///
/// # Errors
///
/// The store fails or does not have the object, or has one of another length or one that is too long.
pub(crate) async fn download(
    store: &Arc<dyn ObjectStore>,
    key: &Path,
    expected: Expected,
    settings: &DownloadSettings,
) -> Result<Download, Error> {
    // What is too long by its sender's word is not asked for.
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
                // A HEAD's 404 has no body that says what is not found: the GET below has.
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
            let answer = store.get(key).await.map_err(Error::fetch)?;
            let object = Object::new(store, answer.meta.clone(), with_digest);
            expected.check(object.len())?;
            (object.len(), Fetch::begun(object.into(), answer).into_stream())
        }
    };
    let chunks = match expected.digest {
        Some(digest) => verified(chunks, digest),
        None => chunks,
    };
    Ok(Download { len, chunks })
}

/// The object by several requests at a time, each in a task of its own.
fn parts_of(object: Arc<Object>, settings: &DownloadSettings) -> Chunks {
    let (len, part_size) = (object.len(), settings.part_size.max(1));
    let starts = std::iter::successors(Some(0_u64), move |start| {
        start.checked_add(part_size).filter(|next| *next < len)
    });
    stream::iter(starts)
        .map(move |start| {
            let range = start..start.saturating_add(part_size).min(len);
            let part_len = range.end - range.start;
            let part = Fetch::of(Arc::clone(&object), range).into_stream();
            AbortOnDropHandle::new(tokio::spawn(gathered(part, part_len)))
        })
        .buffered(settings.concurrency)
        .map(|part| {
            let failed = "a part of the payload could not be fetched";
            let chunks = part.map_err(|error| Error::io(ErrorKind::Store, failed, error.into()))??;
            Ok::<_, Error>(stream::iter(chunks).map(Ok))
        })
        .try_flatten()
        .boxed()
}

/// A part in blocks of its own: a chunk from the network keeps the whole buffer alive that it was read into, which can be
/// several times as long.
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

/// The chunks, which end with an error if they are not what the digest is of.
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
            "the stored payload's digest is not the one that the message gives",
        ))
    })
    .boxed()
}

fn wrong_length() -> Error {
    Error::plain(
        ErrorKind::Corrupt,
        "the stored payload is not as long as the message says",
    )
}

/// Hashes where the chunk just arrived, hot in the cache: a trip to another thread costs more than it gains, as chunks
/// from the network are small. Of a large one, the runtime gets a chance between two pieces.
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
