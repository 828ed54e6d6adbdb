//! The segments that wait for others of their payloads.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::{Either, join_all, select};
use sqs_client::{Client, Delivery};
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout_at};

use crate::consumer::fifo_groups::return_head_last;
use crate::consumer::held_segment::Segment;
use crate::consumer::incomplete::{Hook, IncompleteAction, IncompletePayload};
use crate::consumer::settings::Settings;
use crate::consumer::spill::Spill;
use crate::receive::claimed_segments::{Observer, PayloadEnd, common_backoff};
use crate::segment::{Action, IncompleteCause, Reassembler, ReturnReason, Whole};
use crate::shared::Shared;

/// How often it is looked after leases that were lost.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The state that handlers share, and the task that minds the time.
pub(super) struct Gathering {
    sender: Client,
    /// `None` once it is closed.
    reassembler: Mutex<Option<Reassembler<Segment>>>,
    /// Something changed that time may have to do with.
    changed: Notify,
    spilling: Spill,
    incomplete: Hook,
    /// Whether it closes with the consumer.
    closes: AtomicBool,
    closed: watch::Sender<bool>,
}

/// A complete payload: what is known of it, its segments in order, and further messages of theirs.
pub(super) struct Complete {
    pub(super) whole: Whole,
    pub(super) segments: Vec<Segment>,
    pub(super) duplicates: Vec<Segment>,
}

impl Complete {
    /// `None` if there are no segments.
    pub(super) fn new(segments: Vec<Segment>, duplicates: Vec<Segment>) -> Option<Self> {
        let whole = segments.first()?.header.whole.clone();
        Some(Self {
            whole,
            segments,
            duplicates,
        })
    }
}

impl Gathering {
    pub(super) fn new(shared: &Shared, settings: &Settings) -> Self {
        let random = shared.random.clone();
        let reassembler = Reassembler::new(settings.limits(), move || random.fraction());
        Self {
            sender: shared.sender.clone(),
            reassembler: Mutex::new(Some(reassembler)),
            changed: Notify::new(),
            spilling: Spill::new(settings.spill_threshold, settings.max_spill_files),
            incomplete: settings.incomplete.clone(),
            closes: AtomicBool::new(false),
            closed: watch::Sender::new(false),
        }
    }

    /// Takes in a segment, and does what is to be done about others but for the payload that it completes.
    pub(super) async fn offer(self: &Arc<Self>, segment: Segment) -> Option<Complete> {
        let whole = segment.header.whole.clone();
        let actions = match &mut *self.reassembler() {
            Some(reassembler) => {
                let (header, size) = (segment.header.clone(), segment.size());
                reassembler.offer(&header, size, segment, Instant::now())
            }
            // Dropped, and so returned.
            None => Vec::new(),
        };
        self.changed.notify_one();
        let complete = self.perform(actions);
        // Only now, as what contradicts the payload must not be written to its file.
        if complete.is_none() && self.spilling.concerns(whole.total) {
            self.spill(&whole.id).await;
        }
        complete
    }

    /// Writes what is held of a payload to its file, where it is too much for memory. A payload that cannot be written is
    /// returned by the backoff, as one that cannot be handled.
    async fn spill(self: &Arc<Self>, id: &str) {
        let each = |with: &mut dyn FnMut(&mut Segment)| {
            if let Some(reassembler) = &mut *self.reassembler() {
                reassembler.partial_mut(id).for_each(with);
            }
        };
        let Err(error) = self.spilling.spill(each).await else {
            return;
        };
        tracing::warn!(
            payload_id = id,
            error = &error as &dyn std::error::Error,
            "a payload's segments could not be written to a temporary file, and are returned"
        );
        let actions = match &mut *self.reassembler() {
            Some(reassembler) => {
                let after = common_backoff(reassembler.partial_mut(id).map(|segment| &segment.delivery));
                reassembler.return_partial(id, after, Instant::now())
            }
            None => Vec::new(),
        };
        self.perform(actions);
    }

    /// Does what is to be done, in a task of its own, and returns the payload that is complete, of which there is at most
    /// one.
    fn perform(self: &Arc<Self>, actions: Vec<Action<Segment>>) -> Option<Complete> {
        let mut complete = None;
        let mut others = Vec::new();
        for action in actions {
            match action {
                Action::Deliver {
                    whole,
                    segments,
                    duplicates,
                } => {
                    complete = Some(Complete {
                        whole,
                        segments,
                        duplicates,
                    });
                }
                other => others.push(Arc::clone(self).settle(other)),
            }
        }
        // Without a runtime the segments are dropped, and come again by themselves.
        if let (false, Ok(runtime)) = (others.is_empty(), Handle::try_current()) {
            runtime.spawn(join_all(others));
        }
        complete
    }

