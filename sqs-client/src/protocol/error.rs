//! A server's error answer, in whatever form it comes: JSON with or without namespaces, XML, HTML of a proxy on the
//! way, or nothing but a status.

use std::time::Duration;

use crate::error::{ErrorCode, RetryHint, ServiceError};
use crate::protocol::{Answer, bounds, xml};
use crate::types::members::TextMembers;
use crate::types::parts;

/// Longest explanation that is kept of an answer that is not an SQS server's.
const MAX_MESSAGE_CHARS: usize = 1_000;

/// What could be read of the body.
#[derive(Default)]
struct Said {
    code: Option<String>,
    message: Option<String>,
    sender_fault: Option<bool>,
    request_id: Option<String>,
}

pub(super) fn decode(answer: &Answer) -> ServiceError {
    let said = match answer.body.trim_ascii_start().first() {
        Some(b'{') => from_json(&answer.body),
        Some(b'<') => from_xml(&answer.body),
        _ => None,
    }
    .unwrap_or_default();
    // `AWS.SimpleQueueService.NonExistentQueue;Sender`: the Query protocol's code, said beside the JSON one.
    let (legacy_code, legacy_fault) = match answer.header("x-amzn-query-error").map(|error| error.split_once(';')) {
        Some(Some((code, fault))) => (Some(code), Some(fault == "Sender")),
        Some(None) => (answer.header("x-amzn-query-error"), None),
        None => (None, None),
    };
    let code = said
        .code
        .as_deref()
        .or(answer.header("x-amzn-errortype"))
        .map(ErrorCode::from_wire);
    let code = match (code, legacy_code.map(ErrorCode::from_wire)) {
        (None | Some(ErrorCode::Other(_)), Some(legacy)) => legacy,
        (Some(code), _) => code,
        (None, None) => by_status(answer.status),
    };
    let message = said.message.unwrap_or_else(|| unexplained(answer));
    let message = without_the_request(message);
    ServiceError {
        code: precise(code, &message),
        message,
        sender_fault: said.sender_fault.or(legacy_fault).unwrap_or(answer.status < 500),
        status: answer.status,
        request_id: said.request_id.or_else(|| answer.request_id()),
        retry_hint: retry_hint(answer),
    }
}

/// The members that hold the error in servers which write in JSON what the Query protocol has in XML.
const NESTED: [&str; 5] = ["Error", "error", "ErrorResponse", "Errors", "Result"];

/// The greatest depth at which an error is looked for.
const MAX_NESTED: usize = 2;

fn from_json(body: &[u8]) -> Option<Said> {
    if bounds::has_too_many_values(body) {
        return None;
    }
    let mut said = of_members(body)?;
    if said.code.is_none() {
        let outer = said.message.take();
        said = nested(body, MAX_NESTED).unwrap_or(said);
        said.message = said.message.or(outer);
    }
    Some(said)
}

fn nested(body: &[u8], depth: usize) -> Option<Said> {
    let mut found = None;
    parts::members(body, |name, inner| {
        if NESTED.contains(&name) && found.is_none() {
            let here = of_members(inner).filter(|said| said.code.is_some());
            found = here.or_else(|| nested(inner, depth.checked_sub(1)?));
        }
        Some(())
    });
    found
}

/// Each by the first of its names that has text; a body may have more than one.
fn of_members(body: &[u8]) -> Option<Said> {
    let members: TextMembers<'_> = serde_json::from_slice(body).ok()?;
    let text = |names: &[&str]| {
        let found = names.iter().filter_map(|name| members.get(name));
        found.map(str::to_owned).next()
    };
    let message = text(&["message", "Message", "errorMessage"]);
    // A number is a status.
    let code = text(&["__type", "code", "Code"]).filter(|code| code.parse::<u32>().is_err());
    let fault = code.as_deref().and_then(fault);
    let code = match (fault, &message) {
        (Some(_), Some(message)) => code_in(message).or(code),
        _ => code,
    };
    Some(Said {
        code,
        message,
        sender_fault: fault.or_else(|| members.get("Type").and_then(self::fault)),
        ..Said::default()
    })
}

/// Returns `true` for the word that says that the sender is at fault, and `false` for the server.
fn fault(word: &str) -> Option<bool> {
    match word {
        "Sender" => Some(true),
        "Receiver" => Some(false),
        _ => None,
    }
}

