use serde::{Deserialize, Serialize};

use super::text::{attribute_text_by_json, lenient_u32};

/// Where messages go that were received too often: the queue attribute `RedrivePolicy`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RedrivePolicy {
    /// ARN of the dead-letter queue; of the same kind (standard or FIFO) as the source.
    pub dead_letter_target_arn: String,
    /// After how many receives without a delete a message moves there: 1–1,000.
    #[serde(deserialize_with = "lenient_u32")]
    pub max_receive_count: u32,
}

impl RedrivePolicy {
    /// Moves a message to the queue of this ARN when it was received more often than `max_receive_count`.
    pub fn new(dead_letter_target_arn: impl Into<String>, max_receive_count: u32) -> Self {
        Self {
            dead_letter_target_arn: dead_letter_target_arn.into(),
            max_receive_count,
        }
    }
}

/// Which queues may use this one as their dead-letter queue: the queue attribute `RedriveAllowPolicy`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RedriveAllowPolicy {
    /// Who may.
    pub redrive_permission: RedrivePermission,
    /// The source queues' ARNs, up to 10, with [`RedrivePermission::ByQueue`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub source_queue_arns: Vec<String>,
}

/// The permission of a [`RedriveAllowPolicy`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum RedrivePermission {
    /// Any queue of the same account and region (the default of SQS).
    AllowAll,
    /// No queue.
    DenyAll,
    /// The queues that are named.
    ByQueue,
}

attribute_text_by_json!(RedrivePolicy, RedriveAllowPolicy);
