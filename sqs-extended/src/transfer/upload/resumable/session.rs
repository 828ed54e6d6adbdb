//! One upload with its journal.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{MultipartId, PutMultipartOptions, PutPayload};
use tokio::time::Instant;

use super::super::destination::Destination;
use super::super::in_flight::{PART_FAILED, PartsInFlight};
use super::super::{Measured, hashing_failed, store_error};
use super::context::{Layout, ResumableUpload, blocking, file_failed, journal_failed};
use crate::error::refusal::{is_missing_part, is_missing_upload};
use crate::error::{Error, ErrorKind};
use crate::payload::digest::Digest;
use crate::payload::subtree::granule::{Granule, GranuleHasher};
use crate::payload::subtree::tree::Tree;
use crate::telemetry::{self, Direction};
use crate::transfer::budget::BLOCK;
use crate::transfer::interruptible::{Interrupt, interruptible};
use crate::transfer::journal::file::{Claim, Journal};
use crate::transfer::journal::header::Identity;
use crate::transfer::journal::record::Record;
use crate::transfer::journal::verify::{Verified, verified_granules};
use crate::transfer::part_source::PartSource;

/// The fields of a journal that are known only once the upload has begun: its id, and the object that it replaces.
const UPLOAD: &str = "upload";
const BEFORE: &str = "before";

/// An upload that this process continues.
pub(super) struct Session<'a> {
    shared: Arc<Shared>,
    destination: Destination<'a>,
    layout: Layout,
    /// The time that the store took to begin the upload.
    delay: Duration,
}

/// The part of a session that the tasks of its parts need.
struct Shared {
    multipart: Arc<dyn MultipartStore>,
    key: Path,
    id: MultipartId,
    /// The store no longer has the upload or a part of it.
    is_void: AtomicBool,
    state: Mutex<State>,
}

/// The parts that the store has.
struct State {
    /// `None` once it is removed.
    journal: Option<Journal>,
    /// A part could not be noted.
    has_failed: bool,
    tree: Tree,
    /// The ETags by the part's number.
    parts: BTreeMap<u64, String>,
}

impl<'a> Session<'a> {
    /// Begins an upload and its journal.
    pub(super) async fn begin(
        upload: &'a ResumableUpload<'_>,
        claim: Claim,
        identity: &Identity,
        layout: Layout,
    ) -> Result<Self, Error> {
        let (settings, key) = (upload.settings, &upload.target.key);
        let destination = Destination::before_upload(upload.store, upload.target).await;
        let options = PutMultipartOptions {
            attributes: settings.attributes.clone(),
            tags: settings.tags.clone(),
            ..PutMultipartOptions::default()
        };
        let begin = Instant::now();
        telemetry::count(telemetry::REQUESTS, Direction::Upload, 1);
        let id = upload.multipart.create_multipart_opts(key, options).await;
        let id = match id {
            Ok(id) => id,
            Err(error) => {
                remove(|| claim.withdraw()).await;
                return Err(store_error(
                    settings,
                    "the upload of the payload could not be started",
                    error,
                ));
            }
        };
        let delay = begin.elapsed();
        let identity = identity.clone().with(UPLOAD, &id).with(BEFORE, destination.describe());
        let journal = match blocking(move || claim.create(&identity, layout.len)).await {
            Ok(journal) => journal,
            Err(error) => {
                abort(&**upload.multipart, key, &id).await;
                return Err(journal_failed(error));
            }
        };
        let state = State {
            journal: Some(journal),
            has_failed: false,
            tree: Tree::new(),
            parts: BTreeMap::new(),
        };
        Ok(Self {
            shared: Arc::new(Shared::new(upload, id, state)),
            destination,
            layout,
            delay,
        })
    }

