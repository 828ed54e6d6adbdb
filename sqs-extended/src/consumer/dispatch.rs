//! One message after the other, from its receipt to its end.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use sqs_client::Message;

use crate::consumer::fifo_groups::{FifoGroups, OfPayload, are_complete, return_head_last};
use crate::consumer::gathering::{Complete, Gathering};
use crate::consumer::held_segment::Segment;
use crate::consumer::return_guard::ReturnGuard;
use crate::error::Error;
use crate::receive::assembled::Assembled;
use crate::receive::claim::Claim;
use crate::receive::claimed_segments::{ClaimedSegments, Observer};
use crate::receive::delivery::ExtendedDelivery;
use crate::receive::outcome::PayloadOutcome;
use crate::segment::fifo_planner::Step;
use crate::segment::{Header, IncompleteCause, payload_id};
use crate::shared::Shared;

/// How often an acknowledgement is tried, each time with the retries of the client's policy.
const ACK_ATTEMPTS: u32 = 3;
/// The pause before the second time.
const ACK_PAUSE: Duration = Duration::from_millis(500);

/// The message is to be given back; why was said to whom it concerns.
pub(super) struct GivenBack;

pub(super) struct Worker<H> {
    shared: Arc<Shared>,
    handler: H,
    gathering: Arc<Gathering>,
    return_guard: ReturnGuard,
    /// Of a FIFO queue.
    ordered: Option<Arc<FifoGroups>>,
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
        ordered: Option<FifoGroups>,
    ) -> Self {
        Self {
            shared,
            handler,
            gathering,
            return_guard,
            ordered: ordered.map(Arc::new),
        }
    }

    pub(super) async fn handle(self: Arc<Self>, mut received: sqs_client::Delivery) -> Result<(), GivenBack> {
        let header = Header::find(&received.message().message_attributes);
        let opened = match header {
            Ok(Some(header)) if header.whole.count > 1 => return self.segment(received, header).await,
            Ok(_) => {
                let message = received.take_message();
                ExtendedDelivery::open(&self.shared, Claim::Consumed(received), message).map_err(Error::from)
            }
            Err(invalid) => Err(invalid.into()),
        };
        match opened {
            Ok(delivery) => self.settle(&delivery).await,
            Err(error) => Err(refused(&error)),
        }
    }

    /// Hands the payload over, and acknowledges it.
    async fn settle(&self, delivery: &ExtendedDelivery) -> Result<(), GivenBack> {
        let handled = (self.handler)(delivery.clone()).await;
        if delivery.is_settled() {
            return Ok(());
        }
        match handled {
            Ok(()) => acknowledge(delivery).await,
            Err(_) => Err(GivenBack),
        }
    }

    async fn segment(&self, received: sqs_client::Delivery, header: Header) -> Result<(), GivenBack> {
        self.gathering.close_with(&received);
        match &self.ordered {
            None => self.segment_of_any(received, header).await,
            Some(ordered) => self.first_of_group(ordered, received, header).await,
        }
    }

    /// Takes in a segment from a standard queue. It waits aside, unless it is the last one.
    async fn segment_of_any(&self, received: sqs_client::Delivery, header: Header) -> Result<(), GivenBack> {
        let segment = Segment::take(received.clone(), header).map_err(|invalid| refused(&invalid.into()))?;
        let key = received.message().receipt_handle.clone();
        let complete = {
            let _place = PlaceKept::new(&received);
            self.gathering.offer(segment).await
        };
        let Some(complete) = complete else {
            return Ok(());
        };
        received.take_up();
        let observer = self.gathering.observer(complete.whole.id.clone());
        self.settle_set(key, complete, Some(observer)).await
    }

    /// The first message of a FIFO group that is a segment: the others of its payload are behind it, or the receive did not
    /// bring them.
    async fn first_of_group(
        &self,
        ordered: &Arc<FifoGroups>,
        received: sqs_client::Delivery,
        header: Header,
    ) -> Result<(), GivenBack> {
        let key = received.message().receipt_handle.clone();
        let of_payload = with_those_behind(received, header).map_err(|error| refused(&error))?;
        let step = ordered.plan(&of_payload);
        if !matches!(step, Step::Complete { .. })
            && let Some(first) = of_payload.segments.first()
        {
            // What is missing may come behind messages that wait here.
            first.delivery.return_behind();
        }
        // What is not taken by its place is dropped, and so given back.
        let mut places = Places::new(of_payload.segments);
        match step {
            Step::Complete { segments, duplicates } => {
                let (segments, duplicates) = (places.take(segments), places.take(duplicates));
                let observer = ordered.observer(&segments);
                let complete = Complete::new(segments, duplicates).ok_or(GivenBack)?;
                self.settle_set(key, complete, observer).await
            }
            Step::Delete { segments, why } => {
                let segments = places.take(segments);
                let payload_id = segments.first().map(|segment| &*segment.header.whole.id);
                tracing::info!(
                    payload_id,
                    segments = segments.len(),
                    ?why,
                    "needless segments are deleted"
                );
                join_all(segments.into_iter().map(Segment::delete)).await;
                return_head_last(places.all(), Duration::ZERO).await;
                Ok(())
            }
            Step::Incomplete { segments, have, after } => {
                let segments = places.take(segments);
                let first = segments.first().ok_or(GivenBack)?;
                let whole = first.header.whole.clone();
                let gathering = &self.gathering;
                gathering
                    .incomplete(&whole, have, IncompleteCause::Expired, segments, after)
                    .await;
                Ok(())
            }
            Step::Return { after } => {
                return_head_last(places.all(), after).await;
                Ok(())
            }
        }
    }

    /// Handles a payload in segments. Where that fails, in whatever way, it is returned by [`ReturnGuard`], which knows it by
    /// the receipt handle of the message that made it complete.
    async fn settle_set(&self, key: String, complete: Complete, observer: Option<Observer>) -> Result<(), GivenBack> {
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
        let set = ClaimedSegments::new(deliveries, observer);
        let Some(message) = message else {
            return Err(GivenBack);
        };
        let delivery = ExtendedDelivery::assembled(
            &self.shared,
            Claim::Segments(set),
            message,
            Assembled::new(whole, bytes),
        );
        self.return_guard.enter(key, delivery.clone());
        self.settle(&delivery).await
    }
}

