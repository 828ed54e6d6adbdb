use std::sync::Arc;
use std::time::Duration;

use super::{Batcher, Lanes};
use crate::batch::{self, Batch};
use crate::batcher::config::{LaneConfig, SLOT_BYTES, Settings};
use crate::batcher::lane::Lane;
use crate::batcher::send_batch::{BatchTarget, send_to};
use crate::client::Client;
use crate::queue_ref::QueueRef;

/// The settings of a [`Batcher`], from [`Client::batcher`].
///
/// ```no_run
/// # fn f(client: sqs_client::Client, queue: &str) {
/// use std::time::Duration;
///
/// let batcher = client.batcher(queue).linger(Duration::from_millis(2)).concurrency(16).capacity(10_000).build();
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a batcher must be built"]
pub struct BatcherBuilder {
    client: Client,
    queue: QueueRef,
    settings: Settings,
}

impl BatcherBuilder {
    /// The default of [`linger`](Self::linger): 5 ms.
    pub const DEFAULT_LINGER: Duration = Duration::from_millis(5);

    /// The default of [`concurrency`](Self::concurrency): 8 requests of each kind.
    pub const DEFAULT_CONCURRENCY: usize = 8;

    /// The default of [`capacity`](Self::capacity): 1,000 calls of each kind.
    pub const DEFAULT_CAPACITY: usize = 1000;

    /// The number of message bytes for each unit of the [`capacity`](Self::capacity): 32 KiB.
    ///
    /// The default capacity of 1,000 therefore accepts up to about 31 MiB of messages.
    pub const SLOT_BYTES: usize = SLOT_BYTES;

    pub(crate) fn new(client: Client, queue: QueueRef) -> Self {
        Self {
            client,
            queue,
            settings: Settings {
                linger: Self::DEFAULT_LINGER,
                concurrency: Self::DEFAULT_CONCURRENCY,
                capacity: Self::DEFAULT_CAPACITY,
                request_time: None,
            },
        }
    }

    /// Sets the time for which a call waits for other calls to fill its batch. Default:
    /// [`DEFAULT_LINGER`](Self::DEFAULT_LINGER).
    ///
    /// The time is ten times as long while a request with another batch that was not full is in progress. With zero, a
    /// batch contains the calls that are queued when a request can be made.
    pub fn linger(mut self, linger: Duration) -> Self {
        self.settings.linger = linger;
        self
    }

    /// Sets the number of concurrent requests of each kind. Default:
    /// [`DEFAULT_CONCURRENCY`](Self::DEFAULT_CONCURRENCY). Range: at least 1.
    pub fn concurrency(mut self, requests: usize) -> Self {
        self.settings.concurrency = requests.max(1);
        self
    }

    /// Sets the maximum number of calls of each kind that are queued or in progress. Default:
    /// [`DEFAULT_CAPACITY`](Self::DEFAULT_CAPACITY). Range: at least 1.
    ///
    /// A message uses one unit, and one more for each [`SLOT_BYTES`](Self::SLOT_BYTES) of its size.
    pub fn capacity(mut self, calls: usize) -> Self {
        self.settings.capacity = calls.max(1);
        self
    }

    /// Limits the time of a batch with all its attempts.
    #[cfg(feature = "consumer")]
    pub(crate) fn request_time(mut self, time: Duration) -> Self {
        self.settings.request_time = Some(time);
        self
    }

    /// Builds the batcher. It starts no task before its first call.
    #[must_use]
    pub fn build(self) -> Batcher {
        let Self {
            client,
            queue,
            settings,
        } = self;
        let target = BatchTarget {
            limit: client.batch_limit(queue.given()),
            client: client.clone(),
            queue: queue.clone(),
        };
        let lanes = Lanes {
            sends: lane(&target, settings),
            deletes: lane(&target, settings),
            changes: lane(&target, settings),
            client,
            queue,
        };
        Batcher { lanes: Arc::new(lanes) }
    }
}

fn lane<B: Batch>(target: &BatchTarget, settings: Settings) -> Lane<B> {
    Lane::new(LaneConfig {
        settings,
        ordered: batch::keeps_order::<B>(target.queue.given()),
        limit: target.limit.clone(),
        send: send_to::<B>(target.clone(), settings.request_time),
    })
}

impl Client {
    /// Returns the settings of a [`Batcher`] for this queue, which gathers single calls into batches.
    ///
    /// `queue` is the queue's URL or its name. The batcher looks a name up by [`get_queue_url`](Self::get_queue_url) before
    /// its first batch, once for all its clones. If the lookup fails, the calls of the batches that wait for it fail with its
    /// error, and they are certainly not sent. The next batch looks the name up again. With an ARN, every call fails with an
    /// error of kind [`InvalidInput`](crate::ErrorKind::InvalidInput), without any request.
    ///
    /// ```no_run
    /// # async fn f(client: sqs_client::Client, queue: &str) -> Result<(), sqs_client::Error> {
    /// use std::time::Duration;
    ///
    /// let batcher = client.batcher(queue).linger(Duration::from_millis(2)).build();
    /// batcher.send("hello").await?;
    /// batcher.shutdown().await;
    /// # Ok(()) }
    /// ```
    pub fn batcher(&self, queue: impl Into<String>) -> BatcherBuilder {
        BatcherBuilder::new(self.clone(), QueueRef::new(queue))
    }
}
