//! Receiving: each message by itself is a delivery or a rejection.

use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;
use std::{error, fmt};

use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{self, StreamExt};
use sqs_client::Message;
use sqs_client::client::Request;
use sqs_client::operation::ReceiveMessage;
use sqs_client::types::{MessageSystemAttributeName, RejectedMessage};
use tokio::time::Instant;

use crate::client::ExtendedClient;
use crate::error::Error;
use crate::pointer;
use crate::receive::claim::{Claim, Leased};
use crate::receive::delivery::ExtendedDelivery;
use crate::receive::lease::Lease;
use crate::receive::missing::{self, MissingPayload};
use crate::segment;

/// A receive about to be made: await it.
///
/// Every message is a result of its own, so that one whose pointer is refused does not cost the others. No payload is
/// fetched before it is asked for.
///
/// # Errors
///
/// The queue's client failed; there are no messages then, although SQS may have hidden some.
///
/// # Cancel safety
///
/// If the future is dropped while its request is on its way, SQS may have hidden messages that nobody holds. They come
/// back when the visibility timeout is over.
///
/// ```no_run
/// # async fn example(extended: sqs_extended::ExtendedClient, queue: &str) -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
///
/// for received in extended.receive(queue).max_messages(10).wait_time(Duration::from_secs(20)).await? {
///     match received {
///         Ok(delivery) => {
///             println!("{}", delivery.text().await?);
///             delivery.ack().await?;
///         }
///         Err(rejected) => eprintln!("{}: {rejected}", rejected.message().message_id),
///     }
/// }
/// # Ok(()) }
/// ```
#[must_use = "nothing is received before it is awaited"]
#[derive(Debug)]
pub struct ReceiveRequest {
    extended: ExtendedClient,
    queue_url: String,
    request: Request<ReceiveMessage>,
    visibility_timeout: Duration,
    /// How many payloads are fetched at a time, before they are asked for.
    eager: usize,
}

impl ReceiveRequest {
    pub(crate) fn new(extended: ExtendedClient, queue_url: String) -> Self {
        let mut request = extended
            .client()
            .receive_message(queue_url.as_str())
            .message_attribute_names(pointer::RESERVED_NAMES)
            .message_attribute_names(segment::ATTRIBUTES);
        if matches!(extended.0.missing, MissingPayload::MoveTo(_)) {
            request = request
                .message_attribute_names(["All"])
                .message_system_attribute_names(missing::SENT_ON);
        }
        Self {
            visibility_timeout: extended.0.visibility_timeout,
            extended,
            queue_url,
            request,
            eager: 0,
        }
    }

    /// Sets the maximum number of messages to receive. Default: 1. Range: 1–10.
    pub fn max_messages(mut self, count: u8) -> Self {
        self.request = self.request.max_messages(count);
        self
    }

    /// Sets the time to wait for a message. Default: the queue's own setting. Range: 0–20 seconds.
    pub fn wait_time(mut self, time: Duration) -> Self {
        self.request = self.request.wait_time(time);
        self
    }

    /// Sets the time for which the messages are hidden from other consumers. Default: the
    /// [client's](crate::ExtendedClientBuilder::visibility_timeout). Range: up to 12 hours.
    pub fn visibility_timeout(mut self, timeout: Duration) -> Self {
        self.visibility_timeout = timeout;
        self
    }

    /// Requests message attributes by name, in addition to those requested before. Default: none. `All` stands for all
    /// of them, and `prefix.*` for all names with that prefix.
    ///
    /// SQS sends only what is requested. All attributes are requested where messages may have to be
    /// [moved](crate::receive::MissingPayload::MoveTo).
    pub fn message_attribute_names(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.request = self.request.message_attribute_names(names);
        self
    }

    /// Asks for what SQS itself knows of a message, such as how often it was received.
    pub fn message_system_attribute_names(
        mut self,
        names: impl IntoIterator<Item = MessageSystemAttributeName>,
    ) -> Self {
        self.request = self.request.message_system_attribute_names(names);
        self
    }

    /// Sets the number of payloads that are fetched concurrently before the deliveries are returned. Default: 0, which
    /// fetches none.
    ///
    /// Prefetched payloads stay in memory as long as their deliveries, up to
    /// [`max_in_memory`](crate::ExtendedClientBuilder::max_in_memory) in all. A payload that is larger, or whose
    /// prefetch failed, is fetched when it is requested, and that request returns the error.
    pub fn prefetch_payloads(mut self, payloads: usize) -> Self {
        self.eager = payloads;
        self
    }

