//! The lane of one kind of calls, and the ways to end it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::batch::Batch;
use crate::batcher::call::UnpolledCall;
use crate::batcher::config::LaneConfig;
use crate::batcher::driver::Driver;
use crate::batcher::gate::{Event, Gate, Mailbox};

/// See [`Batcher::UNPOLLED_TIMEOUT`](crate::Batcher::UNPOLLED_TIMEOUT).
pub(super) const UNPOLLED_TIMEOUT: Duration = Duration::from_secs(1);

pub(super) struct Lane<B: Batch> {
    gate: Arc<Gate<B>>,
}

impl<B: Batch> Lane<B> {
    pub(super) fn new(config: LaneConfig<B>) -> Self {
        Self {
            gate: Arc::new(Gate::new(config, Driver::start)),
        }
    }

    /// Begins a call, for which a later shutdown waits.
    pub(super) fn begin(&self) -> UnpolledCall<B> {
        UnpolledCall::begin(&self.gate)
    }

    /// Waits, without lingering, until all calls in the lane have their results.
    pub(super) async fn flush(&self) {
        let (round, mailbox) = self.gate.end_round();
        let _hurry = mailbox.map(Hurry::new);
        self.gate.wait_until(|gate| gate.has_finished(round)).await;
    }

    pub(super) async fn shutdown(&self) {
        self.gate.shut();
        if self.gate.has_unpolled() {
            let all_polled = self.gate.wait_until(|gate| !gate.has_unpolled());
            // Calls that are later fail with an error.
            let _ = timeout(UNPOLLED_TIMEOUT, all_polled).await;
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

/// A guard that keeps the driver from lingering while it exists.
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
