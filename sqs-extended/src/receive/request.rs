//! The receive request. It returns a separate result for each message.

use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{self, StreamExt};
use sqs_client::Message;
use sqs_client::client::Request;
use sqs_client::operation::ReceiveMessage;
use sqs_client::types::{MessageSystemAttributeName, RejectedMessage};
use tokio::time::Instant;

use crate::error::Error;
use crate::pointer;
use crate::receive::claim::{Claim, Leased};
use crate::receive::delivery::ExtendedDelivery;
use crate::receive::lease::Lease;
use crate::receive::missing;
use crate::receive::missing_policy::MissingPayload;
use crate::receive::rejected::Rejected;
use crate::segment;
use crate::shared::Shared;

/// A receive request, sent when it is awaited.
///
/// It returns a separate result for each message, so one refused pointer affects no other message. A payload is fetched
/// when it is requested. [`prefetch_payloads`](Self::prefetch_payloads) fetches payloads earlier.
///
/// # Errors
///
/// The queue's client failed. SQS may still have hidden messages, which become visible after the visibility timeout.
///
/// # Cancel safety
///
/// SQS may hide messages that no consumer receives if the future is dropped while its request is in flight. They become
/// visible again after the visibility timeout.
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
    shared: Arc<Shared>,
    queue_url: String,
    request: Request<ReceiveMessage>,
    visibility_timeout: Duration,
    /// The number of concurrent prefetches.
    prefetch: usize,
}

impl ReceiveRequest {
    pub(crate) fn new(shared: Arc<Shared>, queue_url: String) -> Self {
        let mut request = shared
            .client
            .receive_message(queue_url.as_str())
            .message_attribute_names(pointer::RESERVED_NAMES)
            .message_attribute_names(segment::ATTRIBUTES)
            .message_system_attribute_names([MessageSystemAttributeName::ApproximateReceiveCount]);
        if matches!(shared.missing, MissingPayload::MoveTo(_)) {
            request = request
                .message_attribute_names(["All"])
                .message_system_attribute_names(missing::FORWARDED_ATTRIBUTES);
        }
        Self {
            visibility_timeout: shared.visibility_timeout,
            shared,
            queue_url,
            request,
            prefetch: 0,
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
    /// SQS sends only the requested attributes. All attributes are requested if
    /// [`MissingPayload::MoveTo`](crate::receive::MissingPayload::MoveTo) is set.
    pub fn message_attribute_names(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.request = self.request.message_attribute_names(names);
        self
    }

    /// Requests system attributes, in addition to those requested before. Default: `ApproximateReceiveCount`.
    pub fn message_system_attribute_names(
        mut self,
        names: impl IntoIterator<Item = MessageSystemAttributeName>,
    ) -> Self {
        self.request = self.request.message_system_attribute_names(names);
        self
    }

    /// Sets the number of payloads that are fetched concurrently before the deliveries are returned. Default: 0, which
    /// fetches none. Range: any.
    ///
    /// Prefetched payloads stay in memory as long as their deliveries, up to
    /// [`max_in_memory`](crate::ExtendedClientBuilder::max_in_memory) in all. A payload that exceeds it, or whose sender
    /// does not state its length, is fetched when it is requested. So is one whose prefetch failed, and that request returns
    /// the error.
    pub fn prefetch_payloads(mut self, payloads: usize) -> Self {
        self.prefetch = payloads;
        self
    }

    async fn receive(self) -> Result<Vec<Result<ExtendedDelivery, Rejected>>, Error> {
        let queue_url: Arc<str> = self.queue_url.into();
        let requested = Instant::now();
        let received = self
            .request
            .visibility_timeout(self.visibility_timeout)
            .await
            .map_err(|error| Error::queue("failed to receive messages", error))?;
        let open = |received: Result<Message, RejectedMessage>| {
            let message = received.map_err(Rejected::by_client)?;
            let claim = Claim::Leased(Leased {
                requests: self.shared.client.clone().into(),
                queue_url: Arc::clone(&queue_url),
                receipt_handle: message.receipt_handle.clone(),
                lease: Lease::new(requested, self.visibility_timeout),
            });
            ExtendedDelivery::open(&self.shared, claim, message)
        };
        let received: Vec<_> = received.in_order().map(open).collect();
        if self.prefetch > 0 {
            prefetch_payloads(&received, self.shared.max_in_memory, self.prefetch).await;
        }
        Ok(received)
    }
}

/// Prefetches as many payloads as fit into `bytes` together.
async fn prefetch_payloads(received: &[Result<ExtendedDelivery, Rejected>], bytes: usize, concurrency: usize) {
    let mut room = u64::try_from(bytes).unwrap_or(u64::MAX);
    let offloaded = received.iter().flatten().filter(|delivery| delivery.is_offloaded());
    let fitting: Vec<&ExtendedDelivery> = offloaded
        .filter(|delivery| {
            let remaining = delivery.size().and_then(|size| room.checked_sub(size));
            room = remaining.unwrap_or(room);
            remaining.is_some()
        })
        .collect();
    stream::iter(fitting)
        .for_each_concurrent(concurrency, ExtendedDelivery::prefetch)
        .await;
}

impl IntoFuture for ReceiveRequest {
    type Output = Result<Vec<Result<ExtendedDelivery, Rejected>>, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        self.receive().boxed()
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{TestStore, extended};

    #[test]
    fn reserved_attributes_are_always_requested() {
        let receive = extended(&TestStore::default())
            .receive("http://127.0.0.1:1/queue")
            .message_attribute_names(["mine"]);
        let requested = &receive.request.input().message_attribute_names;
        assert_eq!(
            requested,
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

    #[test]
    fn the_receive_count_is_always_requested() {
        let receive = extended(&TestStore::default()).receive("http://127.0.0.1:1/queue");
        assert_eq!(
            receive.request.input().message_system_attribute_names,
            [sqs_client::types::MessageSystemAttributeName::ApproximateReceiveCount]
        );
    }
}
