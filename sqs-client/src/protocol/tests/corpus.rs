//! Reads the corpus of the fuzz targets and the worst responses of 1 MiB in every test run.

use std::error::Error as _;
use std::path::Path;
use std::time::Duration;

use http::HeaderMap;
use tokio::time::Instant;

use crate::ClientBuilder;
use crate::fuzzing::{self, MAX_BYTES};
use crate::operation::{
    CreateQueue, GetQueueAttributes, ListMessageMoveTasks, ListQueueTags, ListQueues, Operation, ReceiveMessage,
    SendMessage, SendMessageBatch,
};
use crate::protocol::{Response, Wire};

const MIB: usize = 1024 * 1024;

#[test]
fn the_corpus_is_read_without_a_panic() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    type Target = fn(&[u8]);
    let targets: [(&str, Target); 3] = [
        ("json", fuzzing::json),
        ("xml", fuzzing::xml),
        ("errors", fuzzing::errors),
    ];
    for (target, read) in targets {
        let mut seeds = 0;
        for entry in corpus.join(target).read_dir().unwrap() {
            let path = entry.unwrap().path();
            eprintln!("{}", path.display());
            read(&std::fs::read(path).unwrap());
            seeds += 1;
        }
        assert!(seeds >= 10, "{target} has {seeds} seeds");
    }
}

/// Returns a text of 1 MiB that repeats a unit.
fn filled(begin: &str, unit: &str, end: &str) -> String {
    let count = (MIB - begin.len() - end.len()) / unit.len();
    format!("{begin}{}{end}", unit.repeat(count))
}

/// Returns a text of up to 1 MiB with numbered units. See [`filled`].
fn numbered(begin: &str, unit: impl Fn(usize) -> String, end: &str) -> String {
    let mut text = begin.to_owned();
    for unit in (0..).map(unit) {
        if text.len() + unit.len() + end.len() > MIB {
            break;
        }
        text.push_str(&unit);
    }
    text + end
}

/// Returns nested elements.
fn nested(open: &str, close: &str, depth: usize) -> String {
    format!("{}{}", open.repeat(depth), close.repeat(depth))
}

/// Reads a response of 1 MiB and checks that it never takes more than [`MAX_BYTES`].
fn bounded<Op: Operation>(protocol: Wire, status: u16, body: String) {
    let begin = body[..body.floor_char_boundary(60)].to_owned();
    let length = body.len();
    assert!((MIB - 2_048..=MIB).contains(&length), "{length} bytes of {begin}");
    let response = Response {
        status,
        headers: HeaderMap::new(),
        body: body.into(),
    };
    let memory = allocation_counter::measure(|| drop(protocol.decode::<Op>(&response))).bytes_max + length as u64;
    assert!(memory <= MAX_BYTES, "{memory} bytes for {begin}");
}

