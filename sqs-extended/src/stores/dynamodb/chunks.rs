//! The items with a payload's bytes.

use std::ops::Range;
use std::time::Duration;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, DeleteRequest, WriteRequest};
use bytes::Bytes;
use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};
use object_store::path::Path;
use object_store::{Error, PutPayload, Result};

use crate::stores::dynamodb::errors::{STORE, failed};
use crate::stores::dynamodb::head::{EXPIRES, Head, Item, MODIFIED, primary_key, seconds};
use crate::stores::dynamodb::store::DynamoDbStore;

/// The maximum number of a payload's bytes in one item. DynamoDB's limit of 400 KB includes the attributes' names and the
/// object's key.
pub(super) const CHUNK: u64 = 384 * 1024;

/// The number of chunks of a part that are written concurrently.
const WRITE_CONCURRENCY: usize = 4;

/// The number of chunks that are read concurrently and buffered.
const READ_AHEAD: usize = 4;

/// The maximum number of items that DynamoDB deletes with one request.
pub(super) const DELETE_BATCH: usize = 25;

/// The maximum number of attempts to delete a batch.
const DELETE_ATTEMPTS: u32 = 8;

/// The pause after the first attempt. It doubles after each further one.
const DELETE_BACKOFF: Duration = Duration::from_millis(50);

/// The time that chunks outlive their object. DynamoDB removes expired items within some days, in no order.
const GRACE: Duration = Duration::from_secs(4 * 24 * 60 * 60);

/// The beginning of the id of a chunk. The object's ETag and the part's index follow.
pub(super) const CHUNKS: &str = "c/";

pub(super) const DATA: &str = "data";
/// The key of the object to which a chunk belongs.
pub(super) const KEY: &str = "key";

/// A part of a chunk.
#[derive(Clone, Debug, PartialEq)]
struct Piece {
    part: usize,
    chunk: u64,
    /// The wanted bytes of the chunk.
    bytes: Range<u64>,
}

/// Returns the pieces that make up the bytes `wanted` of an object with parts of these sizes.
fn pieces(sizes: Vec<u64>, wanted: Range<u64>) -> impl Iterator<Item = Piece> + Send + 'static {
    let mut begin = 0_u64;
    sizes.into_iter().enumerate().flat_map(move |(part, size)| {
        let from = wanted.start.saturating_sub(begin).min(size);
        let to = wanted.end.saturating_sub(begin).min(size).max(from);
        begin = begin.saturating_add(size);
        let chunks = if from == to {
            0..0
        } else {
            from / CHUNK..to.div_ceil(CHUNK)
        };
        chunks.map(move |chunk| {
            let first = chunk * CHUNK;
            Piece {
                part,
                chunk,
                bytes: from.saturating_sub(first)..(to - first).min(CHUNK),
            }
        })
    })
}

fn id(etag: &str, part: usize) -> String {
    format!("{CHUNKS}{etag}/{part}")
}

impl DynamoDbStore {
    /// Writes the chunks of a part before its object exists.
    pub(super) async fn put_chunks(&self, key: &Path, etag: &str, part: usize, payload: PutPayload) -> Result<()> {
        let now = self.now();
        let expires = self
            .time_to_live
            .and_then(|time| now.checked_add(time)?.checked_add(GRACE));
        let bytes = Bytes::from(payload);
        let chunk_bytes = usize::try_from(CHUNK).unwrap_or(usize::MAX);
        let chunks = bytes.chunks(chunk_bytes).map(Vec::from).zip(0..).map(|(data, chunk)| {
            let mut item = primary_key(id(etag, part), chunk);
            item.insert(DATA.to_owned(), AttributeValue::B(Blob::new(data)));
            item.insert(KEY.to_owned(), AttributeValue::S(key.to_string()));
            item.insert(MODIFIED.to_owned(), seconds(now));
            if let Some(expires) = expires {
                item.insert(EXPIRES.to_owned(), seconds(expires));
            }
            Ok(item)
        });
        let put = |item| async move {
            let request = self.client.put_item().table_name(&*self.table).set_item(Some(item));
            request
                .send()
                .await
                .map_err(|error| failed(key.as_ref(), &error))
                .map(drop)
        };
        stream::iter(chunks)
            .try_for_each_concurrent(WRITE_CONCURRENCY, put)
            .await
    }

