//! A payload that arrived in segments.

use futures::stream::{self, StreamExt};
use sqs_client::Message;

use crate::codec::{Codec, Limits};
use crate::error::{Error, ErrorKind};
use crate::payload::digest::Digest;
use crate::payload::stream::PayloadStream;
use crate::receive::segment_bytes::SegmentBytes;
use crate::segment::{Header, Whole};

/// All segments of a payload, in order.
#[derive(Debug)]
pub(crate) struct Assembled {
    whole: Whole,
    segments: Vec<SegmentBytes>,
    /// The digest of the segments' checksums.
    digest: Digest,
}

impl Assembled {
    /// Combines segments in their order, each with its verified checksum.
    pub(crate) fn new(whole: Whole, segments: Vec<(Digest, SegmentBytes)>) -> Self {
        let digest = Whole::digest_of(whole.digest.algorithm(), segments.iter().map(|(checksum, _)| checksum));
        Self {
            whole,
            digest,
            segments: segments.into_iter().map(|(_, bytes)| bytes).collect(),
        }
    }

    /// Returns the payload of a message that is its only segment.
    ///
    /// # Errors
    ///
    /// The payload has more segments, or the segment is malformed.
    pub(crate) fn from_single(header: Header, message: &mut Message) -> Result<Self, Error> {
        if header.whole.count > 1 {
            return Err(Error::plain(
                ErrorKind::UnexpectedSegment,
                "the message is one of several segments; receive them with `ExtendedClient::consumer`",
            ));
        }
        let bytes = header.take_bytes(message)?;
        Ok(Self::new(
            header.whole,
            vec![(header.checksum, SegmentBytes::Memory(bytes))],
        ))
    }

    /// The payload's length in bytes, as the sender states it.
    pub(crate) fn size(&self) -> u64 {
        self.whole.original_length.unwrap_or(self.whole.total)
    }

    /// Returns the decoded payload.
    ///
    /// # Errors
    ///
    /// The segments do not match the payload's digest, or the codec cannot decode them.
    pub(crate) async fn stream(&self, codec: &Codec) -> Result<PayloadStream, Error> {
        if self.digest != self.whole.digest {
            return Err(Error::plain(
                ErrorKind::Corrupt,
                "the segments do not match the payload's digest",
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use futures::TryStreamExt;
    use tokio::sync::Semaphore;

    use super::*;
    use crate::codec::Encoding;
    use crate::payload::digest::DigestAlgorithm;
    use crate::receive::segment_bytes::SpillFile;

    /// A payload in two segments, the second one in a file.
    fn payload() -> (Whole, Vec<(Digest, SegmentBytes)>, Arc<SpillFile>) {
        let [first, second] = [b"hello, ", b"segment"].map(|bytes| {
            (
                Digest::compute(DigestAlgorithm::Blake3, bytes),
                Bytes::from_static(bytes),
            )
        });
        let whole = Whole {
            id: "p-1".to_owned(),
            count: 2,
            total: 14,
            digest: Whole::digest_of(DigestAlgorithm::Blake3, [&first.0, &second.0]),
            original_length: None,
            encoding: Encoding::default(),
        };
        let permit = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        let file = Arc::new(SpillFile::create(permit).unwrap());
        let (offset, len, checksum) = (7, 7, second.0.clone());
        file.write(offset, &second.1).unwrap();
        let spilled = SegmentBytes::Spilled {
            file: Arc::clone(&file),
            offset,
            len,
            checksum,
        };
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
    async fn segments_are_read_in_order_from_memory_and_file() {
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
    async fn a_modified_file_is_refused() {
        let (whole, segments, file) = payload();
        file.write(9, b"_").unwrap();
        assert_eq!(read(Assembled::new(whole, segments)).await, Err(ErrorKind::Corrupt));
    }
}
