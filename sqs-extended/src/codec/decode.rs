//! From what is stored to the payload.

use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};

use crate::codec::{Codec, Encoding};
use crate::error::{Error, ErrorKind};
use crate::transfer::download::Chunks;

/// How long the payload may be.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limits {
    /// What its sender says; it has to be that.
    pub(crate) len: Option<u64>,
    /// The longest that is accepted.
    pub(crate) max: Option<u64>,
}

/// Turns stored bytes back into the payload that they were.
pub(crate) struct Decoder {
    stages: Vec<Box<dyn Stage>>,
}

impl Codec {
    /// Whether a payload so encoded can be read here, as far as that can be told by looking at it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnsupportedEncoding`], with what is missing.
    pub(crate) fn check(&self, encoding: &Encoding) -> Result<(), Error> {
        match encoding.compression.as_deref() {
            None => {}
            #[cfg(feature = "zstd")]
            Some(crate::codec::zstd::NAME) => {}
            #[cfg(not(feature = "zstd"))]
            Some("zstd") => return unsupported("the payload is compressed by zstd; turn on the feature `zstd`"),
            Some(_) => return unsupported("the payload is compressed in a way that is not known here"),
        }
        let Some(header) = &encoding.encryption else {
            return Ok(());
        };
        #[cfg(feature = "encryption")]
        {
            if header.scheme != crate::codec::aead::SCHEME {
                return unsupported("the payload is encrypted in a way that is not known here");
            }
            if self.keys.is_none() {
                return unsupported("the payload is encrypted, and the client has no keys; set `Codec::encryption`");
            }
            Ok(())
        }
        #[cfg(not(feature = "encryption"))]
        {
            let _ = header;
            unsupported("the payload is encrypted; turn on the feature `encryption`")
        }
    }

    /// What decodes a payload so encoded; for an encrypted one the key provider is asked for its key.
    ///
    /// # Errors
    ///
    /// As for [`check`](Self::check), or the key provider fails or does not know the key.
    pub(crate) async fn decoder(&self, encoding: &Encoding) -> Result<Decoder, Error> {
        self.check(encoding)?;
        #[cfg_attr(
            not(any(feature = "encryption", feature = "zstd")),
            allow(unused_mut, reason = "there is nothing to add")
        )]
        let mut stages: Vec<Box<dyn Stage>> = Vec::new();
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
    /// The longest that the stored bytes of a payload of up to `max` can be: what cannot be compressed becomes longer by
    /// less than a 128th, salt and tags included, and by a few hundred bytes at the most where it is short.
    pub(crate) fn max_stored(&self, max: u64) -> u64 {
        if self.stages.is_empty() {
            return max;
        }
        max.saturating_add(max / 128).saturating_add(1024)
    }

    /// The payload. Ends without an error only if all of it is there, nothing more, and as long as it should be.
    ///
    /// Bytes that are stored as they are pass untouched: their length was seen to when they were fetched.
    pub(crate) fn decode(self, stored: Chunks, limits: Limits) -> Chunks {
        if self.stages.is_empty() {
            return stored;
        }
        let payload = self
            .stages
            .into_iter()
            .fold(stored, |chunks, stage| through(stage, chunks));
        limited(payload, limits)
    }
}

fn unsupported(why: &'static str) -> Result<(), Error> {
    Err(Error::plain(ErrorKind::UnsupportedEncoding, why))
}

/// One step from the stored bytes to the payload. It works in the task that reads them, in pieces of which each takes
/// a fraction of a millisecond, as bytes come from the network in small chunks.
pub(super) trait Stage: Send {
    /// Takes some of the input from its front, and gives what comes of it, bounded however much that is. If it gives
    /// nothing and has taken all, it needs more; otherwise it is called again.
    fn step(&mut self, input: &mut Bytes) -> Result<Bytes, Error>;

    /// Gives the rest, after all was taken, if that was a whole. It is not called again.
    fn finish(&mut self) -> Result<Bytes, Error>;
}

struct Passage {
    stage: Box<dyn Stage>,
    input: Bytes,
    chunks: Chunks,
}

fn through(stage: Box<dyn Stage>, chunks: Chunks) -> Chunks {
    let passage = Passage {
        stage,
        input: Bytes::new(),
        chunks,
    };
    stream::try_unfold(Some(passage), |passage| async {
        let Some(mut passage) = passage else {
            return Ok(None);
        };
        Ok(Some(match passage.next().await? {
            Some(output) => (output, Some(passage)),
            None => (passage.stage.finish()?, None),
        }))
    })
    // There may be nothing left in the end.
    .try_filter(|chunk| std::future::ready(!chunk.is_empty()))
    .boxed()
}

impl Passage {
    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        // Little input can have much output: others get their turn between its pieces.
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

/// The chunks, which end with an error where the payload is too long, or in the end if it is too short.
fn limited(chunks: Chunks, limits: Limits) -> Chunks {
    stream::try_unfold((chunks, 0_u64), move |(mut chunks, before)| async move {
        let Some(chunk) = chunks.try_next().await? else {
            return match limits.len {
                Some(len) if before < len => Err(Error::plain(
                    ErrorKind::Corrupt,
                    "the payload is shorter than the message says",
                )),
                _ => Ok(None),
            };
        };
        let len = before.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
        if limits.len.is_some_and(|claimed| len > claimed) {
            let why = "the payload is longer than the message says";
            return Err(Error::plain(ErrorKind::TooLarge, why));
        }
        if limits.max.is_some_and(|max| len > max) {
            return Err(Error::plain(
                ErrorKind::TooLarge,
                "the payload is longer than is accepted",
            ));
        }
        Ok(Some((chunk, (chunks, len))))
    })
    .boxed()
}
