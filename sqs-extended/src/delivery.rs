//! A received message and its payload.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::TryStreamExt;
use object_store::path::Path as Key;
use sqs_client::{Message, MessageAttributeValue, MessageSystemAttributes};

use crate::client::ExtendedClient;
use crate::content::{PayloadReader, PayloadStream};
use crate::envelope::{self, Envelope, Pointer};
use crate::error::{Error, ErrorKind};
use crate::lease::Lease;
use crate::offload::download::{DownloadSettings, Expected, download};
use crate::receive::Rejected;
use crate::save;

/// A received message whose payload can be read, wherever it is.
///
/// The payload of an offloaded message is fetched when it is asked for, anew each time, and what is given is verified:
/// its length, and its digest if the pointer has one. Failing that is an error and leaves the delivery as it was, to be
/// tried again, [released](Self::release) or left to come back by itself.
///
/// SQS delivers at least once. A duplicate of a message that was acknowledged already finds its payload gone:
/// [`Error::is_missing_payload`].
///
/// All methods take `&self`, so that a long download can be accompanied by [`extend`](Self::extend).
///
/// ```no_run
/// # async fn example(delivery: sqs_extended::Delivery) -> Result<(), sqs_extended::Error> {
/// delivery.download_to("restored.tar").await?; // Ok only after length and digest were found right
/// delivery.ack().await?; // the message first, then its payload
/// # Ok(()) }
/// ```
pub struct Delivery {
    extended: ExtendedClient,
    queue_url: Arc<str>,
    /// Without its body, and without the reserved attributes.
    message: Message,
    content: Content,
    lease: Lease,
}

enum Content {
    Inline(Bytes),
    /// The key is the pointer's, found to be one that we may touch.
    Offloaded {
        envelope: Envelope,
        key: Key,
    },
}

/// What [`Delivery::ack`] did with the payload. The message is deleted in any case.
#[derive(Debug)]
#[non_exhaustive]
pub enum AckOutcome {
    /// The payload travelled in the message.
    Inline,
    /// The payload was deleted from the store, or was gone already.
    PayloadDeleted,
    /// The payload is still in the store.
    PayloadKept(KeptReason),
}

/// Why an acknowledged message's payload was left in the store.
#[derive(Debug)]
#[non_exhaustive]
pub enum KeptReason {
    /// The visibility timeout was over, or nearly, when the message's deletion was confirmed. The message may then have
    /// been given to another consumer, who still needs the payload, as SQS confirms the deletion by a stale receipt
    /// handle without deleting anything.
    LeaseExpired,
    /// The store failed. No message points to the payload any more.
    DeleteFailed(Error),
}

impl Delivery {
    /// Sees what the message is; no I/O.
    pub(crate) fn open(
        extended: &ExtendedClient,
        queue_url: &Arc<str>,
        mut message: Message,
        lease: Lease,
    ) -> Result<Self, Rejected> {
        let content = match Content::of(extended, &mut message) {
            Ok(content) => content,
            Err(error) => return Err(Rejected::new(message, error)),
        };
        envelope::strip(&mut message.message_attributes);
        Ok(Self {
            extended: extended.clone(),
            queue_url: Arc::clone(queue_url),
            message,
            content,
            lease,
        })
    }

    /// The id that SQS gave the message.
    #[must_use]
    pub fn message_id(&self) -> &str {
        &self.message.message_id
    }

    /// The handle of this receipt of the message.
    #[must_use]
    pub fn receipt_handle(&self) -> &str {
        &self.message.receipt_handle
    }

    /// The sender's attributes that were asked for, without those that mark a pointer.
    #[must_use]
    pub fn message_attributes(&self) -> &BTreeMap<String, MessageAttributeValue> {
        &self.message.message_attributes
    }

    /// What SQS says of the message, as far as it was asked for.
    #[must_use]
    pub fn attributes(&self) -> &MessageSystemAttributes {
        &self.message.attributes
    }

