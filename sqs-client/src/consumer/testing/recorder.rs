//! The view that a test has of its delivery.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::consumer::recording::{Fault, RecordedRequest, Recording};
use crate::consumer::settlement::Settlement;
use crate::consumer::tracked::TrackedMessage;

/// The record of a [`TestDelivery`](crate::testing::TestDelivery): how the handler settled it, and by which requests.
///
/// It also fails requests and ends the lease, so that a test sees what the handler does then. Clones share the record.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), sqs_client::Error> {
/// use sqs_client::consumer::AckOutcome;
/// use sqs_client::testing::{Settlement, TestDelivery};
///
/// let (delivery, recorder) = TestDelivery::new("hello").build();
/// recorder.lose_lease();
/// delivery.ack().await?;
/// assert_eq!(recorder.settlement(), Some(Settlement::Acked(AckOutcome::LeaseLost)));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Recorder {
    pub(super) recording: Arc<Recording>,
    pub(super) tracked: Arc<TrackedMessage>,
}

impl Recorder {
    /// Returns how the delivery was settled, or `None` if it was not. A dropped delivery counts as
    /// [`Settlement::Dropped`].
    ///
    /// ```
    /// use sqs_client::testing::{Settlement, TestDelivery};
    ///
    /// let (delivery, recorder) = TestDelivery::new("hello").build();
    /// assert_eq!(recorder.settlement(), None);
    /// drop(delivery);
    /// assert_eq!(recorder.settlement(), Some(Settlement::Dropped));
    /// ```
    #[must_use]
    pub fn settlement(&self) -> Option<Settlement> {
        self.recording.settlement()
    }

    /// Returns all requests for the message in their order, failed ones included.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sqs_client::Error> {
    /// use std::time::Duration;
    /// use sqs_client::testing::{RecordedRequest, TestDelivery};
    ///
    /// let (delivery, recorder) = TestDelivery::new("hello").build();
    /// delivery.nack(Duration::from_secs(5)).await?;
    /// assert_eq!(recorder.requests(), [RecordedRequest::Return(Duration::from_secs(5))]);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.recording.requests()
    }

    /// Returns the visibility timeouts of the confirmed extensions, in their order. The heartbeat extends a delivery
    /// while it is handled.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() {
    /// use std::time::Duration;
    /// use sqs_client::testing::TestDelivery;
    ///
    /// let (delivery, recorder) = TestDelivery::new("hello").visibility_timeout(Duration::from_secs(30)).build();
    /// tokio::time::sleep(Duration::from_secs(20)).await; // slow work
    /// assert_eq!(recorder.extensions(), [Duration::from_secs(30)]);
    /// assert!(delivery.lease_remaining() > Duration::from_secs(15));
    /// # }
    /// ```
    #[must_use]
    pub fn extensions(&self) -> Vec<Duration> {
        self.recording.extensions()
    }

    /// Fails the next deletion of the message. Further calls fail the deletions after it.
    ///
    /// With [`ReceiptHandleIsInvalid`](crate::ErrorCode::ReceiptHandleIsInvalid), the acknowledgement does not fail, because
    /// the lease was lost. See [`AckOutcome`](crate::consumer::AckOutcome).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sqs_client::Error> {
    /// use sqs_client::testing::{Fault, TestDelivery};
    ///
    /// let (delivery, recorder) = TestDelivery::new("hello").build();
    /// recorder.fail_next_ack(Fault::Timeout);
    /// assert!(delivery.ack().await.unwrap_err().is_retryable());
    /// delivery.ack().await?;
    /// # Ok(()) }
    /// ```
    pub fn fail_next_ack(&self, fault: impl Into<Fault>) {
        self.recording.fail_next_ack(fault.into());
    }

    /// Fails the next return of the message to the queue. Further calls fail the returns after it.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use sqs_client::ErrorCode;
    /// use sqs_client::testing::TestDelivery;
    ///
    /// let (delivery, recorder) = TestDelivery::new("hello").build();
    /// recorder.fail_next_nack(ErrorCode::AccessDenied);
    /// assert!(delivery.nack_with_backoff().await.is_err());
    /// assert!(!delivery.is_settled());
    /// # }
    /// ```
    pub fn fail_next_nack(&self, fault: impl Into<Fault>) {
        self.recording.fail_next_nack(fault.into());
    }

    /// Fails the next extension of the visibility timeout. Further calls fail the extensions after it.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() {
    /// use sqs_client::ErrorCode;
    /// use sqs_client::testing::TestDelivery;
    ///
    /// let (delivery, recorder) = TestDelivery::new("hello").build();
    /// recorder.fail_next_extension(ErrorCode::ReceiptHandleIsInvalid);
    /// delivery.lease_lost().await; // at the first extension
    /// assert!(recorder.extensions().is_empty());
    /// # }
    /// ```
    pub fn fail_next_extension(&self, fault: impl Into<Fault>) {
        self.recording.fail_next_extension(fault.into());
    }

    /// Ends the lease at once, as if the server had refused an extension. A competing consumer may then have the message.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use sqs_client::testing::TestDelivery;
    ///
    /// let (delivery, recorder) = TestDelivery::new("hello").build();
    /// recorder.lose_lease();
    /// delivery.lease_lost().await;
    /// # }
    /// ```
    pub fn lose_lease(&self) {
        self.tracked.mark_lost();
    }

    /// Returns the record, for the tests of sqs-extended.
    #[doc(hidden)]
    #[must_use]
    pub fn recording(&self) -> Arc<Recording> {
        Arc::clone(&self.recording)
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
