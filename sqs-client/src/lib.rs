//! A typed async client for Amazon SQS and the servers compatible with it.
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
//! Programs that only consume have `Client::consumer` do all that, and those of many tasks have `Client::batcher` fill
//! batches with their calls; each is a feature.
//!
//! * Requests are signed by AWS Signature Version 4, and tried again as [`RetryPolicy`](client::RetryPolicy) says.
//! * Both wire protocols, AWS JSON 1.0 and AWS Query, are spoken from the same types: [`Protocol`].
//! * MD5s of bodies and attributes are verified.
//! * There is one [`Error`]; ask it what went wrong and whether the request may have taken effect.
//! * Everything is bounded: attempts, time, the length of an answer. See [`ClientBuilder`].
//!
//! # Features
//!
//! * `ring` (default): TLS by rustls with ring.
//! * `aws-lc-rs`: TLS by rustls with aws-lc-rs instead.
//! * `rustls`: TLS by rustls with the crypto provider that the program installs.
//! * `native-tls`: TLS by the platform's own library instead.
//! * `aws-config`: credentials of SSO, roles, web identities, containers and instances, and of any provider of AWS's
//!   SDK.
//! * `batcher`: `Batcher`, which gathers single calls of many tasks into full batches.
//! * `consumer`: `Consumer`, which receives, holds and settles messages; brings `batcher`.
//! * `metrics`: figures of what goes on, by the `metrics` facade.

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
mod http;
pub mod limits;
pub mod operation;
mod protocol;
mod random;
mod request;
mod retry;
mod telemetry;
#[cfg(test)]
mod testing;
pub mod types;
mod validate;

#[cfg(feature = "batcher")]
pub use batcher::Batcher;
pub use client::{Client, ClientBuilder, Protocol};
#[cfg(feature = "consumer")]
pub use consumer::{Consumer, Delivery};
pub use credentials::Credentials;
pub use error::{Error, ErrorCode, ErrorKind};
pub use types::{Message, OutgoingMessage, QueueAttributes};

/// The controls that sqs-extended needs. Not part of the API.
#[cfg(feature = "consumer")]
#[doc(hidden)]
pub mod internal {
    pub use crate::consumer::extension::*;
}
/// What the fuzz targets call: not a part of the API, and there for them only.
#[cfg(any(fuzzing, test))]
#[doc(hidden)]
pub use protocol::fuzzing;
