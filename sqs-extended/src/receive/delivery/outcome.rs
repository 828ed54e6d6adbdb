//! Acknowledges messages, returns them, and tells how long they are ours.

use std::time::Duration;

use crate::error::Error;
use crate::payload_store::Removed;
use crate::receive::body::Content;
use crate::receive::delivery::ExtendedDelivery;
use crate::receive::outcome::{PayloadOutcome, RetainReason};

impl ExtendedDelivery {
    /// Acknowledges the message: deletes it from the queue, and then its payload from the store.
    ///
    /// The payload is deleted only if the message's deletion was confirmed within the lease. A payload that stays in the
    /// store is not an error, because the message is handled. The outcome tells why it stays.
    ///
    /// # Errors
    ///
    /// The message could not be deleted. Its payload is untouched, and the delivery can be acknowledged again.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future may or may not prevent the message's deletion. The payload may stay in the store, but it is never
    /// deleted before the message.
    pub async fn ack(&self) -> Result<PayloadOutcome, Error> {
        let was_ours = self
            .0
            .claim
            .delete()
            .await
            .map_err(|error| self.error(Error::queue("failed to delete the message", error)))?;
        let Content::Offloaded { located, .. } = &self.0.content else {
            return Ok(PayloadOutcome::NoStoredPayload);
        };
        if !was_ours {
            return Ok(PayloadOutcome::PayloadRetained(RetainReason::LeaseExpired));
        }
        Ok(match self.payload_store()?.remove(located).await {
            Removed::Deleted => PayloadOutcome::PayloadDeleted,
            Removed::Retained => PayloadOutcome::PayloadRetained(RetainReason::Configured),
            Removed::Failed(error) => PayloadOutcome::PayloadRetained(RetainReason::DeleteFailed(self.error(error))),
        })
    }

    /// Returns the message to the queue, which delivers it again after `delay`. Range: 0 seconds to 12 hours. The payload
    /// stays in the store.
    ///
    /// # Errors
    ///
    /// The visibility timeout could not be changed, or the response was lost. The message becomes visible at the end of its
    /// visibility timeout at the latest.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future has the effect of a failed request.
    pub async fn nack(&self, delay: Duration) -> Result<(), Error> {
        self.visibility_changed(self.0.claim.nack(delay).await)
    }

    /// Returns the message to the queue with a backoff that grows with [`receive_count`](Self::receive_count).
    ///
    /// A delivery of a [consumer](crate::ExtendedConsumer) has the consumer's
    /// [backoff](sqs_client::Consumer::backoff), and all segments of a payload return together. A delivery of a
    /// [receive](crate::ExtendedClient::receive) has the default backoff: a random part of
    /// [`DEFAULT_BACKOFF_BASE`](sqs_client::Consumer::DEFAULT_BACKOFF_BASE), doubled with each receive, up to
    /// [`DEFAULT_BACKOFF_MAX`](sqs_client::Consumer::DEFAULT_BACKOFF_MAX).
    ///
    /// # Errors
    ///
    /// As for [`nack`](Self::nack).
    ///
    /// # Cancel safety
    ///
    /// As for [`nack`](Self::nack).
    pub async fn nack_with_backoff(&self) -> Result<(), Error> {
        let fraction = self.0.shared.random.fraction();
        self.visibility_changed(self.0.claim.nack_with_backoff(self.receive_count(), fraction).await)
    }

    /// Hides the message from other consumers for `timeout` from now. Range: 0 seconds to 12 hours, and up to 12 hours in all
    /// since the receive.
    ///
    /// A consumer's heartbeat extends the visibility timeout by itself. On a delivery of a
    /// [consumer](crate::ExtendedConsumer), this method does nothing.
    ///
    /// # Errors
    ///
    /// The visibility timeout could not be changed, or the response was lost. Until another call succeeds, the shorter of
    /// the old and the new timeout counts for [`ack`](Self::ack). A lease that is over stays over, even if SQS confirms a
    /// later call.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future has the effect of a failed request.
    pub async fn extend_visibility(&self, timeout: Duration) -> Result<(), Error> {
        self.visibility_changed(self.0.claim.extend_visibility(timeout).await)
    }

    /// Waits until the lease is lost, after which another consumer may receive the message.
    ///
    /// The lease of a [receive](crate::ExtendedClient::receive) ends [`LEASE_MARGIN`](Self::LEASE_MARGIN) before the end of the
    /// visibility timeout. A [consumer](crate::ExtendedConsumer) loses a lease if it cannot extend it in time, if the server
    /// refuses, or after 12 hours. The lease of a payload in segments is lost with that of any segment. The future never
    /// completes once the message is acknowledged or returned in time.
    ///
    /// ```no_run
    /// # async fn work(_: &sqs_extended::ExtendedDelivery) {}
    /// # async fn example(delivery: sqs_extended::ExtendedDelivery) -> Result<(), sqs_extended::Error> {
    /// tokio::select! {
    ///     () = work(&delivery) => drop(delivery.ack().await?),
    ///     () = delivery.lease_lost() => {} // another consumer handles the message
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped and the method called again at any time.
    pub async fn lease_lost(&self) {
        self.0.claim.lease_lost().await;
    }

    /// Returns `true` if the consumer of this delivery knows that it is acknowledged or returned.
    pub(crate) fn is_settled(&self) -> bool {
        self.0.claim.is_settled()
    }

    fn visibility_changed(&self, changed: Result<(), sqs_client::Error>) -> Result<(), Error> {
        changed.map_err(|error| self.error(Error::queue("failed to change the message's visibility timeout", error)))
    }
}
