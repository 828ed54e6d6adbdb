//! The sending of one batch, until each of its entries has a result.

use std::collections::VecDeque;

use crate::batch::actions::{Batch, keeps_order};
use crate::batch::order::FailedGroups;
use crate::batch::plan::Fill;
use crate::client::Client;
use crate::client::batch_limit::BatchLimit;
use crate::error::{Error, QueueContext};
use crate::types::{BatchOutput, BatchResultErrorEntry, UnconfirmedEntry};

/// A queue that batches are sent to.
#[derive(Clone, Debug)]
pub(crate) struct Destination {
    client: Client,
    queue_url: String,
    limit: BatchLimit,
}

impl Destination {
    pub(crate) fn new(client: &Client, queue_url: String) -> Self {
        Self {
            limit: client.batch_limit(&queue_url),
            client: client.clone(),
            queue_url,
        }
    }

    /// Describes a queue whose limit is known.
    #[cfg(feature = "batcher")]
    pub(crate) fn with_limit(client: Client, queue_url: String, limit: BatchLimit) -> Self {
        Self {
            client,
            queue_url,
            limit,
        }
    }

    pub(crate) fn limit(&self) -> &BatchLimit {
        &self.limit
    }

    /// Sends these items, and returns one result for each.
    ///
    /// If the queue keeps order, no later message of a group is sent after one of its messages failed. Otherwise,
    /// entries that failed by the server's fault are retried.
    pub(crate) async fn send<B: Batch>(
        &self,
        items: Vec<B::Item>,
        failed_groups: &mut FailedGroups,
    ) -> Vec<Result<B::Result, Error>> {
        let ordered = keeps_order::<B>(&self.queue_url);
        let (mut ledger, mut entries) = Ledger::<B>::open(items, ordered.then_some(failed_groups));
        ledger.queue = self.client.queue_context(&self.queue_url);
        while let Some(batch) = self.next_batch(&mut ledger, &mut entries) {
            let bytes = ledger.bytes(&batch);
            let too_long = self.rounds(&mut ledger, batch, !ordered).await;
            if !too_long.is_empty() {
                self.limit.lower(&self.queue_url, bytes);
            }
            for entry in too_long.into_iter().rev() {
                entries.push_front(entry);
            }
        }
        ledger.into_results()
    }

    /// Removes and returns the entries that fit into one request.
    fn next_batch<B: Batch>(
        &self,
        ledger: &mut Ledger<'_, B>,
        entries: &mut VecDeque<B::Entry>,
    ) -> Option<Vec<B::Entry>> {
        let mut fill = Fill::new(self.limit.bytes());
        let mut batch = Vec::with_capacity(entries.len());
        while let Some(entry) = entries.pop_front() {
            if ledger.holds_back(&entry) {
                continue;
            }
            if let Some(error) = ledger.refusal(&entry) {
                // It ends its group, so the entries before it are sent first.
                if ledger.is_ordered() && !batch.is_empty() {
                    entries.push_front(entry);
                    break;
                }
                ledger.fail([&entry], &error);
                continue;
            }
            if !fill.add(ledger.bytes([&entry])) {
                entries.push_front(entry);
                break;
            }
            batch.push(entry);
        }
        (!batch.is_empty()).then_some(batch)
    }

    /// Sends the entries. With `retry`, it retries those that failed by the server's fault. Returns the entries that
    /// must be sent in smaller batches.
    async fn rounds<B: Batch>(
        &self,
        ledger: &mut Ledger<'_, B>,
        mut entries: Vec<B::Entry>,
        retry: bool,
    ) -> Vec<B::Entry> {
        let mut attempts = self.client.attempts();
        while !entries.is_empty() {
            let operation = B::new(self.queue_url.clone(), entries);
            let executed = self.client.execute(&operation).await;
            entries = operation.into_entries();
            let output = match executed {
                Ok(success) => {
                    ledger.note_request(&entries, success.earlier_may_have_been_sent);
                    success.output
                }
                Err(error) => {
                    ledger.note_request(&entries, error.may_have_been_sent());
                    if error.is_batch_too_long() && entries.len() > 1 && ledger.bytes(&entries) > 1 {
                        return entries;
                    }
                    ledger.fail(&entries, &error);
                    break;
                }
            };
            let passing = |failed: &&BatchResultErrorEntry| retry && entry_error(failed).is_retryable();
            let again: Vec<BatchResultErrorEntry> = output.failed.iter().filter(passing).cloned().collect();
            ledger.record(&entries, output);
            let Some(first) = again.first() else {
                attempts.succeeded();
                break;
            };
            let Some(pause) = attempts.after(entry_error(first), true).pause() else {
                break;
            };
            entries.retain(|entry| again.iter().any(|failed| failed.id == B::id(entry)));
            tokio::time::sleep(pause).await;
        }
        Vec::new()
    }
}

fn entry_error(failed: &BatchResultErrorEntry) -> Error {
    Error::entry(failed.code.clone(), failed.message.as_deref(), failed.sender_fault)
}

/// The state of an entry. Its id is its index among the items.
struct Slot<B: Batch> {
    bytes: usize,
    /// The message group, on a queue that keeps order.
    group: Option<String>,
    /// The reason why every server would refuse it, if there is one.
    refusal: Option<Error>,
    /// `true` if any request with the entry may have taken effect without a response that says so.
    may_have_been_sent: bool,
    result: Option<Result<B::Result, Error>>,
}

/// The results so far, in the order of the items.
struct Ledger<'a, B: Batch> {
    slots: Vec<Slot<B>>,
    queue: Option<QueueContext>,
    failed_groups: Option<&'a mut FailedGroups>,
}

