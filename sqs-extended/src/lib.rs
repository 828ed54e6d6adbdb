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
//!   given it in the meantime; so [`ExtendedDelivery::ack`] deletes the payload only within the visibility timeout, less
//!   [`LEASE_MARGIN`](crate::ExtendedDelivery::LEASE_MARGIN).
//! - **One bad pointer costs no other message.** Each message of a receive is a result of its own. A message that was damaged
//!   on its way from the queue, by its MD5, is the one thing that fails a receive as a whole.
//! - **Pointers are not trusted.** Only the configured bucket and prefix are ever fetched from or deleted from. Within
//!   them senders are trusted: who may send to the queue can name any object under the prefix, unless pointers are
//!   authenticated by [`PointerKeys`](pointer::PointerKeys).
//! - **What is left behind is found.** A [`Sweep`](sweep::Sweep) removes payloads that are older than any message that
//!   could point to them.
//!
//! # Runtime
//!
//! Tokio. Files, and the hashing of what is sent, are worked on in its blocking pool.

pub mod client;
pub mod codec;
pub mod consumer;
pub mod error;
pub mod payload;
mod payload_store;
pub mod pointer;
mod random;
pub mod receive;
mod segment;
pub mod send;
mod shared;
mod stores;
pub mod sweep;
#[cfg(test)]
mod testing;
mod transfer;

pub use client::{ExtendedClient, ExtendedClientBuilder};
pub use consumer::ExtendedConsumer;
pub use error::{Error, ErrorKind};
pub use payload::Payload;
pub use payload_store::PayloadStore;
pub use receive::ExtendedDelivery;
pub use send::{ExtendedMessage, Strategy};

/// Payload stores, their settings, and the object stores that they reach.
pub mod store {
    pub use crate::payload_store::{Deletion, PayloadStore, PayloadStoreBuilder};
    #[cfg(feature = "dynamodb")]
    pub use crate::stores::DynamoDbStore;
    #[cfg(feature = "_http")]
    pub use crate::stores::StoreConnector;
}

/// Compiles the README's example.
#[cfg(all(doctest, feature = "s3"))]
#[doc = include_str!("../../README.md")]
struct Readme;
