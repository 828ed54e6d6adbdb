//! Encoding: the payload becomes the stored bytes.

use bytes::Bytes;
use futures::stream::{self, StreamExt};
use tokio::sync::oneshot;

use crate::codec::encoding::Encoding;
use crate::codec::settings::Codec;
use crate::codec::stage::{EncodeStage, encoding_failed};
use crate::error::{Error, ErrorKind};
use crate::payload::digest::{DigestAlgorithm, Hasher};
use crate::transfer::part_source::PartSource;
use crate::transfer::upload::Measured;

/// The number of bytes that one task on the blocking pool encodes.
const PIECE: usize = 1024 * 1024;

/// A payload that is ready to be stored.
pub(crate) struct Encoded {
    /// The bytes to store. Their length is declared where the payload's is, unless they are compressed.
    pub(crate) source: PartSource,
    /// The encoding that the message must carry.
    pub(crate) encoding: Encoding,
    pub(crate) original: Original,
}

/// The length and digest of the payload before it was encoded.
pub(crate) struct Original(Known);

enum Known {
    /// The payload is stored as it is.
    AsStored,
    Now(Measured),
    /// Known once the payload was read to its end.
    Later(oneshot::Receiver<Measured>),
}

impl Original {
    /// Restores the result of [`read`](Self::read).
    pub(crate) fn known(original: Option<Measured>) -> Self {
        Self(original.map_or(Known::AsStored, Known::Now))
    }

    /// Returns the payload's own length and digest after its encoded bytes were read, or `None` if they are those of the
    /// stored bytes.
    ///
    /// # Errors
    ///
    /// Returns an error if the encoded bytes were not read to their end.
    pub(crate) fn read(self) -> Result<Option<Measured>, Error> {
        match self.0 {
            Known::AsStored => Ok(None),
            Known::Now(original) => Ok(Some(original)),
            Known::Later(mut measured) => measured
                .try_recv()
                .map(Some)
                .map_err(|_| Error::plain(ErrorKind::PayloadSource, "the payload was not read to its end")),
        }
    }

    /// Returns the payload's own length and digest after its encoded bytes were `stored`.
    ///
    /// # Errors
    ///
    /// Fails as [`read`](Self::read) does.
    pub(crate) fn of(self, stored: &Measured) -> Result<Measured, Error> {
        Ok(self.read()?.unwrap_or_else(|| stored.clone()))
    }
}

impl Codec {
    /// Returns the bytes to store. They are the payload's own if it is neither compressed nor encrypted.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no key to encrypt with. Failures of the payload and of its encoding are returned
    /// where the bytes are read.
    #[cfg_attr(
        not(any(feature = "encryption", feature = "zstd")),
        allow(unused_mut, reason = "no stage is added without a feature")
    )]
    pub(crate) async fn encode(&self, source: PartSource, digest: DigestAlgorithm) -> Result<Encoded, Error> {
        let mut encoding = Encoding::default();
        let mut declared = source.declared();
        let (sender, measured) = oneshot::channel();
        let mut pipeline = Pipeline(vec![Box::new(Measure::new(digest, sender))]);
        #[cfg(feature = "zstd")]
        if let Some(compression) = self.compression {
            pipeline.0.push(Box::new(compression.compressor(declared)?));
            encoding.compression = Some(crate::codec::zstd::NAME.to_owned());
            declared = None;
        }
        #[cfg(feature = "encryption")]
        if let Some(keys) = &self.keys {
            let (sealer, header) = crate::codec::aead::seal(&**keys, encoding.compression.as_deref()).await?;
            pipeline.0.push(Box::new(sealer));
            encoding.encryption = Some(header);
            declared = declared.map(crate::codec::aead::sealed_len);
        }
        if encoding.is_plain() {
            let original = Original(Known::AsStored);
            return Ok(Encoded {
                source,
                encoding,
                original,
            });
        }
        Ok(Encoded {
            source: pipeline.encode(source, declared),
            encoding,
            original: Original(Known::Later(measured)),
        })
    }
}

struct Pipeline(Vec<Box<dyn EncodeStage>>);

impl Pipeline {
    fn encode(self, source: PartSource, declared: Option<u64>) -> PartSource {
        let chunks = stream::try_unfold((source, Some(self)), |(mut source, pipeline)| async move {
            let Some(pipeline) = pipeline else {
                return Ok(None);
            };
            let piece = source.next_piece(PIECE).await?.map(Bytes::from);
            let (output, pipeline) = tokio::task::spawn_blocking(|| pipeline.run(piece))
                .await
                .map_err(|error| encoding_failed(error.into()))??;
            Ok(Some((output, (source, pipeline))))
        });
        PartSource::from_chunks(chunks.boxed(), declared)
    }

    /// Passes a piece through all stages. `None` ends them.
    fn run(mut self, piece: Option<Bytes>) -> Result<(Bytes, Option<Self>), Error> {
        let mut stages = self.0.iter_mut();
        Ok(match piece {
            Some(piece) => (stages.try_fold(piece, |bytes, stage| stage.push(bytes))?, Some(self)),
            None => (stages.try_fold(Bytes::new(), |bytes, stage| stage.finish(bytes))?, None),
        })
    }
}

/// Measures the payload before it is encoded.
struct Measure {
    len: u64,
    digest: Option<(Hasher, oneshot::Sender<Measured>)>,
}

impl Measure {
    fn new(algorithm: DigestAlgorithm, sender: oneshot::Sender<Measured>) -> Self {
        Self {
            len: 0,
            digest: Some((Hasher::new(algorithm), sender)),
        }
    }
}

impl EncodeStage for Measure {
    fn push(&mut self, input: Bytes) -> Result<Bytes, Error> {
        self.len = self.len.saturating_add(u64::try_from(input.len()).unwrap_or(u64::MAX));
        if let Some((hasher, _)) = &mut self.digest {
            hasher.update(&input);
        }
        Ok(input)
    }

    fn finish(&mut self, input: Bytes) -> Result<Bytes, Error> {
        let input = self.push(input)?;
        if let Some((hasher, sender)) = self.digest.take() {
            // A dropped receiver does not need the result.
            let _ = sender.send(Measured {
                len: self.len,
                digest: hasher.finish(),
            });
        }
        Ok(input)
    }
}
