//! SendMessage and SendMessageBatch.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::batch;
use crate::clock::Now;
use crate::faults::Effects;
use crate::memory::Held;
use crate::protocol::error::{self, Error, Result};
use crate::protocol::input::Input;
use crate::queue::dedup;
use crate::queue::md5;
use crate::queue::message::{Content, DEDUPLICATION_ID_BYTES, Draft, MESSAGE_OVERHEAD_BYTES};
use crate::queue::parcel::Parcel;
use crate::queue::{Queue, Sent, State};
use crate::service::Service;

const ENTRY: &str = "SendMessageBatchRequestEntry";

/// A message that passed all checks except that of its size.
struct Order {
    draft: Draft,
    delay: Option<Duration>,
    group: Option<String>,
    deduplication_id: Option<String>,
}

pub(crate) fn send(service: &Service, mut input: Input, effects: &Effects) -> Result<Value> {
    let queue = service.queue(&input)?;
    check_fifo(service, &queue, &input, Error::missing)?;
    let order = read(&queue, &mut input)?;
    check_size(service, &queue, &order, "One or more parameters are invalid.")?;
    deliver(service, &queue, order, effects)
}

pub(crate) fn send_batch(service: &Service, mut input: Input, effects: &Effects) -> Result<Value> {
    let queue = service.queue(&input)?;
    let entries = batch::entries(&mut input, ENTRY)?;
    // AWS sends the text of a missing parameter with the code of an invalid one, but only in a batch.
    let missing = |parameter: &str| Error::invalid(Error::missing(parameter).message);
    // An empty body or a missing FIFO parameter fails the whole batch. All other errors fail only their entry.
    for ((_, entry), number) in entries.iter().zip(1..) {
        if entry.str("MessageBody").is_err() {
            return Err(Error::missing(&format!("{ENTRY}.{number}.MessageBody")));
        }
        check_fifo(service, &queue, entry, missing)?;
    }
    let mut total = 0;
    let mut orders = Vec::new();
    for (id, mut entry) in entries {
        let body = entry.opt_str("MessageBody").map_or(0, str::len);
        let order = read(&queue, &mut entry);
        // An entry that cannot be read counts at least with its body.
        total += order.as_ref().map_or(body, |order| order.draft.size());
        orders.push((id, order));
    }
    let limit = service.limits.batch_bytes;
    if total > limit {
        let message = format!("Batch requests cannot be longer than {limit} bytes. You have sent {total} bytes.");
        return Err(Error::new(&error::BATCH_TOO_LONG, message));
    }
    Ok(batch::perform(orders, effects, &service.rng, |order| {
        let order = order?;
        check_size(service, &queue, &order, "One or more parameters cannot be validated.")?;
        deliver(service, &queue, order, effects)
    }))
}

/// Checks the parameters that a FIFO queue requires of each message. `missing` creates the error for a missing group.
fn check_fifo(service: &Service, queue: &Queue, input: &Input, missing: impl Fn(&str) -> Error) -> Result<()> {
    if !queue.fifo {
        return Ok(());
    }
    if !input.has("MessageGroupId") {
        return Err(missing("MessageGroupId"));
    }
    let by_content = queue.lock(service.now()).settings.deduplicates_by_content();
    if !by_content && !input.has("MessageDeduplicationId") {
        let message = "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId \
                       provided explicitly";
        return Err(Error::invalid(message));
    }
    Ok(())
}

fn read(queue: &Queue, input: &mut Input) -> Result<Order> {
    let draft = Draft::read(input)?;
    let reason = "DelaySeconds must be >= 0 and <= 900.";
    let delay = input.int_within("DelaySeconds", 0, 900, reason)?;
    let wrong_type = "The request include parameter that is not valid for this queue type.";
    if let Some(seconds) = delay.filter(|d| queue.fifo && *d > 0) {
        return Err(Error::invalid_value(seconds, "DelaySeconds", wrong_type));
    }
    if let Some(id) = input.opt_str("MessageDeduplicationId").filter(|_| !queue.fifo) {
        return Err(Error::invalid_value(id, "MessageDeduplicationId", wrong_type));
    }
    Ok(Order {
        draft,
        // On a FIFO queue, only the queue has a delay.
        delay: delay.filter(|_| !queue.fifo).map(Duration::from_secs),
        group: take_id(input, "MessageGroupId")?,
        deduplication_id: take_id(input, "MessageDeduplicationId")?,
    })
}

