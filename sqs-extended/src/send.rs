//! Sending: decide, upload if need be, then send the message.

use std::future::IntoFuture;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::path::Path;
use sqs_client::{MessageAttributeValue, OutgoingMessage};

use crate::client::ExtendedClient;
use crate::envelope::{self, Pointer};
use crate::error::Error;
use crate::offload::source::PartSource;
use crate::offload::upload::{Stored, upload};
use crate::payload::Payload;
use crate::policy;

/// A message about to be sent: await it.
///
/// A payload that is text of the characters that SQS allows, and fits into the
/// [threshold](crate::ExtendedClientBuilder::threshold) together with the attributes, travels in the message. Everything
/// else is offloaded: what is larger, what is not text (SQS has no binary bodies), and the empty payload (SQS has no empty
/// bodies). A payload of unknown length is read up to the threshold to decide.
///
/// # Errors
///
/// Nothing was sent, with one exception: if [`Error::may_have_been_sent`], the request for the message was on its way, and
/// the message may be in the queue. Its payload is kept in that case, and deleted only after a definite refusal.
///
/// # Cancel safety
///
/// Dropping the future sends no message, unless its request is on its way already. An upload that was begun is aborted
/// on the runtime that the future is dropped on; without one, or if the process ends, its parts stay until the bucket's
/// lifecycle rule (`AbortIncompleteMultipartUpload`) clears them. A payload that was completely stored stays, as an
/// object that no message points to.
///
/// # FIFO queues
///
/// The body of an offloaded message is a fresh pointer every time, which would defeat content-based deduplication: so
/// if the caller gives no deduplication id, an offloaded message takes the digest of its payload. A duplicate that SQS
/// swallows for that reason leaves its payload in the store, as an object that no message points to.
///
/// ```no_run
/// # async fn example(extended: sqs_extended::ExtendedClient, queue: &str) -> Result<(), Box<dyn std::error::Error>> {
/// use sqs_extended::Payload;
///
/// let sent = extended
///     .send(queue, Payload::from_path("backup.tar").await?)
///     .message_attribute("host", "db-1")
///     .await?;
/// println!("{} -> {:?}", sent.message_id, sent.pointer);
/// # Ok(()) }
/// ```
#[must_use = "nothing is sent before it is awaited"]
#[derive(Debug)]
pub struct SendRequest {
    extended: ExtendedClient,
    queue_url: String,
    payload: Payload,
    /// Without a body until the payload's way is decided.
    message: OutgoingMessage,
}

/// What came of a send.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SendOutput {
    /// The id that SQS gave the message.
    pub message_id: String,
    /// The message's place in a FIFO queue.
    pub sequence_number: Option<String>,
    /// Where the payload is stored; `None` if it travels in the message.
    pub pointer: Option<Pointer>,
}

impl SendRequest {
    pub(crate) fn new(extended: ExtendedClient, queue_url: String, payload: Payload) -> Self {
        Self {
            extended,
            queue_url,
            payload,
            message: OutgoingMessage::new(""),
        }
    }

    /// Adds an attribute; a message takes 10, an offloaded one 9, as its pointer needs one.
    pub fn message_attribute(mut self, name: impl Into<String>, value: impl Into<MessageAttributeValue>) -> Self {
        self.message = self.message.message_attribute(name, value);
        self
    }

    /// Puts the message into a group; a FIFO queue's message needs one.
    pub fn message_group_id(mut self, id: impl Into<String>) -> Self {
        self.message = self.message.message_group_id(id);
        self
    }

    /// Names the message for deduplication on a FIFO queue.
    pub fn message_deduplication_id(mut self, id: impl Into<String>) -> Self {
        self.message = self.message.message_deduplication_id(id);
        self
    }

    /// Hides the message for this long after it was sent, up to 15 minutes.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.message = self.message.delay(delay);
        self
    }

    /// Sends an AWS X-Ray trace header along, as the system attribute `AWSTraceHeader`.
    pub fn trace_header(mut self, header: impl Into<String>) -> Self {
        self.message = self.message.trace_header(header);
        self
    }

    async fn send(mut self) -> Result<SendOutput, Error> {
        let extended = self.extended;
        let policy = extended.0.policy;
        policy.check(&self.message, &self.queue_url)?;

        let mut source = PartSource::from(self.payload);
        if let Some(whole) = source.whole_up_to(policy.room(&self.message)).await? {
            match policy::into_body(whole) {
                Ok(body) => {
                    self.message.body = body;
                    return send_message(&extended, self.queue_url, self.message, None).await;
                }
                Err(binary) => source = Payload::from(binary).into(),
            }
        }

        policy.check_offloaded(&self.message)?;
        let payload = OffloadedPayload::store(&extended, source).await?;
        payload.seal(&mut self.message, &extended, &self.queue_url);
        let pointer = Some(payload.pointer);
        let sent = send_message(&extended, self.queue_url, self.message, pointer).await;
        if let Err(error) = &sent
            && !error.may_have_been_sent()
        {
            discard(&extended, &payload.key).await;
        }
        sent
    }
}

impl IntoFuture for SendRequest {
    type Output = Result<SendOutput, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        self.send().boxed()
    }
}

/// A payload in the store that no message points to yet.
struct OffloadedPayload {
    key: Path,
    pointer: Pointer,
    stored: Stored,
}

