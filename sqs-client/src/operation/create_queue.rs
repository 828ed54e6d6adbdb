use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::client::Request;
use crate::operation::operation;
use crate::queue_name::is_fifo;
use crate::types::QueueAttributes;
use crate::{Client, Error, validate};

/// The input of [`Client::create_queue`]. See AWS's
/// [`CreateQueue`](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html).
///
/// ```no_run
/// # fn f(client: &sqs_client::Client) {
/// let request = client.create_queue("orders").tag("team", "shop");
/// assert_eq!(request.input().tags["team"], "shop");
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct CreateQueue {
    /// The queue's name: up to 80 letters, digits, hyphens and underscores. The name of a FIFO queue ends in `.fifo`.
    pub queue_name: String,
    /// The attributes that differ from the defaults.
    #[serde(default, skip_serializing_if = "QueueAttributes::is_empty")]
    pub attributes: QueueAttributes,
    /// The tags, by key: up to 50, with keys of 1–128 characters and values of up to 256.
    #[serde(default, rename = "tags", skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// The output of [`Client::create_queue`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct CreateQueueOutput {
    /// The queue's URL, which most other actions require.
    pub queue_url: String,
}

impl CreateQueue {
    pub(crate) fn new(queue_name: impl Into<String>) -> Self {
        let create = Self {
            queue_name: queue_name.into(),
            attributes: QueueAttributes::default(),
            tags: BTreeMap::new(),
        };
        create.with_attributes(QueueAttributes::default())
    }

    /// Sets the attributes, and adds `FifoQueue` if the name ends in `.fifo`. SQS requires both for a FIFO queue.
    fn with_attributes(mut self, mut attributes: QueueAttributes) -> Self {
        if is_fifo(&self.queue_name) {
            attributes.fifo_queue.get_or_insert(true);
        }
        self.attributes = attributes;
        self
    }
}

operation!(CreateQueue => CreateQueueOutput {
    fn queue_name(&self) -> Option<&str> {
        Some(&self.queue_name)
    }

    fn validate(&self) -> Result<(), Error> {
        self.attributes.validate()?;
        validate::tags(&self.tags)
    }
});

impl Request<CreateQueue> {
    /// Sets the attributes that differ from the defaults. Default: none.
    pub fn attributes(mut self, attributes: QueueAttributes) -> Self {
        self.input = self.input.with_attributes(attributes);
        self
    }

    /// Adds a tag. Range: up to 50 tags, with keys of 1–128 characters and values of up to 256. Default: none.
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.input.tags.insert(key.into(), value.into());
        self
    }
}

impl Client {
    /// Creates a queue, or finds an existing one of the same name and attributes.
    ///
    /// A name that ends in `.fifo` creates a FIFO queue.
    ///
    /// ```no_run
    /// # async fn f(client: sqs_client::Client) -> Result<(), sqs_client::Error> {
    /// use std::time::Duration;
    /// use sqs_client::QueueAttributes;
    ///
    /// let attributes = QueueAttributes::new().visibility_timeout(Duration::from_secs(120));
    /// let queue = client.create_queue("orders").attributes(attributes).tag("team", "shop").await?.queue_url;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// - [`InvalidInput`](crate::ErrorKind::InvalidInput), before any I/O: an attribute is out of its range, or the
    ///   tags are not valid.
    /// - [`QueueNameExists`](crate::ErrorCode::QueueNameExists): a queue of this name has other attributes.
    /// - [`QueueDeletedRecently`](crate::ErrorCode::QueueDeletedRecently): a queue of this name was deleted within
    ///   the last 60 seconds.
    pub fn create_queue(&self, name: impl Into<String>) -> Request<CreateQueue> {
        self.request(CreateQueue::new(name))
    }
}
