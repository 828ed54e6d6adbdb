use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::limits;
use crate::types::members::{Nested, of_text_members};
use crate::types::{
    AccessPolicy, DeduplicationScope, FifoThroughputLimit, RedriveAllowPolicy, RedrivePolicy, open_enum, parts,
};
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
        #[serde(remote = "Self")]
        #[non_exhaustive]
        pub struct QueueAttributes {
            $(
                $(#[$meta])*
                #[serde(
                    default,
                    rename = $wire,
                    with = "crate::types::text::attribute",
                    skip_serializing_if = "Option::is_none"
                )]
                pub $field: Option<$type>,
            )*
            /// Attributes that this version of the crate does not know, or servers' own, by their wire names.
            #[serde(flatten)]
            pub other: BTreeMap<String, String>,
        }

        of_text_members!(QueueAttributes, |name| QueueAttributeName::from(name).nested());

        impl QueueAttributes {
            /// Takes this attribute away from the queue that the attributes are set on: it goes out as an empty value,
            /// which is how SQS removes policies, redrive policies and KMS keys.
            ///
            /// ```no_run
            /// # async fn f(client: sqs_client::Client, queue: &str) -> Result<(), sqs_client::Error> {
            /// use sqs_client::QueueAttributes;
            /// use sqs_client::types::QueueAttributeName;
            ///
            /// let attributes = QueueAttributes::default().clear(QueueAttributeName::RedrivePolicy);
            /// client.set_queue_attributes(queue, attributes).await?;
            /// # Ok(()) }
            /// ```
            #[must_use]
            #[inline]
            pub fn clear(mut self, name: QueueAttributeName) -> Self {
                match name {
                    $(QueueAttributeName::$variant => self.$field = None,)*
                    QueueAttributeName::All | QueueAttributeName::Other(_) => {}
                }
                self.other.insert(name.as_str().to_owned(), String::new());
                self
            }
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
    /// Who may do what with the queue.
    policy: AccessPolicy = Policy "Policy",
    /// Where messages go that were received too often.
    redrive_policy: RedrivePolicy = RedrivePolicy "RedrivePolicy",
    /// Which queues may use this one for their dead letters.
    redrive_allow_policy: RedriveAllowPolicy = RedriveAllowPolicy "RedriveAllowPolicy",
    /// Whether the queue is FIFO; set on creation only, and the name must end in `.fifo`.
    fifo_queue: bool = FifoQueue "FifoQueue",
    /// FIFO: whether the body's SHA-256 serves as deduplication id where the sender gave none.
    content_based_deduplication: bool = ContentBasedDeduplication "ContentBasedDeduplication",
    /// FIFO: within what a deduplication id counts as repeated.
    deduplication_scope: DeduplicationScope = DeduplicationScope "DeduplicationScope",
    /// FIFO: what the throughput quota applies to.
    fifo_throughput_limit: FifoThroughputLimit = FifoThroughputLimit "FifoThroughputLimit",
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

impl QueueAttributeName {
    /// Some servers send a policy as the object that its text would be.
    fn nested(&self) -> Nested {
        match self {
            Self::Policy | Self::RedrivePolicy | Self::RedriveAllowPolicy => Nested::Json,
            Self::All | Self::Other(_) => Nested::Skip,
            _ => Nested::Refuse,
        }
    }
}

impl QueueAttributes {
    /// Returns the name of a known attribute in this JSON that cannot be read.
    pub(crate) fn unreadable(json: &[u8]) -> Option<QueueAttributeName> {
        let mut unreadable = None;
        parts::members(json, |name, value| {
            let name = QueueAttributeName::from(name);
            let alone = [format!("{{\"{}\":", name.as_str()).as_bytes(), value, b"}"].concat();
            if !matches!(name, QueueAttributeName::Other(_)) && serde_json::from_slice::<Self>(&alone).is_err() {
                unreadable = Some(name);
            }
            Some(())
        });
        unreadable
    }

    /// High throughput for a FIFO queue: deduplication and the throughput quota are each message group's own. SQS
    /// gives it only where both are set so.
    ///
    /// ```no_run
    /// # async fn f(client: sqs_client::Client) -> Result<(), sqs_client::Error> {
    /// use sqs_client::QueueAttributes;
    ///
    /// let attributes = QueueAttributes::default().high_throughput_fifo();
    /// client.create_queue("orders.fifo").attributes(attributes).await?;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn high_throughput_fifo(mut self) -> Self {
        self.deduplication_scope = Some(DeduplicationScope::MessageGroup);
        self.fifo_throughput_limit = Some(FifoThroughputLimit::PerMessageGroupId);
        self
    }

    #[inline]
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
        validate::within(
            "message retention period",
            self.message_retention_period,
            limits::MIN_RETENTION..=limits::MAX_RETENTION,
        )?;
        validate::within(
            "maximum message size in bytes",
            self.maximum_message_size,
            limits::MIN_MAXIMUM_MESSAGE_BYTES..=limits::MAX_MAXIMUM_MESSAGE_BYTES,
        )?;
        validate::within(
            "KMS data key reuse period",
            self.kms_data_key_reuse_period,
            limits::MIN_KMS_DATA_KEY_REUSE..=limits::MAX_KMS_DATA_KEY_REUSE,
        )?;
        self.redrive_policy.iter().try_for_each(RedrivePolicy::validate)?;
        self.redrive_allow_policy
            .iter()
            .try_for_each(RedriveAllowPolicy::validate)
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
    fn what_a_newer_service_says_is_kept() {
        let wire = serde_json::json!({
            "DeduplicationScope": "messageGroup",
            "FifoThroughputLimit": "perPlanet",
            "RedriveAllowPolicy": r#"{"redrivePermission":"allowSome"}"#,
            "RedrivePolicy": r#"{"deadLetterTargetArn":"arn","maxReceiveCount":3,"copyTo":"b"}"#,
        });
        let attributes: QueueAttributes = serde_json::from_value(wire.clone()).unwrap();
        assert_eq!(attributes.deduplication_scope, Some(DeduplicationScope::MessageGroup));
        assert_eq!(serde_json::to_value(&attributes).unwrap(), wire);
    }

    #[test]
    fn a_cleared_attribute_goes_out_as_an_empty_value() {
        let attributes = QueueAttributes {
            redrive_policy: Some(RedrivePolicy::new("arn", 3)),
            ..QueueAttributes::default()
        };
        let attributes = attributes.clear(QueueAttributeName::RedrivePolicy);
        let wire = serde_json::to_string(&attributes).unwrap();
        assert_eq!(wire, r#"{"RedrivePolicy":""}"#);
        assert!(!attributes.is_empty());
    }

    #[test]
    fn every_range_is_checked_at_both_ends() {
        type Set = fn(&mut QueueAttributes, u32);

        fn seconds(value: u32) -> Option<Duration> {
            Some(Duration::from_secs(value.into()))
        }

        let cases: [(&str, Set, [u32; 2]); 8] = [
            ("delay", |a, v| a.delay = seconds(v), [0, 900]),
            ("wait time", |a, v| a.receive_message_wait_time = seconds(v), [0, 20]),
            (
                "visibility timeout",
                |a, v| a.visibility_timeout = seconds(v),
                [0, 43_200],
            ),
            (
                "message retention period",
                |a, v| a.message_retention_period = seconds(v),
                [60, 1_209_600],
            ),
            (
                "maximum message size in bytes",
                |a, v| a.maximum_message_size = Some(v),
                [1_024, 1_048_576],
            ),
            (
                "KMS data key reuse period",
                |a, v| a.kms_data_key_reuse_period = seconds(v),
                [60, 86_400],
            ),
            (
                "redrive policy's maximum receive count",
                |a, v| a.redrive_policy = Some(RedrivePolicy::new("arn", v)),
                [1, 1_000],
            ),
            (
                "number of source queues in the redrive allow policy",
                |a, v| a.redrive_allow_policy = Some(RedriveAllowPolicy::by_queue((0..v).map(|i| i.to_string()))),
                [0, 10],
            ),
        ];
        for (what, set, [least, most]) in cases {
            let check = |value| {
                let mut attributes = QueueAttributes::default();
                set(&mut attributes, value);
                attributes.validate()
            };
            assert!(check(least).is_ok() && check(most).is_ok(), "{what}");
            for outside in least.checked_sub(1).into_iter().chain([most + 1]) {
                let error = check(outside).unwrap_err();
                assert!(error.message().starts_with(&format!("the {what} is ")), "{error}");
            }
        }
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
