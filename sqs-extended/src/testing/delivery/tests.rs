use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use object_store::memory::InMemory;
use sqs_client::ErrorCode;
use sqs_client::consumer::AckOutcome;
use sqs_client::testing::{Fault, RecordedRequest, Settlement};
use tokio::io::AsyncReadExt as _;

use crate::error::ErrorKind;
use crate::receive::{PayloadOutcome, RetainReason};
use crate::testing::{Recorder, TestDelivery, handle, refused_client};
use crate::{ExtendedClient, ExtendedDelivery, ExtendedMessage};

const SECOND: Duration = Duration::from_secs(1);
const ACKED: Option<Settlement> = Some(Settlement::Acked(AckOutcome::Deleted));
const LATE: Option<Settlement> = Some(Settlement::Acked(AckOutcome::LeaseLost));

async fn offloaded() -> (ExtendedDelivery, Recorder) {
    TestDelivery::offloaded(r#"{"id": 7}"#).build().await.unwrap()
}

async fn received() -> (ExtendedDelivery, Recorder) {
    let delivery = TestDelivery::offloaded("content").received();
    delivery.visibility_timeout(30 * SECOND).build().await.unwrap()
}

fn client() -> crate::ExtendedClientBuilder {
    ExtendedClient::builder(refused_client()).offload_to(InMemory::new(), "bucket")
}

#[tokio::test]
async fn every_way_to_read_works_for_inline_and_offloaded_payloads() {
    let content = r#"{"id": 7}"#;
    for delivery in [TestDelivery::new(content), TestDelivery::offloaded(content)] {
        let (delivery, _) = delivery.build().await.unwrap();
        assert_eq!(delivery.bytes().await.unwrap(), content);
        assert_eq!(delivery.text().await.unwrap(), content);
        assert_eq!(delivery.json::<serde_json::Value>().await.unwrap()["id"], 7);
        assert_eq!(delivery.size(), Some(content.len() as u64));
        let mut read = String::new();
        delivery
            .reader()
            .await
            .unwrap()
            .read_to_string(&mut read)
            .await
            .unwrap();
        assert_eq!(read, content);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("payload");
        assert_eq!(delivery.download_to(&path).await.unwrap(), content.len() as u64);
        assert_eq!(std::fs::read_to_string(path).unwrap(), content);
    }
}

#[tokio::test]
async fn a_payload_above_the_threshold_is_offloaded_and_a_small_one_is_not() {
    let (delivery, recorder) = TestDelivery::new("small").build().await.unwrap();
    assert!(!delivery.is_offloaded() && !recorder.payload_is_stored().await);
    let large = "x".repeat(crate::ExtendedClientBuilder::DEFAULT_THRESHOLD + 1);
    let (delivery, recorder) = TestDelivery::new(large.as_str()).build().await.unwrap();
    assert!(delivery.is_offloaded() && recorder.payload_is_stored().await);
    assert_eq!(delivery.text().await.unwrap(), large);
}

#[tokio::test]
async fn an_acknowledgement_deletes_the_message_and_then_its_payload() {
    let (delivery, recorder) = offloaded().await;
    assert_eq!(recorder.settlement(), None);
    assert!(recorder.payload_is_stored().await);
    for _ in 0..2 {
        assert!(matches!(delivery.ack().await.unwrap(), PayloadOutcome::PayloadDeleted));
    }
    assert!(!recorder.payload_is_stored().await);
    assert_eq!(recorder.settlement(), ACKED);
    assert_eq!(recorder.requests(), [RecordedRequest::Delete]);
    assert!(
        delivery.nack(SECOND).await.is_err(),
        "returned after the acknowledgement"
    );
    assert!(delivery.bytes().await.unwrap_err().is_missing_payload());
}

#[tokio::test(start_paused = true)]
async fn a_return_keeps_the_payload() {
    let (delivery, recorder) = offloaded().await;
    delivery.nack(9 * SECOND).await.unwrap();
    assert_eq!(recorder.settlement(), Some(Settlement::Nacked(9 * SECOND)));
    assert!(delivery.ack().await.is_err());
    assert!(recorder.payload_is_stored().await);

    let (delivery, recorder) = offloaded().await;
    delivery.nack_with_backoff().await.unwrap();
    assert_eq!(recorder.settlement(), Some(Settlement::NackedWithBackoff));
    assert!(recorder.payload_is_stored().await);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_delivery_of_a_consumer_returns_at_once() {
    let (delivery, recorder) = offloaded().await;
    drop(delivery);
    tokio::time::sleep(SECOND).await;
    assert_eq!(recorder.settlement(), Some(Settlement::Dropped));
    assert_eq!(recorder.requests(), [RecordedRequest::Return(Duration::ZERO)]);
    assert!(recorder.payload_is_stored().await);
}

#[tokio::test(start_paused = true)]
async fn the_heartbeat_extends_a_delivery_of_a_consumer() {
    let (delivery, recorder) = offloaded().await;
    delivery.extend_visibility(600 * SECOND).await.unwrap();
    assert!(recorder.requests().is_empty(), "a consumer's delivery ignores the call");
    tokio::time::sleep(20 * SECOND).await;
    assert_eq!(recorder.extensions(), [30 * SECOND]);
    delivery.ack().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_payload_stays_if_the_lease_is_lost_or_the_acknowledgement_fails() {
    for lost in [true, false] {
        for (delivery, recorder) in [offloaded().await, received().await] {
            if lost {
                recorder.lose_lease();
                delivery.lease_lost().await;
                assert!(matches!(
                    delivery.ack().await.unwrap(),
                    PayloadOutcome::PayloadRetained(RetainReason::LeaseExpired)
                ));
                assert_eq!(recorder.settlement(), LATE);
            } else {
                recorder.fail_next_ack(Fault::Timeout);
                let error = delivery.ack().await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Queue);
                assert_eq!(recorder.settlement(), None);
            }
            assert!(recorder.payload_is_stored().await);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_received_delivery_is_extended_by_its_handler_only() {
    let (delivery, recorder) = received().await;
    tokio::time::sleep(20 * SECOND).await;
    delivery.extend_visibility(60 * SECOND).await.unwrap();
    tokio::time::sleep(50 * SECOND).await;
    assert_eq!(recorder.extensions(), [60 * SECOND]);
    assert!(matches!(delivery.ack().await.unwrap(), PayloadOutcome::PayloadDeleted));
    assert_eq!(recorder.settlement(), ACKED);
    assert!(!recorder.payload_is_stored().await);
}

#[tokio::test(start_paused = true)]
async fn a_received_delivery_is_returned_with_any_delay_and_not_when_dropped() {
    let (delivery, recorder) = received().await;
    delivery.nack(5 * SECOND).await.unwrap();
    assert_eq!(recorder.settlement(), Some(Settlement::Nacked(5 * SECOND)));
    delivery.nack_with_backoff().await.unwrap();
    assert_eq!(recorder.settlement(), Some(Settlement::NackedWithBackoff));
    assert_eq!(recorder.requests().len(), 2);

    let (delivery, recorder) = received().await;
    drop(delivery);
    tokio::time::sleep(SECOND).await;
    assert_eq!(recorder.settlement(), None);
    assert!(recorder.requests().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_received_delivery_that_was_acknowledged_can_neither_be_returned_nor_extended() {
    let (delivery, recorder) = received().await;
    recorder.fail_next_ack(Fault::Timeout);
    delivery.ack().await.unwrap_err();
    delivery.extend_visibility(60 * SECOND).await.unwrap();
    delivery.ack().await.unwrap();
    for refused in [
        delivery.nack(SECOND).await,
        delivery.nack_with_backoff().await,
        delivery.extend_visibility(60 * SECOND).await,
    ] {
        let error = refused.unwrap_err();
        let queue = std::error::Error::source(&error).and_then(|source| source.downcast_ref::<sqs_client::Error>());
        assert_eq!(
            queue.and_then(|queue| queue.code()),
            Some(&ErrorCode::InvalidParameterValue),
            "{error:?}"
        );
    }
    assert_eq!(recorder.settlement(), ACKED);
    assert_eq!(recorder.extensions(), [60 * SECOND]);
    assert!(
        tokio::time::timeout(3600 * SECOND, delivery.lease_lost())
            .await
            .is_err()
    );
}

#[tokio::test(start_paused = true)]
async fn a_received_delivery_loses_its_lease_by_a_refusal_or_in_time() {
    let (delivery, recorder) = received().await;
    recorder.fail_next_nack(ErrorCode::RequestThrottled);
    delivery.nack(60 * SECOND).await.unwrap_err();
    assert_eq!(recorder.settlement(), None);
    recorder.fail_next_extension(ErrorCode::MessageNotInflight);
    delivery.extend_visibility(60 * SECOND).await.unwrap_err();
    delivery.lease_lost().await;

    let (delivery, recorder) = received().await;
    tokio::time::sleep(30 * SECOND).await;
    assert!(matches!(
        delivery.ack().await.unwrap(),
        PayloadOutcome::PayloadRetained(RetainReason::LeaseExpired)
    ));
    assert_eq!(recorder.settlement(), LATE);
}

#[tokio::test]
async fn the_delivery_has_what_the_test_sets() {
    let message = ExtendedMessage::new("content")
        .message_attribute("lang", "en")
        .message_group_id("g")
        .message_deduplication_id("d")
        .trace_header("Root=1");
    let url = "http://localhost/000000000000/backups.fifo";
    let delivery = TestDelivery::offloaded(message).message_id("id").queue_url(url);
    let (delivery, _) = delivery.receive_count(4).build().await.unwrap();
    assert_eq!((delivery.message_id(), delivery.queue_url()), ("id", url));
    assert_eq!(delivery.receive_count(), 4);
    let attributes = delivery.message_attributes();
    assert_eq!(attributes.len(), 1, "the reserved attribute is hidden");
    assert_eq!(attributes["lang"].as_str(), Some("en"));
    let attributes = delivery.attributes();
    assert_eq!(attributes.message_group_id(), Some("g"));
    assert_eq!(attributes.message_deduplication_id(), Some("d"));
    assert_eq!(attributes.aws_trace_header(), Some("Root=1"));
}

#[tokio::test]
async fn a_clients_settings_apply_to_its_message() {
    let client = client().threshold(3).max_in_memory(5).build().unwrap();
    let (delivery, recorder) = TestDelivery::sent_by(&client, "abc").build().await.unwrap();
    assert!(!delivery.is_offloaded() && !recorder.payload_is_stored().await);
    let (delivery, _) = TestDelivery::sent_by(&client, "abcdef").build().await.unwrap();
    assert_eq!(delivery.pointer().unwrap().bucket, "bucket");
    assert_eq!(delivery.bytes().await.unwrap_err().kind(), ErrorKind::TooLarge);
}

#[tokio::test(start_paused = true)]
async fn a_consumer_settles_by_the_handlers_result_and_its_settings_apply() {
    let consumer = client().always_offload(true).build().unwrap().consumer("backups");
    let wrapped = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&wrapped);
    let consumer = consumer.configure(|consumer| {
        consumer.handler_timeout(SECOND).wrap_handler(move |_, handling| {
            count.fetch_add(1, SeqCst);
            handling
        })
    });
    let delivery = || TestDelivery::sent_to(&consumer, "content").build();

    let (done, recorder) = delivery().await.unwrap();
    recorder.fail_next_ack(ErrorCode::InternalError);
    let read = |delivery: ExtendedDelivery| async move { delivery.text().await.map(drop) };
    handle(&consumer, done, read).await.unwrap();
    assert_eq!(recorder.settlement(), ACKED);
    assert!(!recorder.payload_is_stored().await);

    let (failed, recorder) = delivery().await.unwrap();
    handle(&consumer, failed, |_| async { Err(()) }).await.unwrap();
    assert_eq!(recorder.settlement(), Some(Settlement::NackedWithBackoff));
    assert!(recorder.payload_is_stored().await);

    let (slow, recorder) = delivery().await.unwrap();
    let never = |_| std::future::pending::<Result<(), ()>>();
    handle(&consumer, slow, never).await.unwrap();
    assert_eq!(recorder.settlement(), Some(Settlement::NackedWithBackoff));
    assert_eq!(wrapped.load(SeqCst), 3);

    let (single, recorder) = received().await;
    let error = handle(&consumer, single, |_| async { Ok::<_, ()>(()) }).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(recorder.settlement(), None);
}

#[tokio::test]
async fn a_message_in_several_segments_is_refused() {
    let client = client().strategy(crate::Strategy::Split).build().unwrap();
    let large = "x".repeat(2_000_000);
    let error = TestDelivery::sent_by(&client, large).build().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}
