//! Send requests. They send the messages of prepared payloads, and discard the payloads of messages that SQS refused.

use std::collections::HashSet;
use std::fmt;
use std::future::IntoFuture;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{self, StreamExt};
use sqs_client::operation::SendMessageOutput;

use crate::error::Error;
use crate::pointer::Pointer;
use crate::send::message::{ExtendedMessage, message_setters};
use crate::send::offload::StoredGuard;
use crate::send::prepare::{Prepared, prepare};
use crate::shared::Shared;

/// The number of payloads that one call stores concurrently.
const CONCURRENT_PAYLOADS: usize = 4;

/// A request to send one message, sent when it is awaited.
///
/// The payload travels in the message if it is text that SQS allows and fits into the
/// [threshold](crate::ExtendedClientBuilder::threshold) together with the attributes. Any other payload travels as the
/// [`Strategy`](crate::Strategy) says. That includes binary and empty payloads, because SQS has neither binary nor empty
/// bodies. A payload of unknown length is read only as far as the decision requires.
///
/// # Errors
///
/// If [`Error::may_have_been_sent`] returns `true`, the message may be in the queue, and its payload stays in the store.
/// Otherwise the message was not sent, and its payload is deleted from the store. A payload under the caller's own
/// [key](Self::payload_key) stays.
///
/// If sending a split payload fails, some of its segments may be in the queue. A consumer never delivers them without the
/// others.
///
/// # Cancel safety
///
/// Dropping the future sends no message, unless its request is already in flight. An unfinished upload is aborted on the
/// current runtime, unless it is [resumable](Self::resumable_upload). Without a runtime, or if the process exits, its parts stay until the bucket's lifecycle rule
/// (`AbortIncompleteMultipartUpload`) removes them. A payload that was completely stored becomes an orphaned object.
///
/// # FIFO queues
///
/// The body of an offloaded message is a new pointer each time, which would defeat content-based deduplication. So an
/// offloaded message without a deduplication id gets the digest of its payload. If SQS drops a duplicate, the duplicate's
/// payload becomes an orphaned object.
///
/// If a split payload is sent again within 5 minutes, SQS drops those segments that it has already accepted. So a complete
/// payload is dropped as a whole, and an interrupted one is completed.
///
/// The segments differ if the bytes, the size of the attributes or the segment size differ. SQS then accepts all of them,
/// even with the same deduplication id. The consumer that acknowledged the first payload deletes such a payload. Any other
/// consumer delivers it. Segments of an interrupted send yield to it.
///
/// An encrypted payload is never split on a FIFO queue, because its bytes differ each time. It travels in one message, or is
/// offloaded, or is refused.
///
/// # Hooks
///
/// [Send hooks](sqs_client::ClientBuilder::on_send) of the queue's client see each message once, before the strategy is
/// decided: with the caller's attributes and without a body. Attributes that they add travel with the message, or with the
/// first segment, and count towards its size.
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
    shared: Arc<Shared>,
    queue_url: String,
    outgoing: ExtendedMessage,
}

/// The result of [`ExtendedClient::send`](crate::ExtendedClient::send).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SendOutput {
    /// The id that SQS gave the message. For a split payload, it is the first segment's.
    pub message_id: String,
    /// The message's sequence number in a FIFO queue. For a split payload, it is the first segment's.
    pub sequence_number: Option<String>,
    /// The pointer to the stored payload, or `None` if the payload travels in the queue.
    pub pointer: Option<Pointer>,
    /// The number of messages that carry the payload: 1, or more for a split one.
    pub segments: usize,
}

impl SendRequest {
    pub(crate) fn new(shared: Arc<Shared>, queue_url: String, outgoing: ExtendedMessage) -> Self {
        Self {
            shared,
            queue_url,
            outgoing,
        }
    }

    message_setters!(this => this.outgoing);

