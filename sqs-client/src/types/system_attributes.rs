use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::types::{lenient, open_enum};

open_enum! {
    /// What SQS itself says of a received message, asked for by name on receive.
    MessageSystemAttributeName {
        /// Every attribute:
        All = "All",
        /// Who sent the message:
        SenderId = "SenderId",
        /// When it was sent:
        SentTimestamp = "SentTimestamp",
        /// How often it was received and not deleted:
        ApproximateReceiveCount = "ApproximateReceiveCount",
        /// When it was first received:
        ApproximateFirstReceiveTimestamp = "ApproximateFirstReceiveTimestamp",
        /// Its place in a FIFO queue:
        SequenceNumber = "SequenceNumber",
        /// Its deduplication id (FIFO queues):
        MessageDeduplicationId = "MessageDeduplicationId",
        /// Its group (FIFO and fair queues):
        MessageGroupId = "MessageGroupId",
        /// The AWS X-Ray trace header it was sent with:
        AwsTraceHeader = "AWSTraceHeader",
        /// The queue whose dead letter it is:
        DeadLetterQueueSourceArn = "DeadLetterQueueSourceArn",
    }
}

/// The system attributes of a received message: those that were asked for and that the server knows.
///
/// ```
/// use sqs_client::types::{MessageSystemAttributeName, MessageSystemAttributes};
///
/// let attributes = MessageSystemAttributes::from_iter([
///     (MessageSystemAttributeName::ApproximateReceiveCount, "2".to_owned()),
/// ]);
/// assert_eq!(attributes.approximate_receive_count(), Some(2));
/// assert_eq!(attributes.sent_timestamp(), None);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MessageSystemAttributes(
    #[serde(deserialize_with = "lenient::text_map")] BTreeMap<MessageSystemAttributeName, String>,
);

impl MessageSystemAttributes {
    /// The raw text of one attribute.
    #[must_use]
    pub fn get(&self, name: &MessageSystemAttributeName) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(super) fn insert(&mut self, name: MessageSystemAttributeName, value: String) {
        self.0.insert(name, value);
    }

    /// All attributes, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&MessageSystemAttributeName, &str)> {
        self.0.iter().map(|(name, value)| (name, value.as_str()))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// When the message was sent to the queue, to the millisecond.
    #[must_use]
    pub fn sent_timestamp(&self) -> Option<SystemTime> {
        self.time(&MessageSystemAttributeName::SentTimestamp)
    }

    /// When the message was first received, to the millisecond.
    #[must_use]
    pub fn approximate_first_receive_timestamp(&self) -> Option<SystemTime> {
        self.time(&MessageSystemAttributeName::ApproximateFirstReceiveTimestamp)
    }

    /// How many times the message was received across all consumers and not deleted, this time included.
    #[must_use]
    pub fn approximate_receive_count(&self) -> Option<u32> {
        self.get(&MessageSystemAttributeName::ApproximateReceiveCount)?
            .trim()
            .parse()
            .ok()
    }

    /// Who sent the message: the id of an IAM user or role, or the IP address of an anonymous sender.
    #[must_use]
    pub fn sender_id(&self) -> Option<&str> {
        self.get(&MessageSystemAttributeName::SenderId)
    }

    /// The ARN of the queue that the message was in before it became a dead letter.
    #[must_use]
    pub fn dead_letter_queue_source_arn(&self) -> Option<&str> {
        self.get(&MessageSystemAttributeName::DeadLetterQueueSourceArn)
    }

    /// The place that SQS gave the message in its FIFO queue: 20 digits.
    #[must_use]
    pub fn sequence_number(&self) -> Option<&str> {
        self.get(&MessageSystemAttributeName::SequenceNumber)
    }

    /// The group that the producer put the message in.
    #[must_use]
    pub fn message_group_id(&self) -> Option<&str> {
        self.get(&MessageSystemAttributeName::MessageGroupId)
    }

    /// The deduplication id, given by the producer or derived from the body.
    #[must_use]
    pub fn message_deduplication_id(&self) -> Option<&str> {
        self.get(&MessageSystemAttributeName::MessageDeduplicationId)
    }

    /// The AWS X-Ray trace header that the message was sent with.
    #[must_use]
    pub fn aws_trace_header(&self) -> Option<&str> {
        self.get(&MessageSystemAttributeName::AwsTraceHeader)
    }

    fn time(&self, name: &MessageSystemAttributeName) -> Option<SystemTime> {
        let millis = self.get(name)?.trim().parse().ok()?;
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(millis))
    }
}

impl FromIterator<(MessageSystemAttributeName, String)> for MessageSystemAttributes {
    fn from_iter<I: IntoIterator<Item = (MessageSystemAttributeName, String)>>(attributes: I) -> Self {
        Self(attributes.into_iter().collect())
    }
}
