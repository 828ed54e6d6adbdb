//! The ownership of received messages: by a lease, by a consumer, or of all segments of a payload.

use std::sync::Arc;
use std::time::Duration;

use sqs_client::consumer::AckOutcome;
use sqs_client::internal::{Settlement, full_jitter};
use sqs_client::{Consumer, ErrorCode};

use crate::receive::claimed_segments::ClaimedSegments;
use crate::receive::lease::Lease;
use crate::receive::lease_requests::LeaseRequests;

/// The ownership of a delivery's messages.
pub(crate) enum Claim {
    /// A single receive owns the message for its visibility timeout.
    Leased(Leased),
    /// A consumer owns the message and extends its visibility timeout.
    Consumed(sqs_client::Delivery),
    /// A consumer owns all segments of the payload.
    Segments(ClaimedSegments),
}

/// A message that a single receive owns.
pub(crate) struct Leased {
    pub(crate) requests: LeaseRequests,
    pub(crate) queue_url: Arc<str>,
    pub(crate) receipt_handle: String,
    pub(crate) lease: Lease,
}

impl Claim {
    /// Deletes the messages. Returns `true` if the lease held until the deletion was confirmed.
    ///
    /// # Errors
    ///
    /// At least one message could not be deleted. The call can be repeated.
    pub(crate) async fn delete(&self) -> Result<bool, sqs_client::Error> {
        match self {
            Self::Leased(leased) => leased.delete().await,
            Self::Consumed(delivery) => Ok(delivery.ack().await? == AckOutcome::Deleted),
            Self::Segments(segments) => segments.delete().await,
        }
    }

    /// Returns the messages to the queue, which delivers them again after `delay`.
    ///
    /// # Errors
    ///
    /// At least one message could not be returned.
    pub(crate) async fn nack(&self, delay: Duration) -> Result<(), sqs_client::Error> {
        match self {
            Self::Leased(leased) => leased.nack(delay, Settlement::Nacked(delay)).await,
            Self::Consumed(delivery) => delivery.nack(delay).await,
            Self::Segments(segments) => segments.nack(delay).await,
        }
    }

    /// Returns the messages to the queue with the consumer's backoff. Without a consumer, the default backoff applies to
    /// the number of receives. `fraction` is its random part.
    ///
    /// # Errors
    ///
    /// As for [`nack`](Self::nack).
    pub(crate) async fn nack_with_backoff(&self, receives: u32, fraction: f64) -> Result<(), sqs_client::Error> {
        match self {
            Self::Leased(leased) => {
                let delay = default_backoff(receives, fraction);
                leased.nack(delay, Settlement::NackedWithBackoff).await
            }
            Self::Consumed(delivery) => delivery.nack_with_backoff().await,
            Self::Segments(segments) => segments.nack_with_backoff().await,
        }
    }

    /// Hides the message for `timeout` from now. A consumer's heartbeat does this by itself, so its claims ignore the call.
    ///
    /// # Errors
    ///
    /// The visibility timeout could not be changed.
    pub(crate) async fn extend_visibility(&self, timeout: Duration) -> Result<(), sqs_client::Error> {
        match self {
            Self::Leased(leased) => leased.extend_visibility(timeout).await,
            Self::Consumed(_) | Self::Segments(_) => Ok(()),
        }
    }

    /// Waits until a lease is lost. Never returns once the messages are settled in time.
    pub(crate) async fn lease_lost(&self) {
        match self {
            Self::Leased(leased) => leased.lease.lost().await,
            Self::Consumed(delivery) => delivery.lease_lost().await,
            Self::Segments(segments) => segments.lease_lost().await,
        }
    }

    pub(crate) fn queue_url(&self) -> &str {
        match self {
            Self::Leased(leased) => &leased.queue_url,
            Self::Consumed(delivery) => delivery.queue_url(),
            Self::Segments(segments) => segments.queue_url(),
        }
    }

    /// Returns `true` if a consumer knows that the messages are settled.
    pub(crate) fn is_settled(&self) -> bool {
        match self {
            Self::Leased(_) => false,
            Self::Consumed(delivery) => delivery.is_settled(),
            Self::Segments(segments) => segments.is_settled(),
        }
    }
}

impl Leased {
    async fn delete(&self) -> Result<bool, sqs_client::Error> {
        self.requests.delete(&self.queue_url, &self.receipt_handle).await?;
        let held = self.lease.settle();
        self.requests.record(Settlement::Acked(match held {
            true => AckOutcome::Deleted,
            false => AckOutcome::LeaseLost,
        }));
        Ok(held)
    }

    async fn nack(&self, delay: Duration, how: Settlement) -> Result<(), sqs_client::Error> {
        let request = self
            .requests
            .return_message(&self.queue_url, &self.receipt_handle, delay);
        let returned = self.lease.return_message(delay, request).await;
        if returned.is_ok() {
            self.requests.record(how);
        }
        self.note_refusal(returned)
    }

    async fn extend_visibility(&self, timeout: Duration) -> Result<(), sqs_client::Error> {
        let request = self.requests.extend(&self.queue_url, &self.receipt_handle, timeout);
        let changed = self.lease.change(timeout, request).await;
        self.note_refusal(changed)
    }

    /// Ends the lease if the server says that the message is not ours.
    fn note_refusal(&self, changed: Result<(), sqs_client::Error>) -> Result<(), sqs_client::Error> {
        if changed.as_ref().is_err_and(is_not_ours) {
            self.lease.refused();
        }
        changed
    }
}

/// Returns `true` if the server says that the message is not in flight by this receipt handle. A consumer also counts
/// `InvalidParameterValue`, because its timeouts are in range. Here it can be about the caller's timeout.
fn is_not_ours(error: &sqs_client::Error) -> bool {
    matches!(
        error.code(),
        Some(ErrorCode::MessageNotInflight | ErrorCode::ReceiptHandleIsInvalid)
    )
}

fn default_backoff(receives: u32, fraction: f64) -> Duration {
    let (base, max) = (Consumer::DEFAULT_BACKOFF_BASE, Consumer::DEFAULT_BACKOFF_MAX);
    full_jitter(base, max, receives, fraction)
}
