//! From the payload to what is stored.

use bytes::Bytes;
use futures::stream::{self, StreamExt};
use tokio::sync::oneshot;

use crate::codec::{Codec, Encoding};
use crate::error::{Error, ErrorKind};
use crate::payload::digest::{DigestAlgorithm, Hasher};
use crate::transfer::part_source::PartSource;
use crate::transfer::upload::Measured;

/// So much is read, and encoded in one trip to the blocking pool.
const PIECE: usize = 1024 * 1024;

/// A payload on its way to be stored.
pub(crate) struct Encoded {
    /// The bytes to store. Their length is declared where the payload's is, unless they are compressed.
    pub(crate) source: PartSource,
    /// What readers have to be told.
    pub(crate) encoding: Encoding,
    pub(crate) original: Original,
}

/// What the payload was before it was encoded.
pub(crate) struct Original(Known);

enum Known {
    /// It is what is stored.
    AsStored,
    Now(Measured),
    /// Once it was read to its end.
    Then(oneshot::Receiver<Measured>),
}

impl Original {
    /// What [`read`](Self::read) said.
    pub(crate) fn known(original: Option<Measured>) -> Self {
        Self(original.map_or(Known::AsStored, Known::Now))
    }

    /// The payload's own length and digest, after its encoded bytes were read; `None` if they are those of what is stored.
    ///
    /// # Errors
    ///
    /// The encoded bytes were not read to their end.
    pub(crate) fn read(self) -> Result<Option<Measured>, Error> {
        match self.0 {
            Known::AsStored => Ok(None),
            Known::Now(original) => Ok(Some(original)),
            Known::Then(mut told) => told
                .try_recv()
                .map(Some)
                .map_err(|_| Error::plain(ErrorKind::PayloadSource, "the payload was not read to its end")),
        }
    }

    /// The payload's own length and digest, after its encoded bytes were `stored`.
    ///
    /// # Errors
    ///
    /// As for [`read`](Self::read).
    pub(crate) fn of(self, stored: &Measured) -> Result<Measured, Error> {
        Ok(self.read()?.unwrap_or_else(|| stored.clone()))
    }
}

impl Codec {
    /// Whether payloads are encrypted.
    #[cfg_attr(
        not(feature = "encryption"),
        allow(clippy::unused_self, reason = "there are no keys")
    )]
    pub(crate) fn encrypts(&self) -> bool {
        #[cfg(feature = "encryption")]
        return self.keys.is_some();
        #[cfg(not(feature = "encryption"))]
        false
    }

    /// The payload as it is to be stored; itself, if it is neither compressed nor encrypted.
    ///
    /// # Errors
    ///
    /// There is no key to encrypt with. Errors of the payload, and of encoding it, are those of reading the source.
    #[cfg_attr(
        not(any(feature = "encryption", feature = "zstd")),
        allow(unused_mut, reason = "there is nothing to add")
    )]
    pub(crate) async fn encode(&self, source: PartSource, digest: DigestAlgorithm) -> Result<Encoded, Error> {
        let mut encoding = Encoding::default();
        let mut declared = source.declared();
        let (tell, told) = oneshot::channel();
        let mut pipeline = Pipeline(vec![Box::new(Measure::new(digest, tell))]);
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
            original: Original(Known::Then(told)),
        })
    }
}

/// One step from the payload to the stored bytes. It works on the blocking pool.
pub(super) trait Stage: Send {
    /// Takes the next bytes, and gives what is to be given so far.
    fn push(&mut self, input: Bytes) -> Result<Bytes, Error>;

    /// Gives the rest, after `input`, the last bytes. It is not called again.
    fn finish(&mut self, input: Bytes) -> Result<Bytes, Error>;
}

struct Pipeline(Vec<Box<dyn Stage>>);

impl Pipeline {
    fn encode(self, source: PartSource, declared: Option<u64>) -> PartSource {
        let chunks = stream::try_unfold((source, Some(self)), |(mut source, pipeline)| async move {
            let Some(pipeline) = pipeline else {
                return Ok(None);
            };
            let piece = source.next_part(PIECE).await?.map(Bytes::from);
            let (output, pipeline) = tokio::task::spawn_blocking(|| pipeline.run(piece))
                .await
                .map_err(|error| encoding_failed(error.into()))??;
            Ok(Some((output, (source, pipeline))))
        });
        PartSource::from_chunks(chunks.boxed(), declared)
    }

    /// Passes a piece through all stages; the end of the pieces ends them.
    fn run(mut self, piece: Option<Bytes>) -> Result<(Bytes, Option<Self>), Error> {
        let mut stages = self.0.iter_mut();
        Ok(match piece {
            Some(piece) => (stages.try_fold(piece, |bytes, stage| stage.push(bytes))?, Some(self)),
            None => (stages.try_fold(Bytes::new(), |bytes, stage| stage.finish(bytes))?, None),
        })
    }
}

pub(super) fn encoding_failed(error: std::io::Error) -> Error {
    Error::io(ErrorKind::PayloadSource, "the payload could not be encoded", error)
}

/// Measures the payload before it is changed, and lets it pass.
struct Measure {
    len: u64,
    digest: Option<(Hasher, oneshot::Sender<Measured>)>,
}

impl Measure {
    fn new(algorithm: DigestAlgorithm, tell: oneshot::Sender<Measured>) -> Self {
        Self {
            len: 0,
            digest: Some((Hasher::new(algorithm), tell)),
        }
    }
}

impl Stage for Measure {
    fn push(&mut self, input: Bytes) -> Result<Bytes, Error> {
        self.len = self.len.saturating_add(u64::try_from(input.len()).unwrap_or(u64::MAX));
        if let Some((hasher, _)) = &mut self.digest {
            hasher.update(&input);
        }
        Ok(input)
    }

    fn finish(&mut self, input: Bytes) -> Result<Bytes, Error> {
        let input = self.push(input)?;
        if let Some((hasher, tell)) = self.digest.take() {
            // Whoever does not wait for it does not need it.
            let _ = tell.send(Measured {
                len: self.len,
                digest: hasher.finish(),
            });
        }
        Ok(input)
    }
}
