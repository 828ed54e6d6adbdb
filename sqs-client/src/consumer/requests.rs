//! The requests that settle messages and keep their leases.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::{Either, join_all, select, select_ok};
use tokio::time::{Instant, sleep, timeout};

use crate::batcher::Batcher;
use crate::client::Client;
use crate::consumer::{Consumer, Settings, lease};
use crate::error::{Error, ErrorCode};

/// An extension may take this part of a lease: it is sent at half of the lease or before, and is of no use after its end.
const EXTENSION_PART: u32 = 2;
/// An extension that has no response after this part of a lease is sent once more.
const PATIENCE_PART: u32 = 6;

#[derive(Debug)]
pub(super) struct Requests {
    client: Client,
    queue_url: String,
    settle: Batcher,
    /// With a time limit of their own.
    extend: Batcher,
    extension_time: Duration,
    patience: Duration,
    no_change_batches: AtomicBool,
    no_delete_batches: AtomicBool,
}

impl Requests {
    pub(super) fn new(client: &Client, queue_url: &str, settings: &Settings) -> Self {
        let extension_time = lease::usable(settings.visibility_timeout) / EXTENSION_PART;
        // A call is a receipt handle, and messages in flight are bounded by whoever holds them. A capacity of the
        // batcher's own would leave extensions of buffered messages waiting in ones and twos.
        let batcher = client.batcher(queue_url).capacity(usize::MAX);
        Self {
            client: client.clone(),
            queue_url: queue_url.to_owned(),
            settle: batcher.clone().linger(settings.ack_linger).build(),
            // A heartbeat's round asks for all extensions at once, so they need not wait for company.
            extend: batcher
                .linger(settings.ack_linger.min(Consumer::DEFAULT_ACK_LINGER))
                .request_time(extension_time)
                .build(),
            extension_time,
            patience: lease::usable(settings.visibility_timeout) / PATIENCE_PART,
            no_change_batches: AtomicBool::new(false),
            no_delete_batches: AtomicBool::new(false),
        }
    }

    pub(super) async fn delete(&self, receipt_handle: String) -> Result<(), Error> {
        let single = async |handle: String| {
            let deleted = self.client.delete_message(self.queue_url.as_str(), handle).await;
            deleted.map(drop)
        };
        if self.no_delete_batches.load(Ordering::Relaxed) {
            return single(receipt_handle).await;
        }
        match self.settle.delete(receipt_handle.clone()).await {
            Err(error) if is_unknown(&error) => {
                let deleted = single(receipt_handle).await;
                learn(&self.no_delete_batches, &deleted, "DeleteMessageBatch");
                deleted
            }
            deleted => deleted,
        }
    }

    pub(super) async fn change_visibility(&self, receipt_handle: String, time: Duration) -> Result<(), Error> {
        self.change(&self.settle, receipt_handle, time).await
    }

    /// Hides the message for this time. Where the first attempt has no response in good time, another is made beside it,
    /// and the first that succeeds counts. Returns when that was sent at the earliest, and a future that ends with the
    /// other attempt: until then, that may take effect after whatever is asked next.
    pub(super) async fn extend(
        &self,
        receipt_handle: &str,
        time: Duration,
    ) -> (Result<Instant, Error>, impl Future<Output = ()>) {
        let first = Box::pin(self.attempt(receipt_handle, time));
        let (extended, other) = match select(first, Box::pin(sleep(self.patience))).await {
            Either::Left((result, _)) => (result, Vec::new()),
            Either::Right(((), first)) => {
                let second = Box::pin(self.attempt(receipt_handle, time));
                match select_ok([first, second]).await {
                    Ok((asked, other)) => (Ok(asked), other),
                    Err(error) => (Err(error), Vec::new()),
                }
            }
        };
        (extended, async { drop(join_all(other).await) })
    }

    async fn attempt(&self, receipt_handle: &str, time: Duration) -> Result<Instant, Error> {
        let asked = Instant::now();
        // The batcher keeps to the time of a batch; beside it there are its queue and single calls.
        let changed = self.change(&self.extend, receipt_handle.to_owned(), time);
        let late = |_| Err(Error::timeout("the extension had no response in time").sent(true));
        let changed = timeout(self.extension_time, changed).await;
        changed.unwrap_or_else(late).map(|()| asked)
    }

    async fn change(&self, batcher: &Batcher, receipt_handle: String, time: Duration) -> Result<(), Error> {
        let single = async |handle: String| {
            let request = self
                .client
                .change_message_visibility(self.queue_url.as_str(), handle, time);
            request.await.map(drop)
        };
        if self.no_change_batches.load(Ordering::Relaxed) {
            return single(receipt_handle).await;
        }
        match batcher.change_visibility(receipt_handle.clone(), time).await {
            Err(error) if is_unknown(&error) => {
                let changed = single(receipt_handle).await;
                learn(&self.no_change_batches, &changed, "ChangeMessageVisibilityBatch");
                changed
            }
            changed => changed,
        }
    }
}

/// Remembers that a server knows an action in its single form only.
fn learn(no_batches: &AtomicBool, single: &Result<(), Error>, action: &'static str) {
    if single.is_ok() && !no_batches.swap(true, Ordering::Relaxed) {
        tracing::info!(
            action,
            "the server does not know the batch action; single calls are made"
        );
    }
}

/// Returns `true` if the server may not know the action: it says so, or refuses without a code of SQS.
fn is_unknown(error: &Error) -> bool {
    match error.code() {
        Some(ErrorCode::InvalidAction | ErrorCode::UnsupportedOperation) => true,
        Some(code) => code.is_unnamed() && matches!(error.status(), Some(400 | 404 | 405 | 501)),
        None => false,
    }
}

/// Returns `true` if the server says that the receipt handle is not, or no longer, one that holds a message.
pub(super) fn is_stale(error: &Error) -> bool {
    matches!(
        error.code(),
        Some(ErrorCode::MessageNotInflight | ErrorCode::ReceiptHandleIsInvalid | ErrorCode::InvalidParameterValue)
    )
}