    async fn send(self) -> Result<SendOutput, Error> {
        let client = &self.shared.sender;
        let Prepared { messages, stored } = prepare(&self.shared, &self.queue_url, self.outgoing).await?;
        let results = match messages.into_one() {
            Ok(message) => vec![client.send_message(self.queue_url, message).await],
            Err(segments) => client.send_messages(self.queue_url, segments).await,
        };
        finish(results, stored).await
    }
}

impl IntoFuture for SendRequest {
    type Output = Result<SendOutput, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        self.send().boxed()
    }
}

/// A request to send any number of messages, sent when it is awaited. It returns one result for each message, in order.
///
/// Each message travels as with [`send`](crate::ExtendedClient::send). The messages share requests of up to 10 entries and
/// 1 MiB, which are filled in order. So messages that fit individually are not offloaded because they exceed a request
/// together. All payloads are stored before the first message is sent. Payloads that travel in the queue are in memory until
/// then.
///
/// On a FIFO queue, no message of a group is sent after an earlier one failed. This includes a message whose payload could
/// not be read or stored. The rest of the group fails with [`ErrorKind::HeldBack`](crate::ErrorKind::HeldBack), and its stored payloads
/// are deleted. Other groups are unaffected.
///
/// # Cancel safety
///
/// As for [`SendRequest`]. The stored payloads of messages that were not sent become orphaned objects.
///
/// ```no_run
/// # async fn example(extended: sqs_extended::ExtendedClient, queue: &str) {
/// use sqs_extended::ExtendedMessage;
///
/// let messages = [ExtendedMessage::new("small"), ExtendedMessage::new("x".repeat(300_000))];
/// for (i, sent) in extended.send_messages(queue, messages).await.into_iter().enumerate() {
///     if let Err(error) = sent {
///         eprintln!("message {i}: {error}");
///     }
/// }
/// # }
/// ```
#[must_use = "nothing is sent before it is awaited"]
pub struct SendMessagesRequest {
    shared: Arc<Shared>,
    queue_url: String,
    outgoing: Vec<ExtendedMessage>,
}

impl SendMessagesRequest {
    pub(crate) fn new(shared: Arc<Shared>, queue_url: String, outgoing: Vec<ExtendedMessage>) -> Self {
        Self {
            shared,
            queue_url,
            outgoing,
        }
    }

    async fn send(self) -> Vec<Result<SendOutput, Error>> {
        let Self {
            shared,
            queue_url,
            outgoing,
        } = self;
        let groups: Vec<Option<String>> = outgoing
            .iter()
            .map(|outgoing| outgoing.ordered_group(&queue_url))
            .collect();
        let prepared: Vec<Result<Prepared, Error>> = stream::iter(outgoing)
            .map(|outgoing| prepare(&shared, &queue_url, outgoing))
            .buffered(CONCURRENT_PAYLOADS)
            .collect()
            .await;

        let mut messages = Vec::new();
        let mut unsent: Vec<Result<(usize, Option<StoredGuard>), Error>> = Vec::with_capacity(prepared.len());
        for prepared in hold_back(prepared, groups).await {
            unsent.push(prepared.map(|Prepared { messages: own, stored }| {
                let count = own.len();
                messages.push(own);
                (count, stored)
            }));
        }
        let sender = &shared.sender;
        let sent = sender.send_messages(queue_url, messages.into_iter().flatten());
        let mut sent = sent.await.into_iter();

        let mut results = Vec::with_capacity(unsent.len());
        for payload in unsent {
            results.push(match payload {
                Ok((count, stored)) => finish(sent.by_ref().take(count).collect(), stored).await,
                Err(error) => Err(error),
            });
        }
        results
    }
}

impl IntoFuture for SendMessagesRequest {
    type Output = Vec<Result<SendOutput, Error>>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        self.send().boxed()
    }
}

impl fmt::Debug for SendMessagesRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendMessagesRequest")
            .field("queue_url", &self.queue_url)
            .field("messages", &self.outgoing.len())
            .finish_non_exhaustive()
    }
}

