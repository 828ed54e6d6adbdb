//! The entrance of a lane. It queues a limited number of calls, and the rest wait in their order.
//!
//! A call enters the lane when it is first polled. After that, its progress does not depend on its caller. A future
//! that is not polled again therefore blocks neither other calls nor a flush or shutdown.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use crate::batch::{Batch, FailedGroups};
use crate::batcher::config::{LaneConfig, SLOT_BYTES};
use crate::batcher::rounds::Rounds;
use crate::error::Error;

/// An event for a driver. The capacity limits the number of calls, and the tasks that send them limit the rest.
pub(super) enum Event<B: Batch> {
    Call(Call<B>),
    /// A caller waits for all queued calls.
    Hurry,
    /// A caller no longer waits.
    Calm,
    /// Entries of these groups failed, so the calls queued behind them are not sent.
    Failed(FailedGroups),
    /// A batch has its results.
    Ended(Sent),
    /// No call will follow.
    Close,
}

pub(super) type Mailbox<B> = UnboundedSender<Event<B>>;

/// The facts about a batch in progress that its driver needs at its end.
pub(super) struct Sent {
    /// The groups that no other batch may send meanwhile.
    pub(super) groups: Vec<String>,
    pub(super) full: bool,
}

/// A call, with the item to send and the channel to its caller.
pub(super) struct Call<B: Batch> {
    pub(super) item: B::Item,
    pub(super) size: usize,
    pub(super) queued: Instant,
    pub(super) reply: Reply<B>,
}

/// The channel to the caller. It frees the call's capacity once the caller has its result, or can never have one.
pub(super) struct Reply<B: Batch> {
    pub(super) result: oneshot::Sender<Result<B::Result, Error>>,
    pub(super) permit: Permit<B>,
}

impl<B: Batch> Reply<B> {
    /// Sends the result. The caller may be gone.
    pub(super) fn send(self, result: Result<B::Result, Error>) {
        let _ = self.result.send(result);
        drop(self.permit);
    }
}

/// Spawns the driver of a gate.
pub(super) type StartDriver<B> = fn(&Handle, &Arc<Gate<B>>) -> Mailbox<B>;

/// The receiver of a call's result, and the call's number if it waits for capacity.
pub(super) type Entered<B> = (oneshot::Receiver<Result<<B as Batch>::Result, Error>>, Option<u64>);

pub(super) struct Gate<B: Batch> {
    config: LaneConfig<B>,
    start_driver: StartDriver<B>,
    /// The number of calls whose futures exist and were not polled.
    unpolled: AtomicUsize,
    /// `true` if only calls that were made before the shutdown are accepted.
    shut: AtomicBool,
    state: Mutex<State<B>>,
    changed: Notify,
}

struct State<B: Batch> {
    /// The driver's mailbox, once there is a driver.
    mailbox: Option<Mailbox<B>>,
    free: usize,
    /// The calls that wait for capacity, by number.
    waiting: BTreeMap<u64, Call<B>>,
    next_number: u64,
    rounds: Rounds,
    closed: bool,
}

impl<B: Batch> Gate<B> {
    pub(super) fn new(config: LaneConfig<B>, start_driver: StartDriver<B>) -> Self {
        let state = State {
            mailbox: None,
            free: config.settings.capacity,
            waiting: BTreeMap::new(),
            next_number: 0,
            rounds: Rounds::default(),
            closed: false,
        };
        Self {
            config,
            start_driver,
            unpolled: AtomicUsize::new(0),
            shut: AtomicBool::new(false),
            state: Mutex::new(state),
            changed: Notify::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State<B>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn config(&self) -> &LaneConfig<B> {
        &self.config
    }

    /// Counts a call whose future exists. Returns `false`, and does not count it, after a shutdown has begun.
    pub(super) fn add_unpolled(&self) -> bool {
        self.unpolled.fetch_add(1, Ordering::SeqCst);
        let shut = self.shut.load(Ordering::SeqCst);
        if shut {
            self.remove_unpolled();
        }
        !shut
    }

    pub(super) fn remove_unpolled(&self) {
        let before = self.unpolled.fetch_sub(1, Ordering::SeqCst);
        if before == 1 && self.shut.load(Ordering::SeqCst) {
            self.changed.notify_waiters();
        }
    }

    pub(super) fn has_unpolled(&self) -> bool {
        self.unpolled.load(Ordering::SeqCst) > 0
    }

    /// Queues a call, or lets it wait for capacity.
    pub(super) fn enter(self: &Arc<Self>, item: B::Item) -> Result<Entered<B>, Error> {
        let (result, response) = oneshot::channel();
        let mut state = self.state();
        if state.closed {
            return Err(shut_down());
        }
        let mailbox = self.mailbox(&mut state)?;
        if mailbox.is_closed() {
            return Err(ended());
        }
        let permit = self.permit(&mut state);
        let call = Call {
            size: B::size(&item),
            item,
            queued: Instant::now(),
            reply: Reply { result, permit },
        };
        let number = state.next_number;
        state.next_number += 1;
        let fits = state.waiting.is_empty() && self.units_of(call.size) <= state.free;
        let refused = if fits {
            self.admit(&mut state, call).err()
        } else {
            state.waiting.insert(number, call);
            None
        };
        drop(state);
        if refused.is_some() {
            return Err(ended());
        }
        Ok((response, (!fits).then_some(number)))
    }

    fn permit(self: &Arc<Self>, state: &mut State<B>) -> Permit<B> {
        Permit {
            gate: self.clone(),
            units: 0,
            round: state.rounds.enter(),
        }
    }

    #[cfg(test)]
    pub(super) fn free_permit(self: &Arc<Self>) -> Permit<B> {
        self.permit(&mut self.state())
    }

    /// Returns the driver's mailbox. The first call starts the driver.
    fn mailbox<'a>(self: &Arc<Self>, state: &'a mut State<B>) -> Result<&'a Mailbox<B>, Error> {
        let mailbox = match state.mailbox.take() {
            Some(mailbox) => mailbox,
            None => {
                let runtime = Handle::try_current().map_err(|error| {
                    Error::configuration("a batcher's first call must be made within a tokio runtime")
                        .with_source(error)
                })?;
                let mailbox = (self.start_driver)(&runtime, self);
                if self.shut.load(Ordering::SeqCst) {
                    let _ = mailbox.send(Event::Hurry);
                }
                mailbox
            }
        };
        Ok(state.mailbox.insert(mailbox))
    }

