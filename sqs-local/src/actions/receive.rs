//! ReceiveMessage: short and long polls, and the attributes in the response.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep_until};

use super::send;
use crate::clock::Now;
use crate::faults::Effects;
use crate::protocol::error::{self, Error, Result};
use crate::protocol::input::Input;
use crate::queue::attribute::Attribute;
use crate::queue::dedup;
use crate::queue::md5;
use crate::queue::message::DEDUPLICATION_ID_BYTES;
use crate::queue::parcel::{Delivery, Parcel, Repeat, Take};
use crate::queue::{Attempt, Queue, State};
use crate::service::Service;

const WAIT_RANGE: &str = "Must be >= 0 and <= 20, if provided.";
const MAX_RANGE: &str = "Must be between 1 and 10, if provided.";
const ATTEMPT_ID: &str = "ReceiveRequestAttemptId";
pub(crate) const VISIBILITY_RANGE: &str = "Must be between 0 and 43200, if provided.";

/// A receive's checked parameters.
struct Ask {
    max: usize,
    visibility: Option<Duration>,
    wait: Option<Duration>,
    attempt: Option<String>,
    system_names: Vec<String>,
    user_names: Vec<String>,
}

impl Ask {
    fn read(input: &mut Input) -> Result<Self> {
        let max = input.int_within("MaxNumberOfMessages", 1, 10, MAX_RANGE)?.unwrap_or(1);
        let visibility = input.int_within("VisibilityTimeout", 0, 43_200, VISIBILITY_RANGE)?;
        let wait = input.int_within("WaitTimeSeconds", 0, 20, WAIT_RANGE)?;
        let mut system_names = input.strings("AttributeNames");
        system_names.extend(input.strings("MessageSystemAttributeNames"));
        if let Some(unknown) = system_names.iter().find(|name| !SYSTEM_NAMES.contains(&name.as_str())) {
            return Err(Error::new(
                &error::INVALID_ATTRIBUTE_NAME,
                format!("Unknown Attribute {unknown}."),
            ));
        }
        Ok(Self {
            max: usize::try_from(max).unwrap_or(1),
            visibility: visibility.map(Duration::from_secs),
            wait: wait.map(Duration::from_secs),
            attempt: send::take_id(input, ATTEMPT_ID)?,
            system_names,
            user_names: input.strings("MessageAttributeNames"),
        })
    }
}

pub(crate) async fn receive(service: &Arc<Service>, mut input: Input, effects: &Effects) -> Result<Value> {
    let queue = service.queue(&input)?;
    let mut ask = Ask::read(&mut input)?;
    let now = service.now();
    let wait = *ask.wait.get_or_insert_with(|| queue.lock(now).settings.wait());
    let deliveries = poll(service, &queue, &ask, now.at + wait, effects).await?;
    let mut messages: Vec<Value> = deliveries.iter().map(|d| show(d, &ask, effects)).collect();
    if let Some(body) = &effects.spoil_body {
        let spoilt = messages.iter_mut().filter(|message| message["Body"] == **body);
        spoilt.for_each(|message| message["Body"] = 5.into());
    }
    // AWS omits an empty list.
    if messages.is_empty() {
        Ok(json!({}))
    } else {
        Ok(json!({"Messages": messages}))
    }
}

/// Tries to receive now, and again whenever the bell rings or a timer of the queue expires, until the deadline.
async fn poll(
    service: &Service,
    queue: &Queue,
    ask: &Ask,
    deadline: Instant,
    effects: &Effects,
) -> Result<Vec<Delivery>> {
    loop {
        let mut bell = std::pin::pin!(queue.bell.notified());
        // No ring is missed from here on.
        bell.as_mut().enable();
        let now = service.now();
        let (deliveries, next_event) = take(service, queue, ask, now, effects)?;
        if !deliveries.is_empty() || now.at >= deadline {
            return Ok(deliveries);
        }
        let until = next_event.map_or(deadline, |event| event.min(deadline));
        tokio::select! {
            () = bell => {}
            () = sleep_until(until) => {}
        }
    }
}

