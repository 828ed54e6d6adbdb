//! The requirements of resumable uploads.

use crate::error::Error;
use crate::payload::source::{Payload, Source};
use crate::payload_store::UploadOptions;
use crate::shared::Shared;

/// Checks, without I/O, that the upload is resumable if it has a journal.
///
/// # Errors
///
/// It is not. The error says what to change.
pub(super) fn check_resumable(shared: &Shared, payload: &Payload, upload: &UploadOptions) -> Result<(), Error> {
    if upload.journal.is_none() {
        return Ok(());
    }
    if upload.key.is_none() {
        return Err(Error::invalid(
            "a resumable upload requires a key that the next attempt can use again; set `payload_key`",
        ));
    }
    if payload.len.is_none() || !matches!(payload.source, Source::File(_)) {
        return Err(Error::invalid(
            "a resumable upload requires a regular file; use `Payload::from_path`",
        ));
    }
    if !shared.codec.is_plain() {
        return Err(Error::invalid(
            "a resumable upload cannot be compressed or encrypted; use a client without these settings of `codec`",
        ));
    }
    let payloads = shared.payloads.as_ref().filter(|_| shared.policy.may_offload());
    let Some(payloads) = payloads else {
        return Err(Error::invalid(
            "a resumable upload requires a payload store; choose a strategy that offloads",
        ));
    };
    payloads.check_resumable()
}