impl OffloadedPayload {
    async fn store(extended: &ExtendedClient, source: PartSource) -> Result<Self, Error> {
        let inner = &extended.0;
        let key = inner.location.key(&(inner.new_id)())?;
        let stored = upload(&inner.store, &key, source, &inner.upload, &inner.aborts).await?;
        let mut pointer = Pointer::new(inner.location.bucket(), key.as_ref());
        if inner.policy.extras {
            pointer.length = Some(stored.len);
            pointer.digest = Some(stored.digest.clone());
        }
        Ok(Self { key, pointer, stored })
    }

    /// Makes the message point to the payload.
    fn seal(&self, message: &mut OutgoingMessage, extended: &ExtendedClient, queue_url: &str) {
        envelope::seal(message, &self.pointer, self.stored.len, extended.0.policy.attribute);
        if policy::is_fifo(queue_url) && message.message_deduplication_id.is_none() {
            message.message_deduplication_id = Some(self.stored.digest.hex().to_owned());
        }
    }
}

async fn send_message(
    extended: &ExtendedClient,
    queue_url: String,
    message: OutgoingMessage,
    pointer: Option<Pointer>,
) -> Result<SendOutput, Error> {
    let sent = extended
        .client()
        .send_message(queue_url, message)
        .await
        .map_err(|error| Error::queue("the message could not be sent", error))?;
    Ok(SendOutput {
        message_id: sent.message_id,
        sequence_number: sent.sequence_number,
        pointer,
    })
}

/// Deletes the payload of a message that was refused for certain.
async fn discard(extended: &ExtendedClient, key: &Path) {
    if let Err(error) = extended.delete_payload(key).await {
        tracing::warn!(
            key = key.as_ref(),
            error = &error as &dyn std::error::Error,
            "the payload of a message that was not sent could not be deleted, and stays in the store"
        );
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::SeqCst;

    use super::*;
    use crate::error::ErrorKind;
    use crate::testing::{TestStore, extended};

    const QUEUE: &str = "http://127.0.0.1:1/queue";

    #[tokio::test]
    async fn a_message_that_was_surely_not_sent_leaves_no_payload() {
        let store = TestStore::default();
        let error = extended(&store).send(QUEUE, "x".repeat(101)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Queue);
        assert!(!error.may_have_been_sent(), "nobody listens there");
        assert_eq!(store.calls.puts.load(SeqCst), 1);
        assert_eq!(store.calls.deletes.load(SeqCst), 1);
        assert!(store.is_empty().await);
    }

    #[tokio::test]
    async fn what_fits_never_calls_the_store() {
        let store = TestStore::default();
        let error = extended(&store).send(QUEUE, "x".repeat(100)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Queue);
        assert_eq!(store.total_calls(), 0);
    }

    #[tokio::test]
    async fn what_is_no_body_is_offloaded_however_small() {
        for payload in [&b""[..], b"\0", b"\xff"] {
            let store = TestStore::default();
            let payload = Payload::from(payload.to_vec());
            extended(&store).send(QUEUE, payload).await.unwrap_err();
            assert_eq!(store.calls.puts.load(SeqCst), 1);
        }
    }

    #[tokio::test]
    async fn wrong_arguments_never_call_the_store() {
        let store = TestStore::default();
        let extended = extended(&store);
        let large = || Payload::from("x".repeat(1000));
        let ten = (0..10).fold(extended.send(QUEUE, large()), |send, i| {
            send.message_attribute(format!("a{i}"), "v")
        });
        let reserved = extended
            .send(QUEUE, large())
            .message_attribute("ExtendedPayloadSize", "1");
        let groupless = extended.send(format!("{QUEUE}.fifo"), large());
        for send in [ten, reserved, groupless] {
            assert_eq!(send.await.unwrap_err().kind(), ErrorKind::InvalidInput);
        }
        assert_eq!(store.total_calls(), 0);
    }

    #[tokio::test]
    async fn a_pointer_is_sealed_with_extras_and_a_dedup_id() {
        let store = TestStore::default();
        let extended = extended(&store);
        let source = PartSource::from(Payload::from("x".repeat(1000)));
        let payload = OffloadedPayload::store(&extended, source).await.unwrap();
        let digest = blake3::hash("x".repeat(1000).as_bytes()).to_hex();
        assert_eq!(
            payload.pointer.to_string(),
            format!(
                r#"["software.amazon.payloadoffloading.PayloadS3Pointer",{{"s3BucketName":"bucket","s3Key":"payloads/id","payloadVersion":1,"payloadLength":1000,"payloadDigest":"blake3:{digest}"}}]"#
            )
        );

        let mut message = OutgoingMessage::new("");
        payload.seal(&mut message, &extended, "http://h/q.fifo");
        assert_eq!(message.message_deduplication_id.as_deref(), Some(digest.as_str()));
        let size = message.message_attributes["SQSLargePayloadSize"].clone();
        assert_eq!((size.data_type(), size.as_str()), ("Number", Some("1000")));

        let mut message = OutgoingMessage::new("").message_deduplication_id("mine");
        payload.seal(&mut message, &extended, "http://h/q.fifo");
        assert_eq!(message.message_deduplication_id.as_deref(), Some("mine"));
        let mut message = OutgoingMessage::new("");
        payload.seal(&mut message, &extended, "http://h/q");
        assert_eq!(message.message_deduplication_id, None);
    }
}