    /// Continues the upload of an earlier process. Returns the claim if there is none. An upload of another file, or of the
    /// same file with other content, is aborted.
    pub(super) async fn resume(
        upload: &'a ResumableUpload<'_>,
        claim: Claim,
        identity: &Identity,
        file: Arc<File>,
        layout: Layout,
    ) -> Result<Result<Self, Claim>, Error> {
        let of_key = upload.of_key();
        let opened = blocking(move || {
            let is_empty = claim.is_empty()?;
            Ok((claim.open(&of_key)?, is_empty))
        });
        let (opened, was_empty) = opened.await.map_err(journal_failed)?;
        let journal = match opened {
            Ok(journal) => journal,
            Err(claim) => {
                if !was_empty {
                    let path = upload.journal.display();
                    tracing::warn!(%path, "a journal is damaged or describes another upload, which is not continued");
                }
                return Ok(Err(claim));
            }
        };
        let Some(id) = journal.identity().get(UPLOAD).map(ToOwned::to_owned) else {
            return Ok(Err(journal.into_claim()));
        };
        let before = journal.identity().get(BEFORE).unwrap_or_default().to_owned();
        let is_same = journal.payload_len() == layout.len && journal.identity().includes(identity);
        let verifying = interruptible(move |interrupt| {
            let verified = if is_same {
                verified(journal, &file, layout, interrupt)?
            } else {
                Err(journal)
            };
            Ok(verified)
        });
        match verifying.await.map_err(file_failed)? {
            Ok(state) => Ok(Ok(Self {
                shared: Arc::new(Shared::new(upload, id, state)),
                destination: Destination::described(upload.store, upload.target, &before),
                layout,
                delay: Duration::ZERO,
            })),
            Err(journal) => {
                tracing::debug!(path = %upload.journal.display(), "the file of an interrupted upload has changed, so it starts over");
                abort(&**upload.multipart, &upload.target.key, &id).await;
                Ok(Err(journal.into_claim()))
            }
        }
    }

    /// Sends the missing parts and completes the upload.
    pub(super) async fn transfer(
        &self,
        upload: &ResumableUpload<'_>,
        source: &mut PartSource,
    ) -> Result<Measured, Error> {
        let Layout { len, .. } = self.layout;
        let budget = &upload.resources.budget;
        let missing = self.shared.missing(self.layout);
        let missing_len: u64 = missing.iter().map(|part| self.layout.len_of(*part)).sum();
        let meter = upload.on_progress.meter(Some(len), len.saturating_sub(missing_len));
        let transfer = upload.resources.throttle.enter();
        let mut in_flight = PartsInFlight::new(transfer, upload.settings.concurrency, self.delay, meter.clone());
        for part in missing {
            let part_len = self.layout.len_of(part);
            let too_large = |_| Error::invalid("the part size exceeds the memory that this machine can address");
            let size = usize::try_from(part_len).map_err(too_large)?;
            let memory = budget.reserve(size.div_ceil(BLOCK)).await;
            source.seek(self.layout.start(part)).await?;
            let payload = source.next_part(size, budget).await?.unwrap_or_default();
            let begin = || Arc::clone(&self.shared).send(part, self.layout.start(part), payload);
            in_flight.send(part_len, Some(memory), begin).await?;
        }
        // Fails if the file has become longer.
        source.seek(len).await?;
        source.next_piece(1).await?;
        in_flight.finish().await?;
        let digest = self.complete().await?;
        meter.finish();
        Ok(Measured { len, digest })
    }

    async fn complete(&self) -> Result<Digest, Error> {
        let (shared, len) = (&self.shared, self.layout.len);
        let (root, parts) = {
            let state = shared.state();
            let id = |etag: &String| PartId {
                content_id: etag.clone(),
            };
            (state.tree.root(len), state.parts.values().map(id).collect::<Vec<_>>())
        };
        let incomplete = || Error::plain(ErrorKind::PayloadSource, "the payload's digest could not be computed");
        let digest = root.map(Digest::from_blake3).ok_or_else(incomplete)?;
        telemetry::count(telemetry::REQUESTS, Direction::Upload, 1);
        match shared
            .multipart
            .complete_multipart(&shared.key, &shared.id, parts)
            .await
        {
            Ok(_) => {}
            Err(error) if is_missing_upload(&error) => {
                // An earlier process may have completed the upload and been killed before it removed the journal.
                let confirmed = self.destination.confirm(len, error).await;
                confirmed.inspect_err(|_| shared.is_void.store(true, Relaxed))?;
            }
            Err(error) => {
                shared.is_void.store(is_missing_part(&error), Relaxed);
                return Err(Error::store("the upload of the payload could not be completed", error));
            }
        }
        let journal = shared.state().journal.take();
        if let Some(journal) = journal {
            remove(|| journal.remove()).await;
        }
        Ok(digest)
    }

