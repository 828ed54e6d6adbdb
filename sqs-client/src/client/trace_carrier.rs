use crate::limits;
use crate::types::{Message, MessageAttributeValue, OutgoingMessage};

/// The attribute that carries a message's trace context.
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
    /// The system attribute `AWSTraceHeader`, for traces of AWS X-Ray. It does not count toward the message's size.
    AwsTraceHeader,
    /// The message attribute of this name, such as `traceparent` of the W3C. It counts toward the message's size.
    MessageAttribute(String),
}

impl TraceCarrier {
    /// Adds this trace context to a message that has none.
    ///
    /// Leaves the message unchanged if the attribute would exceed the maximum size or number of attributes. A message
    /// without a trace is better than a refused one.
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

    /// Returns a received message's trace context. `None` if it has none, or if the receive did not request the
    /// attribute.
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