/// Receives available messages, and returns the time at which more may become available.
fn take(
    service: &Service,
    queue: &Queue,
    ask: &Ask,
    now: Now,
    effects: &Effects,
) -> Result<(Vec<Delivery>, Option<Instant>)> {
    // Looked up before the lock, because no queue may be locked during a look-up in the registry.
    let redrive = queue.lock(now).settings.redrive().cloned();
    let target = redrive.as_ref().and_then(|r| service.queue_by_arn(&r.target_arn));
    let target = target.filter(|t| t.id != queue.id);
    let attempt = ask.attempt.clone().filter(|_| queue.fifo).map(|id| (None, id));
    // Without memory, the receive cannot be repeated, but the queue can be drained.
    let held = attempt.as_ref().and_then(|_| service.hold(DEDUPLICATION_ID_BYTES).ok());
    let mut state = queue.lock(now);
    if state.deleted {
        return Err(Error::queue_missing());
    }
    let visibility = ask.visibility.unwrap_or_else(|| state.settings.visibility());
    if let Some(attempt) = &attempt
        && let Some(repeated) = repeat(&mut state, attempt, now, visibility)?
    {
        drop(state);
        // Other pollers wait for the timers that they last saw.
        queue.bell.notify_waiters();
        return Ok((repeated, None));
    }
    let room = room(service, queue, ask, state.store.counts().in_flight)?;
    let before = state.next_event();
    let take = Take {
        max: ask.max.min(room),
        visibility,
        // Messages stay in the queue while their dead-letter queue does not exist.
        max_receives: redrive.filter(|_| target.is_some()).map(|r| r.max_receives),
        shuffle: effects.reorder.then_some(&*service.rng),
    };
    let (deliveries, dead) = state.store.take(now, &take);
    if let (Some(attempt), Some(held), false) = (attempt, held, deliveries.is_empty()) {
        let handles = deliveries.iter().map(|d| d.handle).collect();
        state.attempts.put(now.at, attempt, Attempt { handles, _held: held });
    }
    if effects.duplicate {
        deliveries.iter().for_each(|d| state.store.duplicate(now.at, d));
    }
    let next_event = state.next_event();
    drop(state);
    if next_event != before || (effects.duplicate && !deliveries.is_empty()) {
        queue.bell.notify_waiters();
    }
    if let Some(target) = target {
        bury(queue, &target, dead, now);
    }
    Ok((deliveries, next_event))
}

/// Repeats the receive that first had this attempt id. Returns `None` if there was none, or if its messages are visible again.
fn repeat(state: &mut State, attempt: &dedup::Key, now: Now, visibility: Duration) -> Result<Option<Vec<Delivery>>> {
    let Some(remembered) = state.attempts.get(now.at, attempt).cloned() else {
        return Ok(None);
    };
    match state.store.repeat(now.at, &remembered.handles, visibility) {
        Repeat::Same(repeated) => Ok(Some(repeated)),
        Repeat::Expired => {
            state.attempts.remove(attempt);
            Ok(None)
        }
        Repeat::Refused => {
            let reason = "The receiveRequestAttemptId is not valid anymore since the receive call is not retryable.";
            Err(Error::invalid_value(&attempt.1, ATTEMPT_ID, reason))
        }
    }
}

/// Returns the number of messages that may still become in flight. Without room, only a short poll of a standard queue fails.
/// All other receives get no messages until there is room.
fn room(service: &Service, queue: &Queue, ask: &Ask, in_flight: usize) -> Result<usize> {
    let room = service.limits.in_flight(queue.fifo).saturating_sub(in_flight);
    let short = ask.wait.is_none_or(|wait| wait.is_zero());
    if room == 0 && short && !queue.fifo {
        let message = "Too many messages have been received without being deleted.\nPlease delete your received messages or \
                       let them timeout before receiving more.";
        return Err(Error::new(&error::OVER_LIMIT, message));
    }
    Ok(room)
}

