//! Prepares the messages that carry a payload: decides its strategy, and stores it if necessary.

use bytes::Bytes;
use sqs_client::internal::is_fifo;
use sqs_client::types::MessageAttributeValue;
use sqs_client::{OutgoingMessage, limits};

use crate::codec::{Encoded, Encoding, Original};
use crate::error::{Error, ErrorKind};
use crate::payload::digest::{Digest, DigestAlgorithm};
use crate::payload::source::Payload;
use crate::payload_store::{PayloadStore, UploadOptions};
use crate::segment::{HEADER_ATTRIBUTE, MAX_FIFO_SEGMENTS, MAX_SEGMENTS, Segments, Split, payload_id};
use crate::send::message::ExtendedMessage;
use crate::send::offload::{StoredGuard, offload};
use crate::send::policy;
use crate::send::resumable::check_resumable;
use crate::shared::Shared;
use crate::transfer::part_source::PartSource;
use crate::transfer::upload::Measured;

/// A payload that is ready to be sent.
pub(crate) struct Prepared {
    pub(crate) messages: Messages,
    pub(crate) stored: Option<StoredGuard>,
}

/// The messages that carry a payload.
pub(crate) enum Messages {
    One(Option<Box<OutgoingMessage>>),
    Segments(Box<Segments>),
}

impl Messages {
    fn one(message: OutgoingMessage) -> Self {
        Self::One(Some(Box::new(message)))
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::One(message) => usize::from(message.is_some()),
            Self::Segments(segments) => segments.len(),
        }
    }

    /// Returns the only message, or else all of them unchanged.
    pub(crate) fn into_one(self) -> Result<OutgoingMessage, Self> {
        match self {
            Self::One(Some(message)) => Ok(*message),
            several => Err(several),
        }
    }
}

impl Iterator for Messages {
    type Item = OutgoingMessage;

    fn next(&mut self) -> Option<OutgoingMessage> {
        match self {
            Self::One(message) => message.take().map(|message| *message),
            Self::Segments(segments) => segments.next(),
        }
    }
}

impl Prepared {
    fn inline(message: OutgoingMessage) -> Self {
        Self {
            messages: Messages::one(message),
            stored: None,
        }
    }
}

/// Prepares the messages of a payload.
///
/// # Errors
///
/// No allowed strategy can send the payload, or it cannot be read or stored. Nothing is left in the store.
pub(crate) async fn prepare(shared: &Shared, queue_url: &str, outgoing: ExtendedMessage) -> Result<Prepared, Error> {
    let policy = &shared.policy;
    let ExtendedMessage {
        payload,
        mut message,
        upload,
    } = outgoing;
    check_resumable(shared, &payload, &upload)?;
    run_send_hooks(shared, queue_url, &mut message);
    policy.check(&message, queue_url)?;
    let limit = message_limit(shared, queue_url).await?;

    let mut source = PartSource::from(payload);
    if !policy.always_offload
        && !shared.codec.encrypts()
        && let Some(whole) = source.whole_up_to(policy.room(&message, limit)).await?
    {
        match policy::into_body(whole) {
            Ok(body) => {
                message.body = body;
                return Ok(Prepared::inline(message));
            }
            Err(binary) => source = Payload::from(binary).into(),
        }
    }
    NotInline {
        shared,
        queue_url,
        message,
        upload,
        limit,
    }
    .prepare(source)
    .await
}

/// Runs the send hooks of the queue's client once, before anything depends on the message's size. If the caller set nine
/// attributes, a placeholder occupies the tenth meanwhile. Otherwise a trace header could use the attribute that a pointer
/// or a segment's header requires.
fn run_send_hooks(shared: &Shared, queue_url: &str, message: &mut OutgoingMessage) {
    let last_is_free = message.message_attributes.len() + 1 == limits::MAX_MESSAGE_ATTRIBUTES;
    let kept_free = last_is_free && !message.message_attributes.contains_key(HEADER_ATTRIBUTE);
    if kept_free {
        let value = MessageAttributeValue::string("-");
        message.message_attributes.insert(HEADER_ATTRIBUTE.to_owned(), value);
    }
    shared.client.apply_send_hooks(queue_url, message);
    if kept_free {
        message.message_attributes.remove(HEADER_ATTRIBUTE);
    }
    // The payload becomes the body.
    message.body.clear();
}

