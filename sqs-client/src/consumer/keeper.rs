//! The one task that keeps what is held: extends its visibility, and gives back what is to be.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::select;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::time::Instant;

use super::delivery::{change_visibility, is_stale};
use super::entry::Entry;
use super::shared::{Shared, woken};
use super::telemetry::HEARTBEAT_FAILURES;

/// Runs until a stopped consumer holds nothing.
pub(super) async fn keep(shared: Arc<Shared>) {
    let mut requests = FuturesUnordered::new();
    loop {
        let round = shared.update(|state| state.round(Instant::now()));
        for entry in &round.lost {
            tracing::warn!(message_id = %entry.message().message_id, "the lease is lost: no extension was confirmed in time");
            shared.count(HEARTBEAT_FAILURES);
        }
        let extensions = round.extend.into_iter().map(|(entry, time)| (entry, Some(time)));
        let releases = round.release.into_iter().map(|entry| (entry, None));
        requests.extend(extensions.chain(releases).map(|(entry, extension)| {
            let shared = shared.clone();
            async move {
                match extension {
                    Some(extension) => extend(&shared, &entry, extension).await,
                    None => release(&shared, &entry).await,
                }
            }
        }));
        if round.over {
            // What is under way is about messages that were settled meanwhile.
            return;
        }
        let woken = pin!(woken(&shared.keeper, round.next));
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
    let asked = Instant::now();
    let handle = entry.receipt_handle();
    match shared.batcher.change_visibility(handle, extension).await {
        Ok(()) => entry.lease().extended(asked, extension, Instant::now()),
        Err(error) if is_stale(&error) => {
            // A message that was deleted meanwhile has no lease to lose.
            if shared.look(|state| state.is_kept(entry)) {
                tracing::warn!(message_id = %entry.message().message_id, %error, "the lease is lost");
                shared.count(HEARTBEAT_FAILURES);
            }
            // While it is being deleted, that it is gone already is no loss.
            if !shared.look(|state| state.is_settling(entry)) {
                entry.refused();
            }
        }
        Err(error) => {
            tracing::warn!(message_id = %entry.message().message_id, %error, "the visibility could not be extended");
            shared.count(HEARTBEAT_FAILURES);
            let jitter = shared.client.ambient().fraction();
            entry.lease().not_extended(Instant::now(), jitter);
        }
    }
}

async fn release(shared: &Shared, entry: &Entry) {
    let _one_at_a_time = entry.changing.lock().await;
    let released = change_visibility(shared, entry, Duration::ZERO).await;
    shared.update(|state| match released {
        Ok(()) => state.finish(entry, false, Instant::now()),
        Err(error) => {
            tracing::warn!(message_id = %entry.message().message_id, %error, "the message could not be given back");
            state.abandon(entry, Instant::now());
        }
    });
}
