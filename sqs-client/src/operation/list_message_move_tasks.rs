use serde::{Deserialize, Serialize};

use crate::client::Request;
use crate::operation::operation;
use crate::queue_name::queue_name;
use crate::types::{MessageMoveTask, lenient};
use crate::{Client, Error, limits, validate};

/// The input of [`Client::list_message_move_tasks`]. See AWS's
/// [`ListMessageMoveTasks`](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ListMessageMoveTasks.html).
///
/// ```no_run
/// # fn f(client: &sqs_client::Client, arn: &str) {
/// let request = client.list_message_move_tasks(arn).max_results(10);
/// assert_eq!(request.input().max_results, Some(10));
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct ListMessageMoveTasks {
    /// The ARN of the dead-letter queue.
    pub source_arn: String,
    /// The maximum number of tasks. Range: 1–10. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_results: Option<u8>,
}

/// The output of [`Client::list_message_move_tasks`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[non_exhaustive]
pub struct ListMessageMoveTasksOutput {
    /// The tasks, latest first.
    #[serde(deserialize_with = "lenient::list")]
    pub results: Vec<MessageMoveTask>,
}

operation!(ListMessageMoveTasks => ListMessageMoveTasksOutput {
    fn queue_name(&self) -> Option<&str> {
        Some(queue_name(&self.source_arn))
    }

    fn validate(&self) -> Result<(), Error> {
        validate::within("number of tasks to list", self.max_results, 1..=limits::MAX_MOVE_TASKS)
    }
});

impl Request<ListMessageMoveTasks> {
    /// Sets the maximum number of tasks. Range: 1–10. Default: 1.
    pub fn max_results(mut self, max_results: u8) -> Self {
        self.input.max_results = Some(max_results);
        self
    }
}

impl Client {
    /// Lists the latest message move tasks of the dead-letter queue with this ARN.
    ///
    /// ```no_run
    /// # async fn f(client: sqs_client::Client, dead_letters_arn: &str) -> Result<(), sqs_client::Error> {
    /// for task in client.list_message_move_tasks(dead_letters_arn).max_results(10).await?.results {
    ///     println!("{}: {} moved", task.status, task.approximate_number_of_messages_moved);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// - [`InvalidInput`](crate::ErrorKind::InvalidInput), before any I/O: `max_results` is not in the range 1–10.
    /// - [`ResourceNotFoundException`](crate::ErrorCode::ResourceNotFoundException): the queue does not exist.
    pub fn list_message_move_tasks(&self, source_arn: impl Into<String>) -> Request<ListMessageMoveTasks> {
        self.request(ListMessageMoveTasks {
            source_arn: source_arn.into(),
            max_results: None,
        })
    }
}
