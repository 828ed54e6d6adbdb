//! What is done about a message whose payload is missing.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use sqs_client::types::{MessageAttributeValue, MessageSystemAttributeName};
use sqs_client::{Client, Message, OutgoingMessage};

use crate::receive::claim::Claim;
use crate::receive::missing_policy::MissingPayload;
use crate::send::message::sent_on;

/// What SQS itself knows of a message, and is sent on with it.
pub(crate) const SENT_ON: [MessageSystemAttributeName; 2] = [
    MessageSystemAttributeName::MessageGroupId,
    MessageSystemAttributeName::AwsTraceHeader,
];

/// What was taken off a message that points to a payload, to send it on as it was.
#[derive(Debug)]
pub(crate) struct Sealed {
    body: String,
    attributes: BTreeMap<String, MessageAttributeValue>,
    /// The payload was found missing before.
    acted: AtomicBool,
}

impl MissingPayload {
    /// Does it, unless that was done; what fails is logged, and the message comes again by itself.
    pub(crate) async fn act(&self, client: &Client, claim: &Claim, message: &Message, sealed: &Sealed) {
        if sealed.acted.swap(true, Ordering::Relaxed) {
            return;
        }
        let done = match self {
            Self::Keep => Ok(()),
            Self::Return(after) => claim.release(*after).await,
            Self::Delete => claim.delete().await.map(drop),
            Self::MoveTo(queue_url) => match client.send_message(queue_url, sealed.again(message, queue_url)).await {
                Ok(_) => claim.delete().await.map(drop),
                Err(error) => Err(error),
            },
        };
        if let Err(error) = done {
            tracing::warn!(
                message_id = message.message_id,
                error = &error as &dyn std::error::Error,
                "nothing could be done about a message whose payload is missing"
            );
        }
    }
}

impl Sealed {
    pub(crate) fn new(body: String, attributes: BTreeMap<String, MessageAttributeValue>) -> Self {
        Self {
            body,
            attributes,
            acted: AtomicBool::new(false),
        }
    }

    fn again(&self, message: &Message, queue_url: &str) -> OutgoingMessage {
        let mut sent = OutgoingMessage::new(&*self.body);
        sent.message_attributes.clone_from(&self.attributes);
        sent_on(sent, message, queue_url)
    }
}
