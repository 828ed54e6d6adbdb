use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::client::Request;
use crate::operation::{is_fifo, operation};
use crate::types::QueueAttributes;
use crate::{Client, Error, validate};

/// Creates a queue: the input of [`Client::create_queue`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct CreateQueue {
    /// Up to 80 letters, digits, hyphens and underscores; a FIFO queue's name ends in `.fifo`.
    pub queue_name: String,
    /// What should differ from the defaults.
    #[serde(default, skip_serializing_if = "QueueAttributes::is_empty")]
    pub attributes: QueueAttributes,
    /// Tags, by key: up to 50, with keys of 1–128 characters and values of up to 256.
    #[serde(default, rename = "tags", skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// The answer to [`CreateQueue`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct CreateQueueOutput {
    /// The queue's URL, to use with all other actions.
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

    /// A FIFO queue must be asked for by name *and* attribute; the name is enough for us.
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
    /// Sets the attributes that should differ from the defaults.
    pub fn attributes(mut self, attributes: QueueAttributes) -> Self {
        self.input = self.input.with_attributes(attributes);
        self
    }

    /// Adds a tag; a queue takes 50, with keys of 1–128 characters and values of up to 256.
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.input.tags.insert(key.into(), value.into());
        self
    }
}

impl Client {
    /// Creates a queue, or finds it where one of the same name and attributes exists.
    ///
    /// A name that ends in `.fifo` makes a FIFO queue.
    ///
    /// ```no_run
    /// # async fn f(client: sqs_client::Client) -> Result<(), sqs_client::Error> {
    /// use std::time::Duration;
    /// use sqs_client::QueueAttributes;
    ///
    /// let mut attributes = QueueAttributes::default();
    /// attributes.visibility_timeout = Some(Duration::from_secs(120));
    /// let queue = client.create_queue("orders").attributes(attributes).tag("team", "shop").await?.queue_url;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`QueueNameExists`](crate::ErrorCode::QueueNameExists) where a queue of that name has other attributes,
    /// [`QueueDeletedRecently`](crate::ErrorCode::QueueDeletedRecently) within 60 seconds of its deletion.
    pub fn create_queue(&self, name: impl Into<String>) -> Request<CreateQueue> {
        self.request(CreateQueue::new(name))
    }
}
