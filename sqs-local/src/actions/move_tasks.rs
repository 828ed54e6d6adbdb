//! Message move tasks, which move dead letters back in the background at a chosen rate.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tokio::task::{JoinSet, yield_now};
use tokio::time::{Instant, interval, timeout_at};

use crate::clock::Now;
use crate::protocol::error::{Error, Result};
use crate::protocol::input::Input;
use crate::queue::Queue;
use crate::queue::message::Content;
use crate::queue::parcel::Parcel;
use crate::queue::redrive;
use crate::service::Service;

const MAX_RATE: i64 = 500;
/// The number of tasks of one queue that ListMessageMoveTasks can return.
const MAX_LISTED: i64 = 10;
const QUEUE_MISSING: &str = "AWS.SimpleQueueService.NonExistentQueue";

/// A running or finished task.
#[derive(Debug)]
struct Task {
    handle: String,
    source: Arc<Queue>,
    destination_arn: Option<String>,
    rate: Option<u64>,
    to_move: usize,
    started_ms: u64,
    progress: Mutex<Progress>,
}

#[derive(Clone, Debug)]
struct Progress {
    status: Status,
    moved: u64,
    failure: Option<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Running,
    Completed,
    Cancelled,
    Failed,
}

impl Status {
    fn name(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Completed => "COMPLETED",
            Self::Cancelled => "CANCELLED",
            Self::Failed => "FAILED",
        }
    }
}

/// The result of a task's step.
enum Step {
    Moved,
    /// The next message has changed in the meantime.
    Again,
    /// All remaining messages are delayed. The next timer expires at this time.
    Waiting(Instant),
    Over,
}

/// The tasks of a server.
#[derive(Debug, Default)]
pub(super) struct MoveTasks {
    all: Mutex<Vec<Arc<Task>>>,
    /// The running tasks, which end when the server stops.
    workers: Mutex<JoinSet<()>>,
}

impl MoveTasks {
    pub(super) fn start(&self, service: &Arc<Service>, input: &Input) -> Result<Value> {
        let source = find(service, input, "SourceArn")?;
        if !is_dead_letter_queue(service, &source.arn) {
            return Err(Error::invalid(
                "Source queue must be configured as a Dead Letter Queue.",
            ));
        }
        if input.has("DestinationArn") {
            let destination = find(service, input, "DestinationArn")?;
            check_destination(&source, &destination)?;
        }
        let rate = number_within(input, "MaxNumberOfMessagesPerSecond", MAX_RATE)?;
        let mut tasks = self.tasks();
        if tasks.iter().any(|task| task.is_of(&source) && task.is_running()) {
            return Err(Error::invalid(
                "There is already a task running. Only one active task is allowed for a source queue arn at a given time.",
            ));
        }
        let now = service.now();
        let id = json!({"taskId": service.rng.uuid().to_string(), "sourceArn": source.arn});
        let counts = source.lock(now).store.counts();
        let task = Arc::new(Task {
            handle: BASE64_STANDARD.encode(id.to_string()),
            source,
            destination_arn: input.opt_str("DestinationArn").map(str::to_owned),
            rate,
            to_move: counts.visible + counts.delayed,
            started_ms: now.wall_ms,
            progress: Mutex::new(Progress {
                status: Status::Running,
                moved: 0,
                failure: None,
            }),
        });
        tasks.push(task.clone());
        forget(&mut tasks, now);
        drop(tasks);
        let output = json!({"TaskHandle": task.handle});
        let mut workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        // Finished workers stay in the set until they are joined.
        while workers.try_join_next().is_some() {}
        // Before the first poll, because the runtime of this request may end before the server, and even before that.
        let end = EndGuard(task.clone());
        let running = task.run(Arc::clone(service));
        workers.spawn(async move {
            running.await;
            drop(end);
        });
        Ok(output)
    }

    pub(super) fn cancel(&self, service: &Service, input: &Input) -> Result<Value> {
        let handle = input.str("TaskHandle")?;
        let source_arn = decode(handle).ok_or_else(|| Error::invalid("Value for parameter TaskHandle is invalid."))?;
        let source = find_arn(service, &source_arn, "SourceArn")?;
        let tasks = self.tasks();
        let task = tasks.iter().find(|task| task.handle == handle && task.is_of(&source));
        let task = task.ok_or_else(|| Error::not_found("Task does not exist."))?;
        let mut progress = task.progress();
        if progress.status != Status::Running {
            return Err(Error::invalid("Only active tasks can be cancelled."));
        }
        progress.status = Status::Cancelled;
        // The worker may be waiting for a delayed message.
        source.bell.notify_waiters();
        Ok(json!({"ApproximateNumberOfMessagesMoved": progress.moved}))
    }

