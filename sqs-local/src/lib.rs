//! Amazon SQS for tests and development: a server in the process, on a socket or without one.
//!
//! The server has the semantics of SQS: visibility timeouts, long polls, FIFO groups and deduplication, dead letters, message
//! move tasks, both wire protocols, and signatures. It can inject faults, count requests and repeat a run from a seed. Any AWS
//! SDK can use it, with any access key and in any region. It needs no account, no container and no token.
//!
//! It is not a production queue. All messages are in memory, end with the process, and are never written to disk. The README lists
//! the differences from AWS. The server shares no code with `sqs-client`, so that each can be tested against the other.
//!
//! ```
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use sqs_local::{Action, Fault, FaultKind, LocalSqs};
//!
//! let server = LocalSqs::start().await?;
//! let client = server.client()?;
//! let queue = server.create_queue("orders")?;
//!
//! server.faults().add(Fault::on(Action::SendMessage, FaultKind::Throttle).times(2));
//! client.send_message(&queue, "retried twice").await?;
//! assert_eq!(server.count(Action::SendMessage), 3);
//! assert_eq!(server.queue("orders").expect("the queue").len(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! * `client` (default): [`LocalSqs::client`], and [`LocalSqs::in_process`] without a socket, for sqs-client.
//! * `cli` (default): the program `sqs-local`. Tests need only `client`.

// Outputs are `serde_json` objects that are built here, and indexing one adds the member.
#![allow(clippy::indexing_slicing)]

mod actions;
mod builder;
#[cfg(feature = "client")]
mod client;
mod clock;
mod faults;
mod http;
#[cfg(feature = "client")]
mod in_process;
mod inspect;
mod journal;
mod memory;
mod protocol;
mod queue;
mod queue_spec;
mod registry;
mod rng;
mod server;
mod service;

#[cfg(test)]
mod tests;

/// Runs the example of README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub use builder::{ACCESS_KEY_ID, Builder, DEFAULT_ACCOUNT, DEFAULT_MAX_MEMORY, DEFAULT_REGION, SECRET_ACCESS_KEY};
#[cfg(feature = "client")]
pub use client::client_builder;
pub use clock::Clock;
pub use faults::{Fault, FaultId, FaultKind, Faults, MAX_FAULTS, ParseFaultError, Reply};
pub use http::auth::{AccessKey, AccessKeys};
pub use http::{MAX_BODY, MAX_CONNECTIONS, MAX_HEAD};
#[cfg(feature = "client")]
pub use in_process::InProcess;
pub use inspect::{MessageState, MessageView, QueueView};
pub use journal::{MAX_JOURNAL_BYTES, Recorded};
pub use protocol::Protocol;
pub use protocol::schema::Action;
pub use queue::message::{DEDUPLICATION_ID_BYTES, MESSAGE_OVERHEAD_BYTES};
pub use queue::parcel::Counts;
pub use queue_spec::{QueueSpec, QueueSpecError};
pub use registry::{MAX_QUEUES, MAX_REALMS};
pub use server::{CreateQueueError, LocalSqs};