/// Returns the maximum size of a message to this queue, in bytes.
async fn message_limit(shared: &Shared, queue_url: &str) -> Result<usize, Error> {
    let policy = &shared.policy;
    if policy.queue_limits {
        shared.limits.get(&shared.client, queue_url).await
    } else {
        Ok(policy.assumed_limit())
    }
}

/// A message whose payload does not fit into it.
struct NotInline<'a> {
    shared: &'a Shared,
    queue_url: &'a str,
    message: OutgoingMessage,
    upload: UploadOptions,
    /// The maximum size of a message in bytes.
    limit: usize,
}

impl NotInline<'_> {
    async fn prepare(self, source: PartSource) -> Result<Prepared, Error> {
        let Shared {
            policy,
            payloads,
            codec,
            ..
        } = self.shared;
        let payloads = payloads.as_ref().filter(|_| policy.may_offload());
        if payloads.is_none() && !policy.may_split() {
            return Err(too_large(
                "the payload is not text that fits into a message; choose a strategy that splits or offloads",
            ));
        }
        policy::require_free_attribute(&self.message)?;
        if codec.encrypts() && is_fifo(self.queue_url) && self.message.message_deduplication_id.is_none() {
            // The digest would reveal something about a secret payload.
            return Err(Error::invalid(
                "an encrypted message to a FIFO queue requires a message deduplication id; set `message_deduplication_id`",
            ));
        }
        let digest = payloads.map(PayloadStore::digest_algorithm).unwrap_or_default();
        let mut encoded = codec.encode(source, digest).await?;
        if policy.may_split()
            && let Some(stored) = encoded.source.whole_up_to(policy.split_limit).await?
        {
            let original = encoded.original.read()?;
            let split = self.split(stored.clone(), digest, &encoded.encoding, original.as_ref());
            match (split.await, payloads) {
                (Err(error), Some(payloads)) if error.kind() == ErrorKind::TooLarge => {
                    let encoded = Encoded {
                        source: Payload::from(stored).into(),
                        encoding: encoded.encoding,
                        original: Original::known(original),
                    };
                    return self.offload(payloads, encoded).await;
                }
                (split, _) => return split,
            }
        }
        match payloads {
            Some(payloads) => self.offload(payloads, encoded).await,
            None => Err(too_large(
                "the payload is longer than the split limit; raise `split_limit` or set a payload store",
            )),
        }
    }

    /// Splits the payload. `original` describes the payload if the `stored` bytes are encoded.
    async fn split(
        &self,
        stored: Bytes,
        digest: DigestAlgorithm,
        encoding: &Encoding,
        original: Option<&Measured>,
    ) -> Result<Prepared, Error> {
        let fifo = is_fifo(self.queue_url);
        let secret = self.shared.codec.encrypts();
        let mut message = self.message.clone();
        let own = || original.map_or_else(|| Digest::compute(digest, &stored), |original| original.digest.clone());
        let base = fifo.then(|| ensure_deduplication_id(&mut message, own));
        let segments = Split {
            digest,
            encoding: original.map(|original| (encoding.clone(), original.len)),
            stored,
            id: base.map_or_else(|| (self.shared.new_id)(), |base| payload_id(&base)),
            message,
            limit: self.shared.policy.segment_size.min(self.limit),
            max_segments: match (fifo, secret) {
                (false, _) => MAX_SEGMENTS,
                (true, false) => MAX_FIFO_SEGMENTS,
                // The encrypted bytes differ each time, so SQS could drop some segments of a repeated payload and not all.
                (true, true) => 1,
            },
        };
        match segments.into_segments().await {
            Ok(segments) => Ok(Prepared {
                messages: Messages::Segments(Box::new(segments)),
                stored: None,
            }),
            Err(error) if fifo && secret && error.kind() == ErrorKind::TooLarge => Err(too_large(
                "an encrypted payload for a FIFO queue is longer than one message, and several cannot be deduplicated; \
                 offload it to a store, send messages of up to 1 MiB (`segment_size`), or use a standard queue",
            )),
            Err(error) => Err(error),
        }
    }

    async fn offload(self, payloads: &PayloadStore, encoded: Encoded) -> Result<Prepared, Error> {
        let mut message = self.message;
        let options = self.upload;
        let guard = offload(payloads, &mut message, self.queue_url, self.limit, options, encoded).await?;
        if is_fifo(self.queue_url) {
            ensure_deduplication_id(&mut message, || guard.digest().clone());
        }
        Ok(Prepared {
            messages: Messages::one(message),
            stored: Some(guard),
        })
    }
}

