//! The registry of queues.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::clock::{Clock, Now};
use crate::protocol::error::{self, Error, Result};
use crate::protocol::input::Input;
use crate::queue::Queue;
use crate::rng::Rng;

/// Limits that the builder sets.
#[derive(Debug)]
pub(crate) struct Limits {
    pub(crate) in_flight_standard: usize,
    pub(crate) in_flight_fifo: usize,
    pub(crate) purge_interval: Duration,
    pub(crate) recreate_delay: Duration,
    pub(crate) batch_bytes: usize,
}

impl Limits {
    /// Returns the maximum number of messages in flight.
    pub(crate) fn in_flight(&self, fifo: bool) -> usize {
        if fifo {
            self.in_flight_fifo
        } else {
            self.in_flight_standard
        }
    }
}

/// The queues of a server, and what all of its actions share.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) region: String,
    pub(crate) account: String,
    /// The start of queue URLs: `http://127.0.0.1:1234`.
    pub(crate) base_url: String,
    pub(crate) limits: Limits,
    pub(crate) clock: Arc<Clock>,
    pub(crate) rng: Rng,
    queues: Mutex<BTreeMap<String, Arc<Queue>>>,
    deleted: Mutex<HashMap<String, Instant>>,
    queue_ids: AtomicU64,
}

impl Service {
    pub(crate) fn new(
        region: String,
        account: String,
        base_url: String,
        limits: Limits,
        clock: Arc<Clock>,
        seed: u64,
    ) -> Self {
        Self {
            region,
            account,
            base_url,
            limits,
            clock,
            rng: Rng::new(seed),
            queues: Mutex::default(),
            deleted: Mutex::default(),
            queue_ids: AtomicU64::new(1),
        }
    }

    pub(crate) fn now(&self) -> Now {
        self.clock.now()
    }

    pub(crate) fn queues(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Queue>>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn queue_named(&self, name: &str) -> Option<Arc<Queue>> {
        self.queues().get(name).cloned()
    }

    pub(crate) fn queue_by_arn(&self, arn: &str) -> Option<Arc<Queue>> {
        let name = arn.strip_prefix(&self.arn(""))?;
        self.queue_named(name)
    }

    /// Finds the queue of a request's QueueUrl. The URL's host does not matter, because clients may use any address.
    pub(crate) fn queue(&self, input: &Input) -> Result<Arc<Queue>> {
        let url = input.str("QueueUrl")?;
        let path = match url.split_once("://") {
            Some((_, rest)) => rest.split_once('/').map(|(_, path)| path),
            None => url.strip_prefix('/'),
        };
        let Some((account, name)) = path.and_then(|p| p.split_once('/')) else {
            let message = format!("The address {url} is not valid for this endpoint.");
            return Err(Error::new(&error::INVALID_ADDRESS, message));
        };
        let queue = self.queue_named(name).filter(|_| account == self.account);
        queue.ok_or_else(Error::queue_missing)
    }

    pub(crate) fn url(&self, queue: &str) -> String {
        format!("{}/{}/{queue}", self.base_url, self.account)
    }

    pub(crate) fn arn(&self, queue: &str) -> String {
        format!("arn:aws:sqs:{}:{}:{queue}", self.region, self.account)
    }

    pub(crate) fn next_queue_id(&self) -> u64 {
        // Mixed with randomness, so that handles from a server with another seed are refused too.
        self.queue_ids.fetch_add(1, Ordering::Relaxed) ^ (self.rng.next() << 32)
    }

    /// Records that a queue was deleted.
    pub(crate) fn mark_deleted(&self, name: &str, now: Now) {
        let mut deleted = self.deleted.lock().unwrap_or_else(PoisonError::into_inner);
        deleted.retain(|_, at| *at + self.limits.recreate_delay > now.at);
        deleted.insert(name.to_owned(), now.at);
    }

    pub(crate) fn was_just_deleted(&self, name: &str, now: Now) -> bool {
        let deleted = self.deleted.lock().unwrap_or_else(PoisonError::into_inner);
        deleted
            .get(name)
            .is_some_and(|at| *at + self.limits.recreate_delay > now.at)
    }
}
