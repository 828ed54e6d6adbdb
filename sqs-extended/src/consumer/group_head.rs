//! Collects the segments of one payload at the head of a FIFO group.

use sqs_client::Message;
use sqs_client::internal::DeliveryExt as _;

use crate::consumer::fifo_groups::{GroupHead, are_complete};
use crate::consumer::held_segment::Segment;
use crate::error::Error;
use crate::segment::{Header, payload_id};

/// Takes the first segment and the segments of its payload that are prefetched behind it in its group.
///
/// Segments of another payload with the same id are taken only if this payload is incomplete. Otherwise they would be
/// returned, and received once more each time this payload fails.
///
/// # Errors
///
/// The first segment is malformed.
pub(super) fn take_group_head(first: sqs_client::Delivery, header: Header) -> Result<GroupHead, Error> {
    let whole = header.whole.clone();
    let mut segments = vec![Segment::take(first, header)?];
    let (mut in_order, mut sent_again) = (Vec::new(), false);
    take_later_segments(&mut segments, |message| {
        let header = header_of(message);
        let deduplication_id = message.attributes.message_deduplication_id();
        sent_again |= header.is_none() && deduplication_id.is_some_and(|id| payload_id(id) == whole.id);
        let header = header.filter(|header| header.whole.id == whole.id);
        if header.is_some() {
            in_order.push(message.message_id.clone());
        }
        header.is_some_and(|header| header.whole == whole)
    });
    if !are_complete(&segments) {
        take_later_segments(&mut segments, |message| {
            header_of(message).is_some_and(|header| header.whole.id == whole.id)
        });
        segments.sort_by_key(|segment| in_order.iter().position(|id| *id == segment.message.message_id));
    }
    Ok(GroupHead { segments, sent_again })
}

/// Returns `true` if both messages are segments of one payload.
pub(super) fn are_of_one_payload(first: &Message, later: &Message) -> bool {
    let whole = |message| header_of(message).map(|header| header.whole);
    whole(first).is_some_and(|first| whole(later) == Some(first))
}

fn header_of(message: &Message) -> Option<Header> {
    Header::find(&message.message_attributes).ok().flatten()
}

/// Takes the messages behind the first segment that pass the filter. A malformed segment is dropped, which returns it to the
/// queue. It must not prevent the handling of the payload before it.
fn take_later_segments(segments: &mut Vec<Segment>, filter: impl FnMut(&Message) -> bool) {
    let behind = segments
        .first()
        .map(|first| first.delivery.take_later_messages_of_group(filter));
    let behind = behind.unwrap_or_default();
    behind.iter().for_each(sqs_client::internal::DeliveryExt::park);
    segments.extend(behind.into_iter().filter_map(|delivery| {
        let header = header_of(delivery.message())?;
        Segment::take(delivery, header)
            .map_err(|invalid| {
                let error = Error::from(invalid);
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "rejected a segment; returning it to the queue"
                );
            })
            .ok()
    }));
}

/// Segments by their index in the received messages. Each can be taken once.
pub(super) struct IndexedSegments(Vec<Option<Segment>>);

impl IndexedSegments {
    pub(super) fn new(segments: Vec<Segment>) -> Self {
        Self(segments.into_iter().map(Some).collect())
    }

    pub(super) fn take(&mut self, indices: Vec<usize>) -> Vec<Segment> {
        let taken = indices.into_iter().map(|index| self.0.get_mut(index)?.take());
        taken.flatten().collect()
    }

    pub(super) fn into_remaining(self) -> impl Iterator<Item = Segment> {
        self.0.into_iter().flatten()
    }
}
