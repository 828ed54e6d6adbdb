use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::types::{lenient, open_enum};

open_enum! {
    /// The name of a system attribute. SQS itself adds system attributes to a message.
    ///
    /// A receive returns the system attributes that it
    /// [requests](crate::client::Request::<crate::operation::ReceiveMessage>::message_system_attribute_names).
    ///
    /// ```no_run
    /// # async fn f(client: sqs_client::Client, queue: &str) -> Result<(), sqs_client::Error> {
    /// use sqs_client::types::MessageSystemAttributeName::ApproximateReceiveCount;
    ///
    /// let received = client.receive_message(queue).message_system_attribute_names([ApproximateReceiveCount]).await?;
    /// # Ok(()) }
    /// ```
    MessageSystemAttributeName {
        /// Every attribute.
        All = "All",
        /// The sender of the message.
        SenderId = "SenderId",
        /// The time when the message was sent.
        SentTimestamp = "SentTimestamp",
        /// The number of receives without a delete.
        ApproximateReceiveCount = "ApproximateReceiveCount",
        /// The time when the message was first received.
        ApproximateFirstReceiveTimestamp = "ApproximateFirstReceiveTimestamp",
        /// The sequence number (FIFO queues).
        SequenceNumber = "SequenceNumber",
        /// The deduplication id (FIFO queues).
        MessageDeduplicationId = "MessageDeduplicationId",
        /// The message group (FIFO and fair queues).
        MessageGroupId = "MessageGroupId",
        /// The AWS X-Ray trace header.
        AwsTraceHeader = "AWSTraceHeader",
        /// The ARN of the source queue of a message in a dead-letter queue.
        DeadLetterQueueSourceArn = "DeadLetterQueueSourceArn",
    }
}

/// The requested system attributes of a received message.
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
    /// Returns the text of an attribute.
    #[must_use]
    pub fn get(&self, name: &MessageSystemAttributeName) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(super) fn insert(&mut self, name: MessageSystemAttributeName, value: String) {
        self.0.insert(name, value);
    }

    /// Returns an iterator over all attributes, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&MessageSystemAttributeName, &str)> {
        self.0.iter().map(|(name, value)| (name, value.as_str()))
    }

    /// Returns `true` if there are no attributes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the time when the message was sent to the queue, in milliseconds.
    #[must_use]
    pub fn sent_timestamp(&self) -> Option<SystemTime> {
        self.time(&MessageSystemAttributeName::SentTimestamp)
    }

    /// Returns the time when the message was first received, in milliseconds.
    #[must_use]
    pub fn approximate_first_receive_timestamp(&self) -> Option<SystemTime> {
        self.time(&MessageSystemAttributeName::ApproximateFirstReceiveTimestamp)
    }

    /// Returns the number of receives of the message by all consumers, including this one.
    #[must_use]
    pub fn approximate_receive_count(&self) -> Option<u32> {
        self.get(&MessageSystemAttributeName::ApproximateReceiveCount)?
            .trim()
            .parse()
            .ok()
    }

    /// Returns the sender: the id of an IAM user or role, or the IP address of an anonymous sender.
    #[must_use]
    pub fn sender_id(&self) -> Option<&str> {
        self.get(&MessageSystemAttributeName::SenderId)
    }

    /// Returns the ARN of the source queue, if the message was moved to a dead-letter queue.
    #[must_use]
    pub fn dead_letter_queue_source_arn(&self) -> Option<&str> {
        self.get(&MessageSystemAttributeName::DeadLetterQueueSourceArn)
    }

    /// Returns the sequence number of a message of a FIFO queue, which has 20 digits.
    #[must_use]
    pub fn sequence_number(&self) -> Option<&str> {
        self.get(&MessageSystemAttributeName::SequenceNumber)
    }

    /// Returns the message group.
    #[must_use]
    pub fn message_group_id(&self) -> Option<&str> {
        self.get(&MessageSystemAttributeName::MessageGroupId)
    }

    /// Returns the deduplication id, which the sender set or SQS derived from the body.
    #[must_use]
    pub fn message_deduplication_id(&self) -> Option<&str> {
        self.get(&MessageSystemAttributeName::MessageDeduplicationId)
    }

    /// Returns the AWS X-Ray trace header.
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
