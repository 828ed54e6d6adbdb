//! Payloads compressed by zstd, as one frame.

use std::io::Write;

use bytes::Bytes;
use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};
use zstd::stream::write::Encoder;

use crate::codec::encode::encoding_failed;
use crate::codec::{decode, encode};
use crate::error::{Error, ErrorKind};

/// The compression's name in an [`Encoding`](crate::codec::Encoding).
pub(super) const NAME: &str = "zstd";

/// The levels of zstd that need no window of more than [`MAX_WINDOW_LOG`] to read.
const LEVELS: std::ops::RangeInclusive<i32> = 1..=19;

/// 8 MiB: what reading a payload may take in memory, whatever its sender says that it takes.
const MAX_WINDOW_LOG: u32 = 23;

/// The most that comes of one step of decompression.
const PIECE: usize = 128 * 1024;

/// How payloads are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compression {
    level: i32,
}

impl Compression {
    /// By zstd, at a level from 1 (fast) to 19 (small); what is beyond is taken as the nearest. 3 is zstd's own default,
    /// and takes some 4 MiB of memory to write; from 16 on it is tens of MiB. Reading never takes more than 8 MiB.
    #[must_use]
    pub fn zstd(level: i32) -> Self {
        let level = level.clamp(*LEVELS.start(), *LEVELS.end());
        Self { level }
    }

    /// # Errors
    ///
    /// zstd has no memory.
    pub(super) fn compressor(self, declared: Option<u64>) -> Result<Compressor, Error> {
        let begin = || {
            let mut encoder = Encoder::new(Vec::new(), self.level)?;
            // Small payloads take less memory so, on both sides.
            encoder.set_pledged_src_size(declared)?;
            encoder.include_checksum(true)?;
            Ok(encoder)
        };
        Ok(Compressor(Some(begin().map_err(encoding_failed)?)))
    }
}

/// Compresses a payload as it passes; `None` after its end.
pub(super) struct Compressor(Option<Encoder<'static, Vec<u8>>>);

impl encode::Stage for Compressor {
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

/// Decompresses a payload as it passes, however much comes of it a piece at a time.
pub(super) struct Decompressor {
    decoder: Decoder<'static>,
    ended: bool,
}

impl Decompressor {
    /// # Errors
    ///
    /// zstd has no memory.
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

impl decode::Stage for Decompressor {
    fn step(&mut self, input: &mut Bytes) -> Result<Bytes, Error> {
        if self.ended {
            return match input.is_empty() {
                true => Ok(Bytes::new()),
                false => Err(corrupt(std::io::Error::other("there is more after the end"))),
            };
        }
        let mut output = Vec::with_capacity(PIECE);
        let mut from = InBuffer::around(input);
        let left = self
            .decoder
            .run(&mut from, &mut OutBuffer::around(&mut output))
            .map_err(corrupt)?;
        let taken = from.pos();
        let _ = input.split_to(taken.min(input.len()));
        self.ended = left == 0;
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
