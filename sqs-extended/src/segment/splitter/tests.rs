use std::time::Duration;

use proptest::prelude::*;
use sqs_client::Message;
use sqs_client::types::MessageAttributeValue;

use super::*;
use crate::codec::EncryptionHeader;
use crate::payload::digest::DigestAlgorithm;
use crate::segment::fifo_planner::MAX_FIFO_SEGMENTS;
use crate::segment::header::MAX_SEGMENTS;

fn split(stored: impl Into<Bytes>, limit: usize) -> Split {
    Split {
        stored: stored.into(),
        digest: DigestAlgorithm::Blake3,
        encoding: None,
        id: "id".to_owned(),
        message: OutgoingMessage::new("").message_group_id("group"),
        limit,
        max_segments: MAX_SEGMENTS,
    }
}

fn segments(split: Split) -> Result<Segments, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(split.into_segments())
}

fn messages(split: Split) -> Vec<OutgoingMessage> {
    let segments = segments(split).unwrap();
    let announced = segments.len();
    let messages: Vec<_> = segments.collect();
    assert_eq!(messages.len(), announced);
    messages
}

fn with_attributes(mut split: Split, count: usize) -> Split {
    for i in 0..count {
        split.message = split.message.message_attribute(format!("a{i}"), "v");
    }
    split
}

/// The message as SQS delivers it.
fn received(sent: &OutgoingMessage) -> Message {
    let attributes = serde_json::to_value(&sent.message_attributes).unwrap();
    serde_json::from_value(serde_json::json!({
        "MessageId": "m", "ReceiptHandle": "r", "Body": sent.body, "MessageAttributes": attributes,
    }))
    .unwrap()
}

/// Reads the messages as a receiver does, and checks each against the limits.
fn joined(messages: &[OutgoingMessage], limit: usize) -> Vec<u8> {
    let (mut joined, mut checksums) = (Vec::new(), Vec::new());
    for (index, sent) in messages.iter().enumerate() {
        assert!(sent.size() <= limit, "{} bytes exceed {limit}", sent.size());
        assert!(!sent.body.is_empty());
        assert!(sent.message_attributes.len() <= limits::MAX_MESSAGE_ATTRIBUTES);
        let message = received(sent);
        let header = Header::find(&message.message_attributes).unwrap().unwrap();
        assert_eq!(header.index as usize, index);
        assert_eq!(header.whole.count as usize, messages.len());
        assert_eq!(header.offset, joined.len() as u64);
        let bytes = header.layout.read(&message).unwrap();
        header.verify(&bytes).unwrap();
        joined.extend_from_slice(&bytes);
        checksums.push(header.checksum);
        if index + 1 == messages.len() {
            assert_eq!(header.whole.total, joined.len() as u64);
            assert_eq!(
                header.whole.digest,
                Whole::digest_of(DigestAlgorithm::Blake3, &checksums)
            );
        }
    }
    joined
}

fn layouts(messages: &[OutgoingMessage]) -> Vec<Layout> {
    let header = |sent: &OutgoingMessage| Header::find(&sent.message_attributes).unwrap().unwrap();
    messages.iter().map(|sent| header(sent).layout).collect()
}

#[test]
fn text_is_sent_as_the_body() {
    let text = "é".repeat(1000);
    let messages = messages(split(text.clone(), 1024));
    assert_eq!(joined(&messages, 1024), text.as_bytes());
    assert!(layouts(&messages).iter().all(|layout| *layout == Layout::Text));
    let bodies: String = messages.iter().map(|sent| sent.body.as_str()).collect();
    assert_eq!(bodies, text);
}

#[test]
fn what_sqs_refuses_as_text_is_sent_as_bytes() {
    for stored in [&b"\xff\xfe\xff\xfe"[..], b"\0 is a character", "\u{FFFF}".as_bytes()] {
        let sent = messages(split(stored, 1024));
        assert_eq!(joined(&sent, 1024), stored);
        assert_ne!(layouts(&sent), [Layout::Text]);
    }
    let mut encoded = split("text by coincidence", 1024);
    let encoding = Encoding {
        compression: Some("none".to_owned()),
        ..Encoding::default()
    };
    encoded.encoding = Some((encoding.clone(), 5));
    let sent = messages(encoded);
    let header = Header::find(&sent[0].message_attributes).unwrap().unwrap();
    assert_ne!(header.layout, Layout::Text);
    assert_eq!(
        (header.whole.encoding, header.whole.original_length),
        (encoding, Some(5))
    );
}

#[test]
fn an_empty_payload_is_one_segment() {
    for attributes in [0, 9] {
        let sent = messages(with_attributes(split("", 1024), attributes));
        assert_eq!(sent.len(), 1);
        assert_eq!(joined(&sent, 1024), b"");
    }
}

#[test]
fn segments_use_their_whole_quota() {
    let sent = messages(split(vec![0xff; 10_000], 2000));
    for message in &sent[..sent.len() - 1] {
        // Numbers shorter than the longest possible leave a few bytes unused.
        assert!(message.size() > 2000 - 20, "{}", message.size());
    }
}

