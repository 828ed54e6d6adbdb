use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::Error;
use crate::limits;
use crate::types::text::{attribute_text_by_json, lenient_u32};
use crate::types::{lenient, open_enum};
use crate::validate;

/// The queue attribute `RedrivePolicy`, which names the dead-letter queue.
///
/// [`dead_letter_queue`](crate::QueueAttributes::dead_letter_queue) sets it in one step.
///
/// ```
/// use sqs_client::QueueAttributes;
/// use sqs_client::types::RedrivePolicy;
///
/// let policy = RedrivePolicy::new("arn:aws:sqs:eu-west-1:123456789012:orders-dead", 5);
/// let attributes = QueueAttributes::new().redrive_policy(policy);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct RedrivePolicy {
    /// The ARN of the dead-letter queue, which must be of the same type (standard or FIFO) as the source queue.
    pub dead_letter_target_arn: String,
    /// The number of receives after which a message moves to that queue. Range: 1–1,000.
    #[serde(deserialize_with = "lenient_u32")]
    pub max_receive_count: u32,
    /// Members unknown to this version of the crate, as received.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

impl RedrivePolicy {
    /// Creates a policy that moves a message to the queue with this ARN once it is received more than
    /// `max_receive_count` times. Range of the count: 1–1,000.
    pub fn new(dead_letter_target_arn: impl Into<String>, max_receive_count: u32) -> Self {
        Self {
            dead_letter_target_arn: dead_letter_target_arn.into(),
            max_receive_count,
            other: BTreeMap::new(),
        }
    }

    /// Checks the range that every server enforces.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        validate::within(
            "redrive policy's maximum receive count",
            Some(self.max_receive_count),
            1..=limits::MAX_RECEIVE_COUNT,
        )
    }
}

/// The queue attribute `RedriveAllowPolicy`, which lists the queues that may use this one as their dead-letter queue.
///
/// ```
/// use sqs_client::QueueAttributes;
/// use sqs_client::types::RedriveAllowPolicy;
///
/// let policy = RedriveAllowPolicy::by_queue(["arn:aws:sqs:eu-west-1:123456789012:orders"]);
/// let attributes = QueueAttributes::new().redrive_allow_policy(policy);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct RedriveAllowPolicy {
    /// The permission.
    pub redrive_permission: RedrivePermission,
    /// The ARNs of up to 10 source queues, if the permission is [`RedrivePermission::ByQueue`].
    #[serde(default, deserialize_with = "lenient::list", skip_serializing_if = "Vec::is_empty")]
    pub source_queue_arns: Vec<String>,
    /// Members unknown to this version of the crate, as received.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

impl RedriveAllowPolicy {
    /// Creates a policy that allows all queues of the same account and region. This is the default of SQS.
    #[must_use]
    pub fn allow_all() -> Self {
        Self::from(RedrivePermission::AllowAll)
    }

    /// Creates a policy that denies all queues.
    #[must_use]
    pub fn deny_all() -> Self {
        Self::from(RedrivePermission::DenyAll)
    }

    /// Creates a policy that allows the queues with these ARNs. Range: 0–10 queues.
    pub fn by_queue<A: Into<String>>(source_queue_arns: impl IntoIterator<Item = A>) -> Self {
        Self {
            source_queue_arns: source_queue_arns.into_iter().map(Into::into).collect(),
            ..Self::from(RedrivePermission::ByQueue)
        }
    }

    /// Checks the range that every server enforces.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        validate::at_most(
            "number of source queues in the redrive allow policy",
            self.source_queue_arns.len(),
            limits::MAX_REDRIVE_SOURCES,
        )
    }
}

impl From<RedrivePermission> for RedriveAllowPolicy {
    fn from(redrive_permission: RedrivePermission) -> Self {
        Self {
            redrive_permission,
            source_queue_arns: Vec::new(),
            other: BTreeMap::new(),
        }
    }
}

open_enum! {
    /// The permission of a [`RedriveAllowPolicy`].
    ///
    /// ```
    /// use sqs_client::types::{RedriveAllowPolicy, RedrivePermission};
    ///
    /// assert_eq!(RedriveAllowPolicy::deny_all().redrive_permission, RedrivePermission::DenyAll);
    /// ```
    RedrivePermission {
        /// All queues of the same account and region. The default of SQS.
        AllowAll = "allowAll",
        /// No queue.
        DenyAll = "denyAll",
        /// The queues in [`source_queue_arns`](RedriveAllowPolicy::source_queue_arns).
        ByQueue = "byQueue",
    }
}

attribute_text_by_json!(RedrivePolicy, RedriveAllowPolicy);
