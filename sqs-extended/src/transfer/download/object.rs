//! An object in one version, and the requests for its ranges.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use object_store::{GetOptions, GetResult, ObjectMeta, ObjectStore, ObjectStoreExt as _};
use sqs_client::internal::full_jitter;

use tokio::time::Instant;

use crate::error::{Error, ErrorKind};
use crate::telemetry::{self, Direction};
use crate::transfer::journal::header::{Identity, TransferKind};
use crate::transfer::lookup::is_same_version;

/// The maximum pause before the first resumption. It doubles with every further resumption without progress.
const PAUSE: Duration = Duration::from_millis(100);

/// The maximum of all pauses.
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// An object in the version that was seen first.
pub(super) struct Object {
    store: Arc<dyn ObjectStore>,
    meta: ObjectMeta,
    /// A digest shows at the end whether all bytes came from one object.
    with_digest: bool,
    /// The number of bytes that have arrived.
    received: AtomicU64,
    requests: AtomicU64,
    /// The shortest time to a response, in microseconds.
    shortest_delay: AtomicU64,
}

impl Object {
    /// Creates the object that the first response described.
    pub(super) fn new(store: &Arc<dyn ObjectStore>, meta: ObjectMeta, with_digest: bool) -> Self {
        Self {
            store: Arc::clone(store),
            meta,
            with_digest,
            received: AtomicU64::new(0),
            requests: AtomicU64::new(1),
            shortest_delay: AtomicU64::new(u64::MAX),
        }
    }

    /// Counts bytes that have arrived.
    pub(super) fn count(&self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.received.fetch_add(bytes, Relaxed);
        telemetry::count(telemetry::BYTES, Direction::Download, bytes);
    }

    /// Returns the number of bytes that have arrived.
    pub(super) fn received(&self) -> u64 {
        self.received.load(Relaxed)
    }

    /// Returns the shortest time to a response so far. The first response does not count.
    pub(super) fn shortest_delay(&self) -> Duration {
        Duration::from_micros(self.shortest_delay.load(Relaxed))
    }

    /// Returns the number of requests so far. The store may have repeated some of them.
    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Relaxed)
    }

    pub(super) fn len(&self) -> u64 {
        self.meta.size
    }

    /// Returns what identifies this version in a journal: everything that [`is_same_version`] compares, of ETags only strong
    /// ones.
    pub(super) fn identity(&self, bucket: &str) -> Identity {
        let key = self.meta.location.as_ref();
        let object = blake3::hash(format!("{} {bucket} {key}", bucket.len()).as_bytes());
        let identity = Identity::new(TransferKind::Download)
            .with("object", object.to_hex())
            .with("modified", self.meta.last_modified.to_rfc3339());
        match self.strong_tag() {
            Some(tag) => identity.with("etag", tag),
            None => identity,
        }
    }

    /// Returns `true` if bytes of different versions are detected.
    pub(super) fn resumable(&self) -> bool {
        self.with_digest || self.strong_tag().is_some()
    }

    /// Returns the ETag if it differs for every version.
    fn strong_tag(&self) -> Option<&String> {
        self.meta.e_tag.as_ref().filter(|tag| !tag.starts_with("W/"))
    }

    /// Checks that the object is still the fetched version, unless a strong ETag or a digest shows it. The object_store crate
    /// resumes downloads by itself and compares only ETags, even weak ones.
    ///
    /// # Errors
    ///
    /// Returns an error if the object was replaced or the store fails.
    pub(super) async fn check_version(&self) -> Result<(), Error> {
        if self.resumable() || self.meta.e_tag.is_none() {
            return Ok(());
        }
        let now = self.store.head(&self.meta.location).await.map_err(Error::fetch)?;
        if is_same_version(&now, &self.meta) {
            Ok(())
        } else {
            Err(replaced())
        }
    }

    pub(super) async fn get(&self, range: Range<u64>) -> Result<GetResult, Error> {
        self.requests.fetch_add(1, Relaxed);
        telemetry::count(telemetry::REQUESTS, Direction::Download, 1);
        let options = GetOptions {
            range: Some(range.clone().into()),
            // A weak tag never matches.
            if_match: self.strong_tag().cloned(),
            ..GetOptions::default()
        };
        let begin = Instant::now();
        let response = self.store.get_opts(&self.meta.location, options).await;
        let delay = u64::try_from(begin.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.shortest_delay.fetch_min(delay, Relaxed);
        let response = match response {
            Ok(response) => response,
            Err(object_store::Error::Precondition { .. }) => return Err(replaced()),
            Err(error) => return Err(Error::fetch(error)),
        };
        if !is_same_version(&response.meta, &self.meta) {
            return Err(replaced());
        }
        if response.range != range {
            let message = "the store returned another part of the payload than was requested";
            return Err(Error::plain(ErrorKind::Corrupt, message));
        }
        Ok(response)
    }

    /// Returns a random share of a bound that doubles each time, so that downloads which broke off together do not resume
    /// together. The random number depends on the key and the position only, so that a simulation is deterministic.
    pub(super) fn pause(&self, at: u64, in_vain: u32) -> Duration {
        let mut hasher = DefaultHasher::new();
        (self.meta.location.as_ref(), at, in_vain).hash(&mut hasher);
        let random = u32::try_from(hasher.finish() >> 32).unwrap_or(u32::MAX);
        let fraction = f64::from(random) / f64::from(u32::MAX);
        full_jitter(PAUSE, MAX_PAUSE, in_vain.saturating_add(1), fraction)
    }
}

pub(super) fn wrong_length() -> Error {
    let message = "the stored payload's length differs from the one in the message";
    Error::plain(ErrorKind::Corrupt, message)
}

pub(super) fn wrong_digest() -> Error {
    let message = "the stored payload's digest differs from the one in the message";
    Error::plain(ErrorKind::Corrupt, message)
}

fn replaced() -> Error {
    let message = "the stored payload was replaced while it was fetched";
    Error::plain(ErrorKind::Corrupt, message)
}
