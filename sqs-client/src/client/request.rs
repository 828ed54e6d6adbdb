use std::pin::Pin;

use crate::action::Operation;
use crate::client::handle::Client;
use crate::error::Error;

/// A request under construction. Its setters fill the input, and `.await` sends it.
///
/// ```no_run
/// # async fn f(client: sqs_client::Client, queue: &str) -> Result<(), sqs_client::Error> {
/// use std::time::Duration;
///
/// let request = client.send_message(queue, "hello").delay(Duration::from_secs(5));
/// println!("sending {} bytes", request.input().message.body.len());
/// let sent = request.await?;
/// println!("sent {}", sent.message_id);
/// # Ok(()) }
/// ```
///
/// # Cancel safety
///
/// The future may be dropped at any point. The request may then have taken effect or not.
#[derive(Clone, Debug)]
#[must_use = "a request is sent by `.await`"]
pub struct Request<Op> {
    client: Client,
    pub(crate) input: Op,
}

impl<Op: Operation> Request<Op> {
    /// Returns the input, with the values that were set so far.
    pub fn input(&self) -> &Op {
        &self.input
    }
}

impl<Op: Operation> IntoFuture for Request<Op> {
    type Output = Result<Op::Output, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(mut self) -> Self::IntoFuture {
        Box::pin(async move {
            self.input.prepare(&self.client.send_context());
            match self.client.execute(&self.input).await {
                Ok(success) => Ok(success.output),
                Err(error) => Err(error.with_operation(Op::NAME)),
            }
        })
    }
}

impl Client {
    pub(crate) fn request<Op: Operation>(&self, input: Op) -> Request<Op> {
        Request {
            client: self.clone(),
            input,
        }
    }
}
