//! Deliveries without a queue, for unit tests of handlers.
//!
//! Add the crate with this feature to the dev-dependencies:
//!
//! ```toml
//! [dev-dependencies]
//! sqs-client = { version = "0.1", features = ["testing"] }
//! tokio = { version = "1", features = ["macros", "rt", "test-util"] }
//! ```
//!
//! [`TestDelivery`] builds a [`Delivery`](crate::Delivery) that no server sent, and a [`Recorder`] of what the handler does
//! with it. A handler and its tests, in which `start_paused = true` skips the time that the handler waits:
//!
//! ```
//! use std::time::Duration;
//! use sqs_client::consumer::AckOutcome;
//! use sqs_client::testing::{Fault, Settlement, TestDelivery};
//! use sqs_client::{Delivery, Error};
//!
//! /// Handles an order. An order that cannot be read comes again in 10 minutes.
//! async fn handle_order(delivery: Delivery) -> Result<(), Error> {
//!     let Ok(minutes) = delivery.message().body.parse() else {
//!         return delivery.nack(Duration::from_secs(600)).await;
//!     };
//!     tokio::time::sleep(60 * Duration::from_secs(minutes)).await; // the work
//!     delivery.ack().await.map(drop)
//! }
//!
//! // #[tokio::test(start_paused = true)]
//! async fn an_order_is_acknowledged() {
//!     let (delivery, recorder) = TestDelivery::new("2").build();
//!     handle_order(delivery).await.unwrap();
//!     assert_eq!(recorder.settlement(), Some(Settlement::Acked(AckOutcome::Deleted)));
//!     // The heartbeat kept the message in flight meanwhile.
//!     assert!(recorder.extensions().len() >= 4);
//! }
//!
//! // #[tokio::test(start_paused = true)]
//! async fn an_unreadable_order_comes_again_later() {
//!     let (delivery, recorder) = TestDelivery::new("two").receive_count(3).build();
//!     handle_order(delivery).await.unwrap();
//!     assert_eq!(recorder.settlement(), Some(Settlement::Nacked(Duration::from_secs(600))));
//! }
//!
//! // #[tokio::test(start_paused = true)]
//! async fn an_order_comes_again_if_it_cannot_be_acknowledged() {
//!     let (delivery, recorder) = TestDelivery::new("2").build();
//!     recorder.fail_next_ack(Fault::Timeout);
//!     assert!(handle_order(delivery).await.unwrap_err().may_have_been_sent());
//!     assert_eq!(recorder.settlement(), Some(Settlement::Dropped));
//! }
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! #     an_order_is_acknowledged().await;
//! #     an_unreadable_order_comes_again_later().await;
//! #     an_order_comes_again_if_it_cannot_be_acknowledged().await;
//! # }
//! ```
//!
//! A handler of [`Consumer::run`](crate::Consumer::run) often leaves the settling to the consumer. [`handle`] runs it with
//! the consumer's hooks and timeout, and settles the message by its result.
//!
//! # Differences from a queue
//!
//! Only the requests differ: the recorder responds to each at once. The lease, the heartbeat and the rules of settling
//! twice are those of every delivery. A message that returns to the queue is not received again, and one that waits for a
//! retry in place is not retried.

pub use crate::consumer::recording::{Fault, RecordedRequest};
pub use crate::consumer::settlement::Settlement;
pub use crate::consumer::testing::{Recorder, TestDelivery, handle};
