//! The data types of the service, such as messages, attributes and batch results.
//!
//! Each type uses the member names of the service model. The `protocol` module converts it to either wire format.

mod access_policy;
mod attribute_value;
mod batch;
mod fifo;
mod json;
pub(crate) mod lenient;
pub(crate) mod members;
mod message;
mod move_task;
mod open_enum;
pub(crate) mod outgoing;
pub(crate) mod parts;
mod policy;
mod queue_attributes;
mod rejected;
pub(crate) mod send_message_output;
mod system_attributes;
pub(crate) mod text;

pub use access_policy::{AccessPolicy, PolicyEffect, PolicyStatement};
pub use attribute_value::MessageAttributeValue;
pub use batch::{
    BatchOutput, BatchResultEntry, BatchResultErrorEntry, ChangeMessageVisibilityBatchEntry, DeleteMessageBatchEntry,
    SendMessageBatchEntry, SendMessageBatchResultEntry, UnconfirmedEntry,
};
pub use fifo::{DeduplicationScope, FifoThroughputLimit};
pub use message::Message;
pub use move_task::{MessageMoveTask, MessageMoveTaskStatus};
pub use outgoing::OutgoingMessage;
pub use policy::{RedriveAllowPolicy, RedrivePermission, RedrivePolicy};
pub use queue_attributes::{QueueAttributeName, QueueAttributes};
pub use rejected::RejectedMessage;
pub use system_attributes::{MessageSystemAttributeName, MessageSystemAttributes};

pub(crate) use open_enum::open_enum;
pub(crate) use outgoing::message_setters;
pub(crate) use rejected::bounded_id;
