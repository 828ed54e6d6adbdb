use serde::{Deserialize, Serialize};

use crate::Client;
use crate::client::Request;
use crate::operation::operation;
use crate::types::lenient;

/// The input of [`Client::cancel_message_move_task`]. See AWS's
/// [`CancelMessageMoveTask`](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CancelMessageMoveTask.html).
///
/// ```no_run
/// # fn f(client: &sqs_client::Client, task_handle: &str) {
/// let request = client.cancel_message_move_task(task_handle);
/// assert_eq!(request.input().task_handle, task_handle);
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct CancelMessageMoveTask {
    /// The task's handle.
    pub task_handle: String,
}

/// The output of [`Client::cancel_message_move_task`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[non_exhaustive]
pub struct CancelMessageMoveTaskOutput {
    /// The approximate number of messages that were moved before the task stopped.
    #[serde(deserialize_with = "lenient::or_default")]
    pub approximate_number_of_messages_moved: u64,
}

operation!(CancelMessageMoveTask => CancelMessageMoveTaskOutput {});

impl Client {
    /// Stops a message move task. Messages that were already moved stay in the destination queue.
    ///
    /// ```no_run
    /// # async fn f(client: sqs_client::Client, task_handle: &str) -> Result<(), sqs_client::Error> {
    /// let cancelled = client.cancel_message_move_task(task_handle).await?;
    /// println!("{} messages were moved", cancelled.approximate_number_of_messages_moved);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// - [`ResourceNotFoundException`](crate::ErrorCode::ResourceNotFoundException): the task does not exist.
    /// - [`UnsupportedOperation`](crate::ErrorCode::UnsupportedOperation): the task has ended.
    pub fn cancel_message_move_task(&self, task_handle: impl Into<String>) -> Request<CancelMessageMoveTask> {
        self.request(CancelMessageMoveTask {
            task_handle: task_handle.into(),
        })
    }
}
