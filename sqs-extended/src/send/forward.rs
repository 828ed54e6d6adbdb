//! Forwards received messages to another queue.

use sqs_client::{Message, OutgoingMessage};

use crate::send::policy::is_fifo;

/// Adds a received message's attributes, group and trace header to `outgoing`.
///
/// On a FIFO queue, the message id becomes the deduplication id, so that a repeated request after a lost response adds no
/// duplicate. It becomes the group as well if the message had none.
pub(crate) fn forward(mut outgoing: OutgoingMessage, received: &Message, queue_url: &str) -> OutgoingMessage {
    let attributes = &received.attributes;
    outgoing.message_attributes.extend(received.message_attributes.clone());
    outgoing.message_group_id = attributes.message_group_id().map(str::to_owned);
    if is_fifo(queue_url) {
        let id = || received.message_id.clone();
        outgoing.message_group_id.get_or_insert_with(id);
        outgoing.message_deduplication_id = Some(id());
    }
    match attributes.aws_trace_header() {
        Some(header) => outgoing.trace_header(header),
        None => outgoing,
    }
}