impl<'a, B: Batch> Ledger<'a, B> {
    /// Turns the items into entries.
    fn open(items: Vec<B::Item>, failed_groups: Option<&'a mut FailedGroups>) -> (Self, VecDeque<B::Entry>) {
        let ordered = failed_groups.is_some();
        let slots = items.iter().map(|item| Slot {
            bytes: B::size(item),
            group: B::group(item).filter(|_| ordered).map(str::to_owned),
            refusal: B::check(item, ordered).and_then(|()| B::check_content(item)).err(),
            may_have_been_sent: false,
            result: None,
        });
        let slots = slots.collect();
        let entries = items.into_iter().enumerate();
        let entries = entries.map(|(index, item)| B::entry(index.to_string(), item)).collect();
        let this = Self {
            slots,
            queue: None,
            failed_groups,
        };
        (this, entries)
    }

    fn is_ordered(&self) -> bool {
        self.failed_groups.is_some()
    }

    /// Returns the reason why every server would refuse this entry, if there is one.
    fn refusal(&mut self, entry: &B::Entry) -> Option<Error> {
        self.slot(B::id(entry))?.refusal.clone()
    }

    fn slot(&mut self, id: &str) -> Option<&mut Slot<B>> {
        slot(&mut self.slots, id)
    }

    fn bytes<'e>(&mut self, entries: impl IntoIterator<Item = &'e B::Entry>) -> usize
    where
        B::Entry: 'e,
    {
        let bytes = |entry| self.slot(B::id(entry)).map_or(0, |slot| slot.bytes);
        entries.into_iter().map(bytes).sum()
    }

    /// Fails the entry if an earlier message of its group failed. Returns `true` if it did.
    fn holds_back(&mut self, entry: &B::Entry) -> bool {
        let Some(slot) = slot(&mut self.slots, B::id(entry)) else {
            return false;
        };
        let failed_groups = self.failed_groups.as_deref();
        let reason = failed_groups.and_then(|failed| failed.reason(slot.group.as_deref()));
        let held_back = reason.is_some();
        if let Some(reason) = reason {
            let reason = reason.sent(slot.may_have_been_sent).with_operation(B::NAME);
            slot.result = Some(Err(reason));
        }
        held_back
    }

    /// Notes a request with these entries, before its results are recorded.
    fn note_request(&mut self, entries: &[B::Entry], may_have_been_sent: bool) {
        for entry in entries {
            if let Some(slot) = self.slot(B::id(entry)) {
                slot.may_have_been_sent |= may_have_been_sent;
                slot.result = None;
            }
        }
    }

    fn record(&mut self, entries: &[B::Entry], output: BatchOutput<B::Done>) {
        for done in output.successful {
            let (id, result) = B::done(done);
            self.set_result(&id, Ok(result));
        }
        for failed in &output.failed {
            self.set_result(&failed.id, Err(entry_error(failed).with_queue(self.queue.clone())));
        }
        for UnconfirmedEntry { id, error } in output.unconfirmed {
            self.set_result(&id, Err(error));
        }
        for entry in entries {
            if self.slot(B::id(entry)).is_some_and(|slot| slot.result.is_none()) {
                self.fail(
                    [entry],
                    &Error::response("the server's response does not name this entry"),
                );
            }
        }
    }

    fn fail<'e>(&mut self, entries: impl IntoIterator<Item = &'e B::Entry>, error: &Error)
    where
        B::Entry: 'e,
    {
        for entry in entries {
            self.set_result(B::id(entry), Err(error.clone()));
        }
    }

    /// Sets the entry's result. Ignores an unknown id. An entry that succeeded and failed in one response may have been
    /// sent.
    fn set_result(&mut self, id: &str, result: Result<B::Result, Error>) {
        let Some(slot) = slot(&mut self.slots, id) else { return };
        slot.may_have_been_sent |= matches!(slot.result, Some(Ok(_)));
        let result = result.map_err(|error| {
            slot.may_have_been_sent |= error.may_have_been_sent();
            error.sent(slot.may_have_been_sent).with_operation(B::NAME)
        });
        if let (Some(failed), Some(group), Err(error)) = (self.failed_groups.as_deref_mut(), &slot.group, &result) {
            failed.add(group, error);
        }
        slot.result = Some(result);
    }

    fn into_results(self) -> Vec<Result<B::Result, Error>> {
        let missing =
            || Err(Error::response("the batch ended without a result for this entry").with_operation(B::NAME));
        let results = self.slots.into_iter().map(|slot| slot.result.unwrap_or_else(missing));
        results.collect()
    }
}

fn slot<'s, B: Batch>(slots: &'s mut [Slot<B>], id: &str) -> Option<&'s mut Slot<B>> {
    let index: usize = id.parse().ok()?;
    slots.get_mut(index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OutgoingMessage;
    use crate::error::ErrorCode;
    use crate::operation::SendMessageBatch;

    #[test]
    fn the_error_of_an_entry_names_the_queue() {
        let client = Client::builder().region("eu-west-1").build().unwrap();
        let (mut ledger, entries) = Ledger::<SendMessageBatch>::open(vec![OutgoingMessage::new("x")], None);
        ledger.queue = client.queue_context("https://sqs.eu-west-1.amazonaws.com/1/orders");
        let mut output = BatchOutput::default();
        output.failed.push(BatchResultErrorEntry {
            id: "0".to_owned(),
            code: ErrorCode::InvalidMessageContents,
            sender_fault: true,
            message: Some("bad characters".to_owned()),
        });
        ledger.record(&entries.into_iter().collect::<Vec<_>>(), output);
        assert_eq!(
            ledger.into_results()[0].as_ref().unwrap_err().to_string(),
            "SendMessageBatch: InvalidMessageContents: bad characters (queue \"orders\")"
        );
    }
}