    /// Reads the bytes `wanted` of an object.
    pub(super) fn read_chunks(
        self,
        head: Head,
        wanted: Range<u64>,
    ) -> impl Stream<Item = Result<Bytes>> + Send + 'static {
        let Head { etag, sizes, .. } = head;
        let read = move |piece: Piece| {
            let (store, id) = (self.clone(), id(&etag, piece.part));
            async move {
                let data = store.chunk(id, piece.chunk).await?;
                let bytes = to_usize(piece.bytes.start)..to_usize(piece.bytes.end);
                if data.len() < bytes.end {
                    return Err(lost());
                }
                Ok(data.slice(bytes))
            }
        };
        stream::iter(pieces(sizes, wanted)).map(read).buffered(READ_AHEAD)
    }

    async fn chunk(&self, id: String, chunk: u64) -> Result<Bytes> {
        // A chunk never changes. So an eventually consistent read, at half the cost, returns it or nothing.
        for consistent in [false, true] {
            let request = self
                .client
                .get_item()
                .table_name(&*self.table)
                .consistent_read(consistent);
            let response = request.set_key(Some(primary_key(id.clone(), chunk))).send().await;
            let item = response.map_err(|error| failed(&id, &error))?.item;
            if let Some(AttributeValue::B(data)) = item.and_then(|mut item| item.remove(DATA)) {
                return Ok(data.into_inner().into());
            }
        }
        Err(lost())
    }

    /// Removes all chunks of a deleted object. Chunks that cannot be removed remain for [`time_to_live`] and
    /// [`remove_orphans`].
    ///
    /// [`time_to_live`]: DynamoDbStore::time_to_live
    /// [`remove_orphans`]: DynamoDbStore::remove_orphans
    pub(super) async fn remove_chunks(&self, etag: &str, sizes: &[u64]) {
        let all = pieces(sizes.to_vec(), 0..u64::MAX).map(|piece| primary_key(id(etag, piece.part), piece.chunk));
        let mut batches = stream::iter(all).chunks(DELETE_BATCH);
        while let Some(batch) = batches.next().await {
            if let Err(error) = self.delete_items(batch).await {
                tracing::warn!(store = %self, etag, %error, "chunks of a deleted object could not be removed; use a time to live or `remove_orphans`");
                return;
            }
        }
    }

    /// Deletes the items of up to 25 primary keys.
    pub(super) async fn delete_items(&self, keys: Vec<Item>) -> Result<()> {
        let mut remaining = Vec::with_capacity(keys.len());
        for key in keys {
            let request = DeleteRequest::builder().set_key(Some(key)).build();
            let request = request.map_err(|error| Error::Generic {
                store: STORE,
                source: error.into(),
            })?;
            remaining.push(WriteRequest::builder().delete_request(request).build());
        }
        let mut wait = DELETE_BACKOFF;
        for _ in 0..DELETE_ATTEMPTS {
            let request = self.client.batch_write_item().request_items(&*self.table, remaining);
            let response = request.send().await.map_err(|error| failed("", &error))?;
            // The response names the table by its name or its ARN.
            remaining = response
                .unprocessed_items
                .into_iter()
                .flatten()
                .flat_map(|(_, requests)| requests)
                .collect();
            if remaining.is_empty() {
                return Ok(());
            }
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
        Err(Error::Generic {
            store: STORE,
            source: "the table is too busy to delete items; increase its write capacity or try again later".into(),
        })
    }
}

/// An object that vanished while it was read. The error is retryable, and a new request returns the current state.
fn lost() -> Error {
    Error::Generic {
        store: STORE,
        source: "the object was removed or replaced while it was read".into(),
    }
}

fn to_usize(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_chunk_fits_into_an_item() {
        const ITEM: u64 = 400 * 1024;
        const LONGEST_KEY: u64 = 1024;
        let rest =
            id(&DynamoDbStore::new_etag(), 10_000).len() + [DATA, KEY, MODIFIED, EXPIRES, "id", "part"].concat().len();
        assert!(CHUNK + LONGEST_KEY + u64::try_from(rest).unwrap() + 3 * 21 < ITEM);
    }

    proptest! {
        #[test]
        fn pieces_cover_a_range_in_order(
            sizes in prop::collection::vec(prop_oneof![0..10_u64, CHUNK - 1..=CHUNK + 1, 0..5 * CHUNK], 0..6),
            from in 0.0..1.0_f64,
            to in 0.0..1.0_f64,
        ) {
            let total: u64 = sizes.iter().sum();
            #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let at = |share: f64| (share * (total + 1) as f64) as u64;
            let wanted = at(from)..at(to);
            let mut next = wanted.start;
            for piece in pieces(sizes.clone(), wanted.clone()) {
                prop_assert!(piece.bytes.start < piece.bytes.end && piece.bytes.end <= CHUNK);
                let before: u64 = sizes[..piece.part].iter().sum();
                prop_assert_eq!(before + piece.chunk * CHUNK + piece.bytes.start, next);
                next += piece.bytes.end - piece.bytes.start;
                prop_assert!(next <= before + sizes[piece.part]);
            }
            prop_assert_eq!(next, wanted.end.max(wanted.start).min(total.max(wanted.start)));
        }
    }
}
