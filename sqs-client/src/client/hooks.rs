//! What the caller puts around sending, and how a trace goes along with a message.

use std::fmt;
use std::sync::Arc;

use crate::limits;
use crate::types::{Message, MessageAttributeValue, OutgoingMessage};

type SendHook = dyn Fn(&str, &mut OutgoingMessage) + Send + Sync;

/// What is done to every message before it is sent, in the order in which it was added.
#[derive(Clone, Default)]
pub(crate) struct SendHooks(Vec<Arc<SendHook>>);

impl SendHooks {
    pub(crate) fn add(&mut self, hook: impl Fn(&str, &mut OutgoingMessage) + Send + Sync + 'static) {
        self.0.push(Arc::new(hook));
    }

    pub(crate) fn apply(&self, queue_url: &str, message: &mut OutgoingMessage) {
        for hook in &self.0 {
            hook(queue_url, message);
        }
    }
}

impl fmt::Debug for SendHooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SendHooks").field(&self.0.len()).finish()
    }
}

/// Where in a message the trace is named that it belongs to.
///
/// ```
/// use sqs_client::OutgoingMessage;
/// use sqs_client::client::TraceCarrier;
///
/// let carrier = TraceCarrier::MessageAttribute("traceparent".into());
/// let mut message = OutgoingMessage::new("hello");
/// carrier.inject(&mut message, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
/// assert!(message.message_attributes.contains_key("traceparent"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TraceCarrier {
    /// The system attribute `AWSTraceHeader`, for traces of AWS X-Ray. It does not count for the message's size.
    AwsTraceHeader,
    /// The message attribute of this name, such as `traceparent` of the W3C. It counts as any other.
    MessageAttribute(String),
}

impl TraceCarrier {
    /// Names the trace in a message that names none yet. A message that has no room for it, by its size or the number of
    /// its attributes, is left as it is: it is sent without a trace rather than not at all.
    pub fn inject(&self, message: &mut OutgoingMessage, context: impl Into<String>) {
        let value = MessageAttributeValue::string(context);
        match self {
            Self::AwsTraceHeader => {
                let attributes = &mut message.message_system_attributes;
                attributes.entry("AWSTraceHeader".to_owned()).or_insert(value);
            }
            Self::MessageAttribute(name) => {
                let full = message.message_attributes.len() >= limits::MAX_MESSAGE_ATTRIBUTES;
                let size = message.size() + name.len() + value.size();
                if !full && size <= limits::MAX_MESSAGE_BYTES {
                    message.message_attributes.entry(name.clone()).or_insert(value);
                }
            }
        }
    }

    /// The trace that a received message names, if its attribute was asked for.
    #[must_use]
    pub fn extract<'a>(&self, message: &'a Message) -> Option<&'a str> {
        match self {
            Self::AwsTraceHeader => message.attributes.aws_trace_header(),
            Self::MessageAttribute(name) => message.message_attributes.get(name)?.as_str(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_named_once_and_never_makes_a_message_too_large() {
        let carrier = TraceCarrier::MessageAttribute("traceparent".to_owned());
        let traced = |mut message: OutgoingMessage| {
            carrier.inject(&mut message, "a");
            carrier.inject(&mut message, "b");
            let value = message.message_attributes.remove("traceparent")?;
            value.as_str().map(str::to_owned)
        };
        assert_eq!(traced(OutgoingMessage::new("x")).as_deref(), Some("a"));
        let mut full = OutgoingMessage::new("x");
        for number in 0..limits::MAX_MESSAGE_ATTRIBUTES {
            full = full.message_attribute(number.to_string(), "v");
        }
        assert_eq!(traced(full), None);
        assert_eq!(
            traced(OutgoingMessage::new("x".repeat(limits::MAX_MESSAGE_BYTES))),
            None
        );
    }
}
