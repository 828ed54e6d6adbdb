//! The actions of the service: each is one file that holds its input, its output and its setters.
//!
//! An action's type is its input. [`Client`] has a method for each that begins a
//! [`Request`](crate::client::Request); `.await` sends it.

mod add_permission;
mod cancel_message_move_task;
mod change_message_visibility;
mod change_message_visibility_batch;
mod create_queue;
mod delete_message;
mod delete_message_batch;
mod delete_queue;
mod get_queue_attributes;
mod get_queue_url;
mod list_dead_letter_source_queues;
mod list_message_move_tasks;
mod list_queue_tags;
mod list_queues;
mod pages;
mod purge_queue;
mod receive_message;
mod remove_permission;
mod send_message;
mod send_message_batch;
mod set_queue_attributes;
mod start_message_move_task;
mod tag_queue;
mod untag_queue;

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::client::Client;
use crate::error::Error;
use crate::telemetry::Purpose;

pub use add_permission::AddPermission;
pub use cancel_message_move_task::{CancelMessageMoveTask, CancelMessageMoveTaskOutput};
pub use change_message_visibility::ChangeMessageVisibility;
pub use change_message_visibility_batch::{ChangeMessageVisibilityBatch, ChangeMessageVisibilityBatchOutput};
pub use create_queue::{CreateQueue, CreateQueueOutput};
pub use delete_message::DeleteMessage;
pub use delete_message_batch::{DeleteMessageBatch, DeleteMessageBatchOutput};
pub use delete_queue::DeleteQueue;
pub use get_queue_attributes::{GetQueueAttributes, GetQueueAttributesOutput};
pub use get_queue_url::{GetQueueUrl, GetQueueUrlOutput};
pub use list_dead_letter_source_queues::{ListDeadLetterSourceQueues, ListDeadLetterSourceQueuesOutput};
pub use list_message_move_tasks::{ListMessageMoveTasks, ListMessageMoveTasksOutput};
pub use list_queue_tags::{ListQueueTags, ListQueueTagsOutput};
pub use list_queues::{ListQueues, ListQueuesOutput};
pub use purge_queue::PurgeQueue;
pub use receive_message::{ReceiveMessage, ReceiveMessageOutput};
pub use remove_permission::RemovePermission;
pub use send_message::{SendMessage, SendMessageOutput};
pub use send_message_batch::{SendMessageBatch, SendMessageBatchOutput};
pub use set_queue_attributes::SetQueueAttributes;
pub use start_message_move_task::{StartMessageMoveTask, StartMessageMoveTaskOutput};
pub use tag_queue::TagQueue;
pub use untag_queue::UntagQueue;

/// An action of the service: its input, and what the request's life needs to know of it.
///
/// The trait is sealed: only this crate's actions implement it.
pub trait Operation: sealed::Sealed + Serialize + Send + Sync + 'static {
    /// The action's name, such as `SendMessage`.
    const NAME: &'static str;

    /// `X-Amz-Target` of the JSON protocol.
    #[doc(hidden)]
    const TARGET: &'static str;

    #[doc(hidden)]
    const PURPOSE: Purpose = Purpose::Manage;

    /// What the server answers.
    type Output: DeserializeOwned + Send + 'static;

    /// The queue that it is about: the Query protocol sends to the path of its URL.
    #[doc(hidden)]
    fn queue_url(&self) -> Option<&str> {
        None
    }

    /// Fills in what must stay the same over all attempts, and lets the caller's hooks at what is sent.
    #[doc(hidden)]
    fn prepare(&mut self, client: &Client) {
        let _ = client;
    }

    /// What any server would refuse, refused before any I/O.
    #[doc(hidden)]
    fn validate(&self) -> Result<(), Error> {
        Ok(())
    }

    /// About how many bytes it is when encoded, so that the encoder need not grow.
    #[doc(hidden)]
    fn encoded_size(&self) -> usize {
        512
    }

    /// How long the server may hold its answer back because the caller asked it to.
    #[doc(hidden)]
    fn server_wait(&self) -> Duration {
        Duration::ZERO
    }

    /// How many messages it sent, brought or settled.
    #[doc(hidden)]
    fn messages(&self, output: &Self::Output) -> usize {
        let _ = output;
        1
    }

    /// Reads the JSON of an output.
    #[doc(hidden)]
    fn read(json: &[u8]) -> Result<Self::Output, serde_json::Error> {
        serde_json::from_slice(json)
    }

    /// Says which part of the JSON of an output cannot be read, and nothing that the part holds.
    #[doc(hidden)]
    fn explain(json: &[u8]) -> Option<String> {
        let _ = json;
        None
    }

    /// Compares the server's MD5s with what was sent or arrived.
    #[doc(hidden)]
    fn verify(&self, output: &mut Self::Output) -> Result<(), Error> {
        let _ = output;
        Ok(())
    }

    /// Logs the part of an output that its caller may ignore.
    #[doc(hidden)]
    fn report(&self, output: &Self::Output) {
        let _ = output;
    }
}

mod sealed {
    pub trait Sealed {}
}

/// Whether a queue of this name or URL is a FIFO queue: the name's end says so.
pub(crate) fn is_fifo(queue: &str) -> bool {
    queue.ends_with(".fifo")
}

/// The answer to an action that returns nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EmptyOutput {}

/// Makes a type the action of its name: `operation!(Action => Output { … })`, with `of queue` after the name where it is
/// about the queue of its `queue_url`, and in braces what differs from the trait's defaults.
macro_rules! operation {
    ($operation:ident of queue => $output:ty { $($item:tt)* }) => {
        operation!($operation => $output {
            fn queue_url(&self) -> Option<&str> {
                Some(&self.queue_url)
            }
            $($item)*
        });
    };
    ($operation:ident => $output:ty { $($item:tt)* }) => {
        impl crate::operation::sealed::Sealed for $operation {}

        impl crate::operation::Operation for $operation {
            const NAME: &'static str = stringify!($operation);
            const TARGET: &'static str = concat!("AmazonSQS.", stringify!($operation));
            type Output = $output;
            $($item)*
        }
    };
}
use operation;