#[test]
fn a_mebibyte_of_json_takes_bounded_memory() {
    fn read<Op: Operation>(body: String) {
        bounded::<Op>(Wire::Json, 200, body);
    }
    let lists = nested("[", "]", 100) + ",";
    let objects = format!("{}0{},", r#"{"":"#.repeat(100), "}".repeat(100));
    read::<ListQueues>(filled(r#"{"QueueUrls":["#, r#""","#, r#"""]}"#));
    read::<ListMessageMoveTasks>(filled(r#"{"Results":["#, r#"{"Status":""},"#, r#"{"Status":""}]}"#));
    read::<ListQueueTags>(numbered(r#"{"Tags":{"#, |i| format!(r#""{i:x}":"","#), r#""":""}}"#));
    read::<GetQueueAttributes>(numbered(
        r#"{"Attributes":{"#,
        |i| format!(r#""{i:x}":"","#),
        r#""":""}}"#,
    ));
    read::<ReceiveMessage>(filled(
        r#"{"Messages":["#,
        r#"{"ReceiptHandle":""},"#,
        r#"{"ReceiptHandle":""}]}"#,
    ));
    read::<ReceiveMessage>(numbered(
        r#"{"Messages":[{"ReceiptHandle":"","MessageAttributes":{"#,
        |i| format!(r#""{i:x}":{{"DataType":""}},"#),
        r#""":{"DataType":""}}}]}"#,
    ));
    read::<SendMessageBatch>(filled(
        r#"{"Failed":["#,
        r#"{"Id":"","Code":""},"#,
        r#"{"Id":"","Code":""}]}"#,
    ));
    // These are read message by message, because they cannot be read as a whole.
    read::<ReceiveMessage>(numbered(
        r#"{"Messages":[{"Body":5,"MessageAttributes":{"#,
        |i| format!(r#""{i:x}":{{"DataType":""}},"#),
        r#""":{"DataType":""}}}]}"#,
    ));
    read::<ReceiveMessage>(filled(r#"{"Messages":[5,"#, r#"{"ReceiptHandle":""},"#, "5]}"));
    read::<ReceiveMessage>(filled(r#"{"Messages":["#, "5,", "5]}"));
    read::<ReceiveMessage>(filled(r#"{"Messages":[{"MessageId":""#, r"", r#"","Body":5}]}"#));
    for unknown in [&*lists, &objects, "[0],", "0,"] {
        read::<SendMessageBatch>(filled(
            r#"{"Successful":[{"Id":"","MessageId":"","x":["#,
            unknown,
            "0]}]}",
        ));
        read::<GetQueueAttributes>(filled(r#"{"Attributes":{"x":["#, unknown, "0]}}"));
        for policy in ["RedrivePolicy", "RedriveAllowPolicy"] {
            let begin = format!(r#"{{"Attributes":{{"{policy}":"{{\"a\":["#);
            read::<GetQueueAttributes>(filled(&begin, &unknown.replace('"', r#"\""#), r#"0]}"}}"#));
        }
        read::<CreateQueue>(filled(r#"{"x":["#, unknown, "0]}"));
    }
    read::<CreateQueue>(filled("", "[", ""));
    read::<CreateQueue>(filled(r#"{"QueueUrl":""#, r"\u00e9", r#""}"#));
}

#[test]
fn a_mebibyte_of_xml_takes_bounded_memory() {
    fn read<Op: Operation>(unit: &str) {
        let name = Op::NAME;
        let begin = format!("<{name}Response><{name}Result>");
        let body = filled(&begin, unit, &format!("</{name}Result></{name}Response>"));
        bounded::<Op>(Wire::Query, 200, body);
    }
    read::<ListQueues>("<a/>");
    read::<ListQueues>("<a>&lt;</a>");
    read::<ListQueues>(&nested("<a>", "</a>", 14));
    read::<GetQueueAttributes>("<Attribute><Name>x</Name><Value/></Attribute>");
    read::<ReceiveMessage>("<Message><ReceiptHandle/></Message>");
    read::<ReceiveMessage>("<Message>&#xD800;</Message>");
    read::<ReceiveMessage>("&#xD800;");
    read::<SendMessageBatch>("<SendMessageBatchResultEntry><Id/><MessageId/></SendMessageBatchResultEntry>");
    for body in [
        filled("", "<a>", ""),
        filled("<", "a", "/>"),
        filled("<a ", "a='' ", "/>"),
        filled("<", "a", "></b>"),
        filled("<!DOCTYPE a [", "<!ENTITY a '&b;'>", "]><a/>"),
        filled("<a>&", "a", ";</a>"),
        filled("<a>", "&a;", "</a>"),
    ] {
        bounded::<ListQueues>(Wire::Query, 200, body);
    }
}

/// Reads responses of the maximum length with as many values as fit.
#[test]
fn the_longest_responses_take_bounded_memory() {
    fn read<Op: Operation>(protocol: Wire, begin: &str, unit: &str, end: &str) {
        let units = (ClientBuilder::DEFAULT_MAX_RESPONSE_BYTES - begin.len() - end.len()) / unit.len();
        let body = format!("{begin}{}{end}", unit.repeat(units));
        let response = Response {
            status: 200,
            headers: HeaderMap::new(),
            body: body.into(),
        };
        let mut error = None;
        let began = Instant::now();
        let memory = allocation_counter::measure(|| error = protocol.decode::<Op>(&response).err()).bytes_max;
        assert!(memory <= MAX_BYTES, "{memory} bytes for {begin}{unit}");
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "{:?} for {begin}{unit}",
            began.elapsed()
        );
        let cause = error.as_ref().and_then(|error| error.source()).map(ToString::to_string);
        assert_eq!(
            cause.as_deref(),
            Some("the response has more than 100000 values"),
            "{begin}{unit}"
        );
    }
    read::<ListQueues>(Wire::Query, "<ListQueuesResponse>", "<a/>", "</ListQueuesResponse>");
    read::<ListQueues>(Wire::Query, "<ListQueuesResponse>", "<a></a>", "</ListQueuesResponse>");
    read::<ListQueues>(Wire::Json, r#"{"QueueUrls":["#, r#""","#, r#"""]}"#);
    read::<ListQueues>(Wire::Json, r#"{"QueueUrls":["\""],"x":["#, "[0],", "0]}");
    read::<ReceiveMessage>(Wire::Json, r#"{"Messages":["#, r#"{"ReceiptHandle":""},"#, "{}]}");
    read::<ListMessageMoveTasks>(Wire::Json, r#"{"Results":["#, r#"{"Status":""},"#, "{}]}");
}

#[test]
fn an_error_of_a_mebibyte_takes_bounded_memory() {
    for body in [
        filled(r#"{"__type":""#, "a", r#""}"#),
        filled(r#"{"message":["#, "[0],", "0]}"),
        filled("{", "a", ""),
        filled("", "\u{fffd}", ""),
        filled("<Error><Code>", "a", "</Code></Error>"),
        filled("<Error>", "<a/>", "</Error>"),
        filled("<Error>", "<Code/>", "</Error>"),
    ] {
        bounded::<SendMessage>(Wire::Json, 400, body);
    }
}
