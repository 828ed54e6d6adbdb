//! Tests of receives with a bad message, and of batches with a bad entry, in both protocols.

use http::HeaderMap;

use crate::client::Request;
use crate::client::erased::{Task as _, Typed};
use crate::operation::{ReceiveMessage, ReceiveMessageOutput, SendMessageBatchOutput};
use crate::protocol::{Response, Wire};
use crate::types::SendMessageBatchEntry;
use crate::{Client, Credentials, Error, ErrorKind};

const MD5_OF_HELLO: &str = "5d41402abc4b2a76b9719d911017c592";
const WRONG_MD5: &str = "00000000000000000000000000000000";

fn request() -> Request<ReceiveMessage> {
    let client = Client::builder().region("r").credentials(Credentials::new("k", "s"));
    client.build().unwrap().receive_message("http://h/1/q")
}

/// Reads a response to the request in the same way as the client.
fn receive(request: &Request<ReceiveMessage>, protocol: Wire, body: &[u8]) -> Result<ReceiveMessageOutput, Error> {
    let response = Response {
        status: 200,
        headers: HeaderMap::new(),
        body: body.to_vec().into(),
    };
    let mut task = Typed::new(request.input());
    task.read(protocol, &response, true)?;
    Ok(task.into_success().unwrap().output)
}

fn json(messages: &[&[u8]]) -> Vec<u8> {
    [b"{\"Messages\":[", &*messages.join(&b","[..]), b"],\"Novel\":1}"].concat()
}