    pub(super) fn list(&self, service: &Service, input: &Input) -> Result<Value> {
        let source = find(service, input, "SourceArn")?;
        let max = number_within(input, "MaxResults", MAX_LISTED)?.unwrap_or(1);
        let tasks = self.tasks();
        let newest_first = tasks.iter().rev().filter(|task| task.is_of(&source));
        let shown: Vec<Value> = newest_first
            .take(usize::try_from(max).unwrap_or(1))
            .map(|t| t.show())
            .collect();
        if shown.is_empty() {
            Ok(json!({}))
        } else {
            Ok(json!({"Results": shown}))
        }
    }

    /// Ends all tasks.
    pub(super) fn stop(&self) {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
    }

    fn tasks(&self) -> MutexGuard<'_, Vec<Arc<Task>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Finds the queue whose ARN a parameter contains.
fn find(service: &Service, input: &Input, parameter: &str) -> Result<Arc<Queue>> {
    let arn = input.opt_str(parameter).ok_or_else(|| Error::missing(parameter))?;
    if !redrive::is_arn(arn) {
        return Err(Error::invalid(format!(
            "You must use this format to specify the {parameter}: \
             arn:<partition>:<service>:<region>:<account-id>:<resource-id>"
        )));
    }
    find_arn(service, arn, parameter)
}

fn find_arn(service: &Service, arn: &str, parameter: &str) -> Result<Arc<Queue>> {
    let missing = || {
        Error::not_found(format!(
            "The resource that you specified for the {parameter} parameter doesn't exist."
        ))
    };
    service.queue_by_arn(arn).ok_or_else(missing)
}

/// Returns the source's ARN in a task handle. Returns `None` for other text.
fn decode(handle: &str) -> Option<String> {
    let bytes = BASE64_STANDARD.decode(handle).ok()?;
    let members: Value = serde_json::from_slice(&bytes).ok()?;
    members.get("taskId")?.as_str()?;
    Some(members.get("sourceArn")?.as_str()?.to_owned())
}

fn check_destination(source: &Queue, destination: &Queue) -> Result<()> {
    if source.arn == destination.arn {
        return Err(Error::invalid(
            "Source queue arn and destination queue arn cannot be the same.",
        ));
    }
    if source.fifo != destination.fifo {
        return Err(Error::invalid(
            "The source queue and destination queue must be of the same queue type.",
        ));
    }
    Ok(())
}

fn number_within(input: &Input, parameter: &str, max: i64) -> Result<Option<u64>> {
    let number = input.int_within(parameter, 1, max, "");
    number.map_err(|_| {
        Error::out_of_range(
            parameter,
            &format!("You must enter a number that's between 1 and {max}."),
        )
    })
}

/// Forgets the tasks that no request can list anymore.
fn forget(tasks: &mut Vec<Arc<Task>>, now: Now) {
    let mut listed: BTreeMap<u64, i64> = BTreeMap::new();
    let mut kept: Vec<Arc<Task>> = Vec::new();
    for task in tasks.drain(..).rev() {
        let count = listed.entry(task.source.id).or_default();
        *count += 1;
        let can_be_listed = *count <= MAX_LISTED && !task.source.lock(now).deleted;
        if can_be_listed || task.is_running() {
            kept.push(task);
        }
    }
    tasks.extend(kept.into_iter().rev());
}

fn is_dead_letter_queue(service: &Service, arn: &str) -> bool {
    let queues: Vec<Arc<Queue>> = service.queues().values().cloned().collect();
    let points_here = |queue: &Arc<Queue>| {
        let state = queue.lock(service.now());
        state.settings.redrive().is_some_and(|r| r.target_arn == arn)
    };
    queues.iter().any(points_here)
}

impl Task {
    /// Returns `true` if the task moves this queue's messages, and not those of a deleted queue with the same name.
    fn is_of(&self, queue: &Queue) -> bool {
        self.source.id == queue.id
    }

