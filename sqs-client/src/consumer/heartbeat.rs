//! The task that extends the visibility of messages in flight, and returns or deletes those that are due.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::select;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::time::Instant;

use crate::consumer::delivery::return_to_queue;
use crate::consumer::requests::is_stale;
use crate::consumer::shared::{Shared, notified_or_at};
use crate::consumer::state::End;
use crate::consumer::telemetry::HEARTBEAT_FAILURES;
use crate::consumer::tracked::TrackedMessage;

/// A request that the heartbeat makes for a message.
enum Action {
    Extend(Duration),
    Return(Duration),
    Delete,
}

/// Runs until a stopped consumer has no message in flight.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut requests = FuturesUnordered::new();
    loop {
        let round = shared.update(|state| state.round(Instant::now()));
        for tracked in &round.lost {
            // Failing extensions of the same message have been logged before.
            if tracked.first_warning() {
                tracing::warn!(
                    message_id = %tracked.message().message_id,
                    "lost the lease of a message, because no extension was confirmed in time; another consumer may receive it"
                );
            }
            shared.count(HEARTBEAT_FAILURES);
        }
        let extensions = round
            .extensions
            .into_iter()
            .map(|(tracked, time)| (tracked, Action::Extend(time)));
        let returns = round
            .returns
            .into_iter()
            .map(|(tracked, delay)| (tracked, Action::Return(delay)));
        let deletions = round.deletions.into_iter().map(|tracked| (tracked, Action::Delete));
        requests.extend(extensions.chain(returns).chain(deletions).map(|(tracked, action)| {
            let shared = shared.clone();
            async move {
                match action {
                    Action::Extend(time) => extend(&shared, &tracked, time).await,
                    Action::Return(delay) => return_message(&shared, &tracked, delay).await,
                    Action::Delete => delete(&shared, &tracked).await,
                }
            }
        }));
        if round.over {
            // Open requests concern messages that were settled in the meantime.
            return;
        }
        let woken = pin!(notified_or_at(&shared.heartbeat, round.next));
        let all_done = pin!(async {
            match requests.is_empty() {
                true => std::future::pending().await,
                false => while requests.next().await.is_some() {},
            }
        });
        select(woken, all_done).await;
    }
}

async fn extend(shared: &Shared, tracked: &TrackedMessage, extension: Duration) {
    let _one_at_a_time = tracked.changing.lock().await;
    if !shared.with_state(|state| state.is_extended(tracked)) {
        return;
    }
    let handle = tracked.receipt_handle();
    let (extended, other_attempt) = shared.requests.extend(&handle, extension).await;
    match extended {
        Ok(sent_at) => tracked.lease().extended(sent_at, extension, Instant::now()),
        Err(error) if is_stale(&error) => {
            // A message that was deleted in the meantime has no lease to lose.
            if shared.with_state(|state| state.is_extended(tracked)) {
                if tracked.first_warning() {
                    tracing::warn!(
                        message_id = %tracked.message().message_id, %error,
                        "lost the lease of a message; another consumer may receive it"
                    );
                }
                shared.count(HEARTBEAT_FAILURES);
            }
            // A message that is being deleted may already be gone, which is no loss.
            if !shared.with_state(|state| state.is_settling(tracked)) {
                tracked.mark_lost();
            }
        }
        Err(error) => {
            if tracked.first_warning() {
                tracing::warn!(
                    message_id = %tracked.message().message_id, %error,
                    "could not extend the visibility of a message; its lease is lost unless a further attempt succeeds"
                );
            }
            shared.count(HEARTBEAT_FAILURES);
            let jitter = shared.client.random().fraction();
            tracked.lease().extension_failed(Instant::now(), jitter);
        }
    }
    // The other attempt is awaited, because it could hide a message again that was returned in the meantime.
    other_attempt.await;
}

async fn return_message(shared: &Shared, tracked: &TrackedMessage, delay: Duration) {
    let _one_at_a_time = tracked.changing.lock().await;
    let returned = return_to_queue(shared, tracked, delay).await;
    shared.update(|state| match returned {
        Ok(end) => state.finish(tracked, end, Instant::now()),
        Err(error) => {
            tracing::warn!(
                message_id = %tracked.message().message_id, %error,
                "could not return a message to the queue; it reappears when its visibility timeout expires"
            );
            state.return_failed(tracked, Instant::now());
        }
    });
}

