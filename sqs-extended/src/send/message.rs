//! The messages that programs send.

use std::any::type_name;

use serde::Serialize;
use sqs_client::OutgoingMessage;
use sqs_client::internal::is_fifo;

use crate::error::Error;
use crate::payload::source::Payload;
use crate::payload_store::UploadOptions;

/// A message to send, with its payload and attributes. [`send_messages`](crate::ExtendedClient::send_messages) accepts any
/// number of them.
///
/// ```
/// use sqs_extended::ExtendedMessage;
///
/// let message = ExtendedMessage::new("large or small").message_attribute("lang", "en");
/// ```
#[derive(Debug)]
#[must_use]
pub struct ExtendedMessage {
    pub(crate) payload: Payload,
    /// The message without its body.
    pub(crate) message: OutgoingMessage,
    pub(crate) upload: UploadOptions,
}

/// Defines the setters of a message, for all types that contain one. `$this => $message` names the [`ExtendedMessage`].
macro_rules! message_setters {
    ($this:ident => $message:expr) => {
        /// Adds a message attribute. Default: none. Range: up to 10 attributes. An offloaded or split message has up to 9,
        /// because one is reserved.
        pub fn message_attribute(
            self,
            name: impl Into<String>,
            value: impl Into<sqs_client::types::MessageAttributeValue>,
        ) -> Self {
            self.change(|message| message.message_attribute(name, value))
        }

        /// Sets the message group. Default: none. Range: up to 128 characters.
        ///
        /// A FIFO queue requires a group and delivers its messages in order. A standard queue uses groups for fair
        /// delivery.
        pub fn message_group_id(self, id: impl Into<String>) -> Self {
            self.change(|message| message.message_group_id(id))
        }

        /// Sets the deduplication id on a FIFO queue, which drops messages with an id that was sent within the last 5
        /// minutes. Default: the payload's digest for an offloaded or split message, otherwise none. Range: up to 128
        /// characters. An encrypted message to a FIFO queue requires an id.
        pub fn message_deduplication_id(self, id: impl Into<String>) -> Self {
            self.change(|message| message.message_deduplication_id(id))
        }

        /// Sets the time for which the message is hidden after it was sent. Default: the queue's delay. Range: 0 seconds to
        /// 15 minutes. FIFO queues do not support it.
        pub fn delay(self, delay: std::time::Duration) -> Self {
            self.change(|message| message.delay(delay))
        }

        /// Sets the AWS X-Ray trace header, which travels as the system attribute `AWSTraceHeader`. Default: none.
        pub fn trace_header(self, header: impl Into<String>) -> Self {
            self.change(|message| message.trace_header(header))
        }

        /// Sets the key of an offloaded payload, after the prefix. Default: a new key for each send.
        ///
        /// A program that sends a message again after a failure can reuse the first attempt's key. No other payload may
        /// have the same key. If the message is refused, the object stays, because an earlier message may point to it. An
        /// upload in parts under such a key costs one more request, which tells an older object from the new one.
        pub fn payload_key(mut self, key: impl Into<String>) -> Self {
            let $this = &mut self;
            $message.upload.key = Some(key.into());
            self
        }

        /// Lets a later process continue the upload of an offloaded payload, from the journal at this path. Default: an
        /// interrupted upload starts over.
        ///
        /// The journal is a small file. Use one for each payload. Send the same file again with the same
        /// [`payload_key`](Self::payload_key), journal and store settings. The parts that the store already has are read
        /// and hashed again, and only the others are sent. The upload starts over if the file's length, time of
        /// modification, device, inode or content has changed. It also starts over if the part size, the attributes or
        /// the tags of the object have changed, if the journal is missing or corrupt, or if the store no longer has the
        /// upload. With another key or bucket, the earlier upload stays in the store.
        ///
        /// The journal is removed when the payload is stored. If the message cannot be sent after that, the next attempt
        /// uploads the whole payload again. A payload of up to 1 MiB, or one that is not offloaded, has no journal.
        ///
        /// It requires [`payload_key`](Self::payload_key), a payload of [`Payload::from_path`](crate::Payload::from_path)
        /// that is neither compressed nor encrypted, BLAKE3 digests, parts of whole MiB, and a store that was opened with
        /// an `s3:` URL or has [`multipart_store`](crate::store::PayloadStoreBuilder::multipart_store). Otherwise sending
        /// fails with [`InvalidInput`](crate::ErrorKind::InvalidInput) before any request. It fails in the same way if
        /// the file at the journal's path is not a journal. Such a file is never changed. The journal's file system must
        /// have locks. If another attempt uses the journal, sending waits for up to 5 seconds, and then fails with
        /// `InvalidInput`.
        ///
        /// An upload that fails or is dropped is **not** aborted. The bucket needs a lifecycle rule with
        /// `AbortIncompleteMultipartUpload`, or a [`Sweep`](crate::sweep::Sweep), which removes
        #[cfg_attr(
            feature = "s3",
            doc = "[unfinished uploads](crate::sweep::Sweep::unfinished_uploads),"
        )]
        #[cfg_attr(not(feature = "s3"), doc = "unfinished uploads,")]
        /// for those that no process continues. The age in the rule or the sweep must exceed the time until an upload is
        /// continued.
        ///
        /// ```
        /// # async fn example() -> std::io::Result<()> {
        /// use sqs_extended::{ExtendedMessage, Payload};
        ///
        /// let message = ExtendedMessage::new(Payload::from_path("backup.tar").await?)
        ///     .payload_key("2026/backup.tar")
        ///     .resumable_upload("backup.tar.upload");
        /// # let _ = message;
        /// # Ok(()) }
        /// ```
        pub fn resumable_upload(mut self, journal: impl Into<std::path::PathBuf>) -> Self {
            let $this = &mut self;
            $message.upload.journal = Some(journal.into());
            self
        }

        /// Sets the function that receives the progress of the upload of an offloaded payload. Default: none.
        ///
        /// It is called when the store has confirmed a part, at most 10 times a second, and once more when the payload is
        /// stored. An upload that fails has no last call, and a payload that travels in the queue has none at all. The
        /// function runs within the upload, so it must not block. Calls never overlap, and no lock is held meanwhile. If it
        /// panics, the upload continues, a warning is logged, and it is not called again.
        ///
        /// ```
        /// use sqs_extended::ExtendedMessage;
        ///
        /// let message = ExtendedMessage::new("large or small")
        ///     .on_progress(|progress| eprintln!("{} of {:?} bytes", progress.done, progress.total));
        /// ```
        pub fn on_progress(mut self, report: impl Fn(&$crate::payload::Progress) + Send + Sync + 'static) -> Self {
            let $this = &mut self;
            $message.upload.on_progress = $crate::payload::progress::OnProgress::new(report);
            self
        }

        fn change(mut self, change: impl FnOnce(sqs_client::OutgoingMessage) -> sqs_client::OutgoingMessage) -> Self {
            let $this = &mut self;
            let message = std::mem::replace(&mut $message.message, sqs_client::OutgoingMessage::new(""));
            $message.message = change(message);
            self
        }
    };
}
pub(crate) use message_setters;

