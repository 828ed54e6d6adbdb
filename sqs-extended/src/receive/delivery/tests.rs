use std::sync::atomic::Ordering::SeqCst;

use object_store::ObjectStoreExt;
use object_store::path::Path as Key;
use serde_json::json;
use tokio::time::Instant;

use super::*;
use crate::ExtendedClient;
use crate::error::ErrorKind;
use crate::receive::claim::Leased;
use crate::receive::lease::Lease;
use crate::testing::{TestStore, extended};

const CONTENT: &[u8] = b"the payload";

fn pointer(bucket: &str, key: &str) -> String {
    Pointer::new(bucket, key).to_string()
}

fn claim(extended: &ExtendedClient) -> Claim {
    Claim::Leased(Leased {
        requests: extended.0.client.clone().into(),
        queue_url: "http://127.0.0.1:1/queue".into(),
        receipt_handle: "handle".to_owned(),
        lease: Lease::new(Instant::now(), Duration::from_secs(30)),
    })
}

fn received(store: &TestStore, body: &str, size: Option<&str>) -> Result<ExtendedDelivery, Rejected> {
    let mut attributes = json!({"mine": {"DataType": "String", "StringValue": "v"}});
    if let Some(size) = size {
        attributes["ExtendedPayloadSize"] = json!({"DataType": "Number", "StringValue": size});
    }
    let message = serde_json::from_value(json!({
        "MessageId": "m", "ReceiptHandle": "handle", "Body": body, "MessageAttributes": attributes,
    }))
    .unwrap();
    let extended = extended(store);
    ExtendedDelivery::open(&extended.0, claim(&extended), message)
}

fn offloaded(store: &TestStore) -> ExtendedDelivery {
    received(store, &pointer("bucket", "payloads/k"), Some("11")).unwrap()
}

async fn holding(content: &'static [u8]) -> TestStore {
    let store = TestStore::default();
    let key = Key::from("payloads/k");
    store.objects.put(&key, content.into()).await.unwrap();
    store
}

#[tokio::test]
async fn an_inline_message_never_calls_the_store() {
    let store = TestStore::default();
    // The body looks like a pointer, but the message has no reserved attribute.
    let body = pointer("other", "../k");
    let delivery = received(&store, &body, None).unwrap();
    assert!(!delivery.is_offloaded());
    assert_eq!(delivery.size(), Some(body.len() as u64));
    assert_eq!(delivery.text().await.unwrap(), body);
    assert_eq!(delivery.bytes().await.unwrap(), body);
    assert_eq!(store.total_calls(), 0);
}

#[tokio::test]
async fn an_offloaded_payload_is_fetched_when_it_is_requested() {
    let store = holding(CONTENT).await;
    let delivery = offloaded(&store);
    assert_eq!(delivery.size(), Some(11));
    assert_eq!(delivery.pointer().unwrap().key, "payloads/k");
    let names: Vec<_> = delivery.message_attributes().keys().collect();
    assert_eq!(names, ["mine"], "reserved ones are hidden");
    assert_eq!(store.total_calls(), 0);

    assert_eq!(delivery.bytes().await.unwrap(), CONTENT);
    assert_eq!(delivery.text().await.unwrap().as_bytes(), CONTENT);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    assert_eq!(delivery.download_to(&path).await.unwrap(), 11);
    assert_eq!(std::fs::read(path).unwrap(), CONTENT);
    assert_eq!(store.calls.gets.load(SeqCst), 3);
}

#[tokio::test]
async fn a_prefetched_payload_is_not_fetched_again_and_a_failure_is_reported_later() {
    let store = holding(CONTENT).await;
    let delivery = offloaded(&store);
    delivery.prefetch().await;
    assert_eq!(store.calls.gets.load(SeqCst), 1);
    assert_eq!(delivery.bytes().await.unwrap(), CONTENT);
    assert_eq!(delivery.text().await.unwrap().as_bytes(), CONTENT);
    assert_eq!(store.calls.gets.load(SeqCst), 1);

    let missing = offloaded(&TestStore::default());
    missing.prefetch().await;
    assert!(missing.bytes().await.unwrap_err().is_missing_payload());
}

#[test]
fn an_untrusted_pointer_is_refused_without_a_call_of_the_store() {
    let store = TestStore::default();
    let huge = pointer("bucket", &format!("payloads/{}", "k".repeat(1 << 20)));
    for (body, size) in [
        (pointer("other", "payloads/k").as_str(), "11"),
        (&pointer("bucket", "elsewhere/k"), "11"),
        (&pointer("bucket", "payloads/../k"), "11"),
        (&pointer("bucket", "/payloads/k"), "11"),
        (&pointer("bucket", "payloads/%2e%2e/k"), "11"),
        (&pointer("bucket", "payloads/k"), "eleven"),
        (&huge, "11"),
        ("hello", "11"),
        ("", "11"),
    ] {
        let rejected = received(&store, body, Some(size)).unwrap_err();
        assert_eq!(rejected.error().kind(), ErrorKind::RefusedPointer);
        assert_eq!(rejected.receipt_handle(), "handle");
        assert_eq!(rejected.error().receipt_handle(), Some("handle"));
        // The message is unchanged, so that it can be forwarded or inspected.
        assert_eq!(rejected.message().body, body);
        assert!(
            rejected
                .message()
                .message_attributes
                .contains_key("ExtendedPayloadSize")
        );
    }
    assert_eq!(store.total_calls(), 0);
}

