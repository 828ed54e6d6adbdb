//! Compression with zstd, as one frame.

use std::io::Write;

use bytes::Bytes;
use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};
use zstd::stream::write::Encoder;

use crate::codec::stage::{DecodeStage, EncodeStage, encoding_failed};
use crate::error::{Error, ErrorKind};

/// The compression's name in an [`Encoding`](crate::codec::Encoding).
pub(super) const NAME: &str = "zstd";

/// The levels of zstd that require no window of more than [`MAX_WINDOW_LOG`] to read.
const LEVELS: std::ops::RangeInclusive<i32> = 1..=19;

/// The maximum window of a payload that is read, 8 MiB. It bounds the memory, whatever window the sender claims.
const MAX_WINDOW_LOG: u32 = 23;

/// The maximum output of one step of decompression.
const PIECE: usize = 128 * 1024;

/// A compression for payloads.
///
/// ```
/// use sqs_extended::codec::{Codec, Compression};
///
/// let codec = Codec::new().compression(Compression::zstd(3));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compression {
    level: i32,
}

impl Compression {
    /// Compresses with zstd at `level`. Range: 1 (fast) to 19 (small). Other values are clamped.
    ///
    /// Level 3 is zstd's own default and uses about 4 MiB of memory to write. Levels from 16 use tens of MiB. A reader's
    /// window never exceeds 8 MiB.
    #[must_use]
    pub fn zstd(level: i32) -> Self {
        let level = level.clamp(*LEVELS.start(), *LEVELS.end());
        Self { level }
    }

    /// # Errors
    ///
    /// Returns an error if zstd cannot allocate memory.
    pub(super) fn compressor(self, declared: Option<u64>) -> Result<Compressor, Error> {
        let begin = || {
            let mut encoder = Encoder::new(Vec::new(), self.level)?;
            // A small payload then uses less memory on both sides.
            encoder.set_pledged_src_size(declared)?;
            encoder.include_checksum(true)?;
            Ok(encoder)
        };
        Ok(Compressor(Some(begin().map_err(encoding_failed)?)))
    }
}

/// Compresses a payload while it streams. `None` after its end.
pub(super) struct Compressor(Option<Encoder<'static, Vec<u8>>>);

impl EncodeStage for Compressor {
    fn push(&mut self, input: Bytes) -> Result<Bytes, Error> {
        let Some(encoder) = &mut self.0 else {
            return Ok(Bytes::new());
        };
        encoder.write_all(&input).map_err(encoding_failed)?;
        Ok(std::mem::take(encoder.get_mut()).into())
    }

    fn finish(&mut self, input: Bytes) -> Result<Bytes, Error> {
        let Some(mut encoder) = self.0.take() else {
            return Ok(Bytes::new());
        };
        encoder.write_all(&input).map_err(encoding_failed)?;
        Ok(encoder.finish().map_err(encoding_failed)?.into())
    }
}

/// Decompresses a payload while it streams, with a bounded output for each step.
pub(super) struct Decompressor {
    decoder: Decoder<'static>,
    ended: bool,
}

impl Decompressor {
    /// # Errors
    ///
    /// Returns an error if zstd cannot allocate memory.
    pub(super) fn new() -> Result<Self, Error> {
        let begin = || {
            let mut decoder = Decoder::new()?;
            decoder.set_parameter(DParameter::WindowLogMax(MAX_WINDOW_LOG))?;
            Ok(decoder)
        };
        Ok(Self {
            decoder: begin().map_err(corrupt)?,
            ended: false,
        })
    }
}

impl DecodeStage for Decompressor {
    fn step(&mut self, input: &mut Bytes) -> Result<Bytes, Error> {
        if self.ended {
            return match input.is_empty() {
                true => Ok(Bytes::new()),
                false => Err(corrupt(std::io::Error::other(
                    "there are bytes after the end of the frame",
                ))),
            };
        }
        let mut output = Vec::with_capacity(PIECE);
        let mut from = InBuffer::around(input);
        let remaining = self
            .decoder
            .run(&mut from, &mut OutBuffer::around(&mut output))
            .map_err(corrupt)?;
        let consumed = from.pos();
        let _ = input.split_to(consumed.min(input.len()));
        self.ended = remaining == 0;
        Ok(output.into())
    }

    fn finish(&mut self) -> Result<Bytes, Error> {
        match self.ended {
            true => Ok(Bytes::new()),
            false => Err(corrupt(std::io::ErrorKind::UnexpectedEof.into())),
        }
    }
}

fn corrupt(error: std::io::Error) -> Error {
    Error::io(ErrorKind::Corrupt, "the stored payload cannot be decompressed", error)
}
