//! Fetches payloads.

use object_store::path::Path;

use crate::codec::{Codec, Limits};
use crate::error::Error;
use crate::payload::stream::PayloadStream;
use crate::payload_store::store::PayloadStore;
use crate::pointer::Envelope;
use crate::transfer::download::{Expected, download};

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
    pub(crate) async fn fetch(&self, located: &Located, codec: &Codec) -> Result<PayloadStream, Error> {
        let Envelope { pointer, size } = &*located.envelope;
        let decoder = codec.decoder(&pointer.encoding).await?;
        let as_stored = size.filter(|_| pointer.encoding.is_plain());
        let expected = Expected {
            len: pointer.length.or(as_stored),
            digest: pointer.digest.clone(),
            max: self.0.max_payload.map(|max| decoder.max_stored(max)),
        };
        let download = download(&self.0.store, &located.key, expected, &self.0.download).await?;
        let limits = Limits {
            len: *size,
            max: self.0.max_payload,
        };
        let len = if pointer.encoding.is_plain() {
            Some(download.len)
        } else {
            *size
        };
        Ok(PayloadStream::new(decoder.decode(download.chunks, limits), len))
    }
}
