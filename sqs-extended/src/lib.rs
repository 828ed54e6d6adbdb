//! SQS messages of any size.
//!
//! An Amazon SQS message holds up to 1 MiB. [`ExtendedClient`] sends a payload through the queue if it fits. Otherwise it
//! puts the payload into an object store and sends a pointer to it. The pointers are those of AWS's own extended client
//! libraries, so either end can use one of them.
//!
//! Payloads stream in both directions, so memory use does not grow with them. Received payloads are verified. A payload is
//! deleted only once its message certainly is.
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
//! // A real program uses a store that all consumers reach. For S3, build one with object_store's `AmazonS3Builder`.
//! let extended = ExtendedClient::builder(client).offload_to(InMemory::new(), "my-bucket").build()?;
//!
//! extended.send(&queue, "small enough for the queue").await?;
//! extended.send(&queue, Payload::from_path("backup.tar").await?).await?;
//!
//! for received in extended.receive(&queue).wait_time(Duration::from_secs(20)).await? {
//!     let delivery = received?;
//!     if delivery.is_offloaded() {
//!         // `Ok` only once length and digest are verified.
//!         delivery.download_to(format!("{}.tar", delivery.message_id())).await?;
//!     } else {
//!         println!("{}", delivery.text().await?);
//!     }
//!     delivery.ack().await?; // deletes the message, then its payload
//! }
//! # Ok(()) }
//! ```
//!
//! Without a payload store, payloads of some megabytes travel in several messages ([`Strategy::Split`]), which
//! [`ExtendedClient::consumer`] gathers. Use the consumer to handle many messages of any size. It extends their visibility
//! timeouts until they are downloaded and handled.
//!
//! # Guarantees
//!
//! - **No message is lost.** A payload is stored before its message is sent, and deleted after its message was. An
//!   interruption leaves at worst an orphaned object, or parts of an unfinished upload. Give the bucket a lifecycle rule
//!   with `AbortIncompleteMultipartUpload` for those parts.
//! - **Only its owner deletes a payload.** SQS confirms the deletion of a message even if another consumer has received it
//!   meanwhile. So [`ExtendedDelivery::ack`] deletes the payload only within the visibility timeout, less
//!   [`LEASE_MARGIN`](crate::ExtendedDelivery::LEASE_MARGIN).
//! - **A bad pointer affects no other message.** A receive returns a separate result for each message.
//! - **Pointers are not trusted.** Payloads are fetched and deleted only in the configured bucket and under the prefix.
//!   An untrusted sender can still name any object there. [`PointerKeys`](pointer::PointerKeys) prevent that.
//! - **Orphaned objects are found.** A [`Sweep`](sweep::Sweep) removes payloads that are older than any message that could
//!   point to them.
//!
//! # Runtime
//!
//! The crate runs on Tokio. Its blocking pool reads and writes files, and hashes payloads.

pub mod client;
pub mod codec;
pub mod consumer;
pub mod error;
pub mod payload;
mod payload_store;
pub mod pointer;
pub mod receive;
mod segment;
pub mod send;
mod shared;
mod stores;
pub mod sweep;
mod telemetry;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod transfer;

pub use client::{ExtendedClient, ExtendedClientBuilder};
pub use consumer::ExtendedConsumer;
pub use error::{Error, ErrorKind};
pub use payload::Payload;
pub use payload_store::PayloadStore;
pub use receive::ExtendedDelivery;
pub use send::{ExtendedMessage, Strategy};

/// Payload stores and their settings, connections to object stores, and an object store on DynamoDB.
pub mod store {
    pub use crate::payload_store::{Deletion, PayloadStore, PayloadStoreBuilder};
    #[cfg(feature = "dynamodb")]
    pub use crate::stores::DynamoDbStore;
    #[cfg(feature = "_http")]
    pub use crate::stores::StoreConnector;
}

/// Compiles the README's examples.
#[cfg(all(doctest, feature = "s3"))]
#[doc = include_str!("../../README.md")]
struct Readme;
