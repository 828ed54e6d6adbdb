//! Uploads of files that a later process continues.
//!
//! The process that begins an upload writes its id into a journal, and then each part that the store has confirmed. A later
//! process with the same file hashes these parts again and sends only the others. Nobody aborts the upload meanwhile.

mod session;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use object_store::ObjectStore;
use object_store::multipart::MultipartStore;

use super::{Measured, SHORT, Target, UploadSettings};
use crate::error::{Error, ErrorKind};
use crate::payload::digest::DigestAlgorithm;
use crate::payload::progress::OnProgress;
use crate::payload::subtree::granule::GRANULE;
use crate::transfer::Resources;
use crate::transfer::journal::header::{Identity, TransferKind};
use crate::transfer::part_plan::PartPlan;
use crate::transfer::part_source::PartSource;
use session::Session;

/// A resumable upload, with everything that it needs but the payload.
pub(crate) struct ResumableUpload<'a> {
    pub(crate) store: &'a dyn ObjectStore,
    /// The same store.
    pub(crate) multipart: &'a Arc<dyn MultipartStore>,
    pub(crate) bucket: &'a str,
    pub(crate) target: &'a Target,
    pub(crate) journal: &'a Path,
    pub(crate) on_progress: &'a OnProgress,
    pub(crate) settings: &'a UploadSettings,
    pub(crate) resources: &'a Resources,
}

/// Returns `true` if a journal is worth its while. Any other payload is stored by one request, or is not in a file.
pub(crate) fn is_long_file(source: &PartSource) -> bool {
    source.file().is_some() && source.declared().is_some_and(|len| len > SHORT as u64)
}

/// Checks that uploads with these settings are resumable.
///
/// # Errors
///
/// The parts are not made of granules, or another digest than theirs is required.
pub(crate) fn check(settings: &UploadSettings) -> Result<(), Error> {
    if settings.digest != DigestAlgorithm::Blake3 {
        return Err(Error::invalid(
            "a resumable upload requires BLAKE3 digests; remove the setting `digest`",
        ));
    }
    if !settings.part_size.is_none_or(|size| size.is_multiple_of(GRANULE)) {
        return Err(Error::invalid(format!(
            "a resumable upload requires parts of whole MiB; set `part_size` to a multiple of {GRANULE} bytes"
        )));
    }
    Ok(())
}

impl ResumableUpload<'_> {
    /// Stores the payload, of which an earlier process may have stored some parts. An error leaves them for a later process.
    ///
    /// # Errors
    ///
    /// Returns an error if the file or the journal fails, or if another process uses the journal. A failure of the store is
    /// an error too, and so are attributes that it does not support.
    pub(crate) async fn run(&self, mut source: PartSource) -> Result<Measured, Error> {
        let (Some(file), Some(len)) = (source.file(), source.declared()) else {
            return Err(Error::invalid("the payload of a resumable upload is not a file"));
        };
        let part_size = PartPlan::new(Some(len), self.settings.part_size)?.size(0);
        let layout = Layout { len, part_size };
        let identity = self.identity(Arc::clone(&file), part_size).await?;
        if let Some(session) = Session::resume(self, &identity, file, layout).await? {
            match session.transfer(self, &mut source).await {
                Err(error) if session.is_void() => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "an upload of an earlier process cannot be continued and starts over"
                    );
                    session.discard().await;
                }
                done => return done,
            }
        }
        let session = Session::begin(self, &identity, layout).await?;
        session.transfer(self, &mut source).await
    }

    /// Returns what must be the same for the upload to continue.
    async fn identity(&self, file: Arc<File>, part_size: u64) -> Result<Identity, Error> {
        let metadata = blocking(move || file.metadata()).await.map_err(file_failed)?;
        let modified = metadata.modified().map_err(file_failed)?;
        let modified = match modified.duration_since(UNIX_EPOCH) {
            Ok(after) => format!("{}", after.as_nanos()),
            Err(before) => format!("-{}", before.duration().as_nanos()),
        };
        let identity = self.of_key();
        let identity = identity.with("part_size", part_size).with("modified", modified);
        #[cfg(unix)]
        let identity = {
            use std::os::unix::fs::MetadataExt as _;

            identity.with("device", metadata.dev()).with("inode", metadata.ino())
        };
        Ok(identity.with("attributes", self.attributes().to_hex()))
    }

    /// Returns the identity of all uploads to the key.
    fn of_key(&self) -> Identity {
        let identity = Identity::new(TransferKind::Upload);
        identity.with("bucket", self.bucket).with("key", &self.target.key)
    }

    /// Returns a hash, because the values may be secret.
    fn attributes(&self) -> blake3::Hash {
        let attributes = self.settings.attributes.iter();
        let mut attributes: Vec<_> = attributes.map(|(name, value)| format!("{name:?}={value:?}")).collect();
        attributes.sort();
        attributes.push(self.settings.tags.encoded().to_owned());
        blake3::hash(attributes.join("\n").as_bytes())
    }
}

/// The division of a file into parts of whole granules.
#[derive(Clone, Copy)]
struct Layout {
    len: u64,
    part_size: u64,
}

impl Layout {
    fn parts(&self) -> std::ops::Range<u64> {
        0..self.len.div_ceil(self.part_size)
    }

    fn start(&self, part: u64) -> u64 {
        part.saturating_mul(self.part_size)
    }

    fn len_of(&self, part: u64) -> u64 {
        self.part_size.min(self.len.saturating_sub(self.start(part)))
    }

    fn granules(&self, part: u64) -> std::ops::Range<u64> {
        let start = self.start(part);
        start / GRANULE..(start + self.len_of(part)).div_ceil(GRANULE)
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> std::io::Result<T> + Send + 'static) -> std::io::Result<T> {
    tokio::task::spawn_blocking(work).await?
}

fn file_failed(error: std::io::Error) -> Error {
    Error::io(ErrorKind::PayloadSource, "the payload to send could not be read", error)
}

fn journal_failed(error: std::io::Error) -> Error {
    Error::io(
        ErrorKind::File,
        "the journal of a resumable upload could not be read or written",
        error,
    )
}

#[cfg(test)]
mod tests;
