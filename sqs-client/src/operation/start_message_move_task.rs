use serde::{Deserialize, Serialize};

use crate::client::Request;
use crate::operation::operation;
use crate::{Client, Error, limits, validate};

/// Begins to move a dead-letter queue's messages: the input of [`Client::start_message_move_task`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct StartMessageMoveTask {
    /// ARN of the dead-letter queue.
    pub source_arn: String,
    /// ARN of the queue to move to; where absent, each message goes back to the queue that it came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination_arn: Option<String>,
    /// Most messages to move in a second, 1–500; the server's choice where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_number_of_messages_per_second: Option<u32>,
}

/// The answer to [`StartMessageMoveTask`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct StartMessageMoveTaskOutput {
    /// Names the task, to cancel it.
    pub task_handle: String,
}

operation!(StartMessageMoveTask => StartMessageMoveTaskOutput {
    fn queue_name(&self) -> Option<&str> {
        self.source_arn.rsplit(':').next()
    }

    fn validate(&self) -> Result<(), Error> {
        let rate = self.max_number_of_messages_per_second;
        validate::within("number of messages to move per second", rate, 1..=limits::MAX_MOVE_RATE)
    }
});

impl Request<StartMessageMoveTask> {
    /// Moves the messages to the queue of this ARN, instead of to where each came from.
    pub fn destination_arn(mut self, arn: impl Into<String>) -> Self {
        self.input.destination_arn = Some(arn.into());
        self
    }

    /// Moves at most so many messages in a second: 1–500. Without it, the server chooses by the queue's length.
    pub fn max_number_of_messages_per_second(mut self, rate: u32) -> Self {
        self.input.max_number_of_messages_per_second = Some(rate);
        self
    }
}

impl Client {
    /// Starts to move the messages of a dead-letter queue back to where they came from, or elsewhere. The server goes on
    /// by itself: see [`list_message_move_tasks`](Self::list_message_move_tasks).
    ///
    /// The queue is named by its ARN, the attribute `queue_arn`. It must be the dead-letter queue of some SQS queue, and
    /// can have one active task.
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
    /// [`ResourceNotFoundException`](crate::ErrorCode::ResourceNotFoundException) where there is no queue of one of the
    /// ARNs; [`UnsupportedOperation`](crate::ErrorCode::UnsupportedOperation) while another task is active;
    /// [`InvalidParameterValue`](crate::ErrorCode::InvalidParameterValue) where the queue is nobody's dead-letter queue.
    pub fn start_message_move_task(&self, source_arn: impl Into<String>) -> Request<StartMessageMoveTask> {
        self.request(StartMessageMoveTask {
            source_arn: source_arn.into(),
            destination_arn: None,
            max_number_of_messages_per_second: None,
        })
    }
}
