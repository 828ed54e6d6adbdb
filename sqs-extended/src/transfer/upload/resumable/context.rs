//! The settings of a resumable upload, and what identifies it.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use object_store::ObjectStore;
use object_store::multipart::MultipartStore;

use super::super::UploadSettings;
use super::super::destination::Target;
use crate::error::{Error, ErrorKind};
use crate::payload::progress::OnProgress;
use crate::payload::subtree::granule::GRANULE;
use crate::transfer::Resources;
use crate::transfer::journal::file::Claim;
use crate::transfer::journal::header::{Identity, TransferKind};
use crate::transfer::journal::locked::is_in_use;

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

/// The number of looks at a journal that is in use, before it counts as another process's.
const JOURNAL_LOOKS: u32 = 250;

/// The pause after a look, so that all of them take about 5 seconds.
const JOURNAL_PAUSE: Duration = Duration::from_millis(20);

impl ResumableUpload<'_> {
    /// Waits for a short time while the journal is in use. An attempt of this process that was dropped uses it until its last
    /// part is noted.
    pub(super) async fn wait_for_journal(&self) -> Result<(), Error> {
        let path = self.journal.to_owned();
        let waiting = blocking(move || {
            for _ in 0..JOURNAL_LOOKS {
                if !is_in_use(&path) {
                    break;
                }
                std::thread::sleep(JOURNAL_PAUSE);
            }
            Ok(())
        });
        waiting.await.map_err(journal_failed)
    }

    /// Locks the journal before any request, so that no other process replaces it or continues its upload.
    pub(super) async fn claim(&self) -> Result<Claim, Error> {
        let path = self.journal.to_owned();
        let claimed = blocking(move || Claim::new(&path)).await.map_err(journal_failed)?;
        claimed.ok_or_else(|| {
            Error::invalid(
                "the journal of a resumable upload is used by another process, is not a regular file, or is on a file \
                 system without locks; choose another path",
            )
        })
    }

    /// Returns what must be the same for the upload to continue.
    pub(super) async fn identity(&self, file: Arc<File>, part_size: u64) -> Result<Identity, Error> {
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
    pub(super) fn of_key(&self) -> Identity {
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
pub(super) struct Layout {
    pub(super) len: u64,
    pub(super) part_size: u64,
}

impl Layout {
    pub(super) fn parts(&self) -> Range<u64> {
        0..self.len.div_ceil(self.part_size)
    }

    pub(super) fn start(&self, part: u64) -> u64 {
        part.saturating_mul(self.part_size)
    }

    pub(super) fn len_of(&self, part: u64) -> u64 {
        self.part_size.min(self.len.saturating_sub(self.start(part)))
    }

    pub(super) fn granules(&self, part: u64) -> Range<u64> {
        let start = self.start(part);
        start / GRANULE..(start + self.len_of(part)).div_ceil(GRANULE)
    }
}

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await?
}

pub(super) fn file_failed(error: io::Error) -> Error {
    Error::io(ErrorKind::PayloadSource, "the payload to send could not be read", error)
}

pub(super) fn journal_failed(error: io::Error) -> Error {
    let kind = match error.kind() {
        // The file there is not a journal.
        io::ErrorKind::AlreadyExists => ErrorKind::InvalidInput,
        _ => ErrorKind::File,
    };
    let message = "the journal of a resumable upload could not be read or written";
    Error::io(kind, message, error)
}
