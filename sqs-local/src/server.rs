//! A running server.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::{fmt, io};

use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::actions::queues;
use crate::builder::Builder;
use crate::clock::Clock;
use crate::faults::Faults;
use crate::http;
use crate::http::auth::AccessKeys;
use crate::http::gateway::Gateway;
use crate::inspect::QueueView;
use crate::journal::Recorded;
use crate::protocol::error::Error;
use crate::protocol::input::Input;
use crate::protocol::schema::Action;

/// A running server. Dropping it stops it and closes its connections.
///
/// See the [crate's example](crate).
#[derive(Debug)]
pub struct LocalSqs {
    pub(crate) gateway: Arc<Gateway>,
    /// `None` for a server without a socket.
    listening: Option<Listening>,
}

/// The socket of a server.
#[derive(Debug)]
struct Listening {
    address: SocketAddr,
    task: JoinHandle<()>,
    /// Ends the task, which closes the connections first. `None` once it was asked to.
    stop: Option<oneshot::Sender<()>>,
}

/// The origin of queue URLs of a server without a socket.
const NO_SOCKET: &str = "http://sqs.local";

/// The error of [`LocalSqs::create_queue`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateQueueError(Error);

impl fmt::Display for CreateQueueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.code.query, self.0.message)
    }
}

impl std::error::Error for CreateQueueError {}

impl Builder {
    /// Starts the server on the current tokio runtime.
    ///
    /// # Errors
    ///
    /// Returns an error if the address cannot be bound.
    pub async fn start(self) -> io::Result<LocalSqs> {
        let listener = TcpListener::bind(self.address).await?;
        let address = listener.local_addr()?;
        let gateway = self.gateway(&format!("http://{address}"));
        let (stop, stopped) = oneshot::channel();
        let serving = http::serve(listener, gateway.clone(), http::MAX_CONNECTIONS, stopped);
        let task = tokio::spawn(serving);
        Ok(LocalSqs {
            gateway,
            listening: Some(Listening {
                address,
                task,
                stop: Some(stop),
            }),
        })
    }

    /// Starts the server without a socket. Its clients are in the same process.
    ///
    /// See [`LocalSqs::in_process`].
    pub fn in_process(self) -> LocalSqs {
        LocalSqs {
            gateway: self.gateway(NO_SOCKET),
            listening: None,
        }
    }
}

impl LocalSqs {
    /// Returns a builder with default settings.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Starts a server with default settings.
    ///
    /// # Errors
    ///
    /// Returns an error if no port can be bound.
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// Starts a server without a socket and with default settings.
    ///
    /// Its clients run in the same process, and a request is handled within the task that sends it. Under tokio's paused clock,
    /// a test of a visibility timeout of 12 hours therefore takes a millisecond.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    ///
    /// let server = sqs_local::LocalSqs::in_process();
    /// let client = server.client()?;
    /// let queue = server.create_queue_with("orders", [("VisibilityTimeout", "43200")])?;
    /// client.send_message(&queue, "hello").await?;
    /// assert_eq!(client.receive_message(&queue).await?.messages.len(), 1);
    /// assert_eq!(client.receive_message(&queue).await?.messages.len(), 0);
    ///
    /// tokio::time::advance(Duration::from_secs(12 * 60 * 60)).await;
    /// assert_eq!(client.receive_message(&queue).await?.messages.len(), 1);
    /// # Ok(()) }
    /// ```
    pub fn in_process() -> Self {
        Self::builder().in_process()
    }

    /// Creates a queue with default attributes, and returns its URL. A name that ends with `.fifo` creates a FIFO queue.
    /// An existing queue stays as it is.
    ///
    /// This is not a request, so it is neither counted nor subject to faults.
    ///
    /// # Errors
    ///
    /// Returns an error if the name is not valid.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = sqs_local::LocalSqs::start().await?;
    /// assert_eq!(server.create_queue("events.fifo")?, server.queue_url("events.fifo"));
    /// assert!(server.create_queue("two words").is_err());
    /// # Ok(()) }
    /// ```
    pub fn create_queue(&self, name: &str) -> Result<String, CreateQueueError> {
        self.create_queue_with(name, [])
    }

