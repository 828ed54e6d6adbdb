use std::sync::Mutex;
use std::time::Duration;

use super::*;
use crate::consumer::middleware::{HandlerFuture, HandlerOutcome};
use crate::consumer::recording::{Fault, RecordedRequest};
use crate::consumer::settlement::{AckOutcome, Settlement};
use crate::{Client, Error, ErrorCode, ErrorKind};

const SECOND: Duration = Duration::from_secs(1);
const ACKED: Option<Settlement> = Some(Settlement::Acked(AckOutcome::Deleted));

fn built() -> (Delivery, Recorder) {
    TestDelivery::new("body").build()
}

fn consumer(queue: &str) -> Consumer {
    let builder = Client::builder().endpoint_url("http://localhost");
    builder.build().unwrap().consumer(queue)
}

/// Handles a message with this consumer.
async fn handled<F, E>(consumer: &Consumer, handler: impl Fn(Delivery) -> F + Send + Sync + 'static) -> Recorder
where
    F: Future<Output = Result<(), E>> + Send + 'static,
    E: Send + 'static,
{
    let (delivery, recorder) = TestDelivery::new("body").consumer(consumer).build();
    handle(consumer, delivery, handler).await;
    recorder
}

#[tokio::test(start_paused = true)]
async fn an_acknowledgement_is_recorded_and_a_second_one_sends_nothing() {
    let (delivery, recorder) = built();
    assert_eq!(recorder.settlement(), None);
    assert_eq!(delivery.ack().await.unwrap(), AckOutcome::Deleted);
    assert_eq!(delivery.clone().ack().await.unwrap(), AckOutcome::Deleted);
    assert_eq!(delivery.nack(SECOND).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(
        delivery.nack_with_backoff().await.unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
    drop(delivery);
    tokio::time::sleep(60 * SECOND).await;
    assert_eq!(recorder.requests(), [RecordedRequest::Delete]);
    assert_eq!(recorder.settlement(), ACKED);
}

#[tokio::test(start_paused = true)]
async fn a_return_is_recorded_and_refuses_an_acknowledgement() {
    let (delivery, recorder) = built();
    delivery.nack(60 * SECOND).await.unwrap();
    delivery.nack(5 * SECOND).await.unwrap();
    assert_eq!(delivery.ack().await.unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(recorder.settlement(), Some(Settlement::Nacked(60 * SECOND)));
    assert_eq!(recorder.requests(), [RecordedRequest::Return(60 * SECOND)]);
}

#[tokio::test(start_paused = true)]
async fn a_return_with_backoff_is_recorded_with_a_delay_of_the_backoff() {
    let consumer = consumer("orders").backoff(8 * SECOND, 60 * SECOND);
    let (delivery, recorder) = TestDelivery::new("body").consumer(&consumer).receive_count(9).build();
    delivery.nack_with_backoff().await.unwrap();
    assert_eq!(recorder.settlement(), Some(Settlement::NackedWithBackoff));
    let requests = recorder.requests();
    assert!(
        matches!(requests[..], [RecordedRequest::Return(delay)] if delay <= 60 * SECOND),
        "{requests:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_message_of_a_fifo_queue_is_retried_in_place_without_a_request() {
    let (delivery, recorder) = TestDelivery::new("body")
        .queue_url("http://localhost/0/orders.fifo")
        .message_group_id("g")
        .build();
    delivery.nack_with_backoff().await.unwrap();
    assert!(delivery.is_settled());
    assert_eq!(recorder.settlement(), Some(Settlement::NackedWithBackoff));
    assert_eq!(recorder.requests(), []);
}

#[tokio::test(start_paused = true)]
async fn the_last_clone_to_be_dropped_returns_the_message_at_once() {
    let (delivery, recorder) = built();
    let clone = delivery.clone();
    drop(delivery);
    assert_eq!(recorder.settlement(), None);
    drop(clone);
    assert_eq!(recorder.settlement(), Some(Settlement::Dropped));
    tokio::time::sleep(SECOND).await;
    assert_eq!(recorder.requests(), [RecordedRequest::Return(Duration::ZERO)]);
}

#[tokio::test(start_paused = true)]
async fn the_heartbeat_extends_a_delivery_while_it_is_handled() {
    let (delivery, recorder) = TestDelivery::new("body").visibility_timeout(10 * SECOND).build();
    tokio::time::sleep(60 * SECOND).await;
    let extensions = recorder.extensions();
    assert!((10..=20).contains(&extensions.len()), "{extensions:?}");
    assert!(extensions.iter().all(|time| *time == 10 * SECOND));
    assert_eq!(delivery.ack().await.unwrap(), AckOutcome::Deleted);
    tokio::time::sleep(60 * SECOND).await;
    assert_eq!(recorder.extensions(), extensions, "a settled delivery is not extended");
}

#[tokio::test(start_paused = true)]
async fn a_failed_acknowledgement_can_be_repeated() {
    let (delivery, recorder) = built();
    recorder.fail_next_ack(ErrorCode::AccessDenied);
    recorder.fail_next_ack(Fault::Transport);
    let refused = delivery.ack().await.unwrap_err();
    assert_eq!(refused.code(), Some(&ErrorCode::AccessDenied));
    assert!(!refused.is_retryable() && !refused.may_have_been_sent());
    let broken = delivery.ack().await.unwrap_err();
    assert_eq!(broken.kind(), ErrorKind::Transport);
    assert!(broken.is_retryable() && broken.may_have_been_sent());
    assert_eq!((recorder.settlement(), delivery.is_settled()), (None, false));
    delivery.ack().await.unwrap();
    assert_eq!(recorder.requests(), [RecordedRequest::Delete; 3]);
}

#[tokio::test(start_paused = true)]
async fn a_fault_of_the_server_is_retryable_and_a_stale_handle_loses_the_lease() {
    let (delivery, recorder) = built();
    for code in [
        ErrorCode::InternalError,
        ErrorCode::ServiceUnavailable,
        ErrorCode::RequestThrottled,
    ] {
        recorder.fail_next_nack(code);
        assert!(delivery.nack(SECOND).await.unwrap_err().is_retryable());
    }
    recorder.fail_next_ack(ErrorCode::ReceiptHandleIsInvalid);
    assert_eq!(delivery.ack().await.unwrap(), AckOutcome::LeaseLost);
    assert_eq!(recorder.settlement(), Some(Settlement::Acked(AckOutcome::LeaseLost)));
}

#[tokio::test(start_paused = true)]
async fn a_lost_lease_is_noticed_and_a_return_then_sends_nothing() {
    let (delivery, recorder) = built();
    let lost = tokio::spawn({
        let delivery = delivery.clone();
        async move { delivery.lease_lost().await }
    });
    tokio::task::yield_now().await;
    assert!(!lost.is_finished());
    recorder.lose_lease();
    lost.await.unwrap();
    assert_eq!(delivery.lease_remaining(), Duration::ZERO);
    delivery.nack(SECOND).await.unwrap();
    assert_eq!(recorder.settlement(), Some(Settlement::Nacked(SECOND)));
    assert_eq!(recorder.requests(), []);
}

#[tokio::test(start_paused = true)]
async fn failed_extensions_lose_the_lease() {
    let (delivery, recorder) = built();
    for _ in 0..10 {
        recorder.fail_next_extension(Fault::Timeout);
    }
    delivery.lease_lost().await;
    assert!(recorder.extensions().is_empty());
    assert_eq!(delivery.ack().await.unwrap(), AckOutcome::LeaseLost);
}

#[test]
fn a_delivery_needs_no_runtime() {
    let (delivery, recorder) = built();
    assert_eq!(delivery.message().body, "body");
    drop(delivery);
    assert_eq!(recorder.settlement(), Some(Settlement::Dropped));
}

#[test]
fn the_message_has_what_the_test_sets() {
    let (delivery, _) = TestDelivery::new("body")
        .message_id("id")
        .message_attribute("k", "v")
        .message_group_id("g")
        .receive_count(3)
        .queue_url("http://localhost/0/orders")
        .visibility_timeout(Duration::ZERO)
        .build();
    let message = delivery.message();
    assert_eq!(message.message_id, "id");
    assert_eq!(message.message_attributes["k"].as_str(), Some("v"));
    assert_eq!(message.attributes.message_group_id(), Some("g"));
    assert_eq!((delivery.receive_count(), delivery.handling_count()), (3, 3));
    assert_eq!(delivery.queue_url(), "http://localhost/0/orders");
    let remaining = delivery.lease_remaining();
    assert!(!remaining.is_zero() && remaining <= SECOND, "{remaining:?}");
}

#[tokio::test(start_paused = true)]
async fn a_consumer_settles_by_the_handlers_result() {
    let consumer = consumer("orders");
    let recorder = handled(&consumer, |_| async { Ok::<_, ()>(()) }).await;
    assert_eq!(recorder.settlement(), ACKED);
    let recorder = handled(&consumer, |_| async { Err(()) }).await;
    assert_eq!(recorder.settlement(), Some(Settlement::NackedWithBackoff));
    let recorder = handled(&consumer, |delivery| async move { delivery.nack(7 * SECOND).await }).await;
    assert_eq!(recorder.settlement(), Some(Settlement::Nacked(7 * SECOND)));
    let panics = |_| async { panic!("told to panic") };
    let recorder = handled::<_, ()>(&consumer, panics).await;
    assert_eq!(recorder.settlement(), Some(Settlement::NackedWithBackoff));
}

#[tokio::test(start_paused = true)]
async fn a_consumers_hooks_timeout_and_poison_handler_apply() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let hook = |name: &'static str| {
        let seen = Arc::clone(&seen);
        move |delivery: Delivery, handling: HandlerFuture| {
            let seen = Arc::clone(&seen);
            async move {
                let outcome: HandlerOutcome = handling.await;
                seen.lock()
                    .unwrap()
                    .push((name, delivery.message().body.clone(), outcome));
                outcome
            }
        }
    };
    let consumer = consumer("orders")
        .handler_timeout(10 * SECOND)
        .wrap_handler(hook("outer"))
        .wrap_handler(hook("inner"))
        .on_poison(3, |delivery| async move { delivery.nack(9 * SECOND).await });
    let recorder = handled(&consumer, |_| async {
        tokio::time::sleep(60 * SECOND).await;
        Ok::<_, ()>(())
    })
    .await;
    assert_eq!(recorder.settlement(), Some(Settlement::NackedWithBackoff));
    let outcome = |name| (name, "body".to_owned(), HandlerOutcome::TimedOut);
    assert_eq!(*seen.lock().unwrap(), [outcome("inner"), outcome("outer")]);

    let (delivery, recorder) = TestDelivery::new("body").consumer(&consumer).receive_count(4).build();
    let not_called = |_| async { Err(Error::invalid_input("not called")) };
    handle(&consumer, delivery, not_called).await;
    assert_eq!(recorder.settlement(), Some(Settlement::Nacked(9 * SECOND)));
}

#[tokio::test(start_paused = true)]
async fn a_consumer_repeats_a_failed_acknowledgement_and_gives_up_at_last() {
    let consumer = consumer("orders");
    for (failures, settlement) in [(2, ACKED), (3, Some(Settlement::Dropped))] {
        let (delivery, recorder) = TestDelivery::new("body").consumer(&consumer).build();
        for _ in 0..failures {
            recorder.fail_next_ack(ErrorCode::InternalError);
        }
        handle(&consumer, delivery, |_| async { Ok::<_, ()>(()) }).await;
        assert_eq!(recorder.settlement(), settlement);
        assert!(recorder.requests().starts_with(&[RecordedRequest::Delete; 3]));
    }
}

#[tokio::test(start_paused = true)]
async fn the_heartbeat_ends_once_the_delivery_is_settled_or_dropped() {
    let metrics = tokio::runtime::Handle::current().metrics();
    let mut recorders = Vec::new();
    for queue in ["http://localhost/0/orders", "http://localhost/0/orders.fifo"] {
        for settle in ["ack", "nack", "nack with backoff", "drop", "failed return"] {
            let test = TestDelivery::new("body").queue_url(queue).message_group_id("g");
            let (delivery, recorder) = test.build();
            tokio::time::sleep(60 * SECOND).await;
            assert_eq!(metrics.num_alive_tasks(), 1, "the heartbeat of an unsettled delivery");
            match settle {
                "ack" => drop(delivery.ack().await.unwrap()),
                "nack" => delivery.nack(60 * SECOND).await.unwrap(),
                "nack with backoff" => delivery.nack_with_backoff().await.unwrap(),
                "drop" => {}
                _ => recorder.fail_next_nack(Fault::Transport),
            }
            drop(delivery);
            tokio::time::sleep(SECOND).await;
            assert_eq!(metrics.num_alive_tasks(), 0, "{settle} {queue}");
            recorders.push(recorder);
        }
    }
    assert!(recorders.iter().all(|recorder| recorder.settlement().is_some()));
}