    /// Where the payload is stored; `None` if it travelled in the message.
    #[must_use]
    pub fn pointer(&self) -> Option<&Pointer> {
        match &self.content {
            Content::Inline(_) => None,
            Content::Offloaded { envelope, .. } => Some(&envelope.pointer),
        }
    }

    /// Whether the payload is in the object store.
    #[must_use]
    pub fn is_offloaded(&self) -> bool {
        self.pointer().is_some()
    }

    /// The payload's length in bytes; of an offloaded one, as its sender says, if it does.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        match &self.content {
            Content::Inline(body) => u64::try_from(body.len()).ok(),
            Content::Offloaded { envelope, .. } => envelope.size,
        }
    }

    /// The payload as text.
    ///
    /// # Errors
    ///
    /// As for [`bytes`](Self::bytes), or the payload is not UTF-8.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn text(&self) -> Result<String, Error> {
        let bytes = self.bytes().await?;
        String::from_utf8(bytes.into())
            .map_err(|_| self.error(Error::plain(ErrorKind::NotText, "the payload is not UTF-8 text")))
    }

    /// The payload in one piece.
    ///
    /// # Errors
    ///
    /// As for [`stream`](Self::stream) and its items, or the payload is larger than
    /// [`max_in_memory`](crate::ExtendedClientBuilder::max_in_memory).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn bytes(&self) -> Result<Bytes, Error> {
        if let Content::Inline(body) = &self.content {
            return Ok(body.clone());
        }
        let limit = self.extended.0.max_in_memory;
        let too_large = || {
            self.error(Error::plain(
                ErrorKind::TooLarge,
                format!("the payload is larger than the {limit} bytes that are allowed in memory; read it as a stream"),
            ))
        };
        let fits = |size| usize::try_from(size).ok().filter(|size| *size <= limit);
        if self.size().is_some_and(|size| fits(size).is_none()) {
            return Err(too_large());
        }
        let mut stream = self.stream().await?;
        // What the store says, so that a sender's false claim makes us reserve nothing.
        let size = fits(stream.size()).ok_or_else(too_large)?;
        let mut bytes = BytesMut::with_capacity(size);
        while let Some(chunk) = stream.try_next().await? {
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes.freeze())
    }

    /// The payload as a reader. Reaching the end without an error means that all that was read is right; until then it
    /// is not known to be. An [`Error`] is found inside of the `io::Error`.
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
    /// # async fn example(delivery: sqs_extended::Delivery) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut reader = delivery.reader().await?;
    /// tokio::io::copy(&mut reader, &mut tokio::io::stdout()).await?;
    /// # Ok(()) }
    /// ```
    pub async fn reader(&self) -> Result<PayloadReader, Error> {
        self.stream().await.map(PayloadReader::new)
    }

    /// The payload as a stream of chunks. Reaching the end without an error means that all chunks were right; until
    /// then it is not known.
    ///
    /// # Errors
    ///
    /// The store fails, does not have the payload, or has one of another length. An item of the stream is an error if
    /// the store fails later, or if at the end the payload is not what was sent.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future, or the stream, ends the download and changes nothing.
    pub async fn stream(&self) -> Result<PayloadStream, Error> {
        let handle = self.receipt_handle();
        match &self.content {
            Content::Inline(body) => Ok(PayloadStream::inline(body.clone())),
            Content::Offloaded { envelope, key } => {
                let expected = Expected {
                    len: envelope.size,
                    digest: envelope.pointer.digest.clone(),
                    max: None,
                };
                let download = download(&self.extended.0.store, key, expected, &DownloadSettings::default())
                    .await
                    .map_err(|error| self.error(error))?;
                Ok(PayloadStream::offloaded(download, handle))
            }
        }
    }

    /// Writes the payload to a file, and says how long it is. The bytes go to a temporary file beside it, which takes
    /// its name, replacing what is there, only after length and digest were found right and the file was synced to
    /// disk: so an acknowledgement that follows can delete the payload without a risk.
    ///
    /// # Errors
    ///
    /// As for [`stream`](Self::stream) and its items, or the file cannot be written, or `path` is something else than a
    /// regular file. What was at `path` is as it was.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the temporary file is deleted, and what was at `path` is as it was; or else, at the
    /// very end, the whole payload is there.
    pub async fn download_to(&self, path: impl AsRef<Path>) -> Result<u64, Error> {
        let path = path.as_ref().to_owned();
        save::save(self.stream().await?, path)
            .await
            .map_err(|error| self.error(error))
    }

    /// Acknowledges the message: deletes it from the queue, and then its payload from the store, if the message is
    /// surely ours until that is confirmed. A payload that could not be deleted is no error, as the message is dealt
    /// with; the outcome tells.
    ///
    /// # Errors
    ///
    /// The message could not be deleted; its payload was not touched. The delivery can be acknowledged again.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the message may be deleted or not. Its payload may stay behind, but is never deleted
    /// before the message.
    pub async fn ack(&self) -> Result<AckOutcome, Error> {
        self.extended
            .client()
            .delete_message(&*self.queue_url, self.receipt_handle())
            .await
            .map_err(|error| self.error(Error::queue("the message could not be deleted", error)))?;
        let Content::Offloaded { key, .. } = &self.content else {
            return Ok(AckOutcome::Inline);
        };
        if !self.lease.holds() {
            return Ok(AckOutcome::PayloadKept(KeptReason::LeaseExpired));
        }
        Ok(match self.extended.delete_payload(key).await {
            Ok(()) => AckOutcome::PayloadDeleted,
            Err(error) => {
                let error = Error::store("the payload of a deleted message could not be deleted", error);
                AckOutcome::PayloadKept(KeptReason::DeleteFailed(self.error(error)))
            }
        })
    }

    /// Gives the message back to the queue, to be delivered again after this time, at once if it is zero. Its payload
    /// stays.
    ///
    /// # Errors
    ///
    /// The visibility timeout could not be changed, or could and the answer was lost: the message comes back at the
    /// latest when its visibility timeout is over.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future is as if the request had failed.
    pub async fn release(&self, after: Duration) -> Result<(), Error> {
        self.change_visibility(after).await
    }

    /// Hides the message from other consumers for this long from now, in place of what is left of its visibility
    /// timeout. SQS allows 12 hours in all.
    ///
    /// # Errors
    ///
    /// The visibility timeout could not be changed, or could and the answer was lost: until another call succeeds, the
    /// shorter of the two counts for [`ack`](Self::ack).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future is as if the request had failed.
    pub async fn extend(&self, timeout: Duration) -> Result<(), Error> {
        self.change_visibility(timeout).await
    }

    async fn change_visibility(&self, timeout: Duration) -> Result<(), Error> {
        let request =
            self.extended
                .client()
                .change_message_visibility(&*self.queue_url, self.receipt_handle(), timeout);
        self.lease
            .change(timeout, async { request.await.map(drop) })
            .await
            .map_err(|error| self.error(Error::queue("the message's visibility could not be changed", error)))
    }

    fn error(&self, error: Error) -> Error {
        error.with_receipt_handle(self.receipt_handle())
    }
}

impl Content {
    /// Takes the body out of the message, unless it is refused.
    fn of(extended: &ExtendedClient, message: &mut Message) -> Result<Self, Error> {
        let envelope = envelope::open(message)?;
        let key = envelope
            .as_ref()
            .map(|envelope| extended.0.location.resolve(&envelope.pointer))
            .transpose()?;
        let body = std::mem::take(&mut message.body);
        Ok(match envelope.zip(key) {
            Some((envelope, key)) => Self::Offloaded { envelope, key },
            None => Self::Inline(body.into()),
        })
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither the body nor the receipt handle.
        f.debug_struct("Delivery")
            .field("message_id", &self.message.message_id)
            .field("size", &self.size())
            .field("pointer", &self.pointer())
            .field("lease", &self.lease)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
