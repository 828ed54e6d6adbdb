//! Handles one message after another, from its receipt to its acknowledgement.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;

use sqs_client::internal::{DeliveryExt as _, retry_ack};

use crate::consumer::fifo_groups::{FifoGroups, return_head_last};
use crate::consumer::gathering::{Complete, Gathering};
use crate::consumer::group_head::{IndexedSegments, take_group_head};
use crate::consumer::held_segment::Segment;
use crate::consumer::return_guard::ReturnGuard;
use crate::error::Error;
use crate::receive::assembled::Assembled;
use crate::receive::claim::Claim;
use crate::receive::claimed_segments::{ClaimedSegments, Observer};
use crate::receive::delivery::ExtendedDelivery;
use crate::receive::outcome::PayloadOutcome;
use crate::segment::fifo_planner::Step;
use crate::segment::{Header, IncompleteCause};
use crate::shared::Shared;

/// The consumer must return the message to the queue. The reason was logged.
pub(crate) struct NotHandled;

pub(super) struct Worker<H> {
    shared: Arc<Shared>,
    handler: H,
    gathering: Arc<Gathering>,
    return_guard: ReturnGuard,
    /// `Some` for a FIFO queue.
    groups: Option<Arc<FifoGroups>>,
}

impl<H, F, E> Worker<H>
where
    H: Fn(ExtendedDelivery) -> F + Send + Sync + 'static,
    F: Future<Output = Result<(), E>> + Send + 'static,
    E: Send + 'static,
{
    pub(super) fn new(
        shared: Arc<Shared>,
        handler: H,
        gathering: Arc<Gathering>,
        return_guard: ReturnGuard,
        groups: Option<FifoGroups>,
    ) -> Self {
        Self {
            shared,
            handler,
            gathering,
            return_guard,
            groups: groups.map(Arc::new),
        }
    }

    pub(super) async fn handle(self: Arc<Self>, mut received: sqs_client::Delivery) -> Result<(), NotHandled> {
        let header = Header::find(&received.message().message_attributes);
        let opened = match header {
            Ok(Some(header)) if header.whole.count > 1 => return self.handle_segment(received, header).await,
            Ok(_) => {
                let message = received.take_message();
                ExtendedDelivery::open(&self.shared, Claim::Consumed(received), message).map_err(Error::from)
            }
            Err(invalid) => Err(invalid.into()),
        };
        match opened {
            Ok(delivery) => run_handler(&self.handler, &delivery).await,
            Err(error) => Err(log_rejected(&error)),
        }
    }

    async fn handle_segment(&self, received: sqs_client::Delivery, header: Header) -> Result<(), NotHandled> {
        self.gathering.close_with(&received);
        match &self.groups {
            None => self.gather_segment(received, header).await,
            Some(groups) => self.handle_group_head(groups, received, header).await,
        }
    }

    /// Buffers a segment from a standard queue, or handles the payload that it completes.
    async fn gather_segment(&self, received: sqs_client::Delivery, header: Header) -> Result<(), NotHandled> {
        let segment = Segment::take(received.clone(), header).map_err(|invalid| log_rejected(&invalid.into()))?;
        let key = received.message().receipt_handle.clone();
        let complete = {
            let _slot = SlotGuard::new(&received);
            self.gathering.offer(segment).await
        };
        let Some(complete) = complete else {
            return Ok(());
        };
        received.resume();
        let observer = self.gathering.observer(complete.whole.id.clone());
        self.handle_complete(key, complete, Some(observer)).await
    }

    /// Handles a segment that is the first message of its FIFO group. The other segments of its payload are behind it, or
    /// the receive did not return them.
    async fn handle_group_head(
        &self,
        groups: &Arc<FifoGroups>,
        received: sqs_client::Delivery,
        header: Header,
    ) -> Result<(), NotHandled> {
        let key = received.message().receipt_handle.clone();
        let head = take_group_head(received, header).map_err(|error| log_rejected(&error))?;
        let step = groups.plan(&head);
        if !matches!(step, Step::Complete { .. })
            && let Some(first) = head.segments.first()
        {
            // The missing segments may follow messages that are prefetched.
            first.delivery.return_later_messages_of_group();
        }
        // Dropping the segments that are not taken returns them to the queue.
        let mut received = IndexedSegments::new(head.segments);
        match step {
            Step::Complete { segments, duplicates } => {
                let (segments, duplicates) = (received.take(segments), received.take(duplicates));
                let observer = groups.observer(&segments);
                let complete = Complete::new(segments, duplicates).ok_or(NotHandled)?;
                self.handle_complete(key, complete, observer).await
            }
            Step::Delete { segments, why } => {
                let segments = received.take(segments);
                let payload_id = segments.first().map(|segment| &*segment.header.whole.id);
                tracing::info!(
                    payload_id,
                    segments = segments.len(),
                    ?why,
                    "deleting segments that no payload needs"
                );
                join_all(segments.into_iter().map(Segment::delete)).await;
                return_head_last(received.into_remaining(), Duration::ZERO).await;
                Ok(())
            }
            Step::Incomplete { segments, have, after } => {
                let segments = received.take(segments);
                let first = segments.first().ok_or(NotHandled)?;
                let whole = first.header.whole.clone();
                self.gathering
                    .resolve_incomplete(&whole, have, IncompleteCause::Expired, segments, after)
                    .await;
                Ok(())
            }
            Step::Return { after } => {
                return_head_last(received.into_remaining(), after).await;
                Ok(())
            }
        }
    }

    /// Handles a complete payload. If that fails in any way, [`ReturnGuard`] returns the payload. The guard knows it by the
    /// receipt handle of the message that completed it.
    async fn handle_complete(
        &self,
        key: String,
        complete: Complete,
        observer: Option<Observer>,
    ) -> Result<(), NotHandled> {
        let Complete {
            whole,
            segments,
            duplicates,
        } = complete;
        let mut message = None;
        let (mut deliveries, mut bytes) = (Vec::new(), Vec::new());
        for segment in segments {
            message.get_or_insert(segment.message);
            bytes.push((segment.header.checksum, segment.bytes));
            deliveries.push(segment.delivery);
        }
        deliveries.extend(duplicates.into_iter().map(|duplicate| duplicate.delivery));
        let claim = Claim::Segments(ClaimedSegments::new(deliveries, observer));
        let Some(message) = message else {
            return Err(NotHandled);
        };
        let delivery = ExtendedDelivery::assembled(&self.shared, claim, message, Assembled::new(whole, bytes));
        self.return_guard.enter(key, delivery.clone());
        run_handler(&self.handler, &delivery).await
    }
}