/// A message that is ours to settle, and keeps its handler's place as long as this lives: else more and more would be
/// received while segments are written to a file.
struct PlaceKept<'a>(&'a sqs_client::Delivery);

impl<'a> PlaceKept<'a> {
    fn new(delivery: &'a sqs_client::Delivery) -> Self {
        // This alone makes it ours, before others can see it.
        delivery.set_aside();
        delivery.take_up();
        Self(delivery)
    }
}

impl Drop for PlaceKept<'_> {
    fn drop(&mut self) {
        self.0.set_aside();
    }
}

/// The segment, and the others of its payload that wait behind it in its group; they are ours to settle. Those of another
/// payload with its id are taken only where this one is incomplete. They would be returned otherwise, and received once more
/// each time this one fails.
fn with_those_behind(first: sqs_client::Delivery, header: Header) -> Result<OfPayload, Error> {
    let whole = header.whole.clone();
    let mut segments = vec![Segment::take(first, header)?];
    let (mut in_order, mut sent_again) = (Vec::new(), false);
    take_behind(&mut segments, |message| {
        let header = header_of(message);
        let base = message.attributes.message_deduplication_id();
        sent_again |= header.is_none() && base.is_some_and(|base| payload_id(base) == whole.id);
        let header = header.filter(|header| header.whole.id == whole.id);
        if header.is_some() {
            in_order.push(message.message_id.clone());
        }
        header.is_some_and(|header| header.whole == whole)
    });
    if !are_complete(&segments) {
        take_behind(&mut segments, |message| {
            header_of(message).is_some_and(|header| header.whole.id == whole.id)
        });
        segments.sort_by_key(|segment| in_order.iter().position(|id| *id == segment.message.message_id));
    }
    Ok(OfPayload { segments, sent_again })
}

fn header_of(message: &Message) -> Option<Header> {
    Header::find(&message.message_attributes).ok().flatten()
}

/// Takes those behind the first segment that pass the filter. One of them that is not sound is dropped, and so returned: it
/// must not keep the payload before it from its handler.
fn take_behind(segments: &mut Vec<Segment>, filter: impl FnMut(&Message) -> bool) {
    let behind = segments.first().map(|first| first.delivery.take_behind(filter));
    let behind = behind.unwrap_or_default();
    behind.iter().for_each(sqs_client::Delivery::set_aside);
    segments.extend(behind.into_iter().filter_map(|delivery| {
        let header = header_of(delivery.message())?;
        Segment::take(delivery, header)
            .map_err(|invalid| refused(&invalid.into()))
            .ok()
    }));
}

/// Segments by their places in what was received, each to be taken once.
struct Places(Vec<Option<Segment>>);

impl Places {
    fn new(segments: Vec<Segment>) -> Self {
        Self(segments.into_iter().map(Some).collect())
    }

    fn take(&mut self, places: Vec<usize>) -> Vec<Segment> {
        let taken = places.into_iter().map(|place| self.0.get_mut(place)?.take());
        taken.flatten().collect()
    }

    fn all(self) -> impl Iterator<Item = Segment> {
        self.0.into_iter().flatten()
    }
}

async fn acknowledge(delivery: &ExtendedDelivery) -> Result<(), GivenBack> {
    let message_id = delivery.message_id();
    let mut pause = ACK_PAUSE;
    for attempt in 1.. {
        match delivery.ack().await {
            Ok(PayloadOutcome::PayloadRetained(reason)) => {
                tracing::debug!(message_id, ?reason, "the payload of an acknowledged message is kept");
                return Ok(());
            }
            Ok(_) => return Ok(()),
            Err(error) if !error.is_retryable() || attempt == ACK_ATTEMPTS => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(message_id, error, "not acknowledged; the message comes again");
                return Err(GivenBack);
            }
            Err(_) => tokio::time::sleep(pause).await,
        }
        pause *= 2;
    }
    Err(GivenBack)
}

fn refused(error: &Error) -> GivenBack {
    tracing::warn!(
        receipt_handle = error.receipt_handle().is_some(),
        error = error as &dyn std::error::Error,
        "a message was refused, and is given back"
    );
    GivenBack
}
