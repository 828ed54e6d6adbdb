//! What a user sends: bytes, a file, a reader or a stream.

use std::path::Path;
use std::{fmt, io};

use bytes::Bytes;
use futures::stream::{BoxStream, Stream, StreamExt};
use tokio::io::AsyncRead;

/// A payload to send: bytes in memory, a file, or anything that can be read or streamed.
///
/// Nothing is read before the payload is sent. A payload that is offloaded is never held whole: files and readers are
/// read into the buffers that are uploaded, bytes and stream chunks are uploaded as they are, without a copy.
///
/// ```
/// # async fn example() -> std::io::Result<()> {
/// use sqs_extended::Payload;
///
/// let text = Payload::from("hello");
/// let file = Payload::from_path("backup.tar").await?;
/// let unknown_length = Payload::from_reader(tokio::io::stdin(), None);
/// let of_a_million_bytes = Payload::from_reader(tokio::io::repeat(7), 1_000_000);
/// # Ok(()) }
/// ```
pub struct Payload {
    pub(crate) source: Source,
    pub(crate) len: Option<u64>,
}

pub(crate) enum Source {
    Bytes(Bytes),
    /// Kept as the standard library's file: it can be read into a part's buffer in one go, on the blocking pool.
    File(std::fs::File),
    Reader(Box<dyn AsyncRead + Send + Unpin>),
    Stream(BoxStream<'static, io::Result<Bytes>>),
}

impl Payload {
    /// The contents of a file, from its beginning to the end that it has now: if its length has changed by the time
    /// it is read to the end, sending fails. What is not a regular file, such as a pipe, has an unknown length.
    ///
    /// # Errors
    ///
    /// The file cannot be opened, or is a directory.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn from_path(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref().to_owned();
        tokio::task::spawn_blocking(move || {
            let file = std::fs::File::open(path)?;
            let metadata = file.metadata()?;
            if metadata.is_dir() {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            Ok(Self {
                len: metadata.is_file().then_some(metadata.len()),
                source: Source::File(file),
            })
        })
        .await?
    }

    /// Whatever `reader` yields until its end. If `len` is given and the reader does not keep to it, sending fails and
    /// nothing is sent. Give it where it is known: it decides between inline and offloaded without reading ahead, and
    /// the size of the parts (see [`PayloadStoreBuilder::part_size`](crate::store::PayloadStoreBuilder::part_size)).
    pub fn from_reader(reader: impl AsyncRead + Send + Unpin + 'static, len: impl Into<Option<u64>>) -> Self {
        Self {
            source: Source::Reader(Box::new(reader)),
            len: len.into(),
        }
    }

    /// The chunks of `stream` one after the other, until its end; `len` as in [`from_reader`](Self::from_reader).
    ///
    /// Chunks are uploaded without a copy (very small ones are gathered), so a chunk that is a slice of a large
    /// buffer keeps that buffer alive until its part is uploaded.
    pub fn from_stream(
        stream: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
        len: impl Into<Option<u64>>,
    ) -> Self {
        Self {
            source: Source::Stream(stream.boxed()),
            len: len.into(),
        }
    }

    /// The payload's length in bytes, where it is known before reading.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        self.len
    }
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        Self {
            len: u64::try_from(bytes.len()).ok(),
            source: Source::Bytes(bytes),
        }
    }
}

impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<String> for Payload {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl From<&str> for Payload {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = match self.source {
            Source::Bytes(_) => "bytes",
            Source::File(_) => "file",
            Source::Reader(_) => "reader",
            Source::Stream(_) => "stream",
        };
        f.debug_struct("Payload")
            .field("source", &source)
            .field("len", &self.len)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_files_length_is_known_and_a_directory_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, [0; 10]).unwrap();
        assert_eq!(Payload::from_path(&path).await.unwrap().size(), Some(10));
        assert!(Payload::from_path(folder.path()).await.is_err());
        assert!(Payload::from_path(folder.path().join("none")).await.is_err());
    }
}
