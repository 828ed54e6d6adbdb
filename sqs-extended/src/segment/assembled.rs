//! A payload that came in segments, as its receiver reads it.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::stream::{self, StreamExt};
use sqs_client::Message;
use tokio::sync::OwnedSemaphorePermit;

use crate::codec::{Codec, Limits};
use crate::error::{Error, ErrorKind};
use crate::payload::digest::Digest;
use crate::payload::stream::PayloadStream;
use crate::segment::{BYTES_ATTRIBUTE, Form, HEADER_ATTRIBUTE, Header, InvalidSegment, Whole};
use crate::transfer::download::{Chunks, verified};

/// So much of a file is read at a time.
const PIECE: usize = 1024 * 1024;

/// The bytes of a segment, wherever they are.
#[derive(Clone, Debug)]
pub(crate) enum SegmentBytes {
    Memory(Bytes),
    Spilled {
        file: Arc<SpillFile>,
        offset: u64,
        len: u64,
        checksum: Digest,
    },
}

/// A temporary file that the segments of a payload share.
#[derive(Debug)]
pub(crate) struct SpillFile {
    file: Mutex<File>,
    /// One of the files that may be open.
    _permit: OwnedSemaphorePermit,
}

impl SpillFile {
    /// Makes a file in the system's folder for temporary ones. It is gone with the last who uses it.
    ///
    /// # Errors
    ///
    /// The file cannot be made.
    pub(crate) fn create(permit: OwnedSemaphorePermit) -> io::Result<Self> {
        let file = tempfile::tempfile()?;
        Ok(Self {
            file: Mutex::new(file),
            _permit: permit,
        })
    }

    /// # Errors
    ///
    /// The bytes could not be written.
    pub(crate) fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(offset))?;
        file.write_all(bytes)
    }

    fn read(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        let mut bytes = vec![0; len];
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(&mut bytes)?;
        Ok(bytes.into())
    }
}

impl SegmentBytes {
    /// Takes them out of the message, which keeps what the caller gave it.
    ///
    /// # Errors
    ///
    /// They are not those that the header says; the message is as it was.
    pub(crate) fn take(header: &Header, message: &mut Message) -> Result<Bytes, InvalidSegment> {
        let bytes = header.form.read(message)?;
        header.verify(&bytes)?;
        let decoded = match bytes {
            Cow::Owned(bytes) => Some(bytes.into()),
            Cow::Borrowed(_) => None,
        };
        let attributes = &mut message.message_attributes;
        let in_attribute = attributes.remove(BYTES_ATTRIBUTE);
        attributes.remove(HEADER_ATTRIBUTE);
        let body = std::mem::take(&mut message.body);
        let bytes = in_attribute.and_then(|value| value.as_bytes().cloned());
        Ok(match header.form {
            Form::Text => body.into(),
            Form::Binary => bytes.unwrap_or_default(),
            Form::Base64 => decoded.unwrap_or_default(),
        })
    }

    /// Those of this segment in a file, to which they were written.
    pub(crate) fn spilled(file: Arc<SpillFile>, header: &Header, len: u64) -> Self {
        Self::Spilled {
            file,
            offset: header.offset,
            len,
            checksum: header.checksum.clone(),
        }
    }

    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            Self::Spilled { len, .. } => *len,
        }
    }

    /// Verified when they came, and once more where they come from a file.
    pub(crate) fn chunks(self) -> Chunks {
        let (file, offset, len, checksum) = match self {
            Self::Memory(bytes) => return stream::iter([Ok(bytes)]).boxed(),
            Self::Spilled {
                file,
                offset,
                len,
                checksum,
            } => (file, offset, len, checksum),
        };
        let pieces = stream::try_unfold((file, offset, len), |(file, offset, len)| async move {
            let piece = usize::try_from(len).unwrap_or(usize::MAX).min(PIECE);
            if piece == 0 {
                return Ok(None);
            }
            let reader = Arc::clone(&file);
            let read = tokio::task::spawn_blocking(move || reader.read(offset, piece)).await;
            let bytes = read
                .map_err(io::Error::from)
                .flatten()
                .map_err(|error| Error::io(ErrorKind::File, "the payload's temporary file could not be read", error))?;
            let read = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            Ok(Some((bytes, (file, offset + read, len - read))))
        });
        verified(pieces.boxed(), checksum)
    }
}

/// All segments of a payload, in order.
#[derive(Debug)]
pub(crate) struct Assembled {
    whole: Whole,
    segments: Vec<SegmentBytes>,
    /// Of the segments.
    digest: Digest,
}

