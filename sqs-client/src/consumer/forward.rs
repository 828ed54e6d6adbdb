//! Forwards received messages to another queue.

use crate::queue_name::is_fifo;
use crate::types::{Message, OutgoingMessage};

/// Adds a received message's attributes, group and trace header to `outgoing`.
///
/// On a FIFO queue, the message id becomes the deduplication id, so that a repeated request after a lost response adds no
/// duplicate. It becomes the group as well if the message had none.
pub fn forward(mut outgoing: OutgoingMessage, received: &Message, queue_url: &str) -> OutgoingMessage {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{MessageSystemAttributeName, MessageSystemAttributes};

    fn received(group: Option<&str>) -> Message {
        let mut message: Message = serde_json::from_str(r#"{"MessageId": "id", "ReceiptHandle": "r"}"#).unwrap();
        message.message_attributes.insert("lang".to_owned(), "en".into());
        let mut attributes = vec![(MessageSystemAttributeName::AwsTraceHeader, "Root=1".to_owned())];
        attributes.extend(group.map(|group| (MessageSystemAttributeName::MessageGroupId, group.to_owned())));
        message.attributes = MessageSystemAttributes::from_iter(attributes);
        message
    }

    #[test]
    fn attributes_group_and_trace_header_are_kept() {
        let forwarded = forward(OutgoingMessage::new("b"), &received(Some("g")), "http://h/q");
        let expected = OutgoingMessage::new("b")
            .message_attribute("lang", "en")
            .message_group_id("g")
            .trace_header("Root=1");
        assert_eq!(forwarded, expected);
    }

    #[test]
    fn on_a_fifo_queue_the_message_id_prevents_duplicates() {
        for (group, expected) in [(Some("g"), "g"), (None, "id")] {
            let forwarded = forward(OutgoingMessage::new("b"), &received(group), "http://h/q.fifo");
            assert_eq!(forwarded.message_group_id.as_deref(), Some(expected));
            assert_eq!(forwarded.message_deduplication_id.as_deref(), Some("id"));
        }
    }
}