#[tokio::test]
async fn a_missing_payload_is_reported_and_the_delivery_stays() {
    let store = TestStore::default();
    let delivery = offloaded(&store);
    let error = delivery.text().await.unwrap_err();
    assert!(error.is_missing_payload());
    assert_eq!(error.receipt_handle(), Some("handle"));
    store
        .objects
        .put(&Key::from("payloads/k"), CONTENT.into())
        .await
        .unwrap();
    assert_eq!(delivery.bytes().await.unwrap(), CONTENT);
}

#[tokio::test]
async fn a_corrupt_payload_is_an_error_with_the_receipt_handle() {
    let store = holding(b"the payloa_").await;
    let digest = blake3::hash(CONTENT).to_hex();
    let extras = format!(r#""payloads/k","payloadVersion":1,"payloadDigest":"blake3:{digest}""#);
    let body = pointer("bucket", "payloads/k").replace("\"payloads/k\"", &extras);
    let delivery = received(&store, &body, Some("11")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    for error in [
        delivery.bytes().await.map(drop).unwrap_err(),
        delivery.download_to(&path).await.map(drop).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert_eq!(error.receipt_handle(), Some("handle"));
    }
    assert!(!path.exists());
}

#[tokio::test]
async fn a_payload_that_is_too_large_for_memory_is_not_fetched() {
    let store = TestStore::default();
    let delivery = received(&store, &pointer("bucket", "payloads/k"), Some("1001")).unwrap();
    assert_eq!(delivery.bytes().await.unwrap_err().kind(), ErrorKind::TooLarge);
    assert_eq!(store.total_calls(), 0);
}

#[tokio::test]
async fn text_must_be_utf_8() {
    let store = holding(&[0xff; 11]).await;
    let error = offloaded(&store).text().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotText);
}

#[tokio::test]
async fn a_message_that_cannot_be_deleted_keeps_its_payload() {
    let store = holding(CONTENT).await;
    let error = offloaded(&store).ack().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Queue);
    assert_eq!(error.receipt_handle(), Some("handle"));
    assert_eq!(store.total_calls(), 0);
}

#[test]
fn debug_shows_neither_body_nor_handle() {
    let store = TestStore::default();
    let delivery = received(&store, "secret body", None).unwrap();
    let rejected = received(&store, "secret body", Some("1")).unwrap_err();
    for debug in [
        format!("{delivery:?}"),
        format!("{rejected:?} {rejected} {}", rejected.error()),
    ] {
        assert!(!debug.contains("secret body") && !debug.contains("handle"), "{debug}");
    }
}

#[tokio::test]
async fn json_is_read_and_its_errors_quote_no_payload() {
    let store = TestStore::default();
    let delivery = received(&store, r#"{"n": 7}"#, None).unwrap();
    let value: BTreeMap<String, u8> = delivery.json().await.unwrap();
    assert_eq!(value["n"], 7);
    for (body, says) in [
        (r#"{"n": "secret"}"#, "is JSON, but not that of a"),
        (r#"{"secret": 1"#, "is JSON that is cut off (line 1, column 12)"),
        ("secret", "is not JSON (line 1, column 1)"),
    ] {
        let delivery = received(&store, body, None).unwrap();
        let error = delivery.json::<BTreeMap<String, u8>>().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotJson);
        assert_eq!(error.receipt_handle(), Some("handle"));
        assert!(error.to_string().contains(says), "{error}");
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_delivery_tells_its_queue_its_receives_and_the_end_of_its_lease() {
    let store = TestStore::default();
    let delivery = received(&store, "body", None).unwrap();
    assert_eq!(delivery.queue_url(), "http://127.0.0.1:1/queue");
    assert_eq!(delivery.receive_count(), 1, "the server does not tell");
    assert!(!delivery.is_split());
    let begin = Instant::now();
    delivery.lease_lost().await;
    assert!(begin.elapsed() >= Duration::from_secs(29));
    assert_eq!(delivery.nack_with_backoff().await.unwrap_err().kind(), ErrorKind::Queue);

    let message = serde_json::from_value(json!({
        "MessageId": "m", "ReceiptHandle": "handle", "Body": "body", "Attributes": {"ApproximateReceiveCount": "3"},
    }));
    let extended = extended(&store);
    let delivery = ExtendedDelivery::open(&extended.0, claim(&extended), message.unwrap()).unwrap();
    assert_eq!(delivery.receive_count(), 3);
}
