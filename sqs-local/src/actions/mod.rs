//! The actions, independent of the protocol.

mod acknowledge;
mod attributes;
mod batch;
mod move_tasks;
mod paging;
mod permissions;
pub(crate) mod queues;
mod receive;
mod send;
mod tags;

use std::sync::Arc;

use serde_json::{Value, json};

use crate::faults::Effects;
use crate::protocol::error::Result;
use crate::protocol::input::Input;
use crate::protocol::schema::Action;
use crate::service::Service;
use move_tasks::MoveTasks;

/// The actions on a server's queues.
#[derive(Debug, Default)]
pub(crate) struct Actions {
    move_tasks: MoveTasks,
}

impl Actions {
    /// Performs an action on the queues that its request sees, and returns its output.
    pub(crate) async fn perform(
        &self,
        service: &Arc<Service>,
        action: Action,
        input: Input,
        effects: &Effects,
    ) -> Result<Value> {
        match action {
            Action::AddPermission => permissions::add(service, &input),
            Action::CancelMessageMoveTask => self.move_tasks.cancel(service, &input),
            Action::ChangeMessageVisibility => acknowledge::change_visibility(service, &input),
            Action::ChangeMessageVisibilityBatch => acknowledge::change_visibility_batch(service, input, effects),
            Action::CreateQueue => queues::create(service, &input),
            Action::DeleteMessage => acknowledge::delete(service, &input),
            Action::DeleteMessageBatch => acknowledge::delete_batch(service, input, effects),
            Action::DeleteQueue => queues::delete(service, &input),
            Action::GetQueueAttributes => attributes::get(service, &input),
            Action::GetQueueUrl => queues::get_url(service, &input),
            Action::ListDeadLetterSourceQueues => queues::list_sources(service, &input),
            Action::ListMessageMoveTasks => self.move_tasks.list(service, &input),
            Action::ListQueueTags => tags::list(service, &input),
            Action::ListQueues => queues::list(service, &input),
            Action::PurgeQueue => queues::purge(service, &input),
            Action::ReceiveMessage => receive::receive(service, input, effects).await,
            Action::RemovePermission => permissions::remove(service, &input),
            Action::SendMessage => send::send(service, input, effects),
            Action::SendMessageBatch => send::send_batch(service, input, effects),
            Action::SetQueueAttributes => attributes::set(service, &input),
            Action::StartMessageMoveTask => self.move_tasks.start(service, &input),
            Action::TagQueue => tags::tag(service, &input),
            Action::UntagQueue => tags::untag(service, &input),
        }
    }

    /// Ends the background tasks.
    pub(crate) fn stop(&self) {
        self.move_tasks.stop();
    }
}

/// Returns the output of an action without output members.
pub(crate) fn nothing() -> Value {
    json!({})
}
