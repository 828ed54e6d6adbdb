//! Actions on a receipt handle: delete a message, or change its visibility timeout.

use std::time::Duration;

use serde_json::Value;

use super::receive::VISIBILITY_RANGE;
use super::{batch, nothing};
use crate::faults::Effects;
use crate::protocol::error::{self, Error, Result};
use crate::protocol::input::Input;
use crate::queue::Queue;
use crate::queue::parcel::Stale;
use crate::service::Service;

pub(crate) fn delete(service: &Service, input: &Input) -> Result<Value> {
    let queue = service.queue(input)?;
    delete_one(service, &queue, input)
}

pub(crate) fn delete_batch(service: &Service, mut input: Input, effects: &Effects) -> Result<Value> {
    let queue = service.queue(&input)?;
    let entries = batch::entries(&mut input, "DeleteMessageBatchRequestEntry")?;
    let delete = |entry: Input| delete_one(service, &queue, &entry);
    Ok(batch::perform(entries, effects, &service.rng, delete))
}

pub(crate) fn change_visibility(service: &Service, input: &Input) -> Result<Value> {
    let queue = service.queue(input)?;
    change_one(service, &queue, input)
}

pub(crate) fn change_visibility_batch(service: &Service, mut input: Input, effects: &Effects) -> Result<Value> {
    let queue = service.queue(&input)?;
    let entries = batch::entries(&mut input, "ChangeMessageVisibilityBatchRequestEntry")?;
    let change = |entry: Input| change_one(service, &queue, &entry);
    Ok(batch::perform(entries, effects, &service.rng, change))
}

fn delete_one(service: &Service, queue: &Queue, input: &Input) -> Result<Value> {
    let text = input.str("ReceiptHandle")?;
    let handle = queue.handle(text)?;
    let mut state = queue.lock(service.now());
    let full = state.store.counts().in_flight >= service.limits.in_flight(queue.fifo);
    state.store.delete(&handle).map_err(|stale| explain(stale, text, 0))?;
    drop(state);
    if queue.fifo || full {
        // The next message of its group may be available now, or there may be room for another message in flight.
        queue.bell.notify_waiters();
    }
    Ok(nothing())
}

fn change_one(service: &Service, queue: &Queue, input: &Input) -> Result<Value> {
    let text = input.str("ReceiptHandle")?;
    let handle = queue.handle(text)?;
    let seconds = input.int_within("VisibilityTimeout", 0, 43_200, VISIBILITY_RANGE)?;
    let seconds = seconds.ok_or_else(|| Error::missing("VisibilityTimeout"))?;
    let now = service.now();
    let visibility = Duration::from_secs(seconds);
    let changed = queue.lock(now).store.change_visibility(now.at, &handle, visibility);
    changed.map_err(|stale| explain(stale, text, seconds))?;
    // Pollers wait for the timers that they last saw.
    queue.bell.notify_waiters();
    Ok(nothing())
}

fn explain(stale: Stale, handle: &str, seconds: u64) -> Error {
    match stale {
        Stale::Gone => {
            let reason = "Message does not exist or is not available for visibility timeout change.";
            Error::invalid_value(handle, "ReceiptHandle", reason)
        }
        Stale::Expired => Error::invalid_value(handle, "ReceiptHandle", "The receipt handle has expired."),
        Stale::NotInFlight => Error::new(&error::NOT_IN_FLIGHT, "The message referred to isn't in flight."),
        Stale::TooLong => {
            let reason = "Total VisibilityTimeout for the message is beyond the limit [43200 seconds]";
            Error::invalid_value(seconds, "VisibilityTimeout", reason)
        }
    }
}