#[test]
fn only_the_first_segment_has_the_callers_attributes() {
    let mut split = with_attributes(split("x".repeat(3000), 1024), 9);
    split.message = split.message.trace_header("Root=1").delay(Duration::from_secs(7));
    let sent = messages(split);
    assert_eq!(sent[0].message_attributes.len(), 10);
    assert_eq!(sent[0].message_attributes["a8"], MessageAttributeValue::string("v"));
    assert_eq!(sent[0].message_system_attributes.len(), 1);
    for later in &sent[1..] {
        assert_eq!(later.message_attributes.len(), 1);
        assert!(later.message_system_attributes.is_empty());
    }
    for message in &sent {
        assert_eq!(message.delay, Some(Duration::from_secs(7)));
        assert_eq!(message.message_group_id.as_deref(), Some("group"));
        assert_eq!(message.message_deduplication_id, None);
    }
}

#[test]
fn with_nine_attributes_the_first_segment_is_base64() {
    let sent = messages(with_attributes(split(vec![0xff; 3000], 1024), 9));
    assert_eq!(layouts(&sent)[0], Layout::Base64);
    assert!(
        layouts(&sent)[1..sent.len() - 1]
            .iter()
            .all(|layout| *layout == Layout::Binary)
    );
    assert_eq!(joined(&sent, 1024), vec![0xff; 3000]);
}

#[test]
fn attributes_that_leave_no_room_are_refused() {
    let refused = |split: Split| segments(split).unwrap_err().kind();
    let mut large = split("x", 1024);
    large.message = large.message.message_attribute("a", "v".repeat(1000));
    assert_eq!(refused(large), ErrorKind::InvalidInput);
    assert_eq!(refused(split("xx", 200)), ErrorKind::InvalidInput);
}

#[test]
fn a_fifo_payload_has_at_most_ten_segments() {
    let fifo = |len| {
        let mut split = split("x".repeat(len), 1024);
        split.max_segments = MAX_FIFO_SEGMENTS;
        segments(split)
    };
    let longest = (1..10_000).rev().find(|len| fifo(*len).is_ok()).unwrap();
    assert_eq!(fifo(longest).unwrap().len(), 10);
    assert_eq!(fifo(longest + 1).unwrap_err().kind(), ErrorKind::TooLarge);
}

#[test]
fn deduplication_ids_are_short_and_derive_from_the_whole() {
    let ids = |base: &str, payload: String, limit: usize, note: &str| -> Vec<String> {
        let mut split = split(payload, limit);
        split.id = payload_id(base);
        let message = split.message.message_deduplication_id(base);
        split.message = message.message_attribute("note", note);
        messages(split)
            .into_iter()
            .map(|sent| sent.message_deduplication_id.unwrap())
            .collect()
    };
    let long = "ü".repeat(128);
    let x = || "x".repeat(3000);
    for base in ["order-7", &long] {
        let first = ids(base, x(), 1024, "a");
        assert!(first.len() > 2 && first.iter().all(|id| id.len() <= limits::MAX_ID_CHARS));
        assert_eq!(first, ids(base, x(), 1024, "a"));
        assert_eq!(first, ids(base, x(), 1024, "b"), "the cuts are the same");
        for other in [
            ids("order-8", x(), 1024, "a"),
            ids(base, "y".repeat(3000), 1024, "a"),
            ids(base, x() + "x", 1024, "a"),
            ids(base, x(), 1023, "a"),
            ids(base, x(), 1024, "longer"),
        ] {
            assert!(
                other.iter().all(|id| !first.contains(id)),
                "SQS drops no segment as a duplicate of another payload's"
            );
        }
        let single = ids(base, "x".to_owned(), 1024, "a");
        assert_eq!(
            single,
            ids(base, "yy".to_owned(), 1024, "longer"),
            "derives from the caller's id alone"
        );
        assert_eq!(single.len(), 1);
    }
}

fn payloads() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..4000).prop_map(Bytes::from),
        "[a-z]{0,4000}".prop_map(Bytes::from),
        "[aé€𝄞]{0,1500}".prop_map(Bytes::from),
        ".{0,300}".prop_map(Bytes::from),
    ]
}

fn encryption() -> impl Strategy<Value = Option<(Encoding, u64)>> {
    let encrypted = ("[a-z]{1,10}", any::<u64>()).prop_map(|(text, original)| {
        let header = EncryptionHeader {
            scheme: text.clone(),
            key_id: text.clone(),
            wrapped_key: text,
        };
        let encoding = Encoding {
            compression: None,
            encryption: Some(header),
        };
        (encoding, original)
    });
    prop::option::of(encrypted)
}

proptest! {
    #[test]
    fn the_segments_joined_are_the_payload(
        stored in payloads(),
        encoding in encryption(),
        limit in 700..3000_usize,
        attributes in 0..=9_usize,
    ) {
        let mut split = with_attributes(split(stored.clone(), limit), attributes);
        split.encoding = encoding;
        let is_text = split.encoding.is_none() && is_body(&stored);
        let sent = messages(split);
        prop_assert_eq!(joined(&sent, limit), stored.to_vec());
        if is_text {
            prop_assert!(layouts(&sent).iter().all(|layout| *layout == Layout::Text), "text is always sent as text");
        }
    }

    #[test]
    fn characters_are_never_split(text in "[aé€𝄞]{1,50}", room in 0..60_usize) {
        let len = whole_characters(text.as_bytes(), room);
        prop_assert!(text.is_char_boundary(len) && len <= room);
        let next = text[len..].chars().next().map_or(0, char::len_utf8);
        prop_assert!(len == text.len() || len + next > room, "one more character would fit");
    }
}