/// The code at the beginning of an explanation, which some servers have there and nowhere else:
/// `AWS.SimpleQueueService.NonExistentQueue; see the SQS docs.`
fn code_in(message: &str) -> Option<String> {
    let end = message.find(|c: char| !c.is_ascii_alphanumeric() && c != '.');
    let (code, rest) = message.split_at_checked(end.unwrap_or(message.len()))?;
    let is_known = !matches!(ErrorCode::from_wire(code), ErrorCode::Other(_));
    (is_known || (rest.starts_with(';') && !code.is_empty())).then(|| code.to_owned())
}

/// `<ErrorResponse><Error><Type/><Code/><Message/></Error><RequestId/></ErrorResponse>`, or an `<Error>` alone.
fn from_xml(body: &[u8]) -> Option<Said> {
    xml::parse(body, said).ok()
}

fn said(root: &xml::Node<'_>) -> Said {
    let error = root
        .child("Error")
        .or_else(|| root.child("Errors")?.child("Error"))
        .unwrap_or(root);
    let text = |name| Some(error.child(name)?.text().trim().to_owned()).filter(|text| !text.is_empty());
    let request_id = |name| Some(root.child(name)?.text().trim().to_owned());
    Said {
        code: text("Code"),
        message: text("Message"),
        sender_fault: text("Type").and_then(|word| fault(&word)),
        request_id: request_id("RequestId").or_else(|| request_id("RequestID")),
    }
}

/// The JSON protocol has one code for what the Query protocol has three; the explanation tells them apart.
fn precise(code: ErrorCode, message: &str) -> ErrorCode {
    match code {
        ErrorCode::InvalidSignature if message.contains("does not match") => ErrorCode::SignatureDoesNotMatch,
        code => code,
    }
}

/// To a wrong signature AWS answers with all that should have been signed, and so with the session token.
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

/// Stands in for an explanation: the answer's text where it may come from a proxy on the way, cut short.
fn unexplained(answer: &Answer) -> String {
    let text = String::from_utf8_lossy(&answer.body);
    let text: String = text.trim().chars().take(MAX_MESSAGE_CHARS).collect();
    if text.is_empty() || text.starts_with('{') {
        format!("the server answered with status {} and no explanation", answer.status)
    } else {
        text
    }
}

/// `Retry-After` in seconds (its other form, a date, is rare and not read), or AWS's own header in milliseconds.
fn retry_hint(answer: &Answer) -> Option<RetryHint> {
    let number = |name| answer.header(name)?.trim().parse().ok();
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
        decode(&Answer {
            status,
            headers,
            body: body.into(),
        })
    }

    #[test]
    fn a_json_error_may_say_a_thing_twice_or_not_as_text() {
        let body = r#"{"__type":"x#QueueDoesNotExist","code":404,"message":"why","Message":"why","Error":{}}"#;
        let error = read(400, &[], body);
        assert_eq!(
            (error.code, error.message.as_str()),
            (ErrorCode::QueueDoesNotExist, "why")
        );
    }

    #[test]
    fn what_should_have_been_signed_is_not_repeated() {
        let body = r#"{"__type":"InvalidSignatureException","message":"It does not match.\n\nThe Canonical String for this request should have been\n'POST\nx-amz-security-token:hidden'"}"#;
        let error = read(403, &[], body);
        assert_eq!(error.message, "It does not match.");
        assert_eq!(error.code, ErrorCode::SignatureDoesNotMatch);
    }

    #[test]
    fn json_errors_say_the_same_in_every_dialect() {
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
    fn xml_errors_are_read_in_answer_to_either_protocol() {
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
    fn what_is_not_an_sqs_answer_has_a_code_by_its_status() {
        let error = read(503, &[("retry-after", "7")], "<html><body>Busy</body></html>");
        assert_eq!(error.code, ErrorCode::ServiceUnavailable);
        assert_eq!(error.retry_hint, Some(RetryHint::After(Duration::from_secs(7))));
        let error = read(502, &[], "");
        assert_eq!(error.code, ErrorCode::ServiceUnavailable);
        assert!(error.message.contains("502"));
        let error = read(403, &[], "<html>Forbidden</html>");
        assert!(error.code.is_unnamed(), "a proxy's word is not SQS's");
    }
}
