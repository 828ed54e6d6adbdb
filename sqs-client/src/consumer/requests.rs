//! The requests that settle messages and extend their leases.

use std::panic::AssertUnwindSafe;
#[cfg(feature = "testing")]
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{Either, join_all, select, select_ok};
use tokio::time::{Instant, sleep, timeout};

use crate::batcher::{Batcher, BatcherBuilder};
use crate::client::Client;
use crate::consumer::lease;
#[cfg(feature = "testing")]
use crate::consumer::recording::Recording;
use crate::consumer::settings::{ACK_LINGER, Settings};
use crate::error::{Error, ErrorCode};
use crate::queue_ref::QueueRef;

/// The part of a lease within which an extension must be confirmed. It is sent at half of the lease or before, and is
/// useless after its end.
const EXTENSION_PART: u32 = 2;
/// The part of a lease after which an extension without a response is sent once more.
const HEDGE_PART: u32 = 6;

#[derive(Debug)]
pub(super) struct Requests {
    client: Client,
    queue: QueueRef,
    settle_batcher: Batcher,
    /// The batcher of extensions. It is separate, because extensions have their own time limit.
    extension_batcher: Batcher,
    extension_time: Duration,
    hedge_after: Duration,
    no_change_batches: AtomicBool,
    no_delete_batches: AtomicBool,
    /// Responds in place of the queue in a test.
    #[cfg(feature = "testing")]
    pub(super) recording: Option<Arc<Recording>>,
}

impl Requests {
    pub(super) fn new(client: &Client, queue: &QueueRef, settings: &Settings) -> Self {
        let extension_time = lease::usable(settings.visibility_timeout) / EXTENSION_PART;
        // A call is only a receipt handle, and the consumer bounds the messages in flight. A limited capacity would
        // split the extensions of buffered messages into small batches.
        let batcher = BatcherBuilder::new(client.clone(), queue.clone()).capacity(usize::MAX);
        Self {
            client: client.clone(),
            queue: queue.clone(),
            settle_batcher: batcher.clone().linger(settings.ack_linger).build(),
            // A heartbeat requests all due extensions at once, so they need not wait for more.
            extension_batcher: batcher
                .linger(settings.ack_linger.min(ACK_LINGER))
                .request_time(extension_time)
                .build(),
            extension_time,
            hedge_after: lease::usable(settings.visibility_timeout) / HEDGE_PART,
            no_change_batches: AtomicBool::new(false),
            no_delete_batches: AtomicBool::new(false),
            #[cfg(feature = "testing")]
            recording: None,
        }
    }

    pub(super) async fn delete(&self, receipt_handle: String) -> Result<(), Error> {
        #[cfg(feature = "testing")]
        if let Some(recording) = &self.recording {
            return recording.delete();
        }
        let single = |handle: String| {
            unless_it_panics(async {
                let queue = self.queue.url(&self.client).await?;
                self.client.delete_message(queue, handle).await.map(drop)
            })
        };
        if self.no_delete_batches.load(Ordering::Relaxed) {
            return single(receipt_handle).await;
        }
        match self.settle_batcher.delete(receipt_handle.clone()).await {
            Err(error) if is_unknown(&error) => {
                let deleted = single(receipt_handle).await;
                remember_missing_batch(&self.no_delete_batches, &deleted, "DeleteMessageBatch");
                deleted
            }
            deleted => deleted,
        }
    }

    pub(super) async fn change_visibility(&self, receipt_handle: String, time: Duration) -> Result<(), Error> {
        #[cfg(feature = "testing")]
        if let Some(recording) = &self.recording {
            return recording.return_message(time);
        }
        self.change(&self.settle_batcher, receipt_handle, time).await
    }

    /// Hides the message for this time. If the first attempt has no response after a while, makes a second one beside it,
    /// and the first to succeed counts.
    ///
    /// Returns the earliest time at which that attempt was sent, and a future that ends with the other attempt. Until then,
    /// the other attempt may take effect after any later request.
    pub(super) async fn extend(
        &self,
        receipt_handle: &str,
        time: Duration,
    ) -> (Result<Instant, Error>, impl Future<Output = ()>) {
        let first = Box::pin(self.attempt(receipt_handle, time));
        let (extended, other) = match select(first, Box::pin(sleep(self.hedge_after))).await {
            Either::Left((result, _)) => (result, Vec::new()),
            Either::Right(((), first)) => {
                let second = Box::pin(self.attempt(receipt_handle, time));
                match select_ok([first, second]).await {
                    Ok((sent_at, other)) => (Ok(sent_at), other),
                    Err(error) => (Err(error), Vec::new()),
                }
            }
        };
        (extended, async { drop(join_all(other).await) })
    }

    async fn attempt(&self, receipt_handle: &str, time: Duration) -> Result<Instant, Error> {
        let sent_at = Instant::now();
        #[cfg(feature = "testing")]
        if let Some(recording) = &self.recording {
            return recording.extend(time).map(|()| sent_at);
        }
        // The batcher limits only the time of a batch, not that of its queue and of single calls.
        let changed = self.change(&self.extension_batcher, receipt_handle.to_owned(), time);
        let late = |_| Err(Error::timeout("the visibility extension had no response in time").sent(true));
        let changed = timeout(self.extension_time, changed).await;
        changed.unwrap_or_else(late).map(|()| sent_at)
    }

    async fn change(&self, batcher: &Batcher, receipt_handle: String, time: Duration) -> Result<(), Error> {
        let single = |handle: String| {
            unless_it_panics(async {
                let queue = self.queue.url(&self.client).await?;
                let request = self.client.change_message_visibility(queue, handle, time);
                request.await.map(drop)
            })
        };
        if self.no_change_batches.load(Ordering::Relaxed) {
            return single(receipt_handle).await;
        }
        match batcher.change_visibility(receipt_handle.clone(), time).await {
            Err(error) if is_unknown(&error) => {
                let changed = single(receipt_handle).await;
                remember_missing_batch(&self.no_change_batches, &changed, "ChangeMessageVisibilityBatch");
                changed
            }
            changed => changed,
        }
    }
}

/// Turns a panic of the caller's HTTP service or credentials source into an error, as the task of a batch does. It would
/// otherwise end the heartbeat, and with it the leases of all messages in flight.
async fn unless_it_panics(request: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
    let panicked = |_| Err(Error::closed("the request panicked before it received the response").sent(true));
    // A request changes no state that outlives it by halves.
    let ended = AssertUnwindSafe(request).catch_unwind().await;
    ended.unwrap_or_else(panicked)
}

/// Remembers that a server supports only the single form of an action.
fn remember_missing_batch(no_batches: &AtomicBool, single: &Result<(), Error>, action: &'static str) {
    if single.is_ok() && !no_batches.swap(true, Ordering::Relaxed) {
        tracing::info!(
            action,
            "the server does not support the batch action; using single calls"
        );
    }
}

/// Returns `true` if the server may not know the action. It says so, or refuses without an SQS error code.
fn is_unknown(error: &Error) -> bool {
    match error.code() {
        Some(ErrorCode::InvalidAction | ErrorCode::UnsupportedOperation) => true,
        Some(code) => code.is_unnamed() && matches!(error.status(), Some(400 | 404 | 405 | 501)),
        None => false,
    }
}

/// Returns `true` if the server says that no message is in flight by this receipt handle.
pub(super) fn is_stale(error: &Error) -> bool {
    matches!(
        error.code(),
        Some(ErrorCode::MessageNotInflight | ErrorCode::ReceiptHandleIsInvalid | ErrorCode::InvalidParameterValue)
    )
}
