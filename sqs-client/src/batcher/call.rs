//! A call, from its method's return to its result.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::batch::Batch;
use crate::batcher::gate::{Gate, shut_down};
use crate::error::Error;

/// A call whose future was not polled.
pub(super) struct UnpolledCall<B: Batch> {
    gate: Arc<Gate<B>>,
    /// `true` if the call was made after a shutdown had begun.
    late: bool,
}

impl<B: Batch> UnpolledCall<B> {
    /// Begins a call, for which a later shutdown waits.
    pub(super) fn begin(gate: &Arc<Gate<B>>) -> Self {
        Self {
            late: !gate.add_unpolled(),
            gate: gate.clone(),
        }
    }

    /// Queues an entry as soon as there is capacity for it, and waits for its result.
    pub(super) async fn run(self, item: B::Item) -> Result<B::Result, Error> {
        let entered = self.enter(item);
        let result = match entered {
            Ok(entered) => entered.result().await,
            Err(error) => Err(error),
        };
        result.map_err(|error| error.with_operation(B::NAME))
    }

    fn enter(self, item: B::Item) -> Result<PendingCall<B>, Error> {
        B::check(&item, self.gate.config().ordered)?;
        B::check_content(&item)?;
        if self.late {
            return Err(shut_down());
        }
        let (response, waiting) = self.gate.enter(item)?;
        Ok(PendingCall {
            gate: self.gate.clone(),
            response,
            waiting,
        })
    }
}

impl<B: Batch> Drop for UnpolledCall<B> {
    fn drop(&mut self) {
        if !self.late {
            self.gate.remove_unpolled();
        }
    }
}

/// A call in the lane. Dropping it removes it from the calls that wait for capacity.
struct PendingCall<B: Batch> {
    gate: Arc<Gate<B>>,
    response: oneshot::Receiver<Result<B::Result, Error>>,
    /// Its number, if it had to wait for capacity.
    waiting: Option<u64>,
}

impl<B: Batch> PendingCall<B> {
    async fn result(mut self) -> Result<B::Result, Error> {
        let lost = |_| Err(Error::closed("the batcher's task ended before it received the response").sent(true));
        let result = (&mut self.response).await.unwrap_or_else(lost);
        self.waiting = None;
        result
    }
}

impl<B: Batch> Drop for PendingCall<B> {
    fn drop(&mut self) {
        if let Some(number) = self.waiting {
            self.gate.take_back(number);
        }
    }
}
