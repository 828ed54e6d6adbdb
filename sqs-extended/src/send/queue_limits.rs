//! The message size limits of queues, read on request and cached.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqs_client::types::QueueAttributeName;
use sqs_client::{Client, limits};
use tokio::time::Instant;

use crate::error::Error;

/// The time for which a limit is cached.
pub(crate) const TTL: Duration = Duration::from_secs(300);

/// The maximum number of cached limits. One more clears the cache.
const MAX_QUEUES: usize = 1_000;

/// The `MaximumMessageSize` of queues.
#[derive(Debug, Default)]
pub(crate) struct MessageLimits(Mutex<HashMap<String, (Instant, usize)>>);

impl MessageLimits {
    /// Returns the maximum size of a message to this queue, in bytes.
    ///
    /// # Errors
    ///
    /// The queue's attributes could not be read.
    pub(crate) async fn get(&self, client: &Client, queue_url: &str) -> Result<usize, Error> {
        let cached = self.cache().get(queue_url).copied();
        if let Some((read_at, limit)) = cached
            && read_at.elapsed() < TTL
        {
            return Ok(limit);
        }
        let read_at = Instant::now();
        let attributes = client
            .get_queue_attributes(queue_url, [QueueAttributeName::MaximumMessageSize])
            .await
            .map_err(|error| Error::queue("failed to read the queue's `MaximumMessageSize`", error))?
            .attributes;
        let limit = attributes
            .maximum_message_size
            .and_then(|bytes| usize::try_from(bytes).ok())
            .unwrap_or(limits::MAX_MESSAGE_BYTES);
        let mut cache = self.cache();
        if cache.len() >= MAX_QUEUES {
            cache.clear();
        }
        cache.insert(queue_url.to_owned(), (read_at, limit));
        Ok(limit)
    }

    fn cache(&self) -> MutexGuard<'_, HashMap<String, (Instant, usize)>> {
        // Every update is complete, so a panic cannot leave the map inconsistent.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