/// A parked message that still occupies its handler's slot until this is dropped. Otherwise the consumer would receive more
/// and more messages while segments are written to a file.
struct SlotGuard<'a>(&'a sqs_client::Delivery);

impl<'a> SlotGuard<'a> {
    fn new(delivery: &'a sqs_client::Delivery) -> Self {
        // Once it is parked, only we settle it. This must hold before another handler can see the segment.
        delivery.park();
        delivery.resume();
        Self(delivery)
    }
}

impl Drop for SlotGuard<'_> {
    fn drop(&mut self) {
        self.0.park();
    }
}

/// Runs the handler, and acknowledges the message unless the handler did.
pub(crate) async fn run_handler<H, F, E>(handler: &H, delivery: &ExtendedDelivery) -> Result<(), NotHandled>
where
    H: Fn(ExtendedDelivery) -> F,
    F: Future<Output = Result<(), E>>,
{
    let handled = handler(delivery.clone()).await;
    if delivery.is_settled() {
        return Ok(());
    }
    match handled {
        Ok(()) => acknowledge(delivery).await,
        Err(_) => Err(NotHandled),
    }
}

async fn acknowledge(delivery: &ExtendedDelivery) -> Result<(), NotHandled> {
    let message_id = delivery.message_id();
    match retry_ack(|| delivery.ack(), Error::is_retryable).await {
        Ok(PayloadOutcome::PayloadRetained(reason)) => {
            tracing::debug!(
                message_id,
                ?reason,
                "the payload of an acknowledged message stays in the store"
            );
            Ok(())
        }
        Ok(_) => Ok(()),
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(
                message_id,
                error,
                "failed to acknowledge a message; SQS delivers it again"
            );
            Err(NotHandled)
        }
    }
}

fn log_rejected(error: &Error) -> NotHandled {
    tracing::warn!(
        receipt_handle = error.receipt_handle().is_some(),
        error = error as &dyn std::error::Error,
        "rejected a message; returning it to the queue"
    );
    NotHandled
}
