use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::Error;
use crate::limits;
use crate::types::text::{attribute_text_by_json, lenient_u32};
use crate::types::{lenient, open_enum};
use crate::validate;

/// Where messages go that were received too often: the queue attribute `RedrivePolicy`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct RedrivePolicy {
    /// ARN of the dead-letter queue; of the same kind (standard or FIFO) as the source.
    pub dead_letter_target_arn: String,
    /// After how many receives without a delete a message moves there: 1–1,000.
    #[serde(deserialize_with = "lenient_u32")]
    pub max_receive_count: u32,
    /// What this version of the crate does not know of the policy, kept as it was read.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

impl RedrivePolicy {
    /// Moves a message to the queue of this ARN when it was received more often than `max_receive_count`.
    pub fn new(dead_letter_target_arn: impl Into<String>, max_receive_count: u32) -> Self {
        Self {
            dead_letter_target_arn: dead_letter_target_arn.into(),
            max_receive_count,
            other: BTreeMap::new(),
        }
    }

    /// What any server would refuse.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        validate::within(
            "redrive policy's maximum receive count",
            Some(self.max_receive_count),
            1..=limits::MAX_RECEIVE_COUNT,
        )
    }
}

/// Which queues may use this one as their dead-letter queue: the queue attribute `RedriveAllowPolicy`.
///
/// ```
/// use sqs_client::types::{RedriveAllowPolicy, RedrivePermission};
///
/// let nobody = RedriveAllowPolicy::from(RedrivePermission::DenyAll);
/// let orders = RedriveAllowPolicy::by_queue(["arn:aws:sqs:eu-west-1:123456789012:orders"]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct RedriveAllowPolicy {
    /// Who may.
    pub redrive_permission: RedrivePermission,
    /// The source queues' ARNs, up to 10, with [`RedrivePermission::ByQueue`].
    #[serde(default, deserialize_with = "lenient::list", skip_serializing_if = "Vec::is_empty")]
    pub source_queue_arns: Vec<String>,
    /// What this version of the crate does not know of the policy, kept as it was read.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

impl RedriveAllowPolicy {
    /// Lets these queues, named by their ARNs, send their dead letters: up to 10.
    pub fn by_queue<A: Into<String>>(source_queue_arns: impl IntoIterator<Item = A>) -> Self {
        Self {
            source_queue_arns: source_queue_arns.into_iter().map(Into::into).collect(),
            ..Self::from(RedrivePermission::ByQueue)
        }
    }

    /// What any server would refuse.
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
    RedrivePermission {
        /// Any queue of the same account and region, the default of SQS:
        AllowAll = "allowAll",
        /// No queue:
        DenyAll = "denyAll",
        /// The queues that are named:
        ByQueue = "byQueue",
    }
}

attribute_text_by_json!(RedrivePolicy, RedriveAllowPolicy);