impl ExtendedMessage {
    /// Creates a message with this payload and no attributes.
    pub fn new(payload: impl Into<Payload>) -> Self {
        Self {
            payload: payload.into(),
            message: OutgoingMessage::new(""),
            upload: UploadOptions::default(),
        }
    }

    /// Creates a message whose payload is this value as JSON.
    ///
    /// ```
    /// use sqs_extended::ExtendedMessage;
    ///
    /// #[derive(serde::Serialize)]
    /// struct Order {
    ///     id: u32,
    /// }
    ///
    /// let message = ExtendedMessage::json(&Order { id: 7 })?.message_attribute("kind", "order");
    /// # Ok::<(), sqs_extended::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if JSON cannot represent the value, for example a map whose keys
    /// are not text, or if the value's own `Serialize` fails.
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self, Error> {
        serde_json::to_string(value).map(Self::new).map_err(|_| {
            let name = type_name::<T>();
            Error::invalid(format!("a value of type {name} cannot be written as JSON"))
        })
    }

    message_setters!(this => this);

    /// Returns the group whose order the message must keep in this queue.
    pub(crate) fn ordered_group(&self, queue_url: &str) -> Option<String> {
        let group = self.message.message_group_id.clone();
        group.filter(|_| is_fifo(queue_url))
    }
}

impl<P: Into<Payload>> From<P> for ExtendedMessage {
    fn from(payload: P) -> Self {
        Self::new(payload)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::error::ErrorKind;
    use crate::payload::source::Source;

    #[test]
    fn a_value_travels_as_json() {
        let message = ExtendedMessage::json(&BTreeMap::from([("n", 7)])).unwrap();
        assert!(matches!(&message.payload.source, Source::Bytes(json) if json == r#"{"n":7}"#));
    }

    #[test]
    fn a_value_without_json_is_refused_and_not_quoted() {
        let error = ExtendedMessage::json(&BTreeMap::from([(vec![1], "secret")])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    }
}