impl Assembled {
    /// The segments each with its checksum, which its bytes were found to have.
    pub(crate) fn new(whole: Whole, segments: Vec<(Digest, SegmentBytes)>) -> Self {
        let digest = Whole::digest_of(whole.digest.algorithm(), segments.iter().map(|(checksum, _)| checksum));
        Self {
            whole,
            digest,
            segments: segments.into_iter().map(|(_, bytes)| bytes).collect(),
        }
    }

    /// The payload of a message that is the only segment.
    ///
    /// # Errors
    ///
    /// It is not the only one, or not sound.
    pub(crate) fn of_one(header: Header, message: &mut Message) -> Result<Self, Error> {
        if header.whole.count > 1 {
            return Err(Error::plain(
                ErrorKind::UnexpectedSegment,
                "the message is a segment of a payload; a consumer gathers them",
            ));
        }
        let bytes = SegmentBytes::take(&header, message)?;
        Ok(Self::new(
            header.whole,
            vec![(header.checksum, SegmentBytes::Memory(bytes))],
        ))
    }

    /// Bytes of the payload, as its sender says.
    pub(crate) fn size(&self) -> u64 {
        self.whole.original_length.unwrap_or(self.whole.total)
    }

    /// The payload.
    ///
    /// # Errors
    ///
    /// The segments are not those of the payload, or the codec cannot read it.
    pub(crate) async fn stream(&self, codec: &Codec) -> Result<PayloadStream, Error> {
        if self.digest != self.whole.digest {
            return Err(Error::plain(
                ErrorKind::Corrupt,
                "the segments are not those that the payload's digest is of",
            ));
        }
        let decoder = codec.decoder(&self.whole.encoding).await?;
        let chunks = stream::iter(self.segments.clone().into_iter().map(SegmentBytes::chunks));
        let limits = Limits {
            len: Some(self.size()),
            max: None,
        };
        Ok(PayloadStream::new(
            decoder.decode(chunks.flatten().boxed(), limits),
            Some(self.size()),
        ))
    }
}

impl From<InvalidSegment> for Error {
    fn from(invalid: InvalidSegment) -> Self {
        Self::plain(ErrorKind::UnexpectedSegment, invalid.to_string())
    }
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;
    use tokio::sync::Semaphore;

    use super::*;
    use crate::payload::digest::DigestAlgorithm;
    use crate::segment::header::tests::header;

    /// A payload in two segments, the second of them in a file.
    fn payload() -> (Whole, Vec<(Digest, SegmentBytes)>, Arc<SpillFile>) {
        let [first, second] = [b"hello, ", b"segment"].map(|bytes| {
            (
                Digest::compute(DigestAlgorithm::Blake3, bytes),
                Bytes::from_static(bytes),
            )
        });
        let whole = Whole {
            count: 2,
            total: 14,
            digest: Whole::digest_of(DigestAlgorithm::Blake3, [&first.0, &second.0]),
            ..header().whole
        };
        let permit = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        let file = Arc::new(SpillFile::create(permit).unwrap());
        let header = Header {
            offset: 7,
            checksum: second.0.clone(),
            ..header()
        };
        file.write(header.offset, &second.1).unwrap();
        let spilled = SegmentBytes::spilled(Arc::clone(&file), &header, 7);
        (
            whole,
            vec![(first.0, SegmentBytes::Memory(first.1)), (second.0, spilled)],
            file,
        )
    }

    async fn read(payload: Assembled) -> Result<Vec<u8>, ErrorKind> {
        let stream = payload.stream(&Codec::default()).await.map_err(|error| error.kind())?;
        let chunks: Vec<Bytes> = stream.try_collect().await.map_err(|error| error.kind())?;
        Ok(chunks.concat())
    }

    #[tokio::test]
    async fn segments_are_read_in_order_wherever_they_are() {
        let (whole, segments, _) = payload();
        assert_eq!(read(Assembled::new(whole, segments)).await.unwrap(), b"hello, segment");
    }

    #[tokio::test]
    async fn segments_of_another_payload_are_refused() {
        let (whole, mut segments, _) = payload();
        segments.swap(0, 1);
        assert_eq!(read(Assembled::new(whole, segments)).await, Err(ErrorKind::Corrupt));
    }

    #[tokio::test]
    async fn a_file_that_was_changed_is_noticed() {
        let (whole, segments, file) = payload();
        file.write(9, b"_").unwrap();
        assert_eq!(read(Assembled::new(whole, segments)).await, Err(ErrorKind::Corrupt));
    }
}