/// Deletes a message that was handled by an earlier receipt.
async fn delete(shared: &Shared, tracked: &Arc<TrackedMessage>) {
    let deleted = shared.requests.delete(tracked.receipt_handle()).await;
    shared.update(|state| match deleted {
        Ok(()) if tracked.lease_is_valid() => state.finish(tracked, End::Deleted, Instant::now()),
        Ok(()) => state.finish(tracked, End::Handled, Instant::now()),
        Err(error) if is_stale(&error) => state.finish(tracked, End::Handled, Instant::now()),
        Err(error) => {
            tracing::warn!(
                message_id = %tracked.message().message_id, %error,
                "could not delete a message that was already handled; returning it to the queue"
            );
            state.schedule_return(tracked, Duration::ZERO, Instant::now());
        }
    });
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use bytes::Bytes;

    use super::*;
    use crate::client::{HttpFuture, HttpService};
    use crate::consumer::delivery::Delivery;
    use crate::{Client, Credentials};

    const SECOND: Duration = Duration::from_secs(1);

    /// Refuses batches. Panics at the first single call, and confirms the others.
    #[derive(Debug, Default)]
    struct PanicsOnce(Mutex<Vec<String>>);

    impl PanicsOnce {
        fn singles(&self) -> usize {
            self.0.lock().unwrap().len()
        }
    }

    impl HttpService for PanicsOnce {
        fn call(&self, request: http::Request<Bytes>) -> HttpFuture<'_> {
            let action = request.headers()["x-amz-target"].to_str().unwrap().to_owned();
            let response = http::Response::builder();
            if action.ends_with("Batch") {
                let body = Bytes::from_static(br#"{"__type": "com.amazon.coral.service#UnknownOperationException"}"#);
                return Box::pin(async { Ok(response.status(400).body(body).unwrap()) });
            }
            let count = {
                let mut singles = self.0.lock().unwrap();
                singles.push(action);
                singles.len()
            };
            assert!(count > 1, "an assertion of the mock");
            Box::pin(async { Ok(response.body(Bytes::from_static(b"{}")).unwrap()) })
        }
    }

    fn delivered(service: &Arc<PanicsOnce>) -> (Arc<Shared>, Delivery) {
        let client = Client::builder()
            .endpoint_url("http://a")
            .credentials(Credentials::new("k", "s"))
            .http_service(Arc::clone(service))
            .build()
            .unwrap();
        let consumer = client.consumer("http://a/0/q").visibility_timeout(30 * SECOND);
        let shared = Arc::new(Shared::new(client, consumer.queue, consumer.settings));
        let message: crate::Message = serde_json::from_str(r#"{"MessageId": "1", "ReceiptHandle": "r"}"#).unwrap();
        let now = Instant::now();
        let tracked = shared.update(|state| {
            state.arrive(vec![message.into()], now, now);
            state.next(now).unwrap()
        });
        (Arc::clone(&shared), Delivery::new(shared, tracked))
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_of_the_service_is_a_failed_extension_and_the_next_one_keeps_the_lease() {
        let service = Arc::default();
        let (shared, delivery) = delivered(&service);
        let heartbeat = tokio::spawn(run(Arc::clone(&shared)));
        tokio::time::sleep(100 * SECOND).await;
        assert!(!delivery.lease_remaining().is_zero(), "{:?}", service.singles());
        drop(delivery);
        shared.stop();
        let ended = tokio::time::timeout(SECOND, heartbeat).await;
        ended.expect("the heartbeat ends at once").unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_of_the_service_in_a_return_does_not_delay_the_shutdown() {
        let service = Arc::default();
        let (shared, delivery) = delivered(&service);
        let heartbeat = tokio::spawn(run(Arc::clone(&shared)));
        drop(delivery);
        shared.stop();
        let ended = tokio::time::timeout(SECOND, heartbeat).await;
        ended.expect("the heartbeat ends at once").unwrap();
        assert_eq!(service.singles(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_of_the_service_fails_an_acknowledgement_which_can_be_repeated() {
        let service = Arc::default();
        let (_shared, delivery) = delivered(&service);
        let error = delivery.ack().await.unwrap_err();
        assert!(error.may_have_been_sent(), "{error:?}");
        delivery.ack().await.unwrap();
        assert_eq!(service.singles(), 2);
    }
}
