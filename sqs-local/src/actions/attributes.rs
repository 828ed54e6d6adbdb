//! GetQueueAttributes and SetQueueAttributes.

use serde_json::{Map, Value, json};

use super::nothing;
use crate::protocol::error::{Error, Result};
use crate::protocol::input::Input;
use crate::queue::redrive;
use crate::queue::settings::{self, COMPUTED, Settings};
use crate::queue::{Queue, State};
use crate::service::Service;

pub(crate) fn get(service: &Service, input: &Input) -> Result<Value> {
    let queue = service.queue(input)?;
    let names = input.strings("AttributeNames");
    if let Some(name) = names.iter().find(|name| !settings::is_known(name)) {
        return Err(settings::unknown(name));
    }
    let requested = |name: &str| names.iter().any(|n| n == name || n == "All");
    let state = queue.lock(service.now());
    let set = state.settings.iter().map(|(name, value)| (name.clone(), value.clone()));
    let computed = COMPUTED
        .iter()
        .map(|name| ((*name).to_owned(), compute(&queue, &state, name)));
    let wanted = set.chain(computed).filter(|(name, _)| requested(name));
    let attributes: Map<String, Value> = wanted.map(|(name, value)| (name, value.into())).collect();
    if attributes.is_empty() {
        Ok(nothing())
    } else {
        Ok(json!({"Attributes": attributes}))
    }
}

fn compute(queue: &Queue, state: &State, name: &str) -> String {
    let counts = state.store.counts();
    match name {
        "ApproximateNumberOfMessages" => counts.visible.to_string(),
        "ApproximateNumberOfMessagesDelayed" => counts.delayed.to_string(),
        "ApproximateNumberOfMessagesNotVisible" => counts.in_flight.to_string(),
        "CreatedTimestamp" => (state.created_ms / 1000).to_string(),
        "LastModifiedTimestamp" => (state.modified_ms / 1000).to_string(),
        _ => queue.arn.clone(),
    }
}

pub(crate) fn set(service: &Service, input: &Input) -> Result<Value> {
    let queue = service.queue(input)?;
    let given = input.string_map("Attributes");
    if given.is_empty() {
        return Err(Error::missing("Attributes"));
    }
    let now = service.now();
    // Checked on a copy outside the lock, because a redrive policy may name this very queue.
    let mut settings = queue.lock(now).settings.clone();
    settings.set(&given)?;
    check_redrive(service, &queue.arn, &settings, &given)?;
    let mut state = queue.lock(now);
    // Another request may have changed other attributes in the meantime.
    state.settings.set(&given)?;
    state.modified_ms = now.wall_ms;
    drop(state);
    // A shorter retention may make room, or free a group.
    queue.bell.notify_waiters();
    Ok(nothing())
}

/// Checks a given redrive policy: the dead-letter queue exists, has the same type, and accepts dead letters from the source.
pub(crate) fn check_redrive(
    service: &Service,
    source_arn: &str,
    settings: &Settings,
    given: &[(String, String)],
) -> Result<()> {
    let policy = given.iter().find(|(name, _)| name == "RedrivePolicy");
    let (Some((_, policy)), Some(redrive)) = (policy, settings.redrive()) else {
        return Ok(());
    };
    let refuse = |reason: &str| Err(Error::invalid_value(policy, "RedrivePolicy", reason));
    let arn = redrive.target_arn.as_str();
    let mut parts = arn.split(':').skip(2);
    let mut next = || parts.next().unwrap_or_default();
    let (kind, region, account) = (next(), next(), next());
    if kind != "sqs" {
        return refuse("Only SQS queues are valid resources for deadLetterTargetArn.");
    }
    if region != service.region {
        return refuse("Dead-letter target must be in same region as the source.");
    }
    if account != service.account {
        return refuse("Dead-letter target owner should be same as the source.");
    }
    if arn.ends_with(".fifo") != settings.is_fifo() {
        // AWS's message ends with two full stops.
        return refuse("Dead-letter queue must be same type of queue as the source..");
    }
    let Some(target) = service.queue_by_arn(arn) else {
        return refuse("Dead letter target does not exist.");
    };
    let target = target.lock(service.now());
    if !redrive::allows(target.settings.get("RedriveAllowPolicy"), source_arn) {
        return refuse("The redrive allow policy of the dead-letter queue does not permit this source queue.");
    }
    Ok(())
}
