//! Gathers the segments of payloads that are not complete.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::{Either, join_all, select};
use sqs_client::internal::DeliveryExt as _;
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

/// The interval between two checks for lost leases.
const LEASE_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// The buffered segments, which handlers share with a task that watches the time.
pub(super) struct Gathering {
    sender: Client,
    /// `None` once it is closed.
    reassembler: Mutex<Option<Reassembler<Segment>>>,
    /// Notified when the next deadline may have changed.
    changed: Notify,
    spill: Spill,
    hook: Hook,
    /// Set once it closes with the consumer.
    closes: AtomicBool,
    closed: watch::Sender<bool>,
}

/// A complete payload, with its segments in order and further messages of the same segments.
pub(super) struct Complete {
    pub(super) whole: Whole,
    pub(super) segments: Vec<Segment>,
    pub(super) duplicates: Vec<Segment>,
}

impl Complete {
    /// Returns `None` if there are no segments.
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
            spill: Spill::new(settings.spill_threshold, settings.max_spill_files),
            hook: settings.incomplete.clone(),
            closes: AtomicBool::new(false),
            closed: watch::Sender::new(false),
        }
    }

    /// Adds a segment. Returns the payload that it completes, and handles the effects on other payloads.
    pub(super) async fn offer(self: &Arc<Self>, segment: Segment) -> Option<Complete> {
        let whole = segment.header.whole.clone();
        let actions = match &mut *self.reassembler() {
            Some(reassembler) => {
                let (header, size) = (segment.header.clone(), segment.size());
                reassembler.offer(&header, size, segment, Instant::now())
            }
            // Dropping the segment returns it to the queue.
            None => Vec::new(),
        };
        self.changed.notify_one();
        let complete = self.perform(actions);
        // After the checks, because a segment that contradicts the payload must not get into its file.
        if complete.is_none() && self.spill.may_spill(whole.total) {
            self.spill_payload(&whole.id).await;
        }
        complete
    }

    /// Writes the buffered segments of a payload to its file if they use too much memory. If that fails, the payload is
    /// returned with the backoff.
    async fn spill_payload(self: &Arc<Self>, id: &str) {
        let each = |with: &mut dyn FnMut(&mut Segment)| {
            if let Some(reassembler) = &mut *self.reassembler() {
                reassembler.partial_mut(id).for_each(with);
            }
        };
        let Err(error) = self.spill.spill(each).await else {
            return;
        };
        tracing::warn!(
            payload_id = id,
            error = &error as &dyn std::error::Error,
            "failed to write a payload's segments to a temporary file; returning them to the queue"
        );
        let actions = match &mut *self.reassembler() {
            Some(reassembler) => {
                let delay = common_backoff(reassembler.partial_mut(id).map(|segment| &segment.delivery));
                reassembler.return_partial(id, delay, Instant::now())
            }
            None => Vec::new(),
        };
        self.perform(actions);
    }

    /// Performs actions in a task. Returns the complete payload, if there is one. There is at most one.
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
                other => others.push(Arc::clone(self).perform_one(other)),
            }
        }
        // Without a runtime the segments are dropped, and SQS delivers them again.
        if let (false, Ok(runtime)) = (others.is_empty(), Handle::try_current()) {
            runtime.spawn(join_all(others));
        }
        complete
    }

    async fn perform_one(self: Arc<Self>, action: Action<Segment>) {
        match action {
            // A duplicate may be an older receive of a buffered message, whose visibility must not change.
            Action::Return {
                token,
                why: ReturnReason::Duplicate,
                ..
            } => token.delivery.stop_tracking(),
            Action::Return { token, after, .. } => token.return_to_queue(after).await,
            Action::Delete { token } => token.delete().await,
            Action::Incomplete {
                whole,
                have,
                why,
                tokens,
                after,
                cost,
            } => {
                self.resolve_incomplete(&whole, have, why, tokens, after).await;
                if let Some(reassembler) = &mut *self.reassembler() {
                    reassembler.decided(cost);
                }
            }
            // `perform` returns it to its caller.
            Action::Deliver { .. } => {}
        }
    }

    /// Calls the hook for an incomplete payload, and carries out its decision.
    pub(super) async fn resolve_incomplete(
        &self,
        whole: &Whole,
        have: u32,
        why: IncompleteCause,
        segments: Vec<Segment>,
        delay: Duration,
    ) {
        let payload = IncompletePayload::new(whole, have, why);
        // A consumer that stops does not wait for a decision.
        let decision = match select(pin!(self.hook.decide(payload)), pin!(self.closed())).await {
            Either::Left((action, _)) => action,
            Either::Right(((), _)) => IncompleteAction::Return,
        };
        match decision {
            IncompleteAction::Return => return_head_last(segments, delay).await,
            IncompleteAction::Delete => drop(join_all(segments.into_iter().map(Segment::delete)).await),
            IncompleteAction::MoveTo(queue_url) => {
                // One after another, to keep their order.
                for segment in segments {
                    segment.move_to(&self.sender, &queue_url).await;
                }
            }
        }
    }

    /// Returns the observer of a complete payload.
    pub(super) fn observer(self: &Arc<Self>, id: String) -> Observer {
        let this = Arc::clone(self);
        Observer {
            trusts_unconfirmed: false,
            on_end: Box::new(move |end| {
                let now = Instant::now();
                this.update(|reassembler| match end {
                    PayloadEnd::Acknowledged => reassembler.acked(&id, now),
                    PayloadEnd::Returned(until) => reassembler.returned(&id, until.unwrap_or(now), now),
                });
            }),
        }
    }

    fn update(self: &Arc<Self>, update: impl FnOnce(&mut Reassembler<Segment>) -> Vec<Action<Segment>>) {
        let actions = self.reassembler().as_mut().map(update).unwrap_or_default();
        self.perform(actions);
    }

    /// Closes when this delivery's consumer stops, which otherwise waits for the buffered segments.
    pub(super) fn close_with(self: &Arc<Self>, delivery: &Delivery) {
        if !self.closes.swap(true, Ordering::Relaxed) {
            let (this, stopped) = (Arc::clone(self), delivery.consumer_stopped());
            tokio::spawn(async move {
                stopped.await;
                this.close();
            });
        }
    }

    /// Handles deadlines and lost leases until it is closed.
    pub(super) async fn run_timers(self: Arc<Self>) {
        loop {
            let now = Instant::now();
            let (actions, lost, deadline) = match &mut *self.reassembler() {
                Some(reassembler) => {
                    let lost = reassembler.remove_lost(|segment| segment.delivery.lease_remaining().is_zero(), now);
                    let actions = reassembler.tick(now);
                    let check = reassembler.buffered().next().map(|_| now + LEASE_CHECK_INTERVAL);
                    (
                        actions,
                        lost,
                        reassembler.next_deadline().into_iter().chain(check).min(),
                    )
                }
                None => return,
            };
            // SQS delivers lost segments again.
            drop(lost);
            self.perform(actions);
            match deadline {
                Some(deadline) => drop(timeout_at(deadline, self.changed.notified()).await),
                None => self.changed.notified().await,
            }
        }
    }

    /// Returns all buffered segments to the queue, and all that are offered later.
    pub(super) fn close(&self) {
        let buffered = self.reassembler().take().map(|mut reassembler| reassembler.drain());
        // Dropping the segments returns them at once.
        drop(buffered);
        self.closed.send_replace(true);
        self.changed.notify_one();
    }

    async fn closed(&self) {
        // The sender lives as long as `self`, so this cannot fail.
        let _ = self.closed.subscribe().wait_for(|closed| *closed).await;
    }

    fn reassembler(&self) -> MutexGuard<'_, Option<Reassembler<Segment>>> {
        self.reassembler.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
