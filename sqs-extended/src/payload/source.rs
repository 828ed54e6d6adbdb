//! A payload as its sender provides it: bytes, a file, a reader or a stream.

use std::path::Path;
use std::{fmt, io};

use bytes::Bytes;
use futures::stream::{BoxStream, Stream, StreamExt};
use tokio::io::AsyncRead;

/// A payload to send: bytes in memory, a file, or anything that can be read or streamed.
///
/// Nothing is read before the payload is sent. An offloaded payload that is a file, a reader or a stream is never whole in
/// memory. Files and readers are read into the buffers that are uploaded. Bytes and stream chunks are uploaded without a
/// copy.
///
/// ```
/// # async fn example() -> std::io::Result<()> {
/// use sqs_extended::Payload;
/// use tokio::io::AsyncReadExt;
///
/// let text = Payload::from("hello");
/// let file = Payload::from_path("backup.tar").await?;
/// let unknown_length = Payload::from_reader(tokio::io::stdin(), None);
/// let known_length = Payload::from_reader(tokio::io::repeat(7).take(1_000_000), 1_000_000);
/// # Ok(()) }
/// ```
pub struct Payload {
    pub(crate) source: Source,
    pub(crate) len: Option<u64>,
}

pub(crate) enum Source {
    Bytes(Bytes),
    /// The standard library's file can be read into a part's buffer in one call on the blocking pool.
    File(std::fs::File),
    Reader(Box<dyn AsyncRead + Send + Unpin>),
    Stream(BoxStream<'static, io::Result<Bytes>>),
}

impl Payload {
    /// Opens a file as a payload.
    ///
    /// The payload has the length that the file has now. Sending fails if the length has changed in the meantime. Anything
    /// other than a regular file, such as a pipe, has an unknown length.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be opened or is a directory.
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

    /// Creates a payload from everything that `reader` yields until its end.
    ///
    /// Pass `len`, the length in bytes, if it is known. The strategy is then chosen without reading ahead. The length also
    /// determines the size of the parts (see
    /// [`PayloadStoreBuilder::part_size`](crate::store::PayloadStoreBuilder::part_size)). If the reader yields another
    /// number of bytes, sending fails and no message is sent.
    pub fn from_reader(reader: impl AsyncRead + Send + Unpin + 'static, len: impl Into<Option<u64>>) -> Self {
        Self {
            source: Source::Reader(Box::new(reader)),
            len: len.into(),
        }
    }

    /// Creates a payload from the chunks of `stream`. `len` is as for [`from_reader`](Self::from_reader).
    ///
    /// Chunks are uploaded without a copy, except that chunks below 4 KiB are gathered in blocks. So a chunk that is a
    /// slice of a large buffer keeps that buffer alive until its part is uploaded.
    pub fn from_stream(
        stream: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
        len: impl Into<Option<u64>>,
    ) -> Self {
        Self {
            source: Source::Stream(stream.boxed()),
            len: len.into(),
        }
    }

    /// Returns the payload's length in bytes if it is known before reading.
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
    async fn a_file_has_a_length_and_a_directory_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, [0; 10]).unwrap();
        assert_eq!(Payload::from_path(&path).await.unwrap().size(), Some(10));
        assert!(Payload::from_path(folder.path()).await.is_err());
        assert!(Payload::from_path(folder.path().join("none")).await.is_err());
    }
}
