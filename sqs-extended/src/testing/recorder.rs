//! The view that a test has of its delivery.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sqs_client::internal::{Recording, Settlement};
use sqs_client::testing::{Fault, RecordedRequest};

use crate::payload_store::PayloadStore;

/// The record of a [`TestDelivery`](crate::testing::TestDelivery): how the handler settled it, by which requests, and
/// whether its payload is still stored.
///
/// It also fails requests and ends the lease, so that a test sees what the handler does then. Clones share the record.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), sqs_extended::Error> {
/// use sqs_extended::testing::TestDelivery;
///
/// let (delivery, recorder) = TestDelivery::offloaded("content").build().await?;
/// recorder.lose_lease();
/// delivery.ack().await?;
/// // Another consumer may need the payload.
/// assert!(recorder.payload_is_stored().await);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Recorder {
    pub(super) recording: Arc<Recording>,
    pub(super) end_lease: Arc<dyn Fn() + Send + Sync>,
    /// The store, and the key of the payload in it.
    pub(super) stored: Option<(PayloadStore, String)>,
}

impl Recorder {
    /// Returns how the delivery was settled, or `None` if it was not. A dropped delivery counts as
    /// [`Settlement::Dropped`]. One that a [single receive](crate::testing::TestDelivery::received) returned does not,
    /// because it stays hidden until its visibility timeout expires.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sqs_extended::Error> {
    /// use std::time::Duration;
    /// use sqs_client::testing::Settlement;
    /// use sqs_extended::testing::TestDelivery;
    ///
    /// let (delivery, recorder) = TestDelivery::new("content").build().await?;
    /// assert_eq!(recorder.settlement(), None);
    /// delivery.nack(Duration::from_secs(5)).await?;
    /// assert_eq!(recorder.settlement(), Some(Settlement::Nacked(Duration::from_secs(5))));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn settlement(&self) -> Option<Settlement> {
        self.recording.settlement()
    }

    /// Returns all requests for the message in their order, failed ones included.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sqs_extended::Error> {
    /// use sqs_client::testing::RecordedRequest;
    /// use sqs_extended::testing::TestDelivery;
    ///
    /// let (delivery, recorder) = TestDelivery::new("content").build().await?;
    /// delivery.ack().await?;
    /// assert_eq!(recorder.requests(), [RecordedRequest::Delete]);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.recording.requests()
    }

    /// Returns the visibility timeouts of the confirmed extensions, in their order: those of the heartbeat, or for a
    /// delivery of a [single receive](crate::testing::TestDelivery::received) those of the handler.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sqs_extended::Error> {
    /// use std::time::Duration;
    /// use sqs_extended::testing::TestDelivery;
    ///
    /// let (delivery, recorder) = TestDelivery::new("content").received().build().await?;
    /// delivery.extend_visibility(Duration::from_secs(60)).await?;
    /// assert_eq!(recorder.extensions(), [Duration::from_secs(60)]);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn extensions(&self) -> Vec<Duration> {
        self.recording.extensions()
    }

    /// Returns `true` if the payload is in the store, and `false` if it was deleted, or was never there because it traveled
    /// in the queue.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sqs_extended::Error> {
    /// use sqs_extended::testing::TestDelivery;
    ///
    /// let (delivery, recorder) = TestDelivery::offloaded("content").build().await?;
    /// assert!(recorder.payload_is_stored().await);
    /// delivery.ack().await?;
    /// assert!(!recorder.payload_is_stored().await);
    /// # Ok(()) }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn payload_is_stored(&self) -> bool {
        match &self.stored {
            Some((payloads, key)) => payloads.has(key).await,
            None => false,
        }
    }

    /// Fails the next deletion of the message. Further calls fail the deletions after it.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sqs_extended::Error> {
    /// use sqs_client::ErrorCode;
    /// use sqs_extended::testing::TestDelivery;
    ///
    /// let (delivery, recorder) = TestDelivery::offloaded("content").build().await?;
    /// recorder.fail_next_ack(ErrorCode::AccessDenied);
    /// assert!(delivery.ack().await.is_err());
    /// assert!(recorder.payload_is_stored().await);
    /// # Ok(()) }
    /// ```
    pub fn fail_next_ack(&self, fault: impl Into<Fault>) {
        self.recording.fail_next_ack(fault.into());
    }

    /// Fails the next return of the message to the queue. Further calls fail the returns after it.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sqs_extended::Error> {
    /// use sqs_client::testing::Fault;
    /// use sqs_extended::testing::TestDelivery;
    ///
    /// let (delivery, recorder) = TestDelivery::new("content").build().await?;
    /// recorder.fail_next_nack(Fault::Transport);
    /// assert!(delivery.nack_with_backoff().await.is_err());
    /// # Ok(()) }
    /// ```
    pub fn fail_next_nack(&self, fault: impl Into<Fault>) {
        self.recording.fail_next_nack(fault.into());
    }

    /// Fails the next extension of the visibility timeout. Further calls fail the extensions after it.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sqs_extended::Error> {
    /// use std::time::Duration;
    /// use sqs_client::ErrorCode;
    /// use sqs_extended::testing::TestDelivery;
    ///
    /// let (delivery, recorder) = TestDelivery::new("content").received().build().await?;
    /// recorder.fail_next_extension(ErrorCode::MessageNotInflight);
    /// assert!(delivery.extend_visibility(Duration::from_secs(60)).await.is_err());
    /// delivery.lease_lost().await;
    /// # Ok(()) }
    /// ```
    pub fn fail_next_extension(&self, fault: impl Into<Fault>) {
        self.recording.fail_next_extension(fault.into());
    }

    /// Ends the lease at once, as if the server had refused an extension. Another consumer may then have the message.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sqs_extended::Error> {
    /// use sqs_extended::testing::TestDelivery;
    ///
    /// let (delivery, recorder) = TestDelivery::new("content").build().await?;
    /// recorder.lose_lease();
    /// delivery.lease_lost().await;
    /// # Ok(()) }
    /// ```
    pub fn lose_lease(&self) {
        (self.end_lease)();
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder")
            .field("settlement", &self.settlement())
            .field("requests", &self.requests())
            .finish_non_exhaustive()
    }
}
