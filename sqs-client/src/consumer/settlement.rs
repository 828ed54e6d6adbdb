//! The ways in which a delivery ends.

use std::time::Duration;

/// The result of an [acknowledgement](crate::Delivery::ack).
///
/// ```no_run
/// # async fn f(delivery: sqs_client::Delivery) -> Result<(), sqs_client::Error> {
/// use sqs_client::consumer::AckOutcome;
///
/// if delivery.ack().await? == AckOutcome::LeaseLost {
///     println!("{} may be handled twice", delivery.message().message_id);
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AckOutcome {
    /// SQS confirmed the deletion within the lease. The message is deleted, and no competing consumer has received it.
    Deleted,
    /// The lease was over when SQS confirmed the deletion, or the server refused the receipt handle. SQS also confirms
    /// a deletion by a stale handle, without deleting the message. A competing consumer may have received the message,
    /// or SQS may deliver it again.
    LeaseLost,
}

/// The way in which a delivery was settled, as a test's recorder tells it.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), sqs_client::Error> {
/// use std::time::Duration;
/// use sqs_client::testing::{Settlement, TestDelivery};
///
/// let (delivery, recorder) = TestDelivery::new("hello").build();
/// delivery.nack(Duration::from_secs(60)).await?;
/// assert_eq!(recorder.settlement(), Some(Settlement::Nacked(Duration::from_secs(60))));
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Settlement {
    /// The message was acknowledged, with this result.
    Acked(AckOutcome),
    /// The message was returned to the queue, which shows it after this delay.
    Nacked(Duration),
    /// The message was returned to the queue after the consumer's backoff. On a FIFO queue, it may instead wait for a
    /// retry in place.
    NackedWithBackoff,
    /// All clones of the delivery were dropped, and none was settled. A consumer returns the message at once.
    Dropped,
}
