//! Deliveries without a queue, with payloads in memory, for unit tests of handlers.
//!
//! Add the crate with this feature to the dev-dependencies:
//!
//! ```toml
//! [dev-dependencies]
//! sqs-extended = { version = "0.1", features = ["testing"] }
//! tokio = { version = "1", features = ["macros", "rt", "test-util"] }
//! ```
//!
//! [`TestDelivery`] builds an [`ExtendedDelivery`](crate::ExtendedDelivery) that no server sent, and a [`Recorder`] of what
//! the handler does with it. An offloaded payload is in a store in memory, so that all methods that read it work. A handler
//! and its tests:
//!
//! ```
//! use std::time::Duration;
//! use sqs_client::consumer::AckOutcome;
//! use sqs_client::testing::{Fault, Settlement};
//! use sqs_extended::testing::TestDelivery;
//! use sqs_extended::{Error, ExtendedDelivery};
//!
//! /// Handles a backup. One that is empty comes again in 10 minutes.
//! async fn handle_backup(delivery: ExtendedDelivery) -> Result<(), Error> {
//!     if delivery.text().await?.is_empty() {
//!         return delivery.nack(Duration::from_secs(600)).await;
//!     }
//!     delivery.ack().await.map(drop)
//! }
//!
//! // #[tokio::test]
//! async fn a_backup_is_acknowledged_and_its_payload_deleted() {
//!     let (delivery, recorder) = TestDelivery::offloaded("content").build().await.unwrap();
//!     handle_backup(delivery).await.unwrap();
//!     assert_eq!(recorder.settlement(), Some(Settlement::Acked(AckOutcome::Deleted)));
//!     assert!(!recorder.payload_is_stored().await);
//! }
//!
//! // #[tokio::test]
//! async fn an_empty_backup_comes_again_later() {
//!     let (delivery, recorder) = TestDelivery::offloaded("").build().await.unwrap();
//!     handle_backup(delivery).await.unwrap();
//!     assert_eq!(recorder.settlement(), Some(Settlement::Nacked(Duration::from_secs(600))));
//!     assert!(recorder.payload_is_stored().await);
//! }
//!
//! // #[tokio::test]
//! async fn a_payload_stays_if_the_message_cannot_be_deleted() {
//!     let (delivery, recorder) = TestDelivery::offloaded("content").build().await.unwrap();
//!     recorder.fail_next_ack(Fault::Timeout);
//!     assert!(handle_backup(delivery).await.is_err());
//!     assert_eq!(recorder.settlement(), Some(Settlement::Dropped));
//!     assert!(recorder.payload_is_stored().await);
//! }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! #     a_backup_is_acknowledged_and_its_payload_deleted().await;
//! #     an_empty_backup_comes_again_later().await;
//! #     a_payload_stays_if_the_message_cannot_be_deleted().await;
//! # }
//! ```
//!
//! A handler of [`ExtendedConsumer::run`](crate::ExtendedConsumer::run) often leaves the settling to the consumer.
#![cfg_attr(
    feature = "testing",
    doc = "[`handle`] runs it with the consumer's hooks and timeout, and settles the message by its result."
)]
//!
//! The types of what was recorded are those of [`sqs_client::testing`], where a page also lists the differences from a
//! queue. A payload in several segments is not supported, because a single delivery cannot carry it.

#[cfg(feature = "testing")]
mod delivery;
#[cfg(feature = "testing")]
mod handle;
#[cfg(feature = "testing")]
mod recorder;
#[cfg(test)]
mod test_store;

#[cfg(feature = "testing")]
pub use delivery::TestDelivery;
#[cfg(feature = "testing")]
pub use handle::handle;
#[cfg(feature = "testing")]
pub use recorder::Recorder;
#[cfg(test)]
pub(crate) use test_store::*;
