use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::{RedriveAllowPolicy, RedrivePolicy, open_enum};
use crate::error::Error;
use crate::limits;
use crate::validate;

/// One list of the typed attributes: the struct's fields, their wire names and the enum of names come from it.
macro_rules! queue_attributes {
    ($($(#[$meta:meta])* $field:ident: $type:ty = $variant:ident $wire:literal,)*) => {
        open_enum! {
            /// The name of a queue attribute.
            QueueAttributeName {
                /// Every attribute:
                All = "All",
                $($(#[$meta])* $variant = $wire,)*
            }
        }

        /// The attributes of a queue: set what should differ from the default, read what the server told.
        ///
        /// ```
        /// use std::time::{Duration, SystemTime};
        /// use sqs_client::QueueAttributes;
        ///
        /// let mut attributes = QueueAttributes::default();
        /// attributes.visibility_timeout = Some(Duration::from_secs(60));
        /// attributes.fifo_queue = Some(true);
        /// attributes.content_based_deduplication = Some(true);
        /// ```
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[non_exhaustive]
        pub struct QueueAttributes {
            $(
                $(#[$meta])*
                #[serde(
                    default,
                    rename = $wire,
                    with = "super::text::attribute",
                    skip_serializing_if = "Option::is_none"
                )]
                pub $field: Option<$type>,
            )*
            /// Attributes that this version of the crate does not know, or servers' own, by their wire names.
            #[serde(flatten)]
            pub other: BTreeMap<String, String>,
        }
    };
}

queue_attributes! {
    /// How long all messages are held back at first: 0–900 s.
    delay: Duration = DelaySeconds "DelaySeconds",
    /// Most bytes of a message: 1,024–1,048,576.
    maximum_message_size: u32 = MaximumMessageSize "MaximumMessageSize",
    /// How long the queue keeps a message: 60 s–14 days.
    message_retention_period: Duration = MessageRetentionPeriod "MessageRetentionPeriod",
    /// How long a receive without a wait time of its own waits: 0–20 s.
    receive_message_wait_time: Duration = ReceiveMessageWaitTimeSeconds "ReceiveMessageWaitTimeSeconds",
    /// How long a received message stays hidden: 0–12 h.
    visibility_timeout: Duration = VisibilityTimeout "VisibilityTimeout",
    /// The access policy, JSON as AWS IAM writes it.
    policy: String = Policy "Policy",
    /// Where messages go that were received too often.
    redrive_policy: RedrivePolicy = RedrivePolicy "RedrivePolicy",
    /// Which queues may use this one for their dead letters.
    redrive_allow_policy: RedriveAllowPolicy = RedriveAllowPolicy "RedriveAllowPolicy",
    /// Whether the queue is FIFO; set on creation only, and the name must end in `.fifo`.
    fifo_queue: bool = FifoQueue "FifoQueue",
    /// FIFO: whether the body's SHA-256 serves as deduplication id where the sender gave none.
    content_based_deduplication: bool = ContentBasedDeduplication "ContentBasedDeduplication",
    /// FIFO: where ids are compared, `queue` or `messageGroup`; the latter for high throughput.
    deduplication_scope: String = DeduplicationScope "DeduplicationScope",
    /// FIFO: what the throughput quota applies to, `perQueue` or `perMessageGroupId`; the latter for high throughput.
    fifo_throughput_limit: String = FifoThroughputLimit "FifoThroughputLimit",
    /// The AWS KMS key for server-side encryption.
    kms_master_key_id: String = KmsMasterKeyId "KmsMasterKeyId",
    /// How long a data key is used again before KMS is asked: 60 s–24 h.
    kms_data_key_reuse_period: Duration = KmsDataKeyReusePeriodSeconds "KmsDataKeyReusePeriodSeconds",
    /// Server-side encryption with SQS's own keys.
    sqs_managed_sse_enabled: bool = SqsManagedSseEnabled "SqsManagedSseEnabled",
    /// Read only: messages that can be received, about.
    approximate_number_of_messages: u64 = ApproximateNumberOfMessages "ApproximateNumberOfMessages",
    /// Read only: messages in flight, about.
    approximate_number_of_messages_not_visible: u64 = ApproximateNumberOfMessagesNotVisible "ApproximateNumberOfMessagesNotVisible",
    /// Read only: messages held back, about.
    approximate_number_of_messages_delayed: u64 = ApproximateNumberOfMessagesDelayed "ApproximateNumberOfMessagesDelayed",
    /// Read only: when the queue was created.
    created_timestamp: SystemTime = CreatedTimestamp "CreatedTimestamp",
    /// Read only: when it was last changed.
    last_modified_timestamp: SystemTime = LastModifiedTimestamp "LastModifiedTimestamp",
    /// Read only: its ARN.
    queue_arn: String = QueueArn "QueueArn",
}

impl QueueAttributes {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What any server would refuse.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        validate::no_longer_than("delay", self.delay, limits::MAX_DELAY)?;
        validate::no_longer_than("wait time", self.receive_message_wait_time, limits::MAX_WAIT_TIME)?;
        validate::no_longer_than(
            "visibility timeout",
            self.visibility_timeout,
            limits::MAX_VISIBILITY_TIMEOUT,
        )?;
        validate::no_longer_than(
            "message retention period",
            self.message_retention_period,
            limits::MAX_RETENTION,
        )?;
        match self.message_retention_period {
            Some(period) if period < limits::MIN_RETENTION => Err(Error::invalid_input(format!(
                "the message retention period is {period:?}; SQS takes {:?} or more",
                limits::MIN_RETENTION
            ))),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_a_map_of_strings_on_the_wire() {
        let attributes = QueueAttributes {
            visibility_timeout: Some(Duration::from_secs(60)),
            redrive_policy: Some(RedrivePolicy::new("arn:aws:sqs:us-east-1:1:dlq", 3)),
            other: BTreeMap::from([("Novel".to_owned(), "x".to_owned())]),
            ..QueueAttributes::default()
        };
        let wire = serde_json::to_value(&attributes).unwrap();
        assert_eq!(
            wire,
            serde_json::json!({
                "VisibilityTimeout": "60",
                "RedrivePolicy": r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:1:dlq","maxReceiveCount":3}"#,
                "Novel": "x",
            })
        );
        assert_eq!(serde_json::from_value::<QueueAttributes>(wire).unwrap(), attributes);
    }

    #[test]
    fn a_redrive_policy_with_its_count_as_text_is_read() {
        let wire = serde_json::json!({
            "RedrivePolicy": r#"{"deadLetterTargetArn":"arn","maxReceiveCount":"3"}"#,
        });
        let attributes: QueueAttributes = serde_json::from_value(wire).unwrap();
        assert_eq!(attributes.redrive_policy, Some(RedrivePolicy::new("arn", 3)));
    }
}
