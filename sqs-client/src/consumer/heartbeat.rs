//! The one task that keeps what is held: extends its visibility, and returns or deletes what is to be.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::select;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::time::Instant;

use crate::consumer::delivery::return_to_queue;
use crate::consumer::held::Entry;
use crate::consumer::requests::is_stale;
use crate::consumer::shared::{Shared, woken};
use crate::consumer::state::End;
use crate::consumer::telemetry::HEARTBEAT_FAILURES;

/// A request that the heartbeat makes for a message.
enum Task {
    Extend(Duration),
    Return(Duration),
    Delete,
}

/// Runs until a stopped consumer holds nothing.
pub(super) async fn keep(shared: Arc<Shared>) {
    let mut requests = FuturesUnordered::new();
    loop {
        let round = shared.update(|state| state.round(Instant::now()));
        for entry in &round.lost {
            // Who was told of failing extensions knows.
            if entry.warns() {
                tracing::warn!(message_id = %entry.message().message_id, "the lease is lost: no extension was confirmed in time");
            }
            shared.count(HEARTBEAT_FAILURES);
        }
        let extensions = round
            .extend
            .into_iter()
            .map(|(entry, time)| (entry, Task::Extend(time)));
        let releases = round
            .release
            .into_iter()
            .map(|(entry, delay)| (entry, Task::Return(delay)));
        let deletions = round.delete.into_iter().map(|entry| (entry, Task::Delete));
        requests.extend(extensions.chain(releases).chain(deletions).map(|(entry, task)| {
            let shared = shared.clone();
            async move {
                match task {
                    Task::Extend(time) => extend(&shared, &entry, time).await,
                    Task::Return(delay) => release(&shared, &entry, delay).await,
                    Task::Delete => delete(&shared, &entry).await,
                }
            }
        }));
        if round.over {
            // What is under way is about messages that were settled meanwhile.
            return;
        }
        let woken = pin!(woken(&shared.heartbeat, round.next));
        let all_answered = pin!(async {
            match requests.is_empty() {
                true => std::future::pending().await,
                false => while requests.next().await.is_some() {},
            }
        });
        select(woken, all_answered).await;
    }
}

async fn extend(shared: &Shared, entry: &Entry, extension: Duration) {
    let _one_at_a_time = entry.changing.lock().await;
    if !shared.look(|state| state.is_kept(entry)) {
        return;
    }
    let handle = entry.receipt_handle();
    let (extended, other_attempt) = shared.requests.extend(&handle, extension).await;
    match extended {
        Ok(asked) => entry.lease().extended(asked, extension, Instant::now()),
        Err(error) if is_stale(&error) => {
            // A message that was deleted meanwhile has no lease to lose.
            if shared.look(|state| state.is_kept(entry)) {
                if entry.warns() {
                    tracing::warn!(message_id = %entry.message().message_id, %error, "the lease is lost");
                }
                shared.count(HEARTBEAT_FAILURES);
            }
            // While it is being deleted, that it is gone already is no loss.
            if !shared.look(|state| state.is_settling(entry)) {
                entry.refused();
            }
        }
        Err(error) => {
            if entry.warns() {
                tracing::warn!(
                    message_id = %entry.message().message_id, %error,
                    "the visibility could not be extended; the lease is lost unless a further try succeeds"
                );
            }
            shared.count(HEARTBEAT_FAILURES);
            let jitter = shared.client.random().fraction();
            entry.lease().not_extended(Instant::now(), jitter);
        }
    }
    // If it arrived after the message was returned, it would hide it once more.
    other_attempt.await;
}

async fn release(shared: &Shared, entry: &Entry, delay: Duration) {
    let _one_at_a_time = entry.changing.lock().await;
    let returned = return_to_queue(shared, entry, delay).await;
    shared.update(|state| match returned {
        Ok(end) => state.finish(entry, end, Instant::now()),
        Err(error) => {
            tracing::warn!(message_id = %entry.message().message_id, %error, "the message could not be returned to the queue");
            state.abandon(entry, Instant::now());
        }
    });
}

/// Deletes a message that was handled by an earlier receipt.
async fn delete(shared: &Shared, entry: &Arc<Entry>) {
    let deleted = shared.requests.delete(entry.receipt_handle()).await;
    shared.update(|state| match deleted {
        Ok(()) if entry.holds() => state.finish(entry, End::Deleted, Instant::now()),
        Ok(()) => state.finish(entry, End::Handled, Instant::now()),
        Err(error) if is_stale(&error) => state.finish(entry, End::Handled, Instant::now()),
        Err(error) => {
            tracing::warn!(message_id = %entry.message().message_id, %error, "a handled message could not be deleted");
            state.give_back(entry, Duration::ZERO, Instant::now());
        }
    });
}
