//! Uploads of payloads: one request for a payload of one part, else a bounded number of concurrent parts.

mod destination;
mod in_flight;
pub(crate) mod resumable;

use std::pin::pin;
use std::time::Duration;

use object_store::{Attributes, MultipartUpload, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, TagSet};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::task::TaskTracker;

use crate::error::refusal::is_missing_upload;
use crate::error::{Error, ErrorKind};
use crate::payload::digest::{Digest, DigestAlgorithm, Hasher};
use crate::payload::progress::{Meter, OnProgress};
use crate::telemetry::{self, Direction};
use crate::transfer::Resources;
use crate::transfer::blocking_writer::BlockingWriter;
use crate::transfer::budget::{BLOCK, Budget, Reserved};
use crate::transfer::part_plan::PartPlan;
use crate::transfer::part_source::PartSource;
use crate::transfer::throttle::Transfer;
use destination::Destination;
pub(crate) use destination::Target;
use in_flight::{PART_FAILED, PartsInFlight};

/// A payload up to this length is stored by one request, in memory that does not count.
const SHORT: usize = 1024 * 1024;

/// The time after which a part does not count in the budget until it is complete. Its source may wait for another upload,
/// which waits for memory.
const FILL_TIME: Duration = Duration::from_secs(2);

/// The settings of uploads.
#[derive(Clone, Debug)]
pub(crate) struct UploadSettings {
    /// The size of a part, in bytes, or `None` if the payload's length decides.
    pub(crate) part_size: Option<u64>,
    /// The number of parts of one upload in flight, or `None` if the link decides.
    pub(crate) concurrency: Option<usize>,
    pub(crate) digest: DigestAlgorithm,
    /// The attributes of every object, such as content type and metadata.
    pub(crate) attributes: Attributes,
    /// The tags of every object. Most stores without tags ignore them silently.
    pub(crate) tags: TagSet,
}

/// The length and digest of stored bytes.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    pub(crate) len: u64,
    pub(crate) digest: Digest,
}

/// Stores the complete payload at the target, or nothing. On an error, or if the future is dropped, a task of `aborts`
/// aborts the multipart upload.
///
/// # Errors
///
/// Returns an error if the source fails, has another length than declared, or exceeds the store's number of parts. A failure
/// of the store is an error too, and so are attributes that it does not support.
pub(crate) async fn upload(
    store: &dyn ObjectStore,
    target: &Target,
    mut source: PartSource,
    on_progress: &OnProgress,
    settings: &UploadSettings,
    resources: &Resources,
    aborts: &TaskTracker,
) -> Result<Measured, Error> {
    let plan = PartPlan::new(source.declared(), settings.part_size)?;
    let meter = on_progress.meter(source.declared(), 0);
    let mut digest = BlockingWriter::new(Hasher::new(settings.digest));
    let mut parts = PartReader {
        source: &mut source,
        plan,
        budget: &resources.budget,
        number: 0,
    };
    let mut first = parts.first().await?;
    hash(&mut digest, &first.payload).await?;
    let blocks = first.payload.content_length().div_ceil(BLOCK);
    if filling(&mut first.memory, parts.budget, blocks, parts.is_at_end()).await? {
        let options = PutOptions {
            attributes: settings.attributes.clone(),
            tags: settings.tags.clone(),
            ..PutOptions::default()
        };
        let len = first.len();
        telemetry::count(telemetry::REQUESTS, Direction::Upload, 1);
        store
            .put_opts(&target.key, first.payload, options)
            .await
            .map_err(|error| store_error(settings, "the payload could not be stored", error))?;
        telemetry::count(telemetry::BYTES, Direction::Upload, len);
        meter.add(len);
    } else {
        let transfer = resources.throttle.enter();
        let mut upload = Parts::begin(store, target, settings, transfer, meter.clone(), aborts.clone()).await?;
        if let Err(error) = upload.send_all(first, parts, &mut digest).await {
            upload.abort().await;
            return Err(error);
        }
    }

    let hasher = digest.finish().await.map_err(hashing_failed)?;
    meter.finish();
    Ok(Measured {
        len: source.read(),
        digest: hasher.finish(),
    })
}

/// A part with the memory that it uses until the store has it.
#[derive(Default)]
struct Part {
    payload: PutPayload,
    memory: Option<Reserved>,
}

impl Part {
    fn len(&self) -> u64 {
        u64::try_from(self.payload.content_length()).unwrap_or(u64::MAX)
    }
}

/// Reads the parts of a payload within the budget.
struct PartReader<'a> {
    source: &'a mut PartSource,
    plan: PartPlan,
    budget: &'a Budget,
    number: u64,
}

impl PartReader<'_> {
    /// Returns the first part. A short payload needs no memory of the budget.
    async fn first(&mut self) -> Result<Part, Error> {
        let short = SHORT.min(self.size()?);
        match self.source.whole_up_to(short).await? {
            Some(whole) => Ok(Part {
                payload: whole.into(),
                memory: None,
            }),
            None => Ok(self.next().await?.unwrap_or_default()),
        }
    }

    /// Returns `true` after the last part, and fails if the source is longer than declared.
    async fn is_at_end(&mut self) -> Result<bool, Error> {
        Ok(self.source.is_at_end() && self.source.next_piece(1).await?.is_none())
    }

    async fn next(&mut self) -> Result<Option<Part>, Error> {
        // No memory is reserved in vain.
        if self.is_at_end().await? {
            return Ok(None);
        }
        let size = self.size()?;
        self.number += 1;
        let blocks = self.source.at_most(size).div_ceil(BLOCK);
        let mut memory = if self.source.needs_memory() {
            Some(self.budget.reserve(blocks).await)
        } else {
            None
        };
        let payload = filling(
            &mut memory,
            self.budget,
            blocks,
            self.source.next_part(size, self.budget),
        )
        .await?;
        Ok(payload.map(|payload| Part { payload, memory }))
    }

    fn size(&self) -> Result<usize, Error> {
        let too_large = |_| Error::invalid("the part size exceeds the memory that this machine can address");
        usize::try_from(self.plan.size(self.number)).map_err(too_large)
    }
}

