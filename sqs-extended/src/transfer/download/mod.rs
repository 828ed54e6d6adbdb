//! Downloads of payloads, verified while they arrive.

mod fetch;
mod object;
mod ordered;
mod pace;
mod part;
mod target;
mod to_file;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{GetOptions, GetResult, ObjectStore, ObjectStoreExt};
use tokio::time::Instant;

use crate::error::refusal::is_outage;
use crate::error::{Error, ErrorKind};
use crate::payload::chunks::Chunks;
use crate::payload::digest::{Digest, DigestAlgorithm, Hasher};
use crate::payload::progress::OnProgress;
use crate::payload::subtree::granule::GRANULE;
use crate::telemetry::{self, Direction};
use crate::transfer::Resources;
use crate::transfer::journal::header::Identity;
use crate::transfer::tuner::Tuner;
use fetch::{Fetch, in_pieces};
use object::{Object, wrong_digest, wrong_length};
use ordered::{FAR_PART, Ordered};
use part::{Context, Part};
pub(crate) use target::Target;
use to_file::ToFile;

/// The settings of downloads.
#[derive(Clone, Debug, Default)]
pub(crate) struct DownloadSettings {
    /// The number of concurrent requests for one payload, or `None` if the link decides.
    pub(crate) concurrency: Option<usize>,
    /// The length of a part, in bytes, or `None` if the link decides.
    pub(crate) part_size: Option<u64>,
    /// Keep the file of a download that ends early, so that a later one continues it.
    pub(crate) keep_partial: bool,
}

impl DownloadSettings {
    /// Returns the length of the first part. A payload of at most that length takes one request.
    fn first_len(&self) -> u64 {
        self.part_size.unwrap_or(FAR_PART)
    }

    /// Returns `true` if one request without a range is best for a payload of `len` bytes, as far as that is known.
    fn is_single(&self, len: Option<u64>) -> bool {
        let small = self.part_size.unwrap_or(2 * FAR_PART);
        self.concurrency == Some(1) || len.is_some_and(|len| len <= small)
    }
}

/// The properties of a payload that are known before it is fetched.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expected {
    pub(crate) len: Option<u64>,
    pub(crate) digest: Option<Digest>,
    /// The maximum length that is accepted. A longer payload is not read.
    pub(crate) max: Option<u64>,
}

impl Expected {
    fn check(&self, len: u64) -> Result<(), Error> {
        if self.len.is_some_and(|expected| expected != len) {
            return Err(wrong_length());
        }
        if self.max.is_some_and(|max| len > max) {
            return Err(Error::plain(
                ErrorKind::TooLarge,
                "the payload is longer than the configured maximum",
            ));
        }
        Ok(())
    }
}

/// A payload whose first response has arrived.
pub(crate) struct Download {
    object: Arc<Object>,
    digest: Option<Digest>,
    /// The response. If its range is shorter than the object, further requests can fetch the rest.
    first: GetResult,
    /// The time until the response.
    first_byte: Duration,
    on_progress: OnProgress,
}

/// Starts to fetch the object. An interrupted download is resumed if the object is still the same. The number of resumptions
/// without progress is bounded.
///
/// # Errors
///
/// Returns an error if the store fails or does not have the object, or if the object's length is wrong or too large.
pub(crate) async fn download(
    store: &Arc<dyn ObjectStore>,
    key: &Path,
    expected: Expected,
    settings: &DownloadSettings,
) -> Result<Download, Error> {
    // A payload that is too long according to its sender is not requested.
    expected.len.map_or(Ok(()), |len| expected.check(len))?;
    let begin = Instant::now();
    let with_digest = expected.digest.is_some();
    let object = |response: &GetResult| Object::new(store, response.meta.clone(), with_digest);
    let range = (!settings.is_single(expected.len)).then(|| 0..settings.first_len());
    let mut first = first_response(store, key, range).await?;
    let first_byte = begin.elapsed();
    let is_whole = |response: &GetResult| response.range == (0..response.meta.size);
    expected.check(first.meta.size)?;
    if !is_whole(&first) && !object(&first).resumable() {
        // Nothing would show that all parts are of one version.
        first = first_response(store, key, None).await?;
        expected.check(first.meta.size)?;
    }
    Ok(Download {
        object: Arc::new(object(&first)),
        digest: expected.digest,
        first,
        first_byte,
        on_progress: OnProgress::default(),
    })
}

/// Requests the range, or the whole object if there is none or if the store refuses it.
async fn first_response(
    store: &Arc<dyn ObjectStore>,
    key: &Path,
    range: Option<Range<u64>>,
) -> Result<GetResult, Error> {
    use object_store::Error::{NotFound, PermissionDenied, Unauthenticated};

    if let Some(range) = range {
        let options = GetOptions {
            range: Some(range.clone().into()),
            ..GetOptions::default()
        };
        telemetry::count(telemetry::REQUESTS, Direction::Download, 1);
        match store.get_opts(key, options).await {
            Ok(response) if response.range == (0..range.end.min(response.meta.size)) => return Ok(response),
            Err(error @ (NotFound { .. } | PermissionDenied { .. } | Unauthenticated { .. })) => {
                return Err(Error::fetch(error));
            }
            // Without a range the payload could not continue an earlier download, and its file would be removed.
            Err(error) if is_outage(&error) => return Err(Error::fetch(error)),
            // The store has no ranges, or the object is empty, so that no range is in it.
            Ok(_) => {}
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::debug!(error, "the store refused a range; the whole payload is requested");
            }
        }
    }
    telemetry::count(telemetry::REQUESTS, Direction::Download, 1);
    store.get(key).await.map_err(Error::fetch)
}

