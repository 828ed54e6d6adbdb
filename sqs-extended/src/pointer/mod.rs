//! Pointers to payloads in a store, and the messages that carry them. No I/O.
//!
//! The format is that of AWS's extended client libraries:
//! [Java](https://github.com/awslabs/amazon-sqs-java-extended-client-lib), with its pointer from the
//! [payload offloading library](https://github.com/awslabs/payload-offloading-java-common-lib-for-aws), and
//! [Python](https://github.com/awslabs/amazon-sqs-python-extended-client-lib). Either end can be one of theirs.
//!
//! Programs that receive messages by [`ExtendedClient`](crate::ExtendedClient) need this module only for settings. For
//! messages that arrive in another way, such as in AWS Lambda, start with [`ParsedMessage`].

mod attribute;
mod envelope;
mod format;
mod lambda;
mod mac;
mod parsed_message;
mod receipt_handle;
mod sns;
#[cfg(test)]
mod testing;

pub use attribute::ReservedAttribute;
pub use envelope::Envelope;
pub use format::{InvalidPointer, Pointer};
pub use lambda::LambdaRecord;
pub use mac::PointerKeys;
pub use parsed_message::{ParsedMessage, PayloadLocation};
pub use receipt_handle::{EmbeddedReceiptHandle, InvalidReceiptHandle};

pub(crate) use attribute::{RESERVED_NAMES, is_reserved, take_reserved};
pub(crate) use envelope::{open, seal};
