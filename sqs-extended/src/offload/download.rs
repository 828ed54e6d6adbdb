//! Payloads out of the store, verified as they pass.

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{GetResult, ObjectStore, ObjectStoreExt};

use crate::digest::{Digest, Hasher};
use crate::error::{Error, ErrorKind};

/// So much is hashed in a fraction of a millisecond, and worth a trip to the blocking pool to read it.
const PIECE: usize = 1024 * 1024;

/// What is known of a payload before it is fetched.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expected {
    pub(crate) len: Option<u64>,
    pub(crate) digest: Option<Digest>,
}

/// A payload that is being fetched.
pub(crate) struct Download {
    /// The object's length as the store says it.
    pub(crate) len: u64,
    /// Ends without an error only after all that was expected was found to be so.
    pub(crate) chunks: BoxStream<'static, Result<Bytes, Error>>,
}

/// Begins to fetch the object, in one streaming request.
///
/// # Errors
///
/// The store fails or does not have the object, or has one of another length.
pub(crate) async fn download(store: &dyn ObjectStore, key: &Path, expected: Expected) -> Result<Download, Error> {
    let object = store.get(key).await.map_err(Error::fetch)?;
    let len = object.meta.size;
    if expected.len.is_some_and(|expected| expected != len) {
        return Err(wrong_length());
    }
    let verifier = Verifier {
        chunks: chunks(object),
        missing: len,
        digest: expected.digest.map(|digest| {
            let hasher = Hasher::new(digest.algorithm());
            (hasher, digest)
        }),
    };
    let chunks = stream::try_unfold(verifier, |mut verifier| async move {
        Ok(match verifier.next().await? {
            Some(chunk) => Some((chunk, verifier)),
            None => {
                verifier.verify().await?;
                None
            }
        })
    });
    Ok(Download {
        len,
        chunks: chunks.boxed(),
    })
}

/// The chunks, which end with an error if they are not what the digest is of.
pub(crate) fn verified(
    chunks: BoxStream<'static, Result<Bytes, Error>>,
    expected: Digest,
) -> BoxStream<'static, Result<Bytes, Error>> {
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

struct Verifier {
    chunks: BoxStream<'static, Result<Bytes, Error>>,
    missing: u64,
    digest: Option<(Hasher, Digest)>,
}

impl Verifier {
    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        let Some(chunk) = self.chunks.try_next().await? else {
            return Ok(None);
        };
        self.missing = u64::try_from(chunk.len())
            .ok()
            .and_then(|len| self.missing.checked_sub(len))
            .ok_or_else(wrong_length)?;
        if let Some((hasher, _)) = &mut self.digest {
            hash(hasher, &chunk).await;
        }
        Ok(Some(chunk))
    }

    async fn verify(self) -> Result<(), Error> {
        if self.missing > 0 {
            return Err(wrong_length());
        }
        if let Some((hasher, expected)) = self.digest
            && hasher.finish() != expected
        {
            return Err(Error::plain(
                ErrorKind::Corrupt,
                "the stored payload's digest is not the one that the message gives",
            ));
        }
        Ok(())
    }
}

fn wrong_length() -> Error {
    Error::plain(
        ErrorKind::Corrupt,
        "the stored payload is not as long as the message says",
    )
}

#[cfg(not(feature = "fs"))]
fn chunks(object: GetResult) -> BoxStream<'static, Result<Bytes, Error>> {
    object.into_stream().map_err(Error::fetch).boxed()
}

#[cfg(feature = "fs")]
fn chunks(object: GetResult) -> BoxStream<'static, Result<Bytes, Error>> {
    use object_store::GetResultPayload;

    match object.payload {
        GetResultPayload::Stream(chunks) => chunks.map_err(Error::fetch).boxed(),
        GetResultPayload::File(file, _) => stream::try_unfold(file, |file| async {
            let read = tokio::task::spawn_blocking(|| read_piece(file)).await;
            read.map_err(std::io::Error::from)
                .flatten()
                .map_err(|error| Error::io(ErrorKind::Store, "the payload could not be fetched", error))
        })
        .boxed(),
    }
}

