use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::types::text::epoch_millis;
use crate::types::{lenient, open_enum};

/// A task that moves the messages of a dead-letter queue. See
/// [`list_message_move_tasks`](crate::Client::list_message_move_tasks).
///
/// ```no_run
/// # async fn f(client: sqs_client::Client, dead_letters_arn: &str) -> Result<(), sqs_client::Error> {
/// use sqs_client::types::MessageMoveTaskStatus;
///
/// for task in client.list_message_move_tasks(dead_letters_arn).await?.results {
///     if task.status == MessageMoveTaskStatus::Failed {
///         println!("failed after {} messages: {:?}", task.approximate_number_of_messages_moved, task.failure_reason);
///     }
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct MessageMoveTask {
    /// The task's handle, by which it can be canceled. Only a running task has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_handle: Option<String>,
    /// The state of the task.
    pub status: MessageMoveTaskStatus,
    /// The ARN of the dead-letter queue.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub source_arn: String,
    /// The ARN of the destination queue. `None` if each message moves to its source queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination_arn: Option<String>,
    /// The maximum number of messages to move per second. `None` if the server chooses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_number_of_messages_per_second: Option<u32>,
    /// The approximate number of messages moved so far.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub approximate_number_of_messages_moved: u64,
    /// The approximate number of messages in the dead-letter queue when the task began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approximate_number_of_messages_to_move: Option<u64>,
    /// The reason why the task failed, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_reason: Option<String>,
    /// The time when the task started, in milliseconds.
    #[serde(default, with = "epoch_millis", skip_serializing_if = "Option::is_none")]
    pub started_timestamp: Option<SystemTime>,
}

open_enum! {
    /// The state of a [`MessageMoveTask`].
    ///
    /// ```
    /// use sqs_client::types::MessageMoveTaskStatus;
    ///
    /// assert_eq!(MessageMoveTaskStatus::from("RUNNING"), MessageMoveTaskStatus::Running);
    /// assert_eq!(MessageMoveTaskStatus::Running.to_string(), "RUNNING");
    /// ```
    MessageMoveTaskStatus {
        /// The task is moving messages.
        Running = "RUNNING",
        /// The task has moved all messages.
        Completed = "COMPLETED",
        /// The task is stopping.
        Cancelling = "CANCELLING",
        /// The task was stopped. Messages that were moved stay in the destination queue.
        Cancelled = "CANCELLED",
        /// The task failed. See [`failure_reason`](MessageMoveTask::failure_reason).
        Failed = "FAILED",
    }
}
