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