/// Fails each message that follows a failure in its group, and deletes its stored payload. `groups` contains the group whose
/// order each message must keep.
async fn hold_back(
    prepared: Vec<Result<Prepared, Error>>,
    groups: Vec<Option<String>>,
) -> Vec<Result<Prepared, Error>> {
    let mut failed = HashSet::new();
    let mut held_back = Vec::with_capacity(prepared.len());
    for (prepared, group) in prepared.into_iter().zip(groups) {
        held_back.push(match (prepared, group) {
            (Ok(prepared), Some(group)) if failed.contains(&group) => {
                if let Some(stored) = &prepared.stored {
                    stored.discard().await;
                }
                Err(Error::held_back(None))
            }
            (Err(error), Some(group)) => {
                failed.insert(group);
                Err(error)
            }
            (prepared, _) => prepared,
        });
    }
    held_back
}

/// Combines the results of a payload's messages. The payload counts as not sent if one message certainly was not.
async fn finish(
    results: Vec<Result<SendMessageOutput, sqs_client::Error>>,
    stored: Option<StoredGuard>,
) -> Result<SendOutput, Error> {
    let segments = results.len();
    let is_held_back = |error: &sqs_client::Error| error.kind() == sqs_client::ErrorKind::HeldBack;
    let held_back = matches!(results.first(), Some(Err(error)) if is_held_back(error));
    let mut first = None;
    let mut failed: Option<sqs_client::Error> = None;
    for result in results {
        match result {
            Ok(sent) => first = first.or(Some(sent)),
            Err(error) if failed.as_ref().is_none_or(|failed| failed.may_have_been_sent()) => failed = Some(error),
            Err(_) => {}
        }
    }
    match (first, failed) {
        (Some(first), None) => Ok(SendOutput {
            message_id: first.message_id,
            sequence_number: first.sequence_number,
            pointer: stored.map(StoredGuard::into_pointer),
            segments,
        }),
        (_, failed) => {
            let sent = failed.as_ref().is_some_and(|error| error.may_have_been_sent());
            if let Some(stored) = stored.filter(|_| !sent) {
                stored.discard().await;
            }
            Err(match failed {
                Some(error) if held_back => Error::held_back(Some(error)),
                Some(error) => Error::queue("failed to send the message", error),
                // Not reachable, because every message has a result.
                None => Error::invalid("there was nothing to send"),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::SeqCst;

    use crate::error::ErrorKind;
    use crate::payload::source::Payload;
    use crate::testing::{TestStore, extended};

    const QUEUE: &str = "http://127.0.0.1:1/queue";

    #[tokio::test]
    async fn a_message_that_was_certainly_not_sent_leaves_no_payload() {
        let store = TestStore::default();
        let error = extended(&store).send(QUEUE, "x".repeat(101)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Queue);
        assert!(!error.may_have_been_sent(), "the connection was refused");
        assert_eq!(store.calls.puts.load(SeqCst), 1);
        assert_eq!(store.calls.deletes.load(SeqCst), 1);
        assert!(store.is_empty().await);
    }

    #[tokio::test]
    async fn a_payload_that_fits_never_calls_the_store() {
        let store = TestStore::default();
        let error = extended(&store).send(QUEUE, "x".repeat(100)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Queue);
        assert_eq!(store.total_calls(), 0);
    }

    #[tokio::test]
    async fn a_small_payload_that_is_no_body_is_offloaded() {
        for payload in [&b""[..], b"\0", b"\xff"] {
            let store = TestStore::default();
            let payload = Payload::from(payload.to_vec());
            extended(&store).send(QUEUE, payload).await.unwrap_err();
            assert_eq!(store.calls.puts.load(SeqCst), 1);
        }
    }

    #[tokio::test]
    async fn invalid_arguments_never_call_the_store() {
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
}
