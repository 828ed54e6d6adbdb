//! The actions of the service, each with its input, output and setters.
//!
//! An action's type is its input. [`Client`](crate::Client) has a method for each action, which returns a
//! [`Request`](crate::client::Request). `.await` sends it.

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

use serde::{Deserialize, Serialize};

pub use crate::action::Operation;
pub use crate::types::send_message_output::SendMessageOutput;
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
pub use send_message::SendMessage;
pub use send_message_batch::{SendMessageBatch, SendMessageBatchOutput};
pub use set_queue_attributes::SetQueueAttributes;
pub use start_message_move_task::{StartMessageMoveTask, StartMessageMoveTaskOutput};
pub use tag_queue::TagQueue;
pub use untag_queue::UntagQueue;

/// The output of an action that returns nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EmptyOutput {}

/// Implements [`Operation`] for the action of a type's name: `operation!(Action => Output { … })`.
///
/// `of queue` after the name makes the type's `queue_url` the action's queue. The braces contain the items that differ
/// from the trait's defaults.
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
        impl crate::action::sealed::Sealed for $operation {}

        impl crate::action::Operation for $operation {
            const NAME: &'static str = stringify!($operation);
            const TARGET: &'static str = concat!("AmazonSQS.", stringify!($operation));
            type Output = $output;
            $($item)*
        }
    };
}
use operation;
