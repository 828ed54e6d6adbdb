//! Uploads of files that a later process continues.
//!
//! The process that begins an upload writes its id into a journal, and then each part that the store has confirmed. A later
//! process with the same file hashes these parts again and sends only the others. Nobody aborts the upload meanwhile.

mod context;
mod session;

use std::sync::Arc;

use super::{Measured, SHORT, UploadSettings};
use crate::error::Error;
use crate::payload::digest::DigestAlgorithm;
use crate::payload::subtree::granule::GRANULE;
use crate::transfer::part_plan::PartPlan;
use crate::transfer::part_source::PartSource;
use context::Layout;
pub(crate) use context::ResumableUpload;
use session::Session;

/// Returns `true` if a journal is worthwhile. Any other payload is stored by one request, or is not in a file.
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
        self.wait_for_journal().await?;
        let identity = self.identity(Arc::clone(&file), part_size).await?;
        let claim = self.claim().await?;
        let claim = match Session::resume(self, claim, &identity, file, layout).await? {
            Ok(session) => match session.transfer(self, &mut source).await {
                Err(error) if session.is_void() => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "an upload of an earlier process cannot be continued and starts over"
                    );
                    session.discard().await.ok_or(error)?
                }
                done => return done,
            },
            Err(claim) => claim,
        };
        let session = Session::begin(self, claim, &identity, layout).await?;
        session.transfer(self, &mut source).await
    }
}

#[cfg(test)]
mod tests;
