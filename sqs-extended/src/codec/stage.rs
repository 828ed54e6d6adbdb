//! The stages that encoding and decoding consist of.

use bytes::Bytes;

use crate::error::{Error, ErrorKind};

/// A stage between the payload and the stored bytes. It runs on the blocking pool.
pub(super) trait EncodeStage: Send {
    /// Accepts the next bytes and returns the output so far.
    fn push(&mut self, input: Bytes) -> Result<Bytes, Error>;

    /// Accepts the last bytes and returns the rest of the output. It is called once, as the last call.
    fn finish(&mut self, input: Bytes) -> Result<Bytes, Error>;
}

/// A stage between the stored bytes and the payload.
///
/// It runs in the task that reads the bytes, because network chunks are small. One step takes a fraction of a
/// millisecond.
pub(super) trait DecodeStage: Send {
    /// Consumes input from the front and returns a bounded amount of output. If it consumes all input and returns
    /// nothing, it needs more input. Otherwise it is called again.
    fn step(&mut self, input: &mut Bytes) -> Result<Bytes, Error>;

    /// Returns the rest of the output, or an error if the input is incomplete. It is called once, as the last call.
    fn finish(&mut self) -> Result<Bytes, Error>;
}

pub(super) fn encoding_failed(error: std::io::Error) -> Error {
    Error::io(ErrorKind::PayloadSource, "the payload could not be encoded", error)
}
