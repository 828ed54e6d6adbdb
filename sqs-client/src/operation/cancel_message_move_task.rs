use serde::{Deserialize, Serialize};

use crate::Client;
use crate::client::Request;
use crate::operation::operation;
use crate::types::lenient;

/// Stops a message move task: the input of [`Client::cancel_message_move_task`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct CancelMessageMoveTask {
    /// Names the task.
    pub task_handle: String,
}

/// The answer to [`CancelMessageMoveTask`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[non_exhaustive]
pub struct CancelMessageMoveTaskOutput {
    /// Messages that were moved until then, about.
    #[serde(deserialize_with = "lenient::or_default")]
    pub approximate_number_of_messages_moved: u64,
}

operation!(CancelMessageMoveTask => CancelMessageMoveTaskOutput {});

impl Client {
    /// Stops a task that moves messages. What it has moved stays where it is.
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
    /// [`ResourceNotFoundException`](crate::ErrorCode::ResourceNotFoundException) where there is no such task,
    /// [`UnsupportedOperation`](crate::ErrorCode::UnsupportedOperation) where it is over.
    pub fn cancel_message_move_task(&self, task_handle: impl Into<String>) -> Request<CancelMessageMoveTask> {
        self.request(CancelMessageMoveTask {
            task_handle: task_handle.into(),
        })
    }
}
