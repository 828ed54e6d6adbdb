//! Payloads: sources to send, streams and readers to receive, and digests.

mod aligned;
pub(crate) mod chunks;
pub(crate) mod digest;
pub(crate) mod progress;
pub(crate) mod source;
pub(crate) mod stream;
#[allow(dead_code, reason = "transfers in ranges are its first user")]
pub(crate) mod subtree;

pub use digest::{Digest, DigestAlgorithm, InvalidDigest};
pub use progress::Progress;
pub use source::Payload;
pub use stream::{PayloadReader, PayloadStream};