/// Reads a part of the source into `memory`. Ends the reservation if that takes long, so that sources that stall hold up no
/// other upload, and reserves the part's blocks again before the part is sent.
async fn filling<T>(
    memory: &mut Option<Reserved>,
    budget: &Budget,
    blocks: usize,
    reading: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    if memory.is_none() {
        return reading.await;
    }
    let mut reading = pin!(reading);
    tokio::select! {
        biased;
        read = &mut reading => return read,
        () = sleep(FILL_TIME) => *memory = None,
    }
    let read = reading.await?;
    *memory = Some(budget.reserve(blocks).await);
    Ok(read)
}

/// Stores without attributes fail with `NotImplemented`.
fn store_error(settings: &UploadSettings, message: &'static str, error: object_store::Error) -> Error {
    match error {
        object_store::Error::NotImplemented { .. } if !settings.attributes.is_empty() => Error::invalid(
            "the store does not support attributes of objects, such as content type and metadata; omit the setting `attributes`",
        ),
        error => Error::store(message, error),
    }
}

async fn hash(digest: &mut BlockingWriter<Hasher>, part: &PutPayload) -> Result<(), Error> {
    digest.push(part.iter().cloned()).await.map_err(hashing_failed)
}

fn hashing_failed(error: std::io::Error) -> Error {
    Error::io(
        ErrorKind::PayloadSource,
        "the payload's digest could not be computed",
        error,
    )
}

/// A multipart upload. Dropping it before its completion aborts it.
struct Parts<'a> {
    destination: Destination<'a>,
    /// `None` once it is completed or being aborted.
    upload: Option<Box<dyn MultipartUpload>>,
    in_flight: PartsInFlight,
    aborts: TaskTracker,
}

impl<'a> Parts<'a> {
    async fn begin(
        store: &'a dyn ObjectStore,
        target: &'a Target,
        settings: &UploadSettings,
        transfer: Transfer,
        meter: Meter,
        aborts: TaskTracker,
    ) -> Result<Self, Error> {
        let options = PutMultipartOptions {
            attributes: settings.attributes.clone(),
            tags: settings.tags.clone(),
            ..PutMultipartOptions::default()
        };
        let destination = Destination::before_upload(store, target).await;
        let begin = Instant::now();
        telemetry::count(telemetry::REQUESTS, Direction::Upload, 1);
        let upload = store
            .put_multipart_opts(&target.key, options)
            .await
            .map_err(|error| store_error(settings, "the upload of the payload could not be started", error))?;
        Ok(Self {
            destination,
            upload: Some(upload),
            in_flight: PartsInFlight::new(transfer, settings.concurrency, begin.elapsed(), meter),
            aborts,
        })
    }

    /// Sends the first part, which was hashed already, and the rest of the source. Completes the upload.
    async fn send_all(
        &mut self,
        first: Part,
        mut parts: PartReader<'_>,
        digest: &mut BlockingWriter<Hasher>,
    ) -> Result<(), Error> {
        self.send(first).await?;
        while let Some(part) = parts.next().await? {
            hash(digest, &part.payload).await?;
            self.send(part).await?;
        }
        self.complete(parts.source.read()).await
    }

    async fn send(&mut self, part: Part) -> Result<(), Error> {
        let Some(upload) = &mut self.upload else {
            return Ok(());
        };
        let len = part.len();
        let begin = || {
            let sending = upload.put_part(part.payload);
            async { sending.await.map_err(|error| Error::store(PART_FAILED, error)) }
        };
        self.in_flight.send(len, part.memory, begin).await
    }

    async fn complete(&mut self, len: u64) -> Result<(), Error> {
        self.in_flight.finish().await?;
        let completed = match &mut self.upload {
            Some(upload) => {
                telemetry::count(telemetry::REQUESTS, Direction::Upload, 1);
                upload.complete().await.map(drop)
            }
            None => Ok(()),
        };
        match completed {
            Err(error) if is_missing_upload(&error) => {
                self.upload = None;
                self.destination.confirm(len, error).await
            }
            Err(error) => Err(Error::store("the upload of the payload could not be completed", error)),
            Ok(()) => {
                self.upload = None;
                Ok(())
            }
        }
    }

    /// Aborts the upload and waits for the response.
    async fn abort(mut self) {
        if let Some(aborting) = self.start_abort() {
            // The task logs a failure.
            let _ = aborting.await;
        }
    }

    /// Aborts the upload in a task, which continues if this value is dropped. Without a runtime, only the bucket's
    /// lifecycle rule can remove the upload.
    fn start_abort(&mut self) -> Option<JoinHandle<()>> {
        let mut upload = self.upload.take()?;
        let mut in_flight = self.in_flight.take();
        let runtime = Handle::try_current().ok()?;
        let abort = async move {
            // A part that arrives after the abort would stay in the bucket and be billed.
            in_flight.shutdown().await;
            if let Err(error) = upload.abort().await
                && !is_missing_upload(&error)
            {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "an unfinished upload could not be aborted; the bucket's lifecycle rule must remove it"
                );
            }
        };
        Some(self.aborts.spawn_on(abort, &runtime))
    }
}

impl Drop for Parts<'_> {
    fn drop(&mut self) {
        self.start_abort();
    }
}

#[cfg(test)]
mod tests;
