//! Messages that were handled too often.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::client::Client;
use crate::consumer::delivery::Delivery;
use crate::error::Error;
use crate::operation::is_fifo;
use crate::types::MessageAttributeValue;

type Hook = dyn Fn(Delivery) -> BoxFuture<'static, Result<(), ()>> + Send + Sync;

/// The other handler of messages that were handled too often.
#[derive(Clone)]
pub(super) struct Poison {
    max_handlings: u32,
    /// Whether messages are sent on, and so have to be whole.
    pub(super) whole: bool,
    hook: Arc<Hook>,
}

impl Poison {
    pub(super) fn hook<H, F, E>(max_handlings: u32, hook: H) -> Self
    where
        H: Fn(Delivery) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Send + 'static,
    {
        let hook = move |delivery| {
            let taken = hook(delivery);
            let taken: BoxFuture<'static, _> = Box::pin(async move { taken.await.map_err(drop) });
            taken
        };
        Self {
            max_handlings,
            whole: false,
            hook: Arc::new(hook),
        }
    }

    /// Sends messages on as they are: what hooks add on the way could make one longer than the queue takes.
    pub(super) fn queue(max_handlings: u32, client: Client, queue_url: String) -> Self {
        let client = client.without_send_hooks();
        let hook = Self::hook(max_handlings, move |delivery| {
            let (client, queue_url) = (client.clone(), queue_url.clone());
            async move {
                let moved = send_to(&client, queue_url, &delivery).await;
                moved.inspect_err(|error| {
                    tracing::warn!(message_id = %delivery.message().message_id, %error, "a poison message stays");
                })
            }
        });
        Self { whole: true, ..hook }
    }

    pub(super) fn is(&self, delivery: &Delivery) -> bool {
        delivery.handling_count() > self.max_handlings
    }

    pub(super) async fn take(&self, delivery: Delivery) -> Result<(), ()> {
        (self.hook)(delivery).await
    }
}

/// To a FIFO queue it goes under its own id, so that it is there once though it be sent again after a lost answer.
async fn send_to(client: &Client, queue_url: String, delivery: &Delivery) -> Result<(), Error> {
    let message = delivery.message();
    let fifo = is_fifo(&queue_url);
    let mut request = client.send_message(queue_url, message.body.as_str());
    for (name, value) in &message.message_attributes {
        request = request.message_attribute(name, MessageAttributeValue::clone(value));
    }
    if let Some(header) = message.attributes.aws_trace_header() {
        request = request.trace_header(header);
    }
    if let Some(group) = message.attributes.message_group_id() {
        request = request.message_group_id(group);
    } else if fifo {
        request = request.message_group_id(message.message_id.as_str());
    }
    if fifo {
        request = request.message_deduplication_id(message.message_id.as_str());
    }
    request.await.map(drop)
}

impl fmt::Debug for Poison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poison")
            .field("max_handlings", &self.max_handlings)
            .finish_non_exhaustive()
    }
}