    async fn settle(self: Arc<Self>, action: Action<Segment>) {
        match action {
            // Perhaps the same message as one that is held, by an older receipt: its visibility is not to be touched.
            Action::Return {
                token,
                why: ReturnReason::Duplicate,
                ..
            } => token.delivery.disown(),
            Action::Return { token, after, .. } => token.release(after).await,
            Action::Delete { token } => token.delete().await,
            Action::Incomplete {
                whole,
                have,
                why,
                tokens,
                after,
                cost,
            } => {
                self.incomplete(&whole, have, why, tokens, after).await;
                if let Some(reassembler) = &mut *self.reassembler() {
                    reassembler.decided(cost);
                }
            }
            // Somebody else's to handle.
            Action::Deliver { .. } => {}
        }
    }

    /// Does with the segments of an incomplete payload what the caller decides.
    pub(super) async fn incomplete(
        &self,
        whole: &Whole,
        have: u32,
        why: IncompleteCause,
        segments: Vec<Segment>,
        after: Duration,
    ) {
        let payload = IncompletePayload::new(whole, have, why);
        // There is no time for a decision once the consumer stops.
        let decided = match select(pin!(self.incomplete.decide(payload)), pin!(self.closed())).await {
            Either::Left((action, _)) => action,
            Either::Right(((), _)) => IncompleteAction::Return,
        };
        match decided {
            IncompleteAction::Return => return_head_last(segments, after).await,
            IncompleteAction::Delete => drop(join_all(segments.into_iter().map(Segment::delete)).await),
            IncompleteAction::MoveTo(queue_url) => {
                // In their order.
                for segment in segments {
                    segment.move_to(&self.sender, &queue_url).await;
                }
            }
        }
    }

    /// Returns the observer of a payload that is complete.
    pub(super) fn observer(self: &Arc<Self>, id: String) -> Observer {
        let this = Arc::clone(self);
        Observer {
            trusts_unconfirmed: false,
            on_end: Box::new(move |end| {
                let now = Instant::now();
                this.settled(|reassembler| match end {
                    PayloadEnd::Acknowledged => reassembler.acked(&id, now),
                    PayloadEnd::Returned(until) => reassembler.returned(&id, until.unwrap_or(now), now),
                });
            }),
        }
    }

    fn settled(self: &Arc<Self>, settle: impl FnOnce(&mut Reassembler<Segment>) -> Vec<Action<Segment>>) {
        let actions = self.reassembler().as_mut().map(settle).unwrap_or_default();
        self.perform(actions);
    }

    /// Closes once the consumer stops that this message is from: what waits here would never be at rest.
    pub(super) fn close_with(self: &Arc<Self>, delivery: &Delivery) {
        if !self.closes.swap(true, Ordering::Relaxed) {
            let (this, stopped) = (Arc::clone(self), delivery.consumer_stopped());
            tokio::spawn(async move {
                stopped.await;
                this.close();
            });
        }
    }

    /// Minds the time, until it is closed.
    pub(super) async fn keep(self: Arc<Self>) {
        loop {
            let now = Instant::now();
            let (actions, lost, deadline) = match &mut *self.reassembler() {
                Some(reassembler) => {
                    let lost = reassembler.remove_lost(|segment| segment.delivery.lease_remaining().is_zero(), now);
                    let actions = reassembler.tick(now);
                    let look = reassembler.buffered().next().map(|_| now + LOOK_EVERY);
                    (actions, lost, reassembler.next_deadline().into_iter().chain(look).min())
                }
                None => return,
            };
            // They come again by themselves.
            drop(lost);
            self.perform(actions);
            match deadline {
                Some(deadline) => drop(timeout_at(deadline, self.changed.notified()).await),
                None => self.changed.notified().await,
            }
        }
    }

    /// Returns all that is held, and whatever else comes.
    pub(super) fn close(&self) {
        let held = self.reassembler().take().map(|mut reassembler| reassembler.drain());
        // What is dropped is returned at once.
        drop(held);
        self.closed.send_replace(true);
        self.changed.notify_one();
    }

    async fn closed(&self) {
        // It ends only with this, which is borrowed.
        let _ = self.closed.subscribe().wait_for(|closed| *closed).await;
    }

    fn reassembler(&self) -> MutexGuard<'_, Option<Reassembler<Segment>>> {
        self.reassembler.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
