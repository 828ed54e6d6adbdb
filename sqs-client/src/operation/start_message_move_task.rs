use serde::{Deserialize, Serialize};

use crate::client::Request;
use crate::operation::operation;
use crate::queue_name::queue_name;
use crate::{Client, Error, limits, validate};

/// The input of [`Client::start_message_move_task`]. See AWS's
/// [`StartMessageMoveTask`](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html).
///
/// ```no_run
/// # fn f(client: &sqs_client::Client, arn: &str) {
/// let request = client.start_message_move_task(arn).max_number_of_messages_per_second(50);
/// assert_eq!(request.input().max_number_of_messages_per_second, Some(50));
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct StartMessageMoveTask {
    /// The ARN of the dead-letter queue.
    pub source_arn: String,
    /// The ARN of the destination queue. Default: the source queue of each message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination_arn: Option<String>,
    /// The maximum number of messages to move per second. Range: 1–500. Default: the server chooses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_number_of_messages_per_second: Option<u32>,
}

/// The output of [`Client::start_message_move_task`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct StartMessageMoveTaskOutput {
    /// The task's handle, by which it can be canceled.
    pub task_handle: String,
}

operation!(StartMessageMoveTask => StartMessageMoveTaskOutput {
    fn queue_name(&self) -> Option<&str> {
        Some(queue_name(&self.source_arn))
    }

    fn validate(&self) -> Result<(), Error> {
        let rate = self.max_number_of_messages_per_second;
        validate::within("number of messages to move per second", rate, 1..=limits::MAX_MOVE_RATE)
    }
});

impl Request<StartMessageMoveTask> {
    /// Moves all messages to the queue of this ARN. Default: the source queue of each message.
    pub fn destination_arn(mut self, arn: impl Into<String>) -> Self {
        self.input.destination_arn = Some(arn.into());
        self
    }

    /// Sets the maximum number of messages to move per second. Range: 1–500. Default: the server chooses, by the
    /// queue's length.
    pub fn max_number_of_messages_per_second(mut self, rate: u32) -> Self {
        self.input.max_number_of_messages_per_second = Some(rate);
        self
    }
}

impl Client {
    /// Starts a task on the server that moves the messages of a dead-letter queue back to their source queues, or to
    /// another queue. [`list_message_move_tasks`](Self::list_message_move_tasks) shows its progress.
    ///
    /// The ARN is the queue's attribute `queue_arn`. The queue must be the dead-letter queue of another SQS queue, and
    /// it can have one active task at a time.
    ///
    /// ```no_run
    /// # async fn f(client: sqs_client::Client, dead_letters_arn: &str) -> Result<(), sqs_client::Error> {
    /// let started = client.start_message_move_task(dead_letters_arn).max_number_of_messages_per_second(50).await?;
    /// println!("to stop it: {}", started.task_handle);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// - [`InvalidInput`](crate::ErrorKind::InvalidInput), before any I/O: the rate is not in the range 1–500.
    /// - [`ResourceNotFoundException`](crate::ErrorCode::ResourceNotFoundException): the source or destination queue
    ///   does not exist.
    /// - [`UnsupportedOperation`](crate::ErrorCode::UnsupportedOperation): the queue already has an active task.
    /// - [`InvalidParameterValue`](crate::ErrorCode::InvalidParameterValue): the queue is not the dead-letter queue
    ///   of any queue.
    pub fn start_message_move_task(&self, source_arn: impl Into<String>) -> Request<StartMessageMoveTask> {
        self.request(StartMessageMoveTask {
            source_arn: source_arn.into(),
            destination_arn: None,
            max_number_of_messages_per_second: None,
        })
    }
}
