//! The calls that wait to be sent, in their order.

use std::collections::{HashMap, VecDeque};
use std::mem;
use std::time::Duration;

use crate::batch::{Batch, FailedGroups, Fill};
use crate::batcher::gate::{Call, Reply};
use crate::client::batch_limit::BatchLimit;
use crate::error::Error;

/// The queued calls. At a FIFO queue, the calls of a group are either all ready, or all blocked by a batch in flight.
pub(super) struct Queue<B: Batch> {
    ordered: bool,
    limit: BatchLimit,
    ready: VecDeque<Call<B>>,
    /// The groups of batches in flight, and the calls that wait behind them.
    blocked: HashMap<String, VecDeque<Call<B>>>,
}

impl<B: Batch> Queue<B> {
    pub(super) fn new(ordered: bool, limit: BatchLimit) -> Self {
        Self {
            ordered,
            limit,
            ready: VecDeque::new(),
            blocked: HashMap::new(),
        }
    }

    pub(super) fn push(&mut self, call: Call<B>) {
        let behind = B::group(&call.item).and_then(|group| self.blocked.get_mut(group));
        behind.unwrap_or(&mut self.ready).push_back(call);
    }

    /// Removes and returns the next batch, as full as possible, with the groups that it blocks until they are
    /// [unblocked](Self::unblock).
    pub(super) fn take(&mut self) -> (Vec<Call<B>>, Vec<String>) {
        let mut fill = Fill::new(self.limit.bytes());
        let mut batch = Vec::new();
        while let Some(call) = self.ready.pop_front_if(|call| fill.add(call.size)) {
            batch.push(call);
        }
        let groups = if self.ordered { self.block(&batch) } else { Vec::new() };
        (batch, groups)
    }

    /// Moves the other calls of the batch's groups behind it.
    fn block(&mut self, batch: &[Call<B>]) -> Vec<String> {
        let mut groups = Vec::new();
        for group in batch.iter().filter_map(|call| B::group(&call.item)) {
            if !self.blocked.contains_key(group) {
                self.blocked.insert(group.to_owned(), VecDeque::new());
                groups.push(group.to_owned());
            }
        }
        for call in mem::take(&mut self.ready) {
            self.push(call);
        }
        groups
    }

    /// Removes the calls that wait behind a batch in these groups, and returns each with its error.
    pub(super) fn hold_back(&mut self, failed: &FailedGroups) -> Vec<(Reply<B>, Error)> {
        let mut held_back = Vec::new();
        for (group, behind) in &mut self.blocked {
            if let Some(reason) = failed.reason(Some(group)) {
                held_back.extend(behind.drain(..).map(|call| (call.reply, reason.clone())));
            }
        }
        held_back
    }

    /// Queues the calls that waited behind a batch's groups after those that are ready.
    pub(super) fn unblock(&mut self, groups: &[String]) {
        let behind = groups.iter().filter_map(|group| self.blocked.remove(group));
        self.ready.extend(behind.flatten());
    }

    /// Returns `true` if no call is ready.
    pub(super) fn is_empty(&self) -> bool {
        self.ready.is_empty()
    }

    /// Returns `true` if nothing more would fit into the next batch.
    pub(super) fn is_full(&self) -> bool {
        let mut fill = Fill::new(self.limit.bytes());
        !self.ready.iter().all(|call| fill.add(call.size)) || fill.is_full()
    }

    /// Returns the longest time that an entry of the next batch has waited.
    pub(super) fn age(&self) -> Option<Duration> {
        let mut fill = Fill::new(self.limit.bytes());
        let batch = self.ready.iter().take_while(|call| fill.add(call.size));
        batch.map(|call| call.queued).min().map(|oldest| oldest.elapsed())
    }
}