/// Sets the payload's digest as the deduplication id unless the caller set one, and returns the id. The body differs each
/// time, which would defeat content-based deduplication.
fn ensure_deduplication_id(message: &mut OutgoingMessage, digest: impl FnOnce() -> Digest) -> String {
    message
        .message_deduplication_id
        .get_or_insert_with(|| digest().hex().to_owned())
        .clone()
}

fn too_large(why: &'static str) -> Error {
    Error::plain(ErrorKind::TooLarge, why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TestStore, extended};

    async fn prepared(queue_url: &str, outgoing: ExtendedMessage) -> OutgoingMessage {
        let extended = extended(&TestStore::default());
        let prepared = prepare(&extended.0, queue_url, outgoing).await.unwrap();
        prepared.messages.into_one().ok().unwrap()
    }

    #[tokio::test]
    async fn a_pointer_is_sealed_with_extras_and_a_dedup_id() {
        let payload = || ExtendedMessage::new("x".repeat(1000));
        let digest = blake3::hash("x".repeat(1000).as_bytes()).to_hex();
        let message = prepared("http://h/q.fifo", payload().message_group_id("g")).await;
        assert_eq!(
            message.body,
            format!(
                r#"["software.amazon.payloadoffloading.PayloadS3Pointer",{{"s3BucketName":"bucket","s3Key":"payloads/id","payloadVersion":1,"payloadLength":1000,"payloadDigest":"blake3:{digest}"}}]"#
            )
        );
        assert_eq!(message.message_deduplication_id.as_deref(), Some(digest.as_str()));
        let size = &message.message_attributes["SQSLargePayloadSize"];
        assert_eq!((size.data_type(), size.as_str()), ("Number", Some("1000")));

        let own = payload().message_group_id("g").message_deduplication_id("mine");
        let message = prepared("http://h/q.fifo", own).await;
        assert_eq!(message.message_deduplication_id.as_deref(), Some("mine"));
        assert_eq!(prepared("http://h/q", payload()).await.message_deduplication_id, None);
    }

    #[tokio::test]
    async fn a_payload_key_of_the_caller_is_used_and_its_object_stays() {
        let store = TestStore::default();
        let extended = extended(&store);
        let outgoing = ExtendedMessage::new("x".repeat(1000)).payload_key("2026/orders-17");
        let prepared = prepare(&extended.0, "http://h/q", outgoing).await.unwrap();
        let offloaded = prepared.stored.unwrap();
        offloaded.discard().await;
        let pointer = offloaded.into_pointer();
        assert_eq!(pointer.key, "payloads/2026/orders-17");
        assert!(!store.is_empty().await, "an earlier message may point to it");

        for key in ["../k", "", "/k", "a%2f"] {
            let outgoing = ExtendedMessage::new("x".repeat(1000)).payload_key(key);
            assert!(prepare(&extended.0, "http://h/q", outgoing).await.is_err(), "{key}");
        }
    }
}
