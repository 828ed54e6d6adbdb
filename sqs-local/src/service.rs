//! A server's queues as one request sees them: those of an account in a region, with URLs that start as the request's.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use crate::clock::{Clock, Now};
use crate::memory::{Held, Memory};
use crate::protocol::error::{self, Error, Result};
use crate::protocol::input::Input;
use crate::queue::Queue;
use crate::registry::{MAX_QUEUES, Registries, Registry};
use crate::rng::Rng;

/// Limits that the builder sets.
#[derive(Debug)]
pub(crate) struct Limits {
    pub(crate) in_flight_standard: usize,
    pub(crate) in_flight_fifo: usize,
    pub(crate) purge_interval: Duration,
    pub(crate) recreate_delay: Duration,
    pub(crate) batch_bytes: usize,
    pub(crate) min_retention: Duration,
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

/// The queues that a request sees, and what all requests share.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) region: String,
    pub(crate) account: String,
    /// The start of queue URLs: `http://127.0.0.1:1234`.
    pub(crate) base_url: String,
    pub(crate) limits: Arc<Limits>,
    pub(crate) clock: Arc<Clock>,
    pub(crate) rng: Arc<Rng>,
    memory: Arc<Memory>,
    queue_ids: Arc<AtomicU64>,
    registries: Arc<Registries>,
    registry: Arc<Registry>,
}

impl Service {
    /// Creates a server's own account in its own region.
    pub(crate) fn new(
        region: String,
        account: String,
        base_url: String,
        limits: Limits,
        clock: Clock,
        memory: Arc<Memory>,
        seed: u64,
    ) -> Self {
        let registries = Registries::default();
        // The first registry always has room.
        let registry = registries.open(&account, &region).unwrap_or_default();
        Self {
            region,
            account,
            base_url,
            limits: Arc::new(limits),
            clock: Arc::new(clock),
            rng: Arc::new(Rng::new(seed)),
            memory,
            queue_ids: Arc::new(AtomicU64::new(1)),
            registries: Arc::new(registries),
            registry,
        }
    }

    /// Returns the queues of another account and region, with another start of URLs.
    ///
    /// # Errors
    ///
    /// Returns `OverLimit` if the request creates the queue `creates` and there is no room for it.
    pub(crate) fn seen_by(
        self: &Arc<Self>,
        account: &str,
        region: &str,
        base_url: &str,
        creates: Option<&str>,
    ) -> Result<Arc<Self>> {
        let here = account == self.account && region == self.region;
        let seen = if here && base_url == self.base_url {
            self.clone()
        } else {
            let registry = match creates {
                _ if here => self.registry.clone(),
                Some(_) => self.registries.open(account, region)?,
                None => self.registries.find(account, region),
            };
            Arc::new(Self {
                region: region.to_owned(),
                account: account.to_owned(),
                base_url: base_url.to_owned(),
                registry,
                ..Self::clone(self)
            })
        };
        if let Some(name) = creates {
            seen.check_room(name)?;
        }
        Ok(seen)
    }

    /// Checks that there is room for a new queue.
    fn check_room(&self, name: &str) -> Result<()> {
        if self.queue_named(name).is_some() || self.registries.queue_count() < MAX_QUEUES {
            return Ok(());
        }
        let message = format!("This server has {MAX_QUEUES} queues, which is its maximum; delete some.");
        Err(Error::new(&error::OVER_LIMIT, message))
    }

    pub(crate) fn now(&self) -> Now {
        self.clock.now()
    }

    pub(crate) fn queues(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Queue>>> {
        self.registry.queues()
    }

    pub(crate) fn queue_named(&self, name: &str) -> Option<Arc<Queue>> {
        self.queues().get(name).cloned()
    }

    pub(crate) fn queue_by_arn(&self, arn: &str) -> Option<Arc<Queue>> {
        let name = arn.strip_prefix(&self.arn(""))?;
        self.queue_named(name)
    }

    /// Finds the queue of a request's QueueUrl, which may be a bare name. The URL's host does not matter, because clients
    /// may use any address.
    pub(crate) fn queue(&self, input: &Input) -> Result<Arc<Queue>> {
        let (account, name) = account_and_queue(input.str("QueueUrl")?).ok_or_else(Error::queue_missing)?;
        let queue = self
            .queue_named(name)
            .filter(|_| account.is_none_or(|account| account == self.account));
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
        self.registry.mark_deleted(name, now.at, self.limits.recreate_delay);
    }

    pub(crate) fn was_just_deleted(&self, name: &str, now: Now) -> bool {
        let deleted = self.registry.deleted_at(name);
        deleted.is_some_and(|at| now.at.saturating_duration_since(at) < self.limits.recreate_delay)
    }

    /// Holds memory for a message or a deduplication id.
    ///
    /// # Errors
    ///
    /// Returns `OverLimit` if that much is not left.
    pub(crate) fn hold(&self, bytes: usize) -> Result<Held> {
        let held = self.memory.hold(bytes).or_else(|| {
            self.drop_expired();
            self.memory.hold(bytes)
        });
        held.ok_or_else(|| {
            let message = format!(
                "The server's messages occupy {} of {} bytes, which leaves no room for this message; delete messages or \
                 raise max_memory.",
                self.memory.held(),
                self.memory.limit()
            );
            Error::new(&error::OVER_LIMIT, message)
        })
    }

    /// Removes what has expired in queues that no request has touched since.
    fn drop_expired(&self) {
        let now = self.now();
        for queue in self.registries.queues() {
            queue.lock(now).sent.forget(now.at);
        }
    }
}

/// Splits a queue's URL, its path or its bare name into the account, if there is one, and the name.
pub(crate) fn account_and_queue(url: &str) -> Option<(Option<&str>, &str)> {
    let path = match url.split_once("://") {
        Some((_, rest)) => rest.split_once('/')?.1,
        None => match url.strip_prefix('/') {
            Some(path) => path,
            None if url.contains('/') => return None,
            None => return Some((None, url)),
        },
    };
    let (account, name) = path.split_once('/')?;
    let complete = !account.is_empty() && !name.is_empty() && !name.contains('/');
    complete.then_some((Some(account), name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_named_by_its_url_its_path_or_its_name() {
        for (url, expected) in [
            ("http://h:1/0/orders", Some((Some("0"), "orders"))),
            ("/0/orders", Some((Some("0"), "orders"))),
            ("orders", Some((None, "orders"))),
            ("http://h", None),
            ("http://h/", None),
            ("http://h/orders", None),
            ("http://h/0/", None),
            ("http://h/0/orders/x", None),
            ("/", None),
            ("0/orders", None),
        ] {
            assert_eq!(account_and_queue(url), expected, "{url}");
        }
    }
}