    /// Creates a queue with these attributes, as [`LocalSqs::create_queue`] does.
    ///
    /// # Errors
    ///
    /// Returns an error if the name or an attribute is not valid, or if the queue exists with other values.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = sqs_local::LocalSqs::start().await?;
    /// server.create_queue_with("orders", [("VisibilityTimeout", "5")])?;
    /// # Ok(()) }
    /// ```
    pub fn create_queue_with<'a>(
        &self,
        name: &str,
        attributes: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<String, CreateQueueError> {
        let given = attributes
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.into()));
        let mut given: Map<String, Value> = given.collect();
        if name.ends_with(".fifo") {
            given.entry("FifoQueue").or_insert_with(|| "true".into());
        }
        let input = Input::new(json!({"QueueName": name, "Attributes": given})).map_err(CreateQueueError)?;
        queues::create(&self.gateway.service, &input).map_err(CreateQueueError)?;
        Ok(self.queue_url(name))
    }

    /// Returns the server's URL: `http://127.0.0.1:PORT`, or `http://sqs.local` without a socket.
    pub fn endpoint(&self) -> String {
        match &self.listening {
            Some(listening) => format!("http://{}", listening.address),
            None => NO_SOCKET.to_owned(),
        }
    }

    /// Returns the socket address of [`LocalSqs::endpoint`], or `None` without a socket.
    pub fn address(&self) -> Option<SocketAddr> {
        self.listening.as_ref().map(|listening| listening.address)
    }

    /// Returns the URL that the server gives a queue of this name. The queue need not exist.
    pub fn queue_url(&self, name: &str) -> String {
        self.gateway.service.url(name)
    }

    /// Returns the ARN of a queue of this name. The queue need not exist.
    pub fn queue_arn(&self, name: &str) -> String {
        self.gateway.service.arn(name)
    }

    /// Returns the rules for injected faults.
    pub fn faults(&self) -> &Faults {
        &self.gateway.faults
    }

    /// Returns the accepted access keys.
    pub fn keys(&self) -> &AccessKeys {
        &self.gateway.keys
    }

    /// Returns the server's clock.
    pub fn clock(&self) -> &Clock {
        &self.gateway.service.clock
    }

    /// Returns a view of a queue, or `None` if it does not exist.
    pub fn queue(&self, name: &str) -> Option<QueueView> {
        let service = self.gateway.service.clone();
        let queue = service.queue_named(name)?;
        Some(QueueView { service, queue })
    }

    /// Returns the number of requests for an action, including refused requests and those with a fault.
    pub fn count(&self, action: Action) -> u64 {
        self.gateway.journal.count(action)
    }

    /// Returns the number of requests for each requested action.
    pub fn counts(&self) -> BTreeMap<Action, u64> {
        self.gateway.journal.counts()
    }

    /// Returns the last requests, oldest first.
    pub fn requests(&self) -> Vec<Recorded> {
        self.gateway.journal.last()
    }

    /// Clears the remembered requests and their counts.
    pub fn forget_requests(&self) {
        self.gateway.journal.clear();
    }

    /// Stops the server and waits until its port is free and its connections are closed.
    pub async fn stop(mut self) {
        self.gateway.stop();
        if let Some(listening) = &mut self.listening {
            // The task ends when the sender is dropped.
            drop(listening.stop.take());
            let _ = (&mut listening.task).await;
        }
    }
}

impl Drop for LocalSqs {
    fn drop(&mut self) {
        self.gateway.stop();
        if let Some(listening) = &self.listening {
            // The connections' tasks are children of this one and end with it.
            listening.task.abort();
        }
    }
}
