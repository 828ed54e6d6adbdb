//! Decoding: the stored bytes become the payload again.

use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};

use crate::codec::encoding::Encoding;
use crate::codec::settings::Codec;
use crate::codec::stage::DecodeStage;
use crate::error::{Error, ErrorKind};
use crate::payload::chunks::Chunks;

/// The limits on the length of a decoded payload.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limits {
    /// The exact length, as the sender claims it.
    pub(crate) len: Option<u64>,
    /// The maximum length that the program accepts.
    pub(crate) max: Option<u64>,
}

/// Decodes the stored bytes of one payload.
pub(crate) struct Decoder {
    stages: Vec<Box<dyn DecodeStage>>,
}

impl Codec {
    /// Checks that this program can read the encoding, as far as the encoding alone can tell.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::UnsupportedEncoding`] with a text that names the missing feature or setting.
    pub(crate) fn check(&self, encoding: &Encoding) -> Result<(), Error> {
        match encoding.compression.as_deref() {
            None => {}
            #[cfg(feature = "zstd")]
            Some(crate::codec::zstd::NAME) => {}
            #[cfg(not(feature = "zstd"))]
            Some("zstd") => {
                return unsupported("the payload is compressed with zstd; enable the feature `zstd` of sqs-extended");
            }
            Some(_) => return unsupported("the payload's compression is unknown to this version of sqs-extended"),
        }
        let Some(header) = &encoding.encryption else {
            return Ok(());
        };
        #[cfg(feature = "encryption")]
        {
            if header.scheme != crate::codec::aead::SCHEME {
                return unsupported("the payload's encryption is unknown to this version of sqs-extended");
            }
            if self.keys.is_none() {
                return unsupported("the payload is encrypted but the client has no keys; set `Codec::encryption`");
            }
            Ok(())
        }
        #[cfg(not(feature = "encryption"))]
        {
            let _ = header;
            unsupported("the payload is encrypted; enable the feature `encryption` of sqs-extended")
        }
    }

    /// Returns a decoder for the encoding. Requests the key of an encrypted payload from the key provider.
    ///
    /// # Errors
    ///
    /// Fails as [`check`](Self::check) does, or because the key provider fails or does not know the key.
    pub(crate) async fn decoder(&self, encoding: &Encoding) -> Result<Decoder, Error> {
        self.check(encoding)?;
        #[cfg_attr(
            not(any(feature = "encryption", feature = "zstd")),
            allow(unused_mut, reason = "no stage is added without a feature")
        )]
        let mut stages: Vec<Box<dyn DecodeStage>> = Vec::new();
        #[cfg(feature = "encryption")]
        if let Some((header, keys)) = encoding.encryption.as_ref().zip(self.keys.as_deref()) {
            let opener = crate::codec::aead::open(keys, header, encoding.compression.as_deref()).await?;
            stages.push(Box::new(opener));
        }
        #[cfg(feature = "zstd")]
        if encoding.compression.is_some() {
            stages.push(Box::new(crate::codec::zstd::Decompressor::new()?));
        }
        Ok(Decoder { stages })
    }
}

impl Decoder {
    /// Returns the maximum length of the stored bytes of a payload of up to `max` bytes.
    ///
    /// An incompressible payload grows by less than a 128th, salt and tags included. A short one grows by up to a few
    /// hundred bytes.
    pub(crate) fn max_stored(&self, max: u64) -> u64 {
        if self.stages.is_empty() {
            return max;
        }
        max.saturating_add(max / 128).saturating_add(1024)
    }

    /// Returns the payload. The stream ends without an error only if the payload is complete and within the limits.
    ///
    /// Plain bytes pass unchecked, because the download has checked their length.
    pub(crate) fn decode(self, stored: Chunks, limits: Limits) -> Chunks {
        if self.stages.is_empty() {
            return stored;
        }
        let payload = self
            .stages
            .into_iter()
            .fold(stored, |chunks, stage| decoded_by(stage, chunks));
        limited(payload, limits)
    }
}

fn unsupported(why: &'static str) -> Result<(), Error> {
    Err(Error::plain(ErrorKind::UnsupportedEncoding, why))
}

/// A stage with its input.
struct StageReader {
    stage: Box<dyn DecodeStage>,
    input: Bytes,
    chunks: Chunks,
}

fn decoded_by(stage: Box<dyn DecodeStage>, chunks: Chunks) -> Chunks {
    let reader = StageReader {
        stage,
        input: Bytes::new(),
        chunks,
    };
    stream::try_unfold(Some(reader), |reader| async {
        let Some(mut reader) = reader else {
            return Ok(None);
        };
        Ok(Some(match reader.next().await? {
            Some(output) => (output, Some(reader)),
            None => (reader.stage.finish()?, None),
        }))
    })
    // The last output may be empty.
    .try_filter(|chunk| std::future::ready(!chunk.is_empty()))
    .boxed()
}

impl StageReader {
    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        // A little input can have a lot of output. Other tasks run between its pieces.
        tokio::task::yield_now().await;
        loop {
            let output = self.stage.step(&mut self.input)?;
            if !output.is_empty() {
                return Ok(Some(output));
            }
            if self.input.is_empty() {
                let Some(chunk) = self.chunks.try_next().await? else {
                    return Ok(None);
                };
                self.input = chunk;
            }
        }
    }
}

/// Ends the chunks with an error if the payload exceeds the limits or is too short.
fn limited(chunks: Chunks, limits: Limits) -> Chunks {
    stream::try_unfold((chunks, 0_u64), move |(mut chunks, before)| async move {
        let Some(chunk) = chunks.try_next().await? else {
            return match limits.len {
                Some(len) if before < len => Err(Error::plain(
                    ErrorKind::Corrupt,
                    "the payload is shorter than its message claims",
                )),
                _ => Ok(None),
            };
        };
        let len = before.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
        if limits.len.is_some_and(|claimed| len > claimed) {
            let why = "the payload is longer than its message claims";
            return Err(Error::plain(ErrorKind::TooLarge, why));
        }
        if limits.max.is_some_and(|max| len > max) {
            return Err(Error::plain(
                ErrorKind::TooLarge,
                "the payload is longer than the configured maximum",
            ));
        }
        Ok(Some((chunk, (chunks, len))))
    })
    .boxed()
}
