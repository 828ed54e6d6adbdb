//! A queue by its URL or its name, as callers of the batcher and the consumer pass it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::{Shared, WeakShared};
use tracing::Instrument as _;

use crate::client::Client;
use crate::credentials::BoxFuture;
use crate::error::Error;
use crate::validate;

type Lookup = Shared<BoxFuture<'static, Result<(), Failure>>>;
type WeakLookup = WeakShared<BoxFuture<'static, Result<(), Failure>>>;

/// The reason why a lookup did not find the URL.
#[derive(Clone, Debug)]
enum Failure {
    Error(Error),
    /// The runtime of the lookup's task ended.
    Interrupted,
}

/// A queue by its URL or its name. Clones share the lookup of the URL and its result.
#[derive(Clone)]
pub(crate) struct QueueRef(Arc<Inner>);

struct Inner {
    given: String,
    /// The URL of a queue that was given by its name, once it was looked up.
    looked_up: OnceLock<String>,
    /// The open lookup. It is cleared before the lookup ends, and its callers keep it alive.
    lookup: Mutex<Option<WeakLookup>>,
}

impl QueueRef {
    pub(crate) fn new(given: impl Into<String>) -> Self {
        Self(Arc::new(Inner {
            given: given.into(),
            looked_up: OnceLock::new(),
            lookup: Mutex::default(),
        }))
    }

    /// Returns the URL or the name, as the caller gave it.
    pub(crate) fn given(&self) -> &str {
        &self.0.given
    }

    /// Refuses an ARN, which is neither a URL nor a name.
    pub(crate) fn check(&self) -> Result<(), Error> {
        validate::no_arn(self.given())
    }

    /// Returns the URL, or the given name if it was not looked up yet.
    #[cfg(feature = "consumer")]
    pub(crate) fn url_or_name(&self) -> &str {
        self.known_url().unwrap_or(self.given())
    }

    /// Returns the URL. Looks it up if only the name is known.
    ///
    /// Concurrent callers share one lookup and its failure. A failure is not remembered, so the next call tries again.
    ///
    /// # Errors
    ///
    /// The queue was given by its ARN, or the lookup failed. Nothing was sent to the queue in either case.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the lookup goes on in its task. Later callers do not join it unless another caller waits for
    /// it.
    pub(crate) async fn url(&self, client: &Client) -> Result<&str, Error> {
        // Twice, because the first lookup may be a task of another runtime, which can end.
        for _ in 0..2 {
            if let Some(url) = self.known_url() {
                return Ok(url);
            }
            self.check()?;
            if let Some(lookup) = self.join_lookup(client)
                && let Err(Failure::Error(error)) = lookup.await
            {
                return Err(error);
            }
        }
        let ended = || Error::closed("the runtime ended").in_lookup(self.given());
        self.known_url().ok_or_else(ended)
    }

    fn known_url(&self) -> Option<&str> {
        // No name contains a slash. Every other text is left to the server, as for a single request.
        let is_url = self.given().contains('/') && self.check().is_ok();
        match is_url {
            true => Some(self.given()),
            false => self.0.looked_up.get().map(String::as_str),
        }
    }

    /// Returns the open lookup, or begins one. Returns `None` if the URL is known by now.
    fn join_lookup(&self, client: &Client) -> Option<Lookup> {
        let mut open = self.0.open_lookup();
        if self.0.looked_up.get().is_some() {
            return None;
        }
        if let Some(lookup) = open.as_ref().and_then(WeakLookup::upgrade) {
            return Some(lookup);
        }
        let (inner, client) = (Arc::clone(&self.0), client.clone());
        // In a task, because callers of several runtimes share the lookup. Its timers belong to one of them, and panic if
        // another one polls them after its end.
        let task = tokio::spawn(async move { inner.look_up(&client).await }.in_current_span());
        let inner = Arc::clone(&self.0);
        let lookup: BoxFuture<'static, _> = Box::pin(async move {
            let ended = task.await;
            *inner.open_lookup() = None;
            match ended {
                Ok(found) => found.map_err(Failure::Error),
                Err(_cancelled) => Err(Failure::Interrupted),
            }
        });
        let lookup = lookup.shared();
        *open = lookup.downgrade();
        Some(lookup)
    }
}

impl Inner {
    async fn look_up(&self, client: &Client) -> Result<(), Error> {
        let found = client.get_queue_url(self.given.as_str()).await;
        let url = found.map_err(|error| error.in_lookup(&self.given))?.queue_url;
        // A lookup whose callers were all dropped may have set it.
        let _ = self.looked_up.set(url);
        Ok(())
    }

    fn open_lookup(&self) -> MutexGuard<'_, Option<WeakLookup>> {
        self.lookup.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for QueueRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("QueueRef").field(&self.given()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::RetryPolicy;
    use crate::{Credentials, ErrorKind};

    /// Returns a client of a server that cannot be reached.
    fn client() -> Client {
        let builder = Client::builder()
            .endpoint_url("http://127.0.0.1:1")
            .retry(RetryPolicy::never());
        builder.credentials(Credentials::new("k", "s")).build().unwrap()
    }

    #[tokio::test]
    async fn a_url_needs_no_lookup() {
        for url in ["https://sqs.eu-west-1.amazonaws.com/1/orders", "/000000000000/orders"] {
            assert_eq!(QueueRef::new(url).url(&client()).await.unwrap(), url);
        }
    }

    #[tokio::test]
    async fn an_arn_is_refused_before_the_lookup() {
        for arn in ["arn:aws:sqs:eu-west-1:1:orders", "arn:aws:sqs:eu-west-1:1:orders/x"] {
            let error = QueueRef::new(arn).url(&client()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        }
    }

    #[tokio::test]
    async fn a_failed_or_dropped_lookup_is_not_remembered() {
        let (queue, client) = (QueueRef::new("orders"), client());
        assert!(queue.url(&client).now_or_never().is_none());
        for _ in 0..2 {
            let error = queue.url(&client).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Transport);
            assert!(
                error
                    .to_string()
                    .starts_with("GetQueueUrl: looking up the queue \"orders\" failed: ")
            );
            assert!(queue.0.open_lookup().is_none());
        }
        assert_eq!(queue.known_url(), None);
    }

    #[tokio::test]
    async fn concurrent_callers_share_a_lookup_that_one_of_them_drops() {
        let (queue, client) = (QueueRef::new("orders"), client());
        let first = queue.join_lookup(&client).unwrap();
        let second = queue.clone().join_lookup(&client).unwrap();
        assert!(first.ptr_eq(&second));
        drop(first);
        assert!(second.await.is_err());
    }

    #[test]
    fn the_end_of_a_runtime_concerns_only_its_own_callers() {
        let runtime = || {
            tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .worker_threads(1)
                .build()
                .unwrap()
        };
        let (queue, builder) = (
            QueueRef::new("orders"),
            Client::builder().endpoint_url("http://127.0.0.1:1"),
        );
        let client = builder.credentials(Credentials::new("k", "s")).build().unwrap();
        let (first, second) = (runtime(), runtime());
        let begun = first.block_on(async { queue.join_lookup(&client) }).unwrap();
        let waiting: Vec<_> = (0..8)
            .map(|_| {
                let (queue, client) = (queue.clone(), client.clone());
                second.spawn(async move { queue.url(&client).await.map(str::to_owned) })
            })
            .collect();
        first.shutdown_background();
        for waiting in waiting {
            let error = second.block_on(waiting).unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Transport, "{error}");
        }
        assert!(begun.peek().is_some());
        let error = second.block_on(queue.url(&client)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Transport, "{error}");
    }
}
