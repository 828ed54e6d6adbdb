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

/// Defines the struct's fields, its setters and the enum of names from one list of attributes. The type in parentheses
/// is the parameter of a setter.
macro_rules! queue_attributes {
    (
        settable { $($(#[$meta:meta])* $field:ident($param:ty): $type:ty = $variant:ident $wire:literal,)* }
        read_only {
            $($(#[$read_meta:meta])* $read_field:ident: $read_type:ty = $read_variant:ident $read_wire:literal,)*
        }
    ) => {
        open_enum! {
            /// The name of a queue attribute. See [`get_queue_attributes`](crate::Client::get_queue_attributes).
            ///
            /// ```
            /// use sqs_client::types::QueueAttributeName;
            ///
            /// assert_eq!(QueueAttributeName::VisibilityTimeout.as_str(), "VisibilityTimeout");
            /// assert_eq!(QueueAttributeName::from("Novel"), QueueAttributeName::Other("Novel".to_owned()));
            /// ```
            QueueAttributeName {
                /// Every attribute.
                All = "All",
                $($(#[$meta])* $variant = $wire,)*
                $($(#[$read_meta])* $read_variant = $read_wire,)*
            }
        }

        queue_attributes! {
            struct
            $($(#[$meta])* $field: $type = $wire,)*
            $($(#[$read_meta])* $read_field: $read_type = $read_wire,)*
        }

        of_text_members!(QueueAttributes, |name| QueueAttributeName::from(name).nested());

        impl QueueAttributes {
            $(
                #[doc = concat!("Sets `", $wire, "`.")]
                ///
                $(#[$meta])*
                #[must_use]
                #[inline]
                pub fn $field(mut self, value: $param) -> Self {
                    self.$field = Some(value.into());
                    self
                }
            )*

            /// Removes an attribute from the queue. The request carries an empty value, by which SQS removes policies,
            /// redrive policies and KMS keys.
            ///
            /// ```no_run
            /// # async fn f(client: sqs_client::Client, queue: &str) -> Result<(), sqs_client::Error> {
            /// use sqs_client::QueueAttributes;
            /// use sqs_client::types::QueueAttributeName;
            ///
            /// let attributes = QueueAttributes::new().clear(QueueAttributeName::RedrivePolicy);
            /// client.set_queue_attributes(queue, attributes).await?;
            /// # Ok(()) }
            /// ```
            #[must_use]
            #[inline]
            pub fn clear(mut self, name: QueueAttributeName) -> Self {
                match name {
                    $(QueueAttributeName::$variant => self.$field = None,)*
                    $(QueueAttributeName::$read_variant => self.$read_field = None,)*
                    QueueAttributeName::All | QueueAttributeName::Other(_) => {}
                }
                self.other.insert(name.as_str().to_owned(), String::new());
                self
            }
        }
    };
    (struct $($(#[$meta:meta])* $field:ident: $type:ty = $wire:literal,)*) => {
        /// The attributes of a queue, for [`create_queue`](crate::Client::create_queue) and
        /// [`set_queue_attributes`](crate::Client::set_queue_attributes), and from
        /// [`get_queue_attributes`](crate::Client::get_queue_attributes).
        ///
        /// Set only the attributes that should differ from the default. The
        /// [API reference](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html)
        /// describes each of them.
        ///
        /// ```
        /// use std::time::Duration;
        /// use sqs_client::QueueAttributes;
        ///
        /// let attributes = QueueAttributes::new()
        ///     .visibility_timeout(Duration::from_secs(60))
        ///     .message_retention_period(Duration::from_secs(14 * 24 * 60 * 60))
        ///     .dead_letter_queue("arn:aws:sqs:eu-west-1:123456789012:orders-dead", 3);
        /// assert_eq!(attributes.visibility_timeout, Some(Duration::from_secs(60)));
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
            /// Attributes unknown to this version of the crate or specific to a server, by their wire names.
            #[serde(flatten)]
            pub other: BTreeMap<String, String>,
        }
    };
}

queue_attributes! {
    settable {
        /// The delay before a new message becomes visible, in whole seconds (rounded up). Default: 0 s.
        /// Range: 0–900 s.
        delay(Duration): Duration = DelaySeconds "DelaySeconds",
        /// The maximum size of a message in bytes. Default: 1,048,576. Range: 1,024–1,048,576.
        maximum_message_size(u32): u32 = MaximumMessageSize "MaximumMessageSize",
        /// The time after which the queue drops a message, in whole seconds (rounded up). Default: 4 days.
        /// Range: 60 s–14 days.
        message_retention_period(Duration): Duration = MessageRetentionPeriod "MessageRetentionPeriod",
        /// The wait time of receives that set none, in whole seconds (rounded up). Default: 0 s. Range: 0–20 s.
        receive_message_wait_time(Duration): Duration = ReceiveMessageWaitTimeSeconds "ReceiveMessageWaitTimeSeconds",
        /// The time for which a received message stays hidden, in whole seconds (rounded up). Default: 30 s.
        /// Range: 0 s–12 h.
        visibility_timeout(Duration): Duration = VisibilityTimeout "VisibilityTimeout",
        /// The access policy: the accounts and services that may use the queue. Default: only the queue's own account.
        policy(AccessPolicy): AccessPolicy = Policy "Policy",
        /// The dead-letter queue, and the number of receives after which a message moves there. Default: no dead-letter
        /// queue.
        redrive_policy(RedrivePolicy): RedrivePolicy = RedrivePolicy "RedrivePolicy",
        /// The queues that may use this one as their dead-letter queue. Default: all queues of the account in the
        /// region.
        redrive_allow_policy(impl Into<RedriveAllowPolicy>): RedriveAllowPolicy = RedriveAllowPolicy "RedriveAllowPolicy",
        /// `true` for a FIFO queue. It can be set only on creation, and the queue's name must end in `.fifo`.
        /// Default: `false`, but [`create_queue`](crate::Client::create_queue) sets it for a name that ends in `.fifo`.
        fifo_queue(bool): bool = FifoQueue "FifoQueue",
        /// FIFO queues: `true` to use the SHA-256 of the body as the deduplication id of a message without one.
        /// Default: `false`.
        content_based_deduplication(bool): bool = ContentBasedDeduplication "ContentBasedDeduplication",
        /// FIFO queues: the scope in which a deduplication id is unique. Default: the queue.
        deduplication_scope(DeduplicationScope): DeduplicationScope = DeduplicationScope "DeduplicationScope",
        /// FIFO queues: the scope of the throughput quota. Default: the queue.
        fifo_throughput_limit(FifoThroughputLimit): FifoThroughputLimit = FifoThroughputLimit "FifoThroughputLimit",
        /// The id, alias or ARN of the AWS KMS key for server-side encryption, such as `alias/aws/sqs`. Default: no
        /// KMS key.
        kms_master_key_id(impl Into<String>): String = KmsMasterKeyId "KmsMasterKeyId",
        /// The time for which SQS reuses a data key before it calls KMS again, in whole seconds (rounded up).
        /// Default: 300 s. Range: 60 s–24 h.
        kms_data_key_reuse_period(Duration): Duration = KmsDataKeyReusePeriodSeconds "KmsDataKeyReusePeriodSeconds",
        /// `true` for server-side encryption with keys that SQS owns. It cannot be combined with a KMS key. Default:
        /// `true` without a KMS key, `false` with one.
        sqs_managed_sse_enabled(bool): bool = SqsManagedSseEnabled "SqsManagedSseEnabled",
    }
    read_only {
        /// Read only: the approximate number of visible messages.
        approximate_number_of_messages: u64 = ApproximateNumberOfMessages "ApproximateNumberOfMessages",
        /// Read only: the approximate number of messages in flight.
        approximate_number_of_messages_not_visible: u64 = ApproximateNumberOfMessagesNotVisible "ApproximateNumberOfMessagesNotVisible",
        /// Read only: the approximate number of delayed messages.
        approximate_number_of_messages_delayed: u64 = ApproximateNumberOfMessagesDelayed "ApproximateNumberOfMessagesDelayed",
        /// Read only: the time of the queue's creation.
        created_timestamp: SystemTime = CreatedTimestamp "CreatedTimestamp",
        /// Read only: the time of the queue's last change.
        last_modified_timestamp: SystemTime = LastModifiedTimestamp "LastModifiedTimestamp",
        /// Read only: the queue's ARN.
        queue_arn: String = QueueArn "QueueArn",
    }
}

impl QueueAttributeName {
    /// Some servers send a policy as a JSON object instead of its text.
    fn nested(&self) -> Nested {
        match self {
            Self::Policy | Self::RedrivePolicy | Self::RedriveAllowPolicy => Nested::Json,
            Self::All | Self::Other(_) => Nested::Skip,
            _ => Nested::Refuse,
        }
    }
}

impl QueueAttributes {
    /// Creates attributes without any value. An existing queue keeps its values, and a new queue gets the defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets `RedrivePolicy`. A message that is received more than `max_receive_count` times moves to the queue with
    /// this ARN. Default: no dead-letter queue. Range of the count: 1–1,000.
    ///
    /// The dead-letter queue must exist already. A FIFO queue needs a FIFO dead-letter queue.
    ///
    /// ```no_run
    /// # async fn f(client: sqs_client::Client) -> Result<(), sqs_client::Error> {
    /// use sqs_client::QueueAttributes;
    /// use sqs_client::types::QueueAttributeName;
    ///
    /// let dead = client.create_queue("orders-dead").await?.queue_url;
    /// let dead = client.get_queue_attributes(dead, [QueueAttributeName::QueueArn]).await?.attributes;
    /// if let Some(arn) = dead.queue_arn {
    ///     client.create_queue("orders").attributes(QueueAttributes::new().dead_letter_queue(arn, 3)).await?;
    /// }
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn dead_letter_queue(self, arn: impl Into<String>, max_receive_count: u32) -> Self {
        self.redrive_policy(RedrivePolicy::new(arn, max_receive_count))
    }

    /// Enables high throughput for a FIFO queue. Deduplication and the throughput quota then apply to each message
    /// group. SQS requires both attributes. Default: normal throughput.
    ///
    /// ```no_run
    /// # async fn f(client: sqs_client::Client) -> Result<(), sqs_client::Error> {
    /// use sqs_client::QueueAttributes;
    ///
    /// let attributes = QueueAttributes::new().high_throughput_fifo();
    /// client.create_queue("orders.fifo").attributes(attributes).await?;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn high_throughput_fifo(self) -> Self {
        self.deduplication_scope(DeduplicationScope::MessageGroup)
            .fifo_throughput_limit(FifoThroughputLimit::PerMessageGroupId)
    }

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

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Checks the ranges that every server enforces.
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
mod tests;
