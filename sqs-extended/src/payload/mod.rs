//! Payloads: sources to send, streams and readers to receive, and digests.

pub(crate) mod digest;
pub(crate) mod source;
pub(crate) mod stream;

pub use digest::{Digest, DigestAlgorithm, InvalidDigest};
pub use source::Payload;
pub use stream::{PayloadReader, PayloadStream};
