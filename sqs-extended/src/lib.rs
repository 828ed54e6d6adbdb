//! SQS messages of any size.
//!
//! A message in Amazon SQS holds 1 MiB at most. [`ExtendedClient`] sends what fits through the queue, and puts what does
//! not into an object store, with a pointer to it in the queue. The pointers are those of AWS's own extended client
//! libraries, so that either end can be one of theirs.
//!
//! Payloads stream in both directions: memory does not grow with them. What is received is verified before it counts
//! as received, and deleted only when its message surely is.
//!
//! ```no_run
//! use std::time::Duration;
//! use object_store::memory::InMemory;
//! use sqs_extended::{ExtendedClient, Payload};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let client = sqs_client::Client::from_env()?;
//! let queue = client.get_queue_url("backups").await?.queue_url;
//! // For real use, a store that all consumers reach: S3 by object_store's `AmazonS3Builder`, for one.
//! let extended = ExtendedClient::builder(client).offload_to(InMemory::new(), "my-bucket").build()?;
//!
//! extended.send(&queue, "small enough for the queue").await?;
//! extended.send(&queue, Payload::from_path("backup.tar").await?).await?;
//!
//! for received in extended.receive(&queue).wait_time(Duration::from_secs(20)).await? {
//!     let delivery = received?;
//!     if delivery.is_offloaded() {
//!         delivery.download_to(format!("{}.tar", delivery.message_id())).await?; // Ok only after length and digest were found right
//!     } else {
//!         println!("{}", delivery.text().await?);
//!     }
//!     delivery.ack().await?; // the message first, then its payload
//! }
//! # Ok(()) }
//! ```
//!
//! Where there is no store, payloads of some megabytes travel in several messages ([`Strategy::Split`]), which
//! [`ExtendedClient::consumer`] gathers. That consumer is the way to handle many messages of any size: it keeps them hidden
//! for as long as a download and its handling take.
//!
//! # What can be relied on
//!
//! - **Nothing is lost.** A payload is stored before its message is sent, and deleted after its message was. Whatever
//!   is cut off leaves at worst an object that no message points to, or parts of an unfinished upload: give the bucket
//!   a lifecycle rule with `AbortIncompleteMultipartUpload` for the latter.
//! - **A payload is deleted only by its owner.** SQS confirms the deletion of a message even if another consumer has been
//!   given it in the meantime; so [`Delivery::ack`] deletes the payload only within the visibility timeout, less
//!   [`LEASE_MARGIN`].
//! - **One bad pointer costs no other message.** Each message of a receive is a result of its own. A message that was damaged
//!   on its way from the queue, by its MD5, is the one thing that fails a receive as a whole.
//! - **Pointers are not trusted.** Only the configured bucket and prefix are ever fetched from or deleted from. Within
//!   them senders are trusted: who may send to the queue can name any object under the prefix, unless pointers are
//!   authenticated by [`PointerKeys`].
//! - **What is left behind is found.** A [`Sweep`] removes payloads that are older than any message that could point to them.
//!
//! # Runtime
//!
//! Tokio. Files, and the hashing of what is sent, are worked on in its blocking pool.

mod client;
mod codec;
mod consumer;
mod error;
mod payload;
mod payload_store;
mod pointer;
mod random;
mod receive;
mod segment;
mod send;
mod shared;
mod stores;
mod sweep;
#[cfg(test)]
mod testing;
mod transfer;

pub use client::ExtendedClient;
pub use client::builder::{
    DEFAULT_MAX_IN_MEMORY, DEFAULT_SPLIT_LIMIT, DEFAULT_THRESHOLD, DEFAULT_VISIBILITY_TIMEOUT, ExtendedClientBuilder,
};
#[cfg(feature = "zstd")]
pub use codec::Compression;
pub use codec::{Codec, Encoding, EncryptionHeader};
#[cfg(feature = "encryption")]
pub use codec::{DataKey, KeyProvider, KeyProviderError, SecretKey, StaticKeys};
pub use consumer::{
    DEFAULT_HELD_BYTES, DEFAULT_HELD_PAYLOADS, DEFAULT_INCOMPLETE_AFTER, DEFAULT_SPILL_ABOVE, DEFAULT_SPILL_FILES,
    ExtendedConsumer, INCOMPLETE_HOOK_TIMEOUT, IncompleteAction, IncompletePayload, IncompleteReason,
};
pub use error::{Error, ErrorKind};
pub use payload::digest::{Digest, DigestAlgorithm, InvalidDigest};
pub use payload::source::Payload;
pub use payload::stream::{PayloadReader, PayloadStream};
pub use payload_store::{
    DEFAULT_CONCURRENCY, DEFAULT_PART_SIZE, Deletion, MAX_WAITING_DELETIONS, PayloadStore, PayloadStoreBuilder,
};
pub use pointer::{
    Contents, EmbeddedReceiptHandle, Envelope, Incoming, InvalidPointer, InvalidReceiptHandle, LambdaRecord, Pointer,
    PointerKeys, ReservedAttribute,
};
pub use receive::delivery::Delivery;
pub use receive::lease::LEASE_MARGIN;
pub use receive::missing::MissingPayload;
pub use receive::outcome::{AckOutcome, KeptReason};
pub use receive::request::{ReceiveRequest, Rejected};
pub use send::message::ExtendedMessage;
pub use send::queue_limits::QUEUE_LIMITS_AGE;
pub use send::request::{SendMessagesRequest, SendOutput, SendRequest};
pub use send::strategy::Strategy;
#[cfg(feature = "dynamodb")]
pub use stores::DynamoDbStore;
#[cfg(feature = "_http")]
pub use stores::StoreConnector;
pub use sweep::{DEFAULT_SWEEP_AGE, Sweep, SweepCount, SweepEvent, SweepReport, SweepUploads, UnfinishedUpload};

/// Compiles the README's example.
#[cfg(all(doctest, feature = "s3"))]
#[doc = include_str!("../../README.md")]
struct Readme;
