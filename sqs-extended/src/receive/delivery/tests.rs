use std::sync::atomic::Ordering::SeqCst;

use object_store::ObjectStoreExt;
use object_store::path::Path as Key;
use serde_json::json;
use tokio::time::Instant;

use super::*;
use crate::receive::claim::Leased;
use crate::receive::lease::Lease;
use crate::testing::{TestStore, extended};

const CONTENT: &[u8] = b"the payload";

fn pointer(bucket: &str, key: &str) -> String {
    Pointer::new(bucket, key).to_string()
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
    let claim = Claim::Leased(Leased {
        client: extended.0.client.clone(),
        queue_url: "http://127.0.0.1:1/queue".into(),
        receipt_handle: "handle".to_owned(),
        lease: Lease::new(Instant::now(), Duration::from_secs(30)),
    });
    ExtendedDelivery::open(&extended.0, claim, message)
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
    // Looks like a pointer, but does not say that it is one.
    let body = pointer("other", "../k");
    let delivery = received(&store, &body, None).unwrap();
    assert!(!delivery.is_offloaded());
    assert_eq!(delivery.size(), Some(body.len() as u64));
    assert_eq!(delivery.text().await.unwrap(), body);
    assert_eq!(delivery.bytes().await.unwrap(), body);
    assert_eq!(store.total_calls(), 0);
}

#[tokio::test]
async fn an_offloaded_payload_is_fetched_when_asked_for() {
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
async fn what_was_fetched_ahead_is_not_fetched_again_and_a_failure_is_told_later() {
    let store = holding(CONTENT).await;
    let delivery = offloaded(&store);
    delivery.fetch_ahead().await;
    assert_eq!(store.calls.gets.load(SeqCst), 1);
    assert_eq!(delivery.bytes().await.unwrap(), CONTENT);
    assert_eq!(delivery.text().await.unwrap().as_bytes(), CONTENT);
    assert_eq!(store.calls.gets.load(SeqCst), 1);

    let missing = offloaded(&TestStore::default());
    missing.fetch_ahead().await;
    assert!(missing.bytes().await.unwrap_err().is_missing_payload());
}

#[test]
fn a_stranger_is_refused_before_any_call_of_the_store() {
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
        // As it came, to be forwarded or looked into.
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
async fn a_missing_payload_is_said_to_be_missing_and_the_delivery_stays() {
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
async fn a_wrong_payload_is_an_error_with_the_receipt_handle() {
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
async fn what_is_too_large_for_memory_is_not_fetched() {
    let store = TestStore::default();
    let delivery = received(&store, &pointer("bucket", "payloads/k"), Some("1001")).unwrap();
    assert_eq!(delivery.bytes().await.unwrap_err().kind(), ErrorKind::TooLarge);
    assert_eq!(store.total_calls(), 0);
}

#[tokio::test]
async fn text_must_be_text() {
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