    /// Returns the units of capacity that a call of this size uses.
    fn units_of(&self, size: usize) -> usize {
        (size / SLOT_BYTES).saturating_add(1).min(self.config.settings.capacity)
    }

    /// Removes a call that waits for capacity.
    pub(super) fn take_back(&self, number: u64) {
        // Its permit locks the state when it is dropped.
        let taken_back = self.state().waiting.remove(&number);
        drop(taken_back);
    }

    /// Queues the call, which has room. Fails if the driver has ended.
    fn admit(&self, state: &mut State<B>, mut call: Call<B>) -> Result<(), Box<Call<B>>> {
        let Some(mailbox) = &state.mailbox else {
            return Err(Box::new(call));
        };
        call.reply.permit.units = self.units_of(call.size);
        call.queued = Instant::now();
        state.free = state.free.saturating_sub(call.reply.permit.units);
        match mailbox.send(Event::Call(call)) {
            Err(error) => match error.0 {
                Event::Call(call) => Err(Box::new(call)),
                _ => Ok(()),
            },
            Ok(()) => Ok(()),
        }
    }

    /// Queues the waiting calls that have room. Returns those that can never be queued, because the driver has ended.
    #[must_use]
    fn admit_waiting(&self, state: &mut State<B>) -> Vec<Call<B>> {
        while let Some(first) = state.waiting.first_entry() {
            if self.units_of(first.get().size) > state.free {
                break;
            }
            let call = first.remove();
            if let Err(refused) = self.admit(state, call) {
                let rest = std::mem::take(&mut state.waiting).into_values();
                return std::iter::once(*refused).chain(rest).collect();
            }
        }
        Vec::new()
    }

    /// Fails the calls of these groups that wait for capacity, and tells the driver to fail those that it has queued.
    pub(super) fn hold_back(&self, failed: FailedGroups) {
        let mut state = self.state();
        let reason = |call: &Call<B>| failed.reason(B::group(&call.item));
        let behind = state
            .waiting
            .iter()
            .filter_map(|(number, call)| Some((*number, reason(call)?)));
        let behind: Vec<(u64, Error)> = behind.collect();
        let held_back: Vec<(Call<B>, Error)> = behind
            .into_iter()
            .filter_map(|(number, reason)| Some((state.waiting.remove(&number)?, reason)))
            .collect();
        if let Some(mailbox) = &state.mailbox {
            // If the driver has ended, nothing is queued.
            let _ = mailbox.send(Event::Failed(failed));
        }
        drop(state);
        for (call, reason) in held_back {
            call.reply.send(Err(reason));
        }
    }

    /// Accepts only calls that were made before, and stops lingering.
    pub(super) fn shut(&self) {
        self.shut.store(true, Ordering::SeqCst);
        self.tell(Event::Hurry);
    }

    /// Accepts no call at all, and ends the driver once all calls have their results.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.tell(Event::Close);
    }

    fn tell(&self, event: Event<B>) {
        if let Some(mailbox) = &self.state().mailbox {
            // A driver that has ended has no queued calls.
            let _ = mailbox.send(event);
        }
    }

    /// Ends a round. Returns its number and the driver's mailbox.
    pub(super) fn end_round(&self) -> (u64, Option<Mailbox<B>>) {
        let mut state = self.state();
        (state.rounds.end(), state.mailbox.clone())
    }

    pub(super) fn has_finished(&self, round: u64) -> bool {
        self.state().rounds.has_finished(round)
    }

    pub(super) async fn wait_until(&self, holds: impl Fn(&Self) -> bool) {
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            if holds(self) {
                return;
            }
            changed.await;
        }
    }
}

pub(super) fn shut_down() -> Error {
    Error::closed("the batcher was shut down; this was not sent")
}

fn ended() -> Error {
    Error::closed("the batcher's task has ended; this was not sent")
}

/// The capacity that a call uses until it has its result. A waiting call uses none.
pub(super) struct Permit<B: Batch> {
    gate: Arc<Gate<B>>,
    units: usize,
    round: u64,
}

impl<B: Batch> Drop for Permit<B> {
    fn drop(&mut self) {
        let mut state = self.gate.state();
        state.free += self.units;
        let round_ended = state.rounds.leave(self.round);
        let refused = self.gate.admit_waiting(&mut state);
        drop(state);
        if round_ended {
            self.gate.changed.notify_waiters();
        }
        for call in refused {
            call.reply.send(Err(ended()));
        }
    }
}