    /// Returns `true` if no process can complete the upload.
    pub(super) fn is_void(&self) -> bool {
        self.shared.is_void.load(Relaxed)
    }

    /// Aborts the upload, and returns its journal for another one.
    pub(super) async fn discard(&self) -> Option<Claim> {
        let shared = &self.shared;
        abort(&*shared.multipart, &shared.key, &shared.id).await;
        shared.state().journal.take().map(Journal::into_claim)
    }
}

impl Shared {
    fn new(upload: &ResumableUpload<'_>, id: MultipartId, state: State) -> Self {
        Self {
            multipart: Arc::clone(upload.multipart),
            key: upload.target.key.clone(),
            id,
            is_void: AtomicBool::new(false),
            state: Mutex::new(state),
        }
    }

    fn missing(&self, layout: Layout) -> Vec<u64> {
        let state = self.state();
        layout.parts().filter(|part| !state.parts.contains_key(part)).collect()
    }

    /// Sends a part while it is hashed, and notes it.
    async fn send(self: Arc<Self>, part: u64, start: u64, payload: PutPayload) -> Result<(), Error> {
        let bytes = payload.clone();
        let hashing = blocking(move || Ok(granules(start, &bytes)));
        let index = usize::try_from(part).unwrap_or(usize::MAX);
        let sending = self.multipart.put_part(&self.key, &self.id, index, payload);
        let (hashed, sent) = future::join(hashing, sending).await;
        let sent = sent.map_err(|error| {
            if is_missing_upload(&error) {
                self.is_void.store(true, Relaxed);
            }
            Error::store(PART_FAILED, error)
        })?;
        let granules = hashed.map_err(hashing_failed)?;
        let noted = blocking(move || {
            self.note(part, sent.content_id, &granules);
            Ok(())
        });
        noted.await.map_err(journal_failed)
    }

    fn note(&self, part: u64, etag: String, granules: &[Granule]) {
        let mut state = self.state();
        let record = Record::uploaded(granules, part, etag.as_str());
        if let Some(journal) = &mut state.journal
            && let Err(error) = journal.append(&[record])
            && !std::mem::replace(&mut state.has_failed, true)
        {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(
                part,
                error,
                "failed to note a part of an upload; a later process will send it again, as all parts that cannot be noted"
            );
        }
        state.tree.insert_all(granules);
        state.parts.insert(part, etag);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic loses a part at most, so that the digest is not computed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Compares the journal with the file. Returns the journal if the file has changed.
fn verified(
    mut journal: Journal,
    file: &File,
    layout: Layout,
    interrupt: &Interrupt,
) -> std::io::Result<Result<State, Journal>> {
    let records = journal.records()?;
    let Verified { tree, parts } = verified_granules(file, layout.len, records, interrupt)?;
    // A granule without its part cannot be replaced in the tree, whose digest would then be that of older content.
    let is_consistent = layout.parts().all(|part| {
        let is_stored = parts.contains_key(&part);
        layout.granules(part).all(|granule| tree.contains(granule) == is_stored)
    });
    if !is_consistent || parts.keys().any(|part| !layout.parts().contains(part)) {
        return Ok(Err(journal));
    }
    Ok(Ok(State {
        journal: Some(journal),
        has_failed: false,
        tree,
        parts,
    }))
}

fn granules(start: u64, payload: &PutPayload) -> Vec<Granule> {
    let mut hasher = GranuleHasher::new(start);
    for bytes in payload {
        hasher.update(bytes);
    }
    hasher.finish()
}

async fn abort(multipart: &dyn MultipartStore, key: &Path, id: &MultipartId) {
    if let Err(error) = multipart.abort_multipart(key, id).await
        && !is_missing_upload(&error)
    {
        let error = &error as &dyn std::error::Error;
        tracing::warn!(
            error,
            "an unfinished upload could not be aborted; the bucket's lifecycle rule must remove it"
        );
    }
}

/// Removes a journal that nobody needs. A failure costs only the file, so it is logged.
async fn remove(removal: impl FnOnce() -> std::io::Result<()> + Send + 'static) {
    if let Err(error) = blocking(removal).await {
        let error = &error as &dyn std::error::Error;
        tracing::warn!(
            error,
            "failed to remove the journal of an upload that is complete or was not started"
        );
    }
}
