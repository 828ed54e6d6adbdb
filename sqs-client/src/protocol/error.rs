//! Decodes error responses in any form: JSON with or without namespaces, XML, HTML of a proxy, or only a status.

use std::time::Duration;

use crate::error::{ErrorCode, RetryHint, ServiceError};
use crate::protocol::{Response, bounds, xml};
use crate::types::members::TextMembers;
use crate::types::parts;

/// The maximum length of an explanation that is not an SQS server's.
const MAX_MESSAGE_CHARS: usize = 1_000;

/// The fields that could be read from the body.
#[derive(Default)]
struct Fields {
    code: Option<String>,
    message: Option<String>,
    sender_fault: Option<bool>,
    request_id: Option<String>,
}

pub(super) fn decode(response: &Response) -> ServiceError {
    let fields = match response.body.trim_ascii_start().first() {
        Some(b'{') => from_json(&response.body),
        Some(b'<') => from_xml(&response.body),
        _ => None,
    }
    .unwrap_or_default();
    // The header has the Query protocol's code: `AWS.SimpleQueueService.NonExistentQueue;Sender`.
    // <https://smithy.io/2.0/aws/protocols/aws-query-protocol.html>
    let (legacy_code, legacy_fault) = match response.header("x-amzn-query-error").map(|error| error.split_once(';')) {
        Some(Some((code, fault))) => (Some(code), Some(fault == "Sender")),
        Some(None) => (response.header("x-amzn-query-error"), None),
        None => (None, None),
    };
    let code = fields
        .code
        .as_deref()
        .or(response.header("x-amzn-errortype"))
        .map(ErrorCode::from_wire);
    let code = match (code, legacy_code.map(ErrorCode::from_wire)) {
        (None | Some(ErrorCode::Other(_)), Some(legacy)) => legacy,
        (Some(code), _) => code,
        (None, None) => by_status(response.status),
    };
    let message = fields.message.unwrap_or_else(|| unexplained(response));
    let message = without_the_request(message);
    ServiceError {
        code: precise(code, &message),
        message,
        sender_fault: fields.sender_fault.or(legacy_fault).unwrap_or(response.status < 500),
        status: response.status,
        request_id: fields.request_id.or_else(|| response.request_id()),
        retry_hint: retry_hint(response),
    }
}

/// The members that contain the error, for servers that write the XML structure of the Query protocol as JSON.
const NESTED: [&str; 5] = ["Error", "error", "ErrorResponse", "Errors", "Result"];

/// The maximum depth of the search for an error.
const MAX_NESTED: usize = 2;

fn from_json(body: &[u8]) -> Option<Fields> {
    if bounds::has_too_many_values(body) {
        return None;
    }
    let mut fields = of_members(body)?;
    if fields.code.is_none() {
        let outer = fields.message.take();
        fields = nested(body, MAX_NESTED).unwrap_or(fields);
        fields.message = fields.message.or(outer);
    }
    Some(fields)
}

fn nested(body: &[u8], depth: usize) -> Option<Fields> {
    let mut found = None;
    parts::members(body, |name, inner| {
        if NESTED.contains(&name) && found.is_none() {
            let here = of_members(inner).filter(|fields| fields.code.is_some());
            found = here.or_else(|| nested(inner, depth.checked_sub(1)?));
        }
        Some(())
    });
    found
}

/// Reads each field from the first of its names that has text. A body may have several of the names.
fn of_members(body: &[u8]) -> Option<Fields> {
    let members: TextMembers<'_> = serde_json::from_slice(body).ok()?;
    let text = |names: &[&str]| {
        let found = names.iter().filter_map(|name| members.get(name));
        found.map(str::to_owned).next()
    };
    let message = text(&["message", "Message", "errorMessage"]);
    // Some servers send the HTTP status as the code.
    let code = text(&["__type", "code", "Code"]).filter(|code| code.parse::<u32>().is_err());
    let fault = code.as_deref().and_then(fault);
    let code = match (fault, &message) {
        (Some(_), Some(message)) => code_in(message).or(code),
        _ => code,
    };
    Some(Fields {
        code,
        message,
        sender_fault: fault.or_else(|| members.get("Type").and_then(self::fault)),
        ..Fields::default()
    })
}

/// Returns `true` for the word `Sender`, `false` for `Receiver`, and `None` for any other.
fn fault(word: &str) -> Option<bool> {
    match word {
        "Sender" => Some(true),
        "Receiver" => Some(false),
        _ => None,
    }
}

/// Returns the code at the beginning of an explanation. Some servers send it only there:
/// `AWS.SimpleQueueService.NonExistentQueue; see the SQS docs.`
fn code_in(message: &str) -> Option<String> {
    let end = message.find(|c: char| !c.is_ascii_alphanumeric() && c != '.');
    let (code, rest) = message.split_at_checked(end.unwrap_or(message.len()))?;
    let is_known = !matches!(ErrorCode::from_wire(code), ErrorCode::Other(_));
    (is_known || (rest.starts_with(';') && !code.is_empty())).then(|| code.to_owned())
}

/// Reads `<ErrorResponse><Error><Type/><Code/><Message/></Error><RequestId/></ErrorResponse>`, or a single `<Error>`.
fn from_xml(body: &[u8]) -> Option<Fields> {
    xml::parse(body, from_tree).ok()
}

