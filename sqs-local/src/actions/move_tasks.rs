//! Message move tasks, which move dead letters back in the background at a chosen rate.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::clock::Now;
use crate::protocol::error::{Error, Result};
use crate::protocol::input::Input;
use crate::queue::Queue;
use crate::queue::message::Content;
use crate::queue::parcel::Parcel;
use crate::service::Service;

const MAX_RATE: i64 = 500;

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

/// The tasks of a server.
#[derive(Debug, Default)]
pub(super) struct MoveTasks {
    all: Mutex<Vec<Arc<Task>>>,
    /// The running tasks, which end when the server stops.
    workers: Mutex<JoinSet<()>>,
}

impl MoveTasks {
    pub(super) fn start(&self, service: &Arc<Service>, input: &Input) -> Result<Value> {
        let source_arn = input.str("SourceArn")?;
        let reason = "MaxNumberOfMessagesPerSecond must be between 1 and 500.";
        let rate = input.int_within("MaxNumberOfMessagesPerSecond", 1, MAX_RATE, reason)?;
        let source = find(service, source_arn, "SourceArn")?;
        let destination_arn = input.opt_str("DestinationArn").map(str::to_owned);
        if let Some(arn) = &destination_arn {
            find(service, arn, "DestinationArn")?;
        }
        if !is_dead_letter_queue(service, source_arn) {
            return Err(Error::invalid(
                "Source queue must be configured as a Dead Letter Queue.",
            ));
        }
        let mut tasks = self.tasks();
        if tasks
            .iter()
            .any(|t| t.source.arn == source_arn && t.progress().status == Status::Running)
        {
            return Err(Error::unsupported(
                "There is already a task running. Only one active task is allowed for a source queue arn at a given time.",
            ));
        }
        let now = service.now();
        let id = json!({"taskId": service.rng.uuid().to_string(), "sourceArn": source_arn});
        let to_move = source.lock(now).store.counts().visible;
        let task = Arc::new(Task {
            handle: BASE64_STANDARD.encode(id.to_string()),
            source,
            destination_arn,
            rate,
            to_move,
            started_ms: now.wall_ms,
            progress: Mutex::new(Progress {
                status: Status::Running,
                moved: 0,
                failure: None,
            }),
        });
        tasks.push(task.clone());
        drop(tasks);
        let output = json!({"TaskHandle": task.handle});
        let mut workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        workers.spawn(task.run(Arc::clone(service)));
        Ok(output)
    }

    pub(super) fn cancel(&self, input: &Input) -> Result<Value> {
        let handle = input.str("TaskHandle")?;
        let task = self.tasks().iter().find(|t| t.handle == handle).cloned();
        let task = task.ok_or_else(|| Error::not_found("Task does not exist."))?;
        let mut progress = task.progress();
        if progress.status != Status::Running {
            return Err(Error::unsupported("Only active tasks can be cancelled."));
        }
        progress.status = Status::Cancelled;
        Ok(json!({"ApproximateNumberOfMessagesMoved": progress.moved}))
    }

    pub(super) fn list(&self, service: &Service, input: &Input) -> Result<Value> {
        let source_arn = input.str("SourceArn")?;
        let reason = "MaxResults must be between 1 and 10.";
        let max = input.int_within("MaxResults", 1, 10, reason)?.unwrap_or(1);
        find(service, source_arn, "SourceArn")?;
        let tasks = self.tasks();
        let newest_first = tasks.iter().rev().filter(|t| t.source.arn == source_arn);
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

fn find(service: &Service, arn: &str, parameter: &str) -> Result<Arc<Queue>> {
    let missing = || {
        Error::not_found(format!(
            "The resource that you specified for the {parameter} parameter doesn't exist."
        ))
    };
    service.queue_by_arn(arn).ok_or_else(missing)
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
        let pause = self
            .rate
            .map(|rate| Duration::from_secs(1) / u32::try_from(rate).unwrap_or(1));
        loop {
            // Under the lock, so that nothing moves after the response to a cancellation.
            let step = self.step(&service, &mut self.progress());
            if !step {
                return;
            }
            match pause {
                Some(pause) => tokio::time::sleep(pause).await,
                None => tokio::task::yield_now().await,
            }
        }
    }

    /// Moves one message. Returns `false` if the task is over.
    fn step(&self, service: &Service, progress: &mut Progress) -> bool {
        if progress.status != Status::Running {
            return false;
        }
        let now = service.now();
        let taken = self.source.lock(now).store.pop(now.at);
        let Some(parcel) = taken else {
            progress.status = Status::Completed;
            return false;
        };
        let arn = self.destination_arn.clone().or_else(|| parcel.source_arn.clone());
        let target = arn.as_deref().and_then(|arn| service.queue_by_arn(arn));
        let Some(target) = target else {
            self.source.accept(now, parcel);
            progress.status = Status::Failed;
            progress.failure = Some(match arn {
                None => "CouldNotDetermineMessageSource",
                Some(_) => "AWS.SimpleQueueService.NonExistentQueue",
            });
            return false;
        };
        target.accept(now, renew(service, now, &parcel));
        progress.moved += 1;
        true
    }
}

/// Creates the message that SQS puts into the destination: it has a new id, was sent now and never received.
fn renew(service: &Service, now: Now, parcel: &Parcel) -> Parcel {
    let content = Content {
        id: service.rng.uuid().to_string(),
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
