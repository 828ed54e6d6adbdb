//! Fetches payloads.

use std::sync::Arc;

use object_store::path::Path;

use crate::codec::{Codec, Decoder, Limits};
use crate::error::Error;
use crate::payload::progress::OnProgress;
use crate::payload::stream::PayloadStream;
use crate::payload_store::store::PayloadStore;
use crate::pointer::Envelope;
use crate::transfer::Resources;
use crate::transfer::download::{Download, DownloadSettings, Expected, Target, download};
use crate::transfer::journal::header::Identity;

/// A stored payload whose pointer passed the checks of bucket and key.
#[derive(Debug)]
pub(crate) struct Located {
    pub(crate) envelope: Box<Envelope>,
    pub(super) key: Path,
}

impl PayloadStore {
    /// Checks that the pointer names an object in the configured bucket and under the prefix, without I/O.
    ///
    /// # Errors
    ///
    /// The pointer names an object outside of them.
    pub(crate) fn locate(&self, envelope: Box<Envelope>) -> Result<Located, Error> {
        let key = self.0.location.resolve(&envelope.pointer)?;
        Ok(Located { envelope, key })
    }

    /// Starts to fetch a payload.
    ///
    /// # Errors
    ///
    /// The codec cannot decode it. Or the store failed, does not have the payload, or has one of another length.
    pub(crate) async fn fetch(&self, located: &Located, codec: &Codec) -> Result<Fetched, Error> {
        let Envelope { pointer, size } = &*located.envelope;
        let decoder = codec.decoder(&pointer.encoding).await?;
        let is_plain = pointer.encoding.is_plain();
        let expected = Expected {
            len: pointer.length.or(size.filter(|_| is_plain)),
            digest: pointer.digest.clone(),
            max: self.0.max_payload.map(|max| decoder.max_stored(max)),
        };
        let limits = Limits {
            len: *size,
            max: self.0.max_payload,
        };
        Ok(Fetched {
            download: download(&self.0.store, &located.key, expected, &self.0.download).await?,
            bucket: pointer.bucket.clone(),
            settings: self.0.download.clone(),
            resources: self.0.resources.clone(),
            decoder,
            limits,
            is_plain,
        })
    }
}

/// A payload whose first response has arrived.
pub(crate) struct Fetched {
    download: Download,
    bucket: String,
    settings: DownloadSettings,
    resources: Resources,
    decoder: Decoder,
    limits: Limits,
    is_plain: bool,
}

impl Fetched {
    /// Reports the progress to this function.
    pub(crate) fn report_to(mut self, on_progress: OnProgress) -> Self {
        self.download = self.download.report_to(on_progress);
        self
    }

    /// Returns the payload in order.
    pub(crate) fn into_stream(self) -> PayloadStream {
        let len = if self.is_plain {
            Some(self.download.len())
        } else {
            self.limits.len
        };
        let chunks = self.download.into_chunks(&self.settings, &self.resources);
        PayloadStream::new(self.decoder.decode(chunks, self.limits), len)
    }

    /// Returns `true` if [`into_file`](Self::into_file) is faster than the payload in order.
    pub(crate) fn has_parts(&self) -> bool {
        self.is_plain && self.download.has_parts()
    }

    /// Returns what identifies this version of the payload to a later process.
    pub(crate) fn identity(&self) -> Identity {
        self.download.identity(&self.bucket)
    }

    /// Returns the payload's length in bytes, as it is stored.
    pub(crate) fn stored_len(&self) -> u64 {
        self.download.len()
    }

    /// Returns `true` if the file of a download that ends early is kept.
    pub(crate) fn keeps_partial(&self) -> bool {
        self.settings.keep_partial
    }

    /// Writes the payload to a file part by part, and returns its length after it was verified.
    ///
    /// # Errors
    ///
    /// The payload could not be read or is not what was sent, or the file could not be written.
    pub(crate) async fn into_file(self, target: Arc<Target>) -> Result<u64, Error> {
        let len = self.download.len();
        self.download.into_file(target, &self.settings, &self.resources).await?;
        Ok(len)
    }
}
