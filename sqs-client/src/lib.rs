//! A typed async client for Amazon SQS and SQS-compatible servers.
//!
//! ```no_run
//! # async fn f() -> Result<(), sqs_client::Error> {
//! use std::time::Duration;
//! use sqs_client::Client;
//!
//! let client = Client::from_env()?;
//! let queue = client.create_queue("orders").await?.queue_url;
//! client.send_message(&queue, "hello").message_attribute("lang", "en").await?;
//!
//! let received = client.receive_message(&queue).max_messages(10).wait_time(Duration::from_secs(20)).await?;
//! for message in received.messages {
//!     println!("{}", message.body);
//!     client.delete_message(&queue, &message.receipt_handle).await?;
//! }
//! # Ok(()) }
//! ```
//!
//! The feature `consumer` adds `Client::consumer`, which receives, handles and deletes messages in one call. The
//! feature `batcher` adds `Client::batcher`, which fills batches with the calls of many tasks.
//!
//! * The client signs requests with AWS Signature Version 4, and retries them by its
//!   [`RetryPolicy`](client::RetryPolicy).
//! * It speaks both wire protocols, AWS JSON 1.0 and AWS Query, with the same types. See [`Protocol`].
//! * It verifies the MD5s of bodies and attributes.
//! * Its single [`Error`] type says what went wrong, and whether the request may have taken effect.
//! * It limits the number and time of attempts and the length of a response. See [`ClientBuilder`].
//!
//! # Features
//!
//! * `ring` (default): TLS by rustls with ring as the crypto provider.
//! * `aws-lc-rs`: TLS by rustls with aws-lc-rs as the crypto provider. It wins over `ring` if both are enabled.
//! * `rustls`: TLS by rustls with the crypto provider that the program installs, unless one of the two above is
//!   enabled.
//! * `native-tls`: TLS by the platform's own library. It wins over rustls if both are enabled.
//! * `aws-config`: credentials from SSO, roles, web identities, containers and instances, and from any provider of AWS's
//!   SDK.
//! * `batcher`: `Batcher`, which gathers the single calls of many tasks into full batches.
//! * `consumer`: `Consumer`, which receives messages, extends their leases and settles them. Enables `batcher`.
//! * `testing`: `testing::TestDelivery`, a delivery without a queue for unit tests of handlers. Enables `consumer`.
//! * `metrics`: counters, gauges and histograms, through the `metrics` facade.

mod action;
pub mod batch;
#[cfg(feature = "batcher")]
pub mod batcher;
mod checksum;
pub mod client;
mod clock;
#[cfg(feature = "consumer")]
pub mod consumer;
pub mod credentials;
pub mod error;
/// The entry points of the fuzz targets. Not part of the API.
#[cfg(any(fuzzing, test))]
#[doc(hidden)]
pub mod fuzzing;
mod http;
pub mod limits;
pub mod operation;
mod protocol;
mod queue_name;
#[cfg(feature = "batcher")]
mod queue_ref;
mod random;
mod retry;
mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
pub mod types;
mod validate;
#[cfg(test)]
mod vectors;

#[cfg(feature = "batcher")]
pub use batcher::Batcher;
pub use client::{Client, ClientBuilder, Protocol};
#[cfg(feature = "consumer")]
pub use consumer::{Consumer, Delivery};
pub use credentials::Credentials;
pub use error::{Error, ErrorCode, ErrorKind};
pub use types::{Message, OutgoingMessage, QueueAttributes};

/// The items that sqs-extended needs. Not part of the API.
#[doc(hidden)]
pub mod internal {
    #[cfg(feature = "consumer")]
    pub use crate::consumer::extension::*;
    #[cfg(feature = "testing")]
    pub use crate::consumer::recording::Recording;
    #[cfg(feature = "consumer")]
    pub use crate::consumer::settlement::Settlement;
    pub use crate::queue_name::{is_fifo, queue_name};
    pub use crate::random::Random;
    pub use crate::retry::full_jitter;
    pub use crate::types::outgoing::{validate_attributes, validate_properties};
    pub use crate::validate::no_arn;
}
