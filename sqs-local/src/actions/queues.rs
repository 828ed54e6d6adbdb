//! Actions on queues: create, find, list, purge and delete.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{attributes, nothing, paging, tags};
use crate::protocol::error::{self, Error, Result};
use crate::protocol::input::Input;
use crate::queue::Queue;
use crate::queue::settings::Settings;
use crate::service::Service;

pub(crate) fn create(service: &Service, input: &Input) -> Result<Value> {
    let name = input.str("QueueName")?;
    let given = input.string_map("Attributes");
    let fifo = check_name(name, &given)?;
    let settings = Settings::create(fifo, service.limits.min_retention, &given)?;
    attributes::check_redrive(service, &service.arn(name), &settings, &given)?;
    let tags = tags::read(name, input.string_map("tags"))?;
    let now = service.now();
    if service.was_just_deleted(name, now) {
        let message =
            "You must wait 60 seconds after deleting a queue before you can create another with the same name.";
        return Err(Error::new(&error::QUEUE_DELETED_RECENTLY, message));
    }
    let output = json!({"QueueUrl": service.url(name)});
    let mut queues = service.queues();
    if let Some(existing) = queues.get(name) {
        let state = existing.lock(now);
        check_same(&state.settings, &settings, &given)?;
        // A request without tags says nothing about them.
        if !tags.is_empty() && tags != state.tags {
            return Err(exists("tags"));
        }
        return Ok(output);
    }
    let queue = Queue::new(
        name.to_owned(),
        service.arn(name),
        service.next_queue_id(),
        settings,
        now,
    );
    queue.lock(now).tags = tags;
    queues.insert(name.to_owned(), Arc::new(queue));
    Ok(output)
}

/// Checks a queue's name. Returns `true` if it is a FIFO queue's.
fn check_name(name: &str, given: &[(String, String)]) -> Result<bool> {
    let fifo = given.iter().any(|(name, value)| name == "FifoQueue" && value == "true");
    let stem = name.strip_suffix(".fifo").filter(|_| fifo).unwrap_or(name);
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let well_formed = !stem.is_empty() && name.len() <= 80 && stem.chars().all(allowed);
    if fifo && (stem == name || !well_formed) {
        return Err(Error::invalid(
            "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must end with \
             .fifo suffix and be 1 to 80 in length.",
        ));
    }
    if !well_formed {
        let message = "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length";
        return Err(Error::invalid(message));
    }
    Ok(fifo)
}

/// Checks that a queue which is created again has the given attributes. Attributes that are not given do not matter.
fn check_same(existing: &Settings, new: &Settings, given: &[(String, String)]) -> Result<()> {
    // Compared as they are shown, because a policy may be written in several ways.
    let differs = |(name, _): &&(String, String)| existing.get(name) != new.get(name);
    match given.iter().find(differs) {
        None => Ok(()),
        Some((name, _)) => Err(exists(&format!("attribute {name}"))),
    }
}

fn exists(part: &str) -> Error {
    let message = format!("A queue already exists with the same name and a different value for {part}");
    Error::new(&error::QUEUE_EXISTS, message)
}

pub(crate) fn get_url(service: &Service, input: &Input) -> Result<Value> {
    let name = input.str("QueueName")?;
    let owner = input.opt_str("QueueOwnerAWSAccountId").unwrap_or(&service.account);
    let queue = service.queue_named(name).filter(|_| owner == service.account);
    let queue = queue.ok_or_else(Error::queue_missing)?;
    Ok(json!({"QueueUrl": service.url(&queue.name)}))
}

pub(crate) fn list(service: &Service, input: &Input) -> Result<Value> {
    let prefix = input.opt_str("QueueNamePrefix").unwrap_or_default();
    let names = service
        .queues()
        .keys()
        .filter(|n| n.starts_with(prefix))
        .cloned()
        .collect();
    if input.has("NextToken") && !input.has("MaxResults") {
        let message = "MaxResults is a mandatory parameter when you provide a value for NextToken.";
        return Err(Error::invalid(message));
    }
    let (names, next) = paging::page(names, prefix, input)?;
    let urls: Vec<String> = names.iter().map(|name| service.url(name)).collect();
    Ok(listing("QueueUrls", urls, next))
}

/// Lists the queues that send their dead letters to this one.
pub(crate) fn list_sources(service: &Service, input: &Input) -> Result<Value> {
    let target = service.queue(input)?;
    let now = service.now();
    let all: Vec<Arc<Queue>> = service.queues().values().cloned().collect();
    let sends_here = |queue: &&Arc<Queue>| {
        let state = queue.lock(now);
        state.settings.redrive().is_some_and(|r| r.target_arn == target.arn)
    };
    let names = all.iter().filter(sends_here).map(|q| q.name.clone()).collect();
    let (names, next) = paging::page(names, &target.name, input)?;
    let urls: Vec<String> = names.iter().map(|name| service.url(name)).collect();
    let mut output = listing("queueUrls", urls, next);
    // This member is required, even if it is empty.
    if output.get("queueUrls").is_none() {
        output["queueUrls"] = json!([]);
    }
    Ok(output)
}

fn listing(member: &str, items: Vec<String>, next: Option<String>) -> Value {
    let mut output = json!({});
    if !items.is_empty() {
        output[member] = items.into();
    }
    if let Some(next) = next {
        output["NextToken"] = next.into();
    }
    output
}

pub(crate) fn purge(service: &Service, input: &Input) -> Result<Value> {
    let queue = service.queue(input)?;
    let now = service.now();
    let mut state = queue.lock(now);
    if state
        .purged
        .is_some_and(|at| now.at.saturating_duration_since(at) < service.limits.purge_interval)
    {
        let message = format!(
            "Only one PurgeQueue operation on {} is allowed every 60 seconds.",
            queue.name
        );
        return Err(Error::new(&error::PURGE_IN_PROGRESS, message));
    }
    state.purged = Some(now.at);
    state.purge();
    drop(state);
    // A move task may wait for a message that is gone.
    queue.bell.notify_waiters();
    Ok(nothing())
}

pub(crate) fn delete(service: &Service, input: &Input) -> Result<Value> {
    let queue = service.queue(input)?;
    let now = service.now();
    {
        let mut queues = service.queues();
        // Another request may have deleted the queue and created one with its name.
        if queues.get(&queue.name).is_some_and(|found| Arc::ptr_eq(found, &queue)) {
            queues.remove(&queue.name);
            service.mark_deleted(&queue.name, now);
        }
    }
    let mut state = queue.lock(now);
    state.deleted = true;
    // A finished move task may keep the queue, which must not keep its messages.
    state.purge();
    drop(state);
    // Long polls end with the queue.
    queue.bell.notify_waiters();
    Ok(nothing())
}