/// Moves dead letters. The retention period continues on a standard queue and restarts on a FIFO queue.
fn bury(source: &Queue, target: &Queue, dead: Vec<Parcel>, now: Now) {
    for mut parcel in dead {
        parcel.source_arn = Some(source.arn.clone());
        if source.fifo {
            parcel.entered = now.at;
        }
        target.accept(now, parcel);
    }
}

/// The system attributes that a request may name.
const SYSTEM_NAMES: [&str; 10] = [
    "All",
    "SenderId",
    "SentTimestamp",
    "ApproximateReceiveCount",
    "ApproximateFirstReceiveTimestamp",
    "SequenceNumber",
    "MessageDeduplicationId",
    "MessageGroupId",
    "AWSTraceHeader",
    "DeadLetterQueueSourceArn",
];

fn show(delivery: &Delivery, ask: &Ask, effects: &Effects) -> Value {
    let content = &delivery.parcel.content;
    let mut message = json!({
        "MessageId": content.id,
        "ReceiptHandle": delivery.handle.encode(),
        "MD5OfBody": content.md5,
        "Body": content.body,
    });
    let system = system_attributes(&delivery.parcel, &ask.system_names);
    if !system.is_empty() {
        message["Attributes"] = system.into();
    }
    let wanted = |(name, _): &(&String, &Attribute)| ask.user_names.iter().any(|filter| matches(filter, name));
    let shown: Vec<(&String, &Attribute)> = content.attributes.iter().filter(wanted).collect();
    if !shown.is_empty() {
        // The digest covers the returned attributes only.
        let all = effects.digest_all || shown.len() == content.attributes.len();
        let stored = content.md5_attributes.clone().filter(|_| all);
        let md5 = stored.or_else(|| md5::of_attributes(shown.iter().copied()));
        message["MD5OfMessageAttributes"] = md5.into();
        let shown: Map<String, Value> = shown.iter().map(|(n, a)| ((*n).clone(), a.to_json())).collect();
        message["MessageAttributes"] = shown.into();
    }
    message
}

fn system_attributes(parcel: &Parcel, names: &[String]) -> Map<String, Value> {
    let content = &parcel.content;
    let values = [
        ("SenderId", Some(content.sender.clone())),
        ("SentTimestamp", Some(content.sent_ms.to_string())),
        ("ApproximateReceiveCount", Some(parcel.receives.to_string())),
        (
            "ApproximateFirstReceiveTimestamp",
            parcel.first_received_ms.map(|ms| ms.to_string()),
        ),
        ("SequenceNumber", content.sequence_number.clone()),
        ("MessageDeduplicationId", content.deduplication_id.clone()),
        ("MessageGroupId", content.group.clone()),
        ("AWSTraceHeader", content.trace_header.clone()),
        ("DeadLetterQueueSourceArn", parcel.source_arn.clone()),
    ];
    let requested = |name: &str| names.iter().any(|n| n == name || n == "All");
    let shown = values.into_iter().filter(|(name, _)| requested(name));
    shown
        .filter_map(|(name, value)| Some((name.to_owned(), value?.into())))
        .collect()
}

/// Returns `true` if a name matches a filter: `All`, the name itself, or `prefix.*`.
fn matches(filter: &str, name: &str) -> bool {
    filter == "All" || filter == name || filter.strip_suffix(".*").is_some_and(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_match_all_exact_names_and_prefixes() {
        for (filter, name, expected) in [
            ("All", "x", true),
            (".*", "x", true),
            ("Hel.*", "Hello", true),
            ("Hel.*", "Help.Me", true),
            ("Hel.*", "General", false),
            ("Hello", "Hello", true),
            ("Hello", "hello", false),
            ("*", "x", false),
        ] {
            assert_eq!(matches(filter, name), expected, "{filter} {name}");
        }
    }
}
