use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::types::text::epoch_millis;
use crate::types::{lenient, open_enum};

/// A task that moves the messages of a dead-letter queue, as
/// [`list_message_move_tasks`](crate::Client::list_message_move_tasks) shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct MessageMoveTask {
    /// Names the task, to cancel it; only while it is running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_handle: Option<String>,
    /// How far the task is.
    pub status: MessageMoveTaskStatus,
    /// ARN of the dead-letter queue that the messages are taken from.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub source_arn: String,
    /// ARN of the queue that they are moved to; `None` where each goes back to where it came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination_arn: Option<String>,
    /// Most messages moved in a second, where the task was given a rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_number_of_messages_per_second: Option<u32>,
    /// Messages moved until now, about.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub approximate_number_of_messages_moved: u64,
    /// Messages that were in the source queue when the task began, about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approximate_number_of_messages_to_move: Option<u64>,
    /// Why the task failed, where it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_reason: Option<String>,
    /// When the task was started, to the millisecond.
    #[serde(default, with = "epoch_millis", skip_serializing_if = "Option::is_none")]
    pub started_timestamp: Option<SystemTime>,
}

open_enum! {
    /// How far a [`MessageMoveTask`] is.
    MessageMoveTaskStatus {
        /// It moves messages:
        Running = "RUNNING",
        /// It has moved all:
        Completed = "COMPLETED",
        /// It was told to stop, and has not yet:
        Cancelling = "CANCELLING",
        /// It was stopped; what it had moved stays moved:
        Cancelled = "CANCELLED",
        /// It gave up, see [`failure_reason`](MessageMoveTask::failure_reason):
        Failed = "FAILED",
    }
}