    async fn receive(self) -> Result<Vec<Result<ExtendedDelivery, Rejected>>, Error> {
        let queue_url: Arc<str> = self.queue_url.into();
        let asked = Instant::now();
        let received = self
            .request
            .visibility_timeout(self.visibility_timeout)
            .await
            .map_err(|error| Error::queue("the messages could not be received", error))?;
        let open = |came: Result<Message, RejectedMessage>| {
            let message = came.map_err(Rejected::by_client)?;
            let claim = Claim::Leased(Leased {
                client: self.extended.client().clone(),
                queue_url: Arc::clone(&queue_url),
                receipt_handle: message.receipt_handle.clone(),
                lease: Lease::new(asked, self.visibility_timeout),
            });
            ExtendedDelivery::open(&self.extended, claim, message)
        };
        let received: Vec<_> = received.in_order().map(open).collect();
        if self.eager > 0 {
            prefetch_payloads(&received, self.extended.0.max_in_memory, self.eager).await;
        }
        Ok(received)
    }
}

/// As many payloads as fit into so many bytes.
async fn prefetch_payloads(received: &[Result<ExtendedDelivery, Rejected>], bytes: usize, at_a_time: usize) {
    let mut room = u64::try_from(bytes).unwrap_or(u64::MAX);
    let offloaded = received.iter().flatten().filter(|delivery| delivery.is_offloaded());
    let fitting: Vec<&ExtendedDelivery> = offloaded
        .filter(|delivery| {
            let left = delivery.size().and_then(|size| room.checked_sub(size));
            room = left.unwrap_or(room);
            left.is_some()
        })
        .collect();
    stream::iter(fitting)
        .for_each_concurrent(at_a_time, ExtendedDelivery::fetch_ahead)
        .await;
}

impl IntoFuture for ReceiveRequest {
    type Output = Result<Vec<Result<ExtendedDelivery, Rejected>>, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        self.receive().boxed()
    }
}

/// A received message that claims to point to a payload, but in a way that is refused: its pointer is malformed, or
/// names what the client is not configured to touch. The store was not called. Or it is a segment of a payload, of which a
/// receive by itself cannot make anything. Or the queue's client rejected it, because it could not be read, or is not what
/// the server says it sent.
///
/// The message is still in the queue: unless it is deleted by its receipt handle, it comes back, and in the end goes
/// to the dead-letter queue if there is one.
pub struct Rejected(Box<(Message, Error)>);

impl Rejected {
    pub(crate) fn new(message: Message, error: Error) -> Self {
        let error = error.with_receipt_handle(&message.receipt_handle);
        Self(Box::new((message, error)))
    }

    fn by_client(rejected: RejectedMessage) -> Self {
        let error = Error::queue("the queue's client rejected the message", rejected.error);
        Self::new(rejected.message, error)
    }

    /// The message as it was received, with its receipt handle. What the queue's client could not read of it is empty.
    #[must_use]
    pub fn message(&self) -> &Message {
        &self.0.0
    }

    /// Why it is refused; of kind [`RefusedPointer`](crate::ErrorKind::RefusedPointer),
    /// [`UnexpectedSegment`](crate::ErrorKind::UnexpectedSegment), or [`Queue`](crate::ErrorKind::Queue) where the queue's client rejected it.
    #[must_use]
    pub fn error(&self) -> &Error {
        &self.0.1
    }

    /// The receipt handle, to delete the message or to change its visibility with.
    #[must_use]
    pub fn receipt_handle(&self) -> &str {
        &self.0.0.receipt_handle
    }
}

impl From<Rejected> for Error {
    fn from(rejected: Rejected) -> Self {
        rejected.0.1
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the received message was rejected: {}", self.error())
    }
}

impl fmt::Debug for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rejected")
            .field("message_id", &self.0.0.message_id)
            .field("error", &self.0.1)
            .finish_non_exhaustive()
    }
}

impl error::Error for Rejected {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        // `Display` has the error's own text already.
        error::Error::source(&self.0.1)
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{TestStore, extended};

    #[test]
    fn all_reserved_attributes_are_always_asked_for() {
        let receive = extended(&TestStore::default())
            .receive("http://127.0.0.1:1/queue")
            .message_attribute_names(["mine"]);
        let asked = &receive.request.input().message_attribute_names;
        assert_eq!(
            asked,
            &[
                "ExtendedPayloadSize",
                "SQSLargePayloadSize",
                "S3MessageBodyKey",
                "SQSExtendedSegment",
                "SQSExtendedSegmentBytes",
                "mine"
            ]
        );
    }
}
