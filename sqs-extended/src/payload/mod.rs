//! Payloads: where their bytes come from, how they are read, and their digests.

pub(crate) mod digest;
pub(crate) mod source;
pub(crate) mod stream;

pub use digest::{Digest, DigestAlgorithm, InvalidDigest};
pub use source::Payload;
pub use stream::{PayloadReader, PayloadStream};
