//! The handling of poison messages, whose handling count exceeds its limit.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::client::Client;
use crate::consumer::delivery::Delivery;
use crate::consumer::forward::forward;
use crate::error::Error;
use crate::types::OutgoingMessage;

type Hook = dyn Fn(Delivery) -> BoxFuture<'static, Result<(), ()>> + Send + Sync;

/// The handler of poison messages.
#[derive(Clone)]
pub(super) struct Poison {
    max_handlings: u32,
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
            let handling = hook(delivery);
            let handling: BoxFuture<'static, _> = Box::pin(async move { handling.await.map_err(drop) });
            handling
        };
        Self {
            max_handlings,
            hook: Arc::new(hook),
        }
    }

    /// Forwards messages without running send hooks, which could make a message too long for the queue.
    pub(super) fn move_to(max_handlings: u32, client: Client, queue_url: String) -> Self {
        let client = client.without_send_hooks();
        Self::hook(max_handlings, move |delivery| {
            let (client, queue_url) = (client.clone(), queue_url.clone());
            async move {
                let message = delivery.message();
                let outgoing = forward(OutgoingMessage::new(message.body.as_str()), message, &queue_url);
                client.send_message(queue_url, outgoing).await.inspect_err(|error| {
                    tracing::warn!(message_id = %message.message_id, %error, "could not move a poison message; it returns to the source queue");
                })?;
                Ok::<_, Error>(())
            }
        })
    }

    pub(super) fn matches(&self, delivery: &Delivery) -> bool {
        delivery.handling_count() > self.max_handlings
    }

    pub(super) async fn handle(&self, delivery: Delivery) -> Result<(), ()> {
        (self.hook)(delivery).await
    }
}

impl fmt::Debug for Poison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poison")
            .field("max_handlings", &self.max_handlings)
            .finish_non_exhaustive()
    }
}
