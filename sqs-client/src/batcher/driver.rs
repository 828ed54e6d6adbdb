//! The task of a lane: it gathers calls, and decides when a batch goes out.

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

/// How many times the linger time a batch that is not full waits while another such is under way.
///
/// Under load, callers come back with the answers of a batch. If each small batch went out when its time is over, few
/// that came back together would stay together: 64 callers of a server that answers within 40 ms would fill 8 entries of
/// 10. So the next waits for the former's answer, which brings more, within this bound.
const PATIENCE: u32 = 10;

pub(super) struct Driver<B: Batch> {
    config: LaneConfig<B>,
    gate: Arc<Gate<B>>,
    events: UnboundedReceiver<Event<B>>,
    mailbox: Mailbox<B>,
    queue: Queue<B>,
    /// Batches under way, and those of them that were not full.
    running: usize,
    not_full: usize,
    /// How many wait for all that is queued.
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

    /// Sends until it is told that no call will follow, and all are answered.
    async fn run(mut self) {
        while !self.closed || !self.queue.is_empty() || self.running > 0 {
            if let Some(event) = self.next_event().await {
                self.handle(event);
            }
            // Whoever is about to call is let do so, and all that is there already is taken: so a batch is not sent beside
            // what it has room for, and fewer looks are taken.
            give_way().await;
            while let Ok(event) = self.events.try_recv() {
                self.handle(event);
            }
            while self.may_send() && self.is_due() {
                self.send_batch();
            }
        }
    }

    /// The next event, or `None` when the next batch has lingered for its time.
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
                self.queue.release(&sent.groups);
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

    /// How long a batch that is not full waits.
    fn patience(&self) -> Duration {
        let times = if self.not_full > 0 { PATIENCE } else { 1 };
        self.config.settings.linger.saturating_mul(times)
    }

    /// The one place where a batch is sent.
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
        let underway = Underway {
            calls,
            sent: Some(Sent { groups, full }),
            gate: self.gate.clone(),
            mailbox: self.mailbox.clone(),
        };
        self.running += 1;
        self.not_full += usize::from(!full);
        // A task of its own: batches are encoded on all cores, and a panic is the batch's own.
        tokio::spawn(async move {
            let underway = underway;
            let results = results.await;
            underway.finish(results);
        });
    }
}

/// Lets all tasks run first that are ready on this thread. Unlike tokio's `yield_now`, which waits for its own thread, it
/// can go on on another.
async fn give_way() {
    let mut given = false;
    poll_fn(|context| match std::mem::replace(&mut given, true) {
        true => Poll::Ready(()),
        false => {
            context.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await;
}

/// A batch whose task runs. However that ends, the calls are answered, and the driver hears of it.
struct Underway<B: Batch> {
    /// The calls, each with its group where order matters.
    calls: Vec<(Option<String>, Reply<B>)>,
    sent: Option<Sent>,
    gate: Arc<Gate<B>>,
    mailbox: Mailbox<B>,
}

impl<B: Batch> Underway<B> {
    fn finish(mut self, results: Results<B>) {
        let errors = results.iter().map(|result| result.as_ref().err());
        self.hold_back(errors);
        for ((_, reply), result) in self.calls.drain(..).zip(results) {
            reply.send(result);
        }
    }

    /// Holds back what is behind the calls that failed. Their callers hear of the failure only afterwards, so that what
    /// they then send again is not held back.
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

impl<B: Batch> Drop for Underway<B> {
    fn drop(&mut self) {
        if !self.calls.is_empty() {
            let lost = Error::closed("the batch's task ended before it had a response").sent(true);
            self.hold_back(std::iter::repeat(Some(&lost)));
            self.calls.clear();
        }
        if let Some(sent) = self.sent.take() {
            // Without a driver nobody waits for it.
            let _ = self.mailbox.send(Event::Ended(sent));
        }
    }
}