pub(super) fn take_id(input: &mut Input, name: &str) -> Result<Option<String>> {
    let Some(id) = input.take_str(name) else {
        return Ok(None);
    };
    if (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(Some(id));
    }
    let reason = format!("{name} can only include alphanumeric and punctuation characters. 1 to 128 in length.");
    Err(Error::invalid_value(id, name, &reason))
}

fn check_size(service: &Service, queue: &Queue, order: &Order, preamble: &str) -> Result<()> {
    let max = queue.lock(service.now()).settings.max_size();
    if order.draft.size() <= max {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "{preamble} Reason: Message must be shorter than {max} bytes."
    )))
}

/// Puts the message into the queue and returns the output.
fn deliver(service: &Service, queue: &Queue, order: Order, effects: &Effects) -> Result<Value> {
    let share = Share::hold(service, queue, &order)?;
    let now = service.now();
    let mut output = json!({"MD5OfMessageBody": md5::of_text(&order.draft.body)});
    if let Some(md5) = md5::of_attributes(order.draft.attributes.iter()) {
        output["MD5OfMessageAttributes"] = md5.into();
    }
    if let Some(md5) = order.draft.md5_system() {
        output["MD5OfMessageSystemAttributes"] = md5.into();
    }
    let sent = enter(service, queue, order, share, &output, now, effects);
    output["MessageId"] = sent.message_id.into();
    if let Some(number) = sent.sequence_number {
        output["SequenceNumber"] = number.into();
    }
    Ok(output)
}

/// The memory of a new message and of its deduplication id, which outlive each other.
struct Share {
    message: Held,
    id: Held,
}

impl Share {
    fn hold(service: &Service, queue: &Queue, order: &Order) -> Result<Self> {
        let id = if queue.fifo {
            service.hold(DEDUPLICATION_ID_BYTES)?
        } else {
            Held::default()
        };
        let message = service.hold(order.draft.kept_size() + MESSAGE_OVERHEAD_BYTES)?;
        Ok(Self { message, id })
    }
}

fn enter(
    service: &Service,
    queue: &Queue,
    order: Order,
    share: Share,
    output: &Value,
    now: Now,
    effects: &Effects,
) -> Sent {
    let mut state = queue.lock(now);
    let deduplication_id = queue.fifo.then(|| {
        let explicit = order.deduplication_id.clone();
        explicit.unwrap_or_else(|| hex::encode(Sha256::digest(&order.draft.body)))
    });
    if let Some(id) = &deduplication_id
        && let Some(sent) = already_sent(&mut state, order.group.as_ref(), id, now)
    {
        return sent;
    }
    let sent = Sent {
        message_id: service.rng.uuid().to_string(),
        sequence_number: queue.fifo.then(|| state.next_sequence()),
        _held: share.id,
    };
    if let Some(id) = &deduplication_id {
        let scope = order.group.clone().filter(|_| state.settings.deduplicates_by_group());
        state.sent.put(now.at, (scope, id.clone()), sent.clone());
    }
    let text = |member: &str| output[member].as_str().map(str::to_owned);
    let content = Content {
        id: sent.message_id.clone(),
        md5: text("MD5OfMessageBody").unwrap_or_default(),
        md5_attributes: text("MD5OfMessageAttributes"),
        trace_header: order.draft.trace_header(),
        body: order.draft.body,
        attributes: order.draft.attributes,
        group: order.group,
        deduplication_id,
        sequence_number: sent.sequence_number.clone(),
        sender: service.account.clone(),
        sent_ms: now.wall_ms,
        _held: share.message,
    };
    let parcel = Parcel {
        content: Arc::new(content),
        receives: 0,
        first_received_ms: None,
        source_arn: None,
        entered: now.at,
    };
    let delay = order.delay.unwrap_or_else(|| state.settings.delay());
    if effects.duplicate && !queue.fifo {
        state.store.enter(now.at, parcel.clone(), delay);
    }
    state.store.enter(now.at, parcel, delay);
    drop(state);
    queue.bell.notify_waiters();
    sent
}

/// Finds the first send with this id. An id that was sent with the whole queue as its scope counts for every group.
fn already_sent(state: &mut State, group: Option<&String>, id: &str, now: Now) -> Option<Sent> {
    let by_group = state.settings.deduplicates_by_group();
    let scopes: [dedup::Key; 2] = [(None, id.to_owned()), (group.cloned(), id.to_owned())];
    let scopes = scopes.iter().take(if by_group { 2 } else { 1 });
    let mut found = scopes.filter_map(|scope| state.sent.get(now.at, scope).cloned());
    found.next()
}
