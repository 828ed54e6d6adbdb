//! What waits to be sent, in its order.

use std::collections::{HashMap, VecDeque};
use std::mem;
use std::time::Duration;

use crate::batch::{Batch, FailedGroups, Fill};
use crate::batcher::gate::{Call, Reply};
use crate::client::batch_limit::BatchLimit;
use crate::error::Error;

/// The calls that wait. At a FIFO queue, those of a group are either all ready, or all behind a batch that holds the
/// group.
pub(super) struct Queue<B: Batch> {
    ordered: bool,
    limit: BatchLimit,
    ready: VecDeque<Call<B>>,
    /// The groups of batches under way, and what waits behind them.
    held: HashMap<String, VecDeque<Call<B>>>,
}

impl<B: Batch> Queue<B> {
    pub(super) fn new(ordered: bool, limit: BatchLimit) -> Self {
        Self {
            ordered,
            limit,
            ready: VecDeque::new(),
            held: HashMap::new(),
        }
    }

    pub(super) fn push(&mut self, call: Call<B>) {
        let behind = B::group(&call.item).and_then(|group| self.held.get_mut(group));
        behind.unwrap_or(&mut self.ready).push_back(call);
    }

    /// The next batch, as full as it gets, and the groups that it holds until they are [released](Self::release).
    pub(super) fn take(&mut self) -> (Vec<Call<B>>, Vec<String>) {
        let mut fill = Fill::new(self.limit.bytes());
        let mut batch = Vec::new();
        while let Some(call) = self.ready.pop_front_if(|call| fill.add(call.size)) {
            batch.push(call);
        }
        let groups = if self.ordered { self.hold(&batch) } else { Vec::new() };
        (batch, groups)
    }

    /// The rest of the batch's groups steps behind it: no more calls than the capacity allows.
    fn hold(&mut self, batch: &[Call<B>]) -> Vec<String> {
        let mut groups = Vec::new();
        for group in batch.iter().filter_map(|call| B::group(&call.item)) {
            if !self.held.contains_key(group) {
                self.held.insert(group.to_owned(), VecDeque::new());
                groups.push(group.to_owned());
            }
        }
        for call in mem::take(&mut self.ready) {
            self.push(call);
        }
        groups
    }

    /// Takes out what waits behind a batch in these groups, with the reason why it is not sent.
    pub(super) fn hold_back(&mut self, failed: &FailedGroups) -> Vec<(Reply<B>, Error)> {
        let mut held_back = Vec::new();
        for (group, behind) in &mut self.held {
            if let Some(reason) = failed.reason(Some(group)) {
                held_back.extend(behind.drain(..).map(|call| (call.reply, reason.clone())));
            }
        }
        held_back
    }

    /// What waited behind a batch's groups takes its turn after what is ready.
    pub(super) fn release(&mut self, groups: &[String]) {
        let behind = groups.iter().filter_map(|group| self.held.remove(group));
        self.ready.extend(behind.flatten());
    }

    /// Whether nothing could be sent now.
    pub(super) fn is_empty(&self) -> bool {
        self.ready.is_empty()
    }

    /// Whether nothing more would fit into the next batch.
    pub(super) fn is_full(&self) -> bool {
        let mut fill = Fill::new(self.limit.bytes());
        !self.ready.iter().all(|call| fill.add(call.size)) || fill.is_full()
    }

    /// How long the next batch has waited, as its longest-waiting entry counts it.
    pub(super) fn age(&self) -> Option<Duration> {
        let mut fill = Fill::new(self.limit.bytes());
        let batch = self.ready.iter().take_while(|call| fill.add(call.size));
        batch.map(|call| call.queued).min().map(|oldest| oldest.elapsed())
    }
}
