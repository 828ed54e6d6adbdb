//! The handling of a delivery as a consumer does it.

use std::sync::Arc;

use crate::consumer::ExtendedConsumer;
use crate::consumer::dispatch::run_handler;
use crate::error::Error;
use crate::receive::ExtendedDelivery;

/// Handles a delivery as [`ExtendedConsumer::run`] does, and settles it by the handler's result.
///
/// The hooks, the handler timeout and the poison handler of the [configured](ExtendedConsumer::configure) consumer apply. See
/// [`sqs_client::testing::handle`]. Create the delivery with [`TestDelivery::sent_to`](crate::testing::TestDelivery::sent_to),
/// so that it has the consumer's backoff and visibility timeout.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use object_store::memory::InMemory;
/// use sqs_client::testing::Settlement;
/// use sqs_extended::ExtendedClient;
/// use sqs_extended::testing::{self, TestDelivery};
///
/// // Nothing is sent to this endpoint.
/// let client = sqs_client::Client::builder().endpoint_url("http://localhost").build()?;
/// let client = ExtendedClient::builder(client).offload_to(InMemory::new(), "my-bucket").build()?;
/// let consumer = client.consumer("backups");
/// let (delivery, recorder) = TestDelivery::sent_to(&consumer, "not JSON").build().await?;
/// testing::handle(&consumer, delivery, |delivery| async move {
///     delivery.json::<serde_json::Value>().await.map(drop)
/// })
/// .await?;
/// assert_eq!(recorder.settlement(), Some(Settlement::NackedWithBackoff));
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// [`InvalidInput`](crate::ErrorKind::InvalidInput) if the delivery is of a [single
/// receive](crate::testing::TestDelivery::received), which no consumer handles.
///
/// # Cancel safety
///
/// Dropping the future aborts the handler. The delivery is dropped, unless it was settled.
///
/// # Panics
///
/// Panics outside of a tokio runtime.
pub async fn handle<H, F, E>(consumer: &ExtendedConsumer, delivery: ExtendedDelivery, handler: H) -> Result<(), Error>
where
    H: Fn(ExtendedDelivery) -> F + Send + Sync + 'static,
    F: Future<Output = Result<(), E>> + Send + 'static,
    E: Send + 'static,
{
    let received = delivery.consumed().cloned();
    let received = received.ok_or_else(|| Error::invalid("no consumer handles the delivery of a single receive"))?;
    let handler = Arc::new(handler);
    sqs_client::testing::handle(&consumer.consumer, received, move |_| {
        let (handler, delivery) = (Arc::clone(&handler), delivery.clone());
        async move { run_handler(&*handler, &delivery).await }
    })
    .await;
    Ok(())
}
