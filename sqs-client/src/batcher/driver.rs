//! The task of a lane, which gathers calls and decides when to send a batch.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

use crate::batch::{Batch, FailedGroups};
use crate::batcher::config::LaneConfig;
use crate::batcher::gate::{Event, Gate, Mailbox, Reply, Sent};
use crate::batcher::queue::Queue;
use crate::batcher::send_batch::Results;
use crate::error::Error;

/// The factor on the linger time of a batch that is not full while another such batch is in flight.
///
/// Under load, callers make their next calls when a batch has its response. If each small batch were sent after its
/// linger time, few of these calls would share a batch. For example, 64 callers of a server that responds within 40 ms
/// would fill 8 of 10 entries. The next batch therefore waits for the response to the earlier one, after which more
/// calls come.
const PATIENCE: u32 = 10;

pub(super) struct Driver<B: Batch> {
    config: LaneConfig<B>,
    gate: Arc<Gate<B>>,
    events: UnboundedReceiver<Event<B>>,
    mailbox: Mailbox<B>,
    queue: Queue<B>,
    /// The number of batches in flight, and of those among them that were not full.
    running: usize,
    not_full: usize,
    /// The number of waiters for all queued calls.
    hurry: usize,
    closed: bool,
}

impl<B: Batch> Driver<B> {
    /// Spawns the driver of a gate.
    pub(super) fn start(runtime: &Handle, gate: &Arc<Gate<B>>) -> Mailbox<B> {
        let (mailbox, events) = unbounded_channel();
        let config = gate.config().clone();
        let this = Self {
            queue: Queue::new(config.ordered, config.limit.clone()),
            config,
            gate: gate.clone(),
            events,
            mailbox: mailbox.clone(),
            running: 0,
            not_full: 0,
            hurry: 0,
            closed: false,
        };
        runtime.spawn(this.run());
        mailbox
    }

    /// Sends batches until no call will follow and all calls have their results.
    async fn run(mut self) {
        while !self.closed || !self.queue.is_empty() || self.running > 0 {
            if let Some(event) = self.next_event().await {
                self.handle(event);
            }
            // Tasks that are about to make a call do so now, so that a batch does not leave without calls that it has room
            // for.
            give_way().await;
            while let Ok(event) = self.events.try_recv() {
                self.handle(event);
            }
            while self.may_send() && self.is_due() {
                self.send_batch();
            }
        }
    }

    /// Returns the next event, or `None` when the next batch has lingered for its time.
    async fn next_event(&mut self) -> Option<Event<B>> {
        let age = if self.may_send() { self.queue.age() } else { None };
        match age {
            Some(age) => {
                let left = self.patience().saturating_sub(age);
                timeout(left, self.events.recv()).await.ok().flatten()
            }
            None => self.events.recv().await,
        }
    }

    fn handle(&mut self, event: Event<B>) {
        match event {
            Event::Call(call) => self.queue.push(call),
            Event::Hurry => self.hurry += 1,
            Event::Calm => self.hurry = self.hurry.saturating_sub(1),
            Event::Failed(failed) => {
                for (reply, reason) in self.queue.hold_back(&failed) {
                    reply.send(Err(reason));
                }
            }
            Event::Ended(sent) => {
                self.running = self.running.saturating_sub(1);
                self.not_full = self.not_full.saturating_sub(usize::from(!sent.full));
                self.queue.unblock(&sent.groups);
            }
            Event::Close => self.closed = true,
        }
    }

    fn may_send(&self) -> bool {
        self.running < self.config.settings.concurrency
    }

    fn is_due(&self) -> bool {
        let hurry = self.hurry > 0 || self.closed;
        let age = self.queue.age();
        self.queue.is_full() || age.is_some_and(|age| hurry || age >= self.patience())
    }

    /// Returns the time for which a batch that is not full waits.
    fn patience(&self) -> Duration {
        let times = if self.not_full > 0 { PATIENCE } else { 1 };
        self.config.settings.linger.saturating_mul(times)
    }

    /// Sends the next batch in a task of its own.
    fn send_batch(&mut self) {
        let full = self.queue.is_full();
        let (calls, groups) = self.queue.take();
        let (items, calls): (_, Vec<_>) = calls
            .into_iter()
            .map(|call| {
                let group = B::group(&call.item).filter(|_| self.config.ordered).map(str::to_owned);
                (call.item, (group, call.reply))
            })
            .unzip();
        let results = (self.config.send)(items);
        let in_flight = InFlight {
            calls,
            sent: Some(Sent { groups, full }),
            gate: self.gate.clone(),
            mailbox: self.mailbox.clone(),
        };
        self.running += 1;
        self.not_full += usize::from(!full);
        // In their own tasks, batches are encoded on all cores, and a panic affects one batch only.
        tokio::spawn(async move {
            let in_flight = in_flight;
            let results = results.await;
            in_flight.finish(results);
        });
    }
}

/// Lets the tasks that are ready on this thread run first. Unlike after tokio's `yield_now`, the driver may continue on
/// another thread.
async fn give_way() {
    let mut yielded = false;
    poll_fn(|context| match std::mem::replace(&mut yielded, true) {
        true => Poll::Ready(()),
        false => {
            context.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await;
}

/// A batch in flight. However its task ends, the callers get results, and the driver is notified.
struct InFlight<B: Batch> {
    /// The calls, each with its group if the queue keeps order.
    calls: Vec<(Option<String>, Reply<B>)>,
    sent: Option<Sent>,
    gate: Arc<Gate<B>>,
    mailbox: Mailbox<B>,
}

impl<B: Batch> InFlight<B> {
    fn finish(mut self, results: Results<B>) {
        let errors = results.iter().map(|result| result.as_ref().err());
        self.hold_back(errors);
        for ((_, reply), result) in self.calls.drain(..).zip(results) {
            reply.send(result);
        }
    }

    /// Holds back the calls behind those that failed. The failed calls' callers get their results only afterwards, so that
    /// messages which they send again are not held back.
    fn hold_back<'e>(&self, errors: impl Iterator<Item = Option<&'e Error>>) {
        let mut failed = FailedGroups::default();
        for ((group, _), error) in self.calls.iter().zip(errors) {
            if let (Some(group), Some(error)) = (group, error) {
                failed.add(group, error);
            }
        }
        if !failed.is_empty() {
            self.gate.hold_back(failed);
        }
    }
}

impl<B: Batch> Drop for InFlight<B> {
    fn drop(&mut self) {
        if !self.calls.is_empty() {
            let lost = Error::closed("the batch's task ended before it received the response").sent(true);
            self.hold_back(std::iter::repeat(Some(&lost)));
            self.calls.clear();
        }
        if let Some(sent) = self.sent.take() {
            // If the driver has ended, the event has no receiver.
            let _ = self.mailbox.send(Event::Ended(sent));
        }
    }
}
