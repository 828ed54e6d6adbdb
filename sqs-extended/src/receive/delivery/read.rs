//! Reads payloads: as text, JSON, bytes, a reader, a stream or a file.

use std::any::type_name;
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use futures::TryStreamExt;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use crate::error::{Error, ErrorKind};
use crate::payload::progress::OnProgress;
use crate::payload::stream::{PayloadReader, PayloadStream};
use crate::payload_store::{Fetched, Located};
use crate::receive::body::Content;
use crate::receive::delivery::{DownloadRequest, ExtendedDelivery};
use crate::receive::download;
use crate::receive::missing::PointerParts;
use crate::shared::Shared;

impl ExtendedDelivery {
    /// Reads the payload as text.
    ///
    /// # Errors
    ///
    /// As for [`bytes`](Self::bytes). [`NotText`](ErrorKind::NotText) if the payload is not UTF-8.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn text(&self) -> Result<String, Error> {
        let bytes = self.bytes().await?;
        match std::str::from_utf8(&bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(self.error(Error::plain(ErrorKind::NotText, "the payload is not UTF-8 text"))),
        }
    }

    /// Reads the payload as JSON.
    ///
    /// ```no_run
    /// # async fn example(extended: sqs_extended::ExtendedClient, queue: &str) -> Result<(), Box<dyn std::error::Error>> {
    /// #[derive(serde::Deserialize)]
    /// struct Order {
    ///     id: u32,
    /// }
    ///
    /// for received in extended.receive(queue).await? {
    ///     let delivery = received?;
    ///     let order: Order = delivery.json().await?;
    ///     println!("order {}", order.id);
    ///     delivery.ack().await?;
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`bytes`](Self::bytes). [`NotJson`](ErrorKind::NotJson) if the payload is not the JSON of a `T`. The error
    /// contains the position, and no part of the payload.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        let bytes = self.bytes().await?;
        serde_json::from_slice(&bytes).map_err(|error| self.error(not_json::<T>(&error)))
    }

    /// Reads the whole payload into memory.
    ///
    /// # Errors
    ///
    /// As for [`stream`](Self::stream) and its items. [`TooLarge`](ErrorKind::TooLarge) if the payload is longer than
    /// [`max_in_memory`](crate::ExtendedClientBuilder::max_in_memory).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn bytes(&self) -> Result<Bytes, Error> {
        if let Some(bytes) = self.0.content.in_memory() {
            return Ok(bytes.clone());
        }
        let limit = self.0.shared.max_in_memory;
        let fits = |size| usize::try_from(size).is_ok_and(|size| size <= limit);
        if !self.size().is_none_or(fits) {
            return Err(self.error(too_large(limit)));
        }
        let mut stream = self.stream().await?;
        if !stream.size().is_none_or(fits) {
            return Err(self.error(too_large(limit)));
        }
        let mut bytes = BytesMut::with_capacity(self.reliable_size(&stream));
        while let Some(chunk) = stream.try_next().await? {
            if chunk.len() > limit - bytes.len() {
                return Err(self.error(too_large(limit)));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes.freeze())
    }

    /// Fetches the payload before it is requested. If that fails, the request for the payload fetches it again.
    pub(crate) async fn prefetch(&self) {
        let bytes = self.bytes().await;
        if let (Ok(bytes), Content::Offloaded { prefetched, .. }) = (bytes, &self.0.content) {
            // Only the receive prefetches, and only once.
            let _ = prefetched.set(bytes);
        }
    }

    /// Returns the length if the store states it, and 0 otherwise. A sender's false claim must not reserve memory.
    fn reliable_size(&self, stream: &PayloadStream) -> usize {
        let is_plain = self.pointer().is_some_and(|pointer| pointer.encoding.is_plain());
        let size = stream.size().filter(|_| is_plain);
        size.and_then(|size| usize::try_from(size).ok()).unwrap_or(0)
    }

    /// Opens the payload as a reader.
    ///
    /// The payload is verified once the reader reaches its end without an error. An `io::Error` of the reader contains an
    /// [`Error`].
    ///
    /// # Errors
    ///
    /// As for [`stream`](Self::stream).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    ///
    /// ```no_run
    /// # async fn example(delivery: sqs_extended::ExtendedDelivery) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut reader = delivery.reader().await?;
    /// tokio::io::copy(&mut reader, &mut tokio::io::stdout()).await?;
    /// # Ok(()) }
    /// ```
    pub async fn reader(&self) -> Result<PayloadReader, Error> {
        self.stream().await.map(PayloadReader::new)
    }

    /// Opens the payload as a stream of chunks.
    ///
    /// The payload is verified once the stream ends without an error.
    ///
    /// # Errors
    ///
    /// The store failed, does not have the payload, or has one of another length. Or the payload's encoding is not supported,
    /// or its key is not available. An item of the stream is an error if the store fails later, or if the payload is not what
    /// was sent.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future or the stream ends the download and changes nothing.
    pub async fn stream(&self) -> Result<PayloadStream, Error> {
        if let Some(bytes) = self.0.content.in_memory() {
            return Ok(PayloadStream::inline(bytes.clone()));
        }
        let stream = match &self.0.content {
            Content::Inline(body) => Ok(PayloadStream::inline(body.clone())),
            Content::Assembled(payload) => payload.stream(&self.0.shared.codec).await,
            Content::Offloaded { located, parts, .. } => self.fetch(located, parts).await.map(Fetched::into_stream),
        };
        let stream = stream.map_err(|error| self.error(error))?;
        Ok(stream.of_message(self.receipt_handle()))
    }

    async fn fetch(&self, located: &Located, parts: &PointerParts) -> Result<Fetched, Error> {
        let Shared {
            codec, missing, sender, ..
        } = &*self.0.shared;
        let fetched = self.payload_store()?.fetch(located, codec).await;
        if fetched.as_ref().is_err_and(Error::is_missing_payload) {
            missing.apply(sender, &self.0.claim, &self.0.message, parts).await;
        }
        fetched
    }

    /// Downloads the payload to a file, and returns its length in bytes.
    ///
    /// The bytes go to a temporary file in the same directory. It replaces `path` only after length and digest were
    /// verified and the file was synced to disk. So a following [`ack`](Self::ack) can safely delete the payload.
    ///
    /// If the process is killed, the next download of the payload to the same path continues. It hashes what the temporary
    /// file `.name.part` contains, and fetches only the rest. This requires a payload of at least
    /// [`MIN_RESUMABLE`](Self::MIN_RESUMABLE) bytes that is fetched in parts. It must be neither compressed nor encrypted, its
    /// digest must be BLAKE3 or missing, and the store's
    /// [`download_concurrency`](crate::store::PayloadStoreBuilder::download_concurrency) must not be 1. The directory's file
    /// system must have locks.
    ///
    /// The journal `.name.part.journal` identifies the object's version and the bytes that were written. If the object was
    /// replaced, the download starts over. If the file or the journal was damaged, the damaged part is fetched again. Up to
    /// eight concurrent downloads to one path have such files, the second one `.name.1.part` and so on. Each download removes
    /// those of killed processes that it does not continue.
    ///
    /// # Errors
    ///
    /// As for [`stream`](Self::stream) and its items. [`File`](ErrorKind::File) if the file cannot be written, or if `path`
    /// is something other than a regular file. An existing file at `path` is unchanged, unless only its
    /// folder could not be synced. The temporary file is deleted, unless
    /// [`keep_partial_downloads`](crate::store::PayloadStoreBuilder::keep_partial_downloads) is set and the payload can be
    /// continued.
    ///
    /// # Cancel safety
    ///
    /// As for [`DownloadRequest`], which also reports the progress.
    pub fn download_to(&self, path: impl AsRef<Path>) -> DownloadRequest<'_> {
        DownloadRequest::new(self, path.as_ref().to_owned())
    }

    pub(super) async fn write_to(&self, path: PathBuf, on_progress: OnProgress) -> Result<u64, Error> {
        let written = match &self.0.content {
            Content::Offloaded { located, parts, .. } => match self.fetch(located, parts).await {
                Ok(fetched) => {
                    let fetched = fetched.report_to(on_progress);
                    match fetched.has_parts() {
                        true => download::write_parts(fetched, path).await,
                        false => download::write_stream(fetched.into_stream(), path).await,
                    }
                }
                Err(error) => Err(error),
            },
            Content::Inline(_) | Content::Assembled(_) => {
                download::write_stream(self.stream().await?.report_to(&on_progress), path).await
            }
        };
        written.map_err(|error| self.error(error))
    }
}

fn too_large(limit: usize) -> Error {
    Error::plain(
        ErrorKind::TooLarge,
        format!("the payload is longer than the {limit} bytes that `max_in_memory` allows; read it as a stream"),
    )
}

/// Describes the failure without serde_json's own text, which may quote the payload.
fn not_json<T>(error: &serde_json::Error) -> Error {
    let problem = match error.classify() {
        Category::Data => format!("is JSON, but not that of a {}", type_name::<T>()),
        Category::Eof => "is JSON that is cut off".to_owned(),
        Category::Syntax | Category::Io => "is not JSON".to_owned(),
    };
    let (line, column) = (error.line(), error.column());
    Error::plain(
        ErrorKind::NotJson,
        format!("the payload {problem} (line {line}, column {column})"),
    )
}
