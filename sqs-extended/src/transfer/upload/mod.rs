//! Uploads of payloads: one request for a payload of one part, else a bounded number of concurrent parts.

mod destination;

use object_store::{Attributes, MultipartUpload, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, TagSet};
use tokio::runtime::Handle;
use tokio::task::{JoinError, JoinHandle, JoinSet};
use tokio_util::task::TaskTracker;

use crate::error::refusal::is_missing_upload;
use crate::error::{Error, ErrorKind};
use crate::payload::digest::{Digest, DigestAlgorithm, Hasher};
use crate::transfer::blocking_writer::BlockingWriter;
use crate::transfer::part_plan::{MAX_PARTS, PartPlan};
use crate::transfer::part_source::PartSource;
use destination::Destination;
pub(crate) use destination::Target;

/// The settings of uploads.
#[derive(Clone, Debug)]
pub(crate) struct UploadSettings {
    pub(crate) part_size: u64,
    pub(crate) concurrency: usize,
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
    settings: &UploadSettings,
    aborts: &TaskTracker,
) -> Result<Measured, Error> {
    let plan = PartPlan::new(source.declared(), settings.part_size, settings.concurrency)?;
    let mut digest = BlockingWriter::new(Hasher::new(settings.digest));

    let first = source.next_part(plan.part_size).await?.unwrap_or_default();
    hash(&mut digest, &first).await?;
    match source.next_part(plan.part_size).await? {
        None => {
            let options = PutOptions {
                attributes: settings.attributes.clone(),
                tags: settings.tags.clone(),
                ..PutOptions::default()
            };
            store
                .put_opts(&target.key, first, options)
                .await
                .map_err(|error| store_error(settings, "the payload could not be stored", error))?;
        }
        Some(second) => {
            hash(&mut digest, &second).await?;
            let mut parts = Parts::begin(store, target, plan, settings, aborts.clone()).await?;
            if let Err(error) = parts.send_all([first, second], &mut source, &mut digest).await {
                parts.abort().await;
                return Err(error);
            }
        }
    }

    let hasher = digest.finish().await.map_err(hashing_failed)?;
    Ok(Measured {
        len: source.read(),
        digest: hasher.finish(),
    })
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
    /// Each part has a task, so that it is sent while the next one is read.
    in_flight: JoinSet<object_store::Result<PutPayload>>,
    plan: PartPlan,
    sent: u64,
    aborts: TaskTracker,
}

impl<'a> Parts<'a> {
    async fn begin(
        store: &'a dyn ObjectStore,
        target: &'a Target,
        plan: PartPlan,
        settings: &UploadSettings,
        aborts: TaskTracker,
    ) -> Result<Self, Error> {
        let options = PutMultipartOptions {
            attributes: settings.attributes.clone(),
            tags: settings.tags.clone(),
            ..PutMultipartOptions::default()
        };
        let destination = Destination::before_upload(store, target).await;
        let upload = store
            .put_multipart_opts(&target.key, options)
            .await
            .map_err(|error| store_error(settings, "the upload of the payload could not be started", error))?;
        Ok(Self {
            destination,
            upload: Some(upload),
            in_flight: JoinSet::new(),
            plan,
            sent: 0,
            aborts,
        })
    }

    /// Sends the parts that were read and hashed already, then the rest of the source. Completes the upload.
    async fn send_all(
        &mut self,
        read_ahead: [PutPayload; 2],
        source: &mut PartSource,
        digest: &mut BlockingWriter<Hasher>,
    ) -> Result<(), Error> {
        for part in read_ahead {
            self.send(part, source).await?;
        }
        while let Some(part) = source.next_part(self.plan.part_size).await? {
            hash(digest, &part).await?;
            self.send(part, source).await?;
        }
        self.complete(source.read()).await
    }

    /// Starts to send a part as soon as the limit on concurrent parts permits.
    async fn send(&mut self, part: PutPayload, source: &mut PartSource) -> Result<(), Error> {
        if self.sent == MAX_PARTS {
            return Err(Error::plain(
                ErrorKind::TooLarge,
                format!(
                    "the payload exceeds {MAX_PARTS} parts of {} bytes; declare its length or set a larger part size",
                    self.plan.part_size
                ),
            ));
        }
        while self.in_flight.len() >= self.plan.in_flight
            && let Some(done) = self.in_flight.join_next().await
        {
            source.recycle(sent_part(done)?, self.plan.part_size);
        }
        let Some(upload) = &mut self.upload else {
            return Ok(());
        };
        let sending = upload.put_part(part.clone());
        self.in_flight.spawn(async move {
            sending.await?;
            Ok(part)
        });
        self.sent += 1;
        Ok(())
    }

    async fn complete(&mut self, len: u64) -> Result<(), Error> {
        while let Some(done) = self.in_flight.join_next().await {
            sent_part(done)?;
        }
        let completed = match &mut self.upload {
            Some(upload) => upload.complete().await.map(drop),
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
        let mut in_flight = std::mem::take(&mut self.in_flight);
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

fn sent_part(done: Result<object_store::Result<PutPayload>, JoinError>) -> Result<PutPayload, Error> {
    let message = "a part of the payload could not be stored";
    match done {
        Ok(part) => part.map_err(|error| Error::store(message, error)),
        Err(error) => Err(Error::io(ErrorKind::Store, message, error.into())),
    }
}

#[cfg(test)]
mod tests;
