//! The Query protocol's responses. The action's shape turns the same values as in JSON into XML.

use serde_json::Value;

use crate::protocol::error::Error;
use crate::protocol::schema::{Action, Kind, Member};

const NAMESPACE: &str = "http://queue.amazonaws.com/doc/2012-11-05/";

/// Returns an action's response.
pub(crate) fn response(action: Action, output: &Value, request_id: &str) -> String {
    let mut xml = format!("<?xml version=\"1.0\"?><{action}Response xmlns=\"{NAMESPACE}\">");
    let shape = action.shape().output;
    if !shape.is_empty() {
        element(&mut xml, &format!("{action}Result"), |xml| members(xml, output, shape));
    }
    element(&mut xml, "ResponseMetadata", |xml| text(xml, "RequestId", request_id));
    xml.push_str(&format!("</{action}Response>"));
    xml
}

/// Returns an error response.
pub(crate) fn error(error: &Error, request_id: &str) -> String {
    let mut xml = format!("<?xml version=\"1.0\"?><ErrorResponse xmlns=\"{NAMESPACE}\">");
    element(&mut xml, "Error", |xml| {
        text(xml, "Type", if error.is_sender() { "Sender" } else { "Receiver" });
        text(xml, "Code", error.code.query);
        text(xml, "Message", message(error));
        xml.push_str("<Detail/>");
    });
    text(&mut xml, "RequestId", request_id);
    xml.push_str("</ErrorResponse>");
    xml
}

/// Returns an error's message in the Query protocol.
pub(crate) fn message(error: &Error) -> &str {
    // The only message that AWS words differently in this protocol.
    if *error == Error::queue_missing() {
        return "The specified queue does not exist for this wsdl version.";
    }
    &error.message
}

fn members(xml: &mut String, value: &Value, shape: &[Member]) {
    for member in shape {
        if let Some(value) = value.get(member.name) {
            write(xml, member.name, &member.kind, value);
        }
    }
}

fn write(xml: &mut String, name: &str, kind: &Kind, value: &Value) {
    match (kind, value) {
        (Kind::List(entry, of), Value::Array(items)) => items.iter().for_each(|item| write(xml, entry, of, item)),
        (
            Kind::Map {
                entry,
                key,
                value: value_name,
                of,
            },
            Value::Object(pairs),
        ) => {
            for (k, v) in pairs {
                element(xml, entry, |xml| {
                    text(xml, key, k);
                    write(xml, value_name, of, v);
                });
            }
        }
        (Kind::Struct(shape), value) => element(xml, name, |xml| members(xml, value, shape)),
        (_, Value::String(value)) => text(xml, name, value),
        (_, value) => text(xml, name, &value.to_string()),
    }
}

fn element(xml: &mut String, name: &str, content: impl FnOnce(&mut String)) {
    xml.push_str(&format!("<{name}>"));
    content(xml);
    xml.push_str(&format!("</{name}>"));
}

fn text(xml: &mut String, name: &str, content: &str) {
    element(xml, name, |xml| escape(xml, content));
}

/// Escapes markup, and carriage returns, which a parser would turn into newlines.
fn escape(xml: &mut String, content: &str) {
    let mut rest = content;
    while let Some(at) = rest.find(['&', '<', '>', '"', '\r']) {
        xml.push_str(&rest[..at]);
        xml.push_str(match rest.as_bytes()[at] {
            b'&' => "&amp;",
            b'<' => "&lt;",
            b'>' => "&gt;",
            b'"' => "&quot;",
            _ => "&#xD;",
        });
        rest = &rest[at + 1..];
    }
    xml.push_str(rest);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_received_message_is_written_as_xml() {
        let output = json!({"Messages": [{"MessageId": "i", "Body": "<a> & \r\n", "Attributes": {"SenderId": "s"},
            "MessageAttributes": {"n": {"DataType": "Number", "StringValue": "1"}}}]});
        let xml = response(Action::ReceiveMessage, &output, "r");
        assert_eq!(
            xml,
            "<?xml version=\"1.0\"?><ReceiveMessageResponse xmlns=\"http://queue.amazonaws.com/doc/2012-11-05/\">\
             <ReceiveMessageResult><Message><MessageId>i</MessageId><Body>&lt;a&gt; &amp; &#xD;\n</Body>\
             <Attribute><Name>SenderId</Name><Value>s</Value></Attribute>\
             <MessageAttribute><Name>n</Name><Value><StringValue>1</StringValue><DataType>Number</DataType></Value>\
             </MessageAttribute></Message></ReceiveMessageResult>\
             <ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></ReceiveMessageResponse>"
        );
    }

    #[test]
    fn an_action_without_output_has_no_result() {
        let xml = response(Action::DeleteMessage, &json!({}), "r");
        assert!(!xml.contains("Result"), "{xml}");
    }

    #[test]
    fn an_error_is_written_as_xml() {
        let xml = error(&Error::queue_missing(), "r");
        assert!(
            xml.contains("<Type>Sender</Type><Code>AWS.SimpleQueueService.NonExistentQueue</Code>"),
            "{xml}"
        );
        assert!(
            xml.ends_with("<Detail/></Error><RequestId>r</RequestId></ErrorResponse>"),
            "{xml}"
        );
    }
}
