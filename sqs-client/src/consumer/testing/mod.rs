//! Deliveries without a queue, and the handling of them.

mod delivery;
mod recorder;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::consumer::builder::Consumer;
use crate::consumer::delivery::Delivery;
use crate::consumer::run;

pub use delivery::TestDelivery;
pub use recorder::Recorder;

/// Handles a delivery as [`Consumer::run`] does, and settles it by the handler's result.
///
/// The consumer's [hooks](Consumer::wrap_handler), [handler timeout](Consumer::handler_timeout) and [poison
/// handler](Consumer::on_poison) apply. It catches a panic, and repeats a failed acknowledgement. It sends nothing, except
/// the copy of a poison message that [`move_poison_to`](Consumer::move_poison_to) moves.
///
/// Create the delivery with [`TestDelivery::consumer`], so that it has the consumer's backoff and visibility timeout.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), sqs_client::Error> {
/// use sqs_client::testing::{self, Settlement, TestDelivery};
/// use sqs_client::{Client, Consumer};
///
/// fn orders(client: &Client) -> Consumer {
///     client.consumer("orders").wrap_handler(|_, handling| async { handling.await })
/// }
///
/// // Nothing is sent to this endpoint.
/// let client = Client::builder().endpoint_url("http://localhost").build()?;
/// let consumer = orders(&client);
/// let (delivery, recorder) = TestDelivery::new("not a number").consumer(&consumer).build();
/// testing::handle(&consumer, delivery, |delivery| async move {
///     delivery.message().body.parse::<u64>().map(drop)
/// })
/// .await;
/// assert_eq!(recorder.settlement(), Some(Settlement::NackedWithBackoff));
/// # Ok(()) }
/// ```
///
/// # Cancel safety
///
/// If the future is dropped, the handler is aborted. The delivery is dropped, unless it was settled.
///
/// # Panics
///
/// Panics outside of a tokio runtime.
pub async fn handle<H, F, E>(consumer: &Consumer, delivery: Delivery, handler: H)
where
    H: Fn(Delivery) -> F + Send + Sync + 'static,
    F: Future<Output = Result<(), E>> + Send + 'static,
    E: Send + 'static,
{
    run::handle(delivery, Arc::new(handler), Arc::new(consumer.handler.clone())).await;
}
