//! How a received message is held: by a lease of its own, by a consumer, or as the segments of a payload that are.

use std::sync::Arc;
use std::time::Duration;

use sqs_client::{Client, ErrorCode};

use crate::receive::claimed_segments::ClaimedSegments;
use crate::receive::lease::Lease;

/// What it takes to settle what was received.
pub(crate) enum Claim {
    /// By a receive, for its visibility timeout.
    Leased(Leased),
    /// By a consumer, which extends it.
    Consumed(sqs_client::Delivery),
    /// Several messages, by a consumer.
    Segments(ClaimedSegments),
}

pub(crate) struct Leased {
    pub(crate) client: Client,
    pub(crate) queue_url: Arc<str>,
    pub(crate) receipt_handle: String,
    pub(crate) lease: Lease,
}

impl Claim {
    /// Deletes what was received, and says whether it was surely ours until that was confirmed.
    ///
    /// # Errors
    ///
    /// It could not be deleted, or some of it; it can be tried again.
    pub(crate) async fn delete(&self) -> Result<bool, sqs_client::Error> {
        match self {
            Self::Leased(held) => {
                held.client
                    .delete_message(&*held.queue_url, &*held.receipt_handle)
                    .await?;
                Ok(held.lease.holds())
            }
            Self::Consumed(delivery) => Ok(delivery.ack().await? == sqs_client::consumer::AckOutcome::Deleted),
            Self::Segments(segments) => segments.delete().await,
        }
    }

    /// Gives it back to the queue, which shows it again after this time.
    ///
    /// # Errors
    ///
    /// It could not be given back.
    pub(crate) async fn release(&self, after: Duration) -> Result<(), sqs_client::Error> {
        match self {
            Self::Leased(held) => held.change_visibility(after).await,
            Self::Consumed(delivery) => delivery.nack(after).await,
            Self::Segments(segments) => segments.release(after).await,
        }
    }

    /// Hides it for this long from now; a consumer does so by itself.
    ///
    /// # Errors
    ///
    /// The visibility timeout could not be changed.
    pub(crate) async fn extend(&self, timeout: Duration) -> Result<(), sqs_client::Error> {
        match self {
            Self::Leased(held) => held.change_visibility(timeout).await,
            Self::Consumed(_) | Self::Segments(_) => Ok(()),
        }
    }

    /// The queue that it is from.
    pub(crate) fn queue_url(&self) -> &str {
        match self {
            Self::Leased(held) => &held.queue_url,
            Self::Consumed(delivery) => delivery.queue_url(),
            Self::Segments(segments) => segments.queue_url(),
        }
    }

    /// Whether it was settled, where that is known.
    pub(crate) fn is_settled(&self) -> bool {
        match self {
            Self::Leased(_) => false,
            Self::Consumed(delivery) => delivery.is_settled(),
            Self::Segments(segments) => segments.is_settled(),
        }
    }
}

impl Leased {
    async fn change_visibility(&self, timeout: Duration) -> Result<(), sqs_client::Error> {
        let request = self
            .client
            .change_message_visibility(&*self.queue_url, &*self.receipt_handle, timeout);
        let changed = self.lease.change(timeout, async { request.await.map(drop) }).await;
        if changed.as_ref().is_err_and(says_that_it_is_not_ours) {
            self.lease.refused();
        }
        changed
    }
}

fn says_that_it_is_not_ours(error: &sqs_client::Error) -> bool {
    matches!(
        error.code(),
        Some(ErrorCode::MessageNotInflight | ErrorCode::ReceiptHandleIsInvalid)
    )
}