impl Download {
    /// Returns the object's length according to the store.
    pub(crate) fn len(&self) -> u64 {
        self.object.len()
    }

    /// Reports the progress to this function.
    pub(crate) fn report_to(mut self, on_progress: OnProgress) -> Self {
        self.on_progress = on_progress;
        self
    }

    /// Returns the payload's chunks, which end without an error only after all expected properties were verified.
    pub(crate) fn into_chunks(mut self, settings: &DownloadSettings, resources: &Resources) -> Chunks {
        let digest = self.digest.take();
        let meter = self.on_progress.meter(Some(self.len()), 0);
        if self.is_whole() {
            let chunks = Fetch::from_response(self.object, self.first).into_stream();
            return meter.count(match digest {
                Some(digest) => verified(chunks, digest),
                None => chunks,
            });
        }
        let tuner = self.tuner(settings);
        let in_granules = settings.part_size.is_none_or(|size| size.is_multiple_of(GRANULE));
        let by_parts = |digest: &Digest| in_granules && digest.algorithm() == DigestAlgorithm::Blake3;
        let hashed = digest.as_ref().is_some_and(by_parts);
        let usual_len = Ordered::usual_len(settings.part_size);
        let (context, first) = self.begin(resources, hashed, usual_len);
        let ordered = Ordered::new(context, first, tuner, settings.part_size);
        meter.count(match digest {
            Some(digest) if hashed => ordered.verified_by(digest).into_stream(),
            Some(digest) => verified(ordered.into_stream(), digest),
            None => ordered.into_stream(),
        })
    }

    /// Returns `true` if the payload is fetched in parts, which can be verified in any order.
    pub(crate) fn has_parts(&self) -> bool {
        let any_order = |digest: &Digest| digest.algorithm() == DigestAlgorithm::Blake3;
        !self.is_whole() && self.digest.as_ref().is_none_or(any_order)
    }

    /// Returns what identifies this version of the object in `bucket` to a later process. It contains no key, because some
    /// keys are secrets.
    pub(crate) fn identity(&self, bucket: &str) -> Identity {
        let identity = self.object.identity(bucket);
        match &self.digest {
            Some(digest) => identity.with("digest", digest),
            None => identity,
        }
    }

    /// Writes the payload to a file, and verifies all expected properties. Fetches only what the target does not contain.
    ///
    /// # Errors
    ///
    /// Returns an error if the payload cannot be fetched, is not what was sent, or cannot be written.
    pub(crate) async fn into_file(
        mut self,
        target: Arc<Target>,
        settings: &DownloadSettings,
        resources: &Resources,
    ) -> Result<(), Error> {
        let (len, digest) = (self.len(), self.digest.take());
        let meter = self.on_progress.meter(Some(len), target.len_present(len));
        let tuner = self.tuner(settings);
        let usual_len = ToFile::usual_len(settings.part_size);
        let (context, first) = self.begin(resources, false, usual_len);
        let download = ToFile::new(context, tuner, settings.part_size, Arc::clone(&target), meter.clone());
        download.run(first).await?;
        let written = target.root(len).map(Digest::from_blake3);
        if written.is_none() || digest.is_some() && digest != written {
            return Err(match target.is_resumed() {
                true => wrong_digest_after_resumption(),
                false => wrong_digest(),
            });
        }
        meter.finish();
        Ok(())
    }

    /// The first response has all bytes.
    fn is_whole(&self) -> bool {
        self.first.range == (0..self.object.len())
    }

    fn tuner(&self, settings: &DownloadSettings) -> Tuner {
        match settings.concurrency {
            Some(concurrency) => Tuner::fixed(concurrency),
            None => Tuner::adaptive(self.first_byte, Instant::now()),
        }
    }

    /// Returns the first of several parts, most of which have the usual length. They are hashed on request.
    fn begin(self, resources: &Resources, hashed: bool, usual_len: u64) -> (Arc<Context>, Part) {
        let range = self.first.range.clone();
        let first = Fetch::from_response(Arc::clone(&self.object), self.first);
        let context = Context::new(self.object, resources);
        let context = Arc::new(if hashed { context.hashed() } else { context });
        let part = Part::first(&context, range, first, self.first_byte, usual_len);
        (context, part)
    }
}

/// Ends the chunks with an error if their digest is not the expected one.
pub(crate) fn verified(chunks: Chunks, expected: Digest) -> Chunks {
    let hasher = Hasher::new(expected.algorithm());
    stream::try_unfold((chunks, hasher, expected), |(mut chunks, mut hasher, expected)| async {
        if let Some(chunk) = chunks.try_next().await? {
            // On the thread that received the chunk, while it is in the cache.
            in_pieces(&chunk, |piece| hasher.update(piece)).await;
            return Ok(Some((chunk, (chunks, hasher, expected))));
        }
        if hasher.finish() == expected {
            return Ok(None);
        }
        Err(wrong_digest())
    })
    .boxed()
}

fn wrong_digest_after_resumption() -> Error {
    let message = "the digest of the payload, of which an earlier download fetched a part, differs from the one in the \
                   message; the file is discarded, so that the next download starts over";
    Error::plain(ErrorKind::Corrupt, message)
}

#[cfg(test)]
mod tests;