fn good_json(id: &str) -> Vec<u8> {
    format!(r#"{{"MessageId":"{id}","ReceiptHandle":"r-{id}","Body":"hello","MD5OfBody":"{MD5_OF_HELLO}"}}"#).into()
}

fn xml(messages: &[&[u8]]) -> Vec<u8> {
    let messages: Vec<u8> = messages
        .iter()
        .flat_map(|message| [b"<Message>", *message, b"</Message>"].concat())
        .collect();
    [
        b"<ReceiveMessageResponse><ReceiveMessageResult>",
        &messages[..],
        b"</ReceiveMessageResult></ReceiveMessageResponse>",
    ]
    .concat()
}

fn good_xml(id: &str) -> Vec<u8> {
    let text = format!(
        "<MessageId>{id}</MessageId><ReceiptHandle>r-{id}</ReceiptHandle><Body>hello</Body>\
         <MD5OfBody>{MD5_OF_HELLO}</MD5OfBody>"
    );
    text.into()
}

/// Checks that the bad message is rejected between two good ones, and that all its other members are read.
fn rejects(protocol: Wire, bad: &[u8], kind: ErrorKind, cause: &str) {
    let body = match protocol {
        Wire::Json => json(&[&good_json("0"), bad, &good_json("2")]),
        Wire::Query => xml(&[&good_xml("0"), bad, &good_xml("2")]),
    };
    let what = bad.escape_ascii();
    let output = receive(&request().message_attribute_names(["All"]), protocol, &body).unwrap();
    let good: Vec<_> = output.messages.iter().map(|message| &*message.message_id).collect();
    assert_eq!(good, ["0", "2"], "{what}");
    let [rejected] = &output.rejected[..] else {
        panic!("{what}: {:?}", output.rejected);
    };
    let message = &rejected.message;
    assert_eq!(
        (&*message.message_id, &*message.receipt_handle),
        ("bad", "r-bad"),
        "{what}"
    );
    assert_eq!(message.attributes.approximate_receive_count(), Some(3), "{what}");
    assert_eq!((rejected.position, rejected.error.kind()), (1, kind), "{what}");
    let error = rejected.error.to_string();
    assert!(error.contains("\"bad\"") && error.contains(cause), "{what}: {error}");
    assert!(
        !error.contains("hidden") && rejected.error.may_have_been_sent(),
        "{what}: {error}"
    );
    let order: Vec<_> = output.in_order().map(|received| received.is_ok()).collect();
    assert_eq!(order, [true, false, true], "{what}");
}

#[test]
fn a_bad_message_of_json_is_rejected_alone() {
    let head = r#"{"MessageId":"bad","ReceiptHandle":"r-bad","Attributes":{"ApproximateReceiveCount":"3"},"#;
    for (bad, cause) in [
        (
            r#""Body":"hidden\ud800"}"#,
            "its Body has characters that are not Unicode",
        ),
        (r#""Body":5}"#, "its Body is a number where text is expected"),
        (r#""Body":["hidden"]}"#, "its Body is a list where text is expected"),
        (r#""Body":"a","Body":"hidden"}"#, "a member occurs twice"),
        (
            r#""MessageAttributes":"hidden"}"#,
            "its MessageAttributes is text where a map is expected",
        ),
        (
            r#""MessageAttributes":{"hidden":{"DataType":"Binary","BinaryValue":"hidden!"}}}"#,
            "its MessageAttributes have a value that is not a valid attribute",
        ),
    ] {
        rejects(
            Wire::Json,
            format!("{head}{bad}").as_bytes(),
            ErrorKind::Response,
            cause,
        );
    }
    let latin = [head.as_bytes(), b"\"Body\":\"hidden \xe9\"}"].concat();
    rejects(
        Wire::Json,
        &latin,
        ErrorKind::Response,
        "its Body has characters that are not Unicode",
    );
    for member in ["MD5OfBody", "MD5OfMessageAttributes"] {
        let damaged = format!(r#"{head}"Body":"hidden","{member}":"{WRONG_MD5}"}}"#);
        rejects(
            Wire::Json,
            damaged.as_bytes(),
            ErrorKind::Checksum,
            &format!("the server's {member} of"),
        );
    }
}

#[test]
fn a_bad_message_of_xml_is_rejected_alone() {
    let head = "<MessageId>bad</MessageId><ReceiptHandle>r-bad</ReceiptHandle>\
         <Attribute><Name>ApproximateReceiveCount</Name><Value>3</Value></Attribute>";
    for (bad, cause) in [
        (
            "<Body>hidden &#xD800;</Body>",
            "its Body has characters that are not Unicode",
        ),
        ("<Body>&hidden;</Body>", "its Body has characters that are not Unicode"),
        ("<Body><hidden/></Body>", "its Body is an object where text is expected"),
        (
            "<MessageAttribute><Name>n</Name><Value><DataType>Binary</DataType><BinaryValue>hidden!</BinaryValue>\
             </Value></MessageAttribute>",
            "its MessageAttributes have a value that is not a valid attribute",
        ),
    ] {
        rejects(
            Wire::Query,
            format!("{head}{bad}").as_bytes(),
            ErrorKind::Response,
            cause,
        );
    }
    let latin = [head.as_bytes(), b"<Body>hidden \xe9</Body>"].concat();
    rejects(
        Wire::Query,
        &latin,
        ErrorKind::Response,
        "its Body has characters that are not Unicode",
    );
    let damaged = format!("{head}<Body>hidden</Body><MD5OfBody>{WRONG_MD5}</MD5OfBody>");
    rejects(
        Wire::Query,
        damaged.as_bytes(),
        ErrorKind::Checksum,
        "the server's MD5OfBody of",
    );
}

#[test]
fn a_message_without_a_receipt_handle_is_rejected() {
    for bad in ["5", "[]", r#"{"Body":"hidden"}"#, r#"{"ReceiptHandle":7}"#] {
        let output = receive(&request(), Wire::Json, &json(&[bad.as_bytes(), &good_json("1")])).unwrap();
        assert_eq!((output.messages.len(), output.rejected.len()), (1, 1), "{bad}");
        let rejected = &output.rejected[0];
        assert!(rejected.message.receipt_handle.is_empty(), "{bad}");
        assert!(!rejected.error.message().contains("hidden"), "{}", rejected.error);
    }
}

#[test]
fn rejected_messages_keep_their_positions() {
    let damaged = good_json("d")
        .escape_ascii()
        .to_string()
        .replace("hello", "hallo")
        .replace("\\\"", "\"");
    let unreadable = br#"{"ReceiptHandle":"r","Body":5}"#;
    let good = good_json("g");
    let messages: [&[u8]; 7] = [
        b"null",
        damaged.as_bytes(),
        unreadable,
        &good,
        damaged.as_bytes(),
        &good,
        unreadable,
    ];
    let output = receive(&request(), Wire::Json, &json(&messages)).unwrap();
    let positions: Vec<_> = output.rejected.iter().map(|rejected| rejected.position).collect();
    assert_eq!(positions, [0, 1, 3, 5]);
    let order: Vec<_> = output.in_order().map(|received| received.is_ok()).collect();
    assert_eq!(order, [false, false, true, false, true, false]);
}

#[test]
fn more_bad_messages_than_a_receive_returns_fail_the_response() {
    let bad: &[u8] = br#"{"Body":5}"#;
    assert_eq!(
        receive(&request(), Wire::Json, &json(&[bad; 10]))
            .unwrap()
            .rejected
            .len(),
        10
    );
    let error = receive(&request(), Wire::Json, &json(&[bad; 11])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Response);
}

/// Some servers send the MD5 of all attributes even if only some were requested.
#[test]
fn the_md5_of_attributes_is_compared_if_all_were_requested() {
    let body = json(&[format!(r#"{{"ReceiptHandle":"r","MD5OfMessageAttributes":"{WRONG_MD5}"}}"#).as_bytes()]);
    for (names, rejected) in [
        (&["All"][..], 1),
        (&["a", ".*"], 1),
        (&["a"], 0),
        (&["a.*"], 0),
        (&[], 0),
    ] {
        let request = request().message_attribute_names(names.iter().copied());
        let output = receive(&request, Wire::Json, &body).unwrap();
        assert_eq!(
            (output.rejected.len(), output.messages.len()),
            (rejected, 1 - rejected),
            "{names:?}"
        );
    }
}

/// Reads a response to a batch of the entries `a` and `b` with the body `hello`, in the same way as the client.
fn sent(protocol: Wire, verify: bool, body: &str) -> Result<SendMessageBatchOutput, Error> {
    let response = Response {
        status: 200,
        headers: HeaderMap::new(),
        body: body.to_owned().into(),
    };
    let client = Client::builder().region("r").credentials(Credentials::new("k", "s"));
    let entries = ["a", "b"].map(|id| SendMessageBatchEntry::new(id, "hello"));
    let request = client.build().unwrap().send_message_batch("http://h/1/q", entries);
    let mut task = Typed::new(request.input());
    task.read(protocol, &response, verify)?;
    Ok(task.into_success().unwrap().output)
}

#[test]
fn a_damaged_entry_does_not_affect_other_entries() {
    let good = format!(r#"{{"Id":"a","MessageId":"m","MD5OfMessageBody":"{MD5_OF_HELLO}"}}"#);
    for (damaged, id, kind) in [
        (
            format!(r#"{{"Id":"b","MessageId":"m","MD5OfMessageBody":"{WRONG_MD5}"}}"#),
            "b",
            ErrorKind::Checksum,
        ),
        (r#"{"Id":"b","MessageId":{}}"#.to_owned(), "b", ErrorKind::Response),
        (
            r#"{"Id":"b","MessageId":"\ud800"}"#.to_owned(),
            "b",
            ErrorKind::Response,
        ),
        (r#"{"Id":[],"MessageId":"m"}"#.to_owned(), "", ErrorKind::Response),
        ("7".to_owned(), "", ErrorKind::Response),
        (r#"{"Id":"c","MessageId":"m"}"#.to_owned(), "c", ErrorKind::Response),
    ] {
        let body = format!(r#"{{"Successful":[{damaged},null,{good}],"Failed":null}}"#);
        let output = sent(Wire::Json, true, &body).unwrap();
        assert_eq!((output.successful.len(), output.failed.len()), (1, 0), "{damaged}");
        assert_eq!(output.successful[0].id, "a");
        let [entry] = &output.unconfirmed[..] else {
            panic!("{damaged}: {output:?}");
        };
        assert_eq!((&*entry.id, entry.error.kind()), (id, kind), "{damaged}");
        assert!(entry.error.may_have_been_sent() && !entry.error.is_retryable());
    }

    let xml = format!(
        "<SendMessageBatchResponse><SendMessageBatchResult><SendMessageBatchResultEntry><Id>b</Id>\
         <MessageId>&#xD800;</MessageId></SendMessageBatchResultEntry><SendMessageBatchResultEntry><Id>a</Id>\
         <MessageId>m</MessageId><MD5OfMessageBody>{MD5_OF_HELLO}</MD5OfMessageBody></SendMessageBatchResultEntry>\
         </SendMessageBatchResult></SendMessageBatchResponse>"
    );
    let output = sent(Wire::Query, true, &xml).unwrap();
    assert_eq!((&*output.successful[0].id, &*output.unconfirmed[0].id), ("a", "b"));
}

#[test]
fn without_verification_no_md5_is_compared() {
    let body = format!(r#"{{"Successful":[{{"Id":"a","MessageId":"m","MD5OfMessageBody":"{WRONG_MD5}"}}]}}"#);
    assert_eq!(sent(Wire::Json, false, &body).unwrap().successful.len(), 1);
    assert_eq!(sent(Wire::Json, true, &body).unwrap().unconfirmed.len(), 1);
}

#[test]
fn more_unreadable_entries_than_a_batch_has_fail_the_response() {
    let entries = |count| format!(r#"{{"Successful":[{}]}}"#, vec!["7"; count].join(","));
    assert_eq!(sent(Wire::Json, true, &entries(10)).unwrap().unconfirmed.len(), 10);
    assert!(sent(Wire::Json, true, &entries(11)).is_err());
    assert!(sent(Wire::Json, true, r#"{"Successful":7}"#).is_err());
}