fn from_tree(root: &xml::Node<'_>) -> Fields {
    let error = root
        .child("Error")
        .or_else(|| root.child("Errors")?.child("Error"))
        .unwrap_or(root);
    let text = |name| Some(error.child(name)?.text().trim().to_owned()).filter(|text| !text.is_empty());
    let request_id = |name| Some(root.child(name)?.text().trim().to_owned());
    Fields {
        code: text("Code"),
        message: text("Message"),
        sender_fault: text("Type").and_then(|word| fault(&word)),
        request_id: request_id("RequestId").or_else(|| request_id("RequestID")),
    }
}

/// Splits the JSON protocol's one code for signature errors into the Query protocol's codes, by the explanation.
fn precise(code: ErrorCode, message: &str) -> ErrorCode {
    match code {
        ErrorCode::InvalidSignature if message.contains("does not match") => ErrorCode::SignatureDoesNotMatch,
        code => code,
    }
}

/// Removes the canonical request, which AWS returns for a wrong signature. It includes the session token.
fn without_the_request(mut message: String) -> String {
    if let Some(at) = message.find("The Canonical String") {
        message.truncate(at);
        message.truncate(message.trim_end().len());
    }
    message
}

fn by_status(status: u16) -> ErrorCode {
    match status {
        408 => ErrorCode::RequestTimeout,
        429 => ErrorCode::ThrottlingException,
        500 => ErrorCode::InternalError,
        502..=504 => ErrorCode::ServiceUnavailable,
        other => ErrorCode::unnamed(other),
    }
}

/// Returns a substitute for a missing explanation: the response's text, cut short, because it may be a proxy's.
fn unexplained(response: &Response) -> String {
    let text = String::from_utf8_lossy(&response.body);
    let text: String = text.trim().chars().take(MAX_MESSAGE_CHARS).collect();
    if text.is_empty() || text.starts_with('{') {
        format!("the server returned status {} without an explanation", response.status)
    } else {
        text
    }
}

/// Reads `Retry-After` in seconds, or AWS's own header in milliseconds. Dates in `Retry-After` are rare and ignored.
fn retry_hint(response: &Response) -> Option<RetryHint> {
    let number = |name| response.header(name)?.trim().parse().ok();
    let after = number("retry-after").map(Duration::from_secs).map(RetryHint::After);
    let within = || {
        number("x-amz-retry-after")
            .map(Duration::from_millis)
            .map(RetryHint::Within)
    };
    after.or_else(within)
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::*;

    fn read(status: u16, headers: &[(&'static str, &'static str)], body: &'static str) -> ServiceError {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        decode(&Response {
            status,
            headers,
            body: body.into(),
        })
    }

    #[test]
    fn a_json_error_may_have_duplicate_members_and_numbers() {
        let body = r#"{"__type":"x#QueueDoesNotExist","code":404,"message":"why","Message":"why","Error":{}}"#;
        let error = read(400, &[], body);
        assert_eq!(
            (error.code, error.message.as_str()),
            (ErrorCode::QueueDoesNotExist, "why")
        );
    }

    #[test]
    fn the_canonical_request_is_removed() {
        let body = r#"{"__type":"InvalidSignatureException","message":"It does not match.\n\nThe Canonical String for this request should have been\n'POST\nx-amz-security-token:hidden'"}"#;
        let error = read(403, &[], body);
        assert_eq!(error.message, "It does not match.");
        assert_eq!(error.code, ErrorCode::SignatureDoesNotMatch);
    }

    #[test]
    fn json_errors_of_every_dialect_are_read_alike() {
        for (headers, body) in [
            (
                vec![],
                r#"{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"gone"}"#,
            ),
            (
                vec![],
                r#"{"__type":"AWS.SimpleQueueService.NonExistentQueue","Message":"gone"}"#,
            ),
            (
                vec![("x-amzn-errortype", "QueueDoesNotExist:http://x/")],
                r#"{"message":"gone"}"#,
            ),
            (
                vec![("x-amzn-query-error", "AWS.SimpleQueueService.NonExistentQueue;Sender")],
                r#"{"__type":"com.amazonaws.sqs#NoSuchCode","message":"gone"}"#,
            ),
            (
                vec![("x-amzn-query-error", "AWS.SimpleQueueService.NonExistentQueue")],
                r#"{"message":"gone"}"#,
            ),
        ] {
            let error = read(400, &headers, body);
            assert_eq!(error.code, ErrorCode::QueueDoesNotExist, "{headers:?} {body}");
            assert_eq!(error.message, "gone");
            assert!(error.sender_fault);
        }
    }

    #[test]
    fn xml_errors_are_read_in_either_protocol() {
        let error = read(
            500,
            &[],
            "<ErrorResponse><Error><Type>Receiver</Type><Code>InternalError</Code><Message>oops</Message>\
             <Detail/></Error><RequestId>r-1</RequestId></ErrorResponse>",
        );
        assert_eq!(error.code, ErrorCode::InternalError);
        assert!(!error.sender_fault);
        assert_eq!(error.request_id.as_deref(), Some("r-1"));
    }

    #[test]
    fn a_response_that_is_not_of_sqs_gets_a_code_by_its_status() {
        let error = read(503, &[("retry-after", "7")], "<html><body>Busy</body></html>");
        assert_eq!(error.code, ErrorCode::ServiceUnavailable);
        assert_eq!(error.retry_hint, Some(RetryHint::After(Duration::from_secs(7))));
        let error = read(502, &[], "");
        assert_eq!(error.code, ErrorCode::ServiceUnavailable);
        assert!(error.message.contains("502"));
        let error = read(403, &[], "<html>Forbidden</html>");
        assert!(error.code.is_unnamed(), "the text of a proxy is not a code");
    }
}
