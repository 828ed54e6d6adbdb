//! What queues are set to, where it is asked for: read once in a while.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqs_client::types::QueueAttributeName;
use sqs_client::{Client, limits};
use tokio::time::Instant;

use crate::error::Error;

/// The time for which a limit that was read is used.
pub(crate) const TTL: Duration = Duration::from_secs(300);

/// Of so many queues it is remembered; it is read again for others.
const MAX_QUEUES: usize = 1_000;

/// The `MaximumMessageSize` of queues.
#[derive(Debug, Default)]
pub(crate) struct MessageLimits(Mutex<HashMap<String, (Instant, usize)>>);

impl MessageLimits {
    /// Most bytes of a message to this queue.
    ///
    /// # Errors
    ///
    /// The queue's attributes could not be read.
    pub(crate) async fn of(&self, client: &Client, queue_url: &str) -> Result<usize, Error> {
        let known = self.known().get(queue_url).copied();
        if let Some((read, limit)) = known
            && read.elapsed() < TTL
        {
            return Ok(limit);
        }
        let read = Instant::now();
        let attributes = client
            .get_queue_attributes(queue_url, [QueueAttributeName::MaximumMessageSize])
            .await
            .map_err(|error| Error::queue("the queue's limit for messages could not be read", error))?
            .attributes;
        let limit = attributes
            .maximum_message_size
            .and_then(|bytes| usize::try_from(bytes).ok())
            .unwrap_or(limits::MAX_MESSAGE_BYTES);
        let mut known = self.known();
        if known.len() >= MAX_QUEUES {
            known.clear();
        }
        known.insert(queue_url.to_owned(), (read, limit));
        Ok(limit)
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, (Instant, usize)>> {
        // The map is whole at any time, so a panic elsewhere cannot have spoilt it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