/// The next piece of a file, with the file; `None` at its end.
#[cfg(feature = "fs")]
fn read_piece(file: std::fs::File) -> std::io::Result<Option<(Bytes, std::fs::File)>> {
    use std::io::Read;

    let mut piece = Vec::with_capacity(PIECE);
    let limit = u64::try_from(PIECE).unwrap_or(u64::MAX);
    (&file).take(limit).read_to_end(&mut piece)?;
    Ok((!piece.is_empty()).then(|| (piece.into(), file)))
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
mod tests {
    use std::io::Write;
    use std::sync::Arc;
    use std::sync::atomic::Ordering::SeqCst;

    use object_store::chunked::ChunkedStore;
    use object_store::local::LocalFileSystem;

    use super::*;
    use crate::digest::DigestAlgorithm;
    use crate::testing::{TestStore, bytes};

    fn key() -> Path {
        Path::from("payloads/k")
    }

    fn digest(algorithm: DigestAlgorithm, content: &[u8]) -> Option<Digest> {
        let mut hasher = Hasher::new(algorithm);
        hasher.write_all(content).unwrap();
        Some(hasher.finish())
    }

    async fn holding(content: &[u8]) -> TestStore {
        let store = TestStore::default();
        store.put(&key(), content.to_vec().into()).await.unwrap();
        store
    }

    async fn fetch(store: &dyn ObjectStore, len: Option<u64>, digest: Option<Digest>) -> Result<Vec<u8>, Error> {
        let download = download(store, &key(), Expected { len, digest }).await?;
        let chunks: Vec<Bytes> = download.chunks.try_collect().await?;
        Ok(chunks.concat())
    }

    #[tokio::test]
    async fn what_is_right_arrives_in_any_chunks() {
        let content = bytes(3_000_000);
        let store = Arc::new(holding(&content).await);
        for chunk in [7000, 1_000_000, 4_000_000] {
            let store = ChunkedStore::new(store.clone(), chunk);
            for algorithm in [DigestAlgorithm::Blake3, DigestAlgorithm::Sha256] {
                let fetched = fetch(&store, Some(3_000_000), digest(algorithm, &content)).await;
                assert_eq!(fetched.unwrap(), content);
            }
        }
    }

    #[tokio::test]
    async fn a_local_file_arrives_too() {
        let folder = tempfile::tempdir().unwrap();
        let store = LocalFileSystem::new_with_prefix(folder.path()).unwrap();
        let content = bytes(2 * PIECE + 1);
        store.put(&key(), content.clone().into()).await.unwrap();
        let digest = digest(DigestAlgorithm::Blake3, &content);
        let fetched = fetch(&store, Some(content.len() as u64), digest).await.unwrap();
        assert_eq!(fetched, content);

        let error = fetch(&store, Some(1), None).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        store.delete(&key()).await.unwrap();
        assert!(fetch(&store, None, None).await.unwrap_err().is_missing_payload());
    }

    #[tokio::test]
    async fn nothing_is_expected_of_a_peer_that_says_nothing() {
        let store = holding(b"hello").await;
        assert_eq!(fetch(&store, None, None).await.unwrap(), b"hello");
    }

    #[tokio::test]
    async fn another_digest_is_corrupt() {
        let store = holding(b"hello").await;
        let other = digest(DigestAlgorithm::Blake3, b"hellO");
        let error = fetch(&store, Some(5), other).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
    }

    #[tokio::test]
    async fn another_length_is_corrupt_before_a_byte_is_read() {
        let store = holding(b"hello").await;
        for len in [0, 4, 6, 2 << 30] {
            let expected = Expected {
                len: Some(len),
                digest: None,
            };
            let error = download(&store, &key(), expected).await.err().unwrap();
            assert_eq!(error.kind(), ErrorKind::Corrupt);
        }
    }

    #[tokio::test]
    async fn a_stream_that_ends_early_is_corrupt() {
        let store = holding(b"hello").await;
        store.calls.cut.store(1, SeqCst);
        for len in [Some(5), None] {
            let error = fetch(&store, len, None).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt);
        }
    }

    #[tokio::test]
    async fn a_missing_object_is_said_to_be_missing() {
        let error = fetch(&TestStore::default(), None, None).await.unwrap_err();
        assert!(error.is_missing_payload());
    }
}
