//! Applies the setting for missing payloads to a message.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use sqs_client::internal::forward;
use sqs_client::types::{MessageAttributeValue, MessageSystemAttributeName};
use sqs_client::{Client, Message, OutgoingMessage};

use crate::receive::claim::Claim;
use crate::receive::missing_policy::MissingPayload;

/// The system attributes that a moved message keeps.
pub(crate) const FORWARDED_ATTRIBUTES: [MessageSystemAttributeName; 2] = [
    MessageSystemAttributeName::MessageGroupId,
    MessageSystemAttributeName::AwsTraceHeader,
];

/// The parts of a message that make it a pointer. They are kept to move the message unchanged.
#[derive(Debug)]
pub(crate) struct PointerParts {
    body: String,
    attributes: BTreeMap<String, MessageAttributeValue>,
    /// Set once the setting was applied.
    applied: AtomicBool,
}

impl MissingPayload {
    /// Applies the setting once per delivery. Logs a failure, after which SQS delivers the message again.
    pub(crate) async fn apply(&self, client: &Client, claim: &Claim, message: &Message, parts: &PointerParts) {
        if parts.applied.swap(true, Ordering::Relaxed) {
            return;
        }
        let applied = match self {
            Self::Keep => Ok(()),
            Self::Return(delay) => claim.nack(*delay).await,
            Self::Delete => claim.delete().await.map(drop),
            Self::MoveTo(queue_url) => match client
                .send_message(queue_url, parts.to_outgoing(message, queue_url))
                .await
            {
                Ok(_) => claim.delete().await.map(drop),
                Err(error) => Err(error),
            },
        };
        if let Err(error) = applied {
            tracing::warn!(
                message_id = message.message_id,
                error = &error as &dyn std::error::Error,
                "failed to apply `missing_payload` to a message whose payload is missing"
            );
        }
    }
}

impl PointerParts {
    pub(crate) fn new(body: String, attributes: BTreeMap<String, MessageAttributeValue>) -> Self {
        Self {
            body,
            attributes,
            applied: AtomicBool::new(false),
        }
    }

    fn to_outgoing(&self, message: &Message, queue_url: &str) -> OutgoingMessage {
        let mut outgoing = OutgoingMessage::new(&*self.body);
        outgoing.message_attributes.clone_from(&self.attributes);
        forward(outgoing, message, queue_url)
    }
}
