//! The trait of the service's actions. The execution of a request depends on its action only through this trait.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Error;
use crate::queue_name::queue_name;
use crate::random::Random;
use crate::types::OutgoingMessage;

/// An action of the service. The type that implements it is the action's input.
/// A function can be generic over actions:
///
/// ```no_run
/// use sqs_client::Error;
/// use sqs_client::client::Request;
/// use sqs_client::operation::Operation;
///
/// async fn send_and_report<Op: Operation>(request: Request<Op>) -> Result<Op::Output, Error> {
///     let output = request.await;
///     println!("{}: {}", Op::NAME, if output.is_ok() { "done" } else { "failed" });
///     output
/// }
/// ```
///
/// The trait is sealed. Only this crate's actions implement it.
pub trait Operation: sealed::Sealed + Serialize + Send + Sync + 'static {
    /// The action's name, such as `SendMessage`.
    const NAME: &'static str;

    /// `X-Amz-Target` of the JSON protocol.
    #[doc(hidden)]
    const TARGET: &'static str;

    #[doc(hidden)]
    const PURPOSE: Purpose = Purpose::Manage;

    /// The response to the action.
    type Output: DeserializeOwned + Send + 'static;

    /// Returns the URL of the action's queue. The Query protocol sends the request to its path.
    #[doc(hidden)]
    fn queue_url(&self) -> Option<&str> {
        None
    }

    /// Returns the name of the action's queue, for errors.
    #[doc(hidden)]
    fn queue_name(&self) -> Option<&str> {
        self.queue_url().map(queue_name)
    }

    /// Runs the send hooks, and fills in values that must stay the same over all attempts.
    #[doc(hidden)]
    fn prepare(&mut self, context: &SendContext<'_>) {
        let _ = context;
    }

    /// Rejects, before any I/O, an input that every server would refuse.
    #[doc(hidden)]
    fn validate(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Estimates the encoded size in bytes, so that the encoder's buffer need not grow.
    #[doc(hidden)]
    fn encoded_size(&self) -> usize {
        512
    }

    /// Returns the time for which the server may delay its response because the caller requested a long poll.
    #[doc(hidden)]
    fn server_wait(&self) -> Duration {
        Duration::ZERO
    }

    /// Returns the number of messages that were sent, received or settled.
    #[doc(hidden)]
    fn messages(&self, output: &Self::Output) -> usize {
        let _ = output;
        1
    }

    /// Reads an output from JSON.
    #[doc(hidden)]
    fn read(json: &[u8]) -> Result<Self::Output, serde_json::Error> {
        serde_json::from_slice(json)
    }

    /// Names the part of an output's JSON that cannot be read, without quoting it.
    #[doc(hidden)]
    fn explain(json: &[u8]) -> Option<String> {
        let _ = json;
        None
    }

    /// Compares the server's MD5s with the data that was sent or received.
    #[doc(hidden)]
    fn verify(&self, output: &mut Self::Output) -> Result<(), Error> {
        let _ = output;
        Ok(())
    }

    /// Logs the part of an output that its caller may overlook.
    #[doc(hidden)]
    fn report(&self, output: &Self::Output) {
        let _ = output;
    }
}

pub(crate) mod sealed {
    pub trait Sealed {}
}

/// The effect of an action on messages: `messaging.operation.type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Sends messages.
    Send,
    /// Receives messages.
    Receive,
    /// Deletes messages, which were handled.
    Acknowledge,
    /// Changes the visibility of messages.
    Settle,
    /// Manages queues.
    Manage,
}

type SendHook = dyn Fn(&str, &mut OutgoingMessage) + Send + Sync;

/// The caller's hooks, which see each message before it is sent, in the order in which they were added.
#[derive(Clone, Default)]
pub(crate) struct SendHooks(Vec<Arc<SendHook>>);

impl SendHooks {
    pub(crate) fn add(&mut self, hook: impl Fn(&str, &mut OutgoingMessage) + Send + Sync + 'static) {
        self.0.push(Arc::new(hook));
    }

    pub(crate) fn apply(&self, queue_url: &str, message: &mut OutgoingMessage) {
        for hook in &self.0 {
            hook(queue_url, message);
        }
    }
}

impl fmt::Debug for SendHooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SendHooks").field(&self.0.len()).finish()
    }
}

/// The part of a client that an action needs before its first attempt.
#[derive(Debug)]
pub struct SendContext<'a> {
    hooks: Option<&'a SendHooks>,
    random: &'a Random,
}

impl<'a> SendContext<'a> {
    /// Makes a context; without hooks if the messages have already been shown to them.
    pub(crate) fn new(hooks: Option<&'a SendHooks>, random: &'a Random) -> Self {
        Self { hooks, random }
    }

    /// Shows a message to the caller's hooks before it is sent.
    pub(crate) fn before_send(&self, queue_url: &str, message: &mut OutgoingMessage) {
        if let Some(hooks) = self.hooks {
            hooks.apply(queue_url, message);
        }
    }

    /// Returns a unique id.
    pub(crate) fn new_id(&self) -> String {
        self.random.id()
    }
}
