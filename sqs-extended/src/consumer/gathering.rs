//! The segments that wait for others of their payloads.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures::future::join_all;
use sqs_client::Client;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::Settings;
use super::incomplete::{Hook, IncompleteAction, IncompletePayload};
use super::segment::Segment;
use crate::client::ExtendedClient;
use crate::error::{Error, ErrorKind};
use crate::segment::{Action, Incomplete, Reassembler, Released, SegmentBytes, SpillFile, Whole};

/// How often it is looked after leases that were lost.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The state that handlers share, and the task that minds the time.
pub(super) struct Gathering {
    client: Client,
    /// `None` once it is closed.
    reassembler: Mutex<Option<Reassembler<Segment>>>,
    /// Something changed that time may have to do with.
    changed: Notify,
    spill_above: u64,
    /// The files of payloads that are gathered.
    spills: Mutex<HashMap<String, Weak<SpillFile>>>,
    incomplete: Hook,
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
    pub(super) fn new(extended: &ExtendedClient, settings: &Settings) -> Self {
        let ambient = extended.0.ambient.clone();
        let reassembler = Reassembler::new(settings.limits(), move || ambient.fraction());
        Self {
            client: extended.client().clone(),
            reassembler: Mutex::new(Some(reassembler)),
            changed: Notify::new(),
            spill_above: settings.spill_above,
            spills: Mutex::default(),
            incomplete: settings.incomplete.clone(),
        }
    }

    /// Takes in a segment, and does what is to be done about others but for the payload that it completes.
    ///
    /// # Errors
    ///
    /// The segment could not be written to its file; it is given back.
    pub(super) async fn offer(&self, segment: Segment) -> Result<Option<Complete>, Error> {
        let segment = self.spilled(segment).await?;
        let actions = match &mut *self.reassembler() {
            Some(reassembler) => {
                let (header, len) = (segment.header.clone(), segment.len());
                reassembler.offer(&header, len, segment, Instant::now())
            }
            // Dropped, and so given back.
            None => Vec::new(),
        };
        self.changed.notify_one();
        Ok(self.perform(actions).await)
    }

    /// Of a large payload, the segment's bytes go to the file that all of them share.
    async fn spilled(&self, mut segment: Segment) -> Result<Segment, Error> {
        let SegmentBytes::Memory(bytes) = &segment.bytes else {
            return Ok(segment);
        };
        if segment.header.whole.total <= self.spill_above {
            return Ok(segment);
        }
        let failed = |error| {
            Error::io(
                ErrorKind::File,
                "a segment could not be written to a temporary file",
                error,
            )
        };
        let file = self.spill_file(&segment.header.whole.id).map_err(failed)?;
        let bytes = bytes.clone();
        segment.bytes = SegmentBytes::spill(bytes, file, &segment.header)
            .await
            .map_err(failed)?;
        Ok(segment)
    }

    fn spill_file(&self, id: &str) -> std::io::Result<Arc<SpillFile>> {
        let mut spills = self.spills.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = spills.get(id).and_then(Weak::upgrade) {
            return Ok(file);
        }
        spills.retain(|_, file| file.strong_count() > 0);
        let file = Arc::new(SpillFile::create()?);
        spills.insert(id.to_owned(), Arc::downgrade(&file));
        Ok(file)
    }

    /// Does what is to be done, and returns the payload that is complete, of which there is at most one.
    async fn perform(&self, actions: Vec<Action<Segment>>) -> Option<Complete> {
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
                other => others.push(self.settle(other)),
            }
        }
        join_all(others).await;
        complete
    }

    async fn settle(&self, action: Action<Segment>) {
        match action {
            // Perhaps the same message as one that is held, by an older receipt: its visibility is not to be touched.
            Action::Release {
                token,
                why: Released::Duplicate,
                ..
            } => token.delivery.disown(),
            Action::Release { token, after, .. } => token.release(after).await,
            Action::Delete { token } => token.delete().await,
            Action::Incomplete {
                whole,
                have,
                why,
                tokens,
                after,
            } => self.incomplete(&whole, have, why, tokens, after).await,
            // Somebody else's to handle.
            Action::Deliver { .. } => {}
        }
    }

    /// Does with the segments of an incomplete payload what the caller decides.
    pub(super) async fn incomplete(
        &self,
        whole: &Whole,
        have: u32,
        why: Incomplete,
        segments: Vec<Segment>,
        after: Duration,
    ) {
        let payload = IncompletePayload::new(whole, have, why);
        match self.incomplete.decide(payload).await {
            IncompleteAction::Release => {
                drop(join_all(segments.into_iter().map(|segment| segment.release(after))).await)
            }
            IncompleteAction::Delete => drop(join_all(segments.into_iter().map(Segment::delete)).await),
            IncompleteAction::MoveTo(queue_url) => {
                // In their order.
                for segment in segments {
                    segment.move_to(&self.client, &queue_url).await;
                }
            }
        }
    }

    /// The payload was acknowledged.
    pub(super) fn acked(self: &Arc<Self>, id: &str) {
        self.settled(|reassembler| reassembler.acked(id, Instant::now()));
    }

    /// The payload was given back.
    pub(super) fn released(self: &Arc<Self>, id: &str) {
        self.settled(|reassembler| reassembler.released(id));
    }

    fn settled(self: &Arc<Self>, settle: impl FnOnce(&mut Reassembler<Segment>) -> Vec<Action<Segment>>) {
        let actions = self.reassembler().as_mut().map(settle).unwrap_or_default();
        // Without a runtime the segments are dropped, and come back by themselves.
        if let (false, Ok(runtime)) = (actions.is_empty(), tokio::runtime::Handle::try_current()) {
            let this = Arc::clone(self);
            runtime.spawn(async move { drop(this.perform(actions).await) });
        }
    }

    /// Minds the time, without end.
    pub(super) async fn keep(self: Arc<Self>) {
        loop {
            let now = Instant::now();
            let (actions, lost, deadline) = match &mut *self.reassembler() {
                Some(reassembler) => {
                    let lost = reassembler.lose(|segment| segment.delivery.lease_remaining().is_zero(), now);
                    let actions = reassembler.tick(now);
                    let look = reassembler.held().next().map(|_| now + LOOK_EVERY);
                    (actions, lost, reassembler.next_deadline().into_iter().chain(look).min())
                }
                None => (Vec::new(), Vec::new(), None),
            };
            // They come again by themselves.
            drop(lost);
            self.perform(actions).await;
            match deadline {
                Some(deadline) => drop(timeout_at(deadline, self.changed.notified()).await),
                None => self.changed.notified().await,
            }
        }
    }

    /// Gives back all that is held, and whatever else comes.
    pub(super) fn close(&self) {
        let held = self.reassembler().take().map(|mut reassembler| reassembler.drain());
        // What is dropped is given back at once.
        drop(held);
        self.changed.notify_one();
    }

    fn reassembler(&self) -> MutexGuard<'_, Option<Reassembler<Segment>>> {
        self.reassembler.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