    fn is_running(&self) -> bool {
        self.progress().status == Status::Running
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self) -> Value {
        let progress = self.progress().clone();
        let mut shown = json!({
            "Status": progress.status.name(),
            "SourceArn": self.source.arn,
            "ApproximateNumberOfMessagesMoved": progress.moved,
            "ApproximateNumberOfMessagesToMove": self.to_move,
            "StartedTimestamp": self.started_ms,
        });
        // Only a running task has a handle, because no other can be canceled.
        if progress.status == Status::Running {
            shown["TaskHandle"] = self.handle.clone().into();
        }
        if let Some(arn) = &self.destination_arn {
            shown["DestinationArn"] = arn.clone().into();
        }
        if let Some(rate) = self.rate {
            shown["MaxNumberOfMessagesPerSecond"] = rate.into();
        }
        if let Some(reason) = progress.failure {
            shown["FailureReason"] = reason.into();
        }
        shown
    }

    async fn run(self: Arc<Self>, service: Arc<Service>) {
        let pause = |rate| Duration::from_secs(1) / u32::try_from(rate).unwrap_or(1);
        let mut ticks = self.rate.map(|rate| interval(pause(rate)));
        loop {
            let mut bell = std::pin::pin!(self.source.bell.notified());
            // No ring is missed from here on.
            bell.as_mut().enable();
            if let Some(ticks) = &mut ticks {
                ticks.tick().await;
            }
            // Under the lock, so that nothing moves after the response to a cancellation.
            let step = self.step(&service, &mut self.progress());
            match step {
                Step::Over => return,
                Step::Moved | Step::Again => yield_now().await,
                Step::Waiting(until) => {
                    // A receive may cancel the timer, and a cancellation rings the bell.
                    let _ = timeout_at(until, bell).await;
                    if let Some(ticks) = &mut ticks {
                        ticks.reset();
                    }
                }
            }
        }
    }

    /// Moves one message.
    fn step(&self, service: &Service, progress: &mut Progress) -> Step {
        if progress.status != Status::Running {
            return Step::Over;
        }
        let now = service.now();
        let mut source = self.source.lock(now);
        if source.deleted {
            return progress.fail(QUEUE_MISSING);
        }
        let Some(head) = source.store.peek().map(|parcel| parcel.source_arn.clone()) else {
            let delayed = source.store.counts().delayed > 0;
            return match source.next_event().filter(|_| delayed) {
                Some(until) => Step::Waiting(until),
                None => {
                    progress.status = Status::Completed;
                    Step::Over
                }
            };
        };
        // No queue may be locked during a look-up.
        drop(source);
        let arn = self.destination_arn.as_ref().or(head.as_ref());
        let Some(target) = arn.and_then(|arn| service.queue_by_arn(arn)) else {
            // The message keeps its place.
            return progress.fail(match arn {
                None => "CouldNotDetermineMessageSource",
                Some(_) => QUEUE_MISSING,
            });
        };
        let mut source = self.source.lock(now);
        if source.store.peek().is_none_or(|parcel| parcel.source_arn != head) {
            return Step::Again;
        }
        let Some(parcel) = source.store.pop(now.at) else {
            return Step::Again;
        };
        drop(source);
        let number = target.fifo.then(|| target.lock(now).next_sequence());
        target.accept(now, renew(service, now, &parcel, number));
        progress.moved += 1;
        Step::Moved
    }
}

/// Ends a task that nobody runs any more.
struct EndGuard(Arc<Task>);

impl Drop for EndGuard {
    fn drop(&mut self) {
        let mut progress = self.0.progress();
        if progress.status == Status::Running {
            progress.status = Status::Cancelled;
        }
    }
}

impl Progress {
    fn fail(&mut self, reason: &'static str) -> Step {
        self.status = Status::Failed;
        self.failure = Some(reason);
        Step::Over
    }
}

/// Creates the message that SQS puts into the destination: it has a new id, was sent now and never received.
fn renew(service: &Service, now: Now, parcel: &Parcel, sequence_number: Option<String>) -> Parcel {
    let content = Content {
        id: service.rng.uuid().to_string(),
        sequence_number,
        sent_ms: now.wall_ms,
        ..(*parcel.content).clone()
    };
    Parcel {
        content: Arc::new(content),
        receives: 0,
        first_received_ms: None,
        source_arn: None,
        entered: now.at,
    }
}
