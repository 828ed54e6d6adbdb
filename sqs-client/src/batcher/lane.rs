//! One kind of calls: the way in, and the ways to end.

use std::sync::Arc;

use tokio::time::timeout;

use crate::batch::Batch;
use crate::batcher::driver::{Event, Mailbox};
use crate::batcher::gate::{Gate, UnpolledCall};
use crate::batcher::{Batcher, Settings};
use crate::client::batch_limit::BatchLimit;
use crate::credentials::BoxFuture;
use crate::error::Error;

/// Sends the items of a batch: one result for each, in their order.
pub(super) type SendBatch<B> = Arc<dyn Fn(Vec<<B as Batch>::Item>) -> BoxFuture<'static, Results<B>> + Send + Sync>;

pub(super) type Results<B> = Vec<Result<<B as Batch>::Result, Error>>;

/// The settings of a lane's driver.
pub(super) struct LaneConfig<B: Batch> {
    pub(super) settings: Settings,
    /// Whether the queue keeps the order of groups.
    pub(super) ordered: bool,
    pub(super) limit: BatchLimit,
    pub(super) send: SendBatch<B>,
}

impl<B: Batch> Clone for LaneConfig<B> {
    fn clone(&self) -> Self {
        Self {
            settings: self.settings,
            ordered: self.ordered,
            limit: self.limit.clone(),
            send: self.send.clone(),
        }
    }
}

pub(super) struct Lane<B: Batch> {
    gate: Arc<Gate<B>>,
}

impl<B: Batch> Lane<B> {
    pub(super) fn new(config: LaneConfig<B>) -> Self {
        Self {
            gate: Arc::new(Gate::new(config)),
        }
    }

    /// Begins a call, which a later shutdown lets finish.
    pub(super) fn begin(&self) -> UnpolledCall<B> {
        self.gate.begin()
    }

    /// Waits, without lingering, until all calls that were handed over have their results.
    pub(super) async fn flush(&self) {
        let (round, mailbox) = self.gate.end_round();
        let _hurry = mailbox.map(Hurry::new);
        self.gate.wait_until(|gate| gate.has_finished(round)).await;
    }

    pub(super) async fn shutdown(&self) {
        self.gate.shut();
        if self.gate.has_unpolled() {
            let all_polled = self.gate.wait_until(|gate| !gate.has_unpolled());
            // Those that are late fail, and say so.
            let _ = timeout(Batcher::UNPOLLED_TIMEOUT, all_polled).await;
        }
        self.gate.close();
        self.flush().await;
    }
}

impl<B: Batch> Drop for Lane<B> {
    fn drop(&mut self) {
        self.gate.close();
    }
}

/// While it lives, the driver does not linger.
struct Hurry<B: Batch>(Mailbox<B>);

impl<B: Batch> Hurry<B> {
    fn new(mailbox: Mailbox<B>) -> Self {
        let _ = mailbox.send(Event::Hurry);
        Self(mailbox)
    }
}

impl<B: Batch> Drop for Hurry<B> {
    fn drop(&mut self) {
        let _ = self.0.send(Event::Calm);
    }
}
