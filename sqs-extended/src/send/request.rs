//! Sending: what was prepared goes out, and what is left of a refused message is cleared.

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

/// How many payloads of one call are being stored at a time.
const STORING: usize = 4;

/// A message about to be sent: await it.
///
/// A payload that is text of the characters that SQS allows, and fits into the
/// [threshold](crate::ExtendedClientBuilder::threshold) together with the attributes, travels in the message. Everything
/// else travels as the [`Strategy`](crate::Strategy) says: what is larger, what is not text (SQS has no binary bodies), and
/// the empty payload (SQS has no empty bodies). A payload of unknown length is read as far as it takes to decide.
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
/// A payload in segments that is sent again within five minutes is swallowed as a whole if its segments are the same. If
/// only some of the first send's segments were sent, the rest of them completes it. A payload under the same deduplication
/// id with other segments, because its bytes, the length of its attributes or the size of segments differ, is let
/// through as a whole. A consumer that acknowledged the first one deletes it; another consumer delivers it. Segments of a
/// send that broke off give way to it. An encrypted payload, whose bytes are others each time, is never split here: it
/// travels in one message, or is offloaded, or is refused.
///
/// # Hooks
///
/// Hooks of the queue's client ([`on_send`](sqs_client::ClientBuilder::on_send)) see each message once, before it is decided
/// how its payload travels: with the caller's attributes, and without a body. What they add travels with the message,
/// or with the first segment, and is planned for.
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

/// What came of a send.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SendOutput {
    /// The id that SQS gave the message; of one in segments, the first segment's.
    pub message_id: String,
    /// The message's place in a FIFO queue; of one in segments, the first segment's.
    pub sequence_number: Option<String>,
    /// Where the payload is stored; `None` if it travels in the queue.
    pub pointer: Option<Pointer>,
    /// How many messages carry the payload: 1 unless it was split.
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

/// Messages of any number about to be sent: await them for one result each, in their order.
///
/// On a FIFO queue nothing of a group is sent after one of its messages failed, be it that its payload could not be
/// read or stored. The rest of the group fails with [`ErrorKind::HeldBack`](crate::ErrorKind::HeldBack), and what was
/// stored for it is deleted. Other groups go on.
///
/// Each travels as by [`send`](crate::ExtendedClient::send). What travels in the queue shares requests, which are filled in
/// order up to 10 entries and 1 MiB: so messages that fit each by itself are not offloaded because their sum does not
/// fit into one request. All payloads are stored before the first message is sent, and held in memory as far as they
/// travel in the queue.
///
/// # Cancel safety
///
/// As for [`SendRequest`]; payloads that were stored for messages that were not sent stay in the store.
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
            .buffered(STORING)
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

/// Fails what follows a failure in its group, each message having the group whose order it must keep. What was stored for it
/// is deleted.
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

/// What the results of a payload's messages come to. One that was surely not sent is enough for the payload not to be.
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
                Some(error) => Error::queue("the message could not be sent", error),
                // There is a result for every message.
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
}
