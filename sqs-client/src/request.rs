use std::pin::Pin;

use crate::client::Client;
use crate::error::Error;
use crate::operation::Operation;

/// A request that is being put together: its setters fill the input, `.await` sends it.
///
/// # Cancel safety
///
/// The future may be dropped at any point; the request may then have taken effect or not, as with
/// [`Error::may_have_been_sent`].
#[derive(Clone, Debug)]
#[must_use = "a request is sent by `.await`"]
pub struct Request<Op> {
    client: Client,
    pub(crate) input: Op,
}

impl<Op: Operation> Request<Op> {
    pub(crate) fn new(client: Client, input: Op) -> Self {
        Self { client, input }
    }

    /// The input as it stands.
    pub fn input(&self) -> &Op {
        &self.input
    }
}

impl<Op: Operation> IntoFuture for Request<Op> {
    type Output = Result<Op::Output, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(mut self) -> Self::IntoFuture {
        Box::pin(async move {
            self.input.prepare(&self.client);
            let result = self.client.execute(&self.input).await;
            result.map_err(|error| error.with_operation(Op::NAME))
        })
    }
}
